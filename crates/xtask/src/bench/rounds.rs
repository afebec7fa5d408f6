//! Measurements of several programs that take turns.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// Medians of one round, in microseconds, by the name of the series.
pub(super) type Medians = BTreeMap<String, f64>;

/// A program that measures one round for each line on its standard input and answers it with its medians.
pub(super) struct Paced {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    program: String,
}

impl Paced {
    /// Starts it.
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        let program = format!("`{}`", command.get_program().to_string_lossy());
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {program}"))?;
        let input = child.stdin.take().context("its input is a pipe")?;
        let output = BufReader::new(child.stdout.take().context("its output is a pipe")?);
        Ok(Self { child, input, output, program })
    }

    /// Lets it measure a round.
    pub(super) fn round(&mut self) -> Result<Medians> {
        let mut line = String::new();
        writeln!(self.input).and_then(|()| self.output.read_line(&mut line)).context("the pipe broke")?;
        serde_json::from_str(&line)
            .with_context(|| format!("{} answered `{}`", self.program, line.trim_end()))
    }

    /// The most memory it has had so far, in bytes.
    pub(super) fn peak_memory(&self) -> Result<u64> {
        peak_memory(&fs_err::read_to_string(format!("/proc/{}/status", self.child.id()))?)
    }

    /// Ends its input and returns what it prints then.
    pub(super) fn finish(mut self) -> Result<String> {
        drop(self.input);
        let mut rest = String::new();
        self.output.read_to_string(&mut rest)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "{} ended with {status}", self.program);
        Ok(rest)
    }
}

/// The high-water mark of resident memory in a process status.
fn peak_memory(status: &str) -> Result<u64> {
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(1024 * kilobytes.context("the kernel does not say how much memory a process has had")?)
}

/// All rounds.
#[derive(Default)]
pub(super) struct Rounds(Vec<Medians>);

impl Rounds {
    /// Adds a round.
    pub(super) fn push(&mut self, round: Medians) {
        self.0.push(round);
    }

    /// Median over the rounds of the series `name`, if it was measured.
    pub(super) fn median(&self, name: &str) -> Option<f64> {
        median(self.0.iter().filter_map(|round| round.get(name).copied()).collect())
    }

    /// Median over the rounds of the ratio of the two series: what slows a whole round down cancels out.
    pub(super) fn ratio(&self, name: &str, to: &str) -> Option<f64> {
        median(self.0.iter().filter_map(|round| Some(round.get(name)? / round.get(to)?)).collect())
    }
}

/// The middle of `values`, or the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    Some(f64::midpoint(values[last / 2], values[last.div_ceil(2)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(rounds: &[[f64; 2]]) -> Rounds {
        let medians = |[a, b]: &[f64; 2]| Medians::from([("a".to_owned(), *a), ("b".to_owned(), *b)]);
        Rounds(rounds.iter().map(medians).collect())
    }

    #[test]
    fn a_slow_round_moves_neither_median_nor_ratio() {
        let rounds = rounds(&[[12.0, 10.0], [48.0, 40.0], [12.0, 10.0]]);
        assert_eq!(rounds.median("a").unwrap().to_string(), "12");
        assert_eq!(rounds.ratio("a", "b").unwrap().to_string(), "1.2");
        assert_eq!((rounds.median("c"), rounds.ratio("a", "c")), (None, None));
    }

    #[test]
    fn an_even_number_of_rounds_has_two_in_the_middle() {
        assert_eq!(rounds(&[[1.0, 1.0], [2.0, 1.0]]).median("a").unwrap().to_string(), "1.5");
    }

    #[test]
    fn a_paced_program_answers_each_line_and_then_reports() {
        let script = r#"n=0; while read -r line; do n=$((n + 1)); echo "{\"a\": $n}"; done; echo done"#;
        let mut paced = Paced::start(Command::new("sh").args(["-c", script])).unwrap();
        for round in ["1", "2"] {
            assert_eq!(paced.round().unwrap()["a"].to_string(), round);
        }
        assert!(paced.peak_memory().unwrap() > 0);
        assert_eq!(paced.finish().unwrap(), "done\n");
    }

    #[test]
    fn another_answer_is_shown() {
        let mut paced = Paced::start(Command::new("sh").args(["-c", "read -r line; echo no"])).unwrap();
        assert_eq!(paced.round().unwrap_err().to_string(), "`sh` answered `no`");
    }

    #[test]
    fn peak_memory_is_in_kilobytes() {
        assert_eq!(peak_memory("VmPeak:\t 9 kB\nVmHWM:\t    3168 kB\n").unwrap(), 3168 * 1024);
        peak_memory("VmPeak:\t 9 kB\n").unwrap_err();
    }
}
