//! `skipgate compile`: from an ONNX model to an artifact.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use fs_err as fs;
use serde::Serialize;
use skipgate_core::{
    Arithmetic, CompileOptions, Coverage, MANIFEST_FILE, Manifest, PARETO_FILE, Target, VMFB_FILE, si,
};
use skipgate_onnx::GateSelection;
use skipgate_verify::Options;

use crate::cli::{Compile as Arguments, CompileJob, Format};
use crate::commands::sign;
use crate::commands::verify::{self, Verification};
use crate::compiler_process::{self, Gates, Job};
use crate::progress;
use crate::report::{self, Report};

/// Random masks of `--verify`.
const VERIFY_MASKS: usize = 2;

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Written {
    artifact: PathBuf,
    vmfb_bytes: u64,
    manifest: Manifest,
    /// Whether the artifact that was replaced had a front, which the new one has not.
    dropped_front: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification: Option<Verification>,
}

impl Report for Written {
    fn text(&self) -> String {
        let Self { artifact, vmfb_bytes, manifest, dropped_front, verification } = self;
        let wrote = format!(
            "wrote {}: {}, {}B of code and weights for {}",
            artifact.display(),
            report::counted(manifest.gates.len(), "gate"),
            si(*vmfb_bytes),
            manifest.target.name,
        );
        let coverage = [kernels(&manifest.coverage), gates(manifest), limited(&manifest.coverage)];
        let dropped = dropped_front.then(|| {
            let dir = artifact.display();
            format!(
                "the front of the artifact that was here is gone with it, since its latencies were of other code; `skipgate \
                 pareto {dir} --data DATA` finds one again, from the evaluations that it kept"
            )
        });
        let lines = coverage.into_iter().flatten().chain(dropped).collect();
        let first = [vec![wrote], lines].concat().join("\n");
        [Some(first), verification.as_ref().map(Report::text)]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join("\n\n")
    }
}

/// How many layers have kernels, and why the others do not.
fn kernels(Coverage { kernels, generic, .. }: &Coverage) -> Vec<String> {
    let layers = kernels + generic.len();
    let headline = format!("{kernels} of {layers} layers have kernels");
    if generic.is_empty() {
        return vec![headline];
    }
    let layers = generic.iter().map(|layer| format!("  {}: {}", layer.node, layer.reason));
    [format!("{headline}; the compiler's generic code computes:")].into_iter().chain(layers).collect()
}

/// How many gates are free, and what the others are and why.
fn gates(Manifest { gates, coverage, .. }: &Manifest) -> Vec<String> {
    let costly: BTreeSet<_> = coverage.costly_gates.iter().map(|costly| costly.gate).collect();
    let free = gates.len() - costly.len();
    if coverage.costly_gates.is_empty() {
        return vec![];
    }
    let costly = coverage.costly_gates.iter().map(|costly| {
        let block = gates.get(costly.gate).map_or("", |gate| gate.block.as_str());
        format!("  gate {} ({block}): {}, since {}", costly.gate, costly.form, costly.reason)
    });
    let headline = format!("{free} of {} gates are free; the others:", gates.len());
    [headline].into_iter().chain(costly).collect()
}

/// Which computed indices are limited.
fn limited(Coverage { limited_indices, .. }: &Coverage) -> Vec<String> {
    if limited_indices.is_empty() {
        return vec![];
    }
    let headline = "computed indices that are outside of what they choose from are taken to its ends, where ONNX Runtime \
                    would end with an error:";
    [headline.to_owned()].into_iter().chain(limited_indices.iter().map(|node| format!("  {node}"))).collect()
}

/// What `--emit` asks for instead of an artifact.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Plan {
    plan: String,
}

impl Report for Plan {
    fn text(&self) -> String {
        self.plan.trim_end().to_owned()
    }
}

pub(crate) fn execute(arguments: &Arguments, format: Format) -> Result<()> {
    let job = job(arguments)?;
    match &arguments.output {
        Some(output) if arguments.emit.is_none() => compile(arguments, &job, output, format),
        _ => report::print(&plan(&job, &arguments.model)?, format),
    }
}

fn plan(job: &Job, model: &Path) -> Result<Plan> {
    let build = job.build(model)?;
    let plan =
        build.plan().with_context(|| format!("cannot plan {} for {}", model.display(), job.target.name))?;
    Ok(Plan { plan })
}

fn compile(arguments: &Arguments, job: &Job, output: &Path, format: Format) -> Result<()> {
    let Arguments { model, pareto, .. } = arguments;
    // A key that cannot be used is told before the time is spent.
    let key = arguments.sign.as_deref().map(sign::secret_key).transpose()?;
    let spinner = progress::spinner(format!("compiling {} for {}", model.display(), job.target.name));
    let files =
        CompileJob { model: model.clone(), output: output.to_owned(), pareto: pareto.clone(), verify: false };
    let dropped_front = pareto.is_none() && output.join(PARETO_FILE).exists();
    compiler_process::run(job, &files, format)?;
    spinner.finish_and_clear();
    if let Some(key) = &key {
        sign::sign(output, key)?;
    }
    let manifest = Manifest::from_json(&fs::read_to_string(output.join(MANIFEST_FILE))?)?;
    let vmfb_bytes = fs::metadata(output.join(VMFB_FILE))?.len();
    let verification = arguments.verify.then(|| verification(arguments, output)).transpose()?;
    let written = Written { artifact: output.to_owned(), vmfb_bytes, manifest, dropped_front, verification };
    report::print(&written, format)?;
    written.verification.as_ref().map_or(Ok(()), Verification::outcome)
}

/// What a few masks of the artifact give.
fn verification(arguments: &Arguments, output: &Path) -> Result<Verification> {
    let options = Options { masks: VERIFY_MASKS, removed: arguments.remove.clone(), ..Options::default() };
    verify::run(output, &arguments.model, &options)
}

fn job(arguments: &Arguments) -> Result<Job> {
    let gates = if arguments.ungated {
        Gates::None { remove: arguments.remove.clone() }
    } else {
        let GateSelection { unit, gate_first, gate, no_gate } = arguments.selection.to_gate_selection();
        Gates::Selected { unit, gate_first, gate, no_gate }
    };
    let arithmetic = match (arguments.exact, arguments.tiles) {
        (true, _) => Arithmetic::Exact,
        (false, Some(outputs)) => Arithmetic::Tiles(outputs),
        (false, None) => Arithmetic::Fast,
    };
    let target = Target::named(&arguments.target)?;
    let options =
        CompileOptions { arithmetic, dimensions: arguments.dimensions.sizes(), ..CompileOptions::default() };
    Ok(Job { gates, target, options, images: arguments.images.clone() })
}
