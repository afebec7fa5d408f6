//! The call that stands where a gate ends, until memory is laid out: of a kernel that does nothing.

use std::fmt;

use crate::ir::Op;

/// Symbol of the kernel.
pub(crate) const SYMBOL: &str = "skipgate_gate";

/// The kernel. Its bindings are a gate's input, and the block's result, which becomes the gate's output.
pub(crate) const EXECUTABLE: &str = "\
hal.executable.source private @skipgate_gate {
  hal.executable.export public @skipgate_gate ordinal(0)
      layout(#hal.pipeline.layout<bindings = [#hal.pipeline.binding<storage_buffer, ReadOnly>, #hal.pipeline.binding<storage_buffer>]>)
      count(%device: !hal.device) -> (index, index, index) {
    %one = arith.constant 1 : index
    hal.return %one, %one, %one : index, index, index
  }
  builtin.module {
    func.func @skipgate_gate() {
      return
    }
  }
}
";

/// The end of a gate, as the location of its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) gate: usize,
}

impl Marker {
    /// The gates that end at `op`.
    pub(crate) fn of(op: Op) -> Vec<Self> {
        op.location_names().into_iter().filter_map(Self::parse).collect()
    }

    fn parse(name: &str) -> Option<Self> {
        Some(Self { gate: name.strip_prefix("skipgate end of gate ")?.parse().ok()? })
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "skipgate end of gate {}", self.gate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_survive_as_text() {
        assert_eq!(Marker::parse(&Marker { gate: 50 }.to_string()), Some(Marker { gate: 50 }));
        assert_eq!(Marker::parse("Conv layer1/conv1"), None);
    }
}
