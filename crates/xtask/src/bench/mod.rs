//! `cargo xtask bench`: the gated networks beside everything one could use instead.

mod board;
mod comparison;
mod host;
mod machine;
mod network;
mod report;
mod rounds;

use std::path::{Path, PathBuf};
use std::thread;

use anyhow::Result;
use skipgate_plot::Figure;

use crate::demo::Format;
use crate::demo::build::{self, Programs};
use crate::process::{CommandExt, say};
use crate::setup::ncnn::BoardNcnn;
use crate::setup::{self, Tools};
use crate::stamp::{Key, Stamp};
use crate::workspace::Workspace;
use host::Host;
use machine::Machine;
use network::{Network, RESNET20, RESNET110};
use report::{NetworkReport, Report, plot_name};

/// How often everything gets its turn.
const ROUNDS: usize = 40;
/// The same for a quick look.
const QUICK_ROUNDS: usize = 3;

/// A plot of more bytes does not belong into the repository.
const LARGEST_PLOT: u64 = 60_000;

/// Measures and prints a table. Without `quick`, also writes `BENCHMARKS.md` and its plots.
pub(crate) fn run(workspace: &Workspace, quick: bool, format: Format) -> Result<()> {
    let tools = setup::for_bench(workspace)?;
    let programs = build::programs(workspace, &tools.arm_rust)?;
    let ncnn = if quick { None } else { board_ncnn(workspace) };
    let bench = Bench { workspace, tools: &tools, programs, ncnn, quick };
    let networks: &[Network] = if quick { &[RESNET20] } else { &[RESNET20, RESNET110] };
    let networks = networks.iter().map(|network| bench.measure(network)).collect::<Result<_>>()?;
    let report = Report { machine: Machine::find(workspace)?, networks };
    if !quick {
        publish(workspace, &report)?;
    }
    match format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        Format::Text => println!("{}", report.text()),
    }
    Ok(())
}

/// ncnn under emulation, where Debian's archive can be read.
fn board_ncnn(workspace: &Workspace) -> Option<BoardNcnn> {
    match BoardNcnn::prepare(workspace) {
        Ok(ncnn) => Some(ncnn),
        Err(error) => {
            say(&format!("The instructions of ncnn are not counted: {error:#}"));
            None
        }
    }
}

/// Everything that measuring a network takes.
struct Bench<'a> {
    workspace: &'a Workspace,
    tools: &'a Tools,
    programs: Programs,
    ncnn: Option<BoardNcnn>,
    quick: bool,
}

impl Bench<'_> {
    fn measure(&self, network: &Network) -> Result<NetworkReport> {
        let program = &self.programs.host;
        let host = network.compile(self.workspace, program, "host", network.host_step)?;
        let board = network.compile(self.workspace, program, "odroid-xu4", network.board_step)?;
        let peers = self.peers(network)?;
        let stage = host::Stage { workspace: self.workspace, program, artifacts: &host, peers: &peers };
        let [gated, ungated] = stage.footprints()?;
        let rounds = if self.quick { QUICK_ROUNDS } else { ROUNDS };
        let latencies = all_threads()?
            .into_iter()
            .map(|threads| stage.measure(threads, rounds))
            .collect::<Result<Vec<_>>>()?;
        self.plot(network, &latencies)?;
        let counting = board::Stage {
            workspace: self.workspace,
            emulator: &self.tools.emulator,
            program: &self.programs.arm,
            artifacts: &board,
            peers: &peers,
            ncnn: self.ncnn.as_ref(),
            dir: network.dir(self.workspace).join("counts"),
        };
        Ok(NetworkReport {
            name: network.name.to_owned(),
            gates: host.gates(),
            host: latencies,
            armv7: counting.count()?,
            gated,
            ungated,
        })
    }

    /// Writes what the peers load, unless that was done before.
    fn peers(&self, network: &Network) -> Result<PathBuf> {
        let dir = network.dir(self.workspace).join("peers");
        let gated = network.gate(self.workspace, &self.programs.host)?;
        let key = Key::new("peers")
            .file(&gated)?
            .file(&self.workspace.path(network.model()))?
            .file(&self.workspace.path("tests/python/peers.py"))?
            .file(&self.workspace.tool("venv-tests.stamp"))?;
        Stamp::new(dir.with_extension("stamp")).unless_done(&key, || {
            say(&format!("Converting {} for ONNX Runtime and ncnn", network.model()));
            let mut python = self.workspace.command(self.workspace.venv("python"));
            python.args(["tests/python/peers.py", "prepare", &network.model()]).arg(&gated).arg(&dir).run()
        })?;
        Ok(dir)
    }

    /// Draws the latencies.
    fn plot(&self, network: &Network, latencies: &[Host]) -> Result<()> {
        for Host { threads, latency, .. } in latencies {
            let cores = if *threads == 1 { "one core".to_owned() } else { format!("{threads} cores") };
            let title = format!("{}, {cores}", network.name);
            let svg = Figure::latency_over_skipped(title, latency.lines()).svg()?;
            fs_err::write(self.workspace.path("target/bench").join(plot_name(network.name, *threads)), svg)?;
        }
        Ok(())
    }
}

/// One thread, then as many as there are cores.
fn all_threads() -> Result<Vec<usize>> {
    let cores = thread::available_parallelism()?.get();
    Ok(if cores > 1 { vec![1, cores] } else { vec![1] })
}

/// Writes `BENCHMARKS.md` and copies its plots beside it.
fn publish(workspace: &Workspace, report: &Report) -> Result<()> {
    fs_err::create_dir_all(workspace.path("docs"))?;
    for network in &report.networks {
        for host in &network.host {
            copy_plot(workspace, &plot_name(&network.name, host.threads))?;
        }
    }
    let page = report.markdown(|name| workspace.path("docs").join(name).is_file());
    Ok(fs_err::write(workspace.path("BENCHMARKS.md"), page)?)
}

fn copy_plot(workspace: &Workspace, name: &str) -> Result<()> {
    let from = workspace.path("target/bench").join(name);
    let to: &Path = &workspace.path("docs").join(name);
    if fs_err::metadata(&from)?.len() < LARGEST_PLOT {
        fs_err::copy(from, to)?;
    }
    Ok(())
}
