"""Functions and what was said of their derivatives -> a program."""

from __future__ import annotations

import inspect
import math
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from types import MappingProxyType
from typing import Any

import numpy as np

from actgrad.errors import (
    DefinitionError,
    DerivativeMismatchWarning,
    ImpureError,
    SurrogateWarning,
    TraceError,
    ZeroDerivativeWarning,
)
from actgrad.language.derive import derive
from actgrad.language.expression import Expr, const, make, substitute, var
from actgrad.language.ops import OPS
from actgrad.language.program import Kind, Program, Value
from actgrad.language.rewrite import as_written
from actgrad.reading import names, witness
from actgrad.reading.paths import Reading, definition, trace
from actgrad.reading.sandbox import unwrap
from actgrad.reading.symbol import is_user_file

Rule = Any
"""A derivative: a function, a number, a program, or a tuple of these, one per input."""


@dataclass(frozen=True)
class Signature:
    """A function's arguments: inputs have no default, parameters have one."""

    name: str
    inputs: tuple[str, ...]
    defaults: Mapping[str, Any]
    keywords: frozenset[str] = frozenset()

    @property
    def parameters(self) -> dict[str, Value]:
        return {name: as_value(item) for name, item in self.defaults.items() if is_number(item)}


def is_number(value: Any) -> bool:
    if isinstance(value, (bool, str, bytes, complex)) or value is None or callable(value):
        return False
    array = (
        np.asarray(value)
        if isinstance(value, (int, float, np.generic, np.ndarray, list, tuple))
        else None
    )
    return array is not None and array.size > 0 and array.dtype.kind in "iuf"


def as_value(value: Any) -> Value:
    """A parameter's value, frozen: a float, or nested tuples of them."""

    def freeze(item: Any) -> Value:
        return tuple(map(freeze, item)) if isinstance(item, list) else float(item)

    return freeze(np.asarray(value, dtype=np.float64).tolist())


def signature(function: Callable[..., Any], name: str | None = None) -> Signature:
    known = names.meaning(function)
    name = name or getattr(function, "__name__", None) or type(function).__name__
    if isinstance(function, np.ufunc):
        return Signature(name, ("x", "y")[: function.nin], {})
    found = known and getattr(known, "__wrapped__", None)
    if isinstance(found, partial):  # an operation of the vocabulary
        return Signature(name, tuple(OPS[found.args[0]].arguments.split()), {})
    try:
        arguments = inspect.signature(found or function)
    except (TypeError, ValueError):
        raise DefinitionError(
            f"the arguments of {name!r} cannot be seen from Python\n"
            f"  Wrap it: `activation(lambda x: {name}(x))`."
        ) from None
    inputs, defaults, keywords = [], {}, set()
    for item in arguments.parameters.values():
        if item.kind in (item.VAR_POSITIONAL, item.VAR_KEYWORD):
            if known is None:
                raise DefinitionError(
                    f"{name!r} takes {item}, so its inputs cannot be told\n{definition(function)}\n"
                    f"  Name every argument: inputs without a default, parameters with one."
                )
            continue
        if item.default is item.empty:
            inputs.append(item.name)
        elif known is None:
            defaults[item.name] = item.default
        if item.kind is item.KEYWORD_ONLY:
            keywords.add(item.name)
    if not inputs:
        raise DefinitionError(
            f"{name!r} has no input: every argument has a default\n{definition(function)}\n"
            f"  An input is an argument without a default, as `x` in `def f(x, beta=1.0)`."
        )
    return Signature(name, tuple(inputs), defaults, frozenset(keywords))


