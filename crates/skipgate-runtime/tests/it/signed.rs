//! What opening an artifact accepts and refuses if it must be signed.

use std::path::Path;

use minisign::KeyPair;
use skipgate_core::{DISPATCHES_FILE, FileDigest, MANIFEST_FILE, PARETO_FILE, SIGNATURE_FILE, VMFB_FILE};
use skipgate_runtime::{Artifact, Error, Hint, PublicKey};

use crate::fixture::Fixture;

/// A pair of keys, the second one as the runtime takes it.
fn keys() -> (KeyPair, PublicKey) {
    let pair = KeyPair::generate_unencrypted_keypair().unwrap();
    let public = PublicKey::parse(&pair.pk.to_box().unwrap().into_string()).unwrap();
    (pair, public)
}

/// Signs the manifest as it is.
fn sign(folder: &Path, pair: &KeyPair) {
    let text = fs_err::read(folder.join(MANIFEST_FILE)).unwrap();
    let signature = minisign::sign(None, &pair.sk, text.as_slice(), None, None).unwrap();
    fs_err::write(folder.join(SIGNATURE_FILE), signature.into_string()).unwrap();
}

/// An artifact of four files and a signature.
fn signed(pair: &KeyPair) -> Fixture {
    let fixture = Fixture::gated();
    let others = [(DISPATCHES_FILE, "[]"), (PARETO_FILE, r#"{"configurations": []}"#)];
    let fixture = fixture.edit(|manifest| {
        let listed = others.map(|(name, text)| (name.to_owned(), FileDigest::of(text.as_bytes())));
        manifest.files.extend(listed);
    });
    for (name, text) in others {
        fs_err::write(fixture.path().join(name), text).unwrap();
    }
    sign(fixture.path(), pair);
    fixture
}

const FILES: [&str; 5] = [MANIFEST_FILE, VMFB_FILE, DISPATCHES_FILE, PARETO_FILE, SIGNATURE_FILE];

#[test]
fn a_signed_artifact_opens() {
    let (pair, key) = keys();
    let fixture = signed(&pair);
    assert_eq!(Artifact::open_signed(fixture.path(), &key).unwrap().gates().len(), 2);
    assert_eq!(key.check(fixture.path()).unwrap(), fixture.manifest);
    // What is being written into the folder, and read by nobody.
    fs_err::create_dir(fixture.path().join(".skipgate-a1b2c3")).unwrap();
    Artifact::open_signed(fixture.path(), &key).unwrap();
    // Whoever asks for no signature gets the same.
    Artifact::open(fixture.path()).unwrap();
}

#[test]
fn a_public_key_is_a_file_or_its_second_line() {
    let (pair, _) = keys();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pub");
    fs_err::write(&path, pair.pk.to_box().unwrap().into_string()).unwrap();
    let fixture = signed(&pair);
    for key in [PublicKey::read(&path), PublicKey::parse(&pair.pk.to_base64())] {
        Artifact::open_signed(fixture.path(), &key.unwrap()).unwrap();
    }
    let secret = pair.sk.to_box(None).unwrap().into_string();
    for text in ["", "key", "RW", "comment\n", &secret, "a\nb\nc"] {
        assert!(matches!(PublicKey::parse(text), Err(Error::PublicKey)), "{text}");
    }
}

#[test]
fn a_byte_that_changed_in_any_file_is_refused() {
    let (pair, key) = keys();
    let fixture = signed(&pair);
    for name in FILES {
        let path = fixture.path().join(name);
        let bytes = fs_err::read(&path).unwrap();
        // Every byte of the shortest files and a sample of the others: the whole suite also runs under valgrind.
        for place in (0..bytes.len()).step_by(1 + bytes.len() / 60) {
            let mut changed = bytes.clone();
            changed[place] ^= 1 << (place % 8);
            fs_err::write(&path, &changed).unwrap();
            let opened = Artifact::open_signed(fixture.path(), &key);
            // The first line of a signature is a remark that nobody vouches for.
            let is_remark = name == SIGNATURE_FILE && opened.is_ok() && {
                let line = bytes.iter().position(|&byte| byte == b'\n').unwrap();
                place < line
            };
            assert!(opened.is_err() || is_remark, "byte {place} of {name}");
            assert!(key.check(fixture.path()).is_err() || is_remark, "byte {place} of {name}");
        }
        fs_err::write(&path, &bytes).unwrap();
    }
    Artifact::open_signed(fixture.path(), &key).unwrap();
}

#[test]
fn a_truncated_longer_or_missing_file_is_refused() {
    let (pair, key) = keys();
    let fixture = signed(&pair);
    for name in FILES {
        let path = fixture.path().join(name);
        let bytes = fs_err::read(&path).unwrap();
        let refused = |what: &str| {
            assert!(Artifact::open_signed(fixture.path(), &key).is_err(), "{name} {what}");
        };
        // The last byte of a signature is the end of its last line.
        for length in [0, 1, bytes.len() / 2, bytes.len() - 2] {
            fs_err::write(&path, &bytes[..length]).unwrap();
            refused("truncated");
        }
        if name != SIGNATURE_FILE {
            fs_err::write(&path, [&bytes[..], b"\n"].concat()).unwrap();
            refused("with a line more");
        }
        fs_err::remove_file(&path).unwrap();
        refused("missing");
        fs_err::write(&path, &bytes).unwrap();
    }
    Artifact::open_signed(fixture.path(), &key).unwrap();
}

#[test]
fn an_artifact_without_a_signature_is_refused() {
    let (_, key) = keys();
    let error = Artifact::open_signed(Fixture::gated().path(), &key).unwrap_err();
    assert!(matches!(error, Error::Unsigned { .. }), "{error}");
    assert!(error.hint().unwrap().contains("skipgate sign"));
}

#[test]
fn a_signature_by_another_key_or_of_another_artifact_is_refused() {
    let ((pair, key), (_, other)) = (keys(), keys());
    let fixture = signed(&pair);
    let error = Artifact::open_signed(fixture.path(), &other).unwrap_err();
    assert!(matches!(error, Error::Signature { .. }), "{error}");
    let foreign = Fixture::plain();
    fs_err::copy(fixture.path().join(SIGNATURE_FILE), foreign.path().join(SIGNATURE_FILE)).unwrap();
    let error = Artifact::open_signed(foreign.path(), &key).unwrap_err();
    assert!(matches!(error, Error::Signature { .. }), "{error}");
}

#[test]
fn nothing_of_a_manifest_is_parsed_before_its_signature_is_checked() {
    let (pair, key) = keys();
    let fixture = signed(&pair);
    fs_err::write(fixture.path().join(MANIFEST_FILE), "no manifest").unwrap();
    let error = Artifact::open_signed(fixture.path(), &key).unwrap_err();
    assert!(matches!(error, Error::Signature { .. }), "{error}");
    sign(fixture.path(), &pair);
    let error = Artifact::open_signed(fixture.path(), &key).unwrap_err();
    assert!(matches!(error, Error::Manifest { .. }), "{error}");
}

#[test]
fn a_file_that_the_manifest_does_not_list_is_refused() {
    let (pair, key) = keys();
    let fixture = signed(&pair);
    fs_err::write(fixture.path().join("exploration.json"), "{}").unwrap();
    let error = Artifact::open_signed(fixture.path(), &key).unwrap_err();
    assert!(matches!(&error, Error::Unlisted { path } if path.ends_with("exploration.json")), "{error}");
}

#[test]
fn a_file_of_holes_is_not_hashed_to_its_end() {
    let (pair, key) = keys();
    for name in [VMFB_FILE, PARETO_FILE] {
        let fixture = signed(&pair);
        // To hash this much would take hours.
        let file = fs_err::OpenOptions::new().write(true).open(fixture.path().join(name)).unwrap();
        file.set_len(1 << 43).unwrap();
        let error = Artifact::open_signed(fixture.path(), &key).unwrap_err();
        assert!(error.to_string().contains("is damaged: it is 8796093022208 bytes, its manifest"), "{error}");
        assert_eq!(Artifact::open(fixture.path()).is_err(), name == VMFB_FILE);
    }
}
