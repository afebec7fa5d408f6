//! IR of a running compilation, behind a safe interface over MLIR's C API.
//!
//! An [`Ir`] has the module of an invocation for itself. Handles borrow it, so none outlives the edit; what an edit
//! removes is kept detached until then, so that no handle ever dangles.

use std::cell::RefCell;
use std::iter::successors;
use std::ptr;

use crate::mlir::{self, Mlir, StringRef};

/// A module under edit.
pub(crate) struct Ir<'c> {
    mlir: &'c Mlir,
    module: mlir::Operation,
    removed: RefCell<Vec<mlir::Operation>>,
}

impl<'c> Ir<'c> {
    /// # Safety
    ///
    /// `module` is live, of the library that `mlir` is from, and nothing else uses it as long as this lives.
    pub(crate) unsafe fn new(mlir: &'c Mlir, module: mlir::Operation) -> Self {
        Self { mlir, module, removed: RefCell::default() }
    }

    /// The module itself.
    pub(crate) fn module(&self) -> Op<'_> {
        Op { ir: self, handle: self.module }
    }

    /// The attribute that `text` spells in MLIR's text form.
    ///
    /// # Panics
    ///
    /// If `text` spells none, which would be a mistake in this program.
    pub(crate) fn attribute(&self, text: &str) -> mlir::Attribute {
        // SAFETY: the context is live, and the string is only read during the call.
        let attribute = unsafe { (self.mlir.attribute_parse)(self.context(), StringRef::new(text)) };
        assert!(!attribute.0.is_null(), "`{text}` is no attribute");
        attribute
    }

    /// The type that `text` spells; panics as [`attribute`](Self::attribute).
    pub(crate) fn ty(&self, text: &str) -> mlir::Type {
        // SAFETY: the context is live, and the string is only read during the call.
        let ty = unsafe { (self.mlir.type_parse)(self.context(), StringRef::new(text)) };
        assert!(!ty.0.is_null(), "`{text}` is no type");
        ty
    }

    fn context(&self) -> mlir::Context {
        // SAFETY: the module is live.
        unsafe { (self.mlir.operation_context)(self.module) }
    }

    fn op(&self, handle: mlir::Operation) -> Option<Op<'_>> {
        (!handle.0.is_null()).then_some(Op { ir: self, handle })
    }

    fn block(&self, handle: mlir::Block) -> Option<Block<'_>> {
        (!handle.0.is_null()).then_some(Block { ir: self, handle })
    }

    fn value(&self, handle: mlir::Value) -> Value<'_> {
        Value { ir: self, handle }
    }

    fn identifier(&self, handle: mlir::Identifier) -> &str {
        // SAFETY: identifiers are UTF-8 in this program's modules and live as long as the context.
        unsafe { (self.mlir.identifier_text)(handle).as_str() }
    }
}

impl Drop for Ir<'_> {
    fn drop(&mut self) {
        for &operation in self.removed.get_mut().iter().rev() {
            // SAFETY: detached by `Op::remove`; no handle to it is left, since all of them borrow this structure.
            unsafe { (self.mlir.operation_destroy)(operation) };
        }
    }
}

/// An operation.
#[derive(Clone, Copy)]
pub(crate) struct Op<'i> {
    ir: &'i Ir<'i>,
    handle: mlir::Operation,
}

impl PartialEq for Op<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.handle.0 == other.handle.0
    }
}

impl Eq for Op<'_> {}

impl std::hash::Hash for Op<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.handle.0.hash(state);
    }
}

/// What a new operation is made of besides its name and location.
#[derive(Default)]
pub(crate) struct Parts<'a, 'i> {
    pub(crate) operands: &'a [Value<'i>],
    pub(crate) results: &'a [mlir::Type],
    pub(crate) attributes: &'a [(&'static str, mlir::Attribute)],
    /// Number of regions, which are empty at first.
    pub(crate) regions: usize,
}

impl<'i> Op<'i> {
    /// The IR it is part of.
    pub(crate) fn ir(self) -> &'i Ir<'i> {
        self.ir
    }

