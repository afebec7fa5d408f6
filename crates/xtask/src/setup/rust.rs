//! A Rust compiler with the standard library for armv7.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::debian::Archive;
use crate::process::{CommandExt, find_program, say};
use crate::stamp::{Key, Stamp};
use crate::workspace::Workspace;

/// The board's target, as Rust calls it.
pub(crate) const ARM_TARGET: &str = "armv7-unknown-linux-gnueabihf";

/// `rustup` or `debian`: where the standard library has to come from. Without it, rustup is tried first.
const CHOICE: &str = "SKIPGATE_ARMV7_RUST";

/// Longer than a slow download takes; a server that does not answer would hold rustup up for much longer.
const RUSTUP_LIMIT: Duration = Duration::from_secs(120);

/// Compiles for the board.
pub(crate) enum ArmRust {
    /// The user's own Rust.
    Installed,
    /// Debian's, unpacked into the tools folder; only the user's cargo is used with it.
    Debian {
        /// Stands in for `rustc`.
        rustc: PathBuf,
    },
}

impl ArmRust {
    /// Finds or installs it.
    pub(crate) fn prepare(workspace: &Workspace) -> Result<Self> {
        let debian = Debian::new(workspace);
        match env::var(CHOICE).as_deref() {
            Ok("debian") => debian.prepare(workspace),
            Ok("rustup") => rustup(workspace).map(|()| Self::Installed),
            Ok(other) => bail!("{CHOICE} is `{other}`; it can be `rustup` or `debian`"),
            Err(_) if has_standard_library(workspace)? => Ok(Self::Installed),
            // It was needed before; waiting for rustup's servers each time would take longer than everything else.
            Err(_) if debian.is_ready() => debian.prepare(workspace),
            Err(_) => match rustup(workspace) {
                Ok(()) => Ok(Self::Installed),
                Err(error) => {
                    say(&format!("{error:#}; using Debian's Rust instead"));
                    debian.prepare(workspace)
                }
            },
        }
    }

    /// A cargo for commands with `--target armv7-unknown-linux-gnueabihf`.
    pub(crate) fn cargo(&self, workspace: &Workspace) -> Command {
        let mut cargo = workspace.cargo();
        // Either would replace the flags of `.cargo/config.toml`, which make the program static.
        cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        if let Self::Debian { rustc } = self {
            // A target folder of its own, since a change of compiler would rebuild everything each time.
            cargo.env("RUSTC", rustc).env("CARGO_TARGET_DIR", workspace.path("target/debian-rust"));
        }
        cargo
    }

    /// The compiler itself.
    pub(crate) fn rustc(&self, workspace: &Workspace) -> Command {
        match self {
            Self::Installed => workspace.command("rustc"),
            Self::Debian { rustc } => workspace.command(rustc),
        }
    }
}

/// Makes sure that the user's own compiler has the standard library.
fn rustup(workspace: &Workspace) -> Result<()> {
    if has_standard_library(workspace)? {
        return Ok(());
    }
    ensure!(find_program("rustup").is_some(), "the Rust here has no standard library for {ARM_TARGET}");
    say("Installing the Rust standard library for armv7");
    let mut rustup = workspace.command("rustup");
    rustup.args(["target", "add", ARM_TARGET]).run_within(RUSTUP_LIMIT)?;
    ensure!(has_standard_library(workspace)?, "rustup installed {ARM_TARGET} for another compiler");
    Ok(())
}

fn has_standard_library(workspace: &Workspace) -> Result<bool> {
    let mut rustc = workspace.command("rustc");
    let folder = rustc.args(["--print", "target-libdir", "--target", ARM_TARGET]).read()?;
    Ok(Path::new(folder.trim_end()).is_dir())
}

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
            key: Key::new("debian-rust").text(&root.to_string_lossy()),
            root,
        }
    }

    fn is_ready(&self) -> bool {
        self.stamp.is(&self.key)
    }

    fn prepare(self, workspace: &Workspace) -> Result<ArmRust> {
        let unpack = || {
            let archive = Archive::open(workspace)?;
            say("Unpacking Debian's Rust for armv7 into the tools folder");
            archive.unpack(&["rustc-web", "libstd-rust-web-dev", "libstd-rust-web-dev:armhf"], &self.root)?;
            Archive::write_launcher(&self.rustc, &self.root, "usr/bin/rustc")
        };
        let unpacked = self.stamp.unless_done(&self.key, unpack);
        unpacked.with_context(|| format!("cannot install the Rust standard library for {ARM_TARGET}"))?;
        Ok(ArmRust::Debian { rustc: self.rustc })
    }
}
