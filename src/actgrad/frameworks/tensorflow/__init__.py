"""TensorFlow: native operations with the derivative in force, eager, in graphs, under XLA.

`tf.custom_gradient` carries reverse mode. Its backward function is itself such a function, made when
it is first needed, so every order follows the same rule. Forward accumulators get a forward rule, and
`tf.vectorized_map`, which loses custom gradients, gets the derivatives as data flow (`_taylor`).
"""

from __future__ import annotations

import math
import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache, reduce
from itertools import combinations_with_replacement
from types import FrameType
from typing import Any

import numpy as np

from actgrad.codegen.dialect import Dialect
from actgrad.codegen.emit import kernel
from actgrad.codegen.standalone import standalone
from actgrad.errors import CallError, DtypeError, HostError
from actgrad.frameworks.tensorflow import fused
from actgrad.frameworks.tensorflow.dialect import (
    COMPILED_DIALECT,
    DIALECT,
    EAGER_DIALECT,
)
from actgrad.language.expression import plain
from actgrad.language.program import Program
from actgrad.reading.signature import is_number

_FLOATS = ("float16", "bfloat16", "float32", "float64")
_HALVES = ("float16", "bfloat16")


# What an error of XLA, which cannot run it, shows of the call.
_HOST_NAME = "host_function_cannot_run_under_XLA_use_jit_compile_False"


def host(function: Callable[..., float]) -> Callable[..., Any]:
    import tensorflow as tf

    def call(*args: Any) -> Any:
        dtype = args[0].dtype

        def on_host(*arrays: Any) -> Any:
            result = np.vectorize(function, otypes=[np.float64])(*arrays)
            return np.asarray(result, dtype.as_numpy_dtype)

        result = tf.numpy_function(on_host, args, dtype, name=_HOST_NAME)
        shape = args[0].shape
        for arg in args[1:]:
            shape = tf.broadcast_static_shape(shape, arg.shape)
        result.set_shape(shape)
        return result

    return call


def call(program: Program, inputs: tuple[Any, ...], parameters: Mapping[str, Any]) -> Any:
    """The activation of tensors, in their dtype."""
    import tensorflow as tf

    x = inputs[0]
    if not parameters and type(x) is _eager_tensor() and tf.executing_eagerly():
        rule = _plain_rule(program, x.dtype)
        if rule and all(type(y) is type(x) and y.dtype == x.dtype for y in inputs[1:]):
            return rule(*inputs)
    if any(isinstance(x, tf.RaggedTensor) for x in inputs):
        return tf.ragged.map_flat_values(lambda *flat: call(program, flat, parameters), *inputs)
    tensors, dtype = _tensors(program, inputs)
    program = program.bound(frozenset(parameters))
    working = tf.float32 if dtype.name in _HALVES else dtype
    numbers = []
    for name, default in program.parameters:
        value = parameters.get(name, default)
        if is_number(value) and not any(map(tf.is_tensor, tf.nest.flatten(value))):
            # In its dtype from the start, so that no float64 comes into a graph.
            tensors.append(tf.constant(np.asarray(value, working.as_numpy_dtype)))
            numbers.append(name)
        else:
            tensors.append(_parameter(program, name, value, working))
    with tf.name_scope(_scope(program.name)):
        return native_rule(program, dtype.name, frozenset(numbers))(*tensors)


@cache
def _eager_tensor() -> Any:
    import tensorflow as tf

    return tf.__internal__.EagerTensor


@cache
def _plain_rule(program: Program, dtype: Any) -> Callable[..., Any] | None:
    """The rule for inputs of this dtype alone; None where there are other arguments to make tensors of."""
    program = program.bound()
    if program.parameters or dtype.name not in _FLOATS:
        return None
    return native_rule(program, dtype.name)


