//! What the compile side and the run side of skipgate agree on.
//!
//! Nothing here touches ONNX, the compiler or the runtime: the crate holds the words of the project as types and
//! the formats that travel between machines. You probably want `skipgate-runtime` (to run an artifact) or the
//! `skipgate` command line (to make one).
//!
//! # Glossary
//!
//! * **residual block**: a unit `y = act(F(x) + shortcut(x))`; **skippable** when its shortcut is the identity.
//! * **gate**: an ONNX `If` in front of a skippable block. Gates are numbered from 0 in execution order.
//! * **skip mask** ([`SkipMask`]): one boolean per gate; `true` runs the block, `false` skips it.
//! * **segment**: a maximal run of consecutive residual blocks with one output shape.
//! * **configuration** ([`Configuration`]): a skip mask that is worth having.
//! * **target** ([`Target`]): the machine an artifact is compiled for.
//! * **artifact** ([`Manifest`]): a folder with the compiled network and `manifest.json`.
#![forbid(unsafe_code)]

mod digest;
mod dispatch;
mod elements;
pub mod file;
mod front;
mod gate;
mod hint;
mod manifest;
mod mask;
mod numbers;
mod options;
mod preprocessing;
mod reference;
mod scores;
mod target;

pub use digest::FileDigest;
pub use dispatch::{DISPATCHES_FILE, Dispatch};
pub use elements::{ElementType, Elements, Values, WrongType};
pub use front::{Configuration, Front, FrontError, LatencySource, LatencyUnit, PARETO_FILE, Provenance};
pub use gate::Gate;
pub use hint::Hint;
pub use manifest::{
    Abi, EntryPoint, FORMAT_VERSION, IREE_REVISION, IREE_VERSION, IndexInput, IreeVersion, MANIFEST_FILE,
    MOST_DIMENSIONS, MOST_ELEMENTS, Manifest, ManifestError, NotOneF32, SIGNATURE_FILE, TensorSpec,
    VMFB_FILE,
};
pub use mask::{MaskError, SkipMask, depths};
pub use numbers::si;
pub use options::{Arithmetic, CompileOptions, CostlyGate, Coverage, GateForm, GenericLayer};
pub use preprocessing::{ColorMode, Interpolation, Layout, Preprocessing, Resize};
pub use reference::Reference;
pub use scores::{Scores, class_count};
pub use target::{Arch, Emulation, Target, UnknownTarget};
