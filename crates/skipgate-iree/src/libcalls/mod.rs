//! Functions that LLVM's code for 32-bit Arm calls and that the compiler has no library for: division of 64-bit integers,
//! casts between them and floats, and the little of C's mathematics that has neither an instruction nor a place in the
//! compiler's own library. They are written in Rust, in `skipgate-libcalls`.

mod code;

use object::elf::{EF_ARM_ABI_FLOAT_HARD, EF_ARM_EABI_VER5};
use object::write::{Object, StandardSection, Symbol, SymbolSection};
use object::{Architecture, BinaryFormat, Endianness, FileFlags, SymbolFlags, SymbolKind, SymbolScope};

use skipgate_core::Target;

use code::{FUNCTIONS, SOFTWARE_DIVISION};

/// LLVM's names of the 32-bit Arm processors that skipgate knows and that have no instruction for divisions.
const WITHOUT_DIVISION: [&str; 1] = ["cortex-a9"];

/// The functions that code for `target` calls, with their instructions.
fn functions(target: &Target) -> Vec<(&'static str, &'static [u32])> {
    if !WITHOUT_DIVISION.contains(&target.cpu.as_str()) {
        return FUNCTIONS.to_vec();
    }
    let replaced = |name| SOFTWARE_DIVISION.iter().any(|&(other, _)| other == name);
    let others = FUNCTIONS.iter().filter(|&&(name, _)| !replaced(name));
    others.chain(SOFTWARE_DIVISION).copied().collect()
}

/// An object file with the functions that code for `target` calls, for the hard-float ABI. They are weak: the compiler's
/// own win where it has them.
pub(crate) fn arm_object(target: &Target) -> Result<Vec<u8>, object::write::Error> {
    let mut object = Object::new(BinaryFormat::Elf, Architecture::Arm, Endianness::Little);
    let e_flags = EF_ARM_EABI_VER5 | EF_ARM_ABI_FLOAT_HARD;
    object.flags = FileFlags::Elf { os_abi: 0, abi_version: 0, e_flags };
    for (name, words) in functions(target) {
        let code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        // Each in a section of its own, so that the linker leaves out what nothing calls.
        let section = object.add_subsection(StandardSection::Text, name.as_bytes());
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
mod tests;
