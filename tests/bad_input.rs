//! What each bad input gives: exit code, and the whole text on standard error.

#[path = "support/mod.rs"]
mod support;

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use fs_err as fs;
use insta::assert_snapshot;
use skipgate_onnx::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, ValueInfoProto, attribute_proto, tensor_shape_proto,
};
use support::{board, compile, repository, scratch, skipgate, succeed};

/// Artifacts of ResNet-20 for the host and the board, compiled once for the tests of this file.
fn artifacts() -> &'static Path {
    static ARTIFACTS: OnceLock<PathBuf> = OnceLock::new();
    ARTIFACTS.get_or_init(|| {
        let dir = scratch("bad-input");
        compile(&resnet20(), "host", &dir.join("host"));
        compile(&resnet20(), "odroid-xu4", &dir.join("odroid-xu4"));
        dir
    })
}

fn resnet20() -> PathBuf {
    repository().join("models/digits/resnet20.onnx")
}

fn digit() -> PathBuf {
    repository().join("models/digits/samples/3.png")
}

/// A copy of the host artifact for one test to damage.
fn copy(name: &str) -> PathBuf {
    let dir = scratch(name).join("artifact");
    fs::create_dir(&dir).unwrap();
    for file in ["manifest.json", "model.vmfb"] {
        fs::copy(artifacts().join("host").join(file), dir.join(file)).unwrap();
    }
    dir
}

/// Exit code and standard error of a command that must fail, with the folders of this machine left out.
fn failure(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    let mut text =
        format!("exit code: {:?}\n{}", output.status.code(), String::from_utf8(output.stderr).unwrap());
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for (path, name) in [(tmp, "[TMP]"), (repository(), "[REPO]")] {
        text = text.replace(&path.display().to_string(), name);
    }
    without_temporary_name(&text)
}

/// Replaces the six random characters in the name of a temporary file.
fn without_temporary_name(text: &str) -> String {
    let prefix = "/.skipgate-";
    match text.find(prefix).map(|start| start + prefix.len()) {
        Some(start) => format!("{}[RANDOM]{}", &text[..start], &text[start + 6..]),
        None => text.to_owned(),
    }
}

fn run(artifact: &Path) -> Command {
    let mut command = skipgate();
    command.arg("run").arg(artifact).arg("--image").arg(digit());
    command
}

#[test]
fn truncated_onnx() {
    let path = scratch("truncated-onnx").join("model.onnx");
    let bytes = fs::read(resnet20()).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert_snapshot!(failure(skipgate().arg("inspect").arg(&path)));
}

#[test]
fn onnx_that_does_not_exist() {
    assert_snapshot!(failure(skipgate().args(["inspect", "no-such-model.onnx"])));
}

#[test]
fn onnx_without_residual_blocks() {
    let path = scratch("no-blocks").join("model.onnx");
    fs::write(&path, relu_only()).unwrap();
    assert_snapshot!(failure(
        skipgate().arg("compile").arg(&path).arg("-o").arg(path.with_file_name("artifact"))
    ));
    assert!(!path.with_file_name("artifact").exists());
}

/// Writes a front and gives it to `compile`.
fn compile_with_front(name: &str, front: &str) -> String {
    let dir = scratch(name);
    let path = dir.join("pareto.json");
    fs::write(&path, front).unwrap();
    failure(
        skipgate()
            .arg("compile")
            .arg(resnet20())
            .arg("-o")
            .arg(dir.join("artifact"))
            .arg("--pareto")
            .arg(path),
    )
}