def _tensors(program: Program, inputs: tuple[Any, ...]) -> tuple[list[Any], Any]:
    """The inputs as tensors of one floating dtype: that of the tensors, which arrays and numbers take."""
    import tensorflow as tf

    dtypes = {tf.as_dtype(x.dtype) for x in inputs if hasattr(x, "dtype") and not _is_array(x)}
    for dtype in dtypes:
        if dtype.name not in _FLOATS:
            raise DtypeError(
                f"{program.name!r} got a tensor of dtype {dtype.name}; it takes {', '.join(_FLOATS)}\n"
                f"  Convert it first: `tf.cast(x, tf.float32)`."
            )
    if dtypes == {tf.float16, tf.bfloat16}:  # neither holds the other
        dtypes = {tf.float32}
    dtype = tf.as_dtype(np.result_type(*(dtype.as_numpy_dtype for dtype in dtypes)))
    try:
        tensors = [
            tf.convert_to_tensor(np.asarray(x, dtype.as_numpy_dtype) if _is_array(x) else x)
            if hasattr(x, "dtype")
            else tf.convert_to_tensor(x, dtype)
            for x in inputs
        ]
        return [tf.cast(tensor, dtype) for tensor in tensors], dtype
    except (TypeError, ValueError) as error:
        kinds = ", ".join(type(x).__name__ for x in inputs)
        raise CallError(
            f"{program.name!r} takes dense tensors of real numbers, and got ({kinds}): {error!s:.200}\n"
            f"  A sparse tensor has to be made dense first: `tf.sparse.to_dense(x)`."
        ) from error


def _is_array(x: Any) -> bool:
    return isinstance(x, (np.ndarray, np.generic))


def _parameter(program: Program, name: str, value: Any, dtype: Any) -> Any:
    import tensorflow as tf

    try:
        tensor = tf.convert_to_tensor(value)
    except (TypeError, ValueError):
        tensor = None
    if tensor is None or not (tensor.dtype.is_floating or tensor.dtype.is_integer):
        raise CallError(
            f"the parameter {name!r} of {program.name!r} must be a number or a tensor of real numbers, "
            f"and is {value!r}"
        )
    return tf.cast(tensor, dtype)


