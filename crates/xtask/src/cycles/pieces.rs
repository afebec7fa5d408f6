//! Which pieces of code one inference runs, and how often: what a longer run has beyond a shorter one.

use std::collections::HashMap;

use super::assembly::{anywhere, branch_target};
use crate::profile::PAGE;
use crate::setup::qemu::{Block, Mode};

/// A block of instructions, wherever it was loaded.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Piece {
    /// What it is part of.
    pub(super) place: String,
    pub(super) mode: Mode,
    pub(super) code: Vec<String>,
    /// Whether it ends with a branch to its own beginning: an inner loop.
    pub(super) repeats: bool,
    /// Per inference.
    pub(super) runs: f64,
}

impl Piece {
    /// Instructions of one inference.
    pub(super) fn executed(&self) -> f64 {
        self.runs * self.code.len() as f64
    }

    /// Whether QEMU could disassemble it: otherwise it writes nothing, or `.byte 0xe0`.
    pub(super) fn is_readable(&self) -> bool {
        self.code.iter().all(|instruction| !instruction.is_empty() && !instruction.starts_with('.'))
    }
}

/// What identifies a piece in another run: libraries move by whole pages.
#[derive(PartialEq, Eq, Hash)]
struct Identity {
    place_in_page: u64,
    mode: Mode,
    repeats: bool,
    code: Vec<String>,
}

impl Identity {
    fn of(block: &Block) -> Self {
        let target = block.code.last().and_then(|instruction| branch_target(instruction));
        Self {
            place_in_page: block.address % PAGE,
            mode: block.mode,
            repeats: target == Some(block.address),
            code: block.code.iter().map(|instruction| anywhere(instruction)).collect(),
        }
    }
}

/// How often each block ran; QEMU may translate one several times.
fn runs(blocks: &[Block]) -> HashMap<Identity, u64> {
    let mut runs = HashMap::new();
    for block in blocks {
        *runs.entry(Identity::of(block)).or_default() += block.runs;
    }
    runs
}

/// The pieces that one inference runs, those with the most instructions first, from the blocks of a run of some
/// inferences and of one with `more`. `place` says what a block of the longer run is part of.
pub(super) fn per_inference(
    few: &[Block],
    many: &[Block],
    more: usize,
    place: impl Fn(&Block) -> String,
) -> Vec<Piece> {
    let before = runs(few);
    let places: HashMap<_, _> = many.iter().map(|block| (Identity::of(block), place(block))).collect();
    let piece = |(identity, runs): (Identity, u64)| {
        let runs = runs.saturating_sub(before.get(&identity).copied().unwrap_or(0));
        let place = places[&identity].clone();
        let Identity { mode, code, repeats, .. } = identity;
        Piece { place, mode, code, repeats, runs: runs as f64 / more as f64 }
    };
    let mut pieces: Vec<_> = runs(many).into_iter().map(piece).filter(|piece| piece.runs > 0.0).collect();
    pieces.sort_by(|a, b| b.executed().total_cmp(&a.executed()).then_with(|| a.code.cmp(&b.code)));
    pieces
}

/// The first pieces that together have at least this `share` of the instructions.
pub(super) fn covering(pieces: &[Piece], share: f64) -> &[Piece] {
    let all: f64 = pieces.iter().map(Piece::executed).sum();
    let mut covered = 0.0;
    let enough = pieces.iter().position(|piece| {
        covered += piece.executed();
        covered >= share * all
    });
    enough.map_or(pieces, |last| &pieces[..=last])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(address: u64, runs: u64, code: &[&str]) -> Block {
        let code = code.iter().map(|&instruction| instruction.to_owned()).collect();
        Block { address, runs, mode: Mode::Arm, code }
    }

    #[test]
    fn what_happens_once_per_program_cancels_out_wherever_it_was_loaded() {
        let few = [block(0x1010, 5, &["nop", "bne #0x1010"]), block(0x2020, 3, &["bl #0x1010"])];
        let many = [
            block(0x7010, 9, &["nop", "bne #0x7010"]),
            block(0x7010, 4, &["nop", "bne #0x7010"]),
            block(0x8020, 3, &["bl #0x7010"]),
        ];
        let pieces = per_inference(&few, &many, 2, |block| format!("{:#x}", block.address));
        let code = vec!["nop".to_owned(), "bne #4".to_owned()];
        let place = "0x7010".to_owned();
        assert_eq!(pieces, [Piece { place, mode: Mode::Arm, code, repeats: true, runs: 4.0 }]);
    }

    #[test]
    fn few_pieces_have_most_of_the_instructions() {
        let many = [block(0x10, 90, &["nop"]), block(0x20, 8, &["nop"]), block(0x30, 2, &["nop"])];
        let pieces = per_inference(&[], &many, 1, |_| String::new());
        let runs = |share| covering(&pieces, share).iter().map(|piece| piece.runs).collect::<Vec<_>>();
        assert_eq!(runs(0.9), [90.0]);
        assert_eq!(runs(0.95), [90.0, 8.0]);
        assert_eq!(runs(1.0), [90.0, 8.0, 2.0]);
    }
}
