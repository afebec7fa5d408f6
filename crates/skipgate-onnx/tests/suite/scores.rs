//! What the numbers of an output are.

use skipgate_core::Scores;
use skipgate_onnx::{Model, find_scores, normalise};

use crate::net::{Net, int};

/// What the output that `build` makes of ten channels is.
fn scores(opset: i64, build: impl FnOnce(&mut Net, &str) -> String, shape: &[i64]) -> Scores {
    let (mut net, image) = Net::new(&[1, 3, 8, 8], 1);
    net.set_opset(opset);
    let x = net.conv(&image, 10, 3, 1);
    let x = net.op("GlobalAveragePool", &[&x], &[]);
    let output = build(&mut net, &x);
    net.output(&output, shape);
    let model = normalise(&Model::from_proto(net.proto()).unwrap()).unwrap();
    find_scores(&model).unwrap()
}

fn flat(net: &mut Net, x: &str) -> String {
    net.op("Flatten", &[x], &[])
}

#[test]
fn the_last_operator_says_what_an_output_is() {
    for (op_type, expected) in [
        ("Softmax", Scores::Probabilities),
        ("LogSoftmax", Scores::LogProbabilities),
        ("Sigmoid", Scores::IndependentProbabilities),
        ("Relu", Scores::Logits),
    ] {
        let found = scores(
            17,
            |net, x| {
                let y = flat(net, x);
                net.op(op_type, &[&y], &[])
            },
            &[1, 10],
        );
        assert_eq!(found, expected, "{op_type}");
    }
    assert_eq!(scores(17, flat, &[1, 10]), Scores::Logits);
}

#[test]
fn a_softmax_is_seen_through_what_moves_its_numbers() {
    // Along the channels of an image of one pixel, and only then flat.
    let channels = |net: &mut Net, x: &str| {
        let y = net.op("Softmax", &[x], &[int("axis", 1)]);
        let y = net.op("Identity", &[&y], &[]);
        flat(net, &y)
    };
    assert_eq!(scores(17, channels, &[1, 10]), Scores::Probabilities);
    // Before operator set 13 it is over all axes from one on, which normalising writes with reshapes.
    assert_eq!(scores(11, |net, x| net.op("Softmax", &[x], &[]), &[1, 10, 1, 1]), Scores::Probabilities);
}

#[test]
fn a_softmax_over_something_else_is_none_of_the_classes() {
    let rows = |net: &mut Net, x: &str| {
        let shape = net.ints(&[1, 5, 2]);
        let y = net.op("Reshape", &[x, &shape], &[]);
        let y = net.op("Softmax", &[&y], &[]);
        flat(net, &y)
    };
    assert_eq!(scores(17, rows, &[1, 10]), Scores::Logits);
    let scaled = |net: &mut Net, x: &str| {
        let y = flat(net, x);
        let y = net.op("Softmax", &[&y], &[]);
        let two = net.floats(&[], |_| 2.0);
        net.op("Mul", &[&y, &two], &[])
    };
    assert_eq!(scores(17, scaled, &[1, 10]), Scores::Logits);
}
