"""What a library's function means: looked up by identity, called with the library's own arguments.

So `from torch.nn.functional import silu as s` is found too. Only libraries that are already imported are
looked at.
"""

from __future__ import annotations

import builtins
import sys
from functools import cache, wraps
from typing import Any

import numpy as np

from actgrad.common.types import Fields
from actgrad.reading.libraries import (
    arrays,
    casts,
    distributions,
    flow,
    formulas,
    gradients,
    lookups,
    meanings,
    row_joined,
    row_numbers,
    row_orders,
    row_parts,
    row_turns,
    rows,
    shipped,
    special,
    stacks,
    torch_functional,
)
from actgrad.reading.libraries.binding import Meaning, bind, in_place
from actgrad.reading.libraries.mixing import MIXING
from actgrad.reading.libraries.tables import METHODS, NAMES
from actgrad.reading.libraries.totals import Total
from actgrad.reading.reader import mixes, unknown
from actgrad.reading.refusal import depends_on, draws_random
from actgrad.reading.symbol import Symbol, is_symbolic, number, row_of, truth
from actgrad.reading.tokens import Token, is_token

_HOME = {"tensorflow.keras.backend": "keras"}
"""The package in which the functions of a module are written, where its name does not say so."""

ROOTS = frozenset(path.partition(".")[0] for path in NAMES)
_ALWAYS = frozenset(
    [
        *vars(flow), *gradients.MEANINGS, *torch_functional.MEANINGS,
        "stop_gradient", "dropout", "rrelu", "finfo",
    ],
)  # fmt: skip
"""Meanings that stand in for a library's function whatever it is called with."""


def meaning(function: object) -> Meaning | None:
    """What a library's function means, if it is one that we know."""
    module = getattr(function, "__module__", None)
    root = module.partition(".")[0] if isinstance(module, str) else ""
    for name in [root] if root in ROOTS else ROOTS:
        found = _known(name).get(id(function)) if name in sys.modules else None
        if found is not None:
            return found
    return None


@cache
def method(name: str) -> Meaning | None:
    """What a tensor's method of this name means; one that ends in an underscore writes its result."""
    entry = _parse(METHODS).get(name)
    if entry is None and name in _TAKEN:
        entry = None, "mixing"
    if entry is not None:
        signature, text = entry
        meant = _named(text, f".{name}")
        bound = meant if signature is None else bind(f".{name}", None, meant, _with_self(signature))
        bound = rows.over_row(f".{name}", name if text == "mixing" else text, bound)
        return in_place(bound, name) if name.endswith("_") and not name.startswith("__") else bound
    if name.endswith("_") and not name.endswith("__"):
        base = method(name[:-1])
        return in_place(base, name) if base is not None else None
    return None


def _with_self(signature: str) -> str:
    return f"self,{signature}" if signature else "self"


_TAKEN = frozenset({*MIXING, *rows.MEANINGS})


def taken(path: str) -> list[str]:
    """The names under which a library's module has what takes a whole row."""
    others = path in {"bisect", "builtins", "math"} or path.endswith(("random", "raw_ops"))
    return [] if others else sorted(_TAKEN - _parse(NAMES[path]).keys())


_resolved: dict[str, tuple[int, list[str], dict[int, Meaning]]] = {}


def _known(root: str) -> dict[int, Meaning]:
    """The root's functions by identity; looked up again when submodules have been imported since."""
    count, before, table = _resolved.get(root, (-1, [], {}))
    if count == len(sys.modules):
        return table

    def of(path: str, name: str) -> object:
        found = _module(path)
        for part in name.split("."):
            found = getattr(found, part, None)
        return found

    present = [
        path
        for path in NAMES
        if _HOME.get(path, path.partition(".")[0]) == root and _module(path) is not None
    ]
    if present != before:
        table = {}
        entries = {path: _parse(NAMES[path]) for path in present}
        mixing = [(path, name, (None, "mixing")) for path in present for name in taken(path)]
        known = [(path, name, entry) for path in present for name, entry in entries[path].items()]
        for path, name, (signature, text) in [*mixing, *known]:
            own = [name, f"{name}_"] if path == "torch" else [name]
            for each in own:
                function = of(path, each)
                if function is not None and (each == name or each not in entries[path]):
                    table[id(function)] = _entry(f"{path}.{each}", function, text, signature, root)
    _resolved[root] = len(sys.modules), present, table
    return table


