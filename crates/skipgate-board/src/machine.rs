//! What a board is like right now, from the files of Linux.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use skipgate_core::{Arch, Target};

use crate::script::SECTION;

/// Thousandths of a degree from which on boards may soon slow down.
const HOT: i64 = 70_000;
/// Processes that run or wait, on average over a minute, beside which nobody should measure.
const BUSY: f64 = 0.5;
/// Free memory, in KiB, that is little.
const LITTLE_MEMORY: u64 = 64 << 10;

/// A core of a board.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Core {
    /// Its number.
    pub number: usize,
    /// How fast it is next to the others, in the kernel's unit, where it says so.
    capacity: Option<u64>,
    /// The fastest clock that it has, in kHz.
    fastest_clock: Option<u64>,
    /// The fastest clock that it may take, in kHz.
    allowed_clock: Option<u64>,
    /// What chooses its clock.
    governor: Option<String>,
}

/// A board.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    /// What `uname -m` says.
    pub(crate) kind: String,
    features: HashSet<String>,
    /// Those that processes may run on.
    cores: Vec<Core>,
    free_memory_kib: Option<u64>,
    pub(crate) free_disk_bytes: Option<u64>,
    load: Option<f64>,
    hottest: Option<i64>,
    is_throttled: bool,
    pub(crate) has_taskset: bool,
    /// Hashes of the files that are there and whole.
    pub(crate) objects: HashSet<String>,
}

impl Machine {
    /// Reads what [`script::look`](crate::script::look) printed; `None` if its end is missing.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let sections = sections(text);
        sections.get("end")?;
        let lines = |name: &str| sections.get(name).map_or(&[][..], Vec::as_slice);
        let first_word = |name: &str| lines(name).first().and_then(|line| line.split_whitespace().next());
        let allowed = lines("allowed").iter().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let temperatures = lines("temperatures").iter().filter_map(|line| line.trim().parse().ok());
        Some(Self {
            kind: first_word("kind").unwrap_or_default().to_owned(),
            features: features(lines("processor")),
            cores: cores(&sections, allowed),
            free_memory_kib: lines("memory").iter().find_map(|line| kib(line.strip_prefix("MemAvailable:")?)),
            free_disk_bytes: free_disk(lines("disk")),
            load: first_word("load").and_then(|word| word.parse().ok()),
            hottest: temperatures.max(),
            is_throttled: is_throttled(lines("cooling"), lines("throttled")),
            has_taskset: !lines("taskset").is_empty(),
            objects: lines("objects").iter().filter_map(|line| whole_object(line)).collect(),
        })
    }

    /// Whether it runs programs for `arch`. A 64-bit kernel may run 32-bit programs, which is seen when one is started.
    pub(crate) fn runs(&self, arch: Arch) -> bool {
        match arch {
            Arch::Arm => ["armv7l", "armv8l", "aarch64"].contains(&self.kind.as_str()),
            Arch::Aarch64 | Arch::X86_64 => self.kind == arch.name(),
        }
    }

    /// What `target` relies on and the processor lacks, as far as the kernel tells of it.
    pub(crate) fn missing_features(&self, target: &Target) -> Vec<String> {
        let lacks = |feature: &&String| {
            kernel_name(target.arch, feature, &self.kind).is_some_and(|name| !self.features.contains(name))
        };
        if self.features.is_empty() {
            return Vec::new();
        }
        target.features.iter().filter(lacks).cloned().collect()
    }

    /// The fastest cores: of several kinds the big ones.
    pub fn fastest(&self) -> Vec<&Core> {
        let speed = |core: &Core| (core.capacity, core.fastest_clock);
        let best = self.cores.iter().map(speed).max();
        self.cores.iter().filter(|core| Some(speed(core)) == best).collect()
    }

    /// The cores that a program with so many threads is to run on. They are the last of the fastest, since interrupts keep the
    /// first one busy; none if there are too few.
    pub(crate) fn pinned(&self, threads: usize) -> Vec<usize> {
        let fastest = self.fastest();
        let skipped = fastest.len().checked_sub(threads);
        skipped.map_or_else(Vec::new, |skipped| fastest[skipped..].iter().map(|core| core.number).collect())
    }

    /// What makes measurements on it worth less, with what to do about it.
    pub fn warnings(&self) -> Vec<String> {
        let fastest = self.fastest();
        let unsteady =
            fastest.iter().find_map(|core| core.governor.as_deref().filter(|name| *name != "performance"));
        let number = fastest.last().map_or(0, |core| core.number);
        let found = [
            unsteady.map(|governor| {
                format!(
                    "its clocks change while it measures (governor {governor}); as root: \
                     echo performance > /sys/devices/system/cpu/cpu{number}/cpufreq/scaling_governor"
                )
            }),
            self.is_throttled
                .then(|| "it is throttled: it runs slower than it could, let it cool down".to_owned()),
            self.hottest.filter(|degrees| *degrees >= HOT).map(|degrees| {
                format!("it is hot ({} degrees), and may soon run slower; let it cool down", degrees / 1000)
            }),
            self.load
                .filter(|load| *load >= BUSY)
                .map(|load| format!("it is busy (load {load}); end what else runs there")),
            self.free_memory_kib
                .filter(|free| *free < LITTLE_MEMORY)
                .map(|free| format!("it has only {} MiB of memory free", free >> 10)),
            (!self.has_taskset && self.cores.len() > 1).then(|| {
                "it has no taskset, so the program is not kept on one core (Debian: util-linux)".to_owned()
            }),
        ];
        found.into_iter().flatten().collect()
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.cores.len();
        write!(f, "{}, {count} core{}", self.kind, if count == 1 { "" } else { "s" })?;
        let fastest = self.fastest();
        if fastest.len() < count {
            let numbers: Vec<_> = fastest.iter().map(|core| core.number.to_string()).collect();
            write!(f, " of which {} are the fastest", numbers.join(", "))?;
        }
        if let Some(Core { allowed_clock, fastest_clock, governor, .. }) = fastest.last() {
            let clock = allowed_clock.or(*fastest_clock).map(|khz| format!(", {} MHz", khz / 1000));
            let governor = governor.as_ref().map(|governor| format!(", governor {governor}"));
            write!(f, "{}{}", clock.unwrap_or_default(), governor.unwrap_or_default())?;
        }
        if let Some(degrees) = self.hottest {
            write!(f, ", {} degrees", degrees / 1000)?;
        }
        if let Some(load) = self.load {
            write!(f, ", load {load}")?;
        }
        if let Some(free) = self.free_memory_kib {
            write!(f, ", {} MiB of memory free", free >> 10)?;
        }
        if let Some(free) = self.free_disk_bytes {
            write!(f, ", {} MiB of disk free", free >> 20)?;
        }
        Ok(())
    }
}

