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
#[cfg(feature = "compiler")]
mod on_board;
#[cfg(feature = "compiler")]
mod plain_paths;
mod progress;
mod report;
mod trust;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    #[cfg(feature = "compiler")]
    plain_paths::start_again_with_plain_temporary_folder();
    skipgate_data::hide_caught_panics();
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        // 2 for bad usage, 0 for help.
        Err(error) => return diagnostics::print_usage(&error, std::env::args_os()).into(),
    };
    let format = cli.format;
    match commands::execute(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => diagnostics::print(&error, format).into(),
    }
}
