//! `skipgate rank`, `pareto`, `plot` and `merge` on a real artifact and the built-in digits.

#[path = "support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use fs_err as fs;
use serde_json::Value;
use skipgate_core::Front;
use support::{Job, compile, oracle, repository, scratch, skipgate, succeed};

const GATES: usize = 6;
/// Images of the digits that masks are chosen on; there are 360.
const SEARCH: u64 = 200;
const REPORT: u64 = 160;

/// The digits ResNet-20, compiled once.
fn artifact() -> &'static Path {
    static ARTIFACT: OnceLock<PathBuf> = OnceLock::new();
    ARTIFACT.get_or_init(|| {
        let artifact = scratch("explore").join("host");
        compile(&repository().join("models/digits/resnet20.onnx"), "host", &artifact);
        artifact
    })
}

/// A copy of the artifact for one test, with a store of its own.
fn copy(name: &str) -> PathBuf {
    let copy = scratch(&format!("explore-{name}")).join("host");
    fs::create_dir(&copy).unwrap();
    for entry in fs::read_dir(artifact()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, copy.join(path.file_name().unwrap())).unwrap();
    }
    copy
}

fn explore(command: &str, artifact: &Path, store: &str) -> Command {
    let mut program = skipgate();
    program.args([command, "--format", "json", "--data", "digits"]).arg(artifact);
    program.arg("--store").arg(artifact.with_file_name(store));
    program
}

fn json(command: &mut Command) -> Value {
    serde_json::from_str(&succeed(command)).unwrap()
}

/// A result without what depends on the clock or on what was known before.
fn timeless(mut result: Value) -> Value {
    for key in ["seconds", "computed", "hypervolume", "files"] {
        result.as_object_mut().unwrap().remove(key);
    }
    for candidate in result["candidates"].as_array_mut().into_iter().flatten() {
        for key in ["latency", "speedup", "on_front"] {
            candidate.as_object_mut().unwrap().remove(key);
        }
    }
    result
}

#[test]
fn a_ranking_takes_one_evaluation_per_gate_and_none_the_second_time() {
    let artifact = copy("rank");
    let first = json(&mut explore("rank", &artifact, "s"));
    assert_eq!(first["evaluations"], GATES as u64 * SEARCH);
    assert_eq!(first["computed"], first["evaluations"]);
    let importance = |block: &Value| block["importance"].as_f64().unwrap();
    let blocks = first["blocks"].as_array().unwrap();
    assert!(blocks.len() == GATES && blocks.is_sorted_by_key(importance));
    let second = json(&mut explore("rank", &artifact, "s"));
    assert_eq!(second["computed"], 0);
    assert_eq!(second["blocks"], first["blocks"]);
}

/// A folder with a subfolder per class, each with the sample of its digit so many times.
fn few_images(dir: &Path, copies: usize) -> PathBuf {
    let data = dir.join(format!("data-{copies}"));
    for digit in 0..10 {
        let class = data.join(digit.to_string());
        fs::create_dir_all(&class).unwrap();
        let sample = repository().join(format!("models/digits/samples/{digit}.png"));
        for copy in 0..copies {
            fs::copy(&sample, class.join(format!("{copy}.png"))).unwrap();
        }
    }
    data
}

#[test]
fn twenty_images_are_halved_and_ten_are_too_few() {
    let artifact = copy("few");
    let explore = |command: &str, copies| {
        let data = few_images(artifact.parent().unwrap(), copies);
        let mut program = skipgate();
        program.args([command, "--format", "json", "--data"]).arg(data).arg(&artifact);
        program.arg("--store").arg(artifact.with_file_name(format!("s{copies}")));
        program
    };
    assert_eq!(json(&mut explore("rank", 2))["images"], 10);
    for search in ["surrogate", "evolution"] {
        let found = json(explore("pareto", 2).args(["--search", search]));
        assert_eq!((&found["search_images"], &found["report_images"]), (&Value::from(10), &Value::from(10)));
        assert!(found["warning"].as_str().unwrap().contains("accuracies are of 10 images only"), "{found}");
    }
    let output = explore("rank", 1).output().unwrap();
    let failure: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert!(
        failure["error"].as_str().unwrap().contains("has 10 images, at least 20 are needed"),
        "{failure}"
    );
}

