//! Folders of images, with a subfolder for every class.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use fs_err as fs;

use crate::dataset::Images;
use crate::preprocess::Input;
use crate::{DataError, Part};

/// Names of the folder of the test part, beside `train`.
const TEST: [&str; 2] = ["val", "test"];
const EXTENSIONS: [&str; 3] = ["png", "jpg", "jpeg"];

/// Reads a part of the data set in `path`. Classes are numbered as in `names`, or, if that is empty, by the order of the
/// folders' names.
pub(crate) fn read(
    path: &Path,
    part: Part,
    input: &Input,
    names: &[String],
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Images, DataError> {
    let folder = folder(path, part)?;
    let (files, labels) = files(&folder, names)?;
    if files.is_empty() {
        return Err(DataError::File {
            path: folder,
            expected: "a subfolder per class with PNG or JPEG images".to_owned(),
            found: "none".to_owned(),
        });
    }
    let pixels = decode(&files, input, progress)?;
    Ok(Images { pixels, labels })
}

/// The folder of that part.
fn folder(path: &Path, part: Part) -> Result<PathBuf, DataError> {
    let train = path.join("train");
    let test = TEST.iter().map(|name| path.join(name)).find(|folder| folder.is_dir());
    match (part, train.is_dir(), test) {
        (Part::Train, true, _) => Ok(train),
        (Part::Test, _, Some(test)) => Ok(test),
        (Part::Test, false, None) => Ok(path.to_owned()),
        _ => Err(DataError::File {
            path: path.to_owned(),
            expected: "the folders train and val (or test)".to_owned(),
            found: format!("no folder of the {part} part"),
        }),
    }
}

/// The image files of all classes, in a fixed order, and the class of each.
fn files(folder: &Path, names: &[String]) -> Result<(Vec<PathBuf>, Vec<u32>), DataError> {
    let classes = entries(folder)?.into_iter().filter(|path| path.is_dir()).collect::<Vec<_>>();
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if classes.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let found: Vec<_> = classes.iter().map(|path| name(path)).collect();
    let order = if names.is_empty() { &found } else { names };
    if let Some(class) = order.iter().find(|class| !found.contains(class)) {
        return Err(DataError::Class { class: class.clone() });
    }
    let (mut files, mut labels) = (Vec::new(), Vec::new());
    for class in &classes {
        let label = order.iter().position(|other| *other == name(class));
        let label = label.and_then(|label| u32::try_from(label).ok()).ok_or_else(|| DataError::File {
            path: class.clone(),
            expected: "only classes of the network".to_owned(),
            found: name(class),
        })?;
        let images = entries(class)?.into_iter().filter(|path| is_image(path)).collect::<Vec<_>>();
        labels.extend(images.iter().map(|_| label));
        files.extend(images);
    }
    Ok((files, labels))
}

/// What is in a folder, by name.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut paths =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    EXTENSIONS.contains(&extension.as_str())
}

/// Decodes on all cores; the order stays. Of several errors, that of the first file.
fn decode(
    files: &[PathBuf],
    input: &Input,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Vec<u8>, DataError> {
    let mut pixels = vec![0; files.len() * input.len()];
    let jobs = Mutex::new(files.iter().zip(pixels.chunks_exact_mut(input.len())).enumerate());
    let (done, error) = (AtomicUsize::new(0), Mutex::new(None::<(usize, DataError)>));
    let next = || jobs.lock().ok()?.next();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((number, (file, into))) = next() {
                    match input.decode(file) {
                        Ok(bytes) => into.copy_from_slice(&bytes),
                        Err(failed) => {
                            let Ok(mut error) = error.lock() else { return };
                            if error.as_ref().is_none_or(|(first, _)| number < *first) {
                                *error = Some((number, failed));
                            }
                            return;
                        }
                    }
                    progress(done.fetch_add(1, Ordering::Relaxed) + 1, files.len());
                }
            });
        }
    });
    match error.into_inner() {
        Ok(Some((_, error))) => Err(error),
        _ => Ok(pixels),
    }
}

#[cfg(test)]
mod tests {
    use image::RgbImage;
    use skipgate_core::Resize;

    use super::*;
    use crate::preprocess::tests::manifest;

    /// Images of one colour, whose red is the number.
    fn folder_with(files: &[(&str, u8)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, red) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            RgbImage::from_pixel(3, 2, image::Rgb([*red, 0, 0])).save(path).unwrap();
        }
        dir
    }

    fn read_all(path: &Path, part: Part, names: &[&str]) -> Result<Images, DataError> {
        let input = Input::of(&manifest(2, 2, Resize::Stretch)).unwrap();
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        read(path, part, &input, &names, &|_, _| ())
    }

    #[test]
    fn folders_are_classes_by_name_or_as_the_network_names_them() {
        let dir = folder_with(&[
            ("val/cat/b.png", 2),
            ("val/cat/a.png", 1),
            ("val/ant/c.png", 3),
            ("train/cat/x.png", 9),
        ]);
        let images = read_all(dir.path(), Part::Test, &[]).unwrap();
        assert_eq!(images.labels, [0, 1, 1]);
        assert_eq!(images.pixels.iter().step_by(12).copied().collect::<Vec<_>>(), [3, 1, 2]);
        assert_eq!(read_all(dir.path(), Part::Test, &["cat", "ant"]).unwrap().labels, [1, 0, 0]);
        assert_eq!(read_all(dir.path(), Part::Train, &[]).unwrap().labels, [0]);
    }

    #[test]
    fn classes_at_the_top_are_a_test_part() {
        let dir = folder_with(&[("cat/a.png", 1)]);
        assert_eq!(read_all(dir.path(), Part::Test, &[]).unwrap().labels, [0]);
        let error = read_all(dir.path(), Part::Train, &[]).unwrap_err().to_string();
        assert!(error.ends_with("found no folder of the train part"), "{error}");
    }

    #[test]
    fn other_classes_than_the_networks_are_refused() {
        let dir = folder_with(&[("cat/a.png", 1), ("dog/a.png", 1)]);
        let error = read_all(dir.path(), Part::Test, &["cat", "emu"]).unwrap_err().to_string();
        assert_eq!(error, "the data set has no class `emu`, which the network has");
        let error = read_all(dir.path(), Part::Test, &["cat"]).unwrap_err().to_string();
        assert!(error.ends_with("expected only classes of the network, found dog"), "{error}");
    }

    #[test]
    fn the_first_file_that_is_no_image_is_named() {
        let dir = folder_with(&[("cat/a.png", 1), ("cat/d.png", 1)]);
        for name in ["b.png", "c.png"] {
            fs::write(dir.path().join("cat").join(name), "no image").unwrap();
        }
        let error = read_all(dir.path(), Part::Test, &[]).unwrap_err().to_string();
        assert!(error.contains("b.png is not a PNG or JPEG image") || error.contains("c.png"), "{error}");
    }

    #[test]
    fn a_folder_without_images_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for names in [&[][..], &["cat"]] {
            let error = read_all(dir.path(), Part::Test, names).unwrap_err().to_string();
            assert!(error.ends_with("a subfolder per class with PNG or JPEG images, found none"), "{error}");
        }
    }
}
