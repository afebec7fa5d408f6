//! The networks that people deploy: a row for each beside the fastest of the other engines.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use comfy_table::{Table, presets};
use skipgate_plot::{Figure, Line, Marks, Panel};

use super::comparison::{Comparison, Other, align};
use super::report::{NetworkReport, Report, capitalised, threads};
use crate::process::{CommandExt, say};
use crate::setup::python;
use crate::stamp::{Key, Stamp};
use crate::workspace::Workspace;

const SCRIPT: &str = "tests/python/deployed.py";
/// What makes each network.
const NETWORKS: &str = "tests/python/networks.py";
const LITERT_SCRIPT: &str = "tests/python/deployed_litert.py";
const PAGE: &str = "docs/deployed.md";
const PICTURE: &str = "docs/deployed.svg";

/// Other engines, with their titles in tables.
const ENGINES: [(Other, &str); 4] = [
    (Other::OnnxRuntime, "ONNX Runtime"),
    (Other::Ncnn, "ncnn"),
    (Other::LiteRt, "LiteRT"),
    (Other::Tract, "tract"),
];

const INTRODUCTION: &str = "\
# Networks that people deploy

Written by `cargo xtask bench --deployed`, which exports the networks (random weights, 1,000 classes), installs, builds and
compiles everything it needs; run it on an idle machine. `cargo xtask bench --network FILE` measures any other network.

Images of 224x224, batch 1, float32. Behind each figure stands how many times that skipgate takes with all gates open: below 1
it is better. *Pruned* is the network compiled by skipgate without its gated blocks, beside the gated one with all gates closed;
*worst depth* is the largest of these ratios over every number of skipped blocks, none and all included (`--every 1`).
ncnn computes with float32 on the boards, too: its shorter floats are turned off.
An engine that cannot load a network, or computes something else from it than ONNX Runtime, has a dash. tract has one thread.
LiteRT is given the same networks by its converter for PyTorch, and hands all of their layers that it can to XNNPACK.
Memory is the most that a process has had resident which loads the network and runs it; of ONNX Runtime, what it adds to
Python's process. *Weights* are the floats in the ONNX file, and behind the size of the artifact's `model.vmfb` stands how many
times theirs it is.
";

/// Writes the networks that are not there yet and returns all of them.
pub(super) fn export(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let dir = workspace.path("target/bench/deployed");
    let key = Key::new("deployed").file(&workspace.tool("venv-tests.stamp"))?;
    let key = key.file(&workspace.path(SCRIPT))?.file(&workspace.path(NETWORKS))?;
    // What another script made has other weights than the rest.
    Stamp::new(dir.with_extension("stamp")).unless_done(&key, || {
        if dir.exists() {
            fs_err::remove_dir_all(&dir)?;
        }
        Ok(())
    })?;
    fs_err::create_dir_all(&dir)?;
    say("Exporting the networks that people deploy");
    workspace.command(workspace.venv("python")).arg(SCRIPT).arg(&dir).run()?;
    let litert = || workspace.command(python::prepare_litert(workspace)?).arg(LITERT_SCRIPT).arg(&dir).run();
    if let Err(error) = litert() {
        say(&format!("LiteRT is not measured: {error:#}"));
    }
    let files = fs_err::read_dir(&dir)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let mut files: Vec<_> = files
        .into_iter()
        .filter(|file| file.extension().is_some_and(|extension| extension == "onnx"))
        .collect();
    files.sort();
    Ok(files)
}

/// One table: all networks with one number of threads, or on the board's processor.
struct Group<'a> {
    title: String,
    rows: Vec<(&'a NetworkReport, &'a Comparison)>,
}

fn groups(report: &Report) -> Vec<Group<'_>> {
    let mut groups = Vec::new();
    let counts = report.networks.first().map_or(0, |network| network.host.len());
    for place in 0..counts {
        let rows: Vec<_> = report
            .networks
            .iter()
            .filter_map(|network| Some((network, &network.host.get(place)?.latency)))
            .collect();
        let title = format!("Latency, {}", threads(report.networks[0].host[place].threads));
        groups.push(Group { title, rows });
    }
    let boards = report.networks.first().map_or(0, |network| network.boards.len());
    groups.extend((0..boards).map(|place| counted(report, place)).filter(|group| !group.rows.is_empty()));
    groups
}

