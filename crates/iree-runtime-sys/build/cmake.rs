//! Drives `cmake/CMakeLists.txt`.

use std::collections::hash_map::DefaultHasher;
use std::ffi::{OsStr, OsString};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use fs_err as fs;

use crate::source::Source;
use crate::{Problem, tools, vars};

/// File name of the archive.
pub(crate) const ARCHIVE: &str = "libiree_runtime.a";
/// Programs that generate code during the build.
const HOST_TOOLS: [&str; 2] = ["iree-flatcc-cli", "iree-c-embed-data"];

/// How to compile for another machine.
pub(crate) struct Toolchain {
    file: PathBuf,
}

impl Toolchain {
    /// The toolchain for `target`; `None` when that is this machine.
    pub(crate) fn for_target(package: &Path, target: &str, host: &str) -> Result<Option<Self>, Problem> {
        if let Some(file) = vars::toolchain_file(target) {
            return Ok(Some(Self { file }));
        }
        let (file, compilers) = match target {
            _ if target == host && vars::has_cxx() => return Ok(None),
            _ if target == host => return tools::find("c++").map(|_| None),
            "armv7-unknown-linux-gnueabihf" => ("armv7-linux.cmake", "arm-linux-gnueabihf"),
            "aarch64-unknown-linux-gnu" => ("aarch64-linux.cmake", "aarch64-linux-gnu"),
            _ => {
                return Err(Problem::Missing(format!(
                    "there is no toolchain file for {target}; name one in CMAKE_TOOLCHAIN_FILE_{}",
                    target.replace('-', "_")
                )));
            }
        };
        tools::find(&format!("{compilers}-gcc"))?;
        tools::find(&format!("{compilers}-g++"))?;
        Ok(Some(Self { file: package.join("toolchains").join(file) }))
    }
}

/// Everything a build is made from.
pub(crate) struct Build {
    /// Folder of our `CMakeLists.txt`.
    pub(crate) project: PathBuf,
    /// IREE's source.
    pub(crate) source: Source,
}

impl Build {
    /// Cache key of what is built for `name`: whatever changes the result changes the key.
    pub(crate) fn key(&self, name: &str, toolchain: Option<&Toolchain>) -> Result<String, Problem> {
        let mut hasher = DefaultHasher::new();
        fs::read(self.project.join("CMakeLists.txt"))?.hash(&mut hasher);
        if let Some(Toolchain { file }) = toolchain {
            fs::read(file)?.hash(&mut hasher);
        }
        match &self.source.pinned {
            Some(version) => version.hash(&mut hasher),
            None => hash_tree(&self.source.runtime_include(), &mut hasher)?,
        }
        Ok(format!("{name}-{:016x}", hasher.finish()))
    }

    /// Builds the archive in `scratch`; `host_tools` is asked for their folder by a cross build only.
    pub(crate) fn runtime(
        &self,
        scratch: &Path,
        toolchain: Option<&Toolchain>,
        host_tools: &dyn Fn() -> Result<PathBuf, Problem>,
    ) -> Result<Vec<PathBuf>, Problem> {
        let mut definitions = Vec::new();
        if let Some(Toolchain { file }) = toolchain {
            definitions.push(define("CMAKE_TOOLCHAIN_FILE", file));
            definitions.push(define("IREE_HOST_BIN_DIR", &host_tools()?));
        }
        self.run(scratch, &definitions, &["iree_runtime_unified"])?;
        Ok(vec![scratch.join(ARCHIVE)])
    }

    /// Builds the programs that a cross build runs on this machine.
    pub(crate) fn host_tools(&self, scratch: &Path) -> Result<Vec<PathBuf>, Problem> {
        self.run(scratch, &[], &HOST_TOOLS)?;
        Ok(HOST_TOOLS.map(|tool| scratch.join("bin").join(tool)).to_vec())
    }

    fn run(&self, scratch: &Path, definitions: &[OsString], targets: &[&str]) -> Result<(), Problem> {
        let cmake = tools::cmake()?;
        let mut configure = Command::new(&cmake);
        configure.arg("-S").arg(&self.project).arg("-B").arg(scratch).args(["-G", "Ninja"]);
        configure.arg(define("CMAKE_MAKE_PROGRAM", &tools::ninja()?));
        configure.arg(define("SKIPGATE_IREE_SOURCE", &self.source.dir));
        configure.arg("-DCMAKE_BUILD_TYPE=Release").args(definitions);
        succeed(&mut configure)?;
        let mut build = Command::new(&cmake);
        build.arg("--build").arg(scratch).args(["-j", &vars::jobs(), "--target"]).args(targets);
        succeed(&mut build)
    }
}

fn define(name: &str, value: &Path) -> OsString {
    [OsStr::new("-D"), OsStr::new(name), OsStr::new("="), value.as_os_str()].into_iter().collect()
}

/// Runs a command and keeps the end of what it printed for the error.
fn succeed(command: &mut Command) -> Result<(), Problem> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    eprintln!("{text}");
    Err(Problem::Failed(format!("{command:?} failed with {}; its output follows", output.status)))
}

/// Hashes names, sizes and times of all files below `folder`.
fn hash_tree(folder: &Path, hasher: &mut DefaultHasher) -> std::io::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        let metadata = entry.metadata()?;
        entry.path().hash(hasher);
        if metadata.is_dir() {
            hash_tree(&entry.path(), hasher)?;
        } else {
            (metadata.len(), metadata.modified()?).hash(hasher);
        }
    }
    Ok(())
}
