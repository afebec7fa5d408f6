"""Training with Stochastic Depth."""

import math
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from skipgate_models import data, run
from skipgate_models.config import Config, Schedule
from skipgate_models.data import Dataset
from skipgate_models.evaluate import accuracy
from skipgate_models.stochastic_depth import keep_probabilities, sample_scales

TEST_COLUMNS = ("test_all_run", "test_all_skipped")


def train(config: Config, folder: Path) -> None:
    """Train the network of `config` in the run folder, from where an earlier call left off."""
    dataset = data.load(config.dataset)
    state = run.resume(folder, config, len(dataset.class_names))
    epochs = range(state.epoch, config.schedule.epochs)
    # `disable=None` shows the bar on a terminal only.
    for _ in tqdm(epochs, initial=state.epoch, total=config.schedule.epochs, unit="epoch", disable=None):
        state.log.append(train_epoch(config, dataset, state))
        run.save(folder, config, state)


def learning_rate(schedule: Schedule, epoch: float) -> float:
    """Learning rate at a point of the schedule, in epochs since its start."""
    if epoch <= schedule.warmup_epochs:
        return schedule.learning_rate * epoch / schedule.warmup_epochs
    cosine_epochs = schedule.epochs - schedule.warmup_epochs
    progress = (epoch - schedule.warmup_epochs) / cosine_epochs
    return schedule.learning_rate * (1 + math.cos(math.pi * progress)) / 2


def train_epoch(config: Config, dataset: Dataset, state: run.State) -> run.Row:
    """Train for one epoch and return its row of the log."""
    started = time.monotonic()
    schedule = config.schedule
    state.network.train()
    if state.epoch >= schedule.epochs - schedule.fixed_statistics_epochs:
        _fix_statistics(state.network)
    shift = config.augmentation.shift
    batches = list(data.batches(dataset.train, schedule.batch_size, state.generator, shift=shift))
    losses = []
    for step, (images, labels) in enumerate(batches, 1):
        rate = learning_rate(schedule, state.epoch + step / len(batches))
        losses.append(_step(config, state, dataset.preprocessing(images), labels, rate))
    row = {"epoch": state.epoch + 1, "learning_rate": f"{rate:.5f}", "loss": f"{sum(losses) / len(losses):.4f}"}
    row |= _test(dataset, state) if (state.epoch + 1) % schedule.evaluate_every == 0 else dict.fromkeys(TEST_COLUMNS)
    return row | {"seconds": f"{time.monotonic() - started:.1f}"}


def _fix_statistics(network: nn.Module) -> None:
    """Let BatchNormalization use its running statistics and leave them as they are."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def _test(dataset: Dataset, state: run.State) -> run.Row:
    """Accuracy with all blocks and with none of the skippable ones."""
    masks = ([True] * state.network.gates(), [False] * state.network.gates())
    results = [f"{accuracy(state.network, dataset, mask):.2f}" for mask in masks]
    return dict(zip(TEST_COLUMNS, results, strict=True))


def _step(config: Config, state: run.State, images: Tensor, labels: Tensor, rate: float) -> float:
    """One step of SGD on preprocessed images with some blocks dropped; returns the loss."""
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    probabilities = keep_probabilities(state.network.skippable(), config.stochastic_depth.p_last)
    scales = sample_scales(probabilities, state.generator)
    images = images.contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bf16"):
        logits = state.network(images, scales)
    loss = functional.cross_entropy(logits.float(), labels)
    # A dropped block has no gradient at all, so neither momentum nor weight decay moves it.
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    # With fixed statistics nothing else bounds what one bad batch does.
    nn.utils.clip_grad_norm_(state.network.parameters(), config.schedule.clip_gradient)
    state.optimizer.step()
    return loss.item()
