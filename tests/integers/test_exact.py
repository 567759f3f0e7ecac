"""Decimals against mpmath, operation by operation, and the error bounds of float64."""

from __future__ import annotations

import decimal
from decimal import Decimal

import numpy as np
import pytest
from mpmath import mp, mpf

from actgrad import Activation, activations
from actgrad.integers.decimals import context
from actgrad.integers.exact import DECISIONS, bounded
from actgrad.integers.special import FUNCTIONS
from actgrad.language.decomposed import DECOMPOSITIONS
from actgrad.language.expression import const, make, var
from actgrad.language.ops import OPS
from actgrad.language.program import Program
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
    "lgamma": lambda x: mp.log(abs(mp.gamma(x))),
    "trigamma": lambda x: mp.psi(1, x),
    "erfcx": lambda x: mp.exp(x * x) * mp.erfc(x),
    "ndtri": lambda x: mp.sqrt(2) * mp.erfinv(2 * x - 1) if 0 < x < 1 else mp.nan,
    "i0e": lambda x: mp.exp(-abs(x)) * mp.besseli(0, x),
    "i1e": lambda x: mp.exp(-abs(x)) * mp.besseli(1, x),
}
POINTS = (1e-40, 1e-9, 0.0625, 0.3, 0.7, 0.999, 1.0, 1.5, 3.1, 3.141592653589793, 7.0, 30.0, 410.0)


def _finite(x: object) -> bool:
    return isinstance(x, mpf) and bool(mp.isfinite(x))


@pytest.mark.parametrize("op", FUNCTIONS)
def test_a_decimal_operation_has_sixty_digits(op: str) -> None:
    reference = NAMES.get(op) or getattr(mp, op)
    seconds = (0.7, -2.5, 3.0) if OPS[op].arity == 2 else (None,)
    compared = 0
    with mp.workdps(250 if op in DECOMPOSITIONS else 1200), decimal.localcontext(context()):
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
    assert compared >= (6 if op == "ndtri" else 7)


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


def test_every_operation_has_an_exact_form() -> None:
    leaves = {"const", "var", "vector"}
    assert OPS.keys() | leaves == FUNCTIONS.keys() | DECISIONS | {"select", "mod", "given"}


@pytest.mark.parametrize("name", oracle.FUNCTIONS)
def test_the_bound_of_float64_holds_and_is_narrow(name: str) -> None:
    x = np.linspace(-9, 9, 61)
    values, bound = bounded(getattr(activations, name).program.closed.value, "x", x)
    exact = [oracle.FUNCTIONS[name](mpf(float(p))) for p in x]
    off = np.array([float(abs(e - mpf(float(v)))) for e, v in zip(exact, values, strict=True)])
    assert (off <= bound).all()
    assert bound.max() < 1e-10


def _special(name: str) -> Activation:
    return Activation(Program(name, ("x",), (), make(name, var("x"))))


@pytest.mark.parametrize("name", DECOMPOSITIONS)
def test_a_table_of_a_special_function_is_correctly_rounded(name: str) -> None:
    """Input codes from just above 0, or on both sides of it, to where the output saturates."""
    step, zero = {"erfinv": (1 / 129, 0), "ndtri": (1 / 257, -128)}.get(name, (0.0431, 11))
    input, output = (float(np.float32(step)), zero), (float(np.float32(0.0173)), -20)
    f = _special(name)
    if name in (
        "digamma",
        "trigamma",
    ):  # nan or infinite at 0: Python's own, from the first code on
        f = Activation(Program(name, ("x",), (), make(name, make("add", var("x"), const(0.01)))))
    found = np.asarray(f.table(input, output))
    reference = NAMES.get(name) or getattr(mp, name)
    for code, q in zip(found, range(-128, 128), strict=True):
        x = (q - zero) * mpf(input[0]) + (mpf(0.01) if name in ("digamma", "trigamma") else 0)
        if x == 0 and name in ("gamma", "lgamma", "ndtri"):
            assert code == (-128 if name == "ndtri" else 127)
            continue
        wanted = int(mp.nint(reference(x) / mpf(output[0]))) - 20
        assert code == min(max(wanted, -128), 127), (q, x)


@pytest.mark.parametrize("name", DECOMPOSITIONS)
def test_the_bound_of_a_special_function_holds(name: str) -> None:
    low, high = {"erfinv": (-0.999, 0.999), "ndtri": (0.001, 0.999)}.get(name, (-9.03, 30.0))
    x = np.linspace(low, high, 61)
    values, bound = bounded(_special(name).program.value, "x", x)
    reference = NAMES.get(name) or getattr(mp, name)
    off = [abs(reference(mpf(float(p))) - mpf(float(v))) for p, v in zip(x, values, strict=True)]
    assert (np.array(off, float) <= bound).all()
    assert (bound <= 1e-13 * np.maximum(1, abs(values))).all()
