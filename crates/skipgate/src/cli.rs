//! The arguments, and nothing else.

#[cfg(feature = "compiler")]
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
#[cfg(feature = "compiler")]
use serde::{Deserialize, Serialize};
#[cfg(feature = "compiler")]
use skipgate_board::Destination;
#[cfg(feature = "compiler")]
use skipgate_core::{ColorMode, Interpolation, Layout, Resize};
use skipgate_core::{Reference, SkipMask};
use skipgate_data::{Part, Source};
#[cfg(feature = "explore")]
use skipgate_explore::Shard;
#[cfg(feature = "compiler")]
use skipgate_onnx::GateUnit;
use skipgate_workload::Workload;

use crate::adaptive::controllers::Budget;

/// Choose, call by call, which residual blocks of one compiled network run
#[derive(Debug, Parser)]
#[command(name = "skipgate", version, propagate_version = true, after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// How results are printed
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  skipgate inspect resnet20.onnx
  skipgate compile resnet20.onnx --target odroid-xu4 -o build/resnet20-odroid-xu4
  skipgate run build/resnet20-host --image photo.png --skip 1,4";

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs: one JSON document on standard output
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the residual blocks of a model and say which can be skipped, or why not
    #[cfg(feature = "compiler")]
    Inspect(Inspect),
    /// Put a gate in front of the skippable blocks of a model
    #[cfg(feature = "compiler")]
    Gate(Gate),
    /// Compile a model, gated or not, to an artifact
    #[cfg(feature = "compiler")]
    Compile(Compile),
    /// Compare an artifact with other ways to compute its model, under many masks
    #[cfg(feature = "compiler")]
    Verify(Verify),
    /// Make a pair of keys to sign artifacts with
    #[cfg(feature = "compiler")]
    Keygen(Keygen),
    /// Sign an artifact, every file of it, for `--require-key`
    #[cfg(feature = "compiler")]
    Sign(Sign),
    /// What `compile` and `bench` start a process of its own for
    #[cfg(feature = "compiler")]
    #[command(hide = true)]
    CompileJob(CompileJob),
    /// Run an artifact on an image or a tensor
    Run(Run),
    /// Measure the latency of an artifact at every number of skipped blocks
    Bench(Bench),
    /// Adapt an artifact to a workload in virtual time, from measured latencies
    Simulate(Simulate),
    /// Serve a workload with an artifact in real time
    Serve(Serve),
    /// Rank the blocks of an artifact by how much they matter
    #[cfg(feature = "explore")]
    Rank(Rank),
    /// Find the configurations that are worth having and write them into the artifact
    #[cfg(feature = "explore")]
    Pareto(Pareto),
    /// Draw what `pareto` found, beside other networks
    #[cfg(feature = "explore")]
    Plot(Plot),
    /// Write a page that shows an artifact: front, network under a mask, latencies, the command to run
    #[cfg(feature = "explore")]
    Report(Report),
    /// Put the results of several machines together
    #[cfg(feature = "explore")]
    Merge(Merge),
    /// List the machines that artifacts can be compiled for
    #[cfg(feature = "compiler")]
    Targets,
    /// Print the JSON Schema of a file, or of what a command prints with `--format json`
    #[cfg(feature = "schema")]
    Schema(SchemaOf),
    /// Say what is installed, what is missing and how to install it
    Doctor,
    /// Print a script that completes skipgate's arguments in a shell
    #[command(
        after_help = "Example:\n  skipgate completions bash > ~/.local/share/bash-completion/completions/skipgate"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages: one of skipgate and one of each command
    #[command(after_help = "Example:\n  skipgate man ~/.local/share/man/man1")]
    Man {
        /// The folder to write them to; it is made if there is none
        folder: PathBuf,
    },
}

#[cfg(feature = "compiler")]
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  skipgate inspect resnet20.onnx --gate-first")]
pub(crate) struct Inspect {
    /// The ONNX model
    pub(crate) model: PathBuf,
    #[command(flatten)]
    pub(crate) dimensions: Dimensions,
    #[command(flatten)]
    pub(crate) selection: Selection,
}

#[cfg(feature = "compiler")]
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  skipgate gate resnet20.onnx -o resnet20-gated.onnx --no-gate 'layer3.*'")]
pub(crate) struct Gate {
    /// The ONNX model
    pub(crate) model: PathBuf,
    /// The gated ONNX model to write
    #[arg(short, long, value_name = "GATED.onnx")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) dimensions: Dimensions,
    #[command(flatten)]
    pub(crate) selection: Selection,
}

/// Sizes that the model leaves open.
#[cfg(feature = "compiler")]
#[derive(Debug, Args)]
pub(crate) struct Dimensions {
    /// Give a dimension that the model leaves open a size, by its symbol, or as INPUT.AXIS if it has none; a batch is 1
    /// unless it is given one
    #[arg(long = "dim", value_name = "NAME=SIZE", value_parser = dimension)]
    dimensions: Vec<(String, usize)>,
}

#[cfg(feature = "compiler")]
impl Dimensions {
    /// By name; of a name that is given twice the last one counts.
    pub(crate) fn sizes(&self) -> BTreeMap<String, usize> {
        self.dimensions.iter().cloned().collect()
    }
}

