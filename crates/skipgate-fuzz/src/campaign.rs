//! Many networks, on all cores, for a while.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use comfy_table::{Table, presets};
use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::Outcome;
use crate::shrink::{Shrinker, Shrunk};
use crate::worker::{Answer, Job, Worker};

/// How often progress is told and kept.
const TELL: Duration = Duration::from_secs(10);
/// Where it is kept.
const STATE: &str = "state.json";
/// Where the first of all runs begins.
const FIRST_SEED: u64 = 1;

/// What to do and for how long.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// The program with the `worker` command.
    pub program: PathBuf,
    /// Targets that are compiled for.
    pub targets: Vec<String>,
    /// The first seed; `None` to go on where the last run ended and add to its counts.
    pub seed: Option<u64>,
    /// Number of networks of this run, if it is limited.
    pub cases: Option<u64>,
    /// When to begin no other network.
    pub time: Duration,
    /// How long a network that fails may be made smaller; those of kinds that were seen before are not.
    pub shrink: Duration,
    /// Where networks that fail are kept, and the counts, in case that the run is interrupted.
    pub dir: PathBuf,
    /// Worker processes.
    pub workers: usize,
}

/// What became of the networks of one run, or of several that went on from each other.
#[derive(Debug, Serialize, Deserialize)]
pub struct Summary {
    /// The first seed.
    pub first_seed: u64,
    /// The first seed that was not tried.
    pub next_seed: u64,
    /// Number and first seeds by kind of outcome, by name of outcome.
    kinds: BTreeMap<String, BTreeMap<String, Kind>>,
    /// What was made smaller.
    shrunk: Vec<String>,
    seconds: f64,
    cases: u64,
    /// Networks by their number of gates, of those that are equal.
    gates: BTreeMap<usize, u64>,
    worst: f64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Kind {
    count: u64,
    /// Not all of them.
    seeds: Vec<u64>,
    example: String,
}

/// Seeds that are kept of each kind of outcome.
const SEEDS: usize = 5;

impl Campaign {
    /// Keeps the counts, never half of them.
    fn save(&self, summary: &Summary) -> Result<()> {
        let new = self.dir.join("state.json.new");
        fs::write(&new, serde_json::to_string(summary)?)?;
        Ok(fs::rename(new, self.dir.join(STATE))?)
    }

