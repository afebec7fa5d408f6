//! Generates the messages of the ONNX file format from `proto/onnx.proto`.

fn main() {
    protobuf_codegen::Codegen::new()
        .pure()
        .include("proto")
        .input("proto/onnx.proto")
        .cargo_out_dir("onnx")
        .run_from_script();
}
