//! Inputs of networks, against what torchvision makes of the same image files.

#[path = "support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use fs_err as fs;
use image::{DynamicImage, GrayImage, RgbImage, RgbaImage};
use serde_json::{Value, json};
use skipgate_core::{ColorMode, Interpolation, Layout, Manifest, Preprocessing, Resize};
use skipgate_data::load_image;
use skipgate_onnx::Model;
use skipgate_onnx::proto::NodeProto;
use support::{Noise, compile, python, repository, scratch, skipgate, succeed};

/// Largest difference of a value where the aspect is kept: images are the same bytes, and so is the arithmetic after that.
const TOLERANCE: f32 = 1e-6;
/// The same where it is not: from version 13 on, Pillow resizes the columns of some images first, which rounds otherwise: two bytes were seen.
const TOLERANCE_STRETCHED: f32 = 3.01 / 255.0 / 0.224;

/// Side of what is cut out.
const SIDE: u32 = 48;

/// Photographs are not part of the repository: waves, edges and noise, in several sizes and kinds of files.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a byte")]
fn images(dir: &Path) -> Vec<PathBuf> {
    let mut noise = Noise(3);
    let mut byte = |x: u32, y: u32, channel: u32| {
        let wave = (x as f32 * 0.11 * (1 + channel) as f32).sin() + (y as f32 * 0.07).cos();
        let edge = if (x / 17 + y / 13) % 3 == channel { 60.0 } else { 0.0 };
        (110.0 + 40.0 * wave + edge + 25.0 * noise.next()).clamp(0.0, 255.0) as u8
    };
    let mut rgb = |width, height| {
        RgbImage::from_fn(width, height, |x, y| image::Rgb([0, 1, 2].map(|channel| byte(x, y, channel))))
    };
    let images: [(&str, DynamicImage); 7] = [
        ("landscape.png", rgb(301, 200).into()),
        ("portrait.png", rgb(97, 163).into()),
        ("square.png", rgb(64, 64).into()),
        ("small.png", rgb(33, 20).into()),
        ("exact.png", rgb(SIDE, SIDE).into()),
        ("gray.png", DynamicImage::from(GrayImage::from(DynamicImage::from(rgb(90, 70)).into_luma8()))),
        ("transparent.png", {
            let opaque = rgb(80, 120);
            RgbaImage::from_fn(80, 120, |x, y| {
                let [red, green, blue] = opaque.get_pixel(x, y).0;
                image::Rgba([red, green, blue, u8::try_from(x * 3).unwrap()])
            })
            .into()
        }),
    ];
    let written = images.into_iter().map(|(name, image)| {
        image.save(dir.join(name)).unwrap();
        dir.join(name)
    });
    written.chain([repository().join("models/digits/samples/3.png")]).collect()
}

/// A manifest of ResNet-20 with another input.
fn manifest(dir: &Path, preprocessing: Preprocessing) -> Manifest {
    let artifact = dir.join("artifact");
    if !artifact.exists() {
        compile(&repository().join("models/digits/resnet20.onnx"), "host", &artifact);
    }
    let mut manifest =
        Manifest::from_json(&fs::read_to_string(artifact.join("manifest.json")).unwrap()).unwrap();
    manifest.abi.inputs[0].shape = vec![1, preprocessing.color.channels(), SIDE as usize, SIDE as usize];
    manifest.preprocessing = Some(preprocessing);
    manifest
}

