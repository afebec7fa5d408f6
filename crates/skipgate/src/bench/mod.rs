//! Parts of `skipgate bench`: what is measured, how, and what is made of it.

#[cfg(feature = "compiler")]
pub(crate) mod compile;
pub(crate) mod dispatches;
pub(crate) mod measure;
pub(crate) mod pruned;
pub(crate) mod report;
pub(crate) mod service;
pub(crate) mod times;
