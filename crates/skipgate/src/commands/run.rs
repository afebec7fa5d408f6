//! `skipgate run`: an artifact on an image or on tensors.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use skipgate_core::{ElementType, Manifest, PARETO_FILE, Scores, SkipMask, TensorSpec};
use skipgate_data::Stacked;
use skipgate_runtime::{Device, Session};

use crate::cli::{Format, Run as Arguments};
use crate::front;
use crate::latency::Latency;
#[cfg(feature = "compiler")]
use crate::on_board::Remote;
use crate::progress;
use crate::report::{self, Report};

#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Ran {
    mask: String,
    blocks_run: usize,
    images: usize,
    latency: Latency,
    /// The most likely classes of a single image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    top: Vec<Class>,
    /// What the network gives for a single image, if that is one number.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f32>,
    /// Where the outputs were written.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<PathBuf>,
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Class {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// What the network gives, unless that is the probability itself.
    #[serde(flatten)]
    score: Option<Score>,
    probability: f32,
}

/// A number that a probability is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum Score {
    Logit(f32),
    LogProbability(f32),
}

impl Report for Ran {
    fn text(&self) -> String {
        let Latency { min_us, median_us, p99_us, max_us, .. } = self.latency;
        let time = match self.images {
            1 => format!("{median_us:.0} us"),
            _ => format!("{median_us:.0} us (median; min {min_us:.0}, p99 {p99_us:.0}, max {max_us:.0})"),
        };
        let ran = match self.mask.len() {
            0 => format!("ran a network without gates in {time}"),
            gates => {
                format!("ran {} of {gates} gated blocks (mask {}) in {time}", self.blocks_run, self.mask)
            }
        };
        let wrote = self
            .output
            .iter()
            .map(|output| format!("wrote the outputs for {} inputs to {}\n", self.images, output.display()));
        let value = self.value.map(|value| format!("value {value}\n\n"));
        classes(&self.top).into_iter().chain(value).chain(wrote).chain([ran]).collect()
    }
}

/// The table of the most likely classes, if there is any.
fn classes(top: &[Class]) -> Option<String> {
    let score = top.first()?.score.map(|score| match score {
        Score::Logit(_) => "logit",
        Score::LogProbability(_) => "log-probability",
    });
    let mut table = report::table(["class", "probability"].into_iter().chain(score));
    for class in top {
        let name = class.name.clone().unwrap_or_else(|| class.index.to_string());
        let score = class.score.map(|score| format!("{:.4}", score.value()));
        table.add_row([name, format!("{:.2} %", 100.0 * class.probability)].into_iter().chain(score));
    }
    Some(format!("{table}\n\n"))
}

pub(crate) fn execute(arguments: &Arguments, format: Format) -> Result<()> {
    #[cfg(feature = "compiler")]
    if let Some(ran) = on_board(arguments, format)? {
        return report::print(&ran, format);
    }
    let artifact = arguments.trust.open(&arguments.artifact)?;
    let manifest = artifact.manifest();
    let mask = mask(arguments, manifest.gates.len())?;
    let inputs = inputs(arguments, manifest)?;
    let kind = kind_of_result(arguments, manifest.outputs())?;
    if let Some(output) = &arguments.output {
        skipgate_data::can_write(manifest.outputs(), output)?;
    }
    let mut session = Session::new(&artifact, Device::local_sync())?;
    let (outputs, times) = run_all(&mut session, &inputs, &mask)?;
    let first: &[f32] = outputs.tensors().next().and_then(|first| first.try_into().ok()).unwrap_or_default();
    let (top, value) = match kind {
        Kind::Classes => (top(first, manifest.scores, &manifest.class_names, arguments.top), None),
        Kind::Value => (Vec::new(), first.first().copied()),
        Kind::Tensors => (Vec::new(), None),
    };
    if let Some(output) = &arguments.output {
        outputs.write(manifest.outputs(), output)?;
    }
    let ran = Ran {
        mask: mask.to_string(),
        blocks_run: mask.running(),
        images: times.len(),
        latency: Latency::of(&times),
        top,
        value,
        output: arguments.output.clone(),
    };
    report::print(&ran, format)
}

