"""The oracle against PyTorch, where both can say what leaving blocks out means."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import export_zoo
import oracle
from skipgate_models.export import EXPORTERS, export
from skipgate_models.resnet import ResNet

DIGITS = Path(__file__).parents[2] / "models" / "digits"


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("shortcut", ["a", "b"])
@pytest.mark.parametrize("preactivation", [False, True])
def test_removed_blocks_are_those_that_the_mask_skips(
    tmp_path: Path, exporter: str, shortcut: str, preactivation: bool
) -> None:
    images = torch.randn(2, 3, 32, 32)
    network = export_zoo.randomise(ResNet(14, 10, shortcut=shortcut, preactivation=preactivation), images)
    model, x, y = (str(tmp_path / name) for name in ("model.onnx", "x.npy", "y.npy"))
    export(network, images, Path(model), exporter=exporter)
    np.save(x, images.numpy())
    for mask in ("000", "101", "110", "111"):
        oracle.run(oracle.Job(model, x, y, remove=mask))
        with torch.inference_mode():
            expected = network(images, oracle.parse_mask(mask)).numpy()
        np.testing.assert_allclose(np.load(y), expected, rtol=0, atol=1e-5 * np.abs(expected).max(), err_msg=mask)


@pytest.mark.parametrize(("name", "gate_first", "gates"), [("resnet18", False, 4), ("mobilenet_v2", True, 10)])
def test_gates_of_torchvision_networks(tmp_path: Path, name: str, gate_first: bool, gates: int) -> None:
    path = tmp_path / "model.onnx"
    images = torch.randn(1, 3, 64, 64)
    export(export_zoo.MAKERS[name](), images, path)
    model = onnx.load(path)
    blocks = oracle.gated_blocks(model, gate_first=gate_first)
    assert len(blocks) == gates
    shorter = oracle.remove(model, "0" * gates, gate_first=gate_first)
    residual = sum(node.op_type == "Add" for node in model.graph.node)
    assert sum(node.op_type == "Add" for node in shorter.graph.node) == residual - gates


def test_batch_classifies_the_sample_images(tmp_path: Path) -> None:
    model, x, y = str(DIGITS / "resnet20.onnx"), tmp_path / "x.npy", str(tmp_path / "y.npy")
    samples = [str(DIGITS / "samples" / f"{digit}.png") for digit in range(10)]
    np.save(x, oracle.prepare(onnx.load(model), samples))
    jobs = [{"model": model, "input": str(x), "output": y, "remove": "101111"}]
    command = [sys.executable, oracle.__file__, "batch"]
    subprocess.run(command, input=json.dumps(jobs), text=True, check=True)
    assert np.load(y).argmax(1).tolist() == list(range(10))


def test_a_mask_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="the mask has 2 entries, the model has 6 gates"):
        oracle.remove(onnx.load(DIGITS / "resnet20.onnx"), "11", gate_first=False)
