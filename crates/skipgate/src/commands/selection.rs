//! What `inspect`, `gate` and `compile` share: choosing gates.

use skipgate_onnx::GateSelection;

use crate::cli::Selection;

impl Selection {
    pub(crate) fn to_gate_selection(&self) -> GateSelection {
        let Self { gate_first, gate, no_gate } = self;
        GateSelection { gate_first: *gate_first, gate: gate.clone(), no_gate: no_gate.clone() }
    }

    /// Whether any option is given.
    pub(crate) fn is_given(&self) -> bool {
        self.gate_first || !self.gate.is_empty() || !self.no_gate.is_empty()
    }
}
