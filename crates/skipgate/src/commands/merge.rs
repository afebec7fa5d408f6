//! `skipgate merge`: the results of several machines in one store.

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use crate::cli::{Format, Merge as Arguments};
use crate::report::{self, Report};

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Merged {
    output: PathBuf,
    stores: usize,
    results: usize,
}

impl Report for Merged {
    fn text(&self) -> String {
        format!("wrote the {} results of {} stores to {}", self.results, self.stores, self.output.display())
    }
}

pub(crate) fn execute(arguments: &Arguments, format: Format) -> Result<()> {
    let results = skipgate_explore::merge(&arguments.stores, &arguments.output)?;
    let merged = Merged { output: arguments.output.clone(), stores: arguments.stores.len(), results };
    report::print(&merged, format)
}
