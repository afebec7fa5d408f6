//! Networks over features in the last axis: vectors, tokens, and images with the channels last.

use super::Generator;
use crate::net::{Value, int, signed_int};

impl Generator<'_> {
    /// The layers in front of the first stage.
    pub(super) fn rows_stem(&mut self, x: &Value) -> Value {
        let features = self.choices.of(&[8, 16, 4, 12, 5, 24, 32]);
        let y = self.net.matmul(x, features);
        let y = if self.choices.below(2) == 0 { self.net.add_bias(&y) } else { y };
        let y = self.maybe_activation(&y);
        self.save(&y);
        y
    }

    /// `stages` stages and the output.
    pub(super) fn rows(&mut self, mut x: Value, stages: usize) -> Value {
        for _ in 0..stages {
            x = self.rows_stage(&x);
            self.save(&x);
        }
        self.rows_head(&x)
    }

    /// An image as tokens.
    pub(super) fn tokens_of(&mut self, x: &Value) -> Value {
        let (batch, channels, tokens) = (x.shape[0], x.shape[1], x.shape[2] * x.shape[3]);
        let y = self.net.reshape(x, &[batch, channels, tokens]);
        self.net.transpose(&y, &[0, 2, 1])
    }

    fn rows_stage(&mut self, x: &Value) -> Value {
        let last = x.shape.len() - 1;
        match self.choices.below(12) {
            0..=5 => self.rows_block(x),
            6 => {
                let features = self.choices.of(&[8, 16, 4, 12, 5]);
                let y = self.net.matmul(x, features);
                self.maybe_activation(&y)
            }
            7 | 8 => {
                let fits = |value: &Value| {
                    value.shape.len() == x.shape.len() && value.shape[..last] == x.shape[..last]
                };
                let Some(before) = self.saved(fits) else { return self.rows_block(x) };
                let y = self.join(x, &before, last);
                self.maybe_activation(&y)
            }
            9 => match self.saved(|value| value.shape == x.shape) {
                Some(before) if self.choices.below(2) == 0 => self.batch_join(x, &before),
                Some(before) => self.net.binary("Mul", x, &before),
                None => self.rows_block(x),
            },
            10 => {
                let y = self.rows_block(x);
                self.batch_join(&y, x)
            }
            _ => self.layer_norm(x),
        }
    }

    /// A residual block whose shortcut is the identity.
    fn rows_block(&mut self, x: &Value) -> Value {
        let y = if self.choices.one_in(4) { self.layer_norm(x) } else { x.clone() };
        let f = match x.shape.len() {
            3 => match self.choices.below(4) {
                0 => self.perceptron(&y),
                1 | 2 => self.attention(&y),
                _ => self.token_mixing(&y),
            },
            4 => match self.choices.below(3) {
                0 => self.perceptron(&y),
                1 => self.windows(&y),
                _ => self.depthwise(&y),
            },
            _ => self.perceptron(&y),
        };
        let y = self.sum(&f, x);
        self.maybe_activation(&y)
    }

    /// One or two products with an activation between them.
    fn perceptron(&mut self, x: &Value) -> Value {
        let features = x.shape[x.shape.len() - 1];
        if self.choices.one_in(4) {
            return self.product(x, features);
        }
        let inner = self.choices.of(&[8, 16, 4, 24, 7]);
        let y = self.product(x, inner);
        let y = self.maybe_activation(&y);
        self.product(&y, features)
    }

    /// A product with new weights and a bias, as `Gemm` where it can be.
    fn product(&mut self, x: &Value, features: usize) -> Value {
        let inner = x.shape[x.shape.len() - 1];
        if x.shape.len() == 2 && self.choices.below(2) == 0 {
            let transposed = self.choices.below(2) == 1;
            let shape = if transposed { [features, inner] } else { [inner, features] };
            let weights = self.net.weights(&shape, inner);
            let bias = self.net.noise(&[features], 0.0, 0.5);
            let attributes = vec![int("transB", usize::from(transposed))];
            return self.net.op("Gemm", &[x, &weights, &bias], attributes, &[x.shape[0], features]);
        }
        let y = self.net.matmul(x, features);
        if self.choices.below(2) == 0 { self.net.add_bias(&y) } else { y }
    }

    /// Attention with one or two heads.
    fn attention(&mut self, x: &Value) -> Value {
        let [batch, tokens, features] = [0, 1, 2].map(|axis| x.shape[axis]);
        let heads = if features % 2 == 0 && self.choices.below(2) == 1 { 2 } else { 1 };
        let [query, key, value] = [0; 3].map(|_| {
            let y = self.net.matmul(x, features);
            if heads == 1 {
                return y;
            }
            let y = self.net.reshape(&y, &[batch, tokens, heads, features / heads]);
            self.net.transpose(&y, &[0, 2, 1, 3])
        });
        let order: Vec<_> = if heads == 1 { vec![0, 2, 1] } else { vec![0, 1, 3, 2] };
        let key = self.net.transpose(&key, &order);
        let mut shape = query.shape.clone();
        shape[order.len() - 1] = tokens;
        let scores = self.net.op("MatMul", &[&query, &key], vec![], &shape);
        let scale = self.net.scalar(0.5);
        let scores = self.net.binary("Mul", &scores, &scale);
        let weights = self.net.map("Softmax", &[&scores], vec![signed_int("axis", -1)]);
        let y = self.net.op("MatMul", &[&weights, &value], vec![], &value.shape);
        let y = if heads == 1 {
            y
        } else {
            let y = self.net.transpose(&y, &[0, 2, 1, 3]);
            self.net.reshape(&y, &x.shape)
        };
        self.net.matmul(&y, features)
    }

    /// A perceptron over tokens.
    fn token_mixing(&mut self, x: &Value) -> Value {
        let y = self.net.transpose(x, &[0, 2, 1]);
        let y = self.perceptron(&y);
        self.net.transpose(&y, &[0, 2, 1])
    }

    /// A perceptron over windows of an image with the channels last, which are cut out and put back.
    fn windows(&mut self, x: &Value) -> Value {
        let [batch, rows, columns, channels] = [0, 1, 2, 3].map(|axis| x.shape[axis]);
        let y = self.perceptron(x);
        if rows % 2 + columns % 2 > 0 {
            return y;
        }
        let y = self.net.reshape(&y, &[batch, 2, rows / 2, 2, columns / 2, channels]);
        let y = self.net.transpose(&y, &[0, 1, 3, 2, 4, 5]);
        let back = self.choices.below(2) == 1;
        if !back {
            return self.net.reshape(&y, &x.shape);
        }
        let y = self.perceptron(&y);
        let y = self.net.transpose(&y, &[0, 1, 3, 2, 4, 5]);
        self.net.reshape(&y, &x.shape)
    }

    /// A depthwise convolution of an image with the channels last.
    fn depthwise(&mut self, x: &Value) -> Value {
        let channels = x.shape[3];
        let y = self.net.transpose(x, &[0, 3, 1, 2]);
        let window = self.window(&y);
        let y = self.net.conv(&y, channels, &window, channels, true);
        let y = self.net.transpose(&y, &[0, 2, 3, 1]);
        self.perceptron(&y)
    }

    /// To the output. Most heads keep every element, so that no difference is averaged away.
    fn rows_head(&mut self, x: &Value) -> Value {
        let size = x.shape[1..].iter().product();
        match (x.shape.len(), self.choices.below(4)) {
            (_, 0) => self.net.op("Flatten", &[x], vec![int("axis", 1)], &[x.shape[0], size]),
            (2, _) => self.net.matmul(x, 5),
            (_, 1) => x.clone(),
            (rank, _) => {
                let axes: Vec<_> = (1..rank - 1).collect();
                let y = self.net.mean(x, &axes, false);
                self.net.matmul(&y, 5)
            }
        }
    }
}
