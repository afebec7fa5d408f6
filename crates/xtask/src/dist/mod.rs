//! `cargo xtask dist`: what people install, made on this machine.
//!
//! Everything lies in `target/dist`, with `SHA256SUMS` over it. [Why wheels are made as they
//! are](../../../docs/decisions/0007-wheels.md) is written down.

mod archive;
mod deb;
mod elf;
mod layout;
mod machine;
mod manual;
mod parts;
mod sbom;
mod wheel;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, ValueEnum};
use sha2::{Digest, Sha256};

use crate::process::say;
use crate::setup;
use crate::workspace::Workspace;
use machine::Machine;
use parts::{Parts, Quality};

/// The version of every package.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The list of all other files.
const SUMS: &str = "SHA256SUMS";

/// What to make; everything if nothing is said.
#[derive(Debug, Args)]
pub(crate) struct Dist {
    /// Only this kind of package; can be given several times
    #[arg(long, value_enum, value_name = "KIND")]
    only: Vec<Kind>,
    /// Only for this machine; can be given several times
    #[arg(long = "for", value_enum, value_name = "MACHINE")]
    machines: Vec<Machine>,
}

/// A kind of package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// For pip: program and Python interface.
    Wheel,
    /// For `cargo binstall` and by hand: program, manual pages and completions.
    Archive,
    /// For Debian and Ubuntu: the same.
    Deb,
    /// What all of it is made of, as a `CycloneDX` document.
    Sbom,
}

/// Makes the packages and prints their names with their sizes.
pub(crate) fn run(workspace: &Workspace, Dist { only, machines }: &Dist) -> Result<()> {
    setup::for_demo(workspace)?;
    let dist = folder(workspace)?;
    let wanted = |kind| only.is_empty() || only.contains(&kind);
    let all = Machine::value_variants().iter().copied();
    for machine in all.filter(|machine| machines.is_empty() || machines.contains(machine)) {
        if wanted(Kind::Wheel) || wanted(Kind::Archive) || wanted(Kind::Deb) {
            packages(workspace, machine, &dist, &wanted)?;
        }
    }
    if wanted(Kind::Sbom) {
        sbom::write(workspace, &dist)?;
    }
    for (name, size) in write_sums(&dist)? {
        println!("{size:>12} {name}");
    }
    Ok(())
}

fn packages(
    workspace: &Workspace,
    machine: Machine,
    dist: &Path,
    wanted: &dyn Fn(Kind) -> bool,
) -> Result<()> {
    let parts = Parts::build(workspace, machine, Quality::Shipped)?;
    if wanted(Kind::Wheel) {
        wheel::write(workspace, machine, &parts, dist)?;
    }
    if wanted(Kind::Archive) {
        archive::write(workspace, machine, &parts, dist)?;
    }
    if wanted(Kind::Deb) {
        deb::write(workspace, machine, &parts, dist)?;
    }
    Ok(())
}

/// The wheels that the tests install, of what they build anyway: the one for this machine and the one for 32-bit boards.
pub(crate) fn wheels_for_tests(workspace: &Workspace) -> Result<[PathBuf; 2]> {
    let dist = workspace.path("target/dist/tests");
    let wheel = |machine| {
        let parts = Parts::build(workspace, machine, Quality::Tested)?;
        wheel::write(workspace, machine, &parts, &dist)
    };
    Ok([wheel(Machine::X86_64)?, wheel(Machine::Armv7)?])
}

/// Where the packages go. Those of other versions are left alone.
fn folder(workspace: &Workspace) -> Result<PathBuf> {
    let dist = workspace.path("target/dist");
    fs_err::create_dir_all(&dist)?;
    Ok(dist)
}

/// Writes the checksums of all files in `dist`, and returns names and sizes.
fn write_sums(dist: &Path) -> Result<Vec<(String, u64)>> {
    say(&format!("Writing {}", dist.join(SUMS).display()));
    let mut files = Vec::new();
    let mut sums = String::new();
    let mut entries = fs_err::read_dir(dist)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs_err::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !entry.metadata()?.is_file() || name == SUMS {
            continue;
        }
        let bytes = fs_err::read(entry.path())?;
        sums.extend([&hex::encode(Sha256::digest(&bytes)), "  ", &name, "\n"]);
        files.push((name, bytes.len() as u64));
    }
    fs_err::write(dist.join(SUMS), sums)?;
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_cover_every_package_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join("b.deb"), "").unwrap();
        fs_err::write(dir.path().join("a.whl"), "abc").unwrap();
        fs_err::create_dir(dir.path().join("work")).unwrap();
        for _again in 0..2 {
            let files = write_sums(dir.path()).unwrap();
            assert_eq!(files, [("a.whl".to_owned(), 3), ("b.deb".to_owned(), 0)]);
        }
        let sums = fs_err::read_to_string(dir.path().join(SUMS)).unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  a.whl\n";
        assert!(sums.starts_with(abc), "{sums}");
        assert_eq!(sums.lines().count(), 2);
    }
}
