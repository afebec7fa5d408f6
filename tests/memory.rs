//! Memory of whole programs over real artifacts, watched by Valgrind.

#[path = "support/mod.rs"]
mod support;

use std::process::Command;

use support::{compile, repository, scratch, skipgate, succeed};

/// IREE 3.13 by itself loses a buffer at every skipped gate: <https://github.com/iree-org/iree/issues/24753>.
#[test]
fn neither_masks_nor_profiles_lose_memory() {
    let artifact = scratch("memory").join("artifact");
    // Valgrind does not know every instruction of newer machines.
    compile(&repository().join("models/digits/resnet20.onnx"), "x86-64-v3", &artifact);
    for mask in ["111111", "101010"] {
        let mut valgrind = valgrind();
        valgrind.arg("run").arg(&artifact);
        valgrind.arg("--image").arg(repository().join("models/digits/samples/3.png"));
        succeed(valgrind.args(["--mask", mask]));
    }
    let bench = ["--per-dispatch", "--rounds", "1", "--calls", "2"];
    succeed(valgrind().arg("bench").arg(&artifact).args(bench));
}

/// Valgrind before the program and its arguments; it ends with an error where memory is misused or lost.
fn valgrind() -> Command {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--error-exitcode=1", "--leak-check=full", "--errors-for-leak-kinds=definite"]);
    valgrind.arg(skipgate().get_program());
    valgrind
}
