//! `manifest.json`: what an artifact is, and the check that a reader makes of it.
//!
//! The file is JSON. `format_version` comes first and is read before anything else, so that a reader that is too old
//! says so instead of stumbling over a field it does not know. Everything a reader needs to refuse an artifact
//! (format, IREE version, target, ABI, hashes) is here, so that no byte of machine code is loaded before it fits.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::{
    CompileOptions, Coverage, ElementType, FileDigest, Gate, Hint, Preprocessing, Scores, SkipMask, Target,
    class_count,
};

/// Version of the manifest format that this crate reads and writes.
pub const FORMAT_VERSION: u32 = 5;
/// File name of the manifest in an artifact folder.
pub const MANIFEST_FILE: &str = "manifest.json";
/// File name of the signature of the manifest, in minisign's format.
pub const SIGNATURE_FILE: &str = "manifest.json.minisig";
/// File name of the compiled network in an artifact folder.
pub const VMFB_FILE: &str = "model.vmfb";
/// Most elements of an input or output. Whoever asks for more of a manifest asks for memory that no board has.
pub const MOST_ELEMENTS: usize = 1 << 28;
/// Most dimensions of an input or output.
pub const MOST_DIMENSIONS: usize = 16;
/// The IREE release whose compiler writes artifacts and whose runtime reads them.
pub const IREE_VERSION: &str = "3.13.0";
/// Revision of the compiler in the PyPI wheel of [`IREE_VERSION`], as it reports itself.
pub const IREE_REVISION: &str = "89ece87b89852100c0a4ac3d515e14842d090967";

/// Everything about an artifact but the code itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this format.
    pub format_version: u32,
    /// Program that wrote the artifact, such as `skipgate 0.1.0`.
    pub generator: String,
    /// The compiler that made the code.
    pub iree: IreeVersion,
    /// Machine that the code is for.
    pub target: Target,
    /// How it was compiled.
    pub options: CompileOptions,
    /// How to call it.
    pub abi: Abi,
    /// The gates, in mask order.
    pub gates: Vec<Gate>,
    /// What became of its layers and gates.
    pub coverage: Coverage,
    /// How an image becomes the input tensor; `None` when the model does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preprocessing: Option<Preprocessing>,
    /// Names of the classes, in logit order; empty when the model does not say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_names: Vec<String>,
    /// What the numbers of the first output are, if they are one for each class.
    #[serde(default)]
    pub scores: Scores,
    /// SHA-256 of the ONNX file that was compiled, in hexadecimal.
    pub model_sha256: String,
    /// Size and SHA-256 of the other files of the artifact, by file name. `model.vmfb` is always among them; those that are added
    /// later are once the artifact is signed.
    pub files: BTreeMap<String, FileDigest>,
}

/// A vmfb only loads in a runtime of its own version: bytecode, HAL module and ELF library version independently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct IreeVersion {
    /// Release, such as `3.13.0`.
    pub version: String,
    /// Revision the compiler reports.
    pub revision: String,
}

/// Entry points, inputs and outputs of the compiled network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Abi {
    /// Fully qualified name of the function that takes any mask, `module.function`.
    pub entry_point: String,
    /// Functions for one mask each, which are faster: they have no gates. They take the same inputs.
    pub specialised: Vec<EntryPoint>,
    /// The inputs of the model in its order, then, if there is a gate, the skip mask.
    pub inputs: Vec<TensorSpec>,
    /// The outputs of the model in its order.
    pub outputs: Vec<TensorSpec>,
    /// What inputs may hold that the network uses as indices, in the order of their nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub index_inputs: Vec<IndexInput>,
}

/// An input whose elements are indices. The code does not check them: whoever runs it has to, before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct IndexInput {
    /// Name of the input.
    pub input: String,
    /// The least index: negative ones count from the end.
    pub least: i64,
    /// The largest index.
    pub most: i64,
    /// The ONNX node that uses them, as `Operator name`.
    pub node: String,
}

/// A function for one configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct EntryPoint {
    /// The only mask that it computes.
    pub mask: SkipMask,
    /// Its fully qualified name, `module.function`.
    pub function: String,
}

/// Name, shape and element type of a tensor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TensorSpec {
    /// Name in the ONNX model.
    pub name: String,
    /// Extent of every dimension, outermost first.
    pub shape: Vec<usize>,
    /// Element type.
    pub element_type: ElementType,
}

