//! Instructions as QEMU's disassembler writes them, turned into what LLVM's machine code analyser reads.
//!
//! Only what an instruction costs has to stay the same, not what it computes. What the analyser has no cost for is an error
//! that names the instruction; [`with_cost`] is where it belongs.

/// Float instructions that a Cortex-A15 splits into two halves, by their name up to the type.
const SPLIT: [&str; 7] = ["vadd", "vsub", "vmul", "vmla", "vmls", "vfma", "vfms"];

/// Instructions that move a list of registers: the beginning of their name, and what moves a single one.
const LISTS: [(&str, &str); 8] = [
    ("vldm", "vldr"),
    ("vpop", "vldr"),
    ("vstm", "vstr"),
    ("vpush", "vstr"),
    ("ldm", "ldr"),
    ("pop", "ldr"),
    ("stm", "str"),
    ("push", "str"),
];

/// Hints, barriers and moves of coprocessors, for which the analyser's model of the Cortex-A9 has no cost.
const WITHOUT_COST: [&str; 6] = ["nop", "dmb", "dsb", "isb", "mrc", "mcr"];

/// Other instructions without one: the beginning of their name, and that of one which does as much.
const AS_MUCH: [(&str, &str); 6] = [
    ("vswp", "vtrn.32"),
    ("vpadd.", "vadd."),
    ("vpmax.", "vmax."),
    ("vpmin.", "vmin."),
    ("uadd8", "add"),
    ("sel", "and"),
];

/// The name of an instruction and its operands.
fn parts(instruction: &str) -> (&str, &str) {
    let (name, operands) = instruction.split_once(' ').unwrap_or((instruction, ""));
    (name, operands.trim())
}

/// Where a direct branch goes.
pub(super) fn branch_target(instruction: &str) -> Option<u64> {
    let (name, operands) = parts(instruction);
    let (compares, target) = (name.starts_with("cb"), operands.rsplit(", ").next()?);
    let branches = compares || (name.starts_with('b') && operands.starts_with('#'));
    u64::from_str_radix(target.strip_prefix("#0x").filter(|_| branches)?, 16).ok()
}

/// The instruction with no address of the process in it, and without what the analyser takes for a hundred cycles: calls
/// become branches.
pub(super) fn anywhere(instruction: &str) -> String {
    let (name, operands) = parts(instruction);
    match (branch_target(instruction), operands.rsplit_once(", ")) {
        (Some(_), Some((register, _))) => format!("{name} {register}, #4"),
        (Some(_), None) if is_call(name) => "b #4".to_owned(),
        (Some(_), None) => format!("{name} #4"),
        (None, _) if is_call(name) => format!("bx {operands}"),
        // QEMU disassembles each instruction alone, so those behind an `it` are written without their condition.
        (None, _) if name.starts_with("it") => "nop".to_owned(),
        (None, _) => format!("{name} {operands}").trim_end().to_owned(),
    }
}

/// `bl`, `blx` and those with a condition, `blne`, but not `ble` or `blt.w`.
fn is_call(name: &str) -> bool {
    let name = name.trim_end_matches(".w");
    name == "bl" || name.starts_with("blx") || (name.starts_with("bl") && name.len() == 4)
}

/// The instruction in terms that the analyser's model of the Cortex-A9 has a cost for.
pub(super) fn with_cost(instruction: &str) -> Vec<String> {
    let (name, operands) = parts(instruction);
    if WITHOUT_COST.contains(&name) {
        return vec!["mov ip, ip".to_owned()];
    }
    for (beginning, as_much) in AS_MUCH {
        if let Some(end) = name.strip_prefix(beginning) {
            return vec![format!("{as_much}{end} {operands}")];
        }
    }
    match operands.strip_suffix(", #0").and_then(|registers| registers.rsplit_once(", ")) {
        // A comparison with zero costs as much as one with a register.
        Some((_, register)) if name.starts_with("vc") => {
            vec![instruction.replace("#0", register)]
        }
        _ => without_list(instruction),
    }
}

