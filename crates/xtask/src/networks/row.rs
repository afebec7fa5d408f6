//! One network, exported in one way.

use anyhow::Result;
use serde::{Deserialize, Serialize};

/// What the script says of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) family: String,
    pub(super) network: String,
    /// Rows and columns of the image.
    pub(super) size: usize,
    /// What it is made with besides.
    pub(super) options: String,
    pub(super) exporter: String,
    /// The operator set that is asked for.
    pub(super) opset: i64,
}

/// A row of the table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Row {
    #[serde(flatten)]
    pub(super) listed: Listed,
    pub(super) export: Export,
    /// What became of it on the machine that checked it; nothing if there is no model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) host: Option<Outcome>,
    /// The same for the board, if that was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) board: Option<Outcome>,
}

/// What the exporter made of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Export {
    /// A model that skipgate reads.
    Written { opset: i64, blocks: usize, gates: usize },
    /// A model that skipgate does not read.
    Unread,
    /// None.
    Failed { error: String },
}

/// What `skipgate-fuzz check --format json` says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Checked {
    pub(super) outcome: Outcome,
}

/// What became of a network under many masks; the outcomes of `skipgate-fuzz`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    Equal { gates: usize, worst: f64 },
    Refused { error: String },
    Wrong { what: String, mask: String, difference: String },
    Crash { error: String },
    Invalid { error: String },
}

impl Outcome {
    /// In a few words.
    pub(super) fn short(&self) -> String {
        match self {
            Self::Equal { worst, .. } => format!("{worst:.1e}"),
            Self::Refused { .. } => "refused".to_owned(),
            Self::Wrong { .. } => "**wrong**".to_owned(),
            Self::Crash { .. } => "**crash**".to_owned(),
            Self::Invalid { .. } => "**invalid**".to_owned(),
        }
    }

    /// What there is to explain; nothing if all is well.
    pub(super) fn problem(&self) -> Option<String> {
        match self {
            Self::Equal { .. } => None,
            Self::Wrong { what, mask, difference } => Some(format!("{what}, mask {mask}: {difference}")),
            Self::Refused { error } | Self::Crash { error } | Self::Invalid { error } => Some(error.clone()),
        }
    }
}

/// The rows as a list in JSON, one a line.
pub(super) fn to_json(rows: &[Row]) -> Result<String> {
    let lines = rows.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
    Ok(format!("[\n{}\n]\n", lines.join(",\n")))
}
