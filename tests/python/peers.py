"""What people would use instead, measured: ONNX Runtime, ncnn, tract and LiteRT.

    peers.py prepare MODEL.onnx GATED.onnx DIR
    peers.py prepare-plain MODEL.onnx DIR
    peers.py measure DIR --threads N --calls N
    peers.py footprint DIR

`prepare` writes to DIR what the engines load: the model as it is, the model without its gated blocks, the gated model,
and the first two in ncnn's format, checked against ONNX Runtime. `prepare-plain` writes the model as it is alone, for
any network: where an engine cannot load it, or computes something else, DIR says so in plain.ENGINE.txt, and it is left
out. LiteRT reads no ONNX: it takes part where MODEL.tflite, the same network, lies beside MODEL.onnx. `measure` runs
every engine on one image: a round for each line on standard input, answered by a line of JSON with the round's median
of every engine in microseconds. `footprint` prints a line of JSON with the bytes of the float weights in plain.onnx and
with the memory that ONNX Runtime takes to load and run it.

Everything computes in float32. ncnn otherwise runs with its defaults, which on every CPU are its fast settings
(Winograd, packed layouts), and so does LiteRT, which hands all that it can to XNNPACK.
"""

import argparse
import importlib.util
import json
import math
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import ncnn
import numpy as np
import onnx
import onnxruntime
import tract
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

import oracle

TOLERANCE = 1e-4
"""Largest difference between the logits of ncnn and ONNX Runtime, in units of the largest logit."""

ROUGH_TOLERANCE = 1e-2
"""The same for networks with random weights, some of which make a hundred times as much of rounding."""

NAMES = ("plain", "pruned")
"""The network as it is, and without its gated blocks."""


def prepare(model: Path, gated: Path, folder: Path) -> None:
    """Write the files that the engines load into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = onnx.load(model)
    blocks = oracle.gated_blocks(plain, gate_first=False)
    onnx.save(plain, folder / "plain.onnx")
    onnx.save(oracle.remove(plain, "0" * len(blocks), gate_first=False), folder / "pruned.onnx")
    shutil.copyfile(gated, folder / "gated.onnx")
    for name in NAMES:
        _to_ncnn(folder / name)
        _check_ncnn(folder / name)


def prepare_plain(model: Path, folder: Path) -> None:
    """Write what the engines load of one model, and why an engine cannot."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / "plain"
    shutil.copyfile(model, folder / "plain.onnx")
    converted = model.with_suffix(".tflite")
    if converted.exists():
        shutil.copyfile(converted, folder / "plain.tflite")
    for engine, check in (("ncnn", _prepare_ncnn), ("tract", _check_tract), ("litert", _check_litert)):
        Path(f"{stem}.{engine}.txt").unlink(missing_ok=True)
        try:
            check(stem)
        except Exception as error:
            # Engines raise whatever they like.
            Path(f"{stem}.{engine}.txt").write_text(f"{type(error).__name__}: {error}\n")


def _prepare_ncnn(stem: Path) -> None:
    _to_ncnn(stem)
    _check_ncnn(stem, ROUGH_TOLERANCE)


def measure(folder: Path, threads: int, calls: int) -> None:
    """Answer each line on standard input with a round."""
    engines = _engines(folder, threads)
    for number, _ in enumerate(sys.stdin):
        # Whoever comes second inherits caches from the first, so they take turns in being it.
        names = sorted(engines, reverse=number % 2 == 1)
        print(json.dumps({name: _median_us(engines[name], calls) for name in names}), flush=True)


def footprint(folder: Path) -> dict[str, int]:
    """Return the bytes of the float weights, and what ONNX Runtime adds to this process at its peak."""
    path = folder / "plain.onnx"
    # The high-water mark begins anew: importing the other engines is not ONNX Runtime's doing.
    Path("/proc/self/clear_refs").write_text("5")
    before = _resident_bytes("VmRSS")
    session = _session(path, 1)
    session.run(None, {session.get_inputs()[0].name: _image(session)})
    added = _resident_bytes("VmHWM") - before
    return {"weight_bytes": float_weight_bytes(onnx.load(path)), "onnxruntime_bytes": added}


