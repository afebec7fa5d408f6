//! The skipgate command line.
fn main() {}
