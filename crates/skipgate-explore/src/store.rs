//! The results store: what was evaluated once is not evaluated again.
//!
//! A store is a text file with one JSON object per line. The first line says what the results are of:
//! `{"format_version": 1, "model": "SHA-256 of the ONNX file", "data": "SHA-256 of the data set", "batch": 100}`. Every
//! other line is the result of one mask on one batch of images: `{"mask": "1101", "batch": 3, "correct": "...",
//! "confidence": "..."}`. Both results have two hexadecimal digits: per eight images, the first in the lowest bit; and
//! per image, the probability of its class in steps of 1/255.
//!
//! A line is added as soon as its result is there. What a killed process left of its last line is cut off by the next
//! one.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use fs_err as fs;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use skipgate_core::{SkipMask, file};

use crate::{Error, Outcomes};

/// Most bytes of a store, which is far more results than a machine evaluates in a year.
const MOST_BYTES: u64 = 4 << 30;
/// Images of a batch, the unit of evaluation. The last batch of a data set may have fewer, and all have where a data set has
/// fewer than two of them.
pub const BATCH: usize = 100;
/// Version of the format.
const FORMAT_VERSION: u32 = 1;

/// What the results in a store are of; its first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    /// Version of this format.
    format_version: u32,
    /// SHA-256 of the ONNX file.
    model: String,
    /// SHA-256 of the data set's labels and pixels.
    data: String,
    /// Images of a batch; the last one may have fewer.
    batch: usize,
}

/// Every other line.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    mask: SkipMask,
    /// Number of the batch, from 0.
    batch: usize,
    /// Which images are classified right, as hexadecimal digits: a byte per eight images, the first in the lowest bit.
    correct: String,
    /// The probability of each image's class in steps of 1/255, as hexadecimal digits: a byte per image.
    confidence: String,
}

/// A line of a store.
#[cfg(feature = "schema")]
#[derive(schemars::JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "it is there for its schema")]
pub(crate) enum StoreLine {
    /// The first one.
    Header(Header),
    /// Every other one.
    Result(Line),
}

/// Results by mask and batch, in memory and in a file that no other process writes to meanwhile.
#[derive(Debug)]
pub struct Store {
    file: fs::File,
    results: Results,
}

/// By mask and batch.
type Results = BTreeMap<(SkipMask, usize), Outcomes>;

impl Store {
    /// Opens the store in `path`, or makes it if there is none, for the results of a model with `gates` gates on a data
    /// set, both given by their hashes, in batches of `batch` images.
    ///
    /// # Errors
    ///
    /// When the file is no store, is one of another model or data set, is in use, or cannot be written.
    pub fn open(path: &Path, model: &str, data: &str, gates: usize, batch: usize) -> Result<Self, Error> {
        let header =
            Header { format_version: FORMAT_VERSION, model: model.to_owned(), data: data.to_owned(), batch };
        if path.exists() {
            // Reading from a pipe or a device may have no end.
            file::open(path)?;
        }
        let mut file = fs::OpenOptions::new().create(true).append(true).read(true).open(path)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| Error::StoreInUse { path: path.to_owned() })?;
        let text = file::read_long_text(path, MOST_BYTES)?;
        let first = json(&header) + "\n";
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        if whole == 0 && first.starts_with(&text) {
            file.set_len(0)?;
            file.write_all(first.as_bytes())?;
            return Ok(Self { file, results: BTreeMap::new() });
        }
        // Nothing is cut off a file that is no store.
        let (found, results) = parse(path, &text[..whole])?;
        check(path, &header, &found)?;
        file.set_len(whole as u64)?;
        if let Some((mask, _)) = results.keys().find(|(mask, _)| mask.len() != gates) {
            mask.check_len(gates)?;
        }
        Ok(Self { file, results })
    }

    /// The result of `mask` on the batch with that number, if there is one.
    pub fn get(&self, mask: &SkipMask, batch: usize) -> Option<&Outcomes> {
        // A key that borrows the mask would take a type of its own; masks are short.
        self.results.get(&(mask.clone(), batch))
    }

    /// Number of results.
    pub fn len(&self) -> usize {
        self.results.len()
    }

    /// Whether there is no result yet.
    pub fn is_empty(&self) -> bool {
        self.results.is_empty()
    }

    /// Adds a result, to the file first.
    pub(crate) fn insert(&mut self, mask: SkipMask, batch: usize, outcomes: Outcomes) -> Result<(), Error> {
        // One write for the whole line, so that only a kill in the middle of it leaves a part.
        self.file.write_all(line(&mask, batch, &outcomes).as_bytes())?;
        self.results.insert((mask, batch), outcomes);
        Ok(())
    }
}

