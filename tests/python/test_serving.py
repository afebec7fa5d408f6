"""`skipgate serve --http` and NVIDIA's client for the protocol; every command of docs/serving.md that asks a server."""

import http.client
import json
import os
import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException, triton_to_np_dtype

ROOT = Path(__file__).parents[2]
MASKS = ("111111", "110110", "000000")
IMAGES = np.random.default_rng(0).standard_normal((4, 1, 3, 32, 32), np.float32)
PATIENCE_S = 60


def skipgate(*arguments: object) -> None:
    """Run the program."""
    command = [os.environ["SKIPGATE_PROGRAM"], *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


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
    assert re.search(r"\d+ requests: \d+ processed, \d+ dropped, 0 failed", summary), summary


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


def post(address: str, body: bytes, headers: dict[str, str], model: str) -> tuple[int, dict, http.client.HTTPMessage]:
    """Send any bytes as an inference request."""
    connection = http.client.HTTPConnection(address, timeout=PATIENCE_S)
    connection.request("POST", f"/v2/models/{model}/infer", body, headers)
    answer = connection.getresponse()
    status, text, fields = answer.status, answer.read(), answer.headers
    connection.close()
    return status, json.loads(text), fields


def test_whatever_is_sent_is_refused_and_the_next_client_is_answered(
    served: Served, client: triton.InferenceServerClient
) -> None:
    random = np.random.default_rng(1)
    for number in range(200):
        body = random.bytes(int(random.integers(0, 3000)))
        headers = {} if number % 2 else {"Inference-Header-Content-Length": str(random.integers(-5, 3000))}
        status, answer, _ = post(served.address, body, headers, served.model)
        assert status == 400
        assert answer["error"]
    client.infer(served.model, inputs(IMAGES[0], binary=True))
    for headers, expected_status in [({"Content-Encoding": "gzip"}, 415), ({"Content-Length": "9999999999"}, 413)]:
        status, answer, _ = post(served.address, b"{}", headers, served.model)
        assert (status, list(answer)) == (expected_status, ["error"])


def test_more_requests_than_may_wait_are_told_to_come_again(digits: Path) -> None:
    server = Served(digits, "--most-waiting", "1", "--controller", "percentile", "--deadline", "10s")
    data = IMAGES[0].reshape(-1).tolist()
    tensor = {"name": "image", "shape": [1, 3, 32, 32], "datatype": "FP32", "data": data}
    body = json.dumps({"inputs": [tensor], "parameters": {"config": 0}}).encode()
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: post(server.address, body, {}, server.model), range(64)))
    code, summary = server.stop()
    refused = [fields for status, _, fields in answers if status == 503]
    assert {status for status, _, _ in answers} <= {200, 503}
    assert all(fields["Retry-After"] == "1" for fields in refused)
    assert code == 0
    assert f"64 requests: {64 - len(refused)} processed, {len(refused)} dropped, 0 failed" in summary


def test_deadlines_that_are_over_are_told_so(served: Served, client: triton.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException) as late:
        client.infer(served.model, inputs(IMAGES[0], binary=True), parameters={"deadline_ms": 1e-6, "config": 0})
    # Dropped by the controller if the session is busy; else begun too late, or answered too late.
    assert late.value.status() in {"503", "504"}


def test_tensors_of_every_type_are_those_of_skipgate_run(tmp_path: Path) -> None:
    artifact = tmp_path / "tensors"
    skipgate("compile", ROOT / "tests/models/tensors.onnx", "-o", artifact)
    random = np.random.default_rng(2)
    arrays = {
        "pixels": random.integers(0, 256, (1, 3, 6, 6), np.uint8),
        "offset": random.standard_normal((1, 3, 1, 1), np.float32),
    }
    np.savez(tmp_path / "x.npz", **arrays)
    gates = json.loads((artifact / "manifest.json").read_text())["gates"]
    mask = "".join("10"[number % 2] for number in range(len(gates)))
    skipgate("run", artifact, "--input", tmp_path / "x.npz", "--output", tmp_path / "y.npz", "--mask", mask)
    expected = np.load(tmp_path / "y.npz")
    server = Served(artifact)
    names = {"uint8": "UINT8", "float32": "FP32"}
    with triton.InferenceServerClient(server.address, connection_timeout=PATIENCE_S) as client:
        for binary in (True, False):
            asked = []
            for name, array in arrays.items():
                tensor = triton.InferInput(name, list(array.shape), names[array.dtype.name])
                asked.append(tensor.set_data_from_numpy(array, binary_data=binary))
            wanted = [triton.InferRequestedOutput(name, binary_data=binary or name == "half") for name in expected]
            answer = client.infer("tensors", asked, outputs=wanted, parameters={"mask": mask})
            for name in expected:
                found = answer.as_numpy(name)
                assert found.dtype == expected[name].dtype
                assert np.array_equal(found, expected[name]), name
            only = client.infer("tensors", asked, outputs=wanted[:1]).get_response()["outputs"]
            assert len(only) == 1
    assert server.stop()[0] == 0


def test_an_index_outside_of_its_tensor_is_refused(tmp_path: Path) -> None:
    artifact = tmp_path / "indices"
    skipgate("compile", ROOT / "tests/models/indices.onnx", "--ungated", "-o", artifact)
    server = Served(artifact)
    with triton.InferenceServerClient(server.address, connection_timeout=PATIENCE_S) as client:
        specs = client.get_model_metadata("indices")["inputs"]

        def infer(index: int) -> None:
            asked = []
            for spec in specs:
                array = np.zeros(spec["shape"], triton_to_np_dtype(spec["datatype"]))
                array.flat[0] = index if spec["name"] == "words" else 0
                tensor = triton.InferInput(spec["name"], spec["shape"], spec["datatype"])
                asked.append(tensor.set_data_from_numpy(array))
            client.infer("indices", asked)

        infer(6)
        with pytest.raises(InferenceServerException, match=r"input `words` holds 7 at place 0, .* from -7 to 6"):
            infer(7)
        infer(-7)
    assert server.stop()[0] == 0


def test_the_commands_of_the_page_do_what_it_says(served: Served, tmp_path: Path) -> None:
    page = (ROOT / "docs/serving.md").read_text()
    blocks = [block for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if "curl" in block]
    assert len(blocks) == 2
    for block in blocks:
        commands = block.replace("localhost:8000", served.address)
        done = subprocess.run(["bash", "-ec", commands], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["parameters"]["mask"] == "110110"


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
