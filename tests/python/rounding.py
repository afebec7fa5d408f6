"""How far an artifact is from its network in double precision, and whether it says the same of every image.

    rounding.py MODEL.onnx ARTIFACT [ARTIFACT...] --program SKIPGATE --data TEST_BATCH.bin [--precise N]

All blocks run. Logits on the first N images are compared with those of ONNX's reference implementation in float64,
as the largest difference in units of the image's largest logit; classes on all images with ONNX Runtime's in float32.
TEST_BATCH.bin is a file of CIFAR-10's binary version.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

BYTES = 1 + 3 * 32 * 32
"""Of a record: its label, then the image by channels."""


def read(path: Path, model: onnx.ModelProto) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Labels and images, as the model's metadata asks for them."""
    records = np.fromfile(path, np.uint8).reshape(-1, BYTES)
    wanted = json.loads({entry.key: entry.value for entry in model.metadata_props}["skipgate.preprocessing"])
    mean, std = (np.array(wanted[key], np.float32).reshape(3, 1, 1) for key in ("mean", "std"))
    images = records[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / 255
    return records[:, 0], (images - mean) / std


def in_double_precision(model: onnx.ModelProto, images: NDArray[np.float32]) -> NDArray[np.float64]:
    """Logits of the reference implementation."""
    double = onnx.ModelProto()
    double.CopyFrom(model)
    for tensor in double.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name))
    for value in (*double.graph.input, *double.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    evaluator = ReferenceEvaluator(double)
    name = double.graph.input[0].name
    return np.concatenate([evaluator.run(None, {name: image[None].astype(np.float64)})[0] for image in images])


def in_single_precision(model: Path, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits of ONNX Runtime."""
    session = onnxruntime.InferenceSession(model)
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: image[None]})[0] for image in images])


def of_artifact(program: Path, artifact: Path, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits of the artifact."""
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "images.npy", Path(folder) / "logits.npy"
        np.save(given, images)
        words = [program, "run", artifact, "--input", given, "--output", found]
        subprocess.run(list(map(str, words)), check=True, capture_output=True)
        return np.load(found)


def main() -> None:
    """Compare and print a line of JSON for ONNX Runtime and each artifact."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("artifacts", type=Path, nargs="+")
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--precise", type=int, default=100)
    arguments = parser.parse_args()
    model = onnx.load(arguments.model)
    labels, images = read(arguments.data, model)
    single = in_single_precision(arguments.model, images)
    double = in_double_precision(model, images[: arguments.precise])
    scale = np.abs(double).max(axis=1)
    everyone = {"onnxruntime": single}
    everyone |= {str(path): of_artifact(arguments.program, path, images) for path in arguments.artifacts}
    for name, logits in everyone.items():
        error = (np.abs(logits[: len(double)] - double).max(axis=1) / scale).max()
        classes = logits.argmax(axis=1)
        result = {
            "name": name,
            "largest_relative_error": float(error),
            "other_classes_than_onnxruntime": int((classes != single.argmax(axis=1)).sum()),
            "accuracy": float((classes == labels).mean()),
        }
        print(json.dumps(result))


if __name__ == "__main__":
    main()
