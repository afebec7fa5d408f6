//! IR of a running compilation, behind a safe interface over MLIR's C API.
//!
//! An [`Ir`] has the module of an invocation for itself. Handles borrow it, so none outlives the edit; what an edit
//! removes is kept detached until then, so that no handle ever dangles. What an edit asks for in vain is noted as a
//! mistake and fails the edit in the end, so that edits need no error path for mistakes of this program.

use std::cell::RefCell;
use std::iter::successors;
use std::marker::PhantomData;
use std::ptr;

use crate::mlir_bindings::{
    MlirApi, MlirAttribute, MlirBlock, MlirContext, MlirIdentifier, MlirLocation, MlirNamedAttribute,
    MlirOperation, MlirOperationState, MlirStringRef, MlirType, MlirValue,
};

/// A module under edit. Dropped, it destroys the module.
pub(crate) struct Ir<'c> {
    mlir: &'c MlirApi,
    /// Null once it was released.
    module: MlirOperation,
    removed: RefCell<Vec<MlirOperation>>,
    mistakes: RefCell<Vec<String>>,
}

impl<'c> Ir<'c> {
    /// `None` if `module` is null.
    ///
    /// # Safety
    ///
    /// `module` is null or live, of the library that `mlir` is from, and nothing else uses or owns it.
    pub(crate) unsafe fn new(mlir: &'c MlirApi, module: MlirOperation) -> Option<Self> {
        let (removed, mistakes) = Default::default();
        (!module.ptr.is_null()).then_some(Self { mlir, module, removed, mistakes })
    }

    /// The module itself.
    pub(crate) fn module(&self) -> Op<'_> {
        Op { ir: self, handle: self.module }
    }

    /// The attribute that `text` spells in MLIR's text form. That it spells none is a mistake, and gives `unit`.
    pub(crate) fn attribute(&self, text: &str) -> Attribute<'_> {
        // SAFETY: the context is live, and the string is only read during the call.
        let mut handle = unsafe { self.mlir.mlirAttributeParseGet(self.context(), string_ref(text)) };
        if handle.ptr.is_null() {
            self.mistake(format!("`{text}` is no attribute"));
            // SAFETY: the context is live.
            handle = unsafe { self.mlir.mlirUnitAttrGet(self.context()) };
        }
        Attribute::new(handle)
    }

    /// The type that `text` spells. That it spells none is a mistake, and gives `none`.
    pub(crate) fn ty(&self, text: &str) -> Type<'_> {
        // SAFETY: the context is live, and the string is only read during the call.
        let mut handle = unsafe { self.mlir.mlirTypeParseGet(self.context(), string_ref(text)) };
        if handle.ptr.is_null() {
            self.mistake(format!("`{text}` is no type"));
            // SAFETY: the context is live.
            handle = unsafe { self.mlir.mlirNoneTypeGet(self.context()) };
        }
        Type::new(handle)
    }

    /// Whether the module is whole: nothing in it uses what was removed, and all operations hold what their dialects
    /// demand. What MLIR has to say otherwise goes to the diagnostics of the module's context.
    pub(crate) fn verify(&self) -> bool {
        for &handle in &*self.removed.borrow() {
            let op = Op { ir: self, handle };
            if op.is_used() {
                self.mistake(format!("{} was removed and is used", op.name()));
                // MLIR's own verifier does not expect that.
                return false;
            }
        }
        // SAFETY: the module is live.
        unsafe { self.mlir.mlirOperationVerify(self.module) }
    }

    /// What the edit asked for in vain, in order.
    pub(crate) fn take_mistakes(&self) -> Vec<String> {
        self.mistakes.take()
    }

    /// Gives the module away, for the caller to own.
    pub(crate) fn release(mut self) -> MlirOperation {
        std::mem::replace(&mut self.module, MlirOperation { ptr: ptr::null_mut() })
    }

    fn mistake(&self, what: String) {
        self.mistakes.borrow_mut().push(what);
    }

    fn context(&self) -> MlirContext {
        // SAFETY: the module is live.
        unsafe { self.mlir.mlirOperationGetContext(self.module) }
    }

    /// The operation that `state` describes.
    ///
    /// # Safety
    ///
    /// What the state refers to is live.
    unsafe fn created(&self, state: &mut MlirOperationState) -> Op<'_> {
        // SAFETY: live by the caller's promise.
        let handle = unsafe { self.mlir.mlirOperationCreate(state) };
        // By its contract, MLIR creates every operation of which it need not find out the types of the results, and a
        // state asks for that only if it is told to. An unknown name or a missing part is left to `verify`.
        self.op(handle).expect("types of results are given")
    }

    fn op(&self, handle: MlirOperation) -> Option<Op<'_>> {
        (!handle.ptr.is_null()).then_some(Op { ir: self, handle })
    }

    fn block(&self, handle: MlirBlock) -> Option<Block<'_>> {
        (!handle.ptr.is_null()).then_some(Block { ir: self, handle })
    }

    fn value(&self, handle: MlirValue) -> Value<'_> {
        Value { ir: self, handle }
    }

    fn identifier(&self, handle: MlirIdentifier) -> &str {
        // SAFETY: the identifier is live, and identifiers live as long as the context.
        unsafe { self.text(self.mlir.mlirIdentifierStr(handle)) }
    }

    /// The number that an attribute is, if it is one.
    ///
    /// # Safety
    ///
    /// The attribute is live.
    unsafe fn integer(&self, attribute: MlirAttribute) -> Option<i64> {
        // SAFETY: live by the caller's promise; the getter is called on its kind only.
        unsafe {
            let is_integer = self.mlir.mlirAttributeIsAInteger(attribute);
            is_integer.then(|| self.mlir.mlirIntegerAttrGetValueInt(attribute))
        }
    }

    /// A string of the compiler's. That it is no UTF-8 is a mistake; this program writes no other.
    ///
    /// # Safety
    ///
    /// The string lives as long as the context.
    unsafe fn text(&self, string: MlirStringRef) -> &str {
        if string.length == 0 {
            return "";
        }
        // SAFETY: by MLIR's convention `data` holds `length` bytes; they live long enough by the caller's promise.
        let bytes = unsafe { std::slice::from_raw_parts(string.data.cast::<u8>(), string.length) };
        std::str::from_utf8(bytes).unwrap_or_else(|_| {
            self.mistake(format!("`{}` is no UTF-8", String::from_utf8_lossy(bytes)));
            ""
        })
    }
}

