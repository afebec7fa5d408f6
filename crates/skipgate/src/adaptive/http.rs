//! Requests over HTTP.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result};
use fs_err as fs;
use skipgate_http::{Endpoint, Inference, Model, Sessions, Shared};
use skipgate_runtime::{Artifact, Server};

use super::levels::LeveledFront;
use super::live::LOOK;
use super::totals::Totals;
use crate::cli::Serve as Arguments;

/// The model as clients see it.
pub(crate) fn model(arguments: &Arguments, artifact: &Artifact, front: &LeveledFront) -> Result<Model> {
    let name = match &arguments.model_name {
        Some(name) => name.clone(),
        None => folder_name(&arguments.control.artifact)?,
    };
    Model::new(&name, artifact.manifest().clone(), front.masks.clone())
        .context("name the model with --model-name")
}

/// The name of the folder that `path` stands for, `.` for one.
fn folder_name(path: &Path) -> Result<String> {
    let path = fs::canonicalize(path)?;
    Ok(path.file_name().unwrap_or_default().to_string_lossy().into_owned())
}

/// Answers requests at `address` until `stop` is set, then those that are there.
pub(crate) fn serve(
    arguments: &Arguments,
    address: &str,
    model: Model,
    servers: Vec<Server>,
    numbers: &Shared,
    stop: &AtomicBool,
) -> Result<Totals> {
    let name = model.name().to_owned();
    let sessions = Sessions::new(servers, arguments.most_waiting.get());
    let inference = Arc::new(Inference::new(model, sessions, numbers.clone()));
    let endpoint = Endpoint::start(address, &inference)?;
    for address in endpoint.addresses() {
        eprintln!("serving http://{address}/v2/models/{name}");
    }
    while !stop.load(Ordering::Relaxed) {
        thread::sleep(LOOK);
    }
    inference.leave();
    let leaving = Instant::now();
    while let Some(left) = arguments.grace.checked_sub(leaving.elapsed()) {
        thread::sleep(left.min(LOOK));
    }
    endpoint.finish();
    Ok(Totals::of(numbers, "request"))
}
