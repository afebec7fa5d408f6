"""Recipe files."""

import math
from pathlib import Path

import pytest

from skipgate_models import config, schedule
from skipgate_models.config import Schedule

RECIPES = sorted(Path(__file__).parents[1].glob("*/**/*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_committed_recipes_load(path: Path) -> None:
    name = config.load(path).network.name
    if path.stem == "teacher":
        assert name.startswith("wide/")
        return
    depth = name.removeprefix("cifar/resnet")
    assert depth in ("20", "110")
    assert depth in path.stem or path.parent.name == "study"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("novelty = 1", "unknown keys"),
        ('dataset = "cats"', "expected one of"),
        ('seed = "1"', "expected int"),
        ("[schedule]\nsteps = [[5, 0.1], [3, 0.2]]", "expected .* with rising epochs"),
        ("[schedule]\nimage_sizes = [16]", "expected .* with rising epochs"),
        ('[skipnet]\ngate = "recurrent"', "expected one of"),
        ("", "missing"),
    ],
)
def test_a_wrong_recipe_names_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"bad.toml.*{message}"):
        config.load(path)


def test_initial_weights_are_found_beside_the_recipe(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    recipe = Path(__file__).parents[1] / "digits/resnet20.toml"
    path.write_text(recipe.read_text().replace("[network]", '[network]\ninitial = "other.onnx"'))
    assert config.load(path).network.initial == str(tmp_path.resolve() / "other.onnx")


def test_the_learning_rate_warms_up_and_falls_to_zero() -> None:
    plan = Schedule(epochs=10, batch_size=1, learning_rate=0.4, warmup_epochs=2)
    assert schedule.learning_rate(plan, 1) == pytest.approx(0.2)
    assert schedule.learning_rate(plan, 2) == pytest.approx(0.4)
    assert schedule.learning_rate(plan, 6) == pytest.approx(0.2)
    assert schedule.learning_rate(plan, 10) == pytest.approx(0)


def test_the_learning_rate_falls_along_a_line() -> None:
    plan = Schedule(epochs=10, batch_size=1, learning_rate=0.4, warmup_epochs=2, decay="linear")
    assert [schedule.learning_rate(plan, epoch) for epoch in (1, 2, 4, 10)] == pytest.approx([0.2, 0.4, 0.3, 0])


def test_the_papers_schedule_steps_at_epochs_250_and_425() -> None:
    plan = config.load(Path(__file__).parents[1] / "cifar10/paper/resnet110.toml").schedule
    rates = [schedule.learning_rate(plan, epoch) for epoch in (1, 249.5, 250, 250.01, 425, 425.01, 500)]
    assert rates == pytest.approx([0.1, 0.1, 0.1, 0.01, 0.01, 1e-4, 1e-4])
    assert plan.epochs == 500
    assert math.isinf(plan.clip_gradient)


def test_image_sizes_hold_from_their_epoch_on() -> None:
    plan = Schedule(epochs=9, batch_size=1, learning_rate=1, image_sizes=((2, 16), (5, 32)))
    assert [schedule.image_size(plan, epoch) for epoch in (0, 2, 4, 5, 8)] == [None, 16, 16, 32, 32]
