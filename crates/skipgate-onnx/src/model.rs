//! One ONNX model in memory: load, save.

use std::ops::RangeInclusive;
use std::path::Path;

use crate::proto::{GraphProto, ModelProto};
use protobuf::Message;
use skipgate_core::file;

use crate::error::Error;
use crate::{check, external, operator_set, order, unknown};

/// ONNX IR versions (`ModelProto.ir_version`) that can be read.
pub const IR_VERSIONS: RangeInclusive<i64> = 3..=14;
/// Versions of the default operator set that can be read.
pub const OPSET_VERSIONS: RangeInclusive<i64> = 6..=28;

/// Most bytes of a file with a model, which are those that a protocol buffer takes.
pub const MAX_BYTES: u64 = i32::MAX as u64;

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
        let bytes = file::read(path, MAX_BYTES)?;
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
        unknown::sort(&mut proto);
        check::model(&proto)?;
        Ok(Self { proto })
    }

    /// Writes the model to `path`, through a temporary file in the same folder, so that `path` is never half
    /// written. What does not fit into one file, from 2 GiB on, has its weights in a second one beside it, called as the
    /// first one and `.data`, which is there first.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        self.save_within(path, MAX_BYTES)
    }

    /// Saves, with at most `limit` bytes in the file at `path`.
    fn save_within(&self, path: &Path, limit: u64) -> Result<(), Error> {
        if self.proto.compute_size() <= limit {
            return write(path, &self.proto);
        }
        let mut proto = self.proto.clone();
        let mut data = path.as_os_str().to_owned();
        data.push(".data");
        let data = Path::new(&data);
        let location = data.file_name().unwrap_or_default().to_string_lossy().into_owned();
        file::write_whole_with(data, |file| external::move_out(&mut proto, &location, file))?;
        let bytes = proto.compute_size();
        if bytes > limit {
            return Err(Error::TooLarge { bytes });
        }
        write(path, &proto)
    }

    /// The serialised model. Equal models give equal bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let bytes = self.proto.compute_size();
        if bytes > MAX_BYTES {
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

fn write(path: &Path, proto: &ModelProto) -> Result<(), Error> {
    Ok(file::write_whole(path, &proto.write_to_bytes()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::TensorProto;
    use crate::tensor::element_type::FLOAT;

    /// A model with two weights that are worth a file of their own, and one that is not.
    fn model() -> Model {
        let weight = |name: &str, count: u16, byte: u8| TensorProto {
            name: name.to_owned(),
            data_type: FLOAT,
            dims: vec![count.into()],
            raw_data: vec![byte; 4 * usize::from(count)],
            ..TensorProto::default()
        };
        let mut proto = ModelProto { ir_version: 8, ..ModelProto::default() };
        proto.opset_import.push(crate::proto::OperatorSetIdProto { version: 17, ..Default::default() });
        let graph = proto.graph.mut_or_insert_default();
        graph.name = "weights".to_owned();
        graph.initializer = vec![weight("a", 1000, 1), weight("b", 3, 2), weight("c", 2000, 3)];
        Model::from_proto(proto).unwrap()
    }

    #[test]
    fn what_is_too_large_for_one_file_has_its_weights_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.onnx");
        model().save_within(&path, 1000).unwrap();
        assert_eq!(Model::load(&path).unwrap(), model());
        assert!(fs_err::metadata(&path).unwrap().len() < 1000);
        assert_eq!(fs_err::metadata(folder.path().join("large.onnx.data")).unwrap().len(), 4096 + 8000);
        assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 2, "a temporary file stayed behind");
        let error = model().save_within(&path, 100).unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    }
}
