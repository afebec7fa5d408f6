//! `Attention`, which the compiler does not know.
//!
//! What a query may attend to (causality, windows, the mask, padding of a cache) becomes one bias of zeros and negative
//! infinities. A query that may attend to nothing gives zeros, which the bias decides and not the products: those of
//! what is masked may be no numbers.

use super::body::Body;
use super::build::Build;
use super::context::Context;
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::edit::int_attribute;
use crate::error::{Error, NodeProblem};
use crate::proto::NodeProto;
use crate::tensor::element_type::{BOOL, DOUBLE, FLOAT, FLOAT16};

const QUERY: usize = 0;
const KEY: usize = 1;
const VALUE: usize = 2;
const MASK: usize = 3;
const PAST_KEY: usize = 4;
const PAST_VALUE: usize = 5;
const VALID: usize = 6;

/// Most elements of a bias that is a constant.
const MAX_BIAS: usize = 1 << 24;

/// Writes it as products, a softmax and a bias. A node whose sizes are not known yet stays.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    if node.op_type != "Attention" {
        return Ok(Step::Keep);
    }
    let options = Options::of(node).map_err(|problem| problem.of(node))?;
    let Some(sizes) = Sizes::of(node, &options, context) else { return Ok(Step::Keep) };
    if let Some(reason) = options.refusal(node, &sizes) {
        return Err(unsupported(node, reason));
    }
    Ok(Writer { build: Build::of(node, context), node, options, sizes }.write())
}

/// The attributes.
struct Options {
    causal: bool,
    heads: Option<[i64; 2]>,
    scale: Option<f32>,
    softcap: f32,
    precision: Option<i64>,
    /// How far before and behind its own place a query attends.
    window: [Option<i64>; 2],
    /// What the fourth output is.
    products: i64,
}

impl Options {
    fn of(node: &NodeProto) -> Result<Self, NodeProblem> {
        let attributes = Attributes::of(node);
        let heads = attributes.int("q_num_heads")?.zip(attributes.int("kv_num_heads")?);
        let side = |name| Ok(attributes.int(name)?.filter(|size| *size >= 0));
        Ok(Self {
            causal: attributes.flag("is_causal")?,
            heads: heads.map(|(queries, keys)| [queries, keys]),
            scale: attributes.float("scale")?,
            softcap: attributes.float("softcap")?.unwrap_or(0.0),
            precision: attributes.int("softmax_precision")?,
            window: [side("left_window_size")?, side("right_window_size")?],
            products: attributes.int_or("qk_matmul_output_mode", 0)?,
        })
    }

    fn refusal(&self, node: &NodeProto, sizes: &Sizes) -> Option<&'static str> {
        let has_products = node.output.get(3).is_some_and(|output| !output.is_empty());
        if has_products && self.softcap != 0.0 && self.products == 0 {
            return Some("its products are read and capped, and engines do not agree on what those are");
        }
        if ![FLOAT, FLOAT16].contains(&sizes.element_type) {
            return Some("its elements are neither 32-bit nor 16-bit floats");
        }
        let known = [FLOAT, FLOAT16, DOUBLE].map(i64::from);
        if self.precision.is_some_and(|precision| !known.contains(&precision)) {
            return Some("its `softmax_precision` is not one of the usual floats");
        }
        if sizes.queries.checked_mul(sizes.total).is_none_or(|elements| elements > MAX_BIAS) {
            return Some("it attends to too much at once");
        }
        None
    }

    /// Whether a query at `place`, counted from the first key, may attend to `key`.
    fn allows(&self, place: i64, key: i64) -> bool {
        let [before, behind] = self.window;
        !(self.causal && key > place)
            && before.is_none_or(|size| place - key <= size)
            && behind.is_none_or(|size| key - place <= size)
    }

    /// Whether places matter.
    fn is_local(&self) -> bool {
        self.causal || self.window.iter().any(Option::is_some)
    }
}

/// Sizes of what it reads.
struct Sizes {
    element_type: i32,
    /// Whether heads are one behind the other in the last dimension.
    flat: bool,
    /// Heads of queries and of keys.
    heads: [i64; 2],
    head_size: i64,
    value_size: i64,
    queries: usize,
    /// Keys of earlier calls.
    past: usize,
    /// All keys.
    total: usize,
}

