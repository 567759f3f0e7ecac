"""int8 in QONNX: an activation by its operation `MultiThreshold`, which counts the thresholds below a number.

That only rises. A table that falls somewhere is the difference of two: its steps up, and its steps down.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from actgrad.errors import ExportError
from actgrad.integers.table import Table

_DOMAIN = "qonnx.custom_op.general"


def write_activation(table: Table, path: Path) -> None:
    """A model of codes, as floats that QONNX knows to be integers, of shape (1, 256)."""
    from onnx import TensorProto, helper, numpy_helper
    from qonnx.core.datatype import DataType
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.transformation.infer_shapes import InferShapes

    format = table.format
    if format.bits != 8:
        raise ExportError("QONNX counts thresholds one by one: a table of 16 bits has too many")
    codes = np.asarray(table).astype(np.int64)
    rises = np.diff(codes, prepend=codes[:1])
    inputs = np.arange(format.first, format.high + 1, dtype=np.float32)

    steps = {"up": np.maximum(rises, 0), "down": np.maximum(-rises, 0)}
    firsts = {"up": float(codes[0]), "down": 0.0}
    nodes = [
        helper.make_node(
            "MultiThreshold", ["x", f"{name}_at"], [name],
            domain=_DOMAIN, out_dtype="INT16", out_bias=firsts[name],
        )
        for name in steps
    ]  # fmt: skip
    nodes.append(helper.make_node("Sub", list(steps), ["y"]))
    numbers = [
        numpy_helper.from_array(np.repeat(inputs, count)[None], f"{name}_at")
        for name, count in steps.items()
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, format.size]) for name in "xy"
    ]
    graph = helper.make_graph(nodes, table.name, ends[:1], ends[1:], numbers)
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid(_DOMAIN, 1)]
    model = ModelWrapper(helper.make_model(graph, opset_imports=opsets, ir_version=9))
    model = model.transform(InferShapes())
    for name in "xy":
        model.set_tensor_datatype(name, DataType[str(format.dtype).upper()])
    model.save(str(path))
