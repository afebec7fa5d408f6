//! Running a network.

use std::ffi::c_void;

use skipgate_runtime::{Device, Error, Session, SkipMask};

use crate::artifact::SkipgateArtifact;
use crate::status::{SkipgateStatus, elements, failed, free, hand_out, invalid, put};
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

/// Runs a network with one input and one output, both of floats, on `image` with the blocks whose element of `mask` is true, and
/// writes the logits. Both `logits` null and `logits_length` 0 write nothing; skipgate_session_output then gives them without a copy.
///
/// The lengths must be those of the artifact; that of the mask is checked before it is read, and each of its elements must be
/// 0 or 1. Nothing is kept of the arguments, and nothing is allocated on this side of IREE. Errors:
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
    // SAFETY: by the caller's promise; it is only read, during this call.
    if let Err(wrong) = unsafe { set_mask(own, mask, gates) } {
        return invalid(&wrong);
    }
    // SAFETY: by the caller's promise; it is only read, during this call.
    let Some(image) = (unsafe { elements(image, image_length) }) else { return invalid("the image is null") };
    match session.run(image, own) {
        Ok(_) if logits.is_null() && logits_length == 0 => SkipgateStatus::Ok,
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
    // SAFETY: by the caller's promise; it is only read, during this call.
    if let Err(wrong) = unsafe { set_mask(own, mask, gates) } {
        return invalid(&wrong);
    }
    // SAFETY: by the caller's promise; both are only read, during this call.
    let (inputs, outputs) = unsafe { (elements(inputs, input_count), elements(outputs, output_count)) };
    let (Some(inputs), Some(outputs)) = (inputs, outputs) else {
        return invalid("the inputs or the outputs are null");
    };
    let specs = session.artifact().manifest().inputs();
    // SAFETY: by the caller's promise.
    if let Err(wrong) = unsafe { tensor::check(specs, inputs) } {
        return invalid(&wrong);
    }
    // SAFETY: by the caller's promise.
    let found = match session.run_with(|spec| unsafe { tensor::given(spec, inputs) }, own) {
        Ok(found) => found,
        Err(error) => return failed(status_of(&error), error),
    };
    // SAFETY: by the caller's promise.
    match unsafe { tensor::copy_out(found, outputs) } {
        Ok(()) => SkipgateStatus::Ok,
        Err(wrong) => invalid(&wrong),
    }
}

/// An output of the last run, without a copy: where its elements are, in row-major order, and how many bytes. Before the
/// first run they are zero.
///
/// They belong to the session and are valid until it runs again or is freed. Errors: SKIPGATE_STATUS_INVALID_ARGUMENT.
///
/// # Safety
///
/// `session` is null or live and used by no other thread; `data` and `bytes` are null or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skipgate_session_output(
    session: *const SkipgateSession,
    number: usize,
    data: *mut *const c_void,
    bytes: *mut usize,
) -> SkipgateStatus {
    // SAFETY: by the caller's promise.
    let Some(session) = (unsafe { session.as_ref() }) else { return invalid("the session is null") };
    let Some((spec, elements)) = session.session.outputs().iter().nth(number) else {
        return invalid("there is no output of that number");
    };
    // SAFETY: by the caller's promise about `data`.
    match unsafe { put(tensor::address(elements), data) } {
        // SAFETY: by the caller's promise about `bytes`.
        SkipgateStatus::Ok => unsafe { put(tensor::bytes(spec), bytes) },
        wrong => wrong,
    }
}

/// Makes `own` the mask at `mask`, in the memory that it has. `Err` says in words what is wrong; then `own` is as before.
///
/// The length is checked before anything is read, and the bytes before any of them counts as a `bool`.
///
/// # Safety
///
/// `mask` is null or points to `gates` bytes.
unsafe fn set_mask(own: &mut SkipMask, mask: *const bool, gates: usize) -> Result<(), String> {
    if gates != own.len() {
        return Err(format!("the mask has {gates} entries, the model has {} gates", own.len()));
    }
    // SAFETY: of that many bytes by the caller's promise, and every byte is a u8.
    let bytes = unsafe { elements(mask.cast::<u8>(), gates) }.ok_or("the mask is null")?;
    if let Some((gate, byte)) = bytes.iter().enumerate().find(|(_, byte)| **byte > 1) {
        return Err(format!("the mask has {byte} at gate {gate}; expected 0 (skip) or 1 (run)"));
    }
    // SAFETY: as above, and each byte is 0 or 1, which are the values of a bool.
    let run = unsafe { elements(mask, gates) }.unwrap_or_default();
    own.set(run).map_err(|error| error.to_string())
}

/// Whose fault `error` is.
fn status_of(error: &Error) -> SkipgateStatus {
    match error {
        Error::Mask(_)
        | Error::Input { .. }
        | Error::Index { .. }
        | Error::Inputs { .. }
        | Error::NotOneF32(_) => SkipgateStatus::InvalidArgument,
        _ => SkipgateStatus::Run,
    }
}
