//! Inserting and removing gates, without running the result.

use skipgate_core::Hint;
use skipgate_onnx::proto::{GraphProto, NodeProto, type_proto};
use skipgate_onnx::{
    Error, GateSelection, MASK_INPUT, Model, fold_batch_norm, gate, infer_shapes, remove_blocks,
};

use crate::net::{FLOAT, Net, int, ints, small_resnet};

fn gated() -> Model {
    gate(&small_resnet().model(), &GateSelection::default()).unwrap()
}

fn branch<'m>(gate: &'m NodeProto, name: &str) -> &'m GraphProto {
    &gate.attribute.iter().find(|attribute| attribute.name == name).unwrap().g
}

fn ops(nodes: &[NodeProto]) -> Vec<&str> {
    nodes.iter().map(|node| node.op_type.as_str()).collect()
}

/// Names of the gated blocks.
fn selected(selection: &GateSelection) -> Result<Vec<String>, Error> {
    let gated = gate(&small_resnet().model(), selection)?;
    Ok(gated.gates().unwrap().into_iter().map(|gate| gate.block).collect())
}

fn patterns(patterns: &[&str]) -> Vec<String> {
    patterns.iter().map(|&pattern| pattern.to_owned()).collect()
}

#[test]
fn a_gate_runs_the_block_or_hands_on_its_input() {
    let gated = gated();
    let graph = &gated.proto().graph;
    let gate = graph.node.iter().find(|node| node.op_type == "If").unwrap();
    let (run, skip) = (branch(gate, "then_branch"), branch(gate, "else_branch"));
    assert_eq!(ops(&run.node), ["Conv", "Relu", "Conv", "Add", "Relu"]);
    assert_eq!(ops(&skip.node), ["Identity"]);
    assert_eq!(skip.node[0].input[0], run.node[0].input[0]);
    for branch in [run, skip] {
        let Some(type_proto::Value::TensorType(declared)) = &branch.output[0].type_.value else { panic!() };
        assert_eq!((declared.elem_type, declared.shape.dim.len()), (FLOAT, 4));
        assert_eq!(branch.output[0].name, branch.node.last().unwrap().output[0]);
    }
}

#[test]
fn the_mask_is_the_last_input_and_read_in_front_of_each_gate() {
    let gated = gated();
    let graph = &gated.proto().graph;
    let inputs: Vec<_> = graph.input.iter().map(|input| input.name.as_str()).collect();
    assert_eq!(inputs, ["image", MASK_INPUT]);
    assert_eq!(infer_shapes(&gated).unwrap()[MASK_INPUT].static_shape().unwrap(), [2]);
    let gates: Vec<_> = (0..graph.node.len()).filter(|&index| graph.node[index].op_type == "If").collect();
    assert_eq!(gates.len(), 2);
    for gate in gates {
        assert_eq!(ops(&graph.node[gate - 1..=gate]), ["Gather", "If"]);
    }
}

#[test]
fn a_gated_model_is_typed_inside_of_its_gates() {
    let (original, gated) = (small_resnet().model(), gated());
    let (original, gated) = (infer_shapes(&original).unwrap(), infer_shapes(&gated).unwrap());
    for (name, tensor_type) in original {
        assert_eq!(gated[&name], tensor_type, "{name}");
    }
}

#[test]
fn the_gate_table_says_what_skipping_saves() {
    let gates = gated().gates().unwrap();
    assert_eq!(
        gates.iter().map(|gate| gate.block.as_str()).collect::<Vec<_>>(),
        ["segment0.block1", "segment1.block1"]
    );
    assert_eq!((gates[0].segment, gates[0].macs, gates[0].parameters), (0, 18432, 296));
}