/// Writes the results of all `stores`, sorted, to the new store `output`, and returns their number. Equal results give
/// equal files, whatever order they were found in.
///
/// # Errors
///
/// When a file is no store, when they are not of one model and data set, or when the output cannot be written; then
/// nothing is.
pub fn merge(stores: &[PathBuf], output: &Path) -> Result<usize, Error> {
    let mut header: Option<Header> = None;
    let mut merged = BTreeMap::new();
    for path in stores {
        let text = file::read_long_text(path, MOST_BYTES)?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let (found, results) = parse(path, &text[..whole])?;
        check(path, header.get_or_insert_with(|| found.clone()), &found)?;
        merged.extend(results);
    }
    let lines = merged.iter().map(|((mask, batch), outcomes)| line(mask, *batch, outcomes));
    let text: String = header.iter().map(|header| json(header) + "\n").chain(lines).collect();
    file::write_whole(output, text.as_bytes())?;
    Ok(merged.len())
}

/// First line and results of a store.
fn parse(path: &Path, text: &str) -> Result<(Header, Results), Error> {
    let bad =
        |number: usize, found: String| Error::StoreSyntax { path: path.to_owned(), line: number + 1, found };
    let mut lines = text.lines().enumerate();
    let first = lines.next().map_or("", |(_, line)| line);
    let header: Header = serde_json::from_str(first).map_err(|error| bad(0, error.to_string()))?;
    if header.format_version != FORMAT_VERSION || !(1..=BATCH).contains(&header.batch) {
        return Err(bad(
            0,
            format!("it has version {} and batches of {}", header.format_version, header.batch),
        ));
    }
    let results = lines
        .map(|(number, line)| result(line).map_err(|found| bad(number, found)))
        .collect::<Result<_, _>>()?;
    Ok((header, results))
}

fn result(line: &str) -> Result<((SkipMask, usize), Outcomes), String> {
    let Line { mask, batch, correct, confidence } =
        serde_json::from_str(line).map_err(|error| error.to_string())?;
    let bytes = |text: &str| hex::decode(text).map_err(|error| error.to_string());
    let (bits, confidence) = (bytes(&correct)?, bytes(&confidence)?);
    if bits.len() != confidence.len().div_ceil(8) || confidence.is_empty() || confidence.len() > BATCH {
        return Err(format!("{} bytes of bits for {} images", bits.len(), confidence.len()));
    }
    let correct = (0..confidence.len()).map(|image| bits[image / 8] >> (image % 8) & 1 == 1).collect();
    Ok(((mask, batch), Outcomes { correct, confidence }))
}

fn line(mask: &SkipMask, batch: usize, Outcomes { correct, confidence }: &Outcomes) -> String {
    let bits = |eight: &[bool]| eight.iter().rev().fold(0u8, |bits, &right| bits << 1 | u8::from(right));
    let correct = hex::encode(correct.chunks(8).map(bits).collect::<Vec<_>>());
    json(&Line { mask: mask.clone(), batch, correct, confidence: hex::encode(confidence) }) + "\n"
}

