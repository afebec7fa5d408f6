//! MLIR text of a kernel, operation by operation.

use std::fmt::{Display, Write as _};

use super::arm::Set;
use super::{Simd, arm, extents};

/// A kernel's body as it grows. Values are SSA names.
pub(super) struct Code {
    text: String,
    names: usize,
    simd: Simd,
    /// Whether vectors are of floats in double precision.
    is_double: bool,
}

/// A buffer of floats in memory, row by row.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    name: String,
    shape: Vec<usize>,
}

impl Memory {
    /// Floats of its last dimension.
    pub(super) fn width(&self) -> usize {
        *self.shape.last().expect("a buffer has dimensions")
    }

    fn ty(&self) -> String {
        format!("memref<{}xf32>", extents(&self.shape))
    }
}

/// `index` constants and values, and vectors.
pub(super) type Value = String;

/// What `step` makes of each.
pub(super) fn each(values: &[Value], step: impl FnMut(&Value) -> Value) -> Vec<Value> {
    values.iter().map(step).collect()
}

/// What `step` makes of each pair.
pub(super) fn each_pair(
    a: &[Value],
    b: &[Value],
    mut step: impl FnMut(&Value, &Value) -> Value,
) -> Vec<Value> {
    a.iter().zip(b).map(|(a, b)| step(a, b)).collect()
}

