"""Scores that say how much a trained network needs each of its gated blocks: the higher, the later it is skipped.

All are of the network as it is at test time. `fisher` and `hessian` look at training images, without augmentation,
under plain cross-entropy.

`l2-norm` is the size of the block's weights. `fisher` is how much the loss of an image depends on a factor in front of
the block's residual, squared and averaged over the images (Molchanov et al. 2017; Theis et al. 2018, whose estimate of
what skipping costs is half of it). `hessian` is how sharply the loss bends in the block's weights, times how far they
are from zero (HAWQ-V2, Dong et al. 2020, with weights that change to zero in place of rounded ones); it is negative
where the loss bends down.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from skipgate_models.evaluate import BATCH
from skipgate_models.files import replacing
from skipgate_models.fold import folded
from skipgate_models.gated import GatedNetwork
from skipgate_models.resnet import ResNet

# Of the random signs with which traces are estimated.
SIGNS_SEED = 0
# Some libraries write 1x1 convolutions as linear layers.
LAYERS = nn.Conv2d | nn.Linear


@dataclass(frozen=True)
class GatedBlock:
    """A block behind a gate, and the module in it whose result is added to the shortcut."""

    block: nn.Module
    residual: nn.Module


def l2_norm(network: GatedNetwork, _images: Tensor, _labels: Tensor) -> list[float]:
    """Root of the mean square of a block's weights, so that blocks of different sizes compare.

    BatchNormalization is folded in: what the weights are without it says nothing about what runs.
    """
    return [_root_mean_square(block.block) for block in gated_blocks(network)]


def fisher(network: GatedNetwork, images: Tensor, labels: Tensor) -> list[float]:
    """Mean square of `residual_gradients`: the empirical Fisher information of a gate that is 1."""
    blocks = gated_blocks(network)
    # Squares of small gradients are too small for float32.
    sums = torch.zeros(len(blocks), dtype=torch.float64)
    for part, part_labels in _batches(images, labels):
        sums += residual_gradients(network, blocks, part, part_labels).double().square().sum(1).cpu()
    return (sums / len(images)).tolist()


def hessian(network: GatedNetwork, images: Tensor, labels: Tensor) -> list[float]:
    """Average Hessian trace of each layer times its squared norm, HAWQ-V2's Omega, summed over a block's layers.

    The average is the trace divided by the number of weights, so that it does not grow with the layer. Layer by layer,
    the product does not depend on a scale that BatchNormalization takes back.
    """
    weights = [_weights(block.block) for block in gated_blocks(network)]
    scores = torch.zeros(len(weights), dtype=torch.float64)
    mean_squares = [
        torch.stack([layer.detach().double().square().mean() for layer in block]).cpu() for block in weights
    ]
    generator = Generator().manual_seed(SIGNS_SEED)
    for part, part_labels in _batches(images, labels):
        loss = functional.cross_entropy(network(part), part_labels, reduction="sum")
        for gate, traces in enumerate(hessian_traces(loss, weights, generator)):
            # Trace / number of weights * squared norm.
            scores[gate] += (traces * mean_squares[gate]).sum()
    return (scores / len(images)).tolist()


METHODS: dict[str, Callable[[GatedNetwork, Tensor, Tensor], list[float]]] = {
    "l2-norm": l2_norm,
    "fisher": fisher,
    "hessian": hessian,
}


def write(path: Path, method: str, images: int, seed: int, scores: Sequence[float]) -> None:
    """Write the scores of all gates for `skipgate rank --scores`; `ValueError` if one is not a number."""
    blocks = [{"gate": gate, "score": score} for gate, score in enumerate(scores)]
    table = {"method": method, "images": images, "seed": seed, "blocks": blocks}
    text = json.dumps(table, indent=2, allow_nan=False)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n")


def gated_blocks(network: GatedNetwork) -> list[GatedBlock]:
    """Give the blocks behind gates, in the order of the gates."""
    if isinstance(network, ResNet):
        blocks = [GatedBlock(block, block.residual) for block in network.blocks()]
    else:
        blocks = [GatedBlock(block.module, block.end) for block in network.blocks]
    return [block for block, gated in zip(blocks, network.skippable(), strict=True) if gated]


def residual_gradients(network: GatedNetwork, blocks: Sequence[GatedBlock], images: Tensor, labels: Tensor) -> Tensor:
    """Differentiate every image's own loss by a factor of 1 on each block's residual: `[gates, N]`.

    Every image has factors of its own and no say in another one's loss, so the derivatives of the sum are all of them.
    """
    factors = torch.ones(len(blocks), len(images), dtype=images.dtype, device=images.device, requires_grad=True)
    with _multiplied(blocks, factors):
        loss = functional.cross_entropy(network(images), labels, reduction="sum")
    return torch.autograd.grad(loss, factors)[0]


def hessian_traces(loss: Tensor, weights: Sequence[Sequence[Tensor]], generator: Generator) -> list[Tensor]:
    """Estimate the trace of the loss's Hessian for every layer of every block by Hutchinson's `v H v`, v random signs.

    Every block has a vector of its own. One for all of them would take one backward pass rather than one per block,
    but what it says of a block would be mostly noise from the others.
    """
    layers = [layer for block in weights for layer in block]
    gradients = iter(torch.autograd.grad(loss, layers, create_graph=True))
    return [_traces([next(gradients) for _ in block], block, generator) for block in weights]


def _traces(gradients: list[Tensor], layers: Sequence[Tensor], generator: Generator) -> Tensor:
    signs = [_random_signs(layer, generator) for layer in layers]
    products = torch.autograd.grad(gradients, layers, signs, retain_graph=True)
    return torch.stack([(v * product).sum() for v, product in zip(signs, products, strict=True)]).double().cpu()


def _random_signs(like: Tensor, generator: Generator) -> Tensor:
    return (2 * torch.randint(2, like.shape, generator=generator) - 1).to(like)


@contextmanager
def _multiplied(blocks: Sequence[GatedBlock], factors: Tensor) -> Iterator[None]:
    """Multiply the residual of each block by its row of `factors`, one per image."""
    rows = zip(blocks, factors, strict=True)
    hooks = [block.residual.register_forward_hook(_multiplier(row)) for block, row in rows]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _multiplier(factors: Tensor) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
    return lambda _module, _inputs, residual: factors.view(-1, *[1] * (residual.ndim - 1)) * residual


def _root_mean_square(block: nn.Module) -> float:
    # Side by side as `folded` wants them, which in the libraries' blocks they are not.
    layers_and_norms = [module for module in block.modules() if isinstance(module, LAYERS | nn.BatchNorm2d)]
    weights = _weights(folded(nn.Sequential(*layers_and_norms)))
    return float(torch.cat([weight.detach().double().flatten() for weight in weights]).square().mean().sqrt())


def _weights(block: nn.Module) -> list[Tensor]:
    return [module.weight for module in block.modules() if isinstance(module, LAYERS)]


def _batches(images: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Split the images, of which there must be some; a bar counts those that are done."""
    if not len(images):
        raise ValueError("expected at least one image, found none")
    # `disable=None` shows the bar on a terminal only.
    with tqdm(total=len(images), unit="image", disable=None, leave=False) as progress:
        for part in zip(images.split(BATCH), labels.split(BATCH), strict=True):
            yield part
            progress.update(len(part[0]))
