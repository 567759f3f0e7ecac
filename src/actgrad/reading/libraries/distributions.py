"""Densities and distribution functions: `scipy.stats`, `jax.scipy.stats` and `torch.distributions`.

Each law is written once, for location 0 and scale 1.
"""

from __future__ import annotations

import inspect
import math
import re
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any

from actgrad.common.types import Fields
from actgrad.reading.libraries import formulas as table
from actgrad.reading.libraries import meanings
from actgrad.reading.libraries.meanings import (
    Number,
    add,
    divide,
    equal,
    less,
    log,
    multiply,
    negative,
    subtract,
    where,
)
from actgrad.reading.libraries.notation import formulas
from actgrad.reading.reader import Environment, unknown
from actgrad.reading.refusal import refuse
from actgrad.reading.symbol import is_symbolic

Law = dict[str, Callable[..., Number]]

_FORMULAS = """
norm_pdf(z) = exp(-0.5 * square(z)) / math.sqrt(2 * math.pi)
norm_logpdf(z) = -0.5 * square(z) - 0.5 * math.log(2 * math.pi)
norm_cdf(z) = normal_cdf(z)
norm_logcdf(z) = log_ndtr(z)
norm_ppf(q) = ndtri(q)
logistic_pdf(z) = sigmoid(z) * sigmoid(-z)
logistic_logpdf(z) = log_sigmoid(z) + log_sigmoid(-z)
logistic_cdf(z) = sigmoid(z)
logistic_logcdf(z) = log_sigmoid(z)
logistic_ppf(q) = logit(q)
cauchy_pdf(z) = 1 / math.pi / (1 + square(z))
cauchy_logpdf(z) = -math.log(math.pi) - log1p(square(z))
cauchy_cdf(z) = atan2(1.0, -z) / math.pi
cauchy_logcdf(z) = log(atan2(1.0, -z) / math.pi)
cauchy_ppf(q) =
    -1 / tan(math.pi * q) if q < 0.25 else 1 / tan(math.pi * (1 - q)) if 0.75 < q
    else tan(math.pi * (q - 0.5))
cauchy_ppf_open(q) = tan(math.pi * (q - 0.5))
laplace_pdf(z) = 0.5 * exp(-abs(z))
laplace_logpdf(z) = -math.log(2) - abs(z)
laplace_cdf(z) = 1 - 0.5 * exp(-abs(z)) if 0 < z else 0.5 * exp(-abs(z))
laplace_logcdf(z) = log1p(-0.5 * exp(-abs(z))) if 0 < z else z - math.log(2)
laplace_ppf(q) = -log(2 * (1 - q)) if 0.5 < q else log(2 * q)
t_pdf(z, df) = exp(t_logpdf(z, df))
t_logpdf(z, df) =
    lgamma(0.5 * (df + 1)) - lgamma(0.5 * df) - 0.5 * log(math.pi * df)
    - 0.5 * (df + 1) * log1p(square(z) / df)
uniform_pdf(z) = in_unit(z, 1, 0)
uniform_logpdf(z) = in_unit(z, 0, -math.inf)
uniform_cdf(z) = clip(z, 0, 1)
uniform_sf(z) = 1 - clip(z, 0, 1)
uniform_logcdf(z) = log(clip(z, 0, 1))
uniform_logsf(z) = log1p(-clip(z, 0, 1))
uniform_ppf(q) = q
uniform_isf(q) = 1 - q
expon_pdf(z) = 0 if z < 0 else exp(-z)
expon_logpdf(z) = -math.inf if z < 0 else -z
expon_cdf(z) = 0 if z < 0 else -expm1(-z)
expon_sf(z) = 1 if z < 0 else exp(-z)
expon_logcdf(z) = -math.inf if z < 0 else log(-expm1(-z))
expon_logsf(z) = 0 if z < 0 else -z
expon_ppf(q) = -log1p(-q)
expon_isf(q) = -log(q)
halfnorm_pdf(z) = 0 if z < 0 else 2 * norm_pdf(z)
halfnorm_logpdf(z) = -math.inf if z < 0 else norm_logpdf(z) + math.log(2)
halfnorm_cdf(z) = 0 if z < 0 else erf(math.sqrt(0.5) * z)
halfnorm_sf(z) = 1 if z < 0 else erfc(math.sqrt(0.5) * z)
halfnorm_ppf(q) = -ndtri(0.5 * (1 - q))
halfnorm_isf(q) = -ndtri(0.5 * q)
gumbel_r_pdf(z) = exp(-z - exp(-z))
gumbel_r_logpdf(z) = -z - exp(-z)
gumbel_r_cdf(z) = exp(-exp(-z))
gumbel_r_logcdf(z) = -exp(-z)
gumbel_r_sf(z) = -expm1(-exp(-z))
gumbel_r_logsf(z) = log(-expm1(-exp(-z)))
gumbel_r_ppf(q) = -log(-log(q))
gumbel_l_pdf(z) = gumbel_r_pdf(-z)
gumbel_l_logpdf(z) = gumbel_r_logpdf(-z)
gumbel_l_cdf(z) = gumbel_r_sf(-z)
gumbel_l_logcdf(z) = gumbel_r_logsf(-z)
gumbel_l_sf(z) = gumbel_r_cdf(-z)
gumbel_l_logsf(z) = gumbel_r_logcdf(-z)
gumbel_l_ppf(q) = log(-log1p(-q))
# PyTorch's formulas take numbers outside of the support too, which it refuses to compute unless asked.
expon_torch_logpdf(z) = -z
expon_torch_cdf(z) = -expm1(-z)
expon_torch_ppf_open(q) = expon_ppf(q)
halfnorm_torch_logpdf(z) = halfnorm_logpdf(z)
halfnorm_torch_cdf(z) = erf(math.sqrt(0.5) * z)
halfnorm_torch_ppf_open(q) = halfnorm_ppf(q)
uniform_torch_logpdf(z) = 0 if 0 <= z and z < 1 else -math.inf
uniform_torch_cdf(z) = uniform_cdf(z)
uniform_torch_ppf_open(q) = uniform_ppf(q)
# A value between 0 and 1, and nan where z is.
in_unit(z, value, outside) = value if 0 <= z and z <= 1 else z if is_nan(z) else outside
"""
_FOUND = formulas(_FORMULAS, {**vars(meanings), **vars(table)}, __file__)
in_unit = _FOUND.pop("in_unit")
LAWS: dict[str, Law] = {}
for _name, _formula in _FOUND.items():
    _law, _method = re.fullmatch(r"(.+?)_(ppf_open|[a-z]+)", _name).groups()  # type: ignore[union-attr]
    LAWS.setdefault(_law, {})[_method] = _formula


