"""`skipgate serve --http` and NVIDIA's client for the protocol; every command of docs/serving.md that asks a server."""

import json
import os
import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

ROOT = Path(__file__).parents[2]
MASKS = ("111111", "110110", "000000")
IMAGES = np.random.default_rng(0).standard_normal((4, 1, 3, 32, 32), np.float32)
PATIENCE_S = 60


def skipgate(*arguments: object) -> None:
    """Run the program."""
    subprocess.run([os.environ["SKIPGATE_PROGRAM"], *map(str, arguments)], check=True, capture_output=True)


class Served:
    """A server until it is told to stop."""

    def __init__(self, artifact: Path, *arguments: str) -> None:
        """Start it, and wait until it listens at a port that it chose."""
        command = [os.environ["SKIPGATE_PROGRAM"], "serve", str(artifact), "--http", "127.0.0.1:0", *arguments]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        found = re.fullmatch(r"serving http://(.+:\d+)/v2/models/(\S+)\n", line)
        assert found, line
        self.address, self.model = found.groups()

    def stop(self) -> tuple[int, str]:
        """End it as container managers do: its exit code and what it says of all requests."""
        self.process.send_signal(signal.SIGTERM)
        _, summary = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, summary


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the digits ResNet-20 with a front."""
    artifact = tmp_path_factory.mktemp("serving") / "digits"
    skipgate("compile", ROOT / "models/digits/resnet20.onnx", "-o", artifact)
    front = [{"mask": mask, "accuracy": 0.95 - 0.02 * number} for number, mask in enumerate(MASKS)]
    (artifact / "pareto.json").write_text(json.dumps({"configurations": front}))
    return artifact


@pytest.fixture(scope="module")
def served(digits: Path) -> Iterator[Served]:
    """Serve it with two sessions."""
    server = Served(digits, "--sessions", "2", "--deadline", "10s")
    yield server
    code, summary = server.stop()
    # The last line of each test's requests was answered or refused; none failed.
    assert code == 0, summary
    assert re.search(r"\d+ requests: \d+ processed, 0 dropped, 0 failed", summary), summary


@pytest.fixture
def client(served: Served) -> Iterator[triton.InferenceServerClient]:
    """Connect NVIDIA's client."""
    with triton.InferenceServerClient(served.address, connection_timeout=PATIENCE_S) as client:
        yield client


def inputs(image: np.ndarray, *, binary: bool) -> list[triton.InferInput]:
    """Make the input of a request."""
    tensor = triton.InferInput("image", list(image.shape), "FP32")
    tensor.set_data_from_numpy(image, binary_data=binary)
    return [tensor]


def expected(digits: Path, folder: Path, mask: str) -> np.ndarray:
    """Logits of all images as `skipgate run` computes them."""
    np.save(folder / "images.npy", np.concatenate(IMAGES))
    skipgate("run", digits, "--input", folder / "images.npy", "--output", folder / "y.npy", "--mask", mask)
    return np.load(folder / "y.npy")


