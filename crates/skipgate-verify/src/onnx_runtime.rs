//! ONNX Runtime, the reference for what a model computes. It is used where its library is found.

use std::borrow::Cow;
use std::env;
use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use half::f16;
use libloading::{Library, Symbol};
use ort::session::SessionInputValue;
use ort::session::builder::GraphOptimizationLevel;
use ort::tensor::TensorElementType;
use ort::value::{Tensor, ValueRef};
use skipgate_core::{Elements, SkipMask, TensorSpec, Values};
use skipgate_onnx::{MASK_INPUT, Model};

use crate::Error;

/// Environment variable with the path of ONNX Runtime's shared library; it wins over every other place.
pub const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";

/// Where the PyPI wheel keeps the library, inside `site-packages`.
const IN_SITE_PACKAGES: &str = "onnxruntime/capi";
const STEM: &str = "libonnxruntime.so";

/// The library of this process.
#[derive(Debug)]
pub struct OnnxRuntime {
    version: String,
}

impl OnnxRuntime {
    /// Finds and opens the library at the first call, in the file that [`LIBRARY_VARIABLE`] names or else in the
    /// Python environments where the compiler is looked for. `Err` says in words why there is none.
    pub fn get() -> Result<&'static Self, &'static str> {
        static ENGINE: OnceLock<Result<OnnxRuntime, String>> = OnceLock::new();
        ENGINE.get_or_init(Self::open).as_ref().map_err(String::as_str)
    }

    /// Version of the library.
    pub fn version(&self) -> &str {
        &self.version
    }

    fn open() -> Result<Self, String> {
        let path = find().ok_or_else(|| {
            format!("{LIBRARY_VARIABLE} is not set and no active Python environment holds onnxruntime")
        })?;
        let version = version(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let minor = version.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap_or(0);
        if minor < ort::MINOR_VERSION {
            return Err(format!(
                "{} is version {version}, expected 1.{} or newer",
                path.display(),
                ort::MINOR_VERSION
            ));
        }
        ort::init_from(path.display()).commit().map_err(|error| error.to_string())?;
        Ok(Self { version })
    }

    /// Loads `model`. Nothing is optimised, so that its nodes run as the model has them.
    pub fn session(&self, model: &Model) -> Result<Session, Error> {
        let inner = ort::session::Session::builder()?
            .with_intra_threads(1)?
            .with_optimization_level(GraphOptimizationLevel::Disable)?
            .commit_from_memory(&model.to_bytes()?)?;
        let masked = inner.inputs.iter().any(|input| input.name == MASK_INPUT);
        Ok(Session { inner, masked })
    }
}

/// A model in ONNX Runtime.
#[derive(Debug)]
pub struct Session {
    inner: ort::session::Session,
    masked: bool,
}

impl Session {
    /// The outputs for `inputs`, which are as `specs` say; `mask` counts for a gated model only.
    pub fn run<'v>(
        &mut self,
        specs: &[TensorSpec],
        inputs: impl IntoIterator<Item = Elements<'v>>,
        mask: &SkipMask,
    ) -> Result<Vec<Values>, Error> {
        let mut tensors = Vec::new();
        for (spec, elements) in specs.iter().zip(inputs) {
            tensors.push((Cow::from(spec.name.as_str()), tensor(&spec.shape, elements)?));
        }
        if self.masked {
            tensors.push((MASK_INPUT.into(), tensor(&[mask.len()], mask.as_slice().into())?));
        }
        let outputs = self.inner.run(tensors)?;
        outputs.iter().map(|(name, value)| values(name, &value)).collect()
    }
}

/// A tensor of ONNX Runtime.
fn tensor(shape: &[usize], elements: Elements<'_>) -> Result<SessionInputValue<'static>, Error> {
    let shape = shape.to_vec();
    Ok(match elements {
        Elements::F32(elements) => Tensor::from_array((shape, elements.to_vec()))?.into(),
        Elements::F16(elements) => Tensor::from_array((shape, elements.to_vec()))?.into(),
        Elements::I8(elements) => Tensor::from_array((shape, elements.to_vec()))?.into(),
        Elements::U8(elements) => Tensor::from_array((shape, elements.to_vec()))?.into(),
        Elements::I32(elements) => Tensor::from_array((shape, elements.to_vec()))?.into(),
        Elements::I64(elements) => Tensor::from_array((shape, elements.to_vec()))?.into(),
        Elements::Bool(elements) => Tensor::from_array((shape, elements.to_vec()))?.into(),
    })
}

/// The elements of a tensor of ONNX Runtime.
fn values(name: &str, value: &ValueRef<'_>) -> Result<Values, Error> {
    let unknown = || Error::OutputType { name: name.to_owned() };
    let element_type = value.dtype().tensor_type().ok_or_else(unknown)?;
    Ok(match element_type {
        TensorElementType::Float32 => value.try_extract_tensor::<f32>()?.1.to_vec().into(),
        TensorElementType::Float16 => value.try_extract_tensor::<f16>()?.1.to_vec().into(),
        TensorElementType::Int8 => value.try_extract_tensor::<i8>()?.1.to_vec().into(),
        TensorElementType::Uint8 => value.try_extract_tensor::<u8>()?.1.to_vec().into(),
        TensorElementType::Int32 => value.try_extract_tensor::<i32>()?.1.to_vec().into(),
        TensorElementType::Int64 => value.try_extract_tensor::<i64>()?.1.to_vec().into(),
        TensorElementType::Bool => value.try_extract_tensor::<bool>()?.1.to_vec().into(),
        _ => return Err(unknown()),
    })
}

/// The version that the library in `path` reports. `ort` itself panics over a file that is none.
fn version(path: &Path) -> Result<String, libloading::Error> {
    // SAFETY: the user or the Python environment names this file as ONNX Runtime, whose initialisers have no
    // precondition. The library stays open: `ort` opens it again right after.
    let library = unsafe { Library::new(path) }?;
    // SAFETY: the symbol has this type in every version of ONNX Runtime (`onnxruntime_c_api.h`), and the structure it
    // returns is static and begins with the same two functions.
    let version = unsafe {
        let base: Symbol<unsafe extern "C" fn() -> *const ort::sys::OrtApiBase> =
            library.get(b"OrtGetApiBase")?;
        CStr::from_ptr(((*base()).GetVersionString)()).to_string_lossy().into_owned()
    };
    std::mem::forget(library);
    Ok(version)
}

fn find() -> Option<PathBuf> {
    if let Some(path) = env::var_os(LIBRARY_VARIABLE).filter(|path| !path.is_empty()) {
        return Some(path.into());
    }
    let folders =
        skipgate_iree::python_packages().into_iter().map(|packages| packages.join(IN_SITE_PACKAGES));
    folders.into_iter().find_map(|folder| library(&folder))
}

/// The library in `folder`, which has its version behind its name.
fn library(folder: &Path) -> Option<PathBuf> {
    let files = fs_err::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let named =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(STEM));
    files.filter(named).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_found_by_its_stem() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(library(dir.path()), None);
        for file in ["libonnxruntime_providers_shared.so", "libonnxruntime.so.1.32.0"] {
            fs_err::write(dir.path().join(file), "").unwrap();
        }
        assert_eq!(library(dir.path()), Some(dir.path().join("libonnxruntime.so.1.32.0")));
    }

    #[test]
    fn a_file_that_is_no_library_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(version(file.path()).is_err());
    }
}
