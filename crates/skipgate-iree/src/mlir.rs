//! The functions of MLIR's C API (`mlir-c/IR.h`, `mlir-c/BuiltinAttributes.h`) that edits of compiled IR need;
//! `crate::ir` is the safe interface to them.
//!
//! The IREE wheel exports them from the compiler library but ships no headers for bindgen, so they are declared here.
//! Every handle of that API is a structure of one pointer, passed by value.

use std::ffi::{OsStr, c_void};

use libloading::Library;

use crate::bindings::iree_compiler_invocation_t;

macro_rules! handles {
    ($($name:ident),*) => {$(
        #[derive(Clone, Copy, PartialEq)]
        #[repr(transparent)]
        pub(crate) struct $name(pub(crate) *mut c_void);
    )*};
}

handles!(Attribute, Block, Context, Identifier, Location, Operation, Region, Type, Use, Value);

/// `MlirStringRef`: bytes with a length, without a terminator.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct StringRef {
    data: *const u8,
    length: usize,
}

impl StringRef {
    /// Refers to `text`, which must live as long as this is used.
    pub(crate) fn new(text: &str) -> Self {
        Self { data: text.as_ptr(), length: text.len() }
    }

    /// # Safety
    ///
    /// The string that this refers to is UTF-8 and lives as long as the lifetime that the caller chooses.
    pub(crate) unsafe fn as_str<'a>(self) -> &'a str {
        if self.length == 0 {
            return "";
        }
        // SAFETY: by the caller's promise.
        unsafe { std::str::from_utf8_unchecked(std::slice::from_raw_parts(self.data, self.length)) }
    }
}

/// A count and an array of handles; MLIR grows it.
#[repr(C)]
struct List {
    count: isize,
    items: *mut c_void,
}

