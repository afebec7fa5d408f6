//! Recurrent layers in forms that the compiler does not know or leaves a part of out: their steps are written out.

use super::Step;
use super::body::Body;
use super::build::Build;
use super::context::Context;
use super::recurrent;
use crate::attributes::Attributes;
use crate::edit::int_attribute;
use crate::error::{Error, NodeProblem};
use crate::proto::NodeProto;
use crate::tensor::element_type::{FLOAT, FLOAT16};

const BIAS: usize = 3;
const LENGTHS: usize = 4;
const STATE: usize = 5;
const CELL: usize = 6;
const PEEPHOLES: usize = 7;

/// Most steps.
const MAX_STEPS: i64 = 64;

/// Writes short sequences out, where the layer is not one that the compiler computes. Others stay, and are refused later.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let Some(kind) = Kind::of(node) else { return Ok(Step::Keep) };
    if recurrent::is_honoured(node, context)? {
        return Ok(Step::Keep);
    }
    let layer = Layer::of(kind, node, context).map_err(|problem| problem.of(node))?;
    let Some(layer) = layer else { return Ok(Step::Keep) };
    Ok(Writer { build: Build::of(node, context), node, layer }.write())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Gru,
    Lstm,
    Rnn,
}

impl Kind {
    fn of(node: &NodeProto) -> Option<Self> {
        match node.op_type.as_str() {
            "GRU" => Some(Self::Gru),
            "LSTM" => Some(Self::Lstm),
            "RNN" => Some(Self::Rnn),
            _ => None,
        }
    }

    fn default_activations(self) -> &'static [&'static str] {
        match self {
            Self::Gru => &["Sigmoid", "Tanh"],
            Self::Lstm => &["Sigmoid", "Tanh", "Tanh"],
            Self::Rnn => &["Tanh"],
        }
    }
}

/// Activations without parameters, each an operator of the same name.
const ACTIVATIONS: [&str; 5] = ["Relu", "Sigmoid", "Softplus", "Softsign", "Tanh"];

struct Layer {
    kind: Kind,
    element_type: i32,
    /// Whether each direction goes backwards.
    directions: Vec<bool>,
    /// Those of the first direction, then those of the second.
    activations: Vec<&'static str>,
    steps: i64,
    hidden: i64,
    /// Batch first.
    batch_first: bool,
    clip: Option<f32>,
    /// Whether the gate that forgets is what the one that remembers leaves.
    coupled: bool,
    /// Whether a `GRU` resets behind the product.
    resets_late: bool,
}

impl Layer {
    /// `None` for layers that cannot be written out.
    fn of(kind: Kind, node: &NodeProto, context: &Context) -> Result<Option<Self>, NodeProblem> {
        let attributes = Attributes::of(node);
        if attributes.has("activation_alpha") || attributes.has("activation_beta") {
            return Ok(None);
        }
        let directions = match attributes.string("direction")?.unwrap_or(b"forward") {
            b"forward" => vec![false],
            b"reverse" => vec![true],
            b"bidirectional" => vec![false, true],
            _ => return Ok(None),
        };
        let usual = kind.default_activations().repeat(directions.len());
        let known = |name: &Vec<u8>| {
            ACTIVATIONS.into_iter().find(|known| known.as_bytes().eq_ignore_ascii_case(name))
        };
        let given = attributes.strings("activations")?;
        let activations = match given {
            Some(names) => names.iter().map(known).collect::<Option<Vec<_>>>(),
            None => Some(usual.clone()),
        };
        let Some(activations) = activations.filter(|names| names.len() == usual.len()) else {
            return Ok(None);
        };
        let batch_first = attributes.flag("layout")?;
        let shape = |place: usize| context.tensor_type(node.input.get(place)?);
        let (Some(input), Some(recurrence)) = (shape(0), shape(2)) else { return Ok(None) };
        let dim = |shape: &[Option<usize>], place: usize| i64::try_from((*shape.get(place)?)?).ok();
        let steps =
            dim(&input.shape, usize::from(batch_first)).filter(|steps| (1..=MAX_STEPS).contains(steps));
        let (Some(steps), Some(hidden)) = (steps, dim(&recurrence.shape, 2)) else { return Ok(None) };
        let is_float = matches!(input.element_type, FLOAT | FLOAT16);
        Ok(is_float.then_some(Self {
            kind,
            element_type: input.element_type,
            directions,
            activations,
            steps,
            hidden,
            batch_first,
            clip: attributes.float("clip")?,
            coupled: attributes.flag("input_forget")?,
            resets_late: attributes.flag("linear_before_reset")?,
        }))
    }
}

/// One direction of a layer.
struct Direction {
    activations: Vec<&'static str>,
    /// Of the state, transposed.
    weights: String,
    /// Of the state's products.
    bias: Option<String>,
    peepholes: Option<String>,
}

struct Writer<'n, 'c, 'm> {
    build: Build<'n, 'c, 'm>,
    node: &'n NodeProto,
    layer: Layer,
}

