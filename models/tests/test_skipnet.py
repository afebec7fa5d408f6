"""The gates that decide by themselves."""

from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch
from conftest import resnet
from torch import Tensor

from skipgate_models import evaluate
from skipgate_models.data import Dataset
from skipgate_models.export import ExportError, deviation, export
from skipgate_models.skipnet import FeedForwardGate, SkipNet

KINDS = ["ffgate1", "ffgate2"]


def skipnet(kind: str, images: Tensor) -> SkipNet:
    """Network whose gates each run their block for half of the images."""
    network = SkipNet(resnet(), kind).eval()
    torch.manual_seed(4)

    def divide(gate: FeedForwardGate, inputs: tuple[Tensor, ...]) -> None:
        scores = gate.layers(*inputs).flatten(1)
        gate.layers[-1].bias.data[1] -= (scores[:, 1] - scores[:, 0]).quantile(0.5)

    for gate in network.skip_gates:
        torch.nn.init.normal_(gate.layers[-1].weight, std=4)
        gate.register_forward_pre_hook(divide)
    with torch.inference_mode():
        network.decide(images)
    for gate in network.skip_gates:
        gate._forward_pre_hooks.clear()
    return network


@pytest.mark.parametrize("kind", KINDS)
def test_gates_start_by_running_every_block(kind: str) -> None:
    network = SkipNet(resnet(), kind).eval()
    images = torch.randn(4, 3, 32, 32)
    with torch.inference_mode():
        logits, decisions = network.decide(images)
        assert decisions.tolist() == [[1, 1, 1]] * 4
        assert torch.allclose(logits, resnet()(images), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_decision_is_the_mask_of_its_image(kind: str) -> None:
    images = torch.randn(16, 3, 32, 32)
    network = skipnet(kind, images)
    with torch.inference_mode():
        logits, decisions = network.decide(images)
        assert len(set(map(tuple, decisions.tolist()))) > 1
        for image, mask, expected in zip(images, decisions, logits, strict=True):
            assert torch.allclose(network.network(image[None], mask.tolist()), expected, atol=1e-4)


def test_the_hard_decision_has_the_gradient_of_the_probability() -> None:
    images = torch.randn(4, 3, 32, 32)
    network = skipnet("ffgate1", images).train()
    network.decide(images)[0].sum().backward()
    assert all(parameter.grad.any() for gate in network.skip_gates for parameter in gate.layers[-1].parameters())


def test_ffgate1_has_two_convolutions_behind_a_pool_and_ffgate2_one() -> None:
    names = [[type(layer).__name__ for layer in FeedForwardGate(kind, 16).layers] for kind in KINDS]
    convolution = ["Conv2d", "BatchNorm2d", "ReLU"]
    assert names[0] == ["MaxPool2d", *convolution, *convolution, "AdaptiveAvgPool2d", "Conv2d"]
    assert names[1] == [*convolution, "AdaptiveAvgPool2d", "Conv2d"]


@pytest.mark.parametrize("kind", KINDS)
def test_exported_gates_decide_like_pytorch(small: Dataset, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "skipnet.onnx"
    images = small.preprocessing(small.test.images)
    network = skipnet(kind, images)
    assert export(network, images, path) < 1e-5
    graph = onnx.load(path).graph
    branches = [node for node in graph.node if node.op_type == "If"]
    assert len(branches) == 3
    # A skipped block costs nothing: its branch only passes the input on.
    skipping = [attribute.g for node in branches for attribute in node.attribute if attribute.name == "else_branch"]
    assert [[node.op_type for node in branch.node] for branch in skipping] == [["Identity"]] * 3
    with torch.inference_mode():
        assert len(set(map(tuple, network.decide(images)[1].tolist()))) > 1
    assert deviation(network, path, images) < 1e-5
    assert [i.name for i in onnxruntime.InferenceSession(path).get_inputs()] == ["image"]


def test_the_dynamo_exporter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="only the torchscript exporter"):
        export(SkipNet(resnet(), "ffgate1"), torch.randn(1, 3, 32, 32), tmp_path / "skipnet.onnx", exporter="dynamo")


def test_skipped_blocks_are_counted(small: Dataset) -> None:
    network = skipnet("ffgate2", small.preprocessing(small.test.images))
    accuracy, skipped = evaluate.skipnet(network, small.test, small.preprocessing)
    with torch.inference_mode():
        logits, decisions = network.decide(small.preprocessing(small.test.images))
    assert skipped == pytest.approx((100 * (1 - decisions).mean(0)).tolist(), abs=1e-3)
    assert accuracy == pytest.approx(100 * float((logits.argmax(1) == small.test.labels).float().mean()))
