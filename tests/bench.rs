//! `skipgate bench` on a real artifact: what it reports, never how long things took.

#[path = "support/mod.rs"]
mod support;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use fs_err as fs;
use insta::assert_snapshot;
use serde_json::Value;
use support::{compile, repository, scratch, skipgate, succeed};

const GATES: u64 = 6;

fn model() -> PathBuf {
    repository().join("models/digits/resnet20.onnx")
}

/// A folder with the artifact `host`, made once, and with the pruned networks in `pruned`, made by the first to need
/// them.
fn dir() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let dir = scratch("bench");
        compile(&model(), "host", &dir.join("host"));
        let bench = ["--rounds", "1", "--calls", "1", "--every", "3"];
        let mut command = skipgate();
        command.arg("bench").arg(dir.join("host")).arg("--model").arg(model()).args(bench);
        succeed(command.arg("--pruned").arg(dir.join("pruned")));
        dir
    })
}

fn bench() -> Command {
    let mut command = skipgate();
    command.arg("bench").arg(dir().join("host")).args(["--format", "json", "--calls", "2"]);
    command
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Asserts that the four figures are there and in order.
fn check_latency(latency: &Value) {
    let [min, median, p99, max] =
        ["min_us", "median_us", "p99_us", "max_us"].map(|key| latency[key].as_f64().unwrap());
    assert!(0.0 < min && min <= median && median <= p99 && p99 <= max && max.is_finite(), "{latency}");
}

#[test]
fn every_number_of_skipped_blocks_is_measured() {
    let report = json(&succeed(bench().args(["--rounds", "2"])));
    let configurations = report["configurations"].as_array().unwrap();
    for (skipped, configuration) in (0..=GATES).zip(configurations) {
        assert_eq!(configuration["skipped"], skipped);
        assert_eq!(configuration["mask"].as_str().unwrap().matches('0').count() as u64, skipped);
        check_latency(&configuration["gated"]);
        assert!(configuration.get("pruned").is_none() && configuration.get("ratio").is_none());
    }
    assert_eq!(configurations.len() as u64, GATES + 1);
    let switches = report["switches"].as_array().unwrap();
    assert_eq!(switches.iter().map(|switch| &switch["mask"]).collect::<Vec<_>>(), ["111111", "000000"]);
    for switch in switches {
        check_latency(&switch["changed"]);
        check_latency(&switch["repeated"]);
    }
}

#[test]
fn pruned_networks_are_measured_beside_it_and_drawn() {
    let svg = dir().join("latency.svg");
    let mut command = bench();
    command
        .args(["--rounds", "3", "--every", "3", "--pruned"])
        .arg(dir().join("pruned"))
        .arg("--plot")
        .arg(&svg);
    let report = json(&succeed(&mut command));
    let configurations = report["configurations"].as_array().unwrap();
    assert_eq!(configurations.iter().map(|one| &one["skipped"]).collect::<Vec<_>>(), [0, 3, 6]);
    for configuration in configurations {
        check_latency(&configuration["pruned"]);
        let ratio = configuration["ratio"].as_f64().unwrap();
        assert!(ratio.is_finite() && ratio > 0.0, "{configuration}");
    }
    let svg = fs::read_to_string(svg).unwrap();
    assert!(svg.contains("gated") && svg.contains("statically pruned"), "{svg}");
}

#[test]
fn worker_threads_can_share_the_work() {
    let report = json(&succeed(bench().args(["--rounds", "1", "--every", "6", "--threads", "2"])));
    assert_eq!(report["threads"], 2);
}

#[test]
fn a_picture_called_png_is_one() {
    let png = dir().join("latency.png");
    succeed(bench().args(["--rounds", "1", "--every", "6", "--plot"]).arg(&png));
    assert!(fs::read(png).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn every_layer_is_found_behind_one_dispatch() {
    for threads in ["1", "2"] {
        let arguments = ["--per-dispatch", "--rounds", "2", "--threads", threads];
        let report = json(&succeed(bench().args(arguments)));
        let dispatches = report["dispatches"].as_array().unwrap();
        let mut layers = Vec::new();
        for dispatch in dispatches {
            check_latency(&dispatch["latency"]);
            let nodes = dispatch["nodes"].as_array().unwrap().iter().map(|node| node.as_str().unwrap());
            let is_layer = |node: &&str| node.starts_with("Conv ") || node.starts_with("Gemm ");
            let found: Vec<_> = nodes.flat_map(|node| node.split(", ")).filter(is_layer).collect();
            let kernel = dispatch["kernel"].as_str().unwrap();
            assert_eq!(kernel.starts_with("conv_"), !found.is_empty(), "{dispatch}");
            layers.extend(found);
        }
        layers.sort_unstable();
        layers.dedup();
        assert_eq!(layers.len(), 20);
        let gates = dispatches.iter().filter_map(|dispatch| dispatch["gate"].as_u64()).collect::<Vec<_>>();
        assert_eq!(gates, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]);
    }
}

#[test]
fn dispatches_of_functions_for_single_masks_have_their_own_nodes() {
    let [front, artifact] = ["front.json", "specialised"].map(|name| dir().join(name));
    fs::write(&front, r#"{"configurations": [{"mask": "111111"}, {"mask": "110110"}]}"#).unwrap();
    let mut compile = skipgate();
    succeed(compile.arg("compile").arg(model()).arg("--pareto").arg(&front).arg("-o").arg(&artifact));
    let nodes = |artifact: &Path| -> Vec<Value> {
        let mut bench = skipgate();
        bench.arg("bench").arg(artifact).args(["--per-dispatch", "--rounds", "1", "--calls", "1"]);
        let report = json(&succeed(bench.args(["--format", "json"])));
        report["dispatches"].as_array().unwrap().iter().map(|dispatch| dispatch["nodes"].clone()).collect()
    };
    assert_eq!(nodes(&artifact), nodes(&dir().join("host")));
}

#[test]
fn a_network_without_gates_is_one_configuration() {
    let mut command = skipgate();
    command.arg("bench").arg(dir().join("pruned/0")).args(["--format", "json", "--rounds", "1"]);
    let report = json(&succeed(&mut command));
    assert_eq!(report["configurations"].as_array().unwrap().len(), 1);
    assert!(report["switches"].as_array().unwrap().is_empty());
}

#[test]
fn paced_rounds_start_at_a_line_and_end_with_the_report() {
    let mut command = bench();
    command.args(["--paced", "--every", "6"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"\n\n").unwrap();
    let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let (first, rest) = output.split_once('\n').unwrap();
    let (second, report) = rest.split_once('\n').unwrap();
    for round in [first, second].map(json) {
        let names: Vec<_> = round.as_object().unwrap().keys().cloned().collect();
        assert_eq!(names, ["gated 0", "gated 6"]);
    }
    assert_eq!(json(report)["rounds"], 2);
}

#[test]
fn networks_of_another_depth_are_refused() {
    let wrong = scratch("bench-wrong");
    std::os::unix::fs::symlink(dir().join("pruned/6"), wrong.join("3")).unwrap();
    let output = bench().arg("--pruned").arg(&wrong).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_snapshot!(String::from_utf8(output.stderr).unwrap());
}

#[test]
fn the_help_says_what_is_measured() {
    assert_snapshot!(succeed(skipgate().args(["bench", "--help"])));
}
