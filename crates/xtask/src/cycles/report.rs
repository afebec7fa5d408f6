//! The estimates as text and as JSON.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use super::mca::{MODELS, Model};
use super::pieces::Piece;

/// What is printed.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    models: [Model; 2],
    engines: Vec<Engine>,
    /// Ours to ncnn's.
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<Ratio>,
}

/// One inference of an engine.
#[derive(Debug, Serialize)]
pub(super) struct Engine {
    pub(super) name: &'static str,
    pub(super) instructions: f64,
    /// By model.
    pub(super) estimates: Vec<Estimate>,
    /// The blocks that take the most cycles by the first model.
    pub(super) hot: Vec<Hot>,
}

/// Cycles by one model.
#[derive(Debug, Serialize)]
pub(super) struct Estimate {
    cycles: f64,
    cycles_per_instruction: f64,
    /// Of the cycles: in blocks that branch to their own beginning.
    inner_loops: f64,
}

/// A block.
#[derive(Debug, Serialize)]
pub(super) struct Hot {
    place: String,
    inner_loop: bool,
    instructions: usize,
    runs: f64,
    /// Of one pass, by model.
    cycles: Vec<f64>,
    /// Of the cycles of what was analysed, by the first model.
    share: f64,
}

/// Our figures divided by another engine's.
#[derive(Debug, Serialize)]
struct Ratio {
    instructions: f64,
    /// By model.
    cycles: Vec<f64>,
}

impl Estimate {
    /// From the cycles of one pass of each piece; `instructions` are those of all pieces, also of those that were not
    /// analysed.
    pub(super) fn of(pieces: &[Piece], cycles: &[f64], instructions: f64) -> Self {
        let sum = |counts: &dyn Fn(&Piece) -> bool| -> f64 {
            pieces.iter().zip(cycles).filter(|(piece, _)| counts(piece)).map(|(p, c)| p.runs * c).sum()
        };
        let analysed: f64 = pieces.iter().map(Piece::executed).sum();
        let all = sum(&|_| true);
        let cycles_per_instruction = all / analysed;
        Self {
            cycles: cycles_per_instruction * instructions,
            cycles_per_instruction,
            inner_loops: sum(&|piece| piece.repeats) / all,
        }
    }
}

impl Hot {
    /// The `count` pieces that take the most, from the cycles of one pass by model and piece.
    pub(super) fn list(pieces: &[Piece], cycles: &[Vec<f64>], count: usize) -> Vec<Self> {
        let all: f64 = pieces.iter().zip(&cycles[0]).map(|(piece, cycles)| piece.runs * cycles).sum();
        let hot = |(index, piece): (usize, &Piece)| {
            let cycles: Vec<_> = cycles.iter().map(|cycles| cycles[index]).collect();
            Self {
                place: piece.place.clone(),
                inner_loop: piece.repeats,
                instructions: piece.code.len(),
                runs: piece.runs,
                share: piece.runs * cycles[0] / all,
                cycles,
            }
        };
        let mut list: Vec<_> = pieces.iter().enumerate().map(hot).collect();
        list.sort_by(|a, b| b.share.total_cmp(&a.share));
        list.truncate(count);
        list
    }
}

impl Report {
    pub(super) fn new(engines: Vec<Engine>) -> Self {
        let ratio = match &engines[..] {
            [own, other] => Some(Ratio {
                instructions: own.instructions / other.instructions,
                cycles: own
                    .estimates
                    .iter()
                    .zip(&other.estimates)
                    .map(|(a, b)| a.cycles / b.cycles)
                    .collect(),
            }),
            _ => None,
        };
        Self { models: MODELS, engines, ratio }
    }

    /// For a terminal.
    pub(super) fn text(&self) -> String {
        let mut text = self.summary();
        for Engine { name, hot, .. } in &self.engines {
            let _ = write!(text, "\n\nBlocks of {name}\n{}", self.blocks(hot));
        }
        text
    }

