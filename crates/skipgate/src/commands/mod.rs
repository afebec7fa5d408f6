//! One file per command: read the arguments, call the libraries, report.

mod bench;
#[cfg(feature = "compiler")]
mod compile;
mod completions;
mod doctor;
#[cfg(feature = "explore")]
mod evaluation;
#[cfg(feature = "compiler")]
mod gate;
#[cfg(feature = "compiler")]
mod inspect;
mod man;
#[cfg(feature = "explore")]
mod merge;
#[cfg(feature = "explore")]
mod pareto;
#[cfg(feature = "explore")]
mod plot;
#[cfg(feature = "explore")]
mod rank;
#[cfg(feature = "explore")]
mod report;
mod run;
#[cfg(feature = "schema")]
mod schema;
#[cfg(feature = "explore")]
mod search;
#[cfg(feature = "compiler")]
mod selection;
mod serve;
#[cfg(feature = "compiler")]
mod sign;
mod simulate;
#[cfg(feature = "compiler")]
mod targets;
#[cfg(feature = "compiler")]
mod verify;

use anyhow::Result;

use crate::cli::{Cli, Command};

/// Runs the command that the arguments name.
pub(crate) fn execute(cli: Cli) -> Result<()> {
    let format = cli.format;
    match cli.command {
        #[cfg(feature = "compiler")]
        Command::Inspect(arguments) => inspect::execute(&arguments, format),
        #[cfg(feature = "compiler")]
        Command::Gate(arguments) => gate::execute(&arguments, format),
        #[cfg(feature = "compiler")]
        Command::Compile(arguments) => compile::execute(&arguments, format),
        #[cfg(feature = "compiler")]
        Command::Verify(arguments) => verify::execute(&arguments, format),
        #[cfg(feature = "compiler")]
        Command::Keygen(arguments) => sign::generate(&arguments, format),
        #[cfg(feature = "compiler")]
        Command::Sign(arguments) => sign::execute(&arguments, format),
        #[cfg(feature = "compiler")]
        Command::CompileJob(files) => crate::compiler_process::work(&files),
        Command::Run(arguments) => run::execute(&arguments, format),
        Command::Bench(arguments) => bench::execute(&arguments, format),
        Command::Serve(arguments) => serve::execute(&arguments, format),
        Command::Simulate(arguments) => simulate::execute(&arguments, format),
        #[cfg(feature = "explore")]
        Command::Rank(arguments) => rank::execute(&arguments, format),
        #[cfg(feature = "explore")]
        Command::Pareto(arguments) => pareto::execute(&arguments, format),
        #[cfg(feature = "explore")]
        Command::Plot(arguments) => plot::execute(&arguments, format),
        #[cfg(feature = "explore")]
        Command::Report(arguments) => report::execute(&arguments, format),
        #[cfg(feature = "explore")]
        Command::Merge(arguments) => merge::execute(&arguments, format),
        #[cfg(feature = "compiler")]
        Command::Targets => targets::execute(format),
        #[cfg(feature = "schema")]
        Command::Schema(arguments) => schema::execute(&arguments, format),
        Command::Doctor => doctor::execute(format),
        Command::Completions { shell } => completions::execute(shell),
        Command::Man { folder } => man::execute(&folder),
    }
}
