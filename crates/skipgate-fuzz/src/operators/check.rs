//! One case through compiler and runtime.

use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use skipgate_core::{CompileOptions, Elements, SkipMask, Target, Values};
use skipgate_data::Stacked;
use skipgate_data::tensor_file::Tensor as FileTensor;
use skipgate_iree::{Build, Compiled, Compiler, Verification};
use skipgate_onnx::Model;
use skipgate_onnx::proto::{GraphProto, ModelProto, TensorProto, tensor_shape_proto, type_proto};
use skipgate_runtime::{Artifact, Device, Session};
use skipgate_verify::Emulator;

use super::bake::bake;
use super::case::{self, Case, Run, Tensor, Tolerance, model, out_of_scope};
use super::{Checked, Outcome};
use crate::outcome::must_never_appear;
use crate::worker::answer_lines;

/// What a worker is asked to check.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Job {
    /// Kind and name of the case.
    pub(super) case: String,
    /// Its folder.
    pub(super) dir: PathBuf,
}

/// The worker's side: answers every line of standard input, for the machine `target`.
pub fn serve(target: &str) -> anyhow::Result<()> {
    let target = Target::named(target)?;
    let here = skipgate_core::Arch::current() == Some(target.arch);
    let emulator = if here { None } else { Some(Emulator::find(&target, None).map_err(anyhow::Error::msg)?) };
    let checker = Checker { compiler: Compiler::get()?, target, emulator };
    answer_lines(|job: Job| checker.check(&job))
}

struct Checker {
    compiler: &'static Compiler,
    target: Target,
    emulator: Option<Emulator>,
}

impl Checker {
    fn check(&self, job: &Job) -> Checked {
        let start = Instant::now();
        let mut checked = Checked::of(job);
        let found = panic::catch_unwind(AssertUnwindSafe(|| self.try_check(&job.dir, &mut checked)));
        checked.outcome = match found {
            Ok(Ok(()) | Err(Outcome::Right)) => Outcome::Right,
            Ok(Err(outcome)) => outcome,
            Err(payload) => {
                let text = payload.downcast_ref::<String>().cloned();
                let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                Outcome::Crash(format!("panic: {}", text.unwrap_or_default()))
            }
        };
        checked.seconds = start.elapsed().as_secs_f64();
        checked
    }

    fn try_check(&self, dir: &Path, checked: &mut Checked) -> Result<(), Outcome> {
        let proto = model(dir).map_err(|error| broken("the case", &error))?;
        if let Some(reason) = out_of_scope(&proto.graph) {
            return Err(Outcome::OutOfScope(reason));
        }
        let case = Case::read(dir, proto).map_err(|error| broken("the case", &error))?;
        case.runs.iter().try_for_each(|run| self.run(&case, run, checked))
    }

    fn run(&self, case: &Case, run: &Run, checked: &mut Checked) -> Result<(), Outcome> {
        let mut proto = case.proto.clone();
        let graph = proto.graph.mut_or_insert_default();
        let mut inputs: Vec<_> =
            case::inputs(graph).map(|input| input.name.clone()).zip(&run.inputs).collect();
        for (name, tensor) in &inputs {
            fix_shape(graph, name, tensor);
        }
        let compiled = match self.compile(proto.clone()) {
            Ok(compiled) => compiled,
            Err(Outcome::Refused(error)) => {
                let baked = bake(proto.graph.mut_or_insert_default(), &run.inputs);
                if baked.is_empty() {
                    return Err(Outcome::Refused(error));
                }
                let compiled = self.compile(proto)?;
                inputs.retain(|(name, _)| !baked.contains(name));
                checked.baked = baked;
                compiled
            }
            Err(outcome) => return Err(outcome),
        };
        let mut tensors = Vec::new();
        for (name, tensor) in inputs {
            tensors.push((name, Tensor::of(tensor).map_err(|error| broken("the case", &error))?));
        }
        let shapes: Vec<_> = compiled.manifest.outputs().iter().map(|spec| spec.shape.clone()).collect();
        let found = self.execute(&compiled, tensors).map_err(|error| broken("the artifact", &error))?;
        compare(case.tolerance, &shapes, &found, &run.outputs)
    }

