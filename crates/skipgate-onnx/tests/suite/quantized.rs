//! Quantised networks.

use skipgate_onnx::element_type::{INT8, UINT8};
use skipgate_onnx::{Model, dequantize_constants, find_blocks, tensor_bytes};

use crate::net::{Net, int};

/// What `name` is in `model`, if a constant of floats.
fn floats(model: &Model, name: &str) -> Vec<f32> {
    let tensor = model.proto().graph.initializer.iter().find(|tensor| tensor.name == name).unwrap();
    let bytes = tensor_bytes(tensor).unwrap();
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

/// The weights of a matrix product that reads a dequantised constant, with that constant replaced.
fn dequantized(dims: &[i64], bytes: &[u8], scales: &[f32], zero_points: &[u8], axis: i64) -> Vec<f32> {
    let (mut net, image) = Net::new(&[1, 2, 1, 2], 1);
    let scale_bytes: Vec<_> = scales.iter().flat_map(|scale| scale.to_le_bytes()).collect();
    let channels = i64::try_from(scales.len()).unwrap();
    let values = net.bytes(INT8, dims, bytes);
    let scale = net.bytes(crate::net::FLOAT, &[channels], &scale_bytes);
    let zero_point = net.bytes(INT8, &[channels], zero_points);
    let weights = net.op("DequantizeLinear", &[&values, &scale, &zero_point], &[int("axis", axis)]);
    net.op("MatMul", &[&image, &weights], &[]);
    let model = dequantize_constants(&net.model()).unwrap();
    let graph = &model.proto().graph;
    assert_eq!(graph.node.len(), 1);
    // Nothing of what was replaced stays behind.
    assert_eq!(graph.initializer.len(), 1);
    floats(&model, &graph.node[0].input[1])
}

#[test]
fn constants_become_the_floats_that_they_stand_for() {
    let bytes = [1, 2, 0xFF, 0x80];
    assert_eq!(dequantized(&[2, 2], &bytes, &[0.5], &[1], 0), [0.0, 0.5, -1.0, -64.5]);
    assert_eq!(dequantized(&[2, 2], &bytes, &[0.5, 2.0], &[0, 1], 0), [0.5, 1.0, -4.0, -258.0]);
    assert_eq!(dequantized(&[2, 2], &bytes, &[0.5, 2.0], &[0, 1], 1), [0.5, 2.0, -0.5, -258.0]);
    assert_eq!(dequantized(&[2, 2], &bytes, &[0.5, 2.0], &[0, 1], -1), [0.5, 2.0, -0.5, -258.0]);
}

#[test]
fn scales_that_do_not_fit_leave_the_model_as_it_is() {
    let (mut net, image) = Net::new(&[1, 2, 1, 2], 1);
    let values = net.bytes(INT8, &[2, 2], &[1, 2, 3, 4]);
    let scales = net.floats(&[3], f32::abs);
    let weights = net.op("DequantizeLinear", &[&values, &scales], &[int("axis", 7)]);
    net.op("MatMul", &[&image, &weights], &[]);
    let model = net.model();
    assert_eq!(dequantize_constants(&model).unwrap(), model);
}

#[test]
fn blocks_with_quantisation_between_them_are_of_one_segment() {
    let (mut net, mut x) = Net::new(&[1, 4, 8, 8], 3);
    let scale = net.floats(&[], |_| 0.1);
    let zero_point = net.bytes(UINT8, &[], &[128]);
    for _ in 0..3 {
        let branch = net.conv(&x, 4, 3, 1);
        let sum = net.add(&x, &branch);
        let quantized = net.op("QuantizeLinear", &[&sum, &scale, &zero_point], &[]);
        x = net.op("DequantizeLinear", &[&quantized, &scale, &zero_point], &[]);
    }
    net.classify(&x);
    let blocks = find_blocks(&net.model()).unwrap();
    assert_eq!(blocks.iter().map(|block| block.segment).collect::<Vec<_>>(), [0, 0, 0]);
}
