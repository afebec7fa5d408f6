//! `cargo xtask libcalls`: the machine code of `skipgate-libcalls`, as a file of numbers that `skipgate-iree` hands to the
//! linker.
//!
//! Whoever compiles for the board then needs no Rust compiler for it, and the code is text that a change can be read in.
//! Another Rust compiler would write other instructions for the same functions, so the file names the one it is from, and
//! is compared word by word where the same one is at hand, and by the hash of its source everywhere.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use sha2::{Digest as _, Sha256};

use crate::board::Family;
use crate::process::{CommandExt, say};
use crate::setup;
use crate::setup::rust::BoardRust;
use crate::workspace::Workspace;

/// What is compiled; the first file is the root.
const SOURCES: [&str; 2] =
    ["crates/skipgate-libcalls/src/lib.rs", "crates/skipgate-libcalls/src/exported.rs"];

/// What is written.
const CODE: &str = "crates/skipgate-iree/src/libcalls/code.rs";

/// Writes the file, or, with `check`, fails when it is not what would be written.
pub(crate) fn generate(workspace: &Workspace, check: bool) -> Result<()> {
    setup::system::require(setup::system::BASE)?;
    let rust = BoardRust::prepare(workspace, Family::Armv7)?;
    let version = rust.rustc(workspace).arg("--version").read()?;
    let (path, head) = (workspace.path(CODE), Head { source: source_hash(workspace)?, rustc: version });
    if check {
        let found = fs_err::read_to_string(&path)?;
        ensure!(found.contains(&head.source_line()), "{}", out_of_date("its source changed"));
        if !found.contains(&head.rustc_line()) {
            say(&format!(
                "{CODE} is not compared: it is from another compiler than {}",
                head.rustc.trim_end()
            ));
            return Ok(());
        }
        let same = found == text(&head, &listings(workspace, &rust)?)?;
        ensure!(same, "{}", out_of_date("the compiler writes other code"));
        return Ok(());
    }
    fs_err::write(&path, text(&head, &listings(workspace, &rust)?)?)?;
    workspace.command("rustfmt").args(["--edition", "2024"]).arg(&path).run()
}

fn out_of_date(why: &str) -> String {
    format!("`{CODE}` is out of date ({why}); run `cargo xtask libcalls`")
}

/// What the file says of where it is from.
struct Head {
    source: String,
    rustc: String,
}

impl Head {
    fn source_line(&self) -> String {
        format!("// SHA-256 of the source: {}\n", self.source)
    }

    fn rustc_line(&self) -> String {
        format!("// Compiler: {}\n", self.rustc.trim_end())
    }
}

fn source_hash(workspace: &Workspace) -> Result<String> {
    let mut hash = Sha256::new();
    for source in SOURCES {
        hash.update(fs_err::read(workspace.path(source))?);
    }
    Ok(hex::encode(hash.finalize()))
}

/// One table of the file.
struct Table {
    name: &'static str,
    meaning: &'static str,
    cpu: &'static str,
    /// Further arguments of the compiler.
    arguments: &'static [&'static str],
}

const TABLES: [Table; 2] = [
    Table {
        name: "FUNCTIONS",
        meaning: "Names and instructions of functions that need nothing but themselves.",
        cpu: "cortex-a15",
        arguments: &[],
    },
    Table {
        name: "SOFTWARE_DIVISION",
        meaning: "Those that take the place of others, or are missing, where the processor does not divide.",
        cpu: "cortex-a9",
        arguments: &["--cfg", "feature=\"software-division\""],
    },
];

/// The functions of each table as `objdump` lists them.
fn listings(workspace: &Workspace, rust: &BoardRust) -> Result<Vec<String>> {
    TABLES.iter().map(|table| disassembled(workspace, rust, table)).collect()
}

