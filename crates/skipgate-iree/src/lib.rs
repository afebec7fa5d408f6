//! Compiles gated ONNX models to artifacts through libIREECompiler.
