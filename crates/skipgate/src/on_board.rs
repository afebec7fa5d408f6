//! Commands that run on a board instead of here: what is the same for all of them.

use std::env;
use std::path::Path;

use anstream::eprintln;
use anyhow::{Context as _, Result};
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _};
use serde::de::DeserializeOwned;
use skipgate_board::{
    Board, Destination, File, Input, Job, Machine, Pin, artifact_files, find_program, read_manifest,
};
use skipgate_core::Manifest;

use crate::cli::{Cli, Format, OnBoard, Trust};
use crate::diagnostics::{self, AlreadyPrinted};

/// What the program is called on the board.
const PROGRAM: &str = "skipgate";
/// The folder there with what is no artifact.
const FILES: &str = "files";
/// Arguments that say where and how something runs rather than what.
const PLACES: [&str; 6] = ["artifact", "on", "program", "runner", "format", "require_key"];

/// A command for a board, with everything that it reads.
pub(crate) struct Remote<'a> {
    destination: &'a Destination,
    options: &'a OnBoard,
    manifest: Manifest,
    files: Vec<File>,
    arguments: Vec<String>,
}

impl<'a> Remote<'a> {
    /// This command, with the artifact in the folder `dir`, if it is for a board. Of the arguments, those called `own` are left
    /// to the caller, and all others are handed on as they are.
    pub(crate) fn new(options: &'a OnBoard, trust: &Trust, dir: &Path, own: &[&str]) -> Result<Option<Self>> {
        let Some(destination) = &options.on else { return Ok(None) };
        let manifest = read_manifest(dir)?;
        trust.check(dir)?;
        let program = find_program(&manifest.target, options.program.as_deref())?;
        let mut remote = Self {
            destination,
            options,
            manifest,
            files: vec![File::new(&program, PROGRAM)?],
            arguments: handed_on(own)?,
        };
        let artifact = remote.add_artifact(dir)?;
        remote.arguments.insert(1, artifact);
        if let Some(key) = &trust.require_key {
            let key = remote.add_file(key)?;
            remote.add_option("--require-key", &key);
        }
        Ok(Some(remote))
    }

    /// What the artifact is.
    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Sends the artifact in `dir` along; returns its folder there, which is called as it is here, so that messages are, too.
    pub(crate) fn add_artifact(&mut self, dir: &Path) -> Result<String> {
        let is_plain = |name: &&str| {
            !name.starts_with(['-', '.']) && name.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c))
        };
        let own = dir.file_name().and_then(|name| name.to_str()).filter(is_plain).unwrap_or("artifact");
        let is_taken = |name: &str| {
            let inside = format!("{name}/");
            name == FILES
                || self.files.iter().any(|file| file.name() == name || file.name().starts_with(&inside))
        };
        let mut name = own.to_owned();
        while is_taken(&name) {
            name.push('_');
        }
        self.files.extend(artifact_files(dir, &name)?);
        Ok(name)
    }

    /// Sends a file along; returns its path there.
    pub(crate) fn add_file(&mut self, path: &Path) -> Result<String> {
        let own = path.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{FILES}/{}/{own}", self.files.len());
        self.files.push(File::new(path, &*name)?);
        Ok(name)
    }

    /// Adds an argument with a value.
    pub(crate) fn add_option(&mut self, name: &str, value: &str) {
        self.arguments.push(format!("{name}={value}"));
    }

    /// Looks at the board, says what it found, and copies what is missing there.
    pub(crate) fn connect(&self) -> Result<Board> {
        let board = Board::connect(self.destination, &self.files)?;
        describe(self.destination, board.machine());
        match board.check(&self.manifest.target) {
            // The runner may be an emulator.
            Err(error) if self.options.runner.is_some() => eprintln!("\x1b[1;33mwarning\x1b[0m: {error}"),
            checked => checked?,
        }
        board.copy(&self.files, &|file| {
            eprintln!(
                "copying {} to {} ({} KiB)",
                file.name(),
                self.destination,
                file.bytes().div_ceil(1024)
            );
        })?;
        Ok(board)
    }

    /// Runs it there and passes on what it prints and how it ends.
    pub(crate) fn pass_through(mut self, pin: Pin, input: Input, format: Format) -> Result<()> {
        let board = self.connect()?;
        if pin == Pin::Itself
            && let Some(core) = board.machine().fastest().last()
        {
            self.add_option("--cpu", &core.number.to_string());
        }
        if format == Format::Json {
            self.add_option("--format", "json");
        }
        match board.run(&self.job(pin, input, None))? {
            0 => Ok(()),
            code => Err(AlreadyPrinted { code }.into()),
        }
    }

    /// Runs it there on so many of the fastest cores, and returns what it reports, with the file `fetched` that it wrote.
    pub(crate) fn report<T: DeserializeOwned>(
        mut self,
        threads: usize,
        fetched: Option<&str>,
        format: Format,
    ) -> Result<(T, Vec<u8>)> {
        self.add_option("--format", "json");
        let board = self.connect()?;
        let ended = board.read(&self.job(Pin::Fastest(threads), Input::None, fetched))?;
        diagnostics::repeat(&String::from_utf8_lossy(&ended.errors), format);
        if ended.code != 0 {
            return Err(AlreadyPrinted { code: ended.code }.into());
        }
        take_apart(&ended.output).with_context(|| {
            format!(
                "the program on {} printed something else than this one would; is it of version {}?",
                self.destination,
                env!("CARGO_PKG_VERSION")
            )
        })
    }

    fn job<'j>(&'j self, pin: Pin, input: Input, fetched: Option<&'j str>) -> Job<'j> {
        let runner = self.options.runner.as_deref();
        Job { files: &self.files, arguments: &self.arguments, runner, pin, input, fetched }
    }
}