    fn compile(&self, proto: ModelProto) -> Result<Compiled, Outcome> {
        let network = Model::from_proto(proto).map_err(|error| refused(&error))?;
        let build = Build {
            network,
            model_sha256: String::new(),
            target: self.target.clone(),
            options: CompileOptions::default(),
            front: Vec::new(),
            verification: Verification::default(),
        };
        build.compile(self.compiler).map_err(|error| refused(&error))
    }

    /// The outputs of what was compiled.
    fn execute(&self, compiled: &Compiled, inputs: Vec<(String, Tensor)>) -> anyhow::Result<Vec<Values>> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("case");
        skipgate_iree::write_artifact(&path, compiled)?;
        let mask = SkipMask::all_run(0);
        let Some(emulator) = &self.emulator else {
            let artifact = Artifact::open(&path)?;
            let mut session = Session::new(&artifact, Device::local_sync())?;
            let named: Vec<_> =
                inputs.iter().map(|(name, tensor)| (name.as_str(), tensor.values.elements())).collect();
            let outputs = session.run_named(&named, &mask)?;
            return Ok(outputs.iter().map(|(_, elements)| elements.to_values()).collect());
        };
        let specs = compiled.manifest.inputs();
        let tensor = |(_, Tensor { shape, values })| FileTensor { shape, values };
        let stacked = Stacked::of(specs, inputs.into_iter().map(tensor).collect())?;
        let outputs = emulator.run(&path, &compiled.manifest, &stacked, &mask)?;
        Ok(outputs.tensors().map(|elements: Elements<'_>| elements.to_values()).collect())
    }
}

impl Checked {
    /// What a case is, before anything became of it.
    pub(super) fn of(job: &Job) -> Self {
        let proto = model(&job.dir).unwrap_or_default();
        let operator = match &proto.graph.node[..] {
            [node] if node.domain.is_empty() => Some(node.op_type.clone()),
            [node] => Some(format!("{}.{}", node.domain, node.op_type)),
            _ => None,
        };
        let opset = proto.opset_import.iter().find(|import| import.domain.is_empty());
        Self {
            case: job.case.clone(),
            operator,
            opset: opset.map_or(0, |import| import.version),
            outcome: Outcome::Right,
            baked: Vec::new(),
            seconds: 0.0,
        }
    }
}

/// Gives the input `name` of `graph` the shape of `tensor`: a case may leave it open.
fn fix_shape(graph: &mut GraphProto, name: &str, tensor: &TensorProto) {
    let Some(input) = graph.input.iter_mut().find(|input| input.name == name) else { return };
    if let Some(type_proto::Value::TensorType(ty)) = input.type_.mut_or_insert_default().value.as_mut() {
        let dim = |&extent| tensor_shape_proto::Dimension {
            value: Some(tensor_shape_proto::dimension::Value::DimValue(extent)),
            ..Default::default()
        };
        ty.shape.mut_or_insert_default().dim = tensor.dims.iter().map(dim).collect();
    }
}

fn compare(
    tolerance: Tolerance,
    shapes: &[Vec<usize>],
    found: &[Values],
    expected: &[Tensor],
) -> Result<(), Outcome> {
    if found.len() != expected.len() {
        return Err(Outcome::Wrong(format!("{} outputs instead of {}", found.len(), expected.len())));
    }
    for (number, ((found, shape), expected)) in found.iter().zip(shapes).zip(expected).enumerate() {
        if *shape != expected.shape {
            let text = format!("output {number}: shape {shape:?} instead of {:?}", expected.shape);
            return Err(Outcome::Wrong(text));
        }
        if let Some(difference) = tolerance.difference(found, &expected.values) {
            return Err(Outcome::Wrong(format!("output {number}: {difference}")));
        }
    }
    Ok(())
}

fn refused(error: &dyn std::error::Error) -> Outcome {
    let error = error.to_string();
    if must_never_appear(&error) { Outcome::Crash(error) } else { Outcome::Refused(error) }
}

/// Something failed that must work once the model is accepted.
fn broken(what: &str, error: &anyhow::Error) -> Outcome {
    Outcome::Crash(format!("{what}: {error:#}"))
}
