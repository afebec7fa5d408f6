//! The few functions of MLIR's C API (`mlir-c/IR.h`, `mlir-c/BuiltinAttributes.h`) that edits of compiled IR need.
//!
//! The IREE wheel exports them from the compiler library but ships no headers for bindgen, so they are declared here.
//! Every handle of that API is a structure of one pointer, passed by value.

use std::ffi::{OsStr, c_void};

use libloading::Library;

use crate::bindings::iree_compiler_invocation_t;

macro_rules! handles {
    ($($name:ident),*) => {$(
        #[derive(Clone, Copy)]
        #[repr(transparent)]
        pub(crate) struct $name(pub(crate) *mut c_void);
    )*};
}

handles!(Attribute, Block, Context, Identifier, Location, Operation, Region, Type, Value);

/// `MlirStringRef`: bytes with a length, without a terminator.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct StringRef {
    data: *const u8,
    length: usize,
}

impl StringRef {
    pub(crate) fn new(text: &'static str) -> Self {
        Self { data: text.as_ptr(), length: text.len() }
    }

    /// # Safety
    ///
    /// The string that this refers to is alive.
    pub(crate) unsafe fn is(self, text: &str) -> bool {
        // SAFETY: alive by the caller's promise; an MLIR identifier is never null.
        unsafe { std::slice::from_raw_parts(self.data, self.length) == text.as_bytes() }
    }
}

/// A count and an array of handles; MLIR grows it.
#[repr(C)]
struct List {
    count: isize,
    items: *mut c_void,
}

/// `MlirOperationState`: what a new operation is made of.
#[repr(C)]
pub(crate) struct OperationState {
    name: StringRef,
    location: Location,
    results: List,
    operands: List,
    regions: List,
    successors: List,
    attributes: List,
    infer_result_types: bool,
}

macro_rules! api {
    ($($field:ident = $symbol:literal: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// Functions of the compiler library, by what they do.
        pub(crate) struct Mlir {
            $(pub(crate) $field: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
            /// The functions live as long as the library is loaded.
            _library: Library,
        }

        impl Mlir {
            /// Opens the compiler library `path` and finds every function in it.
            ///
            /// # Safety
            ///
            /// `path` is an IREE compiler library of the version that the signatures here are from.
            pub(crate) unsafe fn open(path: &OsStr) -> Result<Self, libloading::Error> {
                // SAFETY: the initialisers of a compiler library have no precondition.
                let library = unsafe { Library::new(path) }?;
                Ok(Self {
                    $(
                        // SAFETY: the symbol has this signature in the library's version.
                        $field: *unsafe { library.get(concat!($symbol, "\0").as_bytes()) }?,
                    )*
                    _library: library,
                })
            }
        }
    };
}

api! {
    take_module = "ireeCompilerInvocationExportStealModule": fn(*mut iree_compiler_invocation_t) -> Operation;
    give_module = "ireeCompilerInvocationImportStealModule": fn(*mut iree_compiler_invocation_t, Operation) -> bool;
    identifier_text = "mlirIdentifierStr": fn(Identifier) -> StringRef;
    operation_name = "mlirOperationGetName": fn(Operation) -> Identifier;
    operation_context = "mlirOperationGetContext": fn(Operation) -> Context;
    operation_location = "mlirOperationGetLocation": fn(Operation) -> Location;
    operation_attribute = "mlirOperationGetAttributeByName": fn(Operation, StringRef) -> Attribute;
    operation_set_inherent_attribute =
        "mlirOperationSetInherentAttributeByName": fn(Operation, StringRef, Attribute);
    operation_operand = "mlirOperationGetOperand": fn(Operation, isize) -> Value;
    operation_set_operands = "mlirOperationSetOperands": fn(Operation, isize, *const Value);
    operation_successor = "mlirOperationGetSuccessor": fn(Operation, isize) -> Block;
    operation_set_successor = "mlirOperationSetSuccessor": fn(Operation, isize, Block);
    operation_first_region = "mlirOperationGetFirstRegion": fn(Operation) -> Region;
    operation_next = "mlirOperationGetNextInBlock": fn(Operation) -> Operation;
    operation_create = "mlirOperationCreate": fn(*mut OperationState) -> Operation;
    state = "mlirOperationStateGet": fn(StringRef, Location) -> OperationState;
    state_add_operands = "mlirOperationStateAddOperands": fn(*mut OperationState, isize, *const Value);
    state_add_successors = "mlirOperationStateAddSuccessors": fn(*mut OperationState, isize, *const Block);
    region_next = "mlirRegionGetNextInOperation": fn(Region) -> Region;
    region_first_block = "mlirRegionGetFirstBlock": fn(Region) -> Block;
    region_insert_after = "mlirRegionInsertOwnedBlockAfter": fn(Region, Block, Block);
    block_next = "mlirBlockGetNextInRegion": fn(Block) -> Block;
    block_first_operation = "mlirBlockGetFirstOperation": fn(Block) -> Operation;
    block_create = "mlirBlockCreate": fn(isize, *const Type, *const Location) -> Block;
    block_append = "mlirBlockAppendOwnedOperation": fn(Block, Operation);
    i32_array = "mlirDenseI32ArrayGet": fn(Context, isize, *const i32) -> Attribute;
    i32_array_element = "mlirDenseI32ArrayGetElement": fn(Attribute, isize) -> i32;
}