impl Drop for Ir<'_> {
    fn drop(&mut self) {
        // While the module is there, since what was removed may use it from regions inside.
        for handle in self.removed.take().into_iter().rev() {
            // Only mistakes leave users behind; better a leak than a user of what is gone.
            if !(Op { ir: self, handle }).is_used() {
                // SAFETY: detached by `Op::remove`, unused, and no handle is left, since all of them borrow this.
                unsafe { self.mlir.mlirOperationDestroy(handle) };
            }
        }
        if !self.module.ptr.is_null() {
            // SAFETY: owned, and no handle to anything inside is left.
            unsafe { self.mlir.mlirOperationDestroy(self.module) };
        }
    }
}

/// A string for the duration of a call.
fn string_ref(text: &str) -> MlirStringRef {
    MlirStringRef { data: text.as_ptr().cast(), length: text.len() }
}

macro_rules! uniqued {
    ($(#[doc = $doc:literal] $name:ident($handle:ident);)*) => {$(
        #[doc = $doc]
        #[derive(Clone, Copy)]
        pub(crate) struct $name<'i> {
            handle: $handle,
            /// It is of the context of that module.
            ir: PhantomData<&'i Ir<'i>>,
        }

        impl $name<'_> {
            /// The handle is live as long as the lifetime that the caller chooses.
            fn new(handle: $handle) -> Self {
                Self { handle, ir: PhantomData }
            }
        }

        /// There is one of each kind in a context.
        impl PartialEq for $name<'_> {
            fn eq(&self, other: &Self) -> bool {
                self.handle.ptr == other.handle.ptr
            }
        }

        impl Eq for $name<'_> {}
    )*};
}

uniqued! {
    /// An attribute: a constant that belongs to an operation.
    Attribute(MlirAttribute);
    /// A type of values.
    Type(MlirType);
}

/// An operation.
#[derive(Clone, Copy)]
pub(crate) struct Op<'i> {
    ir: &'i Ir<'i>,
    handle: MlirOperation,
}

impl PartialEq for Op<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.handle.ptr == other.handle.ptr
    }
}

impl Eq for Op<'_> {}

impl std::hash::Hash for Op<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.handle.ptr.hash(state);
    }
}

