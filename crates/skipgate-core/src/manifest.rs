//! `manifest.json`: what an artifact is, and the check that a reader makes of it.
//!
//! The file is JSON. `format_version` comes first and is read before anything else, so that a reader that is too old
//! says so instead of stumbling over a field it does not know. Everything a reader needs to refuse an artifact
//! (format, IREE version, target, ABI, hashes) is here, so that no byte of machine code is loaded before it fits.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{CompileOptions, Coverage, Gate, Hint, Preprocessing, Scores, SkipMask, Target, class_count};

/// Version of the manifest format that this crate reads and writes.
pub const FORMAT_VERSION: u32 = 4;
/// File name of the manifest in an artifact folder.
pub const MANIFEST_FILE: &str = "manifest.json";
/// File name of the compiled network in an artifact folder.
pub const VMFB_FILE: &str = "model.vmfb";
/// The IREE release whose compiler writes artifacts and whose runtime reads them.
pub const IREE_VERSION: &str = "3.13.0";
/// Revision of the compiler in the PyPI wheel of [`IREE_VERSION`], as it reports itself.
pub const IREE_REVISION: &str = "89ece87b89852100c0a4ac3d515e14842d090967";

/// Everything about an artifact but the code itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// SHA-256 of every other file of the artifact that belongs to the code, in hexadecimal, by file name.
    pub files: BTreeMap<String, String>,
}

/// A vmfb only loads in a runtime of its own version: bytecode, HAL module and ELF library version independently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IreeVersion {
    /// Release, such as `3.13.0`.
    pub version: String,
    /// Revision the compiler reports.
    pub revision: String,
}

/// Entry points, inputs and outputs of the compiled network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Abi {
    /// Fully qualified name of the function that takes any mask, `module.function`.
    pub entry_point: String,
    /// Functions for one mask each, which are faster: they have no gates. They take the same inputs.
    pub specialised: Vec<EntryPoint>,
    /// The image, then, if there is a gate, the skip mask.
    pub inputs: Vec<TensorSpec>,
    /// The logits.
    pub outputs: Vec<TensorSpec>,
}

/// A function for one configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryPoint {
    /// The only mask that it computes.
    pub mask: SkipMask,
    /// Its fully qualified name, `module.function`.
    pub function: String,
}

/// Name, shape and element type of a tensor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorSpec {
    /// Name in the ONNX model.
    pub name: String,
    /// Extent of every dimension, outermost first.
    pub shape: Vec<usize>,
    /// Element type.
    pub element_type: ElementType,
}

impl TensorSpec {
    /// Number of elements; `None` if it does not fit into the address space.
    pub fn elements(&self) -> Option<usize> {
        self.shape.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent))
    }
}

/// Element types that cross the ABI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ElementType {
    /// IEEE 754 single precision.
    F32,
    /// One byte per element, 0 or 1.
    Bool,
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

    /// The image input.
    ///
    /// # Panics
    ///
    /// Never for a manifest that [`Manifest::from_json`] returned.
    pub fn image(&self) -> &TensorSpec {
        &self.abi.inputs[0]
    }

    /// The logits output.
    ///
    /// # Panics
    ///
    /// Never for a manifest that [`Manifest::from_json`] returned.
    pub fn logits(&self) -> &TensorSpec {
        &self.abi.outputs[0]
    }

    fn check(&self) -> Result<(), ManifestError> {
        let bad = |message: String| Err(ManifestError::Inconsistent(message));
        let wanted = 1 + usize::from(!self.gates.is_empty());
        if self.abi.inputs.len() != wanted || self.abi.outputs.len() != 1 {
            return bad(format!(
                "with {} gates there must be {wanted} inputs and 1 output, found {} and {}",
                self.gates.len(),
                self.abi.inputs.len(),
                self.abi.outputs.len()
            ));
        }
        for tensor in [self.image(), self.logits()] {
            // Ranks past 16 and gigabyte tensors are no image classifier: refuse before allocating.
            let elements = tensor.elements().filter(|n| (1..=1 << 28).contains(n));
            if tensor.element_type != ElementType::F32 || elements.is_none() || tensor.shape.len() > 16 {
                return bad(format!(
                    "`{}` must be f32 with a non-empty shape, is {:?}",
                    tensor.name, tensor.shape
                ));
            }
        }
        let is_mask = |tensor: &TensorSpec| {
            tensor.element_type == ElementType::Bool && tensor.shape == [self.gates.len()]
        };
        if let Some(mask) = self.abi.inputs.get(1).filter(|tensor| !is_mask(tensor)) {
            return bad(format!("`{}` must be bool[{}], is {:?}", mask.name, self.gates.len(), mask.shape));
        }
        if let Some(other) = self.abi.specialised.iter().find(|entry| entry.mask.len() != self.gates.len()) {
            return bad(format!("`{}` is for the mask {} of another length", other.function, other.mask));
        }
        if !self.files.contains_key(VMFB_FILE) {
            return bad(format!("there is no hash of `{VMFB_FILE}`"));
        }
        self.check_preprocessing()
    }

    fn check_preprocessing(&self) -> Result<(), ManifestError> {
        let image = self.abi.inputs.first().map_or(&[][..], |image| &image.shape);
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
            files: [(VMFB_FILE.to_owned(), "00".repeat(32))].into(),
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
        let error = Manifest::from_json(r#"{"format_version": 5, "novelty": true}"#).unwrap_err();
        assert_eq!(error.to_string(), "it has format version 5, this program reads version 4");
        assert!(error.hint().unwrap().starts_with("update skipgate"));
    }

    #[test]
    fn a_mask_of_another_length_than_the_gate_table_is_refused() {
        let error = reread(|m| m.abi.inputs[1].shape = vec![3]).unwrap_err();
        assert!(error.contains("`skip_mask` must be bool[2], is [3]"), "{error}");
    }

    #[test]
    fn an_entry_point_for_a_mask_of_another_length_is_refused() {
        let error = reread(|m| m.abi.specialised[0].mask = SkipMask::all_run(3)).unwrap_err();
        assert!(error.contains("`skipgate.run_0` is for the mask 111 of another length"), "{error}");
    }

    #[test]
    fn a_missing_input_is_refused() {
        let error = reread(|m| drop(m.abi.inputs.pop())).unwrap_err();
        assert!(error.contains("there must be 2 inputs and 1 output, found 1 and 1"), "{error}");
    }

    #[test]
    fn a_shape_too_large_for_any_machine_is_refused() {
        let error = reread(|m| m.abi.inputs[0].shape = vec![usize::MAX, 2]).unwrap_err();
        assert!(error.contains("`image` must be f32"), "{error}");
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
}
