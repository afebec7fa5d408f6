//! Brings external tensor data into the model, and out of one that is too large for one file.
//!
//! ONNX keeps large tensors in files beside the model (`TensorProto.external_data`: `location` relative to the folder
//! of the model, `offset` and `length` in bytes, both optional).

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};

use crate::proto::tensor_proto::DataLocation;
use crate::proto::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto,
};
use skipgate_core::file;

use crate::error::{Error, TensorProblem};
use crate::tensor::{byte_count, is_external};

/// Where external data may lie.
struct Folders {
    /// The folder of the model, which locations are relative to.
    model: PathBuf,
    /// That folder, and the one that a model that is a link lies in, as in the cache of Hugging Face; links followed.
    allowed: Vec<PathBuf>,
}

impl Folders {
    fn of(model: &Path) -> Result<Self, Error> {
        let folder = model.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
        let file = fs_err::canonicalize(model)?;
        let linked = file.parent().map(Path::to_owned);
        let allowed = [fs_err::canonicalize(folder)?].into_iter().chain(linked).collect();
        Ok(Self { model: folder.to_owned(), allowed })
    }
}

/// Reads the external data of every tensor in `model`, which is the file at `path`, into the tensor itself.
pub(crate) fn inline(model: &mut ModelProto, path: &Path) -> Result<(), Error> {
    let folders = Folders::of(path)?;
    let mut load = |tensor: &mut TensorProto| load(tensor, &folders);
    if let Some(graph) = model.graph.as_mut() {
        visit_graph(graph, &mut load)?;
    }
    model
        .functions
        .iter_mut()
        .try_for_each(|function: &mut FunctionProto| visit_nodes(&mut function.node, &mut load))
}

/// What data in other files begins at a multiple of, in bytes, so that it can be mapped: a page.
const ALIGNMENT: u64 = 4096;

/// Least data that is worth an entry.
const LEAST: usize = 1024;

/// Moves the data of large initialisers out of `model` into `file`, which is called `location` in its folder.
pub(crate) fn move_out(model: &mut ModelProto, location: &str, file: &mut impl Write) -> io::Result<()> {
    let Some(graph) = model.graph.as_mut() else { return Ok(()) };
    let mut end = 0u64;
    for tensor in graph.initializer.iter_mut().filter(|tensor| tensor.raw_data.len() >= LEAST) {
        let data = std::mem::take(&mut tensor.raw_data);
        let offset = end.next_multiple_of(ALIGNMENT);
        io::copy(&mut io::repeat(0).take(offset - end), file)?;
        file.write_all(&data)?;
        end = offset + data.len() as u64;
        tensor.data_location = DataLocation::EXTERNAL.into();
        tensor.external_data = vec![
            entry_of("location", location.to_owned()),
            entry_of("offset", offset.to_string()),
            entry_of("length", data.len().to_string()),
        ];
    }
    Ok(())
}

fn entry_of(key: &str, value: String) -> StringStringEntryProto {
    StringStringEntryProto { key: key.to_owned(), value, ..StringStringEntryProto::default() }
}

type Visit<'v> = &'v mut dyn FnMut(&mut TensorProto) -> Result<(), Error>;

fn visit_graph(graph: &mut GraphProto, visit: Visit) -> Result<(), Error> {
    graph.initializer.iter_mut().try_for_each(&mut *visit)?;
    for sparse in &mut graph.sparse_initializer {
        sparse.values.as_mut().map_or(Ok(()), &mut *visit)?;
        sparse.indices.as_mut().map_or(Ok(()), &mut *visit)?;
    }
    visit_nodes(&mut graph.node, visit)
}

fn visit_nodes(nodes: &mut [NodeProto], visit: Visit) -> Result<(), Error> {
    nodes
        .iter_mut()
        .flat_map(|node| &mut node.attribute)
        .try_for_each(|attribute| visit_attribute(attribute, visit))
}

