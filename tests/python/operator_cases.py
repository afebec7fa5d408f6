"""Writes the test cases that the onnx package defines for operators, one folder for each.

    operator_cases.py FOLDER

A case is a model with inputs and outputs, in the layout of ONNX's own test data: `KIND/NAME/model.onnx`,
`test_data_set_0/input_0.pb`, `output_0.pb` and so on, and the tolerances in `data.json`.
"""

import argparse
import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test import loader
from onnx.backend.test.case import model as model_cases
from onnx.backend.test.case.test_case import TestCase

STORED = ("pytorch-converted", "pytorch-operator")
"""Kinds of which the package has the data."""


def serialized(value: object, info: onnx.ValueInfoProto) -> bytes:
    """Give the file of a value of the type that the model's input or output has."""
    if isinstance(value, onnx.TensorProto):
        return value.SerializeToString()
    convert = {
        "sequence_type": numpy_helper.from_list,
        "optional_type": numpy_helper.from_optional,
        "map_type": numpy_helper.from_dict,
    }.get(info.type.WhichOneof("value"), numpy_helper.from_array)
    return convert(value, info.name).SerializeToString()


def write_values(folder: Path, what: str, values: Iterable[object], infos: Iterable[onnx.ValueInfoProto]) -> None:
    """Write all inputs or all outputs of a run."""
    for number, (value, info) in enumerate(zip(values, infos, strict=False)):
        (folder / f"{what}_{number}.pb").write_bytes(serialized(value, info))


def write_case(folder: Path, case: TestCase) -> None:
    """Write a case that the package defines in Python."""
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(case.model.SerializeToString())
    (folder / "data.json").write_text(json.dumps({"rtol": case.rtol, "atol": case.atol}))
    for number, (inputs, outputs) in enumerate(case.data_sets):
        run = folder / f"test_data_set_{number}"
        run.mkdir()
        write_values(run, "input", inputs, case.model.graph.input)
        write_values(run, "output", outputs, case.model.graph.output)


def copy_case(folder: Path, case: TestCase) -> None:
    """Write a case that the package has as files."""
    shutil.copytree(case.model_dir, folder)
    (folder / "data.json").write_text(json.dumps({"rtol": case.rtol, "atol": case.atol}))


def main() -> None:
    """Write all cases, those defined in Python from one state of the random generator."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    new = folder.with_name(folder.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    # The package draws from this generator.
    np.random.seed(0)
    simple = [case for case in model_cases.collect_testcases() if case.kind == "simple"]
    for kind, cases in (("node", loader.load_node_model_tests()), ("simple", simple)):
        for case in cases:
            write_case(new / kind / case.name, case)
    for kind in STORED:
        for case in loader.load_model_tests(kind=kind):
            copy_case(new / kind / case.name, case)
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)


if __name__ == "__main__":
    main()
