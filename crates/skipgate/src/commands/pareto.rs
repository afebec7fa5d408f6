//! `skipgate pareto`: the configurations of an artifact that are worth having.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use serde::Serialize;
use skipgate_core::{LatencySource, LatencyUnit, PARETO_FILE, SIGNATURE_FILE, file};
use skipgate_explore::ranking::Sensitivity;
use skipgate_explore::search::{Nested, Search};
use skipgate_explore::{
    Candidate, EXPLORATION_FILE, Engine, Error, Exploration, Explored, Latency, Picture, explore,
    most_evaluations,
};

use super::{evaluation, search};
use crate::cli::{Format, Pareto as Arguments};
use crate::progress;
use crate::report::{self, Report};

/// Images below which an accuracy is off by more than some points as often as not.
const FEW_IMAGES: usize = 100;

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Found {
    search: String,
    /// Images that the masks were chosen on, and others that the accuracies are of.
    search_images: usize,
    report_images: usize,
    evaluations: usize,
    computed: usize,
    seconds: f64,
    latency: LatencySource,
    hypervolume: f64,
    candidates: Vec<Line>,
    /// The paper's method at the same number of evaluations.
    #[serde(skip_serializing_if = "Option::is_none")]
    paper: Option<Paper>,
    /// What was written.
    files: Vec<PathBuf>,
    /// What is to be done about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Line {
    skipped: usize,
    mask: String,
    accuracy: f64,
    accuracy_interval: [f64; 2],
    latency: f64,
    speedup: f64,
    on_front: bool,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Paper {
    evaluations: usize,
    hypervolume: f64,
    on_front: usize,
    /// Skipped blocks and accuracy.
    accuracy: Vec<(usize, f64)>,
}

impl Report for Found {
    fn text(&self) -> String {
        let unit = match self.latency.unit {
            LatencyUnit::Microseconds => "us",
            LatencyUnit::Instructions => "instructions",
        };
        let mut table =
            report::table(["skipped", "accuracy", "95 %", unit, "speed-up", "front", "paper", "mask"]);
        for line in &self.candidates {
            let [low, high] = line.accuracy_interval.map(percent);
            let paper = self.paper.as_ref().and_then(|paper| paper.at(line.skipped));
            table.add_row([
                line.skipped.to_string(),
                percent(line.accuracy),
                format!("{low}-{high}"),
                format!("{:.0}", line.latency),
                format!("{:.2}", line.speedup),
                if line.on_front { "yes" } else { "" }.to_owned(),
                paper.map_or_else(String::new, percent),
                line.mask.clone(),
            ]);
        }
        let front = self.candidates.iter().filter(|line| line.on_front).count();
        let paper = self.paper.as_ref().map_or_else(String::new, Paper::text);
        let warning =
            self.warning.as_ref().map_or_else(String::new, |warning| format!("\nwarning: {warning}\n"));
        format!(
            "{table}\n\n{front} of {} candidates are on the front, hypervolume {:.4}; accuracy in percent on {} images that \
             had no part in choosing\n{}: {} evaluations on {} images, {} of them new, in {:.1} s; latency: {}\n{paper}wrote {}\n{warning}",
            self.candidates.len(),
            self.hypervolume,
            self.report_images,
            self.search,
            self.evaluations,
            self.search_images,
            self.computed,
            self.seconds,
            self.latency.source,
            self.files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", "),
        )
    }
}

impl Paper {
    fn of(explored: &Explored) -> Self {
        let at = |candidate: &Candidate| (candidate.mask.skipped(), candidate.report.share());
        Self {
            evaluations: explored.evaluations,
            hypervolume: explored.hypervolume(),
            on_front: explored.front().count(),
            accuracy: explored.candidates.iter().map(at).collect(),
        }
    }

    fn text(&self) -> String {
        let Self { evaluations, hypervolume, on_front, .. } = self;
        format!(
            "the paper's method: {evaluations} evaluations, {on_front} on the front, hypervolume {hypervolume:.4}\n"
        )
    }

    fn at(&self, skipped: usize) -> Option<f64> {
        self.accuracy.iter().find(|(at, _)| *at == skipped).map(|(_, accuracy)| *accuracy)
    }
}

fn percent(share: f64) -> String {
    format!("{:.2}", 100.0 * share)
}

pub(crate) fn execute(arguments: &Arguments, format: Format) -> Result<()> {
    let start = Instant::now();
    let method = search::search(arguments.search, &arguments.ranking)?;
    let (artifact, dataset) = evaluation::open(&arguments.evaluation)?;
    let mut engine = evaluation::engine(&arguments.evaluation, &artifact, &dataset)?;
    let latency = match &arguments.latency_from {
        Some(path) => Latency::from_file(path, &artifact)?,
        None => Latency::Host,
    };
    let bar = progress::bar(most_evaluations(&engine, 1 + usize::from(arguments.compare)));
    let ticks = bar.clone();
    engine.on_progress(move |images| ticks.inc(images as u64));
    let explored = search_all(&mut engine, method.as_ref(), arguments, &latency);
    bar.finish_and_clear();
    let Some((explored, paper)) =
        evaluation::unless_waiting(explored, &engine, &arguments.evaluation, format)?
    else {
        return Ok(());
    };
    let exploration = Exploration { search: arguments.search.to_string(), explored, paper };
    let files = write(arguments, &engine, &exploration)?;
    let Exploration { search, explored, paper } = exploration;
    let report_images = engine.split().images(engine.split().report());
    let found = Found {
        search,
        search_images: engine.split().images(engine.split().search()),
        report_images,
        evaluations: explored.evaluations,
        computed: engine.computed(),
        seconds: start.elapsed().as_secs_f64(),
        latency: explored.latency.clone(),
        hypervolume: explored.hypervolume(),
        candidates: lines(&explored),
        paper: paper.as_ref().map(Paper::of),
        files,
        warning: join([
            few_images(report_images),
            better_paper(&explored, paper.as_ref()),
            stale_signature(&arguments.evaluation.artifact),
        ]),
    };
    report::print(&found, format)
}

