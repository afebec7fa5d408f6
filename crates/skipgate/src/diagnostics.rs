//! Errors on standard error: the chain of causes, then what to do.

use std::error::Error;

use anstream::eprintln;
use skipgate_core::{FrontError, Hint, ManifestError, UnknownTarget};
use skipgate_runtime as runtime;

/// Prints `error` with its causes and the first hint that one of them has.
pub(crate) fn print(error: &anyhow::Error) {
    #[cfg(feature = "compiler")]
    if error.is::<crate::compiler_process::AlreadyPrinted>() {
        return;
    }
    eprintln!("\x1b[1;31merror\x1b[0m: {error}");
    let mut said = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        // A transparent error repeats its cause.
        if !said.ends_with(&cause) {
            eprintln!("  caused by: {cause}");
        }
        said = cause;
    }
    if let Some(hint) = error.chain().find_map(hint) {
        eprintln!("\n\x1b[1;36mhint\x1b[0m: {hint}");
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
        .or_else(|| of::<skipgate_iree::TemporaryFolderError>(error))
        .or_else(|| of::<crate::compiler_process::CompilerDied>(error));
    shared
}
