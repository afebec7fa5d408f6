//! The inner loop of products on Arm, instruction by instruction.
//!
//! The compiler does not find loads of four vectors, and keeps more addresses and counters than there have to be: of what
//! stands here for 32 bits it makes 46 instructions where 40 or fewer do. `docs/kernels.md` has the figures.

use std::fmt::Write as _;
use std::ops::Range;

use super::product::Tile;

/// Floats of a quad register, and channels of a round.
pub(super) const LANES: usize = 4;
/// Rounds between two branches, at most.
const UNROLLED: usize = 4;
const BYTES: usize = LANES * size_of::<f32>();

/// The instruction sets of Arm. Both have quad registers of four floats, and multiply them by one float of a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Set {
    /// 32 bits, with NEON.
    A32,
    /// 64 bits.
    A64,
}

impl Set {
    /// Quad registers.
    pub(super) fn registers(self) -> usize {
        match self {
            Self::A32 => 16,
            Self::A64 => 32,
        }
    }

    /// The type of addresses, in MLIR's words.
    pub(super) fn address(self) -> &'static str {
        match self {
            Self::A32 => "i32",
            Self::A64 => "i64",
        }
    }

    /// What LLVM calls a quad register.
    fn prefix(self) -> char {
        match self {
            Self::A32 => 'q',
            Self::A64 => 'v',
        }
    }

    /// Registers that one load fills, at most. On 32 bits `vldmia` takes more than `vld1`, which can step over what follows.
    fn most_by_one_load(self) -> usize {
        match self {
            Self::A32 => 8,
            Self::A64 => 4,
        }
    }

    /// The same of one that then steps over what follows.
    fn most_by_stepping_load(self) -> usize {
        match self {
            Self::A32 => 2,
            Self::A64 => 4,
        }
    }

    /// Loads registers from the operand number `address` on, which then is behind them.
    fn load(self, registers: Range<usize>, address: usize) -> String {
        match self {
            Self::A32 if registers.len() > self.most_by_stepping_load() => {
                format!("vldmia ${address}!, {}\n", self.list(registers))
            }
            Self::A32 => format!("vld1.32 {}, [${address}]!\n", self.list(registers)),
            Self::A64 => {
                format!("ld1 {}, [${address}], #{}\n", self.list(registers.clone()), registers.len() * BYTES)
            }
        }
    }

    /// The same, but the address then is as much further on as the operand number `step` says.
    fn load_and_step(self, registers: Range<usize>, address: usize, step: usize) -> String {
        match self {
            Self::A32 => format!("vld1.32 {}, [${address}], ${step}\n", self.list(registers)),
            Self::A64 => format!("ld1 {}, [${address}], ${step}\n", self.list(registers)),
        }
    }

    /// Registers as instructions that load name them: on 32 bits by their halves.
    fn list(self, registers: Range<usize>) -> String {
        match self {
            Self::A32 => format!("{{d{}-d{}}}", 2 * registers.start, 2 * registers.end - 1),
            Self::A64 => {
                let names: Vec<_> = registers.map(|register| format!("v{register}.4s")).collect();
                format!("{{{}}}", names.join(", "))
            }
        }
    }

    /// Adds the product of the vector `factor` and one lane of `pixel` to `sum`.
    fn multiply_add(self, sum: usize, factor: usize, (pixel, lane): (usize, usize)) -> String {
        match self {
            Self::A32 => {
                format!("vmla.f32 q{sum}, q{factor}, d{}[{}]\n", 2 * pixel + lane / 2, lane % 2)
            }
            Self::A64 => format!("fmla v{sum}.4s, v{factor}.4s, v{pixel}.s[{lane}]\n"),
        }
    }

    /// Goes back to label 1 unless the last count was zero.
    fn branch(self) -> &'static str {
        match self {
            Self::A32 => "bne 1b\n",
            Self::A64 => "b.ne 1b\n",
        }
    }
}

