//! What tells one file from every other: its size and its SHA-256.

use std::fmt;
use std::io::{self, Read as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::file;

/// Size and hash of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FileDigest {
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256, in hexadecimal.
    pub sha256: String,
}

impl FileDigest {
    /// That of a file that holds `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, sha256: hex::encode(Sha256::digest(bytes)) }
    }

    /// That of the file `path`, of which no more than `most` bytes are read, and nothing at all if it says that it is larger: a
    /// file of nothing but holes has any size. What is larger than `most` has no hash.
    ///
    /// # Errors
    ///
    /// Those of [`file::open()`].
    pub fn of_file(path: &Path, most: u64) -> io::Result<Self> {
        let file = file::open(path)?;
        let bytes = file.metadata()?.len();
        let mut hash = Sha256::new();
        if bytes > most {
            return Ok(Self { bytes, sha256: String::new() });
        }
        let bytes = io::copy(&mut file.take(most.saturating_add(1)), &mut hash)?;
        Ok(Self { bytes, sha256: hex::encode(hash.finalize()) })
    }

    /// Whether `self` was found where `expected` must be. Hexadecimal digits may be of either case.
    pub fn fits(&self, expected: &Self) -> bool {
        self.bytes == expected.bytes && self.sha256.eq_ignore_ascii_case(&expected.sha256)
    }
}

impl fmt::Display for FileDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.bytes, self.sha256.as_str()) {
            (bytes, "") => write!(f, "{bytes} bytes"),
            (bytes, hash) => write!(f, "{bytes} bytes of SHA-256 {hash}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_digest_of_its_bytes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(file.path(), "abc").unwrap();
        let found = FileDigest::of_file(file.path(), 3).unwrap();
        assert_eq!(found, FileDigest::of(b"abc"));
        assert!(found.sha256.starts_with("ba7816bf"), "{found}");
        assert!(
            !found.fits(&FileDigest::of(b"abd")) && !found.fits(&FileDigest { bytes: 4, ..found.clone() })
        );
    }

    #[test]
    fn a_file_of_holes_is_not_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 40).unwrap();
        let found = FileDigest::of_file(file.path(), 1000).unwrap();
        assert_eq!(found.to_string(), "1099511627776 bytes");
        assert!(!found.fits(&FileDigest::of(&[0; 1000])));
    }
}
