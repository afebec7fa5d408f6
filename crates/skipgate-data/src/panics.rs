//! Panics of decoders at damaged files, as errors.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};

thread_local! {
    /// Whether a panic of this thread becomes an error.
    static CATCHES: Cell<bool> = const { Cell::new(false) };
}

/// Does not print panics that become errors of this crate, which say the same. It is for programs, which may have one hook for
/// panics; all others go on to the one that there was.
pub fn hide_caught_panics() {
    let others = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !CATCHES.get() {
            others(panic);
        }
    }));
}

/// What `work` gives, or the message of its panic. What it has borrowed must not be used after a panic; its result is all there
/// is to use.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let outer = CATCHES.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    CATCHES.set(outer);
    result.map_err(|payload| message(payload.as_ref()))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "it did not say why".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_message() {
        assert_eq!(caught(|| 3), Ok(3));
        let three = 3;
        assert_eq!(caught(|| panic!("{three} things")), Err::<(), _>("3 things".to_owned()));
        assert_eq!(caught(|| panic!("a thing")), Err::<(), _>("a thing".to_owned()));
        assert!(!CATCHES.get());
    }
}
