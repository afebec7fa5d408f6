//! Building the programs and compiling the networks.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, anyhow};
use serde::Deserialize;

use crate::process::{CommandExt, say};
use crate::setup::rust::BoardRust;
use crate::stamp::{Key, Stamp};
use crate::workspace::Workspace;

/// The board of the demo.
pub(super) const BOARD: &str = "odroid-xu4";
/// The network of the demo.
const MODEL: &str = "models/digits/resnet20.onnx";

/// Builds the program for this machine, with the compiler.
pub(crate) fn host_program(workspace: &Workspace) -> Result<PathBuf> {
    say("Building skipgate for this machine");
    let mut cargo = workspace.cargo();
    build(cargo.args(["build", "--release", "--package", "skipgate"]))
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

/// Builds the program for boards of a family, without the compiler.
pub(crate) fn board_program(
    workspace: &Workspace,
    rust: &BoardRust,
    profile: BoardProfile,
) -> Result<PathBuf> {
    say(&format!("Building skipgate for {} boards", rust.family.name()));
    let profile = profile.name();
    let mut cargo = rust.cargo(workspace);
    cargo.args(["build", "--profile", profile, "--package", "skipgate", "--no-default-features"]);
    build(cargo.args(["--target", rust.family.rust_target()]))
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
        let [host, board] = ["host", BOARD].map(compile).map(|thread| {
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