/// Reads `NAME=SIZE`.
#[cfg(feature = "compiler")]
fn dimension(text: &str) -> Result<(String, usize), String> {
    let (name, size) = text.rsplit_once('=').ok_or("expected NAME=SIZE")?;
    let size = size.parse().ok().filter(|size| *size > 0).ok_or("expected a size from 1 on")?;
    Ok((name.to_owned(), size))
}

/// Which of the skippable blocks get a gate.
#[cfg(feature = "compiler")]
#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// What gets one gate: every residual block, or every layer of a transformer, which is attention (or another mixer)
    /// and the perceptron behind it together
    #[arg(long, value_name = "block|layer", default_value = "block")]
    pub(crate) gate_unit: GateUnit,
    /// Gate the first block of each segment too, where its shortcut is the identity
    #[arg(long)]
    pub(crate) gate_first: bool,
    /// Gate these blocks too, by name or pattern such as `layer1.*`
    #[arg(long, value_name = "BLOCK", value_delimiter = ',')]
    pub(crate) gate: Vec<String>,
    /// Do not gate these blocks, by name or pattern
    #[arg(long, value_name = "BLOCK", value_delimiter = ',')]
    pub(crate) no_gate: Vec<String>,
}

#[cfg(feature = "compiler")]
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  skipgate compile resnet20-gated.onnx --target host -o build/resnet20-host
  skipgate compile resnet20.onnx --target odroid-xu4 -o build/resnet20-odroid-xu4
  skipgate compile resnet20.onnx --emit plan
  skipgate compile resnet50.onnx -o build/resnet50 --preset imagenet --classes imagenet.txt
  skipgate compile vit.onnx -o build/vit --preset inception --resize 248 --interpolation bicubic
  skipgate compile mine.onnx -o build/mine --mean 0.49,0.48,0.45 --std 0.25,0.24,0.26 --resize 256 --crop 224
  skipgate compile caffe.onnx -o build/caffe --colour bgr --scale 255 --mean 103.9,116.8,123.7 --std 1 --resize 256")]
pub(crate) struct Compile {
    /// The ONNX model; one without gates is gated first
    pub(crate) model: PathBuf,
    /// The machine to compile for; `skipgate targets` lists them
    #[arg(short, long, default_value = "host", value_parser = TargetName)]
    pub(crate) target: String,
    /// The artifact folder to write; an artifact that is there is replaced
    #[arg(short, long, value_name = "DIR", required_unless_present = "emit")]
    pub(crate) output: Option<PathBuf>,
    /// Print this instead of writing an artifact
    #[arg(long, value_enum, value_name = "WHAT", conflicts_with_all = ["output", "pareto", "verify"])]
    pub(crate) emit: Option<Emit>,
    /// Give each configuration of this front a function of its own, without gates, and keep the front in the artifact
    #[arg(long, value_name = "pareto.json")]
    pub(crate) pareto: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) dimensions: Dimensions,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Add no gates: the network then has no mask and always runs as it is
    #[arg(long, conflicts_with = "Selection")]
    pub(crate) ungated: bool,
    /// Remove these blocks for good, by name
    #[arg(long, value_name = "BLOCK", value_delimiter = ',', requires = "ungated")]
    pub(crate) remove: Vec<String>,
    /// Compute every convolution as it is defined, which rounds less and takes longer
    #[arg(long)]
    pub(crate) exact: bool,
    /// Compute all convolutions that can be in the fast form with tiles of this size, to compare them
    #[arg(long, value_name = "2|4|6", conflicts_with = "exact", hide = true)]
    pub(crate) tiles: Option<NonZeroUsize>,
    /// Compare the artifact with other ways to compute the model, under a few masks; `skipgate verify` does it under more
    #[arg(long)]
    pub(crate) verify: bool,
    /// Sign the artifact with this secret key, as `skipgate sign` does
    #[arg(long, value_name = "KEY", conflicts_with = "emit")]
    pub(crate) sign: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) images: ImageOptions,
}

