//! ONNX Runtime, the reference for what a model computes. It is used where its library is found.

use std::env;
use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libloading::{Library, Symbol};
use ort::session::builder::GraphOptimizationLevel;
use ort::value::Tensor;
use skipgate_core::SkipMask;
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
        let image = inner.inputs.iter().map(|input| input.name.clone()).find(|name| name != MASK_INPUT);
        let masked = inner.inputs.iter().any(|input| input.name == MASK_INPUT);
        Ok(Session { inner, image: image.unwrap_or_default(), masked })
    }
}

/// A model in ONNX Runtime.
#[derive(Debug)]
pub struct Session {
    inner: ort::session::Session,
    /// Name of the image input.
    image: String,
    masked: bool,
}

impl Session {
    /// The first output for `image` of `shape`; `mask` counts for a gated model only.
    pub fn run(&mut self, shape: &[usize], image: &[f32], mask: &SkipMask) -> Result<Vec<f32>, Error> {
        let image = Tensor::from_array((shape.to_vec(), image.to_vec()))?;
        let mut inputs = ort::inputs![self.image.as_str() => image];
        if self.masked {
            let mask = Tensor::from_array((vec![mask.len()], mask.as_slice().to_vec()))?;
            inputs.push((MASK_INPUT.into(), mask.into()));
        }
        let outputs = self.inner.run(inputs)?;
        Ok(outputs[0].try_extract_tensor::<f32>()?.1.to_vec())
    }
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
