//! The commands of `docs/tutorial.md`, as a reader would type them.

#[path = "support/mod.rs"]
mod support;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use fs_err as fs;
use support::{board_program, interpreter, repository, scratch, succeed};

/// The code of a page between fences of one kind.
fn blocks<'p>(page: &'p str, kind: &str) -> Vec<&'p str> {
    let fence = format!("\n```{kind}\n");
    page.split(&fence).skip(1).filter_map(|rest| Some(rest.split_once("\n```")?.0)).collect()
}

/// A hundred pictures of noise for each class, dark ones and light ones, and one that belongs to none.
const PICTURES: &str = "
from pathlib import Path
import numpy
from PIL import Image
random = numpy.random.default_rng(0)
for name, divisor in (('cats', 1), ('dogs', 2)):
    folder = Path('images') / name
    folder.mkdir(parents=True)
    for number in range(100):
        pixels = random.integers(0, 256, (80, 90, 3), dtype=numpy.uint8) // divisor
        Image.fromarray(pixels).save(folder / f'{number}.png')
Image.fromarray(pixels).save('photo.png')
";

/// The folders with `skipgate` and `python`, before all others.
fn path() -> std::ffi::OsString {
    let folder = |program: &Path| program.parent().unwrap().to_owned();
    let own = [Path::new(env!("CARGO_BIN_EXE_skipgate")), Path::new(interpreter().get_program())].map(folder);
    let rest = env::var_os("PATH").unwrap_or_default();
    env::join_paths(own.into_iter().chain(env::split_paths(&rest).collect::<Vec<PathBuf>>())).unwrap()
}

#[test]
fn every_command_of_the_tutorial_works() {
    let dir = scratch("tutorial");
    let page = fs::read_to_string(repository().join("docs/tutorial.md")).unwrap();
    let [network] = &blocks(&page, "python")[..] else { panic!("one network is expected") };
    fs::write(dir.join("network.py"), network).unwrap();
    succeed(interpreter().args(["-c", PICTURES]).current_dir(&dir));
    let commands = blocks(&page, "sh");
    assert!(commands.len() >= 7, "{commands:?}");
    let mut said = String::new();
    for command in commands {
        let mut shell = Command::new("sh");
        shell.args(["-euc", command]).current_dir(&dir);
        shell.env("PATH", path()).env("BOARD_PROGRAM", board_program());
        said += &succeed(&mut shell);
    }
    // What the page shows and says.
    for line in
        blocks(&page, "text").iter().flat_map(|shown| shown.lines()).filter(|line| !line.ends_with("..."))
    {
        assert!(said.lines().any(|other| other.trim_end() == line.trim_end()), "`{line}` is not in\n{said}");
    }
    assert!(said.contains("ran 3 of 5 gated blocks (mask 10110)"), "{said}");
    assert!(dir.join("build/host/pareto.svg").is_file());
}
