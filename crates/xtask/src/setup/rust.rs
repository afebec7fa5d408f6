//! A Rust compiler with the standard library for boards.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::board::Family;
use crate::debian::Archive;
use crate::process::{CommandExt, find_program, say};
use crate::setup::system;
use crate::stamp::{Key, Stamp};
use crate::workspace::Workspace;

/// Longer than a slow download takes; a server that does not answer would hold rustup up for much longer.
const RUSTUP_LIMIT: Duration = Duration::from_secs(120);

/// The triple of this machine.
pub(crate) fn host_triple() -> Result<String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("-vV").read()?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` names no host")?.to_owned())
}

/// Compiles for the boards of a family.
pub(crate) struct BoardRust {
    pub(crate) family: Family,
    compiler: Compiler,
}

enum Compiler {
    /// The user's own Rust.
    Installed,
    /// Debian's, unpacked into the tools folder; only the user's cargo is used with it.
    Debian {
        /// Stands in for `rustc`.
        rustc: PathBuf,
    },
}

impl BoardRust {
    /// Finds or installs it.
    pub(crate) fn prepare(workspace: &Workspace, family: Family) -> Result<Self> {
        if family == Family::Aarch64 {
            system::require(system::AARCH64)?;
        }
        Ok(Self { family, compiler: Compiler::prepare(workspace, family)? })
    }

    /// A cargo for commands with `--target`, which follows what the caller adds.
    pub(crate) fn cargo(&self, workspace: &Workspace) -> Command {
        let mut cargo = workspace.cargo();
        // Either would replace the flags of `.cargo/config.toml`, which make the program static.
        cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        if let Compiler::Debian { rustc } = &self.compiler {
            // A target folder of its own, since a change of compiler would rebuild everything each time.
            cargo.env("RUSTC", rustc).env("CARGO_TARGET_DIR", workspace.path("target/debian-rust"));
        }
        cargo
    }

    /// The compiler itself.
    pub(crate) fn rustc(&self, workspace: &Workspace) -> Command {
        match &self.compiler {
            Compiler::Installed => workspace.command("rustc"),
            Compiler::Debian { rustc } => workspace.command(rustc),
        }
    }
}

impl Compiler {
    fn prepare(workspace: &Workspace, family: Family) -> Result<Self> {
        let debian = Debian::new(workspace);
        // `rustup` or `debian`: where the standard library has to come from. Without it, rustup is tried first.
        let choice = format!("SKIPGATE_{}_RUST", family.name().to_uppercase());
        match env::var(&choice).as_deref() {
            Ok("debian") => debian.prepare(workspace),
            Ok("rustup") => rustup(workspace, family).map(|()| Self::Installed),
            Ok(other) => bail!("{choice} is `{other}`; it can be `rustup` or `debian`"),
            Err(_) if has_standard_library(workspace, family)? => Ok(Self::Installed),
            // It was needed before; waiting for rustup's servers each time would take longer than everything else.
            Err(_) if debian.is_ready() => debian.prepare(workspace),
            Err(_) => match rustup(workspace, family) {
                Ok(()) => Ok(Self::Installed),
                Err(error) => {
                    say(&format!("{error:#}; using Debian's Rust instead"));
                    debian.prepare(workspace)
                }
            },
        }
    }
}

/// Makes sure that the user's own compiler has the standard library.
fn rustup(workspace: &Workspace, family: Family) -> Result<()> {
    if has_standard_library(workspace, family)? {
        return Ok(());
    }
    let target = family.rust_target();
    ensure!(find_program("rustup").is_some(), "the Rust here has no standard library for {target}");
    say(&format!("Installing the Rust standard library for {}", family.name()));
    let mut rustup = workspace.command("rustup");
    rustup.args(["target", "add", target]).run_within(RUSTUP_LIMIT)?;
    ensure!(has_standard_library(workspace, family)?, "rustup installed {target} for another compiler");
    Ok(())
}

fn has_standard_library(workspace: &Workspace, family: Family) -> Result<bool> {
    let mut rustc = workspace.command("rustc");
    let folder = rustc.args(["--print", "target-libdir", "--target", family.rust_target()]).read()?;
    Ok(Path::new(folder.trim_end()).is_dir())
}

/// Debian's Rust with its standard library for this machine and for boards.
const PACKAGES: [&str; 4] =
    ["rustc-web", "libstd-rust-web-dev", "libstd-rust-web-dev:armhf", "libstd-rust-web-dev:arm64"];

/// Debian's Rust in the tools folder.
struct Debian {
    root: PathBuf,
    rustc: PathBuf,
    stamp: Stamp,
    key: Key,
}

impl Debian {
    fn new(workspace: &Workspace) -> Self {
        let root = workspace.tool("debian-rust");
        Self {
            rustc: workspace.tool("debian-rustc"),
            stamp: Stamp::new(workspace.tool("debian-rust.stamp")),
            key: Key::new("debian-rust").text(&root.to_string_lossy()).text(&PACKAGES.join(" ")),
            root,
        }
    }

    fn is_ready(&self) -> bool {
        self.stamp.is(&self.key)
    }

    fn prepare(self, workspace: &Workspace) -> Result<Compiler> {
        let unpack = || {
            let archive = Archive::open(workspace)?;
            say("Unpacking Debian's Rust for boards into the tools folder");
            archive.unpack(&PACKAGES, &self.root)?;
            Archive::write_launcher(&self.rustc, &self.root, "usr/bin/rustc")
        };
        let unpacked = self.stamp.unless_done(&self.key, unpack);
        unpacked.context("cannot install the Rust standard library for boards")?;
        Ok(Compiler::Debian { rustc: self.rustc })
    }
}
