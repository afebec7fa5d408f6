//! `cargo xtask fuzz`: random networks through the whole of skipgate.

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::board::test_programs;
use crate::process::CommandExt;
use crate::setup;
use crate::test::onnx_runtime;
use crate::workspace::Workspace;

/// What is fuzzed.
#[derive(Debug, Subcommand)]
pub(crate) enum Fuzz {
    /// Random residual networks, compiled and run under many masks, against ONNX Runtime
    Differential(Differential),
}

#[derive(Debug, Args)]
pub(crate) struct Differential {
    /// For how long
    #[arg(long, value_name = "N", default_value_t = 10.0)]
    minutes: f64,
    /// The first seed [default: goes on where the last run ended, and adds to its counts]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// At most so many networks
    #[arg(long, value_name = "N")]
    cases: Option<u64>,
    /// The machine to compile for: host, a board (under emulation), or another one that this machine can run
    #[arg(long = "target", value_name = "TARGET", default_value = "host")]
    targets: Vec<String>,
}

/// Builds what is needed and starts it. Networks that fail end up in `target/fuzz/differential`.
pub(crate) fn run(workspace: &Workspace, Fuzz::Differential(how): &Fuzz) -> Result<()> {
    setup::for_tests(workspace)?;
    let mut cargo = workspace.cargo();
    cargo.args(["run", "--release", "--quiet", "--package", "skipgate-fuzz", "--", "differential"]);
    cargo.args(["--minutes", &how.minutes.to_string()]);
    for (name, value) in [("--seed", how.seed), ("--cases", how.cases)] {
        cargo.args(value.map(|value| [name.to_owned(), value.to_string()]).into_iter().flatten());
    }
    for target in &how.targets {
        cargo.args(["--target", target]);
    }
    cargo.envs(test_programs(workspace, how.targets.iter().map(String::as_str))?);
    cargo.env("ORT_DYLIB_PATH", onnx_runtime(workspace)?).run()
}
