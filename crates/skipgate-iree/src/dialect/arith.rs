//! The arith dialect: numbers. Every function puts an operation in front of another one and returns its result.

use crate::ir::{Op, Parts, Value};

pub(crate) const CONSTANT: &str = "arith.constant";
/// What the names of the dialect's operations begin with. None of them has an effect.
pub(crate) const PREFIX: &str = "arith.";

/// What `predicate` of a comparison calls unequal (`arith::CmpIPredicate`).
const UNEQUAL: &str = "1 : i64";

/// The number `value` of type `ty`.
pub(crate) fn constant<'i>(before: Op<'i>, value: u64, ty: &str) -> Value<'i> {
    let value = ("value", before.ir().attribute(&format!("{value} : {ty}")));
    one(before, CONSTANT, &[], ty, &[value])
}

/// Whether `value` of type `ty` is not 0.
pub(crate) fn is_set<'i>(before: Op<'i>, value: Value<'i>, ty: &str) -> Value<'i> {
    let predicate = ("predicate", before.ir().attribute(UNEQUAL));
    let zero = constant(before, 0, ty);
    one(before, "arith.cmpi", &[value, zero], "i1", &[predicate])
}

/// The bits that two numbers of type `ty` have both.
pub(crate) fn and<'i>(before: Op<'i>, a: Value<'i>, b: Value<'i>, ty: &str) -> Value<'i> {
    one(before, "arith.andi", &[a, b], ty, &[])
}

/// Whether `condition` does not hold.
pub(crate) fn not<'i>(before: Op<'i>, condition: Value<'i>) -> Value<'i> {
    let value = ("value", before.ir().attribute("true"));
    let yes = one(before, CONSTANT, &[], "i1", &[value]);
    one(before, "arith.xori", &[condition, yes], "i1", &[])
}

fn one<'i>(
    before: Op<'i>,
    name: &'static str,
    operands: &[Value<'i>],
    ty: &str,
    attributes: &[(&'static str, crate::ir::Attribute<'i>)],
) -> Value<'i> {
    let parts = Parts { operands, results: &[before.ir().ty(ty)], attributes, ..Parts::default() };
    before.insert_before(name, &parts).results()[0]
}
