//! Boards: what builds programs for them and what stands in for them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use skipgate_core::{Arch, Emulation, Target};

use crate::demo::build::{BoardProfile, board_program};
use crate::setup::qemu::{Block, Emulator};
use crate::setup::rust::BoardRust;
use crate::setup::{self, Tools};
use crate::workspace::Workspace;

/// The name of this machine among targets.
const HOST: &str = "host";

/// Boards that one program runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// 32-bit Arm with NEON.
    Armv7,
    /// 64-bit Arm.
    Aarch64,
}

impl Family {
    /// That of the boards that artifacts for `target` run on.
    pub(crate) fn of(target: &Target) -> Result<Self> {
        let family = match target.arch {
            Arch::Arm => Some(Self::Armv7),
            Arch::Aarch64 => Some(Self::Aarch64),
            Arch::X86_64 => None,
        };
        family.with_context(|| {
            format!("`{}` is no board with a program of its own; `skipgate targets` lists those", target.name)
        })
    }

    /// What people call its instruction set.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Armv7 => "armv7",
            Self::Aarch64 => "aarch64",
        }
    }

    /// Its processors.
    fn arch(self) -> Arch {
        match self {
            Self::Armv7 => Arch::Arm,
            Self::Aarch64 => Arch::Aarch64,
        }
    }

    /// What Rust calls it.
    pub(crate) fn rust_target(self) -> &'static str {
        self.arch().rust_target()
    }

    /// What Debian calls it.
    pub(crate) fn debian(self) -> &'static str {
        match self {
            Self::Armv7 => "armhf",
            Self::Aarch64 => "arm64",
        }
    }

    /// The environment variable that tells tests where the program for its boards is.
    fn program_variable(self) -> &'static str {
        self.arch().program_variable()
    }

    /// What names of GNU's tools begin with, and of folders of libraries.
    pub(crate) fn gnu(self) -> &'static str {
        match self {
            Self::Armv7 => "arm-linux-gnueabihf",
            Self::Aarch64 => "aarch64-linux-gnu",
        }
    }
}

/// Builds the program for the board called `name` and prints where it is.
pub(crate) fn build(workspace: &Workspace, name: &str) -> Result<()> {
    let tools = setup::for_demo(workspace)?;
    let board = Board::prepare(workspace, &tools, &Target::named(name)?, BoardProfile::Shipped)?;
    println!("{}", board.program.display());
    Ok(())
}

/// Builds what runs artifacts for `targets` under emulation, and names the variables that tell tests and checks of it; what
/// this machine runs itself needs nothing.
pub(crate) fn test_programs<'t>(
    workspace: &Workspace,
    targets: impl IntoIterator<Item = &'t str>,
) -> Result<Vec<(&'static str, PathBuf)>> {
    let mut programs = BTreeMap::new();
    for target in targets.into_iter().filter(|target| *target != HOST) {
        let Ok(family) = Family::of(&Target::named(target)?) else { continue };
        if let Entry::Vacant(entry) = programs.entry(family.program_variable()) {
            let rust = BoardRust::prepare(workspace, family)?;
            entry.insert(board_program(workspace, &rust, BoardProfile::Tested)?);
        }
    }
    Ok(programs.into_iter().collect())
}

/// A board as QEMU stands in for it, with the program that runs artifacts there.
pub(crate) struct Board<'a> {
    pub(crate) emulator: &'a Emulator,
    pub(crate) machine: Emulation,
    pub(crate) program: PathBuf,
}

impl<'a> Board<'a> {
    /// Builds the program for the board that `target` is.
    pub(crate) fn prepare(
        workspace: &Workspace,
        tools: &'a Tools,
        target: &Target,
        profile: BoardProfile,
    ) -> Result<Self> {
        let rust = BoardRust::prepare(workspace, Family::of(target)?)?;
        let program = board_program(workspace, &rust, profile)?;
        let machine = target.emulation().context("only boards are emulated")?;
        Ok(Self { emulator: &tools.emulator, machine, program })
    }

    /// Runs its program and returns how many instructions were executed, if they can be counted.
    pub(crate) fn run(&self, arguments: &[&OsStr], note: &Path) -> Result<Option<u64>> {
        self.emulator.run(&self.machine, &self.program, arguments, note)
    }

    /// Runs its program and returns what was executed where.
    pub(crate) fn profile(&self, arguments: &[&OsStr], note: &Path, blocks: &Path) -> Result<Vec<Block>> {
        self.emulator.profile(&self.machine, &self.program, arguments, note, blocks)
    }
}
