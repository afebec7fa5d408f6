"""What a step of a training minimises."""

import torch
from torch import Tensor
from torch.nn import functional

from skipgate_models import masks, run
from skipgate_models.augmentation import Batch
from skipgate_models.config import Config, Distillation
from skipgate_models.stochastic_depth import sample_scales


def step_loss(config: Config, state: run.State, batch: Batch, progressed: float) -> Tensor:
    """Loss of a preprocessed batch, after that share of the training."""
    if config.skipnet is not None:
        return _skipnet(config, state, batch)
    if config.tuning is not None:
        return _tuning(config, state, batch)
    scales = sample_scales(state.network.skippable(), config.stochastic_depth, progressed, state.generator)
    return _taught(config, state.network(batch.images, scales).float(), batch)


def divergence(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """`temperature^2 * KL(teacher || network)` of logits (both `f32 [N, classes]`) at that temperature, mean over N.

    The square keeps the size of the gradient the same at every temperature (Hinton et al. 2015).
    """
    difference = functional.kl_div(
        functional.log_softmax(logits / temperature, 1),
        functional.log_softmax(teacher / temperature, 1),
        reduction="batchmean",
        log_target=True,
    )
    return temperature**2 * difference


def _taught(config: Config, logits: Tensor, batch: Batch) -> Tensor:
    """Cross-entropy with the labels, and the divergence from the teacher if there is one."""
    loss = functional.cross_entropy(logits, batch.labels, label_smoothing=config.schedule.label_smoothing)
    if batch.logits is None:
        return loss
    settings = config.distillation or Distillation()
    taught = divergence(logits, batch.logits, settings.temperature)
    return settings.weight * taught + (1 - settings.weight) * loss


def _skipnet(config: Config, state: run.State, batch: Batch) -> Tensor:
    """Loss under SkipNet's own decisions."""
    logits, decisions = state.network.decide(batch.images)
    return _taught(config, logits.float(), batch) - config.skipnet.skip_reward * (1 - decisions.float().mean())


def _tuning(config: Config, state: run.State, batch: Batch) -> Tensor:
    """Loss of the whole network, and the divergence from it of the network under one of the deployed masks.

    The sandwich rule of slimmable networks (Yu and Huang 2019): the largest and the smallest bound all others.
    """
    whole = state.network(batch.images).float()
    mask = _deployed_mask(config.tuning.masks, config.tuning.smallest_every, state)
    part = state.network(batch.images, masks.parse(mask)).float()
    temperature = (config.distillation or Distillation()).temperature
    return _taught(config, whole, batch) + divergence(part, whole.detach(), temperature)


def _deployed_mask(deployed: tuple[str, ...], smallest_every: int, state: run.State) -> str:
    """One of the masks at random, but the one that skips most in every so manieth step."""
    drawn = deployed[int(torch.randint(len(deployed), (1,), generator=state.generator))]
    return drawn if state.steps % smallest_every else max(deployed, key=lambda mask: mask.count("0"))
