"""BatchNormalization's statistics, collected again for the depths that a network is used at.

Statistics collected while blocks were dropped at random are an average over depths. `recompute` collects them under
given masks: those of many depths for a network that is used at all of them, or one mask for a network that is used at
one depth alone (as in EagleEye, Li et al. 2020). An artifact holds one set of statistics, so only the first can be
deployed as it is.
"""

import copy
import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skipgate_models.gated import GatedNetwork


def recompute(network: GatedNetwork, images: Tensor, masks: Sequence[Sequence[bool]], batch: int) -> GatedNetwork:
    """Copy `network` with new statistics of preprocessed `images`, whose batches go through the masks in turn."""
    result = copy.deepcopy(network)
    for module in result.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            # A plain average over all batches.
            module.momentum = None
    result.train()
    with torch.no_grad():
        for part, mask in zip(images.split(batch), itertools.cycle(masks)):
            result(part, mask)
    return result.eval()
