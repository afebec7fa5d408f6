//! Errors.

use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::fmt::Display;

/// Whether a call worked. If not, skipgate_last_error tells what is wrong.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipgateStatus {
    /// It worked.
    Ok = 0,
    /// An argument is null, is no UTF-8 text, or has the wrong length; nothing was done.
    InvalidArgument = 1,
    /// The artifact cannot be opened: missing, damaged, or for another machine.
    Artifact = 2,
    /// The network cannot be loaded or failed while it ran.
    Run = 3,
    /// No configuration is left to choose from.
    Configurations = 4,
    /// The artifact does not say what is asked for.
    Absent = 5,
}

thread_local! {
    static MESSAGE: RefCell<CString> = RefCell::default();
}

/// Keeps the message of `error` for this thread.
pub(crate) fn failed(status: SkipgateStatus, error: impl Display) -> SkipgateStatus {
    let text = error.to_string().replace('\0', " ");
    MESSAGE.with_borrow_mut(|message| *message = CString::new(text).unwrap_or_default());
    status
}

/// An argument that cannot be.
pub(crate) fn invalid(what: &str) -> SkipgateStatus {
    failed(SkipgateStatus::InvalidArgument, what)
}

/// What was wrong with the last call of this thread that did not return SKIPGATE_STATUS_OK; empty if all worked.
///
/// The text belongs to the library and is valid until the next call of this thread that fails.
#[unsafe(no_mangle)]
pub extern "C" fn skipgate_last_error() -> *const c_char {
    MESSAGE.with_borrow(|message| message.as_ptr())
}

/// Writes `value` to where `out` points.
///
/// # Safety
///
/// `out` is null or can be written to.
pub(crate) unsafe fn put<T: Copy>(value: T, out: *mut T) -> SkipgateStatus {
    if out.is_null() {
        return invalid("the place for the result is null");
    }
    // SAFETY: not null, so valid for a write by the caller's promise.
    unsafe { out.write(value) };
    SkipgateStatus::Ok
}

/// Moves `value` to where `out` points.
///
/// # Safety
///
/// `out` is null or can be written to.
pub(crate) unsafe fn hand_out<T>(value: T, out: *mut *mut T) -> SkipgateStatus {
    let boxed = Box::into_raw(Box::new(value));
    // SAFETY: the caller's promise.
    let status = unsafe { put(boxed, out) };
    if status != SkipgateStatus::Ok {
        // SAFETY: nobody else has it.
        unsafe { free(boxed) };
    }
    status
}

/// Frees what `hand_out` handed out; null is passed over.
///
/// # Safety
///
/// `pointer` is null, or from `hand_out` and not used again.
pub(crate) unsafe fn free<T>(pointer: *mut T) {
    if !pointer.is_null() {
        // SAFETY: it came from `Box::into_raw`, and the caller gives it up.
        drop(unsafe { Box::from_raw(pointer) });
    }
}

/// The elements behind a pointer; `None` for null with elements.
///
/// # Safety
///
/// `pointer` is null or points to `count` elements that nobody writes to for as long as the result lives.
pub(crate) unsafe fn elements<'a, T>(pointer: *const T, count: usize) -> Option<&'a [T]> {
    if count == 0 {
        return Some(&[]);
    }
    // SAFETY: not null, and the caller promises the rest.
    (!pointer.is_null()).then(|| unsafe { std::slice::from_raw_parts(pointer, count) })
}
