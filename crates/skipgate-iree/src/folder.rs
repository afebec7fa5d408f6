//! Writing artifact folders, so that nobody ever sees half of one.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;
use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use rustix::io::Errno;
use skipgate_core::{
    DISPATCHES_FILE, Dispatch, FileDigest, MANIFEST_FILE, PARETO_FILE, SIGNATURE_FILE, VMFB_FILE,
    file::TEMPORARY_PREFIX,
};
use tempfile::TempDir;

use crate::{ArtifactError, Compiled};

/// Every file that a compiled artifact has, in the order in which they are replaced: a signature of what was there goes first,
/// and the manifest, which says what fits together, comes last.
const FILES: [&str; 5] = [SIGNATURE_FILE, VMFB_FILE, DISPATCHES_FILE, PARETO_FILE, MANIFEST_FILE];
/// How often someone else may take the folder's place away or put it back, until that is an error.
const TRIES: usize = 100;

/// Writes the artifact folder `dir`, all of it or nothing. An artifact that is already there is replaced in one step;
/// anything else that is there is an error. Any number of processes may write to one folder: the last one stays.
///
/// A folder that cannot be replaced because it is the current one, or a mount point, or its parent is not writable, keeps
/// its place and gets new files, one after the other, the manifest last. A reader in between finds that the hashes do
/// not match.
pub fn write_artifact(dir: &Path, compiled: &Compiled) -> Result<(), ArtifactError> {
    let failed = |source| ArtifactError::Io { path: dir.to_owned(), source };
    match write(dir, compiled).map_err(failed)? {
        Outcome::Written => Ok(()),
        Outcome::NotAnArtifact => Err(ArtifactError::NotAnArtifact { path: dir.to_owned() }),
    }
}

/// What became of a folder.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Written,
    /// Something else is there, and was left alone.
    NotAnArtifact,
}

fn write(dir: &Path, compiled: &Compiled) -> io::Result<Outcome> {
    if dir.symlink_metadata().is_err() {
        return write_beside(&place(dir)?, compiled);
    }
    if !replaceable(dir)? {
        return Ok(Outcome::NotAnArtifact);
    }
    // Through links, since it is the folder that is replaced, not the link.
    let dir = fs::canonicalize(dir)?;
    // A shell whose folder is replaced would be left in one that is no more.
    if env::current_dir().is_ok_and(|current| current == dir) {
        return write_inside(&dir, compiled);
    }
    match write_beside(&dir, compiled) {
        Err(error) if stays(&error) => write_inside(&dir, compiled),
        result => result,
    }
}

/// Whether a folder that cannot be replaced may be written to all the same: it is a mount point, or the file system cannot
/// exchange folders, or others own the one around it.
fn stays(error: &io::Error) -> bool {
    use io::ErrorKind::{CrossesDevices, InvalidInput, PermissionDenied, ReadOnlyFilesystem, ResourceBusy};
    [CrossesDevices, InvalidInput, PermissionDenied, ReadOnlyFilesystem, ResourceBusy].contains(&error.kind())
}

/// The path of a new folder, whose parent exists then, without a `.` at its end.
fn place(dir: &Path) -> io::Result<PathBuf> {
    let place: PathBuf = dir.components().collect();
    fs::create_dir_all(parent(&place))?;
    Ok(place)
}

