//! The program that runs artifacts on a board.

use std::env;
use std::iter;
use std::path::{Path, PathBuf};

use object::{Architecture, Object as _};
use skipgate_core::{Arch, Target, file};

use crate::Error;

/// Most bytes of a program, which has some millions.
const MOST_PROGRAM: u64 = 1 << 30;

/// The program that runs artifacts for `target`: `given`, or the one that the [variable](Arch::program_variable) names, or this
/// program where machines are of one kind, or what `cargo xtask program` built, or what was unpacked of a release.
///
/// # Errors
///
/// When there is none, or it is for another machine.
pub fn find_program(target: &Target, given: Option<&Path>) -> Result<PathBuf, Error> {
    let named = || {
        // A machine of this kind is no board that somebody builds for.
        let variable = (Arch::current() != Some(target.arch)).then(|| target.arch.program_variable())?;
        env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from)
    };
    let path = given.map(Path::to_owned).or_else(named);
    let path = path.or_else(|| usual_places(target.arch).into_iter().find(|path| path.is_file()));
    let path = path.ok_or_else(|| Error::NoProgram(Box::new(target.clone())))?;
    check(&path, target.arch)?;
    Ok(path)
}

/// Where the program is after it was built or unpacked, the likeliest place first.
fn usual_places(arch: Arch) -> Vec<PathBuf> {
    let own = env::current_exe().ok();
    let this = own.clone().filter(|_| Arch::current() == Some(arch));
    // `target/release/skipgate` has `target/<triple>/board/skipgate` beside its folder.
    let beside = own.iter().flat_map(|own| own.ancestors().skip(1).take(2)).map(Path::to_owned);
    let tools = env::var_os("SKIPGATE_TOOLS").map(PathBuf::from);
    let target_folder = tools.as_deref().and_then(Path::parent).map(Path::to_owned);
    let folders: Vec<_> = beside.chain(target_folder).chain(env::current_dir()).collect();
    let inside = [format!("{}/board/skipgate", arch.rust_target()), format!("{}/skipgate", archive(arch))];
    let places = folders.iter().flat_map(|folder| iter::repeat(folder).zip(&inside));
    this.into_iter().chain(places.map(|(folder, name)| folder.join(name))).collect()
}

/// The name of the archive of a release, without its ending; its folder is called so, too.
pub(crate) fn archive(arch: Arch) -> String {
    format!("skipgate-{}-{}", env!("CARGO_PKG_VERSION"), arch.rust_target())
}

/// Fails if `path` is a program for another machine. What is no machine code, such as a script, is taken as it is.
fn check(path: &Path, expected: Arch) -> Result<(), Error> {
    let bytes = file::read(path, MOST_PROGRAM)?;
    let Ok(program) = object::File::parse(&*bytes) else { return Ok(()) };
    let found = match program.architecture() {
        Architecture::Arm => Some(Arch::Arm),
        Architecture::Aarch64 => Some(Arch::Aarch64),
        Architecture::X86_64 => Some(Arch::X86_64),
        _ => None,
    };
    if found == Some(expected) {
        return Ok(());
    }
    let found = found.map_or_else(|| format!("{:?}", program.architecture()), |arch| arch.name().to_owned());
    Err(Error::WrongProgram { path: path.to_owned(), found, expected })
}

#[cfg(test)]
mod tests {
    use skipgate_core::Hint as _;

    use super::*;

    #[test]
    fn this_program_is_for_this_machine_and_for_no_other() {
        let this = env::current_exe().unwrap();
        let host = Target::host().unwrap();
        assert_eq!(find_program(&host, Some(&this)).unwrap(), this);
        let other = Target::all().into_iter().find(|target| target.arch != host.arch).unwrap();
        let error = find_program(&other, Some(&this)).unwrap_err();
        let expected =
            format!("is a program for {}, the artifact is for {}", host.arch.name(), other.arch.name());
        assert!(error.to_string().contains(&expected), "{error}");
    }

    #[test]
    fn a_script_is_taken_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("program");
        fs_err::write(&script, "#!/bin/sh\n").unwrap();
        let target = Target::named("odroid-xu4").unwrap();
        assert_eq!(find_program(&target, Some(&script)).unwrap(), script);
        assert!(find_program(&target, Some(&dir.path().join("none"))).is_err());
    }

    #[test]
    fn whoever_has_no_program_learns_where_it_is_from() {
        let target = Target::named("raspberry-pi-4").unwrap();
        let hint = Error::NoProgram(Box::new(target)).hint().unwrap();
        for part in ["cargo xtask program raspberry-pi-4", "aarch64-unknown-linux-gnu.tar.xz", "--program"] {
            assert!(hint.contains(part), "{hint}");
        }
    }
}
