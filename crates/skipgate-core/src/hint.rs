//! What to do about an error.

/// Errors say what happened; a hint says what to try next. Only the command line prints hints.
pub trait Hint {
    /// One line in the imperative, without a full stop, or `None` when the message says it all.
    fn hint(&self) -> Option<String>;
}
