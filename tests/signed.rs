//! Signed artifacts on the command line: who may open what, and what happens to it afterwards.

#[path = "support/mod.rs"]
mod support;

use std::path::Path;
use std::process::Command;

use fs_err as fs;
use support::{repository, scratch, skipgate, succeed};

/// Makes the keys `name.key` and `name.pub` in `dir`.
fn keygen(dir: &Path, name: &str) {
    succeed(skipgate().arg("keygen").arg("--output").arg(dir.join(name)));
}

fn run(artifact: &Path, key: &Path) -> Command {
    let mut command = skipgate();
    command.arg("run").arg(artifact).arg("--require-key").arg(key);
    command.arg("--image").arg(repository().join("models/digits/samples/5.png"));
    command
}

/// What a command that fails says.
fn refused(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{command:?} was not refused");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn only_what_is_signed_is_opened() {
    let dir = scratch("signed");
    let path = |name: &str| dir.join(name);
    keygen(&dir, "mine");
    keygen(&dir, "other");
    let artifact = path("artifact");
    let mut compile = skipgate();
    compile
        .arg("compile")
        .arg(repository().join("models/digits/resnet20.onnx"))
        .arg("--output")
        .arg(&artifact);
    succeed(compile.arg("--sign").arg(path("mine.key")));
    let mine = path("mine.pub");
    succeed(&mut run(&artifact, &mine));

    // The other key, and no key at all.
    assert!(
        refused(run(&artifact, &path("other.pub"))).contains("is no signature of the manifest beside it")
    );
    assert!(refused(run(&artifact, &path("mine.key"))).contains("it is no public key of minisign's"));

    // What is added is refused until it is signed, too, by every command that opens artifacts.
    fs::write(artifact.join("pareto.json"), r#"{"configurations": [{"mask": "111111", "accuracy": 0.9}]}"#)
        .unwrap();
    for (command, arguments) in [
        ("run", &["--input", "none.npy", "--output", "none.npy"][..]),
        ("bench", &[]),
        ("simulate", &["--workload", "steady:1ms"]),
        ("serve", &["--stdin"]),
        ("rank", &["--data", "digits"]),
        ("pareto", &["--data", "digits"]),
        ("plot", &["--output", "none.svg"]),
        ("verify", &["--model", "none.onnx"]),
    ] {
        let mut opens = skipgate();
        opens.arg(command).arg(&artifact).args(arguments).arg("--require-key").arg(&mine);
        let said = refused(opens);
        assert!(said.contains("pareto.json` is not listed in the manifest"), "{command}: {said}");
    }
    succeed(skipgate().arg("sign").arg(&artifact).arg("--key").arg(path("mine.key")));
    succeed(run(&artifact, &mine).args(["--config", "0"]));

    // A front that is found later is not covered, and `pareto` says so.
    let found = succeed(skipgate().arg("pareto").arg(&artifact).args(["--data", "digits"]));
    assert!(found.contains("sign it again: `skipgate sign"), "{found}");
    assert!(refused(run(&artifact, &mine)).contains("not listed in the manifest"));
    succeed(skipgate().arg("sign").arg(&artifact).arg("--key").arg(path("mine.key")));
    succeed(&mut run(&artifact, &mine));

    // Other code is not signed unseen.
    let mut code = fs::read(artifact.join("model.vmfb")).unwrap();
    code[1000] ^= 1;
    fs::write(artifact.join("model.vmfb"), code).unwrap();
    assert!(refused(run(&artifact, &mine)).contains("model.vmfb` is damaged"));
    let mut sign = skipgate();
    sign.arg("sign").arg(&artifact).arg("--key").arg(path("mine.key"));
    assert!(refused(sign).contains("is not what was compiled"));
}

#[test]
fn a_key_is_never_overwritten_and_may_have_a_password() {
    let dir = scratch("keys");
    let with_password = |password: &str| {
        let mut command = skipgate();
        command.env("SKIPGATE_KEY_PASSWORD", password);
        command
    };
    let key = dir.join("key");
    succeed(with_password("secret").arg("keygen").arg("--output").arg(&key));
    let mut again = skipgate();
    again.arg("keygen").arg("--output").arg(&key);
    assert!(refused(again).contains("key.key"));
    let sign = |mut command: Command| {
        command.arg("sign").arg(&dir).arg("--key").arg(dir.join("key.key"));
        refused(command)
    };
    for command in [skipgate(), with_password("wrong")] {
        let said = sign(command);
        assert!(said.contains("expected a secret key of minisign's, with its password"), "{said}");
    }
    // With the password, it is the artifact that is missing.
    assert!(sign(with_password("secret")).contains("manifest.json"));
}