/// A move of a list of registers as moves of the single ones; anything else as it is.
fn without_list(instruction: &str) -> Vec<String> {
    let (name, operands) = parts(instruction);
    let list = operands.split_once('{').and_then(|(base, list)| Some((base, list.strip_suffix('}')?)));
    let single = LISTS.iter().find(|(beginning, _)| name.starts_with(beginning));
    let (Some((_, single)), Some((base, list))) = (single, list) else { return vec![instruction.to_owned()] };
    let base = base.trim_end_matches([' ', ',']);
    let (base, moves) = match base.strip_suffix('!') {
        Some(base) => (base, true),
        None if base.is_empty() => ("sp", true),
        None => (base, false),
    };
    let mut singles: Vec<_> =
        list.split(", ").map(|register| format!("{single} {register}, [{base}]")).collect();
    singles.extend(moves.then(|| format!("add {base}, {base}, #4")));
    singles
}

/// A float instruction on quad registers as two on double registers.
pub(super) fn in_halves(instruction: &str) -> Vec<String> {
    let (name, operands) = parts(instruction);
    let is_split = name.strip_suffix(".f32").is_some_and(|name| SPLIT.contains(&name));
    if !is_split || !operands.starts_with('q') {
        return vec![instruction.to_owned()];
    }
    let half = |half| {
        let operands: Vec<_> = operands.split(", ").map(|operand| half_of(operand, half)).collect();
        format!("{name} {}", operands.join(", "))
    };
    vec![half(0), half(1)]
}

/// The double register that is one half of a quad register; anything else as it is.
fn half_of(operand: &str, half: usize) -> String {
    let number = operand.strip_prefix('q').and_then(|number| number.parse::<usize>().ok());
    number.map_or_else(|| operand.to_owned(), |number| format!("d{}", 2 * number + half))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_direct_branches_have_a_target() {
        for (instruction, target) in [
            ("bne #0x2c1b58", Some(0x2c_1b58)),
            ("b.w #0x10", Some(0x10)),
            ("cbz r3, #0x2a9622", Some(0x2a_9622)),
            ("bic r0, r1, #0x1f", None),
            ("bx lr", None),
            ("subs r0, r0, #0x10", None),
        ] {
            assert_eq!(branch_target(instruction), target, "{instruction}");
        }
    }

    #[test]
    fn calls_become_branches_and_addresses_vanish() {
        for (instruction, expected) in [
            ("bl #0x2bda20", "b #4"),
            ("blne #0x2bda20", "b #4"),
            ("blt.w #0x2bda20", "blt.w #4"),
            ("cbnz r3, #0x2a9622", "cbnz r3, #4"),
            ("blx r3", "bx r3"),
            ("ittt ne", "nop"),
            ("nop ", "nop"),
            ("ldr r2, [pc, #0xdc]", "ldr r2, [pc, #0xdc]"),
        ] {
            assert_eq!(anywhere(instruction), expected);
        }
    }

    #[test]
    fn lists_become_single_moves() {
        let moves = |instruction| with_cost(instruction).join("; ");
        assert_eq!(moves("vldmia r2!, {d8, d9}"), "vldr d8, [r2]; vldr d9, [r2]; add r2, r2, #4");
        assert_eq!(moves("stm.w r1, {r2, r3}"), "str r2, [r1]; str r3, [r1]");
        assert_eq!(moves("push {r4, lr}"), "str r4, [sp]; str lr, [sp]; add sp, sp, #4");
        assert_eq!(moves("vld1.32 {d16, d17}, [r2]!"), "vld1.32 {d16, d17}, [r2]!");
    }

    #[test]
    fn what_has_no_cost_gets_that_of_its_like() {
        for (instruction, like) in [
            ("dmb ish", "mov ip, ip"),
            ("vswp d1, d4", "vtrn.32 d1, d4"),
            ("vpadd.f32 d0, d1, d2", "vadd.f32 d0, d1, d2"),
            ("vclt.f32 q0, q1, #0", "vclt.f32 q0, q1, q1"),
            ("vcmpe.f32 s0, #0", "vcmpe.f32 s0, #0"),
        ] {
            assert_eq!(with_cost(instruction), [like]);
        }
    }

    #[test]
    fn floats_in_quad_registers_have_halves() {
        let halves = in_halves("vmla.f32 q15, q5, d6[1]");
        assert_eq!(halves, ["vmla.f32 d30, d10, d6[1]", "vmla.f32 d31, d11, d6[1]"]);
        for whole in ["vmla.f32 s0, s1, s2", "vadd.i32 q0, q1, q2", "vmla.f32 d0, d1, d2"] {
            assert_eq!(in_halves(whole), [whole]);
        }
    }
}
