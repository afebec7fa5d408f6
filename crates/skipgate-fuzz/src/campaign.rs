//! Many networks, on all cores, for a while.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use comfy_table::{Table, presets};
use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::shrink::{Shrinker, Shrunk};
use crate::worker::{Answer, Job, Worker};
use crate::{Features, Outcome};

/// How often progress is told.
const TELL: Duration = Duration::from_secs(10);

/// What to do and for how long.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// The program with the `worker` command.
    pub program: PathBuf,
    /// Targets that are compiled for.
    pub targets: Vec<String>,
    /// What networks may hold.
    pub features: Features,
    /// The first seed.
    pub seed: u64,
    /// Number of networks, if it is limited.
    pub cases: Option<u64>,
    /// When to begin no other network.
    pub time: Duration,
    /// How long a network that fails may be made smaller; those of kinds that were seen before are not.
    pub shrink: Duration,
    /// Where networks that fail and the next seed are kept.
    pub dir: PathBuf,
    /// Worker processes.
    pub workers: usize,
}

/// What became of the networks.
#[derive(Debug, Default)]
pub struct Summary {
    /// The first seed that was not tried.
    pub next_seed: u64,
    /// Number, seconds and first seeds by name and kind of outcome.
    kinds: BTreeMap<(&'static str, String), Kind>,
    /// What was made smaller.
    shrunk: Vec<String>,
    seconds: f64,
    cases: u64,
    /// Networks by their number of gates, of those that are equal.
    gates: BTreeMap<usize, u64>,
    worst: f64,
}

#[derive(Debug, Default)]
struct Kind {
    count: u64,
    seeds: Vec<u64>,
    example: String,
}

/// What is kept between runs.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    next_seed: u64,
}

impl Campaign {
    /// The seed after the last one of an earlier run whose networks were kept in `dir`.
    pub fn next_seed(dir: &Path) -> Option<u64> {
        let text = fs::read_to_string(dir.join("state.json")).ok()?;
        serde_json::from_str(&text).ok().map(|State { next_seed }| next_seed)
    }

    /// Runs until all is done or time is up, and tells progress through `tell`.
    pub fn run(&self, tell: &(dyn Fn(&str) + Sync)) -> Result<Summary> {
        fs::create_dir_all(&self.dir)?;
        let shared = Shared {
            next: AtomicU64::new(self.seed),
            stop: AtomicBool::new(false),
            summary: Mutex::default(),
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
        let state = serde_json::to_string(&State { next_seed: summary.next_seed })?;
        fs::write(self.dir.join("state.json"), state)?;
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
        let mut worker = Worker::new(&self.program, &self.targets, self.features);
        let last = self.cases.map_or(u64::MAX, |cases| self.seed.saturating_add(cases));
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
            shared.tell();
        }
        Ok(())
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
        let mut shrinker = Shrinker { worker, features: self.features, deadline, until, dir: &dir };
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

    /// Tells progress now and then.
    fn tell(&self) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.elapsed() >= TELL {
            *told = Instant::now();
            (self.tell)(&self.summary().line());
        }
    }
}

impl Summary {
    /// Counts an outcome. Whether it is the first of its kind.
    fn add(&mut self, seed: u64, Answer { outcome, seconds }: &Answer) -> bool {
        self.cases += 1;
        self.seconds += seconds;
        if let Outcome::Equal { gates, worst } = outcome {
            *self.gates.entry(*gates).or_default() += 1;
            self.worst = self.worst.max(*worst);
        }
        let kind = self.kinds.entry((outcome.name(), outcome.kind())).or_default();
        kind.count += 1;
        kind.seeds.push(seed);
        if kind.count == 1 {
            kind.example = outcome.to_string();
        }
        // Wrong results are all of one kind, whatever their cause, so some more of them are looked at.
        kind.count == 1 || matches!(outcome, Outcome::Wrong { .. }) && kind.count <= 5
    }

    fn count(&self, name: &str) -> u64 {
        self.kinds.iter().filter(|((of, _), _)| *of == name).map(|(_, kind)| kind.count).sum()
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
        for ((name, kind), Kind { count, seeds, .. }) in &self.kinds {
            let seeds: Vec<_> = seeds.iter().take(5).map(u64::to_string).collect();
            table.add_row([(*name).to_owned(), count.to_string(), kind.clone(), seeds.join(" ")]);
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
        let mut summary = Summary::default();
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
        assert_eq!(Campaign::next_seed(dir.path()), None);
        let campaign = Campaign {
            program: "/no/such/program".into(),
            targets: Vec::new(),
            features: Features::default(),
            seed: 7,
            cases: Some(0),
            time: Duration::from_secs(1),
            shrink: Duration::ZERO,
            dir: dir.path().to_owned(),
            workers: 1,
        };
        assert_eq!(campaign.run(&|_| ()).unwrap().next_seed, 7);
        assert_eq!(Campaign::next_seed(dir.path()), Some(7));
    }
}
