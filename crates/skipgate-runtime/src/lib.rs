//! Loads a skipgate artifact and runs it under a skip mask.
//!
//! ```no_run
//! use skipgate_runtime::{Artifact, Device, Session, SkipMask};
//!
//! # fn main() -> Result<(), skipgate_runtime::Error> {
//! let model = Artifact::open("build/resnet110-odroid-xu4")?;
//! let mut session = Session::new(&model, Device::local_sync())?;
//!
//! let image = vec![0.0; 3 * 32 * 32];
//! let mask = SkipMask::skipping(model.gates().len(), &[3, 7])?;
//! let logits: &[f32] = session.run(&image, &mask)?;
//! println!("{logits:?}");
//! # Ok(())
//! # }
//! ```
//!
//! # Core concepts
//!
//! [`Artifact`] is a compiled network in memory: `model.vmfb`, mapped, and its manifest. Opening one reads the whole
//! file once for its hash. Clones are cheap, share the memory, and may go to any thread.
//!
//! [`Device`] says which threads do the arithmetic. It is a plain value; nothing starts before a session needs it.
//!
//! [`Elements`] are what goes in and comes out where a network has several inputs or outputs, or others than f32:
//! [`Session::run_named`] takes and gives them by name.
//!
//! [`Session`] is what runs: it owns the state of the network and its input and output buffers. Making one takes
//! about as long as an inference. It belongs to one thread at a time; several threads take a session each on one artifact.
//!
//! [`Server`] is a session with a thread of its own that other threads send requests to; a
//! [`controller`] chooses a mask for each, from what the device can take right now.
//!
//! [`SkipMask`] says which residual blocks run: element `i` belongs to row `i` of [`Artifact::gates`].
//!
//! # Trust
//!
//! **An artifact is native code. Opening one and running it is like running a program: only do it with artifacts that
//! you made or trust.** Versions, target and hashes are checked against damage and mix-ups, not against malice:
//! whoever can write `model.vmfb` can write its hash. Against malice there is [`Artifact::open_signed`]: it opens nothing
//! but what the owner of a key signed, every file of it.
//!
//! The file is mapped, not copied. It must not change while an [`Artifact`] is alive: a changed file changes the
//! code that runs, and a shortened one ends the process with a bus error. Replacing the folder's files by renaming,
//! as `skipgate compile` does, is safe.
#![deny(unsafe_code)]

mod artifact;
mod device;
mod error;
#[allow(unsafe_code, reason = "the one place that calls C")]
mod raw;
mod server;
mod session;
mod signature;

pub use artifact::Artifact;
pub use device::Device;
pub use error::{Error, Found, Status};
#[doc(no_inline)]
pub use half::f16;
pub use server::{Answer, Choice, Reply, Request, Server, ServerOptions, Submission, Ticket};
pub use session::{DispatchTime, Outputs, Session};
pub use signature::{MOST_SIGNATURE, PublicKey};
#[doc(no_inline)]
pub use skipgate_controller as controller;
#[doc(no_inline)]
pub use skipgate_core::{ElementType, Elements, Gate, Hint, Manifest, SkipMask, TensorSpec, Values};

/// Compiles the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
