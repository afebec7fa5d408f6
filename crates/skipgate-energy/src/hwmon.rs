//! Linux hwmon (kernel documentation: hwmon/sysfs-interface.rst).

use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;

use crate::powercap::number;
use crate::{Error, Meter};

/// Where the kernel shows its sensors.
const ROOT: &str = "/sys/class/hwmon";

/// All power sensors of the hwmon devices of one name; where a device has none, its current times the voltage of its bus.
#[derive(Debug)]
pub struct Hwmon(Vec<Rail>);

#[derive(Debug)]
enum Rail {
    /// In microwatts.
    Power(PathBuf),
    /// In milliamperes and millivolts.
    CurrentAndVoltage(PathBuf, PathBuf),
}

impl Hwmon {
    /// The sensors of the devices that this machine calls `name`, such as `ina231`.
    ///
    /// # Errors
    ///
    /// When there is no such device, or none of its sensors tells power.
    pub fn open(name: &str) -> Result<Self, Error> {
        Self::open_at(Path::new(ROOT), name)
    }

    fn open_at(root: &Path, name: &str) -> Result<Self, Error> {
        let (mut rails, mut others) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(root).into_iter().flatten() {
            let device = entry?.path();
            let Ok(found) = fs::read_to_string(device.join("name")) else { continue };
            if found.trim() == name {
                rails.extend(self::rails(&device)?);
            } else {
                others.push(found.trim().to_owned());
            }
        }
        if rails.is_empty() {
            others.sort();
            others.dedup();
            let there = if others.is_empty() { "nothing".to_owned() } else { others.join(", ") };
            let wanted = format!("power sensor of the device `{name}`; besides it there is {there}");
            return Err(Error::NoSensor { path: root.to_owned(), wanted });
        }
        Ok(Self(rails))
    }
}

/// The sensors of a device.
fn rails(device: &Path) -> Result<Vec<Rail>, Error> {
    let mut files = Vec::new();
    for entry in fs::read_dir(device)? {
        files.push(entry?.file_name().to_string_lossy().into_owned());
    }
    files.sort();
    let power = files.iter().filter(|file| file.starts_with("power") && file.ends_with("_input"));
    let power: Vec<_> = power.map(|file| Rail::Power(device.join(file))).collect();
    let [current, bus] = ["curr1_input", "in1_input"].map(|file| device.join(file));
    if power.is_empty() && current.exists() && bus.exists() {
        return Ok(vec![Rail::CurrentAndVoltage(current, bus)]);
    }
    Ok(power)
}

impl Meter for Hwmon {
    fn watts(&mut self, _now: Duration) -> Result<f64, Error> {
        let watts = |rail: &Rail| -> Result<f64, Error> {
            Ok(match rail {
                Rail::Power(power) => number(power)? as f64 * 1e-6,
                Rail::CurrentAndVoltage(current, voltage) => {
                    number(current)? as f64 * 1e-3 * number(voltage)? as f64 * 1e-3
                }
            })
        };
        self.0.iter().map(watts).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let files = [
            ("hwmon0", "name", "coretemp"),
            ("hwmon1", "name", "ina231"),
            ("hwmon1", "power1_input", "2500000"),
            ("hwmon1", "curr1_input", "500"),
            ("hwmon1", "in1_input", "5000"),
            ("hwmon2", "name", "ina231"),
            ("hwmon2", "power1_input", "1000000"),
            ("hwmon3", "name", "ina219"),
            ("hwmon3", "curr1_input", "300"),
            ("hwmon3", "in0_input", "30"),
            ("hwmon3", "in1_input", "5000"),
        ];
        for (device, file, text) in files {
            fs::create_dir_all(root.path().join(device)).unwrap();
            fs::write(root.path().join(device).join(file), format!("{text}\n")).unwrap();
        }
        root
    }

    #[test]
    fn rails_of_one_name_are_added_up() {
        let root = tree();
        let watts = |name| Hwmon::open_at(root.path(), name).unwrap().watts(Duration::ZERO).unwrap();
        assert!((watts("ina231") - 3.5).abs() < 1e-9);
        assert!(
            (watts("ina219") - 1.5).abs() < 1e-9,
            "current times the voltage of the bus, not of the shunt"
        );
    }

    #[test]
    fn a_device_without_power_names_the_others() {
        let root = tree();
        let error = Hwmon::open_at(root.path(), "coretemp").unwrap_err().to_string();
        assert!(error.ends_with("`coretemp`; besides it there is ina219, ina231"), "{error}");
    }
}
