//! Set-up, demo, tests and benchmarks of skipgate: `cargo xtask`.
//!
//! Every command first runs the part of the [set-up](setup) it needs, so that a clean clone on a fresh machine needs
//! nothing but `cargo xtask demo` or `cargo xtask test`. What is installed outside the system lies under
//! `target/tools`; deleting that folder undoes it.

#![forbid(unsafe_code)]

mod bench;
#[cfg(feature = "bindings")]
mod bindings;
mod board;
mod capi;
mod cycles;
mod debian;
mod demo;
mod dist;
mod fuzz;
mod instructions;
mod libcalls;
mod networks;
mod operators;
mod parallel;
mod process;
mod profile;
mod sanitize;
mod setup;
mod site;
mod soak;
mod stamp;
mod test;
mod workspace;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::demo::Format;
use crate::workspace::Workspace;

/// Set-up, demo, tests and benchmarks of skipgate
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install what building, compiling and emulating the board need
    Setup {
        /// Also install what the tests need
        #[arg(long)]
        tests: bool,
    },
    /// Gate and compile the digits ResNet-20, then run it here and on an emulated Odroid XU4
    Demo {
        /// Form of the table
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Measure gated networks beside statically pruned ones and other engines, and write BENCHMARKS.md
    Bench {
        #[command(flatten)]
        what: bench::What,
        /// Form of the table
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Build the program that runs artifacts on a board, and print where it is
    Program {
        /// The board, one of those that `skipgate targets` lists
        target: String,
    },
    /// Check the links of all pages and build them as a site
    Site,
    /// Count the instructions of an artifact for a board at many depths, for `skipgate pareto --latency-from`
    Instructions {
        /// The artifact folder, compiled for a board such as odroid-xu4 or raspberry-pi-4
        artifact: PathBuf,
        /// Only count every N-th number of skipped blocks, besides none and all
        #[arg(long, value_name = "N", default_value = "1")]
        every: NonZeroUsize,
    },
    /// Show which kernels of an artifact for a board execute how many instructions
    Profile {
        /// The artifact folder, compiled for a board such as odroid-xu4 or raspberry-pi-4
        artifact: PathBuf,
        /// Form of the table
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Estimate the cycles that an artifact takes on the board's processor, beside ncnn's
    Cycles {
        #[command(flatten)]
        what: cycles::What,
        /// Form of the tables
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Build the C interface: header, static and shared library, and a file for pkg-config
    Capi {
        /// The folder to write
        prefix: PathBuf,
        /// For the Odroid XU4 instead of this machine; static only, as programs for it are
        #[arg(long)]
        board: bool,
    },
    /// Make the Python wheels, archives, Debian packages and the list of components, in target/dist
    Dist(dist::Dist),
    /// Search for networks that skipgate gets wrong, and for files that it falls over
    Fuzz {
        #[command(subcommand)]
        what: fuzz::Fuzz,
    },
    /// Run tests under a sanitizer or under Miri
    Sanitize {
        #[command(subcommand)]
        tool: sanitize::Sanitize,
    },
    /// Check the networks that people export, and write docs/support/networks.md
    Networks(networks::Networks),
    /// Check ONNX's test cases for operators and write docs/support/operators.md
    Operators(operators::Operators),
    /// Serve under overload, without and with hostile clients, and compare what became of it
    Soak(soak::Soak),
    /// Run every check and test, stopping at the first that fails
    Test,
    /// Write the machine code that artifacts for the board need beside the compiler's own
    Libcalls {
        /// Only fail if it is out of date
        #[arg(long)]
        check: bool,
    },
    /// Write the Rust bindings of IREE's and MLIR's C headers, and our own C header
    Bindings {
        /// Only fail if they are out of date
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    match run(&Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<()> {
    let workspace = Workspace::find()?;
    match *command {
        Command::Instructions { ref artifact, every } => instructions::run(&workspace, artifact, every.get()),
        Command::Site => site::build(&workspace),
        Command::Program { ref target } => board::build(&workspace, target),
        Command::Profile { ref artifact, format } => profile::run(&workspace, artifact, format),
        Command::Cycles { ref what, format } => cycles::run(&workspace, what, format),
        Command::Setup { tests: false } => setup::for_demo(&workspace).map(drop),
        Command::Setup { tests: true } => setup::for_tests(&workspace).map(drop),
        Command::Demo { format } => demo::run(&workspace, format),
        Command::Bench { ref what, format } => bench::run(&workspace, what, format),
        Command::Capi { ref prefix, board } => {
            let tools = setup::for_demo(&workspace)?;
            let (rust, profile) = if board { (Some(&tools.armv7_rust), "board") } else { (None, "release") };
            capi::install(&workspace, rust, profile, prefix)
        }
        Command::Dist(ref what) => dist::run(&workspace, what),
        Command::Fuzz { ref what } => fuzz::run(&workspace, what),
        Command::Sanitize { tool } => sanitize::run(&workspace, tool),
        Command::Networks(ref how) => networks::run(&workspace, how),
        Command::Operators(ref how) => operators::run(&workspace, how),
        Command::Soak(ref how) => soak::run(&workspace, how),
        Command::Test => test::run(&workspace),
        Command::Libcalls { check } => libcalls::generate(&workspace, check),
        Command::Bindings { check } => generate_bindings(&workspace, check),
    }
}

#[cfg(feature = "bindings")]
fn generate_bindings(workspace: &Workspace, check: bool) -> Result<()> {
    bindings::generate(&setup::for_bindings(workspace)?, check)
}

/// Starts `xtask` again with the generator built in.
#[cfg(not(feature = "bindings"))]
fn generate_bindings(workspace: &Workspace, check: bool) -> Result<()> {
    use crate::process::CommandExt;

    let mut command = workspace.cargo();
    command.args(["run", "--quiet", "--package", "xtask", "--features", "bindings", "--", "bindings"]);
    command.args(check.then_some("--check")).run()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
