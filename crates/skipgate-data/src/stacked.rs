//! Inputs or outputs of several runs of a network, read from files and written to them.

use std::path::{Path, PathBuf};

use skipgate_core::{Elements, TensorSpec, Values};

use crate::DataError;
use crate::tensor_file::{Tensor, read_npy, read_npz, write_npy, write_npz};

/// Inputs or outputs of some runs of a network, by tensor: those of all runs behind each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Stacked {
    runs: usize,
    tensors: Vec<Values>,
}

/// Tensors are not those of some runs of a network.
#[derive(Debug, thiserror::Error)]
pub enum StackedError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] DataError),
    /// A tensor has another shape than the network's, once or several times.
    #[error(
        "expected a tensor `{expected}`, or several of them in the first dimension, found shape {found:?}"
    )]
    Shape {
        /// The network's.
        expected: TensorSpec,
        /// The shape found.
        found: Vec<usize>,
    },
    /// Tensors are of different numbers of runs.
    #[error(
        "expected tensors for equally many runs, found {first} for `{first_name}` and {other} for `{other_name}`"
    )]
    Runs {
        /// A tensor.
        first_name: String,
        /// Its number of runs.
        first: usize,
        /// Another tensor.
        other_name: String,
        /// Its number of runs.
        other: usize,
    },
    /// The files do not say which tensor is which, or one is missing.
    #[error("expected {expected}, found {found}")]
    Files {
        /// What names every tensor.
        expected: String,
        /// What was given.
        found: String,
    },
}

impl Stacked {
    /// Puts `tensors`, one for each of `specs`, of one or more runs in their first dimensions, together.
    ///
    /// # Errors
    ///
    /// When a shape does not fit, or the numbers of runs differ.
    pub fn of(specs: &[TensorSpec], tensors: Vec<Tensor>) -> Result<Self, StackedError> {
        let mut runs: Option<(&TensorSpec, usize)> = None;
        for (spec, tensor) in specs.iter().zip(&tensors) {
            let count = count_stacked(&tensor.shape, &spec.shape)
                .ok_or_else(|| StackedError::Shape { expected: spec.clone(), found: tensor.shape.clone() })?;
            match runs {
                Some((other, first)) if first != count => {
                    let (first_name, other_name) = (other.name.clone(), spec.name.clone());
                    return Err(StackedError::Runs { first_name, first, other_name, other: count });
                }
                _ => runs = Some((spec, count)),
            }
        }
        let tensors = tensors.into_iter().map(|tensor| tensor.values).collect();
        Ok(Self { runs: runs.map_or(1, |(_, count)| count), tensors })
    }

    /// No run yet.
    pub fn empty(specs: &[TensorSpec]) -> Self {
        Self { runs: 0, tensors: specs.iter().map(|spec| Values::zeros(spec.element_type, 0)).collect() }
    }

    /// Reads the tensors of `specs`. Each of `files` is `NAME=FILE.npy` for one of them, `FILE.npz` with an array for
    /// each, or, if there is only one, `FILE.npy`.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, a tensor is not given exactly once, or one does not fit.
    pub fn read(specs: &[TensorSpec], files: &[String]) -> Result<Self, StackedError> {
        if let Some(file) = archive(specs, files) {
            let wanted: Vec<_> = specs.iter().map(|spec| (spec.name.as_str(), spec.element_type)).collect();
            return Self::of(specs, read_npz(file, &wanted)?);
        }
        let paths = paths(specs, files)?;
        let read = |(spec, path): (&TensorSpec, PathBuf)| read_npy(&path, spec.element_type);
        let tensors = specs.iter().zip(paths).map(read).collect::<Result<_, _>>()?;
        Self::of(specs, tensors)
    }