    /// Its name, such as `flow.dispatch.workgroups`.
    pub(crate) fn name(self) -> &'i str {
        // SAFETY: the operation is live.
        self.ir.identifier(unsafe { (self.ir.mlir.operation_name)(self.handle) })
    }

    /// The operation behind it in its block.
    fn next(self) -> Option<Self> {
        // SAFETY: the operation is live.
        self.ir.op(unsafe { (self.ir.mlir.operation_next)(self.handle) })
    }

    /// The blocks of all its regions.
    pub(crate) fn blocks(self) -> impl Iterator<Item = Block<'i>> {
        let ir = self.ir;
        // SAFETY: the operation and its regions are live; null ends both lists.
        let first = unsafe { (ir.mlir.operation_first_region)(self.handle) };
        let regions = successors(Some(first).filter(|region| !region.0.is_null()), |&region| {
            // SAFETY: as above.
            Some(unsafe { (ir.mlir.region_next)(region) }).filter(|region| !region.0.is_null())
        });
        regions.flat_map(move |region| {
            // SAFETY: as above.
            let first = ir.block(unsafe { (ir.mlir.region_first_block)(region) });
            // SAFETY: as above.
            successors(first, move |block| ir.block(unsafe { (ir.mlir.block_next)(block.handle) }))
        })
    }

    /// The operations directly inside of it.
    pub(crate) fn body(self) -> impl Iterator<Item = Op<'i>> {
        self.blocks().flat_map(Block::operations)
    }

    pub(crate) fn operands(self) -> Vec<Value<'i>> {
        let ir = self.ir;
        // SAFETY: the operation is live and has that many operands.
        unsafe {
            let count = (ir.mlir.operation_operand_count)(self.handle);
            (0..count).map(|index| ir.value((ir.mlir.operation_operand)(self.handle, index))).collect()
        }
    }

    /// Changes one operand.
    pub(crate) fn set_operand(self, index: usize, value: Value) {
        let mut operands = self.operands();
        operands[index] = value;
        self.set_operands(&operands);
    }

    pub(crate) fn set_operands(self, operands: &[Value]) {
        let handles: Vec<_> = operands.iter().map(|value| value.handle).collect();
        // SAFETY: the operation and the values are live; the array is copied.
        unsafe { (self.ir.mlir.operation_set_operands)(self.handle, length(&handles), handles.as_ptr()) };
    }

    pub(crate) fn results(self) -> Vec<Value<'i>> {
        let ir = self.ir;
        // SAFETY: the operation is live and has that many results.
        unsafe {
            let count = (ir.mlir.operation_result_count)(self.handle);
            (0..count).map(|index| ir.value((ir.mlir.operation_result)(self.handle, index))).collect()
        }
    }

    /// An attribute, if it has it.
    pub(crate) fn attribute(self, name: &'static str) -> Option<mlir::Attribute> {
        // SAFETY: the operation is live.
        let attribute = unsafe { (self.ir.mlir.operation_attribute)(self.handle, StringRef::new(name)) };
        (!attribute.0.is_null()).then_some(attribute)
    }

    pub(crate) fn set_attribute(self, name: &'static str, attribute: mlir::Attribute) {
        // SAFETY: the operation is live, and the attribute is of its context.
        unsafe { (self.ir.mlir.operation_set_attribute)(self.handle, StringRef::new(name), attribute) };
    }

    /// The numbers in an attribute that is an array of integers of any kind.
    pub(crate) fn numbers(self, name: &'static str) -> Option<Vec<i64>> {
        let mlir = self.ir.mlir;
        let attribute = self.attribute(name)?;
        // SAFETY: the attribute is live; each getter is called only on its own kind.
        unsafe {
            let list = |get: &dyn Fn(isize) -> i64, count: isize| Some((0..count).map(get).collect());
            if (mlir.is_i32_array)(attribute) {
                let count = (mlir.dense_array_length)(attribute);
                list(&|index| (mlir.i32_array_element)(attribute, index).into(), count)
            } else if (mlir.is_i64_array)(attribute) {
                list(
                    &|index| (mlir.i64_array_element)(attribute, index),
                    (mlir.dense_array_length)(attribute),
                )
            } else if (mlir.is_array)(attribute) {
                let integer = |index| (mlir.integer_value)((mlir.array_element)(attribute, index));
                list(&integer, (mlir.array_length)(attribute))
            } else {
                None
            }
        }
    }

    pub(crate) fn set_i32_array(self, name: &'static str, numbers: impl Iterator<Item = i64>) {
        self.set_attribute(name, self.ir.attribute(&format!("array<i32: {}>", list(numbers))));
    }

    /// The number in an attribute that is an integer.
    pub(crate) fn integer(self, name: &'static str) -> Option<i64> {
        let attribute = self.attribute(name)?;
        // SAFETY: the attribute is live; the getter is called on its kind only.
        unsafe { (self.ir.mlir.is_integer)(attribute).then(|| (self.ir.mlir.integer_value)(attribute)) }
    }

    /// The arguments of the first block inside of it.
    pub(crate) fn body_arguments(self) -> Vec<Value<'i>> {
        self.blocks().next().map(Block::arguments).unwrap_or_default()
    }

    /// The text of a string attribute.
    pub(crate) fn text(self, name: &'static str) -> Option<&'i str> {
        let attribute = self.attribute(name)?;
        // SAFETY: the attribute lives as long as the context, and the getter is called on its kind only.
        unsafe {
            (self.ir.mlir.is_string)(attribute).then(|| (self.ir.mlir.string_value)(attribute).as_str())
        }
    }

    /// The names in its location, a location being a name, a call site or several of them fused.
    pub(crate) fn location_names(self) -> Vec<&'i str> {
        let mut names = Vec::new();
        // SAFETY: the operation is live.
        self.collect_names(unsafe { (self.ir.mlir.operation_location)(self.handle) }, &mut names);
        names
    }

    fn collect_names(self, location: mlir::Location, names: &mut Vec<&'i str>) {
        let mlir = self.ir.mlir;
        // SAFETY: locations live as long as their context; each getter is called only on its own kind.
        unsafe {
            if (mlir.is_name)(location) {
                names.push(self.ir.identifier((mlir.name_of)(location)));
                self.collect_names((mlir.name_child)(location), names);
            } else if (mlir.is_call_site)(location) {
                self.collect_names((mlir.callee)(location), names);
            } else if (mlir.is_fused)(location) {
                let count = (mlir.fused_count)(location);
                let mut parts = vec![mlir::Location(ptr::null_mut()); usize::try_from(count).unwrap_or(0)];
                (mlir.fused_parts)(location, parts.as_mut_ptr());
                for part in parts {
                    self.collect_names(part, names);
                }
            }
        }
    }

    /// Puts `name` in front of the names in its location.
    pub(crate) fn add_location_name(self, name: &str) {
        let mlir = self.ir.mlir;
        // SAFETY: the operation is live; the string is copied.
        unsafe {
            let context = self.ir.context();
            let before = (mlir.operation_location)(self.handle);
            let location = (mlir.name_location)(context, StringRef::new(name), before);
            (mlir.operation_set_location)(self.handle, location);
        }
    }

    /// A new operation in front of this one, at its location.
    pub(crate) fn insert_before(self, name: &'static str, parts: &Parts<'_, 'i>) -> Self {
        let new = self.create(name, parts);
        // SAFETY: the new operation has no owner yet, and this one is in a block.
        unsafe {
            (self.ir.mlir.insert_before)(
                (self.ir.mlir.operation_block)(self.handle),
                self.handle,
                new.handle,
            );
        };
        new
    }

    fn create(self, name: &'static str, parts: &Parts) -> Self {
        let mlir = self.ir.mlir;
        let operands: Vec<_> = parts.operands.iter().map(|value| value.handle).collect();
        // SAFETY: everything that the state refers to is live until the operation is created, which copies it. The
        // new regions are owned by the operation.
        let handle = unsafe {
            let context = self.ir.context();
            let named = |&(name, attribute)| mlir::NamedAttribute {
                name: (mlir.identifier)(context, StringRef::new(name)),
                attribute,
            };
            let attributes: Vec<_> = parts.attributes.iter().map(named).collect();
            let regions: Vec<_> = (0..parts.regions).map(|_| (mlir.region_create)()).collect();
            let mut state = (mlir.state)(StringRef::new(name), (mlir.operation_location)(self.handle));
            (mlir.state_add_operands)(&raw mut state, length(&operands), operands.as_ptr());
            (mlir.state_add_results)(&raw mut state, length(parts.results), parts.results.as_ptr());
            (mlir.state_add_attributes)(&raw mut state, length(&attributes), attributes.as_ptr());
            (mlir.state_add_regions)(&raw mut state, length(&regions), regions.as_ptr());
            (mlir.operation_create)(&raw mut state)
        };
        assert!(!handle.0.is_null(), "`{name}` cannot be created");
        Op { ir: self.ir, handle }
    }

    /// Moves `operations` into the first region of this one, which has no block yet, and ends it with `terminator`.
    pub(crate) fn adopt(self, operations: &[Self], terminator: &'static str) {
        let mlir = self.ir.mlir;
        let end = self.create(terminator, &Parts::default());
        // SAFETY: the block is handed to the region; operations leave their blocks before they enter it; the terminator
        // has no owner yet.
        unsafe {
            let block = (mlir.block_create)(0, ptr::null(), ptr::null());
            (mlir.region_append)((mlir.operation_first_region)(self.handle), block);
            (mlir.block_append)(block, end.handle);
            for operation in operations {
                (mlir.move_before)(operation.handle, end.handle);
            }
        }
    }

    /// Leads successor number `edge` of this terminator through a new block, behind its own, that does nothing but
    /// `jump` with `operands`.
    pub(crate) fn detour(self, edge: usize, jump: &'static str, operands: &[Value<'i>]) {
        let mlir = self.ir.mlir;
        let operands: Vec<_> = operands.iter().map(|value| value.handle).collect();
        // SAFETY: the terminator has that successor. The state refers to live things until the jump is created; the
        // jump is handed to the block, and the block to the region.
        unsafe {
            let target = (mlir.operation_successor)(self.handle, place(edge));
            let mut state = (mlir.state)(StringRef::new(jump), (mlir.operation_location)(self.handle));
            (mlir.state_add_operands)(&raw mut state, length(&operands), operands.as_ptr());
            (mlir.state_add_successors)(&raw mut state, 1, &raw const target);
            let between = (mlir.block_create)(0, ptr::null(), ptr::null());
            (mlir.block_append)(between, (mlir.operation_create)(&raw mut state));
            let own = (mlir.operation_block)(self.handle);
            (mlir.region_insert_after)((mlir.block_region)(own), own, between);
            (mlir.operation_set_successor)(self.handle, place(edge), between);
        }
    }

    /// A copy of this operation behind it.
    pub(crate) fn duplicate(self) -> Self {
        // SAFETY: the operation is live and in a block, which owns the copy from then on.
        unsafe {
            let copy = (self.ir.mlir.operation_clone)(self.handle);
            (self.ir.mlir.insert_after)((self.ir.mlir.operation_block)(self.handle), self.handle, copy);
            Op { ir: self.ir, handle: copy }
        }
    }

    /// Takes it out of its block.
    ///
    /// # Panics
    ///
    /// If something still uses a result of it, which would be a mistake in this program.
    pub(crate) fn remove(self) {
        assert!(self.results().iter().all(|result| result.uses().is_empty()), "{} is in use", self.name());
        // It no longer counts among the users of its operands.
        self.set_operands(&[]);
        // SAFETY: the operation is live and in a block; it stays alive until the `Ir` is dropped.
        unsafe { (self.ir.mlir.operation_detach)(self.handle) };
        self.ir.removed.borrow_mut().push(self.handle);
    }
}

