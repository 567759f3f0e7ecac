"""What math, numpy, scipy, tf, torch, jax and keras call each operation: one table for all.

A row lists the names under which a library offers meanings of `meanings`; `name=meaning` where the
two differ. Functions are recognised by identity, so `from torch.nn.functional import silu as s`
is found too. Only libraries that are already imported are looked at.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable
from functools import cache, wraps
from typing import Any

import numpy as np

from actgrad.reading import meanings
from actgrad.reading.symbol import Symbol, is_symbolic

Meaning = Callable[..., Any]

_BUILTINS = """
abs=absolute max=python_max min=python_min any=python_any all=python_all round=whole_round
"""

_MATH = """
acos acosh asin asinh atan atan2 atanh cbrt ceil=whole_ceil copysign cos cosh degrees erf erfc exp exp2 expm1
fabs=absolute factorial floor=whole_floor fma fmod fsum=total hypot=norm dist=distance
sumprod=sum_product isclose=is_close isfinite=is_finite
isinf=is_inf isnan=is_nan ldexp log log10 log1p log2 modf pow=power prod=product radians
remainder=remainder_nearest sin sinh sqrt tan tanh trunc=as_int
"""

_NUMPY_LIKE = """
abs=absolute absolute add arccos=acos arccosh=acosh arcsin=asin arcsinh=asinh arctan=atan
arctan2=atan2 arctanh=atanh cbrt ceil clip copysign cos cosh deg2rad=radians degrees divide equal
exp exp2 expm1 fabs=absolute floor floor_divide fmax=maximum fmin=minimum fmod full_like greater
greater_equal heaviside hypot isfinite=is_finite isinf=is_inf isnan=is_nan ldexp less less_equal
log log10 log1p log2 logaddexp logical_and logical_not logical_or logical_xor maximum minimum mod
modf multiply negative not_equal ones_like=one_like piecewise polyval positive=identity power
prod=product rad2deg=degrees radians reciprocal remainder=mod rint round=python_round select sign
signbit sin sinc sinh sqrt square subtract sum=total tan tanh true_divide=divide trunc where
zeros_like=zero_like bitwise_and=logical_and bitwise_or=logical_or bitwise_xor=logical_xor
invert=logical_not
"""

_NUMPY = (
    _NUMPY_LIKE
    + """
