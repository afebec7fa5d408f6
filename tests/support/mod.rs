//! What the end-to-end tests share: the programs, the oracle, masks and the measure of agreement.
#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod model;

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use fs_err as fs;
use serde_json::{Value, json};
use skipgate_core::{Elements, Manifest};
use skipgate_data::Stacked;
use skipgate_onnx::Model;

/// Largest relative difference allowed between ONNX Runtime on the gated model and on the model without the blocks.
/// Both run the same kernels on the same numbers; folding of batch normalisation and fusion move single roundings.
pub(crate) const ONNX_TOLERANCE: f64 = 1e-5;
/// Largest relative difference allowed between an artifact and ONNX Runtime. Sums of up to 4,608 products are taken in
/// another order and with fused multiply-adds, layer after layer: some hundred units in the last place of f32.
pub(crate) const ARTIFACT_TOLERANCE: f64 = 1e-4;

/// The root of the repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("crates/skipgate lies in the repository")
}

/// An empty folder for the test `name`.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    dir
}

/// The command line, as built for this test.
pub(crate) fn skipgate() -> Command {
    Command::new(env!("CARGO_BIN_EXE_skipgate"))
}

/// The static armv7 program under emulation.
pub(crate) fn board() -> Command {
    emulated("qemu-arm", "cortex-a15", "SKIPGATE_BOARD_PROGRAM")
}

/// The static program for 64-bit boards under emulation.
pub(crate) fn board_64() -> Command {
    emulated("qemu-aarch64", "cortex-a72", "SKIPGATE_AARCH64_PROGRAM")
}

/// The static armv7 program.
pub(crate) fn board_program() -> PathBuf {
    named_program("SKIPGATE_BOARD_PROGRAM")
}

/// The program that `variable` names, relative to the repository.
fn named_program(variable: &str) -> PathBuf {
    let program = env::var_os(variable).expect("`cargo xtask test` builds the programs for boards");
    repository().join(program)
}

fn emulated(emulator: &str, cpu: &str, variable: &str) -> Command {
    let mut command = Command::new(emulator);
    command.args(["-cpu", cpu]).arg(named_program(variable));
    command
}

/// Compiles `networks`, models of one input and one output with their inputs, as one without gates, and runs it once by
/// `program`: what `compile` says, and what each network made of its input. Starting the compiler takes longer than most.
pub(crate) fn run_side_by_side(
    dir: &Path,
    target: &str,
    program: fn() -> Command,
    flag: Option<&str>,
    networks: &[(&Model, &[f32])],
) -> (Value, Vec<Vec<f32>>) {
    let path = |name: &str| dir.join(name);
    let all = model::side_by_side(networks.iter().map(|(model, _)| *model));
    all.save(&path("model.onnx")).unwrap();
    let mut compile = skipgate();
    compile.args(["compile", "--ungated", "--format", "json", "--target", target]).args(flag);
    compile.arg(path("model.onnx")).arg("--output").arg(path("artifact"));
    let said: Value = serde_json::from_str(&succeed(&mut compile)).unwrap();
    let manifest = Manifest::from_json(&fs::read_to_string(path("artifact/manifest.json")).unwrap()).unwrap();
    let mut inputs = Stacked::empty(manifest.inputs());
    inputs.push(networks.iter().map(|(_, input)| Elements::F32(input))).unwrap();
    inputs.write(manifest.inputs(), &path("input.npz")).unwrap();
    let mut run = program();
    run.arg("run").arg(path("artifact")).arg("--input").arg(path("input.npz"));
    succeed(run.arg("--output").arg(path("output.npz")));
    let outputs = Stacked::read(manifest.outputs(), &[path("output.npz").display().to_string()]).unwrap();
    (said, outputs.tensors().map(|output| <&[f32]>::try_from(output).unwrap().to_vec()).collect())
}

/// A script of `tests/python`.
pub(crate) fn python(script: &str) -> Command {
    let mut command = interpreter();
    command.arg(repository().join("tests/python").join(script));
    command
}

/// The training recipes in `models`.
pub(crate) fn recipes() -> Command {
    let mut command = interpreter();
    command.args(["-m", "skipgate_models"]).current_dir(repository().join("models"));
    command
}

/// Python with the environment that `cargo xtask setup` makes.
pub(crate) fn interpreter() -> Command {
    let tools = env::var_os("SKIPGATE_TOOLS").expect("cargo sets SKIPGATE_TOOLS");
    Command::new(
        env::var_os("PYTHON").map_or_else(|| repository().join(tools).join("venv/bin/python"), PathBuf::from),
    )
}

/// Runs `command` and returns what it printed. A failure shows all there is to know.
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{}", describe(command, &output));
    String::from_utf8(output.stdout).unwrap()
}