    fn summary(&self) -> String {
        let columns = |model: &Model| {
            [format!("cycles, {}", model.title), "per instruction".to_owned(), "in inner loops".to_owned()]
        };
        let titles = ["", "instructions"].map(str::to_owned);
        let mut table = table(titles.into_iter().chain(self.by_model(columns)));
        for Engine { name, instructions, estimates, .. } in &self.engines {
            let cells = estimates.iter().flat_map(|estimate| {
                [
                    millions(estimate.cycles),
                    format!("{:.2}", estimate.cycles_per_instruction),
                    percent(estimate.inner_loops),
                ]
            });
            table.add_row([(*name).to_owned(), millions(*instructions)].into_iter().chain(cells));
        }
        if let Some(Ratio { instructions, cycles }) = &self.ratio {
            let cells = cycles.iter().flat_map(|ratio| [format!("{ratio:.3}"), String::new(), String::new()]);
            table.add_row(["ratio".to_owned(), format!("{instructions:.3}")].into_iter().chain(cells));
        }
        table.trim_fmt()
    }

    fn blocks(&self, hot: &[Hot]) -> String {
        let titles = ["share", "runs", "instructions"].map(str::to_owned);
        let cycles = self.by_model(|model| [format!("cycles, {}", model.title)]);
        let last = ["inner loop", "where"].map(str::to_owned);
        let mut table = table(titles.into_iter().chain(cycles).chain(last));
        for block in hot {
            let mut row =
                vec![percent(block.share), format!("{:.0}", block.runs), block.instructions.to_string()];
            row.extend(block.cycles.iter().map(|cycles| format!("{cycles:.1}")));
            row.push(if block.inner_loop { "yes" } else { "no" }.to_owned());
            row.push(block.place.clone());
            table.add_row(row);
        }
        if let Some(place) = table.column_iter_mut().last() {
            place.set_cell_alignment(CellAlignment::Left);
        }
        table.trim_fmt()
    }

    fn by_model<const N: usize>(&self, columns: impl Fn(&Model) -> [String; N]) -> Vec<String> {
        self.models.iter().flat_map(columns).collect()
    }
}

/// A table with numbers to the right.
fn table(titles: impl Iterator<Item = String>) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(titles);
    for column in table.column_iter_mut() {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn millions(count: f64) -> String {
    format!("{:.2} M", count / 1e6)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::qemu::Mode;

    fn piece(place: &str, repeats: bool, length: usize, runs: f64) -> Piece {
        let code = vec!["nop".to_owned(); length];
        Piece { place: place.to_owned(), mode: Mode::Arm, code, repeats, runs }
    }

    /// 300 analysed instructions of 330.
    fn engine(name: &'static str, scale: f64) -> Engine {
        let pieces = [piece("head", false, 10, 10.0), piece("loop", true, 2, 100.0)];
        let cycles = [vec![5.0 * scale, 1.5 * scale], vec![20.0 * scale, 2.0 * scale]];
        let estimates = cycles.iter().map(|cycles| Estimate::of(&pieces, cycles, 330.0)).collect();
        Engine { name, instructions: 330.0, estimates, hot: Hot::list(&pieces, &cycles, 1) }
    }

    #[test]
    fn what_was_not_analysed_takes_as_many_cycles_per_instruction() {
        let Estimate { cycles, cycles_per_instruction, inner_loops } = &engine("skipgate", 1.0).estimates[0];
        assert!((cycles - 220.0).abs() < 1e-9, "{cycles}");
        assert!((cycles_per_instruction - 200.0 / 300.0).abs() < 1e-9, "{cycles_per_instruction}");
        assert!((inner_loops - 0.75).abs() < 1e-9, "{inner_loops}");
    }

    #[test]
    fn the_text_has_both_engines_their_ratio_and_the_hottest_block() {
        let text = Report::new(vec![engine("skipgate", 1.0), engine("ncnn", 2.0)]).text();
        for part in ["ratio", "0.500", "Blocks of ncnn", "75.0 %", "loop"] {
            assert!(text.contains(part), "no {part} in {text}");
        }
        assert!(!text.contains("head"), "{text}");
    }
}
