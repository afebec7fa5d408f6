//! Linux powercap (kernel documentation: power/powercap/powercap.rst).

use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;

use crate::{Error, Meter};

/// Where the kernel shows its power zones.
const ROOT: &str = "/sys/class/powercap";

/// The energy counters of all packages of the processor.
#[derive(Debug)]
pub struct Powercap {
    zones: Vec<Zone>,
    last: Option<Duration>,
}

#[derive(Debug)]
struct Zone {
    energy: PathBuf,
    /// The counter starts again from zero behind this value.
    range: u64,
    last: u64,
}

impl Powercap {
    /// The counters of this machine.
    ///
    /// # Errors
    ///
    /// When it has none, or they may not be read.
    pub fn open() -> Result<Self, Error> {
        Self::open_at(Path::new(ROOT))
    }

    fn open_at(root: &Path) -> Result<Self, Error> {
        let missing = || Error::NoSensor { path: root.to_owned(), wanted: "energy counter".to_owned() };
        let mut zones = Vec::new();
        for entry in fs::read_dir(root).map_err(|_| missing())? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // `intel-rapl:0` is a package; `intel-rapl:0:1` is a part of it, and would be counted twice.
            if name.matches(':').count() == 1 && path.join("energy_uj").exists() {
                let range = number(&path.join("max_energy_range_uj"))?;
                let energy = path.join("energy_uj");
                zones.push(Zone { last: number(&energy)?, energy, range });
            }
        }
        if zones.is_empty() { Err(missing()) } else { Ok(Self { zones, last: None }) }
    }
}

impl Meter for Powercap {
    fn watts(&mut self, now: Duration) -> Result<f64, Error> {
        let mut microjoules = 0;
        for zone in &mut self.zones {
            let energy = number(&zone.energy)?;
            microjoules +=
                if energy >= zone.last { energy - zone.last } else { energy + zone.range - zone.last };
            zone.last = energy;
        }
        let seconds = self.last.map_or(0.0, |last| now.saturating_sub(last).as_secs_f64());
        self.last = Some(now);
        Ok(if seconds > 0.0 { microjoules as f64 * 1e-6 / seconds } else { 0.0 })
    }
}

/// A file that holds one number.
pub(crate) fn number(path: &Path) -> Result<u64, Error> {
    let text = fs::read_to_string(path)?;
    let bad =
        || Error::Content { path: path.to_owned(), expected: "a number", found: text.trim().to_owned() };
    text.trim().parse().map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree like the kernel's: two packages, and a part of the first.
    fn tree(energies: [u64; 3]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, energy) in ["intel-rapl:0", "intel-rapl:0:0", "intel-rapl:1"].iter().zip(energies) {
            let zone = root.path().join(name);
            fs::create_dir(&zone).unwrap();
            fs::write(zone.join("energy_uj"), format!("{energy}\n")).unwrap();
            fs::write(zone.join("max_energy_range_uj"), "1000000\n").unwrap();
        }
        fs::create_dir(root.path().join("intel-rapl")).unwrap();
        root
    }

    #[test]
    fn packages_are_added_up_and_counters_may_start_again() {
        let root = tree([900_000, 5, 100_000]);
        let mut meter = Powercap::open_at(root.path()).unwrap();
        meter.watts(Duration::ZERO).unwrap();
        fs::write(root.path().join("intel-rapl:0/energy_uj"), "100000").unwrap();
        fs::write(root.path().join("intel-rapl:0:0/energy_uj"), "700000").unwrap();
        fs::write(root.path().join("intel-rapl:1/energy_uj"), "400000").unwrap();
        let watts = meter.watts(Duration::from_millis(100)).unwrap();
        assert!((watts - 5.0).abs() < 1e-9, "0.2 J and 0.3 J in 0.1 s, found {watts} W");
    }

    #[test]
    fn a_machine_without_counters_says_so() {
        let root = tempfile::tempdir().unwrap();
        for path in [root.path(), &root.path().join("missing")] {
            let error = Powercap::open_at(path).unwrap_err();
            assert!(error.to_string().ends_with("has no energy counter"), "{error}");
        }
    }

    #[test]
    fn a_counter_that_is_none_is_refused() {
        let root = tree([1, 1, 1]);
        fs::write(root.path().join("intel-rapl:1/energy_uj"), "many").unwrap();
        let error = Powercap::open_at(root.path()).unwrap_err();
        assert!(error.to_string().ends_with("expected a number, found `many`"), "{error}");
    }
}