fn describe(command: &Command, Output { status, stdout, stderr }: &Output) -> String {
    let (stdout, stderr) = (String::from_utf8_lossy(stdout), String::from_utf8_lossy(stderr));
    format!("{command:?}: {status}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
}

/// A run of ONNX Runtime.
pub(crate) struct Job {
    pub(crate) model: PathBuf,
    /// The value of `skip_mask` of a gated model.
    pub(crate) mask: Option<String>,
    /// The blocks that the oracle itself cuts out of an ungated model.
    pub(crate) remove: Option<String>,
    /// Whether first blocks of segments have gates too, as in MobileNetV2.
    pub(crate) gate_first: bool,
}

/// Logits of every job on the images in `input`, in order.
pub(crate) fn oracle(dir: &Path, input: &Path, jobs: &[Job]) -> Vec<Logits> {
    let output = |index| dir.join(format!("oracle-{index}.npy"));
    let document: Vec<Value> = jobs
        .iter()
        .enumerate()
        .map(|(index, Job { model, mask, remove, gate_first })| {
            json!({"model": model, "input": input, "output": output(index), "mask": mask, "remove": remove,
                "gate_first": gate_first})
        })
        .collect();
    let mut command = python("oracle.py");
    let mut child = command.arg("batch").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    serde_json::to_writer(child.stdin.take().unwrap(), &document).unwrap();
    let finished = child.wait_with_output().unwrap();
    assert!(finished.status.success(), "{}", describe(&command, &finished));
    (0..jobs.len()).map(|index| Logits::read(&output(index))).collect()
}

/// Logits of a number of images.
pub(crate) struct Logits {
    classes: usize,
    values: Vec<f32>,
}

impl Logits {
    pub(crate) fn read(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap();
        let file = npyz::NpyFile::new(&bytes[..]).unwrap();
        let classes = usize::try_from(file.shape()[1]).unwrap();
        Self { classes, values: file.into_vec().unwrap() }
    }

    /// The class of every image.
    pub(crate) fn classes(&self) -> impl Iterator<Item = usize> {
        let largest = |logits: &[f32]| (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b]));
        self.values.chunks(self.classes).map(move |logits| largest(logits).unwrap())
    }

    /// The largest difference in units of the reference's largest logit, over all images.
    pub(crate) fn relative_difference(&self, reference: &Self) -> f64 {
        assert_eq!((self.classes, self.values.len()), (reference.classes, reference.values.len()));
        let images = self.values.chunks(self.classes).zip(reference.values.chunks(self.classes));
        images.map(|(found, expected)| difference(found, expected)).fold(0.0, f64::max)
    }
}

fn difference(found: &[f32], expected: &[f32]) -> f64 {
    let largest = |values: &mut dyn Iterator<Item = f64>| {
        values.inspect(|value| assert!(value.is_finite())).fold(0.0, f64::max)
    };
    let scale = largest(&mut expected.iter().map(|&value| f64::from(value).abs()));
    largest(&mut found.iter().zip(expected).map(|(&a, &b)| (f64::from(a) - f64::from(b)).abs())) / scale
}

/// The largest relative difference of corresponding logits.
pub(crate) fn worst(found: &[Logits], expected: &[Logits]) -> f64 {
    found
        .iter()
        .zip(expected)
        .map(|(found, expected)| found.relative_difference(expected))
        .fold(0.0, f64::max)
}

/// All-run, all-skip, every single skip, and `random` random masks, always the same ones.
pub(crate) fn masks(gates: usize, random: usize) -> Vec<String> {
    let digits = |run: &mut dyn FnMut(usize) -> bool| -> String {
        (0..gates).map(|gate| if run(gate) { '1' } else { '0' }).collect()
    };
    let mut masks = vec![digits(&mut |_| true), digits(&mut |_| false)];
    masks.extend((0..gates).map(|skipped| digits(&mut |gate| gate != skipped)));
    let mut noise = Noise(1);
    masks.extend((0..random).map(|_| digits(&mut |_| noise.next() > 0.0)));
    masks
}

/// Writes `count` images of noise of shape `[channels, height, width]` to `path`.
pub(crate) fn write_noise(path: &Path, shape: [u64; 4]) {
    let mut noise = Noise(7);
    let values: Vec<_> = (0..shape.iter().product()).map(|_| noise.next()).collect();
    write_npy(path, &shape, &values);
}

/// Writes a tensor.
pub(crate) fn write_npy(path: &Path, shape: &[u64], values: &[f32]) {
    use npyz::WriterBuilder as _;
    let file = fs::File::create(path).unwrap();
    let mut writer = npyz::WriteOptions::new().default_dtype().shape(shape).writer(file).begin_nd().unwrap();
    writer.extend(values).unwrap();
    writer.finish().unwrap();
}

/// Numbers between -1 and 1 (Marsaglia's xorshift).
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let unit = (self.0 >> 40) as f32 / (1u64 << 24) as f32;
        2.0 * unit - 1.0
    }
}

/// Compiles `model` for `target` into `dir`.
pub(crate) fn compile(model: &Path, target: &str, dir: &Path) {
    succeed(skipgate().arg("compile").arg(model).args(["--target", target, "--output"]).arg(dir));
}

/// Logits that `program` (host or board) computes with `artifact` under `mask`.
pub(crate) fn run(mut program: Command, artifact: &Path, input: &Path, mask: &str, output: &Path) -> Logits {
    program.arg("run").arg(artifact).arg("--input").arg(input).arg("--output").arg(output);
    succeed(program.args(["--mask", mask]));
    Logits::read(output)
}
