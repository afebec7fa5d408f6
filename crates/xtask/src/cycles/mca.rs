//! Cycles of pieces of code, each as the body of a loop, from LLVM's machine code analyser.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;

use super::assembly::{in_halves, with_cost};
use super::pieces::Piece;
use crate::process::CommandExt;
use crate::setup::qemu::Mode;

/// Passes through each piece.
const PASSES: u32 = 100;

/// A processor that LLVM describes.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Model {
    /// LLVM's name of it.
    pub(super) cpu: &'static str,
    /// What tables call it.
    pub(super) title: &'static str,
    /// Whether float instructions on quad registers count as two.
    halves: bool,
}

/// LLVM describes no Cortex-A15. For that name it takes the Cortex-A9, which issues two instructions per cycle and no load
/// beside a float instruction. The Cortex-A57 is the successor of the same design, three instructions per cycle and two
/// float units, but its units take a quad register at once; an A15's, half of it.
pub(super) const MODELS: [Model; 2] = [
    Model { cpu: "cortex-a57", title: "A57 with halves", halves: true },
    Model { cpu: "cortex-a15", title: "A9", halves: false },
];

impl Model {
    /// Cycles of one pass through each of the pieces. Writes the analyser's input to `file`.
    pub(super) fn cycles(self, program: &Path, pieces: &[Piece], file: &Path) -> Result<Vec<f64>> {
        fs_err::write(file, self.input(pieces))?;
        let mut analyser = Command::new(program);
        analyser.args(["-mtriple=armv7-linux-gnueabihf", "-mattr=+neon,+vfp4,+hwdiv,+hwdiv-arm"]);
        analyser.arg(format!("-mcpu={}", self.cpu)).arg(format!("-iterations={PASSES}"));
        // Only the summary.
        analyser.args(["-instruction-info=0", "-resource-pressure=0"]).arg(file);
        let summary = analyser.read().with_context(|| {
            format!("LLVM's {} lacks an instruction; `assembly.rs` says what stands for those", self.cpu)
        })?;
        let cycles = parse(&summary)?;
        ensure!(
            cycles.len() == pieces.len(),
            "`{}` analysed {} of {} pieces of code in {}",
            program.display(),
            cycles.len(),
            pieces.len(),
            file.display()
        );
        Ok(cycles)
    }

    fn input(self, pieces: &[Piece]) -> String {
        let mut text = String::new();
        for (number, piece) in pieces.iter().enumerate() {
            let mode = match piece.mode {
                Mode::Arm => ".arm",
                Mode::Thumb => ".thumb",
            };
            let _ = writeln!(text, "# LLVM-MCA-BEGIN {number}\n{mode}");
            for instruction in piece.code.iter().flat_map(|instruction| with_cost(instruction)) {
                let instructions = if self.halves { in_halves(&instruction) } else { vec![instruction] };
                let _ = writeln!(text, "{}", instructions.join("\n"));
            }
            let _ = writeln!(text, "# LLVM-MCA-END");
        }
        text
    }
}

/// The cycles of one pass of every region in the analyser's summary, which numbers them in order.
fn parse(summary: &str) -> Result<Vec<f64>> {
    let mut cycles = Vec::new();
    let mut regions = 0;
    for line in summary.lines() {
        if let Some((_, name)) = line.split_once("] Code Region - ") {
            ensure!(name == regions.to_string(), "llvm-mca has region {name} where {regions} was expected");
            regions += 1;
        } else if let Some(count) = line.strip_prefix("Total Cycles:") {
            let count: u32 = count.trim().parse().with_context(|| format!("llvm-mca wrote `{line}`"))?;
            cycles.push(f64::from(count) / f64::from(PASSES));
        }
    }
    ensure!(cycles.len() == regions, "llvm-mca wrote the cycles of {} of {regions} regions", cycles.len());
    Ok(cycles)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMMARY: &str = "
[0] Code Region - 0

Iterations:        100
Instructions:      4600
Total Cycles:      3204
Total uOps:        7900

Dispatch Width:    3
uOps Per Cycle:    2.47
IPC:               1.44
Block RThroughput: 32.0


[1] Code Region - 1

Iterations:        100
Instructions:      300
Total Cycles:      110
Total uOps:        300

Dispatch Width:    3
uOps Per Cycle:    2.73
IPC:               2.73
Block RThroughput: 1.0
";

    fn piece(mode: Mode, code: &[&str]) -> Piece {
        let code = code.iter().map(|&instruction| instruction.to_owned()).collect();
        Piece { place: String::new(), mode, code, repeats: false, runs: 1.0 }
    }

    #[test]
    fn the_summary_has_the_cycles_of_each_region() {
        assert_eq!(parse(SUMMARY).unwrap(), [32.04, 1.1]);
    }

    #[test]
    fn a_region_without_cycles_is_noticed() {
        let error = parse("[0] Code Region - 0\n").unwrap_err().to_string();
        assert_eq!(error, "llvm-mca wrote the cycles of 0 of 1 regions");
        parse("[0] Code Region - 1\nTotal Cycles: 1\n").unwrap_err();
    }

    #[test]
    fn each_piece_is_a_region_in_its_mode() {
        let pieces =
            [piece(Mode::Arm, &["vmul.f32 q0, q1, q2", "bx lr"]), piece(Mode::Thumb, &["pop {r4, pc}"])];
        let [halves, whole] = MODELS.map(|model| model.input(&pieces));
        let expected = "# LLVM-MCA-BEGIN 0\n.arm\nvmul.f32 q0, q1, q2\nbx lr\n# LLVM-MCA-END\n\
            # LLVM-MCA-BEGIN 1\n.thumb\nldr r4, [sp]\nldr pc, [sp]\nadd sp, sp, #4\n# LLVM-MCA-END\n";
        assert_eq!(whole, expected);
        let multiplied = "vmul.f32 d0, d2, d4\nvmul.f32 d1, d3, d5";
        assert_eq!(halves, expected.replace("vmul.f32 q0, q1, q2", multiplied));
    }
}