def define(
    function: Callable[..., Any],
    rule: Rule = None,
    kind: Kind = "exact",
    name: str | None = None,
    host: bool = False,
) -> Program:
    """Read a function and its rule into a program, and measure whether they are what they claim."""
    function = unwrap(function)
    own = signature(function, name)
    pinned = frozenset(n for n, default in own.defaults.items() if not is_number(default))
    while True:
        try:
            program, portable = _read_function(function, own, pinned, host)
            if rule is not None:
                free = dict(program.parameters)
                shared = {n: default for n, default in own.defaults.items() if n not in free}
                program = with_rule(program, rule, kind, host, pinned, shared)
            break
        except _Pinned as more:
            pinned |= more.names
    if portable:
        _check_reading(program, function, own, pinned)
    _check_derivatives(program)
    return program


class _Pinned(Exception):
    """Reading a rule needs the plain value of these parameters, so the function must be read with it too."""

    def __init__(self, names: frozenset[str]) -> None:
        self.names = names


def _read_function(
    function: Callable[..., Any], own: Signature, pinned: frozenset[str], host: bool
) -> tuple[Program, bool]:
    if host:
        value = _on_host(function, own, own.inputs)
        return Program(own.name, own.inputs, tuple(own.parameters.items()), value), False
    reading = _read(function, own, own.inputs, pinned)
    if reading.several:
        n = len(reading.outputs)
        given = "a tuple with one number" if n == 1 else f"{n} numbers"
        cure = (
            "Return the number itself: is there a comma after it?"
            if n == 1
            else "Make an activation of each, or return one number made of them."
        )
        raise TraceError(
            f"{own.name!r} returns {given}; an activation returns one number\n"
            f"{definition(function)}\n  {cure}"
        )
    pinned |= reading.fixed
    parameters = tuple((n, v) for n, v in own.parameters.items() if n not in pinned)
    fixed = tuple((n, v) for n, v in own.defaults.items() if n in pinned and is_plain(v))
    return Program(
        own.name, own.inputs, parameters, reading.outputs[0], fixed=fixed
    ), reading.portable


def is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str))


def with_rule(
    program: Program,
    rule: Rule,
    kind: Kind,
    host: bool = False,
    pinned: frozenset[str] = frozenset(),
    shared: Mapping[str, Any] = MappingProxyType({}),
) -> Program:
    """The program with a rule for its derivative.

    `pinned` are the parameters that are read as plain values, `shared` those of the function.
    """
    parameters = dict(program.parameters)
    inputs = (*program.inputs, program.upstream) if kind == "gradient" else program.inputs
    reader = _RuleReader(program, parameters, inputs, host, pinned, shared)
    expressions = reader.read(rule)
    fixed = program.fixed + tuple(reader.fixed.items())
    program = replace(program, parameters=tuple(parameters.items()), kind=kind, fixed=fixed)
    if kind == "gradient":
        return replace(program, gradient=tuple(expressions))
    pairs = [part for x, d in zip(program.inputs, expressions, strict=True) for part in (var(x), d)]
    if not host:
        for name, _ in program.parameters:
            pairs += [var(name), derive(program.value, name)]
    return replace(program, value=make("given", program.value, *pairs))


def _read(
    function: Callable[..., Any], own: Signature, inputs: tuple[str, ...], pinned: frozenset[str]
) -> Reading:
    """Trace with these variables as inputs, in order, and every number that is not pinned a variable."""
    arguments: dict[str, Any] = dict(zip(own.inputs, map(var, inputs), strict=True))
    for name, default in own.defaults.items():
        arguments[name] = var(name) if is_number(default) and name not in pinned else default

    def call(copy: Callable[..., Any], values: Mapping[str, Any]) -> Any:
        positional = [values[name] for name in own.inputs if name not in own.keywords]
        keywords = {n: v for n, v in values.items() if n in own.defaults or n in own.keywords}
        return copy(*positional, **keywords)

    return trace(function, call, arguments, {n: d for n, d in own.defaults.items() if is_number(d)})


