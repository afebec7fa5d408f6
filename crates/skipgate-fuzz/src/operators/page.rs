//! The page that shows which operators are supported.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::support::{NETWORKS, Operator, Support, Tally};

/// The columns: a target and what it is called.
const TARGETS: [(&str, &str); 2] = [("host", "host"), ("odroid-xu4", "armv7")];

/// The page as Markdown.
pub(super) fn text(support: &Support) -> String {
    let mut text = String::from(HEAD);
    for (target, name) in TARGETS {
        let total = support.total(target);
        let line = support.line(target);
        let line = if total == Tally::default() { format!("{name}: not measured") } else { line };
        let _ = writeln!(text, "- {line}");
    }
    text.push_str(
        "\n| operator | operator sets | host | armv7 | not compiled, and why |\n|---|---|---|---|---|\n",
    );
    let (networks, operators): (Vec<_>, Vec<_>) =
        support.operators.iter().partition(|(name, _)| *name == NETWORKS);
    for (name, operator) in operators.into_iter().chain(networks) {
        text.push_str(&row(name, operator));
    }
    text
}

const HEAD: &str = "\
# Operators

<!-- `cargo xtask operators` writes this page from operators.json. -->

What became of the test cases that ONNX has for each of its operators: compiled without gates, run, and compared with what
the case expects, within ONNX's own tolerances (and two units in the last place of 16-bit floats and of the largest
expected value). *n of m* are the cases that are right, of those whose inputs and outputs
are tensors of the seven element types that a compiled network takes and gives; a case that is not right is refused with
an error that names the node. Cases count for their operator in both forms, as one node and written out in simpler
operators. Inputs that decide about a shape (the `shape` of a `Reshape`, say), whether a `Dropout` trains and the exponents
of a `Pow` are compiled in as constants where the case does not compile without, as they are in exported networks.

";

fn row(name: &str, operator: &Operator) -> String {
    let (first, last) = operator.opsets;
    let opsets = if first == last { first.to_string() } else { format!("{first} to {last}") };
    let cells = TARGETS.map(|(target, _)| operator.targets.get(target).map_or_else(String::new, cell));
    let reasons = operator.targets.get(TARGETS[0].0).map_or_else(String::new, reasons);
    format!("| {name} | {opsets} | {} | {reasons} |\n", cells.join(" | "))
}

fn cell(tally: &Tally) -> String {
    let mut cell = match tally.in_scope() {
        0 => "out of scope".to_owned(),
        in_scope => format!("{} of {in_scope}", tally.right),
    };
    for (count, what) in [(tally.wrong, "WRONG"), (tally.crash, "CRASH")] {
        if count > 0 {
            let _ = write!(cell, ", {count} {what}");
        }
    }
    cell
}

/// Why cases are refused, and which ones have no tensors that a compiled network takes.
fn reasons(tally: &Tally) -> String {
    let each = |reasons: &BTreeMap<String, usize>| {
        let texts = reasons.iter().map(|(reason, count)| format!("{count}: {}", escaped(reason)));
        texts.collect::<Vec<_>>()
    };
    let mut texts = each(&tally.refused);
    let out_of_scope = each(&tally.out_of_scope);
    texts.extend(out_of_scope.into_iter().map(|text| format!("{text} (out of scope)")));
    texts.join("<br>")
}

/// `text` in a cell of a table.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_what_is_right_and_why_the_rest_is_not() {
        let tally = Tally {
            right: 3,
            crash: 1,
            refused: [("(Mish): a|b".to_owned(), 2)].into(),
            out_of_scope: [("a sequence".to_owned(), 1)].into(),
            ..Tally::default()
        };
        let operator = Operator { opsets: (18, 22), targets: [("host".to_owned(), tally)].into() };
        assert_eq!(
            row("Mish", &operator),
            "| Mish | 18 to 22 | 3 of 6, 1 CRASH |  | 2: (Mish): a\\|b<br>1: a sequence (out of scope) |\n"
        );
    }

    #[test]
    fn what_is_not_measured_is_said() {
        assert!(text(&Support::default()).contains("- armv7: not measured\n"));
    }
}
