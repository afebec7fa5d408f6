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

/// A pair of operands of a kernel that may be in one place, in the location of its call: the kernel reads every element of
/// the one before it writes that of the other, and never again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InPlace {
    /// Number of the binding that is read.
    pub(crate) reads: usize,
    /// Number of the one that is written.
    pub(crate) writes: usize,
}

impl InPlace {
    pub(crate) fn of(op: Op) -> impl Iterator<Item = Self> {
        op.location_names().into_iter().filter_map(Self::parse)
    }

    fn parse(name: &str) -> Option<Self> {
        let (reads, writes) = name.strip_prefix("skipgate in place ")?.split_once(' ')?;
        Some(Self { reads: reads.parse().ok()?, writes: writes.parse().ok()? })
    }
}

impl fmt::Display for InPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "skipgate in place {} {}", self.reads, self.writes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_survive_as_text() {
        assert_eq!(Marker::parse(&Marker { gate: 50 }.to_string()), Some(Marker { gate: 50 }));
        assert_eq!(Marker::parse("Conv layer1/conv1"), None);
        let pair = InPlace { reads: 3, writes: 4 };
        assert_eq!(InPlace::parse(&pair.to_string()), Some(pair));
    }
}
