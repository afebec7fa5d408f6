"""Networks of libraries and of users, with Stochastic Depth and with masks.

Needs nothing but PyTorch and the libraries, so that old and new ones can be tried: see "Versions" in ADAPT.md.
"""

import subprocess
import sys
from pathlib import Path

import own
import pytest
import torch
import torchvision
from torch import nn

from skipgate_models import library
from skipgate_models.config import StochasticDepth

# As many gates as skipgate finds in the exported networks.
LIBRARY_GATES = [
    ("torchvision/resnet18", 4),
    ("torchvision/resnet50", 12),
    ("torchvision/mobilenet_v2", 10),
    ("torchvision/convnext_tiny", 14),
    ("timm/resnet18", 4),
    ("timm/efficientnet_b0", 9),
]


@pytest.mark.parametrize(("name", "gates"), LIBRARY_GATES)
def test_blocks_of_the_libraries_are_skipped_and_scaled(name: str, gates: int) -> None:
    source, _, name = name.partition("/")
    network = library.build(source, name, 10, pretrained=False)
    assert network.gates() == gates
    learn_something(network)
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        whole = network(images)
        skipped = network(images, [0] * gates)
        nearly_skipped = network(images, [1e-6] * gates)
        assert torch.equal(network(images), whole)
    assert not torch.allclose(skipped, whole, rtol=1e-3)
    assert torch.allclose(skipped, nearly_skipped, rtol=1e-3, atol=1e-5 * float(skipped.abs().max()))


def learn_something(network: nn.Module) -> None:
    """Give residuals a say: the libraries start many of them at or near zero."""
    torch.manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.0)
        for name in ("layer_scale", "gamma"):
            if isinstance(getattr(module, name, None), nn.Parameter):
                nn.init.ones_(getattr(module, name))
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(4, 3, 64, 64))
    network.eval()


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "convnext_tiny"])
def test_stochastic_depth_drops_the_residuals_of_a_users_own_model(name: str) -> None:
    model = torchvision.models.get_model(name, num_classes=10)
    names = set(model.state_dict())
    probabilities = library.add_stochastic_depth(model, StochasticDepth(0.5, rule="linear"))
    assert set(model.state_dict()) == names
    layers = [module for module in model.modules() if isinstance(module, library.DropResidual)]
    assert [layer.keep for layer in layers if layer.keep < 1] == pytest.approx(probabilities)
    images = torch.randn(2, 3, 64, 64)
    learn_something(model)
    with torch.inference_mode():
        assert torch.equal(model(images), model(images))
        for module in model.modules():
            if isinstance(module, library.DropResidual):
                module.train()
        assert len({model(images).sum().item() for _ in range(8)}) > 1


def test_timm_blocks_drop_where_their_drop_path_was() -> None:
    model = library.build("timm", "resnet18", 10, pretrained=False).network
    library.add_stochastic_depth(model, StochasticDepth(0.2, rule="linear"))
    assert model.layer4[1].drop_path.keep == pytest.approx(0.2)


def test_blocks_of_a_users_own_are_found() -> None:
    blocks = library.find_blocks(own.network())
    assert [type(block.module) for block in blocks] == [own.Unit] * 6
    assert [block.identity for block in blocks] == [False, True, True] * 2
    assert all(block.end is block.module.body["last"] for block in blocks)
    assert library.segments(blocks) == [[False, True, True]] * 2


def test_a_network_without_blocks_is_refused() -> None:
    with pytest.raises(ValueError, match="found no residual block in Sequential"):
        library.find_blocks(nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU()))


def test_blocks_of_a_users_own_are_dropped_and_masked() -> None:
    network = own.network()
    names = set(network.state_dict())
    library.add_stochastic_depth(network, StochasticDepth(0.5))
    assert library.add_stochastic_depth(network, StochasticDepth(0.25)) == [0.25] * 4
    assert set(network.state_dict()) == names
    drops = [module for module in network.modules() if isinstance(module, library.DropResidual)]
    assert [drop.keep for drop in drops] == [1.0, 0.25, 0.25] * 2


def test_a_block_of_a_users_own_is_skipped_by_a_mask() -> None:
    masked = library.Masked(own.network()).eval()
    features = torch.rand(2, 8, 16, 16)
    with torch.inference_mode():
        masked(torch.rand(2, 3, 32, 32), [0, 1, 1, 1])
        assert torch.equal(masked.network[0][1](features), features)
        assert not torch.equal(masked.network[0][2](features), features)


@pytest.mark.parametrize(
    ("name", "message"),
    [("network", "expected MODULE:FUNCTION"), ("own:nothing", "own:nothing"), ("nowhere:make", "nowhere:make")],
)
def test_what_cannot_be_imported_is_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        library.build("python", name, 10, pretrained=True)


def test_only_pytorch_is_needed_for_a_model_of_ones_own() -> None:
    assert {"timm", "torchvision"}.isdisjoint(_imported_by("skipgate_models.library"))


def _imported_by(module: str) -> set[str]:
    """Names of the packages that are in memory once `module` is imported."""
    code = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    # Where it stands: the package need not be installed.
    place = Path(library.__file__).parents[1]
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, check=True, text=True, cwd=place)
    return set(done.stdout.split())
