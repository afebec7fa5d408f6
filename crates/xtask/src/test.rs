//! `cargo xtask test`: every check and test, cheapest first.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use comfy_table::{CellAlignment, Table, presets};

use crate::board::{Family, test_programs};
use crate::demo::build::BoardProfile;
use crate::process::{CommandExt, say};
use crate::setup::rust::host_triple;
use crate::setup::{self, Tools};
use crate::workspace::Workspace;
use crate::{capi, dist, libcalls, operators, site};

/// Crates that the program for the board is made of, and that are tested under emulation.
const BOARD_CRATES: [&str; 8] = [
    "iree-runtime-sys",
    "skipgate",
    "skipgate-controller",
    "skipgate-core",
    "skipgate-energy",
    "skipgate-http",
    "skipgate-runtime",
    "skipgate-workload",
];

/// Parts of crate names that have no place on the board: it runs what the host compiled.
const NOT_ON_BOARD: [&str; 13] = [
    "bindgen",
    "maud",
    "onnx",
    "plotters",
    "protobuf",
    "schemars",
    "skipgate-board",
    "skipgate-explore",
    "skipgate-fuzz",
    "skipgate-iree",
    "skipgate-plot",
    "skipgate-report",
    "skipgate-verify",
];

/// Some times what the tests take that run under emulation, most of it for building them.
const BOARD_TESTS_LIMIT: Duration = Duration::from_secs(30 * 60);

/// Everything that is written in Python. Each folder has the configuration of ruff that it needs.
const PYTHON_FOLDERS: [&str; 3] = ["crates/skipgate-capi/python", "models", "tests/python"];

/// Those with tests, each with its configuration of pytest.
const PYTEST_FOLDERS: [&str; 2] = ["models", "tests/python"];

/// One check.
type Step<'a> = (&'a str, &'a dyn Fn() -> Result<()>);

/// Runs all steps up to the first that fails and ends with a table of their wall times.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let start = Instant::now();
    let tools = setup::for_tests(workspace)?;
    let suite = Suite { workspace, tools: &tools, board_programs: OnceCell::new(), wheels: OnceCell::new() };
    let steps: &[Step] = &[
        ("formatting", &|| workspace.cargo().args(["fmt", "--all", "--check"]).run()),
        ("formatting and lints of Python", &|| suite.python_lints()),
        ("lints", &|| suite.lints()),
        ("lints of the board's program", &|| suite.board_lints()),
        ("links of the pages", &|| site::check(workspace)),
        ("documentation", &|| suite.documentation()),
        ("dependencies of the board's program", &|| suite.board_dependencies()),
        ("bindings", &|| crate::generate_bindings(workspace, true)),
        ("machine code for the board", &|| libcalls::generate(workspace, true)),
        ("programs for boards", &|| suite.build_board_programs()),
        ("C interface for here and the board", &|| suite.install_capi()),
        ("wheels for here and the board", &|| suite.build_wheels()),
        ("Rust tests, and Python tests beside them", &|| suite.rust_and_python_tests()),
        ("Rust tests of the board's crates under qemu-arm", &|| suite.board_tests()),
        ("runtime under Valgrind", &|| suite.valgrind()),
    ];
    let mut times = vec![("set-up", start.elapsed())];
    let result = run_steps(steps, &mut times);
    eprintln!("\n{}", summary(&times, result.is_ok()));
    result
}

/// Runs `steps` in order and notes how long each took, up to and including the first that fails.
fn run_steps<'a>(steps: &[Step<'a>], times: &mut Vec<(&'a str, Duration)>) -> Result<()> {
    for (number, (name, step)) in (1..).zip(steps) {
        say(&format!("[{number}/{}] {name}", steps.len()));
        let start = Instant::now();
        let result = step();
        times.push((name, start.elapsed()));
        result.with_context(|| format!("step {number} ({name}) failed"))?;
    }
    Ok(())
}

