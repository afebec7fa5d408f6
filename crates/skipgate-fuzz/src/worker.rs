//! Worker processes: one compiles and runs networks for its parent, which outlives its crashes.

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use skipgate_iree::Gating;
use skipgate_onnx::{GateSelection, Model};

use crate::{Checker, Choices, Generated, Outcome, generate};

/// Processor time, longer than any small network takes, under emulation too.
const LIMIT: Duration = Duration::from_secs(180);
/// How often that time may pass on a machine that is too busy to give it to the worker.
const PATIENCE: u32 = 10;
/// Length of the ticks that the kernel counts processor time in (`proc_pid_stat(5)`).
const TICK: Duration = Duration::from_millis(10);
/// Networks that one process compiles: what a compilation leaves behind in memory adds up.
const JOBS: usize = 50;
/// Last lines of a worker that are kept.
const LAST_WORDS: usize = 12;

/// What a worker says first, when it has found all that it needs.
const READY: &str = "ready";

/// What a worker is asked to check.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Job {
    /// The network of a seed.
    Seed(u64),
    /// The network of these decisions.
    Choices(Vec<u32>),
    /// The network in a file, with gates in front of first blocks too or not, or without gates.
    File { path: PathBuf, gates: Option<bool> },
}

/// What a worker answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) outcome: Outcome,
    pub(crate) seconds: f64,
}

/// What becomes of a question to a worker.
pub(crate) enum Reply<A> {
    /// It answers.
    Answer(A),
    /// It ends, with these words.
    Death(String),
}

/// A list of decisions or a file as a network.
pub(crate) fn network(job: &Job) -> Result<Generated> {
    Ok(match job {
        Job::Seed(seed) => generate(&mut Choices::random(*seed))?,
        Job::Choices(choices) => generate(&mut Choices::replay(choices))?,
        Job::File { path, gates } => Generated {
            model: Model::load(path)?,
            selection: gates.map(|gate_first| GateSelection { gate_first, ..GateSelection::default() }),
        },
    })
}

/// How the network of a job is gated.
pub(crate) fn gating(generated: &Generated) -> Gating {
    let ungated = Gating::Ungated { remove: Vec::new() };
    generated.selection.clone().map_or(ungated, Gating::Selected)
}

/// The worker's side: answers every line of standard input.
pub fn serve(targets: &[String]) -> Result<()> {
    let checker = Checker::new(targets)?;
    answer_lines(|job| {
        let start = std::time::Instant::now();
        let outcome = match network(&job) {
            Ok(generated) => checker.check(&generated.model, &gating(&generated)),
            Err(error) => Outcome::Invalid { error: format!("{error:#}") },
        };
        Answer { outcome, seconds: start.elapsed().as_secs_f64() }
    })
}

/// Answers every line of standard input with what `work` makes of it.
pub(crate) fn answer_lines<J: DeserializeOwned, A: Serialize>(work: impl Fn(J) -> A) -> Result<()> {
    println!("{READY}");
    for line in io::stdin().lock().lines() {
        let answer = work(serde_json::from_str(&line?)?);
        let mut output = io::stdout().lock();
        serde_json::to_writer(&mut output, &answer)?;
        writeln!(output)?;
        output.flush()?;
    }
    Ok(())
}

/// The parent's side of one worker, which is started when it is needed.
pub(crate) struct Worker {
    program: PathBuf,
    arguments: Vec<OsString>,
    process: Option<Process>,
}

struct Process {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    words: thread::JoinHandle<String>,
    done: usize,
}

impl Worker {
    /// A worker that checks networks for `targets`.
    pub(crate) fn new(program: &Path, targets: &[String]) -> Self {
        Self::with_command(program, "worker", targets)
    }

    /// A worker that runs `command` of `program`, which answers line by line.
    pub(crate) fn with_command(program: &Path, command: &str, targets: &[String]) -> Self {
        let mut arguments: Vec<OsString> = vec![command.into()];
        for target in targets {
            arguments.extend(["--target".into(), target.into()]);
        }
        Self { program: program.to_owned(), arguments, process: None }
    }

    /// Checks one network. The end of the worker is an outcome.
    pub(crate) fn run(&mut self, job: &Job) -> Result<Answer> {
        let start = std::time::Instant::now();
        Ok(match self.ask(job)? {
            Reply::Answer(answer) => answer,
            Reply::Death(error) => {
                Answer { outcome: Outcome::Crash { error }, seconds: start.elapsed().as_secs_f64() }
            }
        })
    }

