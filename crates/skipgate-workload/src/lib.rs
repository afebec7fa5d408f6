//! Requests over time, and what a network under a controller makes of them.
//!
//! [`Workload`] says when requests come, [`simulate`] serves them in virtual time, [`Request`] tells what became of one,
//! and a [`Tally`] sums them up: the same for a simulation and for requests that were really served. An [`oracle`] knows all
//! requests beforehand, and says how well the best choice would have done.
#![forbid(unsafe_code)]

mod arrivals;
mod buckets;
mod compare;
mod oracle;
mod request;
mod simulate;
mod summary;

pub use arrivals::{Arrival, Arrivals, Workload, WorkloadError};
pub use buckets::Buckets;
pub use compare::{Score, Setting};
pub use oracle::{Best, oracle};
pub use request::{Outcome, Processed, Request};
pub use simulate::simulate;
pub use summary::{Latencies, Stay, Summary, Tally};
