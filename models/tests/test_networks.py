"""Networks, their blocks, and where their weights come from."""

import dataclasses
from pathlib import Path

import pytest
import torch
from conftest import SMALL, resnet
from torch import nn

from skipgate_models import networks
from skipgate_models.config import Network, StochasticDepth
from skipgate_models.export import export
from skipgate_models.fold import folded
from skipgate_models.resnet import ResNet


@pytest.mark.parametrize(("depth", "gates"), [(20, 6), (32, 12), (44, 18), (56, 24), (110, 51)])
def test_all_blocks_but_the_first_of_each_segment_have_a_gate(depth: int, gates: int) -> None:
    assert ResNet(depth, 10).gates() == gates


@pytest.mark.parametrize("preactivation", [False, True])
def test_a_skipped_block_is_exactly_the_identity(preactivation: bool) -> None:
    whole = resnet(preactivation=preactivation)
    shorter = resnet(preactivation=preactivation)
    shorter.segments[1] = shorter.segments[1][:1]
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(whole(images, [1, 0, 1]), shorter(images))


def test_a_mask_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="the mask has 2 entries, the model has 3 gates"):
        resnet()(torch.randn(1, 3, 32, 32), [1, 1])


@pytest.mark.parametrize("preactivation", [False, True])
def test_scaled_weights_give_scaled_residuals(preactivation: bool) -> None:
    scaled = resnet(preactivation=preactivation)
    images = torch.randn(2, 3, 32, 32)
    factors = [0.25, 0.5, 0.75]
    with torch.inference_mode():
        expected = scaled(images, factors)
        scaled.scale_residuals(factors)
        assert torch.allclose(scaled(images), expected, atol=1e-5)


def test_folded_batch_normalisation_changes_nothing() -> None:
    network = resnet()
    fast = folded(network)
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.allclose(fast(images, [1, 0, 1]), network(images, [1, 0, 1]), atol=1e-5)
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fast.modules())


def started_from(path: Path, depth: int, **options: object) -> nn.Module:
    """Start a CIFAR ResNet from the weights at `path`."""
    network = Network(f"cifar/resnet{depth}", initial=str(path), **options)
    return networks.start(dataclasses.replace(SMALL, network=network), 10).eval()


@pytest.mark.parametrize("preactivation", [False, True])
def test_a_deepened_network_starts_as_the_shallower_one(tmp_path: Path, preactivation: bool) -> None:
    shallow = resnet(8, preactivation=preactivation)
    with torch.no_grad():
        # As after training: the exporter writes equal parameters once, under one of their names.
        for parameter in shallow.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    images = torch.randn(2, 3, 32, 32)
    export(shallow, images, tmp_path / "shallow.onnx")
    deep = started_from(tmp_path / "shallow.onnx", 20, preactivation=preactivation)
    with torch.inference_mode():
        assert torch.allclose(deep(images), shallow(images), atol=1e-6)
    deep.train()(images).sum().backward()
    # The new blocks can learn: what is zero is their last layer alone.
    assert all(block.residual[-1].weight.grad.any() for segment in deep.segments for block in segment)


def test_weights_of_a_state_dict_are_taken(tmp_path: Path) -> None:
    torch.save(resnet().state_dict(), tmp_path / "weights.pt")
    assert torch.equal(started_from(tmp_path / "weights.pt", 14).stem.conv.weight, resnet().stem.conv.weight)


@pytest.mark.parametrize(("depth", "shortcut"), [(8, "a"), (14, "b")])
def test_weights_of_another_network_are_refused(tmp_path: Path, depth: int, shortcut: str) -> None:
    torch.save(resnet().state_dict(), tmp_path / "weights.pt")
    with pytest.raises(ValueError, match=r"weights.pt: expected a CIFAR ResNet of at most this depth"):
        started_from(tmp_path / "weights.pt", depth, shortcut=shortcut)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": Network("resnet20")}, "expected cifar/resnetN"),
        ({"network": Network("cifar/resnet21")}, "6n\\+2"),
        ({"network": Network("torchvision/resnet19")}, "torchvision has no network 'resnet19'"),
        ({"network": Network("timm/resnet19")}, "timm has no network 'resnet19'"),
        ({"network": Network("torchvision/vgg11")}, "found no residual block"),
        ({"network": Network("timm/resnet18", shortcut="b")}, r"network.shortcut is for CIFAR ResNets"),
        (
            {"network": Network("timm/resnet18"), "stochastic_depth": StochasticDepth(0.5, scaling="test")},
            "scaling = .* is for CIFAR ResNets",
        ),
    ],
)
def test_a_network_that_cannot_be_made_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        networks.build(dataclasses.replace(SMALL, **changes), 10)
