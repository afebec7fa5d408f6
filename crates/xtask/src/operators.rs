//! `cargo xtask operators`: the test cases that ONNX has for its operators, and the page that shows what is supported.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::board::test_programs;
use crate::process::{CommandExt, say};
use crate::setup;
use crate::stamp::{Key, Stamp};
use crate::workspace::Workspace;

/// Writes the cases.
const SCRIPT: &str = "tests/python/operator_cases.py";
/// The folder of the page.
const PAGE: &str = "docs/support";

/// What is checked.
#[derive(Debug, Args)]
pub(crate) struct Operators {
    /// The machine to compile for: host or odroid-xu4 (under emulation); may be given several times
    #[arg(long = "target", value_name = "TARGET", default_value = "host")]
    targets: Vec<String>,
    /// Only cases with this in their names, and no page; may be given several times
    #[arg(long, value_name = "PART")]
    only: Vec<String>,
    /// Check those again that were not right
    #[arg(long)]
    again: bool,
}

/// Writes the cases, checks them and writes the page. What became of each case is kept in `target/fuzz/operators`.
pub(crate) fn run(workspace: &Workspace, how: &Operators) -> Result<()> {
    setup::for_tests(workspace)?;
    let cases = cases(workspace)?;
    for target in &how.targets {
        let mut cargo = workspace.cargo();
        cargo.args(["run", "--release", "--quiet", "--package", "skipgate-fuzz", "--", "operators"]);
        cargo.arg(&cases).args(["--target", target]).args(how.again.then_some("--again"));
        for part in &how.only {
            cargo.args(["--only", part]);
        }
        if how.only.is_empty() {
            cargo.args(["--page", PAGE]);
        }
        cargo.envs(test_programs(workspace, [target.as_str()])?);
        cargo.run()?;
    }
    Ok(())
}

/// The folder of the cases, which are written if they are not there.
pub(crate) fn cases(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.path("target/operators");
    let script = workspace.path(SCRIPT);
    let key = Key::new("operators").file(&script)?.file(&workspace.path("tests/requirements.txt"))?;
    Stamp::new(workspace.path("target/operators.stamp")).unless_done(&key, || {
        say("Writing ONNX's test cases for operators");
        workspace.command(workspace.venv("python")).arg(&script).arg(&folder).run()
    })?;
    Ok(folder)
}