/// `MlirNamedAttribute`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct NamedAttribute {
    pub(crate) name: Identifier,
    pub(crate) attribute: Attribute,
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
    identifier = "mlirIdentifierGet": fn(Context, StringRef) -> Identifier;
    identifier_text = "mlirIdentifierStr": fn(Identifier) -> StringRef;

    operation_name = "mlirOperationGetName": fn(Operation) -> Identifier;
    operation_context = "mlirOperationGetContext": fn(Operation) -> Context;
    operation_location = "mlirOperationGetLocation": fn(Operation) -> Location;
    operation_set_location = "mlirOperationSetLocation": fn(Operation, Location);
    operation_attribute = "mlirOperationGetAttributeByName": fn(Operation, StringRef) -> Attribute;
    operation_set_attribute = "mlirOperationSetAttributeByName": fn(Operation, StringRef, Attribute);
    operation_operand_count = "mlirOperationGetNumOperands": fn(Operation) -> isize;
    operation_operand = "mlirOperationGetOperand": fn(Operation, isize) -> Value;
    operation_set_operands = "mlirOperationSetOperands": fn(Operation, isize, *const Value);
    operation_result_count = "mlirOperationGetNumResults": fn(Operation) -> isize;
    operation_result = "mlirOperationGetResult": fn(Operation, isize) -> Value;
    operation_successor = "mlirOperationGetSuccessor": fn(Operation, isize) -> Block;
    operation_set_successor = "mlirOperationSetSuccessor": fn(Operation, isize, Block);
    operation_first_region = "mlirOperationGetFirstRegion": fn(Operation) -> Region;
    operation_next = "mlirOperationGetNextInBlock": fn(Operation) -> Operation;
    operation_block = "mlirOperationGetBlock": fn(Operation) -> Block;
    operation_detach = "mlirOperationRemoveFromParent": fn(Operation);
    operation_destroy = "mlirOperationDestroy": fn(Operation);
    operation_clone = "mlirOperationClone": fn(Operation) -> Operation;
    move_before = "mlirOperationMoveBefore": fn(Operation, Operation);

    operation_create = "mlirOperationCreate": fn(*mut OperationState) -> Operation;
    state = "mlirOperationStateGet": fn(StringRef, Location) -> OperationState;
    state_add_operands = "mlirOperationStateAddOperands": fn(*mut OperationState, isize, *const Value);
    state_add_results = "mlirOperationStateAddResults": fn(*mut OperationState, isize, *const Type);
    state_add_attributes =
        "mlirOperationStateAddAttributes": fn(*mut OperationState, isize, *const NamedAttribute);
    state_add_regions = "mlirOperationStateAddOwnedRegions": fn(*mut OperationState, isize, *const Region);
    state_add_successors = "mlirOperationStateAddSuccessors": fn(*mut OperationState, isize, *const Block);

    region_create = "mlirRegionCreate": fn() -> Region;
    region_next = "mlirRegionGetNextInOperation": fn(Region) -> Region;
    region_first_block = "mlirRegionGetFirstBlock": fn(Region) -> Block;
    region_append = "mlirRegionAppendOwnedBlock": fn(Region, Block);
    region_insert_after = "mlirRegionInsertOwnedBlockAfter": fn(Region, Block, Block);

    block_create = "mlirBlockCreate": fn(isize, *const Type, *const Location) -> Block;
    block_next = "mlirBlockGetNextInRegion": fn(Block) -> Block;
    block_region = "mlirBlockGetParentRegion": fn(Block) -> Region;
    block_first_operation = "mlirBlockGetFirstOperation": fn(Block) -> Operation;
    block_append = "mlirBlockAppendOwnedOperation": fn(Block, Operation);
    block_argument_count = "mlirBlockGetNumArguments": fn(Block) -> isize;
    block_argument = "mlirBlockGetArgument": fn(Block, isize) -> Value;
    insert_before = "mlirBlockInsertOwnedOperationBefore": fn(Block, Operation, Operation);
    insert_after = "mlirBlockInsertOwnedOperationAfter": fn(Block, Operation, Operation);

    value_equal = "mlirValueEqual": fn(Value, Value) -> bool;
    value_type = "mlirValueGetType": fn(Value) -> Type;
    is_result = "mlirValueIsAOpResult": fn(Value) -> bool;
    result_owner = "mlirOpResultGetOwner": fn(Value) -> Operation;
    result_number = "mlirOpResultGetResultNumber": fn(Value) -> isize;
    first_use = "mlirValueGetFirstUse": fn(Value) -> Use;
    next_use = "mlirOpOperandGetNextUse": fn(Use) -> Use;
    use_owner = "mlirOpOperandGetOwner": fn(Use) -> Operation;
    replace_uses = "mlirValueReplaceAllUsesOfWith": fn(Value, Value);

    name_location = "mlirLocationNameGet": fn(Context, StringRef, Location) -> Location;
    is_name = "mlirLocationIsAName": fn(Location) -> bool;
    name_of = "mlirLocationNameGetName": fn(Location) -> Identifier;
    name_child = "mlirLocationNameGetChildLoc": fn(Location) -> Location;
    is_call_site = "mlirLocationIsACallSite": fn(Location) -> bool;
    callee = "mlirLocationCallSiteGetCallee": fn(Location) -> Location;
    is_fused = "mlirLocationIsAFused": fn(Location) -> bool;
    fused_count = "mlirLocationFusedGetNumLocations": fn(Location) -> u32;
    fused_parts = "mlirLocationFusedGetLocations": fn(Location, *mut Location);

    type_parse = "mlirTypeParseGet": fn(Context, StringRef) -> Type;
    attribute_parse = "mlirAttributeParseGet": fn(Context, StringRef) -> Attribute;
    is_array = "mlirAttributeIsAArray": fn(Attribute) -> bool;
    array_length = "mlirArrayAttrGetNumElements": fn(Attribute) -> isize;
    array_element = "mlirArrayAttrGetElement": fn(Attribute, isize) -> Attribute;
    is_integer = "mlirAttributeIsAInteger": fn(Attribute) -> bool;
    integer_value = "mlirIntegerAttrGetValueInt": fn(Attribute) -> i64;
    is_string = "mlirAttributeIsAString": fn(Attribute) -> bool;
    string_value = "mlirStringAttrGetValue": fn(Attribute) -> StringRef;
    is_i32_array = "mlirAttributeIsADenseI32Array": fn(Attribute) -> bool;
    is_i64_array = "mlirAttributeIsADenseI64Array": fn(Attribute) -> bool;
    dense_array_length = "mlirDenseArrayGetNumElements": fn(Attribute) -> isize;
    i32_array_element = "mlirDenseI32ArrayGetElement": fn(Attribute, isize) -> i32;
    i64_array_element = "mlirDenseI64ArrayGetElement": fn(Attribute, isize) -> i64;
}
