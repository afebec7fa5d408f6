//! Gates change nothing: random small networks, gated, against the same networks with blocks removed.

use proptest::prelude::*;
use skipgate_onnx::{Error, GateSelection, Model, gate, remove_blocks, ungate};

use crate::engine;
use crate::net::{Net, int, ints};

const SHAPE: [i64; 4] = [1, 3, 8, 8];

/// How the blocks of a network are written.
#[derive(Debug, Clone, Copy)]
enum Style {
    /// conv, norm, act, conv, norm, plus x, act.
    PostActivation,
    /// norm, act, conv, norm, act, conv, plus x.
    PreActivation,
    /// 1x1 conv, act, depthwise conv, act, 1x1 conv, plus x; units that change the shape have no shortcut.
    LinearBottleneck,
}

#[derive(Debug, Clone, Copy)]
enum Activation {
    Relu,
    Relu6,
    LeakyRelu,
    /// x * sigmoid(x).
    Silu,
}

/// How x gets the shape of a block that changes it.
#[derive(Debug, Clone, Copy)]
enum Reshaping {
    /// Strided 1x1 convolution ("option B").
    Projection,
    /// Strided slice and zero channels ("option A").
    Padding,
}

/// A random network.
#[derive(Debug, Clone)]
struct Spec {
    seed: u64,
    style: Style,
    activation: Activation,
    reshaping: Reshaping,
    norm: bool,
    squeeze: bool,
    /// Blocks of each segment.
    segments: Vec<usize>,
}

fn specs() -> impl Strategy<Value = Spec> {
    let style =
        prop_oneof![Just(Style::PostActivation), Just(Style::PreActivation), Just(Style::LinearBottleneck)];
    let activation = prop_oneof![
        Just(Activation::Relu),
        Just(Activation::Relu6),
        Just(Activation::LeakyRelu),
        Just(Activation::Silu)
    ];
    let reshaping = prop_oneof![Just(Reshaping::Projection), Just(Reshaping::Padding)];
    let segments = prop::collection::vec(1usize..4, 1..4);
    (any::<u64>(), style, activation, reshaping, any::<bool>(), any::<bool>(), segments).prop_map(
        |(seed, style, activation, reshaping, norm, squeeze, segments)| Spec {
            seed,
            style,
            activation,
            reshaping,
            norm,
            squeeze,
            segments,
        },
    )
}

impl Spec {
    fn model(&self) -> Model {
        let (mut net, x) = Net::new(&SHAPE, self.seed);
        let mut x = net.conv(&x, 4, 5, 1);
        if !matches!(self.style, Style::PreActivation) {
            x = self.norm(&mut net, &x);
            x = self.act(&mut net, &x);
        }
        let mut channels = 4;
        for (segment, &blocks) in self.segments.iter().enumerate() {
            for block in 0..blocks {
                let reshapes = segment > 0 && block == 0;
                channels *= if reshapes { 2 } else { 1 };
                x = self.block(&mut net, &x, channels, reshapes);
            }
        }
        net.classify(&x);
        net.model()
    }

    /// Number of gates by the rule: one block of each segment has none. With linear bottlenecks it is the block that
    /// follows the stem, and in the other segments the unit that has no shortcut and is no block at all.
    fn gates(&self) -> usize {
        self.segments.iter().sum::<usize>() - self.segments.len()
    }

    fn norm(&self, net: &mut Net, x: &str) -> String {
        if self.norm { net.norm(x) } else { x.to_owned() }
    }

    fn act(&self, net: &mut Net, x: &str) -> String {
        match self.activation {
            Activation::Relu => net.relu(x),
            Activation::Relu6 => net.relu6(x),
            Activation::LeakyRelu => net.op("LeakyRelu", &[x], &[]),
            Activation::Silu => {
                let gate = net.op("Sigmoid", &[x], &[]);
                net.op("Mul", &[x, &gate], &[])
            }
        }
    }

    fn block(&self, net: &mut Net, x: &str, channels: usize, reshapes: bool) -> String {
        let stride = if reshapes { 2 } else { 1 };
        let mut y = match self.style {
            Style::PostActivation => self.post_activation(net, x, channels, stride),
            Style::PreActivation => self.pre_activation(net, x, channels, stride),
            Style::LinearBottleneck => self.bottleneck(net, x, channels, stride),
        };
        if self.squeeze {
            y = squeeze(net, &y);
        }
        let sum = match (self.style, reshapes) {
            (Style::LinearBottleneck, true) => return y,
            (_, true) => {
                let shortcut = self.reshape(net, x, channels);
                net.add(&y, &shortcut)
            }
            (_, false) => net.add(x, &y),
        };
        if matches!(self.style, Style::PostActivation) { self.act(net, &sum) } else { sum }
    }