    /// What the worker makes of `job`.
    pub(crate) fn ask<A: DeserializeOwned>(&mut self, job: &impl Serialize) -> Result<Reply<A>> {
        let mut process = match self.process.take() {
            Some(process) if process.done < JOBS => process,
            old => {
                old.map(|process| process.end(false)).transpose()?;
                self.start()?
            }
        };
        let sent = writeln!(process.input, "{}", serde_json::to_string(job)?);
        let line = sent.map_err(|_| RecvTimeoutError::Disconnected).and_then(|()| process.answer());
        match line {
            Ok(line) => {
                process.done += 1;
                self.process = Some(process);
                let answer = serde_json::from_str(&line);
                answer.map(Reply::Answer).with_context(|| format!("a worker said {line}"))
            }
            Err(reason) => process.end(reason == RecvTimeoutError::Timeout).map(Reply::Death),
        }
    }

    fn start(&self) -> Result<Process> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().with_context(|| format!("cannot start {}", self.program.display()))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (input, output) = input.zip(output).context("the worker has pipes")?;
        let errors = child.stderr.take().context("the worker has pipes")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let words = thread::spawn(move || last_words(BufReader::new(errors)));
        let process = Process { child, input, lines, words, done: 0 };
        let said = process.lines.recv_timeout(LIMIT);
        if said.as_deref() == Ok(READY) {
            return Ok(process);
        }
        bail!("a worker cannot start: {}", process.end(said == Err(RecvTimeoutError::Timeout))?);
    }
}

/// The last lines of what a worker says, without those of a stack trace.
fn last_words(errors: impl io::BufRead) -> String {
    let mut kept = std::collections::VecDeque::new();
    for line in errors.split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        if line.trim_start().starts_with('#') || line.starts_with("PLEASE submit") || line.trim().is_empty() {
            continue;
        }
        kept.push_back(line);
        if kept.len() > LAST_WORDS {
            kept.pop_front();
        }
    }
    kept.into_iter().collect::<Vec<_>>().join("\n")
}

impl Process {
    /// The next line, unless the process has had enough time for it.
    fn answer(&self) -> Result<String, RecvTimeoutError> {
        let before = self.processor_time();
        for _ in 0..PATIENCE {
            match self.lines.recv_timeout(LIMIT) {
                Err(RecvTimeoutError::Timeout) if self.processor_time().saturating_sub(before) < LIMIT => {}
                answer => return answer,
            }
        }
        Err(RecvTimeoutError::Timeout)
    }

    /// Processor time of the process and of those that it waited for; zero once it is gone.
    fn processor_time(&self) -> Duration {
        let stat = fs_err::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        // The name of the program, in brackets, may hold spaces. Behind it comes the third field.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks = fields.split_whitespace().skip(11).take(4).filter_map(|field| field.parse::<u32>().ok());
        TICK * ticks.sum()
    }

    /// Ends the process and says how it ended.
    fn end(mut self, late: bool) -> Result<String> {
        if late {
            self.child.kill()?;
        }
        drop(self.input);
        let status = self.child.wait()?;
        let words = self.words.join().unwrap_or_default();
        let how =
            if late { format!("nothing for {} s or more", LIMIT.as_secs()) } else { status.to_string() };
        Ok(format!("{how}\n{words}"))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            // Best effort: the worker ends with its input anyway.
            let _ = process.end(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A worker that is a shell script, which finds its arguments in its name.
    fn worker(dir: &Path, script: &str) -> Worker {
        use std::os::unix::fs::PermissionsExt as _;
        let program = dir.join("worker.sh");
        fs_err::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs_err::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        Worker::new(&program, &["host".to_owned()])
    }

    // One test, since a process that another thread starts meanwhile would keep the script open for writing.
    #[test]
    fn a_worker_answers_line_by_line_and_its_end_is_a_crash() {
        let dir = tempfile::tempdir().unwrap();
        let answer = r#"{"outcome":{"equal":{"gates":1,"worst":0.0}},"seconds":0.1}"#;
        let mut worker =
            worker(dir.path(), &format!("echo ready; while read -r job; do echo '{answer}'; done"));
        for seed in 0..3 {
            let outcome = worker.run(&Job::Seed(seed)).unwrap().outcome;
            assert_eq!(outcome, Outcome::Equal { gates: 1, worst: 0.0 });
        }
        drop(worker);
        let mut mortal =
            self::worker(dir.path(), "echo ready; read -r job; echo 'no such luck' >&2; kill -SEGV $$");
        for _ in 0..2 {
            let outcome = mortal.run(&Job::Seed(1)).unwrap().outcome;
            assert!(outcome.is_failure());
            assert!(outcome.to_string().ends_with("no such luck"), "{outcome}");
            assert!(outcome.to_string().contains("signal: 11"), "{outcome}");
        }
        drop(mortal);
        let mut helpless = self::worker(dir.path(), "echo 'error: no compiler' >&2; exit 1");
        let error = helpless.run(&Job::Seed(1)).unwrap_err().to_string();
        assert!(error.starts_with("a worker cannot start") && error.ends_with("no compiler"), "{error}");
    }
}