    /// Runs until all is done or time is up, and tells progress through `tell`.
    pub fn run(&self, tell: &(dyn Fn(&str) + Sync)) -> Result<Summary> {
        fs::create_dir_all(&self.dir)?;
        let summary = match self.seed {
            Some(seed) => Summary::starting_at(seed),
            None => Summary::of_earlier_runs(&self.dir)?.unwrap_or_else(|| Summary::starting_at(FIRST_SEED)),
        };
        let last = self.cases.map_or(u64::MAX, |cases| summary.next_seed.saturating_add(cases));
        let shared = Shared {
            next: AtomicU64::new(summary.next_seed),
            last,
            stop: AtomicBool::new(false),
            summary: Mutex::new(summary),
            start: Instant::now(),
            told: Mutex::new(Instant::now()),
            tell,
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..self.workers.max(1))
                .map(|number| {
                    scope.spawn({
                        let shared = &shared;
                        move || self.work(number, shared)
                    })
                })
                .collect();
            workers
                .into_iter()
                .try_for_each(|worker| worker.join().map_err(|_| anyhow!("a thread panicked"))?)
        })?;
        let mut summary = shared.summary.into_inner().unwrap_or_else(PoisonError::into_inner);
        summary.next_seed = shared.next.into_inner();
        self.save(&summary)?;
        Ok(summary)
    }

    /// One worker's share.
    fn work(&self, number: usize, shared: &Shared) -> Result<()> {
        let worked = self.try_work(number, shared);
        if worked.is_err() {
            shared.stop.store(true, Ordering::Relaxed);
        }
        worked
    }

    fn try_work(&self, number: usize, shared: &Shared) -> Result<()> {
        let mut worker = Worker::new(&self.program, &self.targets);
        let last = shared.last;
        while shared.start.elapsed() < self.time && !shared.stop.load(Ordering::Relaxed) {
            let taken = shared
                .next
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| (next < last).then_some(next + 1));
            let Ok(seed) = taken else { break };
            let answer = worker.run(&Job::Seed(seed))?;
            let new = shared.summary().add(seed, &answer);
            if answer.outcome.is_failure() && new {
                self.make_smaller(&mut worker, number, seed, &answer.outcome, shared)?;
            }
            self.tell(shared)?;
        }
        Ok(())
    }

    /// Tells and keeps progress now and then.
    fn tell(&self, shared: &Shared) -> Result<()> {
        let mut told = shared.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.elapsed() < TELL {
            return Ok(());
        }
        *told = Instant::now();
        let mut summary = shared.summary();
        summary.next_seed = shared.next.load(Ordering::Relaxed);
        (shared.tell)(&summary.line());
        self.save(&summary)
    }

    /// Writes a network that fails, and a smaller one that fails in the same way.
    fn make_smaller(
        &self,
        worker: &mut Worker,
        number: usize,
        seed: u64,
        outcome: &Outcome,
        shared: &Shared,
    ) -> Result<()> {
        let dir = self.dir.join(format!("worker{number}"));
        fs::create_dir_all(&dir)?;
        let (now, deadline) = (Instant::now(), Instant::now() + self.shrink);
        let until = now + self.shrink / 2;
        let mut shrinker = Shrinker { worker, deadline, until, dir: &dir };
        let Shrunk { model, gates, outcome } = shrinker.shrink(seed, outcome)?;
        let path = self.dir.join(format!("{seed}.onnx"));
        model.save(&path)?;
        let how = match gates {
            None => " --ungated",
            Some(true) => " --gate-first",
            Some(false) => "",
        };
        let nodes: Vec<_> = model.proto().graph.node.iter().map(|node| node.op_type.as_str()).collect();
        let text = format!("seed {seed}: {outcome}\n  {}{how}: {}", path.display(), nodes.join(" "));
        fs::write(self.dir.join(format!("{seed}.txt")), &text)?;
        (shared.tell)(&text);
        shared.summary().shrunk.push(text);
        Ok(())
    }
}

struct Shared<'t> {
    next: AtomicU64,
    /// The seed behind the last one of this run.
    last: u64,
    stop: AtomicBool,
    summary: Mutex<Summary>,
    start: Instant,
    told: Mutex<Instant>,
    tell: &'t (dyn Fn(&str) + Sync),
}

