//! Activations that a model has as several nodes: the product of a value and a curve of it, such as `Gelu` and `HardSwish`.
//!
//! The curve is a chain of one operator that is no line, such as `Erf` or `Clip`, with sums and products with constants in
//! front and behind. The lines are put together in double precision, and what comes of it must be a curve that kernels know.

use skipgate_onnx::{Graph, Node, NodeId, Reader, ValueId};

use crate::kernels::Curve;

/// How far a constant may be from the one that it stands for, relative to it: a few units in a float's last place.
const TOLERANCE: f64 = 1e-6;

/// The product of a value and a curve of it.
pub(super) struct Product {
    /// In order; the last one gives the product.
    pub(super) nodes: Vec<NodeId>,
    pub(super) curve: Curve,
}

/// The product of `value` and a curve of it, if that is all that reads `value`.
pub(super) fn product(graph: &Graph, value: ValueId) -> Option<Product> {
    let &[Reader::Operand { node: a, .. }, Reader::Operand { node: b, .. }] = &graph.value(value).readers[..]
    else {
        return None;
    };
    if a == b {
        return None;
    }
    [(a, b), (b, a)].into_iter().find_map(|(first, other)| Chain::new(graph, value, other).follow(first))
}

/// `factor * x + offset`.
#[derive(Debug, Clone, Copy)]
struct Line {
    factor: f64,
    offset: f64,
}

/// The operator of a curve that is no line.
#[derive(Debug, Clone, Copy)]
enum Core {
    Erf,
    Sigmoid,
    /// Between two limits.
    Clip([f64; 2]),
}

/// A curve on its way from a value to its product with it.
struct Chain<'p, 'm> {
    graph: &'p Graph<'m>,
    value: ValueId,
    /// The other node that reads the value.
    other: NodeId,
    nodes: Vec<NodeId>,
    before: Line,
    core: Option<Core>,
    after: Line,
}

const NO_CHANGE: Line = Line { factor: 1.0, offset: 0.0 };

impl<'p, 'm> Chain<'p, 'm> {
    fn new(graph: &'p Graph<'m>, value: ValueId, other: NodeId) -> Self {
        Self { graph, value, other, nodes: Vec::new(), before: NO_CHANGE, core: None, after: NO_CHANGE }
    }

    /// Follows the chain that begins with the node `first`.
    fn follow(mut self, first: NodeId) -> Option<Product> {
        let (mut at, mut id) = (self.value, first);
        while id != self.other && !self.multiplies_line(id, at) {
            let node = self.graph.node(id);
            self.pass(node, at)?;
            self.nodes.push(id);
            at = node.only_output()?;
            id = self.graph.only_reader(at)?;
        }
        if id != self.other {
            // The other one multiplies the value by a constant first.
            let scale = self.graph.node(self.other);
            self.after =
                self.line(scale, self.value).filter(|line| is_near(line.offset, 0.0))?.behind(self.after);
            self.nodes.push(self.other);
        } else if !self.multiplies(id, [at, self.value]) {
            return None;
        }
        self.nodes.push(id);
        // Constants may also come behind the product.
        loop {
            if let Some(curve) = self.curve() {
                return Some(Product { nodes: self.nodes, curve });
            }
            at = self.graph.node(*self.nodes.last()?).only_output()?;
            id = self.graph.only_reader(at)?;
            let line = self.line(self.graph.node(id), at).filter(|line| is_near(line.offset, 0.0))?;
            self.after = line.behind(self.after);
            self.nodes.push(id);
        }
    }

    /// Whether `id` multiplies `at` by what the other reader makes of the value.
    fn multiplies_line(&self, id: NodeId, at: ValueId) -> bool {
        let scaled = self.graph.node(self.other).only_output();
        scaled.is_some_and(|scaled| {
            self.graph.only_reader(scaled) == Some(id) && self.multiplies(id, [at, scaled])
        })
    }

