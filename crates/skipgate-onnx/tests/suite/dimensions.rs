//! Sizes for dimensions that a model leaves open.

use std::collections::BTreeMap;

use skipgate_onnx::proto::tensor_shape_proto::dimension;
use skipgate_onnx::proto::type_proto::Value as TypeValue;
use skipgate_onnx::{Error, Model, fix_batch, fix_dimensions, infer_shapes, open_dimensions};

use crate::net::Net;

/// A convolution of an image whose batch and height have symbols and whose width has none.
fn open_model() -> Model {
    let (mut net, x) = Net::new(&[7, 3, 8, 8], 1);
    let y = net.conv(&x, 4, 3, 1);
    net.output(&y, &[7, 4, 8, 8]);
    let mut proto = net.proto();
    let symbols = [Some("batch"), None, Some("height"), Some("")];
    let graph = proto.graph.as_mut().unwrap();
    for info in graph.input.iter_mut().chain(&mut graph.output) {
        let Some(TypeValue::TensorType(tensor)) = &mut info.type_.as_mut().unwrap().value else { panic!() };
        for (dimension, symbol) in tensor.shape.as_mut().unwrap().dim.iter_mut().zip(symbols) {
            if let Some(symbol) = symbol {
                dimension.value = Some(dimension::Value::DimParam(symbol.to_owned()));
            }
        }
    }
    Model::from_proto(proto).unwrap()
}

fn sizes(sizes: &[(&str, usize)]) -> BTreeMap<String, usize> {
    sizes.iter().map(|(name, size)| ((*name).to_owned(), *size)).collect()
}

/// The shape of the output, as far as it is known.
fn output(model: &Model) -> Vec<Option<usize>> {
    let name = model.proto().graph.output[0].name.clone();
    infer_shapes(model).unwrap()[&name].shape.clone()
}

#[test]
fn open_dimensions_are_named_by_symbol_or_place_and_the_batch_is_left_out() {
    let model = open_model();
    let input = &model.proto().graph.input[0].name;
    assert_eq!(open_dimensions(&model), ["height".to_owned(), format!("{input}.3")]);
}

#[test]
fn sizes_are_put_in_wherever_the_dimension_occurs() {
    let model = open_model();
    let width = format!("{}.3", model.proto().graph.input[0].name);
    let fixed = fix_dimensions(&model, &sizes(&[("height", 6), (&width, 5), ("batch", 2)])).unwrap();
    assert_eq!(output(&fixed), [Some(2), Some(4), Some(6), Some(5)]);
    assert!(open_dimensions(&fixed).is_empty());
    assert_eq!(fix_batch(&fixed).unwrap(), fixed);
}

#[test]
fn an_open_batch_becomes_one() {
    let fixed = fix_batch(&open_model()).unwrap();
    assert_eq!(output(&fixed)[0], Some(1));
    assert_eq!(open_dimensions(&fixed).len(), 2);
}

#[test]
fn a_dimension_that_no_input_has_is_refused_with_those_that_there_are() {
    let model = open_model();
    let error = fix_dimensions(&model, &sizes(&[("width", 5)])).unwrap_err();
    assert!(matches!(&error, Error::UnknownDimension { known, .. } if known.len() == 3));
    let error = error.to_string();
    assert!(error.starts_with("no input has an open dimension `width`; open are batch, height,"), "{error}");
}
