"""The networks of docs/deployed.md: `deployed.py OUT_DIR` writes each one that is not there yet.

They are as people deploy them, 1,000 classes and images of 224x224, but for the weights, which are random.
"""

import argparse
from pathlib import Path

from networks import Network, Row, export

SIZE = 224
CLASSES = 1000
EXPORTER = ("torchscript", 17)

NAMES = {
    "resnet18": "tv_resnet18",
    "resnet50": "tv_resnet50",
    "resnext50": "tv_resnext50_32x4d",
    "mobilenet_v2": "tv_mobilenet_v2",
    "mobilenet_v3_small": "tv_mobilenet_v3_small",
    "efficientnet_b0": "efficientnet_b0",
    "efficientnet_lite0": "efficientnet_lite0",
    "regnet_y_400mf": "tv_regnet_y_400mf",
    "convnext_atto": "convnext_atto",
    "vit_tiny": "vit_tiny_patch16_224",
}
"""By the name of the file; as its library calls it, with `tv_` in front for torchvision's."""


def main() -> None:
    """Write what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="OUT_DIR")
    folder = parser.parse_args().folder
    for name in NAMES:
        path = folder / f"{name}.onnx"
        if not path.exists():
            export(Row(described(name), *EXPORTER), path)


def described(name: str) -> Network:
    """Return what makes the network called `name`."""
    return Network(name, NAMES[name], SIZE, classes=CLASSES)


if __name__ == "__main__":
    main()
