//! `skipgate targets`: the machines that artifacts can be compiled for.

use anyhow::Result;
use serde::Serialize;
use skipgate_core::Target;

use crate::cli::Format;
use crate::report::{self, Report};

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Targets {
    targets: Vec<Target>,
}

impl Report for Targets {
    fn text(&self) -> String {
        let mut table = report::table(["target", "CPU", "triple", "for"]);
        for target in &self.targets {
            table.add_row([&target.name, &target.cpu, &target.triple, target.description()]);
        }
        table.to_string()
    }
}

pub(crate) fn execute(format: Format) -> Result<()> {
    report::print(&Targets { targets: Target::all() }, format)
}
