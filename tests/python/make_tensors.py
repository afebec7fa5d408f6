"""Writes tests/models/tensors.onnx: a small residual network that takes two inputs and gives an output of every type.

python tests/python/make_tensors.py tests/models/tensors.onnx
"""

import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHANNELS = 4
BLOCKS = 3


def main(path: str) -> None:
    """Write the network to `path`; the same bytes every time."""
    random = np.random.default_rng(0)
    nodes, initializers = [], []

    def constant(name: str, value: np.ndarray) -> str:
        initializers.append(numpy_helper.from_array(value, name))
        return name

    def node(operator: str, inputs: list[str], output: str, **attributes: object) -> str:
        nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def convolution(value: str, channels: int, output: str) -> str:
        weights = random.standard_normal((CHANNELS, channels, 3, 3)).astype(np.float32) * 0.25
        return node("Conv", [value, constant(f"{output}.weight", weights)], output, pads=[1, 1, 1, 1])

    value = node("Cast", ["pixels"], "floats", to=TensorProto.FLOAT)
    value = node("Mul", [value, constant("scale", np.float32(1 / 255))], "scaled")
    value = node("Add", [value, "offset"], "shifted")
    value = convolution(value, 3, "stem")
    for block in range(BLOCKS):
        inner = node("Relu", [convolution(value, CHANNELS, f"blocks.{block}.first")], f"blocks.{block}.relu")
        inner = convolution(inner, CHANNELS, f"blocks.{block}.second")
        value = node("Add", [inner, value], f"blocks.{block}.sum")
    node("Identity", ["blocks.1.sum"], "features")
    node("Identity", [value], "map")
    node("Cast", [value], "half", to=TensorProto.FLOAT16)
    node("ArgMax", [value], "best", axis=1, keepdims=0)
    node("Cast", ["best"], "best32", to=TensorProto.INT32)
    node("Greater", [value, constant("zero", np.float32(0))], "positive")
    step, middle = constant("step", np.float32(0.05)), constant("middle", np.uint8(128))
    node("QuantizeLinear", [value, step, middle], "bytes")
    node("QuantizeLinear", [value, step, constant("none", np.int8(0))], "signed")
    outputs = ["map", "features", "half", "best", "best32", "positive", "bytes", "signed"]
    graph = helper.make_graph(
        nodes,
        "tensors",
        [
            helper.make_tensor_value_info("pixels", TensorProto.UINT8, [1, 3, 6, 6]),
            helper.make_tensor_value_info("offset", TensorProto.FLOAT, [1, 3, 1, 1]),
        ],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(onnx.shape_inference.infer_shapes(model), path)


if __name__ == "__main__":
    main(sys.argv[1])
