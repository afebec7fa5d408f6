//! LLVM's machine code analyser: this machine's, or else Debian's, unpacked into the tools folder.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::debian::Archive;
use crate::process::{find_program, say};
use crate::stamp::{Key, Stamp};
use crate::workspace::Workspace;

const PROGRAM: &str = "llvm-mca";
/// The package of Debian's release that has it.
const PACKAGE: &str = "llvm-14";
const PROGRAM_IN_PACKAGE: &str = "usr/lib/llvm-14/bin/llvm-mca";

/// Finds the program.
pub(crate) fn prepare(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(system) = find_program(PROGRAM) {
        return Ok(system);
    }
    let (root, launcher) = (workspace.tool("debian-llvm"), workspace.tool(PROGRAM));
    let key = Key::new(PACKAGE).text(&root.to_string_lossy());
    let stamp = Stamp::new(workspace.tool("debian-llvm.stamp"));
    let unpacked = stamp.unless_done(&key, || {
        say("Unpacking Debian's LLVM into the tools folder");
        Archive::open(workspace)?.unpack(&[PACKAGE], &root)?;
        Archive::write_launcher(&launcher, &root, PROGRAM_IN_PACKAGE)
    });
    unpacked.with_context(|| {
        format!("estimating cycles takes `{PROGRAM}` in PATH (package llvm), or Debian's archive")
    })?;
    Ok(launcher)
}
