//! `skipgate verify`: an artifact against other ways to compute its model.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use skipgate_core::file::read_text;
use skipgate_core::{MANIFEST_FILE, Manifest};
use skipgate_data::Stacked;
use skipgate_verify::{Comparison, Difference, Inputs, Options, Ran, Reference, Report as Findings};

use crate::cli::{Format, Verify as Arguments};
use crate::progress;
use crate::report::{self, Report};

/// What was found, as this program prints it.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub(super) struct Verification(Findings);

pub(crate) fn execute(arguments: &Arguments, format: Format) -> Result<()> {
    arguments.trust.check(&arguments.artifact)?;
    let inputs = match &arguments.input[..] {
        [] => Options::default().inputs,
        files => Inputs::Given(given(files, &arguments.artifact)?),
    };
    let options = Options {
        masks: arguments.masks,
        seed: arguments.seed,
        inputs,
        builds: arguments.builds,
        removed: arguments.remove.clone(),
        program: arguments.program.clone(),
    };
    let verification = run(&arguments.artifact, &arguments.model, &options)?;
    report::print(&verification, format)?;
    verification.outcome()
}

/// The inputs in `files`. The artifact may be for another machine, so only its manifest is read.
fn given(files: &[String], artifact: &Path) -> Result<Stacked> {
    let manifest = artifact.join(MANIFEST_FILE);
    let text = read_text(&manifest)?;
    let manifest =
        Manifest::from_json(&text).with_context(|| format!("cannot use {}", manifest.display()))?;
    super::run::inputs_in(files, manifest.inputs())
}

/// Verifies, with a word on what is done.
pub(super) fn run(artifact: &Path, model: &Path, options: &Options) -> Result<Verification> {
    let spinner = progress::spinner(format!("verifying {}", artifact.display()));
    let findings =
        skipgate_verify::verify(artifact, model, options, &|what| spinner.set_message(what.to_owned()))
            .with_context(|| format!("cannot verify {}", artifact.display()))?;
    spinner.finish_and_clear();
    Ok(Verification(findings))
}

impl Verification {
    /// An error if anything differs.
    pub(super) fn outcome(&self) -> Result<()> {
        let Some(Comparison { mask, reference, input, output, difference, .. }) = self.0.worst() else {
            return Ok(());
        };
        let Difference { relative, element, found, expected } = difference;
        let different = self.0.comparisons.iter().filter(|comparison| !comparison.equal).count();
        let mask = if mask.is_empty() { "none".to_owned() } else { mask.to_string() };
        bail!(
            "{} is wrong in {different} of {} comparisons; furthest off by {relative:.1e} with mask {mask}: element {element} of \
             `{output}` for input {input} is {found}, {} computes {expected}",
            self.0.artifact.display(),
            self.0.comparisons.len(),
            reference.name()
        )
    }
}

impl Report for Verification {
    fn text(&self) -> String {
        let mut table = report::table(["mask", "compared with", "difference", "verdict"]);
        for Comparison { mask, reference, difference, equal, .. } in &self.0.comparisons {
            let mask = if mask.is_empty() { "none".to_owned() } else { mask.to_string() };
            let verdict = if *equal { "equal" } else { "WRONG" };
            table.add_row([
                mask,
                reference.name().to_owned(),
                format!("{:.1e}", difference.relative),
                verdict.to_owned(),
            ]);
        }
        let left_out = match self.0.not_compared.len() {
            0 => None,
            count => Some(format!(
                "{count} masks were not compared; --builds {} does",
                count + self.0.comparisons.len()
            )),
        };
        let notes = self.0.notes.iter().cloned().chain(left_out);
        [table.to_string(), self.summary()].into_iter().chain(notes).collect::<Vec<_>>().join("\n")
    }
}

impl Verification {
    /// What was compared, in a sentence.
    fn summary(&self) -> String {
        let Findings { artifact, target, ran, inputs, tolerance, comparisons, .. } = &self.0;
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for reference in comparisons.iter().map(|comparison| comparison.reference) {
            *counts.entry(Reference::name(reference)).or_default() += 1;
        }
        let counts: Vec<_> = counts.into_iter().map(|(name, count)| format!("{count} with {name}")).collect();
        let place = match ran {
            Ran::Here => "",
            Ran::Emulated => " under emulation",
        };
        format!(
            "\n{} for {target}{place}: {} comparisons of {inputs} inputs each, {}; differences are relative to the largest \
             output, up to {tolerance:.0e} they are rounding",
            artifact.display(),
            comparisons.len(),
            counts.join(" and "),
        )
    }
}