@cache
def _scope(name: str) -> str:
    """The name as TensorFlow allows one in a graph."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name).lstrip("_-") or "activation"


@cache
def native_rule(
    program: Program, dtype: str, numbers: frozenset[str] = frozenset()
) -> Callable[..., Any]:
    """The program, in this dtype, of tensors: inputs and parameters by position, with its derivative.

    `numbers` are the parameters whose gradient nobody can ask for.
    """
    import tensorflow as tf
    from tensorflow.python.eager import record

    size = len(program.inputs)
    # By a parameter that its rule does not name, a host function has none, as an unconnected tensor.
    learnt = [name in program.differentiable and name not in numbers for name in program.arguments]

    @cache
    def gradient_at(i: int) -> Program:
        return program.vjp(program.arguments[i])

    def rule_at(i: int, tensors: Sequence[Any], upstream: Any) -> Any:
        gradient = gradient_at(i)
        arguments = (*tensors[:size], upstream, *tensors[size:])
        if _saving():
            if program.on_host:
                raise HostError(
                    f"{program.name!r} runs on the host (host=True), so it cannot be saved in a model\n"
                    f"  Rewrite it with operations that actgrad can read, and drop host=True."
                )
            movable = [*learnt[:size], True, *learnt[size:]]
            return _taylor(gradient, arguments, tensors[i].dtype.name, movable, _SAVED_ORDERS)
        return native_rule(gradient, tensors[i].dtype.name, numbers)(*arguments)

    def backward_at(tensors: Sequence[Any]) -> Callable[..., list[Any]]:
        def backward(upstream: Any) -> list[Any]:
            upstream = tf.convert_to_tensor(upstream)
            if program.gradient and _transposed():
                upstream = reverse_only(upstream)
            return [
                _sum_to(rule_at(i, tensors, upstream), tensors, i) if learnt[i] else None
                for i in range(len(tensors))
            ]

        return backward

    def forward_at(tensors: Sequence[Any], shape: Any) -> Callable[..., list[Any]]:
        def forward(*tangents: Any) -> list[Any]:
            if program.gradient:
                program.partial(program.inputs[0])  # raises: such a rule is reverse mode only
            moved = [
                tf.cast(rule_at(i, tensors, tf.broadcast_to(tangent, shape)), dtype)
                for i, tangent in enumerate(tangents)
                if learnt[i]
            ]
            return [tf.add_n(moved)]

        return forward

    @tf.custom_gradient
    def reverse_only(upstream: Any) -> tuple[Any, Callable[..., Any]]:
        return tf.identity(upstream), lambda _: program.partial(program.inputs[0])  # raises

    @tf.custom_gradient
    def in_graph(*tensors: Any) -> tuple[Any, Callable[..., list[Any]]]:
        # The gradient may be built in another graph, which can reach tensors of this one only.
        tensors = tuple(map(tf.identity, tensors))
        if program.on_host or _saving():
            return _value(program, tensors, dtype), backward_at(tensors)
        with fused.marked(tensors) as compiled:
            dialect = COMPILED_DIALECT if compiled else DIALECT
            return _value(program, tensors, dtype, dialect), backward_at(tensors)

    loop = fused.Loop(
        program.name, lambda *tensors: _value(program, tensors, dtype, COMPILED_DIALECT)
    )
    function = kernel(program, EAGER_DIALECT, host)
    # Tensors of this dtype only, and a new one in their shape: it needs nothing around it.
    alone = (
        not program.parameters
        and dtype not in _HALVES
        and program.spans_inputs
        and plain(program.value).op != "var"
    )

    def eager(tensors: Sequence[Any]) -> Any:
        for tensor in tensors:
            if tensor._num_elements() >= fused.LARGE and not program.on_host:
                found = loop(tensors)
                if found is not None:
                    return found
                break
        return function(*tensors) if alone else _value(program, tensors, dtype)

    def rule(*tensors: Any) -> Any:
        if tf.executing_eagerly() and not record.could_possibly_record():
            return eager(tensors)
        vectorised = not tf.executing_eagerly() and bool(_PFOR.search(tf.get_current_name_scope()))
        if vectorised and not (program.gradient or program.on_host):
            return _taylor(program, tensors, dtype, learnt)
        # Recorded as one operation, for tapes and forward accumulators alike: left to themselves, tapes
        # would keep every intermediate and accumulators, which do not know tf.custom_gradient, would
        # differentiate the operations inside. TensorFlow has no public name for this; it is used here
        # and nowhere else.
        with record.stop_recording():
            result = eager(tensors) if tf.executing_eagerly() else in_graph(*tensors)
            if vectorised:
                message = f"{program.name}: a gradient= rule or a host function is lost around it"
                result = tf.raw_ops.PreventGradient(input=result, message=message)
            shape = result.shape if result.shape.is_fully_defined() else tf.shape(result)
        record.record_operation(
            program.name, [result], tensors, backward_at(tensors), forward_at(tensors, shape)
        )
        return result

    return rule


# The name of the scope in which `tf.vectorized_map` and the jacobians trace what they vectorise; the
# second one in a graph has a number. They rebuild it operation by operation, and what
# tf.custom_gradient said of the whole is lost.
_PFOR = re.compile(r"(^|/)loop_body(_\d+)?(/|$)")
_ORDERS = 3
# In a SavedModel this is above the gradient, so that derivatives up to the third are there.
_SAVED_ORDERS = 2


def _transposed() -> bool:
    """Whether TensorFlow writes the backward half of a tf.function for a forward accumulator around it,
    which differentiates this half by its upstream gradient. Only the caller knows (TensorFlow 2.21)."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "_build_functions_for_outputs":
            return bool(frame.f_locals.get("input_tangents"))
        frame = frame.f_back
    return False


def _saving() -> bool:
    """Whether a SavedModel is being written: it keeps the gradient of a tf.custom_gradient, and drops
    those inside of that gradient (TensorFlow 2.21, `_trace_gradient_functions`)."""
    from tensorflow.python.saved_model import save_context

    return bool(save_context.in_save_context())


