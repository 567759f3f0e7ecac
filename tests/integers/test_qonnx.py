"""int8 in QONNX's executor: every code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("qonnx")

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx

from actgrad.errors import ExportError
from actgrad.workbench.integers import qonnx_models
from tests.integers import oracle
from tests.sample import exhaustive_but


def check_every_code(name: str, scales: int, path: Path, **options: Any) -> Any:
    table = oracle.table(name, scales, **options)
    qonnx_models.write_activation(table, path)
    format, model = table.format, ModelWrapper(str(path))
    onnx.checker.check_model(model.model)
    codes = np.arange(format.first, format.high + 1, dtype=np.float32)
    found = execute_onnx(model, {"x": codes[None]})["y"]
    np.testing.assert_array_equal(found[0], oracle.rounded(name, scales, **options))
    return model


CASES = [(name, scales) for name in oracle.FUNCTIONS for scales in range(3)]
CHOSEN = [("gelu", 1), ("relu", 0), ("spiky", 0), ("gaussian", 2)]


@pytest.mark.parametrize("case", exhaustive_but(CHOSEN, CASES), ids=str)
def test_every_int8_code(case: tuple[str, int], tmp_path: Path) -> None:
    model = check_every_code(*case, tmp_path / "f.onnx")
    assert [node.op_type for node in model.graph.node] == ["MultiThreshold"] * 2 + ["Sub"]
    assert {model.get_tensor_datatype(name).name for name in "xy"} == {"INT8"}


def test_every_uint8_code(tmp_path: Path) -> None:
    model = check_every_code("gelu", 0, tmp_path / "f.onnx", signed=False)
    assert {model.get_tensor_datatype(name).name for name in "xy"} == {"UINT8"}


def test_the_steps_between_fit_their_type(tmp_path: Path) -> None:
    """Of the table that rises and falls most: from end to end at every code."""
    from actgrad import activation

    f = activation(lambda x: 255.0 * (x % 2), name="up_and_down")
    table = f.table((1.0, 0), (1.0, -128))
    qonnx_models.write_activation(table, tmp_path / "f.onnx")
    model = ModelWrapper(str(tmp_path / "f.onnx"))
    inputs = {"x": np.arange(-128, 128, dtype=np.float32)[None]}
    found = execute_onnx(model, inputs, return_full_exec_context=True)
    np.testing.assert_array_equal(found["y"][0], [-128, 127] * 128)
    for name in ("up", "down"):
        kind = model.get_tensor_datatype(name)
        assert kind.min() <= found[name].min() <= found[name].max() <= kind.max()


def test_16_bits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="too many"):
        qonnx_models.write_activation(oracle.table("relu", 0, bits=16), tmp_path / "f.onnx")
    assert not (tmp_path / "f.onnx").exists()
