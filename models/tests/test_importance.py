"""How important the gated blocks are."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from conftest import CPU, SMALL, resnet
from torch import Generator, Tensor, nn
from torch.nn import functional

from skipgate_models import cli, config, data, importance, networks, run, train
from skipgate_models.config import Config, Network, StochasticDepth
from skipgate_models.data import Dataset
from skipgate_models.gated import GatedNetwork

OURS = ["plain", "preactivation"]
LIBRARIES = ["torchvision/resnet18", "timm/resnet18"]
NOTHING = torch.empty(0)


def network_named(name: str) -> GatedNetwork:
    """Make a network in eval mode whose BatchNormalization has something to compute."""
    if name in OURS:
        return resnet(preactivation=name == "preactivation")
    torch.manual_seed(1)
    network = networks.build(dataclasses.replace(SMALL, network=Network(name)), 10)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.0)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return network.eval()


def batch(count: int, kind: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    torch.manual_seed(2)
    return torch.randn(count, 3, 32, 32, dtype=kind), torch.arange(count) % 10


@pytest.mark.parametrize("name", OURS + LIBRARIES)
def test_the_gradient_of_one_of_several_images_is_its_finite_difference(name: str) -> None:
    network = network_named(name)
    blocks = importance.gated_blocks(network)
    network.double()
    images, labels = batch(3, torch.float64)
    gradients = importance.residual_gradients(network, blocks, images, labels)
    assert gradients.shape == (network.gates(), 3)
    step = 1e-6

    def loss(gate: int, change: float) -> Tensor:
        factors = [1 + change if index == gate else 1.0 for index in range(network.gates())]
        return functional.cross_entropy(network(images[1:2], factors), labels[1:2])

    with torch.inference_mode():
        expected = [float(loss(gate, step) - loss(gate, -step)) / (2 * step) for gate in range(network.gates())]
    assert gradients[:, 1].tolist() == pytest.approx(expected, rel=1e-5)


def test_fisher_is_the_mean_square_of_the_gradients_and_leaves_the_network_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = resnet()
    images, labels = batch(5)
    before = network(images)
    gradients = importance.residual_gradients(network, importance.gated_blocks(network), images, labels)
    monkeypatch.setattr(importance, "BATCH", 3)
    assert importance.fisher(network, images, labels) == pytest.approx(gradients.square().mean(1).tolist())
    assert torch.equal(network(images), before)


def test_a_block_whose_residual_is_zero_has_no_fisher_information() -> None:
    network = resnet()
    network.scale_residuals([1, 0, 1])
    first, zero, last = importance.fisher(network, *batch(4))
    assert zero == 0
    assert min(first, last) > 0


def test_estimated_traces_are_those_of_the_exact_hessian() -> None:
    torch.manual_seed(0)
    tiny = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Conv2d(2, 2, 2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3))
    images, labels = torch.randn(6, 1, 5, 5, dtype=torch.float64), torch.arange(6) % 3
    layers = [tiny.double()[0].weight, tiny[2].weight]

    def loss(*weights: Tensor) -> Tensor:
        replaced = dict(zip(("0.weight", "2.weight"), weights, strict=True))
        return functional.cross_entropy(torch.func.functional_call(tiny, replaced, (images,)), labels)

    exact = torch.autograd.functional.hessian(loss, tuple(layers))
    generator, samples = Generator().manual_seed(0), 2000
    value = loss(*layers)
    estimates = torch.stack([importance.hessian_traces(value, [layers], generator)[0] for _ in range(samples)])
    for layer, weights in enumerate(layers):
        own = exact[layer][layer].reshape(weights.numel(), weights.numel())
        # Of random signs: only what is off the diagonal of the whole Hessian makes the estimates differ.
        variance = float(2 * (own - own.diag().diag()).square().sum() + exact[layer][1 - layer].square().sum())
        assert float(estimates[:, layer].mean()) == pytest.approx(
            float(own.trace()), abs=3 * (variance / samples) ** 0.5
        )
        assert float(estimates[:, layer].var()) == pytest.approx(variance, rel=0.2)


@pytest.mark.parametrize("name", OURS + LIBRARIES)
def test_hessian_is_the_average_trace_times_the_squared_norm_of_each_layer(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    network = network_named(name)
    # As if every image had a trace of 2 in the first layer of a block and of 3 in the second.
    monkeypatch.setattr(importance, "BATCH", 4)
    monkeypatch.setattr(
        importance,
        "hessian_traces",
        lambda loss, weights, _generator: [4 * torch.tensor([2.0, 3.0], dtype=torch.float64) for _ in weights],
    )
    found = importance.hessian(network, *batch(8))
    for score, block in zip(found, importance.gated_blocks(network), strict=True):
        first, second = (
            module.weight.detach().double() for module in block.block.modules() if isinstance(module, nn.Conv2d)
        )
        expected = 2 / first.numel() * first.norm() ** 2 + 3 / second.numel() * second.norm() ** 2
        assert score == pytest.approx(float(expected))


def test_what_batch_normalisation_takes_back_does_not_matter_to_the_hessian() -> None:
    network = resnet().double()
    images, labels = batch(4, torch.float64)
    before = importance.hessian(network, images, labels)
    rescale(importance.gated_blocks(network)[1].block)
    assert importance.hessian(network, images, labels) == pytest.approx(before, rel=1e-3)


@pytest.mark.parametrize("name", OURS + LIBRARIES)
def test_the_norm_of_a_scaled_block_scales(name: str) -> None:
    network = network_named(name)
    before = importance.l2_norm(network, NOTHING, NOTHING)
    for module in importance.gated_blocks(network)[1].block.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data.mul_(3)
    after = importance.l2_norm(network, NOTHING, NOTHING)
    assert after[1] == pytest.approx(3 * before[1])
    assert [after[0], *after[2:]] == [before[0], *before[2:]]


@pytest.mark.parametrize("name", ["plain", *LIBRARIES])
def test_what_batch_normalisation_takes_back_does_not_matter_to_the_norm(name: str) -> None:
    network = network_named(name)
    before = importance.l2_norm(network, NOTHING, NOTHING)
    rescale(importance.gated_blocks(network)[1].block)
    assert importance.l2_norm(network, NOTHING, NOTHING) == pytest.approx(before, rel=1e-3)


def rescale(block: nn.Module) -> None:
    """Triple all weights, and what BatchNormalization divides by: the block computes the same."""
    for module in block.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data.mul_(3)
        elif isinstance(module, nn.BatchNorm2d):
            module.running_mean.mul_(3)
            module.running_var.mul_(9)


def trained(folder: Path, recipe: Config, small: Dataset) -> Path:
    """Make a run folder."""
    state = run.start(recipe, 10, CPU)
    state.log.append(train.train_epoch(recipe, small, state))
    run.save(folder, recipe, state)
    return folder


def score(folder: Path, output: Path, *words: object) -> None:
    cli.main([*map(str, ("importance", folder, output, "--device", "cpu", *words))])


@pytest.mark.parametrize("method", importance.METHODS)
def test_the_file_has_one_score_per_gate_in_order_and_repeats(tmp_path: Path, small: Dataset, method: str) -> None:
    folder = trained(tmp_path / "run", SMALL, small)
    for name in ("first.json", "second.json"):
        score(folder, tmp_path / name, "--method", method, "--images", 50, "--seed", 7)
    written = (tmp_path / "first.json").read_text()
    table = json.loads(written)
    scores = [block.pop("score") for block in table["blocks"]]
    assert table == {"method": method, "images": 50, "seed": 7, "blocks": [{"gate": 0}, {"gate": 1}, {"gate": 2}]}
    assert len(set(scores)) == 3
    network = run.load_network(folder, 10)
    order = torch.randperm(1437, generator=Generator().manual_seed(7))[:50]
    whole = data.load(SMALL, None)
    images = whole.preprocessing(whole.train.images[order])
    assert scores == pytest.approx(importance.METHODS[method](network, images, whole.train.labels[order]))
    assert written == (tmp_path / "second.json").read_text()


@pytest.mark.parametrize("method", importance.METHODS)
@pytest.mark.parametrize("name", [*LIBRARIES, "torchvision/convnext_tiny"])
def test_networks_of_the_libraries_are_scored(name: str, method: str) -> None:
    network = network_named(name)
    scores = importance.METHODS[method](network, *batch(2))
    assert len(scores) == network.gates()
    assert all(scores)


def test_skipnet_is_refused(tmp_path: Path, small: Dataset) -> None:
    recipe = dataclasses.replace(SMALL, skipnet=config.SkipNet("ffgate1"), stochastic_depth=StochasticDepth())
    folder = trained(tmp_path / "run", recipe, small)
    with pytest.raises(SystemExit, match="SkipNet decides for every image by itself"):
        score(folder, tmp_path / "scores.json", "--method", "fisher")
    assert not (tmp_path / "scores.json").exists()


@pytest.mark.parametrize("method", ["fisher", "hessian"])
def test_no_images_are_refused(method: str) -> None:
    with pytest.raises(ValueError, match="expected at least one image"):
        importance.METHODS[method](resnet(), *batch(0))


def test_scores_that_are_no_numbers_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        importance.write(tmp_path / "scores.json", "fisher", 1, 0, [float("nan")])
    assert not list(tmp_path.iterdir())
