//! `cargo xtask bench`: the gated networks beside everything one could use instead.

mod board;
mod comparison;
mod deployed;
mod host;
mod machine;
mod network;
mod report;
mod rounds;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::Result;
use clap::Args;
use skipgate_core::Target;
use skipgate_plot::Figure;

use crate::board::{Board, Family};
use crate::demo::Format;
use crate::demo::build::{self, BoardProfile};
use crate::process::{CommandExt, say};
use crate::setup::ncnn::BoardNcnn;
use crate::setup::{self, Tools};
use crate::stamp::{Key, Stamp};
use crate::workspace::Workspace;
use host::{Host, Pace};
use machine::Machine;
use network::Network;
use report::{NetworkReport, OnBoard, Report, plot_name};

/// For networks that take less than a millisecond or some of them.
const PACE: Pace = Pace { rounds: 40, calls: 20 };
/// The same for a quick look.
const QUICK_PACE: Pace = Pace { rounds: 3, calls: 20 };
/// For networks that take a hundred times as long.
const PACE_OF_LARGE: Pace = Pace { rounds: 8, calls: 5 };

/// A plot of more bytes does not belong into the repository.
const LARGEST_PLOT: u64 = 60_000;

/// What is measured.
#[derive(Debug, Args)]
pub(crate) struct What {
    /// Only a few rounds of ResNet-20, to see that it works; writes no page
    #[arg(long)]
    quick: bool,
    /// The ten networks that people deploy instead, which are exported first; writes docs/deployed.md
    #[arg(long, conflicts_with = "quick")]
    deployed: bool,
    /// An ONNX file of one image and one output instead; may be given several times; writes no page
    #[arg(long = "network", value_name = "FILE", conflicts_with_all = ["quick", "deployed"])]
    networks: Vec<PathBuf>,
    /// Measure every N-th number of skipped blocks, besides none and all
    #[arg(long, value_name = "N")]
    every: Option<NonZeroUsize>,
    /// The boards whose instructions are counted under emulation
    #[arg(long = "board", value_name = "TARGET", default_values = ["odroid-xu4", "raspberry-pi-4"])]
    boards: Vec<String>,
    /// Do not count instructions
    #[arg(long, conflicts_with = "boards")]
    no_board: bool,
}

/// Measures, prints tables, and writes the page that belongs to them with its plots.
pub(crate) fn run(workspace: &Workspace, what: &What, format: Format) -> Result<()> {
    let tools = setup::for_bench(workspace)?;
    let program = build::host_program(workspace)?;
    let boards = if what.no_board { &[][..] } else { &what.boards };
    let boards = boards.iter().map(|name| Counting::prepare(workspace, &tools, name, what.quick));
    let boards = boards.collect::<Result<_>>()?;
    let files = if what.deployed { deployed::export(workspace)? } else { what.networks.clone() };
    let (pace, peers) = match (what.quick, files.is_empty()) {
        (true, _) => (QUICK_PACE, Peers::AllDepths),
        (_, true) => (PACE, Peers::AllDepths),
        _ => (PACE_OF_LARGE, Peers::Plain),
    };
    let bench = Bench { workspace, program, boards, pace, peers };
    let mut networks = if what.quick {
        vec![Network::resnet20(workspace)]
    } else if files.is_empty() {
        vec![Network::resnet20(workspace), Network::resnet110(workspace)]
    } else {
        files.iter().map(|file| Network::of_file(file)).collect::<Result<_>>()?
    };
    if let Some(step) = what.every {
        for network in &mut networks {
            network.measure_every(step.get());
        }
    }
    let networks = bench.measure_all(&networks)?;
    let report = Report { machine: Machine::find(workspace)?, networks };
    if format == Format::Json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else if files.is_empty() {
        println!("{}", report.text());
    } else {
        println!("{}", deployed::text(&report));
    }
    match (what.deployed, what.quick || !files.is_empty()) {
        (true, _) => deployed::publish(workspace, &report),
        (_, true) => Ok(()),
        _ => publish(workspace, &report),
    }
}

/// What other engines run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Peers {
    /// The network with all blocks, without those that are gated, and with gates.
    AllDepths,
    /// The network with all blocks.
    Plain,
}

/// A board whose instructions are counted.
struct Counting<'a> {
    target: Target,
    family: Family,
    board: Board<'a>,
    /// `None` where it is not to be had.
    ncnn: Option<BoardNcnn>,
}

impl<'a> Counting<'a> {
    fn prepare(workspace: &Workspace, tools: &'a Tools, name: &str, quick: bool) -> Result<Self> {
        let target = Target::named(name)?;
        let family = Family::of(&target)?;
        let ncnn = if quick { None } else { board_ncnn(workspace, family) };
        let board = Board::prepare(workspace, tools, &target, BoardProfile::Shipped)?;
        Ok(Self { target, family, board, ncnn })
    }
}

