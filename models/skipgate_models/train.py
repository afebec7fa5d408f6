"""Training with Stochastic Depth."""

import math
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from skipgate_models import data, run
from skipgate_models.config import Config, Schedule
from skipgate_models.data import Dataset
from skipgate_models.evaluate import accuracy
from skipgate_models.stochastic_depth import keep_probabilities, sample_scales


def train(config: Config, folder: Path) -> None:
    """Train the network of `config` in the run folder, from where an earlier call left off."""
    dataset = data.load(config.dataset)
    state = run.resume(folder, config, len(dataset.class_names))
    epochs = range(state.epoch, config.schedule.epochs)
    # `disable=None` shows the bar on a terminal only.
    for _ in tqdm(epochs, initial=state.epoch, total=config.schedule.epochs, unit="epoch", disable=None):
        state.log.append(_epoch(config, dataset, state))
        run.save(folder, config, state)


def learning_rate(schedule: Schedule, epoch: float) -> float:
    """Learning rate at a point of the schedule, in epochs since its start."""
    if epoch < schedule.warmup_epochs:
        return schedule.learning_rate * epoch / schedule.warmup_epochs
    cosine_epochs = schedule.epochs - schedule.warmup_epochs
    progress = (epoch - schedule.warmup_epochs) / cosine_epochs
    return schedule.learning_rate * (1 + math.cos(math.pi * progress)) / 2


def _epoch(config: Config, dataset: Dataset, state: run.State) -> dict[str, float | int | None]:
    """Train for one epoch and return its row of the log."""
    started = time.monotonic()
    probabilities = keep_probabilities(state.network.skippable(), config.stochastic_depth.p_last)
    batches = list(
        data.batches(
            dataset.train, config.schedule.batch_size, state.generator, shift=config.augmentation.shift
        )
    )
    state.network.train()
    losses = []
    for step, (images, labels) in enumerate(batches):
        rate = learning_rate(config.schedule, state.epoch + (step + 1) / len(batches))
        scales = sample_scales(probabilities, state.generator)
        losses.append(_step(config, state, dataset.preprocessing(images), labels, scales, rate))
    row = {
        "epoch": state.epoch + 1,
        "learning_rate": f"{rate:.5f}",
        "loss": f"{sum(losses) / len(losses):.4f}",
    }
    evaluate = (state.epoch + 1) % config.schedule.evaluate_every == 0
    skip_all = [False] * state.network.gates()
    row["test_all_run"] = f"{accuracy(state.network, dataset):.2f}" if evaluate else None
    row["test_all_skipped"] = f"{accuracy(state.network, dataset, skip_all):.2f}" if evaluate else None
    row["seconds"] = f"{time.monotonic() - started:.1f}"
    return row


def _step(
    config: Config, state: run.State, images: Tensor, labels: Tensor, scales: list[float], rate: float
) -> float:
    """One step of SGD; returns the loss."""
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    images = images.contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bf16"):
        logits = state.network(images, scales)
    loss = functional.cross_entropy(logits.float(), labels)
    # A dropped block has no gradient at all, so neither momentum nor weight decay moves it.
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    state.optimizer.step()
    return loss.item()
