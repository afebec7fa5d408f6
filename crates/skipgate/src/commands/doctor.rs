//! `skipgate doctor`: what is installed, what is missing and how to install it.

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::cli::Format;
use crate::report::{self, Report};

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Diagnosis<'a> {
    checks: &'a [Check],
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Check {
    name: &'static str,
    state: State,
    found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    /// Something works less well than it could.
    Warning,
    Missing,
}

impl Report for Diagnosis<'_> {
    fn text(&self) -> String {
        let line = |check: &Check| {
            let state = match check.state {
                State::Ok => "ok",
                State::Warning => "warning",
                State::Missing => "missing",
            };
            let fix =
                check.fix.as_ref().map(|fix| format!("\n         {:20} fix: {fix}", "")).unwrap_or_default();
            format!("{state:8} {:20} {}{fix}\n", check.name, check.found)
        };
        self.checks.iter().map(line).collect()
    }
}

pub(crate) fn execute(format: Format) -> Result<()> {
    let mut checks = vec![machine()];
    #[cfg(feature = "compiler")]
    checks.extend([compiler::library(), compiler::linker(), compiler::emulator()]);
    checks.extend(governor());
    let missing: Vec<_> =
        checks.iter().filter(|check| check.state == State::Missing).map(|check| check.name).collect();
    report::print(&Diagnosis { checks: &checks }, format)?;
    ensure!(missing.is_empty(), "missing: {}", missing.join(", "));
    Ok(())
}

/// The instruction set this program runs on.
fn machine() -> Check {
    let name = "machine";
    match skipgate_core::Target::host() {
        Some(host) => {
            let found = format!("{} with {}", host.arch.name(), host.features.join(" "));
            Check { name, state: State::Ok, found: found.trim_end_matches(" with ").to_owned(), fix: None }
        }
        None => Check {
            name,
            state: State::Missing,
            found: format!("{} is not supported", std::env::consts::ARCH),
            fix: Some("use an x86-64, aarch64 or armv7 Linux machine".to_owned()),
        },
    }
}

/// Other settings than `performance` change clock rates while one measures.
fn governor() -> Option<Check> {
    let file = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
    let found = fs_err::read_to_string(file).ok()?.trim().to_owned();
    let steady = found == "performance";
    Some(Check {
        name: "CPU clock governor",
        state: if steady { State::Ok } else { State::Warning },
        found,
        fix: (!steady).then(|| format!("for steady latencies, write `performance` to {file} of every core")),
    })
}

#[cfg(feature = "compiler")]
mod compiler {
    use std::env;

    use skipgate_core::Hint as _;
    use skipgate_iree::Compiler;

    use super::{Check, State};

    const REINSTALL: &str = "reinstall the iree-base-compiler package";
    const RUNNABLE: &str = "see that programs may run in TMPDIR (it is not mounted with noexec); else reinstall the \
                            iree-base-compiler package";

    /// `libIREECompiler`, opened and asked for its version.
    pub(super) fn library() -> Check {
        let name = "IREE compiler";
        match Compiler::get() {
            Ok(compiler) => {
                let found = format!("{} at {}", compiler.version().version, compiler.path().display());
                Check { name, state: State::Ok, found, fix: None }
            }
            Err(error) => Check { name, state: State::Missing, found: error.to_string(), fix: error.hint() },
        }
    }

    /// The wheel holds it beside the library. That it is there says little: it has to link something.
    pub(super) fn linker() -> Check {
        let name = "linker";
        let Ok(compiler) = Compiler::get() else {
            let found = "no iree-lld without the compiler library".to_owned();
            return Check { name, state: State::Missing, found, fix: Some(REINSTALL.to_owned()) };
        };
        let path = compiler.path().with_file_name("iree-lld");
        match skipgate_iree::try_linker(compiler.path()) {
            Ok(()) => {
                Check { name, state: State::Ok, found: format!("{}, which links", path.display()), fix: None }
            }
            Err(found) => {
                let fix = if path.is_file() { RUNNABLE } else { REINSTALL };
                Check { name, state: State::Missing, found, fix: Some(fix.to_owned()) }
            }
        }
    }

    /// Only needed to try armv7 artifacts on another machine.
    pub(super) fn emulator() -> Check {
        let path = env::var_os("PATH").unwrap_or_default();
        let found = env::split_paths(&path).map(|dir| dir.join("qemu-arm")).find(|file| file.is_file());
        match found {
            Some(file) => Check {
                name: "armv7 emulator",
                state: State::Ok,
                found: file.display().to_string(),
                fix: None,
            },
            None => Check {
                name: "armv7 emulator",
                state: State::Warning,
                found: "no qemu-arm; needed only to try armv7 artifacts on this machine".to_owned(),
                fix: Some("apt-get install qemu-user".to_owned()),
            },
        }
    }
}
