"""A new value of a parameter compiles nothing, and quotients are Python's at exact multiples."""

from __future__ import annotations

import gc
import math
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from actgrad import activation, surrogates
from actgrad.errors import UnfusedWarning
from actgrad.frameworks.tensorflow import binding, rule
from actgrad.frameworks.tensorflow.rule import ProgramKernel, rule_for
from actgrad.language import program as language


def gradient(f: Any, x: Any) -> Any:
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    return tape.gradient(y, x)


def test_annealing_compiles_each_kernel_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    compile = ProgramKernel.compile

    def counted(self: Any, tensors: Any, dtype: Any) -> Any:
        compiled.append(self.name)
        return compile(self, tensors, dtype)

    monkeypatch.setattr(ProgramKernel, "compile", counted)
    swish = activation(lambda x, beta=1.0: x / (1 + math.exp(-beta * x)), name="annealed")
    x = np.linspace(-3, 3, binding.LARGE, dtype=np.float32)
    for beta in (0.5, 1.5, -2.0, 3.0):
        y, slope = swish(beta=beta)(tf.constant(x)), gradient(swish(beta=beta), tf.constant(x))
        s = 1 / (1 + np.exp(-beta * x.astype(float)))
        np.testing.assert_allclose(y, x * s, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(slope, s + beta * x * s * (1 - s), rtol=1e-4, atol=1e-6)
    for alpha in (1.0, 2.0, 4.0):
        slope = gradient(surrogates.atan(alpha=alpha), tf.constant(x))
        wanted = surrogates.atan(alpha=alpha).derivative(x.astype(float))
        np.testing.assert_allclose(slope, wanted, rtol=1e-5)
    assert sorted(compiled) == ["annealed", "annealed_gradient_x", "atan", "atan_gradient_x"]


def test_definitions_that_differ_by_numbers_share_their_code() -> None:
    """TensorFlow keeps all code that has called an operation."""
    made = [
        activation(lambda x: x * a if x > b else 1e-20 - x / a, name="same")
        for a, b in ((2.5, 0.25), (1e20, 3.0))
    ]
    functions = [rule_for(f.program, "float32").value.function for f in made]
    assert functions[0].__code__ is functions[1].__code__
    x = np.float32([-4.0, -1.0, 0.5, 2.0])
    for f in made:
        np.testing.assert_allclose(f(tf.constant(x)), f(x.astype(float)), rtol=1e-6)


def test_dropped_activations_leave_nothing_unbounded() -> None:
    f = activation(lambda x, beta=1.0: x * beta, name="dropped")
    x = tf.constant([1.0, 2.0])
    for i in range(3000):
        f(beta=float(i))(x)
    gc.collect()
    alive = [p for p in list(language._programs.values()) if p.name == "dropped"]
    assert len(alive) <= 2  # the activation's own, and the structure that all have


MODES = {
    "eager": lambda f: f,
    "tf.function": lambda f: tf.function(f, autograph=False),
    "XLA": lambda f: tf.function(f, autograph=False, jit_compile=True),
}


@pytest.mark.parametrize("size", [60, binding.LARGE], ids=["small", "large"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", MODES)
def test_a_step_is_where_python_has_it(mode: str, dtype: str, size: int) -> None:
    """Graphs and XLA take x * (1 / 49) for x / 49, and floor(49 * (1 / 49)) is 0."""
    whole = np.arange(size) % 60 + 1.0
    steps = activation(
        lambda x, by=3.0: math.floor(x / 49) + math.floor(x / 161) + math.floor(x / by),
        name="steps",
        surrogate=1,
    )
    x = (whole[:, None] * [49.0, 161.0, 103.0]).astype(dtype)
    wanted = np.floor(x / 49) + np.floor(x / 161) + np.floor(x / 103)
    np.testing.assert_array_equal(MODES[mode](lambda x: steps(x, by=103.0))(tf.constant(x)), wanted)
    ties = activation(
        lambda x: round(x / 5) * 5 + (1.0 if x / 7 >= 3 else 0.0), surrogate=1, name="ties"
    )
    x = np.array([2.5, 7.5, 12.5, 20.999998, 21.0, -2.5, -7.5], dtype)
    wanted = np.round(x / 5) * 5 + (x / 7 >= 3)
    np.testing.assert_array_equal(MODES[mode](ties)(tf.constant(x)), wanted)


def test_a_long_program_is_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule, "MOST_OPERATIONS", 8)
    long = activation(lambda x: sum(x**k / (k + 1) for k in range(2, 8)), name="a_long_one")
    x = np.linspace(-1, 1, binding.LARGE, dtype=np.float32)
    with pytest.warns(UnfusedWarning, match=r"'a_long_one'(.|\n)*operations") as caught:
        y = [long(tf.constant(x)) for _ in range(2)][1]
    assert len(caught) == 1
    np.testing.assert_allclose(
        y, sum(x.astype(float) ** k / (k + 1) for k in range(2, 8)), rtol=1e-5
    )
