//! `skipgate inspect`: the residual blocks of a model, and why each can be skipped or not.

use std::path::PathBuf;

use anyhow::Result;
use comfy_table::CellAlignment;
use serde::Serialize;
use skipgate_core::{Gate, si};
use skipgate_onnx::{BlockKind, Error, GateSelection, Model, ResidualBlock, fix_dimensions};

use crate::cli::{Format, Inspect as Arguments};
use crate::report::{self, Report};

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Inspection {
    model: PathBuf,
    /// Version of its operator set.
    opset: i64,
    /// Whether the model has its gates already.
    gated: bool,
    blocks: Vec<Block>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Block {
    /// Number of its gate; none if it has no gate.
    gate: Option<usize>,
    name: String,
    segment: usize,
    /// What its branch is; not known of a model that has its gates already.
    kind: Option<BlockKind>,
    macs: u64,
    parameters: u64,
    shortcut: String,
    skippable: bool,
    /// Why it is or is not skippable.
    reason: String,
}

impl Report for Inspection {
    fn text(&self) -> String {
        let mut table =
            report::table(["gate", "block", "segment", "kind", "MACs", "parameters", "shortcut", "why"]);
        for block in &self.blocks {
            table.add_row([
                block.gate.map_or_else(|| "-".to_owned(), |gate| gate.to_string()),
                block.name.clone(),
                block.segment.to_string(),
                block.kind.map_or_else(|| "-".to_owned(), |kind| kind.to_string()),
                si(block.macs),
                si(block.parameters),
                block.shortcut.clone(),
                block.reason.clone(),
            ]);
        }
        for column in [0, 2, 4, 5] {
            table
                .column_mut(column)
                .into_iter()
                .for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        }
        let gates = self.blocks.iter().filter(|block| block.gate.is_some()).count();
        let have = if self.gated { "have" } else { "would get" };
        format!(
            "{table}\n\n{}: {} residual blocks, {gates} of them {have} a gate",
            self.model.display(),
            self.blocks.len()
        )
    }
}

pub(crate) fn execute(arguments: &Arguments, format: Format) -> Result<()> {
    let model = Model::load(&arguments.model)?;
    let model = fix_dimensions(&model, &arguments.dimensions.sizes())?;
    let gates = model.gates()?;
    let gated = !gates.is_empty();
    let blocks = if gated {
        gates.into_iter().enumerate().map(gated_block).collect()
    } else {
        ungated_blocks(&model, &arguments.selection.to_gate_selection())?
    };
    let inspection = Inspection { model: arguments.model.clone(), opset: model.opset(), gated, blocks };
    report::print(&inspection, format)
}

/// A row of the table that a gated model carries; only blocks with an identity shortcut are in it.
fn gated_block((number, Gate { block, segment, macs, parameters }): (usize, Gate)) -> Block {
    Block {
        gate: Some(number),
        name: block,
        segment,
        kind: None,
        macs,
        parameters,
        shortcut: "identity".to_owned(),
        skippable: true,
        reason: "gated".to_owned(),
    }
}

/// The blocks of an ungated model and the gates that `selection` would give them.
fn ungated_blocks(model: &Model, selection: &GateSelection) -> Result<Vec<Block>> {
    let blocks = selection.unit.find(model)?;
    let selected = match selection.select(&blocks) {
        // A model without a gate is what one inspects to learn why.
        Err(Error::NothingToGate { .. }) => Vec::new(),
        selected => selected?,
    };
    let block = |(index, block): (usize, ResidualBlock)| Block {
        gate: selected.iter().position(|&gated| gated == index),
        segment: block.segment,
        kind: Some(block.kind),
        macs: block.macs,
        parameters: block.parameters,
        shortcut: block.shortcut.to_string(),
        skippable: block.verdict.is_skippable(),
        reason: block.verdict.to_string(),
        name: block.name,
    };
    Ok(blocks.into_iter().enumerate().map(block).collect())
}