    fn post_activation(&self, net: &mut Net, x: &str, channels: usize, stride: i64) -> String {
        let y = net.conv(x, channels, 3, stride);
        let y = self.norm(net, &y);
        let y = self.act(net, &y);
        let y = net.conv(&y, channels, 3, 1);
        self.norm(net, &y)
    }

    fn pre_activation(&self, net: &mut Net, x: &str, channels: usize, stride: i64) -> String {
        let y = self.norm(net, x);
        let y = self.act(net, &y);
        let y = net.conv(&y, channels, 3, stride);
        let y = self.norm(net, &y);
        let y = self.act(net, &y);
        net.conv(&y, channels, 3, 1)
    }

    fn bottleneck(&self, net: &mut Net, x: &str, channels: usize, stride: i64) -> String {
        let y = net.conv(x, 6, 1, 1);
        let y = self.norm(net, &y);
        let y = self.act(net, &y);
        let y = net.depthwise(&y, stride);
        let y = self.act(net, &y);
        let y = net.conv(&y, channels, 1, 1);
        self.norm(net, &y)
    }

    fn reshape(&self, net: &mut Net, x: &str, channels: usize) -> String {
        match self.reshaping {
            Reshaping::Projection => net.conv(x, channels, 1, 2),
            Reshaping::Padding => {
                let (starts, ends) = (net.ints(&[0, 0]), net.ints(&[i64::MAX, i64::MAX]));
                let (axes, steps) = (net.ints(&[2, 3]), net.ints(&[2, 2]));
                let x = net.op("Slice", &[x, &starts, &ends, &axes, &steps], &[]);
                let new = i64::try_from(channels / 2).unwrap();
                let pads = net.ints(&[0, 0, 0, 0, 0, new, 0, 0]);
                net.op("Pad", &[&x, &pads], &[])
            }
        }
    }
}

/// Squeeze and excitation: channels scaled by a function of their means.
fn squeeze(net: &mut Net, x: &str) -> String {
    let mean = net.op("ReduceMean", &[x], &[ints("axes", &[2, 3]), int("keepdims", 1)]);
    let inner = net.conv(&mean, 2, 1, 1);
    let inner = net.relu(&inner);
    let channels = net.channels(x);
    let scale = net.conv(&inner, channels, 1, 1);
    let scale = net.op("HardSigmoid", &[&scale], &[]);
    net.op("Mul", &[x, &scale], &[])
}

fn image(seed: u64) -> Vec<f32> {
    let (mut net, _) = Net::new(&SHAPE, seed ^ 0x5eed);
    net.random_values(SHAPE.iter().product())
}

#[test]
fn a_gated_network_equals_the_original_and_the_one_without_the_skipped_blocks() {
    if !engine::is_available() {
        return;
    }
    let config = ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(spec in specs(), gate_first in any::<bool>(), bits in any::<u16>())| {
        check(&spec, gate_first, bits);
    });
}

/// Compares with an all-true mask and with the mask of which `bits` holds the elements.
fn check(spec: &Spec, gate_first: bool, bits: u16) {
    let model = spec.model();
    let gated = match gate(&model, &GateSelection { gate_first, ..GateSelection::default() }) {
        Err(Error::NothingToGate { .. }) => return assert_eq!(spec.gates(), 0),
        gated => gated.unwrap(),
    };
    let gates = gated.gates().unwrap();
    if !gate_first {
        assert_eq!(gates.len(), spec.gates());
    }
    let image = image(spec.seed);
    let run = |model: &Model, mask: Option<&[bool]>| engine::run(model, &SHAPE, &image, mask);
    let all = vec![true; gates.len()];
    assert!(engine::difference(&run(&gated, Some(&all)), &run(&model, None)) <= 1e-5);
    let mask: Vec<_> = (0..gates.len()).map(|gate| bits >> gate & 1 == 1).collect();
    let skipped = gates.iter().zip(&mask).filter(|(_, run)| !**run).map(|(gate, _)| gate.block.as_str());
    let pruned = remove_blocks(&model, &skipped.collect::<Vec<_>>()).unwrap();
    assert_eq!(run(&gated, Some(&mask)), run(&pruned, None));
    assert_eq!(run(&ungate(&gated, &mask.into()).unwrap(), None), run(&pruned, None));
}
