"""Three activations on which every mode of every framework is tried, with what Python says of them.

`seven` is the proof: its declared derivative is 7 everywhere, so that a framework which loses the
derivative, or puts its own in its place, cannot hide.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

from actgrad import Activation, activation
from tests.sample import exhaustive_but

POINTS = np.array([[-1.3, -0.7, -0.2, 0.2], [0.7, 1.2, 1.7, 2.4]])


@dataclass(frozen=True, eq=False)
class Case:
    """An activation, and Python's answers: its value and its first three derivatives in force."""

    activation: Activation
    orders: tuple[Callable[[float], float], ...]
    options: dict[str, float] = field(default_factory=dict)

    def __call__(self, *inputs: Any) -> Any:
        return self.activation(*inputs, **self.options)

    def expected(self, order: int, points: Any = POINTS) -> np.ndarray:
        """The derivative of this order (0: the value), number by number, in float64."""
        points = np.asarray(points, dtype=np.float64)
        answers = [self.orders[order](float(x)) for x in points.flat]
        return np.array(answers, dtype=np.float64).reshape(points.shape)


def _spiky(x):
    r = x % 1
    return r if r <= 0.5 else 0


def _d_spiky(x):
    return 1.0 if x % 1 <= 0.5 else 0.0


def _zero(x):
    return 0.0


def _triangle(x, slope):
    return slope / (1 + (slope * x) * (slope * x))


def _heaviside(x, slope=2.0):
    return 1.0 if x >= 0 else 0.0


def _heaviside_orders(k: float) -> tuple[Callable[[float], float], ...]:
    return (
        lambda x: 1.0 if x >= 0 else 0.0,
        lambda x: k / (1 + (k * x) ** 2),
        lambda x: -2 * k**3 * x / (1 + (k * x) ** 2) ** 2,
        lambda x: 2 * k**3 * (3 * (k * x) ** 2 - 1) / (1 + (k * x) ** 2) ** 3,
    )


CASES = {
    "spiky": Case(
        activation(_spiky, derivative=_d_spiky, name="spiky"), (_spiky, _d_spiky, _zero, _zero)
    ),
    "heaviside": Case(
        activation(_heaviside, surrogate=_triangle, name="heaviside"), _heaviside_orders(2.0)
    ),
    "heaviside(slope=3)": Case(
        activation(_heaviside, surrogate=_triangle, name="heaviside"),
        _heaviside_orders(3.0),
        {"slope": 3.0},
    ),
    "seven": Case(
        activation(lambda x: x * x, surrogate=7, name="seven"),
        (lambda x: x * x, lambda x: 7.0, _zero, _zero),
    ),
}


@pytest.fixture(params=CASES.values(), ids=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


# Where each case costs a compilation, `make test` takes the one with a surrogate and a parameter.
of_one_case = pytest.mark.parametrize(
    "case",
    exhaustive_but([CASES["heaviside(slope=3)"]], CASES.values()),
    ids=list(CASES),
    indirect=True,
)


@pytest.fixture
def points() -> np.ndarray:
    """In float32, away from every kink and jump of the three."""
    return POINTS.astype(np.float32)