/// The tensors that torchvision makes for `jobs`.
fn torchvision(jobs: &[Value]) {
    let mut command = python("torchvision_inputs.py");
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    serde_json::to_writer(child.stdin.take().unwrap(), jobs).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn images_are_resized_cut_and_normalised_as_in_torchvision() {
    let dir = scratch("preprocessing");
    let sizes = [
        (json!(56), Resize::ShorterSide(56)),
        (json!(SIDE), Resize::ShorterSide(SIDE)),
        (json!([57, 71]), Resize::Size { height: 57, width: 71 }),
        (json!([SIDE, SIDE]), Resize::Stretch),
    ];
    let (mut jobs, mut cases) = (Vec::new(), Vec::new());
    for image in images(&dir) {
        for (resize, ours) in &sizes {
            for (interpolation, name) in
                [(Interpolation::Bilinear, "bilinear"), (Interpolation::Bicubic, "bicubic")]
            {
                let color = if jobs.len() % 3 == 0 { ColorMode::Gray } else { ColorMode::Rgb };
                let channels = color.channels();
                let mean = [0.485, 0.456, 0.406][..channels].to_vec();
                let std = [0.229, 0.224, 0.225][..channels].to_vec();
                let output = dir.join(format!("{}.npy", jobs.len()));
                jobs.push(json!({
                    "image": image, "output": output, "resize": resize, "interpolation": name, "crop": SIDE,
                    "gray": color == ColorMode::Gray, "mean": mean, "std": std,
                }));
                let layout = Layout::Nchw;
                let preprocessing = Preprocessing { color, resize: *ours, interpolation, layout, mean, std };
                cases.push((image.clone(), preprocessing, output));
            }
        }
    }
    torchvision(&jobs);
    let mut different = 0;
    for (image, preprocessing, output) in cases {
        let found = load_image(&image, &manifest(&dir, preprocessing.clone())).unwrap();
        let found = <&[f32]>::try_from(found.elements()).unwrap();
        let expected: Vec<f32> =
            npyz::NpyFile::new(&fs::read(&output).unwrap()[..]).unwrap().into_vec().unwrap();
        assert_eq!(found.len(), expected.len());
        let differences = found.iter().zip(&expected).map(|(found, expected)| (found - expected).abs());
        let difference = differences.fold(0.0, f32::max);
        let kept = matches!(preprocessing.resize, Resize::ShorterSide(_));
        let tolerance = if kept { TOLERANCE } else { TOLERANCE_STRETCHED };
        assert!(difference <= tolerance, "{} {preprocessing:?}: {difference}", image.display());
        different += usize::from(difference > TOLERANCE);
    }
    println!("{different} of {} images are not equal", jobs.len());
    assert!(different * 4 < jobs.len());
}

/// ResNet-20 on digits with a softmax of its own.
fn with_softmax(path: &Path) {
    let model = Model::load(&repository().join("models/digits/resnet20.onnx")).unwrap();
    let mut proto = model.proto().clone();
    proto.metadata_props.clear();
    let graph = proto.graph.as_mut().unwrap();
    let output = graph.output[0].name.clone();
    let names = graph.node.iter_mut().flat_map(|node| &mut node.output).filter(|name| **name == output);
    names.for_each(|name| "scores".clone_into(name));
    graph.node.push(NodeProto {
        op_type: "Softmax".to_owned(),
        input: vec!["scores".to_owned()],
        output: vec![output],
        ..NodeProto::default()
    });
    Model::from_proto(proto).unwrap().save(path).unwrap();
}

/// What `run` prints for an image of a three.
fn top(artifact: &Path) -> Value {
    let image = repository().join("models/digits/samples/3.png");
    let mut run = skipgate();
    run.arg("run").arg(artifact).args(["--top", "3", "--format", "json", "--image"]).arg(image);
    serde_json::from_str::<Value>(&succeed(&mut run)).unwrap()["top"].clone()
}

#[test]
fn a_network_with_a_softmax_of_its_own_gives_the_probabilities_of_the_one_without() {
    let dir = scratch("preprocessing-softmax");
    let (plain, model, artifact) = (dir.join("plain"), dir.join("softmax.onnx"), dir.join("softmax"));
    compile(&repository().join("models/digits/resnet20.onnx"), "host", &plain);
    with_softmax(&model);
    let classes = dir.join("classes.txt");
    fs::write(&classes, "zero\none\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\n").unwrap();
    let mut compile = skipgate();
    compile.arg("compile").arg(model).arg("-o").arg(&artifact).arg("--classes").arg(classes);
    succeed(compile.args(["--mean", "0.306", "--std", "0.324", "--resize", "stretch"]));
    let (logits, probabilities) = (top(&plain), top(&artifact));
    assert_eq!(probabilities[0]["name"], "three");
    assert!(logits[0]["logit"].is_number() && probabilities[0]["logit"].is_null(), "{probabilities}");
    for place in 0..3 {
        assert_eq!(logits[place]["index"], probabilities[place]["index"]);
        let probability = |top: &Value| top[place]["probability"].as_f64().unwrap();
        assert!(
            (probability(&logits) - probability(&probabilities)).abs() < 1e-5,
            "{logits} {probabilities}"
        );
    }
}