/// How an image becomes the input, and what classes are called, where the model does not say or says something else.
///
/// An image is decoded, converted, resized, cut, divided by 255, has the mean subtracted and is divided by the deviation,
/// all as in torchvision.
#[cfg(feature = "compiler")]
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize, Deserialize)]
#[command(next_help_heading = "Images and classes, for `run --image` and data sets")]
pub(crate) struct ImageOptions {
    /// Values of many networks for all of the following; those that are given win
    #[arg(long, value_enum)]
    pub(crate) preset: Option<Preset>,
    /// Subtracted from the channels, in the order of --colour: one value or one per channel, from 0 to 1 as in
    /// torchvision and timm; for values from 0 to 255 see --scale
    #[arg(long, value_name = "MEAN", value_delimiter = ',', allow_negative_numbers = true, value_parser = number)]
    pub(crate) mean: Vec<f32>,
    /// Divides the channels after that, in the same scale; --mean 0 --std 1 gives values from 0 to 1
    #[arg(long, value_name = "STD", value_delimiter = ',', value_parser = number)]
    pub(crate) std: Vec<f32>,
    /// Largest value of a channel, as --mean and --std have it: 1, or 255 as in Caffe and Keras [default: 1]
    #[arg(long, value_name = "1|255", value_parser = ["1", "255"])]
    pub(crate) scale: Option<String>,
    /// What becomes of images of other sizes: `256` gives the shorter side so many pixels and cuts the input's size out
    /// of the middle, `256x256` (height, width) first changes the aspect, `stretch` resizes to the size of the input,
    /// and `exact` refuses them [default: exact]
    #[arg(long, value_name = "256|256x256|stretch|exact")]
    pub(crate) resize: Option<Resize>,
    /// Filter that resizes [default: bilinear]
    #[arg(long, value_name = "bilinear|bicubic")]
    pub(crate) interpolation: Option<Interpolation>,
    /// Size that is cut out of the middle, or height and width; it is always that of the input, so this only checks it
    #[arg(long, value_name = "224|224x224")]
    pub(crate) crop: Option<Crop>,
    /// Order of the axes of the input [default: where it has one or three channels]
    #[arg(long, value_name = "nchw|nhwc")]
    pub(crate) layout: Option<Layout>,
    /// Channels of the input [default: rgb, or gray if there is one]
    #[arg(long, value_name = "rgb|bgr|gray", visible_alias = "color")]
    pub(crate) colour: Option<ColorMode>,
    /// A file with the name of a class on every line, in the order of the network's output
    #[arg(long, value_name = "FILE")]
    pub(crate) classes: Option<PathBuf>,
}

/// The name of a target: any text here, since `compile` says more of one that it does not know; shells complete those that
/// there are.
#[cfg(feature = "compiler")]
#[derive(Debug, Clone)]
struct TargetName;

#[cfg(feature = "compiler")]
impl clap::builder::TypedValueParser for TargetName {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<String, clap::Error> {
        clap::builder::StringValueParser::new().parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = clap::builder::PossibleValue> + '_>> {
        let names = skipgate_core::Target::all().into_iter().map(|target| target.name);
        Some(Box::new(names.map(clap::builder::PossibleValue::new)))
    }
}

#[cfg(feature = "compiler")]
fn number(text: &str) -> Result<f32, String> {
    let number = text.parse().ok().filter(|number: &f32| number.is_finite());
    number.ok_or_else(|| format!("expected a number, found `{text}`"))
}

/// What many networks were trained with.
#[cfg(feature = "compiler")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Preset {
    /// Most of torchvision and timm: mean and deviation of `ImageNet`, the shorter side to 8/7 of the input (256 for 224),
    /// bilinear, the middle
    Imagenet,
    /// Values from -1 to 1, as for Inception, many vision transformers and TensorFlow; resized in the same way
    Inception,
}

/// A size that is cut out: height and width.
#[cfg(feature = "compiler")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Crop {
    pub(crate) height: u32,
    pub(crate) width: u32,
}

#[cfg(feature = "compiler")]
impl std::str::FromStr for Crop {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (height, width) = text.split_once('x').unwrap_or((text, text));
        let size = height.parse().ok().zip(width.parse().ok());
        size.map(|(height, width)| Self { height, width })
            .ok_or_else(|| format!("expected a number of pixels or HEIGHTxWIDTH, found `{text}`"))
    }
}

/// What `compile` can print.
#[cfg(feature = "compiler")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Emit {
    /// How the network is computed: what becomes a kernel call, what stands where, what is a gate, in which order
    Plan,
}

#[cfg(feature = "compiler")]
#[derive(Debug, Args)]
#[command(after_help = "\
What the model computes without the skipped blocks is asked of ONNX Runtime, where its library is in the active Python
environment or ORT_DYLIB_PATH names it, and of builds for this machine without gates, kernels and fast forms of
convolutions. Each build takes as long as a compilation, so there is one beside ONNX Runtime, and four without it.

Artifacts for boards run under qemu-arm or qemu-aarch64.

Examples:
  skipgate verify build/resnet20-host --model resnet20.onnx
  skipgate verify build/resnet20-xu4 --model resnet20.onnx --masks 2 --program build/board/skipgate")]
pub(crate) struct Verify {
    /// The artifact folder
    pub(crate) artifact: PathBuf,
    #[command(flatten)]
    pub(crate) trust: Trust,
    /// The ONNX model that it was compiled from, or the one that was gated for it
    #[arg(long, value_name = "MODEL.onnx")]
    pub(crate) model: PathBuf,
    /// Blocks that were removed with `compile --remove`
    #[arg(long, value_name = "BLOCK", value_delimiter = ',')]
    pub(crate) remove: Vec<String>,
    /// Number of random masks, besides all-run, all-skip and every single skip
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(crate) masks: usize,
    /// Seed of masks and inputs
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Take inputs from this file, as `run` does [default: two random ones]
    #[arg(long, value_name = "X.npy|X.npz|NAME=X.npy")]
    pub(crate) input: Vec<String>,
    /// At most so many builds as references [default: 1 beside ONNX Runtime, 4 without it]
    #[arg(long, value_name = "N")]
    pub(crate) builds: Option<usize>,
    /// The program for boards, where the artifact is for one [default: that of `SKIPGATE_BOARD_PROGRAM`, or of
    /// `SKIPGATE_AARCH64_PROGRAM`]
    #[arg(long, value_name = "FILE")]
    pub(crate) program: Option<PathBuf>,
}

