//! Rounding to multiples of a scale, outside of kernels.

use super::{Emitter, types};
use crate::ImportError;
use crate::kernels::{Quantization, ROUNDER};
use crate::plan::Quantise;

impl Emitter<'_, '_> {
    pub(super) fn quantise(&mut self, step: &Quantise) -> Result<(), ImportError> {
        let source = self.plan.tensor(step.source);
        let shape: Vec<_> = source.ty.shape.iter().copied().flatten().collect();
        let (torch, builtin) = (self.type_of(step.source)?, types::builtin(shape.iter().copied()));
        let [taken, empty, result] = [self.fresh(), self.fresh(), self.fresh()];
        let value = self.value(step.source);
        let location = types::quoted(&self.plan.graph.node(step.node).label());
        self.line(&format!("{taken} = torch_c.to_builtin_tensor {value} : {torch} -> {builtin}"));
        self.line(&format!("{empty} = tensor.empty() : {builtin}"));
        let operation = elementwise([&taken, &empty], &builtin, shape.len(), step.quantization);
        self.line(&format!("{result} = {operation} loc({location})"));
        let value = self.define(step.result);
        self.line(&format!("{value} = torch_c.from_builtin_tensor {result} : {builtin} -> {torch}"));
        Ok(())
    }
}

/// The operation that quantises every element of a tensor. Limits are comparisons: not every target has instructions
/// for minimum and maximum.
fn elementwise(
    [from, to]: [&str; 2],
    ty: &str,
    rank: usize,
    Quantization { scale, low, high }: Quantization,
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
    format!(
        "linalg.generic {{indexing_maps = [{map}, {map}], iterator_types = [{iterators}]}}
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
         }} -> {ty}",
        constants = constants.concat(),
    )
}
