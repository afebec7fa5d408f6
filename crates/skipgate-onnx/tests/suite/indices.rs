//! Computed indices: those that may be outside of their axis are limited, all others stay as they are.

use skipgate_onnx::proto::AttributeProto;
use skipgate_onnx::{IndexChecks, Model, index_checks, normalise};

use crate::engine;
use crate::net::{Net, int, value_info};
use crate::written_out::int64s;

const SHAPE: [i64; 2] = [1, 6];
/// Numbers that are no places along an axis of 4, and some that are.
const IMAGE: [f32; 6] = [1.0, -7.0, 3.0, 40.0, -4.0, 0.0];
/// The same limited to them.
const LIMITED: [f32; 6] = [1.0, -4.0, 3.0, 3.0, -4.0, 0.0];

/// A network whose indices are the integers in its image, in the shape `dims`.
fn network(node: &Node, dims: &[i64], element_type: i64) -> Model {
    let (mut net, image) = Net::new(&SHAPE, 5);
    let wide = net.op("Cast", &[&image], &[int("to", element_type)]);
    let dims = net.ints(dims);
    let indices = net.op("Reshape", &[&wide, &dims], &[]);
    let y = node(&mut net, &indices);
    net.output(&y, &[]);
    Model::from_proto(net.proto()).unwrap()
}

/// Every operator with data of four elements along the axis, by name, with the shape of its indices.
type Case = (&'static str, Vec<i64>, Box<Node>);

/// Adds a node that takes a value, and gives the name of its result.
type Node = dyn Fn(&mut Net, &str) -> String;

fn cases() -> Vec<Case> {
    let attribute = |attribute: Option<AttributeProto>| attribute.into_iter().collect::<Vec<_>>();
    let case = |name: &'static str, dims: &[i64], data: [i64; 2], attributes: Vec<AttributeProto>| {
        let updates = match name {
            "ScatterElements" => Some(dims.to_vec()),
            "ScatterND" => Some(vec![dims[0]]),
            _ => None,
        };
        let node = move |net: &mut Net, indices: &str| {
            let data = net.floats(&data, |x| x);
            let mut inputs = vec![data, indices.to_owned()];
            inputs.extend(updates.as_ref().map(|dims| net.floats(dims, |x| x)));
            let inputs: Vec<_> = inputs.iter().map(String::as_str).collect();
            net.op(name, &inputs, &attributes)
        };
        (name, dims.to_vec(), Box::new(node) as Box<Node>)
    };
    vec![
        case("Gather", &[2, 3], [4, 3], vec![]),
        case("Gather", &[6], [3, 4], attribute(Some(int("axis", -1)))),
        case("GatherElements", &[3, 2], [4, 2], vec![]),
        case("GatherND", &[3, 2], [4, 4], vec![]),
        case("ScatterElements", &[2, 3], [2, 4], attribute(Some(int("axis", 1)))),
        case("ScatterND", &[3, 2], [4, 4], vec![]),
    ]
}

#[test]
fn computed_indices_are_limited_to_what_they_choose_from() {
    for (name, dims, node) in cases() {
        // Indices of several numbers are of 64 bits only.
        for element_type in if name.ends_with("ND") { vec![7] } else { vec![6, 7] } {
            let model = network(&*node, &dims, element_type);
            let plain = normalise(&model).unwrap();
            let IndexChecks { inputs, limited } = index_checks(&plain).unwrap();
            assert!(inputs.is_empty(), "{name}: {inputs:?}");
            assert!(matches!(&limited[..], [node] if node.starts_with(name)), "{name}: {limited:?}");
            assert_eq!(normalise(&plain).unwrap().to_bytes().unwrap(), plain.to_bytes().unwrap(), "{name}");
            if engine::is_available() {
                let found = engine::run(&plain, &SHAPE, &IMAGE, None);
                assert_eq!(found, engine::run(&model, &SHAPE, &LIMITED, None), "{name}");
            }
        }
    }
}

#[test]
fn each_number_of_an_index_has_limits_of_its_own() {
    let node = |net: &mut Net, indices: &str| {
        let data = net.floats(&[2, 5], |x| x);
        net.op("GatherND", &[&data, indices], &[])
    };
    let model = network(&node, &[3, 2], 7);
    let plain = normalise(&model).unwrap();
    assert_eq!(index_checks(&plain).unwrap().limited.len(), 1);
    if engine::is_available() {
        let found = engine::run(&plain, &SHAPE, &[9.0, 4.0, -9.0, 9.0, 1.0, -9.0], None);
        assert_eq!(found, engine::run(&model, &SHAPE, &[1.0, 4.0, -2.0, 4.0, 1.0, -5.0], None));
    }
}

