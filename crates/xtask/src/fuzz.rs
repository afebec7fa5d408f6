//! `cargo xtask fuzz`: random networks through the whole of skipgate, and random files through what reads them.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::board::test_programs;
use crate::demo::build::host_program;
use crate::process::{CommandExt, say};
use crate::setup::rust::host_triple;
use crate::stamp::{Key, Stamp};
use crate::test::onnx_runtime;
use crate::workspace::Workspace;
use crate::{sanitize, setup};

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
    /// Stores of evaluations
    Store(Guided),
    /// Requests over HTTP: to `/metrics`, and the bodies of inference requests
    Requests(Guided),
    /// Sequences of calls of the C interface, under `AddressSanitizer`
    Calls(Guided),
    /// All that are guided by coverage, one after the other
    All(Guided),
}

/// All that are guided by coverage: programs of `tests/fuzz/targets`.
const GUIDED: [&str; 8] = ["onnx", "artifact", "tensors", "images", "workload", "store", "requests", CALLS];
/// The one that is built with a sanitizer, for there is `unsafe` in what it calls.
const CALLS: &str = "calls";

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
/// Networks that sequences of calls run: all types of tensors, inputs that are indices, an image and its logits.
/// The second has nothing to gate.
const FUZZED_MODELS: [(&str, &[&str]); 3] = [
    ("tests/models/tensors.onnx", &[]),
    ("tests/models/indices.onnx", &["--ungated"]),
    ("models/digits/resnet20.onnx", &[]),
];
/// A folder in memory, on Linux.
const MEMORY: &str = "/dev/shm";
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
        Fuzz::Store(how) => guided(workspace, "store", how),
        Fuzz::Requests(how) => guided(workspace, "requests", how),
        Fuzz::Calls(how) => guided(workspace, CALLS, how),
        Fuzz::All(how) => GUIDED.iter().try_for_each(|target| guided(workspace, target, how)),
    }
}

/// Runs a program of `tests/fuzz/targets`. What it finds worth keeping joins the seeds of the next run, in `target/fuzz/corpus`.
fn guided(workspace: &Workspace, target: &str, how: &Guided) -> Result<()> {
    say(&format!("Building and running {target}"));
    let program = build(workspace, target)?;
    let failures = workspace.path(format!("target/fuzz/{target}"));
    let corpus = workspace.path(format!("target/fuzz/corpus/{target}"));
    for folder in [&failures, &corpus] {
        fs_err::create_dir_all(folder)?;
    }
    let mut fuzzer = workspace.command(program);
    if target == CALLS {
        fuzzer.env("SKIPGATE_FUZZ_ARTIFACTS", artifacts(workspace)?);
        fuzzer.env("ASAN_OPTIONS", sanitize::WHILE_RUNNING);
    }
    // Files that are written for each input and read once need no disk.
    if Path::new(MEMORY).is_dir() {
        fuzzer.env("TMPDIR", MEMORY);
    }
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

/// Builds a program of `tests/fuzz/targets` with counters, and returns where it is.
fn build(workspace: &Workspace, target: &str) -> Result<PathBuf> {
    let triple = host_triple()?;
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--release", "--quiet", "--manifest-path", "tests/fuzz/Cargo.toml"]);
    let folder = if target == CALLS {
        sanitize::instrument(workspace, &mut cargo, "address", COUNTERS).join("fuzz")
    } else {
        cargo.env("RUSTFLAGS", COUNTERS);
        workspace.path("target/fuzz/build")
    };
    // With a target, the counters are left out of what runs while building.
    cargo.args(["--bin", target, "--target", &triple, "--target-dir"]).arg(&folder).run()?;
    Ok(folder.join(&triple).join("release").join(target))
}

/// A folder with small artifacts: one image and one output, or all types of tensors.
fn artifacts(workspace: &Workspace) -> Result<PathBuf> {
    let program = host_program(workspace)?;
    let folder = workspace.path("target/fuzz/artifacts");
    let key = Key::new("artifacts to fuzz").file(&program)?;
    Stamp::new(folder.with_extension("stamp")).unless_done(&key, || {
        fs_err::create_dir_all(&folder)?;
        for (model, flags) in FUZZED_MODELS {
            let name = Path::new(model).file_stem().unwrap_or_default();
            let mut compile = workspace.command(&program);
            compile
                .args(["compile", model, "--target", "host"])
                .args(flags)
                .arg("--output")
                .arg(folder.join(name))
                .read()?;
        }
        Ok(())
    })?;
    Ok(folder)
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
