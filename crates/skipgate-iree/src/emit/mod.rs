//! Plans to MLIR text. Nothing is recognised or decided here.
//!
//! The output has the form that torch-mlir's ONNX lowering reads: one `torch.operator "onnx.<Op>"` for each operator,
//! with attributes named `torch.onnx.<attribute>`, values of type `!torch.vtensor<[shape],element>`, and initialisers as
//! `onnx.Constant` operations over `dense_resource` blobs. An `If` has two regions, the **else** region first. Kernels
//! and frames are written as what the compiler makes of operators later: dispatches and builtin tensors.
//!
//! Writing it here instead of calling the Python importer keeps Python out of compilation, attaches the ONNX node's
//! name to each operation as its location, and lets plans say more than ONNX can.

mod alone;
mod attributes;
mod bit_cast;
mod blobs;
mod branch;
mod concat;
mod excerpt;
mod frame;
mod gate;
mod kernel;
mod operator;
mod product;
mod quantise;
mod rows;
mod sum;
mod types;

pub(crate) use alone::Operators;

use crate::ImportError;
use crate::gating::marker;
use crate::kernels::{InPlace, Kernels};
use crate::plan::{Constant, Frame, Plan, Step, TensorId};
use blobs::Blobs;

/// Name of the MLIR module and of its one function.
pub(crate) const MODULE: &str = "skipgate";
pub(crate) const FUNCTION: &str = "run";

/// Writes `plan` as MLIR text: a module `@skipgate` with one function `@run` that takes the model's inputs and returns
/// its outputs, both in the model's order.
///
/// Errors: element types and attributes that have no form in MLIR.
pub(crate) fn emit(plan: &Plan) -> Result<Emitted, ImportError> {
    let mut emitter = Emitter::new(plan);
    emitter.module()?;
    emitter.blobs.write(&mut emitter.text);
    Ok(Emitted { in_place: emitter.kernels.in_place(), mlir: emitter.text })
}

/// A plan in the form that the compiler reads.
#[derive(Debug)]
pub(crate) struct Emitted {
    pub(crate) mlir: String,
    /// The kernels in it with bindings that may be in one place.
    pub(crate) in_place: Vec<InPlace>,
}

/// The SSA names of a tensor.
#[derive(Debug, Clone, Default)]
struct Names {
    /// The value, as operators read it.
    value: String,
    /// The frame that it stands in.
    memory: String,
}

/// Text as it grows.
struct Emitter<'p, 'm> {
    plan: &'p Plan<'m>,
    text: String,
    blobs: Blobs,
    kernels: Kernels,
    /// What is computed when the network is loaded, each as text.
    globals: Vec<String>,
    /// By tensor.
    names: Vec<Names>,
    /// Number of SSA names given out.
    count: usize,
}

impl<'p, 'm> Emitter<'p, 'm> {
    fn new(plan: &'p Plan<'m>) -> Self {
        Self {
            plan,
            text: String::new(),
            blobs: Blobs::default(),
            kernels: Kernels::new(plan.simd, &plan.options),
            globals: Vec::new(),
            names: vec![Names::default(); plan.tensors.len()],
            count: 0,
        }
    }
}

impl Emitter<'_, '_> {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn fresh(&mut self) -> String {
        self.count += 1;
        format!("%v{}", self.count)
    }

    /// A fresh SSA name for the value of `tensor`.
    fn define(&mut self, tensor: TensorId) -> String {
        let name = self.fresh();
        self.names[tensor.0].value.clone_from(&name);
        name
    }

    /// The SSA name of the value of `tensor`.
    fn value(&self, tensor: TensorId) -> String {
        self.names[tensor.0].value.clone()
    }

    /// The SSA name of the frame that `tensor` stands in, and its type.
    fn memory(&self, tensor: TensorId) -> Result<(String, String), ImportError> {
        Ok((self.names[tensor.0].memory.clone(), types::outer(self.frame(tensor)?)))
    }

    /// The frame of `tensor`, of which a plan that is checked has one wherever one is needed.
    fn frame(&self, tensor: TensorId) -> Result<&Frame, ImportError> {
        let tensor = self.plan.tensor(tensor);
        tensor.frame.as_ref().ok_or_else(|| ImportError::UnknownShape { value: tensor.name.to_owned() })
    }

    /// The MLIR type of the value of `tensor`.
    fn type_of(&self, tensor: TensorId) -> Result<String, ImportError> {
        let tensor = self.plan.tensor(tensor);
        types::vtensor(tensor.name, &tensor.ty)
    }

    fn types_of(&self, tensors: &[TensorId]) -> Result<String, ImportError> {
        let types: Result<Vec<_>, _> = tensors.iter().map(|&tensor| self.type_of(tensor)).collect();
        Ok(types?.join(", "))
    }

    fn module(&mut self) -> Result<(), ImportError> {
        let plan = self.plan;
        let mut arguments = Vec::new();
        for &input in &plan.inputs {
            let name = self.define(input);
            arguments.push(format!("{name}: {}", self.type_of(input)?));
        }
        let results = self.types_of(&plan.outputs)?;
        self.head(&arguments, &results);
        self.steps(&plan.steps)?;
        self.tail(&plan.outputs, &results);
        // The compiler wants globals in front of the functions that load them, so behind the module's own line.
        let first_line = self.text.find('\n').map_or(0, |end| end + 1);
        let globals: String = self.globals.drain(..).collect();
        self.text.insert_str(first_line, &globals);
        self.kernels.write(&mut self.text);
        self.text.push_str(marker::EXECUTABLE);
        self.line("}");
        Ok(())
    }

