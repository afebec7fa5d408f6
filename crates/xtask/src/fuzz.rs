//! `cargo xtask fuzz`: random networks through the whole of skipgate, and random files through what reads them.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::board::test_programs;
use crate::process::CommandExt;
use crate::setup;
use crate::setup::rust::host_triple;
use crate::test::onnx_runtime;
use crate::workspace::Workspace;

/// What is fuzzed.
#[derive(Debug, Subcommand)]
pub(crate) enum Fuzz {
    /// Random residual networks, compiled and run under many masks, against ONNX Runtime
    Differential(Differential),
    /// ONNX files: reading, finding blocks, gating, writing
    Onnx(Guided),
    /// Manifests, fronts and lists of dispatches
    Artifact(Guided),
    /// `.npy` and `.npz` files
    Tensors(Guided),
    /// PNG and JPEG images
    Images(Guided),
    /// Workloads and traces
    Workload(Guided),
}

/// Guided by coverage: an input that reaches new code is kept and changed further.
#[derive(Debug, Args)]
pub(crate) struct Guided {
    /// For how long
    #[arg(long, value_name = "N", default_value_t = 10.0)]
    minutes: f64,
    /// Run these inputs instead, once each: what a run before failed with
    inputs: Vec<PathBuf>,
}

/// What libFuzzer needs of the compiler, all of it in stable Rust: a counter for each branch, and what is compared with what.
const COUNTERS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";
/// Seconds that an input may take.
const MOST_SECONDS: u32 = 5;
/// Memory that an input may take.
const MOST_MIB: u32 = 2048;

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

/// Builds what is needed and starts it. What fails ends up in `target/fuzz`, in a folder of the target's name.
pub(crate) fn run(workspace: &Workspace, what: &Fuzz) -> Result<()> {
    match what {
        Fuzz::Differential(how) => differential(workspace, how),
        Fuzz::Onnx(how) => guided(workspace, "onnx", how),
        Fuzz::Artifact(how) => guided(workspace, "artifact", how),
        Fuzz::Tensors(how) => guided(workspace, "tensors", how),
        Fuzz::Images(how) => guided(workspace, "images", how),
        Fuzz::Workload(how) => guided(workspace, "workload", how),
    }
}

/// Runs a program of `tests/fuzz/targets`. What it finds worth keeping joins the seeds of the next run, in `target/fuzz/corpus`.
fn guided(workspace: &Workspace, target: &str, how: &Guided) -> Result<()> {
    let triple = host_triple()?;
    let build = workspace.path("target/fuzz/build");
    let mut cargo = workspace.cargo();
    // With a target, the counters are left out of what runs while building.
    cargo.args([
        "build",
        "--release",
        "--quiet",
        "--manifest-path",
        "tests/fuzz/Cargo.toml",
        "--bin",
        target,
    ]);
    cargo.arg("--target-dir").arg(&build).args(["--target", &triple]).env("RUSTFLAGS", COUNTERS).run()?;
    let failures = workspace.path(format!("target/fuzz/{target}"));
    let corpus = workspace.path(format!("target/fuzz/corpus/{target}"));
    for folder in [&failures, &corpus] {
        fs_err::create_dir_all(folder)?;
    }
    let mut fuzzer = workspace.command(build.join(&triple).join("release").join(target));
    fuzzer.arg(format!("-artifact_prefix={}/", failures.display()));
    fuzzer.args([format!("-timeout={MOST_SECONDS}"), format!("-rss_limit_mb={MOST_MIB}")]);
    if how.inputs.is_empty() {
        fuzzer
            .arg(format!("-max_total_time={:.0}", how.minutes * 60.0))
            .args(["-print_final_stats=1", "-reduce_inputs=1"]);
        fuzzer.arg(corpus).arg(workspace.path(format!("tests/fuzz/corpus/{target}")));
    }
    fuzzer.args(&how.inputs).run()
}

/// Random networks. Those that fail end up in `target/fuzz/differential`.
fn differential(workspace: &Workspace, how: &Differential) -> Result<()> {
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