/// What a new operation is made of besides its name and location.
#[derive(Default)]
pub(crate) struct Parts<'a, 'i> {
    pub(crate) operands: &'a [Value<'i>],
    pub(crate) results: &'a [Type<'a>],
    pub(crate) attributes: &'a [(&'static str, Attribute<'a>)],
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
        self.ir.identifier(unsafe { self.ir.mlir.mlirOperationGetName(self.handle) })
    }

    /// The operation behind it in its block.
    fn next(self) -> Option<Self> {
        // SAFETY: the operation is live.
        self.ir.op(unsafe { self.ir.mlir.mlirOperationGetNextInBlock(self.handle) })
    }

    /// The blocks of all its regions.
    pub(crate) fn blocks(self) -> impl Iterator<Item = Block<'i>> {
        let ir = self.ir;
        // SAFETY: the operation and its regions are live; null ends both lists.
        let first = unsafe { ir.mlir.mlirOperationGetFirstRegion(self.handle) };
        let regions = successors(Some(first).filter(|region| !region.ptr.is_null()), |&region| {
            // SAFETY: as above.
            Some(unsafe { ir.mlir.mlirRegionGetNextInOperation(region) })
                .filter(|region| !region.ptr.is_null())
        });
        regions.flat_map(move |region| {
            // SAFETY: as above.
            let first = ir.block(unsafe { ir.mlir.mlirRegionGetFirstBlock(region) });
            // SAFETY: as above.
            successors(first, move |block| {
                // SAFETY: as above.
                ir.block(unsafe { ir.mlir.mlirBlockGetNextInRegion(block.handle) })
            })
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
            let count = ir.mlir.mlirOperationGetNumOperands(self.handle);
            (0..count).map(|index| ir.value(ir.mlir.mlirOperationGetOperand(self.handle, index))).collect()
        }
    }

    /// Changes one operand, which it must have.
    pub(crate) fn set_operand(self, index: usize, value: Value) {
        let mut operands = self.operands();
        match operands.get_mut(index) {
            // The handle is copied at once, so it need not live as long as the operation's own.
            Some(operand) => operand.handle = value.handle,
            None => self.ir.mistake(format!("{} has no operand {index}", self.name())),
        }
        self.set_operands(&operands);
    }

    pub(crate) fn set_operands(self, operands: &[Value]) {
        let handles: Vec<_> = operands.iter().map(|value| value.handle).collect();
        // SAFETY: the operation and the values are live; the array is copied.
        unsafe { self.ir.mlir.mlirOperationSetOperands(self.handle, length(&handles), handles.as_ptr()) };
    }

    pub(crate) fn results(self) -> Vec<Value<'i>> {
        let ir = self.ir;
        // SAFETY: the operation is live and has that many results.
        unsafe {
            let count = ir.mlir.mlirOperationGetNumResults(self.handle);
            (0..count).map(|index| ir.value(ir.mlir.mlirOperationGetResult(self.handle, index))).collect()
        }
    }

    /// An attribute, if it has it.
    pub(crate) fn attribute(self, name: &'static str) -> Option<Attribute<'i>> {
        // SAFETY: the operation is live.
        let attribute =
            unsafe { self.ir.mlir.mlirOperationGetAttributeByName(self.handle, string_ref(name)) };
        (!attribute.ptr.is_null()).then(|| Attribute::new(attribute))
    }

    pub(crate) fn set_attribute(self, name: &'static str, attribute: Attribute) {
        // SAFETY: the operation is live, and the attribute is of its context.
        unsafe {
            self.ir.mlir.mlirOperationSetAttributeByName(self.handle, string_ref(name), attribute.handle);
        }
    }

    /// The numbers in an attribute that is an array of integers of any kind.
    pub(crate) fn numbers(self, name: &'static str) -> Option<Vec<i64>> {
        let mlir = self.ir.mlir;
        let attribute = self.attribute(name)?.handle;
        // SAFETY: the attribute is live; each getter is called only on its own kind, with places that are there.
        unsafe {
            if mlir.mlirAttributeIsADenseI32Array(attribute) {
                let element = |index| mlir.mlirDenseI32ArrayGetElement(attribute, index).into();
                Some((0..mlir.mlirDenseArrayGetNumElements(attribute)).map(element).collect())
            } else if mlir.mlirAttributeIsADenseI64Array(attribute) {
                let element = |index| mlir.mlirDenseI64ArrayGetElement(attribute, index);
                Some((0..mlir.mlirDenseArrayGetNumElements(attribute)).map(element).collect())
            } else if mlir.mlirAttributeIsAArray(attribute) {
                let element = |index| self.ir.integer(mlir.mlirArrayAttrGetElement(attribute, index));
                (0..mlir.mlirArrayAttrGetNumElements(attribute)).map(element).collect()
            } else {
                None
            }
        }
    }

    /// The number in an attribute that is an integer.
    pub(crate) fn integer(self, name: &'static str) -> Option<i64> {
        let attribute = self.attribute(name)?;
        // SAFETY: the attribute is live.
        unsafe { self.ir.integer(attribute.handle) }
    }

    pub(crate) fn set_i32_array(self, name: &'static str, numbers: impl Iterator<Item = i64>) {
        self.set_attribute(name, self.ir.attribute(&format!("array<i32: {}>", list(numbers))));
    }

    /// The arguments of the first block inside of it.
    pub(crate) fn body_arguments(self) -> Vec<Value<'i>> {
        self.blocks().next().map(Block::arguments).unwrap_or_default()
    }

    /// The text of a string attribute.
    pub(crate) fn text(self, name: &'static str) -> Option<&'i str> {
        let (ir, attribute) = (self.ir, self.attribute(name)?.handle);
        // SAFETY: the attribute and its text live as long as the context; the getter is called on its kind only.
        unsafe {
            let is_string = ir.mlir.mlirAttributeIsAString(attribute);
            is_string.then(|| ir.text(ir.mlir.mlirStringAttrGetValue(attribute)))
        }
    }

    /// The names in its location, a location being a name, a call site or several of them fused.
    pub(crate) fn location_names(self) -> Vec<&'i str> {
        let mut names = Vec::new();
        // SAFETY: the operation is live.
        self.collect_names(unsafe { self.ir.mlir.mlirOperationGetLocation(self.handle) }, &mut names);
        names
    }

    fn collect_names(self, location: MlirLocation, names: &mut Vec<&'i str>) {
        let mlir = self.ir.mlir;
        // SAFETY: locations live as long as their context; each getter is called only on its own kind.
        unsafe {
            if mlir.mlirLocationIsAName(location) {
                names.push(self.ir.identifier(mlir.mlirLocationNameGetName(location)));
                self.collect_names(mlir.mlirLocationNameGetChildLoc(location), names);
            } else if mlir.mlirLocationIsACallSite(location) {
                self.collect_names(mlir.mlirLocationCallSiteGetCallee(location), names);
            } else if mlir.mlirLocationIsAFused(location) {
                let count = mlir.mlirLocationFusedGetNumLocations(location);
                let mut parts = vec![location; usize::try_from(count).unwrap_or(0)];
                mlir.mlirLocationFusedGetLocations(location, parts.as_mut_ptr());
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
            let before = mlir.mlirOperationGetLocation(self.handle);
            let location = mlir.mlirLocationNameGet(context, string_ref(name), before);
            mlir.mlirOperationSetLocation(self.handle, location);
        }
    }

    /// A new operation in front of this one, at its location.
    pub(crate) fn insert_before(self, name: &'static str, parts: &Parts<'_, 'i>) -> Self {
        let new = self.create(name, parts);
        if let Some(block) = self.block() {
            // SAFETY: the new operation has no owner yet, and this one is in that block.
            unsafe {
                self.ir.mlir.mlirBlockInsertOwnedOperationBefore(block.handle, self.handle, new.handle);
            }
        } else {
            new.keep_outside();
        }
        new
    }

    /// The block that it is in; none for the module and what was removed.
    fn block(self) -> Option<Block<'i>> {
        // SAFETY: the operation is live.
        self.ir.block(unsafe { self.ir.mlir.mlirOperationGetBlock(self.handle) })
    }

    /// Keeps a new operation that has no place to go to, since nothing can be beside the operation it was made for.
    fn keep_outside(self) {
        self.ir.mistake(format!("there is no block for {}", self.name()));
        self.ir.removed.borrow_mut().push(self.handle);
    }

    /// A new operation, which nothing owns yet.
    fn create(self, name: &'static str, parts: &Parts) -> Self {
        let (ir, mlir) = (self.ir, self.ir.mlir);
        let operands: Vec<_> = parts.operands.iter().map(|value| value.handle).collect();
        let results: Vec<_> = parts.results.iter().map(|ty| ty.handle).collect();
        // SAFETY: everything that the state refers to is live until the operation is created, which copies it. The
        // new regions are owned by the operation.
        unsafe {
            let named = |&(name, Attribute { handle: attribute, .. }): &(_, Attribute)| MlirNamedAttribute {
                name: mlir.mlirIdentifierGet(ir.context(), string_ref(name)),
                attribute,
            };
            let attributes: Vec<_> = parts.attributes.iter().map(named).collect();
            let regions: Vec<_> = (0..parts.regions).map(|_| mlir.mlirRegionCreate()).collect();
            let mut state = self.state(name);
            mlir.mlirOperationStateAddOperands(&raw mut state, length(&operands), operands.as_ptr());
            mlir.mlirOperationStateAddResults(&raw mut state, length(&results), results.as_ptr());
            mlir.mlirOperationStateAddAttributes(&raw mut state, length(&attributes), attributes.as_ptr());
            mlir.mlirOperationStateAddOwnedRegions(&raw mut state, length(&regions), regions.as_ptr());
            ir.created(&mut state)
        }
    }

    /// What an operation at the location of this one is created from.
    fn state(self, name: &'static str) -> MlirOperationState {
        let mlir = self.ir.mlir;
        // SAFETY: the operation is live, and the name static.
        unsafe { mlir.mlirOperationStateGet(string_ref(name), mlir.mlirOperationGetLocation(self.handle)) }
    }

    /// Moves `operations` into the first region of this one, which has no block yet, and ends it with `terminator`.
    pub(crate) fn adopt(self, operations: &[Self], terminator: &'static str) {
        let mlir = self.ir.mlir;
        // SAFETY: the operation is live.
        let region = unsafe { mlir.mlirOperationGetFirstRegion(self.handle) };
        if region.ptr.is_null() {
            return self.ir.mistake(format!("{} has no region for others", self.name()));
        }
        let end = self.create(terminator, &Parts::default());
        // SAFETY: the block is handed to the region; operations leave their blocks before they enter it; the terminator
        // has no owner yet.
        unsafe {
            let block = mlir.mlirBlockCreate(0, ptr::null(), ptr::null());
            mlir.mlirRegionAppendOwnedBlock(region, block);
            mlir.mlirBlockAppendOwnedOperation(block, end.handle);
        }
        for operation in operations {
            if operation.block().is_some() {
                // SAFETY: both are in a block.
                unsafe { mlir.mlirOperationMoveBefore(operation.handle, end.handle) };
            } else {
                self.ir.mistake(format!("{} is in no block to be moved from", operation.name()));
            }
        }
    }

    /// Leads successor number `edge` of this terminator through a new block, behind its own, that does nothing but
    /// `jump` with `operands`.
    pub(crate) fn detour(self, edge: usize, jump: &'static str, operands: &[Value<'i>]) {
        let mlir = self.ir.mlir;
        // SAFETY: the operation is live.
        let edges = unsafe { mlir.mlirOperationGetNumSuccessors(self.handle) };
        let Some(own) = self.block().filter(|_| place(edge) < edges) else {
            return self.ir.mistake(format!("{} does not lead to {edge}", self.name()));
        };
        let operands: Vec<_> = operands.iter().map(|value| value.handle).collect();
        // SAFETY: the terminator has that successor. The state refers to live things until the jump is created; the
        // jump is handed to the block, and the block to the region that the terminator's is in.
        unsafe {
            let target = mlir.mlirOperationGetSuccessor(self.handle, place(edge));
            let mut state = self.state(jump);
            mlir.mlirOperationStateAddOperands(&raw mut state, length(&operands), operands.as_ptr());
            mlir.mlirOperationStateAddSuccessors(&raw mut state, 1, &raw const target);
            let between = mlir.mlirBlockCreate(0, ptr::null(), ptr::null());
            mlir.mlirBlockAppendOwnedOperation(between, self.ir.created(&mut state).handle);
            let region = mlir.mlirBlockGetParentRegion(own.handle);
            mlir.mlirRegionInsertOwnedBlockAfter(region, own.handle, between);
            mlir.mlirOperationSetSuccessor(self.handle, place(edge), between);
        }
    }

    /// A copy of this operation behind it.
    pub(crate) fn duplicate(self) -> Self {
        let mlir = self.ir.mlir;
        // SAFETY: the operation is live.
        let copy = Op { ir: self.ir, handle: unsafe { mlir.mlirOperationClone(self.handle) } };
        if let Some(block) = self.block() {
            // SAFETY: the copy has no owner yet, and this one is in that block.
            unsafe { mlir.mlirBlockInsertOwnedOperationAfter(block.handle, self.handle, copy.handle) };
        } else {
            copy.keep_outside();
        }
        copy
    }

    /// Takes it out of its block. That something still uses a result of it is a mistake, and it stays.
    pub(crate) fn remove(self) {
        if self.is_used() || self.block().is_none() {
            return self.ir.mistake(format!("{} cannot be removed", self.name()));
        }
        // It no longer counts among the users of its operands.
        self.set_operands(&[]);
        // SAFETY: the operation is live and in a block; it stays alive until the `Ir` is dropped.
        unsafe { self.ir.mlir.mlirOperationRemoveFromParent(self.handle) };
        self.ir.removed.borrow_mut().push(self.handle);
    }

    fn is_used(self) -> bool {
        self.results().iter().any(|result| !result.uses().is_empty())
    }
}

