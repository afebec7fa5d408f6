"""The command line: one command per job."""

import argparse
import sys
from pathlib import Path

import torch

from skipgate_models import config, data, digits, evaluate, run
from skipgate_models.export import DEFAULT_OPSET, EXPORTERS, ExportError, describe, export
from skipgate_models.train import train

CHECKED_IMAGES = 64


def main() -> None:
    """Run the command of `sys.argv`: exit code 1 if the work failed, 2 for bad usage."""
    arguments = _parser().parse_args()
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
    train(config.load(arguments.config), arguments.run)


def _export(arguments: argparse.Namespace) -> None:
    dataset = data.load(run.load_config(arguments.run).dataset)
    network = run.load_network(arguments.run, len(dataset.class_names))
    images = dataset.preprocessing(dataset.test.images[:CHECKED_IMAGES])
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
    dataset = data.load(run.load_config(arguments.run).dataset)
    network = run.load_network(arguments.run, len(dataset.class_names))
    print(evaluate.report(network, dataset, masks=arguments.masks, seed=arguments.seed))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="skipgate_models", description=__doc__)
    parser.add_argument("--threads", type=int, help="threads of PyTorch (default: one per core)")
    commands = parser.add_subparsers(required=True)

    command = commands.add_parser("digits", help="make the digits files from scikit-learn")
    command.add_argument("--folder", type=Path, default=digits.FOLDER)
    command.set_defaults(command=_digits)

    command = commands.add_parser("train", help="train a network, or go on with an interrupted training")
    command.add_argument("config", type=Path, help="TOML file")
    command.add_argument("run", type=Path, help="run folder: checkpoint and log")
    command.set_defaults(command=_train)

    command = commands.add_parser("export", help="write the network of a run folder as ONNX")
    command.add_argument("run", type=Path)
    command.add_argument("output", type=Path)
    command.add_argument("--exporter", choices=EXPORTERS, default="torchscript")
    command.add_argument("--opset", type=int, default=DEFAULT_OPSET)
    command.set_defaults(command=_export)

    command = commands.add_parser("evaluate", help="print accuracy over the number of skipped blocks")
    command.add_argument("run", type=Path)
    command.add_argument("--masks", type=int, default=20, help="random masks per number of skipped blocks")
    command.add_argument("--seed", type=int, default=0)
    command.set_defaults(command=_evaluate)
    return parser
