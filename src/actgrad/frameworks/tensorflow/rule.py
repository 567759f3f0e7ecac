"""The rule by which TensorFlow follows a program: to any order, in every mode."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from types import FunctionType

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import record

from actgrad.codegen.emit import kernel
from actgrad.codegen.size import is_long, operations
from actgrad.common.types import Array, Function
from actgrad.errors import CallError, HostError, UnfusedWarning
from actgrad.frameworks import rows
from actgrad.frameworks.patience import saying
from actgrad.frameworks.tensorflow.binding import Kernel, RowKernel, Rule, is_large
from actgrad.frameworks.tensorflow.data_flow import data_flow
from actgrad.frameworks.tensorflow.dialect import DIALECT
from actgrad.language.expression import const, substitute, variables, walk
from actgrad.language.kept import kept
from actgrad.language.program import Program
from actgrad.language.rewrite import rewrite

MOST_OPERATIONS = 4000
"""A longer program is not compiled: XLA takes a millisecond and more for each operation."""

ORDERS = 3
"""Derivatives that are kept where they are data flow: in `tf.vectorized_map`, in a SavedModel, and for a
forward accumulator within a graph."""


class ProgramKernel(Kernel):
    """A program's value."""

    def __init__(self, program: Program) -> None:
        super().__init__(with_eager_numbers(kernel(program, DIALECT, host)), program.spans_inputs)
        self.name = program.name
        self.operations = operations(program.value)
        self.fuses = not program.on_host and self.operations <= MOST_OPERATIONS
        self.warned = program.on_host

    def __call__(self, tensors: Sequence[tf.Tensor], dtype: tf.DType) -> tf.Tensor:
        if not (self.fuses or self.warned) and any(map(is_large, tensors)):
            self.warned = True
            self.warn(f"XLA would take long to compile its {self.operations:,} operations")
        return super().__call__(tensors, dtype)

    def compile(self, tensors: Sequence[tf.Tensor], dtype: tf.DType) -> tuple[Function, tf.Tensor]:
        with saying("XLA", self.name, on_disk=False):
            return super().compile(tensors, dtype)

    def warn(self, reason: str) -> None:
        warnings.warn(
            f"{self.name!r} runs unfused in TensorFlow: right, and several times slower where large\n"
            f"  {reason}",
            UnfusedWarning,
            stacklevel=2,
        )


def with_eager_numbers(function: Function) -> Function:
    """A kernel whose numbers are tensors where its operations run one by one, made once for each dtype and
    device. TensorFlow keeps every Python number that an operation has met as long as the process lives."""
    numbers = {n: v for n, v in function.__globals__.items() if isinstance(v, float)}
    made: dict[tuple[tf.DType, str], Function] = {}

    def call(*tensors: tf.Tensor) -> tf.Tensor:
        if not tf.executing_eagerly():
            return function(*tensors)
        like = tensors[0]
        key = like.dtype, like.device
        if key not in made:
            dtype = like.dtype.as_numpy_dtype
            with tf.device(like.device), np.errstate(over="ignore"):  # beyond float32: infinities
                own = {n: tf.constant(np.asarray(v, dtype)) for n, v in numbers.items()}
            made[key] = FunctionType(function.__code__, function.__globals__ | own)
        return made[key](*tensors)

    return call if numbers else function


class ProgramRowKernel(RowKernel, ProgramKernel):
    """A program of rows. XLA sorts on one core, so what sorts runs operation by operation."""

    def __init__(self, program: Program) -> None:
        ProgramKernel.__init__(self, program)
        sorts = any(node.op == "order" for node in walk(program.value))
        self.fuses, self.warned = self.fuses and not sorts, self.warned or sorts


