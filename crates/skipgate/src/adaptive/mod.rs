//! What `simulate` and `serve` share: the front with its latencies, controllers by name, the report; and requests in real
//! time.

pub(crate) mod comparison;
pub(crate) mod controllers;
pub(crate) mod http;
pub(crate) mod levels;
pub(crate) mod live;
#[cfg(feature = "compiler")]
pub(crate) mod plot;
pub(crate) mod report;
pub(crate) mod standard_input;
pub(crate) mod totals;
pub(crate) mod view;

pub(crate) use controllers::{Demands, refuse_ignored_options};
