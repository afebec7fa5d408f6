//! Runs models in ONNX Runtime, the reference for what they compute.

use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::Tensor;
use skipgate_onnx::{MASK_INPUT, Model};

/// Environment variable with the path of ONNX Runtime's shared library; the engine reads it itself.
const LIBRARY: &str = "ORT_DYLIB_PATH";

/// Whether there is an engine; says so if not.
pub(crate) fn is_available() -> bool {
    let available = std::env::var_os(LIBRARY).is_some();
    if !available {
        eprintln!("skipped: {LIBRARY} does not name ONNX Runtime's shared library");
    }
    available
}

/// The first output of `model` on `image` of shape `shape`, for a gated model with `mask`. Nothing is optimised, so
/// the nodes run as the model has them.
pub(crate) fn run(model: &Model, shape: &[i64], image: &[f32], mask: Option<&[bool]>) -> Vec<f32> {
    let mut session = Session::builder()
        .unwrap()
        .with_intra_threads(1)
        .unwrap()
        .with_optimization_level(GraphOptimizationLevel::Disable)
        .unwrap()
        .commit_from_memory(&model.to_bytes().unwrap())
        .unwrap();
    let image = Tensor::from_array((shape.to_vec(), image.to_vec())).unwrap();
    let mut inputs = ort::inputs!["image" => image];
    if let Some(mask) = mask {
        let mask = Tensor::from_array((vec![mask.len()], mask.to_vec())).unwrap();
        inputs.push((MASK_INPUT.into(), mask.into()));
    }
    let outputs = session.run(inputs).unwrap();
    outputs[0].try_extract_tensor::<f32>().unwrap().1.to_vec()
}

/// Largest difference, relative to the largest magnitude of `expected`.
pub(crate) fn difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let largest = |values: &mut dyn Iterator<Item = f32>| {
        values.fold(0.0f32, |a, b| if b.is_nan() { b } else { a.max(b.abs()) })
    };
    largest(&mut found.iter().zip(expected).map(|(a, b)| a - b))
        / largest(&mut expected.iter().copied()).max(1e-20)
}
