//! `skipgate rank`: how much each block matters.

use std::time::Instant;

use anyhow::Result;
use serde::Serialize;
use skipgate_explore::ranking::skipping_order;

use super::{evaluation, search};
use crate::cli::{Format, Rank as Arguments};
use crate::progress;
use crate::report::{self, Report};

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Ranked {
    by: String,
    /// Images that the ranking was made on.
    images: usize,
    /// Evaluations of one mask on one image.
    evaluations: usize,
    /// Those that were not in the store.
    computed: usize,
    seconds: f64,
    /// The least important first: the order to skip them in.
    blocks: Vec<Block>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Block {
    gate: usize,
    name: String,
    segment: usize,
    importance: f64,
}

impl Report for Ranked {
    fn text(&self) -> String {
        let mut table = report::table(["gate", "segment", "importance", "block"]);
        for Block { gate, name, segment, importance } in &self.blocks {
            table.add_row([gate.to_string(), segment.to_string(), format!("{importance:.6}"), name.clone()]);
        }
        format!(
            "{table}\n\nblocks by {}, the first to skip first; {} evaluations on {} images, {} of them new, in {:.1} s\n",
            self.by, self.evaluations, self.images, self.computed, self.seconds
        )
    }
}

pub(crate) fn execute(arguments: &Arguments, format: Format) -> Result<()> {
    let start = Instant::now();
    let ranking = search::ranking(&arguments.ranking)?;
    let (artifact, dataset) = evaluation::open(&arguments.evaluation)?;
    let mut engine = evaluation::engine(&arguments.evaluation, &artifact, &dataset)?;
    let images = engine.split().images(engine.split().search());
    let bar = progress::bar(engine.gates() * images);
    let ticks = bar.clone();
    engine.on_progress(move |images| ticks.inc(images as u64));
    let importance = ranking.importance(&mut engine);
    bar.finish_and_clear();
    let Some(importance) = evaluation::unless_waiting(importance, &engine, &arguments.evaluation, format)?
    else {
        return Ok(());
    };
    let block = |gate: usize| Block {
        gate,
        name: artifact.gates()[gate].block.clone(),
        segment: artifact.gates()[gate].segment,
        importance: importance[gate],
    };
    let ranked = Ranked {
        by: ranking.name().to_owned(),
        images: if engine.spent() > 0 { images } else { 0 },
        evaluations: engine.spent(),
        computed: engine.computed(),
        seconds: start.elapsed().as_secs_f64(),
        blocks: skipping_order(&importance).into_iter().map(block).collect(),
    };
    report::print(&ranked, format)
}
