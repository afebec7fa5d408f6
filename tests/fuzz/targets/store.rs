//! The store of evaluations, opened and merged. A store that is accepted says the same once it is written again.
#![no_main]

use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use skipgate_explore::{Store, merge};
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| TempDir::new().expect("a temporary folder"));

/// The network and the data set that the corpus has results of.
const MODEL: &str = "m";
const DATA: &str = "d";
const GATES: usize = 4;
const BATCH: usize = 100;

fuzz_target!(|bytes: &[u8]| {
    let [store, merged, again] = ["store", "merged", "again"].map(|name| FOLDER.path().join(name));
    fs::write(&store, bytes).expect("it can be written");
    if let Ok(count) = merge(std::slice::from_ref(&store), &merged) {
        assert_eq!(merge(&[merged.clone(), store.clone()], &again).expect("both are stores"), count);
        assert_eq!(fs::read(&merged).expect("it is there"), fs::read(&again).expect("it is there"));
    }
    if let Ok(opened) = Store::open(&store, MODEL, DATA, GATES, BATCH) {
        let count = opened.len();
        drop(opened);
        assert_eq!(
            Store::open(&store, MODEL, DATA, GATES, BATCH).expect("it was opened before").len(),
            count
        );
    }
});
