//! `cargo xtask soak`: hours of a server under more load than it can take, without and with hostile clients beside it.

mod hostile;
mod service;
mod watch;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;
use comfy_table::{CellAlignment, Table, presets};

use crate::demo::build::host_program;
use crate::process::{CommandExt, say};
use crate::setup;
use crate::stamp::{Key, Stamp};
use crate::workspace::Workspace;
use service::Outcome;
use watch::Memory;

/// The network that is served.
const MODEL: &str = "models/digits/resnet20.onnx";
/// What is asked for.
const IMAGE: &str = "models/digits/samples/3.png";
/// Bytes that a server may have more at the end than soon after its start: its allocator keeps some for later.
const MOST_GROWTH: u64 = 16 << 20;

/// How long, and what is beside it.
#[derive(Debug, Args)]
pub(crate) struct Soak {
    /// For how long, twice: undisturbed and disturbed
    #[arg(long, value_name = "N", default_value_t = 60.0)]
    minutes: f64,
}

/// Serves undisturbed, then disturbed, and prints both side by side. Fails if an image is lost, an answer is another one's,
/// a scrape of the metrics fails, or memory grows.
pub(crate) fn run(workspace: &Workspace, how: &Soak) -> Result<()> {
    setup::for_demo(workspace)?;
    let program = host_program(workspace)?;
    let artifact = artifact(workspace, &program)?;
    let time = Duration::from_secs_f64(60.0 * how.minutes);
    let image = workspace.path(IMAGE);
    let serve = |disturbed: bool| {
        say(&format!(
            "Serving {}disturbed for {:.1} minutes",
            if disturbed { "" } else { "un" },
            how.minutes
        ));
        service::run(&program, &artifact, &image, time, disturbed)
    };
    let outcomes = [serve(false)?, serve(true)?];
    println!("{}", table(&outcomes));
    outcomes.iter().try_for_each(check)
}

/// The network with a front.
fn artifact(workspace: &Workspace, program: &Path) -> Result<PathBuf> {
    let artifact = workspace.path("target/soak/resnet20");
    let model = workspace.path(MODEL);
    let key = Key::new("soak").file(program)?.file(&model)?;
    Stamp::new(artifact.with_extension("stamp")).unless_done(&key, || {
        let mut compile = workspace.command(program);
        compile.arg("compile").arg(&model).args(["--target", "host", "--output"]).arg(&artifact).run()?;
        workspace.command(program).arg("pareto").arg(&artifact).args(["--data", "digits"]).run()
    })?;
    Ok(artifact)
}

fn check(outcome: &Outcome) -> Result<()> {
    let Outcome { memory, scrapes, .. } = outcome;
    ensure!(scrapes.failed == 0, "{} scrapes of the metrics were not answered", scrapes.failed);
    let growth = memory.growth();
    ensure!(growth <= MOST_GROWTH, "memory grew by {growth} bytes; at most {MOST_GROWTH} are expected");
    Ok(())
}

/// A row for each figure.
fn table(outcomes: &[Outcome; 2]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(["", "undisturbed", "disturbed"]);
    let mut row = |name: &str, figure: &dyn Fn(&Outcome) -> String| {
        table.add_row([name.to_owned(), figure(&outcomes[0]), figure(&outcomes[1])]);
    };
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let memory = |pick: fn(&Memory) -> u64| move |outcome: &Outcome| megabytes(pick(&outcome.memory));
    row("images asked for", &|o| o.images.to_string());
    row("processed", &|o| o.summary.processed.to_string());
    row("dropped", &|o| o.summary.dropped.to_string());
    row("lines of garbage, each an error", &|o| o.garbage.to_string());
    row("latency, 50th percentile", &|o| format!("{:.0} µs", o.summary.latency.p50_us));
    row("90th", &|o| format!("{:.0} µs", o.summary.latency.p90_us));
    row("99th", &|o| format!("{:.0} µs", o.summary.latency.p99_us));
    row("longest", &|o| format!("{:.0} µs", o.summary.latency.max_us));
    row("memory after a tenth of the time", &memory(|memory| memory.early));
    row("at the end", &memory(|memory| memory.late));
    row("at most", &memory(|memory| memory.most));
    row("threads at most", &|o| o.memory.threads.to_string());
    row("scrapes of the metrics", &|o| o.scrapes.answered.to_string());
    row("slowest scrape", &|o| format!("{:.1} ms", o.scrapes.slowest.as_secs_f64() * 1e3));
    row("hostile connections", &|o| o.hostile.to_string());
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}