    /// Adds what a run gave.
    ///
    /// # Errors
    ///
    /// When the elements are of another type than those of the runs before.
    pub fn push<'e>(
        &mut self,
        tensors: impl IntoIterator<Item = Elements<'e>>,
    ) -> Result<(), skipgate_core::WrongType> {
        self.runs += 1;
        self.tensors.iter_mut().zip(tensors).try_for_each(|(values, elements)| values.extend(elements))
    }

    /// Number of runs.
    pub fn runs(&self) -> usize {
        self.runs
    }

    /// The tensors of a run, in the order of the specifications.
    pub fn run(&self, number: usize) -> impl ExactSizeIterator<Item = Elements<'_>> {
        self.tensors.iter().map(move |values| {
            let all = values.elements();
            let size = all.len() / self.runs.max(1);
            all.part(number * size, size).unwrap_or(all)
        })
    }

    /// The tensors of all runs behind each other, in the order of the specifications.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = Elements<'_>> {
        self.tensors.iter().map(Values::elements)
    }

    /// Writes the tensors, which are as `specs` say, to `path`: to a .npz file by name, or to a .npy file if there is one.
    ///
    /// # Errors
    ///
    /// When the file cannot be written, or is no .npz file and there are several tensors.
    pub fn write(self, specs: &[TensorSpec], path: &Path) -> Result<(), StackedError> {
        can_write(specs, path)?;
        let runs = self.runs;
        let tensor =
            |(spec, values): (&TensorSpec, Values)| Tensor { shape: stacked(&spec.shape, runs), values };
        let tensors: Vec<_> = specs.iter().zip(self.tensors).map(tensor).collect();
        if is_npz(path) {
            let names = specs.iter().map(|spec| spec.name.as_str());
            return Ok(write_npz(path, names.zip(&tensors))?);
        }
        tensors.iter().try_for_each(|only| Ok(write_npy(path, only)?))
    }
}

/// Fails if tensors as `specs` say do not go into a file of the name `path`: to find out before they are computed.
///
/// # Errors
///
/// When it is no .npz file and there are several tensors.
pub fn can_write(specs: &[TensorSpec], path: &Path) -> Result<(), StackedError> {
    if specs.len() == 1 || is_npz(path) {
        return Ok(());
    }
    let expected = format!("a .npz file for {} outputs", specs.len());
    Err(StackedError::Files { expected, found: path.display().to_string() })
}

/// Whether `path` is named as a file of several arrays.
fn is_npz(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npz"))
}

/// The one of `files` that holds all tensors. A path may have an equals sign in it.
fn archive<'f>(specs: &[TensorSpec], files: &'f [String]) -> Option<&'f Path> {
    let [file] = files else { return None };
    let names_one = file.split_once('=').is_some_and(|(name, _)| specs.iter().any(|spec| spec.name == name));
    (is_npz(Path::new(file)) && !names_one).then_some(Path::new(file))
}

/// The file of each of `specs`.
fn paths(specs: &[TensorSpec], files: &[String]) -> Result<Vec<PathBuf>, StackedError> {
    let named = |name: &str| {
        let given = files.iter().filter_map(|file| file.split_once('=').filter(|(other, _)| *other == name));
        given.map(|(_, path)| PathBuf::from(path)).collect::<Vec<_>>()
    };
    let wrong = || {
        let names: Vec<_> = specs.iter().map(|spec| format!("{}=FILE.npy", spec.name)).collect();
        let expected = match &names[..] {
            [_] => "one FILE.npy or FILE.npz".to_owned(),
            _ => format!("FILE.npz, or {}", names.join(" ")),
        };
        StackedError::Files {
            expected,
            found: if files.is_empty() { "none".to_owned() } else { files.join(" ") },
        }
    };
    let mut found: Vec<_> = specs.iter().flat_map(|spec| named(&spec.name)).collect();
    if let ([_], [file], []) = (specs, files, &found[..]) {
        found.push(PathBuf::from(file));
    }
    let each_once = specs.len() == 1 || specs.iter().all(|spec| named(&spec.name).len() == 1);
    if found.len() == specs.len() && files.len() == specs.len() && each_once {
        Ok(found)
    } else {
        Err(wrong())
    }
}

/// The shape of `count` tensors of `shape`, one behind the other in the first dimension, or in a new one if there is none.
fn stacked(shape: &[usize], count: usize) -> Vec<usize> {
    let (first, rest) = shape.split_first().unwrap_or((&1, &[]));
    [count * first].into_iter().chain(rest.iter().copied()).collect()
}

