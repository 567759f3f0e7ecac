"""Densities and distribution functions: `scipy.stats`, `jax.scipy.stats` and `torch.distributions`.

Each law is written once, for location 0 and scale 1.
"""

from __future__ import annotations

import inspect
import math
import sys
import types
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from actgrad.reading.formulas import is_nan, log_ndtr, log_sigmoid, normal_cdf, square
from actgrad.reading.meanings import (
    Number,
    absolute,
    add,
    atan2,
    clip,
    divide,
    equal,
    erf,
    erfc,
    exp,
    expm1,
    less,
    less_equal,
    lgamma,
    log,
    log1p,
    logical_and,
    logit,
    multiply,
    ndtri,
    negative,
    sigmoid,
    subtract,
    tan,
    where,
)
from actgrad.reading.reader import unknown
from actgrad.reading.refusal import refuse
from actgrad.reading.symbol import is_symbolic

Law = dict[str, Callable[..., Number]]


def _symmetric(law: Law) -> Law:
    """With the functions of the other side."""
    sides = {"sf": "cdf", "logsf": "logcdf"}
    for name, other in sides.items():
        law[name] = lambda z, *shapes, f=law[other]: f(negative(z), *shapes)
    law["isf"] = lambda q: negative(law["ppf"](q))
    return law


def _t_logpdf(z: Number, df: Number) -> Number:
    half = multiply(0.5, add(df, 1))
    constant = subtract(lgamma(half), lgamma(multiply(0.5, df)))
    constant = subtract(constant, multiply(0.5, log(multiply(math.pi, df))))
    return subtract(constant, multiply(half, log1p(divide(square(z), df))))


def _cauchy_ppf(q: Number) -> Number:
    left = divide(-1, tan(multiply(math.pi, q)))
    right = divide(1, tan(multiply(math.pi, subtract(1, q))))
    middle = tan(multiply(math.pi, subtract(q, 0.5)))
    return where(less(q, 0.25), left, where(less(0.75, q), right, middle))


def _laplace_cdf(z: Number) -> Number:
    tail = multiply(0.5, exp(negative(absolute(z))))
    return where(less(0, z), subtract(1, tail), tail)


def _laplace_logcdf(z: Number) -> Number:
    tail = multiply(-0.5, exp(negative(absolute(z))))
    return where(less(0, z), log1p(tail), subtract(z, math.log(2)))


def _laplace_ppf(q: Number) -> Number:
    right = negative(log(multiply(2, subtract(1, q))))
    return where(less(0.5, q), right, log(multiply(2, q)))


def _within(z: Number, value: Number, outside: Number) -> Number:
    """A value for z from 0 on."""
    return where(less(z, 0), outside, value)


def _in_unit(z: Number, value: Number, outside: Number) -> Number:
    inside = logical_and(less_equal(0, z), less_equal(z, 1))
    return where(inside, value, where(is_nan(z), z, outside))


