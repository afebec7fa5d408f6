//! Artifacts to test with, made from the MLIR files in `tests/data`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use skipgate_core::{
    Abi, Arch, CompileOptions, Coverage, ElementType, FORMAT_VERSION, FileDigest, IREE_REVISION,
    IREE_VERSION, IreeVersion, MANIFEST_FILE, Scores, Target, TensorSpec, VMFB_FILE,
};
use skipgate_runtime::{Artifact, Gate, Manifest, SkipMask};
use tempfile::TempDir;

/// What the networks of this file take: two rows of four columns.
pub(crate) const IMAGE: [f32; 8] = [0.5, -1.0, 2.0, 3.5, -4.0, 5.0, 6.25, 0.0];

/// An artifact folder that lasts as long as the value.
pub(crate) struct Fixture {
    folder: TempDir,
    pub(crate) manifest: Manifest,
}

impl Fixture {
    /// Two gates: the first doubles or negates, the second adds 1, 2, 3, 4 to the columns or multiplies.
    pub(crate) fn gated() -> Self {
        static VMFB: LazyLock<Vec<u8>> = LazyLock::new(|| compile("gated.mlir"));
        Self::new(&VMFB, 2)
    }

    /// No gate: squares.
    pub(crate) fn plain() -> Self {
        static VMFB: LazyLock<Vec<u8>> = LazyLock::new(|| compile("plain.mlir"));
        Self::new(&VMFB, 0)
    }

    /// No gate, an input and an output of every type: doubles numbers and negates booleans.
    pub(crate) fn types() -> Self {
        static VMFB: LazyLock<Vec<u8>> = LazyLock::new(|| compile("types.mlir"));
        let all = [
            ElementType::F32,
            ElementType::F16,
            ElementType::I8,
            ElementType::U8,
            ElementType::I32,
            ElementType::I64,
            ElementType::Bool,
        ];
        let spec = |element_type: ElementType| {
            let elements = if element_type == ElementType::Bool { 300 } else { 2 };
            tensor(element_type.name(), &[elements], element_type)
        };
        Self::new(&VMFB, 0).edit(|manifest| {
            manifest.abi.inputs = all.map(spec).into();
            manifest.abi.outputs = all.map(spec).into();
        })
    }

    fn new(vmfb: &[u8], gates: usize) -> Self {
        let fixture = Self { folder: TempDir::new().unwrap(), manifest: manifest(gates) };
        fixture.with_code(vmfb)
    }

    /// Changes the manifest.
    pub(crate) fn edit(mut self, edit: impl FnOnce(&mut Manifest)) -> Self {
        edit(&mut self.manifest);
        fs_err::write(self.path().join(MANIFEST_FILE), self.manifest.to_json()).unwrap();
        self
    }

    /// Replaces the code and keeps its hash right.
    pub(crate) fn with_code(self, vmfb: &[u8]) -> Self {
        let fixture = self.with_damaged_code(vmfb);
        let hash = FileDigest::of(vmfb);
        fixture.edit(|manifest| drop(manifest.files.insert(VMFB_FILE.to_owned(), hash)))
    }

    /// Replaces the code without telling the manifest.
    pub(crate) fn with_damaged_code(self, vmfb: &[u8]) -> Self {
        fs_err::write(self.path().join(VMFB_FILE), vmfb).unwrap();
        self
    }

