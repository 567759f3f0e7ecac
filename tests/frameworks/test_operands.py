"""An operation inside another: the generated text holds together, whatever binds closer in Python."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from actgrad import activation
from actgrad.errors import ZeroDerivativeWarning
from actgrad.frameworks.dispatch import caller
from actgrad.language.expression import Expr, const, make, var
from actgrad.language.ops import OPS
from actgrad.language.program import Program
from tests.sample import exhaustive_but
from tests.tensors import ROOMS, tensor

NUMERIC = [
    op
    for op, row in OPS.items()
    if row.arity and op not in {"gather", "given", "host", "and", "or", "not"}
]
INSIDE = {
    "minus": make("neg", var("x")),
    "sum": make("add", var("x"), const(-0.75)),
    "product": make("mul", const(-1.5), var("x")),
    "negative number": const(-2.0),
}
POINTS = np.array([-2.0, -1.25, -0.5, 0.5, 0.75, 3.0], np.float32)


def nested(op: str, inside: Expr, at: int) -> Expr:
    """The operation with this as one of its arguments, and y as the others."""
    arguments = [var("y")] * OPS[op].arity
    arguments[at] = inside
    if op == "select":
        arguments[0] = make("lt", var("y"), arguments[0])
    value = make(op, *arguments)
    return make("select", value, const(1.0), const(0.0)) if OPS[op].boolean else value


@pytest.mark.diagonal
@pytest.mark.parametrize("inside", exhaustive_but(["minus", "sum"], INSIDE))
@pytest.mark.parametrize("op", NUMERIC)
@pytest.mark.parametrize("framework", ROOMS)
def test_an_operation_inside_another(framework: str, op: str, inside: str) -> None:
    for at in range(OPS[op].arity):
        program = Program("f", ("x", "y"), (), nested(op, INSIDE[inside], at))
        xs, ys = POINTS, np.roll(POINTS, 2)
        x, y = tensor(framework, xs), tensor(framework, ys)
        found = np.asarray(caller((x, y))(program, (x, y), {}))
        with np.errstate(all="ignore"):
            expected = np.broadcast_to(
                program.evaluate(xs.astype(float), ys.astype(float)), xs.shape
            )
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("framework", ROOMS)
@pytest.mark.parametrize(
    "function",
    [
        lambda x: x if x > 0 else 1.7e308,
        lambda x: min(x, 1e300) - max(x, -1e300),
        lambda x: np.where(x < 1, x, np.finfo(np.float64).min),
        lambda x: 1.7e308,
    ],
    ids=["select", "clip", "mask", "constant"],
)
def test_a_number_beyond_float32(framework: str, function: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZeroDerivativeWarning)
        f = activation(function, name="f")
    with np.errstate(over="ignore"):
        expected = np.array([function(float(x)) for x in POINTS]).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(f(tensor(framework, POINTS))), expected)


@pytest.mark.parametrize("size", [6, 40_000])
def test_a_number_beyond_float32_in_compiled_torch(size: int) -> None:
    torch = pytest.importorskip("torch")
    f = activation(lambda x: np.nan_to_num(x / (x - 1)), name="finite")
    x = torch.linspace(-1, 1, size, dtype=torch.float32)
    found = torch.compile(f, backend="eager")(x)
    assert found[-1] == torch.inf
    torch.testing.assert_close(found[:-1], (x / (x - 1))[:-1])