_LOG_ROOT = 0.5 * math.log(2 * math.pi)
LAWS: dict[str, Law] = {
    "norm": _symmetric({
        "pdf": lambda z: divide(exp(multiply(-0.5, square(z))), math.sqrt(2 * math.pi)),
        "logpdf": lambda z: subtract(multiply(-0.5, square(z)), _LOG_ROOT),
        "cdf": normal_cdf,
        "logcdf": log_ndtr,
        "ppf": ndtri,
    }),
    "logistic": _symmetric({
        "pdf": lambda z: multiply(sigmoid(z), sigmoid(negative(z))),
        "logpdf": lambda z: add(log_sigmoid(z), log_sigmoid(negative(z))),
        "cdf": sigmoid,
        "logcdf": log_sigmoid,
        "ppf": logit,
    }),
    "cauchy": _symmetric({
        "pdf": lambda z: divide(1 / math.pi, add(1, square(z))),
        "logpdf": lambda z: subtract(-math.log(math.pi), log1p(square(z))),
        "cdf": lambda z: divide(atan2(1.0, negative(z)), math.pi),
        "logcdf": lambda z: log(divide(atan2(1.0, negative(z)), math.pi)),
        "ppf": _cauchy_ppf,
    }),
    "laplace": _symmetric({
        "pdf": lambda z: multiply(0.5, exp(negative(absolute(z)))),
        "logpdf": lambda z: subtract(-math.log(2), absolute(z)),
        "cdf": _laplace_cdf,
        "logcdf": _laplace_logcdf,
        "ppf": _laplace_ppf,
    }),
    "t": {
        "pdf": lambda z, df: exp(_t_logpdf(z, df)),
        "logpdf": _t_logpdf,
    },
    "uniform": {
        "pdf": lambda z: _in_unit(z, 1, 0),
        "logpdf": lambda z: _in_unit(z, 0, -math.inf),
        "cdf": lambda z: clip(z, 0, 1),
        "sf": lambda z: subtract(1, clip(z, 0, 1)),
        "logcdf": lambda z: log(clip(z, 0, 1)),
        "logsf": lambda z: log1p(negative(clip(z, 0, 1))),
        "ppf": lambda q: q,
        "isf": lambda q: subtract(1, q),
    },
    "expon": {
        "pdf": lambda z: _within(z, exp(negative(z)), 0),
        "logpdf": lambda z: _within(z, negative(z), -math.inf),
        "cdf": lambda z: _within(z, negative(expm1(negative(z))), 0),
        "sf": lambda z: _within(z, exp(negative(z)), 1),
        "logcdf": lambda z: _within(z, log(negative(expm1(negative(z)))), -math.inf),
        "logsf": lambda z: _within(z, negative(z), 0),
        "ppf": lambda q: negative(log1p(negative(q))),
        "isf": lambda q: negative(log(q)),
    },
    "halfnorm": {
        "pdf": lambda z: _within(z, multiply(2, LAWS["norm"]["pdf"](z)), 0),
        "logpdf": lambda z: _within(z, add(LAWS["norm"]["logpdf"](z), math.log(2)), -math.inf),
        "cdf": lambda z: _within(z, erf(multiply(math.sqrt(0.5), z)), 0),
        "sf": lambda z: _within(z, erfc(multiply(math.sqrt(0.5), z)), 1),
        "ppf": lambda q: negative(ndtri(multiply(0.5, subtract(1, q)))),
        "isf": lambda q: negative(ndtri(multiply(0.5, q))),
    },
    "gumbel_r": {
        "pdf": lambda z: exp(subtract(negative(z), exp(negative(z)))),
        "logpdf": lambda z: subtract(negative(z), exp(negative(z))),
        "cdf": lambda z: exp(negative(exp(negative(z)))),
        "logcdf": lambda z: negative(exp(negative(z))),
        "sf": lambda z: negative(expm1(negative(exp(negative(z))))),
        "logsf": lambda z: log(negative(expm1(negative(exp(negative(z)))))),
        "ppf": lambda q: negative(log(negative(log(q)))),
    },
}  # fmt: skip
LAWS["gumbel_l"] = {
    "pdf": lambda z: LAWS["gumbel_r"]["pdf"](negative(z)),
    "logpdf": lambda z: LAWS["gumbel_r"]["logpdf"](negative(z)),
    "cdf": lambda z: LAWS["gumbel_r"]["sf"](negative(z)),
    "logcdf": lambda z: LAWS["gumbel_r"]["logsf"](negative(z)),
    "sf": lambda z: LAWS["gumbel_r"]["cdf"](negative(z)),
    "logsf": lambda z: LAWS["gumbel_r"]["logcdf"](negative(z)),
    "ppf": lambda q: log(negative(log1p(negative(q)))),
}
# PyTorch's formulas take numbers outside of the support too, which it refuses to compute unless asked.
LAWS["expon_torch"] = {
    "logpdf": negative,
    "cdf": lambda z: negative(expm1(negative(z))),
    "ppf_open": LAWS["expon"]["ppf"],
}
LAWS["halfnorm_torch"] = {
    "logpdf": LAWS["halfnorm"]["logpdf"],
    "cdf": lambda z: erf(multiply(math.sqrt(0.5), z)),
    "ppf_open": LAWS["halfnorm"]["ppf"],
}
LAWS["uniform_torch"] = {
    "logpdf": lambda z: where(logical_and(less_equal(0, z), less(z, 1)), 0, -math.inf),
    "cdf": LAWS["uniform"]["cdf"],
    "ppf_open": LAWS["uniform"]["ppf"],
}
LAWS["cauchy"]["ppf_open"] = lambda q: tan(multiply(math.pi, subtract(q, 0.5)))
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
        value = _in_unit(x, at_end, math.nan)
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

    __actgrad_reads__ = True

    def __init__(
        self, path: str, methods: Mapping[str, Callable[..., Any]], call: Any = None
    ) -> None:
        self._path, self._methods, self._call = path, methods, call

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name not in self._methods:
            unknown(f"{self._path}.{name}")
        return self._methods[name]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._call is None:
            unknown(self._path)
        return self._call(*args, **kwargs)


