//! Gates: putting them in front of residual blocks, and finding them again.

mod insert;
mod recognise;

pub use insert::{MASK_INPUT, gate};
pub use recognise::{MaskedBranch, MaskedGate, MaskedNodes, recognise_gates};
