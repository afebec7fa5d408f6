//! What the programs are made of, as a software bill of materials as a `CycloneDX` document.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::{Value, json};
use skipgate_core::{IREE_REVISION, IREE_VERSION};

use super::VERSION;
use crate::process::{CommandExt, say};
use crate::workspace::Workspace;

const FILE: &str = "skipgate.cdx.json";

/// What of `cargo metadata` is asked for.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// `None` for crates of the workspace.
    source: Option<String>,
    description: Option<String>,
}

/// A crate and its version, as `cargo tree` prints them.
type Used = BTreeSet<(String, String)>;

/// Writes the list for the crates that `skipgate` and the C interface link into `dist`.
pub(crate) fn write(workspace: &Workspace, dist: &Path) -> Result<()> {
    say(&format!("Writing {FILE}"));
    let metadata = workspace.cargo().args(["metadata", "--locked", "--format-version", "1"]).read()?;
    let metadata: Metadata = serde_json::from_str(&metadata)?;
    let lock = fs_err::read_to_string(workspace.path("Cargo.lock"))?;
    let document = document(&metadata, &lock, &used(workspace)?);
    Ok(fs_err::write(dist.join(FILE), serde_json::to_string_pretty(&document)? + "\n")?)
}

/// What is linked: no crates of tests, and none that only build.
fn used(workspace: &Workspace) -> Result<Used> {
    let mut tree = workspace.cargo();
    tree.args(["tree", "--locked", "--package", "skipgate", "--package", "skipgate-capi", "--target", "all"]);
    let tree = tree.args(["--edges", "normal", "--prefix", "none", "--format", "{p}"]).read()?;
    tree.lines().filter(|line| !line.is_empty()).map(parse).collect()
}

/// Reads a line such as `half v2.7.1 (*)`.
fn parse(line: &str) -> Result<(String, String)> {
    let mut words = line.split(' ');
    let name = words.next().unwrap_or_default();
    let version = words.next().and_then(|word| word.strip_prefix('v'));
    let version = version.with_context(|| format!("cargo tree printed `{line}`"))?;
    Ok((name.to_owned(), version.to_owned()))
}

fn document(metadata: &Metadata, lock: &str, used: &Used) -> Value {
    let is_used = |package: &&Package| used.contains(&(package.name.clone(), package.version.clone()));
    let mut components: Vec<_> =
        metadata.packages.iter().filter(is_used).map(|package| component(package, lock)).collect();
    components.push(iree());
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {
            "type": "application",
            "name": "skipgate",
            "version": VERSION,
            "licenses": [{"expression": "Apache-2.0 OR MIT"}],
        }},
        "components": components,
    })
}

fn component(package: &Package, lock: &str) -> Value {
    let Package { name, version, license, source, description } = package;
    let mut component = json!({"type": "library", "name": name, "version": version});
    if source.is_some() {
        component["purl"] = json!(format!("pkg:cargo/{name}@{version}"));
    }
    if let Some(description) = description {
        component["description"] = json!(description.trim());
    }
    if let Some(license) = license {
        // Old crates write the `OR` of SPDX as a slash.
        component["licenses"] = json!([{"expression": license.replace('/', " OR ")}]);
    }
    if let Some(checksum) = checksum(lock, name, version) {
        component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
    }
    component
}

/// The checksum that `Cargo.lock` has for a crate; none for those of the workspace.
fn checksum<'l>(lock: &'l str, name: &str, version: &str) -> Option<&'l str> {
    let head = format!("name = \"{name}\"\nversion = \"{version}\"\n");
    let entry = lock.split("[[package]]\n").find(|entry| entry.starts_with(&head))?;
    entry.lines().find_map(|line| line.strip_prefix("checksum = \"")?.strip_suffix('"'))
}

/// The C code that is linked into all programs.
fn iree() -> Value {
    json!({
        "type": "library",
        "name": "iree-runtime",
        "version": IREE_VERSION,
        "description": "IREE's C runtime with flatcc, built from source",
        "purl": format!("pkg:github/iree-org/iree@{IREE_REVISION}"),
        "licenses": [{"expression": "Apache-2.0 WITH LLVM-exception"}],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = "version = 4\n\n[[package]]\nname = \"half\"\nversion = \"2.7.1\"\nsource = \"registry\"\n\
                        checksum = \"abc\"\n\n[[package]]\nname = \"skipgate\"\nversion = \"0.1.0\"\n";

    #[test]
    fn what_is_linked_is_listed_with_its_checksum() {
        let package = |name: &str, version: &str, source: Option<&str>| Package {
            name: name.to_owned(),
            version: version.to_owned(),
            license: Some("MIT/Apache-2.0".to_owned()),
            source: source.map(str::to_owned),
            description: None,
        };
        let packages = vec![
            package("half", "2.7.1", Some("registry")),
            package("half", "1.0.0", Some("registry")),
            package("skipgate", "0.1.0", None),
        ];
        let used = ["half v2.7.1 (*)", "skipgate v0.1.0 (/here)"].map(|line| parse(line).unwrap());
        let document = document(&Metadata { packages }, LOCK, &used.into());
        let components = document["components"].as_array().unwrap();
        let names: Vec<_> = components.iter().map(|component| component["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["half", "skipgate", "iree-runtime"]);
        assert_eq!(components[0]["hashes"][0]["content"], "abc");
        assert_eq!(components[0]["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!((&components[1]["hashes"], &components[1]["purl"]), (&Value::Null, &Value::Null));
    }

    #[test]
    fn lines_that_are_no_crates_are_refused() {
        assert!(parse("[build-dependencies]").is_err());
    }
}