/// Says what a board is like, and what about it makes measurements worth less.
fn describe(destination: &Destination, machine: &Machine) {
    eprintln!("{destination}: {machine}");
    for warning in machine.warnings() {
        eprintln!("\x1b[1;33mwarning\x1b[0m: {destination}: {warning}");
    }
}

/// A report as JSON and the bytes behind it.
fn take_apart<T: DeserializeOwned>(output: &[u8]) -> Result<(T, Vec<u8>)> {
    let mut documents = serde_json::Deserializer::from_slice(output).into_iter();
    let report = documents.next().context("it printed nothing")??;
    let rest = &output[documents.byte_offset()..];
    Ok((report, rest.strip_prefix(b"\n").unwrap_or(rest).to_vec()))
}

/// The command of this process and the arguments that were given, but for those called `own` and those that say where it runs.
fn handed_on(own: &[&str]) -> Result<Vec<String>> {
    // They were read before, so they can be again.
    handed_on_of(&Cli::command().try_get_matches_from(env::args_os())?, own)
}

fn handed_on_of(matches: &ArgMatches, own: &[&str]) -> Result<Vec<String>> {
    let (name, matches) = matches.subcommand().context("there is a command")?;
    let cli = Cli::command();
    let command = cli.find_subcommand(name).context("the command is known")?;
    let mut words = vec![name.to_owned()];
    for argument in command.get_arguments() {
        let (id, Some(long)) = (argument.get_id().as_str(), argument.get_long()) else { continue };
        let was_given = matches.value_source(id) == Some(ValueSource::CommandLine);
        if !was_given || own.contains(&id) || PLACES.contains(&id) {
            continue;
        }
        if !argument.get_action().takes_values() {
            words.push(format!("--{long}"));
            continue;
        }
        for value in matches.get_raw(id).into_iter().flatten() {
            let value = value.to_str().with_context(|| format!("--{long} is not UTF-8"))?;
            words.push(format!("--{long}={value}"));
        }
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str, own: &[&str]) -> Vec<String> {
        let matches = Cli::command().try_get_matches_from(line.split(' ')).unwrap();
        handed_on_of(&matches, own).unwrap()
    }

    #[test]
    fn arguments_are_handed_on_as_they_were_given() {
        let found =
            words("skipgate bench d --on ssh://b --rounds 5 --front --format json -o f.json", &["output"]);
        assert_eq!(found, ["bench", "--rounds=5", "--front"]);
        let found =
            words("skipgate run d --on ssh://b --runner x --image a.png --skip 1,2 --top 3", &["image"]);
        assert_eq!(found, ["run", "--skip=1", "--skip=2", "--top=3"]);
    }

    #[test]
    fn a_file_follows_its_report() {
        let (report, rest): (Vec<u8>, _) = take_apart(b"[1,\n2]\n\x93NUMPY\n").unwrap();
        assert_eq!((report, rest), (vec![1, 2], b"\x93NUMPY\n".to_vec()));
        assert!(take_apart::<Vec<u8>>(b"").is_err());
    }
}