def float_weight_bytes(model: onnx.ModelProto) -> int:
    """Return the bytes of all initializers of float32."""
    weights = [weight for weight in model.graph.initializer if weight.data_type == onnx.TensorProto.FLOAT]
    return 4 * sum(math.prod(weight.dims) for weight in weights)


def _resident_bytes(field: str) -> int:
    """Return the resident memory of this process now (VmRSS) or at its peak (VmHWM)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return 1024 * int(value.removesuffix("kB"))
    raise RuntimeError(f"/proc/self/status has no {field}")


def _engines(folder: Path, threads: int) -> dict[str, Callable[[], object]]:
    """Return a function for each engine that runs one image."""
    image = _image(_session(folder / "plain.onnx", threads))
    engines: dict[str, Callable[[], object]] = {}
    for name in NAMES:
        stem = folder / name
        if not Path(f"{stem}.onnx").exists():
            continue
        engines[f"onnxruntime {name}"] = _bound(_session(Path(f"{stem}.onnx"), threads), image, None)
        if not Path(f"{stem}.ncnn.txt").exists():
            engines[f"ncnn {name}"] = partial(_run_ncnn, _net(stem, threads), ncnn.Mat(image[0]).clone())
    if (folder / "gated.onnx").exists():
        engines |= _gated_engines(folder, threads, image)
    elif threads == 1 and not (folder / "plain.tract.txt").exists():
        # It has no threads of its own.
        engines["tract plain"] = partial(_tract(folder / "plain").run, [image])
    if (folder / "plain.tflite").exists() and not (folder / "plain.litert.txt").exists():
        engines["litert plain"] = _litert(folder / "plain", image, threads).invoke
    return engines


def _gated_engines(folder: Path, threads: int, image: NDArray[np.float32]) -> dict[str, Callable[[], object]]:
    gated = _session(folder / "gated.onnx", threads)
    gates = next(value.shape[0] for value in gated.get_inputs() if value.name == "skip_mask")
    engines = {}
    for name, runs in (("all-run", True), ("all-skip", False)):
        session = _session(folder / "gated.onnx", threads)
        engines[f"onnxruntime gated {name}"] = _bound(session, image, np.full(gates, runs))
    return engines


def _image(session: onnxruntime.InferenceSession) -> NDArray[np.float32]:
    shape = [extent if isinstance(extent, int) else 1 for extent in session.get_inputs()[0].shape]
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def _median_us(call: Callable[[], object], calls: int) -> float:
    # The threads of the engine before stop spinning; the caches and threads of this one wake up.
    time.sleep(0.02)
    for _ in range(3):
        call()
    times = []
    for _ in range(calls):
        start = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - start)
    return median(times) / 1000


def _session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _bound(
    session: onnxruntime.InferenceSession, image: NDArray[np.float32], mask: NDArray[np.bool_] | None
) -> Callable[[], object]:
    """Bind inputs and outputs once, as an application in a hurry does: less of Python is measured."""
    binding = session.io_binding()
    for value in session.get_inputs():
        binding.bind_cpu_input(value.name, mask if value.name == "skip_mask" else image)
    for value in session.get_outputs():
        binding.bind_output(value.name)
    return partial(session.run_with_iobinding, binding)


def _net(stem: Path, threads: int) -> ncnn.Net:
    net = ncnn.Net()
    net.opt.num_threads = threads
    for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(net.opt, option, False)
    if net.load_param(f"{stem}.ncnn.param") or net.load_model(f"{stem}.ncnn.bin"):
        raise RuntimeError(f"ncnn cannot load {stem}.ncnn.param")
    return net


def _run_ncnn(net: ncnn.Net, image: ncnn.Mat) -> ncnn.Mat:
    extractor = net.create_extractor()
    extractor.input("in0", image)
    status, logits = extractor.extract("out0")
    if status:
        raise RuntimeError(f"ncnn ended with {status}")
    return logits


def _to_ncnn(stem: Path) -> None:
    """Convert `stem`.onnx with pnnx."""
    package = importlib.util.find_spec("pnnx")
    if package is None or package.origin is None:
        raise RuntimeError("pnnx is not installed")
    # Importing the package would import PyTorch; its program does not need that.
    program = Path(package.origin).with_name("pnnx")
    shape = ",".join(map(str, _image(_session(Path(f"{stem}.onnx"), 1)).shape))
    command = [program, f"{stem}.onnx", "fp16=0", f"inputshape=[{shape}]"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=stem.parent)
    param = Path(f"{stem}.ncnn.param")
    param.write_text(subsample(param.read_text()))


def subsample(param: str) -> str:
    """Replace x[:, :, ::2, ::2], for which pnnx knows no layer of ncnn, by the maximum over single pixels."""
    return re.sub(
        r"^Tensor\.slice +(\S+) +1 1 (\S+) (\S+).*$", r"Pooling \1 1 1 \2 \3 0=0 1=1 2=2 5=1", param, flags=re.MULTILINE
    )


def _check_ncnn(stem: Path, tolerance: float = TOLERANCE) -> None:
    """Compare ncnn with ONNX Runtime on the same network."""
    image, expected = _image_and_logits(stem)
    found = np.array(_run_ncnn(_net(stem, 1), ncnn.Mat(image[0]).clone()))
    _check("ncnn", stem, (found, expected), tolerance)


def _tract(stem: Path) -> tract.Runnable:
    return tract.onnx().load(f"{stem}.onnx").into_model().into_runnable()


def _check_tract(stem: Path) -> None:
    image, expected = _image_and_logits(stem)
    found = _tract(stem).run([image])[0].to_numpy()[0]
    _check("tract", stem, (found, expected), ROUGH_TOLERANCE)


def _litert(stem: Path, image: NDArray[np.float32], threads: int) -> Interpreter:
    """Load the network and hand it the image."""
    interpreter = Interpreter(f"{stem}.tflite", num_threads=threads)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    return interpreter


def _check_litert(stem: Path) -> None:
    image, expected = _image_and_logits(stem)
    interpreter = _litert(stem, image, 1)
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]
    _check("LiteRT", stem, (found, expected), ROUGH_TOLERANCE)


def _image_and_logits(stem: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    session = _session(Path(f"{stem}.onnx"), 1)
    image = _image(session)
    return image, session.run(None, {session.get_inputs()[0].name: image})[0][0]


def _check(engine: str, stem: Path, logits: tuple[NDArray[np.float32], NDArray[np.float32]], tolerance: float) -> None:
    found, expected = logits
    difference = np.abs(found - expected).max() / np.abs(expected).max()
    if not difference <= tolerance:
        raise RuntimeError(f"{engine} differs from ONNX Runtime on {stem}.onnx by {difference:.1e}")


def main() -> None:
    """Run the command of `sys.argv`."""
    arguments = _parser().parse_args()
    match arguments.command:
        case "prepare":
            prepare(arguments.model, arguments.gated, arguments.folder)
        case "prepare-plain":
            prepare_plain(arguments.model, arguments.folder)
        case "measure":
            measure(arguments.folder, arguments.threads, arguments.calls)
        case "footprint":
            print(json.dumps(footprint(arguments.folder)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)

    command = commands.add_parser("prepare", help="write what the engines load")
    command.add_argument("model", type=Path)
    command.add_argument("gated", type=Path)
    command.add_argument("folder", type=Path)

    command = commands.add_parser("prepare-plain", help="write what the engines load of one network")
    command.add_argument("model", type=Path)
    command.add_argument("folder", type=Path)

    command = commands.add_parser("measure", help="measure a round for each line on standard input")
    command.add_argument("folder", type=Path)
    command.add_argument("--threads", type=int, required=True)
    command.add_argument("--calls", type=int, required=True)

    command = commands.add_parser("footprint", help="print the bytes of weights and of ONNX Runtime's memory")
    command.add_argument("folder", type=Path)
    return parser


if __name__ == "__main__":
    main()
