//! `cargo xtask capi`: the C interface, as a folder that C compilers can use.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::process::{CommandExt, say};
use crate::setup::rust::BoardRust;
use crate::workspace::Workspace;

/// What the static library needs besides the C library.
const PRIVATE_LIBRARIES: &str = "-lpthread -lm -ldl -lrt -lutil";

/// Builds the libraries in `profile`, for the board if its compiler is given, and lays them out in `prefix`: `include/`,
/// `lib/` and `lib/pkgconfig/`.
pub(crate) fn install(
    workspace: &Workspace,
    board: Option<&BoardRust>,
    profile: &str,
    prefix: &Path,
) -> Result<()> {
    let machine = if board.is_some() { "the board" } else { "this machine" };
    say(&format!("Building the C interface for {machine} in {}", prefix.display()));
    let mut cargo = board.map_or_else(|| workspace.cargo(), |rust| rust.cargo(workspace));
    cargo.args(["build", "--profile", profile]);
    cargo.args(board.map(|rust| ["--target", rust.family.rust_target()]).into_iter().flatten());
    let libraries = build(&mut cargo)?;
    let (lib, include) = (prefix.join("lib"), prefix.join("include"));
    for dir in [&include, &lib.join("pkgconfig")] {
        fs_err::create_dir_all(dir)?;
    }
    for library in libraries {
        copy_library(&library, &lib)?;
    }
    fs_err::copy(workspace.path("crates/skipgate-capi/include/skipgate.h"), include.join("skipgate.h"))?;
    let shared = format!("Libs: -L${{prefix}}/lib -lskipgate\nLibs.private: {PRIVATE_LIBRARIES}\n");
    fs_err::write(lib.join("pkgconfig/skipgate.pc"), pkg_config("skipgate", &shared))?;
    // A linker prefers the shared library of the same name, and pkg-config has no way to say otherwise.
    let archive = format!("Libs: -L${{prefix}}/lib -l:libskipgate.a {PRIVATE_LIBRARIES}\n");
    fs_err::write(lib.join("pkgconfig/skipgate-static.pc"), pkg_config("skipgate-static", &archive))?;
    Ok(())
}

/// Copies a library to `lib`. A shared one is called by the name that programs look for, with a link to it for the linker.
fn copy_library(library: &Path, lib: &Path) -> Result<()> {
    let name = library.file_name().context("a library has a name")?;
    if library.extension().is_none_or(|extension| extension != "so") {
        fs_err::copy(library, lib.join(name))?;
        return Ok(());
    }
    let (soname, link) = (soname(), lib.join(name));
    fs_err::copy(library, lib.join(&soname))?;
    if link.symlink_metadata().is_ok() {
        fs_err::remove_file(&link)?;
    }
    fs_err::os::unix::fs::symlink(soname, link)?;
    Ok(())
}

/// The name that programs find the shared library by, as the crate's build script gives it.
fn soname() -> String {
    let (major, minor) = (env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"));
    let interface = if major == "0" { format!("0.{minor}") } else { major.to_owned() };
    format!("libskipgate.so.{interface}")
}

/// Runs a cargo command that builds, for the C interface, and finds its libraries.
pub(crate) fn build(cargo: &mut Command) -> Result<Vec<PathBuf>> {
    cargo.args(["--package", "skipgate-capi", "--message-format=json-render-diagnostics"]);
    let libraries = libraries(&cargo.read_showing_errors()?);
    ensure!(!libraries.is_empty(), "cargo built no library");
    Ok(libraries)
}

/// The description for pkg-config. It finds its own folder, so that the prefix can be moved.
fn pkg_config(name: &str, libs: &str) -> String {
    format!(
        "prefix=${{pcfiledir}}/../..\n\
         \n\
         Name: {name}\n\
         Description: {}\n\
         Version: {}\n\
         Cflags: -I${{prefix}}/include\n\
         {libs}",
        "Runs residual networks whose blocks can be skipped, call by call",
        env!("CARGO_PKG_VERSION"),
    )
}

/// One line of cargo's JSON output.
#[derive(Deserialize)]
struct Message {
    target: Target,
    filenames: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    crate_types: Vec<String>,
}

/// The files of the C library.
fn libraries(messages: &str) -> Vec<PathBuf> {
    let message = |line| serde_json::from_str::<Message>(line).ok();
    let ours = |message: &Message| {
        message.target.name == "skipgate" && message.target.crate_types.iter().any(|kind| kind == "staticlib")
    };
    messages.lines().filter_map(message).filter(ours).flat_map(|message| message.filenames).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_found_among_other_crates() {
        let line = |name, kind, file| {
            format!(r#"{{"target":{{"name":"{name}","crate_types":["{kind}"]}},"filenames":["{file}"]}}"#)
        };
        let messages = [
            line("skipgate", "bin", "/t/skipgate"),
            line("skipgate", "staticlib", "/t/libskipgate.a"),
            line("other", "staticlib", "/t/libother.a"),
            r#"{"reason":"build-finished","success":true}"#.to_owned(),
        ];
        assert_eq!(libraries(&messages.join("\n")), [PathBuf::from("/t/libskipgate.a")]);
    }

    #[test]
    fn the_prefix_can_be_moved() {
        assert!(pkg_config("skipgate", "").starts_with("prefix=${pcfiledir}/../..\n"));
    }
}
