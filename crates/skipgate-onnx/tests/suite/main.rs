//! The rewriter as its users call it.

mod blocks;
mod dimensions;
mod engine;
mod equivalence;
mod files;
mod gates;
mod hostile;
mod indices;
mod layers;
mod net;
mod normalise;
mod normalise_operators;
mod other_domains;
mod quantized;
mod recognised;
mod sampled;
mod scores;
mod sequences;
mod shapes;
mod written_out;
