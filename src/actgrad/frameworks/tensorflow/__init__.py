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
from dataclasses import replace
from functools import cache, reduce
from itertools import combinations_with_replacement
from types import FrameType
from typing import Any

import numpy as np

from actgrad.codegen.source import Dialect, kernel, standalone
from actgrad.errors import CallError, DtypeError, HostError
from actgrad.frameworks.tensorflow import fused
from actgrad.language.expression import plain
from actgrad.language.program import Program
from actgrad.reading.signature import is_number

TABLE: dict[str, str] = {
    "neg": "-{0}",
    "abs": "tf.abs({0})",
    "add": "({0} + {1})",
    "sub": "({0} - {1})",
    "mul": "({0} * {1})",
    "div": "({0} / {1})",
    "floordiv": "_floordiv({0}, {1})",
    "mod": "_mod({0}, {1})",
    "pow": "({0} ** {1})",
    "hypot": "_hypot({0}, {1})",
    "copysign": "_copysign({0}, {1})",
    "floor": "tf.floor({0})",
    "ceil": "tf.math.ceil({0})",
    "trunc": "_trunc({0})",
    "round": "tf.round({0})",
    "sqrt": "tf.sqrt({0})",
    "cbrt": "_cbrt({0})",
    "exp": "tf.exp({0})",
    "exp2": "_exp2({0})",
    "expm1": "tf.math.expm1({0})",
    "log": "tf.math.log({0})",
    "log2": "_log2({0})",
    "log10": "_log10({0})",
    "log1p": "_log1p({0})",
    "sin": "tf.sin({0})",
    "cos": "tf.cos({0})",
    "tan": "tf.tan({0})",
    "asin": "tf.asin({0})",
    "acos": "tf.acos({0})",
    "atan": "tf.atan({0})",
    "atan2": "tf.atan2({0}, {1})",
    "sinh": "_sinh({0})",
    "cosh": "_cosh({0})",
    "tanh": "tf.tanh({0})",
    "asinh": "tf.asinh({0})",
    "acosh": "tf.acosh({0})",
    "atanh": "_atanh({0})",
    "sigmoid": "tf.sigmoid({0})",
    "softplus": "tf.math.softplus({0})",
    "erf": "_erf({0})",
    "erfc": "_erfc({0})",
    "lt": "({0} < {1})",
    "le": "({0} <= {1})",
    "eq": "tf.equal({0}, {1})",
    "and": "tf.logical_and({0}, {1})",
    "or": "tf.logical_or({0}, {1})",
    "not": "tf.logical_not({0})",
    "select": "tf.where({0}, {1}, {2})",
    "given": "{0}",
    "host": "_host",
}

