//! Messages of the ONNX file format, generated from `proto/onnx.proto`.
//!
//! The names are those of the ONNX specification. What the schema does not list is kept in `special_fields` and
//! written back.
#![allow(
    missing_docs,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::pedantic,
    reason = "generated code"
)]

include!(concat!(env!("OUT_DIR"), "/onnx/mod.rs"));

pub use onnx::*;
