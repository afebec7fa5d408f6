"""MLPerf's scenarios by MLPerf's own LoadGen, on the Python interface and the controllers of the C library.

    loadgen.py run SCENARIO ARTIFACT [--adapt] [--rate R] [--bound-ms B] [--seconds S]
    loadgen.py table ARTIFACT -o PAGE.md

PYTHONPATH names the folder `models` and one with the package `skipgate`, as in a wheel.

`run` runs single-stream, multi-stream, offline or server on the digits, twice: for performance, and for accuracy,
where LoadGen asks each image once. It prints a line of JSON: LoadGen's result, whether that is valid, and the accuracy,
from LoadGen's log and of all answers of the performance run. With `--adapt`, the controller `percentile` chooses the
configuration of each request, so that 99 of 100 are answered within the bound; without, all blocks run. In the server
scenario requests come at random times, RATE a second on average; none is dropped.

`table` looks for the largest rate of the server scenario that holds the bound, with and without adaptation, by halving
an interval, and writes a page. The artifact has a front whose accuracies are known (`skipgate pareto`). Runs are
shorter than MLPerf's rules want for a submission, which these are not.
"""

import argparse
import ctypes
import json
import os
import platform
import queue
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import mlperf_loadgen as lg
import numpy as np
import skipgate
from numpy.typing import NDArray
from skipgate import _library as c

from skipgate_models import digits

SCENARIOS = {
    "single-stream": lg.TestScenario.SingleStream,
    "multi-stream": lg.TestScenario.MultiStream,
    "offline": lg.TestScenario.Offline,
    "server": lg.TestScenario.Server,
}
PERCENTILE = 0.99
"""Of the server scenario, as MLPerf has it for image classification."""
LEAST_ACCURACY_POINTS = 2.0
"""How far below the most accurate configuration the controller may go."""
CALLS = 60
"""Calls that each configuration is measured with at the start."""
QUERIES = 1000
"""Fewer do not tell the 99th percentile well enough for LoadGen to call a run valid."""
STEPS = 6
"""How often the interval of rates is halved."""


class Level(ctypes.Structure):
    """`struct skipgate_level`."""

    _fields_ = (("accuracy", ctypes.c_double), ("median_ns", ctypes.c_uint64), ("p99_ns", ctypes.c_uint64))


class Controller:
    """The controller `percentile`: drops nothing, and keeps 99 of 100 requests within a bound."""

    def __init__(self, levels: list[Level], least_accuracy: float, bound_ns: int) -> None:
        """Choose among those of `levels` that are accurate enough."""
        library, handle = c.library, ctypes.c_void_p
        make = library.skipgate_controller_percentile
        make.argtypes = (
            ctypes.POINTER(Level),
            ctypes.c_size_t,
            ctypes.c_double,
            ctypes.c_uint64,
            ctypes.POINTER(handle),
        )
        library.skipgate_controller_admit.argtypes = (handle, ctypes.c_uint64, ctypes.c_size_t)
        library.skipgate_controller_admit.restype = ctypes.c_bool
        library.skipgate_controller_choose.argtypes = (handle, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_size_t)
        library.skipgate_controller_choose.restype = ctypes.c_size_t
        library.skipgate_controller_finished.argtypes = (handle, ctypes.c_size_t, ctypes.c_uint64)
        library.skipgate_controller_finished.restype = None
        self.handle = handle()
        array = (Level * len(levels))(*levels)
        if make(array, len(levels), least_accuracy, bound_ns, ctypes.byref(self.handle)) != 0:
            raise SystemExit(c.library.skipgate_last_error().decode())

    def admit(self, now_ns: int, waiting: int) -> None:
        """Tell it of a request, which is answered even where it would drop it, behind a thousand others."""
        c.library.skipgate_controller_admit(self.handle, now_ns, waiting)

    def choose(self, now_ns: int, arrived_ns: int, waiting: int) -> int:
        """Choose the configuration of a request that is begun with."""
        return c.library.skipgate_controller_choose(self.handle, now_ns, arrived_ns, waiting)

    def finished(self, configuration: int, took_ns: int) -> None:
        """Tell it how long a request took."""
        c.library.skipgate_controller_finished(self.handle, configuration, took_ns)


