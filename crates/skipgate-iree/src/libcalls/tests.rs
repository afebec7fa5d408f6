//! Tests of the machine code itself, under emulation.

use std::fmt::Write as _;
use std::io::Write as _;
use std::iter::successors;
use std::path::Path;
use std::process::{Command, Stdio};

use object::{Object as _, ObjectSymbol as _};
use skipgate_libcalls as rust;

use super::*;

/// The compiler for the board, whose code calls these functions for the same operations.
const GCC: &str = "arm-linux-gnueabihf-gcc";

/// GCC would exchange the operands of a maximum if it knew it as one, which matters between zeros of both signs.
const OPTIONS: [&str; 7] =
    ["-static", "-O1", "-mfloat-abi=hard", "-fno-builtin", "-Wl,-z,noexecstack", "-Wall", "-Werror"];

/// Boards whose functions differ, with GCC's options for them.
const BOARDS: [(&str, [&str; 2]); 2] = [
    ("odroid-xu4", ["-mcpu=cortex-a15", "-mfpu=neon-vfpv4"]),
    ("zynq-7000", ["-mcpu=cortex-a9", "-mfpu=neon"]),
];

#[test]
fn every_object_defines_its_functions_weakly_and_needs_nothing() {
    for (board, _) in BOARDS {
        assert_whole(&Target::named(board).unwrap());
    }
}

fn assert_whole(target: &Target) {
    let bytes = arm_object(target).unwrap();
    let file = object::File::parse(&bytes[..]).unwrap();
    let functions: Vec<_> = file.symbols().filter(|symbol| symbol.size() > 0).collect();
    let names = functions.iter().map(|symbol| symbol.name().unwrap());
    assert!(names.eq(super::functions(target).iter().map(|&(name, _)| name)));
    assert!(functions.iter().all(object::ObjectSymbol::is_weak));
    assert!(file.symbols().all(|symbol| !symbol.is_undefined()));
}

#[test]
fn a_board_without_divisions_gets_none_of_them() {
    // In both sets of instructions, bits 27 to 20 and 7 to 4 of sdiv and udiv (Arm Architecture Reference Manual).
    let divides = |word: &u32| matches!(word >> 20 & 0xff, 0x71 | 0x73) && word >> 4 & 0xf == 1;
    let functions = |board: &str| super::functions(&Target::named(board).unwrap());
    let dividing = |board: &str| functions(board).iter().filter(|(_, code)| code.iter().any(divides)).count();
    assert_eq!((dividing("odroid-xu4"), dividing("zynq-7000")), (2, 0));
}

#[test]
fn the_machine_code_computes_what_its_source_does() {
    if Command::new(GCC).arg("--version").output().is_err() {
        eprintln!("skipped: there is no {GCC}; `cargo xtask setup` installs it");
        return;
    }
    let pairs = pairs();
    let mut lines = String::new();
    for (x, y) in &pairs {
        writeln!(lines, "{x:x} {y:x}").unwrap();
    }
    for (board, options) in BOARDS {
        let found = emulated(board, options, lines.clone());
        assert_eq!(found.lines().count(), pairs.len());
        for (&(x, y), found) in pairs.iter().zip(found.lines()) {
            assert_eq!(found, expected(x, y), "{x:x} {y:x} on {board}");
        }
    }
}

