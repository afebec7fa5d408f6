//! What the figures were measured with.

use std::process::Command;
use std::thread;

use anyhow::{Context as _, Result};
use serde::Serialize;
use skipgate_core::IREE_VERSION;

use crate::process::CommandExt;
use crate::workspace::Workspace;

/// The Python packages whose versions matter.
const PACKAGES: [&str; 2] = ["onnxruntime", "ncnn"];

/// Machine, date and versions.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    pub(super) cpu: String,
    pub(super) cores: usize,
    pub(super) date: String,
    /// Names and versions of what was measured.
    pub(super) versions: Vec<(String, String)>,
}

impl Machine {
    /// Asks the system.
    pub(super) fn find(workspace: &Workspace) -> Result<Self> {
        let mut versions = vec![("IREE".to_owned(), IREE_VERSION.to_owned())];
        for package in PACKAGES {
            let script = format!("from importlib.metadata import version; print(version('{package}'))");
            let version = workspace.command(workspace.venv("python")).args(["-c", &script]).read()?;
            versions.push((package.to_owned(), version.trim().to_owned()));
        }
        let qemu = Command::new("qemu-arm").arg("--version").read()?;
        let qemu = qemu.split_whitespace().nth(2).context("qemu-arm has no version")?;
        versions.push(("QEMU".to_owned(), qemu.to_owned()));
        Ok(Self {
            cpu: cpu_model(&fs_err::read_to_string("/proc/cpuinfo")?).to_owned(),
            cores: thread::available_parallelism()?.get(),
            date: Command::new("date").args(["--utc", "+%Y-%m-%d"]).read()?.trim().to_owned(),
            versions,
        })
    }

    /// One line.
    pub(super) fn text(&self) -> String {
        let versions: Vec<_> =
            self.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        format!("{}, {} cores, {}; {}", self.cpu, self.cores, self.date, versions.join(", "))
    }
}

/// The name of the first processor; Arm's kernel gives none.
fn cpu_model(cpuinfo: &str) -> &str {
    let name = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or("unknown CPU", |(_, name)| name.trim())
}

#[cfg(test)]
mod tests {
    use super::cpu_model;

    #[test]
    fn the_cpu_has_a_name_on_x86() {
        assert_eq!(cpu_model("processor\t: 0\nmodel name\t: Xeon 9\nmodel name\t: Xeon 9\n"), "Xeon 9");
        assert_eq!(cpu_model("processor\t: 0\n"), "unknown CPU");
    }
}