any=numpy_any all=numpy_all mean dot matmul=dot inner=dot vdot=dot interp isclose=numpy_is_close
divmod=floor_divmod
fix=trunc float_power=power nan_to_num=identity around=python_round asarray=constant array=constant
float32=as_float float64=as_float float_power=power
acos acosh asin asinh atan atan2 atanh pow=power bool_=as_bool max=python_max min=python_min
"""
)

_SCIPY_SPECIAL = """
cbrt erf erfc exp10=exp10 exp2 expit=sigmoid expm1 log1p log_expit=log_sigmoid logit ndtr=normal_cdf
softplus xlogy
"""

_TORCH_FUNCTIONAL = """
celu elu gelu hardshrink=hard_shrink hardsigmoid=hard_sigmoid hardswish=hard_silu hardtanh=hard_tanh
leaky_relu logsigmoid=log_sigmoid mish relu relu6 selu sigmoid silu softplus softshrink=soft_shrink
softsign tanh tanhshrink=tanh_shrink threshold
"""

_TORCH = """
abs=absolute absolute acos acosh add arccos=acos arccosh=acosh arcsin=asin arcsinh=asinh arctan=atan
arctan2=atan2 arctanh=atanh as_tensor=constant asin asinh atan atan2 atanh bitwise_and=logical_and
bitwise_not=logical_not bitwise_or=logical_or celu ceil clamp=clamp clamp_max=minimum
clamp_min=maximum clip=clamp copysign cos cosh deg2rad=radians div=torch_div divide=torch_div eq=equal erf
erfc exp exp2 expm1 fix=trunc floor floor_divide fmax=maximum fmin=minimum fmod full_like
ge=greater_equal greater greater_equal gt=greater heaviside hypot isfinite=is_finite isinf=is_inf
isnan=is_nan ldexp le=less_equal lerp less less_equal log log10 log1p log2 logaddexp logical_and
logical_not logical_or logical_xor logit lt=less maximum minimum mul=multiply multiply ne=not_equal
neg=negative negative not_equal ones_like=one_like positive=identity pow=power rad2deg=degrees
reciprocal relu remainder=mod round=torch_round rsqrt selu sigmoid sign signbit sin sinc=sinc sinh
sqrt square sub=subtract subtract tan tanh tensor=constant threshold true_divide=divide trunc where
xlogy zeros_like=zero_like celu_=celu relu_=relu
special.erf=erf special.erfc=erfc special.expit=sigmoid special.expm1=expm1 special.exp2=exp2
special.log1p=log1p special.ndtr=normal_cdf special.logit=logit special.sinc=sinc
special.xlogy=xlogy special.round=torch_round
"""

_TF_MATH = """
abs=absolute acos acosh add asin asinh atan atan2 atanh ceil cos cosh divide divide_no_nan equal erf
erfc exp expm1 floor floordiv=floor_divide floormod=mod greater greater_equal is_finite is_inf
is_nan less less_equal log log1p log_sigmoid logical_and logical_not logical_or logical_xor maximum
minimum mod multiply multiply_no_nan negative not_equal pow=power reciprocal rint round=rint rsqrt
sigmoid sign sin sinh softplus sqrt square subtract tan tanh xlogy reduce_sum=total
"""

_TF_NN = """
elu gelu leaky_relu=tf_leaky_relu relu relu6 selu sigmoid silu softplus softsign swish=silu tanh
"""

_TF = """
abs=absolute acos acosh add asin asinh atan atan2 atanh cast clip_by_value=clip
constant convert_to_tensor=constant cos cosh divide equal exp floor greater greater_equal identity
less less_equal logical_and logical_not logical_or maximum minimum multiply negative not_equal
ones_like=one_like pow=power round=rint sigmoid sign sin sinh sqrt square stop_gradient subtract
tan tanh truncatediv=truncate_divide truncatemod=fmod where zeros_like=zero_like
compat.v1.to_float=as_float compat.v1.mod=mod compat.v1.floordiv=floor_divide
compat.v1.floormod=mod compat.v1.where=where compat.v1.to_int32=as_int
"""

_KERAS_OPS = """
abs=absolute absolute add arccos=acos arccosh=acosh arcsin=asin arcsinh=asinh arctan=atan
arctan2=atan2 arctanh=atanh array=constant cast ceil celu clip convert_to_tensor=constant cos cosh
divide divide_no_nan elu equal erf exp exp2 expm1 floor floor_divide full_like gelu=gelu_approximate
greater greater_equal hard_shrink hard_sigmoid hard_silu hard_swish=hard_silu hard_tanh heaviside
hypot isfinite=is_finite isinf=is_inf isnan=is_nan leaky_relu=keras_leaky_relu less less_equal log
log10 log1p log2 logaddexp logical_and logical_not logical_or logical_xor log_sigmoid maximum
minimum mod multiply negative not_equal ones_like=one_like power reciprocal relu relu6 round=rint
rsqrt select selu sigmoid sign sin sinh silu soft_shrink softplus softsign sparse_plus sqrt square
squareplus stop_gradient subtract swish=silu tan tanh tanh_shrink threshold trunc where
zeros_like=zero_like
"""

_KERAS_ACTIVATIONS = """
celu elu exponential=exp gelu=gelu_keras hard_shrink hard_sigmoid hard_silu hard_tanh
leaky_relu=keras_leaky_relu linear=identity log_sigmoid mish relu relu6 selu sigmoid silu
soft_shrink softplus softsign sparse_plus squareplus tanh tanh_shrink threshold
"""

_JAX_NN = """
celu elu gelu=gelu_approximate hard_sigmoid hard_silu hard_swish=hard_silu hard_tanh
leaky_relu log_sigmoid mish relu relu6 selu sigmoid silu soft_sign=softsign softplus
sparse_plus squareplus swish=silu
"""

_JAX_LAX = """
abs=absolute acos acosh add asin asinh atan atan2 atanh bitwise_and=logical_and
bitwise_not=logical_not bitwise_or=logical_or cbrt ceil clamp=lax_clamp cos cosh div=divide eq=equal erf
erfc exp exp2 expm1 floor ge=greater_equal gt=greater integer_pow=power is_finite le=less_equal log
log1p logistic=sigmoid lt=less max=maximum min=minimum mul=multiply ne=not_equal neg=negative
pow=power reciprocal rem=fmod round=lax_round rsqrt select=where select_n=select_n sign sin sinh
sqrt square stop_gradient sub=subtract tan tanh
"""

NAMES: dict[str, str] = {
    "builtins": _BUILTINS,
    "math": _MATH,
    "numpy": _NUMPY,
    "scipy.special": _SCIPY_SPECIAL,
    "tensorflow": _TF,
    "tensorflow.math": _TF_MATH,
    "tensorflow.nn": _TF_NN,
    "torch": _TORCH,
    "torch.nn.functional": _TORCH_FUNCTIONAL,
    "jax.numpy": _NUMPY_LIKE
    + " array=constant asarray=constant acos acosh asin asinh atan atan2 atanh pow=power",
    "jax.nn": _JAX_NN,
    "jax.lax": _JAX_LAX,
    "jax.scipy.special": "erf erfc expit=sigmoid logit ndtr=normal_cdf xlogy",
    "keras.ops": _KERAS_OPS,
    "keras.activations": _KERAS_ACTIVATIONS,
}

METHODS = """
abs=absolute acos acosh add arccos=acos arcsin=asin arctan=atan asin asinh astype=cast atan atan2
atanh ceil clamp=clamp clamp_max=minimum clamp_min=maximum clip=clamp conj=identity copy=identity
clone=identity contiguous=identity copysign cos cosh detach=stop_gradient div=divide double=as_float
eq=equal erf erfc exp exp2 expm1 float=as_float floor floor_divide fmod ge=greater_equal
greater greater_equal gt=greater half=as_float heaviside hypot int=as_int bool=as_bool
is_integer=is_integer isfinite=is_finite isinf=is_inf isnan=is_nan item=identity le=less_equal lerp
less less_equal log log10 log1p log2 logical_and logical_not logical_or logical_xor logit long=as_int
lt=less maximum minimum mul=multiply multiply ne=not_equal neg=negative negative not_equal
numpy=identity pow=power reciprocal relu remainder=mod rint round=torch_round rsqrt sigmoid sign sin
sinc sinh sqrt square sub=subtract subtract sum=total tan tanh to=cast trunc type=cast
masked_fill=masked_fill where=method_where type_as conjugate=identity degrees radians
bfloat16=as_float arctan2=atan2 rad2deg=degrees deg2rad=radians true_divide=divide
arccosh=acosh arcsinh=asinh arctanh=atanh cbrt fabs=absolute
"""

ROOTS = frozenset(path.partition(".")[0] for path in NAMES)
_PLAIN = frozenset({"builtins", "math", "numpy", "scipy"})


def meaning(function: Any) -> Meaning | None:
    """What a library's function means, if it is one that we know."""
    module = getattr(function, "__module__", None) or ""
    root = module.partition(".")[0]
    for name in [root] if root in ROOTS else ROOTS:
        found = _known(name).get(id(function)) if name in sys.modules else None
        if found is not None:
            return found
    return None


