//! Compiling in a process of its own: what takes the compiler down must not take its caller, or the machine, along.
//!
//! The caller starts this program again and hands it a [`Job`]. What goes wrong in an ordinary way is printed by that
//! process as by any other command, and passed on; that it dies is an error of the caller.

use std::env;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit};
use serde::{Deserialize, Serialize};
use signal_hook::low_level::signal_name;
use skipgate_core::file::read_text;
use skipgate_core::{CompileOptions, Hint, Target};
use skipgate_iree::{Build, Compiled, Compiler, Gating, Source, Verification};
use skipgate_onnx::{GateSelection, GateUnit};

use crate::cli::{CompileJob as Files, Format, ImageOptions};
use crate::diagnostics::AlreadyPrinted;
use crate::front;

/// How much of what a dead compiler said is repeated.
const LAST_LINES: usize = 10;

/// Beginnings of lines that the compiler prints past its diagnostics, which say it better.
const NOISE: [&str; 3] = [
    "Resolution of CPU to CPU-features is not implemented",
    "Linking failed; escaped command line",
    "LLD_VERSION=",
];

/// Room beside the machine's memory: the compiler library and reserves that nothing is in.
const RESERVE: u64 = 2 << 30;
/// The same for each thread: its stack, and what the allocator reserves for it.
const RESERVE_PER_THREAD: u64 = 256 << 20;

/// The option of [`Files`] for a check behind each pass.
const VERIFY: &str = "--verify";

/// What to compile, besides the files.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) gates: Gates,
    pub(crate) target: Target,
    pub(crate) options: CompileOptions,
    pub(crate) images: ImageOptions,
}

/// What becomes of the model before it is compiled.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Gates {
    /// It keeps its gates, or gets those that a [`GateSelection`] of these fields selects.
    Selected { unit: GateUnit, gate_first: bool, gate: Vec<String>, no_gate: Vec<String> },
    /// It has none, and these blocks are removed.
    None { remove: Vec<String> },
}

/// The compiler took its process down.
#[derive(Debug, thiserror::Error)]
#[error("the compiler died with {} while compiling {}{}", described(*signal), model.display(), listed(last_lines))]
pub(crate) struct CompilerDied {
    signal: i32,
    model: PathBuf,
    /// The end of what it printed.
    last_lines: Vec<String>,
}

impl Hint for CompilerDied {
    fn hint(&self) -> Option<String> {
        Some(match Signal::from_named_raw(self.signal) {
            Some(Signal::INT | Signal::TERM | Signal::HUP) => "somebody ended it".to_owned(),
            Some(Signal::KILL) => {
                "it probably took more memory than there is; compile on a machine that has more".to_owned()
            }
            _ => "report this with the model".to_owned(),
        })
    }
}

fn described(signal: i32) -> String {
    let name = signal_name(signal).map(|name| format!(" ({name})"));
    format!("signal {signal}{}", name.unwrap_or_default())
}

fn listed(lines: &[String]) -> String {
    lines.iter().flat_map(|line| ["\n  ", line]).collect()
}

/// Does `job` in a process of its own. Where the compiler takes that down, it may have gone on with what one of its passes
/// spoilt: then it is asked once more to say where.
pub(crate) fn run(job: &Job, files: &Files, format: Format) -> Result<()> {
    let json: &[&str] = if format == Format::Json { &["--format", "json"] } else { &[] };
    let (mut status, mut said) = attempt(job, files, json)?;
    if is_crash(status) {
        (status, said) = attempt(job, files, &[json, &[VERIFY]].concat())?;
    }
    let said = without_noise(&String::from_utf8_lossy(&said));
    if let Some(signal) = status.signal() {
        let mut last_lines: Vec<_> = said.lines().rev().take(LAST_LINES).map(str::to_owned).collect();
        last_lines.reverse();
        return Err(CompilerDied { signal, model: files.model.clone(), last_lines }.into());
    }
    // Warnings, or the error.
    io::stderr().write_all(said.as_bytes())?;
    if status.success() { Ok(()) } else { Err(AlreadyPrinted { code: 1 }.into()) }
}

/// Whether the process ended itself.
fn is_crash(status: ExitStatus) -> bool {
    let crashes = [Signal::ABORT, Signal::BUS, Signal::FPE, Signal::ILL, Signal::SEGV];
    status.signal().and_then(Signal::from_named_raw).is_some_and(|signal| crashes.contains(&signal))
}

/// How the process ended, and what it printed.
fn attempt(job: &Job, files: &Files, options: &[&str]) -> Result<(ExitStatus, Vec<u8>)> {
    let mut child = spawn(files, options).context("cannot start a process for the compiler")?;
    finish(&mut child, &serde_json::to_vec(job)?)
}

/// The lines of `said` that are for people.
fn without_noise(said: &str) -> String {
    let (mut rest, mut was_noise) = (String::new(), false);
    for line in said.split_inclusive('\n') {
        let is_noise = NOISE.iter().any(|start| line.starts_with(start));
        // Noise stands between empty lines.
        if !(is_noise || was_noise && line.trim().is_empty()) {
            rest.push_str(line);
            was_noise = false;
        }
        was_noise |= is_noise;
    }
    rest
}

fn spawn(Files { model, output, pareto, .. }: &Files, options: &[&str]) -> io::Result<Child> {
    let mut command = Command::new(env::current_exe()?);
    command
        .arg("compile-job")
        .args(options)
        .args(pareto.iter().flat_map(|path| ["--pareto".as_ref(), path.as_os_str()]));
    command.arg("--").args([model, output]);
    if io::stderr().is_terminal() {
        // It is written to the terminal in the end.
        command.env("CLICOLOR_FORCE", "1");
    }
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()
}