class HostFunction:
    """A Python function that stays one: called on the host, with plain numbers."""

    def __init__(
        self, function: Callable[..., Any], positional: int, keywords: tuple[str, ...]
    ) -> None:
        self.function, self.positional, self.keywords = function, positional, keywords
        self.__name__ = getattr(function, "__name__", type(function).__name__)

    def __call__(self, *numbers: float) -> float:
        plain = [float(number) for number in numbers]
        keywords = dict(zip(self.keywords, plain[self.positional :], strict=True))
        try:
            return float(self.function(*plain[: self.positional], **keywords))
        except (ArithmeticError, ValueError):  # 1 / 0, log(-1): as IEEE has it
            return math.nan


_host_function = cache(HostFunction)


def _on_host(function: Callable[..., Any], own: Signature, inputs: tuple[str, ...]) -> Expr:
    names = tuple(own.parameters)
    return make(
        "host", *map(var, (*inputs, *names)), value=_host_function(function, len(inputs), names)
    )


@dataclass
class _RuleReader:
    """Reads a rule into one expression per input; the rule's own parameters join the program's."""

    program: Program
    parameters: dict[str, Value]
    inputs: tuple[str, ...]
    host: bool
    pinned: frozenset[str]
    shared: Mapping[str, Any]
    fixed: dict[str, Any] = field(default_factory=dict)
    """The rule's own parameters that are part of its expression."""

    def read(self, rule: Rule) -> list[Expr]:
        parts = rule if isinstance(rule, tuple) else (rule,)
        found = [expression for part in parts for expression in self._one(part)]
        expected = len(self.program.inputs)
        if is_number(rule) and not isinstance(rule, tuple):
            found *= expected
        if len(found) != expected:
            named = getattr(rule, "__name__", None) or getattr(rule, "name", "the tuple of rules")
            raise DefinitionError(
                f"{named!r} gives {_count(len(found), 'number')}, and {self.program.name!r} has "
                f"{_count(expected, 'input')} ({', '.join(self.program.inputs)})\n{definition(rule)}\n"
                f"  Return one number per input, in the order of the inputs."
            )
        return found

    def _one(self, rule: Rule) -> list[Expr]:
        if isinstance(rule, Program):
            if len(rule.inputs) != len(self.inputs):
                self._wrong_inputs(rule.name, len(rule.inputs), rule)
            self._merge(dict(rule.parameters), rule.name)
            names = dict(zip(rule.inputs, map(var, self.inputs), strict=True))
            return [substitute(rule.value, names)]
        if is_number(rule) and np.ndim(rule) == 0:
            return [const(float(rule))]
        if not callable(rule):
            raise DefinitionError(
                f"the rule of {self.program.name!r} is {rule!r}\n"
                f"  Give a function of the same inputs, an activation, or a number."
            )
        rule = unwrap(rule)
        own = self._signature(rule)
        self._merge({n: v for n, v in own.parameters.items() if n not in self.pinned}, own.name)
        known = self.parameters | dict(self.program.fixed) | dict(self.shared)
        for name, default in own.defaults.items():
            if name not in known and is_plain(default):
                self.fixed[name] = default
        try:
            reading = _read(rule, own, self.inputs, self.pinned)
        except TraceError:
            if not self.host:
                raise
            return [_on_host(rule, own, self.inputs)]
        if reading.fixed - self.pinned:
            raise _Pinned(reading.fixed)
        return list(reading.outputs)

    def _signature(self, rule: Callable[..., Any]) -> Signature:
        """Arguments named like parameters of the function are those, with the function's defaults."""
        own = signature(rule)
        pinned = dict(self.program.fixed) | dict(self.shared)
        known = self.parameters | pinned
        shared = {name: known[name] for name in own.inputs if name in known}
        plain = tuple(name for name in own.inputs if name not in shared)
        if len(plain) != len(self.inputs):
            self._wrong_inputs(own.name, len(plain), rule)
        fixed = {n: v for n, v in pinned.items() if n in own.defaults}
        return Signature(
            own.name, plain, {**own.defaults, **shared, **fixed}, own.keywords | set(shared)
        )

    def _wrong_inputs(self, name: str, got: int, rule: Rule) -> None:
        raise DefinitionError(
            f"{name!r} takes {_count(got, 'input')}, and the rule of {self.program.name!r} needs "
            f"{len(self.inputs)}: ({', '.join(self.inputs)})\n{definition(rule)}\n"
            f"  Arguments named like a parameter of {self.program.name!r} are parameters; "
            f"all others are inputs."
        )

    def _merge(self, new: Mapping[str, Value], name: str) -> None:
        for key, value in new.items():
            if key in self.program.inputs:
                raise DefinitionError(
                    f"{key!r} is a parameter of {name!r} and an input of {self.program.name!r}; rename one"
                )
            if self.parameters.setdefault(key, value) != value:
                raise DefinitionError(
                    f"the parameter {key!r} is {self.parameters[key]!r} in {self.program.name!r} "
                    f"and {value!r} in {name!r}\n"
                    f"  They share it, so give it one default (in the rule it needs none)."
                )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _check_reading(
    program: Program, function: Callable[..., Any], own: Signature, pinned: frozenset[str]
) -> None:
    keywords = {n: d for n, d in own.defaults.items() if np.ndim(d) == 0}
    if len(keywords) != len(own.defaults) or own.keywords - set(own.defaults):
        return
    found = witness.misreading(program, lambda *x: function(*x, **keywords))
    if found is not None:
        # The stable forms have digits that Python's own answer lacks.
        with as_written():
            literal, _ = _read_function(function, own, pinned, host=False)
        found = witness.misreading(literal, lambda *x: function(*x, **keywords))
    if found is not None:
        x, own_value, read = found
        raise ImpureError(
            f"{own.name!r} cannot be read: at {x:.6g} Python returns {own_value:.9g}, and its "
            f"reading {read:.9g}\n"
            f"{definition(function)}\n"
            f"  It does something that is not a computation with its argument: catching its own exceptions, "
            f"looking at types or names, comparing by `is` (as `case True:` does), or keeping a state. "
            f"Or run it unread with `activation(..., host=True)`."
        )


