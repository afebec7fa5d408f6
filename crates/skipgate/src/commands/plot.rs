//! `skipgate plot`: what a search found, as a picture.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use skipgate_core::file::read_text;
use skipgate_explore::{EXPLORATION_FILE, Exploration, Picture};

use crate::cli::{Format, Plot as Arguments};
use crate::report::{self, Report};

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Drawn {
    output: PathBuf,
}

impl Report for Drawn {
    fn text(&self) -> String {
        format!("wrote {}", self.output.display())
    }
}

pub(crate) fn execute(arguments: &Arguments, format: Format) -> Result<()> {
    arguments.trust.check(&arguments.artifact)?;
    let path = arguments.artifact.join(EXPLORATION_FILE);
    ensure!(path.exists(), "there is no {}; `skipgate pareto` makes it", path.display());
    let exploration: Exploration = serde_json::from_str(&read_text(&path)?)
        .with_context(|| format!("{} is not what `skipgate pareto` wrote", path.display()))?;
    Picture::of(&exploration, &arguments.reference).write(&arguments.output)?;
    report::print(&Drawn { output: arguments.output.clone() }, format)
}
