//! Errors on standard error: the chain of causes, then what to do; as JSON where results are.

use std::error::Error;
use std::ffi::OsString;

use anstream::eprintln;
use serde::{Deserialize, Serialize};
use skipgate_core::{FrontError, Hint, ManifestError, UnknownTarget};
use skipgate_runtime as runtime;

use crate::cli::Format;

/// An error as it is printed.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Failure {
    error: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    causes: Vec<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// Another process failed and said why; this one ends as it did.
#[cfg(feature = "compiler")]
#[derive(Debug, thiserror::Error)]
#[error("see above")]
pub(crate) struct AlreadyPrinted {
    /// Its exit code.
    pub(crate) code: u8,
}

/// What this process ends with when its work failed.
const FAILED: u8 = 1;

/// Prints `error` with its causes and the first hint that one of them has, and returns the exit code.
pub(crate) fn print(error: &anyhow::Error, format: Format) -> u8 {
    #[cfg(feature = "compiler")]
    if let Some(AlreadyPrinted { code }) = error.downcast_ref() {
        return *code;
    }
    Failure::of(error).print(format);
    FAILED
}

/// Prints what this program, run elsewhere with JSON as its format, said on standard error, in the form that is asked for here.
#[cfg(feature = "compiler")]
pub(crate) fn repeat(said: &str, format: Format) {
    for line in said.lines() {
        match serde_json::from_str::<Failure>(line) {
            Ok(failure) => failure.print(format),
            Err(_) => eprintln!("{line}"),
        }
    }
}

/// Prints what is wrong with the arguments, or the help that was asked for, and returns the exit code.
pub(crate) fn print_usage(error: &clap::Error, arguments: impl Iterator<Item = OsString>) -> u8 {
    if error.use_stderr() && wants_json(arguments) {
        let text = error.render().to_string();
        let text = text.trim().trim_start_matches("error: ").to_owned();
        Failure { error: text, causes: Vec::new(), hint: None }.print_json();
    } else {
        // There is nobody to tell that even this cannot be printed.
        let _ = error.print();
    }
    u8::try_from(error.exit_code()).unwrap_or(2)
}

/// Whether the arguments, which cannot be read as a whole, ask for JSON.
fn wants_json(arguments: impl Iterator<Item = OsString>) -> bool {
    let arguments: Vec<_> = arguments.collect();
    let pair = |pair: &[OsString]| pair[0] == "--format" && pair[1] == "json";
    arguments.windows(2).any(pair) || arguments.iter().any(|argument| argument == "--format=json")
}

impl Failure {
    fn of(error: &anyhow::Error) -> Self {
        let mut causes = Vec::new();
        let mut said = error.to_string();
        for cause in error.chain().skip(1) {
            let cause = cause.to_string();
            // A transparent error repeats its cause.
            if !said.ends_with(&cause) {
                causes.push(cause.clone());
            }
            said = cause;
        }
        Self { error: error.to_string(), causes, hint: error.chain().find_map(hint) }
    }

    fn print(&self, format: Format) {
        match format {
            Format::Text => self.print_text(),
            Format::Json => self.print_json(),
        }
    }

    fn print_text(&self) {
        eprintln!("\x1b[1;31merror\x1b[0m: {}", self.error);
        for cause in &self.causes {
            eprintln!("  caused by: {cause}");
        }
        if let Some(hint) = &self.hint {
            eprintln!("\n\x1b[1;36mhint\x1b[0m: {hint}");
        }
    }

    /// In one line, since warnings may stand before it.
    fn print_json(&self) {
        eprintln!("{}", serde_json::json!(self));
    }
}

/// The hint of an error that has one; the one list of the error types that do.
fn hint(error: &(dyn Error + 'static)) -> Option<String> {
    fn of<E: Error + Hint + 'static>(error: &(dyn Error + 'static)) -> Option<String> {
        error.downcast_ref::<E>()?.hint()
    }
    let shared = of::<UnknownTarget>(error)
        .or_else(|| of::<ManifestError>(error))
        .or_else(|| of::<FrontError>(error))
        .or_else(|| of::<skipgate_data::DataError>(error))
        .or_else(|| of::<skipgate_energy::Error>(error))
        .or_else(|| of::<runtime::controller::Error>(error))
        .or_else(|| of::<runtime::Error>(error));
    #[cfg(feature = "explore")]
    let shared = shared
        .or_else(|| of::<skipgate_explore::Error>(error))
        .or_else(|| of::<skipgate_report::Error>(error));
    #[cfg(feature = "compiler")]
    let shared = shared
        .or_else(|| of::<skipgate_onnx::Error>(error))
        .or_else(|| of::<skipgate_iree::LoadError>(error))
        .or_else(|| of::<skipgate_iree::CompileError>(error))
        .or_else(|| of::<skipgate_iree::ArtifactError>(error))
        .or_else(|| of::<skipgate_verify::Error>(error))
        .or_else(|| of::<skipgate_board::Error>(error))
        .or_else(|| of::<skipgate_iree::TemporaryFolderError>(error))
        .or_else(|| of::<crate::compiler_process::CompilerDied>(error));
    shared
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn a_failure_has_its_causes_once_and_its_hint() {
        let unknown =
            skipgate_core::Target::named("odroid-xu5").context("cannot compile a.onnx").unwrap_err();
        let failure = Failure::of(&unknown);
        assert_eq!(failure.error, "cannot compile a.onnx");
        assert_eq!(failure.causes, ["there is no target `odroid-xu5`"]);
        assert!(failure.hint.is_some_and(|hint| hint.starts_with("the targets are")));
    }

    #[test]
    fn json_is_asked_for_in_two_ways() {
        let asks = |line: &str| wants_json(line.split(' ').map(OsString::from));
        assert!(asks("run --format json x") && asks("run --format=json"));
        assert!(!asks("run --format text json") && !asks("json"));
    }
}
