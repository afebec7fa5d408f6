//! Numbers from where the weights and gradients are.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use skipgate_core::file::read_text;

use super::Ranking;
use crate::{Engine, Error};

/// Numbers from a file that `skipgate-models importance` writes: l2-norm, Fisher information or the trace of the
/// Hessian, which need the weights or gradients that an artifact no longer has.
#[derive(Debug, Clone)]
pub struct Scores {
    path: PathBuf,
    file: File,
}

/// `{"method": "fisher", "images": 512, "seed": 1, "blocks": [{"gate": 0, "score": 1.2e-4}, ...]}`, in gate order.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct File {
    method: String,
    blocks: Vec<Block>,
}

#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Block {
    gate: usize,
    score: f64,
}

impl Scores {
    /// Reads the file `path`, which must hold the scores of `method`.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or holds something else.
    pub fn read(path: &Path, method: &str) -> Result<Self, Error> {
        let bad = |found: String| Error::Scores { path: path.to_owned(), found };
        let file: File = serde_json::from_str(&read_text(path)?).map_err(|error| bad(error.to_string()))?;
        if file.method != method {
            return Err(bad(format!("expected the method {method}, found {}", file.method)));
        }
        if let Some((place, block)) =
            file.blocks.iter().enumerate().find(|(place, block)| block.gate != *place)
        {
            return Err(bad(format!("expected gate {place}, found gate {}", block.gate)));
        }
        if let Some(block) = file.blocks.iter().find(|block| !block.score.is_finite()) {
            return Err(bad(format!("the score of gate {} is {}", block.gate, block.score)));
        }
        Ok(Self { path: path.to_owned(), file })
    }
}

impl Ranking for Scores {
    fn name(&self) -> &str {
        &self.file.method
    }

    fn importance(&self, engine: &mut Engine) -> Result<Vec<f64>, Error> {
        let (expected, found) = (engine.gates(), self.file.blocks.len());
        if expected != found {
            let found = format!("it is for {found} gates, the network has {expected}");
            return Err(Error::Scores { path: self.path.clone(), found });
        }
        Ok(self.file.blocks.iter().map(|block| block.score).collect())
    }
}

#[cfg(test)]
mod tests {
    use fs_err as fs;

    use super::*;

    fn read(text: &str, method: &str) -> Result<Scores, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        Scores::read(file.path(), method)
            .map_err(|error| error.to_string().split("`: ").nth(1).unwrap().to_owned())
    }

    #[test]
    fn scores_are_in_gate_order() {
        let text = r#"{"method": "fisher", "images": 5, "seed": 1, "blocks": [{"gate": 0, "score": 2e-3}, {"gate": 1, "score": 1}]}"#;
        let scores = read(text, "fisher").unwrap();
        assert_eq!(scores.name(), "fisher");
        assert_eq!(scores.file.blocks.iter().map(|block| block.score).collect::<Vec<_>>(), [0.002, 1.0]);
        assert_eq!(read(text, "hessian").unwrap_err(), "expected the method hessian, found fisher");
        let turned = text.replace("\"gate\": 0", "\"gate\": 1");
        assert_eq!(read(&turned, "fisher").unwrap_err(), "expected gate 0, found gate 1");
    }

    #[test]
    fn another_file_is_refused() {
        assert!(read("{}", "fisher").unwrap_err().contains("missing field `method`"));
        assert!(read("", "fisher").unwrap_err().contains("EOF"));
    }
}