    fn multiplies(&self, id: NodeId, factors: [ValueId; 2]) -> bool {
        let node = self.graph.node(id);
        let [a, b] = factors;
        let both = [[Some(a), Some(b)], [Some(b), Some(a)]].iter().any(|inputs| node.inputs == inputs[..]);
        node.is("Mul") && both && self.is_beside(node)
    }

    /// Takes in what `node` makes of `at`.
    fn pass(&mut self, node: &Node, at: ValueId) -> Option<()> {
        if let Some(line) = self.line(node, at) {
            let part = if self.core.is_some() { &mut self.after } else { &mut self.before };
            *part = line.behind(*part);
            return Some(());
        }
        let core = match node.op_type() {
            _ if !self.is_beside(node) || self.core.is_some() || node.input(0) != Some(at) => return None,
            "Erf" => Core::Erf,
            "Sigmoid" => Core::Sigmoid,
            "Clip" => Core::Clip([self.number(node.input(1)?)?, self.number(node.input(2)?)?]),
            _ => return None,
        };
        self.core = Some(core);
        Some(())
    }

    /// What `node` makes of `at`, if that is a line.
    fn line(&self, node: &Node, at: ValueId) -> Option<Line> {
        let &[Some(a), Some(b)] = &node.inputs[..] else { return None };
        let other = if a == at { b } else { a };
        let constant = self.number(other).filter(|_| self.is_beside(node) && (a == at) != (b == at))?;
        match node.op_type() {
            "Add" => Some(Line { factor: 1.0, offset: constant }),
            "Sub" if a == at => Some(Line { factor: 1.0, offset: -constant }),
            "Mul" => Some(Line { factor: constant, offset: 0.0 }),
            "Div" if a == at && constant != 0.0 => Some(Line { factor: constant.recip(), offset: 0.0 }),
            _ => None,
        }
    }

    /// Whether `node` is one of ONNX's own, in the graph that the value is in, and gives a value of the same type.
    fn is_beside(&self, node: &Node) -> bool {
        let ty = node.only_output().and_then(|output| self.graph.ty(output));
        node.is_standard()
            && node.scope == self.graph.node(self.other).scope
            && ty.is_some()
            && ty == self.graph.ty(self.value)
    }

    /// The one number that `value` is.
    fn number(&self, value: ValueId) -> Option<f64> {
        let floats = self.graph.floats(value).ok().flatten()?;
        match floats[..] {
            [number] if number.is_finite() => Some(number.into()),
            _ => None,
        }
    }

    /// The curve that all of it is.
    fn curve(&self) -> Option<Curve> {
        let Self { before, after, .. } = self;
        match self.core? {
            Core::Erf => {
                let fits = [
                    (before.factor, std::f64::consts::FRAC_1_SQRT_2),
                    (before.offset, 0.0),
                    (after.factor, 0.5),
                    (after.offset, 0.5),
                ];
                all_near(&fits).then_some(Curve::Normal)
            }
            Core::Sigmoid => {
                let fits =
                    [(before.factor, 1.0), (before.offset, 0.0), (after.factor, 1.0), (after.offset, 0.0)];
                all_near(&fits).then_some(Curve::Sigmoid)
            }
            Core::Clip([low, high]) => {
                let fits =
                    [(after.factor * low + after.offset, 0.0), (after.factor * high + after.offset, 1.0)];
                let line = after.behind(*before);
                #[expect(clippy::cast_possible_truncation, reason = "kernels compute with floats")]
                let [slope, middle] = [line.factor, line.offset].map(|number| (number as f32).to_bits());
                all_near(&fits).then_some(Curve::HardSigmoid { slope, middle })
            }
        }
    }
}

impl Line {
    /// This line of what `first` gives.
    fn behind(self, first: Self) -> Self {
        Self { factor: self.factor * first.factor, offset: self.factor * first.offset + self.offset }
    }
}

fn is_near(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= TOLERANCE * expected.abs().max(1.0)
}

fn all_near(pairs: &[(f64, f64)]) -> bool {
    pairs.iter().all(|&(found, expected)| is_near(found, expected))
}
