"""The networks of docs/deployed.md for LiteRT: `deployed_litert.py DIR` writes NAME.tflite beside each NAME.onnx there.

The weights are the same, as `peers.py prepare-plain` checks. litert-torch, which converts, is not among the packages of
the tests: litert.txt has it, for an environment of its own on top of theirs.
"""

import argparse
import sys
from pathlib import Path

import litert_torch

from deployed import NAMES, described
from networks import made


def main() -> None:
    """Write what is missing, and say on standard error what cannot be converted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR")
    folder = parser.parse_args().folder
    for name in NAMES:
        path = folder / f"{name}.tflite"
        if path.exists() or not path.with_suffix(".onnx").exists():
            continue
        try:
            convert(name, path)
        except Exception as error:
            # The converter raises whatever it likes.
            print(f"{name} is not converted for LiteRT: {type(error).__name__}: {error}", file=sys.stderr)


def convert(name: str, path: Path) -> None:
    """Convert one network."""
    network, images = made(described(name))
    temporary = path.with_suffix(".tflite.partial")
    litert_torch.convert(network.eval(), (images[:1],)).export(str(temporary))
    temporary.rename(path)


if __name__ == "__main__":
    main()
