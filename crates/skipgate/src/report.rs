//! Results on standard output: one serialisable value, printed as JSON or as text.

use std::io::{self, Write as _};
use std::path::Path;

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
    print_text(&text)
}

/// Prints `text` as it is, with one line break behind it.
pub(crate) fn print_text(text: &str) -> Result<()> {
    match writeln!(io::stdout().lock(), "{}", text.trim_end()) {
        // The reader of a pipe may have seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// Writes `report` to the file `path` as JSON.
pub(crate) fn write(report: &impl Report, path: &Path) -> Result<()> {
    let mut text = serde_json::to_string_pretty(report)?;
    text.push('\n');
    Ok(fs_err::write(path, text)?)
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