/// Feeds the child and waits for its end; returns how it ended and what it printed.
fn finish(child: &mut Child, job: &[u8]) -> Result<(ExitStatus, Vec<u8>)> {
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    // What a child that died early did not read is no error of its own.
    let _ = stdin.map(|mut stdin| stdin.write_all(job));
    let mut said = Vec::new();
    stderr.map(|mut stderr| stderr.read_to_end(&mut said)).transpose()?;
    Ok((child.wait()?, said))
}

/// Does the job on standard input. This is what runs in the process of its own.
pub(crate) fn work(files: &Files) -> Result<()> {
    // Whoever ends the caller alone ends this too.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    limit_memory();
    let mut job = String::new();
    io::stdin().read_to_string(&mut job)?;
    compile(&serde_json::from_str(&job).context("there is no job on standard input")?, files)
}

/// Lets allocations fail before they take the memory of the whole machine.
fn limit_memory() {
    let machine = rustix::system::sysinfo();
    let memory = (machine.totalram as u64).saturating_mul(machine.mem_unit.into());
    let threads = thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    let bound = memory.saturating_add(RESERVE).saturating_add(threads.saturating_mul(RESERVE_PER_THREAD));
    let Rlimit { current, maximum } = getrlimit(Resource::As);
    let current = Some(current.map_or(bound, |current| current.min(bound)));
    // It only gets lower, which is always allowed; where it is not, the compiler does without.
    let _ = setrlimit(Resource::As, Rlimit { current, maximum });
}

fn compile(job: &Job, Files { model: path, output, pareto, verify }: &Files) -> Result<()> {
    skipgate_iree::check_temporary_folder()?;
    let mut build = job.build(path)?;
    if *verify {
        build.verification = Verification::BehindPasses;
    }
    if let Some(path) = pareto {
        build.front = front::masks(path, build.gates()?.len())?;
    }
    let compiled = build
        .compile(Compiler::get()?)
        .with_context(|| format!("cannot compile {} for {}", path.display(), job.target.name))?;
    let front = pareto.as_ref().map(read_text).transpose()?;
    Ok(skipgate_iree::write_artifact(output, &Compiled { front, ..compiled })?)
}

impl Job {
    /// What is compiled of the model in `path`: with gates, its own or the selected ones, or without any.
    pub(crate) fn build(&self, path: &Path) -> Result<Build> {
        let source = Source::load(path)?.with_dimensions(&self.options.dimensions)?;
        let gating = self.gates.gating();
        let has_gates = !source.model.gates()?.is_empty();
        ensure!(
            !has_gates || !matches!(gating, Gating::Selected(_)),
            "{} has gates already; gate options do not apply",
            path.display()
        );
        let build = Build::new(&source, &gating, self.target.clone()).with_context(|| match gating {
            Gating::Ungated { .. } => format!("cannot compile {} without gates", path.display()),
            _ => format!("cannot gate {}", path.display()),
        })?;
        let network = self.images.apply(&build.network)?;
        Ok(Build { network, options: self.options.clone(), ..build })
    }
}

impl Gates {
    fn gating(&self) -> Gating {
        match self {
            Self::None { remove } => Gating::Ungated { remove: remove.clone() },
            Self::Selected { unit, gate_first, gate, no_gate } => {
                let (gate, no_gate) = (gate.clone(), no_gate.clone());
                let selection = GateSelection { unit: *unit, gate_first: *gate_first, gate, no_gate };
                if selection == GateSelection::default() {
                    Gating::Default
                } else {
                    Gating::Selected(selection)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn died(signal: i32, last_lines: &[&str]) -> CompilerDied {
        let last_lines = last_lines.iter().map(|&line| line.to_owned()).collect();
        CompilerDied { signal, model: "model.onnx".into(), last_lines }
    }

    #[test]
    fn a_death_is_told_with_its_signal_and_the_last_words() {
        let text = died(6, &["LLVM ERROR: out of memory"]).to_string();
        let expected = "the compiler died with signal 6 (SIGABRT) while compiling model.onnx\n  LLVM ERROR: out of memory";
        assert_eq!(text, expected);
        assert_eq!(
            died(200, &[]).to_string(),
            "the compiler died with signal 200 while compiling model.onnx"
        );
    }

    #[test]
    fn what_the_compiler_prints_past_its_diagnostics_is_left_out() {
        let said = "Linking failed; escaped command line returned exit code 256:\n\nLLD_VERSION=IREE lld -o a.so\n\n\
                    error: cannot compile\n\nhint: report it\n";
        assert_eq!(without_noise(said), "error: cannot compile\n\nhint: report it\n");
        assert_eq!(without_noise("\nwarning: new\n"), "\nwarning: new\n");
    }

    #[test]
    fn a_kill_points_to_memory() {
        assert!(died(9, &[]).hint().unwrap().contains("memory"));
        assert!(died(11, &[]).hint().unwrap().contains("report"));
    }

    #[test]
    fn jobs_survive_as_json() {
        let gates = Gates::None { remove: vec!["layer1".to_owned()] };
        let target = Target::named("odroid-xu4").unwrap();
        let images = ImageOptions { mean: vec![0.1, 0.2, 0.3], ..ImageOptions::default() };
        let job = Job { gates, target: target.clone(), options: CompileOptions::default(), images };
        let back: Job = serde_json::from_slice(&serde_json::to_vec(&job).unwrap()).unwrap();
        assert_eq!((back.target, back.options, back.images), (target, job.options, job.images));
        assert!(matches!(back.gates, Gates::None { remove } if remove == ["layer1"]));
    }
}