/// A block.
#[derive(Clone, Copy)]
pub(crate) struct Block<'i> {
    ir: &'i Ir<'i>,
    handle: mlir::Block,
}

impl<'i> Block<'i> {
    /// Its operations, listed before the first is handed out, so that they may be removed or moved.
    pub(crate) fn operations(self) -> impl Iterator<Item = Op<'i>> {
        // SAFETY: the block is live.
        let first = self.ir.op(unsafe { (self.ir.mlir.block_first_operation)(self.handle) });
        successors(first, |op| op.next()).collect::<Vec<_>>().into_iter()
    }

    pub(crate) fn arguments(self) -> Vec<Value<'i>> {
        // SAFETY: the block is live.
        let count = unsafe { (self.ir.mlir.block_argument_count)(self.handle) };
        (0..usize::try_from(count).unwrap_or(0)).map(|index| self.argument(index)).collect()
    }

    pub(crate) fn argument(self, index: usize) -> Value<'i> {
        // SAFETY: the block is live; the callers count its arguments by the operands they stand for.
        self.ir.value(unsafe { (self.ir.mlir.block_argument)(self.handle, place(index)) })
    }
}

/// A result of an operation or an argument of a block.
#[derive(Clone, Copy)]
pub(crate) struct Value<'i> {
    ir: &'i Ir<'i>,
    handle: mlir::Value,
}

