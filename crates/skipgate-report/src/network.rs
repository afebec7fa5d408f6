//! The network in the order in which it runs, with the blocks that can be skipped, and what each of them is worth.

use maud::{Markup, html};
use skipgate_core::{Gate, SkipMask, si};

use crate::view::View;

/// A part of the network.
enum Piece {
    /// Kernel calls that every mask makes, by the names of their ONNX nodes.
    Always(Vec<String>),
    /// The block behind a gate.
    Gate(usize),
}

/// Pieces that stand together.
struct Group {
    /// The segment of its gates; `None` for what comes behind the last gate.
    segment: Option<usize>,
    pieces: Vec<Piece>,
}

/// The network under `mask`.
pub(crate) fn network(view: &View, mask: &SkipMask) -> Markup {
    html! {
        div.network {
            @for group in groups(view) {
                section.segment {
                    h3 { @match group.segment { Some(number) => { "Segment " (number) } None => { "Output" } } }
                    div.blocks { @for piece in &group.pieces { (self::piece(view, piece, mask)) } }
                }
            }
        }
    }
}

fn piece(view: &View, piece: &Piece, mask: &SkipMask) -> Markup {
    match piece {
        Piece::Always(nodes) => html! {
            div.always title=(nodes.join("\n")) { span.state { "always" } span.size { (layers(nodes.len())) } }
        },
        Piece::Gate(number) => {
            let Gate { block, macs, parameters, .. } = &view.report.manifest.gates[*number];
            let run = mask.as_slice()[*number];
            html! {
                button.block type="button" data-gate=(number) data-macs=(macs) data-parameters=(parameters)
                    aria-pressed=(run) title=(block)
                    aria-label={ "Gate " (number) ", block " (block) ", " (si(*macs)) " MACs" } {
                    span.number { (number) }
                    span.state { (if run { "run" } else { "skip" }) }
                    span.size { (si(*macs)) }
                }
            }
        }
    }
}

fn layers(count: usize) -> String {
    format!("{count} node{}", if count == 1 { "" } else { "s" })
}

/// The pieces by segment. What runs always stands with the gates behind it.
fn groups(view: &View) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut waiting = Vec::new();
    for piece in pieces(view) {
        let Piece::Gate(number) = piece else {
            waiting.push(piece);
            continue;
        };
        let segment = Some(view.report.manifest.gates[number].segment);
        if groups.last().is_none_or(|last| last.segment != segment) {
            groups.push(Group { segment, pieces: Vec::new() });
        }
        if let Some(last) = groups.last_mut() {
            last.pieces.append(&mut waiting);
            last.pieces.push(piece);
        }
    }
    if !waiting.is_empty() {
        groups.push(Group { segment: None, pieces: waiting });
    }
    groups
}

/// From the list of kernel calls; without one, the gates alone.
fn pieces(view: &View) -> Vec<Piece> {
    let gates = view.report.manifest.gates.len();
    let mut pieces = Vec::new();
    let mut seen = vec![false; gates];
    for dispatch in &view.report.dispatches {
        match dispatch.gate {
            Some(gate) if std::mem::replace(&mut seen[gate], true) => {}
            Some(gate) => pieces.push(Piece::Gate(gate)),
            None => match pieces.last_mut() {
                Some(Piece::Always(nodes)) => nodes.extend(dispatch.nodes.iter().cloned()),
                _ => pieces.push(Piece::Always(dispatch.nodes.clone())),
            },
        }
    }
    // A gate may have no kernel call of its own; the mask has it nevertheless.
    pieces.extend((0..gates).filter(|gate| !seen[*gate]).map(Piece::Gate));
    pieces
}

/// What each block is worth, as bars and as a table.
pub(crate) fn blocks(view: &View, mask: &SkipMask) -> Markup {
    let worth = view.report.exploration.as_ref().map(|exploration| &exploration.explored.single_skips[..]);
    let most = worth.unwrap_or_default().iter().map(|lost| lost.abs()).fold(1e-9, f64::max);
    html! {
        div.scroll tabindex="0" role="region" aria-label="Table of blocks" {
            table.blocks-table {
                thead {
                    tr {
                        th.number scope="col" { "gate" } th scope="col" { "block" } th.number scope="col" { "segment" }
                        th.number scope="col" { "MACs" } th.number scope="col" { "parameters" }
                        @if worth.is_some() { th colspan="2" scope="col" { "points lost if skipped alone" } }
                        th scope="col" { "now" }
                    }
                }
                tbody {
                    @for (number, gate) in view.report.manifest.gates.iter().enumerate() {
                        tr data-row=(number) {
                            td.number { (number) } th.name scope="row" { (gate.block) } td.number { (gate.segment) }
                            td.number { (si(gate.macs)) } td.number { (si(gate.parameters)) }
                            @if let Some(worth) = worth {
                                td.number { (format!("{:.2}", 100.0 * worth[number])) }
                                td.worth { (bar(worth[number] / most)) }
                            }
                            td.state { (if mask.as_slice()[number] { "run" } else { "skip" }) }
                        }
                    }
                }
            }
        }
    }
}

/// A bar from the middle: to the right what is lost, to the left what is gained.
fn bar(share: f64) -> Markup {
    let width = 60.0 * share.abs();
    let x = if share < 0.0 { 60.0 - width } else { 60.0 };
    html! {
        svg.bar viewBox="0 0 120 12" preserveAspectRatio="none" aria-hidden="true" {
            rect.(if share < 0.0 { "gain" } else { "loss" }) x=(format!("{x:.1}")) y="2" width=(format!("{width:.1}")) height="8" {}
            line.axis x1="60" x2="60" y1="0" y2="12" {}
        }
    }
}