def takes_tensors(function: Any) -> bool:
    """Whether this is a tensor library's function, which cannot be run on plain floats to compare."""
    return any(id(function) in _known(root) for root in ROOTS - _PLAIN if root in sys.modules)


@cache
def method(name: str) -> Meaning | None:
    """What a tensor's method of this name means."""
    text = _parse(METHODS).get(name)
    return _tolerant(_named(text)) if text else None


_resolved: dict[str, tuple[int, list[str], dict[int, Meaning]]] = {}


def _known(root: str) -> dict[int, Meaning]:
    """The root's functions by identity; looked up again when submodules have been imported since."""
    count, before, table = _resolved.get(root, (-1, [], {}))
    if count == len(sys.modules):
        return table
    present = [
        path for path in NAMES if path.partition(".")[0] == root and _module(path) is not None
    ]
    if present != before:
        table = {}
        for path in present:
            module = _module(path)
            for name, text in _parse(NAMES[path]).items():
                function = module
                for part in name.split("."):
                    function = getattr(function, part, None)
                if function is not None:
                    table[id(function)] = _wrapped(function, _named(text), root)
    _resolved[root] = len(sys.modules), present, table
    return table


def _module(path: str) -> Any:
    """An imported module, or what its parent offers under the name without importing anything new."""
    if path in sys.modules:
        return sys.modules[path]
    parent, _, name = path.rpartition(".")
    return getattr(sys.modules.get(parent), name, None) if parent and parent != "scipy" else None


