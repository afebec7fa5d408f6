//! Networks over images: channels, rows, columns.

use super::Generator;
use crate::net::{Value, Window};

impl Generator<'_> {
    /// The layers in front of the first stage.
    pub(super) fn stem(&mut self, image: &Value) -> Value {
        let channels = self.channels();
        let y = self.normalised_convolution(image, channels);
        let y = self.maybe_activation(&y);
        self.save(&y);
        y
    }

    /// One part of a network.
    pub(super) fn image_stage(&mut self, x: &Value) -> Value {
        match self.choices.below(24) {
            0..=9 => self.image_block(x, 2),
            10 => self.smaller(x),
            11 => {
                let channels = self.channels();
                let y = self.normalised_convolution(x, channels);
                self.maybe_activation(&y)
            }
            12 | 13 => self.read_again(x),
            14 => self.arithmetic(x),
            15 => self.over_batches(x),
            16 | 17 => self.u_shape(x),
            18 => self.dense(x),
            19 => self.split_chain(x),
            20 => self.two_branches(x),
            21 => self.chain(x),
            22 => self.shuffle(x),
            _ => self.reducing_block(x),
        }
    }

    /// A residual block whose shortcut is the identity. Blocks inside of blocks go as deep as `depth`.
    pub(super) fn image_block(&mut self, x: &Value, depth: usize) -> Value {
        let f = self.image_branch(x, depth);
        let f = if self.choices.one_in(6) { self.squeeze(&f) } else { f };
        let f = if self.choices.one_in(8) { self.layer_scale(&f) } else { f };
        let y = self.sum(&f, x);
        self.maybe_activation(&y)
    }

    /// The F of a block: something with weights, of the shape of `x`.
    fn image_branch(&mut self, x: &Value, depth: usize) -> Value {
        let channels = x.shape[1];
        match self.choices.below(16) {
            0..=3 => self.convolutions(x, 2),
            4 => self.convolution(x, channels),
            5 => self.bottleneck(x),
            6 => self.shared_weights(x),
            7 => self.pre_activation(x),
            8 => self.shared_bias(x),
            9 if depth > 0 => {
                let y = self.convolution(x, channels);
                let y = self.image_block(&y, depth - 1);
                self.convolution(&y, channels)
            }
            10 => self.channels_last(x),
            11 => self.split_inside(x),
            12 => self.with_condition(x),
            13 => self.pooled(x),
            14 => {
                let a = self.convolution(x, channels);
                let b = self.convolutions(x, 2);
                self.net.binary("Add", &a, &b)
            }
            _ => self.convolutions(x, 3),
        }
    }

    /// `count` convolutions with activations between them.
    fn convolutions(&mut self, x: &Value, count: usize) -> Value {
        let mut y = x.clone();
        for number in 1..=count {
            let filters = if number < count && self.choices.one_in(6) { self.channels() } else { x.shape[1] };
            y = self.normalised_convolution(&y, filters);
            if number < count {
                y = self.maybe_activation(&y);
            }
        }
        // The last one may have left other channels.
        if y.shape[1] == x.shape[1] { y } else { self.net.conv(&y, x.shape[1], &Window::same(1), 1, true) }
    }

    fn bottleneck(&mut self, x: &Value) -> Value {
        let inner = self.channels();
        let y = self.net.conv(x, inner, &Window::same(1), 1, true);
        let y = self.maybe_activation(&y);
        let window = self.window(&y);
        let y = self.net.conv(&y, inner, &window, inner, true);
        let y = self.maybe_activation(&y);
        self.net.conv(&y, x.shape[1], &Window::same(1), 1, true)
    }

    /// The same weights twice.
    fn shared_weights(&mut self, x: &Value) -> Value {
        let channels = x.shape[1];
        let weights = self.net.weights(&[channels, channels, 3, 3], channels * 9);
        let y = self.net.conv_with(x, &weights, None, &Window::same(3), 1);
        let y = self.activation(&y);
        self.net.conv_with(&y, &weights, None, &Window::same(3), 1)
    }

    /// A bias that reaches two layers through `Identity` nodes, as exporters share equal tensors.
    fn shared_bias(&mut self, x: &Value) -> Value {
        let channels = x.shape[1];
        let bias = self.net.noise(&[channels], 0.0, 0.5);
        let mut y = x.clone();
        for _ in 0..2 {
            let bias = self.net.map("Identity", &[&bias], vec![]);
            let weights = self.net.weights(&[channels, channels, 3, 3], channels * 9);
            y = self.net.conv_with(&y, &weights, Some(&bias), &Window::same(3), 1);
            y = self.maybe_activation(&y);
        }
        y
    }

    fn pre_activation(&mut self, x: &Value) -> Value {
        let mut y = x.clone();
        for _ in 0..2 {
            y = self.net.normalise(&y);
            y = self.maybe_activation(&y);
            y = self.convolution(&y, x.shape[1]);
        }
        y
    }

    /// A depthwise convolution, then layers on the last axis, which is that of the channels meanwhile.
    fn channels_last(&mut self, x: &Value) -> Value {
        let channels = x.shape[1];
        let y = self.net.conv(x, channels, &Window::same(3), channels, true);
        let y = self.net.transpose(&y, &[0, 2, 3, 1]);
        let y = if self.choices.below(2) == 0 { y } else { self.layer_norm(&y) };
        let y = self.net.matmul(&y, 2 * channels);
        let y = self.activation(&y);
        let y = self.net.matmul(&y, channels);
        self.net.transpose(&y, &[0, 3, 1, 2])
    }

    /// Half of the channels through a convolution, and next to the other half again.
    fn split_inside(&mut self, x: &Value) -> Value {
        let channels = x.shape[1];
        let half = channels / 2;
        if half == 0 {
            return self.convolution(x, channels);
        }
        let parts = self.net.split(x, 1, &[half, channels - half]);
        let y = self.convolution(&parts[0], half);
        let y = self.join(&y, &parts[1], 1);
        if self.choices.below(2) == 0 { y } else { self.net.conv(&y, channels, &Window::same(1), 1, true) }
    }

    /// An `If` of the model's own.
    fn with_condition(&mut self, x: &Value) -> Value {
        let y = self.convolution(x, x.shape[1]);
        let zero = self.net.scalar(0.0);
        let axes: Vec<_> = (0..x.shape.len()).collect();
        let mean = self.net.mean(&y, &axes, false);
        let positive = self.net.op("Greater", &[&mean, &zero], vec![], &[]);
        self.net.branch(&positive, |net| net.map("Relu", &[&y], vec![]), |net| net.map("Neg", &[&y], vec![]))
    }

    /// Pooling that keeps the size, and a convolution of one tap.
    fn pooled(&mut self, x: &Value) -> Value {
        let op_type = self.choices.of(&["AveragePool", "MaxPool"]);
        let count = op_type == "AveragePool" && self.choices.below(2) == 1;
        let y = self.net.pool(op_type, x, &Window::same(3), false, count);
        let y = if self.choices.below(2) == 0 { y } else { self.net.binary("Sub", &y, x) };
        self.net.conv(&y, x.shape[1], &Window::same(1), 1, true)
    }

    /// A factor per channel.
    fn layer_scale(&mut self, x: &Value) -> Value {
        let scale = self.net.noise(&[x.shape[1], 1, 1], 0.7, 0.3);
        self.net.binary("Mul", x, &scale)
    }

    /// Fewer rows and columns.
    fn smaller(&mut self, x: &Value) -> Value {
        if x.shape[2] < 4 || x.shape[3] < 4 {
            return self.image_block(x, 0);
        }
        match self.choices.below(4) {
            0 => {
                let (filters, taps) = (self.channels(), self.choices.of(&[3, 1, 5]));
                let window = Window::strided(taps, 2);
                let y = self.net.conv(x, filters, &window, 1, true);
                self.maybe_activation(&y)
            }
            1 => self.net.pool("MaxPool", x, &Window::strided(3, 2), false, false),
            2 => {
                let window = Window { pads: [0; 4], ..Window::strided(2, 2) };
                self.net.pool("AveragePool", x, &window, false, false)
            }
            _ => {
                let op_type = self.choices.of(&["AveragePool", "MaxPool"]);
                let count = op_type == "AveragePool" && self.choices.below(2) == 1;
                self.net.pool(op_type, x, &Window::strided(3, 2), true, count)
            }
        }
    }

    /// A value that was there before, next to `x`.
    fn read_again(&mut self, x: &Value) -> Value {
        let Some(before) = self.saved(|value| value.shape.len() == 4 && value.shape[2..] == x.shape[2..])
        else {
            self.saved.push(x.clone());
            return self.image_block(x, 0);
        };
        let y = self.join(x, &before, 1);
        match self.choices.below(3) {
            0 => y,
            1 => self.maybe_activation(&y),
            _ => {
                let filters = self.channels();
                let y = self.net.conv(&y, filters, &Window::same(1), 1, true);
                self.maybe_activation(&y)
            }
        }
    }

    /// A value that was there before, in arithmetic with `x`.
    fn arithmetic(&mut self, x: &Value) -> Value {
        let Some(before) = self.saved(|value| value.shape == x.shape) else {
            self.saved.push(x.clone());
            return self.image_block(x, 0);
        };
        let op_type = self.choices.of(&["Add", "Mul", "Sub", "Max"]);
        let y = self.net.binary(op_type, x, &before);
        self.maybe_activation(&y)
    }

    /// A value that was there before, as another element of a batch.
    fn over_batches(&mut self, x: &Value) -> Value {
        if let Some(before) = self.saved(|value| value.shape == x.shape) {
            return self.batch_join(x, &before);
        }
        let y = self.image_block(x, 0);
        self.batch_join(&y, x)
    }

    /// Down, blocks, up again, beside what was there before.
    fn u_shape(&mut self, x: &Value) -> Value {
        let (channels, rows, columns) = (x.shape[1], x.shape[2], x.shape[3]);
        if rows % 2 + columns % 2 > 0 || rows.min(columns) < 4 {
            return self.image_block(x, 1);
        }
        let y = self.net.conv(x, channels, &Window::strided(3, 2), 1, true);
        let mut y = self.maybe_activation(&y);
        for _ in 0..=self.choices.below(2) {
            y = self.image_block(&y, 0);
        }
        let y = match self.choices.below(3) {
            0 => {
                let mode = self.choices.of(&["nearest", "linear", "cubic"]);
                let coordinates = self.choices.of(&["asymmetric", "half_pixel", "align_corners"]);
                self.net.enlarge(&y, mode, coordinates)
            }
            1 => self.transposed_convolution(&y),
            _ => {
                let y = self.net.conv(&y, 4 * channels, &Window::same(1), 1, true);
                self.net.op("DepthToSpace", &[&y], vec![crate::net::int("blocksize", 2)], &x.shape)
            }
        };
        let y = self.join(&y, x, 1);
        self.net.conv(&y, channels, &Window::same(3), 1, true)
    }

    /// Twice the size.
    fn transposed_convolution(&mut self, x: &Value) -> Value {
        let channels = x.shape[1];
        let weights = self.net.weights(&[channels, channels, 2, 2], channels);
        let strides = crate::net::ints("strides", &[2, 2]);
        let shape = [x.shape[0], channels, 2 * x.shape[2], 2 * x.shape[3]];
        self.net.op("ConvTranspose", &[x, &weights], vec![strides], &shape)
    }

    /// Layers whose results all stay.
    fn dense(&mut self, x: &Value) -> Value {
        let growth = self.choices.of(&[4, 8, 3]);
        let mut y = x.clone();
        for _ in 0..2 {
            let new = self.normalised_convolution(&y, growth);
            let new = self.maybe_activation(&new);
            y = self.join(&y, &new, 1);
        }
        self.net.conv(&y, x.shape[1], &Window::same(1), 1, true)
    }

    /// Part of the channels through a chain of blocks, every result of which stays.
    fn split_chain(&mut self, x: &Value) -> Value {
        let half = x.shape[1] / 2;
        if half == 0 {
            return self.image_block(x, 0);
        }
        let mut parts = self.net.split(x, 1, &[x.shape[1] - half, half]);
        for _ in 0..=self.choices.below(3) {
            let last = parts[parts.len() - 1].clone();
            parts.push(self.image_block(&last, 0));
        }
        let y = self.net.concat(&parts.iter().collect::<Vec<_>>(), 1);
        let y = self.net.conv(&y, x.shape[1], &Window::same(1), 1, true);
        self.maybe_activation(&y)
    }

    /// Two ways that meet again.
    fn two_branches(&mut self, x: &Value) -> Value {
        let a = self.image_block(x, 0);
        let b = if self.choices.below(2) == 0 { self.image_block(x, 0) } else { self.convolutions(x, 1) };
        if self.choices.below(2) == 0 { self.net.binary("Add", &a, &b) } else { self.join(&a, &b, 1) }
    }

    /// Plain layers, the last beside the first.
    fn chain(&mut self, x: &Value) -> Value {
        let first = self.activation(x);
        let mut y = first.clone();
        for _ in 0..=self.choices.below(3) {
            y = self.convolution(&y, x.shape[1]);
            y = self.maybe_activation(&y);
        }
        self.join(&y, &first, 1)
    }

    /// Channels in another order.
    fn shuffle(&mut self, x: &Value) -> Value {
        let [batch, channels, rows, columns] = [0, 1, 2, 3].map(|axis| x.shape[axis]);
        if channels % 2 == 1 {
            return self.image_block(x, 0);
        }
        let y = self.image_block(x, 0);
        let y = self.net.reshape(&y, &[batch, 2, channels / 2, rows, columns]);
        let y = self.net.transpose(&y, &[0, 2, 1, 3, 4]);
        self.net.reshape(&y, &[batch, channels, rows, columns])
    }

    /// The first block of a segment in most networks: its shortcut has weights.
    fn reducing_block(&mut self, x: &Value) -> Value {
        let (filters, stride) = (self.channels(), if x.shape[2].min(x.shape[3]) < 4 { 1 } else { 2 });
        let f = self.net.conv(x, filters, &Window::strided(3, stride), 1, true);
        let f = self.maybe_activation(&f);
        let f = self.net.conv(&f, filters, &Window::same(3), 1, true);
        let shortcut = self.net.conv(x, filters, &Window::strided(1, stride), 1, true);
        let y = self.net.binary("Add", &f, &shortcut);
        let y = self.maybe_activation(&y);
        self.image_block(&y, 0)
    }

    /// From an image to the output. Most heads keep every element, so that no difference is averaged away.
    pub(super) fn image_head(&mut self, x: &Value) -> Value {
        let (batch, channels) = (x.shape[0], x.shape[1]);
        let size = x.shape[1..].iter().product();
        let flatten = crate::net::int("axis", 1);
        match self.choices.below(6) {
            0 | 1 => self.net.op("Flatten", &[x], vec![flatten], &[batch, size]),
            2 => {
                let y = self.net.op("GlobalAveragePool", &[x], vec![], &[batch, channels, 1, 1]);
                let y = self.net.op("Flatten", &[&y], vec![flatten], &[batch, channels]);
                let y = self.net.matmul(&y, 10);
                self.net.add_bias(&y)
            }
            3 => x.clone(),
            4 => {
                let y = self.net.mean(x, &[2, 3], false);
                self.net.matmul(&y, 5)
            }
            _ => self.net.pool("AveragePool", x, &Window::strided(3, 2), true, true),
        }
    }
}