def _module(path: str) -> object:
    """An imported module, or what its parent offers under the name without importing anything new."""
    if path in sys.modules:
        return sys.modules[path]
    if path in _HOME and not {_HOME[path], "tensorflow"} <= sys.modules.keys():
        return None
    parent, _, name = path.rpartition(".")
    if not parent or parent == "scipy":
        return None
    return getattr(_module(parent), name, None)


@cache
def _parse(text: str) -> dict[str, tuple[str | None, str]]:
    """name -> (signature, meaning)"""
    entries = {}
    for entry in text.split():
        name, opened, rest = entry.partition("(")
        if opened:
            signature, _, meant = rest.rpartition(")")
        else:
            name, _, meant = entry.partition("=")
            signature = None
        meant = meant.removeprefix("=") or name.rpartition(".")[2]
        entries[name] = signature, meant
    return entries


_MEANINGS = (
    meanings, formulas, shipped, special, distributions, stacks,
    lookups, casts, flow, arrays, gradients, torch_functional, row_parts, row_joined, row_orders, row_numbers,
)  # fmt: skip


def _named(text: str, path: str) -> Meaning:
    if text == "mixing":
        return _mixing(path)
    if text == "random":
        return drawing(path)
    if text in {"true", "false"}:
        return lambda *args, **kwargs: text == "true"
    for module in _MEANINGS:
        if text in vars(module):
            found: Meaning = vars(module)[text]
            return found
    raise AssertionError(f"no meaning {text!r}")


def _mixing(path: str) -> Meaning:
    def call(*args: object, **kwargs: object) -> object:
        if any(isinstance(value, Symbol) for value in (*args, *kwargs.values())):
            mixes(path)
        refuse_tokens(args, kwargs)
        unknown(path)

    call.__name__ = path.rpartition(".")[2]
    return call


def drawing(path: str) -> Meaning:
    """Refuses a call of what draws random numbers."""

    def call(*args: object, **kwargs: object) -> object:
        draws_random(path)

    call.__name__ = path.rpartition(".")[2]
    return call


def _entry(path: str, original: object, text: str, signature: str | None, root: str) -> Meaning:
    meant = _named(text, path)
    if text in {"random", "true", "false"}:
        return meant
    if isinstance(meant, type):
        return meant
    bound = meant if text == "mixing" else bind(path, original, meant, signature)
    short = path.rpartition(".")[2]
    bound = rows.over_row(path, short if text == "mixing" else text, bound)
    if path.endswith("_") and root == "torch":
        bound = in_place(bound, path, of_input=True)
    if text in _ALWAYS:
        return bound
    answer = _for_symbols(original, bound, root, constants=text == "mixing")
    if getattr(original, "nin", 0) == 2 and hasattr(original, "accumulate"):
        along = stacks.reduction(answer, f"{path}.reduce")
        answer.reduce = rows.over_row(path, _REDUCED.get(short, ""), along)  # type: ignore[attr-defined]
        running = _mixing(f"{path}.accumulate")
        answer.accumulate = rows.over_row(path, _RUNNING.get(short, ""), running)  # type: ignore[attr-defined]
    return answer


_REDUCED = {
    **{"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min"},
    **{"logical_and": "all", "logical_or": "any", "logaddexp": "logsumexp"},
}
_RUNNING = {"add": "cumsum", "multiply": "cumprod"}
"""What a NumPy function's `reduce` and `accumulate` are called elsewhere."""


