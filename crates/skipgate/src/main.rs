//! The skipgate command line: argument types in `cli`, one file per command in `commands`.
#![forbid(unsafe_code)]

mod adaptive;
mod bench;
mod cli;
mod commands;
#[cfg(feature = "compiler")]
mod compiler_process;
mod diagnostics;
mod front;
#[cfg(feature = "compiler")]
mod image_options;
mod latency;
mod progress;
mod report;
mod trust;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    skipgate_data::hide_caught_panics();
    // Exit code 2, for bad usage, is clap's own.
    match commands::execute(cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            diagnostics::print(&error);
            ExitCode::FAILURE
        }
    }
}
