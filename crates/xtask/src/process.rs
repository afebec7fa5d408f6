//! Running other programs.

use std::env;
use std::io::stderr;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// Says on standard error what happens next. Standard output is for results.
pub(crate) fn say(what: &str) {
    eprintln!("==> {what}");
}

/// The file that a program name stands for.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Ways to run a command that turn its failure into an error which names it.
pub(crate) trait CommandExt {
    /// Runs it without input and shows its output on standard error.
    fn run(&mut self) -> Result<()>;
    /// Like [`CommandExt::run`], but ends it when it takes longer than `limit`.
    fn run_within(&mut self, limit: Duration) -> Result<()>;
    /// Runs it without input and returns its standard output; its standard error only shows in the error.
    fn read(&mut self) -> Result<String>;
    /// Like [`CommandExt::read`], but its standard error shows.
    fn read_showing_errors(&mut self) -> Result<String>;
    /// Whether it runs and succeeds; shows nothing.
    fn succeeds(&mut self) -> bool;
}

impl CommandExt for Command {
    fn run(&mut self) -> Result<()> {
        let status = self.quiet_stdout()?.status().with_context(|| cannot_run(self))?;
        ensure!(status.success(), "{} ended with {status}", shown(self));
        Ok(())
    }

    fn run_within(&mut self, limit: Duration) -> Result<()> {
        let mut child = self.quiet_stdout()?.spawn().with_context(|| cannot_run(self))?;
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if start.elapsed() > limit {
                child.kill()?;
                child.wait()?;
                bail!("{} took longer than {} s", shown(self), limit.as_secs());
            }
            thread::sleep(Duration::from_millis(50));
        };
        ensure!(status.success(), "{} ended with {status}", shown(self));
        Ok(())
    }

    fn read(&mut self) -> Result<String> {
        let Output { status, stdout, stderr } =
            self.stdin(Stdio::null()).output().with_context(|| cannot_run(self))?;
        let complaint = String::from_utf8_lossy(&stderr);
        ensure!(status.success(), "{} ended with {status}\n{}", shown(self), complaint.trim_end());
        String::from_utf8(stdout).with_context(|| format!("{} wrote no UTF-8", shown(self)))
    }

    fn read_showing_errors(&mut self) -> Result<String> {
        self.stderr(Stdio::inherit()).read()
    }

    fn succeeds(&mut self) -> bool {
        let silent = self.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        silent.status().is_ok_and(|status| status.success())
    }
}

trait Quiet {
    fn quiet_stdout(&mut self) -> Result<&mut Self>;
}

impl Quiet for Command {
    /// Sends standard output to standard error and closes the input.
    fn quiet_stdout(&mut self) -> Result<&mut Self> {
        let duplicate = stderr().as_fd().try_clone_to_owned()?;
        Ok(self.stdin(Stdio::null()).stdout(duplicate))
    }
}

fn cannot_run(command: &Command) -> String {
    format!("cannot run {}", shown(command))
}

/// The command as one would type it.
fn shown(command: &Command) -> String {
    let words: Vec<_> = [command.get_program()].into_iter().chain(command.get_args()).collect();
    format!("`{}`", words.join(" ".as_ref()).to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn read_returns_the_output() {
        assert_eq!(shell("echo yes").read().unwrap(), "yes\n");
    }

    #[test]
    fn a_failure_names_the_command_its_status_and_its_complaint() {
        let error = shell("echo no such luck >&2; exit 3").read().unwrap_err().to_string();
        assert!(error.starts_with("`sh -c echo no such luck"), "{error}");
        assert!(error.ends_with("ended with exit status: 3\nno such luck"), "{error}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Command::new("skipgate-no-such-program").run().unwrap_err().to_string();
        assert_eq!(error, "cannot run `skipgate-no-such-program`");
        assert!(!Command::new("skipgate-no-such-program").succeeds());
        assert_eq!(find_program("skipgate-no-such-program"), None);
    }

    #[test]
    fn a_command_that_takes_too_long_is_ended() {
        let error = shell("exec sleep 60").run_within(Duration::from_millis(100)).unwrap_err();
        assert!(error.to_string().contains("took longer than"), "{error}");
        shell("exit 0").run_within(Duration::from_secs(60)).unwrap();
    }
}
