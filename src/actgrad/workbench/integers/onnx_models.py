"""int8 in ONNX: an activation as one lookup, and a model that onnxruntime quantises around it.

The model is exported with a marker in the activation's place. For the calibration a function of the
model itself stands there, with the activation in float32; between the integers on its two sides it becomes
a `GatherElements` from the exact table.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from actgrad.activation import Activation
from actgrad.common.types import Array
from actgrad.errors import ExportError
from actgrad.integers.table import Table
from actgrad.language.expression import const, make, var
from actgrad.language.program import Program
from actgrad.models.swap import override
from actgrad.workbench.export import write_onnx, write_onnx_model

if TYPE_CHECKING:
    import keras
    import onnx

MARK = float(np.float32(1.7182e-21))
"""A marker multiplies by this number, which nothing else does."""
_HELD = "ThresholdedRelu"
_CALL, _DOMAIN = "ActgradLookup", "actgrad"


def write_activation(table: Table, path: Path) -> None:
    """A model of codes: int8 to int8 (or of the table's type), of any shape."""
    import onnx
    from onnx import helper

    kind = helper.np_dtype_to_tensor_dtype(table.format.dtype)
    ends = [helper.make_tensor_value_info(name, kind, None) for name in ("x", "y")]
    nodes, numbers = _lookup(table, "x", "y")
    graph = helper.make_graph(nodes, table.name, ends[:1], ends[1:], numbers)
    opset = [helper.make_opsetid("", 20)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)


def _lookup(table: Table, x: str, y: str) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """The nodes, and the table in the order of the code's bits: a negative index counts from the end.

    `Gather` copies element by element: in onnxruntime 1.31 `GatherElements`, of one axis, takes a twelfth.
    """
    from onnx import TensorProto, helper, numpy_helper

    codes, format = np.asarray(table), table.format
    by_index = np.roll(codes, -format.size // 2) if format.signed else codes
    shape, flat, index, found = (f"{y}_{name}" for name in ("shape", "flat", "index", "found"))
    one_axis, numbers = f"{y}_one_axis", f"{y}_table"
    nodes = [
        helper.make_node("Shape", [x], [shape]),
        helper.make_node("Reshape", [x, one_axis], [flat]),
        helper.make_node("Cast", [flat], [index], to=TensorProto.INT32),
        helper.make_node("GatherElements", [numbers, index], [found], axis=0),
        helper.make_node("Reshape", [found, shape], [y]),
    ]
    constants = {numbers: by_index, one_axis: np.array([-1], np.int64)}
    return nodes, [numpy_helper.from_array(value, name) for name, value in constants.items()]


def write_model(f: Activation, model: keras.Model, data: Array, path: Path) -> int:
    """Write a Keras model in int8, and return how many lookups it has."""
    marked, alone = path.with_name("marked.onnx"), path.with_name("alone.onnx")
    marker = Activation(Program("marker", ("x",), (), make("mul", var("x"), const(MARK))))
    wanted = model.predict(data[:64], verbose=0)
    with override(model, f, marker):
        write_onnx_model(model, marked)
    write_onnx(f, alone)
    return quantise_around(f, marked, alone, data, path, wanted)


def quantise_around(
    f: Activation, marked: Path, alone: Path, data: Array, path: Path, wanted: Array
) -> int:
    """Quantise a model with markers; `alone` is the activation in float32, `wanted` the first answers."""
    import onnx
    from onnxruntime.quantization.shape_inference import quant_pre_process

    clean, whole, quantised = (path.with_name(f"{n}.onnx") for n in ("clean", "whole", "quantised"))
    model = onnx.load(marked)
    _hold_markers(model)
    onnx.save(model, clean)
    quant_pre_process(str(clean), str(clean), skip_symbolic_shape=True)
    onnx.save(_with_calls(onnx.load(clean), onnx.load(alone)), whole)
    _compare(whole, data[: len(wanted)], wanted)
    _quantise(whole, quantised, data)
    final, count = _with_lookups(onnx.load(quantised), f)
    onnx.checker.check_model(final)
    onnx.save(final, path)
    return count


def _hold_markers(model: onnx.ModelProto) -> None:
    """The product becomes an operation that nothing fuses: a product, onnxruntime puts into the weights."""
    from onnx import helper, numpy_helper

    graph = model.graph
    values = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            values[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    marks = {n for n, v in values.items() if v.size == 1 and float(v.reshape(-1)[0]) == MARK}
    for node in graph.node:
        inputs = [name for name in node.input if name not in marks]
        if node.op_type == "Mul" and len(inputs) == 1:
            held = helper.make_node(_HELD, inputs, list(node.output), alpha=MARK)
            node.CopyFrom(held)
    numbers = [i for i in graph.initializer if i.name not in marks]
    nodes = [node for node in graph.node if node.output[0] not in marks]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(numbers)
    graph.node.extend(nodes)


def _compare(path: Path, data: Array, wanted: Array) -> None:
    """Raises `ExportError` if the model with its calls, still in float32, answers otherwise than Keras."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    found = session.run(None, {session.get_inputs()[0].name: data})[0]
    off = float(np.abs(found - wanted).max())
    if not off <= 1e-3 * max(1.0, float(np.abs(wanted).max())):
        raise ExportError(
            f"in float32 already the model answers otherwise: it is off by up to {off:.3g}"
        )


def _with_calls(model: onnx.ModelProto, body: onnx.ModelProto) -> onnx.ModelProto:
    """The model with a call of the float activation at every marker."""
    from onnx import helper

    found = 0
    for node in model.graph.node:
        alphas = [a.f for a in node.attribute if a.name == "alpha"]
        if node.op_type == _HELD and alphas == [MARK]:
            name = f"{_CALL}_{found}"
            inputs, outputs = list(node.input), list(node.output)
            node.CopyFrom(helper.make_node(_CALL, inputs, outputs, name=name, domain=_DOMAIN))
            found += 1
    if not found:
        raise ExportError("the activation was not found again in the model that Keras exported")
    graph = body.graph
    constants = [helper.make_node("Constant", [], [i.name], value=i) for i in graph.initializer]
    ends = [graph.input[0].name], [graph.output[0].name]
    opsets = list(body.opset_import)
    nodes = [*constants, *graph.node]
    model.functions.append(helper.make_function(_DOMAIN, _CALL, *ends, nodes, opsets))
    model.opset_import.append(helper.make_opsetid(_DOMAIN, 1))
    return model


def _quantise(path: Path, quantised: Path, data: Array) -> None:
    """onnxruntime's static quantisation, in its Q-DQ form, of all that it can and of our calls."""
    import onnxruntime
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.operators.qdq_base_operator import QDQOperatorBase
    from onnxruntime.quantization.registry import QDQRegistry

    (name,) = (i.name for i in onnxruntime.InferenceSession(path).get_inputs())
    batches = iter([{name: data[i : i + 64]} for i in range(0, len(data), 64)])

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> object:
            return next(batches, None)

    QDQRegistry[_CALL] = QDQOperatorBase  # integers go in, and come out
    try:
        quantize_static(
            str(path),
            str(quantised),
            Reader(),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=list(QDQRegistry),
        )
    finally:
        del QDQRegistry[_CALL]


def _with_lookups(model: onnx.ModelProto, f: Activation) -> tuple[onnx.ModelProto, int]:
    """DequantizeLinear, call, QuantizeLinear: together one lookup."""
    from onnx import numpy_helper

    graph = model.graph
    values = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)

    def pair(node: onnx.NodeProto) -> tuple[float, int]:
        return float(values[node.input[1]]), int(values[node.input[2]])

    nodes: list[onnx.NodeProto] = []
    gone: set[str] = set()
    """The numbers that nothing computes any more: real ones on both sides of a call."""
    count = 0
    for node in graph.node:
        if node.op_type == "QuantizeLinear" and node.input[0] in gone:
            continue
        if node.op_type != _CALL:
            nodes.append(node)
            continue
        before, after = makers.get(node.input[0]), users.get(node.output[0], [])
        if before is None or before.op_type != "DequantizeLinear" or len(after) != 1:
            raise ExportError("onnxruntime has not quantised both sides of the activation")
        lookup, numbers = _lookup(
            f.table(pair(before), pair(after[0])), before.input[0], after[0].output[0]
        )
        nodes += lookup
        graph.initializer.extend(numbers)
        gone.update(node.output)
        gone.update(name for name in before.output if len(users[name]) == 1)
        count += 1
    del graph.node[:], model.functions[:]
    graph.node.extend(node for node in nodes if node.output[0] not in gone)
    opsets = [opset for opset in model.opset_import if opset.domain != _DOMAIN]
    del model.opset_import[:]
    model.opset_import.extend(opsets)
    return model, count
