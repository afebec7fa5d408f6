//! What integers a value can be, from how it is computed.

use std::ops::RangeInclusive;

use super::Producers;
use crate::attributes::Attributes;
use crate::error::Error;
use crate::normalise::context::Context;
use crate::proto::NodeProto;
use crate::shapes::site::axis;
use crate::tensor;
use crate::tensor::element_type::{BOOL, INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32};

/// Most values that are looked at for one: graphs can be made in which every value is two others.
const MOST_VALUES: usize = 256;

/// The least and the largest that an element can be; not known is any number.
type Bounds = RangeInclusive<i64>;

const ANY: Bounds = i64::MIN..=i64::MAX;

/// Bounds of all elements of the value `name`. What is not integers has none.
pub(super) fn bounds(name: &str, producers: &Producers, context: &Context) -> Result<Bounds, Error> {
    Search { producers, context, left: MOST_VALUES }.value(name)
}

struct Search<'s, 'a, 'm> {
    producers: &'s Producers<'a>,
    context: &'s Context<'m>,
    left: usize,
}

impl Search<'_, '_, '_> {
    fn value(&mut self, name: &str) -> Result<Bounds, Error> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(ANY) };
        self.left = left;
        if let Some(constant) = self.context.weight(name) {
            let numbers = tensor::integers(constant)?.unwrap_or_default();
            return Ok(hull(numbers.iter().map(|&number| number..=number)));
        }
        let of_type = self.context.tensor_type(name).map_or(ANY, |ty| of_type(ty.element_type));
        let Some(node) = (self.producers)(name) else { return Ok(of_type) };
        let computed = self.computed(node, name)?;
        // In a narrower type it would wrap.
        let fits = of_type.contains(computed.start()) && of_type.contains(computed.end());
        Ok(if fits { computed } else { of_type })
    }

    /// Bounds of the output `name` of `node`.
    fn computed(&mut self, node: &NodeProto, name: &str) -> Result<Bounds, Error> {
        let input = |index: usize| node.input.get(index).map(String::as_str).filter(|name| !name.is_empty());
        let Some(first) = input(0) else { return Ok(ANY) };
        match node.op_type.as_str() {
            "Identity" | "Reshape" | "Unsqueeze" | "Squeeze" | "Flatten" | "Transpose" | "Slice"
            | "Expand" | "Tile" | "Gather" | "GatherElements" | "GatherND" => self.value(first),
            // A number that is no number becomes any integer, so what comes from floats has no bounds.
            "Cast" if self.is_integers(first) => self.value(first),
            "ArgMax" | "ArgMin" => elements_along(node, first, self.context, 0),
            "TopK" if node.output.get(1).is_some_and(|output| output == name) => {
                elements_along(node, first, self.context, -1)
            }
            "Concat" => Ok(hull(self.all(&node.input)?.into_iter())),
            "Where" => Ok(hull(self.all(node.input.get(1..3).unwrap_or_default())?.into_iter())),
            "Max" => Ok(by(&self.all(&node.input)?, i64::max)),
            "Min" => Ok(by(&self.all(&node.input)?, i64::min)),
            "Clip" => {
                let bounds = self.value(first)?;
                let least = input(1).map_or(Ok(ANY), |least| self.value(least))?;
                let most = input(2).map_or(Ok(ANY), |most| self.value(most))?;
                let raised = if input(1).is_some() { by(&[bounds, least], i64::max) } else { bounds };
                Ok(if input(2).is_some() { by(&[raised, most], i64::min) } else { raised })
            }
            "Add" => self.corners(node, i64::checked_add),
            "Sub" => self.corners(node, i64::checked_sub),
            "Mul" => self.corners(node, i64::checked_mul),
            _ => Ok(ANY),
        }
    }

    fn all(&mut self, names: &[String]) -> Result<Vec<Bounds>, Error> {
        names.iter().map(|name| self.value(name)).collect()
    }

    fn is_integers(&self, name: &str) -> bool {
        let found = self.context.tensor_type(name).map(|ty| ty.element_type);
        found.is_some_and(|ty| of_type(ty) != ANY || ty == INT64)
    }

    /// Bounds of an operation that is monotone in both of its operands, or a product: its extremes are among those of the
    /// operands. Any number where one of them does not fit.
    fn corners(&mut self, node: &NodeProto, operation: fn(i64, i64) -> Option<i64>) -> Result<Bounds, Error> {
        let [a, b] = &self.all(&node.input)?[..] else { return Ok(ANY) };
        let corners =
            [(a.start(), b.start()), (a.start(), b.end()), (a.end(), b.start()), (a.end(), b.end())];
        let results: Option<Vec<_>> = corners.into_iter().map(|(&a, &b)| operation(a, b)).collect();
        Ok(results.map_or(ANY, |results| hull(results.into_iter().map(|number| number..=number))))
    }
}

/// Places along an axis of `value`, which the node's attribute `axis` names.
fn elements_along(node: &NodeProto, value: &str, context: &Context, default: i64) -> Result<Bounds, Error> {
    let along = Attributes::of(node).int_or("axis", default).map_err(|problem| problem.of(node))?;
    let extent = context.tensor_type(value).and_then(|ty| ty.shape[axis(along, ty.shape.len()).ok()?]);
    Ok(extent.map_or(ANY, |extent| 0..=super::signed(extent) - 1))
}

/// The numbers that a type of integers has; any for other types.
fn of_type(element_type: i32) -> Bounds {
    match element_type {
        BOOL => 0..=1,
        UINT8 => 0..=u8::MAX.into(),
        UINT16 => 0..=u16::MAX.into(),
        INT8 => i8::MIN.into()..=i8::MAX.into(),
        INT16 => i16::MIN.into()..=i16::MAX.into(),
        UINT32 => 0..=u32::MAX.into(),
        INT32 => i32::MIN.into()..=i32::MAX.into(),
        _ => ANY,
    }
}

/// What is in one of them or between them; any for none.
fn hull(all: impl Iterator<Item = Bounds>) -> Bounds {
    all.reduce(|a, b| *a.start().min(b.start())..=*a.end().max(b.end())).unwrap_or(ANY)
}

/// Bounds of the largest, or of the smallest, of several numbers.
fn by(all: &[Bounds], choose: fn(i64, i64) -> i64) -> Bounds {
    let each = |end: fn(&Bounds) -> &i64| all.iter().map(end).copied().reduce(choose);
    match (each(Bounds::start), each(Bounds::end)) {
        (Some(least), Some(most)) => least..=most,
        _ => ANY,
    }
}
