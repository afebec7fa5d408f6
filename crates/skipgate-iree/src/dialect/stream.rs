//! The stream dialect: submissions of commands over resources, whose memory is laid out by the end of its phase.

use super::{DialectError, constant, segments};
use crate::ir::{Op, Parts, Value};

const CONCURRENT: &str = "stream.cmd.concurrent";
const COPY: &str = "stream.cmd.copy";
const DISPATCH: &str = "stream.cmd.dispatch";
const EXECUTE: &str = "stream.cmd.execute";
const FILL: &str = "stream.cmd.fill";
const FLUSH: &str = "stream.cmd.flush";
/// What holds the code of kernels, and a function of it.
pub(crate) const EXECUTABLE: &str = "stream.executable";
pub(crate) const FUNCTION: &str = "func.func";

const YIELD: &str = "stream.yield";
const ALLOCA: &str = "stream.resource.alloca";
const DEALLOCA: &str = "stream.resource.dealloca";

/// What `resource_accesses` calls reading and writing (`IREE::Stream::ResourceAccessBitfield`).
const READ: i64 = 1;
const WRITE: i64 = 2;

/// Commands that are submitted at once.
pub(crate) struct Submission<'i> {
    op: Op<'i>,
    /// Number of resources.
    resources: usize,
}

/// A resource of a submission.
pub(crate) struct Resource<'i> {
    /// The value that commands know it by.
    pub(crate) inside: Value<'i>,
    /// Its size, or the largest number if it is not the submission's own.
    pub(crate) bytes: u64,
    /// Where it is allocated and freed, if nothing but the submission uses it.
    allocation: Option<[Op<'i>; 2]>,
}

impl Resource<'_> {
    /// Whether nothing but the submission uses it.
    pub(crate) fn is_own(&self) -> bool {
        self.allocation.is_some()
    }
}

/// A command with the place of its operands.
pub(crate) struct Command<'i> {
    pub(crate) op: Op<'i>,
    /// Number of the first command that may run at the same time.
    pub(crate) wave: usize,
    pub(crate) accesses: Vec<Access<'i>>,
}

/// What a command does with a part of a resource.
pub(crate) struct Access<'i> {
    pub(crate) resource: Value<'i>,
    pub(crate) offset: u64,
    pub(crate) length: u64,
    pub(crate) reads: bool,
    pub(crate) writes: bool,
    /// The operands, by number, that say how large the resource is, and where in it the part begins.
    size_operand: usize,
    offset_operand: usize,
}

/// Whether `op` calls the kernel `symbol` of the executable of the same name.
pub(crate) fn calls(op: Op, symbol: &str) -> bool {
    let entry_points = op.ir().attribute(&format!("[@{symbol}::@{symbol}]"));
    op.name() == DISPATCH && op.attribute("entry_points") == Some(entry_points)
}

impl<'i> Submission<'i> {
    /// `op` as one, if it is.
    pub(crate) fn of(op: Op<'i>) -> Result<Option<Self>, DialectError> {
        if op.name() != EXECUTE {
            return Ok(None);
        }
        let sizes = segments(op, 3)?;
        if sizes[0] != sizes[1] || op.body_arguments().len() != sizes[0] {
            return Err(DialectError::of(op, "has other numbers of resources and sizes"));
        }
        Ok(Some(Self { op, resources: sizes[0] }))
    }

