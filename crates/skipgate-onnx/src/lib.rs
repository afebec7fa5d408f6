//! Finds residual blocks in ONNX models and puts weightless gates in front of them.
