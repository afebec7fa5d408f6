//! Inputs and outputs by name.

use std::ffi::{CStr, CString, c_char, c_void};
use std::slice;

use skipgate_runtime::{ElementType, Elements, Manifest, Outputs, TensorSpec, f16};

use crate::artifact::SkipgateArtifact;
use crate::status::{SkipgateStatus, invalid, put};

/// Type of the elements of a tensor.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipgateElementType {
    /// `float`.
    F32 = 0,
    /// IEEE 754 half precision, 2 bytes.
    F16 = 1,
    /// `int8_t`.
    I8 = 2,
    /// `uint8_t`.
    U8 = 3,
    /// `int32_t`.
    I32 = 4,
    /// `int64_t`.
    I64 = 5,
    /// `bool`.
    Bool = 6,
}

/// An input or output of a network. What it points to belongs to the artifact.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct SkipgateTensor {
    /// Its name in the ONNX model.
    pub name: *const c_char,
    /// Type of its elements.
    pub element_type: SkipgateElementType,
    /// Number of its dimensions.
    pub rank: usize,
    /// Extent of every dimension, outermost first.
    pub shape: *const usize,
    /// Number of bytes of all its elements.
    pub bytes: usize,
}

/// The elements of an input, in row-major order.
#[repr(C)]
pub struct SkipgateInput {
    /// Name of the input.
    pub name: *const c_char,
    /// Its elements, aligned as their type asks for.
    pub data: *const c_void,
    /// Number of bytes there, which must be that of the tensor.
    pub bytes: usize,
}

/// Where the elements of an output go, in row-major order.
#[repr(C)]
pub struct SkipgateOutput {
    /// Name of the output.
    pub name: *const c_char,
    /// Where its elements go.
    pub data: *mut c_void,
    /// Number of bytes there, which must be that of the tensor.
    pub bytes: usize,
}

/// The names of the inputs and outputs of an artifact as C has them.
pub(crate) struct Names {
    inputs: Vec<CString>,
    outputs: Vec<CString>,
}

impl Names {
    /// Errors: a name with a zero byte.
    pub(crate) fn of(manifest: &Manifest) -> Result<Self, String> {
        let all = |specs: &[TensorSpec]| specs.iter().map(name).collect::<Result<_, _>>();
        Ok(Self { inputs: all(manifest.inputs())?, outputs: all(manifest.outputs())? })
    }
}

fn name(spec: &TensorSpec) -> Result<CString, String> {
    CString::new(spec.name.as_str()).map_err(|_| format!("the name of {:?} has a zero byte", spec.name))
}

/// Bytes of a tensor; the manifest was checked, so there are not too many.
pub(crate) fn bytes(spec: &TensorSpec) -> usize {
    spec.element_type.size() * spec.elements().unwrap_or_default()
}

/// Number of inputs, the mask not counted.
///
/// # Safety
///
/// `artifact` is null (then 0) or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skipgate_artifact_inputs(artifact: *const SkipgateArtifact) -> usize {
    // SAFETY: by the caller's promise.
    unsafe { artifact.as_ref() }.map_or(0, |artifact| artifact.artifact.manifest().inputs().len())
}

/// Number of outputs.
///
/// # Safety
///
/// `artifact` is null (then 0) or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skipgate_artifact_outputs(artifact: *const SkipgateArtifact) -> usize {
    // SAFETY: by the caller's promise.
    unsafe { artifact.as_ref() }.map_or(0, |artifact| artifact.artifact.manifest().outputs().len())
}

/// The input `number`, counted from 0. What it points to is valid until the artifact is freed.
///
/// Errors: SKIPGATE_STATUS_INVALID_ARGUMENT.
///
/// # Safety
///
/// `artifact` is null or live; `input` is null or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skipgate_artifact_input(
    artifact: *const SkipgateArtifact,
    number: usize,
    input: *mut SkipgateTensor,
) -> SkipgateStatus {
    // SAFETY: by the caller's promise.
    let Some(artifact) = (unsafe { artifact.as_ref() }) else { return invalid("the artifact is null") };
    // SAFETY: by the caller's promise about `input`.
    unsafe { describe(artifact.artifact.manifest().inputs(), &artifact.names.inputs, number, input) }
}