/// Step, outcome and wall time; only the last step can have failed.
fn summary(times: &[(&str, Duration)], passed: bool) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(["step", "outcome", "wall time"]);
    let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
    for (index, (name, time)) in times.iter().enumerate() {
        let ok = passed || index + 1 < times.len();
        table.add_row([(*name).to_owned(), if ok { "ok" } else { "FAILED" }.to_owned(), seconds(*time)]);
    }
    table.add_row(["all".to_owned(), String::new(), seconds(times.iter().map(|(_, time)| *time).sum())]);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    if let Some(column) = table.column_mut(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

/// The steps that take more than one line.
struct Suite<'a> {
    workspace: &'a Workspace,
    tools: &'a Tools,
    /// Known once they are built, by the variable that tells tests of them.
    board_programs: OnceCell<Vec<(&'static str, PathBuf)>>,
    /// The same for wheels, and for the Python that the board's wheel is installed for.
    wheels: OnceCell<[(&'static str, PathBuf); 3]>,
}

impl Suite<'_> {
    fn python_lints(&self) -> Result<()> {
        let ruff = |arguments: &[&str]| {
            self.workspace.command(self.workspace.venv("ruff")).args(arguments).args(PYTHON_FOLDERS).run()
        };
        ruff(&["format", "--check"])?;
        ruff(&["check"])
    }

    fn lints(&self) -> Result<()> {
        let mut cargo = self.workspace.cargo();
        cargo.args(["clippy", "--workspace", "--all-targets", "--features", "xtask/bindings"]);
        cargo.args(["--", "--deny", "warnings"]).run()
    }

    fn board_lints(&self) -> Result<()> {
        let mut cargo = self.workspace.cargo();
        cargo.args(["clippy", "--package", "skipgate", "--no-default-features", "--all-targets"]);
        cargo.args(["--", "--deny", "warnings"]).run()
    }

    fn documentation(&self) -> Result<()> {
        let mut cargo = self.workspace.cargo();
        cargo.args(["doc", "--workspace", "--no-deps"]);
        cargo.env("RUSTDOCFLAGS", "--deny warnings").run()
    }

    fn board_dependencies(&self) -> Result<()> {
        let mut cargo = self.workspace.cargo();
        cargo.args([
            "tree",
            "--package",
            "skipgate",
            "--no-default-features",
            "--target",
            Family::Armv7.rust_target(),
        ]);
        let tree = cargo.args(["--edges", "normal", "--prefix", "none", "--format", "{lib}"]).read()?;
        let misplaced = misplaced_crates(&tree);
        ensure!(misplaced.is_empty(), "the program for the board depends on {}", misplaced.join(", "));
        Ok(())
    }

    fn build_board_programs(&self) -> Result<()> {
        let programs = test_programs(self.workspace, ["odroid-xu4", "raspberry-pi-4"])?;
        self.board_programs.set(programs).map_err(|_| anyhow!("the programs for boards were built twice"))
    }

    /// Unoptimised, since the Rust tests build most of it anyway.
    fn install_capi(&self) -> Result<()> {
        capi::install(self.workspace, None, "dev", &self.capi_prefix("host"))?;
        let profile = BoardProfile::Tested.name();
        capi::install(self.workspace, Some(&self.tools.armv7_rust), profile, &self.capi_prefix("board"))
    }

    fn build_wheels(&self) -> Result<()> {
        let [wheel, board_wheel] = dist::wheels_for_tests(self.workspace)?;
        let python = setup::board_python::prepare(self.workspace)?;
        let wheels = [
            ("SKIPGATE_WHEEL", wheel),
            ("SKIPGATE_BOARD_WHEEL", board_wheel),
            ("SKIPGATE_BOARD_PYTHON", python),
        ];
        self.wheels.set(wheels).map_err(|_| anyhow!("the wheels were built twice"))
    }

    fn capi_prefix(&self, machine: &str) -> PathBuf {
        self.workspace.path("target/capi").join(machine)
    }

    /// Both at once, since neither keeps two cores busy: what the Python tests print is shown when they are through.
    fn rust_and_python_tests(&self) -> Result<()> {
        let workspace = self.workspace;
        workspace.cargo().args(["test", "--workspace", "--no-run"]).run()?;
        let wheels: &[_] = self.wheels.get().map_or(&[], |wheels| wheels);
        thread::scope(|scope| {
            let python = scope.spawn(|| python_tests(workspace, wheels));
            let rust = self
                .configure(workspace.cargo().args(["test", "--workspace", "--no-fail-fast"]))
                .and_then(CommandExt::run);
            eprintln!("{}", python.join().map_err(|_| anyhow!("a thread panicked"))??);
            rust
        })
    }

    fn board_tests(&self) -> Result<()> {
        let mut cargo = self.tools.armv7_rust.cargo(self.workspace);
        // Most of it is built for the program already.
        let profile = BoardProfile::Tested.name();
        cargo.args([
            "test",
            "--target",
            Family::Armv7.rust_target(),
            "--tests",
            "--no-default-features",
            "--profile",
            profile,
        ]);
        for name in BOARD_CRATES {
            cargo.args(["--package", name]);
        }
        // Under emulation, a process that is started while other threads run now and then hangs before it begins.
        cargo.env("RUST_TEST_THREADS", "1");
        self.configure(&mut cargo)?.run_within(BOARD_TESTS_LIMIT)
    }

    /// Memory errors and leaks of the runtime's own tests.
    fn valgrind(&self) -> Result<()> {
        let mut cargo = self.workspace.cargo();
        // Valgrind 3.19 never wakes IREE's worker threads, so the one test that has some is left out.
        cargo.args(["test", "--package", "skipgate-runtime", "--test", "it"]);
        cargo.args(["--", "--test-threads=1", "--skip", "worker_threads_give"]);
        let runner = "valgrind --quiet --error-exitcode=1 --leak-check=full --show-leak-kinds=definite \
                      --errors-for-leak-kinds=definite";
        let host = host_triple()?.to_uppercase().replace('-', "_");
        cargo.env(format!("CARGO_TARGET_{host}_RUNNER"), runner);
        self.configure(&mut cargo)?.run()
    }

    /// Tells tests where the tools and the programs for boards are.
    fn configure<'c>(&self, command: &'c mut Command) -> Result<&'c mut Command> {
        command.env("ORT_DYLIB_PATH", onnx_runtime(self.workspace)?);
        command.env("SKIPGATE_OPERATOR_CASES", operators::cases(self.workspace)?);
        command.envs(self.board_programs.get().into_iter().flatten().map(|(name, program)| (name, program)));
        command.env("SKIPGATE_CAPI", self.capi_prefix("host"));
        command.env("SKIPGATE_CAPI_BOARD", self.capi_prefix("board"));
        Ok(command.env("PYTHON", self.workspace.venv("python")))
    }
}

