"""Decimals against mpmath, operation by operation, and the error bounds of float64."""

from __future__ import annotations

import decimal
from decimal import Decimal

import numpy as np
import pytest
from mpmath import mp, mpf

from actgrad import Activation, activations
from actgrad.errors import CallError
from actgrad.integers.decimals import FUNCTIONS, context
from actgrad.integers.exact import DECISIONS, bounded
from actgrad.language.expression import make, var
from actgrad.language.ops import OPS
from actgrad.language.program import Program
from actgrad.study.targets import TABLE_LACKS
from tests.integers import oracle

NAMES = {
    "neg": lambda x: -x,
    "abs": abs,
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "pow": lambda x, y: x**y,
    "hypot": mp.hypot,
    "copysign": lambda x, y: abs(x) if y >= 0 else -abs(x),
    "cbrt": lambda x: mp.cbrt(x) if x >= 0 else -mp.cbrt(-x),
    "exp2": lambda x: mpf(2) ** x,
    "log2": lambda x: mp.log(x, 2),
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "softplus": lambda x: mp.log1p(mp.exp(x)),
}
POINTS = (1e-40, 1e-9, 0.0625, 0.3, 0.7, 0.999, 1.0, 1.5, 3.1, 3.141592653589793, 7.0, 30.0, 410.0)


def _finite(x: object) -> bool:
    return isinstance(x, mpf) and bool(mp.isfinite(x))


@pytest.mark.parametrize("op", FUNCTIONS)
def test_a_decimal_operation_has_sixty_digits(op: str) -> None:
    reference = NAMES.get(op) or getattr(mp, op)
    seconds = (0.7, -2.5, 3.0) if OPS[op].arity == 2 else (None,)
    compared = 0
    with mp.workdps(1200), decimal.localcontext(context()):
        for x in (*POINTS, *(-p for p in POINTS)):
            for y in seconds:
                args = [x] if y is None else [x, y]
                try:
                    wanted = reference(*map(mpf, args))
                except (ValueError, ZeroDivisionError):
                    continue
                if not _finite(wanted):
                    continue
                found = FUNCTIONS[op](*map(Decimal, args))
                if wanted == 0:
                    assert found == 0, (op, args)
                else:
                    assert abs(mpf(str(found)) / wanted - 1) < mpf(10) ** -60, (op, args)
                compared += 1
    assert compared >= 7


@pytest.mark.parametrize("op", FUNCTIONS)
def test_zeros_and_infinities_are_ieee(op: str) -> None:
    special = [0.0, -0.0, np.inf, -np.inf, np.nan]
    firsts = (
        [(x,) for x in special]
        if OPS[op].arity == 1
        else [(x, y) for x in special for y in special]
    )
    with np.errstate(all="ignore"), decimal.localcontext(context()):
        for args in firsts:
            wanted = np.float64(OPS[op].numpy(*map(np.float64, args)))
            found = float(FUNCTIONS[op](*map(Decimal, args)))
            np.testing.assert_allclose(found, wanted, rtol=1e-15, err_msg=f"{op}{args}")
            if wanted == 0:
                assert np.signbit(found) == np.signbit(wanted), (op, args)


def test_every_operation_has_an_exact_form_or_is_refused() -> None:
    elementwise = {"select", "mod", "given"}
    assert OPS.keys() - FUNCTIONS.keys() - DECISIONS - elementwise == TABLE_LACKS
    for name in sorted(TABLE_LACKS):
        f = Activation(Program(name, ("x",), (), make(name, var("x"))))
        with pytest.raises(CallError, match=f"uses {name}, which is not computed in decimals"):
            f.table((1.0, 0), (1.0, 0))
        assert name in f.supports()["table"].reason("value")


@pytest.mark.parametrize("name", oracle.FUNCTIONS)
def test_the_bound_of_float64_holds_and_is_narrow(name: str) -> None:
    x = np.linspace(-9, 9, 61)
    values, bound = bounded(getattr(activations, name).program.closed.value, "x", x)
    exact = [oracle.FUNCTIONS[name](mpf(float(p))) for p in x]
    off = np.array([float(abs(e - mpf(float(v)))) for e, v in zip(exact, values, strict=True)])
    assert (off <= bound).all()
    assert bound.max() < 1e-10
