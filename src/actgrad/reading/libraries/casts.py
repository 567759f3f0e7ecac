"""Casts, constructors and views: what libraries do to an array besides computing with it.

The result of an activation has its input's dtype and shape. So a cast to a float as wide as float32 is
the identity, one to an integer truncates, and one to a narrower format, which rounds, is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from actgrad.reading.libraries import meanings
from actgrad.reading.libraries.arrays import copied
from actgrad.reading.libraries.lookups import Table
from actgrad.reading.libraries.meanings import Number, stop_gradient
from actgrad.reading.libraries.notation import formulas
from actgrad.reading.reader import mixes, reader
from actgrad.reading.refusal import COPY_FIRST, asks_for_limits, refuse
from actgrad.reading.symbol import Symbol, number, row_of, truth, whole
from actgrad.reading.tokens import Shape, Token, is_token

_WIDE = {"float", "double", "float32", "float64", "floating", "longdouble", "inexact", "number"}
_WHOLE = {"int", "long", "int32", "int64", "integer", "longlong", "intc", "int_", "intp"}


def dtype_name(dtype: object) -> str:
    """A dtype of any library in one word: float32, int64, bool."""
    if isinstance(dtype, np.dtype):
        return dtype.name
    text = dtype if isinstance(dtype, str) else getattr(dtype, "__name__", None)
    if text is None:
        text = getattr(dtype, "name", None) or str(dtype)
    text = str(text).rpartition(".")[2].lower()
    if text.endswith("tensor"):  # torch.LongTensor, and torch.FloatTensor
        text = text.removesuffix("tensor") or "float"
    shorts = {"half": "float16", "double": "float64", "long": "int64", "short": "int16"}
    shorts |= {"byte": "uint8", "char": "int8", "bool_": "bool"}
    if isinstance(dtype, str) and len(text) <= 3:  # NumPy's "f4", "i8", "?"
        try:
            return np.dtype(dtype).name
        except TypeError:
            return text
    return shorts.get(text, text)


def cast(x: Number, dtype: object = None) -> Number:
    """The number in another dtype."""
    if dtype is None or (isinstance(dtype, Token) and dtype.what == "dtype"):
        constants = not isinstance(x, Symbol) and np.ndim(row_of(x)) > 0
        return np.asarray(x, dtype=np.float64) if constants else number(x)
    kind = dtype_name(dtype)
    if kind == "bool":
        return truth(x)
    if kind in _WIDE:
        return single(x) if kind == "float32" else number(x)
    if kind in _WHOLE or (kind.startswith(("int", "uint")) and (_is_truth(x) or _fits(x, kind))):
        return as_int(x)
    if kind.startswith(("float", "bfloat", "int", "uint")):
        steps = "rounds to" if "float" in kind else "wraps around in"
        refuse(
            f"the function casts to {kind}, which {steps} a narrow format",
            "Compute in the dtype of the input. For a quantiser write its steps: "
            "`np.round(x / scale) * scale` and `np.clip`.",
        )
    refuse(
        f"the function casts to {kind}",
        "Cast to float32, float64, int32, int64 or bool, or leave the dtype as it is.",
    )


def _is_truth(x: object) -> bool:
    return isinstance(x, (bool, np.bool_)) or (isinstance(x, Symbol) and x.expr.boolean)


def _fits(x: object, kind: str) -> bool:
    """Whether a number lies within a narrow integer format, as after a clip: there nothing wraps."""
    limits = np.iinfo(kind) if kind in _NARROW else None
    if limits is None or not isinstance(x, Symbol):
        return False
    low, high = reader().range_of(x.expr)
    return limits.min <= low and high <= limits.max


_NARROW = {"int8", "int16", "uint8", "uint16", "uint32", "uint64"}


def single(x: Number = 0.0) -> Number:
    """`x.float()`: exact for a float32, and float32's precision for a float64."""
    if isinstance(x, Symbol):
        reader().rounds.add("float32")
    return number(x)


def as_int(x: Number = 0) -> Number:
    if isinstance(x, Symbol) and x.expr.boolean:
        return number(x)
    return whole("trunc", x)


_DEVICES = ("cpu", "cuda", "mps", "xpu", "meta", "gpu", "tpu")


def to(
    x: Symbol, *args: object, dtype: object = None, device: object = None, other: object = None
) -> Number:
    """PyTorch's `x.to(...)`: a dtype, a device, or another tensor's."""
    for value in args:
        if isinstance(value, (bool, int, Symbol, Token)):
            continue  # non_blocking, copy; or a tensor, whose dtype it is
        if isinstance(value, str) and value.split(":")[0] in _DEVICES:
            continue
        if type(value).__name__ == "device":
            continue
        dtype = value
    return cast(x, dtype)


