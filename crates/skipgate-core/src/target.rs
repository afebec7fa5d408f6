//! The machines that artifacts are compiled for.

use serde::{Deserialize, Serialize};

use crate::Hint;

/// Instruction set of a target, by the name Rust gives it in `std::env::consts::ARCH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// 64-bit x86.
    #[serde(rename = "x86_64")]
    X86_64,
    /// 64-bit Arm.
    Aarch64,
    /// 32-bit Arm.
    Arm,
}

impl Arch {
    /// The instruction set this program was built for, if it is one that skipgate compiles for.
    pub fn current() -> Option<Self> {
        [Self::X86_64, Self::Aarch64, Self::Arm]
            .into_iter()
            .find(|arch| arch.name() == std::env::consts::ARCH)
    }

    /// The name used in manifests and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
            Self::Arm => "arm",
        }
    }

    /// What Rust calls machines of this kind.
    pub fn rust_target(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-gnu",
            Self::Aarch64 => "aarch64-unknown-linux-gnu",
            Self::Arm => "armv7-unknown-linux-gnueabihf",
        }
    }

    /// Environment variable with the path of the static program for boards of this kind.
    pub fn program_variable(self) -> &'static str {
        match self {
            Self::Aarch64 => "SKIPGATE_AARCH64_PROGRAM",
            Self::Arm | Self::X86_64 => "SKIPGATE_BOARD_PROGRAM",
        }
    }

    /// LLVM's triple for it.
    fn triple(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-gnu",
            Self::Aarch64 => "aarch64-unknown-linux-gnu",
            Self::Arm => "armv7a-unknown-linux-gnueabihf",
        }
    }
}

/// A machine that artifacts are compiled for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Name on the command line, such as `odroid-xu4`.
    pub name: String,
    /// Instruction set; an artifact only runs on its own.
    pub arch: Arch,
    /// LLVM target triple.
    pub triple: String,
    /// LLVM CPU name.
    pub cpu: String,
    /// LLVM CPU features that the code relies on, without `+`. A machine must have them all to run the artifact.
    pub features: Vec<String>,
}

/// No target has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no target `{name}`")]
pub struct UnknownTarget {
    /// The name asked for.
    pub name: String,
}

impl Hint for UnknownTarget {
    fn hint(&self) -> Option<String> {
        let known: Vec<_> = Target::all().into_iter().map(|target| target.name).collect();
        Some(format!("the targets are {}; `skipgate targets` describes them", known.join(", ")))
    }
}

/// A target that has a name, in the one place that says everything of it.
struct Named {
    name: &'static str,
    /// One line for people.
    description: &'static str,
    arch: Arch,
    cpu: &'static str,
    features: &'static [&'static str],
}

/// Features of the x86-64-v3 level beyond the x86-64 baseline (System V ABI for AMD64, micro-architecture levels).
const X86_64_V3: &[&str] = &[
    "avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "popcnt", "sse3", "sse4.1", "sse4.2",
    "ssse3",
];
/// The same with what the x86-64-v4 level adds.
const X86_64_V4: &[&str] = &[
    "avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "popcnt", "sse3", "sse4.1", "sse4.2",
    "ssse3", "avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl",
];