#[test]
fn a_front_for_another_network() {
    assert_snapshot!(compile_with_front("front-length", r#"{"configurations": [{"mask": "101"}]}"#));
}

#[test]
fn a_front_that_is_none() {
    assert_snapshot!(compile_with_front("front-none", r#"{"configurations": ["101101"]}"#));
}

#[test]
fn a_configuration_of_an_artifact_without_a_front() {
    assert_snapshot!(failure(run(&artifacts().join("host")).args(["--config", "0"])));
}

/// An ONNX model of one Relu, in the bytes of the format.
fn relu_only() -> Vec<u8> {
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut field = vec![number << 3 | 2, u8::try_from(bytes.len()).unwrap()];
        field.extend(bytes);
        field
    }
    // TypeProto { tensor_type { elem_type: FLOAT, shape { dim { dim_value: 4 } } } }
    let ty = field(1, &[vec![8, 1], field(2, &field(1, &[8, 4]))].concat());
    let value = |name: &str| [field(1, name.as_bytes()), field(2, &ty)].concat();
    let node = [field(1, b"x"), field(2, b"y"), field(4, b"Relu")].concat();
    let graph = [field(1, &node), field(2, b"g"), field(11, &value("x")), field(12, &value("y"))].concat();
    // ModelProto { ir_version: 8, graph, opset_import { version: 17 } }
    [vec![8, 8], field(7, &graph), field(8, &[16, 17])].concat()
}

#[test]
fn a_mask_of_the_wrong_length() {
    assert_snapshot!(failure(run(&artifacts().join("host")).args(["--mask", "1111111"])));
}

#[test]
fn a_mask_with_other_characters() {
    assert_snapshot!(failure(run(&artifacts().join("host")).args(["--mask", "11x111"])));
}

#[test]
fn a_gate_number_past_the_end() {
    assert_snapshot!(failure(run(&artifacts().join("host")).args(["--skip", "6"])));
}

#[test]
fn a_tensor_of_the_wrong_size() {
    let dir = scratch("wrong-size");
    let input = dir.join("x.npy");
    support::write_noise(&input, [1, 3, 28, 28]);
    let mut command = skipgate();
    command.arg("run").arg(artifacts().join("host")).arg("--input").arg(&input);
    assert_snapshot!(failure(command.arg("--output").arg(dir.join("y.npy"))));
    assert!(!dir.join("y.npy").exists());
}

#[test]
fn an_image_of_the_wrong_size() {
    // The digits say "stretch"; an artifact that says "exact" takes its own size only.
    let artifact = copy("exact-size");
    edit_manifest(&artifact, r#""resize": "stretch""#, r#""resize": "exact""#);
    let image = artifact.with_file_name("image.png");
    image::RgbImage::new(28, 28).save(&image).unwrap();
    let mut command = skipgate();
    assert_snapshot!(failure(command.arg("run").arg(&artifact).arg("--image").arg(&image)));
}

#[test]
fn an_image_for_an_artifact_that_does_not_say_how_it_takes_one() {
    let artifact = copy("no-preprocessing");
    let path = artifact.join("manifest.json");
    let mut manifest: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    manifest.as_object_mut().unwrap().remove("preprocessing");
    fs::write(&path, manifest.to_string()).unwrap();
    assert_snapshot!(failure(&mut run(&artifact)));
}

/// Gives options about images and classes to `compile`.
fn compile_for_images(name: &str, options: &[&str]) -> String {
    let dir = scratch(name);
    failure(skipgate().arg("compile").arg(resnet20()).arg("-o").arg(dir.join("artifact")).args(options))
}

#[test]
fn a_mean_on_another_scale() {
    assert_snapshot!(compile_for_images("mean", &["--mean", "123.7,116.3,103.5", "--std", "58.4"]));
}

#[test]
fn a_crop_of_another_size_than_the_input() {
    assert_snapshot!(compile_for_images("crop", &["--preset", "imagenet", "--crop", "224"]));
}

#[test]
fn class_names_of_another_network() {
    let names = scratch("classes").join("names.txt");
    fs::write(&names, "cat\ndog\n").unwrap();
    assert_snapshot!(compile_for_images("classes-artifact", &["--classes", names.to_str().unwrap()]));
}

#[test]
fn an_image_that_is_none() {
    let mut command = skipgate();
    command.arg("run").arg(artifacts().join("host")).arg("--image").arg(repository().join("Cargo.toml"));
    assert_snapshot!(failure(&mut command));
}

fn rank(data: &Path) -> Command {
    let mut command = skipgate();
    command.arg("rank").arg(artifacts().join("host")).arg("--data").arg(data);
    command
}

#[test]
fn a_data_set_that_is_none() {
    assert_snapshot!(failure(rank(&repository().join("tests/snapshots")).arg("--store").arg("/dev/null")));
}

#[test]
fn a_truncated_data_set() {
    let dir = scratch("truncated-data");
    fs::write(dir.join("test_batch.bin"), [0; 3000]).unwrap();
    assert_snapshot!(failure(&mut rank(&dir)));
}

#[test]
fn a_store_of_another_data_set() {
    let store = scratch("store").join("store.jsonl");
    let header = r#"{"format_version":1,"model":"MODEL","data":"none","batch":100}"#;
    let manifest = fs::read_to_string(artifacts().join("host/manifest.json")).unwrap();
    let manifest = skipgate_core::Manifest::from_json(&manifest).unwrap();
    fs::write(&store, header.replace("MODEL", &manifest.model_sha256) + "\n").unwrap();
    let text = failure(rank(Path::new("digits")).arg("--store").arg(&store));
    assert_snapshot!(without_hashes(&text));
}

#[test]
fn more_images_to_search_with_than_there_are() {
    let store = scratch("too-few").join("store.jsonl");
    assert_snapshot!(failure(
        rank(Path::new("digits")).args(["--search-images", "400", "--store"]).arg(&store)
    ));
}

#[test]
fn scores_of_another_network() {
    let dir = scratch("scores");
    let scores = dir.join("fisher.json");
    fs::write(
        &scores,
        r#"{"method": "fisher", "images": 1, "seed": 0, "blocks": [{"gate": 0, "score": 1}]}"#,
    )
    .unwrap();
    let mut command = rank(Path::new("digits"));
    command.args(["--by", "fisher", "--scores"]).arg(&scores).arg("--store").arg(dir.join("store.jsonl"));
    assert_snapshot!(failure(&mut command));
}

#[test]
fn a_shard_that_is_none() {
    assert_snapshot!(failure(rank(Path::new("digits")).args(["--shard", "3/2"])));
}

#[test]
fn a_network_without_gates_has_no_blocks_to_rank() {
    let dir = scratch("no-gates");
    let artifact = dir.join("plain");
    let mut compile = skipgate();
    support::succeed(compile.arg("compile").arg(resnet20()).arg("--ungated").arg("-o").arg(&artifact));
    let mut command = skipgate();
    command.arg("rank").arg(&artifact).args(["--data", "digits"]);
    assert_snapshot!(failure(&mut command));
}

#[test]
fn a_picture_of_an_artifact_that_was_not_explored() {
    let mut command = skipgate();
    command.arg("plot").arg(artifacts().join("host")).args(["-o", "picture.svg"]);
    assert_snapshot!(failure(&mut command));
}

#[test]
fn a_truncated_vmfb() {
    let artifact = copy("truncated-vmfb");
    let bytes = fs::read(artifact.join("model.vmfb")).unwrap();
    fs::write(artifact.join("model.vmfb"), &bytes[..bytes.len() / 2]).unwrap();
    let text = without_hashes(&failure(&mut run(&artifact)));
    let sizes = [(bytes.len(), "[WHOLE]"), (bytes.len() / 2, "[HALF]")];
    let text = sizes
        .iter()
        .fold(text, |text, (size, name)| text.replace(&format!("{size} bytes"), &format!("{name} bytes")));
    assert_snapshot!(text);
}

/// Replaces runs of 64 hexadecimal digits, which differ from machine to machine.
fn without_hashes(text: &str) -> String {
    let is_hash = |word: &str| word.len() == 64 && word.chars().all(|digit| digit.is_ascii_hexdigit());
    let words = text.split_inclusive(|character: char| !character.is_ascii_alphanumeric());
    words
        .map(|word| {
            let digits = word.trim_end_matches(|character: char| !character.is_ascii_alphanumeric());
            if is_hash(digits) { word.replace(digits, "[SHA-256]") } else { word.to_owned() }
        })
        .collect()
}

/// Opening a pipe waits for somebody who writes into it, and a device may never end.
#[test]
fn what_is_no_file_is_refused_wherever_a_file_is_expected() {
    let dir = scratch("no-files");
    let pipe = dir.join("pipe");
    support::succeed(Command::new("mkfifo").arg(&pipe));
    let host = artifacts().join("host");
    let damaged = |file: &str| {
        let artifact = copy(&format!("pipe-{file}"));
        fs::remove_file(artifact.join(file)).unwrap();
        support::succeed(Command::new("mkfifo").arg(artifact.join(file)));
        artifact
    };
    let commands: [(&str, &Path, &[&str]); 7] = [
        ("run", &damaged("manifest.json"), &["--image", "PATH"]),
        ("run", &damaged("model.vmfb"), &["--image", "DIGIT"]),
        ("run", &host, &["--image", "PATH"]),
        ("run", &host, &["--input", "PATH", "--output", "unused.npy"]),
        ("rank", &host, &["--data", "digits", "--store", "PATH"]),
        ("compile", &resnet20(), &["-o", "unused", "--classes", "PATH"]),
        ("inspect", &pipe, &[]),
    ];
    for (command, first, rest) in commands {
        let (pipe, digit) = (pipe.to_str().unwrap(), digit());
        let rest = rest.iter().map(|&word| match word {
            "PATH" => Path::new(pipe),
            "DIGIT" => digit.as_path(),
            word => Path::new(word),
        });
        let text = failure(skipgate().arg(command).arg(first).args(rest));
        assert!(text.starts_with("exit code: Some(1)") && text.contains("found a pipe"), "{command}: {text}");
    }
    for device in ["/dev/zero", "/dev/urandom"] {
        assert!(failure(skipgate().args(["inspect", device])).contains("found a device"));
    }
}

#[test]
fn an_armv7_artifact_on_this_machine() {
    assert_snapshot!(failure(&mut run(&artifacts().join("odroid-xu4"))));
}

#[test]
fn a_host_artifact_on_the_board() {
    let mut command = board();
    command.arg("run").arg(artifacts().join("host")).arg("--image").arg(digit());
    assert_snapshot!(failure(&mut command));
}

#[test]
fn a_manifest_of_a_newer_format() {
    let artifact = copy("newer-format");
    edit_manifest(&artifact, r#""format_version": 5"#, r#""format_version": 6"#);
    assert_snapshot!(failure(&mut run(&artifact)));
}

#[test]
fn an_artifact_of_another_iree() {
    let artifact = copy("other-iree");
    edit_manifest(&artifact, r#""version": "3.13.0""#, r#""version": "3.12.0""#);
    assert_snapshot!(failure(&mut run(&artifact)));
}

fn edit_manifest(artifact: &Path, from: &str, to: &str) {
    let path = artifact.join("manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(&path, text.replace(from, to)).unwrap();
}

#[test]
fn a_folder_that_is_no_artifact() {
    assert_snapshot!(failure(&mut run(&repository().join("models/digits"))));
}

#[test]
fn an_onnx_file_instead_of_an_artifact() {
    assert_snapshot!(failure(&mut run(&resnet20())));
}

#[test]
fn a_missing_compiler() {
    let mut command = skipgate();
    command.env("SKIPGATE_IREE_COMPILER", "no-such-library.so").arg("compile").arg(resnet20());
    assert_snapshot!(failure(command.args(["-o", "unused"])));
}

#[test]
fn a_file_that_is_no_compiler() {
    let mut command = skipgate();
    command.env("SKIPGATE_IREE_COMPILER", digit()).arg("compile").arg(resnet20());
    assert_snapshot!(failure(command.args(["-o", "unused"])));
}

#[test]
fn an_unknown_target() {
    let mut command = skipgate();
    command.arg("compile").arg(resnet20());
    assert_snapshot!(failure(command.args(["--target", "odroid-xu5", "-o", "unused"])));
}

#[test]
fn an_output_folder_that_is_something_else() {
    let dir = scratch("occupied");
    fs::write(dir.join("notes.txt"), "mine").unwrap();
    assert_snapshot!(failure(skipgate().arg("compile").arg(resnet20()).arg("-o").arg(&dir)));
    assert_eq!(fs::read_to_string(dir.join("notes.txt")).unwrap(), "mine");
}

#[test]
fn an_output_folder_that_cannot_be_written() {
    // A file where the parent folder should be stops every user, root too.
    let dir = scratch("unwritable");
    fs::write(dir.join("file"), "").unwrap();
    let output = dir.join("file/artifact");
    assert_snapshot!(failure(skipgate().arg("compile").arg(resnet20()).arg("-o").arg(output)));
}

#[test]
fn a_full_disk_leaves_no_output() {
    let dir = scratch("full-disk");
    // A limit on the size of files fails writes as a full disk does.
    let mut command = Command::new("sh");
    let program = skipgate().get_program().to_owned();
    command.args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$@\"", "sh"]).arg(program);
    command.arg("gate").arg(resnet20()).arg("-o").arg(dir.join("gated.onnx"));
    assert_snapshot!(failure(&mut command));
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
}

#[test]
fn an_operator_the_compiler_does_not_know() {
    let path = scratch("unknown-operator").join("model.onnx");
    let bytes = fs::read(resnet20()).unwrap();
    // The field `op_type`, number 4, of a node.
    let field = b"\x22\x11GlobalAveragePool";
    let at = bytes.windows(field.len()).position(|window| window == field).unwrap();
    fs::write(&path, [&bytes[..at], b"\x22\x11GlobalAverageFool", &bytes[at + field.len()..]].concat())
        .unwrap();
    let mut command = skipgate();
    assert_snapshot!(failure(
        command.arg("compile").arg(&path).arg("-o").arg(path.with_file_name("artifact"))
    ));
}

#[test]
fn a_missing_argument_is_bad_usage() {
    assert_snapshot!(failure(skipgate().args(["run", "artifact"])));
}

#[test]
fn a_new_artifact_replaces_the_old_one_with_the_folder_mode_of_new_folders() {
    let dir = scratch("replace").join("artifact");
    compile(&resnet20(), "host", &dir);
    let first = fs::read(dir.join("model.vmfb")).unwrap();
    compile(&resnet20(), "host", &dir);
    // The same input, target and versions give the same bytes.
    assert_eq!(fs::read(dir.join("model.vmfb")).unwrap(), first);
    let plain = dir.with_file_name("plain");
    fs::create_dir(&plain).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode();
    assert_eq!(mode(&dir), mode(&plain));
    let names: Vec<_> =
        fs::read_dir(dir.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

/// An ONNX model from `x`, f32[1, 3, 4, 4], to `y`, with what makes a tensor of an image.
fn small_model(name: &str, nodes: Vec<NodeProto>, constants: Vec<TensorProto>) -> PathBuf {
    let mut input = ValueInfoProto { name: "x".to_owned(), ..ValueInfoProto::default() };
    let ty = input.type_.mut_or_insert_default().mut_tensor_type();
    ty.elem_type = 1;
    for extent in [1, 3, 4, 4] {
        let mut dimension = tensor_shape_proto::Dimension::default();
        dimension.set_dim_value(extent);
        ty.shape.mut_or_insert_default().dim.push(dimension);
    }
    let graph = GraphProto {
        name: "g".to_owned(),
        node: nodes,
        initializer: constants,
        input: vec![input],
        output: vec![ValueInfoProto { name: "y".to_owned(), ..ValueInfoProto::default() }],
        ..GraphProto::default()
    };
    let preprocessing = r#"{"color": "rgb", "resize": "bilinear", "mean": [0, 0, 0], "std": [1, 1, 1]}"#;
    let proto = ModelProto {
        ir_version: 8,
        graph: Some(graph).into(),
        opset_import: vec![OperatorSetIdProto { version: 17, ..OperatorSetIdProto::default() }],
        metadata_props: vec![StringStringEntryProto {
            key: skipgate_onnx::PREPROCESSING_KEY.to_owned(),
            value: preprocessing.to_owned(),
            ..StringStringEntryProto::default()
        }],
        ..ModelProto::default()
    };
    let path = scratch(name).join("model.onnx");
    skipgate_onnx::Model::from_proto(proto).unwrap().save(&path).unwrap();
    path
}

fn node(op_type: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: op_type.to_owned(),
        name: format!("the {op_type}"),
        input: inputs.iter().map(|&input| input.to_owned()).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    }
}

fn integers(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: vec![i64::try_from(values.len()).unwrap()],
        data_type: 7,
        int64_data: values.to_vec(),
        ..TensorProto::default()
    }
}

/// A model that takes the sum over everything, which is a tensor without dimensions.
fn sum_of_everything(name: &str) -> PathBuf {
    let mut sum = node("ReduceSum", &["x"], "y");
    let keep = AttributeProto { name: "keepdims".to_owned(), i: Some(0), ..AttributeProto::default() };
    sum.attribute.push(AttributeProto { type_: attribute_proto::AttributeType::INT.into(), ..keep });
    small_model(name, vec![sum], vec![])
}

/// `compile MODEL --ungated` into a folder beside the model.
fn compile_beside(model: &Path) -> Command {
    let mut command = skipgate();
    command.args(["compile", "--ungated", "-o"]).arg(model.with_file_name("artifact")).arg(model);
    command
}

#[test]
fn a_temporary_folder_that_does_not_exist() {
    let folder = scratch("no-temporary").join("missing");
    let mut compile = compile_beside(&sum_of_everything("no-temporary-compile"));
    assert_snapshot!("no_temporary_folder_compile", failure(compile.env("TMPDIR", &folder)));
    let mut bench = skipgate();
    bench.arg("bench").arg(artifacts().join("host")).arg("--model").arg(resnet20());
    assert_snapshot!("no_temporary_folder_bench", failure(bench.env("TMPDIR", &folder)));
}

#[test]
fn no_path_is_read_by_a_shell() {
    let dir = scratch("bad-input-paths").join("it's $HOME; a `b`");
    fs::create_dir(&dir).unwrap();
    let model = dir.join("net work.onnx");
    fs::copy(resnet20(), &model).unwrap();
    for target in ["host", "odroid-xu4"] {
        let mut compile = skipgate();
        compile.arg("compile").arg(&model).args(["--target", target, "--output"]).arg(dir.join(target));
        succeed(compile.env("TMPDIR", &dir));
    }
    let mut left: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["host", "net work.onnx", "odroid-xu4"]);
    let mut verify = skipgate();
    verify.arg("verify").arg(dir.join("host")).arg("--model").arg(&model).args(["--masks", "1"]);
    succeed(verify.env("TMPDIR", &dir));
}

#[test]
fn a_value_of_more_bytes_than_memory() {
    let tile = small_model(
        "huge-tile",
        vec![node("Tile", &["x", "r"], "y")],
        vec![integers("r", &[1, 1, 1, 1 << 30])],
    );
    assert_snapshot!(failure(&mut compile_beside(&tile)));
    assert!(!tile.with_file_name("artifact").exists());
}

#[test]
fn other_ways_to_a_value_of_more_bytes_than_memory() {
    let huge = 1 << 30;
    let cases = [
        ("Expand", vec![node("Expand", &["x", "s"], "y")], integers("s", &[huge, 3, 4, 4])),
        (
            "ConstantOfShape",
            vec![node("ConstantOfShape", &["s"], "c"), node("Add", &["x", "c"], "y")],
            integers("s", &[huge, 3, 4, 4]),
        ),
        ("Pad", vec![node("Pad", &["x", "s"], "y")], integers("s", &[0, 0, 0, 0, huge, 0, 0, 0])),
    ];
    for (op_type, nodes, constant) in cases {
        let model = small_model(&format!("huge-{op_type}"), nodes, vec![constant]);
        let text = failure(&mut compile_beside(&model));
        assert!(
            text.contains(&format!("node `the {op_type}` ({op_type}) has a result of 192.0 GiB")),
            "{text}"
        );
    }
}

/// A library that does `body` when it is opened, in place of the compiler.
fn library(name: &str, body: &str) -> PathBuf {
    let dir = scratch(name);
    let (source, library) = (dir.join("library.c"), dir.join("library.so"));
    let head = "#include <signal.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <sys/resource.h>\n\
                #include <unistd.h>\n";
    fs::write(&source, format!("{head}__attribute__((constructor)) static void open(void) {{ {body} }}\n"))
        .unwrap();
    support::succeed(Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source));
    library
}

#[test]
fn a_compiler_that_dies() {
    let segfault = library("dies", r#"fprintf(stderr, "LLVM ERROR: no luck\n"); *(volatile int*)0 = 0;"#);
    let mut command = compile_beside(&sum_of_everything("dies-model"));
    assert_snapshot!(failure(command.env("SKIPGATE_IREE_COMPILER", segfault)));
}

#[test]
fn a_compiler_that_is_killed() {
    let kill = library("killed", "raise(SIGKILL);");
    let mut command = compile_beside(&sum_of_everything("killed-model"));
    assert_snapshot!(failure(command.env("SKIPGATE_IREE_COMPILER", kill)));
}

#[test]
fn a_compiler_that_takes_all_memory_fails_before_the_machine_does() {
    // Reserving is enough: nothing of it is written to.
    let body = r#"for (;;) if (!malloc(1 << 30)) { fprintf(stderr, "out of memory\n"); abort(); }"#;
    let mut command = compile_beside(&sum_of_everything("greedy-model"));
    let text = failure(command.env("SKIPGATE_IREE_COMPILER", library("greedy", body)));
    assert!(text.contains("died with signal 6 (SIGABRT)"), "{text}");
    assert!(text.contains("out of memory"), "{text}");
}

#[test]
fn whoever_ends_the_program_ends_the_compiler() {
    let body = r#"FILE* file = fopen(getenv("PID_FILE"), "w"); fprintf(file, "%d\n", getpid()); fclose(file); pause();"#;
    let library = library("waits", body);
    let file = library.with_file_name("pid");
    let mut command = compile_beside(&sum_of_everything("waits-model"));
    let mut program = command.env("SKIPGATE_IREE_COMPILER", library).env("PID_FILE", &file).spawn().unwrap();
    let wait = |what: &str, done: &dyn Fn() -> bool| {
        let start = Instant::now();
        while !done() {
            assert!(start.elapsed() < Duration::from_secs(60), "{what}");
            thread::sleep(Duration::from_millis(10));
        }
    };
    let pid = || fs::read_to_string(&file).unwrap_or_default();
    wait("the compiler does not start", &|| pid().ends_with('\n'));
    program.kill().unwrap();
    program.wait().unwrap();
    // A zombie that nobody waits for has ended too.
    let status = Path::new("/proc").join(pid().trim()).join("stat");
    wait("the compiler does not end", &|| {
        fs::read_to_string(&status).map_or(true, |text| text.contains(") Z "))
    });
}

#[test]
fn an_output_without_dimensions_is_a_value_for_every_image() {
    let model = sum_of_everything("scalar");
    support::succeed(&mut compile_beside(&model));
    let artifact = model.with_file_name("artifact");
    let (input, output) = (model.with_file_name("x.npy"), model.with_file_name("y.npy"));
    support::write_npy(&input, &[2, 3, 4, 4], &[1.0; 96]);
    let mut command = skipgate();
    support::succeed(
        command.arg("run").arg(&artifact).arg("--input").arg(&input).arg("--output").arg(&output),
    );
    let bytes = fs::read(&output).unwrap();
    let file = npyz::NpyFile::new(&bytes[..]).unwrap();
    assert_eq!(file.shape(), [2]);
    assert_eq!(file.into_vec::<f32>().unwrap(), [48.0, 48.0]);
    let mut command = skipgate();
    let text = support::succeed(command.arg("run").arg(&artifact).arg("--image").arg(digit()));
    assert!(text.starts_with("value "), "{text}");
}

#[test]
fn an_output_that_is_no_list_of_classes() {
    let model = small_model("no-classes", vec![node("Relu", &["x"], "y")], vec![]);
    support::succeed(&mut compile_beside(&model));
    let mut command = skipgate();
    command.arg("run").arg(model.with_file_name("artifact")).arg("--image").arg(digit());
    assert_snapshot!(failure(&mut command));
    support::succeed(command.arg("--output").arg(model.with_file_name("y.npy")));
}

#[test]
fn several_programs_can_write_one_artifact_at_once() {
    let model = sum_of_everything("at-once");
    let children: Vec<_> =
        (0..4).map(|_| compile_beside(&model).stdout(Stdio::null()).spawn().unwrap()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let mut command = skipgate();
    support::succeed(command.arg("run").arg(model.with_file_name("artifact")).arg("--image").arg(digit()));
    assert_eq!(fs::read_dir(model.parent().unwrap()).unwrap().count(), 2);
}

#[test]
fn the_current_folder_becomes_an_artifact_and_stays() {
    let model = sum_of_everything("current");
    let dir = model.with_file_name("current");
    fs::create_dir(&dir).unwrap();
    for _ in 0..2 {
        let mut command = skipgate();
        command.current_dir(&dir).args(["compile", "--ungated", "-o", "."]).arg(&model);
        let before = fs::metadata(&dir).unwrap().ino();
        support::succeed(&mut command);
        assert_eq!(fs::metadata(&dir).unwrap().ino(), before);
        let mut names: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["dispatches.json", "manifest.json", "model.vmfb"]);
    }
}

/// The exit code, and what is printed on standard error as the one line of JSON that it has to be.
fn json_failure(command: &mut Command) -> (Option<i32>, serde_json::Value) {
    let output = command.args(["--format", "json"]).output().unwrap();
    assert!(output.stdout.is_empty(), "results are on standard output");
    (output.status.code(), serde_json::from_slice(&output.stderr).unwrap())
}

#[test]
fn errors_are_json_where_results_are() {
    let (code, failure) = json_failure(skipgate().args(["inspect", "missing.onnx"]));
    assert_eq!(code, Some(1));
    assert!(failure["error"].as_str().unwrap().contains("missing.onnx"), "{failure}");
    // The process that compiles says it for its parent.
    let mut compile = skipgate();
    compile.args(["compile", "missing.onnx", "-o", "unused"]);
    let (code, failure) = json_failure(&mut compile);
    assert_eq!(code, Some(1));
    assert!(failure.to_string().contains("missing.onnx"), "{failure}");
    let (code, failure) = json_failure(skipgate().arg("inspect"));
    assert_eq!(code, Some(2), "bad usage");
    assert!(failure["error"].as_str().unwrap().contains("<MODEL>"), "{failure}");
}