fn parent(dir: &Path) -> &Path {
    dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether `dir` is an artifact or an empty folder, but for what is being written into it.
fn replaceable(dir: &Path) -> io::Result<bool> {
    if !dir.is_dir() {
        return Ok(false);
    }
    if dir.join(MANIFEST_FILE).is_file() {
        return Ok(true);
    }
    for entry in fs::read_dir(dir)? {
        if !entry?.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes into a temporary folder beside `dir`, on the same file system, and moves it into place.
fn write_beside(dir: &Path, compiled: &Compiled) -> io::Result<Outcome> {
    let temporary = prepare(parent(dir), compiled)?;
    for _ in 0..TRIES {
        match move_new(temporary.path(), dir) {
            Ok(()) => {
                // There is nothing left to remove.
                let _ = temporary.keep();
                return Ok(Outcome::Written);
            }
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
            Err(error) => return Err(error.into()),
        }
        match exchange(temporary.path(), dir) {
            // The old folder ends up under the temporary name and is removed with it.
            Ok(Outcome::Written) => return temporary.close().map(|()| Outcome::Written),
            Ok(Outcome::NotAnArtifact) => return Ok(Outcome::NotAnArtifact),
            // Somebody removed it in between.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("other programs create and remove it all the time"))
}

/// Moves a folder to where nothing is.
fn move_new(from: &Path, to: &Path) -> rustix::io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system knows the flag. Without it, an empty folder would be replaced too, which is allowed.
        Err(Errno::INVAL) if !to.exists() => rustix::fs::rename(from, to),
        result => result,
    }
}

/// Puts `new` in the place of the artifact `dir`, which then is called `new`. What is no artifact stays.
fn exchange(new: &Path, dir: &Path) -> io::Result<Outcome> {
    if !replaceable(dir)? {
        return if dir.exists() { Ok(Outcome::NotAnArtifact) } else { Err(io::ErrorKind::NotFound.into()) };
    }
    let exchange = || renameat_with(CWD, new, CWD, dir, RenameFlags::EXCHANGE);
    exchange()?;
    // Somebody may have put something else there since the check; it must not be removed.
    if replaceable(new)? {
        return Ok(Outcome::Written);
    }
    exchange()?;
    Ok(Outcome::NotAnArtifact)
}

/// Writes into a temporary folder inside of `dir` and moves one file after the other into place.
fn write_inside(dir: &Path, compiled: &Compiled) -> io::Result<Outcome> {
    let temporary = prepare(dir, compiled)?;
    // Files of two writers would not fit together.
    let lock = fs::File::open(dir)?;
    flock(&lock, FlockOperation::LockExclusive)?;
    for file in FILES {
        let (new, old) = (temporary.path().join(file), dir.join(file));
        if new.exists() {
            fs::rename(new, old)?;
        } else if old.exists() {
            fs::remove_file(old)?;
        }
    }
    temporary.close().map(|()| Outcome::Written)
}

/// How old a temporary folder is whose program was killed: none takes as long to write an artifact.
const ABANDONED_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Removes temporary folders that programs left in `parent` which were killed. One that cannot be removed stays.
fn remove_abandoned(parent: &Path) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX) && is_abandoned(&entry)? {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

/// Whether it is an old folder with nothing in it but what an artifact is made of.
fn is_abandoned(entry: &fs::DirEntry) -> io::Result<bool> {
    let metadata = entry.metadata()?;
    let is_old = metadata.modified()?.elapsed().is_ok_and(|age| age > ABANDONED_AFTER);
    if !metadata.is_dir() || !is_old {
        return Ok(false);
    }
    for file in fs::read_dir(entry.path())? {
        let name = file?.file_name();
        if !FILES.iter().any(|known| name == *known) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A temporary folder in `parent` with all files of the artifact.
fn prepare(parent: &Path, compiled: &Compiled) -> io::Result<TempDir> {
    // What others left behind, and may be about to remove as well, keeps nobody from writing.
    let _ = remove_abandoned(parent);
    let mut builder = tempfile::Builder::new();
    let temporary = builder.prefix(TEMPORARY_PREFIX).permissions(folder_mode()).tempdir_in(parent)?;
    let mut manifest = compiled.manifest.clone();
    let mut write = |file: &str, bytes: &[u8]| {
        manifest.files.insert(file.to_owned(), FileDigest::of(bytes));
        write_synced(&temporary.path().join(file), bytes)
    };
    write(VMFB_FILE, &compiled.vmfb)?;
    write(DISPATCHES_FILE, Dispatch::to_json(&compiled.dispatches).as_bytes())?;
    if let Some(front) = &compiled.front {
        write(PARETO_FILE, front.as_bytes())?;
    }
    write_synced(&temporary.path().join(MANIFEST_FILE), manifest.to_json().as_bytes())?;
    Ok(temporary)
}

/// What a new folder gets: everything that the process's file mode mask leaves.
fn folder_mode() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o777)
}

/// A full disk may only show when the data reaches it.
fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    io::Write::write_all(&mut file, bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::SystemTime;

    use skipgate_core::{
        Abi, CompileOptions, Coverage, ElementType, FORMAT_VERSION, IREE_REVISION, IREE_VERSION, IreeVersion,
        Manifest, Scores, Target, TensorSpec,
    };

    use super::*;

    /// An artifact whose code is made of `number`.
    fn compiled(number: u8) -> Compiled {
        let tensor =
            |name: &str| TensorSpec { name: name.to_owned(), shape: vec![1], element_type: ElementType::F32 };
        let vmfb = vec![number; 10_000];
        let manifest = Manifest {
            format_version: FORMAT_VERSION,
            generator: String::new(),
            iree: IreeVersion { version: IREE_VERSION.to_owned(), revision: IREE_REVISION.to_owned() },
            target: Target::named("odroid-xu4").unwrap(),
            options: CompileOptions::default(),
            abi: Abi {
                entry_point: "skipgate.run".to_owned(),
                specialised: vec![],
                inputs: vec![tensor("x")],
                outputs: vec![tensor("y")],
                index_inputs: vec![],
            },
            gates: vec![],
            coverage: Coverage::default(),
            preprocessing: None,
            class_names: vec![],
            scores: Scores::Logits,
            model_sha256: String::new(),
            files: [(VMFB_FILE.to_owned(), FileDigest::of(&vmfb))].into(),
        };
        Compiled { manifest, vmfb, dispatches: vec![], front: None }
    }

    /// Checks that `dir` is one whole artifact, and its parent holds nothing else.
    fn assert_whole(dir: &Path) {
        let manifest = Manifest::from_json(&fs::read_to_string(dir.join(MANIFEST_FILE)).unwrap()).unwrap();
        let vmfb = fs::read(dir.join(VMFB_FILE)).unwrap();
        assert_eq!(manifest.files[VMFB_FILE], FileDigest::of(&vmfb));
        for (name, digest) in &manifest.files {
            assert_eq!(FileDigest::of(&fs::read(dir.join(name)).unwrap()), *digest, "{name}");
        }
        assert_eq!(fs::read_dir(dir.parent().unwrap()).unwrap().count(), 1);
    }

    /// Writes from several threads at once, `rounds` times each.
    fn write_at_once(rounds: u8, write: impl Fn(u8) + Sync) {
        thread::scope(|scope| {
            for thread in 0..4 {
                let write = &write;
                scope.spawn(move || (0..rounds).for_each(|round| write(thread * rounds + round)));
            }
        });
    }

    #[test]
    fn many_can_write_one_folder_at_once() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("artifact");
        write_at_once(20, |number| write_artifact(&dir, &compiled(number)).unwrap());
        assert_whole(&dir);
    }

    #[test]
    fn many_can_write_into_one_folder_that_stays() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("artifact");
        fs::create_dir(&dir).unwrap();
        write_at_once(20, |number| {
            assert!(write_inside(&dir, &compiled(number)).unwrap() == Outcome::Written);
        });
        assert_whole(&dir);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 3);
    }

    #[test]
    fn many_can_make_one_folder_at_once() {
        for _ in 0..20 {
            let parent = tempfile::tempdir().unwrap();
            let dir = parent.path().join("new/.");
            write_at_once(1, |number| write_artifact(&dir, &compiled(number)).unwrap());
            assert_whole(&parent.path().join("new"));
        }
    }

    #[test]
    fn what_a_killed_program_left_behind_is_removed_later() {
        let parent = tempfile::tempdir().unwrap();
        let left = |name: &str, file: &str, age: Duration| {
            let path = parent.path().join(format!("{TEMPORARY_PREFIX}{name}"));
            fs::create_dir(&path).unwrap();
            fs::write(path.join(file), "half").unwrap();
            fs::File::open(&path).unwrap().set_modified(SystemTime::now() - age).unwrap();
            path
        };
        let day = ABANDONED_AFTER + Duration::from_secs(60);
        let old = left("old", VMFB_FILE, day);
        let kept = [left("new", VMFB_FILE, Duration::ZERO), left("notes", "notes.txt", day)];
        write_artifact(&parent.path().join("artifact"), &compiled(1)).unwrap();
        assert!(!old.exists());
        assert!(kept.iter().all(|folder| folder.is_dir()));
    }

    #[test]
    fn a_front_of_an_older_artifact_does_not_stay() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("artifact");
        for write in [write_beside, write_inside] {
            write_artifact(&dir, &Compiled { front: Some("{}".to_owned()), ..compiled(0) }).unwrap();
            assert!(dir.join(PARETO_FILE).exists());
            write(&dir, &compiled(1)).unwrap();
            assert!(!dir.join(PARETO_FILE).exists());
        }
    }

    #[test]
    fn what_is_no_artifact_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let (dir, file) = (parent.path().join("mine"), parent.path().join("file"));
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("notes"), "mine").unwrap();
        fs::write(&file, "mine").unwrap();
        for path in [&dir, &file] {
            let error = write_artifact(path, &compiled(0)).unwrap_err();
            assert!(matches!(error, ArtifactError::NotAnArtifact { .. }), "{error}");
            // As if it had come between the check and the exchange.
            assert!(write_beside(path, &compiled(0)).unwrap() == Outcome::NotAnArtifact);
        }
        assert_eq!(fs::read_to_string(dir.join("notes")).unwrap(), "mine");
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 2);
    }

    #[test]
    fn an_artifact_behind_a_link_is_replaced_and_the_link_stays() {
        let parent = tempfile::tempdir().unwrap();
        let link = parent.path().join("link");
        std::os::unix::fs::symlink("folders/artifact", &link).unwrap();
        fs::create_dir_all(parent.path().join("folders/artifact")).unwrap();
        write_artifact(&link, &compiled(7)).unwrap();
        assert!(link.is_symlink());
        assert_whole(&parent.path().join("folders/artifact"));
    }
}
