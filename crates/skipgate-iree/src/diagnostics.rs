//! What the compiler says when it fails, in a line that people can do something with.
//!
//! A diagnostic begins with a location, in which the importer put operators and names of nodes, and may end in the IR that
//! it is about.

use crate::CompileError;

/// Longest reason that is shown; whatever is behind it is IR.
const LONGEST: usize = 160;

/// The error of a step that failed with these diagnostics.
pub(crate) fn failure(phase: &'static str, diagnostics: Vec<String>) -> CompileError {
    let mut nodes: Vec<String> = Vec::new();
    for node in diagnostics.iter().flat_map(|diagnostic| labels(location(diagnostic).0)) {
        if !nodes.contains(&node) {
            nodes.push(node);
        }
    }
    let first = diagnostics.first().map(|diagnostic| reason(location(diagnostic).1));
    let reason = first.unwrap_or_else(|| "it does not say why".to_owned());
    CompileError::Compiler { phase, nodes, reason, diagnostics }
}

/// The location that `diagnostic` begins with, and what it says.
fn location(diagnostic: &str) -> (&str, &str) {
    if !diagnostic.starts_with("loc(") {
        return ("", diagnostic);
    }
    let (mut depth, mut in_text, mut is_escaped) = (0, false, false);
    for (place, character) in diagnostic.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if in_text => is_escaped = true,
            '"' => in_text = !in_text,
            '(' if !in_text => depth += 1,
            ')' if !in_text => {
                depth -= 1;
                if depth == 0 {
                    let (location, rest) = diagnostic.split_at(place + 1);
                    return (location, rest.trim_start_matches([':', ' ']));
                }
            }
            _ => {}
        }
    }
    ("", diagnostic)
}

/// The operators and names of nodes in `location`.
fn labels(location: &str) -> Vec<String> {
    let mut labels = Vec::new();
    let mut rest = location;
    while let Some((_, text)) = rest.split_once('"') {
        let (label, behind) = unquoted(text);
        // A line of a file is none, and neither is what this program adds.
        let is_file = behind.starts_with(':');
        if !is_file && !label.starts_with("Constant ") && !label.starts_with("skipgate ") {
            labels.push(label);
        }
        rest = behind;
    }
    labels
}

/// The string that `text` begins with, without the quotation mark that ends it, and what is behind that.
fn unquoted(text: &str) -> (String, &str) {
    let mut label = Vec::new();
    let mut rest = text.as_bytes();
    loop {
        match *rest {
            [b'\\', high, low, ref behind @ ..] if hex(high, low).is_some() => {
                label.extend(hex(high, low));
                rest = behind;
            }
            [b'\\', escaped, ref behind @ ..] => {
                label.push(escaped);
                rest = behind;
            }
            [b'"', ref behind @ ..] => {
                rest = behind;
                break;
            }
            [byte, ref behind @ ..] => {
                label.push(byte);
                rest = behind;
            }
            [] => break,
        }
    }
    (String::from_utf8_lossy(&label).into_owned(), &text[text.len() - rest.len()..])
}

/// The byte that MLIR writes as two digits.
fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// `message` without the IR behind it.
fn reason(message: &str) -> String {
    let ends = [": %", ": \"", ": (", "\n"].iter().filter_map(|start| message.find(start));
    let reason = &message[..ends.min().unwrap_or(message.len())];
    reason.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(diagnostics: &[&str]) -> (Vec<String>, String) {
        let diagnostics = diagnostics.iter().map(|&text| text.to_owned()).collect();
        match failure("compiling", diagnostics) {
            CompileError::Compiler { nodes, reason, .. } => (nodes, reason),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_location_names_nodes_and_ir_is_left_out() {
        let (nodes, reason) = parts(&[
            r#"loc("Rolu layer1/act(x)"): failed to legalize operation 'torch.operator': %1 = "torch.operator"(%0) <{name = "onnx.Rolu"}>"#,
            r#"loc(fused["Add \22a\22", "model.mlir":3:7, "Constant c", callsite("Mul b" at "Add \"a\"")]): more"#,
        ]);
        assert_eq!(nodes, ["Rolu layer1/act(x)", r#"Add "a""#, "Mul b"]);
        assert_eq!(reason, "failed to legalize operation 'torch.operator'");
    }

    #[test]
    fn what_has_no_location_is_said_all_the_same() {
        let said = parts(&["loc(unknown): it is: too much", "loc(\"Mul b\""]);
        assert_eq!(said, (vec![], "it is: too much".to_owned()));
        assert_eq!(parts(&[]).1, "it does not say why");
    }
}