#[cfg(feature = "compiler")]
#[derive(Debug, Args)]
#[command(after_help = "\
The keys are minisign's: `minisign -G` makes them, too. The environment variable SKIPGATE_KEY_PASSWORD is the password of \
the secret key, here and where it is used; without it the key has none.

Example:
  skipgate keygen -o release    # release.key, to be kept, and release.pub")]
pub(crate) struct Keygen {
    /// The files to write: NAME.key and NAME.pub
    #[arg(short, long, value_name = "NAME")]
    pub(crate) output: String,
}

#[cfg(feature = "compiler")]
#[derive(Debug, Args)]
#[command(after_help = "\
Whatever is in the folder is listed in the manifest, by size and SHA-256, and the manifest is signed. What changes \
afterwards, by `skipgate pareto`, say, is refused until it is signed again.

Example:
  skipgate sign build/resnet20-host --key release.key
  skipgate run build/resnet20-host --image digit.png --require-key release.pub")]
pub(crate) struct Sign {
    /// The artifact folder
    pub(crate) artifact: PathBuf,
    /// The secret key, one of minisign's; `SKIPGATE_KEY_PASSWORD` is its password, if it has one
    #[arg(long, value_name = "KEY")]
    pub(crate) key: PathBuf,
}

/// Whose artifacts are opened.
#[derive(Debug, Args)]
pub(crate) struct Trust {
    /// Refuse artifacts that are not signed with this key, or have a file that is not (`skipgate sign`)
    #[arg(long, value_name = "KEY.pub")]
    pub(crate) require_key: Option<PathBuf>,
}

/// The files of a job; the rest is on standard input.
#[cfg(feature = "compiler")]
#[derive(Debug, Args)]
pub(crate) struct CompileJob {
    /// The ONNX model
    pub(crate) model: PathBuf,
    /// The artifact folder to write
    pub(crate) output: PathBuf,
    /// The front that the artifact gets
    #[arg(long)]
    pub(crate) pareto: Option<PathBuf>,
    /// Check what the compiler works on behind each of its passes
    #[arg(long)]
    pub(crate) verify: bool,
}

/// The machine that something runs on.
#[cfg(feature = "compiler")]
#[derive(Debug, Args)]
pub(crate) struct OnBoard {
    /// Do it on this machine, which `ssh` reaches: copy there what it lacks, look at its clocks, run on its fastest core; files
    /// are kept there in `~/.cache/skipgate` unless another folder is given
    #[arg(long, value_name = "ssh://[USER@]HOST[:PORT][/DIR]")]
    pub(crate) on: Option<Destination>,
    /// The program for that machine [default: what `cargo xtask program` built, or what was unpacked of a release]
    #[arg(long, value_name = "FILE", requires = "on")]
    pub(crate) program: Option<PathBuf>,
    /// What runs the program there, such as `chrt -f 50`, or `qemu-arm -cpu cortex-a15` on a machine that stands in for a board
    #[arg(long, value_name = "COMMAND", requires = "on")]
    pub(crate) runner: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  skipgate run build/resnet20-host --image digit.png
  skipgate run build/resnet20-host --image digit.png --mask 110111
  skipgate run build/resnet20-host --input images.npy --output logits.npy --skip 0,3
  skipgate run build/resnet20-xu4 --on ssh://odroid --image digit.png
  skipgate run build/detector-host --image street.jpg --output boxes.npz
  skipgate run build/matcher-host --input left=a.npy --input right=b.npy --output match.npz")]
pub(crate) struct Run {
    /// The artifact folder
    pub(crate) artifact: PathBuf,
    #[command(flatten)]
    pub(crate) trust: Trust,
    #[cfg(feature = "compiler")]
    #[command(flatten)]
    pub(crate) board: OnBoard,
    /// Run on this PNG or JPEG image, and print the most likely classes if the network gives classes
    #[arg(long, value_name = "FILE", required_unless_present = "input", conflicts_with = "input")]
    pub(crate) image: Option<PathBuf>,
    /// Read inputs from this file: one tensor from X.npy, all of them by name from X.npz, or, given for each input, one
    /// from NAME=X.npy; of the network's element types, for one run, or for any number in the first dimension
    #[arg(long, value_name = "X.npy|X.npz|NAME=X.npy", requires = "output")]
    pub(crate) input: Vec<String>,
    /// Write the output to this .npy file, or all outputs by name to this .npz file
    #[arg(long, value_name = "Y.npy|Y.npz")]
    pub(crate) output: Option<PathBuf>,
    /// Blocks to run, one digit per gate: 1 runs the block, 0 skips it [default: run all]
    #[arg(long, value_name = "1101..", conflicts_with_all = ["skip", "config"])]
    pub(crate) mask: Option<SkipMask>,
    /// Blocks to skip, by gate number from 0
    #[arg(long, value_name = "GATE", value_delimiter = ',')]
    pub(crate) skip: Vec<usize>,
    /// Use a configuration of the artifact's pareto.json, by its number from 0
    #[arg(long, value_name = "K", conflicts_with = "skip")]
    pub(crate) config: Option<usize>,
    /// How many of the most likely classes to print
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) top: usize,
}

