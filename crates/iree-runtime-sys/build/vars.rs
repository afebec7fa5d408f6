//! Every environment variable that the build script reads. Reading a user's variable also makes cargo watch it.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

fn user(name: &str) -> Option<OsString> {
    println!("cargo::rerun-if-env-changed={name}");
    env::var_os(name).filter(|value| !value.is_empty())
}

/// Folder with IREE's source, instead of the pinned copy.
pub(crate) fn iree_source_dir() -> Option<PathBuf> {
    user("IREE_SOURCE_DIR").map(PathBuf::from)
}

/// Folder for built archives, instead of `native` in the target folder.
pub(crate) fn native_dir() -> Option<PathBuf> {
    user("SKIPGATE_NATIVE_DIR").map(PathBuf::from)
}

/// Folder that `cargo xtask setup` fills; the workspace's `.cargo/config.toml` names it.
pub(crate) fn tools_dir() -> Option<PathBuf> {
    user("SKIPGATE_TOOLS").map(PathBuf::from)
}

/// Whether skipgate's own checkout is built, where `cargo xtask` works: its configuration of cargo says so.
pub(crate) fn is_checkout() -> bool {
    tools_dir().is_some()
}

/// The `cmake` program to use.
pub(crate) fn cmake() -> Option<PathBuf> {
    user("CMAKE").map(PathBuf::from)
}

/// Whether the user names the C++ compiler for this machine.
pub(crate) fn has_cxx() -> bool {
    user("CXX").is_some()
}

/// `cmake` toolchain file for `target`, instead of the one in `toolchains/`.
pub(crate) fn toolchain_file(target: &str) -> Option<PathBuf> {
    user(&format!("CMAKE_TOOLCHAIN_FILE_{}", target.replace('-', "_"))).map(PathBuf::from)
}

/// Programs are searched for in these folders.
pub(crate) fn path() -> Vec<PathBuf> {
    env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default()
}

/// docs.rs has no network and no need for an archive.
pub(crate) fn is_docs_rs() -> bool {
    user("DOCS_RS").is_some()
}

/// A variable that cargo promises.
fn cargo(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name} for build scripts"))
}

/// Triple that is built for.
pub(crate) fn target() -> String {
    cargo("TARGET")
}

/// Triple of this machine.
pub(crate) fn host() -> String {
    cargo("HOST")
}

/// Folder for this script's own files.
pub(crate) fn out_dir() -> PathBuf {
    cargo("OUT_DIR").into()
}

/// Folder of this package.
pub(crate) fn package_dir() -> PathBuf {
    cargo("CARGO_MANIFEST_DIR").into()
}

/// How many jobs cargo allows at once.
pub(crate) fn jobs() -> String {
    cargo("NUM_JOBS")
}