def test_part(artifact: skipgate.Artifact) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the digits' test images as the network takes them, and their classes."""
    images, labels = digits.read(digits.FOLDER, "test")
    preprocessing = artifact.manifest["preprocessing"]
    mean, std = (np.array(preprocessing[key], np.float32).reshape(-1, 1, 1) for key in ("mean", "std"))
    pixels = images[:, np.newaxis].astype(np.float32) / 255
    return np.ascontiguousarray((pixels - mean) / std), labels.astype(np.int64)


class System:
    """The system under test: one session, one thread that answers requests in their order."""

    def __init__(self, artifact: skipgate.Artifact) -> None:
        """Load the network and its images, and measure every configuration."""
        self.images, self.labels = test_part(artifact)
        self.session = skipgate.Session(artifact)
        self.masks = [configuration.mask for configuration in artifact.configurations]
        self.levels = [self._level(configuration) for configuration in artifact.configurations]
        # The front need not have it.
        self.all_run = np.ones(len(artifact.gates), np.bool_)
        self.all_run_ns = self._times(self.all_run)[0]
        self.out = np.empty(artifact.outputs[0].shape, np.float32)
        self.requests: queue.SimpleQueue[tuple[int, int, int] | None] = queue.SimpleQueue()
        self.waiting = 0
        self.lock = threading.Lock()
        # LoadGen ends a run early where too many requests wait, and falls over if it is told of them afterwards.
        self.telling = threading.Lock()
        self.is_asked = True
        self.controller: Controller | None = None
        self.counts: dict[str, int] = {}
        self.right = 0

    def _level(self, configuration: skipgate.Configuration) -> Level:
        return Level(configuration.accuracy or 0.0, *self._times(configuration.mask))

    def _times(self, mask: NDArray[np.bool_]) -> tuple[int, int]:
        """Median and 99th percentile of an inference in nanoseconds."""
        times = []
        for number in range(CALLS):
            start = time.perf_counter_ns()
            self.session.run(self.images[number % len(self.images)], mask)
            times.append(time.perf_counter_ns() - start)
        # The first ones find cold caches.
        times = times[CALLS // 6 :]
        return int(median(times)), int(quantiles(times, n=100)[98])

    def use(self, controller: Controller | None) -> None:
        """Answer by what `controller` chooses from now on, or with all blocks."""
        self.controller, self.counts, self.right = controller, {}, 0

    def issue(self, samples: list[lg.QuerySample]) -> None:
        """Take the requests of a query."""
        for sample in samples:
            now = time.perf_counter_ns()
            with self.lock:
                if self.controller:
                    self.controller.admit(now, self.waiting)
                self.waiting += 1
            self.requests.put((sample.id, sample.index, now))

    def leave(self) -> None:
        """Tell LoadGen nothing any more."""
        with self.telling:
            self.is_asked = False
        with self.lock:
            while not self.requests.empty():
                self.requests.get()
                self.waiting -= 1

    def work(self) -> None:
        """Answer requests until there is `None`."""
        while (request := self.requests.get()) is not None:
            number, index, arrived = request
            with self.lock:
                began = time.perf_counter_ns()
                behind = self.waiting - 1
                chosen = self.controller.choose(began, arrived, behind) if self.controller else None
            mask = self.all_run if chosen is None else self.masks[chosen]
            self.session.run(self.images[index], mask, out=self.out)
            with self.lock:
                self.waiting -= 1
                if self.controller and chosen is not None:
                    self.controller.finished(chosen, time.perf_counter_ns() - began)
            answer = np.int64(self.out.argmax())
            name = "all blocks" if chosen is None else str(chosen)
            self.counts[name] = self.counts.get(name, 0) + 1
            self.right += int(answer == self.labels[index])
            data = np.array(answer).tobytes()
            buffer = ctypes.create_string_buffer(data, len(data))
            with self.telling:
                if self.is_asked:
                    response = lg.QuerySampleResponse(number, ctypes.addressof(buffer), len(data))
                    lg.QuerySamplesComplete([response])

    @contextmanager
    def working(self) -> Iterator[None]:
        """Answer requests meanwhile."""
        self.is_asked = True
        worker = threading.Thread(target=self.work)
        worker.start()
        try:
            yield
        finally:
            self.requests.put(None)
            worker.join()


@dataclass
class Wanted:
    """What is to be run."""

    scenario: str
    rate: float
    bound_ms: float
    seconds: float
    adapt: bool
    queries: int = QUERIES


def settings(wanted: Wanted, mode: lg.TestMode, expected_ns: int) -> lg.TestSettings:
    """Say it in LoadGen's words."""
    found = lg.TestSettings()
    found.scenario, found.mode = SCENARIOS[wanted.scenario], mode
    found.min_duration_ms = int(1000 * wanted.seconds)
    found.min_query_count = 1 if wanted.scenario == "offline" else wanted.queries
    found.server_target_qps = wanted.rate
    found.server_target_latency_ns = int(1e6 * wanted.bound_ms)
    found.server_target_latency_percentile = PERCENTILE
    # What is expected to take less than it does makes a run longer than asked for, never shorter.
    found.single_stream_expected_latency_ns = expected_ns // 2
    found.multi_stream_expected_latency_ns = found.multi_stream_samples_per_query * expected_ns // 2
    found.offline_expected_qps = 1e9 / expected_ns
    return found


def loadgen(system: System, wanted: Wanted, mode: lg.TestMode) -> tuple[dict[str, str], list[dict]]:
    """Run LoadGen once; what its summary says, and its log of answers."""
    least = max(level.accuracy for level in system.levels) - LEAST_ACCURACY_POINTS / 100
    # Levels of exactly this accuracy are left out, and two points below are allowed.
    controller = Controller(system.levels, least - 1e-9, int(1e6 * wanted.bound_ms)) if wanted.adapt else None
    system.use(controller)
    with tempfile.TemporaryDirectory() as folder, system.working():
        output = lg.LogOutputSettings()
        output.outdir = folder
        log = lg.LogSettings()
        log.log_output, log.enable_trace = output, False
        sut = lg.ConstructSUT(system.issue, lambda: None)
        count = len(system.images)
        samples = lg.ConstructQSL(count, count, lambda _: None, lambda _: None)
        lg.StartTestWithLogSettings(sut, samples, settings(wanted, mode, system.all_run_ns), log)
        system.leave()
        lg.DestroyQSL(samples)
        lg.DestroySUT(sut)
        summary = (Path(folder) / "mlperf_log_summary.txt").read_text()
        accuracy = (Path(folder) / "mlperf_log_accuracy.json").read_text()
    pairs = (line.split(":", 1) for line in summary.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}, json.loads(accuracy or "[]")


def performance(system: System, wanted: Wanted) -> dict:
    """LoadGen's result for performance, with the accuracy of all answers."""
    summary, _ = loadgen(system, wanted, lg.TestMode.PerformanceOnly)
    answers = sum(system.counts.values())
    result = {
        "scenario": wanted.scenario,
        "adapt": wanted.adapt,
        "valid": summary["Result is"] == "VALID",
        "answers": answers,
        "accuracy": system.right / answers,
        "configurations": dict(sorted(system.counts.items())),
        "p99_us": float(summary["99.00 percentile latency (ns)"]) / 1e3,
    }
    rate = next(
        (value for key, value in summary.items() if re.fullmatch(r"(Scheduled s|S)amples per second", key)), None
    )
    return result | ({"samples_per_second": float(rate)} if rate else {})


def logged_accuracy(system: System, wanted: Wanted) -> float:
    """Accuracy of a run that asks for each image once, from LoadGen's own log."""
    _, log = loadgen(system, wanted, lg.TestMode.AccuracyOnly)
    answers = {entry["qsl_idx"]: int(np.frombuffer(bytes.fromhex(entry["data"]), np.int64)[0]) for entry in log}
    if len(answers) != len(system.labels):
        raise SystemExit(f"LoadGen asked for {len(answers)} of {len(system.labels)} images")
    return float(np.mean([answers[index] == label for index, label in enumerate(system.labels)]))


def largest_rate(holds: Callable[[float], dict], least: float, most: float) -> dict:
    """Halve the interval: the result at the largest rate that was seen to hold."""
    best = None
    for _ in range(STEPS):
        # Rates are apart by factors.
        rate = (least * most) ** 0.5
        result = holds(rate)
        if result["valid"]:
            least, best = rate, result | {"rate": rate}
        else:
            most = rate
    if best is None:
        raise SystemExit(f"not even {least:.0f} requests a second hold the bound")
    return best


def table(system: System, artifact: Path, seconds: float) -> str:
    """Write the page of all scenarios."""
    times = [level.median_ns / 1e6 for level in system.levels]
    slowest, fastest = system.all_run_ns / 1e6, min(times)
    # The bound of a device that answers each request within five times the slowest inference.
    bound = 5 * slowest
    rows, found = [], {}
    for adapt in (False, True):

        def holds(rate: float, *, adapt: bool = adapt) -> dict:
            return performance(system, Wanted("server", rate, bound, seconds, adapt))

        best = found[adapt] = largest_rate(holds, 0.2e3 / slowest, 1.1e3 / (fastest if adapt else slowest))
        name = "`percentile` chooses" if adapt else "all blocks"
        rows.append(f"| {name} | {best['rate']:.0f} | {best['p99_us'] / 1e3:.2f} ms | {100 * best['accuracy']:.2f} % |")
    others = []
    for scenario in ("single-stream", "multi-stream", "offline"):
        wanted = Wanted(scenario, 1e3 / slowest, bound, seconds, adapt=False)
        result, logged = performance(system, wanted), logged_accuracy(system, wanted)
        rate = f"{result['samples_per_second']:.0f}" if "samples_per_second" in result else ""
        others.append(f"| {scenario} | {result['p99_us'] / 1e3:.2f} ms | {rate} | {100 * logged:.2f} % |")
    ratio = found[True]["rate"] / found[False]["rate"]
    lost = 100 * (found[False]["accuracy"] - found[True]["accuracy"])
    return PAGE.format(
        artifact=artifact.name,
        configurations=len(times),
        fastest=fastest,
        slowest=slowest,
        bound=bound,
        rows="\n".join(rows),
        ratio=ratio,
        lost=lost,
        others="\n".join(others),
        seconds=seconds,
        machine=machine(),
        load=os.getloadavg()[0],
    )


def machine() -> str:
    """Name the processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{model}, {os.cpu_count()} cores"


PAGE = """# MLPerf's scenarios

<!-- Written by tests/python/loadgen.py table. -->

MLPerf's own LoadGen (`mlcommons-loadgen`) asks the digits network `{artifact}` through the Python interface, one
session and one thread. With all blocks an inference takes {slowest:.2f} ms; its front has {configurations}
configurations, the fastest of which takes {fastest:.2f} ms. Runs take {seconds:.0f} s or more, which is shorter than
MLPerf's rules want for a submission; these are none.

## Server

Requests come at random times (Poisson), none is dropped, and 99 of 100 must be answered within {bound:.2f} ms, five
times the latency with all blocks. The largest rate at which LoadGen calls a run valid, by halving an interval:

| configuration | requests a second | 99th percentile | accuracy of all answers |
|---|---|---|---|
{rows}

With adaptation: {ratio:.2f} times the rate, {lost:.2f} points of accuracy less. The controller is `percentile`, with
configurations of up to two points less than the most accurate one.

## The other scenarios, all blocks

Accuracy is from LoadGen's log of a run in accuracy mode, which asks for each image once.

| scenario | 99th percentile | samples a second | accuracy |
|---|---|---|---|
{others}

Measured on {machine}, with a load average of {load:.1f} at the end.
"""


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run, page = commands.add_parser("run"), commands.add_parser("table")
    run.add_argument("scenario", choices=SCENARIOS)
    for command in (run, page):
        command.add_argument("artifact", type=Path)
        command.add_argument("--seconds", type=float, default=3.0)
    run.add_argument("--adapt", action="store_true")
    run.add_argument("--queries", type=int, default=QUERIES)
    run.add_argument("--rate", type=float, default=100.0)
    run.add_argument("--bound-ms", type=float, default=100.0)
    page.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    # Two threads take turns: by default, each keeps the other waiting for longer than an inference takes.
    sys.setswitchinterval(1e-4)
    with skipgate.Artifact(arguments.artifact) as artifact:
        system = System(artifact)
        if arguments.command == "table":
            arguments.output.write_text(table(system, arguments.artifact, arguments.seconds))
            return
        wanted = Wanted(
            arguments.scenario,
            arguments.rate,
            arguments.bound_ms,
            arguments.seconds,
            arguments.adapt,
            arguments.queries,
        )
        result = performance(system, wanted)
        print(json.dumps(result | {"logged_accuracy": logged_accuracy(system, wanted)}))


if __name__ == "__main__":
    main()
