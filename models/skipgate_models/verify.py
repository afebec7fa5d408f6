"""An artifact against PyTorch: the logits of test images, computed by both."""

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from skipgate_models import masks
from skipgate_models.data import Dataset
from skipgate_models.evaluate import BATCH
from skipgate_models.export import relative_differences
from skipgate_models.gated import GatedNetwork
from skipgate_models.skipnet import SkipNet


def verify(
    network: GatedNetwork | SkipNet, dataset: Dataset, artifact: Path, program: Path, images: int, mask: str | None
) -> tuple[float, float]:
    """Largest difference of a logit relative to the largest one of its image, and share of equal classes in percent.

    `program` is the skipgate command line; `mask` is for artifacts with gates. `ValueError` with what it printed if
    it fails.
    """
    inputs = dataset.preprocessing(dataset.test.slice(0, images).images)
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "images.npy", Path(folder) / "logits.npy"
        np.save(given, np.ascontiguousarray(inputs.numpy()))
        words = [program, "run", artifact, "--input", given, "--output", found, *(["--mask", mask] if mask else [])]
        finished = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
        if finished.returncode:
            raise ValueError(f"{program} cannot run {artifact}: {finished.stderr.strip()}")
        logits = np.load(found)
    factors = [] if mask is None else [masks.parse(mask)]
    with torch.inference_mode():
        parts = tqdm(inputs.split(BATCH), unit="batch", disable=None, leave=False)
        expected = torch.cat([network(part, *factors) for part in parts]).numpy()
    same = (logits.argmax(1) == expected.argmax(1)).mean()
    return float(relative_differences(logits, expected).max()), 100 * float(same)
