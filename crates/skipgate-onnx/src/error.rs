//! What can be wrong with a model or a request.

use std::path::PathBuf;

use skipgate_core::Hint;

use crate::check::node_name;
use crate::model::{IR_VERSIONS, OPSET_VERSIONS};
use crate::proto::NodeProto;
use crate::tensor::MAX_RANK;

/// Why a model could not be read, rewritten or saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Reading or writing a file failed; the message names the file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The file was read but is not a model this crate can use.
    #[error("`{path}` is not a usable ONNX model", path = path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<Error>,
    },
    /// Not a protocol buffer of type `ModelProto`, or cut off.
    #[error("it is not an ONNX file, or it is truncated: {0}")]
    Syntax(#[from] protobuf::Error),
    /// The model has no graph.
    #[error("it has no graph; an ONNX model holds exactly one")]
    NoGraph,
    /// The file format is older or newer than the ones known here.
    #[error("it has ONNX IR version {found}, expected {} to {}", IR_VERSIONS.start(), IR_VERSIONS.end())]
    IrVersion {
        /// `ir_version` of the model.
        found: i64,
    },
    /// The operator set is older or newer than the ones known here, or missing.
    #[error("it uses operator set {}, expected {} to {}", found.map_or("<none>".to_owned(), |v| v.to_string()),
        OPSET_VERSIONS.start(), OPSET_VERSIONS.end())]
    OpsetVersion {
        /// Version of the default domain, if the model imports it.
        found: Option<i64>,
    },
    /// Two values of one scope have the same name.
    #[error("the value `{name}` is defined twice; ONNX names are assigned once")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// A node or output reads a value that nothing before it defines. Cycles end here too.
    #[error("{reader} reads `{name}`, which nothing before it defines")]
    UndefinedName {
        /// The missing name.
        name: String,
        /// Who reads it, in words.
        reader: String,
    },
    /// A tensor's data and its description disagree.
    #[error("tensor `{tensor}`: {problem}")]
    Tensor {
        /// Name of the tensor.
        tensor: String,
        /// What is wrong.
        problem: TensorProblem,
    },
    /// A node breaks the rules of its operator.
    #[error("node `{node}` ({op_type}): {problem}")]
    Node {
        /// Name of the node, or of its first output if it has none.
        node: String,
        /// Operator.
        op_type: String,
        /// What is wrong.
        problem: NodeProblem,
    },
    /// A function of the model cannot be put in the place of its calls.
    #[error("function `{function}`: {problem}")]
    Function {
        /// Domain and name of the function.
        function: String,
        /// Why not.
        problem: FunctionProblem,
    },
    /// A protocol buffer cannot hold 2 GiB or more.
    #[error("the model takes {bytes} bytes, an ONNX file without external data holds less than {}", i32::MAX)]
    TooLarge {
        /// Size of the serialised model.
        bytes: u64,
    },
    /// A metadata entry of ours is not what its key promises.
    #[error("the metadata entry `{key}` is malformed: {source}")]
    Metadata {
        /// Key in `metadata_props`.
        key: &'static str,
        /// What the JSON reader says.
        source: serde_json::Error,
    },
    /// A mask has another number of elements than the model has gates.
    #[error(transparent)]
    Mask(#[from] skipgate_core::MaskError),
    /// The model has gates, the operation needs one without.
    #[error("the model already has gates")]
    AlreadyGated,
    /// A name that gates need is used for something else.
    #[error("the model already has a value called `{name}`, the name of the gates' input")]
    NameTaken {
        /// The name.
        name: &'static str,
    },
    /// There is no block to put a gate in front of.
    #[error(
        "no block to gate: {residual} residual blocks found, {skippable} of them skippable, none selected"
    )]
    NothingToGate {
        /// Residual blocks in the model.
        residual: usize,
        /// How many of those have an identity shortcut and nothing else against a gate.
        skippable: usize,
        /// Names of those, which gating first blocks of segments too would gate.
        first: Vec<String>,
    },
    /// No input has an open dimension of this name.
    #[error("no input has an open dimension `{name}`; {}", if known.is_empty() { "all sizes are known".to_owned() } else { format!("open are {}", known.join(", ")) })]
    UnknownDimension {
        /// The name as given.
        name: String,
        /// Names of the open dimensions.
        known: Vec<String>,
    },
    /// Sizes are needed that the model leaves open.
    #[error("the model leaves the size of {} open", .names.join(", "))]
    OpenDimensions {
        /// Names of the open dimensions.
        names: Vec<String>,
    },
    /// A block name or pattern matches no residual block.
    #[error("no residual block is called `{pattern}`")]
    UnknownBlock {
        /// Name or pattern as given.
        pattern: String,
    },
    /// A block pattern does not parse.
    #[error("`{pattern}` is not a valid pattern: {message}")]
    Pattern {
        /// Pattern as given.
        pattern: String,
        /// What the pattern parser says.
        message: String,
    },
    /// A block that was asked for by name cannot be skipped.
    #[error("block `{block}` cannot be skipped: {reason}")]
    NotSkippable {
        /// Name of the block.
        block: String,
        /// Why not, in words.
        reason: String,
    },
}

