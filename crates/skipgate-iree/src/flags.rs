//! The compiler flags of a target, in one place.

use std::ffi::CStr;
use std::path::Path;

use skipgate_core::{Arch, Target};

/// Flags of the whole process, behind a program name, as in `argv`.
pub(crate) const GLOBAL: &[&CStr] = &[
    c"skipgate",
    // Commands are recorded by every call: what is recorded depends on the mask.
    c"--iree-hal-indirect-command-buffers=false",
    // LLVM's own order for 32-bit Arm loads everything first and spills; `kernels` write instructions in a good one.
    c"--pre-RA-sched=source",
];

/// Flags that every target shares.
const COMMON: &[&str] = &[
    "--iree-input-type=onnx",
    "--iree-hal-target-device=local",
    "--iree-hal-local-target-device-backends=llvm-cpu",
    "--iree-opt-level=O3",
    // Convolutions are fast with their channels last.
    "--iree-preprocessing-pass-pipeline=builtin.module(util.func(iree-preprocessing-convert-conv-to-channels-last))",
    // Every tensor keeps a binding of its own, so that `gating` can give two of them one memory.
    "--iree-scheduling-optimize-bindings=false",
    // One synchronous function is all the runtime calls.
    "--iree-torch-emit-async-entry-points=false",
    // Source locations name ONNX nodes in diagnostics; in the artifact they would only take room.
    "--iree-llvmcpu-debug-symbols=false",
    "--iree-vm-bytecode-module-strip-source-map=true",
];

/// All flags for `target`; `linker` links the embedded ELF files.
pub(crate) fn for_target(target: &Target, linker: &Path) -> Vec<String> {
    let mut flags: Vec<String> = COMMON.iter().map(|&flag| flag.to_owned()).collect();
    flags.push(format!("--iree-llvmcpu-embedded-linker-path={}", linker.display()));
    flags.push(format!("--iree-llvmcpu-target-triple={}", target.triple));
    if target.arch == Arch::Arm {
        // For 32-bit Arm the compiler does not derive features from the CPU (it warns unless they
        // are set before it), and defaults to soft float.
        let features: Vec<_> = target.features.iter().map(|feature| format!("+{feature}")).collect();
        flags.push(format!("--iree-llvmcpu-target-cpu-features={}", features.join(",")));
        flags.push("--iree-llvmcpu-target-float-abi=hard".to_owned());
    }
    flags.push(format!("--iree-llvmcpu-target-cpu={}", target.cpu));
    flags
}
