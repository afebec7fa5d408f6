//! Gives each branch edge that carries values a block of its own.
//!
//! IREE 3.13 compiles `vm.cond_br` so that a reference which one side uses, and the edge to the other side hands on,
//! is retained once and never released: with a skipped gate, whose else-branch hands on its input, every call would
//! lose a buffer (iree-org/iree#24753). A block in between that holds nothing but the jump hands the values on
//! where they are counted correctly.

use crate::mlir::{Block, Mlir, Operation, Region, StringRef, Value};

const SEGMENT_SIZES: &str = "operandSegmentSizes";

/// Splits every edge of a `vm.cond_br` below `operation` that carries operands.
///
/// # Safety
///
/// `operation` is live, in the VM dialect, and of the library that `mlir` is from; nothing else uses it meanwhile.
pub(crate) unsafe fn split(mlir: &Mlir, operation: Operation) {
    // SAFETY: walks live IR; null handles end the loops, as the C API says.
    unsafe {
        let mut region = (mlir.operation_first_region)(operation);
        while !region.0.is_null() {
            split_in_region(mlir, region);
            region = (mlir.region_next)(region);
        }
    }
}

/// # Safety
///
/// As for [`split`], with a region.
unsafe fn split_in_region(mlir: &Mlir, region: Region) {
    // SAFETY: walks live IR. New blocks are put behind the one at hand, hold no conditional branch, and are passed
    // over unchanged.
    unsafe {
        let mut block = (mlir.region_first_block)(region);
        while !block.0.is_null() {
            let mut operation = (mlir.block_first_operation)(block);
            while !operation.0.is_null() {
                split(mlir, operation);
                if (mlir.identifier_text)((mlir.operation_name)(operation)).is("vm.cond_br") {
                    split_branch(mlir, operation, region, block);
                }
                operation = (mlir.operation_next)(operation);
            }
            block = (mlir.block_next)(block);
        }
    }
}

/// Moves the operands of both edges of `branch`, the terminator of `block` in `region`, to blocks of their own.
///
/// # Safety
///
/// As for [`split`]; `branch` is a `vm.cond_br`.
unsafe fn split_branch(mlir: &Mlir, branch: Operation, region: Region, block: Block) {
    // SAFETY: a `vm.cond_br` has two successors and as operands the condition, those of the true edge and those of
    // the false edge, counted in its segment sizes. The new block and operation are handed to the region, which
    // owns them from then on.
    unsafe {
        let sizes = (mlir.operation_attribute)(branch, StringRef::new(SEGMENT_SIZES));
        let size = |segment| isize::try_from((mlir.i32_array_element)(sizes, segment)).unwrap_or(0);
        let mut first = 1;
        for edge in 0..2 {
            let operands: Vec<_> = (first..first + size(edge + 1))
                .map(|index| (mlir.operation_operand)(branch, index))
                .collect();
            first += size(edge + 1);
            if !operands.is_empty() {
                let target = (mlir.operation_successor)(branch, edge);
                let between = jump_block(mlir, branch, &operands, target);
                (mlir.region_insert_after)(region, block, between);
                (mlir.operation_set_successor)(branch, edge, between);
            }
        }
        let condition = (mlir.operation_operand)(branch, 0);
        (mlir.operation_set_operands)(branch, 1, &raw const condition);
        let sizes = [1, 0, 0];
        let sizes = (mlir.i32_array)((mlir.operation_context)(branch), 3, sizes.as_ptr());
        (mlir.operation_set_inherent_attribute)(branch, StringRef::new(SEGMENT_SIZES), sizes);
    }
}

/// A new block without arguments that jumps to `target` with `operands`.
///
/// # Safety
///
/// As for [`split`]; `operands` fit the arguments of `target`. The caller owns the block.
unsafe fn jump_block(mlir: &Mlir, branch: Operation, operands: &[Value], target: Block) -> Block {
    let count = isize::try_from(operands.len()).expect("a slice is at most isize::MAX bytes");
    // SAFETY: the state refers to the slices only until the operation is created, which copies them.
    unsafe {
        let mut state = (mlir.state)(StringRef::new("vm.br"), (mlir.operation_location)(branch));
        (mlir.state_add_operands)(&raw mut state, count, operands.as_ptr());
        (mlir.state_add_successors)(&raw mut state, 1, &raw const target);
        let jump = (mlir.operation_create)(&raw mut state);
        let block = (mlir.block_create)(0, std::ptr::null(), std::ptr::null());
        (mlir.block_append)(block, jump);
        block
    }
}
