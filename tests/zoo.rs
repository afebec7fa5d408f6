//! The networks that must work, from both of torch's exporters, with random weights and statistics.

#[path = "support/mod.rs"]
mod support;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use fs_err as fs;
use serde_json::Value;
use skipgate_core::{CompileOptions, Target};
use skipgate_iree::import_onnx;
use skipgate_onnx::Model;
use support::{
    ARTIFACT_TOLERANCE, Job, Logits, ONNX_TOLERANCE, compile, masks, oracle, python, repository, run,
    scratch, skipgate, succeed, worst, write_noise,
};

const EXPORTERS: [&str; 2] = ["torchscript", "dynamo"];

/// Network, number of its residual blocks, and of those that get a gate by default.
const NETWORKS: [(&str, usize, usize); 6] = [
    ("cifar-resnet20-a", 9, 6),
    ("cifar-resnet20-a-preact", 9, 6),
    ("resnet18", 8, 4),
    ("resnet50", 16, 12),
    ("resnext50_32x4d", 16, 12),
    ("mobilenet_v2", 10, 10),
];

/// The folder with every network from every exporter. Exporting takes minutes, so it is kept for as long as nothing
/// changes that it depends on.
fn zoo() -> &'static Path {
    static ZOO: OnceLock<PathBuf> = OnceLock::new();
    ZOO.get_or_init(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("zoo-{:016x}", recipe()));
        if !dir.exists() {
            let unfinished = scratch("zoo-unfinished");
            let mut export = python("export_zoo.py");
            export.arg(&unfinished).arg("--model").args(NETWORKS.map(|(name, ..)| name));
            succeed(export.arg("--exporter").args(EXPORTERS));
            fs::rename(unfinished, &dir).unwrap();
        }
        dir
    })
}

/// A hash of everything that decides what the exported files hold.
fn recipe() -> u64 {
    let package = fs::read_dir(repository().join("models/skipgate_models")).unwrap();
    let mut files: Vec<_> =
        package.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
        .extend(["tests/python/export_zoo.py", "tests/requirements.txt"].map(|file| repository().join(file)));
    let mut hasher = DefaultHasher::new();
    NETWORKS.map(|(name, ..)| name).hash(&mut hasher);
    for file in files {
        fs::read(file).unwrap().hash(&mut hasher);
    }
    hasher.finish()
}

fn exported(network: &str, exporter: &str) -> PathBuf {
    zoo().join(format!("{network}.{exporter}.onnx"))
}

#[test]
fn both_exporters_give_the_same_blocks_and_gates() {
    for (network, blocks, gates) in NETWORKS {
        let [torchscript, dynamo] = EXPORTERS.map(|exporter| {
            let report =
                succeed(skipgate().args(["inspect", "--format", "json"]).arg(exported(network, exporter)));
            let report: Value = serde_json::from_str(&report).unwrap();
            let found = report["blocks"].as_array().unwrap();
            let gated = found.iter().filter(|block| block["gate"].is_u64()).count();
            assert_eq!((found.len(), gated), (blocks, gates), "{network} from {exporter}");
            found.clone()
        });
        // The exporters fold differently; what a block is must not depend on it.
        for (left, right) in torchscript.iter().zip(&dynamo) {
            for key in ["name", "segment", "gate", "macs", "parameters"] {
                assert_eq!(left[key], right[key], "{network}: {key} of {}", left["name"]);
            }
        }
    }
}

#[test]
fn gated_networks_agree_with_the_ones_without_the_blocks() {
    // Both exporters give the same blocks, as the test above makes sure: each takes every other network.
    for ((network, _, gates), exporter) in NETWORKS.into_iter().zip(EXPORTERS.into_iter().cycle()) {
        let size = if network.starts_with("cifar") { 32 } else { 224 };
        let network = Network::new("gated", network, exporter, size);
        // Each single skip of every network would take an hour: all-run, all-skip and a random one.
        let masks = [&masks(gates, 1)[..2], &masks(gates, 1)[2 + gates..]].concat();
        let difference = worst(&network.gated_in_onnx_runtime(&masks), &network.removed(&masks));
        assert!(difference <= ONNX_TOLERANCE, "{} from {exporter}: {difference:.1e}", network.name);
        assert!(!network.has_branch(), "{} from {exporter}", network.name);
        // All gated networks together would take gigabytes.
        fs::remove_dir_all(network.dir).unwrap();
    }
}

