"""Export to ONNX: one static shape, input `image`, output `logits`, checked before the file appears."""

import json
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skipgate_models.data import Dataset
from skipgate_models.files import replacing
from skipgate_models.skipnet import SkipNet

Exporter = Literal["torchscript", "dynamo"]
EXPORTERS: tuple[Exporter, ...] = get_args(Exporter)
DEFAULT_OPSET = 18
# Largest difference of a logit, relative to the largest logit of the image.
TOLERANCE = 1e-4


class ExportError(Exception):
    """The exported model does not compute what the network computes."""


def export(
    network: nn.Module,
    images: Tensor,
    path: Path,
    *,
    exporter: Exporter = "torchscript",
    opset: int = DEFAULT_OPSET,
    metadata: Mapping[str, str] | None = None,
) -> float:
    """Write `network` in eval mode for one image at a time and return its largest relative deviation.

    `images` (`[N, C, H, W]`, preprocessed) are what the file is compared on; it only appears at `path` if the ONNX
    checker accepts it and ONNX Runtime's logits are the network's. Both exporters have been wrong before.
    """
    network.eval()
    if isinstance(network, SkipNet) and exporter != "torchscript":
        raise ExportError(f"{path}: only the torchscript exporter writes decisions as `If`, found {exporter}")
    with replacing(path) as temporary:
        if isinstance(network, SkipNet):
            _torchscript(network.conditional(), images[:1], temporary, opset)
            _fold_constants(temporary)
        else:
            _EXPORTERS[exporter](network, images[:1], temporary, opset)
        model = onnx.load(temporary)
        onnx.helper.set_model_props(model, dict(metadata or {}))
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, temporary)
        difference = deviation(network, temporary, images)
        if not difference <= TOLERANCE:
            raise ExportError(
                f"{path}: the {exporter} exporter wrote a model that differs from PyTorch by {difference:.1e} "
                f"of the largest logit, expected at most {TOLERANCE:.0e}; try the other exporter"
            )
    return difference


def deviation(network: nn.Module, path: Path, images: Tensor) -> float:
    """Largest difference between the logits of PyTorch and ONNX Runtime, relative to the largest of the image."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    differences = []
    for image in images.split(1):
        with torch.inference_mode():
            expected = network(image).numpy()
        (found,) = session.run(["logits"], {"image": image.numpy()})
        differences.append(relative_differences(found, expected))
    return float(np.max(differences))


def relative_differences(found: NDArray[np.float32], expected: NDArray[np.float32]) -> NDArray[np.float32]:
    """Largest difference of a logit, relative to the largest expected one, for every image."""
    return np.abs(found - expected).max(1) / np.abs(expected).max(1)


def describe(dataset: Dataset) -> dict[str, str]:
    """Metadata from which `skipgate run` prepares an image file and names the classes."""
    return {
        "skipgate.preprocessing": json.dumps(asdict(dataset.preprocessing)),
        "skipgate.class_names": json.dumps(dataset.class_names),
    }


def _torchscript(network: nn.Module, image: Tensor, path: Path, opset: int) -> None:
    with warnings.catch_warnings():
        # About constants it leaves unfolded, and about weights in training, which these are not.
        warnings.filterwarnings("ignore", message=".*[Cc]onstant folding")
        torch.onnx.export(
            network,
            (image,),
            path,
            dynamo=False,
            # EVAL would fold BatchNormalization into Conv; that is left to whoever reads the model.
            training=torch.onnx.TrainingMode.PRESERVE,
            input_names=["image"],
            output_names=["logits"],
            opset_version=opset,
        )


def _dynamo(network: nn.Module, image: Tensor, path: Path, opset: int) -> None:
    torch.onnx.export(
        network,
        (image,),
        path,
        dynamo=True,
        external_data=False,
        input_names=["image"],
        output_names=["logits"],
        opset_version=opset,
        verbose=False,
    )


def _fold_constants(path: Path) -> None:
    """Leave nothing to compute that does not depend on the image: of a script the exporter folds nothing."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory() as folder:
        folded = Path(folder) / "folded.onnx"
        options.optimized_model_filepath = str(folded)
        onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        model = onnx.load(folded)
        # It declares the domains of all operators that it has of its own, and uses none of them at this level.
        standard = [opset for opset in model.opset_import if opset.domain == ""]
        del model.opset_import[:]
        model.opset_import.extend(standard)
        onnx.save(model, path)


_EXPORTERS = {"torchscript": _torchscript, "dynamo": _dynamo}