/// The functions as `objdump` lists them, with relocations.
fn disassembled(workspace: &Workspace, rust: &BoardRust, table: &Table) -> Result<String> {
    let object = workspace.path("target/libcalls.o");
    fs_err::create_dir_all(workspace.path("target"))?;
    let mut rustc = rust.rustc(workspace);
    rustc.args(["--edition", "2024", "--crate-type", "lib", "--crate-name", "skipgate_libcalls"]);
    rustc.args(["--emit", "obj", "--target", Family::Armv7.rust_target(), "-Copt-level=2"]);
    rustc.arg(format!("-Ctarget-cpu={}", table.cpu)).args(table.arguments);
    rustc.args(["-Cpanic=abort", "-Ccodegen-units=1"]).arg(Path::new(SOURCES[0]));
    rustc.arg("-o").arg(&object).run()?;
    workspace.command("arm-linux-gnueabihf-objdump").args(["-d", "-r"]).arg(&object).read()
}

/// The Rust file for listings of `objdump`, one for each table.
fn text(head: &Head, listings: &[String]) -> Result<String> {
    let mut text = String::from("// Written by `cargo xtask libcalls` from crates/skipgate-libcalls.\n");
    text += &(head.source_line() + &head.rustc_line());
    for (table, listing) in TABLES.iter().zip(listings) {
        writeln!(text, "\n/// {}", table.meaning)?;
        writeln!(text, "pub(super) const {}: &[(&str, &[u32])] = &[", table.name)?;
        for function in functions(listing)? {
            writeln!(text, "    (\n        \"{}\",\n        &[", function.name)?;
            for (word, meaning) in &function.code {
                writeln!(text, "            0x{:04X}_{:04X}, // {meaning}", word >> 16, word & 0xffff)?;
            }
            text += "        ],\n    ),\n";
        }
        text += "];\n";
    }
    Ok(text)
}

/// One function of a listing.
#[derive(Debug, PartialEq)]
struct Function {
    name: String,
    /// Each word and what it means.
    code: Vec<(u32, String)>,
}

fn functions(listing: &str) -> Result<Vec<Function>> {
    let mut functions: Vec<Function> = Vec::new();
    for line in listing.lines() {
        if let Some(name) = symbol(line) {
            functions.push(Function { name: name.to_owned(), code: Vec::new() });
        } else if line.contains("R_ARM_") {
            let name = functions.last().map_or("the object", |function| &function.name);
            bail!("`{name}` refers to something outside of itself:{line}");
        } else if line.starts_with(' ') && line.contains(":\t") {
            let function = functions.last_mut().context("objdump lists code of no function")?;
            function.code.push(instruction(line)?);
        }
    }
    ensure!(!functions.is_empty(), "objdump lists no function");
    functions.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(functions)
}

/// The name in `00000000 <name>:`.
fn symbol(line: &str) -> Option<&str> {
    line.strip_suffix(">:")?.split_once(" <").map(|(_, name)| name)
}

/// The word and the meaning in `   0:\te12fff1e \tbx\tlr`.
fn instruction(line: &str) -> Result<(u32, String)> {
    let mut fields = line.split('\t').skip(1).map(str::trim);
    let word = fields.next().and_then(|word| u32::from_str_radix(word, 16).ok());
    let word = word.with_context(|| format!("objdump lists no word of 32 bits in `{line}`"))?;
    Ok((word, fields.collect::<Vec<_>>().join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "\n/tmp/libcalls.o:     file format elf32-littlearm\n\n\nDisassembly of section .text.two:\n\n\
        00000000 <two>:\n   0:\te3a00002 \tmov\tr0, #2\n   4:\te12fff1e \tbx\tlr\n\n\
        Disassembly of section .text.one:\n\n00000000 <one>:\n   0:\te12fff1e \tbx\tlr\n   4:\t3df00000 \t.word\t0x3df00000\n";

    #[test]
    fn functions_are_read_from_a_listing() {
        let found = functions(LISTING).unwrap();
        assert_eq!(found.iter().map(|function| function.name.as_str()).collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(found[0].code[1], (0x3df0_0000, ".word 0x3df00000".to_owned()));
        assert_eq!(found[1].code[0], (0xe3a0_0002, "mov r0, #2".to_owned()));
    }

    #[test]
    fn a_function_that_calls_another_is_refused() {
        let calling = LISTING.to_owned() + "\t\t\t4: R_ARM_CALL\t__aeabi_uidiv\n";
        let error = functions(&calling).unwrap_err().to_string();
        assert!(error.starts_with("`one` refers to something outside of itself"), "{error}");
    }
}