/// Tiles overlap where the images of its last gated blocks have 14 and 7 rows, and results are written over inputs.
#[test]
fn resnet18_agrees_with_onnx_runtime_under_every_mask() {
    let network = Network::new("artifact", "resnet18", "dynamo", 224);
    network.check(&masks(4, 4));
}

#[test]
fn resnet50_agrees_with_onnx_runtime_under_every_single_skip() {
    let network = Network::new("artifact", "resnet50", "torchscript", 224);
    network.check(&masks(12, 2));
}

#[test]
fn mobilenet_v2_agrees_with_onnx_runtime_under_every_single_skip() {
    let network = Network::new("artifact", "mobilenet_v2", "dynamo", 224);
    network.check(&masks(10, 2));
}

/// An exported network with its gated model.
struct Network {
    name: &'static str,
    dir: PathBuf,
    model: PathBuf,
    gated: PathBuf,
    images: PathBuf,
}

impl Network {
    /// `test` keeps the folders of tests that run at the same time apart.
    fn new(test: &str, name: &'static str, exporter: &str, size: u64) -> Self {
        let model = exported(name, exporter);
        let dir = scratch(&format!("{test}-{name}-{exporter}"));
        let (gated, images) = (dir.join("gated.onnx"), dir.join("images.npy"));
        succeed(skipgate().arg("gate").arg(&model).arg("-o").arg(&gated));
        succeed(python("oracle.py").arg("check").arg(&gated));
        write_noise(&images, [1, 3, size, size]);
        Self { name, dir, model, gated, images }
    }

    fn job(&self, model: &Path, mask: Option<&String>, remove: Option<&String>) -> Job {
        Job {
            model: model.to_owned(),
            mask: mask.cloned(),
            remove: remove.cloned(),
            gate_first: self.name == "mobilenet_v2",
        }
    }

    /// Whether a gate is compiled to a branch, as only those are whose blocks cannot be written over their inputs. Not
    /// asked of large networks, which have the blocks of smaller ones but hundreds of megabytes of MLIR.
    fn has_branch(&self) -> bool {
        let small = fs::metadata(&self.gated).unwrap().len() < 50_000_000;
        small
            && import_onnx(
                &Model::load(&self.gated).unwrap(),
                &Target::host().unwrap(),
                &CompileOptions::default(),
            )
            .unwrap()
            .contains("\"onnx.If\"")
    }

    /// The original without the blocks that each mask skips.
    fn removed(&self, masks: &[String]) -> Vec<Logits> {
        let jobs: Vec<_> = masks.iter().map(|mask| self.job(&self.model, None, Some(mask))).collect();
        oracle(&self.dir, &self.images, &jobs)
    }

    /// The gated model under each mask.
    fn gated_in_onnx_runtime(&self, masks: &[String]) -> Vec<Logits> {
        let jobs: Vec<_> = masks.iter().map(|mask| self.job(&self.gated, Some(mask), None)).collect();
        oracle(&self.dir, &self.images, &jobs)
    }

    /// Comparisons (a) and (b) of `agreement.rs`.
    fn check(&self, masks: &[String]) {
        let removed = self.removed(masks);
        let a = worst(&self.gated_in_onnx_runtime(masks), &removed);
        let artifact = self.dir.join("host");
        compile(&self.gated, "host", &artifact);
        let output = self.dir.join("host.npy");
        let host: Vec<_> =
            masks.iter().map(|mask| run(skipgate(), &artifact, &self.images, mask, &output)).collect();
        let b = worst(&host, &removed);
        println!("{}: {} masks: (a) {a:.1e} (b) {b:.1e}", self.name, masks.len());
        assert!(a <= ONNX_TOLERANCE && b <= ARTIFACT_TOLERANCE);
    }
}
