//! Sequences that are known, and tensors without elements, against ONNX Runtime.

use skipgate_onnx::{Model, normalise};

use crate::net::{Net, int, value_info};
use crate::written_out::{compare, int64s};

#[test]
fn elements_of_sequences_are_read_by_name() {
    for (erased, inserted, read) in [(1, -1, 0), (-1, 0, -2), (0, 2, 2)] {
        let found = compare(17, &[2, 3], "SequenceAt", |net, image| {
            let others = [net.floats(&[2, 3], |x| x), net.floats(&[2, 3], |x| x)];
            let sequence = net.op("SequenceConstruct", &[&others[0], image, &others[1]], &[]);
            let [erased, inserted, read] = [erased, inserted, read].map(|place| int64s(net, &[], &[place]));
            let sequence = net.op("SequenceErase", &[&sequence, &erased], &[]);
            let sequence = net.op("SequenceInsert", &[&sequence, &others[1], &inserted], &[]);
            let element = net.op("SequenceAt", &[&sequence, &read], &[]);
            net.op("Add", &[image, &element], &[])
        });
        assert_eq!(found, ["Add"]);
    }
}

#[test]
fn sequences_are_joined() {
    for (axis, is_new) in [(1, 0), (-1, 0), (0, 1), (-1, 1)] {
        let found = compare(17, &[2, 3], "ConcatFromSequence", |net, image| {
            let sequence = net.op("SequenceEmpty", &[], &[]);
            let sequence = net.op("SequenceInsert", &[&sequence, image], &[]);
            let sequence = net.op("SequenceInsert", &[&sequence, image], &[]);
            net.op("ConcatFromSequence", &[&sequence], &[int("axis", axis), int("new_axis", is_new)])
        });
        assert_eq!(found.last().unwrap(), "Concat");
    }
}

#[test]
fn tensors_are_split_to_sequences() {
    let split = |sizes: Option<(&[i64], &[i64])>, keeps: i64, place: i64| {
        let found = compare(17, &[5, 2], "SplitToSequence", |net, image| {
            let mut inputs = vec![image.to_owned()];
            inputs.extend(sizes.map(|(dims, sizes)| int64s(net, dims, sizes)));
            let inputs: Vec<_> = inputs.iter().map(String::as_str).collect();
            let sequence = net.op("SplitToSequence", &inputs, &[int("axis", 0), int("keepdims", keeps)]);
            let length = net.op("SequenceLength", &[&sequence], &[]);
            let length = net.op("Cast", &[&length], &[int("to", 1)]);
            let place = int64s(net, &[], &[place]);
            let part = net.op("SequenceAt", &[&sequence, &place], &[]);
            net.op("Mul", &[&part, &length], &[])
        });
        assert!(found.contains(&"Split".to_owned()), "{found:?}");
    };
    split(None, 1, 4);
    split(None, 0, -1);
    split(Some((&[], &[2])), 1, 2);
    split(Some((&[3], &[1, 3, 1])), 1, 1);
}

#[test]
fn a_sequence_that_depends_on_data_is_refused_by_name() {
    let (mut net, image) = Net::new(&[2, 3], 5);
    let sequence = net.op("SequenceConstruct", &[&image, &image], &[]);
    let place = net.op("Cast", &[&image], &[int("to", 7)]);
    let y = net.op("SequenceAt", &[&sequence, &place], &[]);
    net.output(&y, &[2, 3]);
    let error = normalise(&net.model()).unwrap_err().to_string();
    assert!(error.contains("(SequenceAt): the place that it reads is not constant"), "{error}");
}

#[test]
fn parts_without_elements_are_left_out() {
    let found = compare(18, &[4, 3], "Slice", |net, image| {
        let sizes = net.ints(&[0, 4, 0]);
        let first = net.op("Split", &[image, &sizes], &[int("axis", 0)]);
        net.node_mut(&first).output.extend(["all".into(), "last".into()]);
        let (start, end) = (net.ints(&[9]), net.ints(&[12]));
        let none = net.op("Slice", &[image, &start, &end], &[]);
        let none = net.op("Relu", &[&none], &[]);
        net.op("Concat", &[&first, "all", &none, "last", image], &[int("axis", 0)])
    });
    assert_eq!(found, ["Concat"]);
    let found = compare(18, &[4, 3], "none", |net, image| {
        let sizes = net.ints(&[1, 0, 3]);
        let first = net.op("Split", &[image, &sizes], &[int("axis", 0)]);
        net.node_mut(&first).output.extend(["none".into(), "rest".into()]);
        net.op("Concat", &["rest", "none", &first], &[int("axis", 0)])
    });
    assert_eq!(found, ["Split", "Concat"]);
}

#[test]
fn reductions_of_nothing_are_constants() {
    for op_type in [
        "ReduceL1",
        "ReduceL2",
        "ReduceLogSum",
        "ReduceLogSumExp",
        "ReduceMax",
        "ReduceMin",
        "ReduceProd",
        "ReduceSum",
        "ReduceSumSquare",
    ] {
        let (mut net, image) = Net::new(&[2, 0, 4], 5);
        net.set_opset(20);
        let axes = net.ints(&[1]);
        let y = net.op(op_type, &[&image, &axes], &[int("keepdims", 0)]);
        net.output(&y, &[2, 4]);
        let plain = normalise(&net.model()).unwrap();
        assert!(plain.proto().graph.node.iter().all(|node| node.op_type == "Expand"), "{op_type} is left");
    }
    let (mut net, image) = Net::new(&[2, 0, 4], 5);
    net.set_opset(20);
    let axes = net.ints(&[1]);
    let y = net.op("ReduceMean", &[&image, &axes], &[]);
    net.output(&y, &[]);
    let error = normalise(&net.model()).unwrap_err().to_string();
    assert!(error.contains("(ReduceMean): it reduces no elements"), "{error}");
}

#[test]
fn an_output_without_elements_is_handed_on() {
    let (mut net, image) = Net::new(&[2, 3], 5);
    let (start, end) = (net.ints(&[5]), net.ints(&[9]));
    let y = net.op("Slice", &[&image, &start, &end], &[]);
    net.output(&y, &[0, 3]);
    let plain = normalise(&net.model()).unwrap();
    let found: Vec<_> = plain.proto().graph.node.iter().map(|node| node.op_type.as_str()).collect();
    assert_eq!(found, ["Identity"]);
    assert_eq!(normalise(&plain).unwrap(), plain);
    assert!(Model::from_proto(plain.proto().clone()).is_ok());
    assert_eq!(plain.proto().graph.output, [value_info(&y, 1, &[0, 3])]);
}
