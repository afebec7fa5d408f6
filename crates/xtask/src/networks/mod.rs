//! `cargo xtask networks`: the networks that people export, gated, compiled and compared with ONNX Runtime.
//!
//! `tests/python/networks.py` lists and exports them. What is found out about a row is kept in files under
//! `target/networks` as it goes, so that a run that was ended goes on, and all of it ends up in `docs/support`.

mod report;
mod row;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;
use serde::Deserialize;

use crate::board::test_programs;
use crate::demo::build::build;
use crate::parallel::in_parallel;
use crate::process::{CommandExt, say};
use crate::setup;
use crate::test::onnx_runtime;
use crate::workspace::Workspace;
use row::{Checked, Export, Listed, Outcome, Row};

/// The script that knows the networks.
const SCRIPT: &str = "tests/python/networks.py";
/// The rows, for programs.
const JSON: &str = "docs/support/networks.json";
/// The rows, for people.
const MARKDOWN: &str = "docs/support/networks.md";
/// Exported networks and what became of each.
const DIR: &str = "target/networks";
/// Seconds that one network may take, under emulation too.
const LIMIT: &str = "3600";

/// The machines that networks are compiled for.
const HOST: &str = "host";
const BOARD: &str = "odroid-xu4";

/// Which networks are checked, and how.
#[derive(Debug, Args)]
pub(crate) struct Networks {
    /// Only rows whose names start so, such as `resnet18.dynamo`; may be given several times
    #[arg(long = "only", value_name = "PREFIX")]
    only: Vec<String>,
    /// Compile for the Odroid XU4, too, and run under emulation
    #[arg(long)]
    board: bool,
    /// Forget what is known of these rows
    #[arg(long)]
    again: bool,
    /// Neither export nor check anything, but put together what is known
    #[arg(long, conflicts_with = "again")]
    known: bool,
}

/// Checks what is not known yet and writes `docs/support/networks.json` and `networks.md`.
pub(crate) fn run(workspace: &Workspace, how: &Networks) -> Result<()> {
    fs_err::create_dir_all(workspace.path(DIR))?;
    fs_err::create_dir_all(workspace.path("docs/support"))?;
    if !how.known {
        setup::python::prepare(workspace)?;
        setup::python::prepare_tests(workspace)?;
    }
    let listed = python(workspace).arg("list").read()?;
    let listed: Vec<Listed> = serde_json::from_str(&listed).context("what the script lists")?;
    let programs = if how.known { None } else { Some(Programs::build(workspace, how.board)?) };
    let session = Session { workspace, how, programs };
    let before = read(&workspace.path(JSON))?;
    let mut rows = in_parallel(listed.iter().enumerate().collect(), |(_, listed)| {
        let before = before.iter().find(|row| row.listed == *listed).cloned();
        session.row(listed.clone(), before)
    })?;
    rows.sort_unstable_by_key(|((place, _), _)| *place);
    let rows: Vec<_> = rows.into_iter().filter_map(|(_, row)| row).collect();
    fs_err::write(workspace.path(JSON), row::to_json(&rows)?)?;
    fs_err::write(workspace.path(MARKDOWN), report::markdown(&rows))?;
    println!("{}", report::summary(&rows));
    Ok(())
}

fn read(path: &Path) -> Result<Vec<Row>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    serde_json::from_str(&fs_err::read_to_string(path)?).with_context(|| path.display().to_string())
}

fn python(workspace: &Workspace) -> Command {
    let mut python = workspace.command(workspace.venv("python"));
    python.arg(SCRIPT);
    python
}

/// What checks networks.
struct Programs {
    skipgate: PathBuf,
    fuzz: PathBuf,
    /// For boards, by the variable that tells of them.
    boards: Vec<(&'static str, PathBuf)>,
}

impl Programs {
    fn build(workspace: &Workspace, with_board: bool) -> Result<Self> {
        let built = |package: &str| {
            let mut cargo = workspace.cargo();
            build(cargo.args(["build", "--release", "--package", package]))
        };
        let boards = if with_board {
            setup::for_tests(workspace)?;
            test_programs(workspace, [BOARD])?
        } else {
            Vec::new()
        };
        Ok(Self { skipgate: built("skipgate")?, fuzz: built("skipgate-fuzz")?, boards })
    }
}

struct Session<'a> {
    workspace: &'a Workspace,
    how: &'a Networks,
    /// Nothing if nothing is to be checked.
    programs: Option<Programs>,
}

