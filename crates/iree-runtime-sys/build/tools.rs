//! Finds the programs that the build needs.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Problem, vars};

/// What to do outside of skipgate's checkout, as lines.
const REMEDY: &str = "the build needs CMake 3.26 or newer, Ninja, and a C and C++ compiler for the target.
On Debian or Ubuntu: sudo apt install g++ python3-venv
then: python3 -m venv tools && . tools/bin/activate && pip install cmake ninja
(for boards also: sudo apt install g++-arm-linux-gnueabihf or g++-aarch64-linux-gnu).
CMAKE names a cmake that is not in PATH";

/// IREE's build asks for this version.
const MIN_CMAKE: (u32, u32) = (3, 26);

/// `CMAKE`, else the `cmake` that `cargo xtask setup` installs, else the one on the search path.
pub(crate) fn cmake() -> Result<PathBuf, Problem> {
    let program = match vars::cmake() {
        Some(program) => program,
        None => find("cmake")?,
    };
    match version(&program) {
        Some(found) if found >= MIN_CMAKE => Ok(program),
        found => Err(missing(&format!(
            "`{}` is {}, needed is CMake {}.{} or newer",
            program.display(),
            found.map_or("not a CMake that runs".to_owned(), |(major, minor)| format!(
                "CMake {major}.{minor}"
            )),
            MIN_CMAKE.0,
            MIN_CMAKE.1,
        ))),
    }
}

/// The `ninja` that `cargo xtask setup` installs, else the one on the search path.
pub(crate) fn ninja() -> Result<PathBuf, Problem> {
    find("ninja")
}

/// Finds `program` among the installed tools or on the search path.
pub(crate) fn find(program: &str) -> Result<PathBuf, Problem> {
    let installed = vars::tools_dir().map(|tools| tools.join("venv/bin"));
    installed
        .into_iter()
        .chain(vars::path())
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| missing(&format!("`{program}` was not found")))
}

fn missing(what: &str) -> Problem {
    let remedy = if vars::is_checkout() { "`cargo xtask setup` installs it" } else { REMEDY };
    Problem::Missing(format!("{what}; {remedy}"))
}

/// Major and minor version that `cmake` reports.
fn version(cmake: &Path) -> Option<(u32, u32)> {
    let output = Command::new(cmake).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut numbers = text.strip_prefix("cmake version ")?.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}
