//! The inner loop of products on 32-bit Arm, instruction by instruction.
//!
//! The compiler does not find loads of four vectors, and keeps more addresses and counters than there have to be: of what
//! stands here it makes 46 instructions where 40 or fewer do. `docs/kernels.md` has the figures.

use std::fmt::Write as _;
use std::ops::Range;

use super::product::Tile;

/// Quad registers, of four floats each.
const REGISTERS: usize = 16;
/// Floats of one, and channels of a round.
pub(super) const LANES: usize = 4;
/// Registers that one `vldmia` fills, at most: it names up to 16 halves.
const MOST_BY_ONE_LOAD: usize = 8;
/// Registers that one `vld1` fills, at most.
const MOST_BY_STEPPING_LOAD: usize = 2;
/// Rounds between two branches, at most.
const UNROLLED: usize = 4;
const BYTES: usize = LANES * size_of::<f32>();

/// Adds the products of some rounds of channels to the sums of a tile.
pub(super) struct Loop {
    pub(super) tile: Tile,
    pub(super) rounds: usize,
    /// Bytes from the factors of one channel to those of the next.
    pub(super) stride: usize,
}

/// Factors that come by one instruction: vector number `vector` of channel number `channel` of a round, and so on.
struct Load {
    factors: Vec<(usize, usize)>,
    text: String,
}

impl Loop {
    fn sums(&self) -> usize {
        self.tile.pixels * self.tile.vectors
    }

    /// Registers of the sums, pixel by pixel.
    fn registers(&self) -> Range<usize> {
        REGISTERS - self.sums()..REGISTERS
    }

    /// Rounds without a branch.
    fn unrolled(&self) -> usize {
        super::divisor(self.rounds, UNROLLED)
    }

    /// Times that the branch is met, if there is one.
    pub(super) fn turns(&self) -> Option<usize> {
        Some(self.rounds / self.unrolled()).filter(|turns| *turns > 1)
    }

    /// What the address of the factors is off by when those of a channel are loaded, where it is.
    pub(super) fn step(&self) -> Option<usize> {
        let loaded = (self.tile.vectors - 1) / MOST_BY_STEPPING_LOAD * MOST_BY_STEPPING_LOAD * BYTES;
        (self.stride != self.tile.vectors * BYTES).then_some(self.stride - loaded)
    }

    /// Operands that are written: the sums, the addresses of pixels, that of factors, and what is left of the turns.
    fn outputs(&self) -> usize {
        self.sums() + self.tile.pixels + 1 + usize::from(self.turns().is_some())
    }

    fn address_of_pixel(&self, pixel: usize) -> usize {
        self.sums() + pixel
    }

    fn address_of_factors(&self) -> usize {
        self.sums() + self.tile.pixels
    }

    /// In LLVM's words: every output is an input, too, and an input of its own is the step.
    pub(super) fn constraints(&self) -> String {
        let sums = self.registers().map(|register| format!("={{q{register}}}"));
        let others = (self.sums()..self.outputs()).map(|_| "=&r".to_owned());
        let inputs = (0..self.outputs()).map(|output| output.to_string());
        let step = self.step().map(|_| "r".to_owned());
        let used = (0..self.registers().start).map(|register| format!("~{{q{register}}}"));
        let others_used = ["~{cc}", "~{memory}"].map(str::to_owned);
        let all: Vec<_> =
            sums.chain(others).chain(inputs).chain(step).chain(used).chain(others_used).collect();
        all.join(",")
    }