DIALECT = Dialect(
    "tensorflow",
    "import tensorflow as tf",
    TABLE,
    typed="tf.constant({0}, like.dtype)",
    step="tf.cast({0}, like.dtype)",
    # Eager TensorFlow keeps scalars by their Python value, to which -0.0 and 0.0 are one.
    minus_zero="(-tf.constant(0.0, like.dtype))",
    typed_in_calls=True,
    helpers={
        "_trunc": """
def _trunc(x):
    return tf.where(x < 0.0, tf.math.ceil(x), tf.floor(x))
""",
        # Of sizes floormod is exact; with signs it adds y first, which loses small ones. TFLite has it,
        # and has no tf.truncatemod.
        "_truncatemod": """
def _truncatemod(x, y):
    rest = tf.math.floormod(tf.abs(x), tf.abs(y))
    return tf.where(x < 0.0, -rest, rest)
""",
        "_mod": """
def _mod(x, y):
    rest = _truncatemod(x, y)
    other_sign = tf.logical_and(tf.not_equal(rest, 0.0), tf.not_equal(rest < 0.0, y < 0.0))
    rest = tf.where(other_sign, rest + y, rest)
    zero = tf.constant(0.0, x.dtype)
    return tf.where(tf.equal(rest, 0.0), tf.where(y < 0.0, -zero, zero), rest)
""",
        "_floordiv": """
def _floordiv(x, y):  # as Python: not the floor of the rounded quotient, 1.0 // 0.1 is 9.0
    rest = _truncatemod(x, y)
    whole = (x - rest) / y
    below = tf.logical_and(tf.not_equal(rest, 0.0), tf.not_equal(rest < 0.0, y < 0.0))
    whole = tf.where(below, whole - 1.0, whole)
    near = tf.floor(whole)
    near = tf.where(whole - near > 0.5, near + 1.0, near)
    near = tf.where(tf.equal(whole, 0.0), x / y * 0.0, near)
    return tf.where(tf.equal(y, 0.0), x / y, near)
""",
        "_hypot": """
def _hypot(x, y):
    x, y = tf.abs(x), tf.abs(y)
    large = tf.maximum(x, y)
    ratio = tf.math.divide_no_nan(tf.minimum(x, y), large)
    size = tf.where(tf.math.is_nan(x + y), x + y, large * tf.sqrt(1.0 + ratio * ratio))
    infinite = tf.logical_or(tf.math.is_inf(x), tf.math.is_inf(y))
    return tf.where(infinite, tf.constant(float("inf"), x.dtype), size)
""",
        "_copysign": """
def _copysign(x, y):
    x = tf.abs(x)
    return tf.where(tf.where(tf.equal(y, 0.0), 1.0 / y, y) < 0.0, -x, x)
""",
        "_sinh": """
def _sinh(x):  # tf.sinh loses 24 ulp under XLA
    size = tf.abs(x)
    less = tf.math.expm1(size)
    half = tf.exp(0.5 * size)
    large = 0.5 * half * half
    size = tf.where(size < 1.0, 0.5 * (less + less / (less + 1.0)), large - 0.25 / large)
    return tf.where(x < 0.0, -size, tf.where(tf.equal(x, 0.0), x, size))
""",
        "_cosh": """
def _cosh(x):
    half = tf.exp(0.5 * tf.abs(x))
    large = 0.5 * half * half
    return large + 0.25 / large
""",
        "_erf": """
def _erf(x):
    if x.dtype != tf.float64:
        return tf.math.erf(x)
    return tf.where(tf.abs(x) > 6.0, tf.sign(x), tf.math.erf(x))  # nan for 1e200 without XLA
""",
        # XLA takes exp(-x²) of the rounded x², and TensorFlow's own does far out. near² is exact, and from
        # there to x goes a short series.
        "_erfc": """
def _erfc(x):
    grid = 2097152.0 if x.dtype == tf.float64 else 256.0
    y = tf.clip_by_value(x, -28.0, 28.0)
    near = tf.round(y * grid) / grid
    step = y - near
    part = near * step
    area = step * (1.0 - part * (1.0 - part * 0.6666666666666666))
    tail = tf.math.erfc(near)
    slope = 1.1283791670955126 * tf.math.divide_no_nan(tf.exp(-near * near), tail)
    return tail * (1.0 - slope * area)
""",
        "_cbrt": """
def _cbrt(x):
    size = tf.abs(x)
    root = tf.pow(size, tf.constant(1.0 / 3.0, x.dtype))
    better = root - tf.math.divide_no_nan(root - size / root / root, tf.constant(3.0, x.dtype))
    root = tf.where(tf.logical_or(tf.equal(size, 0.0), tf.math.is_inf(size)), size, better)
    return tf.where(x < 0.0, -root, tf.where(tf.equal(x, 0.0), x, root))
""",
        "_exp2": """
def _exp2(x):
    return tf.pow(tf.constant(2.0, x.dtype), x)
""",
        "_log2": """
def _log2(x):
    near = tf.math.log(x) * 1.4426950408889634
    whole = tf.round(near)
    exact = tf.equal(_exp2(whole), x)
    return tf.where(exact, whole, near)
""",
        # XLA's own lose seven bits in float64 at -0.41, and at 0.26.
        "_log1p": """
def _log1p(x):
    if x.dtype != tf.float64:
        return tf.math.log1p(x)
    return tf.where(tf.abs(x) < 0.3, tf.math.log1p(x), tf.math.log(1.0 + x))
""",
        "_atanh": """
def _atanh(x):
    if x.dtype != tf.float64:
        return tf.atanh(x)
    size = tf.abs(x)
    positive = 0.5 * _log1p(2.0 * size / (1.0 - size))
    return tf.where(x < 0.0, -positive, tf.where(x == 0.0, x, positive))
""",
        "_log10": """
def _log10(x):
    near = tf.math.log(x) * 0.4342944819032518
    whole = tf.round(near)
    exact = tf.equal(tf.pow(tf.constant(10.0, x.dtype), whole), x)
    return tf.where(exact, whole, near)
""",
    },
    binding='''
def {name}({signature}):
    """{doc}"""
    first, *others = {arguments}
    first = tf.convert_to_tensor(first)
    return _rule(first, *(tf.convert_to_tensor(a, first.dtype) for a in others))


@tf.custom_gradient
def _rule(*arguments):
    dtype = arguments[0].dtype
    inputs, parameters = arguments[:{size}], arguments[{size}:]

    def gradient(upstream):
        rules = {gradients}
        gradients = [_wide(g, *inputs, upstream, *parameters) for g in rules]
        return [_sum_to(tf.cast(g, dtype), a) for g, a in zip(gradients, arguments)]

    return tf.cast(_wide({value}, *arguments), dtype), gradient


def _wide(function, *tensors):
    """Half types compute in float32 inside."""
    half = tensors[0].dtype in (tf.float16, tf.bfloat16)
    return function(*(tf.cast(t, tf.float32) if half else t for t in tensors))


def _sum_to(gradient, tensor):
    """Add up the gradient over the dimensions in which the tensor was broadcast."""
    shape = tf.shape(tensor)
    gradient = tf.broadcast_to(gradient, tf.broadcast_dynamic_shape(shape, tf.shape(gradient)))
    axes, _ = tf.raw_ops.BroadcastGradientArgs(s0=shape, s1=tf.shape(gradient))
    return tf.reshape(tf.reduce_sum(gradient, axes), shape)
''',
)

