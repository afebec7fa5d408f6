//! Random residual networks, compiled and run under many masks, against ONNX Runtime: a few fixed ones of those that
//! `cargo xtask fuzz differential` searches through.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use skipgate_fuzz::{Campaign, Summary};

/// Set where the Rust tests are to take less time: a share of the networks, in percent.
const SHARE: &str = "SKIPGATE_FUZZ_PERCENT";

/// Each campaign takes all cores.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn run(name: &str, targets: &[&str], cases: u64, time: Duration) -> Summary {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let share = env::var(SHARE).map_or(100, |percent| percent.parse().expect("a number of percent"));
    let campaign = Campaign {
        program: PathBuf::from(env!("CARGO_BIN_EXE_skipgate-fuzz")),
        targets: targets.iter().map(|&target| target.to_owned()).collect(),
        seed: Some(1_000_000),
        cases: Some((cases * share).div_ceil(100)),
        time,
        shrink: Duration::from_secs(60),
        dir: Path::new(env!("CARGO_TARGET_TMPDIR")).join(name),
        workers: thread::available_parallelism().map_or(1, usize::from),
    };
    let summary = campaign.run(&|line| println!("{line}")).unwrap();
    println!("{}", summary.text());
    assert_eq!(summary.failures(), 0, "{}", summary.text());
    summary
}

/// Most networks are compiled; a generator that only makes ones that are refused would test nothing.
fn assert_mostly_equal(summary: &Summary) {
    assert!(summary.equal() * 4 >= summary.cases() * 3, "{}", summary.text());
}

#[test]
fn random_networks_agree_with_onnx_runtime() {
    if env::var_os("ORT_DYLIB_PATH").is_none() {
        return eprintln!("skipped: ORT_DYLIB_PATH does not name ONNX Runtime's shared library");
    }
    assert_mostly_equal(&run("differential-host", &["host"], 56, Duration::from_secs(90)));
}

#[test]
fn random_networks_agree_with_onnx_runtime_on_the_board() {
    for variable in ["ORT_DYLIB_PATH", "SKIPGATE_BOARD_PROGRAM"] {
        if env::var_os(variable).is_none() {
            return eprintln!("skipped: {variable} is not set; `cargo xtask test` sets it");
        }
    }
    run("differential-board", &["odroid-xu4"], 8, Duration::from_secs(60));
}
