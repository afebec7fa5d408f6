"""Training: conventional, with Stochastic Depth, or with SkipNet's gates."""

import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from skipgate_models import evaluate, run, schedule
from skipgate_models.augmentation import batch_count, batches
from skipgate_models.config import Config
from skipgate_models.data import Dataset
from skipgate_models.skipnet import SkipNet
from skipgate_models.stochastic_depth import keep_probabilities, sample_scales


def train(config: Config, dataset: Dataset, folder: Path, device: torch.device) -> None:
    """Train the network of `config` in the run folder, from where an earlier call left off."""
    state = run.resume(folder, config, len(dataset.class_names), device)
    steps = batch_count(dataset.train, config.schedule.batch_size)
    total = config.schedule.epochs * steps
    # `disable=None` shows the bar on a terminal only.
    with tqdm(initial=state.epoch * steps, total=total, unit="batch", disable=None, dynamic_ncols=True) as progress:
        while state.epoch < config.schedule.epochs:
            row = train_epoch(config, dataset, state, progress)
            state.log.append(row)
            run.save(folder, config, state)
            tested = ", ".join(f"{name} {value}" for name, value in row.items() if value is not None)
            progress.write(tested)


def train_epoch(config: Config, dataset: Dataset, state: run.State, progress: tqdm | None = None) -> run.Row:
    """Train for one epoch and return its row of the log; `progress` counts batches."""
    started = time.monotonic()
    plan = config.schedule
    state.network.train()
    if schedule.statistics_are_fixed(plan, state.epoch):
        _fix_statistics(state.network)
    steps = batch_count(dataset.train, plan.batch_size)
    losses = []
    for step, (images, labels) in enumerate(_inputs(config, dataset, state), 1):
        rate = schedule.learning_rate(plan, state.epoch + step / steps)
        losses.append(_step(config, state, images, labels, rate))
        if progress is not None:
            progress.update()
            progress.set_postfix(epoch=state.epoch + 1, loss=f"{losses[-1]:.3f}", refresh=False)
    row = {"epoch": state.epoch + 1, "learning_rate": f"{rate:.5f}", "loss": f"{sum(losses) / len(losses):.4f}"}
    tested = (state.epoch + 1) % plan.evaluate_every == 0 or state.epoch + 1 == plan.epochs
    row |= _test(dataset, state.network, tested=tested)
    return row | {"seconds": f"{time.monotonic() - started:.1f}"}


def _inputs(config: Config, dataset: Dataset, state: run.State) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch of batches on the network's device, in its memory format."""
    device = evaluate.device_of(state.network)
    size = schedule.image_size(config.schedule, state.epoch)
    for pixels, labels in batches(dataset.train, config.schedule.batch_size, config.augmentation, state.generator):
        images = dataset.preprocessing(pixels.to(device))
        if size is not None and size != images.shape[-1]:
            images = functional.interpolate(images, (size, size), mode="bilinear", antialias=True)
        yield images.contiguous(memory_format=torch.channels_last), labels.to(device)


def _fix_statistics(network: nn.Module) -> None:
    """Let BatchNormalization use its running statistics and leave them as they are."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def _test(dataset: Dataset, network: nn.Module, *, tested: bool) -> run.Row:
    """Accuracy with all blocks and with none of the skippable ones, or SkipNet's and how many blocks it skips."""
    if isinstance(network, SkipNet):
        columns = ("test_accuracy", "test_blocks_skipped")
        results = _skipnet_results(dataset, network) if tested else None
    else:
        columns = ("test_all_run", "test_all_skipped")
        masks = [[True] * network.gates(), [False] * network.gates()]
        results = evaluate.accuracies(network, dataset.test, dataset.preprocessing, masks) if tested else None
    values = [None] * len(columns) if results is None else [f"{result:.2f}" for result in results]
    return dict(zip(columns, values, strict=True))


def _skipnet_results(dataset: Dataset, network: SkipNet) -> tuple[float, float]:
    accuracy, skipped = evaluate.skipnet(network, dataset.test, dataset.preprocessing)
    return accuracy, sum(skipped) / 100


def _step(config: Config, state: run.State, images: Tensor, labels: Tensor, rate: float) -> float:
    """One step of SGD on preprocessed images; returns the loss."""
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    with torch.autocast(images.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
        loss = _loss(config, state, images, labels)
    # A dropped block has no gradient at all, so neither momentum nor weight decay moves it.
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    # With fixed statistics nothing else bounds what one bad batch does.
    nn.utils.clip_grad_norm_(state.network.parameters(), config.schedule.clip_gradient)
    state.optimizer.step()
    return loss.item()


def _loss(config: Config, state: run.State, images: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy with some blocks dropped, or under SkipNet's own decisions."""
    smoothing = config.schedule.label_smoothing
    if config.skipnet is not None:
        logits, decisions = state.network.decide(images)
        loss = functional.cross_entropy(logits.float(), labels, label_smoothing=smoothing)
        return loss - config.skipnet.skip_reward * (1 - decisions.float().mean())
    depth = config.stochastic_depth
    probabilities = keep_probabilities(state.network.skippable(), depth)
    logits = state.network(images, sample_scales(probabilities, depth, state.generator))
    return functional.cross_entropy(logits.float(), labels, label_smoothing=smoothing)