#[derive(Debug, Args)]
#[command(after_help = "\
For steady figures, keep the machine idle and the program on one core:
  taskset --cpu-list 0 skipgate bench build/resnet20-host --model resnet20.onnx
  skipgate bench build/resnet110-host --model resnet110.onnx --every 5 --threads 2 --plot latency.svg
  skipgate bench build/resnet20-host --per-dispatch
On a board, which this looks at first:
  skipgate bench build/resnet20-xu4 --on ssh://odroid -o odroid.json
  skipgate pareto build/resnet20-host --data digits --latency-from odroid.json")]
pub(crate) struct Bench {
    /// The artifact folder
    pub(crate) artifact: PathBuf,
    #[command(flatten)]
    pub(crate) trust: Trust,
    #[cfg(feature = "compiler")]
    #[command(flatten)]
    pub(crate) board: OnBoard,
    /// Measure beside it the networks with the same blocks removed for good, compiled from this ONNX model, which is
    /// the artifact's own before it got its gates
    #[cfg(feature = "compiler")]
    #[arg(long, value_name = "MODEL.onnx", conflicts_with = "on")]
    pub(crate) model: Option<PathBuf>,
    /// Where those networks are, as artifacts called by the number of blocks removed; with --model, missing ones are
    /// compiled and left there
    #[arg(long, value_name = "DIR", conflicts_with = "require_key")]
    #[cfg_attr(feature = "compiler", arg(conflicts_with = "on"))]
    pub(crate) pruned: Option<PathBuf>,
    /// Threads that share the work of one inference; with 1, the caller does it
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) threads: NonZeroUsize,
    /// How often every configuration gets its turn
    #[arg(long, value_name = "N", default_value = "30")]
    pub(crate) rounds: NonZeroUsize,
    /// Calls measured at each turn
    #[arg(long, value_name = "N", default_value = "10")]
    pub(crate) calls: NonZeroUsize,
    /// Only measure every N-th number of skipped blocks, besides none and all; blocks are skipped from the last
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) every: NonZeroUsize,
    /// Measure all blocks and the configurations of the artifact's front instead, as a server has them, with a pause
    /// before each call: for `serve` and `simulate`
    #[arg(long, conflicts_with_all = BENCH_DEPTHS)]
    pub(crate) front: bool,
    /// Show which dispatches an inference with all blocks spends its time in, and the ONNX nodes behind each
    #[arg(long, conflicts_with = "front", conflicts_with_all = BENCH_DEPTHS)]
    pub(crate) per_dispatch: bool,
    /// Draw the medians over the number of skipped blocks
    #[cfg(feature = "compiler")]
    #[arg(long, value_name = "FILE.svg|png")]
    pub(crate) plot: Option<PathBuf>,
    /// Start each round at a line on standard input and print its medians as a line of JSON, to take turns with other
    /// programs
    #[arg(long)]
    #[cfg_attr(feature = "compiler", arg(conflicts_with = "on"))]
    pub(crate) paced: bool,
    /// Write the figures to this file, too, as JSON: for the `--latency-from` of `pareto`, `serve`, `simulate` and `report`
    #[arg(short, long, value_name = "FILE.json")]
    pub(crate) output: Option<PathBuf>,
}

/// Which configuration each request gets.
#[derive(Debug, Args)]
pub(crate) struct Control {
    /// The artifact folder, explored by `skipgate pareto`
    pub(crate) artifact: PathBuf,
    #[command(flatten)]
    pub(crate) trust: Trust,
    /// Number of requests
    #[arg(long, value_name = "N", default_value = "500")]
    pub(crate) requests: NonZeroUsize,
    /// Seed of the workload
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// What chooses the configuration of each request
    #[arg(long, value_enum, default_value_t = ControllerName::KeepUp)]
    pub(crate) controller: ControllerName,
    /// Only use configurations of more accuracy, in percent [default: ten points less than the best]
    #[arg(long, value_name = "PERCENT")]
    pub(crate) minimum_accuracy: Option<f64>,
    /// Pause after which the stepwise and the queueing controller run the next slower configuration [default: latency with
    /// all blocks]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) idle: Option<Duration>,
    /// Time from arrival to answer that is allowed, such as 5ms; the percentile controller's bound [default: twice the
    /// latency with all blocks]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, required_if_eq("controller", "deadline"))]
    pub(crate) deadline: Option<Duration>,
    /// What the energy-budget controller keeps to: a share of the time that the device may work, such as 40%, or its average
    /// power, such as 3.5W with --power model:IDLE,BUSY
    #[arg(long, value_name = "SHARE|WATTS", required_if_eq("controller", "energy-budget"))]
    pub(crate) budget: Option<Budget>,
    /// Requests that the queueing controller lets wait [default: 4]
    #[arg(long, value_name = "N")]
    pub(crate) room: Option<usize>,
    /// Take latencies from what `skipgate bench --front --format json` printed [default: measure here]
    #[arg(long, value_name = "FILE")]
    pub(crate) latency_from: Option<PathBuf>,
    /// Where power figures are from: powercap, hwmon:NAME, trace:FILE, or model:IDLE,BUSY for two stated levels in watts
    #[arg(long, value_name = "SOURCE")]
    pub(crate) power: Option<skipgate_energy::Source>,
    /// Draw the configuration over time
    #[cfg(feature = "compiler")]
    #[arg(long, value_name = "FILE.svg|png")]
    pub(crate) plot: Option<PathBuf>,
}

