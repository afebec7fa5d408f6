//! The crates outside of this checkout: what a package carries, and a build in somebody else's project.
// Cargo itself does not run under emulation.
#![cfg(target_arch = "x86_64")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, str};

use fs_err as fs;

/// The root of the repository.
fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("crates/xtask lies in the repository")
}

/// Cargo in `folder`, which has none of what this checkout's configuration sets.
fn cargo(folder: &Path, arguments: &[&str]) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(folder).args(arguments);
    for variable in ["CMAKE", "IREE_SOURCE_DIR", "SKIPGATE_NATIVE_DIR", "SKIPGATE_TOOLS"] {
        cargo.env_remove(variable);
    }
    // The tests' own holds a built runtime.
    cargo.env_remove("CARGO_TARGET_DIR");
    cargo
}

/// A project outside of the checkout that uses the runtime. It has the versions that are in the registry here already.
fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let runtime = repository().join("crates/skipgate-runtime");
    let manifest = format!(
        "[package]\nname = \"outside\"\nedition = \"2024\"\n\n[dependencies]\nskipgate-runtime = {{ path = '{}' }}\n",
        runtime.display()
    );
    fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
    fs::copy(repository().join("Cargo.lock"), folder.path().join("Cargo.lock")).unwrap();
    fs::create_dir(folder.path().join("src")).unwrap();
    let main =
        "fn main() {\n    println!(\"{}\", skipgate_runtime::Artifact::open(\"nowhere\").unwrap_err());\n}\n";
    fs::write(folder.path().join("src/main.rs"), main).unwrap();
    folder
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

#[test]
fn a_project_of_ones_own_says_what_it_lacks() {
    let project = project();
    let mut check = cargo(project.path(), &["check", "--offline"]);
    let output = check.env("CMAKE", "/no/such/cmake").output().unwrap();
    assert!(!output.status.success());
    let error = text(&output.stderr);
    for expected in
        ["`/no/such/cmake` is not a CMake that runs", "pip install cmake ninja", "apt install g++"]
    {
        assert!(error.contains(expected), "{expected} is not in\n{error}");
    }
    assert!(!error.contains("cargo xtask"), "there is none in a project of one's own:\n{error}");
}

/// Builds IREE's runtime from source, in a target folder that has none.
#[test]
#[ignore = "a minute and a half of a processor: `cargo test -p xtask --test outside -- --ignored`, as the job for crates does"]
fn a_project_of_ones_own_builds() {
    let project = project();
    // An active Python environment with CMake and Ninja, as the message asks for.
    let tools = PathBuf::from(env::var_os("SKIPGATE_TOOLS").expect("cargo sets SKIPGATE_TOOLS"));
    let active = repository().join(tools).join("venv/bin");
    let path = env::join_paths([active].into_iter().chain(env::split_paths(&env::var_os("PATH").unwrap())));
    let mut run = cargo(project.path(), &["run", "--offline", "--quiet"]);
    let Output { status, stdout, stderr } = run.env("PATH", path.unwrap()).output().unwrap();
    assert!(status.success(), "{}", text(&stderr));
    assert!(text(&stdout).contains("nowhere"), "{}", text(&stdout));
}

#[test]
fn packages_carry_licences_and_all_that_their_builds_read() {
    for entry in fs::read_dir(repository().join("crates")).unwrap() {
        let folder = entry.unwrap().path();
        let Ok(manifest) = fs::read_to_string(folder.join("Cargo.toml")) else { continue };
        if manifest.contains("publish = false") {
            continue;
        }
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let arguments = ["package", "--offline", "--allow-dirty", "--list", "--package", &name];
        let output = cargo(repository(), &arguments).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let files: Vec<_> = text(&output.stdout).lines().collect();
        let needed: &[&str] = match &*name {
            "iree-runtime-sys" => &["cmake/CMakeLists.txt", "toolchains/armv7-linux.cmake", "build/main.rs"],
            "skipgate-data" => &["digits/test-images-idx3-ubyte.gz"],
            "skipgate-onnx" => &["proto/onnx.proto", "build.rs"],
            "skipgate-capi" => &["include/skipgate.h"],
            _ => &[],
        };
        for file in ["Cargo.toml", "LICENSE-APACHE", "LICENSE-MIT", "README.md"].iter().chain(needed) {
            assert!(files.contains(file), "{name} has no {file}: {files:?}");
        }
        let strays = files.iter().filter(|file| file.starts_with("tests/"));
        assert_eq!(strays.count(), 0, "{name}: {files:?}");
    }
}
