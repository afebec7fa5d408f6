//! What `inspect`, `gate` and `compile` share: choosing gates.

use skipgate_onnx::GateSelection;

use crate::cli::Selection;

impl Selection {
    pub(crate) fn to_gate_selection(&self) -> GateSelection {
        let Self { gate_unit, gate_first, gate, no_gate } = self;
        GateSelection {
            unit: *gate_unit,
            gate_first: *gate_first,
            gate: gate.clone(),
            no_gate: no_gate.clone(),
        }
    }
}