impl Abi {
    /// What `input` may hold, if the network uses it as indices.
    pub fn indices(&self, input: &str) -> Option<RangeInclusive<i64>> {
        let limits = self.index_inputs.iter().filter(|limit| limit.input == input);
        limits
            .map(|limit| limit.least..=limit.most)
            .reduce(|a, b| *a.start().max(b.start())..=*a.end().min(b.end()))
    }
}

impl TensorSpec {
    /// Number of elements; `None` if it does not fit into the address space.
    pub fn elements(&self) -> Option<usize> {
        self.shape.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent))
    }

    /// Fails unless it has a name and is of a rank and size that can be allocated.
    fn check(&self) -> Result<(), ManifestError> {
        let elements = self.elements().filter(|elements| *elements <= MOST_ELEMENTS);
        if !self.name.is_empty() && elements.is_some() && self.shape.len() <= MOST_DIMENSIONS {
            return Ok(());
        }
        Err(ManifestError::Inconsistent(format!("tensor `{self}` has no name or an impossible shape")))
    }
}

impl fmt::Display for TensorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}{:?}", self.name, self.element_type, self.shape)
    }
}

/// A network has several inputs or outputs, or one of another type than f32, where only one f32 tensor will do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a network with one {side}, of type f32, found {found}")]
pub struct NotOneF32 {
    /// `input` or `output`.
    pub side: &'static str,
    /// Its inputs or outputs, in words.
    pub found: String,
}

/// Why a manifest is not usable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Not JSON, or not the fields of this format.
    #[error("it is not a valid manifest: {0}")]
    Syntax(#[from] serde_json::Error),
    /// Written in a format this program does not know.
    #[error("it has format version {found}, this program reads version {FORMAT_VERSION}")]
    FormatVersion {
        /// Version in the file.
        found: u32,
    },
    /// The fields contradict each other.
    #[error("it contradicts itself: {0}")]
    Inconsistent(String),
}

impl Hint for ManifestError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::FormatVersion { found } if *found > FORMAT_VERSION => {
                "update skipgate, or compile the model again with this version".to_owned()
            }
            _ => "compile the model again with `skipgate compile`".to_owned(),
        })
    }
}

/// The one field that every format version has.
#[derive(Deserialize)]
struct Versioned {
    format_version: u32,
}

impl Manifest {
    /// Reads a manifest and checks that it agrees with itself.
    pub fn from_json(text: &str) -> Result<Self, ManifestError> {
        let Versioned { format_version: found } = serde_json::from_str(text)?;
        if found != FORMAT_VERSION {
            return Err(ManifestError::FormatVersion { found });
        }
        let manifest: Self = serde_json::from_str(text)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The manifest as indented JSON with a final newline. Equal manifests give equal text.
    ///
    /// # Panics
    ///
    /// Never: every field has a JSON form.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("every field has a JSON form");
        text.push('\n');
        text
    }

    /// The inputs of the model in its order, without the mask.
    pub fn inputs(&self) -> &[TensorSpec] {
        let masks = usize::from(!self.gates.is_empty());
        &self.abi.inputs[..self.abi.inputs.len().saturating_sub(masks)]
    }

    /// The input that takes the skip mask; `None` in a network without gates.
    pub fn mask(&self) -> Option<&TensorSpec> {
        self.abi.inputs.get(self.inputs().len())
    }

    /// The outputs of the model in its order.
    pub fn outputs(&self) -> &[TensorSpec] {
        &self.abi.outputs
    }

    /// The input of a network that has one, of type f32.
    ///
    /// # Errors
    ///
    /// [`NotOneF32`] for any other network.
    pub fn image(&self) -> Result<&TensorSpec, NotOneF32> {
        only_f32(self.inputs(), "input")
    }

    /// The output of a network that has one, of type f32.
    ///
    /// # Errors
    ///
    /// [`NotOneF32`] for any other network.
    pub fn logits(&self) -> Result<&TensorSpec, NotOneF32> {
        only_f32(self.outputs(), "output")
    }

