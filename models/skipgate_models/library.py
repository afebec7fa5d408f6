"""Networks of torchvision and timm, or a user's own, with Stochastic Depth and with masks.

For a training loop of one's own, `add_stochastic_depth` adds a layer to each residual; exported in eval mode, such a
network is plain ONNX in which skipgate finds the blocks by itself. `Masked` runs any such network under a mask. Only
PyTorch is needed, except to make a network of a library by its name.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from skipgate_models import own
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
# Where timm's and torchvision's blocks have a layer made for dropping the residual, if they have one.
DROP_LAYERS = ("drop_path", "stochastic_depth")
# Large enough for a total stride of 32.
PROBE_SIZE = 64


@dataclass(frozen=True)
class ResidualBlock:
    """A residual block of a network.

    `end` is the last module of its residual, whose result is added to the shortcut's; `identity` says whether the
    shortcut is the identity, and `shape` is that of what the block gives.
    """

    module: nn.Module
    end: nn.Module
    identity: bool
    shape: tuple[int, ...]


class DropResidual(nn.Module):
    """Drops a residual for a whole batch in training; kept ones are divided by the probability of being kept."""

    def __init__(self, keep: float) -> None:
        """Keep with that probability."""
        super().__init__()
        self.keep = keep

    def forward(self, residual: Tensor) -> Tensor:
        """Give the residual `[N, ...]`, scaled, or zeros; in eval mode the residual as it is."""
        if not self.training or self.keep == 1:
            return residual
        return residual * (torch.rand((), device=residual.device) < self.keep) / self.keep

    def drop(self, _module: nn.Module, _inputs: tuple[Tensor, ...], residual: Tensor) -> Tensor:
        """Do the same as a forward hook of the module that gives the residual."""
        return self(residual)

    def extra_repr(self) -> str:
        """Show the probability when the network is printed."""
        return f"keep={self.keep}"


def build(source: str, name: str, classes: int, *, pretrained: bool, size: int = PROBE_SIZE) -> "Masked":
    """Make the network `name` of torchvision, timm or (`python`) a user's module for images of `size` x `size` pixels.

    `pretrained` weights keep all but the classifier, and that too if it has as many classes.
    """
    return Masked(_MAKERS[source](name, classes, pretrained), size)


def find_blocks(network: nn.Module, size: int = PROBE_SIZE) -> list[ResidualBlock]:
    """Find the residual blocks in execution order, by running the network on an image of `size` x `size` pixels.

    Whether a shortcut is the identity is seen from what the block gives when its residual is zero. Blocks that neither
    torchvision nor timm made are found in the same way: see `_own_kinds`.
    """
    candidates = list(_candidates(network, RESIDUAL_ENDS)) or list(_candidates(network, _own_kinds(network, size)))
    found: list[ResidualBlock] = []

    def examine(block: nn.Module, end: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        identity = torch.equal(_without(end, block, inputs), inputs[0])
        found.append(ResidualBlock(block, end, identity, tuple(output.shape)))

    def observe(block: nn.Module, end: nn.Module) -> None:
        hooks.append(block.register_forward_hook(lambda _, inputs, output: examine(block, end, inputs, output)))

    hooks: list[RemovableHandle] = []
    for block, end in candidates:
        observe(block, end)
    _probe(network, size, hooks)
    if not found:
        raise ValueError(f"found no residual block in {type(network).__name__}")
    return found


def segments(blocks: Sequence[ResidualBlock]) -> list[list[bool]]:
    """Whether a gate stands in front of the block, for each segment, a run of blocks with one output shape.

    Gates are in front of blocks that have the identity as shortcut and are not the first of their segment.
    """
    runs = [list(run) for _, run in groupby(blocks, key=lambda block: block.shape)]
    return [[index > 0 and block.identity for index, block in enumerate(run)] for run in runs]


def add_stochastic_depth(network: nn.Module, depth: StochasticDepth, size: int = PROBE_SIZE) -> list[float]:
    """Let `network` drop its skippable blocks in training, in place, and return their keep probabilities.

    Each block gets a `DropResidual`, in the place of the libraries' own layers if it has one. It draws from PyTorch's
    global random state and does nothing in eval mode. Names of parameters stay as they are. `size` is the side in
    pixels of an image that the network takes.
    """
    if depth.scaling != "training" or depth.p_lowest is not None:
        raise ValueError("the layers keep with a fixed probability and scale in training: use only p_last and rule")
    blocks = find_blocks(network, size)
    skippable = [gated for segment in segments(blocks) for gated in segment]
    probabilities = keep_probabilities(skippable, depth)
    kept = iter(probabilities)
    for block, gated in zip(blocks, skippable, strict=True):
        # The libraries' own layers drop first blocks too.
        _drop(block, next(kept) if gated else 1.0)
    return probabilities


class Masked(GatedNetwork):
    """A network made of residual blocks, run under masks."""

    def __init__(self, network: nn.Module, size: int = PROBE_SIZE) -> None:
        """Put a gate in front of the skippable blocks of `network`, which keeps its structure; `size` is an image's."""
        super().__init__()
        # Here the masks alone drop blocks, not the layers that some networks come with.
        add_stochastic_depth(network, StochasticDepth(p_last=1.0), size)
        self.blocks = find_blocks(network, size)
        self.network = network
        self._segments = segments(self.blocks)
        self._gates = [_Gate(block) for block, gated in zip(self.blocks, self.skippable(), strict=True) if gated]

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

    def __init__(self, block: ResidualBlock) -> None:
        self.factor = 1.0
        self._run = block.module.forward
        block.module.forward = self
        block.end.register_forward_hook(self._scale)

    def __call__(self, x: Tensor) -> Tensor:
        return x if self.factor == 0 else self._run(x)

    def _scale(self, _module: nn.Module, _inputs: tuple[Tensor, ...], residual: Tensor) -> Tensor:
        return residual if self.factor == 1 else self.factor * residual


