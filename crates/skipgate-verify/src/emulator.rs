//! Artifacts for the board, run by the board's program under emulation.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use npyz::WriterBuilder as _;
use skipgate_core::SkipMask;

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

    /// The results of `artifact` for `images`, end to end, of `shape` each.
    pub fn run(
        &self,
        artifact: &Path,
        shape: &[usize],
        images: &[f32],
        mask: &SkipMask,
    ) -> Result<Vec<f32>, Error> {
        let dir = tempfile::tempdir()?;
        let (input, output) = (dir.path().join("input.npy"), dir.path().join("output.npy"));
        write(&input, shape, images)?;
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
        Ok(npyz::NpyFile::new(&fs_err::read(&output)?[..])?.into_vec()?)
    }
}

/// Writes `images` as one tensor with all of them in the first dimension.
fn write(path: &Path, shape: &[usize], images: &[f32]) -> Result<(), Error> {
    let count = images.len() / shape.iter().product::<usize>().max(1);
    let mut shape: Vec<_> = shape.iter().map(|&extent| extent as u64).collect();
    if let Some(batch) = shape.first_mut() {
        *batch *= count as u64;
    }
    let file = std::io::BufWriter::new(fs_err::File::create(path)?);
    let mut writer = npyz::WriteOptions::new().default_dtype().shape(&shape).writer(file).begin_nd()?;
    writer.extend(images)?;
    Ok(writer.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let error = Emulator::find(Some(Path::new("/no/such/program"))).unwrap_err();
        assert_eq!(error, "/no/such/program is no file");
    }

    #[test]
    fn images_lie_behind_each_other_in_the_first_dimension() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        write(&path, &[1, 2], &[1.0, 2.0, 3.0, 4.0]).unwrap();
        let bytes = fs_err::read(&path).unwrap();
        assert_eq!(npyz::NpyFile::new(&bytes[..]).unwrap().shape(), [2, 2]);
    }
}