/// How many tensors of `shape` are stacked in one of shape `found`, if any.
fn count_stacked(found: &[usize], shape: &[usize]) -> Option<usize> {
    if found == shape {
        return Some(1);
    }
    let count = found.first()? / shape.first().map_or(1, |&extent| extent.max(1));
    (count > 0 && stacked(shape, count) == found).then_some(count)
}

#[cfg(test)]
mod tests {
    use skipgate_core::ElementType;

    use super::*;

    fn specs() -> [TensorSpec; 2] {
        [("image", &[1, 2][..], ElementType::F32), ("threshold", &[], ElementType::I64)].map(
            |(name, shape, element_type)| TensorSpec {
                name: name.to_owned(),
                shape: shape.to_vec(),
                element_type,
            },
        )
    }

    fn two_runs() -> Stacked {
        let mut stacked = Stacked::empty(&specs());
        stacked.push([Elements::F32(&[1.0, 2.0]), Elements::I64(&[7])]).unwrap();
        stacked.push([Elements::F32(&[3.0, 4.0]), Elements::I64(&[8])]).unwrap();
        stacked
    }

    #[test]
    fn tensors_stack_in_the_first_dimension_or_a_new_one() {
        for (shape, count, expected) in
            [(&[1, 10][..], 3, &[3, 10][..]), (&[2, 3], 2, &[4, 3]), (&[], 5, &[5]), (&[1], 5, &[5])]
        {
            assert_eq!(stacked(shape, count), expected);
            assert_eq!(count_stacked(expected, shape), Some(count));
        }
        assert_eq!(count_stacked(&[], &[]), Some(1));
        for (found, shape) in [(&[0][..], &[][..]), (&[3, 10], &[2, 10]), (&[3], &[1, 10])] {
            assert_eq!(count_stacked(found, shape), None, "{found:?} {shape:?}");
        }
    }

    #[test]
    fn runs_come_back_from_an_archive() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npz");
        two_runs().write(&specs(), &path).unwrap();
        let read = Stacked::read(&specs(), &[path.display().to_string()]).unwrap();
        assert_eq!(read, two_runs());
        assert_eq!(read.run(1).collect::<Vec<_>>(), [Elements::F32(&[3.0, 4.0]), Elements::I64(&[8])]);
    }

    #[test]
    fn several_tensors_are_told_apart_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        let (image, threshold) = (path("image.npy"), path("t=0.npy"));
        let tensor = |shape: &[usize], values: Values| Tensor { shape: shape.to_vec(), values };
        write_npy(image.as_ref(), &tensor(&[1, 2], vec![1.0f32, 2.0].into())).unwrap();
        write_npy(threshold.as_ref(), &tensor(&[], vec![7i64].into())).unwrap();
        let given = [format!("threshold={threshold}"), format!("image={image}")];
        let read = Stacked::read(&specs(), &given).unwrap();
        assert_eq!(read.run(0).collect::<Vec<_>>(), [Elements::F32(&[1.0, 2.0]), Elements::I64(&[7])]);
        assert_eq!(Stacked::read(&specs()[1..], &[threshold]).unwrap().runs(), 1);
        for wrong in [&given[..1], &[given[0].clone(), given[0].clone()], &[image]] {
            let error = Stacked::read(&specs(), wrong).unwrap_err().to_string();
            assert!(
                error.starts_with("expected FILE.npz, or image=FILE.npy threshold=FILE.npy, found"),
                "{error}"
            );
        }
    }

    #[test]
    fn tensors_for_different_numbers_of_runs_are_refused() {
        let tensor = |shape: &[usize], values: Values| Tensor { shape: shape.to_vec(), values };
        let tensors = vec![tensor(&[1, 2], vec![0.0f32; 2].into()), tensor(&[3], vec![0i64; 3].into())];
        let error = Stacked::of(&specs(), tensors).unwrap_err().to_string();
        assert!(error.ends_with("found 1 for `image` and 3 for `threshold`"), "{error}");
    }

    #[test]
    fn several_outputs_need_an_archive() {
        let error = two_runs().write(&specs(), Path::new("y.npy")).unwrap_err().to_string();
        assert_eq!(error, "expected a .npz file for 2 outputs, found y.npy");
    }
}