impl Code {
    pub(super) fn new(simd: Simd) -> Self {
        Self { text: String::new(), names: 0, simd, is_double: false }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    pub(super) fn simd(&self) -> Simd {
        self.simd
    }

    /// `count` names that nothing has yet.
    fn fresh(&mut self, count: usize) -> Vec<Value> {
        let names = (self.names..self.names + count).map(|name| format!("%{name}")).collect();
        self.names += count;
        names
    }

    fn line(&mut self, line: impl Display) {
        let _ = writeln!(self.text, "{line}");
    }

    /// The result of an operation.
    fn operation(&mut self, operation: impl Display) -> Value {
        let [name] = self.fresh(1).try_into().expect("asked for one");
        self.line(format_args!("{name} = {operation}"));
        name
    }

    /// Arm's instruction set, where vectors are its quad registers.
    pub(super) fn arm_quads(&self) -> Option<Set> {
        self.simd.arm.filter(|_| self.simd.lanes == arm::LANES)
    }

    fn vector(&self) -> String {
        let float = if self.is_double { "f64" } else { "f32" };
        format!("vector<{}x{float}>", self.simd.lanes)
    }

    /// What `body` makes of `values` in double precision.
    pub(super) fn in_double(
        &mut self,
        values: &[Value],
        body: impl FnOnce(&mut Self, Vec<Value>) -> Vec<Value>,
    ) -> Vec<Value> {
        let from = self.vector();
        self.is_double = true;
        let to = self.vector();
        let wide = values
            .iter()
            .map(|value| self.operation(format_args!("arith.extf {value} : {from} to {to}")))
            .collect();
        let results = body(self, wide);
        self.is_double = false;
        results
            .iter()
            .map(|result| self.operation(format_args!("arith.truncf {result} : {to} to {from}")))
            .collect()
    }

    /// What `body` writes, with vectors of `lanes` floats.
    pub(super) fn with_lanes(&mut self, lanes: usize, body: impl FnOnce(&mut Self)) {
        let simd = self.simd;
        self.simd = Simd { lanes, ..simd };
        body(self);
        self.simd = simd;
    }

    /// Binding number `number` of the dispatch.
    pub(super) fn binding(&mut self, number: usize, shape: &[usize]) -> Memory {
        self.binding_behind(number, 0, shape)
    }

    /// What of binding number `number` is behind its first `floats`.
    pub(super) fn binding_behind(&mut self, number: usize, floats: usize, shape: &[usize]) -> Memory {
        let mut memory = Memory { name: String::new(), shape: shape.to_vec() };
        let (offset, ty) = (self.index(floats * size_of::<f32>()), memory.ty());
        // No more than a float's own alignment: the compiler passes a slice of a tensor on where it lies.
        memory.name = self.operation(format_args!(
            "hal.interface.binding.subspan layout(#layout) binding({number}) alignment(4) offset({offset}) : {ty}"
        ));
        memory
    }

    /// Number of this workgroup.
    pub(super) fn workgroup(&mut self) -> Value {
        self.operation("hal.interface.workgroup.id[0] : index")
    }

    pub(super) fn index(&mut self, value: usize) -> Value {
        self.operation(format_args!("arith.constant {value} : index"))
    }

    /// `value + offset`.
    pub(super) fn offset(&mut self, value: &Value, offset: usize) -> Value {
        if offset == 0 {
            return value.clone();
        }
        let offset = self.index(offset);
        self.operation(format_args!("arith.addi {value}, {offset} overflow<nsw, nuw> : index"))
    }

    /// `value - offset`, which must not be negative.
    pub(super) fn less(&mut self, value: &Value, offset: usize) -> Value {
        if offset == 0 {
            return value.clone();
        }
        let offset = self.index(offset);
        // No promise that it does not overflow: MLIR folds `value - 2 + 1` into `value + (-1)` and keeps the promise of
        // both, which is wrong for all values then.
        self.operation(format_args!("arith.subi {value}, {offset} : index"))
    }

    pub(super) fn sum(&mut self, a: &Value, b: &Value) -> Value {
        self.operation(format_args!("arith.addi {a}, {b} overflow<nsw, nuw> : index"))
    }

    /// `value * factor`.
    pub(super) fn multiple(&mut self, value: &Value, factor: usize) -> Value {
        if factor == 1 {
            return value.clone();
        }
        let factor = self.index(factor);
        self.operation(format_args!("arith.muli {value}, {factor} overflow<nsw, nuw> : index"))
    }

    /// `value / divisor`, rounded down.
    pub(super) fn quotient(&mut self, value: &Value, divisor: usize) -> Value {
        let divisor = self.index(divisor);
        self.operation(format_args!("arith.divui {value}, {divisor} : index"))
    }

    /// What is left of `value` when it is divided.
    pub(super) fn remainder(&mut self, value: &Value, divisor: usize) -> Value {
        let divisor = self.index(divisor);
        self.operation(format_args!("arith.remui {value}, {divisor} : index"))
    }

    /// `value`, or `limit` if that is less.
    pub(super) fn up_to(&mut self, value: &Value, limit: usize) -> Value {
        let limit = self.index(limit);
        self.operation(format_args!("arith.minui {value}, {limit} : index"))
    }

    /// A loop over `0, step, ...` below `end`, that carries `carried` from one round to the next.
    pub(super) fn accumulate(
        &mut self,
        end: usize,
        step: usize,
        carried: Vec<Value>,
        body: impl FnOnce(&mut Self, &Value, Vec<Value>) -> Vec<Value>,
    ) -> Vec<Value> {
        let (from, to, by) = (self.index(0), self.index(end), self.index(step));
        if end == step {
            return body(self, &from, carried);
        }
        let vector = self.vector();
        let [counter] = self.fresh(1).try_into().expect("asked for one");
        let (inside, outside) = (self.fresh(carried.len()), self.fresh(carried.len()));
        let pairs: Vec<_> = inside.iter().zip(&carried).map(|(a, b)| format!("{a} = {b}")).collect();
        let types = vec![vector; carried.len()].join(", ");
        let bounds = format!("scf.for {counter} = {from} to {to} step {by}");
        if carried.is_empty() {
            self.line(format_args!("{bounds} {{"));
        } else {
            self.line(format_args!(
                "{} = {bounds} iter_args({}) -> ({types}) {{",
                outside.join(", "),
                pairs.join(", ")
            ));
        }
        let results = body(self, &counter, inside);
        if !results.is_empty() {
            self.line(format_args!("scf.yield {} : {types}", results.join(", ")));
        }
        self.line("}");
        outside
    }

    /// A loop over `0, step, ...` below `end`.
    pub(super) fn repeat(&mut self, end: usize, step: usize, body: impl FnOnce(&mut Self, &Value)) {
        self.accumulate(end, step, vec![], |code, counter, _| {
            body(code, counter);
            vec![]
        });
    }

    /// A loop over `from, from + step, ...` below `end`.
    pub(super) fn repeat_from(
        &mut self,
        from: &Value,
        end: usize,
        step: usize,
        body: impl FnOnce(&mut Self, &Value),
    ) {
        let (to, by) = (self.index(end), self.index(step));
        let [counter] = self.fresh(1).try_into().expect("asked for one");
        self.line(format_args!("scf.for {counter} = {from} to {to} step {by} {{"));
        body(self, &counter);
        self.line("}");
    }

    /// Calls `body` for pieces that together are `count` long, with the length and the first place of each: pieces of
    /// `most`, and one of what is left.
    pub(super) fn pieces(
        &mut self,
        count: usize,
        most: usize,
        mut body: impl FnMut(&mut Self, usize, &Value),
    ) {
        let piece = most.min(count);
        let rest = count % piece;
        let end = count - rest;
        self.repeat(end, piece, |code, first| body(code, piece, first));
        if rest > 0 {
            let first = self.index(end);
            body(self, rest, &first);
        }
    }

    /// What `body` does only where `value` is `expected`.
    pub(super) fn only_at(&mut self, value: &Value, expected: usize, body: impl FnOnce(&mut Self)) {
        let expected = self.index(expected);
        let is = self.operation(format_args!("arith.cmpi eq, {value}, {expected} : index"));
        self.line(format_args!("scf.if {is} {{"));
        body(self);
        self.line("}");
    }

    /// What `body` does only where `value` is `from` or more.
    pub(super) fn only_from(&mut self, value: &Value, from: &Value, body: impl FnOnce(&mut Self)) {
        let is = self.operation(format_args!("arith.cmpi uge, {value}, {from} : index"));
        self.line(format_args!("scf.if {is} {{"));
        body(self);
        self.line("}");
    }

    /// What `body` does where `value` is within a range, which it is told, and where it is not.
    pub(super) fn either_within(
        &mut self,
        value: &Value,
        (from, to): (usize, usize),
        mut body: impl FnMut(&mut Self, bool),
    ) {
        let (from, to) = (self.index(from), self.index(to));
        let is_behind = self.operation(format_args!("arith.cmpi uge, {value}, {from} : index"));
        let is_before = self.operation(format_args!("arith.cmpi ult, {value}, {to} : index"));
        let is_within = self.operation(format_args!("arith.andi {is_behind}, {is_before} : i1"));
        self.line(format_args!("scf.if {is_within} {{"));
        body(self, true);
        self.line("} else {");
        body(self, false);
        self.line("}");
    }

    /// Calls `body` for `count` channels: for whole vectors of them first, which it is told, then for single ones.
    pub(super) fn channels(&mut self, count: usize, mut body: impl FnMut(&mut Self, &Value, bool)) {
        let lanes = self.simd.lanes;
        let whole = count - count % lanes;
        if whole > 0 {
            self.repeat(whole, lanes, |code, channel| body(code, channel, true));
        }
        for channel in whole..count {
            let channel = self.index(channel);
            body(self, &channel, false);
        }
    }

    /// The vector at `place`.
    pub(super) fn load(&mut self, memory: &Memory, place: &[Value]) -> Value {
        let vector = self.vector();
        self.operation(format_args!(
            "vector.load {}[{}] : {}, {vector}",
            memory.name,
            place.join(", "),
            memory.ty()
        ))
    }

    /// The vectors that follow one another from `place` on.
    pub(super) fn load_several(&mut self, memory: &Memory, place: &[Value], count: usize) -> Vec<Value> {
        let pairs = if self.arm_quads() == Some(Set::A32) { count / 2 } else { 0 };
        let mut vectors = Vec::with_capacity(count);
        for pair in 0..pairs {
            let at = self.behind(place, 2 * pair);
            vectors.extend(self.load_two(memory, &at));
        }
        for number in 2 * pairs..count {
            let at = self.behind(place, number);
            vectors.push(self.load(memory, &at));
        }
        vectors
    }

    /// The place of the vector that is `number` vectors behind `place`.
    fn behind(&mut self, place: &[Value], number: usize) -> Vec<Value> {
        let (last, others) = place.split_last().expect("a buffer has dimensions");
        let last = self.offset(last, number * self.simd.lanes);
        [others, &[last]].concat()
    }

    /// Two vectors by one instruction, which the compiler does not find by itself.
    fn load_two(&mut self, memory: &Memory, place: &[Value]) -> Vec<Value> {
        let address = self.address(Set::A32, memory, place);
        let pointer = self.operation(format_args!("llvm.inttoptr {address} : i32 to !llvm.ptr"));
        let ty = format!("!llvm.struct<({0}, {0})>", self.vector());
        let both = self.operation(format_args!(
            "llvm.call_intrinsic \"llvm.arm.neon.vld1x2.v4f32.p0\"({pointer}) : (!llvm.ptr) -> {ty}"
        ));
        let half = |number| self.operation(format_args!("llvm.extractvalue {both}[{number}] : {ty}"));
        [0, 1].map(half).to_vec()
    }

    /// The address of what is at `place`.
    fn address(&mut self, set: Set, memory: &Memory, place: &[Value]) -> Value {
        let start = self.operation(format_args!(
            "memref.extract_aligned_pointer_as_index {} : {} -> index",
            memory.name,
            memory.ty()
        ));
        let mut element = self.index(0);
        for (at, extent) in place.iter().zip(&memory.shape) {
            element = self.multiple(&element, *extent);
            element = self.sum(&element, at);
        }
        let bytes = self.multiple(&element, size_of::<f32>());
        let address = self.sum(&start, &bytes);
        self.operation(format_args!("arith.index_cast {address} : index to {}", set.address()))
    }

    /// What `inner` makes of `sums`. The first channel of each of the `pixels` and its first factor are at these places.
    pub(super) fn arm_loop(
        &mut self,
        inner: &arm::Loop,
        sums: &[Value],
        (image, pixels): (&Memory, &[Vec<Value>]),
        (factors, first): (&Memory, &[Value]),
    ) -> Vec<Value> {
        let mut addresses: Vec<_> =
            pixels.iter().map(|pixel| self.address(inner.set, image, pixel)).collect();
        addresses.push(self.address(inner.set, factors, first));
        let integer = inner.set.address();
        let number = |code: &mut Self, value: usize| {
            code.operation(format_args!("arith.constant {value} : {integer}"))
        };
        addresses.extend(inner.turns().map(|turns| number(self, turns)));
        let written = addresses.len();
        addresses.extend(inner.step().map(|step| number(self, step)));
        let types = |numbers: usize| {
            let vectors = sums.iter().map(|_| self.vector());
            vectors.chain((0..numbers).map(|_| integer.to_owned())).collect::<Vec<_>>().join(", ")
        };
        let (ty, from) = (format!("!llvm.struct<({})>", types(written)), types(addresses.len()));
        let operands: Vec<_> = sums.iter().chain(&addresses).cloned().collect();
        let (text, constraints) = (inner.text().replace('\n', "\\0A"), inner.constraints());
        let all = self.operation(format_args!(
            "llvm.inline_asm has_side_effects asm_dialect = att \"{text}\", \"{constraints}\" {} : ({from}) -> {ty}",
            operands.join(", ")
        ));
        let one = |number| self.operation(format_args!("llvm.extractvalue {all}[{number}] : {ty}"));
        (0..sums.len()).map(one).collect()
    }

    pub(super) fn store(&mut self, value: &Value, memory: &Memory, place: &[Value]) {
        let vector = self.vector();
        self.line(format_args!(
            "vector.store {value}, {}[{}] : {}, {vector}",
            memory.name,
            place.join(", "),
            memory.ty()
        ));
    }

    /// Writes `values` one behind the other from `place` on.
    pub(super) fn store_several(&mut self, values: &[Value], memory: &Memory, place: &[Value]) {
        let pairs = if self.arm_quads() == Some(Set::A32) { values.len() / 2 } else { 0 };
        for pair in 0..pairs {
            let at = self.behind(place, 2 * pair);
            self.store_two([&values[2 * pair], &values[2 * pair + 1]], memory, &at);
        }
        for (number, value) in values.iter().enumerate().skip(2 * pairs) {
            let at = self.behind(place, number);
            self.store(value, memory, &at);
        }
    }

    /// Two vectors by one instruction.
    fn store_two(&mut self, [first, second]: [&Value; 2], memory: &Memory, place: &[Value]) {
        let address = self.address(Set::A32, memory, place);
        let pointer = self.operation(format_args!("llvm.inttoptr {address} : i32 to !llvm.ptr"));
        let vector = self.vector();
        self.line(format_args!(
            "llvm.call_intrinsic \"llvm.arm.neon.vst1x2.p0.v4f32\"({pointer}, {first}, {second}) : (!llvm.ptr, {vector}, {vector}) -> ()"
        ));
    }

    /// The one float at `place`.
    pub(super) fn load_one(&mut self, memory: &Memory, place: &[Value]) -> Value {
        self.operation(format_args!("memref.load {}[{}] : {}", memory.name, place.join(", "), memory.ty()))
    }

    pub(super) fn store_one(&mut self, value: &Value, memory: &Memory, place: &[Value]) {
        self.line(format_args!(
            "memref.store {value}, {}[{}] : {}",
            memory.name,
            place.join(", "),
            memory.ty()
        ));
    }

    /// A vector of which only the first `count` lanes are from `place` on, and the others zero.
    pub(super) fn load_part(&mut self, memory: &Memory, place: &[Value], count: usize) -> Value {
        let ty = self.vector();
        let mut vector = self.constant(0.0);
        for lane in 0..count {
            let at = self.lane_behind(place, lane);
            let element = self.load_one(memory, &at);
            vector =
                self.operation(format_args!("vector.insert {element}, {vector}[{lane}] : f32 into {ty}"));
        }
        vector
    }

    /// Writes the first `count` lanes of `vector` from `place` on.
    pub(super) fn store_part(&mut self, vector: &Value, memory: &Memory, place: &[Value], count: usize) {
        let ty = self.vector();
        for lane in 0..count {
            let element = self.operation(format_args!("vector.extract {vector}[{lane}] : f32 from {ty}"));
            let at = self.lane_behind(place, lane);
            self.store_one(&element, memory, &at);
        }
    }

    /// The place of the float that is `lane` behind the one at `place`.
    fn lane_behind(&mut self, place: &[Value], lane: usize) -> Vec<Value> {
        let (last, before) = place.split_last().expect("a place has an index");
        let last = self.offset(last, lane);
        before.iter().cloned().chain([last]).collect()
    }

    /// The one float at `place`, in all lanes.
    pub(super) fn load_splat(&mut self, memory: &Memory, place: &[Value]) -> Value {
        let element = self.load_one(memory, place);
        self.splat(&element)
    }

    /// Lane `lane` of `vector`, in all lanes.
    pub(super) fn lane(&mut self, vector: &Value, lane: usize) -> Value {
        let ty = self.vector();
        let element = self.operation(format_args!("vector.extract {vector}[{lane}] : f32 from {ty}"));
        self.splat(&element)
    }

    pub(super) fn splat(&mut self, element: &Value) -> Value {
        let ty = self.vector();
        self.operation(format_args!("vector.broadcast {element} : f32 to {ty}"))
    }

    /// The first lane of `vector`.
    pub(super) fn first_lane(&mut self, vector: &Value) -> Value {
        let ty = self.vector();
        self.operation(format_args!("vector.extract {vector}[0] : f32 from {ty}"))
    }

    /// One float of all lanes of `vectors`, put together two by two.
    pub(super) fn fold(
        &mut self,
        vectors: Vec<Value>,
        mut together: impl FnMut(&mut Self, &Value, &Value) -> Value,
    ) -> Value {
        let vector = vectors.into_iter().reduce(|a, b| together(self, &a, &b)).expect("there is a vector");
        self.fold_lanes(&vector, &mut together)
    }

    fn fold_lanes(
        &mut self,
        vector: &Value,
        together: &mut impl FnMut(&mut Self, &Value, &Value) -> Value,
    ) -> Value {
        let (whole, half) = (self.simd.lanes, self.simd.lanes / 2);
        if half == 0 {
            return self.first_lane(vector);
        }
        let halves = [0, half].map(|first| {
            self.operation(format_args!(
                "\"vector.extract_strided_slice\"({vector}) <{{offsets = [{first}], sizes = [{half}], strides = [1]}}> \
                 : (vector<{whole}xf32>) -> vector<{half}xf32>"
            ))
        });
        let mut result = Value::new();
        self.with_lanes(half, |code| {
            let both = together(code, &halves[0], &halves[1]);
            result = code.fold_lanes(&both, together);
        });
        result
    }

    /// `value` as one float.
    pub(super) fn scalar(&mut self, value: f32) -> Value {
        self.operation(format_args!("arith.constant 0x{:08X} : f32", value.to_bits()))
    }

    /// `value` in all lanes.
    pub(super) fn constant(&mut self, value: f64) -> Value {
        let ty = self.vector();
        if self.is_double {
            return self.operation(format_args!("arith.constant dense<0x{:016X}> : {ty}", value.to_bits()));
        }
        #[expect(clippy::cast_possible_truncation, reason = "vectors hold floats")]
        let bits = (value as f32).to_bits();
        self.operation(format_args!("arith.constant dense<0x{bits:08X}> : {ty}"))
    }

    fn binary(&mut self, name: &str, a: &Value, b: &Value) -> Value {
        let ty = self.vector();
        self.operation(format_args!("arith.{name} {a}, {b} : {ty}"))
    }

    pub(super) fn add(&mut self, a: &Value, b: &Value) -> Value {
        self.binary("addf", a, b)
    }

    /// The sum of two single floats.
    pub(super) fn add_one(&mut self, a: &Value, b: &Value) -> Value {
        self.operation(format_args!("arith.addf {a}, {b} : f32"))
    }

    /// The quotient of two single floats.
    pub(super) fn divide_one(&mut self, a: &Value, b: &Value) -> Value {
        self.operation(format_args!("arith.divf {a}, {b} : f32"))
    }

    /// The square root of a single float.
    pub(super) fn square_root_one(&mut self, value: &Value) -> Value {
        self.operation(format_args!("math.sqrt {value} : f32"))
    }

    pub(super) fn subtract(&mut self, a: &Value, b: &Value) -> Value {
        self.binary("subf", a, b)
    }

    pub(super) fn multiply(&mut self, a: &Value, b: &Value) -> Value {
        self.binary("mulf", a, b)
    }

    pub(super) fn divide(&mut self, a: &Value, b: &Value) -> Value {
        self.binary("divf", a, b)
    }

    fn integers(&self) -> String {
        format!("vector<{}xi32>", self.simd.lanes)
    }

    /// The bits of floats, as integers.
    pub(super) fn bits(&mut self, value: &Value) -> Value {
        let (from, to) = (self.vector(), self.integers());
        self.operation(format_args!("arith.bitcast {value} : {from} to {to}"))
    }

    /// The floats that have these bits.
    pub(super) fn of_bits(&mut self, bits: &Value) -> Value {
        let (from, to) = (self.integers(), self.vector());
        self.operation(format_args!("arith.bitcast {bits} : {from} to {to}"))
    }

    fn integer_constant(&mut self, value: i32) -> Value {
        let ty = self.integers();
        self.operation(format_args!("arith.constant dense<{value}> : {ty}"))
    }

    fn integer_binary(&mut self, name: &str, a: &Value, b: &Value) -> Value {
        let ty = self.integers();
        self.operation(format_args!("arith.{name} {a}, {b} : {ty}"))
    }

    pub(super) fn shift_left(&mut self, bits: &Value, places: i32) -> Value {
        let places = self.integer_constant(places);
        self.integer_binary("shli", bits, &places)
    }

    /// `bits + value`, as integers.
    pub(super) fn add_to_bits(&mut self, bits: &Value, value: i32) -> Value {
        let value = self.integer_constant(value);
        self.integer_binary("addi", bits, &value)
    }

    /// The sum of both, as integers.
    pub(super) fn add_bits(&mut self, a: &Value, b: &Value) -> Value {
        self.integer_binary("addi", a, b)
    }

    /// 32-bit Arm's first guess at a reciprocal, with 8 right bits.
    pub(super) fn reciprocal_guess(&mut self, value: &Value) -> Value {
        let (ty, lanes) = (self.vector(), self.simd.lanes);
        self.operation(format_args!(
            "llvm.call_intrinsic \"llvm.arm.neon.vrecpe.v{lanes}f32\"({value}) : ({ty}) -> {ty}"
        ))
    }

    /// What a guess at the reciprocal of `value` is multiplied by for a better one: `2 - value * guess`.
    pub(super) fn reciprocal_step(&mut self, value: &Value, guess: &Value) -> Value {
        let (ty, lanes) = (self.vector(), self.simd.lanes);
        self.operation(format_args!(
            "llvm.call_intrinsic \"llvm.arm.neon.vrecps.v{lanes}f32\"({value}, {guess}) : ({ty}, {ty}) -> {ty}"
        ))
    }

    /// `value`, or `limit` where that is greater. What is no number stays none.
    pub(super) fn at_least(&mut self, value: &Value, limit: &Value) -> Value {
        self.limited("maximumf", "ogt", value, limit)
    }

    /// `value`, or `limit` where that is less.
    pub(super) fn at_most(&mut self, value: &Value, limit: &Value) -> Value {
        self.limited("minimumf", "olt", value, limit)
    }

    fn select(&mut self, condition: &Value, then: &Value, otherwise: &Value) -> Value {
        let (flags, ty) = (format!("vector<{}xi1>", self.simd.lanes), self.vector());
        self.operation(format_args!("arith.select {condition}, {then}, {otherwise} : {flags}, {ty}"))
    }

    fn limited(&mut self, operation: &str, predicate: &str, value: &Value, limit: &Value) -> Value {
        if self.simd.has_maximum {
            return self.binary(operation, value, limit);
        }
        let exceeds = self.binary(&format!("cmpf {predicate},"), limit, value);
        self.select(&exceeds, limit, value)
    }

    /// `a * b + c`.
    pub(super) fn multiply_add(&mut self, a: &Value, b: &Value, c: &Value) -> Value {
        if self.simd.fused {
            let ty = self.vector();
            return self.operation(format_args!("vector.fma {a}, {b}, {c} : {ty}"));
        }
        let product = self.multiply(a, b);
        self.add(c, &product)
    }
}
