//! What became of a network.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What became of a network under all masks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Everything agrees with ONNX Runtime.
    Equal {
        /// Number of gates.
        gates: usize,
        /// The largest relative difference.
        worst: f64,
    },
    /// skipgate says that it cannot, and why.
    Refused {
        /// The error.
        error: String,
    },
    /// A result is another one than ONNX Runtime's, without a word.
    Wrong {
        /// What computed it.
        what: String,
        /// Under which mask.
        mask: String,
        /// By how much.
        difference: String,
    },
    /// The compiler or runtime died, or said something that it never must.
    Crash {
        /// Its last words.
        error: String,
    },
    /// ONNX Runtime refuses the generated model: the generator is at fault.
    Invalid {
        /// What it says.
        error: String,
    },
}

/// Parts of errors that are about skipgate's own doings, so nobody's model may cause them.
const NEVER: [&str; 5] = [
    "block has no commands",
    "is gone",
    "its result is not in the memory of its input",
    "operand does not dominate this use",
    "does not dominate",
];

impl Outcome {
    /// The outcome of an error: refused, unless the error is one that must never appear.
    pub fn of_error(error: &(dyn std::error::Error + 'static)) -> Self {
        let error = error.to_string();
        if must_never_appear(&error) { Self::Crash { error } } else { Self::Refused { error } }
    }

    /// Whether it shows a fault of skipgate or of the generator.
    pub fn is_failure(&self) -> bool {
        !matches!(self, Self::Equal { .. } | Self::Refused { .. })
    }

    /// Outcomes of one kind have one cause, as far as one can tell: the text without names and numbers.
    pub fn kind(&self) -> String {
        match self {
            Self::Equal { .. } => String::new(),
            Self::Refused { error } | Self::Crash { error } | Self::Invalid { error } => kind_of(error),
            Self::Wrong { what, .. } => what.clone(),
        }
    }

    /// One word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Equal { .. } => "equal",
            Self::Refused { .. } => "refused",
            Self::Wrong { .. } => "WRONG",
            Self::Crash { .. } => "CRASH",
            Self::Invalid { .. } => "invalid",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name())?;
        match self {
            Self::Equal { gates, worst } => write!(f, ": {gates} gates, largest difference {worst:.1e}"),
            Self::Refused { error } | Self::Crash { error } | Self::Invalid { error } => {
                write!(f, ": {error}")
            }
            Self::Wrong { what, mask, difference } => {
                let mask = if mask.is_empty() { "none" } else { mask };
                write!(f, ": {what}, mask {mask}: {difference}")
            }
        }
    }
}

/// Whether `error` is about skipgate's own doings, so that nobody's model may cause it.
pub(crate) fn must_never_appear(error: &str) -> bool {
    NEVER.iter().any(|part| error.contains(part))
}

/// The first lines of `error` with names and numbers replaced: what is quoted, but for the operator of a location, and
/// every word that holds a digit. What the compiler says behind the reason is code.
pub(crate) fn kind_of(error: &str) -> String {
    let mut kind = String::new();
    let mut quoted: Option<(char, String)> = None;
    let text = error.lines().take(2).collect::<Vec<_>>().join(" ");
    for c in text.split(" that was explicitly").next().unwrap_or_default().chars() {
        match &mut quoted {
            Some((end, words)) if c == *end => {
                let operator = words.split_once(' ').map_or("_", |(operator, _)| operator);
                kind.push_str(operator);
                quoted = None;
            }
            Some((_, words)) => words.push(c),
            None if c == '`' || c == '"' || c == '\'' => quoted = Some((c, String::new())),
            None => kind.push(c),
        }
    }
    let plain = |word: &str| {
        if word.chars().any(|c| c.is_ascii_digit()) { "#".to_owned() } else { word.to_owned() }
    };
    let words: Vec<_> = kind.split_whitespace().map(plain).collect();
    words.join(" ").chars().take(160).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_that_differ_in_names_are_of_one_kind() {
        let kind = |error: &str| Outcome::Refused { error: error.to_owned() }.kind();
        assert_eq!(kind("node `conv_1` (Conv): 3 groups"), kind("node `conv_27` (Conv): 12 groups"));
        assert_ne!(kind("node `conv_1` (Conv): 3 groups"), kind("node `conv_1` (Pad): 3 groups"));
        let diagnostic =
            "failed:\nloc(\"Conv conv_1\"): failed to legalize `x` that was explicitly marked: %1";
        assert_eq!(kind(diagnostic), "failed: loc(Conv): failed to legalize _");
    }

    #[test]
    fn errors_about_skipgates_own_doings_are_crashes() {
        let of = |error: &str| Outcome::of_error(&std::io::Error::other(error.to_owned()));
        assert!(of("gate 1: its result is not in the memory of its input").is_failure());
        assert!(!of("node `a` (Resize): the shape of its result `b` is not known").is_failure());
    }
}
