//! A request for every path on standard input.

use std::ffi::OsString;
use std::io::{self, BufRead, Read as _, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;
use skipgate_core::Manifest;
use skipgate_http::{Numbers, Shared};
use skipgate_runtime::{Server, Submission};
use skipgate_workload::{Outcome, Processed, Request};

use super::live::{LOOK, class};
use super::totals::Totals;

/// Most bytes of a line; no path of Linux is longer.
const MOST_LINE_BYTES: u64 = 4096;
/// Paths that are read ahead, and results that wait to be printed: whoever writes or reads too slowly is waited for.
const MOST_WAITING: usize = 4096;

/// What became of an image, as a line of JSON. A name that is not UTF-8 is shown as well as it can be.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum Line {
    Processed {
        image: String,
        class: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        configuration: usize,
        latency_us: f64,
    },
    Dropped {
        image: String,
    },
    /// There is no answer; the server goes on.
    Failed {
        image: String,
        error: String,
    },
}

/// A request of one line.
struct Requested {
    image: PathBuf,
    arrived: Duration,
    submission: Result<Submission, String>,
}

/// Requests every image as its path comes, until there are no more or `stop` is set, and prints a line for each in that
/// order. Unless `drop_when_busy`, each request waits for the one before.
pub(crate) fn serve(
    server: &Server,
    manifest: &Manifest,
    numbers: &Shared,
    drop_when_busy: bool,
    stop: &AtomicBool,
) -> Result<Totals> {
    let (sender, requested) = mpsc::sync_channel(MOST_WAITING);
    let (done, answered) = mpsc::channel();
    let paths = paths();
    thread::scope(|scope| {
        // It owns `done`: whoever waits for an answer must not wait when printing has ended.
        let answers = scope.spawn(move || print(requested, manifest, numbers, &done));
        let mut read = Ok(());
        while !stop.load(Ordering::Relaxed) {
            let line = match paths.recv_timeout(LOOK) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let (image, loaded) = match line {
                Ok(Ok(path)) => (path.clone(), load_floats(&path, manifest)),
                Ok(Err(too_long)) => {
                    (too_long, Err(anyhow::anyhow!("a path of more than {MOST_LINE_BYTES} bytes")))
                }
                Err(error) => {
                    read = Err(error).context("cannot read standard input");
                    break;
                }
            };
            let arrived = server.now();
            let submission = match loaded {
                Ok(image) => Ok(server.submit(image)?),
                Err(error) => Err(format!("{error:#}")),
            };
            let waits = matches!(submission, Ok(Submission::Accepted(_))) && !drop_when_busy;
            if sender.send(Requested { image, arrived, submission }).is_err()
                || waits && answered.recv().is_err()
            {
                break;
            }
        }
        drop(sender);
        answers.join().expect("printing returns errors").and(read)
    })?;
    Ok(Totals::of(numbers, "image"))
}

/// An image for a server, which has a network that takes floats.
fn load_floats(path: &Path, manifest: &Manifest) -> Result<Arc<[f32]>> {
    let image = skipgate_data::load_image(path, manifest)?;
    Ok(<&[f32]>::try_from(image.elements())?.into())
}

/// A path, or the beginning of one that is too long.
type Named = Result<PathBuf, PathBuf>;

/// The lines of standard input. A thread of their own waits for them, so that a signal ends the wait of the others; it
/// ends with the process.
fn paths() -> Receiver<io::Result<Named>> {
    let (sender, paths) = mpsc::sync_channel(MOST_WAITING);
    thread::spawn(move || {
        let mut input = io::stdin().lock();
        while let Some(line) = next(&mut input).transpose() {
            let failed = line.is_err();
            if sender.send(line).is_err() || failed {
                break;
            }
        }
    });
    paths
}

