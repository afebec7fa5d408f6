//! Results on standard output: one serialisable value, printed as JSON or as text.

use std::io::{self, Write as _};

use anyhow::{Context as _, Result};
use comfy_table::{Table, presets};
use serde::Serialize;

use crate::cli::Format;

/// What a command found.
pub(crate) trait Report: Serialize {
    /// The form for people.
    fn text(&self) -> String;
}

/// Prints `report` in the form asked for.
pub(crate) fn print(report: &impl Report, format: Format) -> Result<()> {
    let text = match format {
        Format::Text => report.text(),
        Format::Json => serde_json::to_string_pretty(report)?,
    };
    match writeln!(io::stdout().lock(), "{}", text.trim_end()) {
        // The reader of a pipe may have seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// A table without lines, its numbers as they come.
pub(crate) fn table<'a>(header: impl IntoIterator<Item = &'a str>) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header.into_iter().collect::<Vec<_>>());
    table
}

/// `1 gate` or `2 gates`.
pub(crate) fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// `40.6 M`: three significant digits and the unit prefix.
#[cfg(feature = "compiler")]
pub(crate) fn si(number: u64) -> String {
    let mut scaled = number as f64;
    for prefix in ["", " k", " M", " G"] {
        if scaled < 999.5 || prefix == " G" {
            let decimals =
                if prefix.is_empty() || scaled >= 99.95 { 0 } else { usize::from(scaled < 9.995) + 1 };
            return format!("{scaled:.decimals$}{prefix}");
        }
        scaled /= 1000.0;
    }
    unreachable!("the last prefix takes every number")
}

#[cfg(all(test, feature = "compiler"))]
mod tests {
    use super::si;

    #[test]
    fn numbers_have_three_digits_and_a_prefix() {
        let cases = [(0, "0"), (999, "999"), (1000, "1.00 k"), (4_718_592, "4.72 M"), (40_600_000, "40.6 M")];
        for (number, text) in cases {
            assert_eq!(si(number), text);
        }
        assert_eq!(si(999_500_000_000_000), "999500 G");
    }
}