/// Controllers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ControllerName {
    /// The most accurate configuration with which the device keeps up; drops what cannot meet --deadline any more
    KeepUp,
    /// The same, but drop nothing, and answer 99 of 100 requests within --deadline
    Percentile,
    /// As keep-up, but the device works no more than --budget allows
    EnergyBudget,
    /// Skip more after each request that was dropped, less after a pause (the paper's)
    Stepwise,
    /// The same, but let some requests wait instead of dropping them
    Queueing,
    /// The most accurate configuration that meets --deadline; drop what finds the device busy
    Deadline,
    /// Always the first configuration
    Fixed,
}

impl Control {
    /// The first option that was given and that the controller has no use for.
    pub(crate) fn ignored_option(&self) -> Option<&'static str> {
        use ControllerName::{EnergyBudget, Queueing, Stepwise};
        let waits_for_pauses = matches!(self.controller, Stepwise | Queueing);
        let ignored = [
            ("--idle", self.idle.is_some() && !waits_for_pauses),
            ("--budget", self.budget.is_some() && self.controller != EnergyBudget),
            ("--room", self.room.is_some() && self.controller != Queueing),
        ];
        ignored.into_iter().find(|(_, ignored)| *ignored).map(|(option, _)| option)
    }
}

impl std::fmt::Display for ControllerName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  skipgate simulate build/resnet110-host --workload periodic:3ms --against original=87.2,4700
  skipgate simulate build/resnet110-host --workload poisson:4ms --controller deadline --deadline 3ms --plot time.svg
  skipgate simulate build/resnet110-host --compare --load 2 --plot load.svg")]
