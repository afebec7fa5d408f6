//! `skipgate gate`: put gates in front of the skippable blocks.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::Serialize;
use skipgate_core::si;
use skipgate_onnx::{MASK_INPUT, Model, fix_dimensions};

use crate::cli::{Format, Gate as Arguments};
use crate::report::{self, Report};

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Gated {
    output: PathBuf,
    gates: Vec<skipgate_core::Gate>,
}

impl Report for Gated {
    fn text(&self) -> String {
        let count = self.gates.len();
        let macs: u64 = self.gates.iter().map(|gate| gate.macs).sum();
        format!(
            "wrote {}: {}, input `{MASK_INPUT}` is bool[{count}]; skipping all saves {}MAC",
            self.output.display(),
            report::counted(count, "gate"),
            si(macs)
        )
    }
}

pub(crate) fn execute(arguments: &Arguments, format: Format) -> Result<()> {
    let model = Model::load(&arguments.model)?;
    let model = fix_dimensions(&model, &arguments.dimensions.sizes())?;
    let gated = skipgate_onnx::gate(&model, &arguments.selection.to_gate_selection())
        .with_context(|| format!("cannot gate {}", arguments.model.display()))?;
    gated.save(&arguments.output)?;
    report::print(&Gated { output: arguments.output.clone(), gates: gated.gates()? }, format)
}
