"""Quantised networks: 8 bits, and still the same network."""

from pathlib import Path

import numpy as np
import onnx
from conftest import resnet

from skipgate_models.data import Dataset
from skipgate_models.export import describe, export
from skipgate_models.quantize import accuracy, quantize


def test_a_quantised_model_has_integers_for_weights_and_its_metadata(small: Dataset, tmp_path: Path) -> None:
    images = small.preprocessing(small.test.images[:8])
    model, output = tmp_path / "model.onnx", tmp_path / "quantised.onnx"
    export(resnet(8), images, model, metadata=describe(small))
    quantize(model, images.numpy(), output)
    quantised = onnx.load(output)
    tensors = {tensor.name: tensor for tensor in quantised.graph.initializer}
    readers = [node for node in quantised.graph.node if node.op_type == "DequantizeLinear" and node.input[0] in tensors]
    weights = [(tensors[node.input[0]], tensors[node.input[1]]) for node in readers]
    weights = [(tensor, scale) for tensor, scale in weights if len(tensor.dims) == 4]
    assert len(weights) == 7
    for tensor, scale in weights:
        assert tensor.data_type == onnx.TensorProto.INT8
        assert scale.dims[0] == tensor.dims[0]
    assert "skipgate.preprocessing" in {entry.key for entry in quantised.metadata_props}
    assert np.isfinite(accuracy(output, small, 4))
