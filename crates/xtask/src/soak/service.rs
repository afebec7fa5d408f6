//! A server, whoever asks it, and what came of that.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use serde::Deserialize;
use serde_json::Value;

use super::hostile::{self, Scrapes};
use super::watch::{self, Memory};

/// What came of a server's time.
pub(super) struct Outcome {
    pub(super) images: usize,
    pub(super) garbage: usize,
    pub(super) summary: Summary,
    pub(super) memory: Memory,
    pub(super) scrapes: Scrapes,
    /// Connections of hostile clients.
    pub(super) hostile: usize,
}

/// The last line that the server prints, as far as it is used.
#[derive(Deserialize)]
pub(super) struct Summary {
    pub(super) processed: usize,
    pub(super) dropped: usize,
    failed: usize,
    pub(super) latency: Latencies,
}

#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "they are called so in the summary")]
pub(super) struct Latencies {
    pub(super) p50_us: f64,
    pub(super) p90_us: f64,
    pub(super) p99_us: f64,
    pub(super) max_us: f64,
}

/// What a line is, whose answer is awaited.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Asked {
    Image,
    Garbage,
}

/// Of so many lines, one is garbage.
const ONE_OF: usize = 10;

/// Lines that are no image.
const GARBAGE: [&[u8]; 6] =
    [b"no/such/file.png", b"\xff\xfe\x00.png", b"/dev/zero", b"/", b"\0", b"/proc/self/mem"];

/// Serves for `time`, more images than the server can take.
pub(super) fn run(
    program: &Path,
    artifact: &Path,
    image: &Path,
    time: Duration,
    disturbed: bool,
) -> Result<Outcome> {
    let address = free_address()?;
    let mut child = start(program, artifact, address)?;
    let (input, output) = (child.stdin.take(), child.stdout.take());
    let input = input.context("its input is a pipe")?;
    let output = BufReader::new(output.context("its output is a pipe")?);
    let (asked, over) = (Mutex::new(VecDeque::new()), AtomicBool::new(false));
    let end = Instant::now() + time;
    let (counts, summary, memory, scrapes, hostile) = thread::scope(|scope| {
        let asking = scope.spawn(|| ask(input, image, &asked, end, disturbed));
        let answers = scope.spawn(|| check_answers(output, &asked));
        let memory = scope.spawn(|| watch::memory(child.id(), end));
        let scrapes = scope.spawn(|| hostile::scrape(address, end));
        let hostile = scope.spawn(|| if disturbed { hostile::disturb(address, end, &over) } else { 0 });
        let counts = joined(asking);
        over.store(true, Ordering::Relaxed);
        (counts, joined(answers), joined(memory), scrapes.join(), hostile.join())
    });
    let ([images, garbage], summary): ([usize; 2], Summary) = (counts?, summary?);
    let status = child.wait()?;
    // An image without an answer, as garbage is, ends the program with 1.
    ensure!(status.code() == Some(i32::from(garbage > 0)), "the server ended with {status}");
    let told = summary.processed + summary.dropped;
    ensure!(told == images, "{images} images were asked for, {told} were answered or dropped");
    ensure!(summary.failed == garbage, "{garbage} lines were garbage, {} failed", summary.failed);
    let hostile = hostile.map_err(|_| anyhow!("a hostile client panicked"))?;
    let scrapes = scrapes.map_err(|_| anyhow!("the client that scrapes panicked"))?;
    Ok(Outcome { images, garbage, summary, memory: memory?, scrapes, hostile })
}

fn joined<T>(thread: thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().map_err(|_| anyhow!("a thread panicked"))?
}

/// A port that nobody has right now.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn start(program: &Path, artifact: &Path, metrics: SocketAddr) -> Result<Child> {
    let mut command = Command::new(program);
    command.arg("serve").arg(artifact).args(["--stdin", "--drop", "--format", "json"]);
    command.arg("--metrics").arg(metrics.to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().with_context(|| format!("cannot run {}", program.display()))
}

/// Writes lines as fast as they are taken. Returns how many were images and how many garbage.
fn ask(
    mut input: ChildStdin,
    image: &Path,
    asked: &Mutex<VecDeque<Asked>>,
    end: Instant,
    disturbed: bool,
) -> Result<[usize; 2]> {
    let mut counts = [0; 2];
    let mut number = 0;
    while Instant::now() < end {
        number += 1;
        let is_garbage = disturbed && number % ONE_OF == 0;
        let (what, line) = if is_garbage {
            (Asked::Garbage, GARBAGE[number / ONE_OF % GARBAGE.len()])
        } else {
            (Asked::Image, image.as_os_str().as_bytes())
        };
        asked.lock().map_err(|_| anyhow!("a thread panicked"))?.push_back(what);
        input.write_all(line).and_then(|()| input.write_all(b"\n")).context("the server ended")?;
        counts[usize::from(is_garbage)] += 1;
    }
    Ok(counts)
}

/// Reads an answer for each line, in their order, and the summary behind them.
fn check_answers(output: impl BufRead, asked: &Mutex<VecDeque<Asked>>) -> Result<Summary> {
    for line in output.lines() {
        let line = line?;
        let answer: Value = serde_json::from_str(&line).with_context(|| format!("an answer is `{line}`"))?;
        if answer["outcome"] == "summary" {
            let left = asked.lock().map_err(|_| anyhow!("a thread panicked"))?.len();
            ensure!(left == 0, "{left} lines have no answer");
            return Ok(serde_json::from_value(answer)?);
        }
        let what = asked.lock().map_err(|_| anyhow!("a thread panicked"))?.pop_front();
        let expected: &[&str] = match what {
            Some(Asked::Image) => &["processed", "dropped"],
            Some(Asked::Garbage) => &["failed"],
            None => &[],
        };
        let found = answer["outcome"].as_str().unwrap_or_default();
        ensure!(expected.contains(&found), "expected {expected:?} for {what:?}, found `{line}`");
    }
    Err(anyhow!("the server ended without a summary"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMMARY: &str = r#"{"outcome": "summary", "processed": 1, "dropped": 1, "failed": 1,
        "latency": {"p50_us": 1, "p90_us": 1, "p99_us": 1, "max_us": 1}}"#;

    fn checked(lines: &[&str]) -> Result<Summary> {
        let asked = Mutex::new(VecDeque::from([Asked::Image, Asked::Garbage, Asked::Image]));
        let text = lines.iter().map(|line| line.replace('\n', " ") + "\n").collect::<String>();
        check_answers(text.as_bytes(), &asked)
    }

    #[test]
    fn every_line_has_its_answer() {
        let [processed, failed, dropped] =
            ["processed", "failed", "dropped"].map(|outcome| format!(r#"{{"outcome": "{outcome}"}}"#));
        let (processed, failed, dropped) = (processed.as_str(), failed.as_str(), dropped.as_str());
        assert_eq!(checked(&[processed, failed, dropped, SUMMARY]).unwrap().processed, 1);
        for (wrong, expected) in [
            (vec![processed, processed], "expected [\"failed\"]"),
            (vec![processed, failed, SUMMARY], "1 lines have no answer"),
            (vec![processed, failed, dropped, dropped], "expected [] for None"),
            (vec![processed, failed, dropped], "without a summary"),
            (vec!["nonsense"], "an answer is `nonsense`"),
        ] {
            let error = checked(&wrong).err().expect("it is wrong").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
