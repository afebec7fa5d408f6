//! `cargo xtask sanitize`: tests under tools that see what a test by itself does not.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use clap::Subcommand;

use crate::process::{CommandExt, find_program, say};
use crate::setup;
use crate::setup::rust::host_triple;
use crate::workspace::Workspace;

/// The tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub(crate) enum Sanitize {
    /// `AddressSanitizer` and `LeakSanitizer`: accesses outside of memory, or to memory that is gone, and leaks
    Address,
    /// `ThreadSanitizer`: accesses of two threads that nothing orders
    Thread,
    /// shuttle: the server's hand-over of requests, under many orders in which its threads may come
    Handover {
        /// How many orders
        #[arg(long, value_name = "N", default_value_t = 20_000)]
        runs: u64,
        /// Where the random orders begin
        #[arg(long, value_name = "N", default_value_t = 1)]
        seed: u64,
    },
    /// Miri: undefined behaviour of what has no C in it
    Miri,
}

/// What runs artifacts and what other programs call: everything with `unsafe` in it that comes to a board.
const WITH_C: [&str; 3] = ["iree-runtime-sys", "skipgate-runtime", "skipgate-capi"];

/// What has no C in it, but for crates that are too slow to interpret.
const WITHOUT_C: [&str; 2] = ["skipgate-core", "skipgate-controller"];

/// The programs that generate code while IREE's runtime is built end without giving their memory back.
const WHILE_BUILDING: &str = "detect_leaks=0:detect_odr_violation=0";
/// GCC registers constants of one address twice, which the sanitizer takes for two of one name.
pub(crate) const WHILE_RUNNING: &str = "detect_odr_violation=0:detect_stack_use_after_return=1";
/// The Rust that has Miri.
const NIGHTLY: &str = "nightly";

/// Builds with the tool and runs the tests.
pub(crate) fn run(workspace: &Workspace, tool: Sanitize) -> Result<()> {
    match tool {
        Sanitize::Address => sanitized(workspace, "address", &[]),
        // Without the standard library's own accesses, locks and channels would look like none.
        Sanitize::Thread => sanitized(workspace, "thread", &["-Zbuild-std"]),
        Sanitize::Handover { runs, seed } => handover(workspace, runs, seed),
        Sanitize::Miri => miri(workspace),
    }
}

/// Tests with IREE's runtime, which is instrumented as well. What the compiler made of a network is not.
fn sanitized(workspace: &Workspace, name: &str, more: &[&str]) -> Result<()> {
    setup::for_tests(workspace)?;
    if !more.is_empty() {
        add_component("stable", "rust-src")?;
    }
    say(&format!("Building tests and IREE's runtime with -fsanitize={name}"));
    instrumented_tests(workspace, name, more)?.arg("--no-run").run()?;
    instrumented_tests(workspace, name, more)?.env("ASAN_OPTIONS", WHILE_RUNNING).run()
}

/// `cargo test` with everything instrumented that comes into the tests.
fn instrumented_tests(workspace: &Workspace, name: &str, more: &[&str]) -> Result<Command> {
    let mut cargo = workspace.cargo();
    let folder = instrument(workspace, &mut cargo, name, "");
    // With a target, nothing that runs while building is instrumented.
    cargo.arg("test").args(more).args(["--target", &host_triple()?, "--no-fail-fast", "--tests"]);
    cargo.arg("--target-dir").arg(&folder).args(WITH_C.iter().flat_map(|package| ["--package", package]));
    Ok(cargo)
}

/// Lets `cargo` build with the sanitizer of that name and with `flags`, IREE's runtime included. Returns the folder for what
/// is built so.
pub(crate) fn instrument(workspace: &Workspace, cargo: &mut Command, name: &str, flags: &str) -> PathBuf {
    let folder = workspace.path("target/sanitize").join(name);
    // Every release of Rust has the sanitizers, though they are no stable part of it.
    cargo.env("RUSTC_BOOTSTRAP", "1");
    cargo.env("RUSTFLAGS", format!("-Zsanitizer={name} -Cforce-frame-pointers=yes {flags}"));
    let flags = format!("-fsanitize={name} -fno-omit-frame-pointer -g1");
    cargo.env("SKIPGATE_NATIVE_DIR", folder.join("native")).env("CFLAGS", &flags).env("CXXFLAGS", &flags);
    cargo.env("ASAN_OPTIONS", WHILE_BUILDING);
    folder
}

/// The server with locks and channels that try out orders.
fn handover(workspace: &Workspace, runs: u64, seed: u64) -> Result<()> {
    setup::for_tests(workspace)?;
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--package", "skipgate-runtime", "--lib", "--release", "--target-dir"]);
    cargo.arg(workspace.path("target/sanitize/shuttle")).args(["--", "server::simulation"]);
    cargo.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true");
    cargo.env("RUSTFLAGS", "--cfg shuttle").env("SKIPGATE_NATIVE_DIR", workspace.path("target/native"));
    cargo.env("SKIPGATE_SIMULATIONS", runs.to_string()).env("SKIPGATE_SEED", seed.to_string()).run()
}

/// Tests that are interpreted.
fn miri(workspace: &Workspace) -> Result<()> {
    add_component(NIGHTLY, "miri")?;
    let mut cargo = workspace.command("cargo");
    cargo.args([&format!("+{NIGHTLY}"), "miri", "test", "--lib", "--no-fail-fast", "--target-dir"]);
    cargo.arg(workspace.path("target/sanitize/miri"));
    cargo.args(WITHOUT_C.iter().flat_map(|package| ["--package", package]));
    // Miri does not know how to open a file without waiting for it, as we do.
    cargo.args(["--", "--skip", "file"]);
    // One random case has to do: interpreting takes a hundred times as long.
    cargo.env("MIRIFLAGS", "-Zmiri-disable-isolation").env("PROPTEST_CASES", "1");
    cargo.env_remove("RUSTFLAGS").run()
}

/// Adds a part to an installed Rust.
fn add_component(toolchain: &str, component: &str) -> Result<()> {
    let rustup = find_program("rustup").context("install rustup: it knows how to add parts to Rust")?;
    Command::new(rustup).args(["component", "add", "--toolchain", toolchain, component]).run()
}
