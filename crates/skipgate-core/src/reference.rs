//! Networks that are compared with.

use std::str::FromStr;

/// A network to compare with, such as the original or `SkipNet`.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// Its name in the picture.
    pub name: String,
    /// From 0 to 1.
    pub accuracy: f64,
    /// In the unit of what it is compared with, or in microseconds.
    pub latency: f64,
}

impl FromStr for Reference {
    type Err = String;

    /// Reads `NAME=PERCENT,LATENCY`.
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = || {
            let (name, numbers) = text.split_once('=')?;
            let (accuracy, latency) = numbers.split_once(',')?;
            let accuracy = accuracy.parse::<f64>().ok()? / 100.0;
            Some(Self { name: name.to_owned(), accuracy, latency: latency.parse().ok()? })
        };
        parts().ok_or_else(|| format!("expected NAME=PERCENT,LATENCY, found `{text}`"))
    }
}
