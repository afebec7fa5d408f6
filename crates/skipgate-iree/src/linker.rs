//! The linker for the embedded ELF files.

use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use skipgate_core::{Arch, Target};

/// The linker that the compiler calls, and, where one is needed, the temporary wrapper in front of it.
pub(crate) struct Linker {
    path: PathBuf,
    _wrapper: Option<tempfile::TempPath>,
}

impl Linker {
    /// The `iree-lld` beside the compiler `library`, as `target` needs it.
    ///
    /// Code for 32-bit Arm refers to the unwinder's personality routine `__aeabi_unwind_cpp_pr0`, which IREE's ELF
    /// loader cannot resolve and nothing ever calls: no code in an artifact unwinds. A wrapper defines the symbol
    /// as 0, which keeps the file free of imports.
    pub(crate) fn new(library: &Path, target: &Target) -> io::Result<Self> {
        let lld = library.with_file_name("iree-lld");
        if target.arch != Arch::Arm {
            return Ok(Self { path: lld, _wrapper: None });
        }
        let mut file = tempfile::Builder::new().prefix("skipgate-lld-").suffix(".sh").tempfile()?;
        let quoted = lld.display().to_string().replace('\'', r"'\''");
        writeln!(file, "#!/bin/sh\nexec '{quoted}' \"$@\" --defsym=__aeabi_unwind_cpp_pr0=0")?;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o700))?;
        // Closed before it is run: Linux does not execute a file that is open for writing.
        let wrapper = file.into_temp_path();
        Ok(Self { path: wrapper.to_path_buf(), _wrapper: Some(wrapper) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}
