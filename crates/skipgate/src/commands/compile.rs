//! `skipgate compile`: from an ONNX model to an artifact.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use fs_err as fs;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use skipgate_core::{Arithmetic, CompileOptions, Manifest, Target};
use skipgate_iree::{Compiled, Compiler};
use skipgate_onnx::Model;

use crate::cli::{Compile as Arguments, Format, Selection};
use crate::front;
use crate::progress;
use crate::report::{self, Report};

#[derive(Serialize)]
struct Written<'a> {
    artifact: PathBuf,
    vmfb_bytes: usize,
    manifest: &'a Manifest,
}

impl Report for Written<'_> {
    fn text(&self) -> String {
        format!(
            "wrote {}: {} gates, {}B of code and weights for {}",
            self.artifact.display(),
            self.manifest.gates.len(),
            report::si(self.vmfb_bytes as u64),
            self.manifest.target.name,
        )
    }
}

pub(crate) fn execute(arguments: &Arguments, format: Format) -> Result<()> {
    let target = Target::named(&arguments.target)?;
    let model = if arguments.ungated {
        ungated(&arguments.model, &arguments.remove)?
    } else {
        gated(&arguments.model, &arguments.selection)?
    };
    let configurations = match &arguments.pareto {
        Some(path) => front::masks(path, model.gates()?.len())?,
        None => vec![],
    };
    let arithmetic = match (arguments.exact, arguments.tiles) {
        (true, _) => Arithmetic::Exact,
        (false, Some(outputs)) => Arithmetic::Tiles(outputs),
        (false, None) => Arithmetic::Fast,
    };
    let options = CompileOptions { arithmetic, ..CompileOptions::default() };
    let compiler = Compiler::get()?;
    let sha256 = hex::encode(Sha256::digest(fs::read(&arguments.model)?));
    let spinner = progress::spinner(format!("compiling {} for {}", arguments.model.display(), target.name));
    let mut compiled =
        skipgate_iree::compile(compiler, &model, sha256, &target, &configurations, &options)
            .with_context(|| format!("cannot compile {} for {}", arguments.model.display(), target.name))?;
    compiled.front = arguments.pareto.as_ref().map(fs::read_to_string).transpose()?;
    skipgate_iree::write_artifact(&arguments.output, &compiled)?;
    spinner.finish_and_clear();
    let Compiled { manifest, vmfb, .. } = &compiled;
    report::print(&Written { artifact: arguments.output.clone(), vmfb_bytes: vmfb.len(), manifest }, format)
}

/// The model with gates, its own or the selected ones.
fn gated(path: &Path, selection: &Selection) -> Result<Model> {
    let model = Model::load(path)?;
    if model.gates()?.is_empty() {
        return skipgate_onnx::gate(&model, &selection.to_gate_selection())
            .with_context(|| format!("cannot gate {}", path.display()));
    }
    ensure!(!selection.is_given(), "{} has gates already; gate options do not apply", path.display());
    Ok(model)
}

/// The model without gates and without the blocks in `remove`.
fn ungated(path: &Path, remove: &[String]) -> Result<Model> {
    let remove: Vec<_> = remove.iter().map(String::as_str).collect();
    skipgate_onnx::remove_blocks(&Model::load(path)?, &remove)
        .with_context(|| format!("cannot compile {} without gates", path.display()))
}
