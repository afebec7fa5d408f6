//! One page that shows an artifact: its front, its network under a mask, what it takes in time, and the command that runs
//! it so.
//!
//! ```no_run
//! use skipgate_report::Report;
//!
//! let page = Report::open("build/resnet20-host".as_ref())?.html();
//! # Ok::<(), skipgate_report::Error>(())
//! ```
//!
//! The page is one file that asks the network for nothing. Its policy (Content-Security-Policy) allows the one style and
//! the one script that it carries, by their hashes, so that nothing else that came in through a name could run. Every
//! name of a model, a block, a class or a file passes through the escaping of the template.
//!
//! `source` reads and checks an artifact's files; `view` is what the page shows, as values; the other modules are the
//! parts of the page.
#![forbid(unsafe_code)]

mod chart;
mod facts;
mod network;
mod page;
mod source;
mod view;

pub use source::{Error, Percentiles, Report};
