//! Random residual networks: one generator per layout of values, over one list of [`Choices`].

mod image;
mod layers;
mod rows;

use skipgate_onnx::{Error, GateSelection, GateUnit, Model, gate};

use crate::choices::Choices;
use crate::net::{Net, Value};

/// A generated network.
#[derive(Debug, Clone)]
pub struct Generated {
    /// The network.
    pub model: Model,
    /// Its gates; `None` to compile it without any.
    pub selection: Option<GateSelection>,
}

/// Makes the network that `choices` stand for.
pub fn generate(choices: &mut Choices) -> Result<Generated, Error> {
    let selection = match choices.below(8) {
        0..=3 => Some(GateSelection::default()),
        4..=6 => Some(GateSelection { gate_first: true, ..GateSelection::default() }),
        _ => None,
    };
    let opset = choices.of(&[17, 11, 12, 13, 14, 15, 16, 18, 19, 20, 21]);
    let kind = choices.of(&[Kind::Image, Kind::Image, Kind::Image, Kind::Vector, Kind::Tokens, Kind::Grid]);
    let shape = kind.input(choices);
    let (net, image) = Net::new(opset, &shape);
    let mut generator = Generator { net, choices, saved: Vec::new(), activation: 0 };
    generator.activation = generator.choices.below(layers::ACTIVATIONS);
    let last = kind.network(&mut generator, &image);
    let model = generator.finish(&last).model()?;
    // Last, so that a seed stands for the network that it stood for before there were layers.
    let unit = choices.of(&[GateUnit::Block, GateUnit::Block, GateUnit::Layer]);
    let selection = selection.map(|selection| with_gates(&model, GateSelection { unit, ..selection }));
    Ok(Generated { model, selection })
}

/// `selection`, or first blocks too if there is nothing else to gate: without a gate there is less to go wrong.
fn with_gates(model: &Model, selection: GateSelection) -> GateSelection {
    match gate(model, &selection) {
        Err(Error::NothingToGate { .. }) => GateSelection { gate_first: true, ..selection },
        _ => selection,
    }
}

/// The layout that a network has for the most part.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Channels, rows, columns.
    Image,
    /// Features.
    Vector,
    /// Tokens, features.
    Tokens,
    /// Rows, columns, channels.
    Grid,
}

impl Kind {
    fn input(self, choices: &mut Choices) -> Vec<usize> {
        match self {
            Self::Vector => vec![1, choices.of(&[8, 16, 4, 3, 5, 12, 24])],
            Self::Tokens => vec![1, choices.of(&[4, 8, 5, 9, 16]), choices.of(&[8, 4, 16, 6, 12])],
            Self::Image | Self::Grid => {
                let channels = choices.of(&[3, 1, 4, 8]);
                let rows = choices.of(&[8, 4, 5, 6, 7, 9, 10, 12]);
                let columns = if choices.one_in(3) { choices.of(&[8, 4, 6, 7, 11, 12]) } else { rows };
                vec![1, channels, rows, columns]
            }
        }
    }

    fn network(self, generator: &mut Generator, image: &Value) -> Value {
        // Mostly few: what goes wrong in a large network goes wrong in a small one, which takes less time.
        let stages = generator.choices.of(&[1, 1, 1, 2, 2, 3]);
        match self {
            Self::Image => {
                let mut x = generator.stem(image);
                for _ in 0..stages {
                    x = generator.image_stage(&x);
                    generator.save(&x);
                }
                if generator.choices.one_in(6) {
                    x = generator.tokens_of(&x);
                    return generator.rows(x, stages);
                }
                generator.image_head(&x)
            }
            Self::Vector | Self::Tokens => {
                let x = generator.rows_stem(image);
                generator.rows(x, stages)
            }
            Self::Grid => {
                let x = generator.stem(image);
                let x = generator.net.transpose(&x, &[0, 2, 3, 1]);
                generator.rows(x, stages)
            }
        }
    }
}

/// A network and the decisions it is made by.
struct Generator<'c> {
    net: Net,
    choices: &'c mut Choices,
    /// Values that later stages may read again.
    saved: Vec<Value>,
    /// The activation that most layers of a network have, as in most networks. Layers that are alike share a kernel,
    /// and each kernel takes time to compile.
    activation: usize,
}

impl Generator<'_> {
    /// Keeps `x` for later stages, sometimes.
    fn save(&mut self, x: &Value) {
        if self.choices.below(2) == 0 {
            self.saved.push(x.clone());
        }
    }

    /// A saved value that `fits`.
    fn saved(&mut self, fits: impl Fn(&Value) -> bool) -> Option<Value> {
        let fitting: Vec<_> = self.saved.iter().filter(|value| fits(value)).cloned().collect();
        (!fitting.is_empty()).then(|| fitting[self.choices.below(fitting.len())].clone())
    }

    /// The sum of a block: `f` and `x` in any order, sometimes through an `Identity`.
    fn sum(&mut self, f: &Value, x: &Value) -> Value {
        let x = if self.choices.one_in(10) { self.net.map("Identity", &[x], vec![]) } else { x.clone() };
        if self.choices.below(2) == 0 { self.net.binary("Add", f, &x) } else { self.net.binary("Add", &x, f) }
    }

    /// Two values behind each other along `axis`, in any order.
    fn join(&mut self, a: &Value, b: &Value, axis: usize) -> Value {
        let values = if self.choices.below(2) == 0 { [a, b] } else { [b, a] };
        self.net.concat(&values, axis)
    }

    /// `y` next to a value that was there before along the batch axis, brought back to one batch.
    fn batch_join(&mut self, y: &Value, before: &Value) -> Value {
        let both = self.join(y, before, 0);
        match self.choices.below(3) {
            0 => self.net.mean(&both, &[0], true),
            1 => {
                let parts = self.net.split(&both, 0, &[1, 1]);
                self.net.binary("Sub", &parts[0], &parts[1])
            }
            _ => self.net.slice(&both, 0, 1, 2),
        }
    }

    /// Makes `last` the output, and perhaps another value as well.
    fn finish(mut self, last: &Value) -> Net {
        let last =
            if self.choices.one_in(4) { self.net.map("Identity", &[last], vec![]) } else { last.clone() };
        self.net.output(&last);
        if self.choices.one_in(4) {
            let other = self.saved(|value| value.name != last.name);
            if let Some(other) = other {
                self.net.output(&other);
            }
        }
        self.net
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(seed: u64) -> Generated {
        generate(&mut Choices::random(seed)).unwrap()
    }

    #[test]
    fn a_seed_stands_for_one_network() {
        for seed in 0..50 {
            assert_eq!(random(seed).model.to_bytes().unwrap(), random(seed).model.to_bytes().unwrap());
        }
    }

    #[test]
    fn shapes_are_those_that_inference_finds() {
        for seed in 0..300 {
            let model = random(seed).model;
            let types = skipgate_onnx::infer_shapes(&model).unwrap();
            let output = &model.proto().graph.output[0];
            let declared = output.type_.value.clone();
            assert!(types.contains_key(&output.name), "seed {seed}: {declared:?}");
        }
    }

    #[test]
    fn any_numbers_make_a_network() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..200 {
            let numbers: Vec<_> = (0..random.usize(0..60)).map(|_| random.u32(0..20)).collect();
            generate(&mut Choices::replay(&numbers)).unwrap();
        }
    }
}
