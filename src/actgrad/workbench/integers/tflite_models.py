"""int8 in TFLite: an activation as one lookup, and a model that the converter quantises around it.

The model is converted with fine steps (`BUCKETIZE`, `GATHER`) in the activation's place, which the converter
calibrates as it does everything. Between the integers on their two sides they become a `GATHER` from the
exact table of 256 codes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from actgrad.activation import Activation
from actgrad.common.types import Array
from actgrad.errors import ExportError
from actgrad.integers.table import Table
from actgrad.workbench.export import tflite_converter, write_tflite

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

Part = Any
"""Of a TFLite model as objects, whose classes are made from its schema."""
_STEPS = 3989
"""How many steps stand for the activation while it is calibrated: a prime, to be told from others."""


def write_activation(table: Table, path: Path) -> None:
    """A model of codes: int8 to int8 (or of the table's type), of any shape of one axis."""
    import tensorflow as tf

    format = table.format
    kind, codes = tf.as_dtype(format.dtype), np.asarray(table)

    @tf.function(input_signature=[tf.TensorSpec([None], kind, "x")])
    def lookup(x: tf.Tensor) -> tf.Tensor:
        return tf.gather(tf.constant(codes), tf.cast(x, tf.int32) - format.first)

    write_tflite(lookup, path)


def write_model(f: Activation, model: keras.Model, data: Array, path: Path) -> int:
    """Write a Keras model in int8, and return how many lookups it has."""
    import tensorflow as tf

    with _steps(f, model) as steps:
        for i in range(0, len(data), 256):
            model(data[i : i + 256])
        for each in steps:
            each.recording = False
        places = len(steps)
        converter = tflite_converter(model, path)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([data[i : i + 1]] for i in range(len(data)))
    count = _with_lookups(bytearray(converter.convert()), f, path)
    if count < places:
        raise ExportError(
            f"of {places} activations the converter has quantised {count} on both sides"
        )
    return count


class _Steps:
    """The activation as a fine table, over the range of inputs that were seen while recording."""

    def __init__(self, f: Activation) -> None:
        self.f = f
        self.recording = True
        self.low, self.high = 0.0, 0.0

    def __call__(self, x: tf.Tensor, **_: object) -> tf.Tensor:
        import tensorflow as tf

        if self.recording:
            self.low = min(self.low, float(tf.reduce_min(x)))
            self.high = max(self.high, float(tf.reduce_max(x)))
            return self.f(x)
        edges = np.linspace(self.low, self.high, _STEPS + 1)
        values = np.asarray(self.f((edges[1:] + edges[:-1]) / 2), np.float32)
        step = tf.raw_ops.Bucketize(input=x, boundaries=edges[1:-1].tolist())
        return tf.gather(tf.constant(values), step)


@contextmanager
def _steps(f: Activation, model: object) -> Iterator[list[_Steps]]:
    """The model with steps wherever it has the activation."""
    from actgrad.frameworks.keras import ActivationLayer
    from actgrad.models.keras import places
    from actgrad.models.place import attribute

    found = []
    with ExitStack() as stack:
        for place in list(places(model)):
            if not (isinstance(place.held, Activation) and place.held == f):
                continue
            steps = _Steps(f)
            own = isinstance(place.owner, ActivationLayer)
            put = attribute(vars(place.owner), "call") if own else place.put
            stack.callback(put(steps))
            found.append(steps)
        yield found


def _with_lookups(content: bytearray, f: Activation, path: Path) -> int:
    """BUCKETIZE and GATHER between int8 tensors become CAST, ADD and GATHER from the exact table."""
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(content)
    count = sum(
        _Graph(model, graph, flatbuffer_utils.schema_fb).replace(f) for graph in model.subgraphs
    )
    if not count:
        raise ExportError("the converter has not quantised both sides of the activation")
    flatbuffer_utils.write_model(model, str(path))
    return count


class _Graph:
    """A subgraph of a TFLite model, which is rewritten."""

    def __init__(self, model: Part, graph: Part, schema: ModuleType) -> None:
        self.model, self.graph, self.schema = model, graph, schema
        self.makers = {int(t): op for op in graph.operators for t in op.outputs}

    def replace(self, f: Activation) -> int:
        """Replace every activation, and return how many there were."""
        count, operators = 0, []
        for op in self.graph.operators:
            index = self.makers.get(int(op.inputs[1])) if self._is(op, "GATHER") else None
            if index is not None and self._is_ours(index):
                operators += self._lookup(op, index, f)
                count += 1
            else:
                operators.append(op)
        for name in ("BUCKETIZE", "DEQUANTIZE"):  # what nobody reads any more
            read = {int(t) for op in operators for t in op.inputs} | set(
                map(int, self.graph.outputs)
            )
            operators = [
                op for op in operators if not self._is(op, name) or read & set(map(int, op.outputs))
            ]
        self.graph.operators = operators
        return count

    def _code(self, op: Part) -> int:
        code = self.model.operatorCodes[op.opcodeIndex]
        return int(max(code.builtinCode, code.deprecatedBuiltinCode))

    def _is(self, op: Part, name: str) -> bool:
        return self._code(op) == getattr(self.schema.BuiltinOperator, name)

    def _is_ours(self, op: Part) -> bool:
        return self._is(op, "BUCKETIZE") and len(op.builtinOptions.boundaries) == _STEPS - 1

    def _lookup(self, gather: Part, steps: Part, f: Activation) -> list[Part]:
        real = self.makers.get(int(steps.inputs[0]))
        x = None if real is None or not self._is(real, "DEQUANTIZE") else int(real.inputs[0])
        y = int(gather.outputs[0])
        int8 = self.schema.TensorType.INT8
        if x is None or {self.graph.tensors[t].type for t in (x, y)} != {int8}:
            raise ExportError("the converter has not quantised both sides of the activation")
        table = f.table(self._pair(x), self._pair(y), rounding="away")
        int32, like = self.schema.TensorType.INT32, self.graph.tensors[x]
        wide, index = (
            self._tensor(f"{f.name}_{n}", int32, like.shape, None) for n in ("code", "index")
        )
        for tensor in (wide, index):
            self.graph.tensors[tensor].shapeSignature = like.shapeSignature
        first = self._tensor(
            f"{f.name}_first", int32, [], np.asarray(-table.format.first, np.int32)
        )
        codes = self._tensor(f"{f.name}_table", int8, [256], np.asarray(table))
        self.graph.tensors[codes].quantization = self.graph.tensors[y].quantization
        cast = self._operator("CAST", [x], [wide], "CastOptions")
        cast.builtinOptions.inDataType, cast.builtinOptions.outDataType = int8, int32
        add = self._operator("ADD", [wide, first], [index], "AddOptions")
        gather.inputs = [codes, index]
        return [cast, add, gather]

    def _pair(self, tensor: int) -> tuple[float, int]:
        quantised = self.graph.tensors[tensor].quantization
        return float(quantised.scale[0]), int(quantised.zeroPoint[0])

    def _tensor(self, name: str, kind: int, shape: object, numbers: Array | None) -> int:
        buffer = self.schema.BufferT()
        buffer.data = None if numbers is None else np.frombuffer(numbers.tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        tensor = self.schema.TensorT()
        tensor.name, tensor.type, tensor.shape = f"{name}_{len(self.graph.tensors)}", kind, shape
        tensor.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def _operator(self, name: str, inputs: list[int], outputs: list[int], options: str) -> Part:
        code = self.schema.OperatorCodeT()
        code.builtinCode = getattr(self.schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
        self.model.operatorCodes.append(code)
        op = self.schema.OperatorT()
        op.opcodeIndex = len(self.model.operatorCodes) - 1
        op.inputs, op.outputs = inputs, outputs
        op.builtinOptionsType = getattr(self.schema.BuiltinOptions, options)
        op.builtinOptions = getattr(self.schema, f"{options}T")()
        return op
