"""Export residual networks that are no classifiers, with random weights: `export_tasks.py OUT_DIR [NAME...]`.

Writes `OUT_DIR/NAME.onnx`: a detector (C2f, SPPF, upsampling, three outputs), a segmentation U-Net, a feature pyramid,
a high-resolution network with parallel branches, keyword spotting on spectrograms, and super-resolution. Each is as
small as its structure allows; weights are scaled so that activations keep their size from block to block.
"""

# What `__init__` and `forward` of a module do needs no words.
# ruff: noqa: D102, D107

import argparse
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

OPSET = 17


class ConvUnit(nn.Sequential):
    """Convolution, batch normalisation, activation."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, act: type = nn.SiLU) -> None:
        conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        super().__init__(conv, nn.BatchNorm2d(outputs), act())


class Bottleneck(nn.Module):
    """x + f(x), as the detectors of the YOLO family have it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvUnit(channels, channels)
        self.second = ConvUnit(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(self.first(x))


class C2f(nn.Module):
    """Halves, one of which goes through bottlenecks, whose every result is kept."""

    def __init__(self, inputs: int, outputs: int, count: int) -> None:
        super().__init__()
        self.half = outputs // 2
        self.first = ConvUnit(inputs, outputs, 1)
        self.blocks = nn.ModuleList(Bottleneck(self.half) for _ in range(count))
        self.last = ConvUnit((2 + count) * self.half, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self.first(x).split(self.half, 1))
        for block in self.blocks:
            parts.append(block(parts[-1]))
        return self.last(torch.cat(parts, 1))


class SPPF(nn.Module):
    """A pyramid of pools."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvUnit(channels, channels // 2, 1)
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.last = ConvUnit(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.first(x)]
        for _ in range(3):
            parts.append(self.pool(parts[-1]))
        return self.last(torch.cat(parts, 1))


class Detector(nn.Module):
    """Boxes and classes at three scales, not decoded."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvUnit(3, 16, 3, 2)
        self.down = nn.ModuleList([ConvUnit(16, 32, 3, 2), ConvUnit(32, 64, 3, 2), ConvUnit(64, 64, 3, 2)])
        self.stages = nn.ModuleList([C2f(32, 32, 2), C2f(64, 64, 3), C2f(64, 64, 2)])
        self.pyramid = SPPF(64)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.neck = nn.ModuleList([C2f(128, 64, 1), C2f(96, 32, 1)])
        self.heads = nn.ModuleList([nn.Conv2d(channels, 24, 1) for channels in (32, 64, 64)])

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        features = []
        x = self.stem(x)
        for down, stage in zip(self.down, self.stages, strict=True):
            x = stage(down(x))
            features.append(x)
        small, middle, large = features[2], features[1], features[0]
        small = self.pyramid(small)
        middle = self.neck[0](torch.cat([self.up(small), middle], 1))
        large = self.neck[1](torch.cat([self.up(middle), large], 1))
        outputs = zip(self.heads, (large, middle, small), strict=True)
        return tuple(head(value) for head, value in outputs)


class Residual(nn.Module):
    """relu(x + f(x)), as in ResNet."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvUnit(channels, channels, act=nn.ReLU)
        self.second = ConvUnit(channels, channels, act=nn.Identity)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.second(self.first(x)))


class Unet(nn.Module):
    """Segmentation: residual blocks on the way down and up, transposed convolutions and skip connections."""

    def __init__(self) -> None:
        super().__init__()
        widths = (16, 32, 48)
        self.stem = ConvUnit(3, widths[0], act=nn.ReLU)
        self.encode = nn.ModuleList(nn.Sequential(Residual(w), Residual(w)) for w in widths)
        pairs = list(pairwise(widths))
        self.down = nn.ModuleList(ConvUnit(a, b, 3, 2, nn.ReLU) for a, b in pairs)
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2) for a, b in pairs)
        self.fuse = nn.ModuleList(ConvUnit(2 * a, a, act=nn.ReLU) for a, _ in pairs)
        self.decode = nn.ModuleList(nn.Sequential(Residual(a), Residual(a)) for a, _ in pairs)
        self.head = nn.Conv2d(widths[0], 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.encode[0](self.stem(x))
        kept = []
        for down, encode in zip(self.down, self.encode[1:], strict=True):
            kept.append(x)
            x = encode(down(x))
        for level in reversed(range(len(kept))):
            x = torch.cat([kept[level], self.up[level](x)], 1)
            x = self.decode[level](self.fuse[level](x))
        return self.head(x)


class Pyramid(nn.Module):
    """A feature pyramid on a residual backbone: one output for each level."""

    def __init__(self) -> None:
        super().__init__()
        widths = (16, 32, 48)
        self.stem = ConvUnit(3, widths[0], 3, 2, nn.ReLU)
        self.down = nn.ModuleList(ConvUnit(a, b, 3, 2, nn.ReLU) for a, b in pairwise(widths))
        self.stages = nn.ModuleList(nn.Sequential(*(Residual(w) for _ in range(3))) for w in widths)
        self.side = nn.ModuleList(nn.Conv2d(w, 16, 1) for w in widths)
        self.smooth = nn.ModuleList(nn.Conv2d(16, 16, 3, 1, 1) for _ in widths)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.stages[0](self.stem(x))
        levels = [self.side[0](x)]
        for down, stage, side in zip(self.down, self.stages[1:], self.side[1:], strict=True):
            x = stage(down(x))
            levels.append(side(x))
        for level in reversed(range(len(levels) - 1)):
            upper = nn.functional.interpolate(levels[level + 1], scale_factor=2.0, mode="nearest")
            levels[level] = levels[level] + upper
        return tuple(smooth(level) for smooth, level in zip(self.smooth, levels, strict=True))


class HighResolution(nn.Module):
    """Two resolutions side by side that exchange what they found, twice; pose heat maps come out."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvUnit(3, 16, 3, 2, nn.ReLU)
        self.split = ConvUnit(16, 32, 3, 2, nn.ReLU)
        stage = lambda width: nn.Sequential(*(Residual(width) for _ in range(2)))  # noqa: E731
        self.high = nn.ModuleList(stage(16) for _ in range(2))
        self.low = nn.ModuleList(stage(32) for _ in range(2))
        self.to_low = nn.ModuleList(ConvUnit(16, 32, 3, 2, nn.Identity) for _ in range(2))
        self.to_high = nn.ModuleList(ConvUnit(32, 16, 1, 1, nn.Identity) for _ in range(2))
        self.head = nn.Conv2d(16, 7, 1)

    def forward(self, x: Tensor) -> Tensor:
        high = self.stem(x)
        low = self.split(high)
        for stage in range(2):
            high, low = self.high[stage](high), self.low[stage](low)
            upper = nn.functional.interpolate(self.to_high[stage](low), scale_factor=2.0, mode="bilinear")
            high, low = torch.relu(high + upper), torch.relu(low + self.to_low[stage](high))
        return self.head(high)


class KeywordSpotting(nn.Module):
    """A spectrogram of 40 bands and 51 frames to one of twelve words."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvUnit(1, 19, act=nn.ReLU)
        self.pool = nn.AvgPool2d((3, 4))
        self.blocks = nn.Sequential(*(Residual(19) for _ in range(3)))
        self.head = nn.Linear(19, 12)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.pool(self.stem(x))).mean((2, 3)))


class SuperResolution(nn.Module):
    """Twice the rows and columns: residual blocks without normalisation, a long skip, a pixel shuffle."""

    class Block(nn.Module):
        """x + 0.1 f(x)."""

        def __init__(self, channels: int) -> None:
            super().__init__()
            self.first = nn.Conv2d(channels, channels, 3, 1, 1)
            self.second = nn.Conv2d(channels, channels, 3, 1, 1)

        def forward(self, x: Tensor) -> Tensor:
            return x + 0.1 * self.second(torch.relu(self.first(x)))

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 1, 1)
        self.blocks = nn.Sequential(*(self.Block(16) for _ in range(4)))
        self.last = nn.Conv2d(16, 16, 3, 1, 1)
        self.grow = nn.Conv2d(16, 12, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return nn.functional.pixel_shuffle(self.grow(x + self.last(self.blocks(x))), 2)


NETWORKS: dict[str, tuple[type[nn.Module], tuple[int, ...], list[str]]] = {
    "detector": (Detector, (1, 3, 64, 96), ["large", "middle", "small"]),
    "unet": (Unet, (1, 3, 32, 48), ["mask"]),
    "pyramid": (Pyramid, (1, 3, 48, 64), ["p2", "p3", "p4"]),
    "high-resolution": (HighResolution, (1, 3, 32, 32), ["heat"]),
    "keyword-spotting": (KeywordSpotting, (1, 1, 51, 40), ["words"]),
    "super-resolution": (SuperResolution, (1, 3, 20, 24), ["image"]),
}


def make(name: str) -> tuple[nn.Module, Tensor]:
    """Make the network called `name` with random weights and statistics, and an input for it."""
    torch.manual_seed(0)
    network, shape, _ = NETWORKS[name]
    network, image = network(), torch.randn(shape)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.0)
            nn.init.normal_(module.bias, std=0.1)
            module.momentum = 1.0
    with torch.no_grad():
        network.train()(image)
    return network.eval(), image


def main() -> None:
    """Write the networks that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="*", help=", ".join(NETWORKS))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or NETWORKS:
        network, image = make(name)
        path = arguments.out / f"{name}.onnx"
        outputs = NETWORKS[name][2]
        torch.onnx.export(
            network, image, path, dynamo=False, opset_version=OPSET, input_names=["input"], output_names=outputs
        )


if __name__ == "__main__":
    main()
