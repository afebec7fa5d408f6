//! Programs out of Debian's archive, unpacked into the tools folder without touching the system's own packages.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::process::{CommandExt, find_program, say};
use crate::setup::system;
use crate::workspace::Workspace;

/// The release whose packages are used, whatever this machine runs: it has Rust 1.85 for armhf and a QEMU with plugins.
const SUITE: &str = "bookworm";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Names the address of a Debian archive, for machines whose own apt reads none.
const MIRROR: &str = "SKIPGATE_DEBIAN_MIRROR";

/// Packages that always come from the system: a program cannot mix two versions of the C library.
const SYSTEM: &[&str] = &["gcc-12-base", "libc6", "libcrypt1", "libgcc-s1", "libstdc++6"];

/// A private apt that reads Debian's archive for this machine's architecture and those of boards.
pub(crate) struct Archive {
    dir: PathBuf,
    architecture: String,
}

impl Archive {
    /// Sets the private apt up and fetches the package lists.
    pub(crate) fn open(workspace: &Workspace) -> Result<Self> {
        ensure!(
            find_program("apt-get").is_some() && find_program("dpkg").is_some(),
            "this machine has no apt to read Debian's archive with"
        );
        let mirror = mirror()?;
        if !Path::new(KEYRING).exists() {
            system::install(&["debian-archive-keyring"])?;
        }
        let architecture = Command::new("dpkg").arg("--print-architecture").read()?.trim().to_owned();
        let archive = Self { dir: workspace.tool("debian-archive"), architecture };
        archive.configure(&mirror)?;
        say("Fetching Debian's package lists (a private copy; the system's are left alone)");
        archive.apt("apt-get").args(["update", "--quiet"]).run()?;
        Ok(archive)
    }

    fn configure(&self, mirror: &str) -> Result<()> {
        for folder in ["state/lists/partial", "cache/archives/partial"] {
            fs_err::create_dir_all(self.dir.join(folder))?;
        }
        fs_err::write(self.dir.join("status"), "")?;
        let source = format!("deb [signed-by={KEYRING}] {mirror} {SUITE} main\n");
        fs_err::write(self.dir.join("sources.list"), source)?;
        let dir = self.dir.display();
        let configuration = format!(
            r#"Dir::State "{dir}/state";
Dir::State::status "{dir}/status";
Dir::Cache "{dir}/cache";
Dir::Etc::sourcelist "{dir}/sources.list";
Dir::Etc::sourceparts "-";
APT::Architecture "{native}";
APT::Architectures {{ "{native}"; "armhf"; "arm64"; }};
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
"#,
            native = self.architecture
        );
        Ok(fs_err::write(self.configuration(), configuration)?)
    }

    fn configuration(&self) -> PathBuf {
        self.dir.join("apt.conf")
    }

    fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", self.configuration()).env("LC_ALL", "C");
        command
    }

    /// Unpacks `packages` into `into`, with those of their dependencies that the system does not have.
    pub(crate) fn unpack(&self, packages: &[&str], into: &Path) -> Result<()> {
        self.unpack_alone(&self.missing(packages)?, into)
    }

    /// Unpacks `packages` into `into` and nothing else, for a root that is not to be mixed with this machine's programs.
    pub(crate) fn unpack_alone(&self, packages: &[impl AsRef<OsStr>], into: &Path) -> Result<()> {
        let debs = self.dir.join("debs");
        for folder in [&debs, &into.to_owned()] {
            if folder.exists() {
                fs_err::remove_dir_all(folder)?;
            }
            fs_err::create_dir_all(folder)?;
        }
        self.apt("apt-get").args(["download", "--quiet"]).args(packages).current_dir(&debs).run()?;
        for deb in fs_err::read_dir(&debs)? {
            Command::new("dpkg").arg("-x").arg(deb?.path()).arg(into).run()?;
        }
        Ok(fs_err::remove_dir_all(&debs)?)
    }

    /// `packages` and what they need beyond what the system has.
    fn missing(&self, packages: &[&str]) -> Result<Vec<String>> {
        const IRRELEVANT: [&str; 6] =
            ["recommends", "suggests", "conflicts", "breaks", "replaces", "enhances"];
        let mut command = self.apt("apt-cache");
        command.args(["depends", "--recurse"]).args(IRRELEVANT.map(|kind| format!("--no-{kind}")));
        let listing = command.args(packages).read()?;
        // Of a foreign architecture only what was asked for: its programs do not run here.
        let excluded = |name: &str| SYSTEM.contains(&name) || name.starts_with('<') || name.contains(':');
        let needed = |name: &&str| packages.contains(name) || !(excluded(name) || is_installed(name));
        let mut wanted: Vec<_> = package_names(&listing).filter(needed).map(str::to_owned).collect();
        wanted.dedup();
        ensure!(!wanted.is_empty(), "Debian {SUITE} has none of {}", packages.join(", "));
        Ok(wanted)
    }

    /// Writes `script`, which runs `program` of an unpacked `root` with the libraries beside it.
    pub(crate) fn write_launcher(script: &Path, root: &Path, program: &str) -> Result<()> {
        let libraries = format!("lib/{}-linux-gnu", std::env::consts::ARCH);
        let root = root.display();
        let text = format!(
            r#"#!/bin/sh
export LD_LIBRARY_PATH="{root}/usr/{libraries}:{root}/{libraries}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"
exec "{root}/{program}" "$@"
"#
        );
        fs_err::write(script, text)?;
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        Ok(fs_err::set_permissions(script, executable)?)
    }
}

/// Address of the Debian archive to read: the one given, or else the one that this machine's apt reads.
fn mirror() -> Result<String> {
    if let Ok(given) = env::var(MIRROR) {
        return Ok(given);
    }
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--format", "$(ORIGIN) $(REPO_URI) $(RELEASE)"]);
    let listing = command.read()?;
    let found = debian_archive(&listing).map(str::to_owned);
    found.with_context(|| {
        format!("this machine's apt reads no Debian archive; set {MIRROR} to the address of one")
    })
}

/// The address in the first line of `listing` that is of a Debian release and not of its updates.
fn debian_archive(listing: &str) -> Option<&str> {
    listing.lines().find_map(|line| match line.split(' ').collect::<Vec<_>>()[..] {
        ["Debian", address, release] if !release.contains('-') => Some(address),
        _ => None,
    })
}

/// The lines of `apt-cache depends --recurse` that name a package; the others, which are indented, say how they depend.
fn package_names(listing: &str) -> impl Iterator<Item = &str> {
    listing.lines().filter(|line| !line.starts_with([' ', '|']))
}

fn is_installed(package: &str) -> bool {
    let query = Command::new("dpkg-query").args(["-W", "-f=${Status}", package]).read();
    query.is_ok_and(|status| status == "install ok installed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_of_the_release_itself_is_found() {
        let listing = "Ubuntu http://a/ noble\nDebian http://b/ trixie-security\nDebian http://c/ trixie\n";
        assert_eq!(debian_archive(listing), Some("http://c/"));
        assert_eq!(debian_archive("Ubuntu http://a/ noble\n"), None);
    }

    #[test]
    fn package_names_are_the_lines_that_are_not_indented() {
        let listing =
            "rustc-web\n  Depends: libc6\n |Depends: <libc-dev>\n    libc6-dev\nlibc6\n<libc-dev>\n";
        assert_eq!(package_names(listing).collect::<Vec<_>>(), ["rustc-web", "libc6", "<libc-dev>"]);
    }

    #[test]
    fn a_launcher_runs_the_program_with_the_libraries_of_its_root() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("program");
        fs_err::write(&program, "#!/bin/sh\necho \"$LD_LIBRARY_PATH $1\"\n").unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs_err::set_permissions(&program, executable).unwrap();
        let script = dir.path().join("launcher");
        Archive::write_launcher(&script, dir.path(), "program").unwrap();
        let output = Command::new(&script).arg("a b").env_remove("LD_LIBRARY_PATH").read().unwrap();
        let (root, arch) = (dir.path().display(), std::env::consts::ARCH);
        assert_eq!(output, format!("{root}/usr/lib/{arch}-linux-gnu:{root}/lib/{arch}-linux-gnu a b\n"));
    }
}