/// ncnn under emulation, where Debian's archive can be read.
fn board_ncnn(workspace: &Workspace, family: Family) -> Option<BoardNcnn> {
    match BoardNcnn::prepare(workspace, family) {
        Ok(ncnn) => Some(ncnn),
        Err(error) => {
            say(&format!("The {} instructions of ncnn are not counted: {error:#}", family.name()));
            None
        }
    }
}

/// Everything that measuring a network takes.
struct Bench<'a> {
    workspace: &'a Workspace,
    /// For this machine, with the compiler.
    program: PathBuf,
    boards: Vec<Counting<'a>>,
    pace: Pace,
    peers: Peers,
}

impl Bench<'_> {
    /// Measures everything that takes time first, and counts instructions afterwards: a count repeats exactly, whatever else
    /// the machine does meanwhile.
    fn measure_all(&self, networks: &[Network]) -> Result<Vec<NetworkReport>> {
        let mut reports = networks.iter().map(|network| self.time(network)).collect::<Result<Vec<_>>>()?;
        if !self.boards.is_empty() {
            say("All latencies are measured: what is counted now does not mind other work on this machine");
        }
        for (network, report) in networks.iter().zip(&mut reports) {
            let counted = self.boards.iter().map(|board| self.count(network, board));
            report.boards = counted.collect::<Result<_>>()?;
        }
        Ok(reports)
    }

    /// Measures on this machine.
    fn time(&self, network: &Network) -> Result<NetworkReport> {
        let program = &self.program;
        let host = network.compile(self.workspace, program, "host", network.host_step)?;
        let peers = self.prepared_peers(network)?;
        let (workspace, pace) = (self.workspace, self.pace);
        let stage = host::Stage { workspace, program, artifacts: &host, peers: &peers, pace };
        let ([gated, ungated], peer) = (stage.footprints()?, stage.peer_footprint()?);
        let latencies =
            all_threads()?.into_iter().map(|threads| stage.measure(threads)).collect::<Result<Vec<_>>>()?;
        self.plot(network, &latencies)?;
        let (name, gates) = (network.name.clone(), host.gates());
        let kernels = host.manifest.coverage.kernels;
        let layers = kernels + host.manifest.coverage.generic.len();
        let compile_seconds = host.compile_seconds;
        Ok(NetworkReport {
            name,
            gates,
            kernels,
            layers,
            host: latencies,
            boards: Vec::new(),
            gated,
            ungated,
            peer,
            compile_seconds,
        })
    }

    /// Instructions of one inference on a board; what the peers load is there since the network was timed.
    fn count(&self, network: &Network, counting: &Counting) -> Result<OnBoard> {
        let target = &counting.target.name;
        let artifacts = network.compile(self.workspace, &self.program, target, network.board_step)?;
        let stage = board::Stage {
            workspace: self.workspace,
            board: &counting.board,
            image: artifacts.manifest.image()?.shape.clone(),
            artifacts: &artifacts,
            peers: &network.peers(self.workspace),
            ncnn: counting.ncnn.as_ref(),
            dir: network.dir(self.workspace).join("counts").join(target),
        };
        let instructions = stage.count()?;
        Ok(OnBoard { target: target.clone(), family: counting.family.name(), instructions })
    }

    /// Writes what the peers load, unless that was done before.
    fn prepared_peers(&self, network: &Network) -> Result<PathBuf> {
        let dir = network.peers(self.workspace);
        let mut python = self.workspace.command(self.workspace.venv("python"));
        python.arg("tests/python/peers.py");
        if self.peers == Peers::AllDepths {
            let gated = network.gate(self.workspace, &self.program)?;
            python.arg("prepare").arg(&network.model).arg(gated).arg(&dir);
        } else {
            python.arg("prepare-plain").arg(&network.model).arg(&dir);
        }
        let key = Key::new("peers")
            .text(&format!("{:?}", self.peers))
            .file(&network.model)?
            .file(&self.program)?
            .file(&self.workspace.path("tests/python/peers.py"))?
            .file(&self.workspace.tool("venv-tests.stamp"))?;
        let for_litert = network.model.with_extension("tflite");
        let key = if for_litert.exists() { key.file(&for_litert)? } else { key };
        Stamp::new(dir.with_extension("stamp")).unless_done(&key, || {
            say(&format!("Converting {} for other engines", network.model.display()));
            python.run()
        })?;
        Ok(dir)
    }

    /// Draws the latencies.
    fn plot(&self, network: &Network, latencies: &[Host]) -> Result<()> {
        for Host { threads, latency, .. } in latencies {
            let cores = if *threads == 1 { "one core".to_owned() } else { format!("{threads} cores") };
            let title = format!("{}, {cores}", network.name);
            let svg = Figure::latency_over_skipped(title, latency.lines()).svg()?;
            fs_err::write(self.workspace.path("target/bench").join(plot_name(&network.name, *threads)), svg)?;
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
