"""ONNX Runtime as the reference of the end-to-end tests, and an independent way to leave residual blocks out.

    oracle.py run MODEL.onnx --input x.npy --output y.npy [--mask 1101...] [--remove 1101...]
    oracle.py batch < jobs.json
    oracle.py check MODEL.onnx
    oracle.py remove MODEL.onnx OUT.onnx --mask 1101...
    oracle.py images MODEL.onnx x.npy IMAGE...

`run` feeds the images of x.npy (`f32 [N, C, H, W]`) one by one and writes `f32 [N, classes]`. `--mask` goes into the
model's `skip_mask` input; `--remove` instead cuts the blocks marked 0 out of an ungated model first, as `remove` does.
`batch` reads a JSON list of such jobs, objects with the keys `model`, `input`, `output` and, as needed, `mask`,
`remove` and `gate_first`, from standard input. `images` turns image files into the x.npy that the model's metadata
asks for.

How blocks are addressed: a residual block is an addition of two activations of equal shape. Its shortcut is the
identity if one of the two is computed from the other. Blocks in a row whose output has one shape form a segment. Gate
i is the i-th identity-shortcut block in the order of the file that is not the first block of its segment; with
`--gate-first` (needed for MobileNetV2, whose segments are opened by units without a shortcut) first blocks count too.
Cutting a block out replaces its addition by the shortcut, so with an activation behind the addition y = relu(x).
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto
from PIL import Image


@dataclass(frozen=True)
class Block:
    """A gated block: the name of its addition's result, and of the shortcut that stays when it is cut out."""

    output: str
    shortcut: str


@dataclass(frozen=True)
class Job:
    """One call of `run`."""

    model: str
    input: str
    output: str
    mask: str | None = None
    remove: str | None = None
    gate_first: bool = False


def run(job: Job) -> None:
    """Run the images of a job one by one."""
    images = np.load(job.input)
    session = _session(job.model, job.remove, job.gate_first)
    image_name = next(value.name for value in session.get_inputs() if value.name != "skip_mask")
    fixed = {} if job.mask is None else {"skip_mask": np.array(parse_mask(job.mask))}
    logits = [session.run(None, {image_name: image[None], **fixed})[0] for image in images]
    np.save(job.output, np.concatenate(logits))


def remove(model: ModelProto, mask: str, *, gate_first: bool) -> ModelProto:
    """Return `model` without the blocks that `mask` marks with 0."""
    return _without(model, gated_blocks(model, gate_first=gate_first), parse_mask(mask))


def _without(model: ModelProto, blocks: list[Block], keep: list[bool]) -> ModelProto:
    if len(keep) != len(blocks):
        raise ValueError(f"the mask has {len(keep)} entries, the model has {len(blocks)} gates")
    result = ModelProto()
    result.CopyFrom(model)
    _rewire(result, {block.output: block.shortcut for block, kept in zip(blocks, keep, strict=True) if not kept})
    _drop_dead_nodes(result)
    return result


def gated_blocks(model: ModelProto, *, gate_first: bool) -> list[Block]:
    """Blocks of the gates, in gate order."""
    producers = {name: node for node in model.graph.node for name in node.output}
    additions = [node for node in model.graph.node if node.op_type == "Add" and set(node.input) <= producers.keys()]
    shapes = _shapes(model, [name for node in additions for name in (*node.input, *node.output)])
    residual = [node for node in additions if len({shapes[name] for name in node.input}) == 1]
    blocks = []
    for _, segment in groupby(residual, key=lambda node: shapes[node.output[0]]):
        for position, node in enumerate(segment):
            shortcut = _identity_shortcut(node, producers)
            if shortcut is not None and (gate_first or position > 0):
                blocks.append(Block(node.output[0], shortcut))
    return blocks


def prepare(model: ModelProto, paths: list[str]) -> NDArray[np.float32]:
    """Decode, resize and normalise images as the metadata `skipgate.preprocessing` says."""
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    preprocessing = json.loads(metadata["skipgate.preprocessing"])
    height, width = (extent.dim_value for extent in model.graph.input[0].type.tensor_type.shape.dim[2:])
    mode = {"rgb": "RGB", "gray": "L"}[preprocessing["color"]]
    images = [Image.open(path).convert(mode).resize((width, height), Image.Resampling.BILINEAR) for path in paths]
    pixels = np.stack([np.asarray(image, np.float32).reshape(height, width, -1) for image in images]) / 255
    normalised = (pixels - np.float32(preprocessing["mean"])) / np.float32(preprocessing["std"])
    return np.ascontiguousarray(normalised.transpose(0, 3, 1, 2))


def parse_mask(text: str) -> list[bool]:
    """From `1101...` (1 = run)."""
    if set(text) - {"0", "1"}:
        raise ValueError(f"a skip mask is written with 0 (skip) and 1 (run), found `{text}`")
    return [digit == "1" for digit in text]


