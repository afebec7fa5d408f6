"""Runs the digits network through the installed Python interface: `use_wheel.py ARTIFACT IMAGE.npy LOGITS.npy MASK...`.

Runs where the wheel is installed, with numpy and nothing else; also under emulation.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import skipgate


def main(artifact: str, image: str, logits: str, *masks: str) -> None:
    """Write the logits of `image` under every mask, once all that must be refused is."""
    with skipgate.Artifact(Path(artifact)) as opened:
        session = skipgate.Session(opened)
    # The artifact is closed; the session is not.
    pixels = np.load(image)
    check_description(opened)
    check_refusals(session, pixels, opened)
    check_forms_of_arguments(session, pixels)
    np.save(logits, np.concatenate([session.run(pixels, mask) for mask in masks]))
    session.close()
    refuse(lambda: session.run(pixels, masks[0]), "closed")
    check_front(Path(artifact))


def check_front(folder: Path) -> None:
    """Check that the configurations of a front are those of the file."""
    measured = '{"mask": "110110", "accuracy": 0.5, "accuracy_interval": [0.25, 0.75], "latency": 12.5}'
    front = folder / "pareto.json"
    front.write_text(f'{{"configurations": [{measured}, {{"mask": "000000"}}]}}')
    with skipgate.Artifact(folder) as opened:
        first, second = opened.configurations
    front.unlink()
    assert first.mask.tolist() == [True, True, False, True, True, False], first
    assert first[1:] == (0.5, (0.25, 0.75), 12.5, None), first
    assert not second.mask.any(), second
    assert second[1:] == (None, None, None, None), second


def check_description(artifact: skipgate.Artifact) -> None:
    """Check that the artifact says what it is."""
    (image,), (logits,) = artifact.inputs, artifact.outputs
    assert (image.name, image.shape, image.dtype) == ("image", (1, 3, 32, 32), np.float32), image
    assert logits.shape == (1, 10), logits
    assert len(artifact.gates) == 6, artifact.gates
    assert all(gate.macs > 0 and gate.block for gate in artifact.gates), artifact.gates
    assert artifact.class_names == tuple("0123456789"), artifact.class_names
    assert artifact.configurations == (), artifact.configurations


def check_forms_of_arguments(session: skipgate.Session, pixels: np.ndarray) -> None:
    """Check that masks and images mean the same in every form."""
    expected = session.run(pixels, "110110")
    bits = [True, True, False, True, True, False]
    for mask in (bits, np.array(bits), [1, 1, 0, 1, 1, 0], np.array([1, 1, 0, 1, 1, 0], np.uint8)):
        assert np.array_equal(session.run(pixels, mask), expected), mask
    assert not np.array_equal(session.run(pixels, "000000"), expected)
    strided = np.repeat(pixels, 2, axis=3)[..., ::2]
    for image in (strided, pixels[0]):
        assert np.array_equal(session.run(image, bits), expected)
    out = np.zeros_like(expected)
    assert session.run(pixels, bits, out=out) is out
    assert np.array_equal(out, expected)
    named = session.run_named({"image": pixels}, bits)
    assert list(named) == ["logits"]
    assert np.array_equal(named["logits"], expected)


def check_refusals(session: skipgate.Session, pixels: np.ndarray, closed: skipgate.Artifact) -> None:
    """Check that whatever does not fit is refused, in words that help."""
    refuse(lambda: session.run(pixels, "11111"), "5 elements, the network has 6 gates")
    refuse(lambda: session.run(pixels, "11121 "), "found '2'")
    refuse(lambda: session.run(pixels, [0.5] * 6), "found 0.5")
    refuse(lambda: session.run(pixels.astype(np.float64), "111111"), "astype('float32')")
    refuse(lambda: session.run(pixels[..., 1:], "111111"), "(1, 3, 32, 31)")
    refuse(lambda: session.run(pixels, "111111", out=np.zeros(10, np.int32)), "int32")
    refuse(lambda: session.run_named({"photo": pixels}, "111111"), "`photo`")
    refuse(lambda: skipgate.Session(closed), "closed")
    refuse(lambda: skipgate.Artifact("no-such-artifact"), "no-such-artifact", skipgate.ArtifactError)


def refuse(call: Callable[[], object], because: str, kind: type[skipgate.Error] = skipgate.ArgumentError) -> None:
    """Check that `call` is refused with a message that has `because` in it."""
    error = None
    try:
        call()
    except kind as raised:
        error = raised
    assert because in str(error), (because, error)


if __name__ == "__main__":
    main(*sys.argv[1:])