def torch_type(x: Symbol, dtype: object = None) -> object:
    return x.dtype if dtype is None else cast(x, dtype)


def reduce_precision(x: Number, exponent_bits: int, mantissa_bits: int) -> Number:
    """JAX's: the identity where float32 has no more bits."""
    if exponent_bits < 8 or mantissa_bits < 23:
        refuse(
            f"`reduce_precision` with {exponent_bits} and {mantissa_bits} bits rounds to a narrow format",
            "Compute in the dtype of the input.",
        )
    return number(x)


def result_type(*_: object) -> Token:
    """The dtype of a result that is made of the input."""
    return Token("dtype")


def issubdtype(dtype: object, kind: object) -> bool:
    """Of an input's dtype: it is a floating one."""
    return dtype_name(kind) in {"floating", "inexact", "number", "generic"}


def finfo(dtype: object) -> object:
    """The limits of a dtype that has a name; those of the input's are refused."""
    if is_token(dtype) or isinstance(dtype, Symbol):
        asks_for_limits("finfo(x.dtype)")
    return np.finfo(dtype_name(dtype))


def type_as(x: Number, other: object) -> Number:
    return number(x) if isinstance(other, Symbol) else cast(x, getattr(other, "dtype", None))


def constant(value: object, dtype: object = None) -> Number:
    """An array made of numbers, some of which may be symbolic."""
    value = row_of(value)
    if isinstance(value, Symbol):
        return cast(copied(value), dtype)
    if isinstance(dtype, Token) and isinstance(value, (int, float)):
        return number(value)  # as precise as the input: what is computed of it is not float32's
    if isinstance(value, (list, tuple)):
        symbolic = any_symbol(value)
        value = np.asarray(value, dtype=object if symbolic else None)[()]
        return value.view(Table) if symbolic else value
    return value


def tensor(value: object, dtype: object = None) -> Number:
    """PyTorch's `torch.tensor(x)` and `Variable(x)`: new numbers, outside of autograd."""
    made_of = constant(value, dtype)
    is_parameter = isinstance(made_of, Symbol) and made_of.form is None
    return made_of if is_parameter else stop_gradient(made_of)


def new(x: Symbol, data: object) -> Number:
    """`x.new(y)`: the same numbers; with a shape, numbers that are not written yet."""
    return _filled(data, np.nan, None) if isinstance(data, Shape) else constant(data)


def as_array(value: object, dtype: object = None) -> Number:
    """The same array where it is one."""
    return cast(value, dtype) if isinstance(value, Symbol) else constant(value, dtype)


def any_symbol(values: Sequence[object]) -> bool:
    return any(
        any_symbol(value) if isinstance(value, (list, tuple)) else isinstance(value, Symbol)
        for value in values
    )


# Arrays of one number.


def _filled(like: object, value: Number, dtype: object) -> Symbol:
    form = like.form if isinstance(like, (Symbol, Token)) else None
    if isinstance(like, (tuple, list)) and any(size != 1 for size in like):
        form = ("filled", repr(like))
    filled = cast(value, dtype)
    filled = filled if isinstance(filled, Symbol) else number(filled)
    mask = like.mask if isinstance(like, Symbol) else None
    return Symbol(filled.expr, form, mask)


def masked_scatter(x: Symbol, mask: Symbol, source: object) -> Symbol:
    result = copied(x)
    result[mask] = source
    return result


# Views.


def shape_of(x: Number) -> Number:
    x = row_of(x)
    return x.shape if isinstance(x, Symbol) else np.shape(x)


def size_of(x: Number, dim: object = None) -> object:
    return Token("size") if isinstance(x, Symbol) else np.size(x)


def rank_of(x: Number) -> Number:
    x = row_of(x)
    return x.ndim if isinstance(x, Symbol) else np.ndim(x)


def same(x: Number, *shape: object) -> Number:
    """The same elements at the same places, and the same memory."""
    return x


def expand(x: object, *shape: object) -> object:
    """To a larger shape: the same where it is the input's own."""
    if not isinstance(x, Symbol):
        return x  # a constant, which broadcasts
    target = shape[0] if len(shape) == 1 else shape
    if isinstance(target, (Shape, Symbol)):
        return x if target.form == x.form or x.form is None else x.viewed(("expand", repr(shape)))
    if isinstance(target, (tuple, list)) and all(size == -1 for size in target):
        return x
    return x if x.form is None else x.viewed(("expand", repr(shape)))


