//! The model of an artifact, as references are made of it.

use std::path::Path;

use skipgate_core::{Manifest, SkipMask};
use skipgate_iree::Source;
use skipgate_onnx::proto::GraphProto;
use skipgate_onnx::{
    GateSelection, GateUnit, Model, ResidualBlock, element_type, fix_batch, fix_dimensions, gate,
    infer_shapes, remove_blocks, ungate,
};

use crate::{Error, HALF_TOLERANCE, QUANTIZED_TOLERANCE, TOLERANCE};

/// The model that an artifact was made of, or the one that was gated for it.
#[derive(Debug)]
pub(crate) struct Origin {
    model: Model,
    /// Names of the blocks behind the gates, in mask order.
    gates: Vec<String>,
    /// Blocks that the artifact is without.
    removed: Vec<String>,
}

impl Origin {
    /// Reads `path` and checks that the artifact of `manifest` was compiled from it.
    pub(crate) fn load(path: &Path, manifest: &Manifest, removed: &[String]) -> Result<Self, Error> {
        let source = Source::load(path)?;
        let gates: Vec<_> = manifest.gates.iter().map(|gate| gate.block.clone()).collect();
        let found = source.sha256.clone();
        if found != manifest.model_sha256
            && gated_again(&source.model, &gates)? != Some(manifest.model_sha256.clone())
        {
            let expected = manifest.model_sha256.clone();
            return Err(Error::OtherModel { path: path.to_owned(), found, expected });
        }
        let model = fix_dimensions(&source.model, &manifest.options.dimensions)?;
        Ok(Self { model: fix_batch(&model)?, gates, removed: removed.to_vec() })
    }

    /// The model without the blocks that `mask` skips, and without gates.
    pub(crate) fn without_skipped(&self, mask: &SkipMask) -> Result<Model, Error> {
        if !self.model.gates()?.is_empty() {
            return Ok(ungate(&self.model, mask)?);
        }
        let skipped = self.gates.iter().zip(mask.as_slice()).filter(|(_, run)| !**run).map(|(name, _)| name);
        let names: Vec<_> = skipped.chain(&self.removed).map(String::as_str).collect();
        Ok(remove_blocks(&self.model, &names)?)
    }

    /// The largest relative difference that is rounding.
    pub(crate) fn tolerance(&self) -> Result<f64, Error> {
        Ok(if rounds(&self.model.proto().graph) {
            QUANTIZED_TOLERANCE
        } else if has_halves(&self.model)? {
            HALF_TOLERANCE
        } else {
            TOLERANCE
        })
    }
}

/// Whether a value of `model` is of halves.
pub fn has_halves(model: &Model) -> Result<bool, Error> {
    let types = infer_shapes(model)?;
    Ok(types.values().any(|value| value.element_type == element_type::FLOAT16))
}

/// Whether a node of `graph`, or of a branch in it, rounds to few bits.
fn rounds(graph: &GraphProto) -> bool {
    graph.node.iter().any(|node| {
        let mut branches = node.attribute.iter().filter_map(|attribute| attribute.g.as_ref());
        matches!(node.op_type.as_str(), "QuantizeLinear" | "DynamicQuantizeLinear") || branches.any(rounds)
    })
}

/// The hash of `model` with gates in front of the blocks called `names`: that of the file which `skipgate gate` wrote, if
/// it was given this model.
fn gated_again(model: &Model, names: &[String]) -> Result<Option<String>, Error> {
    if names.is_empty() || !model.gates()?.is_empty() {
        return Ok(None);
    }
    for unit in [GateUnit::Block, GateUnit::Layer] {
        let blocks = unit.find(model)?;
        let is_skippable =
            |name: &String| blocks.iter().any(|block| block.name == *name && block.verdict.is_skippable());
        if names.iter().all(is_skippable) {
            return Ok(Some(gated_by(model, unit, blocks, names)?.sha256));
        }
    }
    Ok(None)
}

/// `model` with gates in front of those of `blocks` that are called `names`.
fn gated_by(
    model: &Model,
    unit: GateUnit,
    blocks: Vec<ResidualBlock>,
    names: &[String],
) -> Result<Source, Error> {
    let others = blocks.into_iter().map(|block| block.name).filter(|name| !names.contains(name));
    let literal = |name: &str| name.chars().map(escaped).collect();
    let selection = GateSelection {
        unit,
        gate_first: true,
        gate: Vec::new(),
        no_gate: others.map(|name| literal(&name)).collect(),
    };
    Ok(Source::of(gate(model, &selection)?)?)
}

/// A character as a pattern that only matches it.
fn escaped(c: char) -> String {
    if matches!(c, '?' | '*' | '[' | ']') { format!("[{c}]") } else { c.to_string() }
}
