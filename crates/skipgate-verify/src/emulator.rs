//! Artifacts for boards, run by the boards' program under emulation.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use skipgate_core::{Emulation, Manifest, SkipMask, Target};
use skipgate_data::Stacked;

use crate::Error;

/// The program for a board under emulation.
#[derive(Debug, Clone)]
pub struct Emulator {
    machine: Emulation,
    program: PathBuf,
}

impl Emulator {
    /// What runs artifacts for `target`: takes `program`, or else the one that the [variable](skipgate_core::Arch::program_variable) names.
    /// `Err` says in words what is missing.
    pub fn find(target: &Target, program: Option<&Path>) -> Result<Self, String> {
        let machine = target.emulation();
        let machine = machine.ok_or_else(|| format!("there is no emulator for {}", target.arch.name()))?;
        let variable = target.arch.program_variable();
        let named = || env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from);
        let program = program.map(Path::to_owned).or_else(named);
        let program = program.ok_or_else(|| format!("{variable} does not name the program for the board"))?;
        if !program.is_file() {
            return Err(format!("{} is no file", program.display()));
        }
        let folders = env::var_os("PATH").unwrap_or_default();
        if !env::split_paths(&folders).any(|folder| folder.join(&machine.program).is_file()) {
            return Err(format!("{} is not installed", machine.program));
        }
        Ok(Self { machine, program })
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
        let mut command = Command::new(&self.machine.program);
        command.args(["-cpu", &self.machine.cpu]).arg(&self.program).arg("run").arg(artifact);
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
        let find = |name: &str| {
            let target = Target::named(name).unwrap();
            Emulator::find(&target, Some(Path::new("/no/such/program"))).unwrap_err()
        };
        assert_eq!(find("odroid-xu4"), "/no/such/program is no file");
        assert_eq!(find("x86-64-v3"), "there is no emulator for x86_64");
    }
}
