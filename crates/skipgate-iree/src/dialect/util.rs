//! The util dialect: what a module keeps from call to call.

use crate::ir::{Op, Parts, Type, Value};

pub(crate) const GLOBAL_LOAD: &str = "util.global.load";

/// A number of 64 bits that a module keeps.
pub(crate) struct Global<'i> {
    /// An operation beside which it stands.
    beside: Op<'i>,
    name: String,
}

impl<'i> Global<'i> {
    /// A new one called `name` in front of `beside`, an operation of the module.
    pub(crate) fn new(beside: Op<'i>, name: String) -> Self {
        let ir = beside.ir();
        let attributes = [
            ("sym_name", ir.attribute(&format!("\"{name}\""))),
            ("sym_visibility", ir.attribute("\"private\"")),
            ("type", ir.attribute("i64")),
            ("is_mutable", ir.attribute("unit")),
        ];
        beside.insert_before("util.global", &Parts { attributes: &attributes, ..Parts::default() });
        Self { beside, name }
    }

    /// Its value, read in front of `before`.
    pub(crate) fn load(&self, before: Op<'i>, ty: Type<'i>) -> Value<'i> {
        let attributes = [self.symbol()];
        let parts = Parts { results: &[ty], attributes: &attributes, ..Parts::default() };
        before.insert_before(GLOBAL_LOAD, &parts).results()[0]
    }

    /// Sets it to `value` in front of `before`; returns the operation that does.
    pub(crate) fn store(&self, before: Op<'i>, value: Value<'i>) -> Op<'i> {
        let attributes = [self.symbol()];
        let parts = Parts { operands: &[value], attributes: &attributes, ..Parts::default() };
        before.insert_before("util.global.store", &parts)
    }

    fn symbol(&self) -> (&'static str, crate::ir::Attribute<'i>) {
        ("global", self.beside.ir().attribute(&format!("@{}", self.name)))
    }
}

/// Moves `operations` into an initialiser in front of `beside`, an operation of the module.
pub(crate) fn initialise<'i>(beside: Op<'i>, operations: &[Op<'i>]) {
    let attributes = [("function_type", beside.ir().attribute("() -> ()"))];
    let parts = Parts { attributes: &attributes, regions: 1, ..Parts::default() };
    beside.insert_before("util.initializer", &parts).adopt(operations, "util.return");
}