def _symmetric(law: Law) -> Law:
    """With the functions of the other side."""
    sides = {"sf": "cdf", "logsf": "logcdf"}
    for name, other in sides.items():
        law[name] = lambda z, *shapes, f=law[other]: f(negative(z), *shapes)
    law["isf"] = lambda q: negative(law["ppf"](q))
    return law


for _law in ("norm", "logistic", "cauchy", "laplace"):
    _symmetric(LAWS[_law])
_SUPPORTS = {"uniform": (0.0, 1.0), "expon": (0.0, math.inf), "halfnorm": (0.0, math.inf)}


def evaluate(
    law: str, method: str, x: Number, *shapes: Number, loc: Number = 0, scale: Number = 1
) -> Number:
    """A density, a distribution function or a quantile, moved and stretched."""
    function = LAWS[law][method]
    if method in ("ppf", "isf"):
        ends = _SUPPORTS.get(law, (-math.inf, math.inf))
        low, high = ends if method == "ppf" else ends[::-1]
        at_end = where(equal(x, 0), low, where(equal(x, 1), high, function(x, *shapes)))
        value = in_unit(x, at_end, math.nan)
        return add(multiply(value, scale), loc)
    if method.endswith("_open"):
        return add(multiply(function(x), scale), loc)
    value = function(divide(subtract(x, loc), scale), *shapes)
    if method == "pdf":
        return divide(value, scale)
    return subtract(value, log(scale)) if method == "logpdf" else value


# Functions of `jax.scipy.stats`, found by name.


def _meaning(law: str, method: str) -> Callable[..., Number]:
    if law == "t":
        return lambda x, df, loc=0, scale=1: evaluate(law, method, x, df, loc=loc, scale=scale)
    return lambda x, loc=0, scale=1: evaluate(law, method, x, loc=loc, scale=scale)


for _law, _methods in LAWS.items():
    for _name in _methods:
        globals()[f"{_law}_{_name}"] = _meaning(_law, _name)


# Objects of `scipy.stats` and `torch.distributions`.


class Distribution:
    """Stands for a distribution whose methods are called with symbols."""

    def __init__(
        self,
        path: str,
        methods: Mapping[str, Callable[..., object]],
        call: Callable[..., object] | None = None,
    ) -> None:
        self._path, self._methods, self._call = path, methods, call

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        if name not in self._methods:
            unknown(f"{self._path}.{name}")
        return self._methods[name]

    def __call__(self, *args: object, **kwargs: object) -> object:
        if self._call is None:
            unknown(self._path)
        return self._call(*args, **kwargs)


