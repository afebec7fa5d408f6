//! What the kernels assume of a target's vector unit. Every choice that depends on the target is here.

use skipgate_core::{Arch, Target};

use super::arm::Set;

/// The fewest lanes that kernels are written for: those of the narrowest registers.
pub(super) const FEWEST_LANES: usize = 4;

/// Pixels of a tile on 32-bit Arm: each has a register beside its sums, and factors need some, too.
const MOST_A32_PIXELS: usize = 6;

/// Registers of a tile on 64-bit Arm that pixels and sums leave for factors: as many as one instruction loads.
const A64_FACTORS: usize = 4;

/// A vector unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each says whether there is one kind of instruction")]
pub(crate) struct Simd {
    /// Floats of a vector register.
    pub(super) lanes: usize,
    /// Sums that the inner loop of a product keeps in registers: as many as fit beside its operands.
    pub(super) sums: usize,
    /// Vectors of sums of one pixel, at most.
    pub(super) vectors: usize,
    /// Whether a multiplication takes one lane of a register for all; otherwise such factors are loaded one by one.
    pub(super) by_lane: bool,
    /// Arm's instruction set, for which [`super::arm`] writes the inner loop.
    pub(super) arm: Option<Set>,
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
            // Of 16 quad registers, 8 or 9 hold sums, 3 or 4 pixels and 4 weights. `vfma` takes no lane, `vmla` does.
            Arch::Arm => Self {
                lanes: 4,
                sums: 9,
                vectors: 3,
                by_lane: true,
                arm: Some(Set::A32),
                fused: false,
                divides: false,
                has_maximum: true,
            },
            Arch::Aarch64 => Self {
                lanes: 4,
                sums: 16,
                vectors: 4,
                by_lane: true,
                arm: Some(Set::A64),
                fused: true,
                divides: true,
                has_maximum: true,
            },
            Arch::X86_64 if has("avx512f") => Self {
                lanes: 16,
                sums: 24,
                vectors: 2,
                by_lane: false,
                arm: None,
                fused: true,
                divides: true,
                has_maximum: false,
            },
            Arch::X86_64 if has("avx2") && has("fma") => Self {
                lanes: 8,
                sums: 12,
                vectors: 2,
                by_lane: false,
                arm: None,
                fused: true,
                divides: true,
                has_maximum: false,
            },
            Arch::X86_64 => Self {
                lanes: 4,
                sums: 8,
                vectors: 2,
                by_lane: false,
                arm: None,
                fused: false,
                divides: true,
                has_maximum: false,
            },
        }
    }

    /// Vectors of a block, where there are so many for pixels that fill the registers. Three fit for 32-bit Arm, but one
    /// left over would use too few.
    pub(super) fn vectors_of_block(self, vectors: usize) -> usize {
        let is_filled = vectors % self.vectors == 0 || self.arm != Some(Set::A32);
        if is_filled { self.vectors } else { self.vectors - 1 }
    }

    /// Pixels of a tile with so many vectors of filters.
    pub(super) fn pixels(self, vectors: usize) -> usize {
        match self.arm {
            Some(Set::A64) => (Set::A64.registers() - A64_FACTORS) / (vectors + 1),
            Some(Set::A32) => (self.sums / vectors).min(MOST_A32_PIXELS),
            None => self.sums / vectors,
        }
        .max(1)
    }

    /// Vectors of filters in a tile of so many pixels, where there are enough filters.
    pub(super) fn vectors_beside(self, pixels: usize) -> usize {
        match self.arm {
            Some(Set::A64) => (Set::A64.registers() - A64_FACTORS) / pixels - 1,
            _ => self.sums / pixels,
        }
    }

    /// The widest vectors of this unit that `filters` fill; every wide register has narrower ones in it.
    pub(super) fn filled_by(self, filters: usize) -> Option<Self> {
        let halved = |lanes: &usize| Some(lanes / 2).filter(|lanes| *lanes >= FEWEST_LANES);
        let lanes = std::iter::successors(Some(self.lanes), halved).find(|lanes| filters % lanes == 0)?;
        (filters > 0).then_some(Self { lanes, ..self })
    }
}
