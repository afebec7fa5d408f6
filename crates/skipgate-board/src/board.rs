//! A connection to a board, and what is done over it.

use std::io::Read as _;
use std::process::{ChildStdin, Stdio};

use fs_err as fs;
use skipgate_core::Target;

use crate::Error;
use crate::destination::Destination;
use crate::files::File;
use crate::machine::Machine;
use crate::script::{self, quote};
use crate::ssh::Ssh;

/// What the program is called in the folder of a run.
const PROGRAM: &str = "./skipgate";

/// A machine that was looked at.
#[derive(Debug)]
pub struct Board {
    ssh: Ssh,
    machine: Machine,
}

/// What is run.
#[derive(Debug)]
pub struct Job<'a> {
    /// The program's file, which is called `skipgate`, and all files that it reads.
    pub files: &'a [File],
    /// What comes behind the program.
    pub arguments: &'a [String],
    /// What runs the program there, as a shell reads it, if it does not run by itself.
    pub runner: Option<&'a str>,
    /// Where it runs.
    pub pin: Pin,
    /// Where its standard input is from.
    pub input: Input,
    /// The file that it writes and that is brought back.
    pub fetched: Option<&'a str>,
}

/// Which cores a program is kept on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pin {
    /// So many of the fastest, if there are so many.
    Fastest(usize),
    /// One of the fastest, which it keeps itself on.
    Itself,
    /// Any.
    AsItIs,
}

/// Where the standard input of a program on the board is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// It has none.
    None,
    /// It is this process's.
    Inherited,
}

/// What became of a program whose output was read.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub code: u8,
    /// What it printed, then the file that was asked for.
    pub output: Vec<u8>,
    /// What it printed on standard error.
    pub errors: Vec<u8>,
}

impl Board {
    /// Opens a connection and looks at the board: what it is, how it is, and which of `files` it has.
    ///
    /// # Errors
    ///
    /// When it cannot be reached, or has no folder to write to.
    pub fn connect(destination: &Destination, files: &[File]) -> Result<Self, Error> {
        let ssh = Ssh::new(destination.clone())?;
        let files: Vec<_> = files.iter().collect();
        let look = script::look(destination, &files)?;
        let what = format!("look at itself in `{}`", destination.folder);
        let answer = ssh.call(&look, Stdio::null(), &what)?;
        let machine = Machine::parse(&answer).ok_or_else(|| Error::Failed {
            host: ssh.host(),
            what,
            said: "its answer is not complete".to_owned(),
        })?;
        Ok(Self { ssh, machine })
    }

    /// What the board is and how it is.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Fails unless the board runs artifacts for `target`.
    ///
    /// # Errors
    ///
    /// When it is of another kind or lacks something.
    pub fn check(&self, target: &Target) -> Result<(), Error> {
        let (host, target) = (self.ssh.host(), Box::new(target.clone()));
        if !self.machine.runs(target.arch) {
            return Err(Error::WrongMachine { host, found: self.machine.kind.clone(), target });
        }
        let missing = self.machine.missing_features(&target);
        if missing.is_empty() { Ok(()) } else { Err(Error::MissingFeatures { host, missing, target }) }
    }

    /// Sends those of `files` that are not there, and calls `sending` before each.
    ///
    /// # Errors
    ///
    /// When there is no room for them, or the connection breaks; then they are not there, rather than half.
    pub fn copy(&self, files: &[File], sending: &dyn Fn(&File)) -> Result<(), Error> {
        let mut missing: Vec<_> =
            files.iter().filter(|file| !self.machine.objects.contains(&file.digest.sha256)).collect();
        missing.sort_by_key(|file| &file.digest.sha256);
        missing.dedup_by_key(|file| &file.digest.sha256);
        self.check_space(missing.iter().map(|file| file.digest.bytes).sum())?;
        for file in missing {
            sending(file);
            let script = script::receive(self.ssh.destination(), file)?;
            let bytes = fs::File::open(&file.path)?.into_parts().0;
            self.ssh.call(&script, bytes.into(), &format!("take {}", file.name))?;
        }
        Ok(())
    }