/// The boards, then portable levels.
const NAMED: &[Named] = &[
    Named {
        name: "odroid-xu4",
        description: "Odroid XU4: armv7, Cortex-A15, hard float, NEON and VFPv4",
        arch: Arch::Arm,
        cpu: "cortex-a15",
        features: &["neon", "vfp4"],
    },
    Named {
        name: "raspberry-pi-2",
        description: "Raspberry Pi 2 (1.1) and other boards with a Cortex-A7: armv7, NEON and VFPv4",
        arch: Arch::Arm,
        cpu: "cortex-a7",
        features: &["neon", "vfp4"],
    },
    Named {
        name: "zynq-7000",
        description: "Zynq-7000, i.MX6 and other boards with a Cortex-A9: armv7, NEON and VFPv3",
        arch: Arch::Arm,
        cpu: "cortex-a9",
        features: &["neon", "vfp3"],
    },
    Named {
        name: "raspberry-pi-3-32bit",
        description: "Raspberry Pi 3 and Zero 2 W under a 32-bit system: Cortex-A53 as armv7, NEON and VFPv4",
        arch: Arch::Arm,
        cpu: "cortex-a53",
        features: &["neon", "vfp4"],
    },
    Named {
        name: "raspberry-pi-3",
        description: "Raspberry Pi 3 and Zero 2 W, other boards with a Cortex-A53: AArch64",
        arch: Arch::Aarch64,
        cpu: "cortex-a53",
        features: &["neon", "crc"],
    },
    Named {
        name: "raspberry-pi-4",
        description: "Raspberry Pi 4, 400 and other boards with a Cortex-A72: AArch64",
        arch: Arch::Aarch64,
        cpu: "cortex-a72",
        features: &["neon", "crc"],
    },
    Named {
        name: "raspberry-pi-5",
        description: "Raspberry Pi 5, 500 and other boards with a Cortex-A76: AArch64 (Armv8.2)",
        arch: Arch::Aarch64,
        cpu: "cortex-a76",
        features: &["neon", "crc", "lse", "rdm", "fullfp16", "dotprod", "rcpc"],
    },
    Named {
        name: "aarch64-linux",
        description: "any 64-bit Arm Linux",
        arch: Arch::Aarch64,
        cpu: "generic",
        features: &["neon"],
    },
    Named {
        name: "x86-64-v3",
        description: "any x86-64 with AVX2 and FMA",
        arch: Arch::X86_64,
        cpu: "x86-64-v3",
        features: X86_64_V3,
    },
    Named {
        name: "x86-64-v4",
        description: "any x86-64 with AVX-512",
        arch: Arch::X86_64,
        cpu: "x86-64-v4",
        features: X86_64_V4,
    },
];

impl Named {
    fn target(&self) -> Target {
        let Self { name, arch, cpu, features, .. } = *self;
        Target::new(name, arch, cpu, features)
    }
}

/// How QEMU is asked for a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emulation {
    /// QEMU's program.
    pub program: String,
    /// What follows its `-cpu`.
    pub cpu: String,
}

impl Target {
    fn new(name: &str, arch: Arch, cpu: &str, features: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            arch,
            triple: arch.triple().to_owned(),
            cpu: cpu.to_owned(),
            features: features.iter().map(|&feature| feature.to_owned()).collect(),
        }
    }

    /// Every named target: `host` first, then the boards and portable levels.
    pub fn all() -> Vec<Self> {
        Self::host().into_iter().chain(NAMED.iter().map(Named::target)).collect()
    }

    /// The target called `name`.
    pub fn named(name: &str) -> Result<Self, UnknownTarget> {
        Self::all()
            .into_iter()
            .find(|target| target.name == name)
            .ok_or_else(|| UnknownTarget { name: name.to_owned() })
    }

    /// This machine, with the features it has; `None` where skipgate does not compile for its instruction set.
    pub fn host() -> Option<Self> {
        Some(Self::new("host", Arch::current()?, "host", &host_features()))
    }

    /// One line for people.
    pub fn description(&self) -> &'static str {
        let named = || NAMED.iter().find(|named| named.name == self.name);
        match self.name.as_str() {
            "host" => "this machine, with every feature it has",
            _ => named().map_or("", |named| named.description),
        }
    }

    /// How QEMU is asked for this machine, where a user-mode emulator is of use: `None` on x86.
    ///
    /// It is asked for the processor itself where it knows it, so that what that one lacks fails there, too.
    pub fn emulation(&self) -> Option<Emulation> {
        let known: &[&str] = match self.arch {
            Arch::Arm => &["cortex-a7", "cortex-a9", "cortex-a15"],
            Arch::Aarch64 => &["cortex-a53", "cortex-a72", "cortex-a76"],
            Arch::X86_64 => return None,
        };
        let cpu = known.iter().find(|&&cpu| cpu == self.cpu).unwrap_or(&"max");
        Some(Emulation { program: format!("qemu-{}", self.arch.name()), cpu: (*cpu).to_owned() })
    }

    /// Features the target relies on and this machine lacks. Empty on instruction sets whose features the
    /// standard library cannot detect (32-bit Arm).
    pub fn missing_features(&self) -> Vec<&str> {
        if Arch::current() != Some(self.arch) || self.arch == Arch::Arm {
            return Vec::new();
        }
        let present = host_features();
        self.features.iter().map(String::as_str).filter(|feature| !present.contains(feature)).collect()
    }
}