def test_metadata_tells_name_tensors_and_configurations(served: Served, client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(served.model)
    assert client.is_model_ready(served.model, "1")
    assert not client.is_model_ready("other")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    metadata = client.get_model_metadata(served.model)
    assert metadata["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [1, 3, 32, 32]}]
    assert metadata["outputs"] == [{"name": "logits", "datatype": "FP32", "shape": [1, 10]}]
    assert metadata["parameters"]["configurations"] == list(MASKS)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("mask", MASKS)
def test_logits_are_those_of_skipgate_run(
    served: Served, client: triton.InferenceServerClient, digits: Path, tmp_path: Path, mask: str, *, binary: bool
) -> None:
    wanted = [triton.InferRequestedOutput("logits", binary_data=binary)]
    for image, row in zip(IMAGES, expected(digits, tmp_path, mask), strict=True):
        asked = {"request_id": "seven", "outputs": wanted, "parameters": {"mask": mask}}
        answer = client.infer(served.model, inputs(image, binary=binary), **asked)
        assert np.array_equal(answer.as_numpy("logits"), row[np.newaxis])
        response = answer.get_response()
        assert response["id"] == "seven"
        assert response["parameters"]["mask"] == mask
        assert response["parameters"]["config"] == MASKS.index(mask)
        assert 0 <= response["parameters"]["queue_us"] <= response["parameters"]["latency_us"]


def test_a_request_without_wishes_gets_what_the_controller_chooses(
    served: Served, client: triton.InferenceServerClient, digits: Path, tmp_path: Path
) -> None:
    answer = client.infer(served.model, inputs(IMAGES[0], binary=True))
    parameters = answer.get_response()["parameters"]
    assert parameters["mask"] == MASKS[parameters["config"]]
    row = expected(digits, tmp_path, parameters["mask"])[:1]
    assert np.array_equal(answer.as_numpy("logits"), row)


def test_a_configuration_or_any_mask_may_be_chosen(served: Served, client: triton.InferenceServerClient) -> None:
    def used(**parameters: object) -> dict:
        answer = client.infer(served.model, inputs(IMAGES[0], binary=True), parameters=parameters)
        return answer.get_response()["parameters"]

    assert used(config=2)["mask"] == MASKS[2]
    assert used(config=1, deadline_ms=10_000)["config"] == 1
    other = used(mask="010101")
    assert other["mask"] == "010101"
    assert "config" not in other


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"mask": "11"}, "the mask has 2 entries, the model has 6 gates"),
        ({"mask": "11x111"}, "found `x` at position 2"),
        ({"config": 3}, "there is no configuration 3, there are 3"),
        ({"config": 1, "mask": "111111"}, "exclude each other"),
        ({"deadline_ms": -1}, "deadline_ms"),
        ({"speed": 1}, "unknown field `speed`"),
    ],
)
def test_wishes_that_cannot_be_are_refused_with_the_reason(
    served: Served, client: triton.InferenceServerClient, parameters: dict, message: str
) -> None:
    with pytest.raises(InferenceServerException) as refused:
        client.infer(served.model, inputs(IMAGES[0], binary=True), parameters=parameters)
    assert message in str(refused.value)
    assert refused.value.status() == "400"


def test_clients_at_the_same_time_are_all_answered(served: Served, digits: Path, tmp_path: Path) -> None:
    rows = expected(digits, tmp_path, MASKS[1])
    with triton.InferenceServerClient(served.address, concurrency=8, connection_timeout=PATIENCE_S) as client:
        ask = [
            client.async_infer(served.model, inputs(image, binary=True), parameters={"config": 1})
            for _ in range(25)
            for image in IMAGES
        ]
        for number, answer in enumerate(ask):
            assert np.array_equal(answer.get_result().as_numpy("logits"), rows[number % 4][np.newaxis])


def test_prometheus_finds_histograms(served: Served, client: triton.InferenceServerClient) -> None:
    client.infer(served.model, inputs(IMAGES[0], binary=True))
    with urllib.request.urlopen(f"http://{served.address}/metrics") as answer:
        text = answer.read().decode()
    samples = dict(re.findall(r"^(skipgate_\w+(?:\{[^}]*\})?) (\S+)$", text, re.MULTILINE))
    assert len(samples) == sum(not line.startswith("#") for line in text.splitlines()), "every line is a sample"
    for name in ("skipgate_latency_seconds", "skipgate_queueing_seconds"):
        assert f"# TYPE {name} histogram\n" in text
        counts = [int(value) for key, value in samples.items() if key.startswith(f"{name}_bucket")]
        assert counts == sorted(counts)
        assert counts[-1] == int(samples[f"{name}_count"]) > 0
        assert f'{name}_bucket{{le="+Inf"}}' in samples
        assert float(samples[f"{name}_sum"]) > 0


def test_a_server_that_is_told_to_stop_is_not_ready_but_answers(digits: Path) -> None:
    server = Served(digits, "--grace", "2s", "--model-name", "seven")
    assert server.model == "seven"
    with triton.InferenceServerClient(server.address, connection_timeout=PATIENCE_S) as client:
        assert client.is_server_ready()
        server.process.send_signal(signal.SIGTERM)
        while client.is_server_ready():
            assert server.process.poll() is None
        assert not client.is_model_ready("seven")
        assert client.is_server_live()
        client.infer("seven", inputs(IMAGES[0], binary=True))
    _, summary = server.process.communicate(timeout=PATIENCE_S)
    assert server.process.returncode == 0
    assert summary.startswith("1 request: 1 processed, 0 dropped, 0 failed; latency p50"), summary