/// With an activation whose result it would change, x must still pass that activation when the block is skipped.
#[test]
fn an_activation_that_is_not_idempotent_stays_outside_of_the_gate() {
    let (mut net, x) = Net::new(&[1, 3, 8, 8], 1);
    let x = net.conv(&x, 4, 3, 1);
    let x = net.op("LeakyRelu", &[&x], &[]);
    let y = net.conv(&x, 4, 3, 1);
    let sum = net.add(&x, &y);
    let sum = net.op("LeakyRelu", &[&sum], &[]);
    net.classify(&sum);
    assert_eq!(ops(&then_branch(&net).node), ["Conv", "Add"]);
}

/// The input of this block may be negative: skipping has to clip it.
#[test]
fn an_activation_that_the_input_has_not_passed_stays_outside_of_the_gate() {
    let (mut net, x) = Net::new(&[1, 3, 8, 8], 1);
    let x = net.conv(&x, 4, 3, 1);
    let y = net.conv(&x, 4, 3, 1);
    let sum = net.add(&x, &y);
    let sum = net.relu(&sum);
    net.classify(&sum);
    assert_eq!(ops(&then_branch(&net).node), ["Conv", "Add"]);
}

#[test]
fn an_activation_that_the_input_has_passed_is_skipped_too_even_through_a_pool() {
    let (mut net, x) = Net::new(&[1, 3, 8, 8], 1);
    let x = net.conv(&x, 4, 3, 1);
    let x = net.relu6(&x);
    let x = net.op("MaxPool", &[&x], &[ints("kernel_shape", &[2, 2])]);
    let y = net.conv(&x, 4, 3, 1);
    let sum = net.add(&x, &y);
    let sum = net.relu6(&sum);
    net.classify(&sum);
    assert_eq!(ops(&then_branch(&net).node), ["Conv", "Add", "Clip"]);
}

fn then_branch(net: &Net) -> GraphProto {
    let selection = GateSelection { gate_first: true, ..GateSelection::default() };
    let gated = gate(&net.model(), &selection).unwrap();
    let gate = gated.proto().graph.node.iter().find(|node| node.op_type == "If").unwrap();
    branch(gate, "then_branch").clone()
}

#[test]
fn selections_add_to_the_default_and_take_from_it() {
    let select = |gate_first, gate: &[&str], no_gate: &[&str]| {
        selected(&GateSelection {
            gate_first,
            gate: patterns(gate),
            no_gate: patterns(no_gate),
            ..GateSelection::default()
        })
        .unwrap()
    };
    let (first, second, third) = ("segment0.block0", "segment0.block1", "segment1.block1");
    assert_eq!(select(false, &[], &[]), [second, third]);
    assert_eq!(select(true, &[], &[]), [first, second, third]);
    assert_eq!(select(false, &["segment0.*"], &[]), [first, second, third]);
    assert_eq!(select(true, &[], &["*.block1"]), [first]);
    assert_eq!(select(false, &[first], &["segment?.block1"]), [first]);
}

#[test]
fn selections_that_cannot_be_met_say_why() {
    let message = |gate: &[&str], no_gate: &[&str]| {
        selected(&GateSelection {
            gate: patterns(gate),
            no_gate: patterns(no_gate),
            ..GateSelection::default()
        })
        .unwrap_err()
    };
    assert_eq!(message(&["layer9*"], &[]).to_string(), "no residual block is called `layer9*`");
    assert_eq!(message(&[], &["nothing"]).to_string(), "no residual block is called `nothing`");
    assert_eq!(
        message(&["segment1.block0"], &[]).to_string(),
        "block `segment1.block0` cannot be skipped: the shortcut is not the identity"
    );
    assert!(message(&["a***"], &[]).to_string().contains("is not a valid pattern"));
    let nothing = message(&[], &["*"]);
    assert_eq!(
        nothing.to_string(),
        "no block to gate: 4 residual blocks found, 3 of them skippable, none selected"
    );
    assert!(nothing.hint().unwrap().contains("skipgate inspect"));
    let all_but_first = message(&[], &["segment*.block1"]);
    assert!(all_but_first.hint().unwrap().starts_with("`--gate-first` would gate `segment0.block0`;"));
}

