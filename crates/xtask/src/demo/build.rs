//! Building the programs and compiling the networks.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, anyhow};
use serde::Deserialize;

use crate::process::{CommandExt, say};
use crate::setup::rust::{ARM_TARGET, ArmRust};
use crate::stamp::{Key, Stamp};
use crate::workspace::Workspace;

/// The network of the demo.
const MODEL: &str = "models/digits/resnet20.onnx";

/// The `skipgate` command line, built twice.
pub(crate) struct Programs {
    /// For this machine, with the compiler.
    pub(crate) host: PathBuf,
    /// For the board, without the compiler.
    pub(crate) arm: PathBuf,
}

/// Builds both.
pub(crate) fn programs(workspace: &Workspace, arm_rust: &ArmRust) -> Result<Programs> {
    say("Building skipgate for this machine");
    let mut cargo = workspace.cargo();
    let host = build(cargo.args(["build", "--release", "--package", "skipgate"]))?;
    Ok(Programs { host, arm: arm_program(workspace, arm_rust, BoardProfile::Shipped)? })
}

/// How the program for the board is built: names of profiles in `Cargo.toml`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum BoardProfile {
    /// As it is shipped and measured.
    Shipped,
    /// Sooner: for tests, which only ask what it computes.
    Tested,
}

impl BoardProfile {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Shipped => "board",
            Self::Tested => "board-test",
        }
    }
}

/// Builds the program for the board.
pub(crate) fn arm_program(
    workspace: &Workspace,
    arm_rust: &ArmRust,
    profile: BoardProfile,
) -> Result<PathBuf> {
    say("Building skipgate for the board");
    let profile = profile.name();
    let mut cargo = arm_rust.cargo(workspace);
    cargo.args(["build", "--profile", profile, "--package", "skipgate", "--no-default-features"]);
    build(cargo.args(["--target", ARM_TARGET]))
}

/// Runs a cargo command that builds one program, and finds the program.
pub(crate) fn build(cargo: &mut Command) -> Result<PathBuf> {
    let messages = cargo.arg("--message-format=json-render-diagnostics").read_showing_errors()?;
    executable(&messages).context("cargo built no program")
}

/// One line of cargo's JSON output.
#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
}

fn executable(messages: &str) -> Option<PathBuf> {
    messages.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok()?.executable).next_back()
}

/// Compiles the network for this machine and for the board, at the same time, unless that was done before with the
/// same program, network and compiler.
pub(super) fn artifacts(workspace: &Workspace, program: &Path, dir: &Path) -> Result<[PathBuf; 2]> {
    let key = Key::new("compile")
        .file(program)?
        .file(&workspace.path(MODEL))?
        .file(&workspace.tool("venv.stamp"))?;
    let key = &key;
    thread::scope(|scope| {
        let compile = |target| scope.spawn(move || compile(workspace, program, key, dir, target));
        let [host, board] = ["host", "odroid-xu4"].map(compile).map(|thread| {
            thread.join().map_err(|_| anyhow!("compiling panicked")).and_then(|artifact| artifact)
        });
        Ok([host?, board?])
    })
}

fn compile(workspace: &Workspace, program: &Path, key: &Key, dir: &Path, target: &str) -> Result<PathBuf> {
    let name = format!("resnet20-{target}");
    let artifact = dir.join(&name);
    Stamp::new(dir.join(name + ".stamp")).unless_done(&key.clone().text(target), || {
        say(&format!("Compiling {MODEL} for {target}"));
        let mut skipgate = workspace.command(program);
        skipgate.args(["compile", MODEL, "--target", target, "--output"]).arg(&artifact);
        skipgate.read().map(drop)
    })?;
    Ok(artifact)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::executable;

    #[test]
    fn the_program_is_the_last_executable_that_cargo_names() {
        let messages = r#"{"reason":"compiler-artifact","executable":null}
{"reason":"compiler-artifact","target":{"name":"skipgate"},"executable":"/t/skipgate"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages).as_deref(), Some(Path::new("/t/skipgate")));
        assert_eq!(executable(""), None);
    }
}
