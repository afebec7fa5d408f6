//! Design time: which residual blocks to skip.
//!
//! ```no_run
//! use skipgate_data::{Dataset, Part, Source};
//! use skipgate_explore::search::Surrogate;
//! use skipgate_explore::{Engine, Latency, Shard, Split, Store, explore};
//! use skipgate_runtime::Artifact;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let artifact = Artifact::open("build/resnet20-host")?;
//! let manifest = artifact.manifest();
//! let images = Dataset::open(&Source::Digits, Part::Test, manifest, &|_, _| ())?;
//! let split = Split::new(images.len(), None)?;
//! let store = Store::open("results.jsonl".as_ref(), &manifest.model_sha256, images.sha256(), manifest.gates.len(), split.batch_size())?;
//! let mut engine = Engine::new(&artifact, &images, split, store, Shard::WHOLE, 2)?;
//! let explored = explore(&mut engine, &[&Surrogate { seed: 1 }], &Latency::Host)?;
//! for candidate in explored[0].front() {
//!     println!("{} {} {}", candidate.mask, candidate.report.share(), candidate.latency);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # How masks are found and compared
//!
//! The [`Engine`] runs the real artifact, one session per core, on batches of [`BATCH`] images, and keeps every result in
//! a [`Store`]. A [`ranking`] says how much each block matters, a [`search`] proposes masks, and [`explore()`] compares
//! them. The [`Split`] keeps the images apart that choose masks from those that accuracies are reported on.
//!
//! **Exact and estimated.** Accuracies of candidates, on the images of the search and on those of the report, are exact:
//! every image was run. A search judges masks by the mean probability of the true class on a part of its images: by a
//! regression over all masks that it tried ([`search::Surrogate`]), or batch by batch until a mask is three standard
//! errors behind. So what a search did not return was judged by an estimate.
//!
//! **Budget.** Every search gets what the paper's method costs (section II-A.3 and 4): on every image of the search, one
//! evaluation per gate and one per number of skipped blocks.
//!
//! **Several machines.** The share of a [`Shard`] depends on mask and batch alone. A run that needs results of other
//! shards stops with [`Error::Pending`] after its own share; [`merge`] puts the stores together, and the next run goes on.
//! A ranking takes one such round, a search one for each of its decisions.
#![forbid(unsafe_code)]

mod engine;
mod error;
mod explore;
mod front;
mod latency;
mod plot;
pub mod ranking;
#[cfg(feature = "schema")]
mod schema;
mod score;
pub mod search;
mod shard;
mod split;
mod store;

pub use engine::Engine;
pub use error::Error;
pub use explore::{Candidate, EXPLORATION_FILE, Exploration, Explored, explore, most_evaluations};
pub use front::{Point, hypervolume, non_dominated};
pub use latency::{BlockCosts, Latency};
pub use plot::Picture;
#[cfg(feature = "schema")]
pub use schema::file_schemas;
pub use score::{Accuracy, Outcomes};
pub use shard::Shard;
#[doc(no_inline)]
pub use skipgate_core::Reference;
pub use split::Split;
pub use store::{BATCH, Store, merge};
