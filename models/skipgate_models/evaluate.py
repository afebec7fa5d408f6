"""Accuracy under skip masks."""

from collections.abc import Sequence

import torch
from torch import nn
from tqdm import tqdm

from skipgate_models.data import Part, Preprocessing
from skipgate_models.gated import GatedNetwork
from skipgate_models.skipnet import SkipNet

BATCH = 125

Mask = Sequence[bool]


def device_of(network: nn.Module) -> torch.device:
    """Device on which the network is."""
    return next(network.parameters()).device


def accuracies(
    network: GatedNetwork,
    part: Part,
    preprocessing: Preprocessing,
    masks: Sequence[Mask],
    progress: tqdm | None = None,
) -> list[float]:
    """Top-1 accuracy under each mask in percent; `progress` counts pairs of an image and a mask."""
    correct = [0] * len(masks)
    training = network.training
    network.eval()
    with torch.inference_mode():
        for index in torch.arange(len(part)).split(BATCH):
            device = device_of(network)
            images = preprocessing(part.images[index].to(device)).contiguous(memory_format=torch.channels_last)
            labels = part.labels[index].to(device)
            for number, mask in enumerate(masks):
                correct[number] += int((network(images, mask).argmax(1) == labels).sum())
                if progress is not None:
                    progress.update(len(labels))
    network.train(training)
    return [100 * count / len(part) for count in correct]


def skipnet(network: SkipNet, part: Part, preprocessing: Preprocessing) -> tuple[float, float]:
    """Top-1 accuracy in percent, and how many blocks an image skips on average."""
    correct, skipped = 0, 0.0
    training = network.training
    network.eval()
    with torch.inference_mode():
        for index in torch.arange(len(part)).split(BATCH):
            device = device_of(network)
            logits, decisions = network.decide(preprocessing(part.images[index].to(device)))
            correct += int((logits.argmax(1) == part.labels[index].to(device)).sum())
            skipped += float((1 - decisions).sum())
    network.train(training)
    return 100 * correct / len(part), skipped / len(part)
