//! Compiling a model to what an artifact folder holds.

use skipgate_core::{
    Abi, CompileOptions, CostlyGate, Coverage, Dispatch, ElementType, EntryPoint, FORMAT_VERSION, FileDigest,
    GateForm, Manifest, SkipMask, Target, TensorSpec, VMFB_FILE,
};
use skipgate_onnx::{
    IndexChecks, MASK_INPUT, Model, TensorType, dequantize_constants, element_type, find_scores, fix_batch,
    index_checks, infer_shapes, normalise,
};

use crate::compiler::{Output, Program};
use crate::emit::{FUNCTION, MODULE, emit};
use crate::passes::plan_gates;
use crate::{CompileError, Compiler, ImportError, Plan, Verification, blame, partial, size};

/// A compiled model, in memory.
#[derive(Debug)]
pub struct Compiled {
    /// What goes into `manifest.json`.
    pub manifest: Manifest,
    /// What goes into `model.vmfb`.
    pub vmfb: Vec<u8>,
    /// What goes into `dispatches.json`.
    pub dispatches: Vec<Dispatch>,
    /// What goes into `pareto.json`, if the network was explored; `compile` knows of none.
    pub front: Option<String>,
}

/// Compiles `model`, gated or not, for `target`.
///
/// Besides the function that takes any mask, a gated model gets one without gates for each mask of `specialised`, and
/// for all-run and all-skip; together they need some kilobytes each, since they share weights and kernels.
///
/// Inputs and outputs must be of an [`ElementType`] and have static shapes; a symbolic batch size is
/// compiled as 1. `model_sha256` is the hexadecimal hash of the file it came from and goes into the manifest.
pub fn compile(
    compiler: &Compiler,
    model: &Model,
    model_sha256: String,
    target: &Target,
    specialised: &[SkipMask],
    options: &CompileOptions,
    verification: Verification,
) -> Result<Compiled, CompileError> {
    let model = &plain(model)?;
    size::check(model, target)?;
    // First, since its errors name the node where the trouble starts.
    let mut plan = plan_gates(model, target, options, None)?;
    let IndexChecks { inputs: index_inputs, limited } = index_checks(model).map_err(ImportError::from)?;
    let mut abi = Abi { index_inputs, ..tensors(model)? };
    let gates = model.gates().map_err(crate::ImportError::from)?;
    check_mask(&abi, gates.len())?;
    abi.specialised = entry_points(gates.len(), specialised)?;
    let attempt = |plan: &Plan, verification| {
        let entry_points = abi.specialised.clone();
        let program = Program { emitted: emit(plan)?, gates: gates.len(), entry_points };
        compiler.compile(program, target, verification)
    };
    let build = |plan: &Plan| {
        let output = match attempt(plan, verification) {
            // Once more for what it says where something went wrong.
            Err(CompileError::Compiler { .. }) if verification == Verification::BetweenPhases => {
                attempt(plan, Verification::BehindPasses)
            }
            output => output,
        };
        output.map_err(|error| blame::with_node(compiler, plan, target, error))
    };
    let output = match build(&plan) {
        Err(error) if !gates.is_empty() && error.is_about_gates() => {
            plan = plan_gates(model, target, options, Some(&error.to_string()))?;
            build(&plan)?
        }
        output => output?,
    };
    let Output { vmfb, dispatches, copying } = output;
    let mut coverage = Coverage { limited_indices: limited, ..plan.coverage().clone() };
    coverage.costly_gates.extend(copying.into_iter().map(copying_gate));
    coverage.costly_gates.extend(partial::gates(&plan, &dispatches));
    coverage.costly_gates.sort_by_key(|gate| gate.gate);
    let manifest = Manifest {
        format_version: FORMAT_VERSION,
        generator: concat!("skipgate ", env!("CARGO_PKG_VERSION")).to_owned(),
        iree: compiler.version().clone(),
        target: target.clone(),
        options: options.clone(),
        abi,
        gates,
        coverage,
        preprocessing: model.preprocessing().map_err(crate::ImportError::from)?,
        class_names: model.class_names().map_err(crate::ImportError::from)?,
        scores: find_scores(model).map_err(crate::ImportError::from)?,
        model_sha256,
        files: [(VMFB_FILE.to_owned(), FileDigest::of(&vmfb))].into(),
    };
    // What a reader would refuse must not be written.
    match Manifest::from_json(&manifest.to_json()) {
        Ok(manifest) => Ok(Compiled { manifest, vmfb, dispatches, front: None }),
        Err(error) => Err(CompileError::Interface { found: error.to_string() }),
    }
}

/// `model` in the form that plans are made of: its batch has a size, and its mask, if it has one, is its last input.
pub(crate) fn plain(model: &Model) -> Result<Model, ImportError> {
    let mut proto = dequantize_constants(&normalise(&fix_batch(model)?)?)?.proto().clone();
    if let Some(graph) = proto.graph.as_mut() {
        graph.input.sort_by_key(|input| input.name == MASK_INPUT);
    }
    Ok(Model::from_proto(proto)?)
}

