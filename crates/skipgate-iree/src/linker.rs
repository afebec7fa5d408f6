//! The linker for the embedded ELF files.

use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use skipgate_core::{Arch, Target};

use crate::libcalls;

/// The linker that the compiler calls, and, where one is needed, the temporary wrapper in front of it.
pub(crate) struct Linker {
    path: PathBuf,
    /// Removed when the linker is not needed any more.
    _files: Vec<tempfile::TempPath>,
}

impl Linker {
    /// The `iree-lld` beside the compiler `library`, as `target` needs it.
    ///
    /// Code for 32-bit Arm refers to the unwinder's personality routine `__aeabi_unwind_cpp_pr0`, which IREE's ELF
    /// loader cannot resolve and nothing ever calls: no code in an artifact unwinds. A wrapper defines the symbol
    /// as 0, which keeps the file free of imports. It also hands the linker the functions of [`libcalls`].
    pub(crate) fn new(library: &Path, target: &Target) -> io::Result<Self> {
        let lld = library.with_file_name("iree-lld");
        if target.arch != Arch::Arm {
            return Ok(Self { path: lld, _files: Vec::new() });
        }
        let mut file = tempfile::Builder::new().prefix("skipgate-lld-").suffix(".sh").tempfile()?;
        let mut object = tempfile::Builder::new().prefix("skipgate-libcalls-").suffix(".o").tempfile()?;
        object.write_all(&libcalls::arm_object().map_err(io::Error::other)?)?;
        let object = object.into_temp_path();
        let (lld, functions) = (quoted(&lld), quoted(&object));
        file.write_all(wrapper_script(&lld, &functions).as_bytes())?;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o700))?;
        // Closed before it is run: Linux does not execute a file that is open for writing.
        let wrapper = file.into_temp_path();
        Ok(Self { path: wrapper.to_path_buf(), _files: vec![wrapper, object] })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// What runs the linker `lld`. Only code for 32-bit Arm (`e_machine` is 40, a bracket, at byte 18 of an ELF file) gets
/// `functions`: the compiler links code for this machine, too, which computes constants while it compiles.
fn wrapper_script(lld: &str, functions: &str) -> String {
    format!(
        r#"#!/bin/sh
for file in "$@"; do
  case "$file" in
    *.o)
      if [ "$(dd if="$file" bs=1 skip=18 count=1 2>/dev/null)" = "(" ]; then
        set -- "$@" {functions}
        break
      fi
      ;;
  esac
done
exec {lld} "$@" --defsym=__aeabi_unwind_cpp_pr0=0
"#
    )
}

/// `path` as one word of a shell script.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}
