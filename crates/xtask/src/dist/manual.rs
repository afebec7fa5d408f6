//! What a program says about itself: manual pages and completions.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::layout;
use super::machine::Machine;
use crate::board::Family;
use crate::process::CommandExt;
use crate::workspace::Workspace;

/// A shell, and where it looks for completions below `share`.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "bash-completion/completions/skipgate"),
    ("zsh", "zsh/vendor-completions/_skipgate"),
    ("fish", "fish/vendor_completions.d/skipgate.fish"),
];

/// Writes both into `share`, a folder laid out as in `/usr/share`.
pub(crate) fn write(workspace: &Workspace, machine: Machine, program: &Path, share: &Path) -> Result<()> {
    let man = share.join("man/man1");
    fs_err::create_dir_all(&man)?;
    skipgate(workspace, machine, program).arg("man").arg(&man).run()?;
    for (shell, path) in COMPLETIONS {
        let script = skipgate(workspace, machine, program).args(["completions", shell]).read()?;
        layout::write(&share.join(path), script.as_bytes())?;
    }
    Ok(())
}

/// The program, which runs under emulation if it is for a board.
fn skipgate(workspace: &Workspace, machine: Machine, program: &Path) -> Command {
    let Some(family) = machine.family() else { return workspace.command(program) };
    let mut command = workspace.command(match family {
        Family::Armv7 => "qemu-arm",
        Family::Aarch64 => "qemu-aarch64",
    });
    command.arg("-L").arg(Path::new("/usr").join(family.gnu())).arg(program);
    command
}
