//! Set-up, demo, tests and benchmarks of skipgate.
fn main() {}
