//! Some of the test cases that ONNX has for its operators, of those that `cargo xtask operators` checks, and the page that
//! shows what became of all of them.

use std::env;
use std::path::{Path, PathBuf};
use std::thread;

use skipgate_fuzz::operators::{Support, Survey};

/// Names the folder with the cases; `cargo xtask test` sets it.
const CASES: &str = "SKIPGATE_OPERATOR_CASES";

/// One case in so many is checked.
const STEP: usize = 13;

#[test]
fn some_cases_of_each_kind_are_right_or_refused() {
    let Some(cases) = env::var_os(CASES) else {
        return eprintln!("skipped: {CASES} is not set; `cargo xtask test` sets it");
    };
    let results = tempfile::tempdir().unwrap();
    let survey = Survey {
        program: PathBuf::from(env!("CARGO_BIN_EXE_skipgate-fuzz")),
        cases: cases.into(),
        target: "host".to_owned(),
        only: Vec::new(),
        step: STEP,
        results: results.path().to_owned(),
        again: false,
        workers: thread::available_parallelism().map_or(1, usize::from),
    };
    let mut support = Support::default();
    support.update("host", &survey.run(&|line| println!("{line}")).unwrap());
    println!("{}", support.line("host"));
    assert_eq!(support.failures("host"), 0, "{}", support.line("host"));
    let (right, in_scope) = support.right("host");
    assert!(right * 100 >= in_scope * 95, "{}", support.line("host"));
}

#[test]
fn the_page_shows_what_the_results_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/support");
    let support = Support::read(&folder).unwrap();
    let page = fs_err::read_to_string(folder.join("operators.md")).unwrap();
    assert!(
        page == support.page(),
        "docs/support/operators.md is out of date: `cargo xtask operators` writes it"
    );
    for target in ["host", "odroid-xu4"] {
        assert_eq!(support.failures(target), 0, "{target}");
    }
}
