"""math, numpy and scipy.special are read as what they compute."""

from __future__ import annotations

import math

import numpy as np
import pytest

from actgrad.errors import TraceError
from actgrad.reading.define import define

MATH = {
    "acos": lambda x: math.acos(x / 10) if abs(x) < 10 else 0,
    "acosh": lambda x: math.acosh(1.5 + abs(x)),
    "asin": lambda x: math.asin(x / 40),
    "asinh": lambda x: math.asinh(x),
    "atan": lambda x: math.atan(x),
    "atan2": lambda x: math.atan2(x, 0.5) + math.atan2(1, x),
    "atanh": lambda x: math.atanh(x / 40),
    "cbrt": lambda x: math.cbrt(x),
    "ceil": lambda x: math.ceil(x) + x,
    "copysign": lambda x: math.copysign(2, x) + math.copysign(x, -1),
    "cos": lambda x: math.cos(x),
    "cosh": lambda x: math.cosh(x),
    "degrees": lambda x: math.degrees(x),
    "dist": lambda x: math.dist((x, 1.0), (0.5, 2 * x)),
    "erf": lambda x: math.erf(x),
    "erfc": lambda x: math.erfc(x),
    "exp": lambda x: math.exp(x),
    "exp2": lambda x: math.exp2(x),
    "expm1": lambda x: math.expm1(x),
    "fabs": lambda x: math.fabs(x),
    "floor": lambda x: x - math.floor(x),
    "fmod": lambda x: math.fmod(x, 0.75) + (math.fmod(2, x) if x else 0),
    "fsum": lambda x: math.fsum([x, 1, 2 * x]),
    "gamma": lambda x: math.gamma(abs(x) + 0.1) if abs(x) < 99 else x,
    "hypot": lambda x: math.hypot(x, 0.5) + math.hypot(x, 1, 2),
    "isclose": lambda x: x if math.isclose(x, 1.25) or math.isclose(x, 0.3, abs_tol=0.25) else -x,
    "isfinite": lambda x: x if math.isfinite(x) else 0,
    "isinf": lambda x: 0 if math.isinf(x) else x,
    "isnan": lambda x: 0 if math.isnan(x) else x,
    "ldexp": lambda x: math.ldexp(x, 3),
    "lgamma": lambda x: math.lgamma(abs(x) + 0.1),
    "log": lambda x: math.log(abs(x) + 1) + math.log(abs(x) + 0.1, 3) + math.log(x) if x > 0 else x,
    "log10": lambda x: math.log10(abs(x) + 0.5),
    "log1p": lambda x: math.log1p(abs(x)),
    "log2": lambda x: math.log2(abs(x) + 0.5),
    "modf": lambda x: math.modf(x)[0] + 2 * math.modf(x)[1],
    "pow": lambda x: math.pow(abs(x), 1.5) + math.pow(2, x),
    "prod": lambda x: math.prod([x, 2, x]) + math.prod([x], start=3),
    "radians": lambda x: math.radians(x),
    "remainder": lambda x: math.remainder(x, 1.5),
    "sin": lambda x: math.sin(x),
    "sinh": lambda x: math.sinh(x),
    "sqrt": lambda x: math.sqrt(abs(x)),
    "sumprod": lambda x: math.sumprod([x, 2], [3, x]),
    "fma": lambda x: math.fma(x, 2, x),
    "tan": lambda x: math.tan(x),
    "tanh": lambda x: math.tanh(x),
    "trunc": lambda x: math.trunc(x) + x,
    "pi": lambda x: math.pi * x + math.e + math.tau,
    "inf": lambda x: x if x < math.inf else 0,
    "nan": lambda x: x if x != math.nan else 0,
}
CONSTANT_ONLY = {
    "comb": lambda x: math.comb(5, 2) * x,
    "factorial": lambda x: math.factorial(4) * x,
    "frexp": lambda x: math.frexp(5.0)[0] * x,
    "gamma": lambda x: math.gamma(4.5) * x,
    "gcd": lambda x: math.gcd(12, 18) * x,
    "isqrt": lambda x: math.isqrt(10) * x,
    "lcm": lambda x: math.lcm(4, 6) * x,
    "lgamma": lambda x: math.lgamma(4.5) * x,
    "nextafter": lambda x: math.nextafter(1.0, 2.0) * x,
    "perm": lambda x: math.perm(5, 2) * x,
    "ulp": lambda x: math.ulp(1.0) * x,
}
REFUSED = {
    "comb": lambda x: math.comb(x, 2),
    "factorial": lambda x: math.factorial(x),
    "frexp": lambda x: math.frexp(x)[0],
    "gcd": lambda x: math.gcd(x, 2),
    "isqrt": lambda x: math.isqrt(x),
    "lcm": lambda x: math.lcm(x, 2),
    "nextafter": lambda x: math.nextafter(x, 2.0),
    "perm": lambda x: math.perm(x, 2),
    "ulp": lambda x: math.ulp(x),
}


