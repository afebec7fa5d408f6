//! Builds IREE's C runtime as one static archive and links it.
//!
//! The archive is always optimised and lies in a cache of its own, `native` in the target folder, so that neither
//! profiles nor features nor `cargo clean -p` build it again. The source tree is never written to.
//!
//! In skipgate's own checkout, a machine that lacks a tool can still check, lint and document: the script then only warns,
//! and linking fails with a missing library whose name says what to do. Elsewhere cargo shows no warnings of this script,
//! and it fails at once.

mod cache;
mod cmake;
mod source;
mod tools;
mod vars;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cmake::{Build, Toolchain};

/// Why there is no archive.
enum Problem {
    /// Something is not installed: in the checkout a warning now, and an error when a program is linked.
    Missing(String),
    /// Something is installed and failed.
    Failed(String),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

fn main() -> ExitCode {
    for path in ["build", "cmake", "toolchains"] {
        println!("cargo::rerun-if-changed={path}");
    }
    if vars::is_docs_rs() {
        return ExitCode::SUCCESS;
    }
    match archive() {
        Ok(archive) => link(&archive),
        Err(Problem::Missing(what)) if vars::is_checkout() => defer_to_linker(&what),
        Err(Problem::Missing(what) | Problem::Failed(what)) => return fail(&what),
    }
    ExitCode::SUCCESS
}

/// Ends the build with an error. Cargo shows one line of it; more take an instruction each.
fn fail(what: &str) -> ExitCode {
    for line in format!("IREE's runtime was not built: {what}").lines() {
        println!("cargo::error={line}");
    }
    watch_for_tools();
    ExitCode::FAILURE
}

/// The archive for cargo's target, from the cache or built.
fn archive() -> Result<PathBuf, Problem> {
    let package = vars::package_dir();
    let source = source::find(vars::iree_source_dir().as_deref(), &package, &vars::host())
        .map_err(Problem::Missing)?;
    if source.pinned.is_none() {
        println!("cargo::rerun-if-changed={}", source.runtime_include().display());
    }
    let toolchain = Toolchain::for_target(&package, &vars::target(), &vars::host())?;
    let build = Build { project: package.join("cmake"), source };
    let entry = build.key(&vars::target(), toolchain.as_ref())?;
    let folder = cache::get_or_build(&entry, |scratch| {
        build.runtime(scratch, toolchain.as_ref(), &|| host_tools(&build))
    })?;
    Ok(folder.join(cmake::ARCHIVE))
}

/// Folder with the two programs that generate code in IREE's build; a cross build needs them from a build for this machine.
fn host_tools(build: &Build) -> Result<PathBuf, Problem> {
    cache::get_or_build(&build.key("host-tools", None)?, |scratch| build.host_tools(scratch))
}

fn link(archive: &Path) {
    let folder = archive.parent().unwrap_or(archive);
    println!("cargo::rerun-if-changed={}", archive.display());
    println!("cargo::rustc-link-search=native={}", folder.display());
    println!("cargo::rustc-link-lib=static=iree_runtime");
}

/// Leaves the error to the linker, which misses a library whose name is the message. (It would not show the name of a
/// missing symbol: it stops after twenty of IREE's.)
fn defer_to_linker(what: &str) {
    let message = format!("IREE's runtime was not built: {what}");
    println!("cargo::warning={message}. Checking works, linking a program will not");
    // Colons and equals signs have a meaning to cargo and rustc here.
    println!("cargo::rustc-link-lib=dylib={}", message.replace([':', '='], ","));
    watch_for_tools();
}

/// Makes cargo run this script again on the next build, when the tools may be installed: the path never exists.
fn watch_for_tools() {
    println!("cargo::rerun-if-changed=build/again-when-tools-are-installed");
}
