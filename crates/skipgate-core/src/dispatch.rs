//! `dispatches.json`: what an artifact's dispatches compute, for profiles.

use serde::{Deserialize, Serialize};

/// File name of the list of dispatches in an artifact folder.
pub const DISPATCHES_FILE: &str = "dispatches.json";

/// One call of a compiled kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Dispatch {
    /// The gate whose block it is part of, by place in the mask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<usize>,
    /// The ONNX nodes that it computes, as operator and name. Empty for what the compiler adds, such as a change of
    /// layout.
    pub nodes: Vec<String>,
}

impl Dispatch {
    /// All dispatches of a network, in the order in which they run when all blocks do.
    ///
    /// # Panics
    ///
    /// Never: every field has a JSON form.
    pub fn to_json(dispatches: &[Self]) -> String {
        let mut text = serde_json::to_string_pretty(dispatches).expect("every field has a JSON form");
        text.push('\n');
        text
    }

    /// Reads what [`to_json`](Self::to_json) writes.
    ///
    /// # Errors
    ///
    /// When `text` is anything else.
    pub fn from_json(text: &str) -> Result<Vec<Self>, serde_json::Error> {
        serde_json::from_str(text)
    }
}
