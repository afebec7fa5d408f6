//! The linker for the embedded ELF files.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use skipgate_core::{Arch, Target};
use tempfile::{Builder, TempPath};

use crate::libcalls;

/// The linker that the compiler calls: a temporary wrapper around `iree-lld`, which keeps what it complains about.
pub(crate) struct Linker {
    wrapper: TempPath,
    complaints: TempPath,
    /// Removed when the linker is not needed any more.
    _functions: Option<TempPath>,
}

/// What was not found when code was linked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Missing {
    /// Names of functions that code calls.
    pub(crate) functions: BTreeSet<String>,
    /// Names of the kernels whose code it is, as far as the linker lists them.
    pub(crate) callers: BTreeSet<String>,
}

impl Linker {
    /// The `iree-lld` beside the compiler `library`, as `target` needs it.
    ///
    /// Code for 32-bit Arm refers to the unwinder's personality routine `__aeabi_unwind_cpp_pr0`, which IREE's ELF
    /// loader cannot resolve and nothing ever calls: no code in an artifact unwinds. The wrapper defines the symbol
    /// as 0, which keeps the file free of imports. It also hands the linker the functions of [`libcalls`].
    pub(crate) fn new(library: &Path, target: &Target) -> io::Result<Self> {
        let lld = library.with_file_name("iree-lld");
        let complaints = temporary("complaints", ".txt")?.into_temp_path();
        let functions = (target.arch == Arch::Arm).then(|| functions(target)).transpose()?;
        let (lld, said) = (quoted(&lld), quoted(&complaints));
        let script = match &functions {
            Some(functions) => arm_script(&lld, &quoted(functions), &said),
            None => format!("#!/bin/sh\nexec {lld} \"$@\" 2>>{said}\n"),
        };
        let mut wrapper = temporary("lld", ".sh")?;
        wrapper.write_all(script.as_bytes())?;
        wrapper.as_file().set_permissions(std::fs::Permissions::from_mode(0o700))?;
        // Closed before it is run: Linux does not execute a file that is open for writing.
        Ok(Self { wrapper: wrapper.into_temp_path(), complaints, _functions: functions })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.wrapper
    }

    /// What was missing so far.
    pub(crate) fn missing(&self) -> io::Result<Missing> {
        Ok(Missing::parse(&String::from_utf8_lossy(&fs_err::read(&self.complaints)?)))
    }
}

/// Links a small file with the linker of the compiler `library`, in the same way as for an artifact. Returns what is wrong, in
/// words.
///
/// # Errors
///
/// When the linker is not there, cannot be run from the folder for temporary files, or does not link.
pub fn try_linker(library: &Path) -> Result<(), String> {
    let linked = || -> io::Result<Output> {
        // The linker is one for all machines; that of this code has nothing else in it.
        let board = Target::named("odroid-xu4").map_err(io::Error::other)?;
        let object = functions(&board)?;
        let linker = Linker::new(library, &Target { arch: Arch::Aarch64, ..board })?;
        let output = temporary("linked", ".so")?.into_temp_path();
        let mut command = Command::new(linker.path());
        command.args(["-flavor", "gnu", "-shared", "-o"]).arg(&output).arg(&object);
        let mut done = command.output()?;
        done.stderr.extend(fs_err::read(&linker.complaints)?);
        Ok(done)
    };
    let done = linked().map_err(|error| error.to_string())?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    let said = said.lines().next().unwrap_or("it gives no reason");
    Err(format!("the linker ended with {}: {said}", done.status))
}

impl Missing {
    /// `lld` writes `error: undefined symbol: NAME` and, for some calls, `>>>   FILE:(CALLER)` behind it.
    fn parse(complaints: &str) -> Self {
        let mut missing = Self::default();
        for line in complaints.lines() {
            if let Some((_, function)) = line.split_once("undefined symbol: ") {
                missing.functions.insert(function.trim().to_owned());
            } else if let Some((_, caller)) = line.strip_suffix(')').and_then(|line| line.rsplit_once(":(")) {
                // A section, if the caller has no name.
                missing.callers.insert(caller.trim_start_matches(".text.").to_owned());
            }
        }
        missing
    }
}

fn temporary(name: &str, suffix: &str) -> io::Result<tempfile::NamedTempFile> {
    Builder::new().prefix(&format!("skipgate-{name}-")).suffix(suffix).tempfile()
}

/// The object file of [`libcalls`] for `target`.
fn functions(target: &Target) -> io::Result<TempPath> {
    let mut object = temporary("libcalls", ".o")?;
    object.write_all(&libcalls::arm_object(target).map_err(io::Error::other)?)?;
    Ok(object.into_temp_path())
}

/// Only code for 32-bit Arm (`e_machine` is 40, a bracket, at byte 18 of an ELF file) gets `functions`: the compiler links
/// code for this machine, too, which computes constants while it compiles.
fn arm_script(lld: &str, functions: &str, complaints: &str) -> String {
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
exec {lld} "$@" --defsym=__aeabi_unwind_cpp_pr0=0 2>>{complaints}
"#
    )
}

/// `path` as one word of a shell script.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_functions_and_their_callers_are_read_from_complaints() {
        let complaints = "\
iree-lld: error: undefined symbol: log10f
>>> referenced by -:2
>>>               /tmp/run_dispatch_0-e02f8e.o:(run_dispatch_0_elementwise_37_f32)
>>> referenced by -:7
>>>               /tmp/run_dispatch_0-e02f8e.o:(run_dispatch_3)
>>> referenced 4 more times

iree-lld: error: undefined symbol: __aeabi_f2lz
>>> referenced by -:2
>>>               /tmp/run_dispatch_0-e02f8e.o:(run_dispatch_3)
";
        let Missing { functions, callers } = Missing::parse(complaints);
        assert!(functions.iter().eq(["__aeabi_f2lz", "log10f"]));
        assert!(callers.iter().eq(["run_dispatch_0_elementwise_37_f32", "run_dispatch_3"]));
        assert_eq!(Missing::parse("iree-lld: error: cannot open a.o\n"), Missing::default());
    }
}
