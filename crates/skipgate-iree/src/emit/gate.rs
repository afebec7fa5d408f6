//! Gates of residual blocks as straight-line code.
//!
//! `y = mask[i] ? block(x) : x` becomes the block itself between two optimisation barriers, which carry the gate's
//! number in their locations ([`Boundary`]). Both x and y stand in frames of one shape. `crate::gating` gives them one
//! memory, so that a block that does not run leaves x where y is expected, and makes what lies between the barriers
//! depend on the mask.

use super::Emitter;
use crate::ImportError;
use crate::gating::Boundary;
use crate::plan::{Gate, TensorId};

impl Emitter<'_, '_> {
    pub(super) fn gate(&mut self, gate: &Gate) -> Result<(), ImportError> {
        self.boundary(gate.entry, gate.x, Boundary::entry(gate.number))?;
        self.steps(&gate.body)?;
        self.boundary(gate.result, gate.y, Boundary::exit(gate.number))
    }

    /// Lets `to` stand where `from` does, behind the barrier of `boundary`.
    fn boundary(&mut self, from: TensorId, to: TensorId, boundary: Boundary) -> Result<(), ImportError> {
        let (memory, _) = self.memory(from)?;
        let frame = self.frame(to)?.clone();
        let memory = self.barrier(&memory, &frame, &boundary.to_string());
        self.stand(to, memory)
    }
}
