"""Networks of torchvision and timm, or a user's own made of their blocks, with Stochastic Depth and with masks.

To a training loop of one's own, `add_stochastic_depth` adds the libraries' own layers; exported in eval mode, such a
network is plain ONNX in which skipgate finds the blocks by itself. `Masked` runs any such network under a mask.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import timm
import torch
import torchvision
from timm.layers import DropPath
from torch import Tensor, nn
from torchvision.ops import StochasticDepth as DropBatch

from skipgate_models.config import StochasticDepth
from skipgate_models.gated import GatedNetwork
from skipgate_models.stochastic_depth import keep_probabilities

# Attribute of a block, in order of preference, that holds the last module of its residual: a layer made for dropping
# it, else the residual's last layers. Each must end in the addition.
RESIDUAL_ENDS = {
    "torchvision.models.convnext.CNBlock": "stochastic_depth",
    "torchvision.models.efficientnet.FusedMBConv": "stochastic_depth",
    "torchvision.models.efficientnet.MBConv": "stochastic_depth",
    "torchvision.models.mnasnet._InvertedResidual": "layers",
    "torchvision.models.mobilenetv2.InvertedResidual": "conv",
    "torchvision.models.mobilenetv3.InvertedResidual": "block",
    "torchvision.models.regnet.ResBottleneckBlock": "f",
    "torchvision.models.resnet.BasicBlock": "bn2",
    "torchvision.models.resnet.Bottleneck": "bn3",
}
# timm's blocks all have this attribute; without drop path it holds nothing, or the identity.
TIMM_RESIDUAL_END = "drop_path"
# Large enough for a total stride of 32.
PROBE_SIZE = 64


@dataclass(frozen=True)
class ResidualBlock:
    """A residual block of a network: whether its shortcut is the identity, and the shape of what it gives."""

    module: nn.Module
    identity: bool
    shape: tuple[int, ...]


def build(source: str, name: str, classes: int, *, pretrained: bool) -> "Masked":
    """Make the network `name` of torchvision or timm; `pretrained` weights keep all but the classifier."""
    if source == "timm":
        if name not in timm.list_models():
            raise ValueError(f"timm has no network {name!r}; `timm.list_models()` lists them")
        return Masked(timm.create_model(name, pretrained=pretrained, num_classes=classes))
    if name not in torchvision.models.list_models(torchvision.models):
        raise ValueError(f"torchvision has no network {name!r}; `torchvision.models.list_models()` lists them")
    if not pretrained:
        return Masked(torchvision.models.get_model(name, num_classes=classes))
    network = torchvision.models.get_model(name, weights="DEFAULT")
    _replace_classifier(network, classes)
    return Masked(network)


def find_blocks(network: nn.Module) -> list[ResidualBlock]:
    """Find the residual blocks in execution order, by running the network once.

    Whether a shortcut is the identity is seen from what the block gives when its residual is zero.
    """
    found: list[ResidualBlock] = []

    def examine(block: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        zero = residual_end(block).register_forward_hook(lambda _module, _inputs, residual: torch.zeros_like(residual))
        identity = torch.equal(block.forward(*inputs), inputs[0])
        zero.remove()
        found.append(ResidualBlock(block, identity, tuple(output.shape)))

    hooks = [block.register_forward_hook(examine) for block in _candidates(network)]
    training = network.training
    with torch.inference_mode():
        network.eval()(torch.rand(1, 3, PROBE_SIZE, PROBE_SIZE))
    network.train(training)
    for hook in hooks:
        hook.remove()
    if not found:
        raise ValueError(f"found no residual block that is known in {type(network).__name__}")
    return found


def segments(blocks: Sequence[ResidualBlock]) -> list[list[bool]]:
    """Whether a gate stands in front of the block, for each segment, a run of blocks with one output shape.

    Gates are in front of blocks that have the identity as shortcut and are not the first of their segment.
    """
    runs = [list(run) for _, run in groupby(blocks, key=lambda block: block.shape)]
    return [[index > 0 and block.identity for index, block in enumerate(run)] for run in runs]


def add_stochastic_depth(network: nn.Module, depth: StochasticDepth) -> list[float]:
    """Let `network` drop its skippable blocks in training, in place, and return their keep probabilities.

    torchvision's blocks get its `StochasticDepth` per batch, timm's its `DropPath`, which drops per image. Both divide
    by the keep probability in training and do nothing in eval mode. Names of parameters stay as they are.
    """
    if depth.scaling != "training":
        raise ValueError(f"the layers of torchvision and timm scale in training, found scaling {depth.scaling!r}")
    blocks = find_blocks(network)
    skippable = [gated for segment in segments(blocks) for gated in segment]
    probabilities = keep_probabilities(skippable, depth)
    kept = iter(probabilities)
    for block, gated in zip(blocks, skippable, strict=True):
        # The libraries' own layers drop first blocks too.
        _drop(block.module, 1 - next(kept) if gated else 0.0)
    return probabilities


class Masked(GatedNetwork):
    """A network made of residual blocks of torchvision or timm, run under masks."""

    def __init__(self, network: nn.Module) -> None:
        """Put a gate in front of the skippable blocks of `network`, which keeps its structure."""
        super().__init__()
        # Here the masks alone drop blocks, not the layers that some networks come with.
        add_stochastic_depth(network, StochasticDepth(p_last=1.0))
        blocks = find_blocks(network)
        self.network = network
        self._segments = segments(blocks)
        self._gates = [_Gate(block.module) for block, gated in zip(blocks, self.skippable(), strict=True) if gated]

    def segments_of_blocks(self) -> list[list[bool]]:
        """See `segments`."""
        return self._segments

    def load_weights(self, weights: dict[str, Tensor], source: str) -> None:
        """See `GatedNetwork`."""
        # Those of a run folder are this module's, others the network's.
        inner = {key.removeprefix("network."): value for key, value in weights.items()}
        try:
            self.network.load_state_dict(inner)
        except RuntimeError as error:
            raise ValueError(f"{source}: expected the weights of this network: {error}") from error

    def forward(self, image: Tensor, scales: Sequence[float] | None = None) -> Tensor:
        """See `GatedNetwork`."""
        self.scale_per_block(scales)
        for gate, factor in zip(self._gates, scales or [1.0] * len(self._gates), strict=True):
            gate.factor = float(factor)
        return self.network(image)


class _Gate:
    """Takes the place of a block's `forward`."""

    def __init__(self, block: nn.Module) -> None:
        self.factor = 1.0
        self._run = block.forward
        block.forward = self
        residual_end(block).register_forward_hook(self._scale)

    def __call__(self, x: Tensor) -> Tensor:
        return x if self.factor == 0 else self._run(x)

    def _scale(self, _module: nn.Module, _inputs: tuple[Tensor, ...], residual: Tensor) -> Tensor:
        return residual if self.factor == 1 else self.factor * residual


