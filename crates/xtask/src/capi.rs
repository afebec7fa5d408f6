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
        fs_err::copy(&library, lib.join(library.file_name().context("a library has a name")?))?;
    }
    fs_err::copy(workspace.path("crates/skipgate-capi/include/skipgate.h"), include.join("skipgate.h"))?;
    fs_err::write(lib.join("pkgconfig/skipgate.pc"), pkg_config())?;
    Ok(())
}

/// Runs a cargo command that builds, for the C interface, and finds its libraries.
pub(crate) fn build(cargo: &mut Command) -> Result<Vec<PathBuf>> {
    cargo.args(["--package", "skipgate-capi", "--message-format=json-render-diagnostics"]);
    let libraries = libraries(&cargo.read_showing_errors()?);
    ensure!(!libraries.is_empty(), "cargo built no library");
    Ok(libraries)
}

/// The description for pkg-config. It finds its own folder, so that the prefix can be moved.
fn pkg_config() -> String {
    format!(
        "prefix=${{pcfiledir}}/../..\n\
         \n\
         Name: skipgate\n\
         Description: {}\n\
         Version: {}\n\
         Cflags: -I${{prefix}}/include\n\
         Libs: -L${{prefix}}/lib -lskipgate\n\
         Libs.private: {PRIVATE_LIBRARIES}\n",
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
        assert!(pkg_config().starts_with("prefix=${pcfiledir}/../..\n"));
    }
}
