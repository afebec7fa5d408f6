//! `cargo xtask profile`: which kernels of an artifact for a board execute how many instructions.
//!
//! The kernels are one ELF library inside the vmfb, which has no symbols, but a table of its functions and their names
//! (`iree_hal_executable_export_table_v0_t` in IREE's `executable_library.h`). The runtime loads the library anywhere;
//! the address follows from the functions that were seen to run.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use comfy_table::{CellAlignment, Table, presets};
use object::{Object as _, ObjectSection as _};
use serde::Serialize;
use skipgate_core::{Manifest, SkipMask, VMFB_FILE};

use crate::board::Board;
use crate::demo::build::BoardProfile;
use crate::demo::program::Arguments;
use crate::demo::tensor::Tensor;
use crate::demo::{Format, read_manifest};
use crate::instructions::IMAGES;
use crate::process::say;
use crate::setup;
use crate::setup::qemu::Block;
use crate::workspace::Workspace;

/// Libraries are loaded at multiples of this.
pub(crate) const PAGE: u64 = 4096;

/// A line of the table.
#[derive(Debug, Serialize)]
struct Line {
    kernel: String,
    /// Executed per inference.
    instructions: u64,
    /// Of all instructions.
    share: f64,
}

/// Prints the instructions of one inference with all blocks by kernel, the most first.
pub(crate) fn run(workspace: &Workspace, artifact: &Path, format: Format) -> Result<()> {
    let tools = setup::for_demo(workspace)?;
    let (manifest, library) = board_artifact(artifact)?;
    let board = Board::prepare(workspace, &tools, &manifest.target, BoardProfile::Shipped)?;
    let dir = workspace.path("target/profile");
    fs_err::create_dir_all(&dir)?;
    say(&format!("Profiling {}", artifact.display()));
    let mask = SkipMask::all_run(manifest.gates.len());
    let count = |images: usize| -> Result<BTreeMap<String, u64>> {
        let (input, output) = (dir.join(format!("{images}.npy")), dir.join("logits.npy"));
        Tensor::pattern(&manifest, images)?.write(&input)?;
        let arguments = Arguments::new(artifact, &mask, &input, &output);
        library.attribute(&arguments.profile(&board)?)
    };
    let lines = per_inference(&count(IMAGES[0])?, &count(IMAGES[1])?);
    match format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&lines)?),
        Format::Text => println!("{}", table(&lines)),
    }
    Ok(())
}

/// The manifest of an artifact for a board, and its kernels.
pub(crate) fn board_artifact(artifact: &Path) -> Result<(Manifest, Library)> {
    let manifest = read_manifest(artifact)?;
    let library = Library::read(&fs_err::read(artifact.join(VMFB_FILE))?)
        .with_context(|| format!("cannot find the kernels in {}", artifact.display()))?;
    Ok((manifest, library))
}

fn per_inference(few: &BTreeMap<String, u64>, many: &BTreeMap<String, u64>) -> Vec<Line> {
    let more = (IMAGES[1] - IMAGES[0]) as u64;
    let counts: Vec<_> = many
        .iter()
        .map(|(kernel, count)| (kernel, count.saturating_sub(few.get(kernel).copied().unwrap_or(0)) / more))
        .filter(|(_, count)| *count > 0)
        .collect();
    let total: u64 = counts.iter().map(|(_, count)| count).sum();
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    let line = |(kernel, instructions): (&String, u64)| Line {
        kernel: kernel.clone(),
        instructions,
        share: instructions as f64 / total as f64,
    };
    let mut lines: Vec<_> = counts.into_iter().map(line).collect();
    lines.sort_by_key(|line| std::cmp::Reverse(line.instructions));
    lines
}

