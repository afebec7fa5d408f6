//! What a process holds.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// Resident memory in bytes, and threads.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Memory {
    /// After a tenth of the time.
    pub(super) early: u64,
    /// At the last look.
    pub(super) late: u64,
    pub(super) most: u64,
    pub(super) threads: u64,
}

impl Memory {
    /// By how much more there is at the end.
    pub(super) fn growth(&self) -> u64 {
        self.late.saturating_sub(self.early)
    }
}

/// Looks at the process until `end`.
pub(super) fn memory(process: u32, end: Instant) -> Result<Memory> {
    let start = Instant::now();
    let early = start + end.saturating_duration_since(start) / 10;
    let mut memory = Memory::default();
    while Instant::now() < end {
        let status = fs_err::read_to_string(format!("/proc/{process}/status"))?;
        let resident = 1024 * field(&status, "VmRSS:").context("the kernel does not say what is resident")?;
        if memory.early == 0 && Instant::now() >= early {
            memory.early = resident;
        }
        memory.late = resident;
        memory.most = memory.most.max(resident);
        memory.threads = memory.threads.max(field(&status, "Threads:").unwrap_or_default());
        thread::sleep(PAUSE.min(end.saturating_duration_since(Instant::now())));
    }
    Ok(memory)
}

/// The number behind `name` in a process status.
fn field(status: &str, name: &str) -> Option<u64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
    rest.trim().trim_end_matches("kB").trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_a_status_are_found() {
        let status = "VmRSS:\t    3168 kB\nThreads:\t7\n";
        assert_eq!([field(status, "VmRSS:"), field(status, "Threads:")], [Some(3168), Some(7)]);
        assert_eq!(field(status, "VmSwap:"), None);
    }

    #[test]
    fn this_process_holds_something() {
        let memory = memory(std::process::id(), Instant::now() + Duration::from_millis(50)).unwrap();
        assert!(memory.most > 100_000 && memory.threads > 0, "{memory:?}");
    }
}
