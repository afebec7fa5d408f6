//! `pareto.json`: the configurations worth having.

use serde::{Deserialize, Serialize};

use crate::{Hint, SkipMask};

/// File name of the front in an artifact folder.
pub const PARETO_FILE: &str = "pareto.json";

/// Configurations that no other one beats on both accuracy and latency (the paper's section II-A.4), by the number
/// of blocks they skip.
///
/// The file is a JSON object with the list `configurations`, each an object with at least `mask`. Other fields are
/// left to who measured them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Front {
    /// The configurations, numbered from 0.
    pub configurations: Vec<Configuration>,
}

/// A mask that was found worth having.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// The blocks that run.
    pub mask: SkipMask,
}

/// The text is no front.
#[derive(Debug, thiserror::Error)]
#[error("it is not a valid Pareto front: {0}")]
pub struct FrontError(#[from] serde_json::Error);

impl Hint for FrontError {
    fn hint(&self) -> Option<String> {
        Some("a front is a JSON object such as {\"configurations\": [{\"mask\": \"1101\"}]}".to_owned())
    }
}

impl Front {
    /// Reads a front.
    pub fn from_json(text: &str) -> Result<Self, FrontError> {
        Ok(serde_json::from_str(text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_others_are_passed_over() {
        let text = r#"{"made_by": "x", "configurations": [{"mask": "101", "accuracy": 0.9}]}"#;
        let front = Front::from_json(text).unwrap();
        assert_eq!(front.configurations, [Configuration { mask: "101".parse().unwrap() }]);
    }

    #[test]
    fn a_mask_of_other_characters_is_refused() {
        let error = Front::from_json(r#"{"configurations": [{"mask": "1x1"}]}"#).unwrap_err();
        assert!(error.to_string().contains("found `x` at position 1"), "{error}");
    }
}
