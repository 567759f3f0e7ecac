"""What a compiler is given is the same function, with fewer exponentials, and becomes one loop."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import numpy as np
import pytest

from actgrad import Activation, activation
from actgrad.codegen.lower import lower, share_exponentials
from actgrad.frameworks.jax_dialect import DIALECT
from actgrad.language.expression import evaluate, walk


@activation
def mish(x):
    return x * math.tanh(math.log(1 + math.exp(x)))


@activation
def swish(x):
    return x / (1 + math.exp(-3 * x))


@activation
def negative_softplus(x):
    return math.log(1 + math.exp(-2 * x))


def logistic(x):
    return 1 / (1 + math.exp(-25 * x))


@activation(surrogate=lambda x: 25 * logistic(x) * (1 - logistic(x)))
def sigmoid_spike(x):
    return 1.0 if x >= 0 else 0.0


@activation(derivative=lambda x: 1.0 if x % 1 <= 0.5 else 0.0)
def spiky(x):
    r = x % 1
    return r if r <= 0.5 else 0


FUNCTIONS = [mish, swish, negative_softplus, sigmoid_spike, spiky]
named = pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.name)
X = np.concatenate([[0.0, -0.0, np.inf, -np.inf, np.nan], np.linspace(-60, 60, 4001)])


@named
@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_lowered_form_has_the_same_value(f: Activation, order: int) -> None:
    program = f.program
    for _ in range(order):
        program = program.partial("x")
    found = evaluate(lower(share_exponentials(program.value), DIALECT.lacks), {"x": X})
    expected = program.evaluate(X)
    np.testing.assert_allclose(found, expected, rtol=2e-14, atol=1e-15)


@pytest.mark.parametrize("f", [mish, swish, sigmoid_spike], ids=lambda f: f.name)
def test_one_exponential_is_shared(f: Activation) -> None:
    lowered = lower(share_exponentials(f.program.vjp("x").value), DIALECT.lacks)
    operations = [node.op for node in walk(lowered)]
    assert operations.count("exp") == 1
    assert not {"log1p", "tanh", "sigmoid", "softplus"} & set(operations)


def test_the_sigmoids_of_a_value_stay_where_they_are_asked_to() -> None:
    def kept(function: Callable[[float], float]) -> set[str]:
        gradient = activation(function, name="f").program.vjp("x").value
        shared = share_exponentials(gradient, sigmoids=False)
        return {node.op for node in walk(shared)} & {"sigmoid", "exp"}

    assert kept(lambda x: x / (1 + math.exp(-x))) == {"sigmoid"}
    assert kept(math.tanh) == {"exp"}
    assert kept(lambda x: x * math.tanh(math.log1p(math.exp(x)))) == {"exp"}


@named
@pytest.mark.parametrize("part", ["value", "gradient"])
def test_jax_makes_one_loop_of_it(f: Activation, part: str) -> None:
    jax = pytest.importorskip("jax")

    def gradient(x):
        return jax.vjp(f, x)[1](x)[0]

    step = jax.jit(gradient if part == "gradient" else f)
    text = step.lower(np.ones(1 << 16, np.float32)).compile().as_text()
    _, _, main = text.partition("ENTRY")
    assert re.findall(r" = \S+ (\w+)\(", main) == ["parameter", "fusion"]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 30, 200_000])
def test_in_numpy_exp_may_overflow_in_a_tanh(dtype: type, size: int) -> None:
    @activation
    def both(x):
        softplus = math.log(1 + math.exp(x))
        return math.tanh(softplus) + softplus

    assert "np.tanh(np.log1p(np.exp(x)))" in mish.source("numpy")
    assert "np.log1p(np.exp(x))" not in both.source("numpy")  # it would be computed twice

    for x in (-np.inf, -1e4, -90.0, -0.3, -0.0, 0.0, 2.5, 20.0, 89.0, 710.0, 1e4, np.inf, np.nan):
        array = np.full(size, x, dtype)
        x = float(array[0])
        softplus = max(0.0, x) + math.log1p(math.exp(-abs(x)))
        for f, expected in (
            (mish, x * math.tanh(softplus)),
            (both, math.tanh(softplus) + softplus),
        ):
            np.testing.assert_allclose(
                f(array), expected, 4 * np.finfo(dtype).eps, np.finfo(dtype).tiny
            )


def test_one_or_zero_is_no_choice_in_eager_pytorch() -> None:
    assert "torch.where" not in spiky.derivative.source("torch")
    assert "torch.where" in spiky.source("torch")


def _jax_jit(f: Activation, x: np.ndarray) -> np.ndarray:
    jax = pytest.importorskip("jax")
    return np.asarray(jax.jit(f)(x))


def _tensorflow_xla(f: Activation, x: np.ndarray) -> np.ndarray:
    tf = pytest.importorskip("tensorflow")
    return tf.function(f, jit_compile=True)(tf.constant(x)).numpy()


def _torch_large(f: Activation, x: np.ndarray) -> np.ndarray:
    torch = pytest.importorskip("torch")
    return f(torch.tensor(np.resize(x, 40_000)))[: len(x)].numpy()


@pytest.mark.parametrize("run", [_jax_jit, _tensorflow_xla, _torch_large])
@pytest.mark.parametrize(
    "whole", [int, round, math.floor, math.ceil, math.trunc, lambda x: sum([np.rint(x)])]
)
def test_a_whole_number_is_never_minus_zero(run, whole) -> None:
    """To XLA x + 0.0 is x. Python's integers have one zero, and atan2 tells."""
    x = np.array([-0.25, -0.75, -0.0, 0.25, -1.5], np.float32)
    f = activation(lambda x: math.atan2(whole(x), x), name="f")
    expected = [math.atan2(whole(float(v)), float(v)) for v in x]
    np.testing.assert_allclose(run(f, x), expected, rtol=1e-6)


# A large program, one operation at a time, holds the values that are still needed.


def chain(steps: int) -> Activation:
    def chained(x: float) -> float:
        for i in range(steps):
            x = math.tanh(math.sin(x) + 1 + i / 64)
        return x

    return activation(chained, name="chained")


def held(text: str) -> int:
    """The most values that a function of this text has names for."""
    return len(set(re.findall(r"^\s+(t\d+) = ", text, flags=re.MULTILINE)))


@pytest.mark.parametrize("framework", ["torch", "numpy", "tensorflow"])
def test_a_large_program_holds_few_values(framework: str) -> None:
    """Of its value and gradient; a small program keeps a name for each."""
    assert [held(chain(steps).source(framework)) <= 24 for steps in (30, 60, 120)] == [True] * 3
    assert "t3 = " in chain(4).source(framework)


def test_a_value_that_is_used_again_is_kept() -> None:
    def tangled(x: float) -> float:
        kept = [math.sin(x)]
        for i in range(1, 40):
            kept.append(math.sin(kept[-1]) * kept[i // 2] + kept[i // 3] / (2 + i))
        return sum(k * (1 + i / 7) for i, k in enumerate(kept))

    f = activation(tangled)
    x = np.linspace(-2, 2, 33)
    np.testing.assert_allclose(f(x), [tangled(v) for v in x], rtol=1e-13)
    step = 1e-6
    slopes = [(tangled(v + step) - tangled(v - step)) / (2 * step) for v in x]
    np.testing.assert_allclose(f.derivative(x), slopes, rtol=1e-7, atol=1e-7)
