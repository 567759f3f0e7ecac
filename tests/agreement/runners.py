"""Every framework and way of running: value, first and second derivatives of a program at once.

A runner takes a program, the columns of its inputs and the dtype's name, and answers with arrays of
float64: the value; its derivative by each input; and the derivatives of the first of these by each.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax
import jax.numpy as jnp
import numpy as np
import tensorflow as tf
import torch

from actgrad.activation import Activation
from actgrad.language.program import Program

Answers = list[np.ndarray]
Runner = Callable[[Program, list[Any], str], Answers]


def names(program: Program) -> list[tuple[str, ...]]:
    """Which derivative each answer is: () is the value."""
    first = program.inputs[0]
    return [(), *((n,) for n in program.inputs), *((first, n) for n in program.inputs)]


def of_numpy(program: Program, columns: list[Any], dtype: str) -> Answers:
    from ml_dtypes import bfloat16

    at = [column.astype(bfloat16 if dtype == "bfloat16" else dtype) for column in columns]
    first = program.partial(program.inputs[0])
    chain = [program, *map(program.partial, program.inputs), *map(first.partial, program.inputs)]
    return [np.asarray(Activation(one)(*at)).astype(np.float64) for one in chain]


def of_tensorflow(wrap: Callable[[Any], Any]) -> Runner:
    def run(program: Program, columns: list[Any], dtype: str) -> Answers:
        f = Activation(program)

        def all_orders(*xs: Any) -> Any:
            with tf.GradientTape() as outer:
                outer.watch(xs)
                with tf.GradientTape() as tape:
                    tape.watch(xs)
                    value = f(*xs)
                slopes = tape.gradient(value, xs)
            bends = outer.gradient(slopes[0], xs, unconnected_gradients="zero")
            return [value, *slopes, *bends]

        at = [tf.cast(tf.constant(column), dtype) for column in columns]
        found = wrap(all_orders)(*at)
        assert {x.dtype.name for x in found} == {dtype}
        return [tf.cast(x, tf.float64).numpy() for x in found]

    return run


def of_jax(wrap: Callable[[Any], Any]) -> Runner:
    def run(program: Program, columns: list[Any], dtype: str) -> Answers:
        f = Activation(program)

        def slopes(*xs: Any) -> Any:
            value, pull = jax.vjp(f, *xs)
            first, *others = pull(jnp.ones_like(value))
            return first, [value, first, *others]

        def all_orders(*xs: Any) -> Any:
            first, pull, found = jax.vjp(slopes, *xs, has_aux=True)
            return [*found, *pull(jnp.ones_like(first))]

        with jax.enable_x64(dtype == "float64"):
            found = wrap(all_orders)(*(jnp.asarray(column, dtype) for column in columns))
            assert {x.dtype.name for x in found} == {dtype}
            return [np.asarray(x).astype(np.float64) for x in found]

    return run


def of_torch(program: Program, columns: list[Any], dtype: str) -> Answers:
    f = Activation(program)
    at = [_torch_column(column, dtype).requires_grad_() for column in columns]

    def slopes(value: Any) -> Any:
        return torch.autograd.grad(
            value.sum(), at, create_graph=True, allow_unused=True, materialize_grads=True
        )

    value = f(*at)
    first = slopes(value)
    bends = slopes(first[0]) if first[0].requires_grad else map(torch.zeros_like, at)
    return _from_torch([value, *first, *bends], dtype)


def of_torch_compiled(**options: Any) -> Runner:
    """All in one graph: compiling takes seconds."""

    def run(program: Program, columns: list[Any], dtype: str) -> Answers:
        f = Activation(program)

        def slopes(*xs: Any) -> Any:
            value, pull = torch.func.vjp(f, *xs)
            first, *others = pull(torch.ones_like(value))
            return first, (value, first, *others)

        def all_orders(*xs: Any) -> Any:
            first, pull, found = torch.func.vjp(slopes, *xs, has_aux=True)
            return [*found, *pull(torch.ones_like(first))]

        torch._dynamo.reset()
        compiled = torch.compile(all_orders, fullgraph=True, **options)
        return _from_torch(compiled(*(_torch_column(c, dtype) for c in columns)), dtype)

    return run


def _torch_column(column: Any, dtype: str) -> Any:
    return torch.tensor(column).to(getattr(torch, dtype))


def _from_torch(found: list[Any], dtype: str) -> Answers:
    assert {x.dtype for x in found} == {getattr(torch, dtype)}
    return [x.detach().double().numpy() for x in found]


def plainly(function: Any) -> Any:
    return function


def with_xla(function: Any) -> Any:
    return tf.function(function, jit_compile=True, autograph=False)


def one_by_one(function: Any) -> Any:
    """Each operation of JAX alone, which compiles it once for all programs."""

    def run(*xs: Any) -> Any:
        with jax.disable_jit():
            return function(*xs)

    return run


@dataclass(frozen=True)
class Mode:
    """A way of running, and of how many programs it takes one in each dtype: compiling takes long, and
    TensorFlow keeps what XLA has compiled (5 MB for each program)."""

    run: Runner
    sample: int = 1
    fuzz: int = 1


MODES = {
    "NumPy": Mode(of_numpy),
    "TensorFlow eager": Mode(of_tensorflow(plainly)),
    "TensorFlow jit_compile": Mode(of_tensorflow(with_xla), 12, 400),
    "JAX operations": Mode(of_jax(one_by_one), 25, 3),
    "JAX eager": Mode(of_jax(plainly), 25, 250),
    "JAX jit": Mode(of_jax(jax.jit), 8, 60),
    "PyTorch eager": Mode(of_torch),
    "PyTorch compile(aot_eager)": Mode(of_torch_compiled(backend="aot_eager"), 25, 100),
    "PyTorch compile": Mode(of_torch_compiled(), 25, 500),
}
