"""SkipNet with feed-forward gates (Wang et al. 2018): the baseline that decides by itself, image by image.

A small network in front of each skippable block reads the block's input and says whether the block runs; above
`THRESHOLD` it does (paper, sections I and III-A). Training is supervised: the decision is hard on the way forward and
that of the soft probability on the way back.
"""

import math

import torch
from torch import Tensor, nn

from skipgate_models.config import GateKind
from skipgate_models.resnet import Block, ResNet

THRESHOLD = 0.5
# The same threshold on what the softmax of two outputs depends on: by how much the second is above the first.
MARGIN = math.log(THRESHOLD / (1 - THRESHOLD))
# Of FFGate1, as in SkipNet's own code.
HIDDEN_CHANNELS = 10
# Of the last layer's bias towards running: gates start by letting almost every block run.
INITIAL_BIAS = 2.0


class FeedForwardGate(nn.Module):
    """Says whether the block runs, from its input `[N, C, H, W]`.

    FFGate1 reduces the resolution by a maximum pool and has two narrow convolutions, FFGate2 has one with stride 2 and
    no pool; both end in an average and a 1x1 convolution with one output per decision.
    """

    def __init__(self, kind: GateKind, channels: int) -> None:
        """Gate in front of a block with that many channels."""
        super().__init__()
        if kind == "ffgate1":
            inner = HIDDEN_CHANNELS
            layers = [nn.MaxPool2d(2), *_convolution(channels, inner, 1), *_convolution(inner, inner, 2)]
        else:
            inner = channels
            layers = _convolution(channels, inner, 2)
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Conv2d(inner, 2, 1))
        nn.init.zeros_(self.layers[-1].weight)
        self.layers[-1].bias.data = torch.tensor([0.0, INITIAL_BIAS])

    def forward(self, x: Tensor) -> Tensor:
        """By how much running is ahead of skipping, `[N]`; the block runs above `MARGIN`.

        The sigmoid of it is the probability that the block runs: the softmax of both outputs.
        """
        scores = self.layers(x).flatten(1)
        return scores[:, 1] - scores[:, 0]


class SkipNet(nn.Module):
    """CIFAR ResNet with a gate in front of each skippable block."""

    def __init__(self, network: ResNet, kind: GateKind) -> None:
        """Put gates of that kind into `network`."""
        super().__init__()
        self.network = network
        gated = [block for block, skippable in self._blocks() if skippable]
        self.skip_gates = nn.ModuleList(FeedForwardGate(kind, block.channels) for block in gated)

    def gates(self) -> int:
        """Return the number of gates."""
        return len(self.skip_gates)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of images `[N, 3, H, W]`."""
        return self.decide(image)[0]

    def decide(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, and per image and gate whether the block ran (0 or 1, `[N, gates]`) with the gate's gradient."""
        x = self.network.stem(image)
        gates = iter(self.skip_gates)
        decisions = []
        for block, skippable in self._blocks():
            if not skippable:
                x = block(x)
                continue
            margin = next(gates)(x)
            probability = margin.sigmoid()
            decision = (margin > MARGIN).to(x.dtype) + probability - probability.detach()
            decisions.append(decision)
            share = decision[:, None, None, None]
            x = share * block(x) + (1 - share) * x
        return self.network.head(x), torch.stack(decisions, 1)

    def conditional(self) -> torch.jit.ScriptModule:
        """Make the network that runs one image and leaves skipped blocks out, for export: `If` in ONNX.

        It is a script: a trace would only hold the way that one image took.
        """
        gates = iter(self.skip_gates)
        blocks = [_ConditionalBlock(next(gates), block) if skippable else block for block, skippable in self._blocks()]
        whole = nn.Sequential(self.network.stem, *blocks, self.network.head)
        return torch.jit.freeze(torch.jit.script(whole.eval()))

    def _blocks(self) -> list[tuple[Block, bool]]:
        return list(zip(self.network.blocks(), self.network.skippable(), strict=True))


class _ConditionalBlock(nn.Module):
    """A gate and its block for one image, in what TorchScript understands."""

    def __init__(self, gate: FeedForwardGate, block: Block) -> None:
        super().__init__()
        self.gate = gate
        self.residual = block.residual
        self.activation = block.activation
        self.margin = MARGIN

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(x + self.residual(x)) if bool(self.gate(x) > self.margin) else x


def _convolution(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    ]