#[test]
fn compiling_again_says_that_the_front_goes() {
    let artifact = copy("again");
    fs::write(artifact.join("pareto.json"), r#"{"configurations": [{"mask": "111111"}]}"#).unwrap();
    let again = || {
        let mut compile = skipgate();
        compile.args(["compile", "--format", "json", "-o"]).arg(&artifact);
        json(compile.arg(repository().join("models/digits/resnet20.onnx")))
    };
    assert_eq!(again()["dropped_front"], true);
    assert_eq!(again()["dropped_front"], false);
}

#[test]
fn accuracies_are_those_of_onnx_runtime() {
    let artifact = copy("oracle");
    let masks = ["111111", "101101", "000000"];
    let found = json(explore("pareto", &artifact, "s").args(["--search", "ranking"]));
    let accuracy = |mask: &str| {
        let candidates = found["candidates"].as_array().unwrap();
        candidates.iter().find(|line| line["mask"] == mask).map(|line| line["accuracy"].as_f64().unwrap())
    };
    let expected = oracle_accuracies(&artifact, &masks);
    for (mask, expected) in masks.iter().zip(expected) {
        if let Some(found) = accuracy(mask) {
            assert!((found - expected).abs() < 1e-9, "{mask}: {found}, ONNX Runtime {expected}");
        }
    }
    assert!(accuracy("111111").is_some() && accuracy("000000").is_some());
}

/// What ONNX Runtime says of the images that accuracies are reported on.
fn oracle_accuracies(artifact: &Path, masks: &[&str]) -> Vec<f64> {
    use skipgate_core::Manifest;
    use skipgate_data::{Dataset, Part, Source};

    let manifest = fs::read_to_string(artifact.join("manifest.json")).unwrap();
    let manifest = Manifest::from_json(&manifest).unwrap();
    let digits = Dataset::open(&Source::Digits, Part::Test, &manifest, &|_, _| ()).unwrap();
    let split = skipgate_explore::Split::new(digits.len(), None).unwrap();
    let images: Vec<usize> = split.report().flat_map(|batch| split.batch(batch).to_vec()).collect();
    assert_eq!(images.len() as u64, REPORT);
    let size = manifest.image().unwrap().elements().unwrap();
    let mut values = vec![0.0; images.len() * size];
    for (image, into) in images.iter().zip(values.chunks_exact_mut(size)) {
        digits.input(*image, into);
    }
    let dir = artifact.parent().unwrap();
    let (input, gated) = (dir.join("input.npy"), dir.join("gated.onnx"));
    support::write_npy(&input, &[images.len() as u64, 3, 32, 32], &values);
    let model = repository().join("models/digits/resnet20.onnx");
    succeed(skipgate().arg("gate").arg(model).arg("-o").arg(&gated));
    let job = |mask: &&str| Job {
        model: gated.clone(),
        mask: Some((*mask).to_owned()),
        remove: None,
        gate_first: false,
    };
    let jobs: Vec<_> = masks.iter().map(job).collect();
    let right = |logits: &support::Logits| {
        let classes = logits.classes();
        classes.zip(&images).filter(|(class, image)| *class == digits.label(**image)).count()
    };
    oracle(dir, &input, &jobs).iter().map(|logits| right(logits) as f64 / images.len() as f64).collect()
}

#[test]
fn every_search_writes_a_front_that_run_and_compile_take() {
    let artifact = copy("pareto");
    for search in ["surrogate", "ranking", "greedy", "beam", "evolution"] {
        let found = json(explore("pareto", &artifact, "s").args(["--search", search]));
        // A batch of each number of skipped blocks more, since a race is not stopped in the middle of its first one.
        let budget = (2 * GATES as u64 + 1) * SEARCH + GATES as u64 * 100;
        assert!(found["evaluations"].as_u64().unwrap() <= budget, "{search}: {found}");
        let front = fs::read_to_string(artifact.join("pareto.json")).unwrap();
        let front = Front::from_json(&front).unwrap();
        assert_eq!(front.provenance.as_ref().unwrap().search, search);
        let skipped: Vec<_> = front.configurations.iter().map(|line| line.mask.skipped()).collect();
        assert!(!skipped.is_empty() && skipped.is_sorted(), "{skipped:?}");
    }
    let image = repository().join("models/digits/samples");
    let image = fs::read_dir(image).unwrap().next().unwrap().unwrap().path();
    succeed(skipgate().arg("run").arg(&artifact).arg("--image").arg(image).args(["--config", "0"]));
    let faster = artifact.with_file_name("faster");
    let model = repository().join("models/digits/resnet20.onnx");
    let mut compile = skipgate();
    compile
        .arg("compile")
        .arg(model)
        .arg("-o")
        .arg(&faster)
        .arg("--pareto")
        .arg(artifact.join("pareto.json"));
    succeed(&mut compile);
    assert!(faster.join("pareto.json").exists());
}

#[test]
fn the_paper_is_compared_with_at_equal_budget_and_drawn() {
    let artifact = copy("compare");
    let found = json(explore("pareto", &artifact, "s").arg("--compare"));
    assert_eq!(found["paper"]["accuracy"].as_array().unwrap().len(), GATES + 1);
    let picture = artifact.with_file_name("picture.svg");
    let mut plot = skipgate();
    plot.arg("plot").arg(&artifact).arg("-o").arg(&picture).args(["--reference", "SkipNet=97.5,600"]);
    succeed(&mut plot);
    let svg = fs::read_to_string(picture).unwrap();
    assert!(
        svg.contains("SkipNet")
            && svg.contains("the paper&apos;s method") | svg.contains("the paper's method")
    );
    assert!(fs::read(artifact.join("pareto.png")).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn latencies_of_another_machine_are_taken_from_its_measurements() {
    let artifact = copy("latency");
    let mut bench = skipgate();
    bench.args(["bench", "--format", "json", "--rounds", "1", "--calls", "1"]).arg(&artifact);
    let file = artifact.with_file_name("bench.json");
    fs::write(&file, succeed(&mut bench)).unwrap();
    let found = json(explore("pareto", &artifact, "s").arg("--latency-from").arg(&file));
    assert_eq!(found["latency"]["measured"], false);
    let bench: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let all_run = &bench["configurations"][0]["gated"]["median_us"];
    assert_eq!(found["candidates"][0]["latency"], *all_run);
}

#[test]
fn two_shards_merged_equal_one_run() {
    let artifact = copy("shards");
    let whole = timeless(json(&mut explore("rank", &artifact, "whole")));
    for shard in ["1/2", "2/2"] {
        let store = format!("part-{}", &shard[..1]);
        let part = json(explore("rank", &artifact, &store).args(["--shard", shard]));
        assert_eq!(part["computed"].as_u64().unwrap() + 100 * part["missing"].as_u64().unwrap(), 6 * SEARCH);
    }
    let path = |name: &str| artifact.with_file_name(name);
    let mut merge = skipgate();
    merge.arg("merge").args([path("part-1"), path("part-2")]).arg("-o").arg(path("merged"));
    succeed(&mut merge);
    let mut sort = skipgate();
    sort.arg("merge").arg(path("whole")).arg("-o").arg(path("sorted"));
    succeed(&mut sort);
    assert_eq!(fs::read(path("merged")).unwrap(), fs::read(path("sorted")).unwrap());
    let merged = json(&mut explore("rank", &artifact, "merged"));
    assert_eq!(merged["computed"], 0);
    assert_eq!(timeless(merged), whole);
}

#[test]
fn a_killed_run_resumes_with_the_same_result_and_loses_nothing() {
    let artifact = copy("killed");
    let whole = timeless(json(&mut explore("pareto", &artifact, "whole")));
    let store = artifact.with_file_name("killed");
    let lines = || fs::read_to_string(&store).unwrap_or_default().matches('\n').count();
    let mut child = explore("pareto", &artifact, "killed")
        .args(["--threads", "1"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while lines() < 5 && child.try_wait().unwrap().is_none() {
        thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let kept = lines() - 1;
    let resumed = json(&mut explore("pareto", &artifact, "killed"));
    let results = lines() - 1;
    assert_eq!(timeless(resumed), whole);
    // Every result is in the store once: nothing that was kept was evaluated again.
    let text = fs::read_to_string(&store).unwrap();
    let mut keys: Vec<_> =
        text.lines().skip(1).map(|line| line.split("\"correct\"").next().unwrap()).collect();
    keys.sort_unstable();
    keys.dedup();
    assert!(
        kept >= 4 && keys.len() == results,
        "{kept} kept, {results} in the end, {} different",
        keys.len()
    );
}
