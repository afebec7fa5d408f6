//! Installs what building, compiling and emulating the board need. Every step first checks whether it was done.

pub(crate) mod board_python;
pub(crate) mod mca;
pub(crate) mod mlir;
pub(crate) mod ncnn;
pub(crate) mod python;
pub(crate) mod qemu;
pub(crate) mod rust;
pub(crate) mod system;

use anyhow::Result;

use crate::board::Family;
use crate::workspace::Workspace;
use qemu::Emulator;
use rust::BoardRust;

/// What the set-up made ready.
pub(crate) struct Tools {
    /// Builds programs for armv7 boards.
    pub(crate) armv7_rust: BoardRust,
    /// Runs programs for boards.
    pub(crate) emulator: Emulator,
}

/// Makes ready what `cargo xtask demo` needs.
pub(crate) fn for_demo(workspace: &Workspace) -> Result<Tools> {
    system::require(system::BASE)?;
    python::prepare(workspace)?;
    Ok(Tools {
        armv7_rust: BoardRust::prepare(workspace, Family::Armv7)?,
        emulator: Emulator::prepare(workspace)?,
    })
}

/// Makes ready what `cargo xtask bench` needs.
pub(crate) fn for_bench(workspace: &Workspace) -> Result<Tools> {
    let tools = for_demo(workspace)?;
    python::prepare_tests(workspace)?;
    Ok(tools)
}

/// Makes ready what `cargo xtask test` needs.
pub(crate) fn for_tests(workspace: &Workspace) -> Result<Tools> {
    system::require(system::TESTS)?;
    system::require(system::BINDINGS)?;
    let tools = for_bench(workspace)?;
    board_python::prepare(workspace)?;
    mlir::prepare(workspace)?;
    Ok(tools)
}

/// Makes ready what `cargo xtask bindings` needs.
#[cfg(feature = "bindings")]
pub(crate) fn for_bindings(workspace: &Workspace) -> Result<mlir::Headers> {
    system::require(system::BINDINGS)?;
    python::prepare(workspace)?;
    mlir::prepare(workspace)
}