impl Writer<'_, '_, '_> {
    fn write(mut self) -> Step {
        let mut input = self.node.input[0].clone();
        if self.layer.batch_first {
            input = self.build.transpose(&input, &[1, 0, 2]);
        }
        let (mut results, mut states, mut cells) = (Vec::new(), Vec::new(), Vec::new());
        for (number, backwards) in (0..).zip(self.layer.directions.clone()) {
            let (steps, state, cell) = self.direction(&input, number, backwards);
            results.push(self.stack(&steps, 0));
            states.push(state);
            cells.extend(cell);
        }
        let results = self.stack(&results, 1);
        let [states, cells] =
            [states, cells].map(|each| if each.is_empty() { String::new() } else { self.stack(&each, 0) });
        if !self.layer.batch_first {
            return self.build.finish(&[&results, &states, &cells]);
        }
        let results = self.build.transpose(&results, &[2, 0, 1, 3]);
        let [states, cells] = [states, cells]
            .map(|value| if value.is_empty() { value } else { self.build.transpose(&value, &[1, 0, 2]) });
        self.build.finish(&[&results, &states, &cells])
    }

    /// The results of all steps, and what the last one leaves.
    fn direction(
        &mut self,
        input: &str,
        number: i64,
        backwards: bool,
    ) -> (Vec<String>, String, Option<String>) {
        let of_each = self.layer.kind.default_activations().len();
        let first = usize::try_from(number).unwrap_or_default() * of_each;
        let weights = self.of_direction(1, number, 0).unwrap_or_default();
        let weights = self.build.transpose(&weights, &[1, 0]);
        let mut products = self.build.op("MatMul", &[input, &weights]);
        let recurrent = self.of_direction(2, number, 0).unwrap_or_default();
        let gates = self.gates() * self.layer.hidden;
        let bias = self.of_direction(BIAS, number, 0).map(|bias| {
            [(0, gates), (gates, 2 * gates)].map(|(start, end)| self.build.slice(&bias, 0, start, end))
        });
        if let Some([bias, _]) = &bias {
            products = self.build.op("Add", &[&products, bias]);
        }
        let direction = Direction {
            activations: self.layer.activations[first..first + of_each].to_vec(),
            weights: self.build.transpose(&recurrent, &[1, 0]),
            bias: bias.map(|[_, bias]| bias),
            peepholes: self.of_direction(PEEPHOLES, number, 0),
        };
        let mut state = self.initial(STATE, number, &products);
        let has_cell = self.layer.kind == Kind::Lstm;
        let mut cell = has_cell.then(|| self.initial(CELL, number, &products));
        let mut places: Vec<_> = (0..self.layer.steps).collect();
        if backwards {
            places.reverse();
        }
        let mut results = Vec::new();
        for place in places {
            let now = self.at(&products, 0, place);
            let (mut new, mut new_cell) = self.step(&direction, &now, &state, cell.as_deref());
            let mut result = new.clone();
            if let Some(is_there) = self.is_there(place) {
                let zero = self.build.scalar(0.0, self.layer.element_type);
                result = self.build.op("Where", &[&is_there, &new, &zero]);
                new = self.build.op("Where", &[&is_there, &new, &state]);
                new_cell =
                    new_cell.zip(cell).map(|(new, old)| self.build.op("Where", &[&is_there, &new, &old]));
            }
            (state, cell) = (new, new_cell);
            results.push(result);
        }
        if backwards {
            results.reverse();
        }
        (results, state, cell)
    }

    fn gates(&self) -> i64 {
        match self.layer.kind {
            Kind::Gru => 3,
            Kind::Lstm => 4,
            Kind::Rnn => 1,
        }
    }

    /// The new state, and the new cell of an `LSTM`.
    fn step(
        &mut self,
        direction: &Direction,
        now: &str,
        state: &str,
        cell: Option<&str>,
    ) -> (String, Option<String>) {
        match (self.layer.kind, cell) {
            (Kind::Gru, _) => (self.gru(direction, now, state), None),
            (Kind::Lstm, Some(cell)) => {
                let (state, cell) = self.lstm(direction, now, state, cell);
                (state, Some(cell))
            }
            (Kind::Rnn | Kind::Lstm, _) => {
                let before = self.recurrence(direction, state);
                let sum = self.build.op("Add", &[now, &before]);
                (self.activated(direction, 0, sum), None)
            }
        }
    }

    fn gru(&mut self, direction: &Direction, now: &str, state: &str) -> String {
        let before = self.recurrence(direction, state);
        let [update, reset] = [0, 1].map(|gate| {
            let sum = self.gate_sum(now, &before, gate);
            self.activated(direction, 0, sum)
        });
        let input = self.gate(now, 2);
        let hidden = if self.layer.resets_late {
            let before = self.gate(&before, 2);
            self.build.op("Mul", &[&reset, &before])
        } else {
            let state = self.build.op("Mul", &[&reset, state]);
            let before = self.recurrence(direction, &state);
            self.gate(&before, 2)
        };
        let sum = self.build.op("Add", &[&input, &hidden]);
        let new = self.activated(direction, 1, sum);
        // What is updated by the share `update` is new - update * (new - state).
        let change = self.build.op("Sub", &[state, &new]);
        let change = self.build.op("Mul", &[&update, &change]);
        self.build.op("Add", &[&new, &change])
    }

    /// Gates in the order of ONNX: input, output, forget, cell. Peepholes: input, output, forget.
    fn lstm(&mut self, direction: &Direction, now: &str, state: &str, cell: &str) -> (String, String) {
        let before = self.recurrence(direction, state);
        let [input, output, forget, new] = [0, 1, 2, 3].map(|gate| self.gate_sum(now, &before, gate));
        let input = self.with_peephole(direction, input, cell, 0);
        let input = self.activated(direction, 0, input);
        let forget = if self.layer.coupled {
            let one = self.build.scalar(1.0, self.layer.element_type);
            self.build.op("Sub", &[&one, &input])
        } else {
            let forget = self.with_peephole(direction, forget, cell, 2);
            self.activated(direction, 0, forget)
        };
        let new = self.activated(direction, 1, new);
        let kept = self.build.op("Mul", &[&forget, cell]);
        let added = self.build.op("Mul", &[&input, &new]);
        let cell = self.build.op("Add", &[&kept, &added]);
        let output = self.with_peephole(direction, output, &cell, 1);
        let output = self.activated(direction, 0, output);
        let shown = self.build.op(direction.activations[2], &[&cell]);
        (self.build.op("Mul", &[&output, &shown]), cell)
    }

    fn with_peephole(&mut self, direction: &Direction, sum: String, cell: &str, gate: i64) -> String {
        let Some(peepholes) = &direction.peepholes else { return sum };
        let hidden = self.layer.hidden;
        let weights = self.build.slice(peepholes, 0, gate * hidden, (gate + 1) * hidden);
        let seen = self.build.op("Mul", &[&weights, cell]);
        self.build.op("Add", &[&sum, &seen])
    }

    fn activated(&mut self, direction: &Direction, place: usize, mut sum: String) -> String {
        if let Some(clip) = self.layer.clip {
            let [least, most] = [-clip, clip].map(|bound| self.build.scalar(bound, self.layer.element_type));
            sum = self.build.op("Clip", &[&sum, &least, &most]);
        }
        self.build.op(direction.activations[place], &[&sum])
    }

    /// What the state adds to all gates.
    fn recurrence(&mut self, direction: &Direction, state: &str) -> String {
        let products = self.build.op("MatMul", &[state, &direction.weights]);
        match &direction.bias {
            Some(bias) => self.build.op("Add", &[&products, bias]),
            None => products,
        }
    }

    fn gate(&mut self, gates: &str, gate: i64) -> String {
        let hidden = self.layer.hidden;
        self.build.slice(gates, 1, gate * hidden, (gate + 1) * hidden)
    }

    fn gate_sum(&mut self, now: &str, before: &str, gate: i64) -> String {
        let [now, before] = [now, before].map(|gates| self.gate(gates, gate));
        self.build.op("Add", &[&now, &before])
    }

    /// Whether each sequence of the batch has a step at `place`, if they have lengths.
    fn is_there(&mut self, place: i64) -> Option<String> {
        let lengths = self.input(LENGTHS)?;
        let lengths = self.build.cast(&lengths, crate::tensor::element_type::INT64);
        let lengths = self.build.unsqueeze(&lengths, &[1]);
        let place = self.build.ints(&[place]);
        Some(self.build.op("Less", &[&place, &lengths]))
    }

    fn input(&self, place: usize) -> Option<String> {
        self.node.input.get(place).filter(|name| !name.is_empty()).cloned()
    }

    /// What an input is for one direction.
    fn of_direction(&mut self, place: usize, number: i64, axis: i64) -> Option<String> {
        let input = self.input(place)?;
        Some(self.at(&input, axis, number))
    }

    /// The state before the first step; zeros are as large as a gate of the `products`.
    fn initial(&mut self, place: usize, number: i64, products: &str) -> String {
        let axis = i64::from(self.layer.batch_first);
        if let Some(initial) = self.of_direction(place, number, axis) {
            return initial;
        }
        let first = self.at(products, 0, 0);
        let gate = self.gate(&first, 0);
        let shape = self.build.op("Shape", &[&gate]);
        let zero = self.build.scalar(0.0, self.layer.element_type);
        self.build.op("Expand", &[&zero, &shape])
    }

    fn at(&mut self, value: &str, axis: i64, place: i64) -> String {
        let one = self.build.slice(value, axis, place, place + 1);
        let axes = self.build.ints(&[axis]);
        self.build.op("Squeeze", &[&one, &axes])
    }

    /// Values behind each other in a new dimension.
    fn stack(&mut self, values: &[String], axis: i64) -> String {
        let each: Vec<_> = values.iter().map(|value| self.build.unsqueeze(value, &[axis])).collect();
        let each: Vec<_> = each.iter().map(String::as_str).collect();
        self.build.with("Concat", &each, vec![int_attribute("axis", axis)])
    }
}
