//! Finding `libIREECompiler`.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::LoadError;

/// Environment variable that names the library file and wins over every other place.
pub const LIBRARY_VARIABLE: &str = "SKIPGATE_IREE_COMPILER";

/// Environment variable that names the folder which `cargo xtask setup` fills.
const TOOLS_VARIABLE: &str = "SKIPGATE_TOOLS";
/// Its value in a checkout, where cargo sets it whether or not there is such a folder.
const USUAL_TOOLS: &str = "target/tools";

const FILE: &str = "libIREECompiler.so";
/// Where the PyPI wheel keeps the library, inside `site-packages`.
const IN_SITE_PACKAGES: &str = "iree/compiler/_mlir_libs";

/// The library file, looked for in this order: the file named by [`LIBRARY_VARIABLE`]; beside the running program; the
/// Python environment that the program is installed in; the active one (`VIRTUAL_ENV`); the environment that `cargo xtask setup` makes (`SKIPGATE_TOOLS`,
/// or `tools` beside the program's build folder); `site-packages` of every `python3` on the path.
pub fn find_library() -> Result<PathBuf, LoadError> {
    if let Some(path) = env::var_os(LIBRARY_VARIABLE).filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        let searched = vec![format!("{LIBRARY_VARIABLE} = {}", path.display())];
        return if path.is_file() { Ok(path) } else { Err(LoadError::NotFound { searched }) };
    }
    if let Some(tools) = wrong_tools(env::var_os(TOOLS_VARIABLE)) {
        return Err(LoadError::NotFound {
            searched: vec![format!("{TOOLS_VARIABLE} = {}", tools.display())],
        });
    }
    let mut searched = vec![format!("{LIBRARY_VARIABLE} (not set)")];
    if let Some(beside) = env::current_exe().ok().map(|program| program.with_file_name(FILE)) {
        if beside.is_file() {
            return Ok(beside);
        }
        searched.push(beside.display().to_string());
    }
    for prefix in python_prefixes() {
        if let Some(found) = in_prefix(&prefix) {
            return Ok(found);
        }
        searched.push(prefix.join("lib/python3*/site-packages").join(IN_SITE_PACKAGES).display().to_string());
    }
    Err(LoadError::NotFound { searched })
}

/// The folder of tools that somebody named, if it has no compiler. That a checkout's own has none is no mistake of anybody's: it is
/// one of many places then.
fn wrong_tools(tools: Option<OsString>) -> Option<PathBuf> {
    let tools = tools.filter(|tools| !tools.is_empty()).map(PathBuf::from)?;
    let is_wrong = !tools.ends_with(USUAL_TOOLS) && in_prefix(&tools.join("venv")).is_none();
    is_wrong.then_some(tools)
}

/// Installation prefixes of Python environments, the most specific first.
fn python_prefixes() -> Vec<PathBuf> {
    let mut prefixes: Vec<PathBuf> = Vec::new();
    // venv/bin/skipgate -> venv: pip installed program and compiler together, whether or not that environment is active.
    let installation =
        env::current_exe().ok().and_then(|program| Some(program.parent()?.parent()?.to_path_buf()));
    prefixes.extend(installation.clone());
    prefixes.extend(env::var_os("VIRTUAL_ENV").map(PathBuf::from));
    prefixes.extend(env::var_os(TOOLS_VARIABLE).map(|tools| Path::new(&tools).join("venv")));
    // target/release/skipgate -> target/tools/venv
    prefixes.extend(installation.map(|build| build.join("tools/venv")));
    for dir in env::split_paths(&env::var_os("PATH").unwrap_or_default()) {
        if dir.join("python3").exists() {
            prefixes.extend(dir.parent().map(Path::to_path_buf));
        }
    }
    let mut unique = Vec::new();
    prefixes.retain(|prefix| {
        let new = !unique.contains(prefix);
        unique.push(prefix.clone());
        new
    });
    prefixes
}

/// The folders with the packages of every Python environment that the library is looked for in, the most specific first.
pub fn python_packages() -> Vec<PathBuf> {
    python_prefixes().iter().flat_map(|prefix| packages(prefix)).collect()
}

/// The folders with the packages of the Python versions of `prefix`, the newest first.
fn packages(prefix: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs_err::read_dir(prefix.join("lib")) else { return Vec::new() };
    let mut pythons: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    pythons.sort();
    let kinds = |python: PathBuf| ["site-packages", "dist-packages"].map(|kind| python.join(kind));
    pythons.into_iter().rev().flat_map(kinds).filter(|folder| folder.is_dir()).collect()
}

/// The library in one of the Python versions of `prefix`, the newest first.
fn in_prefix(prefix: &Path) -> Option<PathBuf> {
    let files = packages(prefix).into_iter().map(|packages| packages.join(IN_SITE_PACKAGES).join(FILE));
    files.into_iter().find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_python_of_a_prefix_wins() {
        let prefix = tempfile::tempdir().unwrap();
        for python in ["python3.10", "python3.11"] {
            let dir = prefix.path().join("lib").join(python).join("site-packages").join(IN_SITE_PACKAGES);
            fs_err::create_dir_all(&dir).unwrap();
            fs_err::write(dir.join(FILE), "").unwrap();
        }
        let found = in_prefix(prefix.path()).unwrap();
        assert!(found.to_string_lossy().contains("python3.11"), "{}", found.display());
    }

    #[test]
    fn only_a_folder_that_somebody_named_must_have_the_compiler() {
        let tools = tempfile::tempdir().unwrap();
        let wrong = |path: &Path| wrong_tools(Some(path.as_os_str().to_owned()));
        assert_eq!(wrong(tools.path()), Some(tools.path().to_owned()));
        assert_eq!(wrong(Path::new("/no/such/folder")), Some("/no/such/folder".into()));
        assert_eq!(wrong(Path::new("/no/such/target/tools")), None);
        assert_eq!(wrong_tools(Some(OsString::new())).or(wrong_tools(None)), None);
        let dir = tools.path().join("venv/lib/python3.11/site-packages").join(IN_SITE_PACKAGES);
        fs_err::create_dir_all(&dir).unwrap();
        fs_err::write(dir.join(FILE), "").unwrap();
        assert_eq!(wrong(tools.path()), None);
    }

    #[test]
    fn a_prefix_without_the_wheel_has_no_library() {
        let prefix = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(prefix.path().join("lib/python3.11/site-packages")).unwrap();
        assert_eq!(in_prefix(prefix.path()), None);
    }
}
