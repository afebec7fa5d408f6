//! The rows as a page for people.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::row::{Export, Outcome, Row};

const INTRODUCTION: &str = "\
# Networks that were tried

<!-- Written by `cargo xtask networks`; do not edit. -->

Residual networks of torchvision (`tv_` in front) and timm as `torch.onnx.export` writes them, by its older exporter
(`torchscript`, which is `dynamo=False`) and its newer one (`dynamo`), for several operator sets; where the newer one could
not write the operator set that was asked for, the one that it wrote is in parentheses. Each was gated with the default
selection, compiled, and compared with ONNX Runtime, which runs the model without the blocks that a mask skips: all blocks,
none, each one alone skipped and random masks, at least 8 where there are so many, on two images. The figure is the largest
difference of an output, relative to the largest one of the image. One above 1e-4 is of a network that is so badly
conditioned, with random weights, that inputs off by a unit in the last place move its outputs by a hundredth of that or more.

Weights are random, as the library draws them. What starts as a constant is drawn again, so that no block is negligible and
no fold trivial: scales of normalisations and layers, 1e-6 or 0 at first in many networks, lie between 0.5 and 1, shifts and
embeddings of zeros around 0 with a deviation of 0.2; batch normalisations have the statistics of what they normalise,
disturbed. Images are as small as the network takes them, and there are 10 classes.

`blocks` are residual blocks of any kind, `gates` those that can be skipped, but for the first of each run of equal blocks.
";

/// The page.
pub(super) fn markdown(rows: &[Row]) -> String {
    let mut page = format!("{INTRODUCTION}\n{}\n\n", summary(rows));
    page += "| family | network | image | exporter | operator set | blocks | gates | host | odroid-xu4 |\n";
    page += "|---|---|---:|---|---|---:|---:|---:|---:|\n";
    for row in rows {
        page += &line(row);
    }
    let problems: Vec<_> = rows.iter().filter_map(problem).collect();
    if !problems.is_empty() {
        page += "\n## What did not work, and why\n\n";
        page += &problems.concat();
    }
    page
}

/// How many of what.
pub(super) fn summary(rows: &[Row]) -> String {
    let distinct = |key: &dyn Fn(&Row) -> String| rows.iter().map(key).collect::<BTreeSet<_>>().len();
    let equal = |outcome: &Option<Outcome>| matches!(outcome, Some(Outcome::Equal { .. }));
    let exported: Vec<_> = rows.iter().filter(|row| !matches!(row.export, Export::Failed { .. })).collect();
    let board: Vec<_> = exported.iter().filter(|row| row.board.is_some()).collect();
    let mut text = format!(
        "{} networks of {} families in {} rows; the exporter failed on {} of them. {} of the other {} are right on the host",
        distinct(&|row| row.listed.network.clone()),
        distinct(&|row| row.listed.family.clone()),
        rows.len(),
        rows.len() - exported.len(),
        exported.iter().filter(|row| equal(&row.host)).count(),
        exported.len(),
    );
    if !board.is_empty() {
        let right = board.iter().filter(|row| equal(&row.board)).count();
        // Writing into a string does not fail.
        let _ = write!(text, ", {right} of {} that were tried on the board, under qemu-arm", board.len());
    }
    text + "."
}

fn line(row: &Row) -> String {
    let listed = &row.listed;
    let (opset, blocks, gates) = match &row.export {
        Export::Written { opset, blocks, gates } => {
            let written = if *opset == listed.opset { String::new() } else { format!(" ({opset})") };
            (written, blocks.to_string(), gates.to_string())
        }
        Export::Unread | Export::Failed { .. } => (String::new(), "-".to_owned(), "-".to_owned()),
    };
    let outcome = |outcome: &Option<Outcome>| outcome.as_ref().map_or_else(String::new, Outcome::short);
    let host = match &row.export {
        Export::Failed { .. } => "not exported".to_owned(),
        _ => outcome(&row.host),
    };
    format!(
        "| {} | {} | {} | {} | {}{opset} | {blocks} | {gates} | {host} | {} |\n",
        listed.family,
        listed.network,
        listed.size,
        listed.exporter,
        listed.opset,
        outcome(&row.board),
    )
}

/// What a row has to explain.
fn problem(row: &Row) -> Option<String> {
    let reason = if let Export::Failed { error } = &row.export {
        format!("the exporter says: {}", shortened(error))
    } else {
        let problem = |outcome: &Option<Outcome>| outcome.as_ref().and_then(Outcome::problem);
        shortened(&problem(&row.host).or_else(|| problem(&row.board))?)
    };
    Some(format!("- `{}`: {reason}\n", row.listed.name))
}

/// The first words of a message, on one line.
fn shortened(message: &str) -> String {
    const LONGEST: usize = 260;
    let words =
        message.split_whitespace().filter(|word| !word.contains('\u{1b}')).collect::<Vec<_>>().join(" ");
    if words.chars().count() <= LONGEST {
        return words;
    }
    words.chars().take(LONGEST).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str) -> Row {
        let listed = r#""name":"a.dynamo.13","family":"A","network":"a","size":64,"options":"","exporter":"dynamo","opset":13"#;
        serde_json::from_str(&format!("{{{listed},{text}}}")).unwrap()
    }

    #[test]
    fn a_row_says_what_was_written_and_how_far_off_it_is() {
        let right = row(
            r#""export":{"written":{"opset":18,"blocks":3,"gates":2}},"host":{"equal":{"gates":2,"worst":1.24e-6}}"#,
        );
        assert_eq!(line(&right), "| A | a | 64 | dynamo | 13 (18) | 3 | 2 | 1.2e-6 |  |\n");
        assert_eq!(problem(&right), None);
        let failed = row(r#""export":{"failed":{"error":"no \u001b[96mway\u001b[0m"}}"#);
        assert_eq!(line(&failed), "| A | a | 64 | dynamo | 13 | - | - | not exported |  |\n");
        assert_eq!(problem(&failed).unwrap(), "- `a.dynamo.13`: the exporter says: no\n");
        let refused = row(r#""export":"unread","host":{"refused":{"error":"node `x` (Foo):\n no"}}"#);
        assert_eq!(problem(&refused).unwrap(), "- `a.dynamo.13`: node `x` (Foo): no\n");
        let summary = summary(&[right, failed, refused]);
        assert!(
            summary.ends_with("failed on 1 of them. 1 of the other 2 are right on the host."),
            "{summary}"
        );
    }
}
