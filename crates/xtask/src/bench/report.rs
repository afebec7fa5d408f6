//! The figures as text, as JSON and as a page for the repository.

use std::fmt::Write as _;

use comfy_table::{Table, presets};
use serde::Serialize;

use super::comparison::{Comparison, align};
use super::host::{Footprint, Host, PeerFootprint, Switch};
use super::machine::Machine;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) machine: Machine,
    pub(super) networks: Vec<NetworkReport>,
}

/// One network.
#[derive(Debug, Serialize)]
pub(super) struct NetworkReport {
    pub(super) name: String,
    pub(super) gates: usize,
    /// Layers of the gated network that kernels compute on this machine, and all of its layers.
    pub(super) kernels: usize,
    pub(super) layers: usize,
    /// One core first, then all.
    pub(super) host: Vec<Host>,
    pub(super) boards: Vec<OnBoard>,
    pub(super) gated: Footprint,
    pub(super) ungated: Footprint,
    pub(super) peer: PeerFootprint,
    /// What compiling the gated network for this machine took.
    pub(super) compile_seconds: f64,
}

/// Instructions on a board.
#[derive(Debug, Serialize)]
pub(super) struct OnBoard {
    pub(super) target: String,
    /// What people call its instruction set.
    pub(super) family: &'static str,
    /// `None` where they cannot be counted.
    pub(super) instructions: Option<Comparison>,
}

/// A table under its title, and the plot that belongs to it.
struct Section {
    title: String,
    body: Body,
    plot: Option<String>,
}

enum Body {
    Table(Table),
    Nothing(&'static str),
}

impl Report {
    /// For a terminal.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for network in &self.networks {
            for Section { title, body, .. } in network.sections(presets::NOTHING) {
                let _ = write!(text, "{}, {title}\n{}\n\n", network.name, body.shown());
            }
        }
        text + &self.machine.text()
    }

    /// The page: `has_plot` says which of the plots lie beside it in `docs`.
    pub(super) fn markdown(&self, has_plot: impl Fn(&str) -> bool) -> String {
        let mut page = format!("{INTRODUCTION}\n{}.\n", self.machine.text());
        for network in &self.networks {
            let _ = write!(page, "\n## {}, {} gates\n", network.name, network.gates);
            for Section { title, body, plot } in network.sections(presets::ASCII_MARKDOWN) {
                let _ = write!(page, "\n### {}\n\n{}\n", capitalised(&title), body.shown());
                if let Some(name) = plot.filter(|name| has_plot(name)) {
                    let _ = write!(page, "\n![Latency over skipped blocks](docs/{name})\n");
                }
            }
        }
        page
    }
}

const INTRODUCTION: &str = "\
# Benchmarks

Written by `cargo xtask bench`, which installs, builds and compiles everything it needs; run it on an idle machine. One
network alone: `skipgate bench DIR --model MODEL.onnx`.

Images of 32x32, batch 1, float32. Blocks are skipped from the last. Beside each figure of another network stands in
brackets how many times that the gated one takes: below 1 it is better. *Statically pruned* is the same network
compiled the same way with the skipped blocks removed for good; with none skipped, that is the ungated network. ONNX
Runtime and ncnn run the network without the skipped blocks, *gated* the one with gates in ONNX Runtime. Latencies are
medians over interleaved rounds of the round's median, ratios medians over the rounds of the round's ratio, so that what
slows the whole machine down cancels out. Instructions are the difference between runs of one and of three inferences
under QEMU's emulation of the board's processor, and repeat exactly; ncnn computes with float32 there, as here.
";

impl Body {
    fn shown(&self) -> String {
        match self {
            Self::Table(table) => table.trim_fmt(),
            Self::Nothing(why) => (*why).to_owned(),
        }
    }
}

impl OnBoard {
    /// What tables of instructions are called.
    pub(super) fn title(&self) -> String {
        format!("instructions on {} ({})", self.family, self.target)
    }

    fn section(&self, preset: &str) -> Section {
        let (note, body) = match &self.instructions {
            Some(counts) => (worst(counts), Body::Table(counts.table(preset))),
            None => (String::new(), Body::Nothing("Not counted: there was no QEMU that can.")),
        };
        Section { title: self.title() + &note, body, plot: None }
    }
}

impl NetworkReport {
    fn sections(&self, preset: &str) -> Vec<Section> {
        let mut sections = Vec::new();
        for host in &self.host {
            sections.push(Section {
                title: format!("latency, {}{}", threads(host.threads), worst(&host.latency)),
                body: Body::Table(host.latency.table(preset)),
                plot: Some(plot_name(&self.name, host.threads)),
            });
        }
        sections.push(Section {
            title: "change of the mask".to_owned(),
            body: Body::Table(self.switches(preset)),
            plot: None,
        });
        sections.extend(self.boards.iter().map(|board| board.section(preset)));
        sections.push(Section {
            title: "size".to_owned(),
            body: Body::Table(self.footprint(preset)),
            plot: None,
        });
        sections
    }