impl Shared<'_> {
    fn summary(&self) -> MutexGuard<'_, Summary> {
        self.summary.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Summary {
    fn starting_at(seed: u64) -> Self {
        Self {
            first_seed: seed,
            next_seed: seed,
            kinds: BTreeMap::new(),
            shrunk: Vec::new(),
            seconds: 0.0,
            cases: 0,
            gates: BTreeMap::new(),
            worst: 0.0,
        }
    }

    /// What earlier runs kept in `dir`, if there were any.
    fn of_earlier_runs(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(STATE);
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path)?;
        let what =
            || format!("{} does not hold the counts of a run; give a --seed to begin anew", path.display());
        serde_json::from_str(&text).map(Some).with_context(what)
    }

    /// Counts an outcome. Whether it is the first of its kind.
    fn add(&mut self, seed: u64, Answer { outcome, seconds }: &Answer) -> bool {
        self.cases += 1;
        self.seconds += seconds;
        if let Outcome::Equal { gates, worst } = outcome {
            *self.gates.entry(*gates).or_default() += 1;
            self.worst = self.worst.max(*worst);
        }
        let kind = self.kinds.entry(outcome.name().to_owned()).or_default();
        let kind = kind.entry(outcome.kind()).or_default();
        kind.count += 1;
        if kind.seeds.len() < SEEDS {
            kind.seeds.push(seed);
        }
        if kind.count == 1 {
            kind.example = outcome.to_string();
        }
        // Wrong results are all of one kind, whatever their cause, so some more of them are looked at.
        kind.count == 1 || matches!(outcome, Outcome::Wrong { .. }) && kind.count <= 5
    }

    fn count(&self, name: &str) -> u64 {
        self.kinds.get(name).into_iter().flat_map(BTreeMap::values).map(|kind| kind.count).sum()
    }

    fn line(&self) -> String {
        let counts = ["equal", "refused", "WRONG", "CRASH", "invalid"]
            .map(|name| format!("{} {name}", self.count(name)));
        format!(
            "{} networks: {}; {:.2} s each",
            self.cases,
            counts.join(", "),
            self.seconds / self.cases.max(1) as f64
        )
    }

    /// Number of networks.
    pub fn cases(&self) -> u64 {
        self.cases
    }

    /// Number of networks for which everything agrees.
    pub fn equal(&self) -> u64 {
        self.count("equal")
    }

    /// Number of networks that show a fault.
    pub fn failures(&self) -> u64 {
        self.cases - self.count("equal") - self.count("refused")
    }

    /// The table of outcomes, and what was made smaller.
    pub fn text(&self) -> String {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_header(["outcome", "networks", "kind", "first seeds"]);
        for (name, kinds) in &self.kinds {
            for (kind, Kind { count, seeds, .. }) in kinds {
                let seeds: Vec<_> = seeds.iter().map(u64::to_string).collect();
                table.add_row([name.clone(), count.to_string(), kind.clone(), seeds.join(" ")]);
            }
        }
        let gates: Vec<_> = self.gates.iter().map(|(gates, count)| format!("{count} with {gates}")).collect();
        let equal = format!("equal, by gates: {}; largest difference {:.1e}", gates.join(", "), self.worst);
        [self.line(), equal, table.trim_fmt()]
            .into_iter()
            .chain(self.shrunk.clone())
            .collect::<Vec<_>>()
            .join("\n\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(outcome: Outcome) -> Answer {
        Answer { outcome, seconds: 0.5 }
    }

    #[test]
    fn outcomes_are_counted_by_kind() {
        let mut summary = Summary::starting_at(1);
        let refused = |node: &str| Outcome::Refused { error: format!("node `{node}` (Resize): no") };
        assert!(summary.add(1, &answer(refused("a"))));
        assert!(!summary.add(2, &answer(refused("b"))));
        assert!(summary.add(3, &answer(Outcome::Crash { error: "signal: 11".to_owned() })));
        summary.add(4, &answer(Outcome::Equal { gates: 2, worst: 1e-7 }));
        assert_eq!((summary.cases(), summary.equal(), summary.failures()), (4, 1, 1));
        assert_eq!(
            summary.line(),
            "4 networks: 1 equal, 2 refused, 0 WRONG, 1 CRASH, 0 invalid; 0.50 s each"
        );
        assert!(summary.text().contains("equal, by gates: 1 with 2; largest difference 1.0e-7"));
    }

    #[test]
    fn the_next_run_goes_on_where_the_last_one_ended() {
        let dir = tempfile::tempdir().unwrap();
        let campaign = |seed| Campaign {
            program: "/no/such/program".into(),
            targets: Vec::new(),
            seed,
            cases: Some(0),
            time: Duration::from_secs(1),
            shrink: Duration::ZERO,
            dir: dir.path().to_owned(),
            workers: 1,
        };
        let run = |seed| campaign(seed).run(&|_| ()).unwrap();
        assert_eq!(run(None).next_seed, FIRST_SEED);

        let mut summary = Summary::starting_at(7);
        summary.add(7, &answer(Outcome::Equal { gates: 2, worst: 1e-7 }));
        summary.next_seed = 8;
        campaign(None).save(&summary).unwrap();
        let next = run(None);
        assert_eq!((next.first_seed, next.next_seed, next.cases(), next.equal()), (7, 8, 1, 1));
        assert_eq!(next.text(), summary.text());
        let anew = run(Some(20));
        assert_eq!((anew.first_seed, anew.next_seed, anew.cases()), (20, 20, 0));
    }

    #[test]
    fn counts_that_cannot_be_read_are_an_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(STATE), "{}").unwrap();
        let error = Summary::of_earlier_runs(dir.path()).unwrap_err().to_string();
        assert!(error.contains("give a --seed to begin anew"), "{error}");
    }
}
