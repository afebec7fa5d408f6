//! What opening an artifact accepts and refuses.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use skipgate_core::{Arch, MANIFEST_FILE, VMFB_FILE};
use skipgate_runtime::{Artifact, Device, Error, Found, Hint, Manifest, Session};

use crate::fixture::Fixture;

/// Opens the gated artifact after `edit` changed its manifest; returns the error.
fn refused(edit: impl FnOnce(&mut Manifest)) -> Error {
    Artifact::open(Fixture::gated().edit(edit).path()).unwrap_err()
}

#[test]
fn an_artifact_tells_its_gates_and_its_manifest() {
    let fixture = Fixture::gated();
    let artifact = fixture.open();
    assert_eq!(artifact.gates()[1].block, "block1");
    assert_eq!(artifact.manifest(), &fixture.manifest);
}

#[test]
fn a_newer_format_is_refused() {
    let fixture = Fixture::gated();
    fs_err::write(fixture.path().join(MANIFEST_FILE), r#"{"format_version": 99}"#).unwrap();
    let error = Artifact::open(fixture.path()).unwrap_err();
    assert!(error.to_string().contains("it has format version 99, this program reads version 5"), "{error}");
    assert!(error.hint().unwrap().starts_with("update skipgate"));
}

#[test]
fn a_manifest_that_is_no_json_is_refused() {
    let fixture = Fixture::gated();
    fs_err::write(fixture.path().join(MANIFEST_FILE), "{").unwrap();
    assert!(matches!(Artifact::open(fixture.path()), Err(Error::Manifest { .. })));
}

#[test]
fn another_version_of_iree_is_refused() {
    let error = refused(|manifest| manifest.iree.version = "3.12.0".to_owned());
    assert!(error.to_string().contains("was compiled by IREE 3.12.0"), "{error}");
    assert!(error.to_string().contains("this program runs IREE 3.13.0"), "{error}");
}

#[test]
fn another_revision_of_the_same_version_is_refused() {
    let error = refused(|manifest| manifest.iree.revision = "0123abcd".to_owned());
    assert!(error.to_string().contains("3.13.0 (0123abcd)"), "{error}");
}

#[test]
fn another_instruction_set_is_refused() {
    let other = if Arch::current() == Some(Arch::Arm) { Arch::X86_64 } else { Arch::Arm };
    let error = refused(|manifest| {
        manifest.target.arch = other;
        manifest.target.name = "elsewhere".to_owned();
    });
    let expected = format!("for elsewhere ({}), this machine is {}", other.name(), std::env::consts::ARCH);
    assert!(error.to_string().ends_with(&expected), "{error}");
    assert!(error.hint().unwrap().contains("skipgate targets"));
}

#[test]
#[cfg_attr(target_arch = "arm", ignore = "the features of a 32-bit Arm machine cannot be detected")]
fn a_feature_that_this_machine_lacks_is_refused() {
    let error = refused(|manifest| manifest.target.features = vec!["avx4096".to_owned()]);
    assert!(error.to_string().ends_with("this machine lacks avx4096"), "{error}");
}

#[test]
fn damaged_code_is_refused() {
    let fixture = Fixture::gated();
    let mut code = fixture.code();
    code[1000] ^= 1;
    let fixture = fixture.with_damaged_code(&code);
    let error = Artifact::open(fixture.path()).unwrap_err();
    assert!(error.to_string().contains(&format!("{VMFB_FILE}` is damaged")), "{error}");
}

#[test]
fn truncated_and_empty_code_is_refused() {
    let fixture = Fixture::gated();
    let code = fixture.code();
    let fixture = fixture.with_damaged_code(&code[..code.len() / 2]);
    assert!(matches!(Artifact::open(fixture.path()), Err(Error::Damaged { .. })));
    let fixture = fixture.with_damaged_code(&[]);
    assert!(matches!(Artifact::open(fixture.path()), Err(Error::Damaged { .. })));
}

/// A vmfb ends with a directory, shorter than this, that only zip programs read; what comes before is needed to the last byte.
const ZIP_DIRECTORY: usize = 512;

#[test]
fn truncated_code_with_a_matching_hash_is_refused_by_iree() {
    let code = Fixture::gated().code();
    for length in (0..code.len() - ZIP_DIRECTORY).step_by(211) {
        let artifact = Fixture::gated().with_code(&code[..length]).open();
        let error = Session::new(&artifact, Device::local_sync()).unwrap_err();
        assert!(matches!(error, Error::Iree { doing: "load the code", .. }), "{length} bytes: {error}");
    }
}

#[test]
fn missing_code_is_refused_with_its_path() {
    let fixture = Fixture::gated();
    fs_err::remove_file(fixture.path().join(VMFB_FILE)).unwrap();
    let error = Artifact::open(fixture.path()).unwrap_err();
    assert!(error.to_string().contains(VMFB_FILE), "{error}");
}

#[test]
fn a_path_that_does_not_exist_is_named() {
    let error = Artifact::open("no/such/folder").unwrap_err();
    assert!(error.to_string().contains("`no/such/folder`"), "{error}");
}

#[test]
fn what_is_no_artifact_folder_is_described() {
    let folder = tempfile::tempdir().unwrap();
    let found = |path: &std::path::Path| match Artifact::open(path).unwrap_err() {
        Error::NotAnArtifact { found, .. } => found,
        error => panic!("{error}"),
    };
    assert_eq!(found(folder.path()), Found::Folder);
    for (name, expected) in
        [("model.onnx", Found::Onnx), (VMFB_FILE, Found::Vmfb), ("notes.txt", Found::File)]
    {
        let path = folder.path().join(name);
        fs_err::write(&path, "anything").unwrap();
        assert_eq!(found(&path), expected);
    }
    let error = Artifact::open(folder.path().join("model.onnx")).unwrap_err();
    assert!(error.to_string().ends_with("it is an ONNX model"), "{error}");
    assert!(error.hint().unwrap().contains("skipgate compile"));
}

#[test]
fn a_reader_sees_a_whole_artifact_while_others_write() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("artifact");
    let fixtures = [Fixture::gated(), Fixture::plain()];
    let copy = |fixture: &Fixture, to: &std::path::Path| {
        fs_err::create_dir(to).unwrap();
        for file in [VMFB_FILE, MANIFEST_FILE] {
            fs_err::copy(fixture.path().join(file), to.join(file)).unwrap();
        }
    };
    copy(&fixtures[0], &path);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for (number, fixture) in fixtures.iter().enumerate() {
            let new = parent.path().join(format!("new{number}"));
            let (path, stop) = (&path, &stop);
            // As `skipgate compile` does it.
            scope.spawn(move || {
                while !stop.load(Relaxed) {
                    copy(fixture, &new);
                    renameat_with(CWD, &new, CWD, path, RenameFlags::EXCHANGE).unwrap();
                    fs_err::remove_dir_all(&new).unwrap();
                }
            });
        }
        // Panics only once the writers are told to stop.
        let opened: Vec<_> = (0..500).map(|_| Artifact::open(&path)).collect();
        stop.store(true, Relaxed);
        let gates: Vec<_> = opened.into_iter().map(|artifact| artifact.unwrap().gates().len()).collect();
        assert!(gates.contains(&0) && gates.contains(&2), "nothing was replaced");
    });
}