def _check_derivatives(program: Program) -> None:
    if program.on_host or program.gradient:
        return
    derivatives = [derive(program.value, x) for x in program.inputs]
    if program.kind == "derivative":
        exact = [derive(program.exact().value, x) for x in program.inputs]
        wrong = witness.mismatches(program, derivatives, exact)
        if wrong:
            x, claimed, true = max(wrong, key=lambda row: abs(row[1] - row[2]))
            _warn(
                f"the derivative given for {program.name!r} is not its derivative: at {x:.6g} it is "
                f"{claimed:.6g}, and the function's slope is {true:.6g} (and so at {len(wrong)} of "
                f"{len(witness.POINTS)} points)\n  If that is on purpose, give it as `surrogate=`.",
                DerivativeMismatchWarning,
            )
    elif witness.is_zero(program, derivatives):
        if program.kind == "surrogate":
            _warn(
                f"the surrogate of {program.name!r} is zero everywhere, so nothing before it can learn",
                SurrogateWarning,
            )
        else:
            _warn(
                f"the derivative of {program.name!r} is zero almost everywhere, so nothing before it can "
                f"learn\n  Give a `surrogate=`, for example a triangle: `lambda x: max(0, 1 - abs(x))`.",
                ZeroDerivativeWarning,
            )
    if program.kind == "surrogate":
        at = witness.not_finite(program, derivatives)
        if at is not None:
            _warn(f"the surrogate of {program.name!r} is not finite at {at:.6g}", SurrogateWarning)


def _warn(message: str, kind: type[Warning]) -> None:
    """Warn at the user's line."""
    level, frame = 1, sys._getframe(1)
    while frame is not None and not is_user_file(frame.f_code.co_filename):
        level, frame = level + 1, frame.f_back  # type: ignore[assignment]
    warnings.warn(message, kind, stacklevel=level + 1)
