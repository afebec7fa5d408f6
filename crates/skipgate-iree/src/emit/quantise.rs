//! Values of quantised networks.
//!
//! A `QuantizeLinear` with a `DequantizeLinear` behind it leaves floats that are multiples of a scale. Here they stay
//! floats all the way: convolutions of floats have fast forms, and the integers of 8 bits that quantised networks
//! have are exact in floats. What quantisation saves, memory for values and weights, so is not saved here.

use skipgate_onnx::proto::{NodeProto, TensorProto};
use skipgate_onnx::{element_type, tensor_bytes};

use super::frame::Frame;
use super::{Importer, node_name, types};
use crate::ImportError;
use crate::kernels::{Quantization, ROUNDER};

impl<'a> Importer<'a> {
    /// What the pair of `quantize` and `dequantize` does to a value, if they fit each other and are of one scale.
    pub(super) fn quantization(
        &self,
        quantize: &NodeProto,
        dequantize: &NodeProto,
    ) -> Result<Option<Quantization>, ImportError> {
        let is = |node: &NodeProto, op_type: &str| {
            node.op_type == op_type && types::is_onnx_domain(&node.domain) && node.output.len() == 1
        };
        // Any other attribute is about types and scales that are not meant here.
        let plain = quantize.attribute.iter().all(|attribute| attribute.name == "axis");
        let pair = is(quantize, "QuantizeLinear") && is(dequantize, "DequantizeLinear") && plain;
        if !pair || quantize.output[0] != dequantize.input[0] || quantize.input[1..] != dequantize.input[1..]
        {
            return Ok(None);
        }
        let constant = |index: usize| {
            quantize.input.get(index).and_then(|name| self.initializers.get(name.as_str()).copied())
        };
        let Some(scale) = quantize.input.get(1) else { return Ok(None) };
        let Some(scale) = self.constant_float(scale)? else { return Ok(None) };
        let zero_point = match quantize.input.get(2) {
            Some(_) => constant(2).map(zero_point).transpose()?.flatten(),
            None => Some((0, 0..=255)),
        };
        let Some((zero_point, range)) = zero_point else { return Ok(None) };
        let usable = scale.is_normal() && scale > 0.0 && scale.recip().is_normal();
        Ok(usable.then(|| Quantization {
            scale: scale.to_bits(),
            low: range.start() - zero_point,
            high: range.end() - zero_point,
        }))
    }

    /// Writes a `DequantizeLinear` and the `QuantizeLinear` in front of it; false if `node` is none with one.
    pub(super) fn dequantize(&mut self, node: &'a NodeProto) -> Result<bool, ImportError> {
        let Some(quantize) = node.input.first().and_then(|name| self.producers.get(name.as_str()).copied())
        else {
            return Ok(false);
        };
        let Some(quantization) = self.quantization(quantize, node)? else { return Ok(false) };
        let (input, output) = (&quantize.input[0], &node.output[0]);
        let (ty, shape) = (self.tensor_type(input)?, self.tensor_type(output)?.static_shape());
        let Some(shape) = shape.filter(|_| ty.element_type == element_type::FLOAT) else { return Ok(false) };
        let (torch, builtin) = (types::vtensor(input, ty)?, Frame::builtin(shape.into_iter()));
        let [taken, empty, result] = [self.fresh(), self.fresh(), self.fresh()];
        let value = self.value(input);
        self.line(&format!("{taken} = torch_c.to_builtin_tensor {value} : {torch} -> {builtin}"));
        self.line(&format!("{empty} = tensor.empty() : {builtin}"));
        self.line(&elementwise(&result, [&taken, &empty], &builtin, ty.shape.len(), quantization, node));
        let value = self.define(output);
        self.line(&format!("{value} = torch_c.from_builtin_tensor {result} : {builtin} -> {torch}"));
        Ok(true)
    }
}

/// The operation that quantises every element of a tensor. Limits are comparisons: not every target has instructions
/// for minimum and maximum.
fn elementwise(
    result: &str,
    [from, to]: [&str; 2],
    ty: &str,
    rank: usize,
    Quantization { scale, low, high }: Quantization,
    node: &NodeProto,
) -> String {
    let axes: Vec<_> = (0..rank).map(|axis| format!("d{axis}")).collect();
    let map = format!("affine_map<({axes}) -> ({axes})>", axes = axes.join(", "));
    let iterators = vec!["\"parallel\""; rank].join(", ");
    let constant =
        |name: &str, value: f32| format!("{name} = arith.constant 0x{:08X} : f32\n", value.to_bits());
    let scale = f32::from_bits(scale);
    #[expect(clippy::cast_precision_loss, reason = "limits have 17 bits at most")]
    let constants = [
        constant("%scale", scale),
        constant("%inverse", scale.recip()),
        constant("%low", low as f32),
        constant("%high", high as f32),
        constant("%rounder", ROUNDER),
    ];
    let location = types::quoted(&format!("DequantizeLinear {}", node_name(node)));
    format!(
        "{result} = linalg.generic {{indexing_maps = [{map}, {map}], iterator_types = [{iterators}]}}
           ins({from} : {ty}) outs({to} : {ty}) {{
         ^bb0(%in: f32, %out: f32):
           {constants}
           %scaled = arith.mulf %in, %inverse : f32
           %is_low = arith.cmpf olt, %scaled, %low : f32
           %at_least = arith.select %is_low, %low, %scaled : f32
           %is_high = arith.cmpf ogt, %at_least, %high : f32
           %at_most = arith.select %is_high, %high, %at_least : f32
           %shifted = arith.addf %at_most, %rounder : f32
           %rounded = arith.subf %shifted, %rounder : f32
           %result = arith.mulf %rounded, %scale : f32
           linalg.yield %result : f32
         }} -> {ty} loc({location})",
        constants = constants.concat(),
    )
}

/// The integer in `tensor` and the range of its type; `None` if it is no single one of 8 or 16 bits.
fn zero_point(tensor: &TensorProto) -> Result<Option<(i32, std::ops::RangeInclusive<i32>)>, ImportError> {
    let bytes = tensor_bytes(tensor)?;
    Ok(match (tensor.data_type, &bytes[..]) {
        (element_type::INT8, &[byte]) => Some((i8::from_le_bytes([byte]).into(), -128..=127)),
        (element_type::UINT8, &[byte]) => Some((byte.into(), 0..=255)),
        (element_type::INT16, &[a, b]) => Some((i16::from_le_bytes([a, b]).into(), -32768..=32767)),
        (element_type::UINT16, &[a, b]) => Some((u16::from_le_bytes([a, b]).into(), 0..=65535)),
        _ => None,
    })
}
