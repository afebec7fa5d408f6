"""Training: conventional, with Stochastic Depth, from a teacher, on the masks of a front, or with SkipNet's gates."""

import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from skipgate_models import average, bank, distributed, evaluate, run, schedule
from skipgate_models.augmentation import Batch, batch_count, batches, random_views
from skipgate_models.config import Config
from skipgate_models.data import Dataset
from skipgate_models.gated import GatedNetwork
from skipgate_models.losses import step_loss
from skipgate_models.skipnet import SkipNet
from skipgate_models.wide import WHITENING_IMAGES, WideNet

# What a network learns from beside the labels.
Teacher = bank.Bank | GatedNetwork | None


def train(config: Config, dataset: Dataset, folder: Path, device: torch.device) -> None:
    """Train the network of `config` in the run folder, from where an earlier call left off."""
    state = run.resume(folder, config, len(dataset.class_names), device)
    if state.epoch == 0:
        prepare(state.network, dataset)
    teacher = find_teacher(config, dataset, device)
    steps = batch_count(dataset.train, config.schedule.batch_size)
    total = config.schedule.epochs * steps
    # `disable=None` shows the bar on a terminal only.
    hidden = None if distributed.is_first() else True
    with tqdm(initial=state.epoch * steps, total=total, unit="batch", disable=hidden, dynamic_ncols=True) as progress:
        while state.epoch < config.schedule.epochs:
            row = train_epoch(config, dataset, state, teacher=teacher, progress=progress)
            state.log.append(row)
            if distributed.is_first():
                run.save(folder, config, state)
                progress.write(", ".join(f"{name} {value}" for name, value in row.items() if value is not None))


def find_teacher(config: Config, dataset: Dataset, device: torch.device) -> Teacher:
    """Read the bank to learn from, or make the network as it is before its training; nothing without a teacher."""
    settings = config.distillation
    if settings is None:
        return None
    if settings.teacher == "bank":
        return bank.read(Path(settings.bank), dataset.train)
    if not config.network.initial and not config.network.pretrained:
        raise ValueError("a network that learns from itself needs weights: give `initial` or `pretrained` in [network]")
    return run.start(config, len(dataset.class_names), device).network.eval()


def prepare(network: nn.Module, dataset: Dataset) -> None:
    """Show training images to a network that has something to take from them before its training."""
    if isinstance(network, WideNet):
        images = dataset.preprocessing(dataset.train.slice(0, WHITENING_IMAGES).images)
        network.whiten(images.to(evaluate.device_of(network)))


def train_epoch(
    config: Config, dataset: Dataset, state: run.State, *, teacher: Teacher = None, progress: tqdm | None = None
) -> run.Row:
    """Train for one epoch and return its row of the log; `progress` counts batches."""
    started = time.monotonic()
    plan = config.schedule
    state.network.train()
    if schedule.statistics_are_fixed(plan, state.epoch):
        _fix_statistics(state)
    steps = batch_count(dataset.train, plan.batch_size)
    losses = []
    for step, batch in enumerate(_batches(config, dataset, state, teacher), 1):
        progressed = state.epoch + step / steps
        rate = schedule.learning_rate(plan, progressed)
        losses.append(_step(config, state, batch, rate, progressed / plan.epochs))
        if progress is not None:
            progress.update()
            progress.set_postfix(epoch=state.epoch + 1, loss=f"{losses[-1]:.3f}", refresh=False)
    distributed.average_statistics(state.network)
    distributed.average_statistics(state.tested)
    loss = torch.tensor(losses).mean()
    distributed.average([loss])
    row = {"epoch": state.epoch + 1, "learning_rate": f"{rate:.5f}", "loss": f"{loss:.4f}"}
    tested = (state.epoch + 1) % plan.evaluate_every == 0 or state.epoch + 1 == plan.epochs
    row |= _test(dataset, state.tested, tested=tested and distributed.is_first())
    return row | {"seconds": f"{time.monotonic() - started:.1f}"}


def _batches(config: Config, dataset: Dataset, state: run.State, teacher: Teacher) -> Iterator[Batch]:
    """One epoch of preprocessed batches on the network's device, in its memory format, with the teacher's logits."""
    device = evaluate.device_of(state.network)
    size = schedule.image_size(config.schedule, state.epoch)
    if isinstance(teacher, bank.Bank):
        views_of = teacher.views_of(state.epoch, config.seed)
    else:
        views_of = random_views(config.augmentation, state.generator)
    shard = distributed.shard()
    for batch in batches(dataset.train, config.schedule.batch_size, views_of, state.generator, shard):
        images = dataset.preprocessing(batch.images.to(device))
        if size is not None and size != images.shape[-1]:
            images = functional.interpolate(images, (size, size), mode="bilinear", antialias=True)
        images = images.contiguous(memory_format=torch.channels_last)
        logits = None if batch.logits is None else batch.logits.to(device)
        if isinstance(teacher, nn.Module):
            logits = _logits(config, teacher, images)
        yield Batch(images, batch.labels.to(device), logits)


@torch.no_grad()
def _logits(config: Config, teacher: nn.Module, images: Tensor) -> Tensor:
    with torch.autocast(images.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
        return teacher(images).float()


def _fix_statistics(state: run.State) -> None:
    """Let BatchNormalization use its running statistics and leave them as they are.

    Those of the moving average, if there is one: the network's own are those of its last few depths.
    """
    if state.average is not None:
        average.copy_statistics(state.average, state.network)
    for module in state.network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def _test(dataset: Dataset, network: nn.Module, *, tested: bool) -> run.Row:
    """Accuracy with all blocks and with none of the skippable ones, or SkipNet's and how many blocks it skips."""
    if isinstance(network, SkipNet):
        columns = ("test_accuracy", "test_blocks_skipped")
        results = _skipnet_results(dataset, network) if tested else None
    else:
        masks = [[True] * network.gates(), [False] * network.gates()][: 2 if network.gates() else 1]
        columns = ("test_all_run", "test_all_skipped")[: len(masks)]
        results = evaluate.accuracies(network, dataset.test, dataset.preprocessing, masks) if tested else None
    values = [None] * len(columns) if results is None else [f"{result:.2f}" for result in results]
    return dict(zip(columns, values, strict=True))


def _skipnet_results(dataset: Dataset, network: SkipNet) -> tuple[float, float]:
    accuracy, skipped = evaluate.skipnet(network, dataset.test, dataset.preprocessing)
    return accuracy, sum(skipped) / 100


def _step(config: Config, state: run.State, batch: Batch, rate: float, progressed: float) -> float:
    """One step of SGD on a preprocessed batch, after that share of the training; returns the loss."""
    for group in state.optimizer.param_groups:
        group["lr"] = rate * group["rate"]
    with torch.autocast(batch.images.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
        loss = step_loss(config, state, batch, progressed)
    # A dropped block has no gradient at all, so neither momentum nor weight decay moves it.
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    distributed.average_gradients(state.network)
    # With fixed statistics nothing else bounds what one bad batch does.
    nn.utils.clip_grad_norm_(state.network.parameters(), config.schedule.clip_gradient)
    state.optimizer.step()
    state.steps += 1
    if config.schedule.average:
        if state.average is None:
            state.average = average.start(state.network)
        average.update(state.average, state.network, config.schedule.average, state.steps)
    return loss.item()
