//! What a program or library asks of the system that it runs on.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use object::Endianness;
use object::elf::{FileHeader32, FileHeader64};
use object::read::elf::{Dyn as _, FileHeader, SectionTable};

/// A version of glibc: major, minor.
pub(crate) type Glibc = (u16, u16);

/// Libraries that every Linux with glibc has; the platform tag of a wheel promises no others.
const OF_EVERY_SYSTEM: &[&str] = &[
    "ld-linux-aarch64.so.1",
    "ld-linux-armhf.so.3",
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libpthread.so.0",
    "librt.so.1",
    "libutil.so.1",
];

/// What begins the names of glibc's versions.
const GLIBC: &str = "GLIBC_";

/// The oldest glibc that `file` runs with, `None` if it is static. A library that not every system has is an error.
pub(crate) fn oldest_glibc(file: &Path) -> Result<Option<Glibc>> {
    let data = fs_err::read(file)?;
    let needs = match object::FileKind::parse(&*data)? {
        object::FileKind::Elf32 => Needs::of::<FileHeader32<Endianness>>(&data),
        _ => Needs::of::<FileHeader64<Endianness>>(&data),
    };
    let needs = needs.with_context(|| format!("cannot read {}", file.display()))?;
    for library in &needs.libraries {
        ensure!(
            OF_EVERY_SYSTEM.contains(&library.as_str()),
            "{} needs {library}, which not every system has",
            file.display()
        );
    }
    Ok(needs.versions.iter().filter_map(|version| parse(version)).max())
}

/// The version that a name such as `GLIBC_2.34` stands for.
fn parse(version: &str) -> Option<Glibc> {
    let (major, minor) = version.strip_prefix(GLIBC)?.split_once('.')?;
    // Old ones have a third part, such as 2.2.5, which the newer ones cover.
    let minor = minor.split('.').next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Names in the tables of a file.
struct Needs {
    libraries: Vec<String>,
    versions: Vec<String>,
}

impl Needs {
    fn of<Elf: FileHeader<Endian = Endianness>>(data: &[u8]) -> Result<Self> {
        let header = Elf::parse(data)?;
        let endian = header.endian()?;
        let sections = header.sections(endian, data)?;
        Ok(Self {
            libraries: libraries::<Elf>(endian, data, &sections)?,
            versions: versions::<Elf>(endian, data, &sections)?,
        })
    }
}

fn libraries<Elf: FileHeader<Endian = Endianness>>(
    endian: Endianness,
    data: &[u8],
    sections: &SectionTable<'_, Elf>,
) -> Result<Vec<String>> {
    let Some((entries, link)) = sections.dynamic(endian, data)? else { return Ok(Vec::new()) };
    let strings = sections.strings(endian, data, link)?;
    let needed = entries.iter().filter(|entry| entry.tag32(endian) == Some(object::elf::DT_NEEDED));
    needed.map(|entry| text(entry.string(endian, strings)?)).collect()
}

fn versions<Elf: FileHeader<Endian = Endianness>>(
    endian: Endianness,
    data: &[u8],
    sections: &SectionTable<'_, Elf>,
) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let Some((mut files, link)) = sections.gnu_verneed(endian, data)? else { return Ok(found) };
    let strings = sections.strings(endian, data, link)?;
    while let Some((_, mut versions)) = files.next()? {
        while let Some(version) = versions.next()? {
            found.push(text(version.name(endian, strings)?)?);
        }
    }
    Ok(found)
}

fn text(bytes: &[u8]) -> Result<String> {
    Ok(String::from_utf8(bytes.to_vec())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_their_names() {
        assert_eq!(parse("GLIBC_2.34"), Some((2, 34)));
        assert_eq!(parse("GLIBC_2.2.5"), Some((2, 2)));
        assert_eq!(parse("GCC_3.0"), None);
        assert_eq!(parse("GLIBC_PRIVATE"), None);
    }

    #[test]
    fn a_program_of_this_machine_needs_a_glibc() {
        let this = std::env::current_exe().unwrap();
        assert!(oldest_glibc(&this).unwrap() >= Some((2, 17)));
    }

    #[test]
    fn what_is_no_program_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("text");
        fs_err::write(&file, "no program at all, but long enough for a header of one").unwrap();
        assert!(oldest_glibc(&file).is_err());
    }
}