    /// The instructions, one a line.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let turns = self.turns().map(|_| self.outputs() - 1);
        if turns.is_some() {
            let _ = writeln!(text, "1:");
        }
        for round in 0..self.unrolled() {
            if let Some(turns) = turns.filter(|_| round == 0) {
                let _ = writeln!(text, "subs ${turns}, ${turns}, #1");
            }
            self.round(&mut text);
        }
        if turns.is_some() {
            let _ = writeln!(text, "bne 1b");
        }
        text
    }

    /// Four channels.
    fn round(&self, text: &mut String) {
        for pixel in 0..self.tile.pixels {
            let address = self.address_of_pixel(pixel);
            let _ = writeln!(text, "vld1.32 {}, [${address}]!", halves(pixel..pixel + 1));
        }
        for load in self.loads() {
            text.push_str(&load.text);
            for (register, (channel, vector)) in (self.tile.pixels..).zip(load.factors) {
                for pixel in 0..self.tile.pixels {
                    let sum = self.registers().start + pixel * self.tile.vectors + vector;
                    let (half, lane) = (2 * pixel + channel / 2, channel % 2);
                    let _ = writeln!(text, "vmla.f32 q{sum}, q{register}, d{half}[{lane}]");
                }
            }
        }
    }

    /// The factors of a round, in the order that they stand in.
    fn loads(&self) -> Vec<Load> {
        let Tile { pixels, vectors } = self.tile;
        let all: Vec<_> =
            (0..LANES).flat_map(|channel| (0..vectors).map(move |vector| (channel, vector))).collect();
        let address = self.address_of_factors();
        if self.step().is_none() {
            let most = (self.registers().start - pixels).min(MOST_BY_ONE_LOAD);
            let size = super::divisor(all.len(), most);
            let text = format!("vldmia ${address}!, {}\n", halves(pixels..pixels + size));
            return all
                .chunks(size)
                .map(|factors| Load { factors: factors.to_vec(), text: text.clone() })
                .collect();
        }
        let step = 2 * self.outputs();
        let load = |factors: &[(usize, usize)]| {
            let is_last = factors.last().is_some_and(|(_, vector)| vector + 1 == vectors);
            let (registers, behind) = (
                halves(pixels..pixels + factors.len()),
                if is_last { format!(", ${step}") } else { "!".to_owned() },
            );
            Load { factors: factors.to_vec(), text: format!("vld1.32 {registers}, [${address}]{behind}\n") }
        };
        all.chunks(vectors).flat_map(|channel| channel.chunks(MOST_BY_STEPPING_LOAD)).map(load).collect()
    }
}

/// Quad registers as instructions that load name them: by their halves.
fn halves(quads: Range<usize>) -> String {
    format!("{{d{}-d{}}}", 2 * quads.start, 2 * quads.end - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inner(pixels: usize, vectors: usize, rounds: usize, stride: usize) -> Loop {
        Loop { tile: Tile { pixels, vectors }, rounds, stride }
    }

    #[test]
    fn a_round_without_a_branch_is_as_short_as_the_registers_allow() {
        let text = inner(2, 4, 1, 64).text();
        assert_eq!(text.lines().count(), 2 + 4 + 32, "{text}");
        assert!(
            text.starts_with("vld1.32 {d0-d1}, [$8]!\nvld1.32 {d2-d3}, [$9]!\nvldmia $10!, {d4-d11}\n"),
            "{text}"
        );
        assert!(text.ends_with("vmla.f32 q15, q5, d3[1]\n"), "{text}");
    }

    #[test]
    fn several_rounds_are_between_two_branches() {
        let text = inner(3, 3, 6, 48).text();
        assert_eq!(text.lines().count(), 3 * (3 + 3 + 36) + 3, "{text}");
        assert!(text.starts_with("1:\nsubs $13, $13, #1\n") && text.ends_with("bne 1b\n"), "{text}");
    }

    #[test]
    fn factors_that_do_not_follow_one_another_are_stepped_over() {
        let inner = inner(3, 3, 1, 400);
        assert_eq!(inner.step(), Some(400 - 32));
        let text = inner.text();
        assert!(
            text.contains("vld1.32 {d6-d9}, [$12]!\n") && text.contains("vld1.32 {d6-d7}, [$12], $26\n"),
            "{text}"
        );
    }

    #[test]
    fn no_tile_needs_more_registers_than_there_are() {
        for (pixels, vectors) in [(1, 1), (1, 8), (2, 4), (2, 3), (3, 3), (3, 2), (4, 2), (4, 1), (6, 1)] {
            for stride in [vectors * BYTES, 1000] {
                let inner = inner(pixels, vectors, 1, stride);
                let loads = inner.loads();
                let most = loads.iter().map(|load| load.factors.len()).max().unwrap();
                assert!(inner.sums() + pixels + most <= REGISTERS, "{pixels} x {vectors}");
                let all: Vec<_> = loads.iter().flat_map(|load| load.factors.clone()).collect();
                let expected =
                    (0..LANES).flat_map(|channel| (0..vectors).map(move |vector| (channel, vector)));
                assert_eq!(all, expected.collect::<Vec<_>>());
            }
        }
    }
}
