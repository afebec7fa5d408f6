//! What packages are made for.

use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;

use crate::board::Family;
use crate::process::CommandExt;
use crate::workspace::Workspace;

/// An instruction set, and its names in other worlds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Machine {
    /// This machine.
    #[value(name = "x86-64")]
    X86_64,
    /// 64-bit Arm, with the compiler.
    Aarch64,
    /// 32-bit Arm with NEON: runtime only.
    Armv7,
}

impl Machine {
    /// The boards that it is, if it is not this machine.
    pub(crate) fn family(self) -> Option<Family> {
        match self {
            Self::X86_64 => None,
            Self::Aarch64 => Some(Family::Aarch64),
            Self::Armv7 => Some(Family::Armv7),
        }
    }

    /// What Python calls it.
    pub(crate) fn python(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
            Self::Armv7 => "armv7l",
        }
    }

    /// What Rust calls it.
    pub(crate) fn rust(self) -> &'static str {
        self.family().map_or("x86_64-unknown-linux-gnu", Family::rust_target)
    }

    /// What Debian calls it.
    pub(crate) fn debian(self) -> &'static str {
        self.family().map_or("amd64", Family::debian)
    }

    /// Whether PyPI has the compiler for it, and its program compiles.
    pub(crate) fn has_compiler(self) -> bool {
        self != Self::Armv7
    }

    /// Copies a program or library without what only debuggers read.
    pub(crate) fn strip(self, workspace: &Workspace, file: &Path, to: &Path) -> Result<()> {
        let strip =
            self.family().map_or_else(|| "strip".to_owned(), |family| format!("{}-strip", family.gnu()));
        let mut command = workspace.command(strip);
        command.args(["--strip-unneeded", "-o"]).arg(to).arg(file).run()
    }
}