def _candidates(network: nn.Module) -> Iterator[nn.Module]:
    """Iterate over the modules that are residual blocks, without those inside of other blocks."""
    for module in network.children():
        if _kind(module) in RESIDUAL_ENDS or hasattr(module, TIMM_RESIDUAL_END):
            yield module
        else:
            yield from _candidates(module)


def residual_end(block: nn.Module) -> nn.Module:
    """Return the last module of the residual, whose result is added to the shortcut's."""
    attribute = RESIDUAL_ENDS.get(_kind(block), TIMM_RESIDUAL_END)
    if getattr(block, attribute) is None:
        setattr(block, attribute, nn.Identity())
    return getattr(block, attribute)


def _drop(block: nn.Module, probability: float) -> None:
    if hasattr(block, TIMM_RESIDUAL_END):
        block.drop_path = DropPath(probability)
    elif isinstance(getattr(block, "stochastic_depth", None), DropBatch):
        block.stochastic_depth = DropBatch(probability, "batch")
    else:
        end = residual_end(block)
        block.stochastic_depth = DropBatch(probability, "batch")
        # A hook rather than a module around the last one, which would rename its parameters.
        end.register_forward_hook(lambda _module, _inputs, residual: block.stochastic_depth(residual))


def _kind(module: nn.Module) -> str:
    return f"{type(module).__module__}.{type(module).__qualname__}"


def _replace_classifier(network: nn.Module, classes: int) -> None:
    """Give the last linear layer one output per class."""
    name, last = [(name, module) for name, module in network.named_modules() if isinstance(module, nn.Linear)][-1]
    parent, _, attribute = name.rpartition(".")
    setattr(network.get_submodule(parent), attribute, nn.Linear(last.in_features, classes))
