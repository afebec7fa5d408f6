//! What packages hold: built programs and libraries.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use super::machine::Machine;
use crate::capi;
use crate::demo::build::{BoardProfile, board_program, build};
use crate::process::say;
use crate::setup::rust::BoardRust;
use crate::workspace::Workspace;

/// Every package carries these.
pub(crate) const LICENCES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

/// Undoes what `.cargo/config.toml` asks for: a static program opens no compiler, and a library is never static.
const DYNAMIC: &str = "-Ctarget-feature=-crt-static";

/// How programs and libraries are built.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Quality {
    /// As they are shipped.
    Shipped,
    /// As the tests build them anyway: the same in less time.
    Tested,
}

impl Quality {
    /// The profile of what is built for this machine.
    fn profile(self) -> &'static str {
        match self {
            Self::Shipped => "release",
            Self::Tested => "dev",
        }
    }

    /// The profile of what is built for boards.
    fn board_profile(self) -> BoardProfile {
        match self {
            Self::Shipped => BoardProfile::Shipped,
            Self::Tested => BoardProfile::Tested,
        }
    }
}

/// A program and the C interface's shared library for one machine.
pub(crate) struct Parts {
    /// With the compiler where there is one, else static.
    pub(crate) program: PathBuf,
    pub(crate) library: PathBuf,
}

impl Parts {
    /// Builds them, or finds that they are built.
    pub(crate) fn build(workspace: &Workspace, machine: Machine, quality: Quality) -> Result<Self> {
        ensure!(
            cfg!(all(target_arch = "x86_64", target_os = "linux")),
            "packages are built on Linux on x86-64, and cross-compiled from there for boards"
        );
        say(&format!("Building what packages for {} hold", machine.rust()));
        match machine.family() {
            None => Self::for_this_machine(workspace, quality),
            Some(family) => {
                Self::for_board(workspace, machine, &BoardRust::prepare(workspace, family)?, quality)
            }
        }
    }

    fn for_this_machine(workspace: &Workspace, quality: Quality) -> Result<Self> {
        let cargo = || {
            let mut cargo = workspace.cargo();
            cargo.args(["build", "--profile", quality.profile()]);
            cargo
        };
        let program = build(cargo().args(["--package", "skipgate"]))?;
        let library = shared(&capi::build(&mut cargo())?)?;
        Ok(Self { program, library })
    }

    fn for_board(
        workspace: &Workspace,
        machine: Machine,
        rust: &BoardRust,
        quality: Quality,
    ) -> Result<Self> {
        let cargo = |profile: &str| {
            let mut cargo = rust.cargo(workspace);
            cargo.env("RUSTFLAGS", DYNAMIC).args(["build", "--target", machine.rust(), "--profile", profile]);
            cargo
        };
        let profile = quality.board_profile();
        let library = shared(&capi::build(&mut cargo(profile.name()))?)?;
        let program = if machine.has_compiler() {
            build(cargo(quality.profile()).args(["--package", "skipgate"]))?
        } else {
            board_program(workspace, rust, profile)?
        };
        Ok(Self { program, library })
    }
}

/// The shared one among the files of the C library.
fn shared(files: &[PathBuf]) -> Result<PathBuf> {
    let shared = files.iter().find(|file| file.extension().is_some_and(|extension| extension == "so"));
    shared.cloned().context("cargo built no shared library")
}