/// The lines of each section by its name. What a shell says before the first one is passed over.
fn sections(text: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut sections: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let mut current = None;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix(SECTION) {
            sections.entry(name).or_default();
            current = Some(name);
        } else if let Some(lines) = current.and_then(|name| sections.get_mut(name)) {
            lines.push(line);
        }
    }
    sections
}

/// What the processor can do, in the kernel's words.
fn features(cpuinfo: &[&str]) -> HashSet<String> {
    let list = cpuinfo.iter().find_map(|line| {
        let (key, list) = line.split_once(':')?;
        ["Features", "flags"].contains(&key.trim()).then_some(list)
    });
    list.into_iter().flat_map(str::split_whitespace).map(str::to_owned).collect()
}

/// What the kernel calls the feature that LLVM calls `feature`; `None` if it says nothing of it.
fn kernel_name(arch: Arch, feature: &str, kind: &str) -> Option<&'static str> {
    let names: &[(&str, &str)] = match arch {
        // A 64-bit kernel lists the features of 64-bit programs. Whoever has those has all of NEON and VFP.
        Arch::Arm if kind == "aarch64" => &[("neon", "asimd"), ("vfp3", "asimd"), ("vfp4", "asimd")],
        Arch::Arm => &[("neon", "neon"), ("vfp3", "vfpv3"), ("vfp4", "vfpv4")],
        Arch::Aarch64 => &[
            ("crc", "crc32"),
            ("dotprod", "asimddp"),
            ("fullfp16", "asimdhp"),
            ("lse", "atomics"),
            ("neon", "asimd"),
            ("rcpc", "lrcpc"),
            ("rdm", "asimdrdm"),
        ],
        Arch::X86_64 => &[
            ("avx", "avx"),
            ("avx2", "avx2"),
            ("avx512bw", "avx512bw"),
            ("avx512cd", "avx512cd"),
            ("avx512dq", "avx512dq"),
            ("avx512f", "avx512f"),
            ("avx512vl", "avx512vl"),
            ("bmi", "bmi1"),
            ("bmi2", "bmi2"),
            ("f16c", "f16c"),
            ("fma", "fma"),
            ("lzcnt", "abm"),
            ("movbe", "movbe"),
            ("popcnt", "popcnt"),
            ("sse3", "pni"),
            ("sse4.1", "sse4_1"),
            ("sse4.2", "sse4_2"),
            ("ssse3", "ssse3"),
        ],
    };
    names.iter().find(|(llvm, _)| *llvm == feature).map(|(_, kernel)| *kernel)
}

