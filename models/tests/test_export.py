"""ONNX files that hold what PyTorch computes, or do not appear."""

from pathlib import Path

import pytest
from conftest import resnet

from skipgate_models.data import Dataset
from skipgate_models.export import EXPORTERS, ExportError, describe, export


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("shortcut", ["a", "b"])
def test_exported_model_agrees_and_describes_itself(
    small: Dataset, tmp_path: Path, exporter: str, shortcut: str
) -> None:
    images = small.preprocessing(small.test.images[:2])
    path = tmp_path / "model.onnx"
    difference = export(resnet(8, shortcut=shortcut), images, path, exporter=exporter, metadata=describe(small))
    assert difference < 1e-5
    assert b"skipgate.preprocessing" in path.read_bytes()


def test_a_model_that_differs_is_refused(small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skipgate_models.export.TOLERANCE", -1.0)
    with pytest.raises(ExportError, match="differs from PyTorch"):
        export(resnet(8), small.preprocessing(small.test.images[:1]), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []
