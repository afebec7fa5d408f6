//! Files: reading those that others made, and writing whole ones. A path may lead to anything: a pipe that nobody writes into, a device, a file that claims
//! to be larger than the memory. Only files are opened here, and no more is read than asked for.

use std::fs::Metadata;
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use fs_err::os::unix::fs::OpenOptionsExt as _;
use fs_err::{File, OpenOptions};
use rustix::fs::OFlags;

/// Most bytes of a file of text: a manifest, a front, latencies, scores, a trace, names.
pub const MOST_TEXT: u64 = 64 << 20;

/// Opens the file `path` for reading, and never waits for it.
///
/// # Errors
///
/// When it cannot be opened, or is a folder, a pipe, a socket or a device; the message names it.
pub fn open(path: impl AsRef<Path>) -> io::Result<File> {
    let path = path.as_ref();
    // To open a device may do something to it.
    if let Ok(found) = std::fs::metadata(path) {
        check(path, &found)?;
    }
    // What is there may be another thing by now, and opening a pipe would wait for somebody who writes into it.
    #[expect(clippy::cast_possible_wrap, reason = "flags are bits, and these are the type of C's `int`")]
    let file = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(path)?;
    check(path, &file.metadata()?)?;
    Ok(file)
}

/// The bytes of the file `path`, which may be `most`.
///
/// # Errors
///
/// Those of [`open()`], and a file that is larger.
pub fn read(path: impl AsRef<Path>, most: u64) -> io::Result<Vec<u8>> {
    let path = path.as_ref();
    let file = open(path)?;
    let too_large = |found: u64| {
        let message = format!("expected at most {most} bytes in `{}`, found {found}", path.display());
        io::Error::new(ErrorKind::FileTooLarge, message)
    };
    // What the file system says comes first, since a file of nothing but holes has any size; but it may grow.
    let size = file.metadata()?.len();
    if size > most {
        return Err(too_large(size));
    }
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    let size = bytes.len() as u64;
    if size > most { Err(too_large(size)) } else { Ok(bytes) }
}

/// The text in the file `path`, at most [`MOST_TEXT`] bytes.
///
/// # Errors
///
/// Those of [`read()`], and a file that is not UTF-8.
pub fn read_text(path: impl AsRef<Path>) -> io::Result<String> {
    read_long_text(path, MOST_TEXT)
}

/// The text in the file `path`, which may have `most` bytes.
///
/// # Errors
///
/// Those of [`read()`], and a file that is not UTF-8.
pub fn read_long_text(path: impl AsRef<Path>, most: u64) -> io::Result<String> {
    let path = path.as_ref();
    String::from_utf8(read(path, most)?).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let message = format!("expected UTF-8 text in `{}`, found other bytes at byte {at}", path.display());
        io::Error::new(ErrorKind::InvalidData, message)
    })
}

/// What a file or folder is called until it is whole, in front of random characters.
#[cfg(feature = "write")]
pub const TEMPORARY_PREFIX: &str = ".skipgate-";

/// Writes the file `path`, all of it or nothing, through a temporary file beside it which then takes its place.
///
/// # Errors
///
/// When the folder cannot be written to or the disk is full; the message names the file.
#[cfg(feature = "write")]
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_whole_with(path, |file| io::Write::write_all(file, bytes))
}

/// The same with what `write` writes.
///
/// # Errors
///
/// Those of [`write_whole()`], and those of `write`.
#[cfg(feature = "write")]
pub fn write_whole_with(
    path: &Path,
    write: impl FnOnce(&mut std::fs::File) -> io::Result<()>,
) -> io::Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    write_in(folder, path, write)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot write `{}`: {error}", path.display())))
}

#[cfg(feature = "write")]
fn write_in(
    folder: &Path,
    path: &Path,
    write: impl FnOnce(&mut std::fs::File) -> io::Result<()>,
) -> io::Result<()> {
    // What a file gets that is made in the ordinary way, before the umask; temporary files are private otherwise.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    let mut file = tempfile::Builder::new().prefix(TEMPORARY_PREFIX).permissions(mode).tempfile_in(folder)?;
    write(file.as_file_mut())?;
    // A full disk may only show when the data reaches it.
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// Fails unless a file was found.
fn check(path: &Path, found: &Metadata) -> io::Result<()> {
    let kind = found.file_type();
    let found = if kind.is_file() {
        return Ok(());
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    let message = format!("expected a file at `{}`, found {found}", path.display());
    Err(io::Error::new(ErrorKind::InvalidInput, message))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    fn error<T>(result: io::Result<T>) -> String {
        result.err().expect("it is no file that can be used").to_string()
    }

    #[test]
    fn what_is_no_file_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        mknodat(CWD, path("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        let _socket = UnixListener::bind(path("socket")).unwrap();
        std::os::unix::fs::symlink(path("pipe"), path("link")).unwrap();
        fs_err::create_dir(path("folder")).unwrap();
        for (name, found) in
            [("pipe", "a pipe"), ("link", "a pipe"), ("socket", "a socket"), ("folder", "a folder")]
        {
            for error in [error(open(path(name))), error(read(path(name), 1)), error(read_text(path(name)))] {
                assert_eq!(error, format!("expected a file at `{}`, found {found}", path(name).display()));
            }
        }
        for device in ["/dev/zero", "/dev/null", "/dev/tty", "/dev/urandom"] {
            assert_eq!(error(read_text(device)), format!("expected a file at `{device}`, found a device"));
        }
    }

    #[test]
    fn a_file_is_read_up_to_what_was_asked_for() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(file.path(), "four").unwrap();
        assert_eq!(read(file.path(), 4).unwrap(), b"four");
        assert!(error(read(file.path(), 3)).starts_with("expected at most 3 bytes in `"));
        // A hole of a terabyte, which takes no room on the disk.
        file.as_file().set_len(1 << 40).unwrap();
        assert!(error(read_text(file.path())).ends_with("found 1099511627776"));
        assert!(error(open("no/such/file")).contains("no/such/file"));
    }

    #[cfg(feature = "write")]
    #[test]
    fn a_file_is_written_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write_whole(&path, b"old").unwrap();
        let failed = write_whole_with(&path, |file| {
            io::Write::write_all(file, b"half of the ne")?;
            Err(io::Error::other("the source is gone"))
        });
        assert_eq!(error(failed), format!("cannot write `{}`: the source is gone", path.display()));
        assert_eq!(read_text(&path).unwrap(), "old");
        assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 1, "a temporary file stayed behind");
        let missing = folder.path().join("no/file");
        let message = error(write_whole(&missing, b"new"));
        assert!(message.starts_with(&format!("cannot write `{}`: ", missing.display())), "{message}");
    }

    #[test]
    fn bytes_that_are_no_text_are_named_with_their_place() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(file.path(), b"ab\xff").unwrap();
        assert!(error(read_text(file.path())).ends_with("found other bytes at byte 2"));
    }
}
