"""The wheels in environments of their own: for this machine, and for 32-bit boards under emulation.

`cargo xtask test` builds them and sets the variables that name them.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models" / "digits" / "resnet20.onnx"
SCRIPT = Path(__file__).with_name("use_wheel.py")
MASKS = ("111111", "110110", "000000")
# Largest relative difference between machines: sums of products are taken in another order.
TOLERANCE = 1e-4
# Nothing of this checkout: a new user has neither its variables nor its tools.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": os.environ.get("HOME", "/")}


def call(*command: object, **variables: str) -> str:
    """Run a command as a new user would."""
    environment = ENVIRONMENT | variables
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "image.npy"
    np.save(path, np.random.default_rng(0).standard_normal((1, 3, 32, 32), np.float32))
    return path


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an environment with the wheel for this machine, and the compiler and numpy from PyPI."""
    folder = tmp_path_factory.mktemp("environment")
    call(sys.executable, "-m", "venv", folder)
    call(folder / "bin/python", "-m", "pip", "install", "--quiet", os.environ["SKIPGATE_WHEEL"])
    return folder


def compiled(environment: Path, target: str, folder: Path) -> Path:
    """Compile the digits network for `target` by the installed program."""
    call(environment / "bin/skipgate", "compile", MODEL, "--target", target, "--output", folder)
    return folder


@pytest.fixture(scope="module")
def host_logits(environment: Path, image: Path, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """Compute a row for every mask with the installed program, here."""
    folder = tmp_path_factory.mktemp("host")
    artifact = compiled(environment, "host", folder / "artifact")
    rows = [run([environment / "bin/skipgate"], artifact, image, mask, folder / "y.npy") for mask in MASKS]
    python = folder / "python.npy"
    call(environment / "bin/python", SCRIPT, artifact, image, python, *MASKS)
    assert np.array_equal(np.load(python), np.concatenate(rows))
    return np.concatenate(rows)


def run(program: list[object], artifact: Path, image: Path, mask: str, output: Path) -> np.ndarray:
    """Logits that a program computes under `mask`."""
    call(*program, "run", artifact, "--input", image, "--output", output, "--mask", mask)
    return np.load(output)


def test_program_and_python_of_the_wheel_give_the_same_logits(host_logits: np.ndarray) -> None:
    assert host_logits.shape == (len(MASKS), 10)


def test_the_wheel_for_boards_agrees_with_the_one_for_this_machine(
    environment: Path, image: Path, host_logits: np.ndarray, tmp_path: Path
) -> None:
    artifact = compiled(environment, "odroid-xu4", tmp_path / "artifact")
    python, packages = os.environ["SKIPGATE_BOARD_PYTHON"], tmp_path / "packages"
    # Debian's pip for the board looks whether the wheel fits it.
    install = ("-m", "pip", "install", "--quiet", "--no-index", "--no-compile", "--target", packages)
    call(python, *install, os.environ["SKIPGATE_BOARD_WHEEL"])
    output = tmp_path / "logits.npy"
    call(python, SCRIPT, artifact, image, output, *MASKS, PYTHONPATH=str(packages))
    found = np.load(output)
    assert np.abs(found - host_logits).max() <= TOLERANCE * np.abs(host_logits).max()
    # The program beside it, which is static.
    program = [shutil.which("qemu-arm"), "-cpu", "cortex-a15", packages / "bin/skipgate"]
    assert np.array_equal(run(program, artifact, image, MASKS[1], tmp_path / "y.npy"), found[1:2])
