//! Which dispatches the time of an inference goes to.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use comfy_table::CellAlignment;
use serde::{Deserialize, Serialize};
use skipgate_core::file::read_text;
use skipgate_core::{DISPATCHES_FILE, Dispatch, SkipMask};
use skipgate_runtime::{Artifact, Device, DispatchTime, Session};

use super::measure::{named, patterns};
use crate::latency::Latency;
use crate::progress;
use crate::report::{self, Report};

/// The dispatches of an inference with all blocks.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Profile {
    pub(crate) artifact: PathBuf,
    target: String,
    threads: usize,
    /// Inferences that were profiled, and as many that were not.
    calls: usize,
    /// Of the whole inference, not profiled.
    latency: Latency,
    dispatches: Vec<Line>,
}

/// One dispatch.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Line {
    #[serde(flatten)]
    dispatch: Dispatch,
    kernel: String,
    latency: Latency,
}

/// Profiles `artifact`, which is in the folder `dir`.
pub(crate) fn profile(
    artifact: &Artifact,
    dir: &Path,
    device: Device,
    threads: usize,
    calls: usize,
) -> Result<Profile> {
    let manifest = artifact.manifest();
    let inputs = patterns(manifest);
    let inputs = named(&inputs);
    let mask = SkipMask::all_run(artifact.gates().len());
    let mut session = Session::new(artifact, device)?;
    session.run_named(&inputs, &mask)?;
    let (mut profiles, mut times) = (Vec::new(), Vec::new());
    let bar = progress::bar(calls);
    for _ in 0..calls {
        // In turns, so that both see the same machine.
        profiles.push(session.profile(&mask)?);
        let start = Instant::now();
        session.run_named(&inputs, &mask)?;
        times.push(start.elapsed());
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(Profile {
        artifact: dir.to_owned(),
        target: manifest.target.name.clone(),
        threads,
        calls,
        latency: Latency::of(&times),
        dispatches: lines(&profiles, described(dir)?)?,
    })
}

/// What the compiler says of the dispatches.
fn described(dir: &Path) -> Result<Vec<Dispatch>> {
    let path = dir.join(DISPATCHES_FILE);
    let text = read_text(&path)
        .context("the list of dispatches is missing; `skipgate compile` writes it with the artifact")?;
    Dispatch::from_json(&text).with_context(|| format!("{} is no list of dispatches", path.display()))
}

/// A line for each dispatch of several runs, all alike. A network with branches of its own does not run all dispatches
/// that there are, so nobody knows which ones ran.
fn lines(profiles: &[Vec<DispatchTime>], mut described: Vec<Dispatch>) -> Result<Vec<Line>> {
    let [first, others @ ..] = profiles else { return Ok(Vec::new()) };
    let functions = |profile: &[DispatchTime]| -> Vec<_> {
        profile.iter().map(|dispatch| dispatch.function.clone()).collect()
    };
    ensure!(
        others.iter().all(|other| functions(other) == functions(first)),
        "the network ran other dispatches from one time to the next"
    );
    if described.len() != first.len() {
        described = vec![Dispatch { gate: None, nodes: vec![] }; first.len()];
    }
    let times = |index: usize| profiles.iter().map(|profile| profile[index].time).collect::<Vec<Duration>>();
    let line = |(index, dispatch): (usize, Dispatch)| Line {
        dispatch,
        kernel: first[index].function.clone(),
        latency: Latency::of(&times(index)),
    };
    Ok(described.into_iter().enumerate().map(line).collect())
}

impl Report for Profile {
    fn text(&self) -> String {
        let sum: f64 = self.dispatches.iter().map(|line| line.latency.median_us).sum();
        let mut table = report::table(["median", "share", "gate", "kernel", "ONNX nodes"]);
        for Line { dispatch, kernel, latency } in &self.dispatches {
            table.add_row([
                format!("{:.1}", latency.median_us),
                format!("{:.1} %", 100.0 * latency.median_us / sum),
                dispatch.gate.map_or_else(|| "-".to_owned(), |gate| gate.to_string()),
                kernel.clone(),
                if dispatch.nodes.is_empty() { "-".to_owned() } else { dispatch.nodes.join(", ") },
            ]);
        }
        for column in table.column_iter_mut().take(3) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        format!(
            "{table}\n\n{} dispatches, {sum:.1} together; a whole inference {:.1}\n{}, {}, {} calls, microseconds",
            self.dispatches.len(),
            self.latency.median_us,
            self.target,
            report::counted(self.threads, "thread"),
            self.calls,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(functions: &[&str], micros: u64) -> Vec<DispatchTime> {
        let dispatch = |function: &&str| DispatchTime {
            function: (*function).to_owned(),
            workgroups: [1; 3],
            time: Duration::from_micros(micros),
        };
        functions.iter().map(dispatch).collect()
    }

    fn conv() -> Dispatch {
        Dispatch { gate: Some(1), nodes: vec!["Conv a".to_owned()] }
    }

    #[test]
    fn a_line_has_the_nodes_and_the_median_of_its_dispatch() {
        let profiles = [profile(&["f"], 1), profile(&["f"], 9), profile(&["f"], 2)];
        let lines = lines(&profiles, vec![conv()]).unwrap();
        assert_eq!((lines[0].dispatch.clone(), lines[0].latency.median_us.round()), (conv(), 2.0));
    }

    #[test]
    fn nodes_are_only_named_if_everything_ran() {
        let lines = lines(&[profile(&["f", "g"], 1)], vec![conv()]).unwrap();
        assert!(lines.len() == 2 && lines[0].dispatch.nodes.is_empty());
    }

    #[test]
    fn runs_that_differ_are_not_mixed() {
        assert!(lines(&[profile(&["f"], 1), profile(&["g"], 1)], vec![conv()]).is_err());
    }
}
