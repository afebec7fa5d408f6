//! Boards: what builds programs for them and what stands in for them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use skipgate_core::{Arch, Emulation, Target};

use crate::demo::build::{BoardProfile, board_program};
use crate::setup::qemu::{Block, Emulator};
use crate::setup::rust::BoardRust;
use crate::setup::{self, Tools};
use crate::workspace::Workspace;

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

    /// What Rust calls it.
    pub(crate) fn rust_target(self) -> &'static str {
        match self {
            Self::Armv7 => "armv7-unknown-linux-gnueabihf",
            Self::Aarch64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// What Debian calls it.
    pub(crate) fn debian(self) -> &'static str {
        match self {
            Self::Armv7 => "armhf",
            Self::Aarch64 => "arm64",
        }
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
