//! The limits in `docs/threat.md` are those of the code.

#[path = "support/mod.rs"]
mod support;

use support::repository;

/// Every limit that the page names, by its path.
fn limits() -> [(&'static str, u64); 11] {
    [
        ("skipgate_onnx::MAX_BYTES", skipgate_onnx::MAX_BYTES),
        ("skipgate_core::file::MOST_TEXT", skipgate_core::file::MOST_TEXT),
        ("skipgate_runtime::MOST_SIGNATURE", skipgate_runtime::MOST_SIGNATURE),
        ("skipgate_core::MOST_ELEMENTS", skipgate_core::MOST_ELEMENTS as u64),
        ("skipgate_core::MOST_DIMENSIONS", skipgate_core::MOST_DIMENSIONS as u64),
        ("skipgate_data::MOST_FILE_BYTES", skipgate_data::MOST_FILE_BYTES),
        ("skipgate_data::MOST_DECODED_BYTES", skipgate_data::MOST_DECODED_BYTES),
        ("skipgate_data::MOST_PIXELS_IN_LINE", skipgate_data::MOST_PIXELS_IN_LINE.into()),
        ("skipgate_data::tensor_file::MOST_BYTES", skipgate_data::tensor_file::MOST_BYTES),
        (
            "skipgate_data::tensor_file::MOST_HEADER_BYTES",
            skipgate_data::tensor_file::MOST_HEADER_BYTES as u64,
        ),
        ("skipgate_runtime::Device::MAX_THREADS", skipgate_runtime::Device::MAX_THREADS as u64),
    ]
}

/// The rows of the table: a constant and its value.
fn documented() -> Vec<(String, u64)> {
    let page = fs_err::read_to_string(repository().join("docs/threat.md")).unwrap();
    let rows = page.lines().filter(|line| line.ends_with("` |") && line.contains("| `skipgate_"));
    let row = |line: &str| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let value = cells[2].split(' ').next().unwrap();
        (cells[3].trim_matches('`').to_owned(), value.parse().unwrap_or_else(|_| panic!("{line}")))
    };
    rows.map(row).collect()
}

#[test]
fn the_page_names_every_limit_and_its_value() {
    let limits: Vec<_> = limits().iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    assert_eq!(documented(), limits);
}
