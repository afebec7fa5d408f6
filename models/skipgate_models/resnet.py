"""The CIFAR ResNets of He et al. (2015, section 4.2), with blocks that can be skipped.

A ResNet of depth 6n+2 has three segments of n blocks with 16, 32 and 64 channels. All blocks but the first of each
segment have the identity as shortcut and are skippable: 6 for ResNet-20, 51 for ResNet-110.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from skipgate_models.gated import GatedNetwork

Shortcut = Literal["a", "b"]
CHANNELS = (16, 32, 64)
# What BatchNormalization counts, and ONNX files do not hold.
BATCH_COUNT = "num_batches_tracked"


class SubsampleAndPad(nn.Module):
    """Shortcut option A: every second pixel, new channels filled with zeros; no parameters."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """From `inputs` to `outputs` channels."""
        super().__init__()
        before = (outputs - inputs) // 2
        self.padding = [0, 0, 0, 0, before, outputs - inputs - before]

    def forward(self, x: Tensor) -> Tensor:
        """From `[N, inputs, H, W]` to `[N, outputs, H/2, W/2]`."""
        return functional.pad(x[:, :, ::2, ::2], self.padding)


class Block(nn.Module):
    """Residual block of two 3x3 convolutions: `y = act(shortcut(x) + F(x))`.

    `act` is ReLU, or nothing in the pre-activation form (He et al. 2016), where F starts with BN and ReLU instead.
    """

    def __init__(self, inputs: int, outputs: int, shortcut: Shortcut, preactivation: bool) -> None:
        """Block that halves the resolution if the number of channels changes."""
        super().__init__()
        self.channels = outputs
        stride = 1 if inputs == outputs else 2
        self.residual = (_preactivation if preactivation else _postactivation)(inputs, outputs, stride)
        self.shortcut = _shortcut(inputs, outputs, shortcut)
        self.activation = nn.Identity() if preactivation else nn.ReLU()

    def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
        """Run the block with its residual multiplied by `scale`."""
        residual = self.residual(x)
        return self.activation(self.shortcut(x) + (residual if scale == 1.0 else scale * residual))

    def scale_residual(self, factor: float) -> None:
        """Multiply the residual by `factor` in its last layer, whose result nothing but the addition reads."""
        last = self.residual[-1]
        for parameter in (last.weight, last.bias):
            if parameter is not None:
                parameter.data.mul_(factor)


class ResNet(GatedNetwork):
    """CIFAR ResNet of `depth` layers."""

    def __init__(self, depth: int, classes: int, *, shortcut: Shortcut = "a", preactivation: bool = False) -> None:
        """Make a network of `depth` layers (20, 32, 44, 56, 110, ...) with `classes` outputs."""
        super().__init__()
        if depth < 8 or (depth - 2) % 6 != 0:
            raise ValueError(f"the depth of a CIFAR ResNet is 6n+2, found {depth}")
        per_segment = (depth - 2) // 6
        activation = [("bn", nn.BatchNorm2d(CHANNELS[0])), ("relu", nn.ReLU())]
        self.stem = _named(("conv", _conv3x3(3, CHANNELS[0], 1)), *([] if preactivation else activation))
        inputs = (CHANNELS[0], *CHANNELS[:-1])
        self.segments = nn.Sequential(
            *(
                _segment(before, after, per_segment, shortcut, preactivation)
                for before, after in zip(inputs, CHANNELS, strict=True)
            )
        )
        last = [("bn", nn.BatchNorm2d(CHANNELS[-1])), ("relu", nn.ReLU())] if preactivation else []
        self.head = _named(
            *last,
            ("pool", nn.AdaptiveAvgPool2d(1)),
            ("flatten", nn.Flatten()),
            ("fc", nn.Linear(CHANNELS[-1], classes)),
        )
        self.apply(_initialise)

    def blocks(self) -> Iterator[Block]:
        """Iterate over all blocks in execution order."""
        return (block for segment in self.segments for block in segment)

    def segments_of_blocks(self) -> list[list[bool]]:
        """All blocks but the first of each segment have a gate."""
        return [[index > 0 for index in range(len(segment))] for segment in self.segments]

    def forward(self, image: Tensor, scales: Sequence[float] | None = None) -> Tensor:
        """See `GatedNetwork`."""
        x = self.stem(image)
        for block, factor in zip(self.blocks(), self.scale_per_block(scales), strict=True):
            if factor != 0:
                x = block(x, factor)
        return self.head(x)

    def scale_residuals(self, factors: Sequence[float]) -> None:
        """Multiply the residual of every gated block by its factor, in the weights."""
        for block, factor in zip(self.blocks(), self.scale_per_block(factors), strict=True):
            block.scale_residual(factor)

    def start_as_identity(self) -> None:
        """Zero every residual: a very deep network then learns like a shallow one at first."""
        for block in self.blocks():
            block.scale_residual(0)

    def load_weights(self, weights: dict[str, Tensor], source: str) -> None:
        """See `GatedNetwork`; the weights may be those of a shallower network.

        Blocks that it does not have start as the identity, so this network computes the same at first (Net2DeeperNet,
        Chen et al. 2016).
        """
        held = {_block_of(key) for key in weights}
        new = [name for name, _ in self.named_modules() if name.count(".") == 2 and name not in held]
        expected = {key for key in self._parameter_names() if _block_of(key) not in new}
        if expected != {key for key in weights if not key.endswith(BATCH_COUNT)}:
            raise ValueError(
                f"{source}: expected a CIFAR ResNet of at most this depth with the same shortcuts and with its "
                f"BatchNormalization, found other weights: {sorted(expected ^ weights.keys())[:2]} ..."
            )
        self.load_state_dict(weights, strict=False)
        for name in new:
            self.get_submodule(name).scale_residual(0)

    def _parameter_names(self) -> list[str]:
        return [key for key in self.state_dict() if not key.endswith(BATCH_COUNT)]


def _block_of(key: str) -> str:
    """`segments.S.B` of a parameter in a block; something else for the others."""
    return ".".join(key.split(".")[:3])


def _segment(before: int, after: int, blocks: int, shortcut: Shortcut, preactivation: bool) -> nn.Sequential:
    first = Block(before, after, shortcut, preactivation)
    return nn.Sequential(first, *(Block(after, after, shortcut, preactivation) for _ in range(blocks - 1)))


def _shortcut(inputs: int, outputs: int, option: Shortcut) -> nn.Module:
    if inputs == outputs:
        return nn.Identity()
    if option == "a":
        return SubsampleAndPad(inputs, outputs)
    projection = nn.Conv2d(inputs, outputs, 1, stride=2, bias=False)
    return _named(("conv", projection), ("bn", nn.BatchNorm2d(outputs)))


def _postactivation(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return _named(
        ("conv1", _conv3x3(inputs, outputs, stride)),
        ("bn1", nn.BatchNorm2d(outputs)),
        ("relu", nn.ReLU()),
        ("conv2", _conv3x3(outputs, outputs, 1)),
        ("bn2", nn.BatchNorm2d(outputs)),
    )


def _preactivation(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return _named(
        ("bn1", nn.BatchNorm2d(inputs)),
        ("relu1", nn.ReLU()),
        ("conv1", _conv3x3(inputs, outputs, stride)),
        ("bn2", nn.BatchNorm2d(outputs)),
        ("relu2", nn.ReLU()),
        ("conv2", _conv3x3(outputs, outputs, 1)),
    )


def _conv3x3(inputs: int, outputs: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)


def _named(*modules: tuple[str, nn.Module]) -> nn.Sequential:
    return nn.Sequential(OrderedDict(modules))


def _initialise(module: nn.Module) -> None:
    """Initialise convolutions for ReLU (He et al. 2015)."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
