//! What the tests of the protocol share.

use skipgate_core::{
    Abi, CompileOptions, Coverage, ElementType, FORMAT_VERSION, FileDigest, Gate, IREE_REVISION,
    IREE_VERSION, IreeVersion, Manifest, Scores, Target, TensorSpec, VMFB_FILE,
};

/// Every element type, by the name of its tensor.
pub(crate) const TYPES: [ElementType; 7] = [
    ElementType::F32,
    ElementType::F16,
    ElementType::I8,
    ElementType::U8,
    ElementType::I32,
    ElementType::I64,
    ElementType::Bool,
];

/// A network with two gates, and an input and an output of every type, of two elements each.
pub(crate) fn manifest() -> Manifest {
    let tensor = |element_type: ElementType| TensorSpec {
        name: element_type.name().to_owned(),
        shape: vec![1, 2],
        element_type,
    };
    let mask = TensorSpec { name: "mask".to_owned(), shape: vec![2], element_type: ElementType::Bool };
    let gate = |block: &str| Gate { block: block.to_owned(), segment: 0, macs: 1, parameters: 1 };
    Manifest {
        format_version: FORMAT_VERSION,
        generator: "tests".to_owned(),
        iree: IreeVersion { version: IREE_VERSION.to_owned(), revision: IREE_REVISION.to_owned() },
        target: Target::named("x86-64-v3").unwrap(),
        options: CompileOptions::default(),
        abi: Abi {
            entry_point: "skipgate.run".to_owned(),
            specialised: vec![],
            inputs: TYPES.into_iter().map(tensor).chain([mask]).collect(),
            outputs: TYPES.into_iter().map(tensor).collect(),
            index_inputs: vec![],
        },
        gates: vec![gate("a"), gate("b")],
        coverage: Coverage::default(),
        preprocessing: None,
        class_names: vec![],
        scores: Scores::Logits,
        model_sha256: "00".repeat(32),
        files: [(VMFB_FILE.to_owned(), FileDigest::of(b""))].into(),
    }
}