    fn check(&self) -> Result<(), ManifestError> {
        let bad = |message: String| Err(ManifestError::Inconsistent(message));
        let masks = usize::from(!self.gates.is_empty());
        if self.abi.inputs.len() < masks || self.abi.outputs.is_empty() {
            return bad(format!(
                "with {} gates there must be at least {masks} inputs and 1 output, found {} and {}",
                self.gates.len(),
                self.abi.inputs.len(),
                self.abi.outputs.len()
            ));
        }
        for tensors in [&self.abi.inputs, &self.abi.outputs] {
            let mut names = HashSet::new();
            for tensor in tensors {
                tensor.check()?;
                if !names.insert(&tensor.name) {
                    return bad(format!("there are two tensors `{}`", tensor.name));
                }
            }
        }
        let is_mask = |tensor: &TensorSpec| {
            tensor.element_type == ElementType::Bool && tensor.shape == [self.gates.len()]
        };
        if let Some(mask) = self.mask().filter(|tensor| !is_mask(tensor)) {
            return bad(format!(
                "the last input must be the mask, bool[{}], it is `{mask}`",
                self.gates.len()
            ));
        }
        if let Some(other) = self.abi.specialised.iter().find(|entry| entry.mask.len() != self.gates.len()) {
            return bad(format!("`{}` is for the mask {} of another length", other.function, other.mask));
        }
        let is_input = |name: &str| self.inputs().iter().any(|input| input.name == name);
        if let Some(indices) = self.abi.index_inputs.iter().find(|indices| !is_input(&indices.input)) {
            return bad(format!("there is no input `{}`, which `{}` uses", indices.input, indices.node));
        }
        if !self.files.contains_key(VMFB_FILE) {
            return bad(format!("there is no hash of `{VMFB_FILE}`"));
        }
        if let Some(other) = self.files.keys().find(|name| !is_file_name(name)) {
            return bad(format!("`{other}` is no name of a file in the artifact"));
        }
        self.check_preprocessing()
    }

    fn check_preprocessing(&self) -> Result<(), ManifestError> {
        let image = self.inputs().first().map_or(&[][..], |image| &image.shape);
        let size = self.preprocessing.as_ref().map(|preprocessing| preprocessing.size(image)).transpose();
        size.map_err(ManifestError::Inconsistent)?;
        self.check_class_names()
    }

    fn check_class_names(&self) -> Result<(), ManifestError> {
        let classes = self.abi.outputs.first().map_or(0, |output| class_count(&output.shape));
        if self.class_names.is_empty() || self.class_names.len() == classes {
            return Ok(());
        }
        let names = self.class_names.len();
        Err(ManifestError::Inconsistent(format!("{names} class names for a network of {classes} classes")))
    }
}

/// Whether `name` stands for a file in a folder, and none elsewhere.
fn is_file_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\0'])
}

