//! `skipgate doctor` looks closer than at names of files.

#[path = "support/mod.rs"]
mod support;

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use fs_err as fs;
use serde_json::Value;
use support::{scratch, skipgate};

/// Exit code, and the checks as `(name, state, found)`.
fn doctor(command: &mut Command) -> (Option<i32>, Vec<[String; 3]>) {
    let output = command.args(["doctor", "--format", "json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |check: &Value, key: &str| check[key].as_str().unwrap().to_owned();
    let check = |check: &Value| ["name", "state", "found"].map(|key| text(check, key));
    (output.status.code(), report["checks"].as_array().unwrap().iter().map(check).collect())
}

fn find<'c>(checks: &'c [[String; 3]], name: &str) -> &'c [String; 3] {
    checks.iter().find(|[found, ..]| found == name).unwrap()
}

#[test]
fn the_linker_has_to_link() {
    let (_, checks) = doctor(&mut skipgate());
    let [_, state, found] = find(&checks, "linker");
    assert!(state == "ok" && found.ends_with("iree-lld, which links"), "{found}");
    // The same compiler, beside a linker that does not.
    let real = std::path::Path::new(found.trim_end_matches(", which links")).parent().unwrap();
    let dir = scratch("doctor");
    for entry in fs::read_dir(real).unwrap() {
        let path = entry.unwrap().path();
        symlink(&path, dir.join(path.file_name().unwrap())).unwrap();
    }
    let linker = dir.join("iree-lld");
    fs::remove_file(&linker).unwrap();
    let broken = || doctor(skipgate().env("SKIPGATE_IREE_COMPILER", dir.join("libIREECompiler.so")));
    let (code, checks) = broken();
    assert_eq!((code, find(&checks, "linker")[1].as_str()), (Some(1), "missing"));
    fs::write(&linker, "#!/bin/sh\necho 'no such flavor' >&2\nexit 3\n").unwrap();
    fs::set_permissions(&linker, std::fs::Permissions::from_mode(0o700)).unwrap();
    let (code, checks) = broken();
    let [_, state, found] = find(&checks, "linker");
    assert_eq!((code, state.as_str()), (Some(1), "missing"));
    assert!(found.contains("no such flavor"), "{found}");
}

#[test]
fn tools_that_somebody_named_must_have_the_compiler() {
    let dir = scratch("doctor-tools");
    for tools in [dir.clone(), dir.join("none")] {
        let (code, checks) =
            doctor(skipgate().env("SKIPGATE_TOOLS", &tools).env_remove("SKIPGATE_IREE_COMPILER"));
        let [_, state, found] = find(&checks, "IREE compiler");
        assert_eq!((code, state.as_str()), (Some(1), "missing"));
        assert!(found.ends_with(&format!("looked in SKIPGATE_TOOLS = {}", tools.display())), "{found}");
    }
}
