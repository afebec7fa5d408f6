//! Which masks are worth having: one candidate or more for every number of skipped blocks.

mod beam;
mod belief;
mod evolution;
mod nested;
mod race;
mod surrogate;

use skipgate_core::SkipMask;

pub use beam::Beam;
pub use evolution::Evolution;
pub use nested::Nested;
pub use surrogate::Surrogate;

use crate::{Engine, Error};

/// Finds candidates.
pub trait Search {
    /// Candidates, found with about `images` evaluations of one mask on one image.
    ///
    /// # Errors
    ///
    /// When the engine fails.
    fn masks(&self, engine: &mut Engine, images: usize) -> Result<Vec<SkipMask>, Error>;
}
