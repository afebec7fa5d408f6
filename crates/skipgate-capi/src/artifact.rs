//! Artifacts and their fronts.

use std::ffi::{CStr, c_char};
use std::path::Path;

use skipgate_core::{Front, LatencyUnit, PARETO_FILE};
use skipgate_runtime::{Artifact, PublicKey};

use crate::describe::Texts;
use crate::status::{SkipgateStatus, failed, free, hand_out, invalid, put};
use crate::tensor::Names;

/// A compiled network. Any number of threads may use one.
pub struct SkipgateArtifact {
    pub(crate) artifact: Artifact,
    /// Empty if the artifact was not explored.
    front: Front,
    pub(crate) names: Names,
    pub(crate) texts: Texts,
}

/// Opens the artifact in the folder `path`, and the front in it if there is one.
///
/// An artifact is native code: only open those that you made or trust. On success, *artifact is the caller's, who frees
/// it with skipgate_artifact_free. Errors: SKIPGATE_STATUS_INVALID_ARGUMENT, SKIPGATE_STATUS_ARTIFACT.
///
/// # Safety
///
/// `path` is null or a NUL-terminated string; `artifact` is null or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skipgate_artifact_open(
    path: *const c_char,
    artifact: *mut *mut SkipgateArtifact,
) -> SkipgateStatus {
    // SAFETY: by the caller's promise.
    let Some(path) = (unsafe { text(path) }) else { return invalid("the path is null or no UTF-8 text") };
    match open(Path::new(path), None) {
        // SAFETY: by the caller's promise about `artifact`.
        Ok(opened) => unsafe { hand_out(opened, artifact) },
        Err(error) => failed(SkipgateStatus::Artifact, error),
    }
}

/// Like skipgate_artifact_open, but refuses an artifact that the owner of a key did not sign, every file of it. `key` is the text
/// of the public key, one of minisign's: its file's contents, or the second line of it alone.
///
/// Errors: SKIPGATE_STATUS_INVALID_ARGUMENT, also for what is no key; SKIPGATE_STATUS_ARTIFACT.
///
/// # Safety
///
/// `path` and `key` are null or NUL-terminated strings; `artifact` is null or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skipgate_artifact_open_signed(
    path: *const c_char,
    key: *const c_char,
    artifact: *mut *mut SkipgateArtifact,
) -> SkipgateStatus {
    // SAFETY: by the caller's promise.
    let Some(path) = (unsafe { text(path) }) else { return invalid("the path is null or no UTF-8 text") };
    // SAFETY: by the caller's promise.
    let Some(key) = (unsafe { text(key) }) else { return invalid("the key is null or no UTF-8 text") };
    let Ok(key) = PublicKey::parse(key) else { return invalid("the key is no public key of minisign's") };
    match open(Path::new(path), Some(&key)) {
        // SAFETY: by the caller's promise about `artifact`.
        Ok(opened) => unsafe { hand_out(opened, artifact) },
        Err(error) => failed(SkipgateStatus::Artifact, error),
    }
}

/// The text at `pointer`, if it is one.
///
/// # Safety
///
/// `pointer` is null or a NUL-terminated string that outlives what is returned.
unsafe fn text<'t>(pointer: *const c_char) -> Option<&'t str> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: not null, so NUL-terminated by the caller's promise.
    unsafe { CStr::from_ptr(pointer) }.to_str().ok()
}

fn open(path: &Path, key: Option<&PublicKey>) -> Result<SkipgateArtifact, String> {
    let artifact = match key {
        Some(key) => Artifact::open_signed(path, key),
        None => Artifact::open(path),
    };
    let artifact = artifact.map_err(|error| error.to_string())?;
    let names = Names::of(artifact.manifest())?;
    let texts = Texts::of(artifact.manifest())?;
    let path = path.join(PARETO_FILE);
    if !path.exists() {
        let front = Front { provenance: None, configurations: vec![] };
        return Ok(SkipgateArtifact { artifact, front, names, texts });
    }
    let unusable = |error: String| format!("cannot use {}: {error}", path.display());
    let text = skipgate_core::file::read_text(&path).map_err(|error| error.to_string())?;
    let front = Front::from_json(&text).map_err(|error| unusable(error.to_string()))?;
    for configuration in &front.configurations {
        configuration.mask.check_len(artifact.gates().len()).map_err(|error| unusable(error.to_string()))?;
    }
    Ok(SkipgateArtifact { artifact, front, names, texts })
}

/// Frees an artifact; null is passed over. Sessions made from it stay usable.
///
/// # Safety
///
/// `artifact` is null, or from skipgate_artifact_open and not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skipgate_artifact_free(artifact: *mut SkipgateArtifact) {
    // SAFETY: by the caller's promise.
    unsafe { free(artifact) };
}

/// Number of gates, which is the length of a mask.
///
/// # Safety
///
/// `artifact` is null (then 0) or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skipgate_artifact_gates(artifact: *const SkipgateArtifact) -> usize {
    // SAFETY: by the caller's promise.
    unsafe { artifact.as_ref() }.map_or(0, |artifact| artifact.artifact.gates().len())
}