/// Instructions on board number `place` of each network.
fn counted(report: &Report, place: usize) -> Group<'_> {
    let rows = report
        .networks
        .iter()
        .filter_map(|network| Some((network, network.boards.get(place)?.instructions.as_ref()?)))
        .collect();
    Group { title: capitalised(&report.networks[0].boards[place].title()), rows }
}

/// How many times the fastest other engine's figure the gated network takes with all blocks.
fn to_best(comparison: &Comparison) -> Option<f64> {
    let others = &comparison.depths.first()?.others;
    let ratios = ENGINES.iter().filter_map(|(engine, _)| Some(others.get(engine)?.ratio));
    ratios.max_by(f64::total_cmp)
}

impl Group<'_> {
    fn table(&self, preset: &str) -> Table {
        let mut table = Table::new();
        let titles = ENGINES.iter().map(|(_, title)| *title);
        let first = ["network", "gates", "layers in kernels", "skipgate", "ungated"];
        let titles =
            first.into_iter().chain(titles).chain(["ours / best", "all skipped", "pruned", "worst depth"]);
        table.load_preset(preset).set_header(titles);
        for (network, comparison) in &self.rows {
            let Some(open) = comparison.depths.first() else { continue };
            let figure = |other: &Other| match open.others.get(other) {
                Some(figure) => format!("{} (×{:.3})", comparison.unit.shown(figure.value), figure.ratio),
                None => "-".to_owned(),
            };
            let mut row = vec![
                network.name.clone(),
                network.gates.to_string(),
                format!("{} of {}", network.kernels, network.layers),
                comparison.unit.shown(open.gated),
                figure(&Other::Pruned),
            ];
            row.extend(ENGINES.iter().map(|(engine, _)| figure(engine)));
            row.push(to_best(comparison).map_or("-".to_owned(), |ratio| format!("{ratio:.3}")));
            row.extend(skipped(comparison));
            row.push(comparison.worst_overhead().map_or("-".to_owned(), |worst| format!("×{worst:.3}")));
            table.add_row(row);
        }
        align(&mut table);
        table
    }

    /// `geometric mean 0.812, at worst 1.030 (vit_tiny)`.
    fn summary(&self) -> String {
        let ratios: Vec<_> = self
            .rows
            .iter()
            .filter_map(|(network, comparison)| Some((to_best(comparison)?, &network.name)))
            .collect();
        let Some((worst, name)) = ratios.iter().max_by(|a, b| a.0.total_cmp(&b.0)) else {
            return "no other engine".to_owned();
        };
        let mean = (ratios.iter().map(|(ratio, _)| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp();
        format!("ours / best: geometric mean {mean:.3}, at worst {worst:.3} ({name})")
    }
}

/// The figures with all blocks skipped: the gated network's, and the pruned one's.
fn skipped(comparison: &Comparison) -> [String; 2] {
    let closed = comparison.depths.last().filter(|depth| depth.skipped > 0);
    let Some(closed) = closed else { return ["-".to_owned(), "-".to_owned()] };
    let pruned = closed.others.get(&Other::Pruned);
    [
        comparison.unit.shown(closed.gated),
        pruned.map_or("-".to_owned(), |pruned| {
            format!("{} (×{:.3})", comparison.unit.shown(pruned.value), pruned.ratio)
        }),
    ]
}

const FOOTPRINTS: &str = "Size, memory and compile time";

/// What each network takes on disk, in memory and of the compiler's time.
fn footprints(report: &Report, preset: &str) -> Table {
    let mut table = Table::new();
    let titles = ["network", "weights", "model.vmfb", "memory", "ungated", "ONNX Runtime", "compile time"];
    table.load_preset(preset).set_header(titles);
    for NetworkReport { name, gated, ungated, peer, compile_seconds, .. } in &report.networks {
        let ratio = gated.vmfb_bytes as f64 / peer.weight_bytes as f64;
        table.add_row([
            name.clone(),
            megabytes(peer.weight_bytes),
            format!("{} (×{ratio:.2})", megabytes(gated.vmfb_bytes)),
            megabytes(gated.peak_memory_bytes),
            megabytes(ungated.peak_memory_bytes),
            megabytes(peer.onnxruntime_bytes),
            format!("{compile_seconds:.1} s"),
        ]);
    }
    align(&mut table);
    table
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// For a terminal.
pub(super) fn text(report: &Report) -> String {
    let mut text = String::new();
    for group in groups(report) {
        let (table, summary) = (group.table(presets::NOTHING), group.summary());
        let _ = write!(text, "{}\n{}\n{summary}\n\n", group.title, table.trim_fmt());
    }
    let _ = write!(text, "{FOOTPRINTS}\n{}\n\n", footprints(report, presets::NOTHING).trim_fmt());
    text + &report.machine.text()
}

/// Writes the page and its picture.
pub(super) fn publish(workspace: &Workspace, report: &Report) -> Result<()> {
    let mut page = format!("{INTRODUCTION}\n{}.\n\n", report.machine.text());
    let _ = writeln!(page, "![ours / best of the other engines](deployed.svg)");
    for group in groups(report) {
        let (table, summary) = (group.table(presets::ASCII_MARKDOWN), group.summary());
        let _ = write!(page, "\n## {}; {summary}\n\n{}\n", group.title, table.trim_fmt());
    }
    let table = footprints(report, presets::ASCII_MARKDOWN);
    let _ = write!(page, "\n## {FOOTPRINTS}\n\n{}\n", table.trim_fmt());
    fs_err::write(workspace.path(PAGE), page)?;
    Ok(fs_err::write(workspace.path(PICTURE), picture(report).svg()?)?)
}

/// Ours / best of each network.
fn picture(report: &Report) -> Figure {
    let groups = groups(report);
    let line = |(color, group): (usize, &Group)| {
        let row = |name: &String| report.networks.iter().position(|network| network.name == *name);
        let point = |(network, comparison): &(&NetworkReport, &Comparison)| {
            Some((row(&network.name)? as f64, to_best(comparison)?))
        };
        Line { name: group.title.clone(), color, points: group.rows.iter().filter_map(point).collect() }
    };
    let lines = groups.iter().enumerate().map(line).collect();
    let names = report.networks.iter().map(|network| network.name.clone()).collect();
    let axis = "skipgate / the best of ONNX Runtime, ncnn, LiteRT and tract; below 1 is better";
    let panel = Panel::new(axis, "", Marks::Ratios(names, lines));
    Figure {
        title: "Networks that people deploy".to_owned(),
        size: (760, 560),
        columns: 1,
        panels: vec![panel],
    }
}

#[cfg(test)]
mod tests {
    use super::super::comparison::{Depth, Figure as Cell, Unit};
    use super::super::host::{Footprint, PeerFootprint};
    use super::super::machine::Machine;
    use super::*;

    fn comparison(ratios: &[(Other, f64)]) -> Comparison {
        let others =
            ratios.iter().map(|&(other, ratio)| (other, Cell { value: 100.0 / ratio, ratio })).collect();
        Comparison { unit: Unit::Microseconds, depths: vec![Depth { skipped: 0, gated: 100.0, others }] }
    }

    #[test]
    fn sizes_stand_beside_the_weights() {
        let network = NetworkReport {
            name: "small".to_owned(),
            gates: 0,
            kernels: 1,
            layers: 1,
            host: Vec::new(),
            boards: Vec::new(),
            gated: Footprint { vmfb_bytes: 3_000_000, peak_memory_bytes: 20_000_000 },
            ungated: Footprint { vmfb_bytes: 3_000_000, peak_memory_bytes: 19_000_000 },
            peer: PeerFootprint { weight_bytes: 2_000_000, onnxruntime_bytes: 40_000_000 },
            compile_seconds: 12.34,
        };
        let (cpu, date) = ("Xeon 9".to_owned(), "2026-01-02".to_owned());
        let machine = Machine { cpu, cores: 2, date, versions: Vec::new() };
        let table = footprints(&Report { machine, networks: vec![network] }, presets::NOTHING).to_string();
        let row = table.lines().nth(1).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(row, "small 2.0 MB 3.0 MB (×1.50) 20.0 MB 19.0 MB 40.0 MB 12.3 s");
    }

    #[test]
    fn the_best_engine_is_the_one_that_is_beaten_least() {
        let all = comparison(&[(Other::OnnxRuntime, 0.5), (Other::Ncnn, 0.8), (Other::Pruned, 1.01)]);
        assert_eq!(to_best(&all), Some(0.8));
        assert_eq!(to_best(&comparison(&[(Other::Pruned, 1.0)])), None);
    }
}
