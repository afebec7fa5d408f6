//! Where things lie.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The folders of this checkout.
pub(crate) struct Workspace {
    root: PathBuf,
    tools: PathBuf,
}

impl Workspace {
    /// Asks the environment that cargo sets.
    pub(crate) fn find() -> Result<Self> {
        let package = env::var_os("CARGO_MANIFEST_DIR").context("start this as `cargo xtask`")?;
        let root = Path::new(&package).ancestors().nth(2).context("xtask lies two folders down")?.to_owned();
        let tools = env::var_os("SKIPGATE_TOOLS").map_or_else(|| root.join("target/tools"), PathBuf::from);
        fs_err::create_dir_all(&tools)?;
        Ok(Self { root, tools })
    }

    /// A path of the repository.
    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// A path in the folder of what the set-up installs.
    pub(crate) fn tool(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.tools.join(relative)
    }

    /// A program of the private Python environment.
    pub(crate) fn venv(&self, program: &str) -> PathBuf {
        self.tool("venv/bin").join(program)
    }

    /// The folder of the private Python environment with the installed packages.
    pub(crate) fn site_packages(&self) -> Result<PathBuf> {
        let lib = self.tool("venv/lib");
        for entry in fs_err::read_dir(&lib)? {
            let dir = entry?.path().join("site-packages");
            if dir.is_dir() {
                return Ok(dir);
            }
        }
        bail!("`{}` holds no Python packages; delete `{}`", lib.display(), self.tool("venv").display())
    }

    /// A command that runs in the root of the repository and finds the tools.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).env("SKIPGATE_TOOLS", &self.tools);
        command
    }

    /// The cargo that started this program.
    pub(crate) fn cargo(&self) -> Command {
        self.command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
    }
}