impl Sizes {
    fn of(node: &NodeProto, options: &Options, context: &Context) -> Option<Self> {
        let shape = |place: usize| {
            let value = node.input.get(place).filter(|name| !name.is_empty())?;
            Some(&context.tensor_type(value)?.shape)
        };
        let (query, key, value) = (shape(QUERY)?, shape(KEY)?, shape(VALUE)?);
        let flat = query.len() == 3;
        if [query, key, value].iter().any(|shape| shape.len() != if flat { 3 } else { 4 }) {
            return None;
        }
        let signed = |dim: Option<usize>| i64::try_from(dim?).ok();
        let last = |shape: &[Option<usize>]| signed(*shape.last()?);
        let heads = if flat { options.heads? } else { [signed(query[1])?, signed(key[1])?] };
        if heads.contains(&0) || heads[0] % heads[1] != 0 {
            return None;
        }
        let per_head = |size: i64, heads: i64| if flat { size / heads } else { size };
        let length = |shape: &[Option<usize>]| shape[shape.len() - 2];
        let has_past = node.input.get(PAST_KEY).is_some_and(|name| !name.is_empty());
        let past = if has_past { length(shape(PAST_KEY)?)? } else { 0 };
        Some(Self {
            element_type: context.tensor_type(&node.input[QUERY])?.element_type,
            flat,
            heads,
            head_size: per_head(last(query)?, heads[0]),
            value_size: per_head(last(value)?, heads[1]),
            queries: length(query)?,
            past,
            total: past.checked_add(length(key)?)?,
        })
    }
}

struct Writer<'n, 'c, 'm> {
    build: Build<'n, 'c, 'm>,
    node: &'n NodeProto,
    options: Options,
    sizes: Sizes,
}

