//! `skipgate report`: a page that shows an artifact.

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;
use skipgate_core::file;
use skipgate_report::{Percentiles, Report as Page};

use crate::adaptive::levels;
use crate::cli::{Format, Report as Arguments};
use crate::latency::Latency;
use crate::report::{self, Report};

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Written {
    output: PathBuf,
}

impl Report for Written {
    fn text(&self) -> String {
        format!("wrote {}", self.output.display())
    }
}

pub(crate) fn execute(arguments: &Arguments, format: Format) -> Result<()> {
    let page = Page::open(&arguments.artifact)?;
    let page = match &arguments.latency_from {
        Some(file) => {
            let (known, _) = levels::known(file, &page.front_masks(), page.gates(), &arguments.artifact)?;
            page.with_percentiles(known.into_iter().map(|(mask, latency)| (mask, latency.into())).collect())
        }
        None => page,
    };
    file::write_whole(&arguments.output, page.html().as_bytes())?;
    report::print(&Written { output: arguments.output.clone() }, format)
}

impl From<Latency> for Percentiles {
    fn from(Latency { min_us, median_us, p90_us, p99_us, max_us }: Latency) -> Self {
        Self { min: min_us, median: median_us, p90: p90_us, p99: p99_us, max: max_us }
    }
}
