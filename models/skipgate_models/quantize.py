"""Quantise an exported network to 8 bits: weights with a scale per channel, activations with one per tensor.

The result has a `QuantizeLinear` and a `DequantizeLinear` around every operator, so any runtime can read it. Ranges of
activations are the smallest and the largest value seen on training images with all blocks running.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process

from skipgate_models.data import Dataset
from skipgate_models.files import replacing


class Calibration(quantization.CalibrationDataReader):
    """Images one by one, as ONNX Runtime asks for them."""

    def __init__(self, name: str, images: NDArray[np.float32]) -> None:
        """`images` (`[N, C, H, W]`, preprocessed) are fed to the input `name`."""
        self._feeds: Iterator[dict[str, NDArray[np.float32]]] = ({name: image[None]} for image in images)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """Return the next input; None behind the last one."""
        return next(self._feeds, None)


def quantize(model: Path, images: NDArray[np.float32], output: Path) -> None:
    """Write `model` quantised, with ranges of activations from `images`; metadata is kept."""
    original = onnx.load(model)
    with replacing(output) as temporary, tempfile.TemporaryDirectory() as folder:
        folded = Path(folder) / "folded.onnx"
        quant_pre_process(model, folded, skip_symbolic_shape=True)
        quantization.quantize_static(
            folded,
            temporary,
            Calibration(original.graph.input[0].name, images),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
        )
        quantized = onnx.load(temporary)
        # Empty operator sets of the tool's own extensions would make other readers refuse the file.
        onnx_only = [entry for entry in quantized.opset_import if entry.domain in ("", "ai.onnx")]
        del quantized.opset_import[:]
        quantized.opset_import.extend(onnx_only)
        onnx.helper.set_model_props(quantized, {entry.key: entry.value for entry in original.metadata_props})
        onnx.checker.check_model(quantized, full_check=True)
        onnx.save(quantized, temporary)


def accuracy(model: Path, dataset: Dataset, images: int) -> float:
    """Share of the first test images that ONNX Runtime puts into their class, in percent."""
    part = dataset.test.slice(0, images)
    inputs = dataset.preprocessing(part.images).numpy()
    session = onnxruntime.InferenceSession(model)
    name = session.get_inputs()[0].name
    found = np.concatenate([session.run(None, {name: image[None]})[0].argmax(1) for image in inputs])
    return 100 * float((found == part.labels.numpy()).mean())
