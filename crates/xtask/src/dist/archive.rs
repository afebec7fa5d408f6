//! Archives that `cargo binstall` and people unpack.

use std::path::Path;

use anyhow::Result;

use super::machine::Machine;
use super::parts::{LICENCES, Parts};
use super::{VERSION, layout, manual};
use crate::process::{CommandExt, say};
use crate::workspace::Workspace;

/// Writes the archive for `machine` into `dist`. `package.metadata.binstall` of the crate `skipgate` knows its name.
pub(crate) fn write(workspace: &Workspace, machine: Machine, parts: &Parts, dist: &Path) -> Result<()> {
    let name = format!("skipgate-{VERSION}-{}", machine.rust());
    say(&format!("Packing {name}.tar.xz"));
    let work = dist.join("work");
    let folder = work.join(&name);
    layout::clear(&folder)?;
    machine.strip(workspace, &parts.program, &folder.join("skipgate"))?;
    manual::write(workspace, machine, &parts.program, &folder.join("share"))?;
    for file in LICENCES.into_iter().chain(["README.md", "CHANGELOG.md", "docs/install.md"]) {
        layout::copy(&workspace.path(file), &folder)?;
    }
    let mut tar = workspace.command("tar");
    // The same commit gives the same bytes, whoever packs it.
    tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mode=go-w"]);
    tar.arg(format!("--mtime=@{}", layout::commit_time(workspace)?));
    tar.arg("-cJf").arg(dist.join(format!("{name}.tar.xz"))).arg("-C").arg(&work).arg(&name).run()
}
