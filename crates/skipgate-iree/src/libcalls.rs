//! Functions of the C library that the compiler's code for 32-bit Arm calls and that its own library leaves out: the
//! maximum and the minimum of two floats, for which NEON of that architecture has no instruction.

use object::elf::{EF_ARM_ABI_FLOAT_HARD, EF_ARM_EABI_VER5};
use object::write::{Object, Symbol, SymbolSection};
use object::{Architecture, BinaryFormat, Endianness, FileFlags, SymbolFlags, SymbolKind, SymbolScope};

/// `fmaxf`: arguments in `s0` and `s1`, the result in `s0`. A number wins over what is none.
const MAXIMUM: [u32; 7] = [
    0xEEB4_0A60, // vcmp.f32 s0, s1
    0xEEF1_FA10, // vmrs APSR_nzcv, fpscr
    0x4EB0_0A60, // vmovmi.f32 s0, s1   where s0 < s1
    0xEEB4_0A40, // vcmp.f32 s0, s0
    0xEEF1_FA10, // vmrs APSR_nzcv, fpscr
    0x6EB0_0A60, // vmovvs.f32 s0, s1   where s0 is not a number
    0xE12F_FF1E, // bx lr
];

/// `fminf`, the same with the other comparison.
const MINIMUM: [u32; 7] = [
    0xEEB4_0A60, // vcmp.f32 s0, s1
    0xEEF1_FA10, // vmrs APSR_nzcv, fpscr
    0xCEB0_0A60, // vmovgt.f32 s0, s1   where s0 > s1
    0xEEB4_0A40, // vcmp.f32 s0, s0
    0xEEF1_FA10, // vmrs APSR_nzcv, fpscr
    0x6EB0_0A60, // vmovvs.f32 s0, s1
    0xE12F_FF1E, // bx lr
];

/// An object file with these functions, for the hard-float ABI. They are weak: the compiler's own win where it has them.
pub(crate) fn arm_object() -> Result<Vec<u8>, object::write::Error> {
    let mut object = Object::new(BinaryFormat::Elf, Architecture::Arm, Endianness::Little);
    let e_flags = EF_ARM_EABI_VER5 | EF_ARM_ABI_FLOAT_HARD;
    object.flags = FileFlags::Elf { os_abi: 0, abi_version: 0, e_flags };
    for (name, code) in [("fmaxf", MAXIMUM), ("fminf", MINIMUM)] {
        let code = code.map(u32::to_le_bytes).concat();
        // Each in a section of its own, so that the linker leaves out what nothing calls.
        let section = object.add_subsection(object::write::StandardSection::Text, name.as_bytes());
        let value = object.append_section_data(section, &code, 4);
        let mapping = |name: &[u8], kind, size, scope, weak| Symbol {
            name: name.to_vec(),
            value,
            size,
            kind,
            scope,
            weak,
            section: SymbolSection::Section(section),
            flags: SymbolFlags::None,
        };
        // Says that what follows is Arm code, not Thumb or data (ELF for the Arm architecture, mapping symbols).
        object.add_symbol(mapping(b"$a", SymbolKind::Label, 0, SymbolScope::Compilation, false));
        let size = code.len() as u64;
        object.add_symbol(mapping(name.as_bytes(), SymbolKind::Text, size, SymbolScope::Linkage, true));
    }
    object.write()
}

#[cfg(test)]
mod tests {
    use object::{Object as _, ObjectSymbol as _};

    #[test]
    fn the_object_defines_both_functions_weakly_and_needs_nothing() {
        let bytes = super::arm_object().unwrap();
        let file = object::File::parse(&bytes[..]).unwrap();
        let functions: Vec<_> = file.symbols().filter(|symbol| symbol.size() > 0).collect();
        let names: Vec<_> = functions.iter().map(|symbol| symbol.name().unwrap()).collect();
        assert_eq!(names, ["fmaxf", "fminf"]);
        assert!(functions.iter().all(|symbol| symbol.is_weak() && symbol.size() == 28));
        assert!(file.symbols().all(|symbol| !symbol.is_undefined()));
    }
}