def stand_in(environment: Environment, value: object) -> object:
    """What stands in for a distribution, or for a method of one; None for anything else."""
    if isinstance(value, types.MethodType):
        owner = stand_in(environment, value.__self__)
        return None if owner is None else getattr(owner, value.__name__)
    kind = value if isinstance(value, type) else type(value)
    module = kind.__module__ or ""
    if module.startswith("scipy.stats"):
        return _scipy(environment, value)
    if module.startswith("torch.distributions.") and kind.__name__ in _TORCH:
        return _torch_class(kind) if isinstance(value, type) else _torch(environment, value)
    return None


def _scipy(environment: Environment, value: Any) -> Distribution | None:
    infrastructure = sys.modules["scipy.stats"]
    if isinstance(value, infrastructure.rv_continuous):
        return _of_scipy(value, (), {})
    if type(value).__name__ == "rv_continuous_frozen":
        arguments = environment.copy(tuple(value.args)), environment.copy(dict(value.kwds))
        return _of_scipy(value.dist, *arguments)
    return None


def _of_scipy(value: Any, args: tuple[object, ...], kwargs: Fields) -> Distribution | None:
    law = value.name
    if law not in LAWS or type(value).__module__ != "scipy.stats._continuous_distns":
        return None
    shapes = ["df"] if law == "t" else []
    names = [*shapes, "loc", "scale"]

    def method(name: str, x: Number, *args: object, **kwargs: object) -> object:
        if not is_symbolic((x, args, kwargs)):
            return getattr(value, name)(x, *args, **kwargs)
        if len(args) > len(names) or not set(kwargs) <= set(names):
            refuse(f"`{law}.{name}` does not take these arguments", f"It takes {names}.")
        settings = {"loc": 0, "scale": 1, **dict(zip(names, args, strict=False)), **kwargs}
        found = evaluate(law, name, x, *(settings.pop(s) for s in shapes), **settings)
        return where(less(0, settings["scale"]), found, math.nan)

    def freeze(*args: object, **kwargs: object) -> object:
        return _of_scipy(value, args, kwargs)

    methods = {
        name: lambda x, *more, name=name, **others: method(
            name, x, *args, *more, **kwargs, **others
        )
        for name in LAWS[law]
    }
    return Distribution(f"scipy.stats.{law}", methods, None if args or kwargs else freeze)


_TORCH = {
    "Normal": ("norm", "loc", "scale"),
    "Laplace": ("laplace", "loc", "scale"),
    "Cauchy": ("cauchy", "loc", "scale"),
    "Gumbel": ("gumbel_r", "loc", "scale"),
    "HalfNormal": ("halfnorm_torch", None, "scale"),
    "Exponential": ("expon_torch", None, "rate"),
    "Uniform": ("uniform_torch", "low", "high"),
    "StudentT": ("t", "loc", "scale"),
}
"""The law, and which attributes its location and scale are made of."""
_TORCH_METHODS = {"log_prob": ("logpdf",), "cdf": ("cdf",), "icdf": ("ppf_open", "ppf")}


def _torch_class(kind: type) -> Callable[..., Distribution]:
    def create(*args: object, **kwargs: object) -> Distribution:
        given = inspect.signature(kind).bind(*args, **kwargs)
        given.apply_defaults()
        given.arguments.pop("validate_args", None)
        return _of_torch(kind.__name__, {n: _rounded(v) for n, v in given.arguments.items()})

    return create


def _rounded(value: object) -> object:
    """A plain number becomes a tensor of PyTorch's default dtype."""
    if isinstance(value, (int, float)):
        return sys.modules["torch"].tensor(float(value)).item()
    return value


def _torch(environment: Environment, value: object) -> Distribution:
    names = ("loc", "scale", "low", "high", "rate", "df")
    numbers = {name: getattr(value, name) for name in names if hasattr(value, name)}
    for name, number in numbers.items():
        environment.copy(number, name)  # a weight is refused
        if number.numel() != 1:
            refuse(
                f"`{name}` of a torch.distributions.{type(value).__name__} has several numbers",
                "Use a distribution of one number.",
            )
    return _of_torch(type(value).__name__, {name: float(n) for name, n in numbers.items()})


def _of_torch(kind: str, numbers: Mapping[str, Number]) -> Distribution:
    law, location, scale = _TORCH[kind]
    settings = {"loc": numbers[location] if location else 0, "scale": numbers[scale]}
    if kind == "Exponential":
        settings["scale"] = divide(1, numbers["rate"])
    if kind == "Uniform":
        settings["scale"] = subtract(numbers["high"], numbers["low"])
    shapes = [numbers["df"]] if kind == "StudentT" else []
    methods = {
        theirs: lambda value, method=known[0]: evaluate(law, method, value, *shapes, **settings)
        for theirs, ours in _TORCH_METHODS.items()
        if (known := [name for name in ours if name in LAWS[law]])
        and (kind, theirs) != ("Gumbel", "icdf")  # which PyTorch cuts off at its ends
    }
    return Distribution(f"torch.distributions.{kind}", methods)