impl Writer<'_, '_, '_> {
    fn write(mut self) -> Step {
        let query = self.apart(QUERY, self.sizes.heads[0]);
        let [key, value] = [(KEY, PAST_KEY), (VALUE, PAST_VALUE)].map(|(new, past)| {
            let new = self.apart(new, self.sizes.heads[1]);
            match self.input(past) {
                Some(past) => self.build.with("Concat", &[&past, &new], vec![int_attribute("axis", 2)]),
                None => new,
            }
        });
        let products = self.products(&query, &key);
        let bias = self.bias();
        let biased = match &bias {
            Some(bias) => self.build.op("Add", &[&products, bias]),
            None => products.clone(),
        };
        let weights = self.weights(&biased, bias.as_deref());
        let value_of_each = self.for_each_query_head(&value, self.sizes.value_size);
        let mut result = self.build.op("MatMul", &[&weights, &value_of_each]);
        if self.sizes.flat {
            let together = self.build.transpose(&result, &[0, 2, 1, 3]);
            result = self.build.reshape(&together, &[0, 0, self.sizes.heads[0] * self.sizes.value_size]);
        }
        let shown = match self.options.products {
            2 => &biased,
            3 => &weights,
            _ => &products,
        };
        self.build.finish(&[&result, &key, &value, shown])
    }

    fn input(&self, place: usize) -> Option<String> {
        self.node.input.get(place).filter(|name| !name.is_empty()).cloned()
    }

    /// An input with a dimension for the heads.
    fn apart(&mut self, place: usize, heads: i64) -> String {
        let value = self.node.input[place].clone();
        if !self.sizes.flat {
            return value;
        }
        let apart = self.build.reshape(&value, &[0, 0, heads, -1]);
        self.build.transpose(&apart, &[0, 2, 1, 3])
    }

    /// Keys or values, repeated where several heads of queries share them.
    fn for_each_query_head(&mut self, value: &str, size: i64) -> String {
        let [queries, keys] = self.sizes.heads;
        if queries == keys {
            return value.to_owned();
        }
        let apart = self.build.unsqueeze(value, &[2]);
        let repeats = self.build.ints(&[1, 1, queries / keys, 1, 1]);
        let repeated = self.build.op("Expand", &[&apart, &repeats]);
        self.build.reshape(&repeated, &[0, queries, -1, size])
    }

    /// The products of queries and keys, scaled and capped.
    fn products(&mut self, query: &str, key: &str) -> String {
        let scale = self.options.scale.unwrap_or(1.0 / (self.sizes.head_size as f32).sqrt()).sqrt();
        let scale = self.build.scalar(scale, self.sizes.element_type);
        let keys = self.for_each_query_head(key, self.sizes.head_size);
        let keys = self.build.transpose(&keys, &[0, 1, 3, 2]);
        let [query, keys] = [query, &keys].map(|value| self.build.op("Mul", &[value, &scale]));
        let products = self.build.op("MatMul", &[&query, &keys]);
        if self.options.softcap <= 0.0 {
            return products;
        }
        let cap = self.build.scalar(self.options.softcap, self.sizes.element_type);
        let share = self.build.op("Div", &[&products, &cap]);
        let share = self.build.op("Tanh", &[&share]);
        self.build.op("Mul", &[&share, &cap])
    }

    /// What is added to the products, if anything is.
    fn bias(&mut self) -> Option<String> {
        let mut addends = Vec::new();
        addends.extend(self.input(MASK).map(|mask| self.mask(&mask)));
        let valid = self.input(VALID);
        let valid = valid.map(|valid| self.build.reshape(&valid, &[-1, 1, 1, 1]));
        match &valid {
            Some(valid) if self.sizes.past == 0 && self.options.is_local() => {
                addends.extend(self.places_from(valid));
            }
            _ if self.options.is_local() => addends.push(self.places()),
            _ => (),
        }
        if let Some(valid) = &valid {
            let keys: Vec<_> = (0..).take(self.sizes.total).collect();
            let dims = [1, 1, 1, signed(self.sizes.total)];
            let keys = self.build.int_tensor(&dims, &keys);
            let is_valid = self.build.op("Less", &[&keys, valid]);
            addends.push(self.where_not(&is_valid));
        }
        addends.into_iter().reduce(|sum, addend| self.build.op("Add", &[&sum, &addend]))
    }

    /// The mask as a bias of all keys: those behind its end are masked.
    fn mask(&mut self, mask: &str) -> String {
        let ty = self.build.context.tensor_type(mask).cloned();
        let is_bool = ty.as_ref().is_some_and(|ty| ty.element_type == BOOL);
        let bias = if is_bool { self.where_not(mask) } else { mask.to_owned() };
        let length = ty.as_ref().and_then(|ty| *ty.shape.last()?).unwrap_or(self.sizes.total);
        if length >= self.sizes.total {
            return bias;
        }
        let rank = ty.map_or(0, |ty| ty.shape.len());
        let mut pads = vec![0; 2 * rank];
        pads[2 * rank - 1] = signed(self.sizes.total - length);
        let pads = self.build.ints(&pads);
        let masked = self.build.scalar(f32::NEG_INFINITY, self.sizes.element_type);
        self.build.op("Pad", &[&bias, &pads, &masked])
    }

    /// Zero where `allowed` holds, and negative infinity elsewhere.
    fn where_not(&mut self, allowed: &str) -> String {
        let [zero, masked] =
            [0.0, f32::NEG_INFINITY].map(|value| self.build.scalar(value, self.sizes.element_type));
        self.build.op("Where", &[allowed, &zero, &masked])
    }

    /// The bias of causality and windows, where the first query stands behind the past keys.
    fn places(&mut self) -> String {
        let (queries, total, past) =
            (signed(self.sizes.queries), signed(self.sizes.total), signed(self.sizes.past));
        let bias = |allowed| if allowed { 0.0 } else { f32::NEG_INFINITY };
        let of_query = |query| (0..total).map(move |key| (past + query, key));
        let values: Vec<_> = (0..queries)
            .flat_map(of_query)
            .map(|(place, key)| bias(self.options.allows(place, key)))
            .collect();
        self.build.floats(&[queries, total], &values, self.sizes.element_type)
    }

    /// The same where the last query stands at the last valid key, which is another one for each element of the batch.
    fn places_from(&mut self, valid: &str) -> Vec<String> {
        let (queries, total) = (signed(self.sizes.queries), signed(self.sizes.total));
        let behind: Vec<_> = (0..queries).flat_map(|query| (0..total).map(move |key| key - query)).collect();
        // How far each key is behind each query if all keys are new.
        let behind = self.build.int_tensor(&[1, 1, queries, total], &behind);
        let count = self.build.ints(&[queries]);
        let offset = self.build.op("Sub", &[valid, &count]);
        let behind = self.build.op("Sub", &[&behind, &offset]);
        let [before_window, behind_window] = self.options.window;
        let causal = self.options.causal.then_some(0);
        let highest = behind_window.into_iter().chain(causal).map(|bound| ("LessOrEqual", bound));
        let lowest = before_window.into_iter().map(|size| ("GreaterOrEqual", -size));
        let bounds: Vec<_> = highest.chain(lowest).collect();
        let mut biases = Vec::new();
        for (comparison, bound) in bounds {
            let bound = self.build.ints(&[bound]);
            let allowed = self.build.op(comparison, &[&behind, &bound]);
            biases.push(self.where_not(&allowed));
        }
        biases
    }

    /// The softmax of the products, and zeros for queries that may attend to nothing.
    fn weights(&mut self, biased: &str, bias: Option<&str>) -> String {
        let element_type = self.sizes.element_type;
        let precision = self.options.precision.and_then(|precision| i32::try_from(precision).ok());
        let precision = precision.unwrap_or(element_type);
        let mut weights = biased.to_owned();
        if precision != element_type {
            weights = self.build.cast(&weights, precision);
        }
        weights = self.build.with("Softmax", &[&weights], vec![int_attribute("axis", -1)]);
        if precision != element_type {
            weights = self.build.cast(&weights, element_type);
        }
        let Some(bias) = bias else { return weights };
        let largest = self.build.reduce("ReduceMax", bias, &[-1]);
        let [zero, masked] = [0.0, f32::NEG_INFINITY].map(|value| self.build.scalar(value, element_type));
        let is_masked = self.build.op("Equal", &[&largest, &masked]);
        self.build.op("Where", &[&is_masked, &zero, &weights])
    }
}

fn signed(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