def _candidates(network: nn.Module, ends: Mapping[str, str]) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Iterate over the residual blocks and the ends of their residuals, without blocks inside of other blocks."""
    for module in network.children():
        if _kind(module) in ends or hasattr(module, TIMM_RESIDUAL_END):
            yield module, _end(module, ends.get(_kind(module), TIMM_RESIDUAL_END))
        else:
            yield from _candidates(module, ends)


def _end(block: nn.Module, name: str) -> nn.Module:
    """Return the submodule of that name, or put one there that passes its input on."""
    if "." not in name and getattr(block, name) is None:
        setattr(block, name, nn.Identity())
    return block.get_submodule(name)


def _own_kinds(network: nn.Module, size: int) -> dict[str, str]:
    """Find classes of a user's own residual blocks, each with the name of the last module of its residual.

    A block is a module that gives its input back when one module inside of it gives zero. Of nested ones the innermost
    is taken. Classes of PyTorch itself are containers, whatever they hold.
    """
    kinds: dict[str, str] = {}
    examining = False

    def examine(block: nn.Module, inputs: tuple[object, ...], output: object) -> None:
        nonlocal examining
        same_shape = isinstance(output, Tensor) and len(inputs) == 1 and output.shape == inputs[0].shape
        known = any(_kind(module) in kinds for module in block.modules())
        if examining or known or not same_shape or _kind(block).startswith("torch."):
            return
        examining = True
        for name, module in reversed(list(block.named_modules())[1:]):
            if torch.equal(_without(module, block, inputs), inputs[0]):
                kinds[_kind(block)] = name
                break
        examining = False

    _probe(network, size, [module.register_forward_hook(examine) for module in network.modules()])
    return kinds


def _without(end: nn.Module, block: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
    """Return what a block gives when one of its modules gives zero."""
    zero = end.register_forward_hook(lambda _module, _inputs, result: torch.zeros_like(result))
    try:
        return block.forward(*inputs)
    finally:
        zero.remove()


def _probe(network: nn.Module, size: int, hooks: Sequence[RemovableHandle]) -> None:
    """Run the network once on a random image, in eval mode, and remove the hooks that watched it."""
    training = network.training
    with torch.inference_mode():
        network.eval()(torch.rand(1, 3, size, size))
    network.train(training)
    for hook in hooks:
        hook.remove()


def _drop(block: ResidualBlock, keep: float) -> None:
    """Let the block keep its residual with that probability."""
    layers = {name: getattr(block.module, name, None) for name in DROP_LAYERS}
    name = next((name for name, layer in layers.items() if isinstance(layer, nn.Module)), None)
    if name is None:
        layer = block.module.stochastic_depth = DropResidual(keep)
        # A hook rather than a module around the last one, which would rename its parameters.
        block.end.register_forward_hook(layer.drop)
    elif isinstance(layers[name], DropResidual):
        layers[name].keep = keep
    else:
        setattr(block.module, name, DropResidual(keep))


def _kind(module: nn.Module) -> str:
    return f"{type(module).__module__}.{type(module).__qualname__}"


def _timm(name: str, classes: int, pretrained: bool) -> nn.Module:
    import timm  # noqa: PLC0415 - not everybody has it

    if name not in timm.list_models():
        raise ValueError(f"timm has no network {name!r}; `timm.list_models()` lists them")
    return timm.create_model(name, pretrained=pretrained, num_classes=classes)


def _torchvision(name: str, classes: int, pretrained: bool) -> nn.Module:
    import torchvision  # noqa: PLC0415 - not everybody has it

    if name not in torchvision.models.list_models(torchvision.models):
        raise ValueError(f"torchvision has no network {name!r}; `torchvision.models.list_models()` lists them")
    if not pretrained:
        return torchvision.models.get_model(name, num_classes=classes)
    network = torchvision.models.get_model(name, weights="DEFAULT")
    _replace_classifier(network, classes)
    return network


def _own(name: str, _classes: int, _pretrained: bool) -> nn.Module:
    return own.function(name)()


_MAKERS: dict[str, Callable[[str, int, bool], nn.Module]] = {
    "timm": _timm,
    "torchvision": _torchvision,
    "python": _own,
}


def _replace_classifier(network: nn.Module, classes: int) -> None:
    """Give the last linear layer one output per class, if it has another number."""
    name, last = [(name, module) for name, module in network.named_modules() if isinstance(module, nn.Linear)][-1]
    if last.out_features == classes:
        return
    parent, _, attribute = name.rpartition(".")
    setattr(network.get_submodule(parent), attribute, nn.Linear(last.in_features, classes))