def test_every_function_of_math_is_covered():
    public = {name for name in dir(math) if not name.startswith("_")}
    assert public <= MATH.keys() | CONSTANT_ONLY.keys() | {"e", "tau"}


@pytest.mark.parametrize("name", MATH)
def test_math(name, reads_as_python):
    if not hasattr(math, name):
        pytest.skip("newer than this Python")
    reads_as_python(MATH[name], tolerance=1e-12)


@pytest.mark.parametrize("name", CONSTANT_ONLY)
def test_math_of_constants(name, reads_as_python):
    reads_as_python(CONSTANT_ONLY[name], tolerance=1e-12)


@pytest.mark.parametrize("name", REFUSED)
def test_math_that_cannot_be_read_is_refused(name):
    with pytest.raises(TraceError, match=rf"(?s)math\.{name}.*test_library.py.*host=True"):
        define(REFUSED[name])


COEFFICIENTS = np.array([0.5, -1.0, 2.0])
MATRIX = np.array([[1.0, 2.0], [0.5, -1.0]])

NUMPY = {
    "where": lambda x: np.where(x > 0, x, 0.1 * x),
    "where, nested": lambda x: np.where(x > 1, 1, np.where(x < -1, -1, x)),
    "clip": lambda x: np.clip(x, -1, 2),
    "clip, one side": lambda x: np.clip(x, None, 1.5) + np.clip(x, 0, None),
    "clip, keywords": lambda x: np.clip(x, a_min=-0.5, a_max=0.5),
    "sign": lambda x: np.sign(x) + x,
    "heaviside": lambda x: np.heaviside(x, 0.5) * x + np.heaviside(x, 1),
    "maximum": lambda x: np.maximum(x, 0.5),
    "minimum": lambda x: np.minimum(0.5, x),
    "fmax": lambda x: np.fmax(x, -x) + np.fmin(x, 1),
    "max of a list": lambda x: np.max([x, 1.0, -x]) + np.min([x, 2.0]),
    "select": lambda x: np.select([x > 2, x > 0], [2 * x, x], default=-x),
    "select, no default": lambda x: np.select([x > 1], [x]),
    "piecewise": lambda x: np.piecewise(x, [x < 0, x >= 1], [-1.0, 2.0, 5.0]),
    "piecewise, functions": lambda x: np.piecewise(
        x, [x < 0, x >= 0], [lambda v: v * v, lambda v: 2 * v]
    ),
    "polyval": lambda x: np.polyval([0.5, -1.0, 2.0], x),
    "polyval of an array": lambda x: np.polyval(COEFFICIENTS, x),
    "array coefficients": lambda x: COEFFICIENTS[0] + COEFFICIENTS[1] * x + COEFFICIENTS[-1] * x**2,
    "array arithmetic": lambda x: (COEFFICIENTS * x).sum(),
    "array arithmetic, reflected": lambda x: np.sum(x * COEFFICIENTS + 1),
    "array of functions of x": lambda x: np.sum(np.exp(-((x - COEFFICIENTS) ** 2))),
    "dot": lambda x: np.dot(COEFFICIENTS, np.array([1, x, x * x])),
    "matmul": lambda x: (MATRIX @ np.array([x, 1.0]))[1],
    "object array": lambda x: np.array([x, x * x, 1.0])[1] + np.array([x, 2.0]).sum(),
    "loop over an array": lambda x: sum(c * x**k for k, c in enumerate(COEFFICIENTS)),
    "linspace": lambda x: sum(max(0, x - k) for k in np.linspace(-1, 1, 5)),
    "prod": lambda x: np.prod([x, 2.0, x]),
    "abs": lambda x: np.abs(x) + np.absolute(x) + np.fabs(x),
    "exp": lambda x: np.exp(-x * x) + np.exp2(x) + np.expm1(x),
    "log": lambda x: (
        np.log(1 + abs(x)) + np.log1p(abs(x)) + np.log2(abs(x) + 1) + np.log10(abs(x) + 1)
    ),
    "logaddexp": lambda x: np.logaddexp(x, 0) + np.logaddexp(1, x),
    "roots": lambda x: np.sqrt(abs(x)) + np.cbrt(x) + np.square(x),
    "trigonometry": lambda x: np.sin(x) * np.cos(x) + np.tan(x / 40),
    "arcs": lambda x: np.arcsin(x / 40) + np.arccos(x / 40) + np.arctan(x) + np.arctan2(x, 2),
    "hyperbolic": lambda x: np.tanh(x) + np.sinh(x / 9) + np.cosh(x / 9),
    "area": lambda x: np.arcsinh(x) + np.arccosh(1.5 + abs(x)) + np.arctanh(x / 40),
    "steps": lambda x: (
        np.floor(x) + np.ceil(x) + np.trunc(x) + np.rint(x) + np.round(x) + np.fix(x)
    ),
    "round to digits": lambda x: np.round(x, 1) + x,
    "mod": lambda x: np.mod(x, 1) + np.remainder(x, -1.5) + np.fmod(x, 0.75),
    "divmod": lambda x: np.divmod(x, 0.75)[0] + np.divmod(x, 0.75)[1],
    "arithmetic": lambda x: (
        np.add(x, 1) - np.subtract(x, 2) * np.multiply(x, 3) / np.divide(x + 99, 4)
    ),
    "power": lambda x: np.power(x, 2) + np.float_power(abs(x), 1.5) + np.reciprocal(x + 99),
    "negative": lambda x: np.negative(x) + np.positive(x),
    "floor_divide": lambda x: np.floor_divide(x, 0.75),
    "hypot": lambda x: np.hypot(x, 1) + np.copysign(x, -1),
    "logic": lambda x: np.where(np.logical_and(x > -1, x < 1) | np.logical_not(x < 3), x, -x),
    "comparisons": lambda x: (
        np.where(np.greater(x, 0), x, 1) + np.less_equal(x, 1) * np.not_equal(x, 0.5)
    ),
    "isfinite": lambda x: np.where(np.isfinite(x), x, 0) + np.isnan(x) + np.isinf(x),
    "signbit": lambda x: np.where(np.signbit(x), -2, 3) + x,
    "degrees": lambda x: np.deg2rad(x) + np.rad2deg(x) + np.degrees(x) + np.radians(x),
    "sinc": lambda x: np.sinc(x),
    "constants": lambda x: np.pi * x + np.e + np.float64(2) * x - np.float32(0.5),
    "types": lambda x: np.float64(x) + np.float64(x > 0),
    "asarray": lambda x: np.asarray(x) * 2 + np.array(x),
    "zeros_like": lambda x: np.zeros_like(x) + np.ones_like(x) * x + np.full_like(x, 2.0),
    "nan_to_num": lambda x: np.nan_to_num(x),
    "vectorize inside": lambda x: np.vectorize(lambda v: v if v > 0 else 0.1 * v)(x),
    "interp": lambda x: np.interp(x, [-1.0, 0.0, 2.0], [0.5, 1.0, -1.0]),
    "any and all": lambda x: np.where(np.any([x > 1, x < -1]) or np.all([x > 0]), x, 2 * x),
    "mean": lambda x: np.mean([x, 1.0, 2 * x]),
    "isclose": lambda x: np.where(np.isclose(x, 1.25), 2.0, x),
}


