//! All cases, in worker processes.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result, anyhow};
use fs_err as fs;

use super::check::Job;
use super::{Checked, Outcome};
use crate::worker::{Reply, Worker};

/// Which cases are checked, and how.
#[derive(Debug, Clone)]
pub struct Survey {
    /// The program with the `operator-worker` command.
    pub program: PathBuf,
    /// The folder with the cases, by kind.
    pub cases: PathBuf,
    /// The machine to compile for.
    pub target: String,
    /// Only cases with one of these in their names; all if there is none.
    pub only: Vec<String>,
    /// One case in so many of those is checked; 1 for all.
    pub step: usize,
    /// The folder where what became of each case is kept, a line for each; what is in it is not checked again.
    pub results: PathBuf,
    /// Check those again that were not right.
    pub again: bool,
    /// Worker processes.
    pub workers: usize,
}

impl Survey {
    /// Checks every case that is not in the results yet, tells those that are wrong or crash through `tell`, and gives all.
    pub fn run(&self, tell: &(dyn Fn(&str) + Sync)) -> Result<Vec<Checked>> {
        let mut results = self.earlier()?;
        let jobs: Vec<_> = self.jobs()?.into_iter().filter(|job| !results.contains_key(&job.case)).collect();
        fs::create_dir_all(&self.results)?;
        let file = fs::OpenOptions::new().create(true).append(true).open(self.file())?;
        let shared = Mutex::new((jobs.into_iter(), file, Vec::new()));
        thread::scope(|scope| {
            let work = || self.work(&shared, tell);
            let workers: Vec<_> = (0..self.workers.max(1)).map(|_| scope.spawn(work)).collect();
            workers
                .into_iter()
                .try_for_each(|worker| worker.join().map_err(|_| anyhow!("a thread panicked"))?)
        })?;
        let (_, _, new) = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.extend(new.into_iter().map(|checked: Checked| (checked.case.clone(), checked)));
        Ok(results.into_values().filter(|checked| self.includes(&checked.case)).collect())
    }

    fn work(&self, shared: &Mutex<Shared>, tell: &(dyn Fn(&str) + Sync)) -> Result<()> {
        let target = [self.target.clone()];
        let mut worker = Worker::with_command(&self.program, "operator-worker", &target);
        loop {
            let next = shared.lock().unwrap_or_else(PoisonError::into_inner).0.next();
            let Some(job) = next else { return Ok(()) };
            let checked = match worker.ask(&job)? {
                Reply::Answer(checked) => checked,
                Reply::Death(words) => Checked { outcome: Outcome::Crash(words), ..Checked::of(&job) },
            };
            if let Outcome::Wrong(text) | Outcome::Crash(text) = &checked.outcome {
                tell(&format!("{}: {text}", checked.case));
            }
            let (_, file, new) = &mut *shared.lock().unwrap_or_else(PoisonError::into_inner);
            writeln!(file, "{}", serde_json::to_string(&checked)?)?;
            new.push(checked);
        }
    }

    fn file(&self) -> PathBuf {
        self.results.join(format!("{}.jsonl", self.target))
    }

    fn includes(&self, case: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| case.contains(part.as_str()))
    }

    /// The cases, in an order that does not change.
    fn jobs(&self) -> Result<Vec<Job>> {
        let mut jobs = Vec::new();
        for kind in folders(&self.cases)? {
            for dir in folders(&kind)?.into_iter().filter(|dir| dir.join("model.onnx").is_file()) {
                let case = dir.strip_prefix(&self.cases)?.display().to_string();
                if self.includes(&case) {
                    jobs.push(Job { case, dir });
                }
            }
        }
        Ok(jobs.into_iter().step_by(self.step.max(1)).collect())
    }

    /// What earlier runs found, the last of them where there are several.
    fn earlier(&self) -> Result<BTreeMap<String, Checked>> {
        let mut results = BTreeMap::new();
        let path = self.file();
        if !path.exists() {
            return Ok(results);
        }
        for line in fs::read_to_string(&path)?.lines() {
            let what = || format!("{} holds `{line}`, which is no result", path.display());
            let checked: Checked = serde_json::from_str(line).with_context(what)?;
            results.insert(checked.case.clone(), checked);
        }
        let is_settled =
            |checked: &Checked| matches!(checked.outcome, Outcome::Right | Outcome::OutOfScope(_));
        results.retain(|case, checked| !(self.again && self.includes(case)) || is_settled(checked));
        Ok(results)
    }
}

/// Cases to come, the file of results, and new results.
type Shared = (std::vec::IntoIter<Job>, fs::File, Vec<Checked>);

/// The folders in `dir`, sorted.
fn folders(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    folders.retain(|path| path.is_dir());
    folders.sort();
    Ok(folders)
}
