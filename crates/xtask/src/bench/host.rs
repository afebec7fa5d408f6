//! Latency and memory on this machine.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::comparison::Comparison;
use super::network::Artifacts;
use super::rounds::{Paced, Rounds};
use crate::process::{CommandExt as _, say};
use crate::workspace::Workspace;

/// Latency with one number of threads.
#[derive(Debug, Serialize)]
pub(super) struct Host {
    pub(super) threads: usize,
    pub(super) rounds: usize,
    pub(super) latency: Comparison,
    pub(super) switches: Vec<Switch>,
}

/// Calls with one mask, after a call with another mask and after a call with the same one.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Switch {
    pub(super) mask: String,
    pub(super) changed: Latency,
    pub(super) repeated: Latency,
}

/// The part of a latency that tells whether a change of mask costs time.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Latency {
    pub(super) median_us: f64,
    pub(super) p99_us: f64,
}

/// The part of what `skipgate bench` reports that the rounds do not tell.
#[derive(Deserialize)]
struct Report {
    switches: Vec<Switch>,
}

/// Bytes of one artifact, on disk and in memory.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Footprint {
    pub(super) vmfb_bytes: u64,
    pub(super) peak_memory_bytes: u64,
}

/// The same network elsewhere, from `peers.py footprint`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct PeerFootprint {
    /// Of the float weights in the ONNX file.
    pub(super) weight_bytes: u64,
    /// What ONNX Runtime adds to the process that loads the network and runs it once.
    pub(super) onnxruntime_bytes: u64,
}

/// The programs and files of one network.
pub(super) struct Stage<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) program: &'a Path,
    pub(super) artifacts: &'a Artifacts,
    /// What `peers.py` prepared.
    pub(super) peers: &'a Path,
    pub(super) pace: Pace,
}

/// How often everything gets its turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) rounds: usize,
    /// Calls in a round.
    pub(super) calls: usize,
}

impl Stage<'_> {
    /// Measures with `threads` threads; a single one stays on one core.
    pub(super) fn measure(&self, threads: usize) -> Result<Host> {
        say(&format!("Measuring {}, threads: {threads}", self.artifacts.gated.display()));
        let mut skipgate = Paced::start(&mut self.skipgate(threads)?)?;
        let mut peers = Paced::start(&mut self.peers(threads)?)?;
        let mut measured = Rounds::default();
        let Pace { rounds, .. } = self.pace;
        for _ in 0..rounds {
            let mut round = skipgate.round()?;
            round.extend(peers.round()?);
            measured.push(round);
        }
        peers.finish()?;
        let report = skipgate.finish()?;
        let Report { switches } = serde_json::from_str(&report).context("cannot use the report")?;
        let latency = Comparison::of_rounds(&measured, &self.artifacts.depths, self.artifacts.gates());
        Ok(Host { threads, rounds, latency, switches })
    }

    fn skipgate(&self, threads: usize) -> Result<Command> {
        let mut command = self.command(threads, self.program)?;
        command.arg("bench").arg(&self.artifacts.gated).args(["--paced", "--format", "json"]);
        command.arg("--pruned").arg(&self.artifacts.pruned).arg(format!("--threads={threads}"));
        command.arg(format!("--calls={}", self.pace.calls));
        // Only what is among the pruned networks.
        command.arg(format!("--every={}", self.artifacts.depths.get(1).copied().unwrap_or(1)));
        Ok(command)
    }

    fn peers(&self, threads: usize) -> Result<Command> {
        let mut command = self.command(threads, &self.workspace.venv("python"))?;
        command.args(["tests/python/peers.py", "measure"]).arg(self.peers);
        command.arg(format!("--threads={threads}")).arg(format!("--calls={}", self.pace.calls));
        Ok(command)
    }

    /// A command that keeps to one core if it has one thread.
    fn command(&self, threads: usize, program: &Path) -> Result<Command> {
        if threads > 1 {
            return Ok(self.workspace.command(program));
        }
        let status = fs_err::read_to_string("/proc/self/status")?;
        let core = last_core(&status).context("the kernel does not say which cores may be used")?;
        let mut command = self.workspace.command("taskset");
        command.args(["--cpu-list", core]).arg(program);
        Ok(command)
    }

    /// Size and memory of the gated and of the ungated network.
    pub(super) fn footprints(&self) -> Result<[Footprint; 2]> {
        Ok([self.footprint(&self.artifacts.gated)?, self.footprint(&self.artifacts.pruned.join("0"))?])
    }

    pub(super) fn peer_footprint(&self) -> Result<PeerFootprint> {
        let mut python = self.workspace.command(self.workspace.venv("python"));
        let json = python.args(["tests/python/peers.py", "footprint"]).arg(self.peers).read()?;
        serde_json::from_str(&json).with_context(|| format!("peers.py answered `{}`", json.trim_end()))
    }

    fn footprint(&self, artifact: &Path) -> Result<Footprint> {
        let mut command = self.workspace.command(self.program);
        command.arg("bench").arg(artifact).args(["--paced", "--calls=1", "--every=1000"]);
        let mut paced = Paced::start(&mut command)?;
        paced.round()?;
        let peak_memory_bytes = paced.peak_memory()?;
        paced.finish()?;
        Ok(Footprint { vmfb_bytes: fs_err::metadata(artifact.join("model.vmfb"))?.len(), peak_memory_bytes })
    }
}

/// The last core that a process with this status may use: interrupts tend to go to the first.
fn last_core(status: &str) -> Option<&str> {
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    list.trim().rsplit([',', '-']).next().filter(|core| !core.is_empty())
}

#[cfg(test)]
mod tests {
    use super::last_core;

    #[test]
    fn the_last_core_ends_the_list() {
        for (list, core) in [("0-1", "1"), ("0-3,6", "6"), ("5", "5"), ("0,2-7", "7")] {
            assert_eq!(last_core(&format!("Name:\tx\nCpus_allowed_list:\t{list}\n")), Some(core));
        }
        assert_eq!(last_core("Name:\tx\n"), None);
    }
}
