//! Finds IREE's source. The build script and `cargo xtask` both use this file.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The crate whose package carries the pinned copy of IREE's runtime source.
const CARRIER: &str = "eerie-sys";
/// Its version, that of `Cargo.toml`.
const CARRIER_VERSION: &str = "0.5.0";

/// A folder with IREE's source.
pub(crate) struct Source {
    /// The folder that holds `runtime/`, `compiler/` and `third_party/`.
    pub(crate) dir: PathBuf,
    /// Version of the pinned copy; `None` for a folder of the user's own, which may change.
    pub(crate) pinned: Option<String>,
}

impl Source {
    /// Include folder of the runtime's C API.
    pub(crate) fn runtime_include(&self) -> PathBuf {
        self.dir.join("runtime/src")
    }
}

/// Finds the source: `explicit` (`IREE_SOURCE_DIR`), else a checkout in `third_party/iree` of the repository, else the
/// copy inside the pinned carrier crate, which lies beside this one where cargo unpacked both. `package` is the folder of `iree-runtime-sys`, `host` the triple of this machine.
pub(crate) fn find(explicit: Option<&Path>, package: &Path, host: &str) -> Result<Source, String> {
    if let Some(dir) = explicit {
        return own_copy(dir).ok_or_else(|| {
            format!("IREE_SOURCE_DIR is `{}`, which holds no IREE source (no {MARKER})", dir.display())
        });
    }
    match own_copy(&package.join("../../third_party/iree")) {
        Some(source) => Ok(source),
        None => beside(package).map_or_else(|| carried(package, host), Ok),
    }
}

/// Every IREE source folder has this file.
const MARKER: &str = "runtime/src/iree/runtime/api.h";

fn own_copy(dir: &Path) -> Option<Source> {
    let dir = dir.canonicalize().ok()?;
    dir.join(MARKER).is_file().then_some(Source { dir, pinned: None })
}

/// The carrier crate beside this one in cargo's registry, where this one has no `Cargo.lock` to ask cargo with.
fn beside(package: &Path) -> Option<Source> {
    let dir = package.parent()?.join(format!("{CARRIER}-{CARRIER_VERSION}/iree"));
    dir.join(MARKER).is_file().then(|| pinned(dir, CARRIER_VERSION))
}

fn pinned(dir: PathBuf, version: &str) -> Source {
    Source { dir, pinned: Some(format!("{CARRIER}-{version}")) }
}

/// Asks cargo where it unpacked the carrier crate.
fn carried(package: &Path, host: &str) -> Result<Source, String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--locked", "--format-version", "1", "--filter-platform", host])
        .arg("--manifest-path")
        .arg(package.join("Cargo.toml"))
        .output()
        .map_err(|error| format!("cannot run cargo metadata: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))?;
    let carrier = metadata["packages"]
        .as_array()
        .and_then(|packages| packages.iter().find(|package| package["name"] == CARRIER))
        .ok_or_else(|| format!("cargo metadata lists no crate `{CARRIER}`"))?;
    let field = |name: &str| carrier[name].as_str().unwrap_or_default();
    let dir = Path::new(field("manifest_path")).with_file_name("iree");
    if !dir.join(MARKER).is_file() {
        return Err(format!("`{}` holds no IREE source (no {MARKER})", dir.display()));
    }
    Ok(pinned(dir, field("version")))
}
