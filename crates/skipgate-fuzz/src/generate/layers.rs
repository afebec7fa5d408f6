//! Layers that blocks are made of.

use super::Generator;
use crate::net::{Value, Window, float};

/// Numbers of channels: those that fill the registers of some target, then others.
const CHANNELS: [usize; 18] = [4, 8, 16, 16, 16, 32, 12, 20, 24, 1, 2, 3, 5, 6, 7, 9, 10, 18];

/// Number of activations.
pub(super) const ACTIVATIONS: usize = 14;

impl Generator<'_> {
    pub(super) fn channels(&mut self) -> usize {
        self.choices.of(&CHANNELS)
    }

    /// The network's activation, none, `Relu`, or another one.
    pub(super) fn maybe_activation(&mut self, x: &Value) -> Value {
        match self.choices.below(10) {
            0..=4 => self.some_activation(x, self.activation),
            5 | 6 => x.clone(),
            7 | 8 => self.net.map("Relu", &[x], vec![]),
            _ => self.activation(x),
        }
    }

    /// Any activation.
    pub(super) fn activation(&mut self, x: &Value) -> Value {
        let number = self.choices.below(ACTIVATIONS);
        self.some_activation(x, number)
    }

    fn some_activation(&mut self, x: &Value, number: usize) -> Value {
        let net = &mut self.net;
        match number {
            0 => net.map("Relu", &[x], vec![]),
            1 => self.clip(x),
            2 => net.map("Elu", &[x], vec![float("alpha", 0.7)]),
            3 => net.map("LeakyRelu", &[x], vec![float("alpha", 0.1)]),
            4 => net.map("Tanh", &[x], vec![]),
            5 => net.map("Sigmoid", &[x], vec![]),
            6 => {
                let gate = net.map("Sigmoid", &[x], vec![]);
                net.binary("Mul", x, &gate)
            }
            7 => self.hard_swish(x),
            8 => self.gelu(x),
            9 => net.map("Softplus", &[x], vec![]),
            10 => net.map("Selu", &[x], vec![]),
            11 => {
                let slope = net.scalar(0.3);
                net.map("PRelu", &[x, &slope], vec![])
            }
            12 => net.map("Abs", &[x], vec![]),
            _ => net.map("HardSigmoid", &[x], vec![]),
        }
    }

    fn clip(&mut self, x: &Value) -> Value {
        let (low, high) = self.choices.of(&[(0.0, 6.0), (0.0, 1.0), (-1.0, 1.0), (-0.5, 2.0)]);
        let [low, high] = [low, high].map(|bound| self.net.scalar(bound));
        self.net.map("Clip", &[x, &low, &high], vec![])
    }

    /// `HardSwish`, or the nodes that it is written as.
    fn hard_swish(&mut self, x: &Value) -> Value {
        if self.net.opset() >= 14 && self.choices.below(2) == 0 {
            return self.net.map("HardSwish", &[x], vec![]);
        }
        let attributes = vec![float("alpha", 1.0 / 6.0), float("beta", 0.5)];
        let gate = self.net.map("HardSigmoid", &[x], attributes);
        self.net.binary("Mul", x, &gate)
    }

    /// `Gelu`, or the nodes that it is written as.
    fn gelu(&mut self, x: &Value) -> Value {
        if self.net.opset() >= 20 && self.choices.below(2) == 0 {
            return self.net.map("Gelu", &[x], vec![]);
        }
        let [root, one, half] = [std::f32::consts::SQRT_2, 1.0, 0.5].map(|number| self.net.scalar(number));
        let y = self.net.binary("Div", x, &root);
        let y = self.net.map("Erf", &[&y], vec![]);
        let y = self.net.binary("Add", &y, &one);
        let y = self.net.binary("Mul", x, &y);
        self.net.binary("Mul", &y, &half)
    }

    /// A filter that keeps the size of an image: square, lengthwise, with distances, or with an even number of taps.
    pub(super) fn window(&mut self, x: &Value) -> Window {
        let window = match self.choices.below(12) {
            0..=6 => Window::same(3),
            7 => Window::same(1),
            8 => Window::same(5),
            9 => Window { dilations: [2; 2], pads: [2; 4], ..Window::same(3) },
            10 => Window { taps: [1, 3], pads: [0, 1, 0, 1], ..Window::same(1) },
            _ => Window { taps: [2, 4], pads: [1, 0, 0, 3], ..Window::same(1) },
        };
        // A window may not be larger than the padded image.
        if x.shape[2] + x.shape[3] < 4 { Window::same(1) } else { window }
    }

    /// Some convolution that keeps the size of an image.
    pub(super) fn convolution(&mut self, x: &Value, filters: usize) -> Value {
        let (window, channels) = (self.window(x), x.shape[1]);
        let divides = |groups: &usize| channels % groups == 0 && filters % groups == 0;
        let groups = match self.choices.below(8) {
            0..=5 => 1,
            6 => [2, 4, 8, 3].into_iter().find(divides).unwrap_or(1),
            _ => Some(channels).filter(divides).unwrap_or(1),
        };
        let bias = !self.choices.one_in(5);
        self.net.conv(x, filters, &window, groups, bias)
    }

    /// A convolution followed by the normalisation that most networks have, or the other way round.
    pub(super) fn normalised_convolution(&mut self, x: &Value, filters: usize) -> Value {
        match self.choices.below(6) {
            0..=3 => self.convolution(x, filters),
            4 => {
                let y = self.convolution(x, filters);
                self.net.normalise(&y)
            }
            _ => {
                let y = self.net.normalise(x);
                let y = self.maybe_activation(&y);
                self.convolution(&y, filters)
            }
        }
    }

    /// Squeeze and excitation: channels scaled by a function of their means.
    pub(super) fn squeeze(&mut self, x: &Value) -> Value {
        let mean = if self.choices.below(2) == 0 {
            self.net.op("GlobalAveragePool", &[x], vec![], &[x.shape[0], x.shape[1], 1, 1])
        } else {
            self.net.mean(x, &[2, 3], true)
        };
        let inner = self.choices.of(&[2, 4, 8]);
        let y = self.net.conv(&mean, inner, &Window::same(1), 1, true);
        let y = self.maybe_activation(&y);
        let y = self.net.conv(&y, x.shape[1], &Window::same(1), 1, true);
        let scale = if self.choices.below(2) == 0 {
            self.net.map("Sigmoid", &[&y], vec![])
        } else {
            self.net.map("HardSigmoid", &[&y], vec![])
        };
        self.net.binary("Mul", x, &scale)
    }

    /// Normalisation of the last axis, as one node or as those it is written as.
    pub(super) fn layer_norm(&mut self, x: &Value) -> Value {
        let last = x.shape.len() - 1;
        let features = [x.shape[last]];
        let [scale, shift] =
            [(1.0, 0.3), (0.0, 0.3)].map(|(middle, spread)| self.net.noise(&features, middle, spread));
        if self.net.opset() >= 17 && self.choices.below(2) == 0 {
            return self.net.map("LayerNormalization", &[x, &scale, &shift], vec![float("epsilon", 0.01)]);
        }
        let mean = self.net.mean(x, &[last], true);
        let centred = self.net.binary("Sub", x, &mean);
        let squares = self.net.binary("Mul", &centred, &centred);
        let variance = self.net.mean(&squares, &[last], true);
        let epsilon = self.net.scalar(0.01);
        let variance = self.net.binary("Add", &variance, &epsilon);
        let deviation = self.net.map("Sqrt", &[&variance], vec![]);
        let y = self.net.binary("Div", &centred, &deviation);
        let y = self.net.binary("Mul", &y, &scale);
        self.net.binary("Add", &y, &shift)
    }
}