/// Names that a hint lists.
const LISTED: usize = 5;

/// The first names, and how many there are besides.
fn listed(names: &[String]) -> String {
    let quoted: Vec<_> = names.iter().take(LISTED).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(LISTED) {
        0 => quoted.join(", "),
        more => format!("{} and {more} more", quoted.join(", ")),
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::InFile { source, .. } => return source.hint(),
            Self::Syntax(_) | Self::NoGraph | Self::UndefinedName { .. } | Self::DuplicateName { .. } => {
                "export the model again; `onnx.checker` in Python says more about a broken one"
            }
            Self::IrVersion { .. } | Self::OpsetVersion { .. } => {
                "export the model again with another `opset_version`, or convert it with `onnx.version_converter`"
            }
            Self::AlreadyGated | Self::NameTaken { .. } => "start from the model as it was exported",
            Self::NothingToGate { first, .. } if !first.is_empty() => {
                return Some(format!(
                    "`--gate-first` would gate {}; `skipgate compile --ungated` compiles without gates",
                    listed(first)
                ));
            }
            Self::NothingToGate { .. } => {
                "`skipgate inspect` says which blocks can be skipped; `skipgate compile --ungated` compiles without gates"
            }
            Self::UnknownBlock { .. } | Self::NotSkippable { .. } => {
                "`skipgate inspect` lists the blocks and says which can be skipped"
            }
            Self::OpenDimensions { names } => {
                return Some(format!(
                    "give each a size: {}",
                    names.iter().map(|name| format!("--dim {name}=SIZE")).collect::<Vec<_>>().join(" ")
                ));
            }
            Self::Pattern { .. } => "patterns are globs such as `layer2.*`",
            Self::Tensor { problem: TensorProblem::ExternalPath { .. }, .. } => {
                "keep the data file in the folder of the model"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// What is wrong with a tensor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorProblem {
    /// A dimension is negative.
    #[error("dimension {index} is {found}, expected 0 or more")]
    NegativeDimension {
        /// Which dimension, from 0.
        index: usize,
        /// Its value.
        found: i64,
    },
    /// More dimensions than any operator has a use for.
    #[error("it has {found} dimensions, expected at most {MAX_RANK}")]
    Rank {
        /// Number of dimensions.
        found: usize,
    },
    /// The element count or byte size exceeds the address space.
    #[error("its shape {dims:?} is too large for any memory")]
    TooLarge {
        /// The shape.
        dims: Vec<i64>,
    },
    /// The element type has no fixed-size elements, or is not known.
    #[error("element type {found} is not supported")]
    ElementType {
        /// ONNX `DataType` number.
        found: i32,
    },
    /// More or less data than the shape asks for.
    #[error("its shape takes {expected} {unit}, found {found}")]
    Length {
        /// Wanted amount.
        expected: usize,
        /// Amount in the file.
        found: usize,
        /// `bytes` or `elements`.
        unit: &'static str,
    },
    /// The external data has no location, or a malformed offset or length.
    #[error("its external data entry `{key}` is {found:?}, expected {expected}")]
    ExternalEntry {
        /// `location`, `offset` or `length`.
        key: &'static str,
        /// Value in the file.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The external data lies outside of the folder of the model.
    #[error("its external data `{location}` is outside of the folder of the model")]
    ExternalPath {
        /// Location as the model gives it.
        location: String,
    },
    /// The external data cannot be read.
    #[error("its external data `{location}` cannot be read: {reason}")]
    ExternalFile {
        /// Location as the model gives it.
        location: String,
        /// What the system says.
        reason: String,
    },
    /// The external data is no file.
    #[error("its external data `{location}` is no regular file")]
    ExternalKind {
        /// Location as the model gives it.
        location: String,
    },
    /// The external data reaches past the end of its file.
    #[error("its external data `{location}` ends at byte {end}, the file at byte {size}")]
    ExternalRange {
        /// Location as the model gives it.
        location: String,
        /// First byte after the data.
        end: u64,
        /// Size of the file.
        size: u64,
    },
    /// The model was not loaded from a folder, so its external data cannot be found.
    #[error("its data is in another file, which a model without a folder cannot have")]
    ExternalWithoutFolder,
}

impl TensorProblem {
    /// The error for the tensor called `tensor`.
    pub(crate) fn of(self, tensor: &str) -> Error {
        Error::Tensor { tensor: tensor.to_owned(), problem: self }
    }
}

/// How a node breaks the rules of its operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NodeProblem {
    /// A required input is absent.
    #[error("input {index} is missing")]
    MissingInput {
        /// Which input, from 0.
        index: usize,
    },
    /// A required attribute is absent.
    #[error("the attribute `{name}` is missing")]
    MissingAttribute {
        /// Its name.
        name: &'static str,
    },
    /// An attribute has a value or type the operator does not allow.
    #[error("the attribute `{name}` should be {expected}")]
    Attribute {
        /// Its name.
        name: &'static str,
        /// What the operator allows.
        expected: &'static str,
    },
    /// The shapes of the inputs do not fit together.
    #[error("expected {expected}, found {found}")]
    Shape {
        /// What the operator allows.
        expected: String,
        /// What it gets.
        found: String,
    },
    /// A size exceeds the address space.
    #[error("its output is too large for any memory")]
    TooLarge,
    /// It reads an element of the skip mask that is not there.
    #[error("it reads element {index} of the skip mask, which has {gates}")]
    MaskElement {
        /// The element, as the model gives it.
        index: i64,
        /// Length of the mask.
        gates: usize,
    },
    /// The node is a sound one, but the compiler would not compute what ONNX defines, or only training can.
    #[error("{reason}")]
    Unsupported {
        /// What about it, in words.
        reason: &'static str,
    },
}

impl NodeProblem {
    /// The error for `node`.
    pub(crate) fn of(self, node: &NodeProto) -> Error {
        Error::Node { node: node_name(node).to_owned(), op_type: node.op_type.clone(), problem: self }
    }
}

/// Why a function of a model cannot be put in the place of its calls.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FunctionProblem {
    /// It calls itself, perhaps through others.
    #[error("it calls itself, which ONNX forbids")]
    Recursive,
    /// Functions call each other too deeply.
    #[error("calls of functions are nested more than {limit} deep")]
    TooDeep {
        /// Most levels.
        limit: usize,
    },
    /// Written out, the calls have too many nodes.
    #[error("its calls come to more than {limit} nodes")]
    TooManyNodes {
        /// Most nodes of all functions together.
        limit: usize,
    },
    /// The function is written for another version of an operator set than the model.
    #[error("it uses version {found} of the operator set `{domain}`, the model {}",
        expected.map_or("none".to_owned(), |version| version.to_string()))]
    OpsetVersion {
        /// The operator set.
        domain: String,
        /// Version of the function.
        found: i64,
        /// Version of the model, if it imports that operator set.
        expected: Option<i64>,
    },
    /// Two functions have the same domain, name and overload.
    #[error("it is defined twice")]
    Duplicate,
    /// A call gives more inputs or takes more outputs than the function has.
    #[error(
        "`{node}` calls it with {inputs} inputs and {outputs} outputs, it has {expected_inputs} and {expected_outputs}"
    )]
    Signature {
        /// The call.
        node: String,
        /// Inputs of the call.
        inputs: usize,
        /// Outputs of the call.
        outputs: usize,
        /// Inputs of the function.
        expected_inputs: usize,
        /// Outputs of the function.
        expected_outputs: usize,
    },
}