    /// The beginning of a module and of its function.
    fn head(&mut self, arguments: &[String], results: &str) {
        self.line(&format!("module @{MODULE} {{"));
        self.line(&format!(
            "func.func @{FUNCTION}({}) -> ({results}) attributes {{\
             torch.onnx_meta.ir_version = {} : si64, torch.onnx_meta.opset_version = {} : si64}} {{",
            arguments.join(", "),
            self.plan.ir_version,
            self.plan.opset,
        ));
        self.line("%none = torch.constant.none");
    }

    /// The end of the function, which returns `outputs`.
    fn tail(&mut self, outputs: &[TensorId], results: &str) {
        let values: Vec<_> = outputs.iter().map(|&output| self.value(output)).collect();
        self.line(&format!("return {} : {results}", values.join(", ")));
        self.line("}");
    }

    fn steps(&mut self, steps: &[Step]) -> Result<(), ImportError> {
        steps.iter().try_for_each(|step| match step {
            Step::Concat(step) => self.concat(step),
            Step::Constant(step) => self.constant(step),
            Step::Kernel(step) => self.kernel(step),
            Step::Operator(step) => self.operator(step),
            Step::Excerpt(step) => self.excerpt(step),
            Step::Quantise(step) => self.quantise(step),
            Step::Product(step) => self.product(step),
            Step::Rows(step) => self.rows(step),
            Step::Sum(step) => self.sum(step),
            Step::Put(step) => self.put(step),
            Step::Gate(step) => self.gate(step),
            Step::Branch(step) => self.branch(step),
        })
    }

    fn constant(&mut self, Constant { result, tensor }: &Constant) -> Result<(), ImportError> {
        let literal = self.blobs.literal(tensor)?;
        let (name, ty) = (self.define(*result), self.type_of(*result)?);
        self.constant_operation(&name, &literal, &ty, self.plan.tensor(*result).name);
        Ok(())
    }

    /// The constant `literal` as the SSA name `name`; people know it as `label`.
    fn constant_operation(&mut self, name: &str, literal: &str, ty: &str, label: &str) {
        let location = types::quoted(&format!("Constant {label}"));
        self.line(&format!(
            "{name} = torch.operator \"onnx.Constant\"() {{torch.onnx.value = {literal}}} : () -> {ty} loc({location})"
        ));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use skipgate_core::{CompileOptions, Target};
    use skipgate_onnx::proto::{AttributeProto, GraphProto, ModelProto};
    use skipgate_onnx::{GateSelection, Model, gate};

    use crate::import_onnx;
    use crate::net::{Net, small_resnet};

    /// A gated network with kernels, gates and an operator of the compiler's.
    fn network() -> ModelProto {
        gate(&small_resnet().model(), &GateSelection::default()).unwrap().proto().clone()
    }

    /// Adds `text` to every name that a model gives: nodes, values and initialisers.
    fn rename(proto: &mut ModelProto, text: &str) {
        fn in_graph(graph: &mut GraphProto, text: &str) {
            let add = |name: &mut String| {
                // What is left out, and the mask, which gates know by its name.
                if !name.is_empty() && !name.starts_with("skip_mask") {
                    name.push_str(text);
                }
            };
            graph.initializer.iter_mut().for_each(|tensor| add(&mut tensor.name));
            let values = graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info);
            values.for_each(|value| add(&mut value.name));
            for node in &mut graph.node {
                add(&mut node.name);
                node.input.iter_mut().chain(&mut node.output).for_each(add);
                for inner in node.attribute.iter_mut().filter_map(|attribute| attribute.g.as_mut()) {
                    in_graph(inner, text);
                }
            }
        }
        in_graph(proto.graph.as_mut().unwrap(), text);
    }

    fn mlir(proto: ModelProto) -> String {
        let target = Target::named("x86-64-v3").unwrap();
        import_onnx(&Model::from_proto(proto).unwrap(), &target, &CompileOptions::default()).unwrap()
    }

    /// `mlir` without what stands in its literals.
    fn skeleton(mlir: &str) -> String {
        mlir.split('"').step_by(2).collect::<Vec<_>>().join("\"\"")
    }

    /// Names that mean something to MLIR, or to what reads text, and any others.
    fn hostile() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("\"} {".to_owned()),
            Just("\\\" loc(unknown)\nreturn\n}".to_owned()),
            Just("\0\r\n\t\u{7f}\u{202e}".to_owned()),
            Just("%v1 @skipgate::@skipgate -> // ".to_owned()),
            "(?s).{1,20}",
            "[\"{}\\\\\\n%@()<>#!:=,-]{1,20}",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn names_in_a_model_stay_inside_of_literals(text in hostile()) {
            let plain = skeleton(&mlir(network()));
            let mut proto = network();
            rename(&mut proto, &text);
            prop_assert_eq!(skeleton(&mlir(proto)), plain);
        }

        #[test]
        fn operators_and_their_attributes_stay_inside_of_literals(text in hostile(), value in any::<Vec<u8>>()) {
            let custom = |op_type: &str, name: &str, value: &[u8]| {
                let attribute = AttributeProto {
                    name: name.to_owned(),
                    type_: skipgate_onnx::proto::attribute_proto::AttributeType::STRING.into(),
                    s: Some(value.to_vec()),
                    ..AttributeProto::default()
                };
                let (mut net, x) = Net::new(&[1, 3, 8, 8], 1);
                net.push(op_type, &[&x], "y", &[attribute]);
                net.output("y", &[1, 3, 8, 8]);
                mlir(net.model().proto().clone())
            };
            let plain = skeleton(&custom("Relu", "name", b"value"));
            prop_assert_eq!(skeleton(&custom(&format!("Custom{text}"), &format!("name{text}"), &value)), plain);
        }
    }
}
