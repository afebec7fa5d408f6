//! The private Python environment: the pinned compiler and build tools, and what the tests need besides.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::process::{CommandExt, say};
use crate::stamp::{Key, Stamp};
use crate::workspace::Workspace;

const REQUIREMENTS: &str = "third_party/requirements.txt";
const TEST_REQUIREMENTS: &str = "tests/requirements.txt";
const LITERT_REQUIREMENTS: &str = "tests/python/litert.txt";

/// Creates the environment with the packages of [`REQUIREMENTS`].
pub(crate) fn prepare(workspace: &Workspace) -> Result<()> {
    let requirements = workspace.path(REQUIREMENTS);
    let version = workspace.command("python3").arg("--version").read()?;
    let venv = workspace.tool("venv");
    // An environment does not survive being moved, hence its path.
    let key = Key::new("venv").text(&venv.to_string_lossy()).text(&version).file(&requirements)?;
    Stamp::new(workspace.tool("venv.stamp")).unless_done(&key, || {
        say("Creating the Python environment with the pinned compiler, CMake and Ninja");
        // From scratch: what another Python or other requirements left must not shine through.
        workspace.command("python3").args(["-m", "venv", "--clear"]).arg(&venv).run()?;
        install(workspace, &workspace.venv("python"), &requirements)
    })
}

/// Adds the packages of [`TEST_REQUIREMENTS`].
pub(crate) fn prepare_tests(workspace: &Workspace) -> Result<()> {
    let requirements = workspace.path(TEST_REQUIREMENTS);
    // The environment's own stamp is part of the key: a new environment lacks the tests' packages.
    let key = Key::new("venv-tests").file(&workspace.tool("venv.stamp"))?.file(&requirements)?;
    Stamp::new(workspace.tool("venv-tests.stamp")).unless_done(&key, || {
        say("Adding the tests' packages to the Python environment (takes a few minutes)");
        install(workspace, &workspace.venv("python"), &requirements)
    })
}

/// The Python of an environment on top of the tests' one, with the converter for `LiteRT` besides: that brings packages along that
/// nothing else needs.
pub(crate) fn prepare_litert(workspace: &Workspace) -> Result<PathBuf> {
    let venv = workspace.tool("venv-litert");
    let python = venv.join("bin/python");
    let requirements = workspace.path(LITERT_REQUIREMENTS);
    let key = Key::new("venv-litert").file(&workspace.tool("venv-tests.stamp"))?.file(&requirements)?;
    Stamp::new(workspace.tool("venv-litert.stamp")).unless_done(&key, || {
        say("Creating the Python environment with LiteRT's converter (takes a few minutes)");
        workspace.command("python3").args(["-m", "venv", "--clear"]).arg(&venv).run()?;
        let print = "import sysconfig; print(sysconfig.get_path('purelib'))";
        let packages = |python: &Path| workspace.command(python).args(["-c", print]).read();
        let [own, tests] = [packages(&python)?, packages(&workspace.venv("python"))?];
        fs_err::write(Path::new(own.trim_end()).join("tests.pth"), tests)?;
        install(workspace, &python, &requirements)
    })?;
    Ok(python)
}

fn install(workspace: &Workspace, python: &Path, requirements: &Path) -> Result<()> {
    let mut pip = workspace.command(python);
    pip.args(["-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--requirement"]);
    pip.arg(requirements).run()
}
