//! Instructions per inference on a board's processor, counted under emulation.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use skipgate_core::{MANIFEST_FILE, SkipMask, VMFB_FILE};

use super::comparison::{Comparison, Depth, Figure, Other, Unit};
use super::network::Artifacts;
use crate::board::Board;
use crate::demo::program::instructions_per_image;
use crate::demo::tensor::Tensor;
use crate::parallel::in_parallel;
use crate::process::say;
use crate::setup::ncnn::BoardNcnn;
use crate::stamp::{Key, Stamp};
use crate::workspace::Workspace;

/// Inferences of the shorter and of the longer run; the difference is free of what happens once per program.
const INFERENCES: [usize; 2] = [1, 3];

/// The programs and files of one network.
pub(super) struct Stage<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) board: &'a Board<'a>,
    pub(super) artifacts: &'a Artifacts,
    /// What `peers.py` prepared.
    pub(super) peers: &'a Path,
    /// Shape of an image: one, channels, rows, columns.
    pub(super) image: Vec<usize>,
    /// None where it is not to be had.
    pub(super) ncnn: Option<&'a BoardNcnn>,
    /// For what the programs write.
    pub(super) dir: PathBuf,
}

/// One network at one depth.
type Job = (usize, Option<Other>);

impl Stage<'_> {
    /// Counts everything; `None` where this machine cannot count.
    pub(super) fn count(&self) -> Result<Option<Comparison>> {
        let (artifact, emulator) = (self.artifacts.gated.display(), &self.board.machine.program);
        say(&format!("Counting the instructions of {artifact} under {emulator}"));
        fs_err::create_dir_all(&self.dir)?;
        for images in INFERENCES {
            self.write_images(images)?;
        }
        let counts = in_parallel(self.jobs(), |job| self.count_one(job))?;
        Ok(comparison(&self.artifacts.depths, &counts))
    }

    fn write_images(&self, images: usize) -> Result<()> {
        Tensor::pattern(&self.artifacts.manifest, images)?.write(&self.images(images))
    }

    fn images(&self, images: usize) -> PathBuf {
        self.dir.join(format!("{images}.npy"))
    }

    fn jobs(&self) -> Vec<Job> {
        let own =
            self.artifacts.depths.iter().flat_map(|&depth| [(depth, None), (depth, Some(Other::Pruned))]);
        let peer = self.ncnn.into_iter().flat_map(|_| [0, self.artifacts.gates()]);
        let converted = peer.filter(|&depth| self.ncnn_stem(depth).with_extension("ncnn.bin").exists());
        own.chain(converted.map(|depth| (depth, Some(Other::Ncnn)))).collect()
    }

    /// Instructions of one inference: counted, or as they were counted before with the same files.
    fn count_one(&self, job: Job) -> Result<Option<f64>> {
        let note = self.dir.join(format!("{:?}-{}.instructions", job.1, job.0));
        let stamp = Stamp::new(note.with_extension("stamp"));
        let key = self.key(job)?;
        if stamp.is(&key) {
            let text = fs_err::read_to_string(&note)?;
            let count =
                text.parse().with_context(|| format!("{} holds `{text}`, no number", note.display()))?;
            return Ok(Some(count));
        }
        let Some(count) = self.count_anew(job)? else { return Ok(None) };
        stamp.unless_done(&key, || Ok(fs_err::write(&note, count.to_string())?))?;
        Ok(Some(count))
    }

    fn count_anew(&self, job: Job) -> Result<Option<f64>> {
        let mut counts = Vec::new();
        for images in INFERENCES {
            let (program, arguments) = self.command(job, images);
            let arguments: Vec<_> = arguments.iter().map(OsString::as_os_str).collect();
            let note = self.output(job, images).with_extension("instructions");
            let Board { emulator, machine, .. } = self.board;
            let Some(count) = emulator.run(machine, &program, &arguments, &note)? else { return Ok(None) };
            counts.push((images, count));
        }
        instructions_per_image(counts[0], counts[1]).map(Some)
    }

    /// Everything that a count depends on: it repeats exactly, so one that was made need not be made again.
    fn key(&self, job: Job) -> Result<Key> {
        let Board { machine, program, .. } = self.board;
        let key = Key::new("instructions").text(&format!("{machine:?} {INFERENCES:?} {:?}", self.image));
        if let ((depth, Some(Other::Ncnn)), Some(ncnn)) = (job, self.ncnn) {
            return ncnn.key(self.workspace, key, &self.ncnn_stem(depth));
        }
        let artifact = self.artifact(job);
        let key = key.file(program)?.text(&self.mask(job).unwrap_or_default());
        key.file(&artifact.join(MANIFEST_FILE))?.file(&artifact.join(VMFB_FILE))
    }

    /// What ncnn's files are called, but for their extension.
    fn ncnn_stem(&self, depth: usize) -> PathBuf {
        self.peers.join(if depth == 0 { "plain" } else { "pruned" })
    }

    fn output(&self, (depth, other): Job, images: usize) -> PathBuf {
        self.dir.join(format!("{other:?}-{depth}-{images}.npy"))
    }

    fn command(&self, job: Job, images: usize) -> (PathBuf, Vec<OsString>) {
        let (depth, other) = job;
        if let (Some(Other::Ncnn), Some(ncnn)) = (other, self.ncnn) {
            return ncnn.inferences(self.workspace, &self.ncnn_stem(depth), images, &self.image);
        }
        let mut arguments: Vec<OsString> = vec!["run".into(), self.artifact(job).into()];
        arguments.extend(["--input".into(), self.images(images).into()]);
        arguments.extend(["--output".into(), self.output(job, images).into()]);
        if let Some(mask) = self.mask(job) {
            arguments.extend(["--mask".into(), mask.into()]);
        }
        (self.board.program.clone(), arguments)
    }

    /// The artifact of skipgate's own that `job` runs.
    fn artifact(&self, (depth, other): Job) -> PathBuf {
        match other {
            None => self.artifacts.gated.clone(),
            Some(_) => self.artifacts.pruned.join(depth.to_string()),
        }
    }

    /// What the gated network is told to skip.
    fn mask(&self, (depth, other): Job) -> Option<String> {
        let skipped = || SkipMask::skipping_last(self.artifacts.gates(), depth).to_string();
        other.is_none().then(skipped)
    }
}

