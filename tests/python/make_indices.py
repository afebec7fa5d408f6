"""Writes tests/models/indices.onnx: rows of a table at places that are given, and at others computed from them.

python tests/python/make_indices.py tests/models/indices.onnx
"""

import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROWS = 7


def main(path: str) -> None:
    """Write the network to `path`; the same bytes every time."""
    table = np.array([[10 * row, 10 * row + 1] for row in range(ROWS)], np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "words"], ["given"], name="given"),
            helper.make_node("Mul", ["words", "two"], ["doubled"], name="doubled"),
            helper.make_node("Gather", ["table", "doubled"], ["computed"], name="computed"),
        ],
        "indices",
        [helper.make_tensor_value_info("words", TensorProto.INT64, [4])],
        [helper.make_empty_tensor_value_info(name) for name in ("given", "computed")],
        [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.int64(2), "two")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model = onnx.shape_inference.infer_shapes(model)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


if __name__ == "__main__":
    main(sys.argv[1])
