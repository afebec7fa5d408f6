//! Artifacts for the board, run by the board's program under emulation.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use skipgate_core::{Manifest, SkipMask};
use skipgate_data::Stacked;

use crate::Error;

/// Environment variable with the path of the program for the board.
pub const PROGRAM_VARIABLE: &str = "SKIPGATE_BOARD_PROGRAM";

const EMULATOR: &str = "qemu-arm";

/// The program for the board under emulation.
#[derive(Debug, Clone)]
pub struct Emulator {
    program: PathBuf,
}

impl Emulator {
    /// Takes `program`, or else the one that [`PROGRAM_VARIABLE`] names. `Err` says in words what is missing.
    pub fn find(program: Option<&Path>) -> Result<Self, String> {
        let named = || env::var_os(PROGRAM_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
        let program = program.map(Path::to_owned).or_else(named);
        let program =
            program.ok_or_else(|| format!("{PROGRAM_VARIABLE} does not name the program for the board"))?;
        if !program.is_file() {
            return Err(format!("{} is no file", program.display()));
        }
        let folders = env::var_os("PATH").unwrap_or_default();
        if !env::split_paths(&folders).any(|folder| folder.join(EMULATOR).is_file()) {
            return Err(format!("{EMULATOR} is not installed"));
        }
        Ok(Self { program })
    }

    /// The outputs of `artifact`, whose manifest is `manifest`, for all of `inputs`.
    pub fn run(
        &self,
        artifact: &Path,
        manifest: &Manifest,
        inputs: &Stacked,
        mask: &SkipMask,
    ) -> Result<Stacked, Error> {
        let dir = tempfile::tempdir()?;
        let (input, output) = (dir.path().join("input.npz"), dir.path().join("output.npz"));
        inputs.clone().write(manifest.inputs(), &input)?;
        let mut command = Command::new(EMULATOR);
        command.args(["-cpu", "cortex-a15"]).arg(&self.program).arg("run").arg(artifact);
        command.arg("--input").arg(&input).arg("--output").arg(&output);
        if !mask.is_empty() {
            command.args(["--mask", &mask.to_string()]);
        }
        let done = command.output()?;
        if !done.status.success() {
            let message = String::from_utf8_lossy(&done.stderr).trim().to_owned();
            return Err(Error::Board { status: done.status, message });
        }
        Ok(Stacked::read(manifest.outputs(), &[output.display().to_string()])?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let error = Emulator::find(Some(Path::new("/no/such/program"))).unwrap_err();
        assert_eq!(error, "/no/such/program is no file");
    }
}
