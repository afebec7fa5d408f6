//! `compile` and `pareto` killed at random points: no artifact is broken, and nothing is evaluated twice but what was in flight.
//!
//! A few kills each; `SKIPGATE_KILLS=200 cargo test -p skipgate --test killed` does as many as one likes.

#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::env;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use fs_err as fs;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use skipgate_core::Front;
use skipgate_runtime::Artifact;
use support::{compile, repository, scratch, skipgate, succeed};

/// How often each program is killed.
fn kills() -> u32 {
    env::var("SKIPGATE_KILLS").map_or(3, |kills| kills.parse().expect("SKIPGATE_KILLS is a number"))
}

/// Starts `command` with all that it starts, and kills them after `time`, unless they were faster.
fn kill_after(command: &mut Command, time: Duration) {
    let mut child =
        command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let group = Pid::from_child(&child);
    let end = Instant::now() + time;
    while Instant::now() < end {
        if child.try_wait().unwrap().is_some() {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    kill_process_group(group, Signal::KILL).unwrap();
    child.wait().unwrap();
}

/// How long `command` takes when nobody kills it.
fn time(command: &mut Command) -> Duration {
    let start = Instant::now();
    succeed(command);
    start.elapsed()
}

/// Random times up to a little more than `most`; most of them where files are written, in the last tenth.
fn times(most: Duration) -> impl Iterator<Item = Duration> {
    let mut random = fastrand::Rng::with_seed(1);
    (0..kills()).map(move |number| {
        let share = if number % 2 == 0 { random.f64() } else { 0.9 + 0.2 * random.f64() };
        most.mul_f64(share)
    })
}

#[test]
fn a_killed_compile_leaves_the_artifact_that_was_there_or_a_whole_new_one() {
    let dir = scratch("killed-compile");
    let artifact = dir.join("artifact");
    let compile = |exact: bool| {
        let mut command = skipgate();
        command.arg("compile").arg(repository().join("models/digits/resnet20.onnx")).arg("-o").arg(&artifact);
        command.args(exact.then_some("--exact"));
        command
    };
    let most = time(&mut compile(false));
    let mut exact = true;
    for time in times(most) {
        kill_after(&mut compile(exact), time);
        // Checks the hash of the code, which fits no other manifest.
        let opened = Artifact::open(&artifact).unwrap();
        let listed = opened.manifest().files.keys();
        assert!(listed.clone().all(|name| artifact.join(name).exists()), "{listed:?}");
        exact = !exact;
    }
    succeed(&mut compile(exact));
    Artifact::open(&artifact).unwrap();
}

/// The results in a store, each once.
fn results(store: &Path) -> BTreeSet<(String, u64)> {
    let text = fs::read_to_string(store).unwrap_or_default();
    let mut results = BTreeSet::new();
    // A line that was in flight has no end.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    for line in whole.lines().skip(1) {
        let line: Value = serde_json::from_str(line).unwrap();
        let result = (line["mask"].as_str().unwrap().to_owned(), line["batch"].as_u64().unwrap());
        assert!(results.insert(result), "{line} was evaluated twice");
    }
    results
}

#[test]
fn a_killed_pareto_keeps_what_it_evaluated_and_leaves_a_whole_front_or_none() {
    let dir = scratch("killed-pareto");
    let artifact = dir.join("artifact");
    compile(&repository().join("models/digits/resnet20.onnx"), "host", &artifact);
    let store = dir.join("store.jsonl");
    let pareto = || {
        let mut command = skipgate();
        command
            .arg("pareto")
            .arg(&artifact)
            .args(["--data", "digits", "--format", "json", "--store"])
            .arg(&store);
        command
    };
    let most = time(&mut pareto());
    let all = results(&store);
    fs::remove_file(&store).unwrap();
    let mut known = BTreeSet::new();
    for time in times(most) {
        kill_after(&mut pareto(), time);
        let found = results(&store);
        assert!(found.is_superset(&known), "results were lost");
        known = found;
        Front::from_json(&fs::read_to_string(artifact.join("pareto.json")).unwrap()).unwrap();
        Artifact::open(&artifact).unwrap();
    }
    // The rest is evaluated, and nothing else.
    succeed(&mut pareto());
    let found = results(&store);
    assert!(found.is_superset(&known));
    assert_eq!(found, all);
}
