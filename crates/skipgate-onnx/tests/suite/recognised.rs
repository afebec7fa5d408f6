//! Finding gates again.

use skipgate_onnx::proto::attribute_proto::AttributeType;
use skipgate_onnx::proto::{AttributeProto, GraphProto, ModelProto, NodeProto, ValueInfoProto};
use skipgate_onnx::{Error, GateSelection, Graph, MASK_INPUT, Model, gate, recognise_gates};

use crate::net::{Net, small_resnet, value_info};

const BOOL: i32 = 9;
const INT64: i32 = 7;

/// Numbers of the gates, and why the other nodes on the mask are none.
fn recognised(proto: ModelProto) -> Result<(Vec<usize>, Vec<String>), Error> {
    let model = Model::from_proto(proto)?;
    let found = recognise_gates(&Graph::new(&model)?)?;
    let gates = found.gates.iter().map(|gate| gate.number).collect();
    Ok((gates, found.branches.into_iter().map(|branch| branch.reason).collect()))
}

fn gated() -> ModelProto {
    gate(&small_resnet().model(), &GateSelection::default()).unwrap().proto().clone()
}

/// The element that the first gate reads.
fn set_index(proto: &mut ModelProto, index: i64) {
    let graph = proto.graph.as_mut().unwrap();
    let read = graph.node.iter().find(|node| node.op_type == "Gather").unwrap().input[1].clone();
    let tensor = graph.initializer.iter_mut().find(|tensor| tensor.name == read).unwrap();
    tensor.raw_data = index.to_le_bytes().to_vec();
}

fn first_gate(proto: &mut ModelProto) -> &mut NodeProto {
    proto.graph.as_mut().unwrap().node.iter_mut().find(|node| node.op_type == "If").unwrap()
}

#[test]
fn gates_are_found_where_they_were_put() {
    let model = Model::from_proto(gated()).unwrap();
    let graph = Graph::new(&model).unwrap();
    let found = recognise_gates(&graph).unwrap();
    assert_eq!(found.gates.iter().map(|gate| gate.number).collect::<Vec<_>>(), [0, 1]);
    for gate in &found.gates {
        let name = |value| graph.value(value).name;
        assert_eq!(name(gate.result), format!("{}.run", name(gate.output)));
        assert!(graph.node(graph.scope(gate.block).nodes[0]).reads().any(|read| read == gate.input));
    }
    assert_eq!(found.branches, []);
}

#[test]
fn an_element_past_the_mask_is_an_error_of_the_node_that_reads_it() {
    for index in [2, -3, i64::MIN, i64::MAX] {
        let mut proto = gated();
        set_index(&mut proto, index);
        let message = recognised(proto).unwrap_err().to_string();
        let expected = format!("(Gather): it reads element {index} of the skip mask, which has 2");
        assert!(message.ends_with(&expected), "{message}");
    }
}

#[test]
fn a_negative_element_counts_from_the_end() {
    let mut proto = gated();
    set_index(&mut proto, -2);
    assert_eq!(recognised(proto).unwrap(), (vec![0, 1], vec![]));
}

#[test]
fn two_gates_on_one_element_are_a_gate_and_a_branch() {
    let mut proto = gated();
    set_index(&mut proto, 1);
    let (gates, reasons) = recognised(proto).unwrap();
    assert_eq!((gates, reasons), (vec![1], vec!["another gate has its element of the mask".to_owned()]));
}

#[test]
fn an_element_that_the_model_computes_makes_a_branch() {
    let mut proto = gated();
    let graph = proto.graph.as_mut().unwrap();
    graph.input.push(value_info("which", INT64, &[]));
    graph.node.iter_mut().find(|node| node.op_type == "Gather").unwrap().input[1] = "which".to_owned();
    let (gates, reasons) = recognised(proto).unwrap();
    assert_eq!((gates, reasons), (vec![1], vec!["its element of the mask is not constant".to_owned()]));
}

#[test]
fn an_if_that_computes_something_when_it_is_closed_is_a_branch() {
    let mut proto = gated();
    let skip = first_gate(&mut proto).attribute.iter_mut().find(|attribute| attribute.name == "else_branch");
    skip.unwrap().g.as_mut().unwrap().node[0].op_type = "Neg".to_owned();
    let (gates, reasons) = recognised(proto).unwrap();
    assert_eq!(gates, [1]);
    assert_eq!(reasons, ["it does not hand on a value when it is closed"]);
}

#[test]
fn an_if_on_anything_else_than_the_mask_is_none_of_its_nodes() {
    let mut proto = gated();
    proto.graph.as_mut().unwrap().input.push(value_info("condition", BOOL, &[]));
    first_gate(&mut proto).input[0] = "condition".to_owned();
    assert_eq!(recognised(proto).unwrap(), (vec![1], vec![]));
}

#[test]
fn a_gate_in_the_block_of_another_one_makes_branches_of_both() {
    let (mut net, x) = Net::new(&[1, 3, 8, 8], 1);
    let x = net.relu(&x);
    let elements = [0, 1].map(|number| net.ints(&[number]));
    let [outer, inner] = elements.map(|element| net.op("Gather", &[MASK_INPUT, &element], &[]));
    let inner = choice(&inner, vec![node("Relu", &x, "a")], "a", vec![node("Identity", &x, "b")], "c");
    net.push(
        "If",
        &[&outer],
        "y",
        &[
            branch("then_branch", vec![inner], "c"),
            branch("else_branch", vec![node("Identity", &x, "d")], "d"),
        ],
    );
    net.output("y", &[1, 3, 8, 8]);
    let mut proto = net.proto();
    proto.graph.as_mut().unwrap().input.push(value_info(MASK_INPUT, BOOL, &[2]));
    let (gates, reasons) = recognised(proto).unwrap();
    assert!(gates.is_empty());
    assert_eq!(reasons, ["the gate `c` is inside of it", "it is inside of `node_y`"]);
}

fn node(op_type: &str, input: &str, output: &str) -> NodeProto {
    let (input, output) = (vec![input.to_owned()], vec![output.to_owned()]);
    NodeProto { op_type: op_type.to_owned(), input, output, ..NodeProto::default() }
}

/// An `If` that gives `run` or `b`.
fn choice(
    condition: &str,
    block: Vec<NodeProto>,
    run: &str,
    skip: Vec<NodeProto>,
    output: &str,
) -> NodeProto {
    let mut choice = node("If", condition, output);
    choice.attribute = vec![branch("then_branch", block, run), branch("else_branch", skip, "b")];
    choice
}

fn branch(name: &str, node: Vec<NodeProto>, output: &str) -> AttributeProto {
    let output = vec![ValueInfoProto { name: output.to_owned(), ..ValueInfoProto::default() }];
    AttributeProto {
        name: name.to_owned(),
        type_: AttributeType::GRAPH.into(),
        g: Some(GraphProto { node, output, ..GraphProto::default() }).into(),
        ..AttributeProto::default()
    }
}
