//! `skipgate compile`: from an ONNX model to an artifact.

use std::path::PathBuf;

use anyhow::Result;
use fs_err as fs;
use serde::Serialize;
use skipgate_core::{Arithmetic, CompileOptions, MANIFEST_FILE, Manifest, Target, VMFB_FILE};

use crate::cli::{Compile as Arguments, CompileJob, Format};
use crate::compiler_process::{self, Gates, Job};
use crate::progress;
use crate::report::{self, Report};

#[derive(Serialize)]
struct Written {
    artifact: PathBuf,
    vmfb_bytes: u64,
    manifest: Manifest,
}

impl Report for Written {
    fn text(&self) -> String {
        format!(
            "wrote {}: {} gates, {}B of code and weights for {}",
            self.artifact.display(),
            self.manifest.gates.len(),
            report::si(self.vmfb_bytes),
            self.manifest.target.name,
        )
    }
}

pub(crate) fn execute(arguments: &Arguments, format: Format) -> Result<()> {
    let Arguments { model, output, pareto, .. } = arguments;
    let target = Target::named(&arguments.target)?;
    let spinner = progress::spinner(format!("compiling {} for {}", model.display(), target.name));
    let files = CompileJob { model: model.clone(), output: output.clone(), pareto: pareto.clone() };
    compiler_process::run(&job(arguments, target), &files)?;
    spinner.finish_and_clear();
    let manifest = Manifest::from_json(&fs::read_to_string(output.join(MANIFEST_FILE))?)?;
    let vmfb_bytes = fs::metadata(output.join(VMFB_FILE))?.len();
    report::print(&Written { artifact: output.clone(), vmfb_bytes, manifest }, format)
}

fn job(arguments: &Arguments, target: Target) -> Job {
    let gates = if arguments.ungated {
        Gates::None { remove: arguments.remove.clone() }
    } else {
        let selection = &arguments.selection;
        Gates::Selected {
            gate_first: selection.gate_first,
            gate: selection.gate.clone(),
            no_gate: selection.no_gate.clone(),
        }
    };
    let arithmetic = match (arguments.exact, arguments.tiles) {
        (true, _) => Arithmetic::Exact,
        (false, Some(outputs)) => Arithmetic::Tiles(outputs),
        (false, None) => Arithmetic::Fast,
    };
    Job { gates, target, options: CompileOptions { arithmetic, ..CompileOptions::default() } }
}
