"""Calls a meaning with the arguments that a library's function was called with.

The arguments are bound to the *library's* signature first: so a third positional argument is what that
library says it is, and a default is that library's default. Then every one is looked at: it is an
argument of the meaning, or it changes nothing, or it is refused.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import Any

from actgrad.common.types import Fields
from actgrad.reading.libraries.casts import cast, dtype_name
from actgrad.reading.refusal import refuse, writes_out
from actgrad.reading.symbol import Symbol, apply, number

Meaning = Callable[..., object]

SPELLINGS = {
    "x": """input a x1 t arr features logits tensor operand variable object data value iterable self
        array ary xs obj v""",
    "y": "other b x2 exponent",
    "low": "min a_min x_min clip_value_min min_value min_val min_vals",
    "high": "max a_max x_max clip_value_max max_value max_val max_vals",
    "condition": "pred cond which",
    "yes": "x input x1 on_true",
    "no": "y other x2 on_false",
    "slope": "alpha negative_slope",
    "at": "threshold",
    "value": "default_value fill_value",
    "threshold": "lambd",
    "digits": "decimals ndigits",
    "at_zero": "values x2 h0",
    "values": "choicelist funclist input_tensor a x iterable object inputs input seq arrays tensors xs",
    "keepdims": "keepdim keep_dims",
    "coefficients": "p coeffs",
    "conditions": "condlist",
    "axis": "dim dims dimension dimensions axes",
    "dtype": "new_dtype",
    "target": "dst a",
    "shape": "size dims newshape",
    "exponent": "other x2",
    "base": "",
    "rate": "p",
    "function": "f fn fun func pyfunc model callable",
    "parts": "num_or_size_splits indices_or_sections tensor_indices_or_sections chunks",
    "size": "split_size_or_sections",
    "shift": "shifts",
    "width": "pad_width pad paddings",
    "constant_values": "value",
    "reps": "multiples",
    "n": "num_classes depth",
    "order": "indices",
}
"""What libraries call the arguments of the meanings."""


def spelt(names: Iterable[str]) -> dict[str, str]:
    """Which of a meaning's arguments each spelling stands for; of several the last."""
    return {other: name for name in names for other in SPELLINGS.get(name, "").split()}


_HARMLESS_NAMES = """
name device layout requires_grad pin_memory memory_format order subok casting signature copy like
non_blocking sparse ragged dtype_hint accuracy unroll shape_invariants strict exclusive
parallel_iterations back_prop swap_memory return_same_structure weak_type sharding out_sharding
validate_indices ndmin ndmax _stacklevel chunk_size randomness retain_graph only_inputs
allow_unused use_reentrant determinism_check debug materialize_grads unconnected_gradients
vectorize strategy outer_jacobian_strategy
"""
_HARMLESS = frozenset(_HARMLESS_NAMES.split())
"""Arguments that change where or how something is computed, and nothing of what."""

_WRAPPERS_OPTIONS = """
static_argnums static_argnames donate_argnums donate_argnames keep_unused inline in_shardings out_shardings
jit_compile autograph reduce_retracing input_signature experimental_autograph_options fullgraph dynamic mode
options backend prevent_cse policy excluded cache doc in_axes out_axes in_dims out_dims axis_name axis_size
nin nout identity
"""
_OF_WRAPPERS = frozenset(_WRAPPERS_OPTIONS.split())
"""Arguments of `jit`, `vmap` and their relatives: how the function in them is run."""

_HANDLED = frozenset({"out", "where", "dtype", "out_type", "out_dtype", "inplace"})
_EMPTY = inspect.Parameter.empty


def bind(path: str, original: object, meant: Meaning, text: str | None = None) -> Meaning:
    """The meaning under the library's own signature; `text` writes out one that Python cannot see."""
    mapped = _Mapping(path, _signature(path, original, meant, text), meant)

    def call(*args: object, **kwargs: object) -> object:
        return mapped(args, kwargs)

    call.__name__ = path.rpartition(".")[2]
    call.__wrapped__ = meant  # type: ignore[attr-defined]
    return call


@cache
def _parsed(text: str) -> inspect.Signature:
    namespace: Fields = {}
    exec(f"def f({text}): pass", namespace)
    return inspect.signature(namespace["f"])


def _signature(path: str, original: Any, meant: Meaning, text: str | None) -> inspect.Signature:
    if text is not None:
        return _parsed(text)
    try:
        return inspect.signature(original)
    except (TypeError, ValueError):
        accepted = inspect.signature(meant)
    if path.startswith("torch."):
        needed = sum(p.default is _EMPTY for p in accepted.parameters.values())
        return _parsed("input,other,*,out=None" if needed == 2 else "input,*,out=None")
    return accepted


