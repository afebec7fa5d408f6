//! An artifact as a service for clients that are not trusted.
//!
//! [`Inference`] answers the requests of the Open Inference Protocol v2, with its extension for binary tensors, by the
//! sessions in [`Sessions`]; [`Metrics`] is a page for Prometheus. An [`Endpoint`] serves either at an address: it owns all
//! connections and holds them to their limits. [`decode`] and [`encode`] are the protocol alone, without a network.
//!
//! Nothing here reads arguments or prints.
#![forbid(unsafe_code)]

mod decode;
mod encode;
mod endpoint;
mod error;
#[cfg(test)]
mod fixture;
mod inference;
mod json_data;
mod metrics;
mod numbers;
mod sessions;

pub use decode::{Asked, Decoded, Wanted, decode};
pub use encode::{Encoded, Model, encode};
pub use endpoint::{Answer, Endpoint, Site};
pub use error::{Error, Refusal};
pub use inference::Inference;
pub use metrics::Metrics;
pub use numbers::{Numbers, Shared};
pub use sessions::Sessions;