/// What `tests/qemu/libcalls.c`, linked with the object, says to `lines` on `board`.
fn emulated(board: &str, options: [&str; 2], lines: String) -> String {
    let target = Target::named(board).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (object, program) = (dir.path().join("libcalls.o"), dir.path().join("libcalls"));
    fs_err::write(&object, arm_object(&target).unwrap()).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/qemu/libcalls.c");
    let mut gcc = Command::new(GCC);
    gcc.args(OPTIONS).args(options).arg(source).arg(&object).arg("-o").arg(&program);
    assert!(gcc.status().unwrap().success());
    let machine = target.emulation().unwrap();
    let mut qemu = Command::new(&machine.program);
    qemu.args(["-cpu", &machine.cpu]).arg(&program).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = qemu.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// The same by the functions that the machine code is made from.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "bits"
)]
fn expected(x: u64, y: u64) -> String {
    let (signed, float, short) = (x as i64, f64::from_bits(x), f32::from_bits(x as u32));
    let other = f32::from_bits(y as u32);
    let (quotient, rest) = rust::divide(x, y);
    let (signed_quotient, signed_rest) = rust::divide_signed(signed, y as i64);
    let integers = [
        quotient,
        rest,
        signed_quotient as u64,
        signed_rest as u64,
        rust::to_u64(float),
        rust::to_i64(float) as u64,
        rust::to_u64(short.into()),
        rust::to_i64(short.into()) as u64,
    ];
    let (word, other_word) = (x as u32, y as u32);
    let (word_quotient, word_rest) = rust::divide_by_shifts(word, other_word);
    let (signed_word_quotient, signed_word_rest) =
        rust::divide_signed_by_shifts(word as i32, other_word as i32);
    let words =
        [word_quotient, word_rest, signed_word_quotient as u32, signed_word_rest as u32].map(u64::from);
    let doubles = [rust::u64_to_f64(x), rust::i64_to_f64(signed)].map(f64::to_bits);
    let singles = [
        rust::u64_to_f32(x),
        rust::i64_to_f32(signed),
        rust::maximum(short, other),
        rust::minimum(short, other),
        rust::truncate(short),
    ];
    let singles = singles.map(|single| u64::from(single.to_bits()));
    let halves = [rust::f64_to_f16(float), rust::f32_to_bf16(short)].map(u64::from);
    let all = integers.into_iter().chain(words).chain(doubles).chain(singles).chain(halves);
    all.map(|value| format!("{value:x}")).collect::<Vec<_>>().join(" ")
}

/// Bits to compute with: ends of ranges each with each, and others with two others.
fn pairs() -> Vec<(u64, u64)> {
    let edges: Vec<u64> = (0..64).flat_map(around).collect();
    let others: Vec<u64> = doubles().chain(singles()).chain(random()).collect();
    let mut pairs: Vec<_> = edges.iter().flat_map(|&x| edges.iter().map(move |&y| (x, y))).collect();
    pairs.extend(others.iter().copied().zip(others.iter().copied().rev()));
    pairs.extend(others.iter().zip(&others[1..]).map(|(&x, &y)| (x, y >> (x % 61))));
    pairs
}

/// A power of two and its neighbours.
fn around(bit: u32) -> [u64; 3] {
    [-1, 0, 1].map(|offset| (1u64 << bit).wrapping_add_signed(offset))
}

/// From the least to the largest, all of those around the ends of integers and of an f16, and what is no number.
fn doubles() -> impl Iterator<Item = u64> {
    let exponents = (-1080..1024).step_by(9).chain(-26..17).chain(50..66);
    let numbers = exponents.map(|exponent| 1.75 * 2f64.powi(exponent));
    let special = [0.0, 0.5, f64::INFINITY, f64::NAN];
    numbers.chain(special).flat_map(|x| [x.to_bits(), (-x).to_bits(), x.to_bits() + 1])
}

fn singles() -> impl Iterator<Item = u64> {
    let numbers = (-130..128).map(|exponent| 1.5 * 2f32.powi(exponent));
    let special = [0.0, 0.1, f32::INFINITY, f32::NAN];
    numbers.chain(special).flat_map(|x| [x, -x]).map(|x| u64::from(x.to_bits()))
}

/// Numbers without a pattern, of all sizes: Knuth's linear congruential generator.
fn random() -> impl Iterator<Item = u64> {
    let next =
        |x: &u64| Some(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
    successors(Some(1), next).take(2000).map(|x| x >> (x % 64))
}
