//! Which blocks get a gate.

use std::str::FromStr;

use glob::Pattern;
use serde::{Deserialize, Serialize};

use crate::blocks::{ResidualBlock, Verdict};
use crate::error::Error;

/// What gets one gate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GateUnit {
    /// Every residual block: attention and perceptron of a transformer's layer have a gate each.
    #[default]
    Block,
    /// Every layer: a block that mixes places (attention, pooling, convolution) and the perceptron behind it, with what
    /// stands between them. Blocks that are not of this form keep gates of their own.
    Layer,
}

impl FromStr for GateUnit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "block" => Ok(Self::Block),
            "layer" => Ok(Self::Layer),
            _ => Err(format!("expected `block` or `layer`, found `{text}`")),
        }
    }
}

/// Which blocks to gate. The default gates every skippable block but the first of each segment.
///
/// Names are those of [`ResidualBlock::name`]; patterns are globs in which `*` stands for any characters. In the end
/// `no_gate` wins over `gate`, and both win over the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GateSelection {
    /// What gets one gate. Names and patterns are of these.
    pub unit: GateUnit,
    /// Gate the first block of each segment too, where it is skippable.
    pub gate_first: bool,
    /// Names or patterns of blocks to gate besides those of the default. A pattern selects the skippable blocks it
    /// matches; it is an error if there are none.
    pub gate: Vec<String>,
    /// Names or patterns of blocks not to gate.
    pub no_gate: Vec<String>,
}

impl GateSelection {
    /// Places in `blocks` of the blocks to gate, ascending.
    ///
    /// Errors: a name or pattern matches no block, does not parse, or asks for a gate where none is possible; nothing
    /// is left to gate.
    pub fn select(&self, blocks: &[ResidualBlock]) -> Result<Vec<usize>, Error> {
        let mut gated: Vec<_> = blocks.iter().map(|block| self.by_default(block)).collect();
        for pattern in &self.gate {
            let (mut any, matching) = (false, matching(pattern, blocks)?);
            for &index in &matching {
                let skippable = blocks[index].verdict.is_skippable();
                gated[index] |= skippable;
                any |= skippable;
            }
            if let (false, Some(&first)) = (any, matching.first()) {
                return Err(not_skippable(&blocks[first]));
            }
        }
        let mut excluded = vec![false; blocks.len()];
        for pattern in &self.no_gate {
            matching(pattern, blocks)?.into_iter().for_each(|index| excluded[index] = true);
        }
        let selected: Vec<_> = (0..blocks.len()).filter(|&index| gated[index] && !excluded[index]).collect();
        if selected.is_empty() {
            let skippable = blocks.iter().filter(|block| block.verdict.is_skippable()).count();
            let is_first =
                |index: &usize| blocks[*index].verdict == Verdict::FirstOfSegment && !excluded[*index];
            let first = (0..blocks.len()).filter(is_first).map(|index| blocks[index].name.clone()).collect();
            return Err(Error::NothingToGate { residual: blocks.len(), skippable, first });
        }
        Ok(selected)
    }

    fn by_default(&self, block: &ResidualBlock) -> bool {
        block.verdict == Verdict::Gated || self.gate_first && block.verdict.is_skippable()
    }
}

/// The error for a block that should be skippable and is not.
pub(crate) fn not_skippable(block: &ResidualBlock) -> Error {
    Error::NotSkippable { block: block.name.clone(), reason: block.verdict.to_string() }
}

/// Places of the blocks that `pattern` names or matches; at least one.
fn matching(pattern: &str, blocks: &[ResidualBlock]) -> Result<Vec<usize>, Error> {
    let compiled = Pattern::new(pattern)
        .map_err(|error| Error::Pattern { pattern: pattern.to_owned(), message: error.msg.to_owned() })?;
    let matches = |block: &ResidualBlock| block.name == pattern || compiled.matches(&block.name);
    let found: Vec<_> = (0..blocks.len()).filter(|&index| matches(&blocks[index])).collect();
    if found.is_empty() {
        return Err(Error::UnknownBlock { pattern: pattern.to_owned() });
    }
    Ok(found)
}
