//! `skipgate compile`: from an ONNX model to an artifact.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use fs_err as fs;
use serde::Serialize;
use skipgate_core::{Arithmetic, CompileOptions, Manifest, Target};
use skipgate_iree::{Build, Compiled, Compiler, Gating, Source};
use skipgate_verify::Options;

use crate::cli::{Compile as Arguments, Format};
use crate::commands::verify::{self, Verification};
use crate::front;
use crate::progress;
use crate::report::{self, Report};

/// Random masks of `--verify`.
const VERIFY_MASKS: usize = 2;

#[derive(Serialize)]
struct Written<'a> {
    artifact: PathBuf,
    vmfb_bytes: usize,
    manifest: &'a Manifest,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification: Option<Verification>,
}

impl Report for Written<'_> {
    fn text(&self) -> String {
        let wrote = format!(
            "wrote {}: {} gates, {}B of code and weights for {}",
            self.artifact.display(),
            self.manifest.gates.len(),
            report::si(self.vmfb_bytes as u64),
            self.manifest.target.name,
        );
        [Some(wrote), self.verification.as_ref().map(Report::text)]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join("\n\n")
    }
}

pub(crate) fn execute(arguments: &Arguments, format: Format) -> Result<()> {
    let target = Target::named(&arguments.target)?;
    let mut build = gated(arguments, target)?;
    if let Some(path) = &arguments.pareto {
        build.front = front::masks(path, build.gates()?.len())?;
    }
    build.options = options(arguments);
    let compiler = Compiler::get()?;
    let (model, target) = (arguments.model.display(), &build.target.name);
    let spinner = progress::spinner(format!("compiling {model} for {target}"));
    let compiled = build.compile(compiler).with_context(|| format!("cannot compile {model} for {target}"))?;
    let front = arguments.pareto.as_ref().map(fs::read_to_string).transpose()?;
    let compiled = Compiled { front, ..compiled };
    skipgate_iree::write_artifact(&arguments.output, &compiled)?;
    spinner.finish_and_clear();
    let Compiled { manifest, vmfb, .. } = &compiled;
    let (artifact, vmfb_bytes) = (arguments.output.clone(), vmfb.len());
    let verification = arguments.verify.then(|| verification(arguments)).transpose()?;
    let written = Written { artifact, vmfb_bytes, manifest, verification };
    report::print(&written, format)?;
    written.verification.as_ref().map_or(Ok(()), Verification::outcome)
}

/// What a few masks of the artifact give.
fn verification(arguments: &Arguments) -> Result<Verification> {
    let options = Options { masks: VERIFY_MASKS, removed: arguments.remove.clone(), ..Options::default() };
    verify::run(&arguments.output, &arguments.model, &options)
}

/// What is compiled: the model with gates, its own or the selected ones, or without any.
fn gated(arguments: &Arguments, target: Target) -> Result<Build> {
    let Arguments { model: path, selection, .. } = arguments;
    let source = Source::load(path)?;
    if arguments.ungated {
        return Build::new(&source, &Gating::Ungated { remove: arguments.remove.clone() }, target)
            .with_context(|| format!("cannot compile {} without gates", path.display()));
    }
    let gating =
        if selection.is_given() { Gating::Selected(selection.to_gate_selection()) } else { Gating::Default };
    let has_gates = !source.model.gates()?.is_empty();
    ensure!(
        !has_gates || gating == Gating::Default,
        "{} has gates already; gate options do not apply",
        path.display()
    );
    Build::new(&source, &gating, target).with_context(|| format!("cannot gate {}", path.display()))
}

fn options(arguments: &Arguments) -> CompileOptions {
    let arithmetic = match (arguments.exact, arguments.tiles) {
        (true, _) => Arithmetic::Exact,
        (false, Some(outputs)) => Arithmetic::Tiles(outputs),
        (false, None) => Arithmetic::Fast,
    };
    CompileOptions { arithmetic, ..CompileOptions::default() }
}