fn copying_gate((gate, reason): (usize, &'static str)) -> CostlyGate {
    CostlyGate { gate, form: GateForm::Copy, reason: reason.to_owned() }
}

/// Fails unless the mask has an element for each of `gates`, those of the model's gate table: what is compiled indexes
/// one by the other.
fn check_mask(abi: &Abi, gates: usize) -> Result<(), CompileError> {
    let mask = abi.inputs.iter().find(|input| input.name == MASK_INPUT);
    let elements = mask.map_or(0, |mask| mask.shape.iter().product());
    if elements == gates {
        return Ok(());
    }
    Err(CompileError::Interface {
        found: format!("the mask is of {elements} elements and the gate table of {gates} gates"),
    })
}

/// The entry points for `masks`, all-run and all-skip, each once.
fn entry_points(gates: usize, masks: &[SkipMask]) -> Result<Vec<EntryPoint>, CompileError> {
    let usual = [SkipMask::all_run(gates), SkipMask::all_skip(gates)];
    let mut entry_points: Vec<EntryPoint> = Vec::new();
    for mask in usual.iter().chain(masks).filter(|mask| !mask.is_empty()) {
        mask.check_len(gates)?;
        if entry_points.iter().all(|entry_point| entry_point.mask != *mask) {
            let function = format!("{MODULE}.{FUNCTION}_{}", entry_points.len());
            entry_points.push(EntryPoint { mask: mask.clone(), function });
        }
    }
    Ok(entry_points)
}

/// The element type of ONNX's `TensorProto.DataType` number `ty`, if it may cross the interface.
fn type_in_abi(ty: i32) -> Option<ElementType> {
    Some(match ty {
        element_type::FLOAT => ElementType::F32,
        element_type::FLOAT16 => ElementType::F16,
        element_type::INT8 => ElementType::I8,
        element_type::UINT8 => ElementType::U8,
        element_type::INT32 => ElementType::I32,
        element_type::INT64 => ElementType::I64,
        element_type::BOOL => ElementType::Bool,
        _ => return None,
    })
}

/// Why the input or output `name` cannot cross the interface.
fn not_in_abi(name: &str, ty: Option<&TensorType>) -> CompileError {
    let found = match ty {
        Some(ty) if type_in_abi(ty.element_type).is_none() => {
            format!("`{name}` has elements of ONNX type {}", ty.element_type)
        }
        Some(ty) => format!("`{name}` has the shape {}", shape_text(&ty.shape)),
        None => format!("the type of `{name}` is not known"),
    };
    CompileError::Interface { found }
}

/// A shape as people write it; `?` for what is not known.
fn shape_text(shape: &[Option<usize>]) -> String {
    let extents: Vec<_> = shape
        .iter()
        .map(|extent| extent.map_or_else(|| "?".to_owned(), |extent| extent.to_string()))
        .collect();
    format!("[{}]", extents.join(", "))
}

/// What a network compiled from `model` takes and gives. Specialised functions are left out.
///
/// Errors: a tensor that cannot cross the interface.
pub fn interface(model: &Model) -> Result<Abi, CompileError> {
    let model = plain(model)?;
    let index_inputs = index_checks(&model).map_err(ImportError::from)?.inputs;
    Ok(Abi { index_inputs, ..tensors(&model)? })
}

/// The function for any mask and the tensors of `model`, but not what they may hold.
fn tensors(model: &Model) -> Result<Abi, CompileError> {
    let types = infer_shapes(model).map_err(crate::ImportError::from)?;
    let graph = &model.proto().graph;
    let is_initializer = |name: &str| graph.initializer.iter().any(|tensor| tensor.name == name);
    let spec = |name: &str| {
        let found = types.get(name).and_then(|ty| {
            let element_type = type_in_abi(ty.element_type)?;
            let shape = ty.shape.iter().copied().collect::<Option<Vec<_>>>()?;
            Some(TensorSpec { name: name.to_owned(), shape, element_type })
        });
        found.ok_or_else(|| not_in_abi(name, types.get(name)))
    };
    let names = graph.input.iter().map(|input| input.name.as_str());
    let inputs: Vec<_> = names.filter(|name| !is_initializer(name)).map(spec).collect::<Result<_, _>>()?;
    let outputs: Vec<_> = graph.output.iter().map(|output| spec(&output.name)).collect::<Result<_, _>>()?;
    let entry_point = format!("{MODULE}.{FUNCTION}");
    Ok(Abi { entry_point, specialised: Vec::new(), inputs, outputs, index_inputs: Vec::new() })
}
#[cfg(test)]
mod tests {
    use skipgate_onnx::{GATES_KEY, GateSelection, gate};

    use super::*;
    use crate::net::small_resnet;

    #[test]
    fn a_gate_table_for_another_mask_is_refused() {
        let gated = gate(&small_resnet().model(), &GateSelection::default()).unwrap();
        let abi_of = |model: &Model| tensors(model).unwrap();
        check_mask(&abi_of(&gated), 2).unwrap();
        let mut proto = gated.proto().clone();
        proto.metadata_props.retain(|entry| entry.key != GATES_KEY);
        let without = Model::from_proto(proto).unwrap();
        let error = check_mask(&abi_of(&without), without.gates().unwrap().len()).unwrap_err().to_string();
        assert!(error.ends_with("the mask is of 2 elements and the gate table of 0 gates"), "{error}");
    }
}
