//! Running a network.

use skipgate_runtime::{Device, Error, Session, SkipMask};

use crate::artifact::SkipgateArtifact;
use crate::status::{SkipgateStatus, elements, failed, free, hand_out, invalid};
use crate::tensor::{self, SkipgateInput, SkipgateOutput};

/// A network that is ready to run. One thread at a time may use one.
pub struct SkipgateSession {
    session: Session,
    mask: SkipMask,
}

/// Loads an artifact. With 1 thread, the caller of skipgate_session_run does all the work; more need a 64-bit machine.
///
/// On success, *session is the caller's, who frees it with skipgate_session_free. Errors:
/// SKIPGATE_STATUS_INVALID_ARGUMENT, SKIPGATE_STATUS_RUN.
///
/// # Safety
///
/// `artifact` is null or live; `session` is null or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skipgate_session_new(
    artifact: *const SkipgateArtifact,
    threads: usize,
    session: *mut *mut SkipgateSession,
) -> SkipgateStatus {
    // SAFETY: by the caller's promise.
    let Some(artifact) = (unsafe { artifact.as_ref() }) else { return invalid("the artifact is null") };
    let device = if threads == 1 { Ok(Device::local_sync()) } else { Device::local_task(threads) };
    let artifact = &artifact.artifact;
    match device.and_then(|device| Session::new(artifact, device)) {
        Ok(loaded) => {
            let mask = SkipMask::all_run(artifact.gates().len());
            // SAFETY: by the caller's promise about `session`.
            unsafe { hand_out(SkipgateSession { session: loaded, mask }, session) }
        }
        Err(error) => failed(SkipgateStatus::Run, error),
    }
}

/// Frees a session; null is passed over.
///
/// # Safety
///
/// `session` is null, or from skipgate_session_new and not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skipgate_session_free(session: *mut SkipgateSession) {
    // SAFETY: by the caller's promise.
    unsafe { free(session) };
}

/// Runs a network with one input and one output, both of floats, on `image` with the blocks whose element of `mask` is true, and writes the logits.
///
/// The lengths must be those of the artifact. Nothing is kept of the arguments. Errors:
/// SKIPGATE_STATUS_INVALID_ARGUMENT, SKIPGATE_STATUS_RUN; the session stays usable.
///
/// # Safety
///
/// `session` is null or live and used by no other thread; the arrays are null or of their lengths, and `logits` can be
/// written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skipgate_session_run(
    session: *mut SkipgateSession,
    image: *const f32,
    image_length: usize,
    mask: *const bool,
    gates: usize,
    logits: *mut f32,
    logits_length: usize,
) -> SkipgateStatus {
    // SAFETY: by the caller's promise.
    let Some(SkipgateSession { session, mask: own }) = (unsafe { session.as_mut() }) else {
        return invalid("the session is null");
    };
    // SAFETY: by the caller's promise; both are only read, during this call.
    let (Some(image), Some(mask)) = (unsafe { (elements(image, image_length), elements(mask, gates)) })
    else {
        return invalid("the image or the mask is null");
    };
    if own.as_slice() != mask {
        *own = mask.to_vec().into();
    }
    match session.run(image, own) {
        Ok(found) if !logits.is_null() && found.len() == logits_length => {
            // SAFETY: of that many elements by the caller's promise, and no part of the session's own.
            unsafe { logits.copy_from_nonoverlapping(found.as_ptr(), logits_length) };
            SkipgateStatus::Ok
        }
        Ok(found) => invalid(&format!("the place for the logits is null, or not of {} values", found.len())),
        Err(error) => failed(status_of(&error), error),
    }
}

/// Runs any network on `inputs`, in any order, with the blocks whose element of `mask` is true, and writes those of its
/// outputs that `outputs` names.
///
/// Nothing is kept of the arguments. Errors: SKIPGATE_STATUS_INVALID_ARGUMENT, SKIPGATE_STATUS_RUN; the session stays
/// usable.
///
/// # Safety
///
/// `session` is null or live and used by no other thread; the arrays are null or of their lengths; names are null or
/// NUL-terminated strings; every `data` is null or of its `bytes`, and those of `outputs` can be written to and do not
/// overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skipgate_session_run_named(
    session: *mut SkipgateSession,
    inputs: *const SkipgateInput,
    input_count: usize,
    mask: *const bool,
    gates: usize,
    outputs: *const SkipgateOutput,
    output_count: usize,
) -> SkipgateStatus {
    // SAFETY: by the caller's promise.
    let Some(SkipgateSession { session, mask: own }) = (unsafe { session.as_mut() }) else {
        return invalid("the session is null");
    };
    // SAFETY: by the caller's promise; all are only read, during this call.
    let (inputs, mask, outputs) =
        unsafe { (elements(inputs, input_count), elements(mask, gates), elements(outputs, output_count)) };
    let (Some(inputs), Some(mask), Some(outputs)) = (inputs, mask, outputs) else {
        return invalid("the inputs, the mask or the outputs are null");
    };
    if own.as_slice() != mask {
        *own = mask.to_vec().into();
    }
    let artifact = session.artifact().clone();
    // SAFETY: by the caller's promise.
    let inputs = match unsafe { tensor::given(artifact.manifest().inputs(), inputs) } {
        Ok(inputs) => inputs,
        Err(wrong) => return invalid(&wrong),
    };
    let found = match session.run_named(&inputs, own) {
        Ok(found) => found,
        Err(error) => return failed(status_of(&error), error),
    };
    // SAFETY: by the caller's promise.
    match unsafe { tensor::copy_out(found, outputs) } {
        Ok(()) => SkipgateStatus::Ok,
        Err(wrong) => invalid(&wrong),
    }
}

/// Whose fault `error` is.
fn status_of(error: &Error) -> SkipgateStatus {
    match error {
        Error::Mask(_) | Error::Input { .. } | Error::Inputs { .. } | Error::NotOneF32(_) => {
            SkipgateStatus::InvalidArgument
        }
        _ => SkipgateStatus::Run,
    }
}
