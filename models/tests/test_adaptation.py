"""Pretrained networks that become skippable, a user's own above all."""

from pathlib import Path

import onnx
import pytest

from skipgate_models import cli, run


def test_a_users_network_is_adapted_on_his_data_and_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    words = ["adapt", "python/own:network", str(folder), "--dataset", "python", "--source", "own:dataset"]
    words += ["--image-size", "32", "--epochs", "2", "--batch-size", "16", "--no-flip"]
    cli.main(words)
    table = capsys.readouterr().out.splitlines()[-4:]
    assert table[0] == "| network | all blocks | every second skipped | all skipped |"
    assert [row.split(" | ")[0] for row in table[2:]] == ["| before", "| after"]
    assert len(run.read_log(folder)) == 2
    initializers = {item.name for item in onnx.load(folder / "network.onnx").graph.initializer}
    assert any("body.last" in name for name in initializers)
