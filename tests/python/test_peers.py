"""The engines to compare with."""

import json
import subprocess
import sys
from pathlib import Path

import onnx

import oracle
import peers

DIGITS = Path(__file__).parents[2] / "models" / "digits"


def test_subsampling_becomes_pooling() -> None:
    param = "ReLU r 1 1 1 2\nTensor.slice             Tensor.slice_2           1 1 20 24\nPadding p 1 1 24 25\n"
    expected = "ReLU r 1 1 1 2\nPooling Tensor.slice_2 1 1 20 24 0=0 1=1 2=2 5=1\nPadding p 1 1 24 25\n"
    assert peers.subsample(param) == expected


def test_every_engine_answers_every_line(tmp_path: Path) -> None:
    gated = tmp_path / "gated.onnx"
    _with_unused_mask(DIGITS / "resnet20.onnx", gated)
    peers.prepare(DIGITS / "resnet20.onnx", gated, tmp_path / "peers")
    command = [sys.executable, peers.__file__, "measure", tmp_path / "peers", "--threads", "1", "--calls", "2"]
    answers = subprocess.run(command, input="\n\n", text=True, capture_output=True, check=True).stdout.splitlines()
    names = {
        *("ncnn plain", "ncnn pruned", "onnxruntime plain", "onnxruntime pruned"),
        *("onnxruntime gated all-run", "onnxruntime gated all-skip"),
    }
    assert len(answers) == 2
    for answer in map(json.loads, answers):
        assert answer.keys() == names
        assert all(median > 0 for median in answer.values())


def test_a_network_takes_at_least_its_weights(tmp_path: Path) -> None:
    weights = [onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [2, 3], range(6))]
    counts = [onnx.helper.make_tensor("n", onnx.TensorProto.INT64, [2], range(2))]
    graph = onnx.helper.make_graph([], "weights", [], [], initializer=weights + counts)
    assert peers.float_weight_bytes(onnx.helper.make_model(graph)) == 24
    peers.prepare_plain(DIGITS / "resnet20.onnx", tmp_path)
    command = [sys.executable, peers.__file__, "footprint", tmp_path]
    answer = json.loads(subprocess.run(command, text=True, capture_output=True, check=True).stdout)
    assert 0 < answer["weight_bytes"] < answer["onnxruntime_bytes"]


def test_any_network_has_its_engines_or_the_reason_why_not(tmp_path: Path) -> None:
    peers.prepare_plain(DIGITS / "resnet20.onnx", tmp_path)
    command = [sys.executable, peers.__file__, "measure", tmp_path, "--threads", "1", "--calls", "1"]
    (answer,) = subprocess.run(command, input="\n", text=True, capture_output=True, check=True).stdout.splitlines()
    assert json.loads(answer).keys() == {"onnxruntime plain", "ncnn plain", "tract plain"}
    (tmp_path / "plain.ncnn.txt").write_text("it differs")
    (answer,) = subprocess.run(command, input="\n", text=True, capture_output=True, check=True).stdout.splitlines()
    assert json.loads(answer).keys() == {"onnxruntime plain", "tract plain"}


def _with_unused_mask(source: Path, destination: Path) -> None:
    """Give a model the inputs of a gated one; gates themselves are the rewriter's business."""
    model = onnx.load(source)
    gates = len(oracle.gated_blocks(model, gate_first=False))
    model.graph.input.append(onnx.helper.make_tensor_value_info("skip_mask", onnx.TensorProto.BOOL, [gates]))
    onnx.save(model, destination)
