//! Gates of residual blocks as straight-line code.
//!
//! `y = mask[i] ? block(x) : x` becomes the block itself and a call behind it, which carries the gate's number in its location
//! ([`Marker`]) and takes x and the block's result. Both stand in frames of one shape. `crate::gating` makes a gate of that.

use super::{Emitter, types};
use crate::ImportError;
use crate::gating::marker::{Marker, SYMBOL};
use crate::plan::Gate;

impl Emitter<'_, '_> {
    pub(super) fn gate(&mut self, gate: &Gate) -> Result<(), ImportError> {
        self.steps(&gate.body)?;
        let ((x, ty), (result, _)) = (self.memory(gate.x)?, self.memory(gate.result)?);
        let (y, location) = (self.fresh(), types::quoted(&Marker { gate: gate.number }.to_string()));
        self.line(&format!(
            "{y} = flow.dispatch @{SYMBOL}::@{SYMBOL}({x}, {result}) : ({ty}, {ty}) -> {result} loc({location})"
        ));
        self.stand(gate.y, y)
    }
}