    fn check_space(&self, needed: u64) -> Result<(), Error> {
        match self.machine.free_disk_bytes.filter(|available| *available < needed) {
            None => Ok(()),
            Some(available) => Err(Error::NoSpace {
                host: self.ssh.host(),
                folder: self.ssh.destination().folder.clone(),
                available,
                needed,
            }),
        }
    }

    /// Runs `job`, whose output and errors are this process's, and returns its exit code.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or the connection breaks.
    pub fn run(&self, job: &Job) -> Result<u8, Error> {
        let script = self.script(job, false)?;
        let output = [job.input.stdio(), Stdio::inherit(), Stdio::inherit()];
        let mut child = self.ssh.start(&script, output)?;
        let _lifeline = child.stdin.take();
        self.ssh.wait(&mut child)
    }

    /// Runs `job` and returns what it printed.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or the connection breaks.
    pub fn read(&self, job: &Job) -> Result<Ended, Error> {
        let script = self.script(job, true)?;
        let mut child = self.ssh.start(&script, [job.input.stdio(), Stdio::piped(), Stdio::piped()])?;
        let lifeline: Option<ChildStdin> = child.stdin.take();
        let errors = child.stderr.take().map(|mut stderr| {
            std::thread::spawn(move || {
                let mut errors = Vec::new();
                stderr.read_to_end(&mut errors).map(|_| errors)
            })
        });
        let mut output = Vec::new();
        child.stdout.take().map(|mut stdout| stdout.read_to_end(&mut output)).transpose()?;
        let code = self.ssh.wait(&mut child);
        drop(lifeline);
        let errors = errors.and_then(|errors| errors.join().ok()).transpose()?.unwrap_or_default();
        Ok(Ended { code: code?, output: behind_greeting(&output), errors })
    }

    fn script(&self, job: &Job, is_read: bool) -> Result<String, Error> {
        let files: Vec<_> = job.files.iter().collect();
        script::run(&script::Run {
            destination: self.ssh.destination(),
            files: &files,
            command: self.command(job)?,
            fetched: job.fetched,
            is_read,
            reads_input: job.input == Input::Inherited,
        })
    }

    /// The program with all that comes before and behind it, for a shell.
    fn command(&self, job: &Job) -> Result<String, Error> {
        let mut words = Vec::new();
        let cores = match job.pin {
            Pin::Fastest(threads) if self.machine.has_taskset => self.machine.pinned(threads),
            _ => Vec::new(),
        };
        if !cores.is_empty() {
            let list: Vec<_> = cores.iter().map(usize::to_string).collect();
            words.push(format!("taskset -c {}", list.join(",")));
        }
        words.extend(job.runner.map(str::to_owned));
        words.push(PROGRAM.to_owned());
        for argument in job.arguments {
            words.push(quote(argument)?.into_owned());
        }
        Ok(words.join(" "))
    }
}

impl Input {
    /// What it is of this process. A pipe that stays open is how the board knows that somebody waits.
    fn stdio(self) -> Stdio {
        match self {
            Self::None => Stdio::piped(),
            Self::Inherited => Stdio::inherit(),
        }
    }
}

/// What the program printed, without what a shell said before.
fn behind_greeting(output: &[u8]) -> Vec<u8> {
    let begin = format!("{}\n", script::BEGIN);
    let at = output.windows(begin.len()).position(|bytes| bytes == begin.as_bytes());
    at.map_or(Vec::new(), |at| output[at + begin.len()..].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_for_which_there_is_no_room_are_not_sent() {
        let disk = "== disk\nFilesystem 1024-blocks Used Available Capacity Mounted on\n/dev/sd a1 9 8 1 90% /\n== end";
        let machine = Machine::parse(disk).unwrap();
        let ssh = Ssh::new("ssh://host.invalid".parse().unwrap()).unwrap();
        let board = Board { ssh, machine };
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1025).unwrap();
        let files = [File::new(file.path(), "a").unwrap()];
        let error = board.copy(&files, &|_| unreachable!("nothing is sent")).unwrap_err();
        let expected = "host.invalid has 1024 bytes free in `.cache/skipgate`, 1025 are needed";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_greeting_is_no_output() {
        assert_eq!(behind_greeting(b"Welcome!\n== output\n{}\n\x93NUMPY"), b"{}\n\x93NUMPY");
        assert_eq!(behind_greeting(b"Welcome!\n"), b"");
    }
}
