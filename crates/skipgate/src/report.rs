//! Results on standard output: one serialisable value, printed as JSON or as text.

use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use comfy_table::{Cell, ContentArrangement, Row, Table, presets};
use serde::Serialize;
use terminal_size::{Width, terminal_size_of};

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

/// A table without lines, its numbers as they come. Where the terminal is too narrow for it, long words wrap in their columns.
pub(crate) fn table<'a>(header: impl IntoIterator<Item = &'a str>) -> Table {
    table_within(terminal_size_of(io::stdout()).map(|(Width(columns), _)| columns), header)
}

/// The same for a terminal with so many columns.
fn table_within<'a>(columns: Option<u16>, header: impl IntoIterator<Item = &'a str>) -> Table {
    let mut table = bare_table(columns);
    table.set_header(header.into_iter().collect::<Vec<_>>());
    table
}

/// One without a header.
fn bare_table(columns: Option<u16>) -> Table {
    let mut table = Table::new();
    if let Some(columns) = columns {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(columns);
    }
    table.load_preset(presets::NOTHING);
    table
}

/// `table` as it is, or with a line for each of its columns where the terminal is too narrow for it: words of many narrow columns
/// come apart into pieces that nobody can read.
pub(crate) fn upright_if_narrow(table: Table) -> Table {
    upright_within(terminal_size_of(io::stdout()).map(|(Width(columns), _)| columns), table)
}

/// The same for a terminal with so many columns.
fn upright_within(columns: Option<u16>, table: Table) -> Table {
    // A blank on either side of each.
    let width: usize = table.column_max_content_widths().iter().map(|width| usize::from(*width) + 2).sum();
    if columns.is_none_or(|columns| width <= columns.into()) {
        return table;
    }
    let mut upright = bare_table(columns);
    for (place, title) in table.header().into_iter().flat_map(Row::cell_iter).enumerate() {
        let values = table.row_iter().filter_map(|row| row.cell_iter().nth(place));
        upright.add_row([title].into_iter().chain(values).map(Cell::content));
    }
    upright
}

/// `1 gate` or `2 gates`.
pub(crate) fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_terminal_gets_a_table_that_fits() {
        let table = |columns| {
            let mut table = table_within(columns, ["gate", "block", "MACs", "shortcut", "why"]);
            let why = "its shortcut has a convolution, so leaving out the block would change the shape";
            table.add_row(["-", "layer3.segment.0.block.17", "3.54 M", "parameter-free", why]);
            table.to_string()
        };
        let width = |text: &str| text.lines().map(|line| line.chars().count()).max().unwrap_or_default();
        assert!(width(&table(None)) > 100);
        assert_eq!(table(Some(200)).lines().count(), 2);
        let narrow = table(Some(60));
        assert!(width(&narrow) <= 60, "{narrow}");
        assert!(narrow.contains("convolution") && narrow.lines().count() > 2, "{narrow}");
    }

    #[test]
    fn a_table_of_many_columns_stands_upright_where_it_does_not_fit() {
        let table = |columns| {
            let mut table = table_within(columns, ["network", "accuracy", "processed"]);
            table.add_row(["gated", "94.26", "5783"]).add_row(["original", "95.00", "4000"]);
            let table = upright_within(columns, table).to_string();
            table
                .lines()
                .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
                .collect::<Vec<_>>()
        };
        let lying = ["network accuracy processed", "gated 94.26 5783", "original 95.00 4000"];
        assert_eq!([table(None), table(Some(80))], [lying, lying]);
        let upright = ["network gated original", "accuracy 94.26 95.00", "processed 5783 4000"];
        assert_eq!(table(Some(30)), upright);
    }
}
