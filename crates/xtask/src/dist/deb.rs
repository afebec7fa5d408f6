//! Debian packages.

use std::path::Path;

use anyhow::Result;

use super::machine::Machine;
use super::parts::{LICENCES, Parts};
use super::{VERSION, elf, layout, manual};
use crate::process::{CommandExt, say};
use crate::workspace::Workspace;

/// Writes the package for `machine` into `dist`.
pub(crate) fn write(workspace: &Workspace, machine: Machine, parts: &Parts, dist: &Path) -> Result<()> {
    let name = format!("skipgate_{VERSION}-1_{}", machine.debian());
    say(&format!("Packing {name}.deb"));
    let folder = dist.join("work").join(&name);
    layout::clear(&folder)?;
    let (bin, share) = (folder.join("usr/bin"), folder.join("usr/share"));
    fs_err::create_dir_all(&bin)?;
    machine.strip(workspace, &parts.program, &bin.join("skipgate"))?;
    manual::write(workspace, machine, &parts.program, &share)?;
    compress_pages(workspace, &share.join("man/man1"))?;
    let documents = share.join("doc/skipgate");
    layout::write(&documents.join("copyright"), copyright(workspace)?.as_bytes())?;
    layout::copy(&workspace.path("README.md"), &documents)?;
    layout::write(&folder.join("DEBIAN/control"), control(machine, parts)?.as_bytes())?;
    let mut dpkg = workspace.command("dpkg-deb");
    dpkg.env("SOURCE_DATE_EPOCH", layout::commit_time(workspace)?);
    dpkg.args(["--root-owner-group", "-Zxz", "--build"]).arg(&folder);
    dpkg.arg(dist.join(format!("{name}.deb"))).run()
}

/// Debian's policy has manual pages compressed.
fn compress_pages(workspace: &Workspace, folder: &Path) -> Result<()> {
    let pages: Result<Vec<_>, _> =
        fs_err::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect();
    workspace.command("gzip").args(["--best", "--no-name"]).args(pages?).run()
}

fn control(machine: Machine, parts: &Parts) -> Result<String> {
    let depends = elf::oldest_glibc(&parts.program)?
        .map(|(major, minor)| format!("Depends: libc6 (>= {major}.{minor}), libgcc-s1\n"));
    let (depends, what) = (depends.unwrap_or_default(), what(machine));
    Ok(format!(
        "Package: skipgate\n\
         Version: {VERSION}-1\n\
         Architecture: {}\n\
         Maintainer: the skipgate maintainers <maintainers@skipgate.invalid>\n\
         Section: science\n\
         Priority: optional\n\
         {depends}\
         Homepage: {}\n\
         Description: residual networks whose blocks can be skipped, call by call\n \
         {what}\n",
        machine.debian(),
        env!("CARGO_PKG_REPOSITORY"),
    ))
}

/// What the package can do, as Debian's long description.
fn what(machine: Machine) -> &'static str {
    if machine.has_compiler() {
        "Inspects, gates, compiles, runs, measures and serves networks. The compiler\n \
         comes from PyPI: pip install iree-base-compiler."
    } else {
        "Runs, measures and serves networks that were compiled on another machine."
    }
}

fn copyright(workspace: &Workspace) -> Result<String> {
    let licences = LICENCES.map(|file| fs_err::read_to_string(workspace.path(file)));
    let [apache, mit] = licences;
    Ok(format!(
        "skipgate is licensed under Apache-2.0 or MIT, at your option. Its source is at {}.\n\n{}\n{}",
        env!("CARGO_PKG_REPOSITORY"),
        apache?,
        mit?
    ))
}
