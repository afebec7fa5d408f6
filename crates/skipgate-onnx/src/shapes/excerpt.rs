//! Values that are cut out of others and padded with zeros.

use std::collections::HashMap;

use super::layout::{Cut, cuts};
use super::site::Site;
use super::{Batch, Environment};
use crate::check::is_default_domain;
use crate::error::Error;
use crate::model::Model;
use crate::proto::{GraphProto, NodeProto};

/// What a value takes from another one, by dimension: elements at regular distances, with zeros around them.
///
/// The shortcut that halves an image and adds channels without any weights (option A in section 3.3 of "Deep Residual
/// Learning for Image Recognition") is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// Name of the other value.
    pub source: String,
    /// The first element taken.
    pub starts: Vec<usize>,
    /// Distances between elements, from 1 on.
    pub steps: Vec<usize>,
    /// Number of elements taken.
    pub sizes: Vec<usize>,
    /// Zeros in front of them.
    pub low: Vec<usize>,
    /// Zeros behind them.
    pub high: Vec<usize>,
}

/// Finds the values that `Slice` and `Pad` nodes make of others, by name. A chain of them counts as one excerpt from the
/// value that it begins with, up to the first `Pad`.
///
/// Errors: as [`infer_shapes`](crate::infer_shapes).
pub fn find_excerpts(model: &Model) -> Result<HashMap<String, Excerpt>, Error> {
    let mut environment = Environment::new(model, Batch::One);
    environment.graph(model.graph())?;
    let mut excerpts = HashMap::new();
    collect(model.graph(), &environment, &mut excerpts);
    Ok(excerpts)
}

fn collect(graph: &GraphProto, environment: &Environment, excerpts: &mut HashMap<String, Excerpt>) {
    for node in &graph.node {
        let subgraphs = node.attribute.iter().filter_map(|attribute| attribute.g.as_ref());
        subgraphs.for_each(|graph| collect(graph, environment, excerpts));
        let ([input, ..], [output]) = (&node.input[..], &node.output[..]) else { continue };
        let known =
            |name: &str| environment.values.get(name).filter(|_| !environment.ambiguous.contains(name));
        let before = excerpts.get(input.as_str()).filter(|excerpt| !excerpt.has_zeros()).cloned();
        let whole = || Some(Excerpt::whole(input, known(input)?.tensor_type.static_shape()?));
        let excerpt = before.or_else(whole).and_then(|excerpt| excerpt.behind(node, &Site::new(node, known)));
        if let Some(excerpt) = excerpt {
            excerpts.insert(output.clone(), excerpt);
        }
    }
}

impl Excerpt {
    fn whole(source: &str, shape: Vec<usize>) -> Self {
        let rank = shape.len();
        let [starts, low, high] = [(); 3].map(|()| vec![0; rank]);
        Self { source: source.to_owned(), starts, steps: vec![1; rank], sizes: shape, low, high }
    }

    fn has_zeros(&self) -> bool {
        self.low.iter().chain(&self.high).any(|&zeros| zeros > 0)
    }

    /// What `node` makes of this excerpt, which has no zeros yet.
    fn behind(self, node: &NodeProto, site: &Site) -> Option<Self> {
        match node.op_type.as_str() {
            _ if !is_default_domain(&node.domain) => None,
            "Slice" => self.sliced(site),
            "Pad" => self.padded(site),
            _ => None,
        }
    }

    fn sliced(mut self, site: &Site) -> Option<Self> {
        let (cuts, _) = cuts(site, &site.input(0).ok()?.shape).ok()?;
        for Cut { axis, start, step, count } in cuts {
            self.starts[axis] += usize::try_from(start).ok()?.checked_mul(self.steps[axis])?;
            let step = self.steps[axis].checked_mul(usize::try_from(step).ok()?)?;
            self.steps[axis] = if count > 1 { step } else { 1 };
            self.sizes[axis] = count;
        }
        Some(self)
    }

    fn padded(mut self, site: &Site) -> Option<Self> {
        let constant = site.attributes.string("mode").ok()?.is_none_or(|mode| mode == b"constant");
        // A value of its own may be zero too, but then exporters leave it out.
        if !constant || site.has_input(2) || site.has_input(3) {
            return None;
        }
        let pads = site.known_ints(1).ok()?.into_iter().map(usize::try_from);
        let pads = pads.collect::<Result<Vec<_>, _>>().ok()?;
        let (low, high) = pads.split_at_checked(self.sizes.len())?;
        (self.low, self.high) = (low.to_vec(), high.to_vec());
        (self.high.len() == self.sizes.len()).then_some(self)
    }
}