/// What the tests of all folders print.
fn python_tests(workspace: &Workspace, wheels: &[(&str, PathBuf)]) -> Result<String> {
    let mut printed = String::new();
    for folder in PYTEST_FOLDERS {
        let mut pytest = workspace.command(workspace.venv("python"));
        // Cargo built it before the Rust tests.
        pytest.env("SKIPGATE_PROGRAM", workspace.path("target/debug/skipgate"));
        pytest.envs(wheels.iter().map(|(name, path)| (name, path)));
        let output = pytest.args(["-m", "pytest", "--quiet", folder]).stdin(Stdio::null()).output()?;
        printed += &String::from_utf8_lossy(&output.stdout);
        printed += &String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "pytest {folder} ended with {}\n{printed}", output.status);
    }
    Ok(printed)
}

/// Names in a listing of `cargo tree` that have no place on the board.
fn misplaced_crates(tree: &str) -> Vec<&str> {
    let misplaced = |name: &&str| NOT_ON_BOARD.iter().any(|part| name.replace('_', "-").contains(part));
    let mut names: Vec<_> = tree.lines().map(str::trim).filter(misplaced).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// ONNX Runtime's library in the private Python environment.
pub(crate) fn onnx_runtime(workspace: &Workspace) -> Result<PathBuf> {
    library(&workspace.site_packages()?.join("onnxruntime/capi"), "libonnxruntime.so")
}

/// The library in `dir` whose file name starts with `stem`.
fn library(dir: &Path, stem: &str) -> Result<PathBuf> {
    for entry in fs_err::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(stem) {
            return Ok(entry.path());
        }
    }
    bail!("{} holds no {stem}", dir.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_of_the_compile_side_are_found_in_a_tree() {
        let tree =
            "skipgate\nskipgate_core\nskipgate_onnx\nonnx_protobuf (*)\nskipgate_iree\nskipgate_onnx (*)\n";
        let expected = ["onnx_protobuf (*)", "skipgate_iree", "skipgate_onnx", "skipgate_onnx (*)"];
        assert_eq!(misplaced_crates(tree), expected);
        assert_eq!(misplaced_crates("skipgate\niree_runtime_sys\nskipgate_runtime\n"), Vec::<&str>::new());
    }

    #[test]
    fn steps_after_a_failure_do_not_run() {
        let steps: &[Step] = &[
            ("good", &|| Ok(())),
            ("bad", &|| bail!("no")),
            ("late", &|| unreachable!("a step before it failed")),
        ];
        let mut times = Vec::new();
        let error = run_steps(steps, &mut times).unwrap_err();
        assert_eq!(format!("{error:#}"), "step 2 (bad) failed: no");
        assert_eq!(times.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["good", "bad"]);
    }

    #[test]
    fn the_summary_marks_the_step_that_failed() {
        let times = [("good", Duration::from_millis(1500)), ("bad", Duration::from_secs(20))];
        let summary = summary(&times, false);
        let lines: Vec<_> =
            summary.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(lines, ["step outcome wall time", "good ok 1.5 s", "bad FAILED 20.0 s", "all 21.5 s"]);
    }
}