    fn switches(&self, preset: &str) -> Table {
        let mut table = Table::new();
        table.load_preset(preset).set_header([
            "threads",
            "mask",
            "median, changed",
            "median, repeated",
            "p99, changed",
            "p99, repeated",
        ]);
        for host in &self.host {
            for Switch { mask, changed, repeated } in &host.switches {
                let name = if mask.contains('1') { "all-run" } else { "all-skip" };
                let times = [changed.median_us, repeated.median_us, changed.p99_us, repeated.p99_us];
                let row = [host.threads.to_string(), name.to_owned()];
                table.add_row(row.into_iter().chain(times.map(|us| format!("{us:.1} µs"))));
            }
        }
        align(&mut table);
        table
    }

    fn footprint(&self, preset: &str) -> Table {
        let mut table = Table::new();
        table.load_preset(preset).set_header(["bytes", "gated", "ungated"]);
        let (gated, ungated) = (&self.gated, &self.ungated);
        for (name, gated, ungated) in [
            ("model.vmfb", gated.vmfb_bytes, ungated.vmfb_bytes),
            ("peak memory of the process", gated.peak_memory_bytes, ungated.peak_memory_bytes),
        ] {
            let ratio = gated as f64 / ungated as f64;
            table.add_row([name.to_owned(), gated.to_string(), format!("{ungated} (×{ratio:.3})")]);
        }
        align(&mut table);
        table
    }
}

/// The file of a plot.
pub(super) fn plot_name(network: &str, threads: usize) -> String {
    format!("bench-{network}-{threads}.svg")
}

pub(super) fn threads(count: usize) -> String {
    if count == 1 { "one core".to_owned() } else { format!("{count} cores") }
}

fn worst(comparison: &Comparison) -> String {
    let shown = |ratio| format!("; at worst ×{ratio:.3} of the statically pruned network");
    comparison.worst_overhead().map_or(String::new(), shown)
}

pub(super) fn capitalised(text: &str) -> String {
    let (first, rest) = text.split_at(text.chars().next().map_or(0, char::len_utf8));
    first.to_uppercase() + rest
}

#[cfg(test)]
mod tests {
    use super::super::comparison::{Depth, Unit};
    use super::super::host::Latency;
    use super::*;

    fn report() -> Report {
        let latency = |us| Latency { median_us: us, p99_us: us + 1.0 };
        let depth = |skipped, gated| Depth { skipped, gated, others: [].into() };
        let host = Host {
            threads: 1,
            rounds: 2,
            latency: Comparison { unit: Unit::Microseconds, depths: vec![depth(0, 400.0), depth(6, 100.0)] },
            switches: vec![Switch { mask: "000".to_owned(), changed: latency(8.0), repeated: latency(7.0) }],
        };
        let machine = Machine {
            cpu: "Xeon 9".to_owned(),
            cores: 2,
            date: "2026-01-02".to_owned(),
            versions: vec![("IREE".to_owned(), "3".to_owned())],
        };
        let network = NetworkReport {
            name: "resnet20".to_owned(),
            gates: 6,
            kernels: 20,
            layers: 20,
            host: vec![host],
            boards: vec![OnBoard { target: "odroid-xu4".to_owned(), family: "armv7", instructions: None }],
            gated: Footprint { vmfb_bytes: 101, peak_memory_bytes: 1010 },
            ungated: Footprint { vmfb_bytes: 100, peak_memory_bytes: 1000 },
            peer: PeerFootprint { weight_bytes: 50, onnxruntime_bytes: 2000 },
            compile_seconds: 1.5,
        };
        Report { machine, networks: vec![network] }
    }

    #[test]
    fn the_page_shows_tables_and_the_plots_there_are() {
        let page = report().markdown(|name| name == "bench-resnet20-1.svg");
        assert!(page.contains("Xeon 9, 2 cores, 2026-01-02; IREE 3.\n"), "{page}");
        assert!(page.contains("### Latency, one core\n\n| skipped |"), "{page}");
        assert!(page.contains("(docs/bench-resnet20-1.svg)"), "{page}");
        assert!(!report().markdown(|_| false).contains(".svg"));
    }

    #[test]
    fn the_text_has_a_part_per_figure() {
        let text = report().text();
        for part in ["resnet20, latency, one core", "all-skip", "Not counted", "100 (×1.010)"] {
            assert!(text.contains(part), "no {part} in {text}");
        }
    }
}
