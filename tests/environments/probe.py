"""Values and gradients of activations of every kind, in the process as it was set up.

    python probe.py FRAMEWORK...

The oracle is Python: each function as it is, and its slope written by hand. A framework may be named with
a setting of its own, as in `torch:float64`. What is generated is printed, to be compared with another
process's.
"""

from __future__ import annotations

import hashlib
import math
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from actgrad import activation

X = [-2.5, -1.0, -0.3, 0.2, 0.6, 1.7]
LARGE = 66_000
"""From so many numbers on each framework computes by a loop that is compiled, where there is a compiler."""


@dataclass
class Case:
    f: Any
    value: Callable[[float], float]
    slope: Callable[[float], float]


def spiky(x):
    r = x % 1
    return r if r <= 0.5 else 0


def d_spiky(x):
    return 1.0 if x % 1 <= 0.5 else 0.0


def swish(x, b=1.5):
    return x / (1 + math.exp(-b * x))


def d_swish(x):
    s = 1 / (1 + math.exp(-1.5 * x))
    return s + 1.5 * x * s * (1 - s)


def logarithm(x):
    return math.log(x) if x > 0.5 else x


CASES = [
    Case(activation(spiky, derivative=d_spiky), spiky, d_spiky),
    Case(activation(swish), swish, d_swish),
    Case(
        activation(
            lambda v, k=2.0: 1.0 if v >= 0 else 0.0,
            surrogate=lambda v, k: k / (1 + abs(k * v)),
            name="step",
        ),
        lambda v: 1.0 if v >= 0 else 0.0,
        lambda v: 2 / (1 + abs(2 * v)),
    ),
    Case(
        activation(lambda x: max(x, 0.0), gradient=lambda x, g: 3 * g, name="three"),
        lambda x: max(x, 0.0),
        lambda x: 3.0,
    ),
    Case(activation(logarithm), logarithm, lambda x: 1 / x if x > 0.5 else 1.0),
]


def shares(x):
    return np.exp(x - np.max(x)) * np.sum(x) + np.arange(len(x))


ROW = activation(shares, axis=-1)


def shares_by_hand(row: list[float]) -> tuple[list[float], list[float]]:
    """What it makes of a row, and the gradient of the sum of that."""
    powers = [math.exp(v - max(row)) for v in row]
    total, most = sum(row), max(row)
    value = [total * power + i for i, power in enumerate(powers)]
    slope = [
        sum(powers) + total * (power - (sum(powers) if v == most else 0.0))
        for v, power in zip(row, powers, strict=True)
    ]
    return value, slope


def expect(truth: bool, what: object) -> None:
    """An assertion that `python -O` keeps."""
    if not truth:
        raise AssertionError(what)


