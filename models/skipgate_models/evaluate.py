"""Accuracy of a network under skip masks, and of SkipNet."""

from collections.abc import Sequence

import torch
from torch import nn
from tqdm import tqdm

from skipgate_models.data import Part, Preprocessing
from skipgate_models.fold import folded
from skipgate_models.gated import GatedNetwork
from skipgate_models.skipnet import SkipNet

# Small enough for what passes between two layers to stay in a core's cache.
BATCH = 40


def device_of(network: nn.Module) -> torch.device:
    """Device on which the network is."""
    return next(network.parameters()).device


def accuracies(
    network: GatedNetwork,
    part: Part,
    preprocessing: Preprocessing,
    masks: Sequence[Sequence[bool]],
    progress: tqdm | None = None,
) -> list[float]:
    """Top-1 accuracy under each mask in percent; `progress` counts pairs of an image and a mask."""
    correct = [0] * len(masks)
    device = device_of(network)
    fast = folded(network).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        for index in torch.arange(len(part)).split(BATCH):
            images = preprocessing(part.images[index].to(device)).contiguous(memory_format=torch.channels_last)
            labels = part.labels[index].to(device)
            for number, mask in enumerate(masks):
                correct[number] += int((fast(images, mask).argmax(1) == labels).sum())
                if progress is not None:
                    progress.update(len(labels))
    return [100 * count / len(part) for count in correct]


def skipnet(network: SkipNet, part: Part, preprocessing: Preprocessing) -> tuple[float, list[float]]:
    """Top-1 accuracy in percent, and the share of images that skip each block in percent."""
    correct = 0
    skipped = torch.zeros(network.gates())
    device = device_of(network)
    fast = folded(network).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        for index in torch.arange(len(part)).split(BATCH):
            logits, decisions = fast.decide(preprocessing(part.images[index].to(device)))
            correct += int((logits.argmax(1) == part.labels[index].to(device)).sum())
            skipped += (1 - decisions).sum(0).cpu()
    return 100 * correct / len(part), (100 * skipped / len(part)).tolist()