    pub(crate) fn resources(&self) -> Result<Vec<Resource<'i>>, DialectError> {
        let (operands, inside) = (self.op.operands(), self.op.body_arguments());
        let resource = |number: usize| {
            let (allocation, size) = (self.allocation(operands[number]), operands[self.resources + number]);
            // What comes from elsewhere may be of any size: nothing is moved in it.
            let bytes = match allocation {
                Some(_) => constant(self.op, size)?,
                None => u64::MAX,
            };
            Ok(Resource { inside: inside[number], bytes, allocation })
        };
        (0..self.resources).map(resource).collect()
    }

    /// Where `resource` comes and goes, if it is transient and only used here.
    fn allocation(&self, resource: Value<'i>) -> Option<[Op<'i>; 2]> {
        let (alloca, _) = resource.definition().filter(|(op, _)| op.name() == ALLOCA)?;
        let is_transient = resource.ty() == self.op.ir().ty("!stream.resource<transient>");
        let users = resource.uses();
        let dealloca = users.iter().copied().find(|user| user.name() == DEALLOCA)?;
        (is_transient && users.iter().all(|user| *user == self.op || *user == dealloca))
            .then_some([alloca, dealloca])
    }

    /// All commands, in order.
    pub(crate) fn commands(&self) -> Result<Vec<Command<'i>>, DialectError> {
        let mut commands = Vec::new();
        for op in self.op.body() {
            let wave = commands.len();
            match op.name() {
                YIELD => {}
                CONCURRENT => {
                    for inner in op.body().filter(|inner| inner.name() != YIELD) {
                        commands.push(Command::of(inner, wave)?);
                    }
                }
                _ => commands.push(Command::of(op, wave)?),
            }
        }
        Ok(commands)
    }

    /// Changes the size of resource number `number`, which is the submission's own, to `bytes`.
    pub(crate) fn resize(&self, number: usize, resource: &Resource<'i>, bytes: Value<'i>) {
        for (op, operand) in resource.allocation.iter().flatten().zip([0, 1]) {
            op.set_operand(operand, bytes);
        }
        self.op.set_operand(self.resources + number, bytes);
    }
}

impl<'i> Command<'i> {
    fn of(op: Op<'i>, wave: usize) -> Result<Self, DialectError> {
        let operands = op.operands();
        let access = |reads, writes, resource: usize, [size_operand, offset_operand, length]: [usize; 3]| {
            let resource = operands[resource];
            let (offset, length) = (constant(op, operands[offset_operand])?, constant(op, operands[length])?);
            Ok(Access { resource, offset, length, reads, writes, size_operand, offset_operand })
        };
        let accesses = match (op.name(), operands.len()) {
            // Resource, its size, offset, length, pattern.
            (FILL, 5) => vec![access(false, true, 0, [1, 2, 3])?],
            // Resource, its size, offset, length: from here on the host may read them.
            (FLUSH, 4) => vec![access(true, false, 0, [1, 2, 3])?],
            // Source, its size, offset; target, its size, offset; length.
            (COPY, 7) => vec![access(true, false, 0, [1, 2, 6])?, access(false, true, 3, [4, 5, 6])?],
            (DISPATCH, _) => {
                // Workload and uniform operands, then resources, their sizes, offsets and lengths.
                let sizes = segments(op, 6)?;
                let (first, count) = (sizes[0] + sizes[1], sizes[2]);
                let modes = op.numbers("resource_accesses").unwrap_or_default();
                if sizes[2..] != [count; 4] || modes.len() != count {
                    return Err(DialectError::of(op, "has other numbers of resources and accesses"));
                }
                let binding = |(number, mode): (usize, i64)| {
                    let at = |segment: usize| first + segment * count + number;
                    access(mode & READ != 0, mode & WRITE != 0, at(0), [at(1), at(2), at(3)])
                };
                modes.into_iter().enumerate().map(binding).collect::<Result<_, _>>()?
            }
            _ => return Err(DialectError::of(op, "is no command that gates are known to work with")),
        };
        Ok(Self { op, wave, accesses })
    }

    /// Moves access number `access` to `offset` in a resource of `size` bytes.
    pub(crate) fn relocate(&self, access: usize, size: Value<'i>, offset: Value<'i>) {
        let Access { size_operand, offset_operand, .. } = self.accesses[access];
        self.op.set_operand(size_operand, size);
        self.op.set_operand(offset_operand, offset);
    }

    /// Puts a copy of what access `from` reads to where access `to` writes in front of this command.
    pub(crate) fn copy_before(&self, from: usize, to: usize) -> Op<'i> {
        let operands = self.op.operands();
        let place = |access: &Access<'i>| {
            [access.resource, operands[access.size_operand], operands[access.offset_operand]]
        };
        let length = self.accesses[to].offset_operand + self.accesses.len();
        let operands =
            [&place(&self.accesses[from])[..], &place(&self.accesses[to]), &[operands[length]]].concat();
        let parts = Parts { operands: &operands, ..Parts::default() };
        self.op.insert_before(COPY, &parts)
    }
}