fn visit_attribute(attribute: &mut AttributeProto, visit: Visit) -> Result<(), Error> {
    attribute.t.as_mut().map_or(Ok(()), &mut *visit)?;
    attribute.tensors.iter_mut().try_for_each(&mut *visit)?;
    attribute.g.as_mut().map_or(Ok(()), |graph| visit_graph(graph, visit))?;
    attribute.graphs.iter_mut().try_for_each(|graph| visit_graph(graph, visit))
}

fn load(tensor: &mut TensorProto, folders: &Folders) -> Result<(), Error> {
    if !is_external(tensor) {
        return Ok(());
    }
    tensor.raw_data = read(tensor, folders)?;
    tensor.external_data.clear();
    tensor.data_location = DataLocation::DEFAULT.into();
    Ok(())
}

fn read(tensor: &TensorProto, folders: &Folders) -> Result<Vec<u8>, Error> {
    let location = entry(tensor, "location").unwrap_or_default();
    let path = resolve(tensor, location, folders)?;
    // Opening a pipe would wait for somebody who writes into it.
    if !fs_err::metadata(&path)?.is_file() {
        return Err(TensorProblem::ExternalKind { location: location.to_owned() }.of(&tensor.name));
    }
    let mut file = file::open(path)?;
    let size = file.metadata()?.len();
    let offset = number(tensor, "offset")?.unwrap_or(0);
    let length = number(tensor, "length")?.unwrap_or(size.saturating_sub(offset));
    let end = offset.saturating_add(length);
    if end > size {
        return Err(
            TensorProblem::ExternalRange { location: location.to_owned(), end, size }.of(&tensor.name)
        );
    }
    // Compared before reading: a sparse file can claim any size.
    let expected = byte_count(tensor)?;
    if usize::try_from(length) != Ok(expected) {
        let found = usize::try_from(length).unwrap_or(usize::MAX);
        return Err(TensorProblem::Length { expected, found, unit: "bytes" }.of(&tensor.name));
    }
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(expected)
        .map_err(|_| TensorProblem::TooLarge { dims: tensor.dims.clone() }.of(&tensor.name))?;
    file.seek(SeekFrom::Start(offset))?;
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Where the data is, if that is inside of an allowed folder after every link is followed.
fn resolve(tensor: &TensorProto, location: &str, folders: &Folders) -> Result<PathBuf, Error> {
    if location.is_empty() {
        let (key, expected) = ("location", "a path relative to the model");
        return Err(TensorProblem::ExternalEntry { key, found: String::new(), expected }.of(&tensor.name));
    }
    let outside = || TensorProblem::ExternalPath { location: location.to_owned() }.of(&tensor.name);
    let stays = |part: Component| matches!(part, Component::Normal(_) | Component::CurDir);
    if !Path::new(location).components().all(stays) {
        return Err(outside());
    }
    let file = fs_err::canonicalize(folders.model.join(location)).map_err(|source| {
        TensorProblem::ExternalFile { location: location.to_owned(), reason: source.to_string() }
            .of(&tensor.name)
    })?;
    if folders.allowed.iter().any(|folder| file.starts_with(folder)) { Ok(file) } else { Err(outside()) }
}

fn entry<'t>(tensor: &'t TensorProto, key: &str) -> Option<&'t str> {
    tensor.external_data.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
}

