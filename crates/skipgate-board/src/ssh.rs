//! The system's `ssh` program, whose configuration, agent and known hosts are what people expect.

use std::env;
use std::io::{self, IsTerminal as _};
use std::process::{Child, Command, Output, Stdio};

use crate::Error;
use crate::destination::Destination;
use crate::script::quote;

/// Environment variable with another program than `ssh`, and options.
const VARIABLE: &str = "SKIPGATE_SSH";

/// No connection is waited for longer than that, nor one that is gone taken for a slow one.
const OPTIONS: [&str; 7] =
    ["-T", "-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4"];

/// What ssh ends with when there is no connection, rather than with what the other side ended with.
const NO_CONNECTION: i32 = 255;

/// Opens connections to one machine.
#[derive(Debug)]
pub(crate) struct Ssh {
    /// The program and its options.
    words: Vec<String>,
    destination: Destination,
    /// Whether somebody can be asked for a password.
    may_ask: bool,
}

impl Ssh {
    pub(crate) fn new(destination: Destination) -> Result<Self, Error> {
        let words = match env::var(VARIABLE) {
            Ok(text) if !text.trim().is_empty() => {
                shlex::split(&text).filter(|words| !words.is_empty()).ok_or(Error::SshVariable(text))?
            }
            _ => vec!["ssh".to_owned()],
        };
        Ok(Self { words, destination, may_ask: io::stderr().is_terminal() })
    }

    pub(crate) fn destination(&self) -> &Destination {
        &self.destination
    }

    /// The name of the machine in messages.
    pub(crate) fn host(&self) -> String {
        self.destination.to_string()
    }

    /// `script` for the shell over there.
    fn command(&self, script: &str) -> Result<Command, Error> {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]).args(OPTIONS);
        if !self.may_ask {
            command.args(["-o", "BatchMode=yes"]);
        }
        if let Some(port) = self.destination.port {
            command.args(["-p", &port.to_string()]);
        }
        if let Some(user) = &self.destination.user {
            command.args(["-l", user]);
        }
        // The user's own shell over there may be any; it starts one that is known.
        command.arg("--").arg(&self.destination.host).arg(format!("exec sh -c {}", quote(script)?));
        Ok(command)
    }

    /// Starts `script` over there.
    pub(crate) fn start(&self, script: &str, [input, output, errors]: [Stdio; 3]) -> Result<Child, Error> {
        let mut command = self.command(script)?;
        command.stdin(input).stdout(output).stderr(errors);
        command.spawn().map_err(|source| Error::NoSsh { program: self.words[0].clone(), source })
    }

    /// What `script` prints, which is to do `what`.
    pub(crate) fn call(&self, script: &str, input: Stdio, what: &str) -> Result<String, Error> {
        let child = self.start(script, [input, Stdio::piped(), Stdio::piped()])?;
        let Output { status, stdout, stderr } = child.wait_with_output()?;
        let (host, said) = (self.host(), last_lines(&stderr));
        match status.code() {
            Some(0) => Ok(String::from_utf8_lossy(&stdout).into_owned()),
            Some(NO_CONNECTION) => Err(Error::Unreachable { host, said }),
            _ => Err(Error::Failed { host, what: what.to_owned(), said }),
        }
    }

    /// The exit code of a program that ran over there.
    pub(crate) fn wait(&self, child: &mut Child) -> Result<u8, Error> {
        let code = child.wait()?.code().and_then(|code| u8::try_from(code).ok());
        let broken = || Error::Broken { host: self.host() };
        code.filter(|code| i32::from(*code) != NO_CONNECTION).ok_or_else(broken)
    }
}

/// The end of what a program said, in one line.
fn last_lines(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let lines: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines[lines.len().saturating_sub(3)..].join("; ");
    if last.is_empty() { "it gives no reason".to_owned() } else { last }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_never_an_option_and_nobody_is_asked_without_a_terminal() {
        let destination = "ssh://me@odroid:2222/opt/x".parse().unwrap();
        let ssh = Ssh {
            words: vec!["ssh".to_owned(), "-F".to_owned(), "f".to_owned()],
            destination,
            may_ask: false,
        };
        let command = ssh.command("true && echo 'a b'").unwrap();
        let words: Vec<_> = command.get_args().map(|word| word.to_str().unwrap()).collect();
        assert_eq!(words[..3], ["-F", "f", "-T"]);
        assert!(words.windows(2).any(|pair| pair == ["-o", "BatchMode=yes"]));
        assert_eq!(words[words.len() - 7..words.len() - 1], ["-p", "2222", "-l", "me", "--", "odroid"]);
        assert!(words.last().unwrap().starts_with("exec sh -c "));
    }

    #[test]
    fn the_end_of_what_was_said_is_one_line() {
        assert_eq!(last_lines(b"1\n2\r\n\n3\n4\n"), "2; 3; 4");
        assert_eq!(last_lines(b""), "it gives no reason");
    }
}