/// Number of values of an image: for a CIFAR network 3 x 32 x 32, channel by channel, row by row, preprocessed as the
/// manifest says. 0 for a network with other inputs than one of floats.
///
/// # Safety
///
/// `artifact` is null (then 0) or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skipgate_artifact_image_length(artifact: *const SkipgateArtifact) -> usize {
    // SAFETY: by the caller's promise.
    let artifact = unsafe { artifact.as_ref() };
    artifact.and_then(|artifact| artifact.artifact.manifest().image().ok()?.elements()).unwrap_or(0)
}

/// Number of logits; 0 for a network with other outputs than one of floats.
///
/// # Safety
///
/// `artifact` is null (then 0) or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skipgate_artifact_logits_length(artifact: *const SkipgateArtifact) -> usize {
    // SAFETY: by the caller's promise.
    let artifact = unsafe { artifact.as_ref() };
    artifact.and_then(|artifact| artifact.artifact.manifest().logits().ok()?.elements()).unwrap_or(0)
}

/// Number of configurations on the artifact's front; 0 if it was not explored by `skipgate pareto`.
///
/// # Safety
///
/// `artifact` is null (then 0) or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skipgate_artifact_configurations(artifact: *const SkipgateArtifact) -> usize {
    // SAFETY: by the caller's promise.
    unsafe { artifact.as_ref() }.map_or(0, |artifact| artifact.front.configurations.len())
}

/// What latencies count.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipgateLatencyUnit {
    /// The front does not say.
    Unknown = 0,
    /// Median wall time of a call.
    Microseconds = 1,
    /// Instructions of a call.
    Instructions = 2,
}

/// A configuration of a front. What was not measured is NaN. What it points to belongs to the artifact.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct SkipgateConfiguration {
    /// Its mask, of as many elements as there are gates; true runs the block.
    pub mask: *const bool,
    /// Number of elements of the mask.
    pub gates: usize,
    /// Share of images that are classified right, from 0 to 1.
    pub accuracy: f64,
    /// Lower end of the interval that holds the accuracy with a probability of 95 %.
    pub accuracy_low: f64,
    /// Upper end of that interval.
    pub accuracy_high: f64,
    /// Latency of one image.
    pub latency: f64,
    /// What the latency counts.
    pub latency_unit: SkipgateLatencyUnit,
}

/// The configuration `number` of the front, counted from 0. What it points to is valid until the artifact is freed.
///
/// Errors: SKIPGATE_STATUS_INVALID_ARGUMENT.
///
/// # Safety
///
/// `artifact` is null or live; `configuration` is null or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skipgate_artifact_configuration(
    artifact: *const SkipgateArtifact,
    number: usize,
    configuration: *mut SkipgateConfiguration,
) -> SkipgateStatus {
    // SAFETY: by the caller's promise.
    let Some(artifact) = (unsafe { artifact.as_ref() }) else { return invalid("the artifact is null") };
    let Some(found) = artifact.front.configurations.get(number) else {
        return invalid("there is no configuration of that number");
    };
    let [accuracy_low, accuracy_high] = found.accuracy_interval.unwrap_or([f64::NAN; 2]);
    let described = SkipgateConfiguration {
        mask: found.mask.as_slice().as_ptr(),
        gates: found.mask.len(),
        accuracy: found.accuracy.unwrap_or(f64::NAN),
        accuracy_low,
        accuracy_high,
        latency: found.latency.unwrap_or(f64::NAN),
        latency_unit: latency_unit(&artifact.front),
    };
    // SAFETY: by the caller's promise about `configuration`.
    unsafe { put(described, configuration) }
}

fn latency_unit(front: &Front) -> SkipgateLatencyUnit {
    match front.provenance.as_ref().map(|provenance| provenance.latency.unit) {
        None => SkipgateLatencyUnit::Unknown,
        Some(LatencyUnit::Microseconds) => SkipgateLatencyUnit::Microseconds,
        Some(LatencyUnit::Instructions) => SkipgateLatencyUnit::Instructions,
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::ptr;

    use super::*;

    const KEY: &CStr = c"RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

    fn open_signed(path: &CStr, key: *const c_char) -> SkipgateStatus {
        let mut artifact = ptr::null_mut();
        // SAFETY: both strings are alive, and the artifact can be written to.
        let status = unsafe { skipgate_artifact_open_signed(path.as_ptr(), key, &raw mut artifact) };
        assert!(artifact.is_null());
        status
    }

    #[test]
    fn what_is_not_signed_and_what_is_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("manifest.json"), "{}").unwrap();
        let path = CString::new(folder.path().to_str().unwrap()).unwrap();
        assert!(matches!(open_signed(&path, KEY.as_ptr()), SkipgateStatus::Artifact));
        assert!(matches!(open_signed(&path, c"no key".as_ptr()), SkipgateStatus::InvalidArgument));
        assert!(matches!(open_signed(&path, ptr::null()), SkipgateStatus::InvalidArgument));
    }
}
