//! One ONNX model in memory: load, save.

use std::io::Write;
use std::ops::RangeInclusive;
use std::path::Path;

use crate::proto::{GraphProto, ModelProto};
use protobuf::Message;

use crate::error::Error;
use crate::{check, external, operator_set, order};

/// ONNX IR versions (`ModelProto.ir_version`) that can be read.
pub const IR_VERSIONS: RangeInclusive<i64> = 3..=14;
/// Versions of the default operator set that can be read.
pub const OPSET_VERSIONS: RangeInclusive<i64> = 6..=28;

/// One ONNX model in memory, checked, with every tensor's data inside.
///
/// What holds for every model: there is one graph, its IR and operator set versions are known, each name is assigned
/// once and before it is read (so there are no cycles), and every tensor of a known element type has exactly the
/// data its shape takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    proto: ModelProto,
}

impl Model {
    /// Reads the file at `path`. External data is read too; it must lie in the folder of the model.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let bytes = fs_err::read(path)?;
        parse(&bytes)
            .and_then(|mut proto| {
                external::inline(&mut proto, path)?;
                Self::from_proto(proto)
            })
            .map_err(|error| match error {
                Error::Io(_) => error,
                _ => Error::InFile { path: path.to_owned(), source: Box::new(error) },
            })
    }

    /// Reads a serialised model that has no external data.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        Self::from_proto(parse(bytes)?)
    }

    /// Takes a parsed model that has no external data. Nodes that stand in front of what they read are moved behind it.
    pub fn from_proto(mut proto: ModelProto) -> Result<Self, Error> {
        order::sort(&mut proto);
        operator_set::complete(&mut proto);
        check::model(&proto)?;
        Ok(Self { proto })
    }

    /// Writes the model to `path`, through a temporary file in the same folder, so that `path` is never half
    /// written. All data goes into the one file; from 2 GiB on that is an error.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let bytes = self.to_bytes()?;
        let folder = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
        let in_path = |error: std::io::Error| {
            Error::Io(std::io::Error::new(
                error.kind(),
                format!("cannot write `{}`: {error}", path.display()),
            ))
        };
        let mut file = tempfile::Builder::new()
            .prefix(".skipgate-")
            .permissions(default_permissions())
            .tempfile_in(folder)
            .map_err(in_path)?;
        file.write_all(&bytes).map_err(in_path)?;
        file.persist(path).map_err(|error| in_path(error.error))?;
        Ok(())
    }

    /// The serialised model. Equal models give equal bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let bytes = self.proto.compute_size();
        if i32::try_from(bytes).is_err() {
            return Err(Error::TooLarge { bytes });
        }
        Ok(self.proto.write_to_bytes()?)
    }

    /// Version of the operator set of ONNX itself.
    pub fn opset(&self) -> i64 {
        // Reading a model refuses one that has none.
        check::opset(&self.proto).unwrap_or_default()
    }

    /// The model as ONNX defines it. All tensor data is inside.
    pub fn proto(&self) -> &ModelProto {
        &self.proto
    }

    /// The main graph.
    pub(crate) fn graph(&self) -> &GraphProto {
        &self.proto.graph
    }

    /// A changed copy, checked again: a rewrite that breaks the invariants is an error and not a broken file.
    pub(crate) fn edited(
        &self,
        edit: impl FnOnce(&mut ModelProto) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let mut proto = self.proto.clone();
        edit(&mut proto)?;
        Self::from_proto(proto)
    }
}

fn parse(bytes: &[u8]) -> Result<ModelProto, Error> {
    Ok(ModelProto::parse_from_bytes(bytes)?)
}

/// What a file created in the ordinary way gets, before the umask; temporary files are private otherwise.
fn default_permissions() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o666)
}
