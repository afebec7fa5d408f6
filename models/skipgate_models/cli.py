"""The command line: one command per job."""

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias, get_args

import torch

from skipgate_models import (
    adapt,
    bank,
    config,
    data,
    depths,
    digits,
    distributed,
    evaluate,
    importance,
    masks,
    quantize,
    run,
    teacher,
)
from skipgate_models.data import Dataset
from skipgate_models.export import DEFAULT_OPSET, EXPORTERS, ExportError, describe, export
from skipgate_models.gated import GatedNetwork
from skipgate_models.plot import plot_depths, plot_log
from skipgate_models.skipnet import SkipNet
from skipgate_models.train import train
from skipgate_models.verify import verify

# What commands are added to.
_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def main(words: Sequence[str] | None = None) -> None:
    """Run the command in `words`, or of `sys.argv`: exit code 1 if the work failed, 2 for bad usage."""
    arguments = _parser().parse_args(words)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    # Weights decay into denormals, which are slow and say nothing.
    torch.set_flush_denormal(True)
    try:
        arguments.command(arguments)
    except (OSError, ValueError, ExportError) as error:
        sys.exit(f"error: {error}")


def _digits(arguments: argparse.Namespace) -> None:
    digits.write(arguments.folder)


def _train(arguments: argparse.Namespace) -> None:
    _train_recipe(config.load(arguments.config), arguments)


def _tune(arguments: argparse.Namespace) -> None:
    settings = config.load(arguments.config)
    if settings.tuning is None:
        raise ValueError(f"{arguments.config}: the recipe has no [tuning], which would say how")
    front = json.loads(arguments.front.read_text())["configurations"]
    tuning = dataclasses.replace(settings.tuning, masks=tuple(configuration["mask"] for configuration in front))
    _train_recipe(dataclasses.replace(settings, tuning=tuning), arguments)


def _train_recipe(settings: config.Config, arguments: argparse.Namespace) -> None:
    device = distributed.start(arguments.device)
    settings = config.with_paths(settings, initial=arguments.initial, bank=arguments.bank)
    train(settings, data.load(settings, arguments.data), arguments.run, device)
    distributed.stop()


def _adapt(arguments: argparse.Namespace) -> None:
    options = {field.name: getattr(arguments, field.name) for field in dataclasses.fields(adapt.Adaptation)}
    settings = adapt.recipe(adapt.Adaptation(**options))
    print(adapt.adapt(settings, data.load(settings, arguments.data), arguments.run, arguments.device))


def _teacher(arguments: argparse.Namespace) -> None:
    settings = config.load(arguments.config)
    dataset = data.load(settings, arguments.data)
    numbers = [arguments.only] if arguments.only else range(1, arguments.networks + 1)
    teacher.train_teacher(settings, dataset, arguments.run, numbers, arguments.device)
    if arguments.only:
        return
    networks = teacher.load(arguments.run, len(dataset.class_names))
    print(
        f"{arguments.run}: {teacher.accuracy(networks, dataset):.2f} % of the test images by {len(networks)} networks"
    )


def _bank(arguments: argparse.Namespace) -> None:
    settings = run.load_config(teacher.runs(arguments.teacher)[0])
    dataset = data.load(settings, arguments.data)
    teachers = [network.to(arguments.device) for network in teacher.load(arguments.teacher, len(dataset.class_names))]
    plan = bank.Plan.of(dataset.train, arguments.views, arguments.seed, settings.augmentation)
    bank.write(arguments.folder, plan, teachers, dataset, settings.precision)


def _export(arguments: argparse.Namespace) -> None:
    dataset, network = _trained(arguments)
    images = dataset.preprocessing(dataset.test.slice(0, arguments.images).images)
    difference = export(
        network,
        images,
        arguments.output,
        exporter=arguments.exporter,
        opset=arguments.opset,
        metadata=describe(dataset),
    )
    print(f"{arguments.output}: within {difference:.1e} of PyTorch on {len(images)} test images")