def reshape(x: Symbol, *shape: object, order: str = "C") -> Symbol:
    """The same elements in the same order."""
    _need_last_axis_fastest(order)
    target = shape[0] if len(shape) == 1 else shape
    if isinstance(target, Symbol):  # view_as
        target = target.shape
    if isinstance(target, Shape):
        return x if target.form == x.form else Symbol(x.expr, target.form, x.mask, writable=False)
    if target in (-1, (-1,), [-1]) if not is_token(target) else False:
        return flatten(x)
    return x.viewed(("reshape", repr(target)))


def flatten(
    x: Symbol, *dims: int | str, order: str = "C", start_dim: int = 0, end_dim: int = -1
) -> Symbol:
    """PyTorch's with axes, NumPy's with an order."""
    _need_last_axis_fastest(next((dim for dim in dims if isinstance(dim, str)), order))
    if x.form and x.form[-1] == "flat":
        return x
    return x.viewed("flat")


def _need_last_axis_fastest(order: str) -> None:
    if order != "C":
        refuse(
            f"the elements in another order (order={order!r})",
            "Leave the order out: an activation computes each element alone.",
        )


def squeeze(x: Symbol, axis: object = None) -> Symbol:
    if x.form and x.form[-1] == ("axis", axis):
        return Symbol(x.expr, x.form[:-1], x.mask, writable=False)
    return x.viewed(("squeeze", axis))


# Writing.


def copyto(target: object, value: object, where: object = True) -> None:
    if where is True:
        _writable(target).assign(value)
        return
    putmask(target, where, value)


def putmask(target: object, mask: object, value: object) -> None:
    """An array gives the numbers of the same places, where `y[mask] = array` would give its first ones."""
    _writable(target)[mask] = value[mask] if isinstance(value, Symbol) else value


def place(target: object, mask: object, value: object) -> None:
    _writable(target)[mask] = value


def _writable(target: object) -> Symbol:
    if not isinstance(target, Symbol):
        refuse("the function writes its input into an array that it did not make of it", COPY_FIRST)
    return target


def index_put(
    x: Symbol, indices: Sequence[Symbol], values: Number, accumulate: bool = False
) -> Symbol:
    result = copied(x)
    (mask,) = indices if len(indices) == 1 else mixes("index_put")
    result[mask] = result[mask] + values if accumulate else values
    return result


_FORMULAS = """
as_float(x=0.0) = number(x)
as_bool(x=False) = truth(x)
narrow(x) = cast(x, "float16")
bfloat16(x) = cast(x, "bfloat16")
byte(x) = cast(x, "uint8")
char(x) = cast(x, "int8")
short(x) = cast(x, "int16")
whole_floor(x) = whole("floor", x)
whole_ceil(x) = whole("ceil", x)
# Arrays of one number. What is not written yet is nan, so that it shows.
zeros(shape, dtype=None) = _filled(shape, 0.0, dtype)
ones(shape, dtype=None) = _filled(shape, 1.0, dtype)
full(shape, value, dtype=None) = _filled(shape, value, dtype)
empty(shape, dtype=None) = _filled(shape, math.nan, dtype)
zeros_like(x, dtype=None) = _filled(x, 0.0, dtype)
ones_like(x, dtype=None) = _filled(x, 1.0, dtype)
full_like(x, value, dtype=None) = _filled(x, value, dtype)
empty_like(x, dtype=None) = _filled(x, math.nan, dtype)
new_zeros(x, size, dtype=None) = _filled(size, 0.0, dtype)
new_ones(x, size, dtype=None) = _filled(size, 1.0, dtype)
new_full(x, size, value, dtype=None) = _filled(size, value, dtype)
new_empty(x, size, dtype=None) = _filled(size, math.nan, dtype)
new_tensor(x, data, dtype=None) = tensor(data, dtype)
# Methods of a tensor.
element_count(x) = Token("number of elements", x.form)
unsqueeze(x, axis) = x.viewed(("axis", axis))
masked_select(x, mask) = x[mask]
masked_fill(x, mask, value) = apply("select", mask, value, x)
method_where(x, condition, other) = apply("select", condition, x, other)
# `y.fill_(value)`, `y.copy_(value)`, and `y.zero_()`.
filled_with(x, value) = made(number(value).expr, x)
cleared(x) = made(number(0.0).expr, x)
"""
globals().update(formulas(_FORMULAS, {**vars(meanings), **globals()}, __file__))
