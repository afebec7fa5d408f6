//! A request for every path on standard input.

use std::io::{self, BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use skipgate_core::Manifest;
use skipgate_runtime::{Server, Submission};

use super::live::{LOOK, class};

/// What became of an image, as a line of JSON.
#[derive(Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Line {
    Processed {
        image: PathBuf,
        class: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        configuration: usize,
        latency_us: f64,
    },
    Dropped {
        image: PathBuf,
    },
    /// The image cannot be read; the server goes on.
    Failed {
        image: PathBuf,
        error: String,
    },
}

/// Requests every image as soon as its path comes, until there are no more or `stop` is set, and prints a line for each
/// in that order.
pub(crate) fn serve(server: &Server, manifest: &Manifest, stop: &AtomicBool) -> Result<()> {
    let (sender, submitted) = mpsc::channel();
    let paths = paths();
    thread::scope(|scope| {
        let answers = scope.spawn(|| print(submitted, manifest));
        while !stop.load(Ordering::Relaxed) {
            let path = match paths.recv_timeout(LOOK) {
                Ok(path) => path,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let submission = match load_floats(Path::new(&path), manifest) {
                Ok(image) => Ok(server.submit(image)?),
                Err(error) => Err(error.to_string()),
            };
            if sender.send((PathBuf::from(path), submission)).is_err() {
                break;
            }
        }
        drop(sender);
        answers.join().expect("printing returns errors")
    })
}

/// An image for a server, which has a network that takes floats.
fn load_floats(path: &Path, manifest: &Manifest) -> Result<Arc<[f32]>> {
    let image = skipgate_data::load_image(path, manifest)?;
    Ok(<&[f32]>::try_from(image.elements())?.into())
}

/// The lines of standard input. A thread of their own waits for them, so that a signal ends the wait of the others; it
/// ends with the process.
fn paths() -> Receiver<String> {
    let (sender, paths) = mpsc::channel();
    thread::spawn(move || {
        let lines = io::stdin().lock().lines().map_while(Result::ok);
        lines.filter(|line| !line.trim().is_empty()).try_for_each(|line| sender.send(line))
    });
    paths
}

fn print(submitted: Receiver<(PathBuf, Result<Submission, String>)>, manifest: &Manifest) -> Result<()> {
    for (image, submission) in submitted {
        let line = match submission {
            Err(error) => Line::Failed { image, error },
            Ok(Submission::Dropped) => Line::Dropped { image },
            Ok(Submission::Accepted(ticket)) => {
                let answer = ticket.wait()?;
                let class = class(&answer.logits);
                let latency: Duration = answer.ended.saturating_sub(answer.arrived);
                Line::Processed {
                    image,
                    class,
                    name: manifest.class_names.get(class).cloned(),
                    configuration: answer.configuration,
                    latency_us: latency.as_secs_f64() * 1e6,
                }
            }
        };
        let mut output = io::stdout().lock();
        serde_json::to_writer(&mut output, &line)?;
        writeln!(output)?;
        output.flush()?;
    }
    Ok(())
}