/// The next path, in whatever encoding; lines of nothing but white space are passed over.
fn next(input: &mut impl BufRead) -> io::Result<Option<Named>> {
    loop {
        let mut line = Vec::new();
        input.by_ref().take(MOST_LINE_BYTES + 1).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(None);
        }
        let whole = line.ends_with(b"\n");
        if whole {
            line.pop();
            if line.ends_with(b"\r") {
                line.pop();
            }
        } else if line.len() as u64 > MOST_LINE_BYTES {
            input.skip_until(b'\n')?;
            return Ok(Some(Err(path(line))));
        }
        if !line.trim_ascii().is_empty() {
            return Ok(Some(Ok(path(line))));
        }
    }
}

fn path(bytes: Vec<u8>) -> PathBuf {
    OsString::from_vec(bytes).into()
}

/// Prints what becomes of each request, counts it, and says so to `done` if it was accepted.
fn print(
    requested: Receiver<Requested>,
    manifest: &Manifest,
    numbers: &Shared,
    done: &Sender<()>,
) -> Result<()> {
    for Requested { image, arrived, submission } in requested {
        let image = image.to_string_lossy().into_owned();
        let (line, outcome, accepted) = match submission {
            Err(error) => (Line::Failed { image, error }, None, false),
            Ok(Submission::Dropped) => (Line::Dropped { image }, Some(Outcome::Dropped), false),
            Ok(Submission::Accepted(ticket)) => match ticket.wait() {
                Err(error) => (Line::Failed { image, error: error.to_string() }, None, true),
                Ok(answer) => {
                    let class = class(&answer.logits);
                    let (configuration, began, ended) = (answer.configuration, answer.began, answer.ended);
                    let latency = ended.saturating_sub(answer.arrived);
                    let line = Line::Processed {
                        image,
                        class,
                        name: manifest.class_names.get(class).cloned(),
                        configuration,
                        latency_us: latency.as_secs_f64() * 1e6,
                    };
                    let processed =
                        Processed { configuration: Some(configuration), began, ended, correct: None };
                    (line, Some(Outcome::Processed(processed)), true)
                }
            },
        };
        numbers.with(|numbers| add(numbers, arrived, outcome));
        if accepted {
            // Nobody waits for it where busy means dropped.
            let _ = done.send(());
        }
        print_line(&line)?;
    }
    Ok(())
}

fn print_line(line: &Line) -> Result<()> {
    let mut output = io::stdout().lock();
    serde_json::to_writer(&mut output, line)?;
    writeln!(output)?;
    Ok(output.flush()?)
}

/// Adds a request that came at `arrived`; one without an outcome failed.
fn add(numbers: &mut Numbers, arrived: Duration, outcome: Option<Outcome>) {
    match outcome {
        // No answer is known to be right, and `metrics` says nothing of them. None has a deadline of its own.
        Some(outcome) => numbers.tally.add(&Request { arrived, deadline: None, outcome }, 0.0),
        None => numbers.failed += 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(mut input: &[u8]) -> Vec<Named> {
        std::iter::from_fn(|| next(&mut input).unwrap()).collect()
    }

    #[test]
    fn a_line_is_a_path_in_whatever_encoding() {
        let found = lines(b"a.png\n\n  \nb\xff\xfe.png\r\n\xe9\nlast");
        let expected =
            [&b"a.png"[..], b"b\xff\xfe.png", b"\xe9", b"last"].map(|bytes| Ok(path(bytes.to_vec())));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_line_that_is_no_path_takes_no_memory_and_ends_nothing() {
        let long = usize::try_from(MOST_LINE_BYTES).unwrap();
        let input =
            [&vec![b'x'; 100 * long][..], b"\na\n", &vec![b'y'; long], b"\n", &vec![b'z'; long + 1]].concat();
        let found = lines(&input);
        let short = |path: &Named| {
            path.as_ref().map(|path| path.as_os_str().len()).map_err(|path| path.as_os_str().len())
        };
        assert_eq!(
            found.iter().map(short).collect::<Vec<_>>(),
            [Err(long + 1), Ok(1), Ok(long), Err(long + 1)]
        );
    }
}
