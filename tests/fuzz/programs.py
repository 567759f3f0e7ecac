"""Random activation functions, as Python source text, for Hypothesis.

`programs()` draws a `Generated`: a function of one or two inputs and up to two parameters, with
nested branches, early returns, bounded loops, helper functions, closures and comprehensions over
all of the vocabulary that Python reaches. `Generated.function()` defines it; under other
`namespace`s the same text computes in other arithmetic (see `arithmetic`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import CodeType
from typing import Any

import numpy as np
from hypothesis import strategies as st

CONSTANTS = (0.0, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, math.pi, 7.0)
POINTS = (
    -17.3,
    -6.0,
    -2.7182,
    -1.0,
    -0.7311,
    -0.25,
    0.0,
    0.1317,
    0.5,
    0.90625,
    1.0,
    2.3,
    4.9,
    19.7,
)
MAX_PATHS = 32

# Where each is defined and does not grow without bound; `{0}` and `{1}` are expressions.
UNARY = (
    "-{0}", "abs({0})", "math.fabs({0})", "({0}) ** 2", "({0}) ** 3", "float({0})",
    "math.sin({0})", "math.cos({0})", "math.tanh({0})", "math.atan({0})", "math.asinh({0})",
    "math.erf({0})", "math.erfc({0})", "math.cbrt({0})",
    "(-min({0}, -0.1)) ** 0.5",
    "math.sqrt(abs({0}))", "math.sqrt({0} * {0} + 1.0)", "math.log(abs({0}) + 0.5)",
    "math.log1p(abs({0}))", "math.log2(abs({0}) + 0.1)", "math.log10(abs({0}) + 3.0)",
    "math.exp(-abs({0}))", "math.exp(min({0}, 3.0))", "math.expm1(min({0}, 2.0))",
    "math.exp2(min({0}, 3.0))", "2.0 ** min({0}, 4.0)", "math.tan(math.tanh({0}))",
    "math.sinh(math.sin({0}))", "math.cosh(math.sin({0}))", "math.acosh(1.1 + abs({0}))",
    "math.asin(0.9 * math.sin({0}))", "math.acos(0.9 * math.cos({0}))",
    "math.atanh(0.9 * math.tanh({0}))", "(abs({0}) + 0.1) ** 0.5", "(abs({0}) + 0.5) ** -1.5",
    "1.0 / (1.0 + math.exp(-({0})))", "math.log(1.0 + math.exp({0}))", "(math.exp({0}) - 1.0)",
    "np.log1p(np.exp(-abs({0})))", "math.radians({0})", "math.degrees({0})",
    "np.tanh({0})", "np.sin({0})", "np.square({0})", "np.absolute({0})", "np.exp(-np.abs({0}))",
)  # fmt: skip
# Python's integers have no -0.0, so they become floats before atan2 or copysign can tell.
STEPS = (
    "math.floor({0}) + 0.0", "math.ceil({0}) + 0.0", "math.trunc({0}) + 0.0", "int({0}) + 0.0",
    "round({0}) + 0.0", "({0}) // 1", "({0}) // 0.7", "np.floor({0})", "np.rint({0})",
    "np.sign({0})", "round({0}, 1)", "np.heaviside({0}, 0.5)", "float(({0}) > 0.3)",
    "(({0}) < 1.0) * 2.0", "int(bool({0})) + 0.0",
)  # fmt: skip
RAW = (
    "math.sqrt({0})", "math.log({0})", "math.exp({0})", "1.0 / ({0})", "math.asin({0})",
    "math.acosh({0})", "math.atanh({0})", "math.tan({0})", "math.pow({0}, 2.5)", "({0}) ** -2",
    "math.sinh({0})", "math.cosh({0})", "math.log1p({0})", "math.log2({0})",
)  # fmt: skip
BINARY = (
    "({0} + {1})", "({0} - {1})", "({0} * {1})", "({0}) / (abs({1}) + 0.3)", "max({0}, {1})",
    "min({0}, {1})", "({0}) % (abs({1}) + 0.4)", "({0}) % 1", "({0}) % -1.7", "math.fmod({0}, 1.3)",
    "({0}) // (abs({1}) + 0.6)", "math.hypot({0}, {1})", "math.atan2({0}, {1})",
    "math.copysign({0}, {1})", "(abs({0}) + 0.2) ** math.tanh({1})", "({0}) / ({1})",
    "np.maximum({0}, {1})", "np.minimum({0}, {1})", "np.where({0} > {1}, {0}, {1})",
    "np.clip({0}, -1.0, abs({1}))", "math.pow(abs({0}) + 0.1, 1.3)", "sum([{0}, {1}])",
    "max({0}, {1}, 0.25)", "divmod({0}, 1.5)[1]", "np.hypot({0}, {1})", "np.arctan2({0}, {1})",
)  # fmt: skip
CONDITIONS = (
    "{0} > {1}", "{0} <= {1}", "{0} < {1} < 2.5", "-1 <= {0} <= {1}", "{0} > 0 and {1} > 0",
    "{0} < 0 or {1} > 1", "not {0} >= {1}", "{0} != {1}", "{0} == 0", "{0}", "({0}) % 1 <= 0.5",
    "np.logical_or({0} > 1, {1} != 0)", "any([{0} > 1, {1} < 0])", "all([{0} > -1, {1} < 1])",
    "abs({0}) > 0.6",
)  # fmt: skip
# Those that ask nothing, so that they can stand inside `np.where`.
VALUE_CONDITIONS = tuple(
    c for c in CONDITIONS if not re.search(r"\band\b|\bor\b|\bnot\b|<=? .* <|^\{0\}$", c)
)


@dataclass(frozen=True)
class Generated:
    source: str
    inputs: tuple[str, ...]
    parameters: tuple[tuple[str, float], ...]

    def function(self, namespace: Mapping[str, Any] | None = None) -> Callable[..., Any]:
        """The function `f` that the text defines, among these names (Python's own if not given)."""
        names = dict({"math": math, "np": np} if namespace is None else namespace)
        exec(self._code, names)
        return names["f"]  # type: ignore[no-any-return]

    @cached_property
    def _code(self) -> CodeType:
        """Compiled once for all that is asked of it."""
        return compile(self.source, "<fuzz>", "exec")

    def __repr__(self) -> str:
        return f"\n{self.source}"


class _Writer:
    """Writes one function, drawing each choice."""

    def __init__(self, draw: Callable[..., Any]) -> None:
        self.draw = draw
        self.names = 0
        self.paths = 1
        self.helpers: dict[str, int] = {}

    def pick(self, options: Any) -> Any:
        return options[self.draw(st.integers(0, len(options) - 1))]

    def chance(self, percent: int) -> bool:
        return bool(self.draw(st.integers(0, 99)) >= 100 - percent)

    def fresh(self) -> str:
        self.names += 1
        return f"v{self.names}"

    def constant(self) -> str:
        number = self.pick(CONSTANTS)
        return repr(-number if self.chance(30) else number)

    def expression(self, scope: list[str], depth: int) -> str:
        """Text that holds together as an operand of anything: a name, a call or parenthesised."""
        if depth <= 0 or self.chance(10):
            return self.pick(scope) if not self.chance(15) else f"({self.constant()})"
        kind = self.draw(st.integers(0, 19))
        one = self.expression(scope, depth - 1)
        if kind < 7:
            return f"({self.pick(UNARY).format(one)})"
        if kind == 7:
            return f"({self.pick(RAW).format(one)})"
        if kind in (8, 9):
            return f"({self.pick(STEPS).format(one)})"
        other = self.expression(scope, depth - 2)
        if kind == 10 and self.helpers:
            name = self.pick(sorted(self.helpers))
            if self.split(self.helpers[name]):
                return f"{name}({one}, {other})"
        if kind == 11 and self.split(2):
            return f"({one} if {self.condition(scope)} else {other})"
        if kind == 12:
            return f"np.where({self.condition(scope, plain=True)}, {one}, {other})"
        if kind == 13:
            return f"sum({one} * k for k in range({self.pick((2, 3))}))"
        return f"({self.pick(BINARY).format(one, other)})"

    def split(self, ways: int) -> bool:
        """Whether that many paths more can be afforded."""
        if self.paths * ways > MAX_PATHS:
            return False
        self.paths *= ways
        return True

    def condition(self, scope: list[str], plain: bool = False) -> str:
        return self.pick(VALUE_CONDITIONS if plain else CONDITIONS).format(
            self.expression(scope, 1), self.expression(scope, 0)
        )

    def block(self, scope: list[str], depth: int, indent: str, loop: bool = False) -> list[str]:
        lines: list[str] = []
        for _ in range(self.draw(st.integers(1, 2))):
            lines += self.statement(scope, depth, indent, loop)
        return lines

    def statement(self, scope: list[str], depth: int, indent: str, loop: bool) -> list[str]:
        inner = indent + "    "
        kind = self.draw(st.integers(0, 9))
        local = [name for name in scope if name.startswith("v")]
        if kind <= 2 and depth > 0 and not loop and self.split(2):
            lines = [f"{indent}if {self.condition(scope)}:"]
            if self.chance(30):
                lines += [f"{inner}return {self.expression(scope, 2)}"]
            else:
                lines += self.block(list(scope), depth - 1, inner)
            if self.chance(30) and self.split(2):
                lines += [f"{indent}elif {self.condition(scope)}:"]
                lines += self.block(list(scope), depth - 1, inner)
            if self.chance(60):
                lines += [f"{indent}else:", *self.block(list(scope), depth - 1, inner)]
            return lines
        if kind == 3 and depth > 0 and local and not loop:
            name, turns = self.pick(local), self.pick((2, 3))
            body = [f"{inner}{name} = {self.bounded(self.expression([*scope, 'k'], 2))}"]
            if self.chance(50) and self.split(turns + 1):
                body += [f"{inner}if {name} > {self.constant()}:", f"{inner}    break"]
            return [f"{indent}for k in range({turns}):", *body]
        if kind == 4 and depth > 0 and local and not loop and self.split(4):
            name, counter = self.pick(local), self.fresh()
            return [
                f"{indent}{counter} = 0",
                f"{indent}while {counter} < 3 and {name} > {self.constant()}:",
                f"{inner}{name} = {self.bounded(self.expression(scope, 2))}",
                f"{inner}{counter} += 1",
            ]
        if kind == 5 and local:
            sign = self.pick(("+=", "-=", "*="))
            return [f"{indent}{self.pick(local)} {sign} {self.expression(scope, 2)}"]
        if kind == 6:
            name = self.fresh()
            lines = [
                f"{indent}def {name}_of(t):",
                f"{inner}return {self.expression([*scope, 't'], 2)}",
                f"{indent}{name} = {name}_of({self.expression(scope, 1)})",
            ]
            scope.append(name)
            return lines
        name = self.fresh()
        line = f"{indent}{name} = {self.expression(scope, 3)}"
        scope.append(name)
        return [line]

    def bounded(self, text: str) -> str:
        return self.pick(("math.tanh({0})", "0.5 * {0}", "max(-3.0, min(3.0, {0}))")).format(text)

    def helper(self, number: int) -> list[str]:
        name = f"helper{number}"
        before, self.paths = self.paths, 1
        lines = [f"def {name}(p, q=1.0):"]
        if self.chance(50):
            self.split(2)
            lines += [f"    if {self.condition(['p', 'q'])}:", "        return p * 0.5"]
        lines += [f"    return {self.expression(['p', 'q'], 2)}", ""]
        self.helpers[name], self.paths = self.paths, before
        return lines


@st.composite
def programs(draw: Callable[..., Any]) -> Generated:
    writer = _Writer(draw)
    lines: list[str] = []
    for number in range(draw(st.integers(0, 2))):
        lines += writer.helper(number)
    inputs = ("x", "y")[: 1 if writer.chance(75) else 2]
    parameters = tuple(
        (name, writer.pick((0.5, 1.0, 1.7, -0.8)))
        for name in ("a", "b")[: writer.pick((0, 0, 1, 2))]
    )
    signature = ", ".join([*inputs, *(f"{name}={value!r}" for name, value in parameters)])
    scope = [*inputs, *(name for name, _ in parameters)]
    lines += [f"def f({signature}):"]
    lines += writer.block(scope, 2, "    ")
    result = writer.expression(scope, 2)
    if scope[-1].startswith("v") and not writer.chance(20):
        result = writer.pick(BINARY[:12]).format(result, scope[-1])
    lines += [f"    return {result}"]
    return Generated("\n".join(lines) + "\n", inputs, parameters)