@cache
def _parse(text: str) -> dict[str, str]:
    pairs = (entry.partition("=") for entry in text.split())
    return {name: meant or name.rpartition(".")[2] for name, _, meant in pairs}


def _named(text: str) -> Meaning:
    found: Meaning = getattr(meanings, text)
    return found


_IGNORED = frozenset(
    {"name", "dtype", "out", "inplace", "out_type", "casting", "copy", "non_blocking"}
)
_SPELLINGS = {
    "x": "input a x1 t arr features logits tensor operand",
    "y": "other b x2 exponent min max",
    "low": "min a_min x_min clip_value_min min_value",
    "high": "max a_max x_max clip_value_max",
    "condition": "pred cond which",
    "yes": "x input x1 on_true",
    "no": "y other x2 on_false",
    "slope": "alpha negative_slope",
    "at": "threshold",
    "value": "default_value fill_value",
    "threshold": "lambd",
    "digits": "decimals ndigits",
    "at_zero": "values x2 h0",
    "start": "input",
    "coefficients": "p coeffs",
    "conditions": "condlist",
    "values": "choicelist funclist input_tensor",
    "exponent": "other x2",
}
"""What libraries call the arguments of our meanings."""


def _wrapped(original: Any, meant: Meaning, root: str) -> Meaning:
    """Plain Python and NumPy answer for plain numbers themselves, with IEEE's answer where they raise;
    of a tensor library we never call anything."""
    tolerant = _tolerant(meant)
    if root in ROOTS - _PLAIN:
        return tolerant

    @wraps(meant, assigned=(), updated=())
    def call(*args: Any, **kwargs: Any) -> Any:
        if is_symbolic(args) or is_symbolic(kwargs):
            return tolerant(*args, **kwargs)
        try:
            return original(*args, **kwargs)
        except ArithmeticError:
            return tolerant(*args, **kwargs)
        except TypeError:  # `math.trunc(np.where(True, 1.0, 2.0))`: of an input it is a number
            if any(isinstance(arg, np.ndarray) and not arg.ndim for arg in args):
                return tolerant(*args, **kwargs)
            raise
        except ValueError as error:
            if "math domain" in str(error) or "cannot convert float NaN" in str(error):
                return tolerant(*args, **kwargs)
            raise

    return call


def _tolerant(meant: Meaning) -> Meaning:
    """The meaning under every library's spelling of the keyword arguments."""
    code = getattr(meant, "__code__", None)
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount] if code else ()
    known = {spelt: name for name in names for spelt in _SPELLINGS.get(name, "").split()}
    known |= {name: name for name in names}

    @wraps(meant, assigned=(), updated=())
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            kwargs = {
                known.get(name, name): value
                for name, value in kwargs.items()
                if name in known or name not in _IGNORED
            }
        return meant(*args, **kwargs)

    return call


class _Kind(type):
    """A stand-in for float, int or bool: it converts symbols, and calls them its instances."""

    real: type

    def __instancecheck__(cls, value: Any) -> bool:
        if isinstance(value, Symbol):
            boolean = value.expr.boolean
            return cls.real is bool if boolean else cls.real is float
        return isinstance(value, cls.real)

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(getattr(other, "real", other), cls.real)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if any(isinstance(arg, Symbol) for arg in args):
            convert = {float: meanings.as_float, int: meanings.as_int, bool: meanings.as_bool}
            return convert[cls.real](*args)
        return cls.real(*args, **kwargs)

    def __getattr__(cls, name: str) -> Any:
        return getattr(cls.real, name)

    def __eq__(cls, other: object) -> bool:
        return other is cls or other is cls.real

    def __hash__(cls) -> int:
        return hash(cls.real)


KINDS = {
    # `case float(y)` captures the attribute named here.
    kind: _Kind(kind.__name__, (), {"real": kind, "__match_args__": ("real",)})
    for kind in (builtins.float, builtins.int, builtins.bool)
}