/// The output `number`, counted from 0. What it points to is valid until the artifact is freed.
///
/// Errors: SKIPGATE_STATUS_INVALID_ARGUMENT.
///
/// # Safety
///
/// `artifact` is null or live; `output` is null or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skipgate_artifact_output(
    artifact: *const SkipgateArtifact,
    number: usize,
    output: *mut SkipgateTensor,
) -> SkipgateStatus {
    // SAFETY: by the caller's promise.
    let Some(artifact) = (unsafe { artifact.as_ref() }) else { return invalid("the artifact is null") };
    // SAFETY: by the caller's promise about `output`.
    unsafe { describe(artifact.artifact.manifest().outputs(), &artifact.names.outputs, number, output) }
}

/// # Safety
///
/// `out` is null or can be written to.
unsafe fn describe(
    specs: &[TensorSpec],
    names: &[CString],
    number: usize,
    out: *mut SkipgateTensor,
) -> SkipgateStatus {
    let Some((spec, name)) = specs.iter().zip(names).nth(number) else {
        return invalid("there is no tensor of that number");
    };
    let tensor = SkipgateTensor {
        name: name.as_ptr(),
        element_type: element_type(spec.element_type),
        rank: spec.shape.len(),
        shape: spec.shape.as_ptr(),
        bytes: bytes(spec),
    };
    // SAFETY: by the caller's promise.
    unsafe { put(tensor, out) }
}

fn element_type(element_type: ElementType) -> SkipgateElementType {
    match element_type {
        ElementType::F32 => SkipgateElementType::F32,
        ElementType::F16 => SkipgateElementType::F16,
        ElementType::I8 => SkipgateElementType::I8,
        ElementType::U8 => SkipgateElementType::U8,
        ElementType::I32 => SkipgateElementType::I32,
        ElementType::I64 => SkipgateElementType::I64,
        ElementType::Bool => SkipgateElementType::Bool,
    }
}

/// Fails unless `inputs` has every input of `specs` once, each with elements of its own. `Err` says in words what is wrong.
///
/// # Safety
///
/// Names are null or NUL-terminated strings; every `data` is null or points to as many bytes as told, which nobody
/// writes to during the call.
pub(crate) unsafe fn check(specs: &[TensorSpec], inputs: &[SkipgateInput]) -> Result<(), String> {
    for input in inputs {
        // SAFETY: by the caller's promise.
        let name = unsafe { text(input.name) }?;
        let spec = specs.iter().find(|spec| spec.name == name);
        let spec = spec.ok_or_else(|| format!("there is no input `{name}`"))?;
        // SAFETY: by the caller's promise.
        unsafe { elements(spec, input.data, input.bytes) }?;
    }
    // SAFETY: by the caller's promise.
    let missing = specs.iter().find(|spec| unsafe { given(spec, inputs) }.is_none());
    match missing {
        Some(spec) => Err(format!("the input `{spec}` is not given")),
        None if inputs.len() > specs.len() => Err("an input is given twice".to_owned()),
        None => Ok(()),
    }
}

/// The elements given for `spec`, if there are any that fit it.
///
/// # Safety
///
/// As for [`check`], for as long as the result lives.
pub(crate) unsafe fn given<'a>(spec: &TensorSpec, inputs: &[SkipgateInput]) -> Option<Elements<'a>> {
    // SAFETY: by the caller's promise.
    let input =
        inputs.iter().find(|input| unsafe { text(input.name) }.is_ok_and(|name| name == spec.name))?;
    // SAFETY: by the caller's promise.
    unsafe { elements(spec, input.data, input.bytes) }.ok()
}

/// Copies what the network gave to where it is asked for. `Err` says in words what is wrong.
///
/// # Safety
///
/// Names are null or NUL-terminated strings; every `data` is null or as many bytes as told can be written there.
pub(crate) unsafe fn copy_out(found: Outputs<'_>, outputs: &[SkipgateOutput]) -> Result<(), String> {
    for output in outputs {
        // SAFETY: by the caller's promise.
        let name = unsafe { text(output.name) }?;
        let named = found.iter().find(|(spec, _)| spec.name == name);
        let (spec, elements) = named.ok_or_else(|| format!("there is no output `{name}`"))?;
        // SAFETY: by the caller's promise, and what is copied is the session's own.
        unsafe { copy_elements(spec, elements, output.data, output.bytes) }?;
    }
    Ok(())
}

