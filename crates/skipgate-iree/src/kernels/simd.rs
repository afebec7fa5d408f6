//! What the kernels assume of a target's vector unit. Every choice that depends on the target is here.

use skipgate_core::{Arch, Target};

/// The fewest lanes that kernels are written for: those of the narrowest registers.
pub(super) const FEWEST_LANES: usize = 4;

/// Vectors of filters in a tile, at most: as many sums as hide how long a multiply-add takes, where there is one pixel.
pub(super) const MOST_VECTORS: usize = 8;

/// A vector unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each says whether there is one kind of instruction")]
pub(crate) struct Simd {
    /// Floats of a vector register.
    pub(super) lanes: usize,
    /// Sums that the inner loop of a product keeps in registers: as many as fit beside its operands.
    pub(super) sums: usize,
    /// The same for depthwise layers, which have more operands.
    pub(super) depthwise_sums: usize,
    /// Vectors of sums of one pixel, at most.
    pub(super) vectors: usize,
    /// Vectors of weights that are in registers at a time.
    pub(super) weights: usize,
    /// Steps of a round of the inner loop: each takes as many channels as are loaded at a time.
    pub(super) steps: usize,
    /// Whether taps side by side count as one with more channels, where that is so in memory.
    pub(super) joins_taps: bool,
    /// Whether a multiplication takes one lane of a register for all; otherwise such factors are loaded one by one.
    pub(super) by_lane: bool,
    /// Whether one instruction loads two vectors.
    pub(super) loads_two: bool,
    /// Whether there is a multiply-add that rounds once and is no slower.
    pub(super) fused: bool,
    /// Whether there is a division of vectors.
    pub(super) divides: bool,
    /// Whether one instruction gives the maximum or what is no number. On x86, the one that there is hands on its second
    /// operand then, which is what a comparison and a choice say.
    pub(super) has_maximum: bool,
}

impl Simd {
    pub(crate) fn of(target: &Target) -> Self {
        let has = |name: &str| target.features.iter().any(|feature| feature == name);
        match target.arch {
            // Of 16 quad registers, 8 hold sums, 4 pixels and 2 weights. `vfma` takes no lane, `vmla` does.
            Arch::Arm => Self {
                lanes: 4,
                sums: 8,
                depthwise_sums: 8,
                vectors: 2,
                weights: MOST_VECTORS,
                steps: 1,
                joins_taps: false,
                by_lane: true,
                loads_two: true,
                fused: false,
                divides: false,
                has_maximum: true,
            },
            // Of 32 quad registers, 20 hold sums, 5 pixels and 2 weights; the others are for what is loaded ahead.
            Arch::Aarch64 => Self {
                lanes: 4,
                sums: 20,
                depthwise_sums: 16,
                vectors: 4,
                weights: 2,
                steps: 4,
                joins_taps: true,
                by_lane: true,
                loads_two: false,
                fused: true,
                divides: true,
                has_maximum: true,
            },
            Arch::X86_64 if has("avx512f") => Self {
                lanes: 16,
                sums: 24,
                depthwise_sums: 24,
                vectors: 2,
                weights: MOST_VECTORS,
                steps: 1,
                joins_taps: false,
                by_lane: false,
                loads_two: false,
                fused: true,
                divides: true,
                has_maximum: false,
            },
            Arch::X86_64 if has("avx2") && has("fma") => Self {
                lanes: 8,
                sums: 12,
                depthwise_sums: 12,
                vectors: 2,
                weights: MOST_VECTORS,
                steps: 1,
                joins_taps: false,
                by_lane: false,
                loads_two: false,
                fused: true,
                divides: true,
                has_maximum: false,
            },
            Arch::X86_64 => Self {
                lanes: 4,
                sums: 8,
                depthwise_sums: 8,
                vectors: 2,
                weights: MOST_VECTORS,
                steps: 1,
                joins_taps: false,
                by_lane: false,
                loads_two: false,
                fused: false,
                divides: true,
                has_maximum: false,
            },
        }
    }

    /// The widest vectors of this unit that `filters` fill; every wide register has narrower ones in it.
    pub(super) fn filled_by(self, filters: usize) -> Option<Self> {
        let halved = |lanes: &usize| Some(lanes / 2).filter(|lanes| *lanes >= FEWEST_LANES);
        let lanes = std::iter::successors(Some(self.lanes), halved).find(|lanes| filters % lanes == 0)?;
        (filters > 0).then_some(Self { lanes, ..self })
    }
}
