//! Design time: which residual blocks to skip.
#![forbid(unsafe_code)]

mod engine;
mod error;
mod explore;
mod front;
mod latency;
pub mod ranking;
mod score;
pub mod search;
mod shard;
mod split;
mod store;

pub use engine::Engine;
pub use error::Error;
pub use explore::{Candidate, Explored, explore};
pub use front::{Point, hypervolume, non_dominated};
pub use latency::{BlockCosts, Latency};
pub use score::{Accuracy, Outcomes};
pub use shard::Shard;
pub use split::Split;
pub use store::{BATCH, Store, merge, write_whole};