class _Mapping:
    """Which argument of the library is which of the meaning."""

    def __init__(self, path: str, signature: inspect.Signature, meant: Meaning) -> None:
        self.path = path
        self.signature = signature
        self.meant = meant
        accepted = inspect.signature(meant).parameters
        several = [p.name for p in accepted.values() if p.kind is p.VAR_POSITIONAL]
        self.several = {
            name for each in several for name in (each, *SPELLINGS.get(each, "").split())
        }
        """What libraries call the meaning's `*shape`, given as one argument."""
        self.positional = [
            p.name for p in accepted.values() if several and p.kind is p.POSITIONAL_OR_KEYWORD
        ]
        """The meaning's arguments that stand before any number of others."""
        self.keywords = any(p.kind is p.VAR_KEYWORD for p in accepted.values())
        self.names = self._pair(
            list(signature.parameters.values()),
            [p for p in accepted.values() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)],
        )

    @staticmethod
    def _pair(
        library: list[inspect.Parameter], accepted: list[inspect.Parameter]
    ) -> dict[str, str]:
        """What both need by position, the rest by name or by what libraries call it."""
        names = [p.name for p in accepted]
        by_spelling = spelt(names)
        paired: dict[str, str] = {}
        position = 0
        for theirs in library:
            if theirs.kind in (theirs.VAR_POSITIONAL, theirs.VAR_KEYWORD):
                continue
            positional = theirs.kind is not theirs.KEYWORD_ONLY
            target: str | None
            if theirs.name in _HARMLESS | _HANDLED and theirs.name not in names:
                target = None
            elif positional and position < len(accepted) and accepted[position].default is _EMPTY:
                target = accepted[position].name
            else:
                target = theirs.name if theirs.name in names else by_spelling.get(theirs.name)
            if target is not None:
                paired[theirs.name] = target
                position = max(position, names.index(target) + 1)
        return paired

    def __call__(self, args: tuple[object, ...], kwargs: Fields) -> object:
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            refuse(
                f"`{self.path}` does not take these arguments: {error}",
                f"It takes `{self.signature}`.",
            )
        given = dict(bound.arguments)
        several: tuple[object, ...] = ()
        arguments: dict[str, object] = {}
        rest: dict[str, object] = {}
        for parameter in self.signature.parameters.values():
            name = parameter.name
            if parameter.kind is parameter.VAR_POSITIONAL:
                several = given.get(name, ())
            elif parameter.kind is parameter.VAR_KEYWORD:
                extra = given.get(name, {})
                arguments.update({k: extra[k] for k in extra if self.keywords})
                rest.update({k: extra[k] for k in extra if not self.keywords})
            elif name in self.names:
                if name in given:
                    arguments[self.names[name]] = given[name]
                elif type(parameter.default) in (bool, int, float, str):
                    arguments.setdefault(self.names[name], parameter.default)
            elif name in given and name in self.several:
                several = (given[name],)
            elif name in given:
                rest[name] = given[name]
        options = self._options(rest)
        first = [arguments.pop(name) for name in self.positional if name in arguments]
        return self._finish(self.meant(*first, *several, **arguments), options, given)

    def _options(self, rest: dict[str, object]) -> dict[str, object]:
        """The arguments that are no part of the meaning; each is harmless, handled, or refused."""
        options = {}
        for name, value in rest.items():
            parameter = self.signature.parameters.get(name)
            default = parameter.default if parameter is not None else _EMPTY
            if name in _HARMLESS or value is default or value is None:
                continue
            if self.meant.__name__ == "applied" and (name in _OF_WRAPPERS or _floats(name, value)):
                continue
            plain = type(value) in (bool, int, float, str) and type(default) is type(value)
            if plain and value == default:
                continue
            if name in _HANDLED:
                options[name] = value
                continue
            if name in {"axis", "dim", "keepdims", "keepdim", "axes"}:
                from_axis = "works along an axis, and an activation computes each element alone"
                refuse(f"`{self.path}` with {name}={value!r} {from_axis}", "Leave the axis out.")
            refuse(
                f"`{self.path}` is called with {name}={value!r}, which actgrad does not read",
                f"Leave {name!r} out, and write what it does with other operations.",
            )
        return options

    def _finish(self, result: object, options: Fields, given: dict[str, object]) -> object:
        for name in ("dtype", "out_type", "out_dtype"):
            if name in options:
                result = _each(result, partial(cast, dtype=options[name]))
        target = options.get("out")
        if isinstance(target, tuple):
            target = target[0] if len(target) == 1 else writes_out(self.path)
        if "where" in options and options["where"] is not True:
            if target is None:
                refuse(
                    f"`{self.path}` with where= and without out= leaves the other places unwritten",
                    "Use `np.where(condition, value, other)`, or give `out=` a copy to write into.",
                )
            result = apply("select", options["where"], result, target)
        if target is not None:
            return target.assign(result) if isinstance(target, Symbol) else writes_out(self.path)
        if options.get("inplace"):
            first = next(iter(given.values()))
            return first.assign(result, allowed=True) if isinstance(first, Symbol) else result
        return result


def _floats(name: str, value: object) -> bool:
    """Whether it is the `otypes` of a `np.vectorize` that returns floats."""
    kinds = value if isinstance(value, (str, list, tuple)) else [value]
    return name == "otypes" and {dtype_name(kind) for kind in kinds} <= {"float", "float64", "d"}


def _each(result: object, function: Callable[[object], object]) -> object:
    return tuple(map(function, result)) if isinstance(result, tuple) else function(result)


def in_place(meant: Meaning, name: str, of_input: bool = False) -> Meaning:
    """The meaning of what ends in an underscore and writes its result: a method; or, with `of_input`, a
    function such as `torch.relu_`, which may be given the input, as `inplace=True` may."""

    def call(x: Symbol, *args: object, **kwargs: object) -> Symbol:
        return x.assign(number(meant(x, *args, **kwargs)), allowed=of_input)

    call.__name__ = name
    return call