/// The cores in `allowed`, a list such as `0-3,6`; all of them where there is none.
fn cores(sections: &BTreeMap<&str, Vec<&str>>, allowed: Option<&str>) -> Vec<Core> {
    let mut cores: Vec<_> = sections
        .iter()
        .filter_map(|(name, lines)| Some(core(name.strip_prefix("core ")?.parse().ok()?, lines)))
        .filter(|core| allowed.is_none_or(|list| is_in(list, core.number)))
        .collect();
    cores.sort_by_key(|core| core.number);
    cores
}

fn core(number: usize, lines: &[&str]) -> Core {
    let values: BTreeMap<_, _> = lines.iter().filter_map(|line| line.split_once(' ')).collect();
    let number_of = |name: &str| values.get(name).and_then(|value| value.trim().parse().ok());
    Core {
        number,
        capacity: number_of("cpu_capacity"),
        fastest_clock: number_of("cpuinfo_max_freq"),
        allowed_clock: number_of("scaling_max_freq"),
        governor: values.get("scaling_governor").map(|name| name.trim().to_owned()),
    }
}

fn is_in(list: &str, number: usize) -> bool {
    list.trim().split(',').any(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        matches!((first.parse(), last.parse()), (Ok(first), Ok(last)) if (first..=last).contains(&number))
    })
}

