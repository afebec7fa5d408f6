//! The private Python environment: the pinned compiler and build tools, and what the tests need besides.

use std::path::Path;

use anyhow::Result;

use crate::process::{CommandExt, say};
use crate::stamp::{Key, Stamp};
use crate::workspace::Workspace;

const REQUIREMENTS: &str = "third_party/requirements.txt";
const TEST_REQUIREMENTS: &str = "tests/requirements.txt";

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
        install(workspace, &requirements)
    })
}

/// Adds the packages of [`TEST_REQUIREMENTS`].
pub(crate) fn prepare_tests(workspace: &Workspace) -> Result<()> {
    let requirements = workspace.path(TEST_REQUIREMENTS);
    // The environment's own stamp is part of the key: a new environment lacks the tests' packages.
    let key = Key::new("venv-tests").file(&workspace.tool("venv.stamp"))?.file(&requirements)?;
    Stamp::new(workspace.tool("venv-tests.stamp")).unless_done(&key, || {
        say("Adding the tests' packages to the Python environment (takes a few minutes)");
        install(workspace, &requirements)
    })
}

fn install(workspace: &Workspace, requirements: &Path) -> Result<()> {
    let mut pip = workspace.command(workspace.venv("python"));
    pip.args(["-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--requirement"]);
    pip.arg(requirements).run()
}
