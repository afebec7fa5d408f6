//! What the commands that evaluate masks share.

use std::path::PathBuf;
use std::thread;

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use skipgate_data::Dataset;
use skipgate_explore::{Engine, Error, Shard, Split, Store};
use skipgate_runtime::Artifact;

use crate::cli::{Evaluation as Arguments, Format};
use crate::progress;
use crate::report::{self, Report};

/// The artifact and the images that the arguments name.
pub(super) fn open(arguments: &Arguments) -> Result<(Artifact, Dataset)> {
    let artifact = arguments.trust.open(&arguments.artifact)?;
    let bar = progress::bar(0).with_message("images read");
    let dataset = Dataset::open(&arguments.data, arguments.part, artifact.manifest(), &|done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    })
    .with_context(|| format!("cannot use the data set {}", arguments.data))?;
    bar.finish_and_clear();
    Ok((artifact, dataset))
}

/// An engine as the arguments ask for.
pub(super) fn engine<'a>(
    arguments: &Arguments,
    artifact: &'a Artifact,
    dataset: &'a Dataset,
) -> Result<Engine<'a>> {
    let manifest = artifact.manifest();
    let batch = manifest.image()?.shape.first();
    ensure!(
        batch == Some(&1),
        "{} takes {:?} images at once, only artifacts that take one can be explored",
        arguments.artifact.display(),
        batch
    );
    let split = Split::new(dataset.len(), arguments.search_images)?;
    let (gates, batch) = (manifest.gates.len(), split.batch_size());
    let store = Store::open(&store(arguments), &manifest.model_sha256, dataset.sha256(), gates, batch)?;
    let threads = arguments.threads.map_or_else(cores, usize::from);
    Ok(Engine::new(artifact, dataset, split, store, arguments.shard, threads)?)
}

/// A shard that did its share.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Waiting {
    shard: String,
    /// Evaluations of a mask on an image that were done.
    computed: usize,
    /// Evaluations of a mask on a batch that others do.
    missing: usize,
    store: PathBuf,
}

impl Report for Waiting {
    fn text(&self) -> String {
        let Self { shard, computed, missing, store } = self;
        format!(
            "shard {shard} did {computed} evaluations, now in {}; {missing} batches are the work of other shards\n\
             put the stores together with `skipgate merge`, and go on with the result",
            store.display()
        )
    }
}

/// Passes a result on. That a shard waits for the others is none, but no failure either: it is printed.
pub(super) fn unless_waiting<T>(
    result: Result<T, Error>,
    engine: &Engine,
    arguments: &Arguments,
    format: Format,
) -> Result<Option<T>> {
    match result {
        Err(Error::Pending { missing }) if arguments.shard != Shard::WHOLE => {
            let (shard, computed) = (arguments.shard.to_string(), engine.computed());
            report::print(&Waiting { shard, computed, missing, store: store(arguments) }, format)?;
            Ok(None)
        }
        result => Ok(Some(result?)),
    }
}

fn store(arguments: &Arguments) -> PathBuf {
    arguments.store.clone().unwrap_or_else(|| default_store(arguments))
}

/// Beside the artifact, which is replaced when it is compiled again.
fn default_store(arguments: &Arguments) -> PathBuf {
    arguments.artifact.with_extension("evaluations.jsonl")
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}