@pytest.mark.parametrize("function", NUMPY.values(), ids=NUMPY)
def test_numpy(function, reads_as_python):
    with np.errstate(all="ignore"):
        reads_as_python(lambda x: function(x), tolerance=1e-12)


SCIPY = {
    "erf": lambda s, x: s.erf(x) + s.erfc(x),
    "expit": lambda s, x: s.expit(x),
    "logit": lambda s, x: s.logit(s.expit(x / 20)),
    "log_expit": lambda s, x: s.log_expit(x),
    "ndtr": lambda s, x: s.ndtr(x),
    "softplus": lambda s, x: s.softplus(x),
    "expm1": lambda s, x: s.expm1(x) + s.log1p(abs(x)) + s.cbrt(x) + s.exp2(x) + s.exp10(x / 9),
    "xlogy": lambda s, x: s.xlogy(x, 2.0) + s.xlogy(abs(x), abs(x)),
    "softmax pair": lambda s, x: s.expit(2 * x) * x,
}


@pytest.mark.parametrize("name", SCIPY)
def test_scipy_special(name, reads_as_python):
    special = pytest.importorskip("scipy.special")
    if name == "softplus" and not hasattr(special, "softplus"):
        pytest.skip("newer than this SciPy")
    function = SCIPY[name]
    with np.errstate(all="ignore"):
        reads_as_python(lambda x: function(special, x), tolerance=1e-12)