#[test]
fn a_network_without_blocks_cannot_be_gated() {
    let (mut net, x) = Net::new(&[1, 3, 8, 8], 1);
    let y = net.conv(&x, 4, 3, 1);
    net.classify(&y);
    let error = gate(&net.model(), &GateSelection::default()).unwrap_err();
    assert!(matches!(error, Error::NothingToGate { residual: 0, skippable: 0, .. }));
}

#[test]
fn a_gated_model_is_not_gated_again() {
    assert!(matches!(gate(&gated(), &GateSelection::default()), Err(Error::AlreadyGated)));
    assert!(matches!(remove_blocks(&gated(), &[]), Err(Error::AlreadyGated)));
}

#[test]
fn a_model_that_uses_the_name_of_the_mask_is_refused() {
    let mut net = small_resnet();
    net.push("Relu", &["image"], MASK_INPUT, &[]);
    assert!(matches!(gate(&net.model(), &GateSelection::default()), Err(Error::NameTaken { .. })));
}

#[test]
fn a_removed_block_takes_its_weights_with_it() {
    let model = small_resnet().model();
    let pruned = remove_blocks(&model, &["segment0.block0", "segment0.block1"]).unwrap();
    let count = |model: &Model| (model.proto().graph.node.len(), model.proto().graph.initializer.len());
    let (nodes, weights) = count(&model);
    assert_eq!(count(&pruned), (nodes - 10, weights - 8));
    let error = remove_blocks(&model, &["segment1.block0"]).unwrap_err();
    assert!(matches!(error, Error::NotSkippable { .. }));
    assert!(matches!(remove_blocks(&model, &["segment*"]), Err(Error::UnknownBlock { .. })));
}

#[test]
fn an_output_of_the_model_keeps_its_name_when_its_block_goes() {
    let (mut net, x) = Net::new(&[1, 4, 8, 8], 1);
    let y = net.conv(&x, 4, 3, 1);
    let sum = net.add(&x, &y);
    net.output(&sum, &[1, 4, 8, 8]);
    let model = net.model();
    let pruned = remove_blocks(&model, &["segment0.block0"]).unwrap();
    assert_eq!(ops(&pruned.proto().graph.node), ["Identity"]);
    assert_eq!(pruned.proto().graph.output, model.proto().graph.output);
    let gated = gate(&model, &GateSelection { gate_first: true, ..GateSelection::default() }).unwrap();
    assert_eq!(gated.proto().graph.output, model.proto().graph.output);
}

#[test]
fn normalisation_folds_only_into_a_convolution_that_nothing_else_reads() {
    let (mut net, x) = Net::new(&[1, 3, 8, 8], 1);
    let shared = net.conv(&x, 4, 3, 1);
    let a = net.norm(&shared);
    let b = net.relu(&shared);
    let twice = net.conv(&a, 4, 3, 1);
    let twice = net.norm(&twice);
    let twice = net.norm(&twice);
    let sum = net.add(&twice, &b);
    let after_sum = net.norm(&sum);
    net.classify(&after_sum);
    let folded = fold_batch_norm(&net.model()).unwrap();
    let graph = &folded.proto().graph;
    assert_eq!(graph.node.iter().filter(|node| node.op_type == "BatchNormalization").count(), 2);
    // Two convolutions, two normalisations, one classifier: nothing of what was merged stays behind.
    assert_eq!(graph.initializer.len(), 2 * 2 + 2 * 4 + 1);
}

#[test]
fn normalisation_in_training_mode_is_left_alone() {
    let (mut net, x) = Net::new(&[1, 3, 8, 8], 1);
    let y = net.conv(&x, 4, 3, 1);
    let y = net.norm(&y);
    net.node_mut(&y).attribute.push(int("training_mode", 1));
    net.classify(&y);
    let model = net.model();
    assert_eq!(fold_batch_norm(&model).unwrap(), model);
}
