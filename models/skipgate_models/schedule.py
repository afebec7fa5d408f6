"""What changes from epoch to epoch."""

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

from skipgate_models.config import Decay, Schedule

T = TypeVar("T")


def learning_rate(schedule: Schedule, epoch: float) -> float:
    """Learning rate at a point of the schedule, in epochs since its start."""
    if epoch <= schedule.warmup_epochs:
        return schedule.learning_rate * epoch / schedule.warmup_epochs
    if schedule.steps:
        return _latest(schedule.steps, math.ceil(epoch) - 1, schedule.learning_rate)
    progress = (epoch - schedule.warmup_epochs) / (schedule.epochs - schedule.warmup_epochs)
    return schedule.learning_rate * _DECAYS[schedule.decay](progress)


def image_size(schedule: Schedule, epoch: int) -> int | None:
    """Side of the images in an epoch, counted from 0; nothing if they keep their size."""
    return _latest(schedule.image_sizes, epoch, None)


def statistics_are_fixed(schedule: Schedule, epoch: int) -> bool:
    """Whether BatchNormalization uses the statistics collected before that epoch, counted from 0."""
    return epoch >= schedule.epochs - schedule.fixed_statistics_epochs


def _latest(pairs: Sequence[tuple[int, T]], epoch: int, before: T) -> T:
    """Value of the last pair that has begun, or `before` if none has."""
    return next((value for start, value in reversed(pairs) if epoch >= start), before)


# What is left of the learning rate after a share of the epochs.
_DECAYS: dict[Decay, Callable[[float], float]] = {
    "cosine": lambda progress: (1 + math.cos(math.pi * progress)) / 2,
    "linear": lambda progress: 1 - progress,
}
