//! What `simulate` and `serve` share: the front with its latencies, controllers by name, the report; and requests in real
//! time.

pub(crate) mod comparison;
pub(crate) mod controllers;
mod endpoint;
pub(crate) mod levels;
pub(crate) mod live;
pub(crate) mod metrics;
#[cfg(feature = "compiler")]
pub(crate) mod plot;
pub(crate) mod report;
pub(crate) mod standard_input;

pub(crate) use controllers::{Demands, refuse_ignored_options};