/// Adds the products of some rounds of channels to the sums of a tile.
pub(super) struct Loop {
    pub(super) set: Set,
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
        self.set.registers() - self.sums()..self.set.registers()
    }

    /// Registers for factors.
    fn room(&self) -> usize {
        self.registers().start - self.tile.pixels
    }

    fn most_by_stepping_load(&self) -> usize {
        self.room().min(self.set.most_by_stepping_load())
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
        let most = self.most_by_stepping_load();
        let loaded = (self.tile.vectors - 1) / most * most * BYTES;
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
        let prefix = self.set.prefix();
        let sums = self.registers().map(|register| format!("={{{prefix}{register}}}"));
        let others = (self.sums()..self.outputs()).map(|_| "=&r".to_owned());
        let inputs = (0..self.outputs()).map(|output| output.to_string());
        let step = self.step().map(|_| "r".to_owned());
        let used = (0..self.registers().start).map(|register| format!("~{{{prefix}{register}}}"));
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
            text.push_str(self.set.branch());
        }
        text
    }

    /// Four channels.
    fn round(&self, text: &mut String) {
        for pixel in 0..self.tile.pixels {
            text.push_str(&self.set.load(pixel..pixel + 1, self.address_of_pixel(pixel)));
        }
        for load in self.loads() {
            text.push_str(&load.text);
            for (factor, (channel, vector)) in (self.tile.pixels..).zip(load.factors) {
                for pixel in 0..self.tile.pixels {
                    let sum = self.registers().start + pixel * self.tile.vectors + vector;
                    text.push_str(&self.set.multiply_add(sum, factor, (pixel, channel)));
                }
            }
        }
    }

    /// The factors of a round, in the order that they stand in.
    fn loads(&self) -> Vec<Load> {
        let vectors = self.tile.vectors;
        let all: Vec<_> =
            (0..LANES).flat_map(|channel| (0..vectors).map(move |vector| (channel, vector))).collect();
        if self.step().is_none() {
            let size = super::divisor(all.len(), self.room().min(self.set.most_by_one_load()));
            return all.chunks(size).map(|factors| self.load(factors, false)).collect();
        }
        let most = self.most_by_stepping_load();
        let of_channel = |channel: &[(usize, usize)]| {
            let chunks = channel.chunks(most);
            let last = chunks.len() - 1;
            chunks.enumerate().map(|(number, factors)| self.load(factors, number == last)).collect::<Vec<_>>()
        };
        all.chunks(vectors).flat_map(of_channel).collect()
    }

    /// Loads `factors` into the registers behind those of pixels.
    fn load(&self, factors: &[(usize, usize)], is_last_of_channel: bool) -> Load {
        let registers = self.tile.pixels..self.tile.pixels + factors.len();
        let address = self.address_of_factors();
        let text = if is_last_of_channel {
            self.set.load_and_step(registers, address, 2 * self.outputs())
        } else {
            self.set.load(registers, address)
        };
        Load { factors: factors.to_vec(), text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inner(pixels: usize, vectors: usize, rounds: usize, stride: usize) -> Loop {
        Loop { set: Set::A32, tile: Tile { pixels, vectors }, rounds, stride }
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
    fn four_registers_are_loaded_at_a_time_on_64_bits() {
        let text = Loop { set: Set::A64, ..inner(5, 4, 8, 64) }.text();
        assert_eq!(text.lines().count(), 4 * (5 + 4 + 80) + 3, "{text}");
        assert!(
            text.contains("ld1 {v4.4s}, [$24], #16\nld1 {v5.4s, v6.4s, v7.4s, v8.4s}, [$25], #64\n"),
            "{text}"
        );
        assert!(text.ends_with("fmla v31.4s, v8.4s, v4.s[3]\nb.ne 1b\n"), "{text}");
        let apart = Loop { set: Set::A64, ..inner(5, 4, 1, 1000) };
        assert!(apart.text().contains("v8.4s}, [$25], $52\n"), "{}", apart.text());
        assert_eq!(apart.step(), Some(1000));
    }

    #[test]
    fn no_tile_needs_more_registers_than_there_are() {
        let a32 = [(1, 1), (1, 8), (2, 4), (2, 3), (3, 3), (3, 2), (4, 2), (4, 1), (6, 1)];
        let a64 = [(1, 1), (1, 8), (3, 8), (4, 6), (5, 4), (5, 2), (7, 3), (9, 2), (14, 1)];
        let tiles = a32.map(|tile| (Set::A32, tile)).into_iter().chain(a64.map(|tile| (Set::A64, tile)));
        for (set, (pixels, vectors)) in tiles {
            for stride in [vectors * BYTES, 1000] {
                let inner = Loop { set, ..inner(pixels, vectors, 1, stride) };
                let loads = inner.loads();
                let most = loads.iter().map(|load| load.factors.len()).max().unwrap();
                assert!(inner.sums() + pixels + most <= set.registers(), "{pixels} x {vectors}");
                let all: Vec<_> = loads.iter().flat_map(|load| load.factors.clone()).collect();
                let expected =
                    (0..LANES).flat_map(|channel| (0..vectors).map(move |vector| (channel, vector)));
                assert_eq!(all, expected.collect::<Vec<_>>());
            }
        }
    }
}
