//! The machines that artifacts are compiled for.

use serde::{Deserialize, Serialize};

use crate::Hint;

/// Instruction set of a target, by the name Rust gives it in `std::env::consts::ARCH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
}

/// A machine that artifacts are compiled for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// Features of the x86-64-v3 level beyond the x86-64 baseline (System V ABI for AMD64, micro-architecture levels).
const X86_64_V3: &[&str] = &[
    "avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "popcnt", "sse3", "sse4.1", "sse4.2",
    "ssse3",
];
/// What the x86-64-v4 level adds to [`X86_64_V3`].
const AVX512: &[&str] = &["avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"];

impl Target {
    /// Every named target: `host` first, then the boards and portable levels.
    pub fn all() -> Vec<Self> {
        let v4 = [X86_64_V3, AVX512].concat();
        let named = |name: &str, arch, triple: &str, cpu: &str, features: &[&str]| Self {
            name: name.to_owned(),
            arch,
            triple: triple.to_owned(),
            cpu: cpu.to_owned(),
            features: features.iter().map(|&feature| feature.to_owned()).collect(),
        };
        let x86 = "x86_64-unknown-linux-gnu";
        let mut targets: Vec<_> = Self::host().into_iter().collect();
        targets.extend([
            named("odroid-xu4", Arch::Arm, "armv7a-unknown-linux-gnueabihf", "cortex-a15", &["neon", "vfp4"]),
            named("aarch64-linux", Arch::Aarch64, "aarch64-unknown-linux-gnu", "generic", &["neon"]),
            named("x86-64-v3", Arch::X86_64, x86, "x86-64-v3", X86_64_V3),
            named("x86-64-v4", Arch::X86_64, x86, "x86-64-v4", &v4),
        ]);
        targets
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
        let arch = Arch::current()?;
        let triple = match arch {
            Arch::X86_64 => "x86_64-unknown-linux-gnu",
            Arch::Aarch64 => "aarch64-unknown-linux-gnu",
            Arch::Arm => "armv7a-unknown-linux-gnueabihf",
        };
        Some(Self {
            name: "host".to_owned(),
            arch,
            triple: triple.to_owned(),
            cpu: "host".to_owned(),
            features: host_features().into_iter().map(str::to_owned).collect(),
        })
    }

    /// One line for people.
    pub fn description(&self) -> &'static str {
        match self.name.as_str() {
            "host" => "this machine, with every feature it has",
            "odroid-xu4" => "Odroid XU4: armv7, Cortex-A15, hard float, NEON and VFPv4",
            "aarch64-linux" => "any 64-bit Arm Linux",
            "x86-64-v3" => "any x86-64 with AVX2 and FMA",
            "x86-64-v4" => "any x86-64 with AVX-512",
            _ => "",
        }
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

/// The known features this machine has, by LLVM name, sorted.
#[cfg(target_arch = "x86_64")]
fn host_features() -> Vec<&'static str> {
    macro_rules! detect {
        ($($rust:tt => $llvm:literal),* $(,)?) => {
            [$(($llvm, std::arch::is_x86_feature_detected!($rust))),*]
        };
    }
    // The two vocabularies differ in a single name: Rust's bmi1 is LLVM's bmi.
    detect![
        "avx" => "avx", "avx2" => "avx2",
        "avx512bw" => "avx512bw", "avx512cd" => "avx512cd", "avx512dq" => "avx512dq",
        "avx512f" => "avx512f", "avx512vl" => "avx512vl",
        "bmi1" => "bmi", "bmi2" => "bmi2", "f16c" => "f16c", "fma" => "fma", "lzcnt" => "lzcnt",
        "movbe" => "movbe", "popcnt" => "popcnt", "sse3" => "sse3", "sse4.1" => "sse4.1",
        "sse4.2" => "sse4.2", "ssse3" => "ssse3",
    ]
    .into_iter()
    .filter_map(|(feature, present)| present.then_some(feature))
    .collect()
}

/// NEON is part of the aarch64 baseline.
#[cfg(target_arch = "aarch64")]
fn host_features() -> Vec<&'static str> {
    vec!["neon"]
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