# The text for XLA.
_COMPILED = replace(DIALECT, compiled=True)

_RAW = {
    "neg": "Neg(x={0})",
    "abs": "Abs(x={0})",
    "add": "AddV2(x={0}, y={1})",
    "sub": "Sub(x={0}, y={1})",
    "mul": "Mul(x={0}, y={1})",
    "div": "RealDiv(x={0}, y={1})",
    "floor": "Floor(x={0})",
    "ceil": "Ceil(x={0})",
    "sqrt": "Sqrt(x={0})",
    "exp": "Exp(x={0})",
    "log": "Log(x={0})",
    "tanh": "Tanh(x={0})",
    "sigmoid": "Sigmoid(x={0})",
    "lt": "Less(x={0}, y={1})",
    "le": "LessEqual(x={0}, y={1})",
    "eq": "Equal(x={0}, y={1})",
    "and": "LogicalAnd(x={0}, y={1})",
    "or": "LogicalOr(x={0}, y={1})",
    "not": "LogicalNot(x={0})",
    "select": "SelectV2(condition={0}, t={1}, e={2})",
}
# What `tf.floor` and the operators come to: for a small eager call they cost more than the operation.
_EAGER = replace(
    DIALECT,
    table=TABLE | {op: f"(tf.raw_ops.{call})" for op, call in _RAW.items()},
    step="tf.raw_ops.Cast(x={0}, DstT=like.dtype)",
)

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
            dialect = _COMPILED if compiled else DIALECT
            return _value(program, tensors, dtype, dialect), backward_at(tensors)

    loop = fused.Loop(program.name, lambda *tensors: _value(program, tensors, dtype, _COMPILED))
    function = kernel(program, _EAGER, host)
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