def _evaluate(arguments: argparse.Namespace) -> None:
    dataset, network = _trained(arguments)
    network = network.to(arguments.device)
    if isinstance(network, SkipNet):
        print(_skipnet_table(*evaluate.skipnet(network, dataset.test, dataset.preprocessing)))
        return
    plan = depths.Plan(
        depths=arguments.depths or tuple(masks.depths(network.gates())),
        masks=arguments.masks,
        images=arguments.images,
        seed=arguments.seed,
        statistics=arguments.statistics,
    )
    print(depths.table(depths.measure(network, dataset, plan, arguments.output or arguments.run / depths.RESULTS)))


def _skipnet_table(accuracy: float, skipped: list[float]) -> str:
    """Markdown: accuracy, blocks skipped on average, and the share of images that skip each block."""
    shares = " ".join(f"{share:.0f}" for share in skipped)
    return (
        "| accuracy (%) | blocks skipped on average | images that skip each gate's block (%) |\n|---|---|---|\n"
        f"| {accuracy:.2f} | {sum(skipped) / 100:.2f} of {len(skipped)} | {shares} |"
    )


def _importance(arguments: argparse.Namespace) -> None:
    dataset, network = _trained(arguments)
    if isinstance(network, SkipNet):
        raise ValueError(f"{arguments.run}: SkipNet decides for every image by itself, so its blocks have no ranking")
    index = _training_images(dataset, arguments.images, arguments.seed)
    images = dataset.preprocessing(dataset.train.images[index].to(arguments.device))
    labels = dataset.train.labels[index].to(arguments.device)
    scores = importance.METHODS[arguments.method](network.to(arguments.device), images, labels)
    importance.write(arguments.output, arguments.method, len(index), arguments.seed, scores)
    print(f"{arguments.output}: {arguments.method} of {len(scores)} blocks on {len(index)} images")


def _training_images(dataset: Dataset, count: int, seed: int) -> torch.Tensor:
    """Return the positions of random training images."""
    return torch.randperm(len(dataset.train), generator=torch.Generator().manual_seed(seed))[:count]


def _verify(arguments: argparse.Namespace) -> None:
    dataset, network = _trained(arguments)
    difference, same = verify(network, dataset, arguments.artifact, arguments.program, arguments.images, arguments.mask)
    images = min(arguments.images, len(dataset.test))
    print(
        f"{arguments.artifact}: within {difference:.1e} of PyTorch, {same:.1f} % of {images} images in the same class"
    )


def _quantize(arguments: argparse.Namespace) -> None:
    dataset = data.load(config.load(arguments.config), arguments.data)
    index = _training_images(dataset, arguments.calibrate, arguments.seed)
    images = dataset.preprocessing(dataset.train.images[index]).numpy()
    quantize.quantize(arguments.model, images, arguments.output)
    before, after = (
        quantize.accuracy(model, dataset, arguments.images) for model in (arguments.model, arguments.output)
    )
    count = min(arguments.images, len(dataset.test))
    print(f"{arguments.output}: {after:.2f} % of {count} test images, {arguments.model.name}: {before:.2f} %")


def _plot(arguments: argparse.Namespace) -> None:
    {"log": plot_log, "masks": plot_depths}[arguments.kind](arguments.inputs, arguments.output)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(count) for count in text.split(","))