/// Those of `features`, by LLVM name, that this machine has.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn present(features: &[(&'static str, bool)]) -> Vec<&'static str> {
    features.iter().filter_map(|&(feature, present)| present.then_some(feature)).collect()
}

/// The known features this machine has, by LLVM name, sorted.
#[cfg(target_arch = "x86_64")]
fn host_features() -> Vec<&'static str> {
    macro_rules! detect {
        ($($rust:tt => $llvm:literal),* $(,)?) => {
            [$(($llvm, std::arch::is_x86_feature_detected!($rust))),*]
        };
    }
    // The two vocabularies differ in a single name: Rust's bmi1 is LLVM's bmi.
    present(&detect![
        "avx" => "avx", "avx2" => "avx2",
        "avx512bw" => "avx512bw", "avx512cd" => "avx512cd", "avx512dq" => "avx512dq",
        "avx512f" => "avx512f", "avx512vl" => "avx512vl",
        "bmi1" => "bmi", "bmi2" => "bmi2", "f16c" => "f16c", "fma" => "fma", "lzcnt" => "lzcnt",
        "movbe" => "movbe", "popcnt" => "popcnt", "sse3" => "sse3", "sse4.1" => "sse4.1",
        "sse4.2" => "sse4.2", "ssse3" => "ssse3",
    ])
}

/// The known features this machine has, by LLVM name, sorted. NEON is part of the baseline.
#[cfg(target_arch = "aarch64")]
fn host_features() -> Vec<&'static str> {
    macro_rules! detect {
        ($($rust:tt => $llvm:literal),* $(,)?) => {
            [$(($llvm, std::arch::is_aarch64_feature_detected!($rust))),*]
        };
    }
    // The two vocabularies differ in a single name: Rust's fp16 is LLVM's fullfp16.
    present(&detect![
        "crc" => "crc", "dotprod" => "dotprod", "fp16" => "fullfp16", "lse" => "lse", "neon" => "neon",
        "rcpc" => "rcpc", "rdm" => "rdm",
    ])
}

/// The standard library detects nothing here; the board's own target names what it needs.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn host_features() -> Vec<&'static str> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_found_by_its_name_and_described() {
        for target in Target::all() {
            assert_eq!(Target::named(&target.name).unwrap(), target);
            assert!(!target.description().is_empty(), "{}", target.name);
        }
    }

    #[test]
    fn an_emulator_is_asked_for_the_processor_that_it_knows() {
        let emulation = |name: &str| Target::named(name).unwrap().emulation();
        let asked = |program: &str, cpu: &str| Some(Emulation { program: program.into(), cpu: cpu.into() });
        assert_eq!(emulation("odroid-xu4"), asked("qemu-arm", "cortex-a15"));
        assert_eq!(emulation("raspberry-pi-3-32bit"), asked("qemu-arm", "max"));
        assert_eq!(emulation("raspberry-pi-5"), asked("qemu-aarch64", "cortex-a76"));
        assert_eq!(emulation("aarch64-linux"), asked("qemu-aarch64", "max"));
        assert_eq!(emulation("x86-64-v3"), None);
    }

    #[test]
    fn an_unknown_target_hints_at_the_known_ones() {
        let error = Target::named("odroid-xu5").unwrap_err();
        assert_eq!(error.to_string(), "there is no target `odroid-xu5`");
        assert!(error.hint().unwrap().contains("odroid-xu4"));
    }

    #[test]
    fn this_machine_lacks_nothing_of_host() {
        assert_eq!(Target::host().unwrap().missing_features(), Vec::<&str>::new());
    }

    #[test]
    #[cfg_attr(target_arch = "arm", ignore = "the features of a 32-bit Arm machine cannot be detected")]
    fn a_feature_no_machine_has_is_missing() {
        let mut target = Target::host().unwrap();
        target.features.push("avx4096".to_owned());
        assert_eq!(target.missing_features(), ["avx4096"]);
    }
}