/// What the board that the arguments name makes of the inputs, if they name one.
#[cfg(feature = "compiler")]
fn on_board(arguments: &Arguments, format: Format) -> Result<Option<Ran>> {
    let own = ["image", "input", "output"];
    let Some(mut remote) = Remote::new(&arguments.board, &arguments.trust, &arguments.artifact, &own)? else {
        return Ok(None);
    };
    let manifest = remote.manifest().clone();
    mask(arguments, manifest.gates.len())?;
    kind_of_result(arguments, manifest.outputs())?;
    let temporary = tempfile::tempdir()?;
    if let Some(image) = &arguments.image {
        let image = remote.add_file(image)?;
        remote.add_option("--image", &image);
    } else {
        let inputs = temporary.path().join("inputs.npz");
        inputs_in(&arguments.input, manifest.inputs())?.write(manifest.inputs(), &inputs)?;
        let inputs = remote.add_file(&inputs)?;
        remote.add_option("--input", &inputs);
    }
    let Some(output) = &arguments.output else { return Ok(Some(remote.report(1, None, format)?.0)) };
    skipgate_data::can_write(manifest.outputs(), output)?;
    let extension = output.extension().unwrap_or_default().to_string_lossy();
    let there = format!("outputs.{extension}");
    remote.add_option("--output", &there);
    let (ran, bytes): (Ran, _) = remote.report(1, Some(&there), format)?;
    fs_err::write(output, bytes)?;
    Ok(Some(Ran { output: Some(output.clone()), ..ran }))
}

/// How the result is shown.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// As the most likely classes.
    Classes,
    /// As the one number that it is.
    Value,
    /// Not at all; it goes to a file.
    Tensors,
}

/// What `outputs` are shown as. With an image and without a file, they have to be something that can be shown.
fn kind_of_result(arguments: &Arguments, outputs: &[TensorSpec]) -> Result<Kind> {
    if arguments.image.is_none() {
        return Ok(Kind::Tensors);
    }
    if let [TensorSpec { shape, element_type: ElementType::F32, .. }] = outputs {
        let mut extents = shape.iter().filter(|&&extent| extent > 1);
        match (extents.next(), extents.next()) {
            (None, _) => return Ok(Kind::Value),
            (Some(_), None) => return Ok(Kind::Classes),
            _ => {}
        }
    }
    let listed: Vec<_> = outputs.iter().map(|output| format!("`{output}`")).collect();
    ensure!(
        arguments.output.is_some(),
        "{} gives {}, which is no list of classes; write it to a .npy or .npz file with --output",
        arguments.artifact.display(),
        listed.join(", ")
    );
    Ok(Kind::Tensors)
}

/// The mask of the arguments; everything runs by default.
fn mask(arguments: &Arguments, gates: usize) -> Result<SkipMask> {
    let mask = match (&arguments.mask, arguments.config) {
        (Some(mask), _) => mask.clone(),
        (None, Some(number)) => configuration(&arguments.artifact.join(PARETO_FILE), gates, number)?,
        (None, None) => SkipMask::skipping(gates, &arguments.skip)?,
    };
    mask.check_len(gates)
        .with_context(|| format!("{} cannot run with this mask", arguments.artifact.display()))?;
    Ok(mask)
}

/// The mask of a configuration on the artifact's front.
fn configuration(path: &Path, gates: usize, number: usize) -> Result<SkipMask> {
    ensure!(
        path.exists(),
        "there is no {}; `skipgate compile --pareto FILE` makes an artifact that has one",
        path.display()
    );
    let masks = front::masks(path, gates)?;
    masks.get(number).cloned().with_context(|| {
        format!(
            "there is no configuration {number} in {}, which has {}, numbered from 0",
            path.display(),
            masks.len()
        )
    })
}