/// The text at `pointer`.
///
/// # Safety
///
/// `pointer` is null or a NUL-terminated string that lives as long as the result.
unsafe fn text<'t>(pointer: *const c_char) -> Result<&'t str, String> {
    if pointer.is_null() {
        return Err("the name of a tensor is null".to_owned());
    }
    // SAFETY: not null, so NUL-terminated by the caller's promise.
    let name = unsafe { CStr::from_ptr(pointer) };
    name.to_str().map_err(|_| "the name of a tensor is no UTF-8 text".to_owned())
}

/// The elements at `data` for `spec`. `Err` says in words what is wrong with them.
///
/// # Safety
///
/// `data` is null or points to `length` bytes that nobody writes to for as long as the result lives.
unsafe fn elements<'a>(
    spec: &TensorSpec,
    data: *const c_void,
    length: usize,
) -> Result<Elements<'a>, String> {
    if length != bytes(spec) {
        return Err(format!("`{spec}` is of {} bytes, found {length}", bytes(spec)));
    }
    if data.is_null() || data.addr() % spec.element_type.size() != 0 {
        return Err(format!("the elements of `{spec}` are at null or not aligned"));
    }
    let count = length / spec.element_type.size();
    // SAFETY: not null, aligned, of that many bytes by the caller's promise, and every bit pattern is a number.
    Ok(unsafe {
        match spec.element_type {
            ElementType::F32 => Elements::F32(slice::from_raw_parts(data.cast::<f32>(), count)),
            ElementType::F16 => Elements::F16(slice::from_raw_parts(data.cast::<f16>(), count)),
            ElementType::I8 => Elements::I8(slice::from_raw_parts(data.cast::<i8>(), count)),
            ElementType::U8 => Elements::U8(slice::from_raw_parts(data.cast::<u8>(), count)),
            ElementType::I32 => Elements::I32(slice::from_raw_parts(data.cast::<i32>(), count)),
            ElementType::I64 => Elements::I64(slice::from_raw_parts(data.cast::<i64>(), count)),
            ElementType::Bool => {
                if slice::from_raw_parts(data.cast::<u8>(), count).iter().any(|byte| *byte > 1) {
                    return Err(format!("`{spec}` has an element that is neither 0 nor 1"));
                }
                Elements::Bool(slice::from_raw_parts(data.cast::<bool>(), count))
            }
        }
    })
}

/// Copies `elements` to `data`, where there is room for `length` bytes. `Err` says in words what is wrong.
///
/// # Safety
///
/// `data` is null or `length` bytes can be written there, which are no part of `elements`.
unsafe fn copy_elements(
    spec: &TensorSpec,
    elements: Elements<'_>,
    data: *mut c_void,
    length: usize,
) -> Result<(), String> {
    if data.is_null() || length != bytes(spec) {
        return Err(format!(
            "the place for `{spec}` is null, or not of {} bytes but of {length}",
            bytes(spec)
        ));
    }
    // SAFETY: the elements are that many bytes, a session's promise; the room is by the caller's.
    unsafe { data.cast::<u8>().copy_from_nonoverlapping(address(elements).cast(), length) };
    Ok(())
}

/// Where elements are.
pub(crate) fn address(elements: Elements<'_>) -> *const c_void {
    match elements {
        Elements::F32(elements) => elements.as_ptr().cast(),
        Elements::F16(elements) => elements.as_ptr().cast(),
        Elements::I8(elements) => elements.as_ptr().cast(),
        Elements::U8(elements) => elements.as_ptr().cast(),
        Elements::I32(elements) => elements.as_ptr().cast(),
        Elements::I64(elements) => elements.as_ptr().cast(),
        Elements::Bool(elements) => elements.as_ptr().cast(),
    }
}