    pub(crate) fn code(&self) -> Vec<u8> {
        fs_err::read(self.path().join(VMFB_FILE)).unwrap()
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn open(&self) -> Artifact {
        Artifact::open(self.path()).unwrap()
    }
}

/// What the gated network computes.
pub(crate) fn expected(image: &[f32], mask: &SkipMask) -> Vec<f32> {
    let [first, second] = mask.as_slice() else { panic!("there are two gates") };
    let element = |(value, column): (&f32, f32)| {
        let value = if *first { value + value } else { -value };
        if *second { value + column } else { value * column }
    };
    image.iter().zip([1.0, 2.0, 3.0, 4.0].into_iter().cycle()).map(element).collect()
}

fn tensor(name: &str, shape: &[usize], element_type: ElementType) -> TensorSpec {
    TensorSpec { name: name.to_owned(), shape: shape.to_vec(), element_type }
}

fn manifest(gates: usize) -> Manifest {
    let mut inputs = vec![tensor("image", &[1, 2, 4], ElementType::F32)];
    inputs.extend((gates > 0).then(|| tensor("skip_mask", &[gates], ElementType::Bool)));
    Manifest {
        format_version: FORMAT_VERSION,
        generator: "the runtime's tests".to_owned(),
        iree: IreeVersion { version: IREE_VERSION.to_owned(), revision: IREE_REVISION.to_owned() },
        target: Target { features: Vec::new(), ..Target::host().unwrap() },
        options: CompileOptions::default(),
        abi: Abi {
            entry_point: "skipgate.run".to_owned(),
            specialised: vec![],
            inputs,
            outputs: vec![tensor("logits", &[1, 8], ElementType::F32)],
            index_inputs: vec![],
        },
        gates: (0..gates)
            .map(|index| Gate { block: format!("block{index}"), segment: 0, macs: 8, parameters: 4 })
            .collect(),
        coverage: Coverage::default(),
        preprocessing: None,
        class_names: Vec::new(),
        scores: Scores::Logits,
        model_sha256: "00".repeat(32),
        files: [(VMFB_FILE.to_owned(), FileDigest::of(b""))].into(),
    }
}

/// Compiles a file of `tests/data` for this machine, without instructions that valgrind does not know.
fn compile(name: &str) -> Vec<u8> {
    let folder = TempDir::new().unwrap();
    let output = folder.path().join(VMFB_FILE);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    let result = Command::new(venv().join("bin/iree-compile"))
        .args(["--iree-hal-target-device=local", "--iree-hal-local-target-device-backends=llvm-cpu"])
        .args(target_flags(folder.path()))
        .arg(source)
        .arg("-o")
        .arg(&output)
        .output()
        .unwrap();
    assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
    fs_err::read(output).unwrap()
}

/// The Python environment with the compiler.
fn venv() -> PathBuf {
    let tools = std::env::var_os("SKIPGATE_TOOLS").map(PathBuf::from).unwrap_or_default();
    let venv = tools.join("venv");
    assert!(
        venv.join("bin/iree-compile").is_file(),
        "no compiler in `{}`; run `cargo xtask setup`",
        venv.display()
    );
    venv
}

fn target_flags(folder: &Path) -> Vec<String> {
    let flags: &[&str] = match Arch::current().unwrap() {
        Arch::X86_64 | Arch::Aarch64 => &["--iree-llvmcpu-target-cpu=generic"],
        Arch::Arm => &[
            "--iree-llvmcpu-target-triple=armv7a-unknown-linux-gnueabihf",
            "--iree-llvmcpu-target-cpu=cortex-a15",
            "--iree-llvmcpu-target-cpu-features=+neon,+vfp4",
            "--iree-llvmcpu-target-float-abi=hard",
        ],
    };
    let mut flags: Vec<_> = flags.iter().map(|&flag| flag.to_owned()).collect();
    if Arch::current() == Some(Arch::Arm) {
        flags.push(format!("--iree-llvmcpu-embedded-linker-path={}", arm_linker(folder).display()));
    }
    flags
}

/// LLVM refers to the unwinder on Arm, which the runtime does not offer and the code never calls: links it as null.
fn arm_linker(folder: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;

    let script = folder.join("link");
    let python = fs_err::read_dir(venv().join("lib")).unwrap().next().unwrap().unwrap().path();
    let lld = python.join("site-packages/iree/compiler/_mlir_libs/iree-lld");
    let text = format!("#!/bin/sh\nexec '{}' \"$@\" --defsym=__aeabi_unwind_cpp_pr0=0\n", lld.display());
    fs_err::write(&script, text).unwrap();
    fs_err::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    script
}
