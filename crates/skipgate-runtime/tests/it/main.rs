//! The runtime against real artifacts, compiled while the tests run by the pinned `iree-compile`.

mod allocation;
mod artifact;
mod fixture;
mod server;
mod session;
mod signed;