/// A block.
#[derive(Clone, Copy)]
pub(crate) struct Block<'i> {
    ir: &'i Ir<'i>,
    handle: MlirBlock,
}

impl<'i> Block<'i> {
    /// Its operations, listed before the first is handed out, so that they may be removed or moved.
    pub(crate) fn operations(self) -> impl Iterator<Item = Op<'i>> {
        // SAFETY: the block is live.
        let first = self.ir.op(unsafe { self.ir.mlir.mlirBlockGetFirstOperation(self.handle) });
        successors(first, |op| op.next()).collect::<Vec<_>>().into_iter()
    }

    /// Its arguments.
    pub(crate) fn arguments(self) -> Vec<Value<'i>> {
        let ir = self.ir;
        // SAFETY: the block is live and has that many arguments.
        unsafe {
            let count = ir.mlir.mlirBlockGetNumArguments(self.handle);
            (0..count).map(|index| ir.value(ir.mlir.mlirBlockGetArgument(self.handle, index))).collect()
        }
    }
}

/// A result of an operation or an argument of a block.
#[derive(Clone, Copy)]
pub(crate) struct Value<'i> {
    ir: &'i Ir<'i>,
    handle: MlirValue,
}

impl PartialEq for Value<'_> {
    fn eq(&self, other: &Self) -> bool {
        // SAFETY: both are live.
        unsafe { self.ir.mlir.mlirValueEqual(self.handle, other.handle) }
    }
}

