"""What SymPy's `lambdify` writes, by every printer of its own: read, or refused with the way out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

from actgrad.errors import TraceError
from actgrad.reading.define import define

POINTS = [-2.3, -1.0, -0.4, 0.3, 0.7, 1.0, 2.6, 7.3]

# As SymPy 1.14 prints them: function text, and what it computes.
PRINTED: dict[str, tuple[str, str, Callable[[float], float]]] = {
    "piecewise": (
        "from numpy import *",
        "select([less(x, 0),less(x, 1),True], [0,x**2,2*x - 1], default=nan)",
        lambda x: 0 if x < 0 else x * x if x < 1 else 2 * x - 1,
    ),
    "and": (
        "from numpy import *",
        "select([logical_and.reduce((greater(x, 0),less(x, 1))),True], [x,0], default=nan)",
        lambda x: x if 0 < x < 1 else 0,
    ),
    "or": (
        "from numpy import *",
        "select([logical_or.reduce((greater(x, 1),less(x, -1))),True], [x,0], default=nan)",
        lambda x: x if x > 1 or x < -1 else 0,
    ),
    "extremes": (
        "from numpy import *",
        "amax((0,amin((6,x), axis=0)), axis=0)",
        lambda x: max(0, min(6, x)),
    ),
    "Bessel": (
        "from scipy.special import *",
        "iv(0, x) - ive(1, x)",
        lambda x: float(mpmath.besseli(0, x) - mpmath.besseli(1, x) * mpmath.exp(-abs(x))),
    ),
    "scipy": (
        "from numpy import *; from scipy.special import *",
        "gamma(abs(x) + 1) + gammaln(abs(x) + 1) + psi(abs(x) + 1) + erf(x)*heaviside(x, 0.5)",
        lambda x: (
            math.gamma(abs(x) + 1)
            + math.lgamma(abs(x) + 1)
            + float(mpmath.digamma(abs(x) + 1))
            + math.erf(x) * (x > 0)
        ),
    ),
    "math": (
        "from math import *",
        "((0) if (x < 0) else (gamma(x + 1)) if ((x > 0) and (x < 1)) else (erf(x)))",
        lambda x: 0 if x < 0 else math.gamma(x + 1) if 0 < x < 1 else math.erf(x),
    ),
    "jax": (
        "import jax; from jax.numpy import *; import jax.numpy as numpy",
        "select([all(numpy.asarray([greater(x, 0),less(x, 1)]), axis=0),True], [x,0], default=nan)",
        lambda x: x if 0 < x < 1 else 0,
    ),
    "torch": (
        "import torch",
        "torch.where(torch.logical_and(torch.gt(x, 0), torch.lt(x, 1)), x, torch.exp(-x))",
        lambda x: x if 0 < x < 1 else math.exp(-x),
    ),
    "tensorflow": (
        "import tensorflow",
        "tensorflow.where(tensorflow.math.less(x, 0), 0, tensorflow.math.pow(x, 2))",
        lambda x: 0 if x < 0 else x * x,
    ),
}  # fmt: skip


def lambdified(imports: str, text: str) -> Any:
    for package in ("scipy", "jax", "torch", "tensorflow"):
        if package in imports:
            pytest.importorskip(package)
    names: dict[str, Any] = {}
    exec(f"{imports}\ndef _lambdifygenerated(x):\n    return {text}\n", names)
    return names["_lambdifygenerated"]


@pytest.mark.parametrize("name", PRINTED)
def test_what_a_printer_writes_is_read(name: str) -> None:
    imports, text, wanted = PRINTED[name]
    program = define(lambdified(imports, text))
    for x in POINTS:
        assert program.evaluate(x) == pytest.approx(wanted(x), rel=1e-13, abs=1e-15)


@pytest.mark.parametrize("text", ["exp(x)", "sqrt(x**2 + 1)", "mpf(1)/mpf(3)*x", "mp.erf(x)"])
def test_mpmath_is_refused_with_the_way_out(text: str) -> None:
    with pytest.raises(TraceError, match=r"(?s)more digits than a tensor has.*modules='numpy'"):
        define(lambdified("from mpmath import *", text))


def test_a_number_of_mpmath_is_a_number() -> None:
    third = mpmath.mpf(1) / 3
    assert define(lambda x: third * x + mpmath.pi).evaluate(2.0) == 2 / 3 + math.pi


FORMULAS = "exp(-x**2)*sin(x) Max(0,Min(x,6)) Piecewise((x,(x>0)&(x<1)),(0,True)) Abs(x)+x*sign(x)"


@pytest.mark.parametrize("module", ["numpy", "math", "scipy", "torch", "tensorflow", "jax"])
@pytest.mark.parametrize("formula", FORMULAS.split())
def test_lambdify(module: str, formula: str) -> None:
    sympy = pytest.importorskip("sympy")
    pytest.importorskip(module)
    x = sympy.Symbol("x", real=True)
    expression = sympy.sympify(formula, locals={"x": x})
    function = sympy.lambdify(x, expression, module)
    if module == "torch" and "Max" in formula:  # SymPy writes what PyTorch does not take
        with pytest.raises(TraceError):
            define(function)
        return
    program = define(function)
    for at in POINTS:
        assert program.evaluate(at) == pytest.approx(float(expression.subs(x, at)), rel=1e-13)


def test_reduce_joins_numbers_of_one_element_only() -> None:
    assert define(lambda x: np.maximum.reduce([x, 0.5, -x])).evaluate(-2.0) == 2.0
    assert define(lambda x: np.add.reduce((x, 2.0), axis=0)).evaluate(-2.0) == 0.0
    with pytest.raises(TraceError, match="mixes"):
        define(lambda x: np.maximum.reduce(x))