class ProgramRule(Rule):
    """A program of tensors: its derivatives are rules in their turn, so every order follows them."""

    def __init__(self, program: Program, dtype: str, numbers: frozenset[str]) -> None:
        kind = ProgramKernel if program.axis is None else ProgramRowKernel
        super().__init__(kind(program), (), len(program.inputs), is_long(program))
        self.program = program
        self.result = tf.as_dtype(dtype)
        self.numbers = numbers
        # By a parameter that its rule does not name, a host function has none, as an unconnected tensor;
        # by an input it raises.
        known = {*program.inputs, *program.differentiable} - numbers
        self.learnt = [name in known for name in program.arguments]

    def __call__(self, *tensors: tf.Tensor) -> tf.Tensor:
        if tf.executing_eagerly():
            if not record.could_possibly_record():
                return self.value(tensors, self.result)
        elif self.may_be_data_flow and is_vectorised():
            return self.as_data_flow(self.program, tensors, self.learnt, ORDERS)
        return super().__call__(*tensors)

    def in_forward_mode(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        if self.program.gradient:
            self.program.partial(self.program.reverse_only[0])  # raises
        if self.program.on_host or self.program.axis is not None:
            return super().in_forward_mode(tensors)
        return self.as_data_flow(self.program, tensors, self.learnt, ORDERS)

    def dtype(self, tensors: Sequence[tf.Tensor]) -> tf.DType:
        return self.result

    @property
    def may_be_data_flow(self) -> bool:
        return not (self.program.gradient or self.program.on_host or self.program.axis is not None)

    def hidden(self, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor | None]:
        if self.program.gradient and tf.executing_eagerly():
            tensors = [self.in_reverse_mode_only(t) for t in tensors]
        return super().hidden(tensors)

    def forward(self, *tensors: tf.Tensor) -> tuple[list[tf.Tensor], Function]:
        results, backward = super().forward(*tensors)
        if not (tf.executing_eagerly() or self.may_be_data_flow) and is_vectorised():
            # vectorized_map drops the rule; this stays, and raises.
            results[0] = self.without_gradient(results[0])
        return results, backward

    def without_gradient(self, result: tf.Tensor) -> tf.Tensor:
        """The same, which raises where it is differentiated."""
        what = "a gradient= rule, a host function or one of a row is lost around it"
        return tf.raw_ops.PreventGradient(input=result, message=f"{self.program.name}: {what}")

    def backward(self, tensors: Sequence[tf.Tensor], upstream: tf.Tensor) -> list[tf.Tensor | None]:
        if not isinstance(upstream, tf.Tensor):  # slices
            upstream = tf.convert_to_tensor(upstream)
        if (
            self.program.gradient
            and is_elsewhere(tensors[0])
            and not is_saved(upstream)
            and not is_linear(self.program)
        ):
            # A forward accumulator around a tf.function differentiates its backward half by the
            # upstream gradient. So does a second derivative around one, which is refused as well.
            upstream = self.in_reverse_mode_only(upstream)
        return super().backward(tensors, upstream)

    def gradient(
        self, i: int, tensors: Sequence[tf.Tensor], upstream: tf.Tensor
    ) -> tf.Tensor | None:
        if not self.learnt[i]:
            return None
        if is_elsewhere(tensors[0]) and is_saved(upstream):
            return self.as_saved(i, tensors, upstream)
        program = self.program.vjp(self.program.arguments[i])
        rule = rule_for(program, tensors[i].dtype.name, self.numbers)
        return rule(*self.arguments(tensors, upstream))

    def as_saved(self, i: int, tensors: Sequence[tf.Tensor], upstream: tf.Tensor) -> tf.Tensor:
        """A SavedModel keeps the gradient of a tf.custom_gradient, and drops rules inside of it."""
        if self.program.on_host:
            raise HostError(
                f"{self.program.name!r} runs on the host (host=True), so it cannot be saved in a model\n"
                f"  Rewrite it with operations that actgrad can read, and drop host=True."
            )
        gradient = self.program.vjp(self.program.arguments[i])
        arguments, dtype = self.arguments(tensors, upstream), tensors[i].dtype
        if self.program.axis is not None:
            found = rule_for(gradient, dtype.name).value(arguments, dtype)
            return self.without_gradient(found)
        learnt = [*self.learnt[: self.size], True, *self.learnt[self.size :]]
        return tf.cast(self.as_data_flow(gradient, arguments, learnt, ORDERS - 1), dtype)

    def as_data_flow(
        self, program: Program, tensors: Sequence[tf.Tensor], learnt: Sequence[bool], orders: int
    ) -> tf.Tensor:
        def evaluate(program: Program, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
            return rule_for(program, tensors[0].dtype.name).value(tensors, tensors[0].dtype)

        return tf.cast(data_flow(program, tensors, learnt, orders, evaluate), self.result)

    def in_reverse_mode_only(self, tensor: tf.Tensor) -> tf.Tensor:
        """The same tensor. Forward accumulators ask for its derivative at once, and are refused."""

        @tf.custom_gradient
        def identity(tensor: tf.Tensor) -> tuple[tf.Tensor, Function]:
            return tf.identity(tensor), lambda _: self.program.partial(self.program.reverse_only[0])

        return identity(tensor)


def rule_for(program: Program, dtype: str, numbers: frozenset[str] = frozenset()) -> ProgramRule:
    """The rule of this program, for results of this dtype.

    Programs that differ in their parameters' values share one, as those are arguments. `numbers` are the
    parameters whose gradient nobody can ask for.
    """
    return _rule(program.structure, dtype, numbers)


@kept
def _rule(program: Program, dtype: str, numbers: frozenset[str]) -> ProgramRule:
    return ProgramRule(program, dtype, numbers)


def check_known(program: Program, tensors: Sequence[tf.Tensor], axis: int | None) -> None:
    """Raises `CallError` where rows of an unknown length might not fit."""
    inputs = tensors[: len(program.inputs)]
    ranks = [x.shape.rank for x in inputs]
    if None in ranks:
        raise CallError(
            f"{program.name!r} is a function of a row, and got a tensor of unknown rank"
        )
    axis = rows.last_axis(program, max(ranks), axis)
    lengths = [x.shape[axis] for x in inputs if x.shape.rank >= -axis]
    if None in lengths and not (program.takes_any_length and len(inputs) == 1):
        raise CallError(
            f"{program.name!r} does not take rows of every length, or takes several, and got one of a "
            f"length that is not known yet\n  Give the tensor a shape: `tf.ensure_shape(x, shape)`."
        )


# Where TensorFlow loses or rewrites a rule.

_LOOP_BODY = re.compile(r"(^|/)loop_body(_\d+)?(/|$)")


def is_vectorised() -> bool:
    """Whether `tf.vectorized_map` or a jacobian traces what it rebuilds operation by operation: then
    what tf.custom_gradient says of the whole is lost. The scope's name tells (TensorFlow 2.21)."""
    return bool(_LOOP_BODY.search(tf.get_current_name_scope()))


def is_elsewhere(tensor: tf.Tensor) -> bool:
    """Whether the gradient is built in another graph than the value was."""
    return tf.is_symbolic_tensor(tensor) and tensor.graph is not tf.compat.v1.get_default_graph()


def is_saved(upstream: tf.Tensor) -> bool:
    """Whether a gradient, built in another graph than the value was, is written to a SavedModel: as a
    function of the upstream gradient, that stands in no other function. (A loop's gradient stands within
    that of the function around it.)"""
    graph = tf.compat.v1.get_default_graph()
    return not graph.outer_graph.building_function and any(upstream is t for t in graph.inputs)


@kept
def is_linear(program: Program) -> bool:
    """Whether the whole gradient is linear in the upstream gradient, as that of a derivative is."""
    upstream = program.upstream
    if program.axis is not None:
        return not program.gradient
    for name in program.inputs:
        gradient = program.vjp(name)
        at_zero = rewrite(substitute(gradient.value, {upstream: const(0.0)}))[0]
        slope = gradient.partial(upstream).value
        if at_zero is not const(0.0) or upstream in variables(slope):
            return False
    return True


def host(function: Function) -> Function:
    """The Python function of numbers as a callback on the host."""

    def call(*args: tf.Tensor) -> tf.Tensor:
        dtype = args[0].dtype

        def on_host(*arrays: Array) -> tf.Tensor:
            result = np.vectorize(function, otypes=[np.float64])(*arrays)
            return np.asarray(result, dtype.as_numpy_dtype)

        # XLA, which cannot run it, names it in its error.
        name = "host_function_cannot_run_under_XLA_use_jit_compile_False"
        result = tf.numpy_function(on_host, args, dtype, name=name)
        shape = args[0].shape
        for arg in args[1:]:
            shape = tf.broadcast_static_shape(shape, arg.shape)
        result.set_shape(shape)
        return result

    return call
