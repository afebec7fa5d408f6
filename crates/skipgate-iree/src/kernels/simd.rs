//! What the kernels assume of a target's vector unit. Every choice that depends on the target is here.

use skipgate_core::{Arch, Target};

/// The fewest lanes that kernels are written for: those of the narrowest registers.
pub(super) const FEWEST_LANES: usize = 4;

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
                vectors: 2,
                by_lane: true,
                loads_two: true,
                fused: false,
                divides: false,
                has_maximum: true,
            },
            // Of 32 quad registers, 20 hold sums, 5 pixels and 4 weights.
            Arch::Aarch64 => Self {
                lanes: 4,
                sums: 20,
                vectors: 4,
                by_lane: true,
                loads_two: false,
                fused: true,
                divides: true,
                has_maximum: true,
            },
            Arch::X86_64 if has("avx512f") => Self {
                lanes: 16,
                sums: 24,
                vectors: 2,
                by_lane: false,
                loads_two: false,
                fused: true,
                divides: true,
                has_maximum: false,
            },
            Arch::X86_64 if has("avx2") && has("fma") => Self {
                lanes: 8,
                sums: 12,
                vectors: 2,
                by_lane: false,
                loads_two: false,
                fused: true,
                divides: true,
                has_maximum: false,
            },
            Arch::X86_64 => Self {
                lanes: 4,
                sums: 8,
                vectors: 2,
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