impl PartialEq for Value<'_> {
    fn eq(&self, other: &Self) -> bool {
        // SAFETY: both are live.
        unsafe { (self.ir.mlir.value_equal)(self.handle, other.handle) }
    }
}

impl<'i> Value<'i> {
    /// The operation whose result it is, with the result's number.
    pub(crate) fn definition(self) -> Option<(Op<'i>, usize)> {
        // SAFETY: the value is live; the getters are called on results only.
        unsafe {
            if !(self.ir.mlir.is_result)(self.handle) {
                return None;
            }
            let op = self.ir.op((self.ir.mlir.result_owner)(self.handle))?;
            Some((op, usize::try_from((self.ir.mlir.result_number)(self.handle)).unwrap_or_default()))
        }
    }

    /// The operations that use it.
    pub(crate) fn uses(self) -> Vec<Op<'i>> {
        let (ir, mut users) = (self.ir, Vec::new());
        // SAFETY: the value is live; null ends the list.
        unsafe {
            let mut operand = (ir.mlir.first_use)(self.handle);
            while !operand.0.is_null() {
                users.extend(ir.op((ir.mlir.use_owner)(operand)));
                operand = (ir.mlir.next_use)(operand);
            }
        }
        users
    }

    pub(crate) fn replace_with(self, other: Value) {
        // SAFETY: both are live and in one module.
        unsafe { (self.ir.mlir.replace_uses)(self.handle, other.handle) };
    }

    pub(crate) fn ty(self) -> mlir::Type {
        // SAFETY: the value is live.
        unsafe { (self.ir.mlir.value_type)(self.handle) }
    }
}

fn list(items: impl Iterator<Item = impl ToString>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

fn length<T>(items: &[T]) -> isize {
    place(items.len())
}

fn place(index: usize) -> isize {
    isize::try_from(index).expect("nothing in memory is larger")
}