@pytest.mark.parametrize("name", ["jv", "airy", "kn"])
def test_scipy_special_that_cannot_be_read_is_refused(name):
    special = pytest.importorskip("scipy.special")
    function = getattr(special, name)
    arguments = [1.0] * (function.nin - 1)
    with pytest.raises(TraceError, match=rf"(?s){name}.*test_library.py.*host=True"):
        define(lambda x: function(*arguments, x))


NAMED = [math.tanh, math.log, math.erf, math.sqrt, np.tanh, np.sin, np.abs, np.sign, abs, np.exp]


@pytest.mark.filterwarnings("ignore::actgrad.errors.ZeroDerivativeWarning")
@pytest.mark.parametrize("function", NAMED, ids=lambda f: f"{type(f).__name__} {f.__name__}")
def test_a_library_function_is_itself_an_activation(function):
    program = define(function)
    assert program.name == function.__name__
    assert program.evaluate(0.7) == pytest.approx(function(0.7), rel=1e-15)


@pytest.mark.parametrize(
    ("function", "x", "value"),
    [
        (lambda x: 1 / x, 0.0, math.inf),
        (lambda x: 1 / x, -0.0, -math.inf),
        (lambda x: math.log(x), 0.0, -math.inf),
        (lambda x: math.log(x), -1.0, math.nan),
        (lambda x: math.exp(x), 1000.0, math.inf),
        (lambda x: math.sqrt(x), -1.0, math.nan),
        (lambda x: x**0.5, -1.0, math.nan),
        (lambda x: x % (x - x), 1.0, math.nan),
        (lambda x: math.cosh(x), 1000.0, math.inf),
        (lambda x: x**-1, 0.0, math.inf),
        (lambda x: math.pow(x, 2), 1e300, math.inf),
        (lambda x: math.sin(x), math.inf, math.nan),
        (lambda x: x + 1 / (x - x), 3.0, math.inf),
        (lambda x: x + math.exp(1000), 3.0, math.inf),
    ],
)
def test_where_python_raises_the_answer_is_that_of_ieee(function, x, value):
    with pytest.raises((ArithmeticError, ValueError, TypeError)):
        float(function(x))
    result = define(function).evaluate(x)
    assert result == value or (math.isnan(result) and math.isnan(value))


@pytest.mark.parametrize("step", [math.trunc, round, int, float, abs])
def test_an_array_without_dimensions_is_a_number_to_a_path_as_to_an_input(step):
    """Python refuses some of these, on a path that no number may take."""

    def never(x):
        if x > 1 and 1 / x > 2:
            return x * step(np.where(2 > 1, 1.7, 2.0))
        return 3 * x

    program = define(never)
    assert [program.evaluate(x) for x in (-2.0, 0.5, 4.0)] == [-6.0, 1.5, 12.0]