def stand_in(environment: Any, value: Any) -> Any:
    """What stands in for a distribution, or for a method of one; None for anything else."""
    if isinstance(value, types.MethodType):
        owner = stand_in(environment, value.__self__)
        return None if owner is None else getattr(owner, value.__name__)
    kind = value if isinstance(value, type) else type(value)
    module = kind.__module__ or ""
    if module.startswith("scipy.stats"):
        return _scipy(environment, value)
    if module.startswith("torch.distributions.") and kind.__name__ in _TORCH:
        environment.uses_frameworks = True
        return _torch_class(kind) if isinstance(value, type) else _torch(environment, value)
    return None


def _scipy(environment: Any, value: Any) -> Distribution | None:
    infrastructure = sys.modules["scipy.stats"]
    if isinstance(value, infrastructure.rv_continuous):
        return _of_scipy(value, (), {})
    if type(value).__name__ == "rv_continuous_frozen":
        arguments = environment.copy(tuple(value.args)), environment.copy(dict(value.kwds))
        return _of_scipy(value.dist, *arguments)
    return None


def _of_scipy(value: Any, args: Any, kwargs: Any) -> Distribution | None:
    law = value.name
    if law not in LAWS or type(value).__module__ != "scipy.stats._continuous_distns":
        return None
    shapes = ["df"] if law == "t" else []
    names = [*shapes, "loc", "scale"]

    def method(name: str, x: Number, *args: Any, **kwargs: Any) -> Any:
        if not is_symbolic((x, args, kwargs)):
            return getattr(value, name)(x, *args, **kwargs)
        if len(args) > len(names) or not set(kwargs) <= set(names):
            refuse(f"`{law}.{name}` does not take these arguments", f"It takes {names}.")
        settings = {"loc": 0, "scale": 1, **dict(zip(names, args, strict=False)), **kwargs}
        found = evaluate(law, name, x, *(settings.pop(s) for s in shapes), **settings)
        return where(less(0, settings["scale"]), found, math.nan)

    def freeze(*args: Any, **kwargs: Any) -> Any:
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
    def create(*args: Any, **kwargs: Any) -> Distribution:
        given = inspect.signature(kind).bind(*args, **kwargs)
        given.apply_defaults()
        given.arguments.pop("validate_args", None)
        return _of_torch(kind.__name__, {n: _rounded(v) for n, v in given.arguments.items()})

    return create


def _rounded(value: Any) -> Any:
    """A plain number becomes a tensor of PyTorch's default dtype."""
    plain = isinstance(value, (int, float))
    return sys.modules["torch"].tensor(float(value)).item() if plain else value


def _torch(environment: Any, value: Any) -> Distribution:
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


def _of_torch(kind: str, numbers: Any) -> Distribution:
    law, location, scale = _TORCH[kind]
    settings = {"loc": numbers[location] if location else 0, "scale": numbers[scale]}
    if kind == "Exponential":
        settings["scale"] = divide(1, numbers["rate"])
    if kind == "Uniform":
        settings["scale"] = subtract(numbers["high"], numbers["low"])
    shapes = [numbers["df"]] if kind == "StudentT" else []
    methods = {
        theirs: partial(_positional, law, known[0], shapes, settings)
        for theirs, ours in _TORCH_METHODS.items()
        if (known := [name for name in ours if name in LAWS[law]])
        and (kind, theirs) != ("Gumbel", "icdf")  # which PyTorch cuts off at its ends
    }
    return Distribution(f"torch.distributions.{kind}", methods)


def _positional(law: str, method: str, shapes: Any, settings: Any, value: Number) -> Number:
    return evaluate(law, method, value, *shapes, **settings)