fn table(lines: &[Line]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(["kernel", "instructions", "share"]);
    for Line { kernel, instructions, share } in lines {
        table.add_row([kernel.clone(), instructions.to_string(), format!("{:.1} %", 100.0 * share)]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

/// The functions of the kernels' library.
pub(crate) struct Library {
    /// Name by address in the file, and the end of the last.
    functions: BTreeMap<u64, String>,
    end: u64,
}

impl Library {
    fn read(vmfb: &[u8]) -> Result<Self> {
        let start = vmfb.windows(4).position(|bytes| bytes == b"\x7fELF").context("it holds no ELF file")?;
        let elf = object::File::parse(&vmfb[start..])?;
        let section = |name: &str| -> Result<(u64, &[u8])> {
            let section = elf.section_by_name(name).with_context(|| format!("there is no section {name}"))?;
            Ok((section.address(), section.data()?))
        };
        let (text, strings) = (section(".text")?, section(".rodata")?);
        let words = addresses(&elf, section(".data.rel.ro")?)?;
        let is_code = |word: &u64| (text.0..text.0 + text.1.len() as u64).contains(word);
        let addresses = longest_run(&words, |word| is_code(word).then_some(*word));
        let names = longest_run(&words, |word| string(strings, *word));
        ensure!(
            !addresses.is_empty() && addresses.len() == names.len(),
            "its table has {} functions and {} names",
            addresses.len(),
            names.len()
        );
        let end = text.0 + text.1.len() as u64;
        Ok(Self { functions: addresses.into_iter().zip(names).collect(), end })
    }

    /// Instructions by function.
    fn attribute(&self, blocks: &[Block]) -> Result<BTreeMap<String, u64>> {
        let base = self.base(blocks)?;
        let mut counts = BTreeMap::new();
        for block in blocks {
            *counts.entry(self.function(base, block).to_owned()).or_default() += block.executed();
        }
        Ok(counts)
    }

    /// The function that a block is part of, with the library at `base`; what is outside of it is the runtime's.
    pub(crate) fn function(&self, base: u64, block: &Block) -> &str {
        let place = block.address.checked_sub(base).filter(|place| *place < self.end);
        let function = place.and_then(|place| self.functions.range(..=place).next_back());
        function.map_or("runtime", |(_, name)| name.as_str())
    }

    /// Where the library was loaded: where most functions begin with a block.
    pub(crate) fn base(&self, blocks: &[Block]) -> Result<u64> {
        let mut votes: HashMap<u64, usize> = HashMap::new();
        for block in blocks {
            for base in self.functions.keys().filter_map(|function| block.address.checked_sub(*function)) {
                if base % PAGE == 0 {
                    *votes.entry(base).or_default() += 1;
                }
            }
        }
        let best = votes.into_iter().max_by_key(|(base, votes)| (*votes, *base));
        best.map(|(base, _)| base).context("no kernel was seen to run")
    }
}

/// The addresses in a section, by place: as they are there, or as the relocations say what to write there.
fn addresses(elf: &object::File, (start, bytes): (u64, &[u8])) -> Result<Vec<u64>> {
    let mut words = if elf.is_64() {
        words(bytes, u64::from_le_bytes)
    } else {
        words(bytes, |word| u32::from_le_bytes(word).into())
    };
    let size = if elf.is_64() { 8 } else { 4 };
    let relocations = elf.dynamic_relocations().into_iter().flatten();
    for (address, relocation) in relocations.filter(|(_, relocation)| !relocation.has_implicit_addend()) {
        let place = address.checked_sub(start).and_then(|offset| usize::try_from(offset / size).ok());
        if let Some(word) = place.and_then(|place| words.get_mut(place)) {
            let Ok(target) = u64::try_from(relocation.addend()) else {
                bail!("the relocation at {address:#x} refers to something outside");
            };
            *word = target;
        }
    }
    Ok(words)
}

fn words<const SIZE: usize>(bytes: &[u8], read: impl Fn([u8; SIZE]) -> u64) -> Vec<u64> {
    bytes.chunks_exact(SIZE).filter_map(|word| Some(read(word.try_into().ok()?))).collect()
}

/// What `meaning` makes of the longest run of words that it makes something of.
fn longest_run<T>(words: &[u64], meaning: impl Fn(&u64) -> Option<T>) -> Vec<T> {
    let (mut longest, mut run) = (Vec::new(), Vec::new());
    for word in words.iter().map(Some).chain([None]) {
        match word.and_then(&meaning) {
            Some(value) => run.push(value),
            None if run.len() > longest.len() => longest = std::mem::take(&mut run),
            None => run.clear(),
        }
    }
    longest
}

/// The name at `address` in a section, if there is one.
fn string((start, bytes): (u64, &[u8]), address: u64) -> Option<String> {
    let place = usize::try_from(address.checked_sub(start)?).ok()?;
    let name = bytes.get(place..)?.split(|byte| *byte == 0).next()?;
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    (!name.is_empty() && name.iter().all(is_name)).then(|| String::from_utf8_lossy(name).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::qemu::Mode;

    #[test]
    fn instructions_go_to_the_function_that_holds_them() {
        let functions = [(0x100, "first".to_owned()), (0x200, "second".to_owned())].into();
        let library = Library { functions, end: 0x300 };
        let code = vec!["nop".to_owned()];
        let block = |address, runs| Block { address, runs, mode: Mode::Arm, code: code.clone() };
        let base = 7 * PAGE;
        let blocks =
            [block(base + 0x100, 1), block(base + 0x180, 2), block(base + 0x200, 4), block(base + 0x300, 8)];
        let counts = library.attribute(&blocks).unwrap();
        let expected = [("first", 3), ("runtime", 8), ("second", 4)];
        assert_eq!(counts, expected.map(|(name, count)| (name.to_owned(), count)).into());
    }

    #[test]
    fn the_longest_run_is_found_wherever_it_is() {
        let even = |word: &u64| (word % 2 == 0).then_some(*word);
        assert_eq!(longest_run(&[2, 1, 4, 6, 8, 1, 2], even), [4, 6, 8]);
        assert_eq!(longest_run(&[1, 2, 4], even), [2, 4]);
        assert!(longest_run(&[1], even).is_empty());
    }
}