def _trained(arguments: argparse.Namespace) -> tuple[Dataset, GatedNetwork | SkipNet]:
    """Return the data set and the network of a run folder."""
    dataset = data.load(run.load_config(arguments.run), arguments.data)
    return dataset, run.load_network(arguments.run, len(dataset.class_names))


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="skipgate_models", description=__doc__)
    parser.add_argument("--threads", type=int, help="threads of PyTorch (default: one per core)")
    commands = parser.add_subparsers(required=True)

    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--data", type=Path, help="folder of the data set (not for the digits)")
    shared.add_argument(
        "--device", type=_device, default="auto", help="cpu, cuda, ... (default: a GPU if there is one)"
    )

    command = commands.add_parser("digits", help="make the digits files from scikit-learn")
    command.add_argument("--folder", type=Path, default=digits.FOLDER)
    command.set_defaults(command=_digits)

    _add_training(commands, shared)
    _add_distillation(commands, shared)
    _add_adaptation(commands, shared)
    _add_export(commands, shared)
    _add_measurements(commands, shared)
    _add_quantize(commands, shared)

    command = commands.add_parser("plot", help="plot the logs of run folders or the results files of `evaluate`")
    command.add_argument("kind", choices=("log", "masks"))
    command.add_argument("output", type=Path, help="the .svg or .png to write")
    command.add_argument("inputs", type=Path, nargs="+", help="run folders (log) or results files (masks)")
    command.set_defaults(command=_plot)
    return parser


def _add_training(commands: _Commands, shared: argparse.ArgumentParser) -> None:
    recipe = argparse.ArgumentParser(add_help=False, parents=[shared])
    recipe.add_argument("config", type=Path, help="TOML file")
    recipe.add_argument("run", type=Path, help="run folder: checkpoint and log")
    recipe.add_argument("--initial", type=Path, help="weights to start from, instead of the recipe's")
    recipe.add_argument("--bank", type=Path, help="bank to learn from, instead of the recipe's")

    command = commands.add_parser(
        "train", parents=[recipe], help="train a network, or go on with an interrupted training"
    )
    command.set_defaults(command=_train)

    command = commands.add_parser(
        "tune", parents=[recipe], help="train a network on the masks of a front, or go on with an interrupted training"
    )
    command.add_argument("--front", type=Path, required=True, help="the pareto.json that `skipgate pareto` wrote")
    command.set_defaults(command=_tune)