#[test]
fn indices_that_cannot_be_outside_stay_as_they_are() {
    let places: [&Node; 6] = [
        &|net, x| net.op("ArgMax", &[x], &[int("axis", 1)]),
        &|net, x| {
            let count = net.ints(&[2]);
            let largest = net.op("TopK", &[x, &count], &[]);
            net.node_mut(&largest).output.push("places".into());
            "places".to_owned()
        },
        &|net, x| net.op("Cast", &[x], &[int("to", 2)]),
        &|net, x| {
            let wide = net.op("Cast", &[x], &[int("to", 7)]);
            let (least, most) = (int64s(net, &[], &[-3]), int64s(net, &[], &[3]));
            net.op("Clip", &[&wide, &least, &most], &[])
        },
        &|net, x| {
            let place = net.op("ArgMin", &[x], &[int("axis", 1)]);
            let (factor, more) = (int64s(net, &[], &[-2]), int64s(net, &[], &[7]));
            let product = net.op("Mul", &[&place, &factor], &[]);
            net.op("Add", &[&product, &more], &[])
        },
        &|net, x| {
            let is_large = net.op("Cast", &[x], &[int("to", 9)]);
            let (one, other) = (int64s(net, &[], &[5]), int64s(net, &[], &[-6]));
            net.op("Where", &[&is_large, &one, &other], &[])
        },
    ];
    for (number, place) in places.into_iter().enumerate() {
        let (mut net, image) = Net::new(&SHAPE, 5);
        let place = place(&mut net, &image);
        let wide = net.op("Cast", &[&place], &[int("to", 7)]);
        // A byte has more numbers than there are places in the others.
        let table = net.floats(&[if number == 2 { 256 } else { 8 }, 2], |x| x);
        let y = net.op("Gather", &[&table, &wide], &[]);
        net.output(&y, &[]);
        let plain = normalise(&Model::from_proto(net.proto()).unwrap()).unwrap();
        assert_eq!(index_checks(&plain).unwrap(), IndexChecks::default(), "case {number}");
    }
}

#[test]
fn wrapped_numbers_are_no_bound() {
    let node = |net: &mut Net, indices: &str| {
        let (least, most) = (int64s(net, &[], &[0]), int64s(net, &[], &[200]));
        let limited = net.op("Clip", &[indices, &least, &most], &[]);
        // 200 is -56 in eight bits.
        let narrow = net.op("Cast", &[&limited], &[int("to", 3)]);
        let wide = net.op("Cast", &[&narrow], &[int("to", 7)]);
        let table = net.floats(&[201, 2], |x| x);
        let four = int64s(net, &[], &[4]);
        let product = net.op("Mul", &[&narrow, &narrow], &[]);
        let product = net.op("Cast", &[&product], &[int("to", 7)]);
        let inside = net.op("Gather", &[&table, &wide], &[]);
        let sum = net.op("Add", &[&product, &four], &[]);
        let outside = net.op("Gather", &[&table, &sum], &[]);
        let small = net.floats(&[100, 2], |x| x);
        let also_outside = net.op("Gather", &[&small, &wide], &[]);
        let y = net.op("Add", &[&inside, &outside], &[]);
        net.op("Add", &[&y, &also_outside], &[])
    };
    let plain = normalise(&network(&node, &[6], 7)).unwrap();
    let limited = index_checks(&plain).unwrap().limited;
    assert_eq!(limited.len(), 1, "{limited:?}");
}

#[test]
fn indices_that_the_caller_gives_are_for_the_runtime_to_check() {
    let (mut net, image) = Net::new(&SHAPE, 5);
    let mut proto = {
        let tokens = net.op("Cast", &["tokens"], &[int("to", 7)]);
        let dims = net.ints(&[3, 1]);
        let tokens = net.op("Reshape", &[&tokens, &dims], &[]);
        let (table, small) = (net.floats(&[9, 6], |x| x), net.floats(&[5, 6], |x| x));
        let a = net.op("Gather", &[&table, &tokens], &[]);
        let b = net.op("Gather", &[&small, &tokens], &[]);
        let sum = net.op("Add", &[&a, &b], &[]);
        let y = net.op("Add", &[&sum, &image], &[]);
        net.output(&y, &[]);
        net.proto()
    };
    proto.graph.as_mut().unwrap().input.push(value_info("tokens", 6, &[3]));
    let plain = normalise(&Model::from_proto(proto).unwrap()).unwrap();
    let IndexChecks { inputs, limited } = index_checks(&plain).unwrap();
    let limits: Vec<_> = inputs.iter().map(|input| (&input.input[..], input.least, input.most)).collect();
    assert_eq!(limits, [("tokens", -9, 8), ("tokens", -5, 4)]);
    assert!(limited.is_empty());
}