/// Reads `  1234 kB`.
fn kib(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

/// The fourth column of what `df -Pk` prints. Names with spaces are in the columns before and behind the numbers, so the
/// column with the percentage is what it is counted from.
fn free_disk(lines: &[&str]) -> Option<u64> {
    let words: Vec<_> = lines.get(1)?.split_whitespace().collect();
    let percentage =
        words.iter().position(|word| word.ends_with('%') && word[..word.len() - 1].parse::<u8>().is_ok())?;
    let kib: u64 = words.get(percentage.checked_sub(1)?)?.parse().ok()?;
    kib.checked_mul(1024)
}

/// Whether something keeps the processor from its clock: a device that cools by slowing it down, or the firmware of a Raspberry
/// Pi, whose lowest four bits are about this moment.
fn is_throttled(cooling: &[&str], firmware: &[&str]) -> bool {
    let slows = |line: &&str| {
        let (state, kind) = line.split_once(' ').unwrap_or(("", line));
        state.parse().is_ok_and(|state: i64| state > 0) && (kind.contains("cpufreq") || kind == "Processor")
    };
    let bits =
        firmware.first().and_then(|word| u32::from_str_radix(word.trim().trim_start_matches("0x"), 16).ok());
    cooling.iter().any(slows) || bits.is_some_and(|bits| bits & 0xf != 0)
}

/// The hash that a file is called by, if it still is that of what it holds, or if the board cannot tell.
fn whole_object(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let (name, found) = (words.next()?, words.next());
    found.is_none_or(|found| found == name).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An Odroid XU4 at work.
    const ODROID: &str = "Welcome!
== kind
armv7l
== processor
processor\t: 0
Features\t: half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt
== memory
MemTotal:        2040000 kB
MemAvailable:    1740800 kB
== load
0.02 0.01 0.00 1/120 999
== allowed
Name:\tcat
Cpus_allowed_list:\t0-7
== disk
Filesystem     1024-blocks    Used Available Capacity Mounted on
/dev/mmcblk0p2    15000000 2000000  12582912      14% /
== taskset
/usr/bin/taskset
== temperatures
48000
51000
== cooling
0 thermal-cpufreq-0
3 pwm-fan
== throttled
== core 0
scaling_governor ondemand
cpuinfo_max_freq 1400000
== core 4
scaling_governor performance
cpuinfo_max_freq 2000000
scaling_max_freq 1800000
== core 7
scaling_governor performance
cpuinfo_max_freq 2000000
scaling_max_freq 1800000
== objects
aa aa  -
bb cc  -
dd 
== end
";

    fn odroid() -> Machine {
        Machine::parse(ODROID).unwrap()
    }

    #[test]
    fn a_board_is_described_in_one_line() {
        let expected = "armv7l, 3 cores of which 4, 7 are the fastest, 1800 MHz, governor performance, 51 degrees, \
                        load 0.02, 1700 MiB of memory free, 12288 MiB of disk free";
        assert_eq!(odroid().to_string(), expected);
        assert_eq!(odroid().warnings(), Vec::<String>::new());
    }

    #[test]
    fn programs_are_kept_on_the_last_of_the_fastest_cores() {
        assert_eq!(odroid().pinned(1), [7]);
        assert_eq!(odroid().pinned(2), [4, 7]);
        assert_eq!(odroid().pinned(3), Vec::<usize>::new());
        let little = Machine::parse(&ODROID.replace("0-7", "0-3")).unwrap();
        assert_eq!(little.pinned(1), [0]);
    }

    #[test]
    fn the_capacity_that_the_kernel_tells_says_more_than_clocks() {
        let text = "== core 0\ncpu_capacity 1024\ncpuinfo_max_freq 1000\n== core 1\ncpu_capacity 400\ncpuinfo_max_freq 2000\n== end";
        assert_eq!(Machine::parse(text).unwrap().pinned(1), [0]);
    }

    #[test]
    fn what_disturbs_a_measurement_is_told() {
        for (from, to, told) in [
            ("scaling_governor performance", "scaling_governor schedutil", "governor schedutil"),
            ("51000", "71000", "hot (71 degrees)"),
            ("0.02", "3.5", "busy (load 3.5)"),
            ("1740800", "20480", "20 MiB of memory"),
            ("0 thermal", "2 thermal", "throttled"),
            ("== throttled\n", "== throttled\n50005\n", "throttled"),
            ("/usr/bin/taskset\n", "", "no taskset"),
        ] {
            let warnings = Machine::parse(&ODROID.replace(from, to)).unwrap().warnings();
            assert!(warnings.len() == 1 && warnings[0].contains(told), "{to}: {warnings:?}");
        }
        // What was is no warning about what is.
        let was = Machine::parse(&ODROID.replace("== throttled\n", "== throttled\n50000\n")).unwrap();
        assert_eq!(was.warnings(), Vec::<String>::new());
    }

    #[test]
    fn a_processor_is_compared_with_the_target() {
        let target = |name: &str| Target::named(name).unwrap();
        assert!(odroid().runs(Arch::Arm) && !odroid().runs(Arch::Aarch64) && !odroid().runs(Arch::X86_64));
        assert_eq!(odroid().missing_features(&target("odroid-xu4")), Vec::<String>::new());
        let old = Machine::parse(&ODROID.replace(" vfpv4", "")).unwrap();
        assert_eq!(old.missing_features(&target("odroid-xu4")), ["vfp4"]);
        let pi = "== kind\naarch64\n== processor\nFeatures\t: fp asimd evtstrm crc32 cpuid\n== end";
        let pi = Machine::parse(pi).unwrap();
        assert!(pi.runs(Arch::Aarch64) && pi.runs(Arch::Arm));
        assert_eq!(pi.missing_features(&target("raspberry-pi-4")), Vec::<String>::new());
        assert_eq!(pi.missing_features(&target("odroid-xu4")), Vec::<String>::new());
        assert_eq!(
            pi.missing_features(&target("raspberry-pi-5")),
            ["lse", "rdm", "fullfp16", "dotprod", "rcpc"]
        );
    }

    #[test]
    fn every_feature_of_every_target_has_a_name_in_the_kernel() {
        for target in Target::all() {
            for feature in &target.features {
                assert!(
                    kernel_name(target.arch, feature, target.arch.name()).is_some(),
                    "{}: {feature}",
                    target.name
                );
            }
        }
    }

    #[test]
    fn damaged_files_are_not_there() {
        let mut objects: Vec<_> = odroid().objects.into_iter().collect();
        objects.sort();
        assert_eq!(objects, ["aa", "dd"]);
    }

    #[test]
    fn an_answer_without_its_end_is_none() {
        assert_eq!(Machine::parse(&ODROID.replace("== end\n", "")), None);
    }
}
