//! The rewriter as its users call it.

mod blocks;
mod engine;
mod equivalence;
mod files;
mod gates;
mod hostile;
mod net;
mod normalise;
mod normalise_operators;
mod quantized;
mod recognised;
mod shapes;
mod written_out;