def _taylor(
    program: Program,
    tensors: Sequence[Any],
    dtype: str,
    learnt: Sequence[bool],
    orders: int = _ORDERS,
) -> Any:
    """The same value, and the same derivatives up to an order, as plain data flow.

    With z = x - stop(x), which is zero with derivative one: stop(f) + stop(d) z + stop(d') z² / 2 + ...
    Slower, as all derivatives are computed with the value, but there is no rule that could be lost. Beyond
    the last order the derivative is inf or nan, not a zero that looks right.
    """
    import tensorflow as tf

    tensors = [tf.cast(t, tf.float32) if t.dtype.name in _HALVES else t for t in tensors]
    stopped = [tf.stop_gradient(tensor) for tensor in tensors]
    moves = {
        name: tf.where(tf.math.is_finite(x), x - s, tf.zeros_like(x))
        for name, x, s, by in zip(program.arguments, tensors, stopped, learnt, strict=True)
        if by
    }
    working = stopped[0].dtype
    total = tf.stop_gradient(_value(program, stopped, working.name))
    goes_on = False
    for order in range(1, orders + 1):
        for names in combinations_with_replacement(moves, order):
            derived = reduce(Program.partial, names, program)
            goes_on |= order == orders and derived.value.op != "const"
            slope = tf.stop_gradient(_value(derived, stopped, working.name))
            slope = tf.where(tf.math.is_nan(slope), tf.zeros_like(slope), slope)
            slope = tf.clip_by_value(slope, working.min, working.max)  # inf times zero is nan
            for name in names:
                slope *= moves[name]
            total += slope / math.prod(math.factorial(n) for n in Counter(names).values())
    if goes_on:  # zero, with its derivatives up to the last order; the next one is infinite
        total += tf.pow(sum(moves.values()), orders + 0.5)
    return tf.cast(total, dtype)


def _value(program: Program, tensors: Sequence[Any], dtype: str, dialect: Dialect = DIALECT) -> Any:
    """The program's value; half types compute in float32 inside."""
    import tensorflow as tf

    tensors = [tf.cast(t, tf.float32) if t.dtype.name in _HALVES else t for t in tensors]
    result = kernel(program, dialect, host)(*tensors)
    if not program.spans_inputs:
        result = _spread(result, tensors)
    if result.dtype.name != dtype:
        return tf.cast(result, dtype)
    return tf.identity(result) if any(result is tensor for tensor in tensors) else result


def _spread(result: Any, tensors: Sequence[Any]) -> Any:
    """A value that does not mention every argument, in the shape of all of them."""
    import tensorflow as tf

    tensors = [tensor for tensor in tensors if tensor.shape.rank != 0] or tensors[:1]
    static = reduce(tf.broadcast_static_shape, (tensor.shape for tensor in tensors))
    if static.is_fully_defined():
        return result if result.shape == static else tf.broadcast_to(result, static)
    shape = reduce(tf.broadcast_dynamic_shape, map(tf.shape, tensors))
    result = tf.broadcast_to(result, shape)
    result.set_shape(static)
    return result


def _sum_to(gradient: Any, tensors: Sequence[Any], i: int) -> Any:
    """Add up the gradient over the dimensions in which that tensor was broadcast."""
    import tensorflow as tf

    tensor, others = tensors[i], (*tensors[:i], *tensors[i + 1 :])
    if all(other.shape.rank == 0 for other in others):  # it is not, though its shape may be unknown
        return gradient
    if gradient.shape.is_fully_defined() and gradient.shape == tensor.shape:
        return gradient
    shape = tf.shape(tensor)
    axes, _ = tf.raw_ops.BroadcastGradientArgs(s0=shape, s1=tf.shape(gradient))
    summed = tf.reshape(tf.reduce_sum(gradient, axes), shape)
    summed.set_shape(tensor.shape)
    return summed


def native(program: Program) -> Callable[..., Any]:
    """The activation as a function of tensors: inputs by position, parameters by keyword."""
    import tensorflow as tf

    @tf.autograph.experimental.do_not_convert
    def function(*inputs: Any, **parameters: Any) -> Any:
        return call(program, inputs, parameters)

    return function


def source(program: Program) -> str:
    return standalone(program, DIALECT)
