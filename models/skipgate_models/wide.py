"""Wide, shallow networks that learn CIFAR in few epochs: teachers for the networks that are deployed.

The ingredients of the speed records on CIFAR-10 (Jordan 2024, "94 % on CIFAR-10 in 3.29 seconds on a single GPU"): a
first convolution that whitens 2x2 patches and stays as it is, convolutions that start by passing their input on, and
BatchNormalization that only shifts.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skipgate_models.gated import GatedNetwork

PATCH = 2
PATCH_CHANNELS = 3 * PATCH * PATCH
# Images from which the patches' covariance is measured.
WHITENING_IMAGES = 5000
# Added to the patches' variances, so that the noise of the smallest is not blown up.
WHITENING_EPSILON = 5e-4
# Share of the old value that the running statistics keep in each batch; few epochs leave no time for slower ones.
STATISTICS_KEPT = 0.6
# A network without residuals starts with larger logits than its training can use.
LOGIT_SCALE = 1 / 9


class WideNet(GatedNetwork):
    """Whitening, three groups of two 3x3 convolutions that halve the resolution, and one linear layer; no gates."""

    def __init__(self, widths: Sequence[int], classes: int) -> None:
        """Make a network with that many channels in each of its groups."""
        super().__init__()
        self.whitening = nn.Conv2d(3, 2 * PATCH_CHANNELS, PATCH, bias=False)
        self.whitening.weight.requires_grad = False
        inputs = (2 * PATCH_CHANNELS, *widths[:-1])
        self.groups = nn.Sequential(*map(_group, inputs, widths))
        self.pool = nn.AdaptiveMaxPool2d(1)
        self.classifier = nn.Linear(widths[-1], classes, bias=False)

    def segments_of_blocks(self) -> list[list[bool]]:
        """There are no residual blocks."""
        return []

    def load_weights(self, weights: dict[str, Tensor], source: str) -> None:
        """See `GatedNetwork`."""
        try:
            self.load_state_dict(weights)
        except RuntimeError as error:
            raise ValueError(f"{source}: expected the weights of this network: {error}") from error

    def whiten(self, images: Tensor) -> None:
        """Let the first layer give the principal components of patches, with deviation 1, and their negatives.

        `images` are preprocessed training images `[N, 3, H, W]`.
        """
        patches = nn.functional.unfold(images[:WHITENING_IMAGES].float(), PATCH, stride=PATCH)
        samples = patches.transpose(1, 2).reshape(-1, PATCH_CHANNELS)
        variances, components = torch.linalg.eigh(samples.T.cov())
        filters = (components / (variances + WHITENING_EPSILON).sqrt()).T.reshape(-1, 3, PATCH, PATCH)
        self.whitening.weight.data.copy_(torch.cat([filters, -filters]))

    def forward(self, image: Tensor, scales: Sequence[float] | None = None) -> Tensor:
        """See `GatedNetwork`."""
        self.scale_per_block(scales)
        features = self.groups(nn.functional.gelu(self.whitening(image)))
        return self.classifier(self.pool(features).flatten(1)) * LOGIT_SCALE


def _group(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        _convolution(inputs, outputs),
        nn.MaxPool2d(2),
        _norm(outputs),
        nn.GELU(),
        _convolution(outputs, outputs),
        _norm(outputs),
        nn.GELU(),
    )


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """Convolution whose first outputs are its inputs."""
    made = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    same = min(inputs, outputs)
    nn.init.dirac_(made.weight.data[:same])
    return made


def _norm(channels: int) -> nn.BatchNorm2d:
    """BatchNormalization whose factors stay 1."""
    made = nn.BatchNorm2d(channels, momentum=1 - STATISTICS_KEPT)
    made.weight.requires_grad = False
    return made
