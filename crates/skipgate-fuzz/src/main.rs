//! Random residual networks through the whole of skipgate; `cargo xtask fuzz` starts it.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;
use skipgate_fuzz::operators::{Support, Survey};
use skipgate_fuzz::{Campaign, Checker, Choices, Outcome, generate, operators, serve};
use skipgate_iree::Gating;
use skipgate_onnx::{GateSelection, GateUnit, Model};

/// Random residual networks through the whole of skipgate, against ONNX Runtime
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Generate networks, compile them and compare, until time is up
    Differential {
        #[command(flatten)]
        what: What,
        /// For how long
        #[arg(long, value_name = "N", default_value_t = 2.0)]
        minutes: f64,
        /// The first seed [default: goes on where the last run ended, and adds to its counts]
        #[arg(long, value_name = "S")]
        seed: Option<u64>,
        /// At most so many networks
        #[arg(long, value_name = "N")]
        cases: Option<u64>,
        /// Seconds that a network that fails is made smaller for
        #[arg(long, value_name = "N", default_value_t = 60)]
        shrink: u64,
        /// Worker processes [default: as many as cores]
        #[arg(long, value_name = "N")]
        workers: Option<usize>,
        /// Where networks that fail are kept
        #[arg(long, value_name = "DIR", default_value = "target/fuzz/differential")]
        dir: PathBuf,
    },
    /// Check the networks in these files, or of a seed
    Check {
        #[command(flatten)]
        what: What,
        /// ONNX files
        models: Vec<PathBuf>,
        /// Add no gates
        #[arg(long)]
        ungated: bool,
        /// Gate first blocks too
        #[arg(long)]
        gate_first: bool,
        /// What gets one gate
        #[arg(long, value_name = "block|layer", default_value = "block")]
        gate_unit: GateUnit,
        /// The network of a seed
        #[arg(long)]
        seed: Option<u64>,
        /// Form of the outcomes, one a line
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Write the network of a seed
    Save {
        /// The seed
        #[arg(long)]
        seed: u64,
        /// The file
        #[arg(short, long)]
        output: PathBuf,
    },
    /// Check the test cases that ONNX has for operators, and write the page that shows what is supported
    Operators(Operators),
    /// Check cases of operators for another process
    #[command(hide = true)]
    OperatorWorker {
        /// The machine to compile for
        #[arg(long)]
        target: String,
    },
    /// Check networks for another process
    #[command(hide = true)]
    Worker {
        #[command(flatten)]
        what: What,
    },
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Text,
    /// An object for each network
    Json,
}

/// What became of one network.
#[derive(Serialize)]
struct Checked<'a> {
    network: &'a str,
    outcome: &'a Outcome,
    seconds: f64,
}

#[derive(Debug, Args)]
struct What {
    /// The machine to compile for; may be given several times
    #[arg(long = "target", value_name = "TARGET", default_value = "host")]
    targets: Vec<String>,
}

#[derive(Debug, Args)]
struct Operators {
    /// The folder that `tests/python/operator_cases.py` wrote
    cases: PathBuf,
    /// The machine to compile for
    #[arg(long, value_name = "TARGET", default_value = "host")]
    target: String,
    /// Only cases with this in their names; may be given several times
    #[arg(long, value_name = "PART")]
    only: Vec<String>,
    /// Check those again that were not right
    #[arg(long)]
    again: bool,
    /// Worker processes [default: as many as cores]
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Where what became of each case is kept, in files by target; delete it to begin anew
    #[arg(long, value_name = "DIR", default_value = "target/fuzz/operators")]
    results: PathBuf,
    /// The folder of the page
    #[arg(long, value_name = "DIR")]
    page: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Worker { what } => serve(&what.targets),
        Command::OperatorWorker { target } => operators::serve(&target),
        Command::Operators(how) => survey(how),
        Command::Save { seed, output } => {
            let generated = generate(&mut Choices::random(seed))?;
            println!("gates: {:?}", generated.selection);
            Ok(generated.model.save(&output)?)
        }
        Command::Check { what, models, ungated, gate_first, gate_unit, seed, format } => {
            let gating = if ungated {
                Gating::Ungated { remove: Vec::new() }
            } else {
                Gating::Selected(GateSelection { unit: gate_unit, gate_first, ..GateSelection::default() })
            };
            check(&what, &models, &gating, seed, format)
        }
        Command::Differential { what, minutes, seed, cases, shrink, workers, dir } => {
            let cores = std::thread::available_parallelism()?.get();
            let campaign = Campaign {
                program: std::env::current_exe()?,
                targets: what.targets,
                seed,
                cases,
                time: Duration::from_secs_f64(60.0 * minutes),
                shrink: Duration::from_secs(shrink),
                dir,
                workers: workers.unwrap_or(cores),
            };
            let summary = campaign.run(&|line| eprintln!("{line}"))?;
            println!("seeds {} to {}\n\n{}", summary.first_seed, summary.next_seed - 1, summary.text());
            ensure!(summary.failures() == 0, "{} networks failed", summary.failures());
            Ok(())
        }
    }
}

/// Checks the cases of operators.
fn survey(how: Operators) -> Result<()> {
    let survey = Survey {
        program: std::env::current_exe()?,
        cases: how.cases,
        target: how.target,
        only: how.only,
        step: 1,
        results: how.results,
        again: how.again,
        workers: how.workers.unwrap_or(std::thread::available_parallelism()?.get()),
    };
    let results = survey.run(&|line| eprintln!("{line}"))?;
    let mut support = match &how.page {
        Some(folder) => Support::read(folder)?,
        None => Support::default(),
    };
    support.update(&survey.target, &results);
    println!("{}", support.line(&survey.target));
    if let Some(folder) = &how.page {
        support.write(folder)?;
    }
    let failures = support.failures(&survey.target);
    ensure!(failures == 0, "{failures} cases failed");
    Ok(())
}

/// Checks networks in this process.
fn check(what: &What, models: &[PathBuf], gating: &Gating, seed: Option<u64>, format: Format) -> Result<()> {
    let checker = Checker::new(&what.targets)?;
    let mut failed = 0;
    let mut report = |name: String, model: &Model, gating: &Gating| -> Result<()> {
        let start = Instant::now();
        let outcome = checker.check(model, gating);
        match format {
            Format::Text => println!("{name}: {outcome}"),
            Format::Json => {
                let seconds = start.elapsed().as_secs_f64();
                println!(
                    "{}",
                    serde_json::to_string(&Checked { network: &name, outcome: &outcome, seconds })?
                );
            }
        }
        failed += usize::from(outcome.is_failure());
        Ok(())
    };
    for path in models {
        report(path.display().to_string(), &Model::load(path)?, gating)?;
    }
    if let Some(seed) = seed {
        let generated = generate(&mut Choices::random(seed))?;
        let ungated = Gating::Ungated { remove: Vec::new() };
        let gating = generated.selection.map_or(ungated, Gating::Selected);
        report(format!("seed {seed}"), &generated.model, &gating)?;
    }
    ensure!(failed == 0, "{failed} networks failed");
    Ok(())
}