impl Session<'_> {
    /// What is known of a row after this run; `None` if nothing is.
    fn row(&self, listed: Listed, before: Option<Row>) -> Result<Option<Row>> {
        let only = &self.how.only;
        if !only.is_empty() && !only.iter().any(|prefix| listed.name.starts_with(prefix)) {
            return Ok(before);
        }
        let files = Files { stem: self.workspace.path(DIR).join(&listed.name) };
        if self.how.again {
            files.forget()?;
        } else if let Some(row) = &before {
            let is_done = row.board.is_some() || !self.how.board || row.host.is_none();
            if is_done && !files.host().exists() {
                return Ok(before);
            }
        }
        if !files.model().exists() && !files.failure().exists() && !self.how.known {
            say(&format!("Exporting {}", listed.name));
            python(self.workspace).arg("export").arg(self.workspace.path(DIR)).arg(&listed.name).run()?;
        }
        if files.failure().exists() {
            let export = Export::Failed { error: first_line(&fs_err::read_to_string(files.failure())?) };
            return Ok(Some(Row { listed, export, host: None, board: None }));
        }
        let export = self.inspect(&files)?;
        let host = self.check(&listed.name, &files.model(), HOST, &files.host())?;
        let board = if self.how.board || files.board().exists() {
            self.check(&listed.name, &files.model(), BOARD, &files.board())?
        } else {
            None
        };
        let row = export.map(|export| Row { listed, export, host, board });
        Ok(row.filter(|row| row.host.is_some()).or(before))
    }

    /// The blocks of an exported network, from `skipgate inspect`.
    fn inspect(&self, files: &Files) -> Result<Option<Export>> {
        #[derive(Deserialize)]
        struct Inspection {
            opset: i64,
            blocks: Vec<Block>,
        }
        #[derive(Deserialize)]
        struct Block {
            gate: Option<usize>,
        }
        let path = files.inspection();
        if !path.exists() {
            let Some(programs) = &self.programs else { return Ok(None) };
            let mut inspect = self.workspace.command(&programs.skipgate);
            let output = inspect.args(["inspect", "--format", "json"]).arg(files.model()).output()?;
            // What skipgate refuses to read has no blocks; why it does is what the check says.
            fs_err::write(&path, if output.status.success() { output.stdout } else { b"null".to_vec() })?;
        }
        let inspection: Option<Inspection> = serde_json::from_str(&fs_err::read_to_string(&path)?)
            .with_context(|| path.display().to_string())?;
        Ok(Some(match inspection {
            None => Export::Unread,
            Some(Inspection { opset, blocks }) => Export::Written {
                opset,
                blocks: blocks.len(),
                gates: blocks.iter().filter(|block| block.gate.is_some()).count(),
            },
        }))
    }

    /// What becomes of `model` compiled for `target`, in a process of its own.
    fn check(&self, name: &str, model: &Path, target: &str, path: &Path) -> Result<Option<Outcome>> {
        if !path.exists() {
            let Some(programs) = &self.programs else { return Ok(None) };
            say(&format!("Checking {name} for {target}"));
            let mut check = self.workspace.command("timeout");
            check.arg(LIMIT).arg(&programs.fuzz);
            check.args(["check", "--format", "json", "--target", target]).arg(model);
            check.env("ORT_DYLIB_PATH", onnx_runtime(self.workspace)?);
            check.envs(programs.boards.iter().map(|(variable, program)| (variable, program)));
            let output = check.output().context("cannot run `timeout`")?;
            let checked = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
                let last_words = String::from_utf8_lossy(&output.stderr);
                let last_words = last_words.lines().last().unwrap_or_default();
                Checked { outcome: Outcome::Crash { error: format!("{}: {last_words}", output.status) } }
            });
            fs_err::write(path, serde_json::to_string(&checked)?)?;
        }
        let checked: Checked = serde_json::from_str(&fs_err::read_to_string(path)?)
            .with_context(|| path.display().to_string())?;
        Ok(Some(checked.outcome))
    }
}

/// What went wrong, without where: places in an exporter's own files say nothing to a reader.
fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.split("[Caused by").next().unwrap_or_default().trim_end().to_owned()
}

/// The files of one row.
struct Files {
    stem: PathBuf,
}

impl Files {
    fn with(&self, ending: &str) -> PathBuf {
        let mut path = self.stem.clone().into_os_string();
        path.push(ending);
        path.into()
    }

    fn model(&self) -> PathBuf {
        self.with(".onnx")
    }

    /// Why there is no model.
    fn failure(&self) -> PathBuf {
        self.with(".error")
    }

    fn inspection(&self) -> PathBuf {
        self.with(".inspect.json")
    }

    fn host(&self) -> PathBuf {
        self.with(".host.json")
    }

    fn board(&self) -> PathBuf {
        self.with(".board.json")
    }

    fn forget(&self) -> Result<()> {
        for path in [self.model(), self.failure(), self.inspection(), self.host(), self.board()] {
            if path.exists() {
                fs_err::remove_file(path)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_what_the_rows_say() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let rows = read(&root.join(JSON)).unwrap();
        assert!(!rows.is_empty());
        let page = fs_err::read_to_string(root.join(MARKDOWN)).unwrap();
        assert!(page == report::markdown(&rows), "run `cargo xtask networks --known`");
    }

    #[test]
    fn names_with_dots_keep_them() {
        let files = Files { stem: "dir/resnet18.dynamo.17".into() };
        assert_eq!(files.host(), Path::new("dir/resnet18.dynamo.17.host.json"));
    }
}