impl<'i> Value<'i> {
    /// The operation whose result it is, with the result's number.
    pub(crate) fn definition(self) -> Option<(Op<'i>, usize)> {
        // SAFETY: the value is live; the getters are called on results only.
        unsafe {
            if !self.ir.mlir.mlirValueIsAOpResult(self.handle) {
                return None;
            }
            let op = self.ir.op(self.ir.mlir.mlirOpResultGetOwner(self.handle))?;
            Some((
                op,
                usize::try_from(self.ir.mlir.mlirOpResultGetResultNumber(self.handle)).unwrap_or_default(),
            ))
        }
    }

    /// The operations that use it.
    pub(crate) fn uses(self) -> Vec<Op<'i>> {
        let (ir, mut users) = (self.ir, Vec::new());
        // SAFETY: the value is live; null ends the list.
        unsafe {
            let mut operand = ir.mlir.mlirValueGetFirstUse(self.handle);
            while !operand.ptr.is_null() {
                users.extend(ir.op(ir.mlir.mlirOpOperandGetOwner(operand)));
                operand = ir.mlir.mlirOpOperandGetNextUse(operand);
            }
        }
        users
    }

    pub(crate) fn replace_with(self, other: Value) {
        // SAFETY: both are live and in one module.
        unsafe { self.ir.mlir.mlirValueReplaceAllUsesOfWith(self.handle, other.handle) };
    }

    /// Its type.
    pub(crate) fn ty(self) -> Type<'i> {
        // SAFETY: the value is live.
        Type::new(unsafe { self.ir.mlir.mlirValueGetType(self.handle) })
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

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;
    use crate::CompileError;
    use crate::compiler::edit_text;

    const MODULE: &str = r#"module {
        func.func @first(%a: i32, %b: i1) -> i32 {
          %sum = arith.addi %a, %a {numbers = [1, 2], few = array<i32: 3>, many = array<i64: 4, 5>} : i32
            loc(fused["outer", callsite("inner" at "caller")])
          cf.cond_br %b, ^one(%sum : i32), ^two
        ^one(%c: i32):
          return %c : i32
        ^two:
          return %a : i32
        }
      }"#;

    fn edit<T>(edit: impl FnOnce(&Ir) -> T) -> T {
        edit_text(MODULE, |ir| Ok::<_, CompileError>(edit(ir))).unwrap()
    }

    /// The mistakes and diagnostics of an edit that must fail.
    fn failure(edit: impl FnOnce(&Ir)) -> String {
        let result = edit_text(MODULE, |ir| {
            edit(ir);
            Ok::<_, CompileError>(())
        });
        match result.unwrap_err() {
            CompileError::Edit { edit: "testing", diagnostics } => diagnostics.join("\n"),
            other => panic!("{other:?}"),
        }
    }

    fn function<'i>(ir: &'i Ir) -> Op<'i> {
        ir.module().body().next().unwrap()
    }

    fn named<'i>(ir: &'i Ir, name: &str) -> Op<'i> {
        function(ir).body().find(|op| op.name() == name).unwrap()
    }

    /// The library's version is later than the headers of the bindings; what it fills in has to be what is read, and the
    /// other way round, field by field.
    #[test]
    fn the_library_lays_out_the_state_of_an_operation_as_the_bindings_do() {
        edit(|ir| {
            let sum = named(ir, "arith.addi");
            let (operands, types) = (sum.operands(), [ir.ty("i32").handle, ir.ty("f32").handle]);
            let values = [operands[0].handle, operands[1].handle];
            let block = function(ir).blocks().nth(1).unwrap().handle;
            // SAFETY: everything is live, and the arrays are as long as the counts that the library gives them.
            unsafe {
                let mut state = sum.state("test.state");
                assert_eq!((state.name.data.cast(), state.name.length), ("test.state".as_ptr(), 10));
                assert_eq!(state.location.ptr, ir.mlir.mlirOperationGetLocation(sum.handle).ptr);
                let counts = |state: &MlirOperationState| {
                    [state.nResults, state.nOperands, state.nRegions, state.nSuccessors, state.nAttributes]
                };
                assert_eq!(counts(&state), [0; 5]);
                assert!(!state.enableResultTypeInference);
                let attribute = MlirNamedAttribute {
                    name: ir.mlir.mlirIdentifierGet(ir.context(), string_ref("key")),
                    attribute: ir.attribute("7 : i8").handle,
                };
                let regions = [0; 3].map(|_| ir.mlir.mlirRegionCreate());
                ir.mlir.mlirOperationStateAddResults(&raw mut state, 2, types.as_ptr());
                ir.mlir.mlirOperationStateAddOperands(&raw mut state, 2, values.as_ptr());
                ir.mlir.mlirOperationStateAddOwnedRegions(&raw mut state, 3, regions.as_ptr());
                ir.mlir.mlirOperationStateAddSuccessors(&raw mut state, 1, &raw const block);
                ir.mlir.mlirOperationStateAddAttributes(&raw mut state, 1, &raw const attribute);
                assert_eq!(counts(&state), [2, 2, 3, 1, 1]);
                let found = slice::from_raw_parts(state.results, 2);
                assert_eq!([found[0].ptr, found[1].ptr], types.map(|ty| ty.ptr));
                let found = slice::from_raw_parts(state.operands, 2);
                assert_eq!([found[0].ptr, found[1].ptr], values.map(|value| value.ptr));
                let found = slice::from_raw_parts(state.regions, 3);
                assert_eq!([found[0].ptr, found[1].ptr, found[2].ptr], regions.map(|region| region.ptr));
                assert_eq!((*state.successors).ptr, block.ptr);
                assert_eq!((*state.attributes).name.ptr, attribute.name.ptr);
                assert_eq!((*state.attributes).attribute.ptr, attribute.attribute.ptr);
                // Created, so that the library frees the arrays; destroyed with the edit.
                ir.removed.borrow_mut().push(ir.created(&mut state).handle);
            }
        });
    }

    #[test]
    fn a_created_operation_has_the_parts_asked_for() {
        edit(|ir| {
            let sum = named(ir, "arith.addi");
            let condition = function(ir).body_arguments()[1];
            let (types, attributes) = ([ir.ty("i32"), ir.ty("f32")], [("key", ir.attribute("7 : i8"))]);
            let parts =
                Parts { operands: &[condition], results: &types, attributes: &attributes, regions: 2 };
            let new = sum.create("scf.if", &parts);
            assert_eq!(new.name(), "scf.if");
            assert!(new.operands() == [condition]);
            assert!(new.results().iter().map(|result| result.ty()).eq(types));
            assert_eq!((new.integer("key"), new.integer("other")), (Some(7), None));
            assert_eq!(new.location_names(), sum.location_names());
            assert_eq!(new.blocks().count(), 0);
            new.adopt(&[], "scf.yield");
            assert!(new.body().map(Op::name).eq(["scf.yield"]));
            ir.removed.borrow_mut().push(new.handle);
        });
    }

    #[test]
    fn attributes_and_locations_are_read() {
        edit(|ir| {
            let sum = named(ir, "arith.addi");
            assert_eq!(sum.numbers("numbers"), Some(vec![1, 2]));
            assert_eq!(sum.numbers("few"), Some(vec![3]));
            assert_eq!(sum.numbers("many"), Some(vec![4, 5]));
            assert_eq!(sum.location_names(), ["outer", "inner"]);
            sum.add_location_name("first");
            assert_eq!(sum.location_names(), ["first", "outer", "inner"]);
            assert_eq!(
                (function(ir).text("sym_name"), function(ir).text("function_type")),
                (Some("first"), None)
            );
        });
    }

    #[test]
    fn an_edit_of_uses_and_branches_is_accepted() {
        edit(|ir| {
            let (sum, branch) = (named(ir, "arith.addi"), named(ir, "cf.cond_br"));
            let copy = sum.duplicate();
            sum.results()[0].replace_with(copy.results()[0]);
            assert!(copy.results()[0].uses() == [branch]);
            assert!(copy.results()[0].definition() == Some((copy, 0)));
            sum.remove();
            branch.detour(1, "cf.br", &[]);
            assert_eq!(function(ir).blocks().count(), 4);
        });
    }

    #[test]
    fn what_is_no_attribute_or_type_fails_the_edit() {
        let text = failure(|ir| {
            named(ir, "arith.addi").set_attribute("key", ir.attribute("<>"));
            ir.ty("tensor<oops>");
        });
        assert!(text.starts_with("`<>` is no attribute\n`tensor<oops>` is no type\n"), "{text}");
    }

    #[test]
    fn an_edit_that_leaves_invalid_ir_fails_with_its_name_and_the_diagnostics() {
        let text = failure(|ir| {
            named(ir, "arith.addi").set_operands(&[function(ir).body_arguments()[1]]);
        });
        assert!(text.contains("'arith.addi' op expected 2 operands, but found 1"), "{text}");
    }

    #[test]
    fn an_operation_of_no_dialect_fails_the_edit() {
        let text = failure(|ir| {
            named(ir, "arith.addi").insert_before("arith.nothing", &Parts::default());
        });
        assert!(text.contains("arith.nothing"), "{text}");
    }

    #[test]
    fn what_cannot_be_edited_fails_the_edit() {
        let text = failure(|ir| {
            let sum = named(ir, "arith.addi");
            sum.remove();
            sum.set_operand(2, sum.results()[0]);
            sum.adopt(&[], "scf.yield");
            sum.detour(0, "cf.br", &[]);
            ir.module().insert_before("func.return", &Parts::default());
        });
        let expected = [
            "arith.addi cannot be removed",
            "arith.addi has no operand 2",
            "arith.addi has no region for others",
            "arith.addi does not lead to 0",
            "there is no block for func.return",
        ];
        assert_eq!(text, expected.join("\n"));
    }

    #[test]
    fn a_use_of_what_was_removed_fails_the_edit() {
        let text = failure(|ir| {
            let (sum, branch) = (named(ir, "arith.addi"), named(ir, "cf.cond_br"));
            let operands = branch.operands();
            branch.set_operands(&operands[..1]);
            sum.remove();
            branch.set_operands(&operands);
        });
        assert_eq!(text, "arith.addi was removed and is used");
    }
}
