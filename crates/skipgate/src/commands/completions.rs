//! `skipgate completions`: a completion script on standard output.

use std::io;

use anyhow::{Context as _, Result};
use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::Cli;

pub(crate) fn execute(shell: Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "skipgate", &mut script);
    io::Write::write_all(&mut io::stdout().lock(), &script).context("cannot write to standard output")
}