/// The counts side by side; `None` if any of the artifacts' own was not counted.
fn comparison(depths: &[usize], counts: &[(Job, Option<f64>)]) -> Option<Comparison> {
    let counts: BTreeMap<Job, f64> = counts.iter().filter_map(|&(job, count)| Some((job, count?))).collect();
    let depth = |&skipped: &usize| {
        let gated = *counts.get(&(skipped, None))?;
        let figure = |other| {
            let value = *counts.get(&(skipped, Some(other)))?;
            Some((other, Figure { value, ratio: gated / value }))
        };
        let others = [Other::Pruned, Other::Ncnn].into_iter().filter_map(figure).collect();
        Some(Depth { skipped, gated, others })
    };
    let depths = depths.iter().map(depth).collect::<Option<_>>()?;
    Some(Comparison { unit: Unit::Instructions, depths })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_stand_side_by_side() {
        let counts =
            [((0, None), Some(110.0)), ((0, Some(Other::Pruned)), Some(100.0)), ((1, None), Some(7.0))];
        let comparison = comparison(&[0, 1], &counts).unwrap();
        assert!((comparison.worst_overhead().unwrap() - 1.1).abs() < 1e-9);
        assert!(comparison.depths[1].others.is_empty());
    }

    #[test]
    fn what_cannot_be_counted_is_left_out() {
        assert!(comparison(&[0], &[((0, None), None)]).is_none());
    }
}
