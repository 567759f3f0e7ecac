"""What is common to a row goes out of its sum, and what cancels is not computed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from actgrad import activation
from actgrad.language.expression import make, var, walk
from actgrad.language.length import N
from actgrad.language.products import summed


@activation(axis=-1)
def softmax(x, temperature=1.0):
    e = np.exp((x - np.max(x)) / temperature)
    return e / np.sum(e)


@activation(axis=-1)
def log_softmax(x):
    shifted = x - np.max(x)
    return shifted - np.log(np.sum(np.exp(shifted)))


@activation(axis=-1)
def logsumexp(x):
    largest = np.max(x)
    return largest + np.log(np.sum(np.exp(x - largest)))


@activation(axis=-1)
def shifted(x):
    """Depends on the largest number, and says so in its gradient."""
    return np.exp(x - np.max(x))


def operations(f: Any) -> Counter[str]:
    return Counter(node.op for node in walk(f.program.vjp("x").value))


@pytest.mark.parametrize("f", [softmax, log_softmax, logsumexp], ids=lambda f: f.name)
def test_a_number_that_only_shifts_has_no_gradient(f: Any) -> None:
    assert operations(f)["eq"] == 0
    assert operations(f)["sum"] <= 2
    assert operations(shifted)["eq"] > 0


@pytest.mark.parametrize("f", [softmax, log_softmax, logsumexp, shifted], ids=lambda f: f.name)
def test_the_gradient_is_the_finite_difference(f: Any) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(0, 2, 7)
    value = f.program.evaluate(x)
    above = rng.normal(size=np.shape(value))
    found = f.program.vjp("x").evaluate(x, above)
    step = 1e-6 * np.eye(7)
    wanted = [
        ((f.program.evaluate(x + h) - f.program.evaluate(x - h)) * above).sum() / 2e-6 for h in step
    ]
    np.testing.assert_allclose(np.broadcast_to(found, 7), wanted, rtol=1e-6, atol=1e-8)


def test_what_is_common_to_a_row_goes_out_of_its_sum() -> None:
    x, y, n = var("x", N), var("y", N), var("n")
    row = make(
        "div", make("mul", make("neg", x), make("fill", n, value=N)), make("fill", n, value=N)
    )
    assert summed(row) is make("neg", make("sum", x))
    assert summed(make("mul", x, y)) is make("sum", make("mul", x, y))