/// What the search finds, and the paper's method if it is asked for.
fn search_all(
    engine: &mut Engine,
    search: &dyn Search,
    arguments: &Arguments,
    latency: &Latency,
) -> Result<(Explored, Option<Explored>), Error> {
    let paper = Nested { ranking: Box::new(Sensitivity) };
    let mut searches = vec![search];
    if arguments.compare {
        searches.push(&paper);
    }
    let mut explored = explore(engine, &searches, latency)?.into_iter();
    let first = explored.next().expect("one result for every search");
    Ok((first, explored.next()))
}

/// A word about accuracies of few images.
fn few_images(count: usize) -> Option<String> {
    (count < FEW_IMAGES).then(|| {
        format!(
            "accuracies are of {count} images only, each of which is {:.1} points; give more, or see the intervals",
            100.0 / count as f64
        )
    })
}

/// A word about the paper's method where its front is the better one. It is not written instead: that would choose masks on the
/// images that their accuracies are reported on.
fn better_paper(found: &Explored, paper: Option<&Explored>) -> Option<String> {
    let [found, paper] = [found, paper?].map(Explored::hypervolume);
    (paper > found).then(|| {
        format!(
            "the paper's method found the better front here (hypervolume {paper:.4}, not {found:.4}); `--search ranking` \
             writes that one, from the same evaluations"
        )
    })
}

/// All that is to be warned of.
fn join(warnings: [Option<String>; 3]) -> Option<String> {
    let warnings: Vec<_> = warnings.into_iter().flatten().collect();
    (!warnings.is_empty()).then(|| warnings.join("; "))
}

/// A word about the signature of the artifact `dir`, if it has one, which does not cover what was written.
fn stale_signature(dir: &Path) -> Option<String> {
    let is_signed = dir.join(SIGNATURE_FILE).exists();
    is_signed.then(|| {
        format!(
            "its signature does not cover this; sign it again: `skipgate sign {} --key KEY`",
            dir.display()
        )
    })
}

/// Writes what was found into the artifact.
fn write(arguments: &Arguments, engine: &Engine, exploration: &Exploration) -> Result<Vec<PathBuf>> {
    let path = |name: &str| arguments.evaluation.artifact.join(name);
    let front = exploration.explored.to_front(engine, &exploration.search);
    file::write_whole(&path(PARETO_FILE), front.to_json().as_bytes())?;
    file::write_whole(&path(EXPLORATION_FILE), serde_json::to_string_pretty(exploration)?.as_bytes())?;
    let picture = Picture::of(exploration, &[]);
    let pictures = ["pareto.svg", "pareto.png"];
    pictures.iter().try_for_each(|name| picture.write(&path(name)))?;
    Ok([PARETO_FILE, EXPLORATION_FILE].iter().chain(&pictures).map(|name| path(name)).collect())
}

fn lines(explored: &Explored) -> Vec<Line> {
    let slowest = explored.candidates.first().map_or(f64::NAN, |all_run| all_run.latency);
    let line = |candidate: &Candidate| {
        let accuracy = candidate.report;
        Line {
            skipped: candidate.mask.skipped(),
            mask: candidate.mask.to_string(),
            accuracy: accuracy.share(),
            accuracy_interval: accuracy.interval(),
            latency: candidate.latency,
            speedup: slowest / candidate.latency,
            on_front: candidate.on_front,
        }
    };
    explored.candidates.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use skipgate_explore::Accuracy;

    use super::*;

    /// A network with one gate: so many of 100 images are right, also in half of the time.
    fn explored(correct: usize) -> Explored {
        let candidate = |mask: &str, latency| {
            let accuracy = Accuracy { correct, images: 100 };
            let mask = mask.parse().unwrap();
            Candidate { mask, search: accuracy, report: accuracy, latency, on_front: true }
        };
        Explored {
            candidates: vec![candidate("1", 2.0), candidate("0", 1.0)],
            evaluations: 0,
            latency: LatencySource { unit: LatencyUnit::Microseconds, source: String::new(), measured: true },
            single_skips: Vec::new(),
        }
    }

    #[test]
    fn a_better_front_of_the_papers_method_is_told() {
        let warning = better_paper(&explored(90), Some(&explored(92))).unwrap();
        assert!(warning.contains("hypervolume 0.4600, not 0.4500") && warning.contains("--search ranking"));
        assert_eq!(better_paper(&explored(90), Some(&explored(90))), None);
        assert_eq!(better_paper(&explored(90), None), None);
    }

    #[test]
    fn few_images_are_warned_of_beside_other_things() {
        assert_eq!(few_images(100), None);
        let warning = join([few_images(10), None, Some("b".to_owned())]).unwrap();
        assert!(
            warning.starts_with("accuracies are of 10 images only, each of which is 10.0 points"),
            "{warning}"
        );
        assert!(warning.ends_with("; b"), "{warning}");
    }
}