pub(crate) struct Simulate {
    #[command(flatten)]
    pub(crate) control: Control,
    /// When requests come: steady:30ms, periodic:30ms, poisson:30ms, bursts:300ms,10, diurnal:30ms,10s or trace:FILE
    #[arg(long, value_name = "WORKLOAD", required_unless_present = "compare")]
    pub(crate) workload: Option<Workload>,
    /// Compare all controllers under workloads of every kind instead; --plot then draws them over the load
    #[arg(long, conflicts_with_all = ["workload", "controller", "idle", "against", "power"])]
    pub(crate) compare: bool,
    /// How many requests come while the network with all blocks could serve one, on average
    #[arg(long, value_name = "X", default_value_t = 1.5, requires = "compare", value_parser = load)]
    pub(crate) load: f64,
    /// A network without a controller under the same workload: its accuracy in percent and its latency in microseconds
    #[arg(long, value_name = "NAME=PERCENT,LATENCY")]
    pub(crate) against: Vec<Reference>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  skipgate serve build/resnet110-host --workload periodic:3ms --data cifar-10-batches-bin --against original=build/original
  skipgate serve build/resnet110-odroid-xu4 --workload periodic:30s --data images --cpu 4 --power hwmon:ina231
  ls /camera/*.png | skipgate serve build/resnet110-host --stdin
  capture | skipgate serve build/resnet110-host --stdin --drop --metrics localhost:9090
  skipgate serve build/resnet110-host --http localhost:8000 --sessions 2
  skipgate serve build/resnet110-xu4 --on ssh://odroid --workload periodic:30ms --data digits")]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) control: Control,
    #[cfg(feature = "compiler")]
    #[command(flatten)]
    pub(crate) board: OnBoard,
    /// When requests come: steady:30ms, periodic:30ms, poisson:30ms, bursts:300ms,10, diurnal:30ms,10s or trace:FILE
    #[arg(long, value_name = "WORKLOAD", required_unless_present_any = ["stdin", "http"], requires = "data")]
    pub(crate) workload: Option<Workload>,
    /// Images that are requested in turn: CIFAR's binary files, a folder with a subfolder per class, or `digits`
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<Source>,
    /// The part of the data set
    #[arg(long, value_name = "PART", default_value_t = Part::Test)]
    pub(crate) part: Part,
    /// A request for every path of an image on standard input, one after the other; answers are lines of JSON
    #[arg(long, conflicts_with_all = NOT_WITH_STDIN)]
    pub(crate) stdin: bool,
    /// Request each image of --stdin as soon as its path comes, and leave it to the controller to drop those for which the
    /// device is too busy
    #[arg(long, requires = "stdin", conflicts_with_all = ["http", "workload"])]
    pub(crate) drop: bool,
    /// Answer the Open Inference Protocol v2 over HTTP at this address, such as localhost:8000, until a signal comes; an artifact
    /// without a front is served with all blocks unless a request says otherwise
    #[arg(long, value_name = "HOST:PORT", value_parser = host_and_port, conflicts_with = "stdin", conflicts_with_all = NOT_WITH_STDIN)]
    pub(crate) http: Option<String>,
    /// The name of the model in the paths of --http [default: the name of the folder]
    #[arg(long, value_name = "NAME", requires = "http", conflicts_with_all = NOT_HTTP)]
    pub(crate) model_name: Option<String>,
    /// Sessions that answer the requests of --http, each a thread
    #[arg(long, value_name = "N", default_value = "1", requires = "http", conflicts_with_all = NOT_HTTP)]
    pub(crate) sessions: NonZeroUsize,
    /// Requests of --http that may be processed or wait at a time; one more is told to come again later
    #[arg(long, value_name = "N", default_value = "256", requires = "http", conflicts_with_all = NOT_HTTP)]
    pub(crate) most_waiting: NonZeroUsize,
    /// Time after a signal in which --http answers requests still, but says that it is not ready, so that others stop sending
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = humantime::parse_duration, requires = "http", conflicts_with_all = NOT_HTTP)]
    pub(crate) grace: Duration,
    /// Pin the server to this core, and further sessions of --http to those behind it
    #[arg(long, value_name = "N")]
    pub(crate) cpu: Option<usize>,
    /// An artifact without a controller, under the same workload afterwards
    #[arg(long, value_name = "NAME=DIR", value_parser = name_and_path)]
    pub(crate) against: Vec<(String, PathBuf)>,
    /// Tell numbers to Prometheus at this address, such as localhost:9090
    #[arg(long, value_name = "HOST:PORT", value_parser = host_and_port)]
    pub(crate) metrics: Option<String>,
}

fn load(text: &str) -> Result<f64, String> {
    let load = text.parse().ok().filter(|load: &f64| (0.001..=1000.0).contains(load));
    load.ok_or_else(|| format!("expected a number from 0.001 to 1000, found `{text}`"))
}

/// Whether a host has a name that stands for an address is seen when it is listened at.
fn host_and_port(text: &str) -> Result<String, String> {
    let parts = text.rsplit_once(':').filter(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    parts.map(|_| text.to_owned()).ok_or_else(|| format!("expected HOST:PORT, found `{text}`"))
}

/// What serves other requests than those of --http. An option that needs --http says so as well: clap asks for nothing that
/// conflicts with what is there.
const NOT_HTTP: &[&str] = &["stdin", "workload"];

/// Arguments that say something of a workload.
#[cfg(feature = "compiler")]
const NOT_WITH_STDIN: &[&str] = &["workload", "data", "against", "requests", "seed", "power", "plot"];
#[cfg(not(feature = "compiler"))]
const NOT_WITH_STDIN: &[&str] = &["workload", "data", "against", "requests", "seed", "power"];

fn name_and_path(text: &str) -> Result<(String, PathBuf), String> {
    let parts = text.split_once('=').filter(|(name, path)| !name.is_empty() && !path.is_empty());
    parts
        .map(|(name, path)| (name.to_owned(), path.into()))
        .ok_or_else(|| format!("expected NAME=DIR, found `{text}`"))
}

/// Arguments of the usual measurement, over the number of skipped blocks.
#[cfg(feature = "compiler")]
const BENCH_DEPTHS: &[&str] = &["every", "pruned", "model", "plot", "paced"];
#[cfg(not(feature = "compiler"))]
const BENCH_DEPTHS: &[&str] = &["every", "pruned", "paced"];

/// What masks are evaluated on, and how.
#[cfg(feature = "explore")]
#[derive(Debug, Args)]
pub(crate) struct Evaluation {
    /// The artifact folder, compiled for this machine
    pub(crate) artifact: PathBuf,
    #[command(flatten)]
    pub(crate) trust: Trust,
    /// CIFAR's binary files, a folder with a subfolder per class, or `digits` for the built-in ones
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Source,
    /// The part of the data set
    #[arg(long, value_name = "PART", default_value_t = Part::Test)]
    pub(crate) part: Part,
    /// Images to choose masks on, in hundreds, or in halves of fewer than 200; accuracy is reported on the second half of the data set, or what is left of it [default: half of it]
    #[arg(long, value_name = "N")]
    pub(crate) search_images: Option<usize>,
    /// Threads, each of which runs a network of its own [default: all cores]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,
    /// File that keeps results, so that nothing is evaluated twice [default: the artifact's name with
    /// `.evaluations.jsonl`]
    #[arg(long, value_name = "FILE")]
    pub(crate) store: Option<PathBuf>,
    /// Only evaluate the share of one of several machines; `skipgate merge` puts their stores together
    #[arg(long, value_name = "K/N", default_value_t = Shard::WHOLE)]
    pub(crate) shard: Shard,
}

/// How much blocks matter.
#[cfg(feature = "explore")]
#[derive(Debug, Args)]
pub(crate) struct Ranking {
    /// What tells how much a block matters
    #[arg(long, value_enum, default_value_t = RankingName::Sensitivity)]
    pub(crate) by: RankingName,
    /// Scores that `skipgate-models importance` wrote
    #[arg(long, value_name = "FILE")]
    pub(crate) scores: Option<PathBuf>,
    /// Seed of what is random: a ranking, or a search
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}

/// Rankings.
#[cfg(feature = "explore")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RankingName {
    /// Accuracy with that block skipped (the paper's)
    Sensitivity,
    /// Any order
    Random,
    /// Size of the block's weights (needs --scores)
    L2Norm,
    /// Fisher information of skipping the block (needs --scores)
    Fisher,
    /// Trace of the Hessian over the block's weights (needs --scores)
    Hessian,
}

/// Searches.
#[cfg(feature = "explore")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SearchName {
    /// Learn what blocks are worth from masks of all depths
    Surrogate,
    /// Skip blocks in the order of --by (the paper's)
    Ranking,
    /// Rank the blocks anew after each one that is skipped
    Greedy,
    /// The same, with several masks at once
    Beam,
    /// Greedy with half of the evaluations, then changes that race against the best mask of each number of skipped blocks
    Evolution,
}

#[cfg(feature = "explore")]
impl std::fmt::Display for SearchName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

#[cfg(feature = "explore")]
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  skipgate rank build/resnet20-host --data digits
  skipgate rank build/resnet110-host --data cifar-10-batches-bin --search-images 2000
  skipgate rank build/resnet110-host --data images --by fisher --scores fisher.json")]
pub(crate) struct Rank {
    #[command(flatten)]
    pub(crate) evaluation: Evaluation,
    #[command(flatten)]
    pub(crate) ranking: Ranking,
}

#[cfg(feature = "explore")]
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  skipgate pareto build/resnet20-host --data digits --compare
  skipgate pareto build/resnet110-host --data cifar-10-batches-bin --latency-from odroid.json
Two machines share the work:
  skipgate pareto build/resnet110-host --data images --shard 1/2 --store a.jsonl    # and 2/2 with b.jsonl
  skipgate merge a.jsonl b.jsonl -o all.jsonl")]
pub(crate) struct Pareto {
    #[command(flatten)]
    pub(crate) evaluation: Evaluation,
    /// How masks are found
    #[arg(long, value_enum, default_value_t = SearchName::Surrogate)]
    pub(crate) search: SearchName,
    #[command(flatten)]
    pub(crate) ranking: Ranking,
    /// Take latencies from what `skipgate bench --format json` printed on the target [default: measure here]
    #[arg(long, value_name = "FILE")]
    pub(crate) latency_from: Option<PathBuf>,
    /// Show the paper's method at the same number of evaluations beside it
    #[arg(long)]
    pub(crate) compare: bool,
}

#[cfg(feature = "explore")]
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  skipgate plot build/resnet20-host -o resnet20.svg --reference original=92.1,1234 --reference SkipNet=90.5,1100")]
pub(crate) struct Plot {
    /// The artifact folder, explored by `skipgate pareto`
    pub(crate) artifact: PathBuf,
    #[command(flatten)]
    pub(crate) trust: Trust,
    /// The picture to write
    #[arg(short, long, value_name = "FILE.svg|png")]
    pub(crate) output: PathBuf,
    /// Another network: its accuracy in percent and its latency in the unit of the exploration
    #[arg(long, value_name = "NAME=PERCENT,LATENCY")]
    pub(crate) reference: Vec<Reference>,
}

#[cfg(feature = "explore")]
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  skipgate report build/resnet20-host -o resnet20.html
  skipgate bench build/resnet20-host --front --format json > front.json
  skipgate report build/resnet20-host --latency-from front.json -o resnet20.html")]
pub(crate) struct Report {
    /// The artifact folder, of any target
    pub(crate) artifact: PathBuf,
    /// The page to write, one file that loads nothing from anywhere
    #[arg(short, long, value_name = "FILE.html")]
    pub(crate) output: PathBuf,
    /// Show the percentiles that `skipgate bench --front --format json` printed
    #[arg(long, value_name = "FILE")]
    pub(crate) latency_from: Option<PathBuf>,
}

#[cfg(feature = "explore")]
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  skipgate merge one.jsonl two.jsonl -o all.jsonl")]
pub(crate) struct Merge {
    /// Stores of one artifact and data set
    #[arg(required = true)]
    pub(crate) stores: Vec<PathBuf>,
    /// The store to write
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

#[cfg(feature = "schema")]
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  skipgate schema\n  skipgate schema manifest\n  skipgate schema -o schemas"
)]
pub(crate) struct SchemaOf {
    /// Its name, such as `manifest`, or that of a command [default: list the names]
    pub(crate) name: Option<String>,
    /// Write all of them to this folder
    #[arg(short, long, value_name = "DIR", conflicts_with = "name")]
    pub(crate) output: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn arguments_are_consistent() {
        super::Cli::command().debug_assert();
    }

    #[test]
    fn options_of_a_service_are_refused_where_none_is_started() {
        use clap::Parser as _;

        let parse = |serves: &[&str], option: &[&str]| {
            let words = [&["skipgate", "serve", "net"], serves, option].concat();
            super::Cli::try_parse_from(words).is_ok()
        };
        let elsewhere = [&["--stdin"][..], &["--workload", "poisson:1ms", "--data", "digits"]];
        let options =
            [["--sessions", "2"], ["--grace", "1s"], ["--model-name", "x"], ["--most-waiting", "9"]];
        for option in options {
            assert!(parse(&["--http", "localhost:0"], &option), "{option:?}");
            assert!(
                elsewhere.iter().all(|serves| parse(serves, &[]) && !parse(serves, &option)),
                "{option:?}"
            );
        }
    }

    #[cfg(feature = "compiler")]
    #[test]
    fn shells_complete_the_names_of_targets() {
        let mut script = Vec::new();
        clap_complete::generate(
            clap_complete::Shell::Bash,
            &mut super::Cli::command(),
            "skipgate",
            &mut script,
        );
        let script = String::from_utf8(script).unwrap();
        assert!(script.contains("odroid-xu4") && script.contains("raspberry-pi-4"));
    }
}
