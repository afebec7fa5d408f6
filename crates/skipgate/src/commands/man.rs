//! `skipgate man`: the manual pages.

use std::path::Path;

use anyhow::{Context as _, Result};
use clap::CommandFactory as _;

use crate::cli::Cli;

pub(crate) fn execute(folder: &Path) -> Result<()> {
    fs_err::create_dir_all(folder)?;
    clap_mangen::generate_to(Cli::command(), folder)
        .with_context(|| format!("cannot write manual pages to {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_but_the_hidden_ones() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("man1");
        execute(&folder).unwrap();
        let page = |name: &str| folder.join(name);
        assert!(fs_err::read_to_string(page("skipgate.1")).unwrap().contains("skipgate\\-run(1)"));
        let run = fs_err::read_to_string(page("skipgate-run.1")).unwrap();
        assert!(run.contains("\\-\\-mask"), "{run}");
        assert!(!page("skipgate-compile-job.1").exists());
    }
}
