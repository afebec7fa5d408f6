//! Progress of long work, on standard error and on terminals only.

#[cfg(feature = "compiler")]
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// For work that does not say how far it is.
#[cfg(feature = "compiler")]
pub(crate) fn spinner(message: String) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(message);
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

/// For `count` things, with the time left.
pub(crate) fn bar(count: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len}, {eta} left {msg}");
    ProgressBar::new(count as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