def _add_distillation(commands: _Commands, shared: argparse.ArgumentParser) -> None:
    command = commands.add_parser(
        "teacher",
        parents=[shared],
        help="train networks for others to learn from, or go on with an interrupted training",
        description=teacher.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("config", type=Path, help="TOML file")
    command.add_argument("run", type=Path, help="folder with one run folder per network")
    command.add_argument("--networks", type=int, default=3, help="networks that differ by their seed")
    command.add_argument("--only", type=int, help="number of the one to train, from 1: for several processes at once")
    command.set_defaults(command=_teacher)

    command = commands.add_parser(
        "bank",
        parents=[shared],
        help="write a teacher's logits of fixed views of the training images, or complete them",
        description=bank.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("teacher", type=Path, help="folder that `teacher` or `train` wrote")
    command.add_argument("folder", type=Path, help="folder of the bank")
    command.add_argument("--views", type=int, default=16, help="views of each image, half of them mirrored")
    command.add_argument("--seed", type=int, default=0)
    command.set_defaults(command=_bank)


def _add_adaptation(commands: _Commands, shared: argparse.ArgumentParser) -> None:
    default = adapt.Adaptation("", "folder")
    command = commands.add_parser(
        "adapt",
        parents=[shared],
        help="make a pretrained network skippable, or go on with an interrupted training",
        description=adapt.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("network", help="torchvision/NAME, timm/NAME, cifar/resnetN or python/MODULE:FUNCTION")
    command.add_argument("run", type=Path, help=f"run folder: checkpoint, log and {adapt.MODEL}")
    command.add_argument("--dataset", choices=get_args(config.DatasetName), default=default.dataset)
    command.add_argument("--source", default="", help="MODULE:FUNCTION that gives the data set `python`")
    command.add_argument("--weights", default="", help="state dict or ONNX file (default: the library's own weights)")
    command.add_argument("--image-size", type=int, default=default.image_size, help="side of the images in pixels")
    command.add_argument("--epochs", type=int, default=default.epochs)
    command.add_argument("--batch-size", type=int, default=default.batch_size)
    command.add_argument("--learning-rate", type=float, default=default.learning_rate)
    command.add_argument("--keep", type=float, default=default.keep, help="lowest probability that a block is kept")
    command.add_argument("--precision", choices=get_args(config.Precision), default=default.precision)
    command.add_argument("--shift", type=int, default=default.shift, help="pixels that images are shifted by at most")
    command.add_argument("--no-flip", dest="flip", action="store_false", help="never mirror an image")
    command.add_argument("--seed", type=int, default=default.seed)
    command.set_defaults(command=_adapt)


def _add_export(commands: _Commands, shared: argparse.ArgumentParser) -> None:
    command = commands.add_parser("export", parents=[shared], help="write the network of a run folder as ONNX")
    command.add_argument("run", type=Path)
    command.add_argument("output", type=Path)
    command.add_argument("--exporter", choices=EXPORTERS, default="torchscript")
    command.add_argument("--opset", type=int, default=DEFAULT_OPSET)
    command.add_argument("--images", type=int, default=64, help="test images to compare with PyTorch on")
    command.set_defaults(command=_export)


def _add_measurements(commands: _Commands, shared: argparse.ArgumentParser) -> None:
    command = commands.add_parser(
        "evaluate",
        parents=[shared],
        help="measure accuracy over the number of skipped blocks, or SkipNet's",
        description=depths.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("run", type=Path)
    command.add_argument(
        "--output", type=Path, help=f"results file, which is completed (default: RUN/{depths.RESULTS})"
    )
    command.add_argument("--masks", type=int, default=20, help="random masks per number of skipped blocks")
    command.add_argument("--depths", type=_numbers, help="numbers of skipped blocks, such as 0,20,36")
    command.add_argument("--images", type=int, default=1000, help="test images that random masks are measured on")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument(
        "--statistics",
        choices=depths.STATISTICS,
        default="trained",
        help="BatchNormalization's: as trained, computed again over all depths, or for each mask by itself",
    )
    command.set_defaults(command=_evaluate)

    command = commands.add_parser(
        "importance",
        parents=[shared],
        help="score how much each block matters, for `skipgate rank --scores`",
        description=importance.__doc__,
    )
    command.add_argument("run", type=Path)
    command.add_argument("output", type=Path, help="the .json to write")
    command.add_argument("--method", choices=importance.METHODS, required=True)
    command.add_argument("--images", type=int, default=1024, help="training images (not for l2-norm)")
    command.add_argument("--seed", type=int, default=0)
    command.set_defaults(command=_importance)

    command = commands.add_parser(
        "verify", parents=[shared], help="compare the logits of an artifact with PyTorch's on test images"
    )
    command.add_argument("run", type=Path)
    command.add_argument("artifact", type=Path, help="what `skipgate compile` made of the exported network")
    command.add_argument("--program", type=Path, default=Path("skipgate"), help="the skipgate command line")
    command.add_argument("--images", type=int, default=1000)
    command.add_argument("--mask", help="blocks to run, one digit per gate (default: all)")
    command.set_defaults(command=_verify)


def _add_quantize(commands: _Commands, shared: argparse.ArgumentParser) -> None:
    command = commands.add_parser(
        "quantize",
        parents=[shared],
        help="quantise an exported network to 8 bits",
        description=quantize.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("config", type=Path, help="TOML file of the network's training, which names the data set")
    command.add_argument("model", type=Path, help="the .onnx that `export` wrote")
    command.add_argument("output", type=Path, help="the .onnx to write")
    command.add_argument("--calibrate", type=int, default=512, help="training images to take ranges from")
    command.add_argument("--images", type=int, default=1000, help="test images to compare accuracies on")
    command.add_argument("--seed", type=int, default=0)
    command.set_defaults(command=_quantize)
