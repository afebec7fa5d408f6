"""Export networks with random weights, for the tests: `export_zoo.py OUT_DIR --model NAME... --exporter ...`.

Writes `OUT_DIR/NAME.EXPORTER.onnx` for every model and exporter asked for: input `image`, output `logits`. The
TorchScript files keep their BatchNormalization nodes, the dynamo exporter folds those that follow a Conv. Each file
is compared with PyTorch in ONNX Runtime and refused if it differs.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

sys.path.insert(0, str(Path(__file__).parents[2] / "models"))

from skipgate_models.export import DEFAULT_OPSET, EXPORTERS, export
from skipgate_models.resnet import ResNet, Shortcut

TORCHVISION = (
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnext50_32x4d",
    "wide_resnet50_2",
    "mobilenet_v2",
)
CIFAR_DEPTHS = (20, 32, 44, 56, 110)
IMAGES = 2
# As in trained networks, residuals are smaller than what they are added to. Random ones of equal size are so badly
# conditioned that rounding alone changes the logits of ResNet-101 by 1e-4.
RESIDUAL_SCALE = 0.3

Maker = Callable[[], nn.Module]


def _makers() -> dict[str, Maker]:
    """Every model by name: torchvision's, then `cifar-resnet<depth>-<shortcut option>[-preact]`."""
    makers: dict[str, Maker] = {name: getattr(torchvision.models, name) for name in TORCHVISION}
    for depth in CIFAR_DEPTHS:
        for shortcut in ("a", "b"):
            for preactivation in (False, True):
                name = f"cifar-resnet{depth}-{shortcut}" + ("-preact" if preactivation else "")
                makers[name] = _cifar(depth, shortcut, preactivation)
    return makers


def _cifar(depth: int, shortcut: Shortcut, preactivation: bool) -> Maker:
    return lambda: ResNet(depth, 10, shortcut=shortcut, preactivation=preactivation)


def randomise(network: nn.Module, images: Tensor) -> nn.Module:
    """Give every BatchNormalization scales, shifts and statistics of its own.

    The statistics are those of `images`, disturbed: folding then changes every weight, while activations keep the
    size they have in a trained network.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.2)
        norm.momentum = 1.0
    for norm in _last_norms(network):
        norm.weight.data *= RESIDUAL_SCALE
    network.train()
    with torch.no_grad():
        network(images)
        for norm in norms:
            norm.running_mean += 0.1 * norm.running_var.sqrt() * torch.randn_like(norm.running_mean)
            norm.running_var *= torch.empty_like(norm.running_var).uniform_(0.7, 1.4)
    return network.eval()


def _last_norms(network: nn.Module) -> Iterator[nn.BatchNorm2d]:
    """Find what scales the residuals of torchvision's ResNets."""
    for module in network.modules():
        if isinstance(module, BasicBlock):
            yield module.bn2
        elif isinstance(module, Bottleneck):
            yield module.bn3


MAKERS = _makers()


def main() -> None:
    """Export what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="OUT_DIR")
    parser.add_argument("--model", choices=MAKERS, nargs="+", required=True, metavar="NAME", help=", ".join(MAKERS))
    parser.add_argument("--exporter", choices=EXPORTERS, nargs="+", required=True)
    parser.add_argument("--opset", type=int, default=DEFAULT_OPSET)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for name in arguments.model:
        torch.manual_seed(arguments.seed)
        size = 32 if name.startswith("cifar") else 224
        images = torch.randn(IMAGES, 3, size, size)
        network = randomise(MAKERS[name](), images)
        for exporter in arguments.exporter:
            path = arguments.folder / f"{name}.{exporter}.onnx"
            difference = export(network, images, path, exporter=exporter, opset=arguments.opset)
            print(f"{path}: within {difference:.1e} of PyTorch")


if __name__ == "__main__":
    main()
