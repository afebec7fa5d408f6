"""How fast masks are evaluated: `skipgate rank` beside ONNX Runtime doing the same evaluations.

    evaluation_rate.py GATED.onnx ARTIFACT --program SKIPGATE --data DIR --images N --rounds N

Every block alone is skipped on N images, on all cores. ONNX Runtime runs the gated model, a session for each core, one
image at a time as the artifact does, and in batches; its images are random, which takes it as long. All take turns, and
a rate is that of the median round. skipgate's time includes that it reads the data set and writes its results.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

BATCHES = (1, 50)
"""Images that ONNX Runtime takes at once."""


class OnnxRuntime:
    """Sessions of a gated model, one for each core."""

    def __init__(self, model: Path, batch: int) -> None:
        """Load `model` for `batch` images at once."""
        loaded = onnx.load(model)
        for value in (loaded.graph.input[0], loaded.graph.output[0]):
            value.type.tensor_type.shape.dim[0].dim_value = batch
        _forget_shapes(loaded.graph)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self.batch = batch
        self.sessions = [
            onnxruntime.InferenceSession(loaded.SerializeToString(), options) for _ in range(os.cpu_count() or 1)
        ]
        self.image, self.mask = (value.name for value in self.sessions[0].get_inputs())
        self.shape = self.sessions[0].get_inputs()[0].shape[1:]
        self.gates = self.sessions[0].get_inputs()[1].shape[0]

    def rank(self, images: NDArray[np.float32]) -> None:
        """Skip each block alone on all images."""
        jobs = [(gate, start) for gate in range(self.gates) for start in range(0, len(images), self.batch)]

        def work(worker: int) -> None:
            for gate, start in jobs[worker :: len(self.sessions)]:
                mask = np.arange(self.gates) != gate
                inputs = {self.image: images[start : start + self.batch], self.mask: mask}
                self.sessions[worker].run(None, inputs)

        with ThreadPoolExecutor(len(self.sessions)) as pool:
            list(pool.map(work, range(len(self.sessions))))


def _forget_shapes(graph: onnx.GraphProto) -> None:
    """Remove the shapes in between, which are those of single images."""
    del graph.value_info[:]
    for branch in (attribute.g for node in graph.node for attribute in node.attribute if attribute.HasField("g")):
        for output in branch.output:
            output.type.tensor_type.ClearField("shape")
        _forget_shapes(branch)


def skipgate(arguments: argparse.Namespace) -> float:
    """Seconds that `skipgate rank` takes, reading the data set included."""
    with tempfile.TemporaryDirectory() as folder:
        words = [arguments.program, "rank", arguments.artifact, "--data", arguments.data, "--format", "json"]
        words += ["--search-images", arguments.images, "--store", Path(folder) / "store"]
        finished = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=True)
        result = json.loads(finished.stdout)
    if result["computed"] != result["evaluations"]:
        raise SystemExit(f"{result['computed']} of {result['evaluations']} evaluations were computed")
    return float(result["seconds"])


def main() -> None:
    """Measure and print a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.images % max(BATCHES):
        parser.error(f"--images: expected a multiple of {max(BATCHES)}, found {arguments.images}")
    peers = [OnnxRuntime(arguments.model, batch) for batch in BATCHES]
    images = np.random.default_rng(1).random((arguments.images, *peers[0].shape), np.float32)
    seconds: dict[str, list[float]] = {}
    for _ in range(arguments.rounds):
        seconds.setdefault("skipgate", []).append(skipgate(arguments))
        for peer in peers:
            start = time.perf_counter()
            peer.rank(images)
            seconds.setdefault(f"onnxruntime_batch_{peer.batch}", []).append(time.perf_counter() - start)
    evaluations = peers[0].gates * arguments.images
    rates = {name: evaluations / median(times) for name, times in seconds.items()}
    ratios = {name: rates["skipgate"] / rate for name, rate in rates.items() if name != "skipgate"}
    print(json.dumps({"evaluations": evaluations, "images_per_second": rates, "skipgate_over": ratios}))


if __name__ == "__main__":
    main()