def same(found: Any, wanted: list[float], like: Any, name: str) -> None:
    found = np.asarray(found)
    expect(found.dtype == like.dtype, (name, found.dtype, like.dtype))
    tolerance = 1e-5 if like.dtype == np.float32 else 1e-12
    repeated = np.tile(wanted, len(like) // len(X))
    np.testing.assert_allclose(found, repeated, rtol=tolerance, atol=tolerance, err_msg=name)


def check(gradient: Callable[[Any, Any], tuple[Any, Any]], dtypes: tuple[str, ...]) -> None:
    for case in CASES:
        for dtype in dtypes:
            compiled = case is CASES[0] and dtype == "float32"
            for times in (1, LARGE // len(X)) if compiled else (1,):
                x = np.tile(np.array(X, dtype), times)
                y, slope = gradient(case.f, x)
                points = [float(v) for v in x[: len(X)]]
                same(y, [case.value(v) for v in points], x, case.f.name)
                same(slope, [case.slope(v) for v in points], x, f"slope of {case.f.name}")
    for dtype in dtypes:
        row = np.array(X, dtype)
        wanted = shares_by_hand(row.tolist())
        for found, numbers in zip(gradient(ROW, row), wanted, strict=True):
            same(found, numbers, row, "shares")


def check_table() -> None:
    """All 256 numbers of a table of integers."""
    table = CASES[1].f.table((0.05, 3), (0.04, -20))
    for code in range(-128, 128):
        rounded = round(swish(0.05 * (code - 3)) / 0.04) - 20
        expect(int(table[code]) == min(max(rounded, -128), 127), (code, table[code], rounded))


def in_numpy(setting: str) -> None:
    def gradient(f: Any, x: Any) -> tuple[Any, Any]:
        if f.program.kind == "gradient":  # NumPy has no upstream gradient
            return f(x), np.full_like(x, 3.0)
        if f.program.axis is not None:
            return f(x), f.program.vjp("x").evaluate(x, np.ones_like(x)).astype(x.dtype)
        return f(x), f.derivative(x)

    with np.errstate(all="raise") if setting == "raise" else np.errstate():
        check(gradient, ("float32", "float64"))
        check_table()
    said = str(CASES[0].f.check())
    expect(said.startswith("spiky: exact except at kinks"), said)


def in_torch(setting: str) -> None:
    import torch

    if setting == "float64":
        torch.set_default_dtype(torch.float64)
    if setting == "meta":
        torch.set_default_device("meta")
    if setting == "deterministic":
        torch.use_deterministic_algorithms(True)

    def gradient(f: Any, x: Any) -> tuple[Any, Any]:
        given = torch.tensor(x, device="cpu", requires_grad=True)
        y = f(given)
        y.backward(torch.ones_like(y))
        return y.detach().numpy(), given.grad.numpy()

    check(gradient, ("float32", "float64"))
    if setting == "meta":
        y = CASES[1].f(torch.ones(3, 5))
        expect((y.device.type, y.shape) == ("meta", (3, 5)), y)
        y = ROW(torch.ones(3, 5))
        expect((y.device.type, y.shape) == ("meta", (3, 5)), y)


def in_jax(setting: str) -> None:
    import jax

    if setting:
        jax.config.update(f"jax_{setting}", True)

    def gradient(f: Any, x: Any) -> tuple[Any, Any]:
        y, slope = jax.jit(jax.value_and_grad(lambda x: f(x).sum()))(x)
        eager, pull = jax.vjp(f, jax.numpy.asarray(x))
        (again,) = pull(jax.numpy.ones_like(eager))
        np.testing.assert_allclose(again, slope, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(y, np.sum(np.asarray(eager)), rtol=1e-3)
        return eager, slope

    check(gradient, ("float32", "float64") if setting == "enable_x64" else ("float32",))


def in_tensorflow(setting: str) -> None:
    import tensorflow as tf

    if setting == "eager":
        tf.config.run_functions_eagerly(True)

    def gradient(f: Any, x: Any) -> tuple[Any, Any]:
        x = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.function(f)(x)
        return y.numpy(), tape.gradient(y, x).numpy()

    check(gradient, ("float32", "float64"))


def in_keras(setting: str) -> None:
    """Under the backend of $KERAS_BACKEND."""
    import keras

    expect(keras.backend.backend() == setting, keras.backend.backend())
    swish = CASES[1].f
    for wrapped in (swish, swish.layer()):
        model = keras.Sequential([keras.Input((len(X),)), keras.layers.Activation(swish)])
        if wrapped is not swish:
            model = keras.Sequential([keras.Input((len(X),)), wrapped])
        x = np.array([X], "float32")
        same(model.predict(x, verbose=0)[0], [CASES[1].value(v) for v in X], x[0], "swish")

    model = keras.Sequential([keras.Input((len(X),)), keras.layers.Activation(ROW)])
    same(model.predict(x, verbose=0)[0], shares_by_hand(x[0].tolist())[0], x[0], "shares")

    # One number learns by gradient descent: its step is the slope, once the loss is the output.
    layer = keras.layers.Dense(1, activation=CASES[2].f, use_bias=False, kernel_initializer="ones")
    model = keras.Sequential([keras.Input((1,)), layer])
    model.compile(keras.optimizers.SGD(1.0), loss=lambda _, y: keras.ops.sum(y))
    model.train_on_batch(np.array([[0.25]], "float32"), np.zeros((1, 1), "float32"))
    moved = 1.0 - float(np.asarray(layer.get_weights()[0]).item())
    np.testing.assert_allclose(moved, 0.25 * CASES[2].slope(0.25), rtol=1e-5)


FRAMEWORKS = {
    "numpy": in_numpy,
    "torch": in_torch,
    "jax": in_jax,
    "tensorflow": in_tensorflow,
    "keras": in_keras,
}


def main(names: list[str]) -> None:
    with warnings.catch_warnings():  # what frameworks warn about as they are imported is theirs
        warnings.simplefilter("ignore")
        for name in names:
            if (framework := name.partition(":")[0]) != "numpy":
                __import__(framework)
    for name in names:
        framework, _, setting = name.partition(":")
        FRAMEWORKS[framework](setting)
    texts = [f.to_json() for f in (ROW, *(case.f for case in CASES))]
    texts += [case.f.source(f) for case in CASES for f in ("numpy", "torch", "jax", "tensorflow")]
    print("generated", hashlib.sha256("".join(texts).encode()).hexdigest())


if __name__ == "__main__":
    main(sys.argv[1:])