def _for_symbols(original: Any, meant: Meaning, root: str, constants: bool = False) -> Meaning:
    """The meaning for symbols, and the library itself for plain values, with IEEE's answer where
    Python raises; with `constants` also for those in the input's dtype or on its device."""

    @wraps(meant, assigned=("__name__",), updated=())
    def call(*args: Any, **kwargs: object) -> object:
        if args and hasattr(args[0], "__next__"):  # `sum(v * v for v in x)`
            args = (row_turns.listed(args[0]), *args[1:])
        if args and type(args[0]) is list and not is_symbolic(args[0]):
            args = (row_of(args[0]), *args[1:])  # `np.array([1.0 if v > 0 else 0.0 for v in x])`
        if constants:
            kwargs = like_input(root, args, kwargs)
        if stands_in(args, kwargs) or not _runs(root):
            return meant(*args, **kwargs)
        try:
            with lookups.wide(root):
                return lookups.constant_tensor(original(*args, **kwargs))
        except ArithmeticError:
            return meant(*args, **kwargs)
        except TypeError:  # `math.trunc(np.where(True, 1.0, 2.0))`: of an input it is a number
            if any(isinstance(arg, np.ndarray) and not arg.ndim for arg in args):
                return meant(*args, **kwargs)
            raise
        except ValueError as error:
            if "math domain" in str(error) or "cannot convert float NaN" in str(error):
                return meant(*args, **kwargs)
            raise

    return call


def stands_in(args: tuple[object, ...], kwargs: Fields) -> bool:
    """Whether a symbol is among these arguments, a sum of one, or what one told of its shape."""
    if is_symbolic(args) or is_symbolic(kwargs):
        return True
    return any(is_token(each) or isinstance(each, Total) for each in (*args, *kwargs.values()))


def refuse_tokens(args: tuple[object, ...], kwargs: Fields) -> None:
    """Refuse the input's size or shape among the arguments of what cannot be followed."""
    for value in (*args, *kwargs.values()):
        if isinstance(value, Token):
            depends_on(value.what)


def like_input(root: str, args: tuple[object, ...], kwargs: Fields) -> Fields:
    """The keywords with which a library makes a constant: float64 in the place of the input's dtype, and no
    device in that of its own, as in `torch.arange(4, dtype=x.dtype, device=x.device)`."""
    given = {k: v for k, v in kwargs.items() if not (k in _LIKE_INPUT and isinstance(v, Token))}
    if len(given) == len(kwargs) or stands_in(args, given):
        return kwargs
    if "dtype" in kwargs and "dtype" not in given:
        given["dtype"] = sys.modules["torch"].float64 if root == "torch" else "float64"
    return given


_LIKE_INPUT = ("dtype", "device")

_OTHERS = (
    "numpy.fft", "torch.fft", "torch.special", "jax.numpy.fft", "tensorflow.signal",
    "tensorflow.math.special", "tensorflow.random", "jax.random", "keras.random",
)  # fmt: skip
"""Modules whose functions messages call by their public names, besides those of the table."""


def public_name(function: object) -> str:
    """The name by which users know a library's function."""
    name = getattr(function, "__name__", None)
    if not isinstance(name, str):
        return type(function).__name__
    for path in [*NAMES, *_OTHERS]:
        module = _module(path) if path.partition(".")[0] in sys.modules else None
        for shown in (name, name.rpartition("_")[2]):  # `torch.fft.fft` calls itself `fft_fft`
            found = getattr(module, shown, None)
            if found is function or getattr(found, "__wrapped__", None) is function:
                return f"{path}.{shown}"
    module = getattr(function, "__module__", None)
    return f"{module}.{name}" if module else name


def _runs(root: str) -> bool:
    """Whether a library answers plain values at once: TensorFlow does not, while it builds a graph."""
    return root != "tensorflow" or bool(sys.modules["tensorflow"].executing_eagerly())


class _Kind(type):
    """A stand-in for float, int or bool: it converts symbols, and calls them its instances."""

    real: type

    def __instancecheck__(cls, value: object) -> bool:
        if isinstance(value, Symbol):
            boolean = value.expr.boolean
            return cls.real is bool if boolean else cls.real is float
        return isinstance(value, cls.real)

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(getattr(other, "real", other), cls.real)

    def __call__(cls, *args: object, **kwargs: object) -> object:
        if any(isinstance(arg, Symbol) for arg in args):
            convert: dict[type, Meaning] = {float: number, int: casts.as_int, bool: truth}
            return convert[cls.real](*args)
        return cls.real(*args, **kwargs)

    def __getattr__(cls, name: str) -> object:
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