fn check(path: &Path, expected: &Header, found: &Header) -> Result<(), Error> {
    let batches = [expected.batch, found.batch].map(|batch| batch.to_string());
    let of = [
        ("model", &expected.model, &found.model),
        ("data set", &expected.data, &found.data),
        ("size of batches", &batches[0], &batches[1]),
    ];
    match of.into_iter().find(|(_, expected, found)| expected != found) {
        None => Ok(()),
        Some((what, expected, found)) => {
            let (path, expected, found) = (path.to_owned(), expected.clone(), found.clone());
            Err(Error::StoreOfAnother { path, what, expected, found })
        }
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("strings and numbers have a JSON form")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn outcomes(seed: u8, images: u8) -> Outcomes {
        let confidence: Vec<_> = (0..images).map(|image| image.wrapping_mul(37).wrapping_add(seed)).collect();
        Outcomes { correct: confidence.iter().map(|value| value % 3 == 0).collect(), confidence }
    }

    fn mask(text: &str) -> SkipMask {
        text.parse().unwrap()
    }

    fn open(path: &Path) -> Result<Store, Error> {
        Store::open(path, "m", "d", 2, BATCH)
    }

    #[test]
    fn results_are_there_after_reopening() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.jsonl");
        open(&path).unwrap().insert(mask("10"), 3, outcomes(1, 100)).unwrap();
        let store = open(&path).unwrap();
        assert_eq!(store.get(&mask("10"), 3), Some(&outcomes(1, 100)));
        assert_eq!(store.get(&mask("10"), 2), None);
        assert_eq!(store.len(), 1);
    }

    #[test]
    fn what_a_killed_process_left_of_a_line_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.jsonl");
        let mut store = open(&path).unwrap();
        store.insert(mask("10"), 0, outcomes(1, 9)).unwrap();
        store.insert(mask("01"), 1, outcomes(2, 9)).unwrap();
        drop(store);
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let mut store = open(&path).unwrap();
            assert!(store.len() < 2);
            store.insert(mask("11"), 5, outcomes(3, 9)).unwrap();
            drop(store);
            assert_eq!(open(&path).unwrap().get(&mask("11"), 5), Some(&outcomes(3, 9)));
        }
    }

    #[test]
    fn results_of_another_model_or_data_set_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.jsonl");
        open(&path).unwrap();
        let error = Store::open(&path, "x", "d", 2, BATCH).unwrap_err().to_string();
        assert!(error.ends_with("holds results of another model: m, expected x"), "{error}");
        let error = Store::open(&path, "m", "x", 2, BATCH).unwrap_err().to_string();
        assert!(error.ends_with("holds results of another data set: d, expected x"), "{error}");
    }

    #[test]
    fn two_processes_cannot_write_to_one_store() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.jsonl");
        let _first = open(&path).unwrap();
        assert!(matches!(open(&path), Err(Error::StoreInUse { .. })));
    }

    #[test]
    fn a_file_that_is_no_store_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.jsonl");
        let header = r#"{"format_version":1,"model":"m","data":"d","batch":100}"#;
        for (text, line) in [
            ("hello\n".to_owned(), 1),
            ("hello".to_owned(), 1),
            (header.replace(":1", ":2") + "\n", 1),
            (format!("{header}\n{{}}\n"), 2),
            (
                format!(
                    r#"{header}{}{{"mask":"11","batch":0,"correct":"ff","confidence":""}}{}"#,
                    "\n", "\n"
                ),
                2,
            ),
            (
                format!(
                    r#"{header}{}{{"mask":"11","batch":0,"correct":"zz","confidence":"00"}}{}"#,
                    "\n", "\n"
                ),
                2,
            ),
        ] {
            fs::write(&path, &text).unwrap();
            let error = open(&path).unwrap_err();
            assert!(matches!(error, Error::StoreSyntax { line: found, .. } if found == line), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn merged_shards_equal_one_run_in_any_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let results = [("10", 0, 5), ("01", 0, 6), ("11", 1, 7)];
        let fill = |name: &str, which: &[usize]| {
            let mut store = open(&path(name)).unwrap();
            for &index in which {
                let (text, batch, seed) = results[index];
                store.insert(mask(text), batch, outcomes(seed, 9)).unwrap();
            }
        };
        fill("one", &[2, 0, 1]);
        fill("a", &[1]);
        fill("b", &[0, 2]);
        assert_eq!(merge(&[path("one")], &path("whole")).unwrap(), 3);
        assert_eq!(merge(&[path("b"), path("a")], &path("parts")).unwrap(), 3);
        assert_eq!(fs::read(path("whole")).unwrap(), fs::read(path("parts")).unwrap());
        assert_eq!(open(&path("parts")).unwrap().len(), 3);
    }

    #[test]
    fn stores_of_different_models_are_not_merged() {
        let dir = tempfile::tempdir().unwrap();
        let paths = [dir.path().join("a"), dir.path().join("b")];
        Store::open(&paths[0], "m", "d", 2, BATCH).unwrap();
        Store::open(&paths[1], "n", "d", 2, BATCH).unwrap();
        let output = dir.path().join("merged");
        assert!(matches!(merge(&paths, &output), Err(Error::StoreOfAnother { what: "model", .. })));
        assert!(!output.exists());
    }

    proptest! {
        #[test]
        fn a_line_holds_a_result_exactly(
            images in proptest::collection::vec((any::<bool>(), any::<u8>()), 1..=BATCH),
            run in proptest::collection::vec(any::<bool>(), 0..60),
            batch in 0usize..1000,
        ) {
            let (correct, confidence) = images.into_iter().unzip();
            let outcomes = Outcomes { correct, confidence };
            let mask = SkipMask::from(run);
            let text = line(&mask, batch, &outcomes);
            prop_assert_eq!(result(&text).unwrap(), ((mask, batch), outcomes));
        }
    }
}