@lru_cache(maxsize=4)
def _session(path: str, removed: str | None, gate_first: bool) -> onnxruntime.InferenceSession:
    """One thread, so that results repeat exactly."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    if _is_quantised(path):
        # Optimised, its products of 8 bits overflow on processors without VNNI instructions.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    model: str | bytes = path
    if removed is not None:
        model = _without(*_analysed(path, gate_first), parse_mask(removed)).SerializeToString()
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _is_quantised(path: str) -> bool:
    """Whether values of the model are rounded, in a gated block or outside of all."""
    graphs = [onnx.load(path, load_external_data=False).graph]
    for graph in graphs:
        for node in graph.node:
            if node.op_type == "QuantizeLinear":
                return True
            graphs.extend(attribute.g for attribute in node.attribute if attribute.HasField("g"))
    return False


@lru_cache(maxsize=1)
def _analysed(path: str, gate_first: bool) -> tuple[ModelProto, list[Block]]:
    """Return the model with its gated blocks, which many masks then share."""
    model = onnx.load(path)
    return model, gated_blocks(model, gate_first=gate_first)


def _shapes(model: ModelProto, names: list[str]) -> dict[str, tuple[int, ...]]:
    """Shapes of intermediate values, by running the model on zeros."""
    probe = ModelProto()
    probe.CopyFrom(model)
    names = sorted(set(names))
    probe.graph.ClearField("output")
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = onnxruntime.InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
    (image,) = session.get_inputs()
    values = session.run(names, {image.name: np.zeros(image.shape, np.float32)})
    return {name: value.shape for name, value in zip(names, values, strict=True)}


def _identity_shortcut(addition: NodeProto, producers: dict[str, NodeProto]) -> str | None:
    """Return the operand from which the other one is computed, if there is one."""
    first, second = addition.input
    if first in _ancestors(second, producers):
        return first
    if second in _ancestors(first, producers):
        return second
    return None


def _ancestors(name: str, producers: dict[str, NodeProto]) -> set[str]:
    """Every value that `name` is computed from."""
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        producer = producers.get(waiting.pop())
        new = set(producer.input) - seen if producer else set()
        seen |= new
        waiting.extend(new)
    return seen


def _rewire(model: ModelProto, shortcuts: dict[str, str]) -> None:
    """Let everything that reads the result of an addition read its shortcut."""
    for node in model.graph.node:
        node.input[:] = [_resolve(name, shortcuts) for name in node.input]


def _resolve(name: str, shortcuts: dict[str, str]) -> str:
    """Follow shortcuts: without an activation in between, one can be the result of another addition cut out."""
    while name in shortcuts:
        name = shortcuts[name]
    return name


def _drop_dead_nodes(model: ModelProto) -> None:
    """Delete nodes and initializers that no output depends on."""
    producers = {name: node for node in model.graph.node for name in node.output}
    outputs = {value.name for value in model.graph.output}
    alive = outputs.union(*(_ancestors(name, producers) for name in outputs))
    for values, names in (
        (model.graph.node, lambda node: set(node.output)),
        (model.graph.initializer, lambda tensor: {tensor.name}),
        (model.graph.value_info, lambda value: {value.name}),
    ):
        kept = [value for value in values if names(value) & alive]
        del values[:]
        values.extend(kept)


def _jobs(text: str) -> Iterator[Job]:
    for job in json.loads(text):
        yield Job(**job)


def main() -> None:
    """Run the command of `sys.argv`."""
    arguments = _parser().parse_args()
    match arguments.command:
        case "run":
            given = {key: value for key, value in vars(arguments).items() if key != "command"}
            run(Job(**given))
        case "batch":
            for job in _jobs(sys.stdin.read()):
                run(job)
        case "check":
            onnx.checker.check_model(arguments.model, full_check=True)
        case "remove":
            result = remove(onnx.load(arguments.model), arguments.mask, gate_first=arguments.gate_first)
            onnx.checker.check_model(result, full_check=True)
            onnx.save(result, arguments.output)
        case "images":
            np.save(arguments.output, prepare(onnx.load(arguments.model), arguments.images))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)

    command = commands.add_parser("run", help="run images one by one")
    command.add_argument("model")
    command.add_argument("--input", required=True)
    command.add_argument("--output", required=True)
    command.add_argument("--mask", help="value of the input `skip_mask`")
    command.add_argument("--remove", help="mask by which blocks are cut out of an ungated model")
    command.add_argument("--gate-first", action="store_true")

    commands.add_parser("batch", help="run the jobs on standard input")

    command = commands.add_parser("check", help="the ONNX checker, with full shape inference")
    command.add_argument("model")

    command = commands.add_parser("remove", help="write an ungated model without some of its blocks")
    command.add_argument("model")
    command.add_argument("output")
    command.add_argument("--mask", required=True)
    command.add_argument("--gate-first", action="store_true")

    command = commands.add_parser("images", help="turn image files into an input")
    command.add_argument("model")
    command.add_argument("output")
    command.add_argument("images", nargs="+")
    return parser


if __name__ == "__main__":
    main()
