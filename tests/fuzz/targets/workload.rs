//! Workloads: what the command line takes in the first line, and a trace in the rest.
#![no_main]

use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use skipgate_workload::Workload;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| TempDir::new().expect("a temporary folder"));

fuzz_target!(|bytes: &[u8]| {
    let (line, trace) = bytes.split_at(bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len()));
    let line = String::from_utf8_lossy(line);
    // A file of this machine is none of the fuzzer's business.
    if !line.starts_with("trace")
        && let Ok(workload) = line.parse::<Workload>()
    {
        let _ = workload.to_string().parse::<Workload>().expect("what is printed can be read");
        let _ = workload.arrivals(1).map(|arrivals| arrivals.take(100).count());
    }
    let path = FOLDER.path().join("trace");
    fs::write(&path, trace.get(1..).unwrap_or_default()).expect("it can be written");
    let _ = Workload::Trace(path).arrivals(1).map(|arrivals| arrivals.take(1000).count());
});
