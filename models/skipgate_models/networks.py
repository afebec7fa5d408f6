"""Networks by name, with new weights, a library's or those of an earlier training."""

import re
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from skipgate_models.config import Config
from skipgate_models.gated import GatedNetwork
from skipgate_models.resnet import ResNet
from skipgate_models.skipnet import SkipNet
from skipgate_models.wide import WideNet

Weights = dict[str, Tensor]

# File of a run folder that holds, among other things, the weights.
CHECKPOINT = "checkpoint.pt"


def build(config: Config, classes: int) -> GatedNetwork | SkipNet:
    """Make the network of `config` with new weights from the global random state."""
    network = _residual_network(config, classes)
    if not isinstance(network, ResNet):
        _refuse_what_is_for_cifar(config)
    return network if config.skipnet is None else SkipNet(network, config.skipnet.gate)


def start(config: Config, classes: int) -> GatedNetwork | SkipNet:
    """Make the network of `config` as it is before training."""
    network = build(config, classes)
    residual_network = network.network if isinstance(network, SkipNet) else network
    if config.network.start_as_identity:
        residual_network.start_as_identity()
    if config.network.initial:
        residual_network.load_weights(read_weights(Path(config.network.initial)), config.network.initial)
    return network


def read_weights(path: Path) -> Weights:
    """Weights in a run folder, in a file of `torch.save(network.state_dict(), ...)` or in an ONNX file.

    BatchNormalization must not be folded in the ONNX file; `export` leaves it as it is.
    """
    if path.is_dir():
        checkpoint = torch.load(path / CHECKPOINT, weights_only=True, map_location="cpu")
        return checkpoint.get("average") or checkpoint["network"]
    if path.suffix != ".onnx":
        return torch.load(path, weights_only=True, map_location="cpu")
    graph = onnx.load(path).graph
    return {item.name: torch.from_numpy(numpy_helper.to_array(item).copy()) for item in graph.initializer}


def _refuse_what_is_for_cifar(config: Config) -> None:
    """Name the first setting that only a CIFAR ResNet has a use for."""
    network = config.network
    given = {
        "skipnet": config.skipnet is not None,
        'stochastic_depth.scaling = "test"': config.stochastic_depth.scaling == "test",
        "network.start_as_identity": network.start_as_identity,
        "network.shortcut": network.shortcut != "a",
        "network.preactivation": network.preactivation,
    }
    for setting in (setting for setting, is_given in given.items() if is_given):
        raise ValueError(f"{setting} is for CIFAR ResNets, found the network {network.name!r}")


def _residual_network(config: Config, classes: int) -> GatedNetwork:
    network = config.network
    source, _, name = network.name.partition("/")
    if source in ("torchvision", "timm", "python"):
        from skipgate_models import library  # noqa: PLC0415 - slow to import, and few networks need it

        size = config.image_size if config.dataset in ("folder", "python") else library.PROBE_SIZE
        return library.build(source, name, classes, pretrained=network.pretrained, size=size)
    if network.pretrained:
        raise ValueError(f"{network.name} comes without weights: expected `initial` instead of `pretrained`")
    if re.fullmatch(r"wide/\d+-\d+-\d+", network.name):
        return WideNet([int(width) for width in name.split("-")], classes)
    match = re.fullmatch(r"cifar/resnet(\d+)", network.name)
    if match is None:
        raise ValueError(
            "expected cifar/resnetN, torchvision/NAME, timm/NAME, python/MODULE:FUNCTION or wide/C1-C2-C3, "
            f"found {network.name!r}"
        )
    return ResNet(int(match[1]), classes, shortcut=network.shortcut, preactivation=network.preactivation)