/// What the network is run on.
fn inputs(arguments: &Arguments, manifest: &Manifest) -> Result<Stacked> {
    let specs = manifest.inputs();
    let Some(image) = &arguments.image else { return inputs_in(&arguments.input, specs) };
    let mut inputs = Stacked::empty(specs);
    inputs.push([skipgate_data::load_image(image, manifest)?.elements()])?;
    Ok(inputs)
}

/// The inputs in `files`, as `--input` names them.
pub(super) fn inputs_in(files: &[String], specs: &[TensorSpec]) -> Result<Stacked> {
    Stacked::read(specs, files).with_context(|| format!("cannot use the inputs in {}", files.join(" ")))
}

/// Runs every input once, after one run that warms up caches and is not counted.
fn run_all(session: &mut Session, inputs: &Stacked, mask: &SkipMask) -> Result<(Stacked, Vec<Duration>)> {
    let artifact = session.artifact().clone();
    let names: Vec<_> = artifact.manifest().inputs().iter().map(|spec| spec.name.as_str()).collect();
    let named = |run| names.iter().copied().zip(inputs.run(run)).collect::<Vec<_>>();
    let mut outputs = Stacked::empty(artifact.manifest().outputs());
    let mut times = Vec::new();
    session.run_named(&named(0), mask)?;
    let bar = progress::bar(inputs.runs());
    for run in 0..inputs.runs() {
        let inputs = named(run);
        let start = Instant::now();
        let found = session.run_named(&inputs, mask)?;
        times.push(start.elapsed());
        outputs.push(found.iter().map(|(_, elements)| elements))?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok((outputs, times))
}

/// The `count` most likely classes.
fn top(scores: &[f32], kind: Scores, names: &[String], count: usize) -> Vec<Class> {
    let probabilities = kind.probabilities(scores);
    // Probabilities of very different scores may be equal.
    let mut order: Vec<_> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    order.truncate(count);
    let class = |index: usize| Class {
        index,
        name: names.get(index).cloned(),
        score: Score::of(kind, scores[index]),
        probability: probabilities[index],
    };
    order.into_iter().map(class).collect()
}

impl Score {
    fn value(self) -> f32 {
        let (Self::Logit(value) | Self::LogProbability(value)) = self;
        value
    }

    fn of(kind: Scores, score: f32) -> Option<Self> {
        match kind {
            Scores::Logits => Some(Self::Logit(score)),
            Scores::LogProbabilities => Some(Self::LogProbability(score)),
            Scores::Probabilities | Scores::IndependentProbabilities => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_likely_classes_come_first_with_their_softmax() {
        let names = ["a", "b", "c"].map(str::to_owned);
        let classes = top(&[0.0, 2.0, 1.0], Scores::Logits, &names, 2);
        assert_eq!(classes.iter().map(|class| class.index).collect::<Vec<_>>(), [1, 2]);
        assert!((classes[0].probability - 0.665_241).abs() < 1e-6);
        assert_eq!(classes[0].name.as_deref(), Some("b"));
        assert_eq!(classes[0].score, Some(Score::Logit(2.0)));
    }

    #[test]
    fn probabilities_of_the_network_itself_are_shown_as_they_are() {
        for kind in [Scores::Probabilities, Scores::IndependentProbabilities] {
            let classes = top(&[0.25, 0.75], kind, &[], 1);
            assert_eq!((classes[0].index, classes[0].probability), (1, 0.75));
            let table = super::classes(&classes).unwrap();
            assert!(table.contains("75.00 %") && !table.contains("logit"), "{table}");
        }
        let logarithms = top(&[0.25_f32.ln(), 0.75_f32.ln()], Scores::LogProbabilities, &[], 1);
        assert!((logarithms[0].probability - 0.75).abs() < 1e-6);
        assert!(super::classes(&logarithms).unwrap().contains("log-probability"));
        let json = serde_json::to_string(&logarithms[0]).unwrap();
        assert!(json.contains(r#""log_probability":-0.287"#), "{json}");
    }
}
