//! Frames: the tensors of zeros that values are written into the middle of.

use std::collections::HashMap;

use super::place::{DISPATCH, KERNEL, RESHAPE, TIED_OPERANDS, Writer, behind_reshapes, is_zeros};
use crate::ir::{Op, Parts, Type, Value};

const STORE: &str = "iree_tensor_ext.dispatch.tensor.store";

/// Gives what `dispatch` stores the rank of where it goes. The compiler leaves out batches of one early on and brings
/// them back for convolutions in the end; a store in between that leaves one out would go through a buffer on the
/// stack, element by element.
pub(super) fn store_whole_ranks(dispatch: Op) {
    for store in dispatch.body().filter(|op| op.name() == STORE) {
        let (mut operands, sizes) = (store.operands(), store.numbers("static_sizes").unwrap_or_default());
        let (value, rank) = (operands[0], sizes.len());
        if value.rank() + 1 != rank || sizes[0] != 1 || sizes.iter().any(|&size| size < 0) {
            continue;
        }
        let ir = store.ir();
        let groups: Vec<_> = (2..rank).map(|axis| format!(", [{axis}]")).collect();
        let extents: Vec<_> = sizes.iter().map(ToString::to_string).collect();
        let attributes = [
            ("reassociation", ir.attribute(&format!("[[0, 1]{}]", groups.concat()))),
            ("static_output_shape", ir.attribute(&format!("array<i64: {}>", extents.join(", ")))),
        ];
        let ty = ir.ty(&format!("tensor<{}xf32>", extents.join("x")));
        let parts = Parts { operands: &[value], results: &[ty], attributes: &attributes, regions: 0 };
        operands[0] = store.insert_before("tensor.expand_shape", &parts).results()[0];
        store.set_operands(&operands);
    }
}

/// Lets dispatches that write the same place of a frame of zeros write to one frame, each when the frame's last reader
/// is through: only the first then needs zeros. What a kernel writes over a frame counts as that frame.
pub(super) fn share_frames(function: Op) {
    let order: HashMap<_, _> = function.body().enumerate().map(|(index, op)| (op, index)).collect();
    let mut free: Vec<(Shape, Value)> = Vec::new();
    for op in function.body().filter(|op| [DISPATCH, KERNEL].contains(&op.name())) {
        for (result, frame) in op.numbers(TIED_OPERANDS).into_iter().flatten().enumerate() {
            let Ok(frame) = usize::try_from(frame) else { continue };
            let writer = Writer { op, frame };
            let value = writer.frame();
            let taken = free.iter().position(|(_, other)| behind_reshapes(*other) == behind_reshapes(value));
            let shape = match taken {
                Some(taken) => Some(free.swap_remove(taken).0),
                // A kernel only writes over what something else has written.
                None if op.name() == KERNEL => continue,
                None => Shape::of(&writer).filter(|_| is_zeros(value)),
            };
            let Some(shape) = shape else { continue };
            if taken.is_none() {
                let through = |value: Value| last_use(value, &order) < order[&op];
                let idle = free.iter().position(|(other, value)| *other == shape && through(*value));
                if let Some((_, idle)) = idle.map(|idle| free.swap_remove(idle)) {
                    let mut operands = op.operands();
                    operands[frame] = idle;
                    op.set_operands(&operands);
                }
            }
            free.push((shape, op.results()[result]));
        }
    }
}

/// What of a frame a dispatch writes.
#[derive(PartialEq)]
struct Shape<'i> {
    frame: Type<'i>,
    offsets: Vec<i64>,
    sizes: Vec<i64>,
}

impl<'i> Shape<'i> {
    /// `None` if it cannot be told.
    fn of(writer: &Writer<'i>) -> Option<Self> {
        let body = writer.op.blocks().next()?;
        let argument = body.argument(writer.frame);
        let mut stores =
            argument.uses().into_iter().filter(|user| user.name() == STORE && user.operands()[1] == argument);
        let (store, None) = (stores.next()?, stores.next()) else { return None };
        let (offsets, sizes) = (store.numbers("static_offsets")?, store.numbers("static_sizes")?);
        Some(Self { frame: writer.frame().ty(), offsets, sizes })
    }
}

/// Place of the last operation that reads `value`, in any shape.
fn last_use(value: Value, order: &HashMap<Op, usize>) -> usize {
    let place = |user: Op| match user.name() {
        RESHAPE => last_use(user.results()[0], order),
        _ => order.get(&user).copied().unwrap_or(usize::MAX),
    };
    value.uses().into_iter().map(place).max().unwrap_or(0)
}