fn number(tensor: &TensorProto, key: &'static str) -> Result<Option<u64>, Error> {
    let Some(text) = entry(tensor, key) else { return Ok(None) };
    let malformed = |_| {
        let expected = "a number of bytes";
        TensorProblem::ExternalEntry { key, found: text.to_owned(), expected }.of(&tensor.name)
    };
    text.parse().map(Some).map_err(malformed)
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::tensor::element_type::FLOAT;

    fn external(entries: &[(&str, &str)]) -> TensorProto {
        TensorProto {
            name: "w".into(),
            data_type: FLOAT,
            dims: vec![2],
            data_location: DataLocation::EXTERNAL.into(),
            external_data: entries.iter().map(|&(key, value)| entry_of(key, value.to_owned())).collect(),
            ..TensorProto::default()
        }
    }

    fn load(tensor: &mut TensorProto, folder: &Path) -> Result<(), Error> {
        super::load(tensor, &Folders::of(&folder.join("model.onnx")).unwrap())
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("model.onnx"), []).unwrap();
        fs_err::write(folder.path().join("w.bin"), (0u8..16).collect::<Vec<_>>()).unwrap();
        folder
    }

    fn problem(entries: &[(&str, &str)]) -> String {
        load(&mut external(entries), folder().path()).unwrap_err().to_string()
    }

    #[test]
    fn data_is_read_from_its_range() {
        let mut tensor = external(&[("location", "w.bin"), ("offset", "4"), ("length", "8")]);
        load(&mut tensor, folder().path()).unwrap();
        assert_eq!(tensor.raw_data, [4, 5, 6, 7, 8, 9, 10, 11]);
        assert!(!is_external(&tensor) && tensor.external_data.is_empty());
    }

    #[test]
    fn data_without_a_length_reaches_to_the_end() {
        let mut tensor = external(&[("location", "w.bin"), ("offset", "8")]);
        load(&mut tensor, folder().path()).unwrap();
        assert_eq!(tensor.raw_data, [8, 9, 10, 11, 12, 13, 14, 15]);
    }

    #[test]
    fn paths_out_of_the_folder_are_refused() {
        for location in ["../w.bin", "/etc/passwd", "sub/../../w.bin"] {
            assert!(problem(&[("location", location)]).contains("outside of the folder"), "{location}");
        }
    }

    #[test]
    fn the_folder_itself_may_be_part_of_the_path() {
        let mut tensor = external(&[("location", "./w.bin"), ("length", "8")]);
        load(&mut tensor, folder().path()).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_model_that_is_a_link_may_have_its_data_beside_what_it_links_to() {
        let (cache, blobs) = (tempfile::tempdir().unwrap(), folder());
        for name in ["model.onnx", "w.bin"] {
            std::os::unix::fs::symlink(blobs.path().join(name), cache.path().join(name)).unwrap();
        }
        load(&mut external(&[("location", "w.bin"), ("length", "8")]), cache.path()).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_link_out_of_the_folder_is_refused() {
        let (inside, outside) = (folder(), folder());
        let link = inside.path().join("link.bin");
        std::os::unix::fs::symlink(outside.path().join("w.bin"), link).unwrap();
        let mut tensor = external(&[("location", "link.bin"), ("length", "8")]);
        assert!(load(&mut tensor, inside.path()).unwrap_err().to_string().contains("outside of the folder"));
    }

    #[test]
    fn ranges_past_the_end_are_refused() {
        let past = problem(&[("location", "w.bin"), ("offset", "12"), ("length", "8")]);
        assert_eq!(past, "tensor `w`: its external data `w.bin` ends at byte 20, the file at byte 16");
        let overflow = problem(&[("location", "w.bin"), ("offset", "18446744073709551615"), ("length", "8")]);
        assert!(overflow.contains("the file at byte 16"), "{overflow}");
    }

    #[test]
    fn malformed_entries_are_refused() {
        assert!(problem(&[("location", "w.bin"), ("offset", "-4")]).contains("`offset` is \"-4\""));
        assert!(problem(&[]).contains("`location` is \"\""));
        assert!(problem(&[("location", "w.bin"), ("length", "4")]).contains("takes 8 bytes, found 4"));
        let missing = problem(&[("location", "missing.bin")]);
        assert!(
            missing.starts_with("tensor `w`: its external data `missing.bin` cannot be read"),
            "{missing}"
        );
        assert!(problem(&[("location", ".")]).contains("is no regular file"));
    }
}