/// The one of `tensors`, which is f32.
fn only_f32<'t>(tensors: &'t [TensorSpec], side: &'static str) -> Result<&'t TensorSpec, NotOneF32> {
    match tensors {
        [tensor] if tensor.element_type == ElementType::F32 => Ok(tensor),
        _ => {
            let listed: Vec<_> = tensors.iter().map(|tensor| format!("`{tensor}`")).collect();
            let found = if listed.is_empty() { "none".to_owned() } else { listed.join(", ") };
            Err(NotOneF32 { side, found })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ColorMode, Interpolation, Layout, Resize};

    fn manifest() -> Manifest {
        let tensor = |name: &str, shape: &[usize], element_type| TensorSpec {
            name: name.to_owned(),
            shape: shape.to_vec(),
            element_type,
        };
        let gate = |block: &str| Gate { block: block.to_owned(), segment: 0, macs: 10, parameters: 5 };
        Manifest {
            format_version: FORMAT_VERSION,
            generator: "skipgate 0.1.0".to_owned(),
            iree: IreeVersion { version: IREE_VERSION.to_owned(), revision: IREE_REVISION.to_owned() },
            target: Target::named("odroid-xu4").unwrap(),
            options: CompileOptions::default(),
            abi: Abi {
                entry_point: "skipgate.run".to_owned(),
                specialised: vec![EntryPoint {
                    mask: SkipMask::all_skip(2),
                    function: "skipgate.run_0".to_owned(),
                }],
                inputs: vec![
                    tensor("image", &[1, 3, 32, 32], ElementType::F32),
                    tensor("skip_mask", &[2], ElementType::Bool),
                ],
                outputs: vec![tensor("logits", &[1, 10], ElementType::F32)],
                index_inputs: vec![],
            },
            gates: vec![gate("a"), gate("b")],
            coverage: Coverage::default(),
            preprocessing: Some(Preprocessing {
                color: ColorMode::Rgb,
                resize: Resize::Stretch,
                interpolation: Interpolation::Bilinear,
                layout: Layout::Nchw,
                mean: vec![0.5; 3],
                std: vec![0.25; 3],
            }),
            class_names: vec![],
            scores: Scores::Logits,
            model_sha256: "00".repeat(32),
            files: [(VMFB_FILE.to_owned(), FileDigest::of(b"code"))].into(),
        }
    }

    /// Writes the manifest after `edit` and reads it again.
    fn reread(edit: impl FnOnce(&mut Manifest)) -> Result<Manifest, String> {
        let mut manifest = manifest();
        edit(&mut manifest);
        Manifest::from_json(&manifest.to_json()).map_err(|error| error.to_string())
    }

    #[test]
    fn round_trips_through_json() {
        assert_eq!(reread(|_| ()).unwrap(), manifest());
    }

    #[test]
    fn a_newer_format_is_refused_before_its_fields_are_read() {
        let error = Manifest::from_json(r#"{"format_version": 6, "novelty": true}"#).unwrap_err();
        assert_eq!(error.to_string(), "it has format version 6, this program reads version 5");
        assert!(error.hint().unwrap().starts_with("update skipgate"));
    }

    #[test]
    fn a_mask_of_another_length_than_the_gate_table_is_refused() {
        let error = reread(|m| m.abi.inputs[1].shape = vec![3]).unwrap_err();
        assert!(error.contains("must be the mask, bool[2], it is `skip_mask: bool[3]`"), "{error}");
    }

    #[test]
    fn an_entry_point_for_a_mask_of_another_length_is_refused() {
        let error = reread(|m| m.abi.specialised[0].mask = SkipMask::all_run(3)).unwrap_err();
        assert!(error.contains("`skipgate.run_0` is for the mask 111 of another length"), "{error}");
    }

    #[test]
    fn a_missing_mask_is_refused() {
        let error = reread(|m| drop(m.abi.inputs.pop())).unwrap_err();
        assert!(error.contains("must be the mask, bool[2], it is `image: f32[1, 3, 32, 32]`"), "{error}");
        let error = reread(|m| m.abi.inputs.clear()).unwrap_err();
        assert!(error.contains("at least 1 inputs and 1 output, found 0 and 1"), "{error}");
    }

    #[test]
    fn two_outputs_of_one_name_are_refused() {
        let error = reread(|m| m.abi.outputs.push(m.abi.outputs[0].clone())).unwrap_err();
        assert!(error.contains("there are two tensors `logits`"), "{error}");
    }

    #[test]
    fn only_one_float_tensor_is_an_image_or_logits() {
        let mut manifest = manifest();
        assert_eq!(manifest.image().unwrap().name, "image");
        assert_eq!(manifest.logits().unwrap().name, "logits");
        manifest.abi.outputs[0].element_type = ElementType::I64;
        let error = manifest.logits().unwrap_err().to_string();
        assert_eq!(error, "expected a network with one output, of type f32, found `logits: i64[1, 10]`");
    }

    #[test]
    fn a_shape_too_large_for_any_machine_is_refused() {
        let error = reread(|m| m.abi.inputs[0].shape = vec![usize::MAX, 2]).unwrap_err();
        assert!(error.contains("tensor `image: f32[") && error.ends_with("impossible shape"), "{error}");
    }

    #[test]
    fn preprocessing_for_another_number_of_channels_is_refused() {
        let error = reread(|m| m.preprocessing.as_mut().unwrap().color = ColorMode::Gray).unwrap_err();
        assert!(error.contains("preprocessing for 1 channels"), "{error}");
    }

    #[test]
    fn class_names_are_as_many_as_classes() {
        let named = |count: usize| reread(|m| m.class_names = vec!["cat".to_owned(); count]);
        assert_eq!(named(10).unwrap().class_names.len(), 10);
        let error = named(9).unwrap_err();
        assert!(error.ends_with("9 class names for a network of 10 classes"), "{error}");
    }

    #[test]
    fn a_missing_hash_is_refused() {
        let error = reread(|m| m.files.clear()).unwrap_err();
        assert!(error.contains("no hash of `model.vmfb`"), "{error}");
    }

    #[test]
    fn a_hash_of_a_file_elsewhere_is_refused() {
        for name in ["", ".", "..", "../model.vmfb", "/etc/passwd", "a/b"] {
            let error = reread(|m| drop(m.files.insert(name.to_owned(), FileDigest::of(b"")))).unwrap_err();
            assert!(error.contains("is no name of a file in the artifact"), "{error}");
        }
    }
}
