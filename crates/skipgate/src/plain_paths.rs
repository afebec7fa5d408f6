//! A folder for temporary files whose path any shell can read.
//!
//! IREE's compiler starts the linker by a shell, to which it hands paths of temporary files as they are: a space or a `$` in
//! `TMPDIR` would end the link. An open folder has another path, of letters, digits and slashes alone.

use std::env;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use rustix::fs::{CWD, Mode, OFlags, openat};

/// Starts the program again with such a folder, if the present one is another. What cannot be opened stays as it is: whoever
/// needs it says what is wrong with it.
pub(crate) fn start_again_with_plain_temporary_folder() {
    let folder = env::temp_dir();
    if is_plain(&folder) {
        return;
    }
    let Some((_open, path)) = plain(&folder) else { return };
    let Ok(program) = env::current_exe() else { return };
    // Returns only if it fails; the folder's own path is as good as it was then.
    let _ = Command::new(program).args(env::args_os().skip(1)).env("TMPDIR", path).exec();
}

/// Whether no shell makes anything else of the path.
fn is_plain(path: &Path) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+@%".contains(byte);
    path.as_os_str().as_encoded_bytes().iter().all(is_plain)
}

/// The open folder, which the next program keeps, and its path among the files that this process has open.
fn plain(folder: &Path) -> Option<(OwnedFd, PathBuf)> {
    // Without `CLOEXEC`.
    let open = openat(CWD, folder, OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty()).ok()?;
    let path = PathBuf::from(format!("/proc/{}/fd/{}", process::id(), open.as_raw_fd()));
    path.is_dir().then_some((open, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shells_read_plain_paths_as_they_are() {
        for (path, expected) in [
            ("/tmp", true),
            ("/proc/12/fd/3", true),
            ("/var/tmp/a-b_c.d", true),
            ("/home/a b", false),
            ("/tmp/$x", false),
            ("/tmp/it's", false),
            ("/tmp/é", false),
        ] {
            assert_eq!(is_plain(Path::new(path)), expected, "{path}");
        }
    }

    #[test]
    fn an_open_folder_has_a_plain_path() {
        let folder = tempfile::Builder::new().prefix("a b;$").tempdir().unwrap();
        fs_err::write(folder.path().join("here"), "").unwrap();
        let (_open, path) = plain(folder.path()).unwrap();
        assert!(is_plain(&path) && path.join("here").is_file(), "{}", path.display());
        assert!(plain(&folder.path().join("here")).is_none());
    }
}
