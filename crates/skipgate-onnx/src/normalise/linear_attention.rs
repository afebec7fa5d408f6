//! `LinearAttention`, which the compiler does not know.

use super::body::Body;
use super::build::Build;
use super::context::Context;
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::edit::int_attribute;
use crate::error::{Error, NodeProblem};
use crate::proto::NodeProto;
use crate::tensor::element_type::FLOAT;

const PAST: usize = 3;
const DECAY: usize = 4;
const BETA: usize = 5;

/// Most steps that are written one behind the other.
const MAX_STEPS: i64 = 64;

/// Writes the steps out: each one lets the state decay, corrects what it says of the key, and reads it by the query.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    if node.op_type != "LinearAttention" {
        return Ok(Step::Keep);
    }
    let Some(sizes) = Sizes::of(node, context).map_err(|problem| problem.of(node))? else {
        return Ok(Step::Keep);
    };
    if sizes.steps > MAX_STEPS {
        return Err(unsupported(node, "it has too many steps to be written out"));
    }
    Ok(Writer { build: Build::of(node, context), node, sizes }.write())
}

struct Sizes {
    element_type: i32,
    state_type: i32,
    batch: i64,
    steps: i64,
    /// Heads of queries and of keys.
    heads: [i64; 2],
    key: i64,
    value: i64,
    scale: f32,
    /// Elements of a decay for each head.
    decay: i64,
    /// Heads of what corrects.
    beta: i64,
}

impl Sizes {
    fn of(node: &NodeProto, context: &Context) -> Result<Option<Self>, NodeProblem> {
        let attributes = Attributes::of(node);
        let heads = |name| {
            attributes.int(name)?.filter(|heads| *heads > 0).ok_or(NodeProblem::MissingAttribute { name })
        };
        let heads = [heads("q_num_heads")?, heads("kv_num_heads")?];
        let scale = attributes.float("scale")?.filter(|scale| *scale != 0.0);
        let shape = |place: usize| {
            let ty = context.tensor_type(node.input.get(place).filter(|name| !name.is_empty())?)?;
            ty.static_shape()?.into_iter().map(|dim| i64::try_from(dim).ok()).collect::<Option<Vec<_>>>()
        };
        let (Some(query), Some(value)) = (shape(0), shape(2)) else { return Ok(None) };
        let (&[batch, steps, width], &[_, _, values]) = (&query[..], &value[..]) else { return Ok(None) };
        let element_type = |place: usize| {
            node.input.get(place).and_then(|name| context.tensor_type(name)).map(|ty| ty.element_type)
        };
        let Some(ty) = element_type(0) else { return Ok(None) };
        let key = width / heads[0];
        let last = |place| shape(place).and_then(|shape| shape.last().copied());
        Ok(Some(Self {
            element_type: ty,
            state_type: element_type(PAST).unwrap_or(ty),
            batch,
            steps,
            heads,
            key,
            value: values / heads[1],
            scale: scale.unwrap_or(1.0 / (key as f32).sqrt()),
            decay: last(DECAY).map_or(1, |last| last / heads[1]),
            beta: last(BETA).unwrap_or(1),
        }))
    }
}

struct Writer<'n, 'c, 'm> {
    build: Build<'n, 'c, 'm>,
    node: &'n NodeProto,
    sizes: Sizes,
}

impl Writer<'_, '_, '_> {
    fn write(mut self) -> Step {
        let Sizes { batch, steps, heads, key, value, decay, beta, .. } = self.sizes;
        let [query_heads, heads] = heads;
        // A row or a column for each head of each step.
        let queries = self.apart(0, &[batch, steps, query_heads, 1, key]);
        let keys = self.apart(1, &[batch, steps, heads, key, 1]);
        let values = self.apart(2, &[batch, steps, heads, 1, value]);
        let decays = self.apart(DECAY, &[batch, steps, heads, decay, 1]);
        let decays = decays.map(|decays| self.build.op("Exp", &[&decays]));
        let betas = self.apart(BETA, &[batch, steps, beta, 1, 1]);
        let mut state = self.past();
        let mut results = Vec::new();
        for step in 0..steps {
            let [query, key, value, decay, beta] =
                [&queries, &keys, &values, &decays, &betas].map(|all| self.at(all.as_deref(), step));
            if let Some(decay) = decay {
                state = self.build.op("Mul", &[&state, &decay]);
            }
            let (Some(query), Some(key), Some(mut value)) = (query, key, value) else { continue };
            if let Some(beta) = beta {
                let row = self.build.transpose(&key, &[0, 1, 3, 2]);
                let known = self.build.op("MatMul", &[&row, &state]);
                let error = self.build.op("Sub", &[&value, &known]);
                value = self.build.op("Mul", &[&beta, &error]);
            }
            let new = self.build.op("Mul", &[&key, &value]);
            state = self.build.op("Add", &[&state, &new]);
            let of_each = self.for_each_query_head(&state);
            results.push(self.build.op("MatMul", &[&query, &of_each]));
        }
        let results: Vec<_> = results.iter().map(|result| self.build.unsqueeze(result, &[1])).collect();
        let results: Vec<_> = results.iter().map(String::as_str).collect();
        let result = self.build.with("Concat", &results, vec![int_attribute("axis", 1)]);
        let scale = self.build.scalar(self.sizes.scale, FLOAT);
        let result = self.build.op("Mul", &[&result, &scale]);
        let result = self.build.reshape(&result, &[batch, steps, query_heads * value]);
        let result = self.build.cast(&result, self.sizes.element_type);
        let state = self.build.cast(&state, self.sizes.state_type);
        self.build.finish(&[&result, &state])
    }

    fn input(&self, place: usize) -> Option<String> {
        self.node.input.get(place).filter(|name| !name.is_empty()).cloned()
    }

    /// An input in 32-bit floats of this shape.
    fn apart(&mut self, place: usize, shape: &[i64]) -> Option<String> {
        let input = self.input(place)?;
        let wide = self.build.cast(&input, FLOAT);
        Some(self.build.reshape(&wide, shape))
    }

    fn past(&mut self) -> String {
        if let Some(past) = self.input(PAST) {
            return self.build.cast(&past, FLOAT);
        }
        let Sizes { batch, heads, key, value, .. } = self.sizes;
        let zero = self.build.floats(&[1, 1, 1, 1], &[0.0], FLOAT);
        let shape = self.build.ints(&[batch, heads[1], key, value]);
        self.build.op("Expand", &[&zero, &shape])
    }

    /// What `all` is at a step.
    fn at(&mut self, all: Option<&str>, step: i64) -> Option<String> {
        let one = self.build.slice(all?, 1, step, step + 1);
        let axis = self.build.ints(&[1]);
        Some(self.build.op("Squeeze", &[&one, &axis]))
    }

    /// The state, repeated where several heads of queries share it.
    fn for_each_query_head(&mut self, state: &str) -> String {
        let Sizes { batch, heads: [queries, heads], key, value, .. } = self.sizes;
        if queries == heads {
            return state.to_owned();
        }
        let apart = self.build.unsqueeze(state, &[2]);
        let shape = self.build.ints(&[batch, heads, queries / heads, key, value]);
        let repeated = self.build.op("Expand", &[&apart, &shape]);
        self.build.reshape(&repeated, &[batch, queries, key, value])
    }
}
