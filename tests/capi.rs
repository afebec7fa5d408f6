//! The C interface: the example, built by a C compiler against the static and the shared library, here and for the board.

#[path = "support/mod.rs"]
mod support;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use fs_err as fs;
use serde_json::{Value, json};
use skipgate_core::Manifest;
use skipgate_runtime::{Artifact, Device, Elements, Session, SkipMask, TensorSpec};
use support::{compile, repository, scratch, skipgate, succeed};

const MASKS: [&str; 3] = ["111111", "001111", "000000"];

/// The network for this machine, compiled once for all tests. Valgrind knows no AVX-512.
static HOST: LazyLock<PathBuf> = LazyLock::new(|| {
    let artifact = scratch("capi").join("artifact");
    compile_resnet20("x86-64-v3", &artifact);
    artifact
});

fn compile_resnet20(target: &str, artifact: &Path) {
    compile(&repository().join("models/digits/resnet20.onnx"), target, artifact);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// An artifact with a front, for the board if it is called so, and an image for it.
fn artifact(target: &str) -> (PathBuf, PathBuf) {
    let dir = scratch(&format!("capi-{target}"));
    let artifact = dir.join("artifact");
    if target == "odroid-xu4" {
        compile_resnet20(target, &artifact);
    } else {
        copy(&HOST, &artifact);
    }
    let configuration = |mask: &&str| json!({"mask": mask, "accuracy": 0.9});
    let front = json!({"configurations": MASKS.iter().map(configuration).collect::<Vec<_>>()});
    fs::write(artifact.join("pareto.json"), front.to_string()).unwrap();
    let manifest = Manifest::from_json(&fs::read_to_string(artifact.join("manifest.json")).unwrap()).unwrap();
    let values = skipgate_data::load_image(&sample(), &manifest).unwrap();
    let values = <&[f32]>::try_from(values.elements()).unwrap();
    let image = dir.join("image.f32");
    fs::write(&image, values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>()).unwrap();
    (artifact, image)
}

fn sample() -> PathBuf {
    repository().join("models/digits/samples/5.png")
}

/// Where `cargo xtask test` installed the libraries.
fn prefix(variable: &str) -> PathBuf {
    env::var_os(variable).unwrap_or_else(|| panic!("`cargo xtask test` sets {variable}")).into()
}

/// Links the shared library.
const SHARED: &[&str] = &["skipgate"];
/// Links the archive, into a program that finds the C library as ever.
const ARCHIVE: &[&str] = &["skipgate-static"];
/// Links the archive into a program that needs nothing; the compiler is told `-static`, too.
const ALL_STATIC: &[&str] = &["--static", "skipgate"];

/// Builds the example with a controller.
fn example(compiler: &str, prefix: &Path, package: &[&str], flags: &[&str], output: &Path) {
    build("adaptive.c", compiler, prefix, package, flags, output);
}

/// Builds an example.
fn build(source: &str, compiler: &str, prefix: &Path, package: &[&str], flags: &[&str], output: &Path) {
    let mut command = Command::new("pkg-config");
    command.args(["--cflags", "--libs"]).args(package);
    command.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"));
    let found = succeed(&mut command);
    let source = repository().join("crates/skipgate-capi/examples").join(source);
    let mut command = Command::new(compiler);
    command.args(["-std=c11", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Werror"]).arg(source);
    succeed(command.args(flags).args(found.split_whitespace()).arg("-o").arg(output));
}

/// What the example prints: the class of every configuration, and one request of four dropped.
fn expected(artifact: &Path) -> Vec<String> {
    let class = |mask: &str| {
        let mut run = skipgate();
        run.args(["run", "--format", "json", "--mask", mask]).arg(artifact).arg("--image").arg(sample());
        serde_json::from_str::<Value>(&succeed(&mut run)).unwrap()["top"][0]["index"].clone()
    };
    let classes: Vec<_> = MASKS.iter().map(|mask| class(mask)).collect();
    let mut lines: Vec<_> = classes
        .iter()
        .enumerate()
        .map(|(number, class)| format!("configuration {number}: class {class}"))
        .collect();
    lines.push(format!("request 0: configuration 0, class {}", classes[0]));
    lines.push("request 1: dropped".to_owned());
    for request in [2, 3] {
        lines.push(format!("request {request}: configuration 1, class {}", classes[1]));
    }
    lines
}

fn lines(command: &mut Command) -> Vec<String> {
    succeed(command).lines().map(str::to_owned).collect()
}

#[test]
fn the_c_example_agrees_with_the_command_line() {
    let (artifact, image) = artifact("host");
    let (prefix, expected) = (prefix("SKIPGATE_CAPI"), expected(&artifact));
    let output = image.with_file_name("shared");
    example("cc", &prefix, SHARED, &[], &output);
    let run =
        lines(Command::new(&output).env("LD_LIBRARY_PATH", prefix.join("lib")).arg(&artifact).arg(&image));
    assert_eq!(run, expected);
    // The same with the static library, under Valgrind: no memory error, and nothing of ours is left.
    let output = image.with_file_name("static");
    example("cc", &prefix, ARCHIVE, &[], &output);
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--error-exitcode=9", "--leak-check=full", "--show-leak-kinds=definite"]);
    valgrind.args(["--errors-for-leak-kinds=definite"]).arg(&output).arg(&artifact).arg(&image);
    let found = lines(&mut valgrind);
    assert_eq!(found[..4], expected[..4]);
}

#[test]
fn the_c_example_runs_on_the_board() {
    let (artifact, image) = artifact("odroid-xu4");
    let output = image.with_file_name("board");
    example("arm-linux-gnueabihf-gcc", &prefix("SKIPGATE_CAPI_BOARD"), ALL_STATIC, &["-static"], &output);
    let mut command = Command::new("qemu-arm");
    let found = lines(command.args(["-cpu", "cortex-a15"]).arg(&output).arg(&artifact).arg(&image));
    let (host, _) = self::artifact("host-of-board");
    assert_eq!(found, expected(&host));
}

#[test]
fn bad_arguments_give_a_status_and_a_message() {
    let (artifact, image) = artifact("host-errors");
    let output = image.with_file_name("shared");
    let prefix = prefix("SKIPGATE_CAPI");
    example("cc", &prefix, SHARED, &[], &output);
    let failure = |artifact: &Path, image: &Path| {
        let mut command = Command::new(&output);
        let output =
            command.env("LD_LIBRARY_PATH", prefix.join("lib")).arg(artifact).arg(image).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(failure(&image, &image).contains("is not an artifact folder"));
    fs::write(artifact.join("pareto.json"), r#"{"configurations": [{"mask": "101"}]}"#).unwrap();
    let error = failure(&artifact, &image);
    assert!(error.contains("the mask has 3 entries, the model has 6 gates"), "{error}");
}

/// What `examples/named.c` prints for the network with an output of every type.
fn named_outputs(artifact: &Path) -> Vec<String> {
    let artifact = Artifact::open(artifact).unwrap();
    let mut session = Session::new(&artifact, Device::local_sync()).unwrap();
    let pixels: Vec<_> = (0..108).map(|number| u8::try_from(number % 251).unwrap()).collect();
    let offset = [0.0f32, 0.125, 0.25];
    let inputs = [("pixels", Elements::U8(&pixels)), ("offset", Elements::F32(&offset))];
    let outputs = session.run_named(&inputs, &SkipMask::all_run(2)).unwrap();
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    let bytes = |elements: Elements<'_>| match elements {
        Elements::F32(all) => all.iter().map(|element| sum(&element.to_le_bytes())).sum(),
        Elements::F16(all) => all.iter().map(|element| sum(&element.to_le_bytes())).sum(),
        Elements::I8(all) => all.iter().map(|element| sum(&element.to_le_bytes())).sum(),
        Elements::U8(all) => sum(all),
        Elements::I32(all) => all.iter().map(|element| sum(&element.to_le_bytes())).sum(),
        Elements::I64(all) => all.iter().map(|element| sum(&element.to_le_bytes())).sum(),
        Elements::Bool(all) => all.iter().map(|element| u64::from(*element)).sum::<u64>(),
    };
    let line = |(spec, elements): (&TensorSpec, Elements<'_>)| {
        format!("{}: {:?}, sum of bytes {}", spec.name, spec.shape, bytes(elements))
    };
    let wrong = "`pixels: u8[1, 3, 6, 6]` is of 108 bytes, found 107".to_owned();
    outputs.iter().map(line).chain([wrong]).collect()
}

#[test]
fn tensors_of_every_type_pass_by_name() {
    let dir = scratch("capi-named");
    let model = repository().join("tests/models/tensors.onnx");
    let (artifact, board_artifact) = (dir.join("artifact"), dir.join("board"));
    // Valgrind knows no AVX-512.
    compile(&model, "x86-64-v3", &artifact);
    let (program, prefix) = (dir.join("named"), prefix("SKIPGATE_CAPI"));
    build("named.c", "cc", &prefix, SHARED, &[], &program);
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--error-exitcode=9"]).env("LD_LIBRARY_PATH", prefix.join("lib"));
    let expected = named_outputs(&artifact);
    assert_eq!(expected.len(), 9);
    assert_eq!(lines(valgrind.arg(&program).arg(&artifact)), expected);
    compile(&model, "odroid-xu4", &board_artifact);
    let program = dir.join("named-board");
    let board = self::prefix("SKIPGATE_CAPI_BOARD");
    build("named.c", "arm-linux-gnueabihf-gcc", &board, ALL_STATIC, &["-static"], &program);
    let mut emulator = Command::new("qemu-arm");
    let found = lines(emulator.args(["-cpu", "cortex-a15"]).arg(&program).arg(&board_artifact));
    // Floats round differently, so only what is the same on every machine is compared.
    let same = |lines: &[String]| {
        let prefixes = ["best:", "best32:", "positive:", "`pixels"];
        let kept = lines.iter().filter(|line| prefixes.iter().any(|prefix| line.starts_with(prefix)));
        kept.cloned().collect::<Vec<_>>()
    };
    assert_eq!((found.len(), same(&found)), (9, same(&expected)));
}

/// What `examples/describe.c` prints, by the manifest and the front.
fn description(artifact: &Path) -> Vec<String> {
    let manifest = Manifest::from_json(&fs::read_to_string(artifact.join("manifest.json")).unwrap()).unwrap();
    let tensor = |side: &str, spec: &TensorSpec| {
        let bytes = spec.element_type.size() * spec.elements().unwrap();
        format!("{side} {spec}, {bytes} bytes")
    };
    let mut lines: Vec<_> = manifest.inputs().iter().map(|spec| tensor("input", spec)).collect();
    lines.extend(manifest.outputs().iter().map(|spec| tensor("output", spec)));
    let images = manifest.preprocessing.unwrap();
    lines.push("images: rgb, nchw, stretch 0x0, bilinear, to 32x32".to_owned());
    let channels = images.mean.iter().zip(&images.std).enumerate();
    lines.extend(
        channels.map(|(at, (mean, std))| format!("channel {at}: mean {mean:.6}, deviation {std:.6}")),
    );
    lines.extend(manifest.gates.iter().enumerate().map(|(number, gate)| {
        let skipgate_core::Gate { block, segment, macs, parameters } = gate;
        format!("gate {number}: {block}, segment {segment}, {macs} MACs, {parameters} parameters")
    }));
    let classes = manifest.class_names.iter().enumerate();
    lines.extend(classes.map(|(number, name)| format!("class {number}: {name}")));
    lines
}

#[test]
fn everything_an_artifact_says_can_be_asked_for_in_c() {
    let (artifact, image) = artifact("host-describe");
    let provenance = json!({
        "generator": "by hand", "model_sha256": "0", "data_sha256": "0", "search_images": 1, "report_images": 1,
        "search": "none", "evaluations": 0, "candidates": 2,
        "latency": {"unit": "microseconds", "source": "a guess", "measured": false},
    });
    let known =
        json!({"mask": "111111", "accuracy": 0.98, "accuracy_interval": [0.96, 0.99], "latency": 291.4});
    let front = json!({"provenance": provenance, "configurations": [known, {"mask": "011110"}]});
    fs::write(artifact.join("pareto.json"), front.to_string()).unwrap();
    let (program, prefix) = (image.with_file_name("describe"), prefix("SKIPGATE_CAPI"));
    build("describe.c", "cc", &prefix, SHARED, &["-lm"], &program);
    let mut expected = description(&artifact);
    expected.push("configuration 0: 111111, accuracy 0.9800 (0.9600 to 0.9900), latency 291.4 us".to_owned());
    expected.push("configuration 1: 011110".to_owned());
    assert_eq!(
        lines(Command::new(&program).env("LD_LIBRARY_PATH", prefix.join("lib")).arg(&artifact)),
        expected
    );
    // An artifact that says nothing of images.
    let path = artifact.join("manifest.json");
    let mut manifest: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    manifest.as_object_mut().unwrap().remove("preprocessing");
    fs::write(&path, manifest.to_string()).unwrap();
    let found = lines(Command::new(&program).env("LD_LIBRARY_PATH", prefix.join("lib")).arg(&artifact));
    assert!(found.iter().any(|line| line.starts_with("images: the artifact does not say")), "{found:?}");
}

#[test]
fn masks_that_cannot_be_are_refused_before_they_are_read() {
    let (artifact, image) = artifact("host-masks");
    let (program, prefix) = (image.with_file_name("masks"), prefix("SKIPGATE_CAPI"));
    build("masks.c", "cc", &prefix, ARCHIVE, &[], &program);
    let mut valgrind = Command::new("valgrind");
    let found = lines(valgrind.args(["--quiet", "--error-exitcode=9"]).arg(&program).arg(&artifact));
    let expected = [
        "one gate too many: status 1, the mask has 7 entries, the model has 6 gates",
        "no mask: status 1, the mask is null",
        "a two: status 1, the mask has 2 at gate 5; expected 0 (skip) or 1 (run)",
        "without a copy: the same",
    ];
    assert_eq!(found, expected);
}

/// The shared libraries that a program asks for.
fn needed(program: &Path) -> Vec<String> {
    let listed = succeed(Command::new("readelf").args(["--dynamic", "--wide"]).arg(program));
    let name = |line: &str| line.split_once("Shared library: [")?.1.strip_suffix(']').map(str::to_owned);
    listed.lines().filter_map(name).collect()
}

#[test]
fn the_archive_is_linked_alone_and_small_and_the_shared_library_by_its_version() {
    let (dir, prefix) = (scratch("capi-linking"), prefix("SKIPGATE_CAPI"));
    let [shared, whole, small] = ["shared", "whole", "small"].map(|name| dir.join(name));
    example("cc", &prefix, SHARED, &[], &shared);
    assert!(needed(&shared).contains(&"libskipgate.so.0.1".to_owned()), "{:?}", needed(&shared));
    let keep = ["-Wl,--no-gc-sections", "-Wl,--strip-all"];
    example("cc", &prefix, ARCHIVE, &keep, &whole);
    let collect = ["-Wl,--gc-sections", "-Wl,--strip-all"];
    example("cc", &prefix, ARCHIVE, &collect, &small);
    for program in [&whole, &small] {
        assert!(!needed(program).iter().any(|name| name.contains("skipgate")), "{:?}", needed(program));
    }
    let size = |program: &Path| fs::metadata(program).unwrap().len();
    assert!(size(&small) < size(&whole), "{} of {} bytes", size(&small), size(&whole));
}
