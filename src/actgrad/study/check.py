"""Whether a derivative is what it claims to be: measured against the function itself."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from actgrad.common.text import finite_json
from actgrad.errors import CallError
from actgrad.language.derive import derive
from actgrad.language.expression import plain, walk
from actgrad.language.program import Program
from actgrad.reading.sandbox import unwrap
from actgrad.study.breakpoints import Signature, breakpoints, places, settings, simplest
from actgrad.study.slopes import slopes

Array = np.ndarray[Any, Any]
Verdict = Literal["exact", "exact except at kinks", "surrogate (declared)", "WRONG"]

RTOL = 1e-4
"""Two slopes that differ by less are taken for the same: constants are written with a few digits."""
_VERDICTS: tuple[Verdict, ...] = ("exact", "exact except at kinks", "surrogate (declared)", "WRONG")
_OTHERS = (0.4, -1.3, 2.1, 0.0)
_LARGE = (23.7, 57.1, 131.0, 997.3, 1.07e4, 3.3e6, 1e12, 1e100, 1e300)
_SMALL = (5e-324, 1e-310, 2.3e-308, 1e-200, 1e-30, 1e-8, 1e-3)
_UPSTREAM = (1.0, -1.0, 0.37, -2.6)


@dataclass(frozen=True)
class Place:
    """A point at which the claimed derivative is not the slope."""

    point: tuple[float, ...]
    claimed: float
    true: float

    @property
    def x(self) -> float:
        return self.point[0]


@dataclass(frozen=True)
class InputCheck:
    """The derivative by one input."""

    input: str
    verdict: Verdict
    kinks: tuple[float, ...]
    """Where the slope jumps, along this input."""
    jumps: tuple[float, ...]
    """Where the function jumps, or ends: the derivative cannot see it."""
    worst: tuple[Place, ...]
    """The largest differences from the slope, at most eight, largest first."""
    different: int
    """At how many points it differs."""
    compared: int
    not_finite: tuple[float, ...]
    """Where the derivative is not finite although the function is."""
    zero: bool
    """Whether it is zero at every point."""
    linear: bool
    """Whether a `gradient=` rule is linear in the upstream gradient. True for any other rule."""


@dataclass(frozen=True)
class Check:
    """What `check` found. False in an `if` when the verdict is WRONG, and printed as a small table."""

    name: str
    verdict: Verdict
    inputs: tuple[InputCheck, ...]
    oracle: str
    """What the slope was measured of."""

    def __bool__(self) -> bool:
        return self.verdict != "WRONG"

    @property
    def kinks(self) -> tuple[float, ...]:
        return self.inputs[0].kinks

    @property
    def jumps(self) -> tuple[float, ...]:
        return self.inputs[0].jumps

    @property
    def worst(self) -> tuple[Place, ...]:
        return tuple(place for item in self.inputs for place in item.worst)

    @property
    def zero(self) -> bool:
        return all(item.zero for item in self.inputs)

    @property
    def not_finite(self) -> tuple[float, ...]:
        return tuple(place for item in self.inputs for place in item.not_finite)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: plain lists, strings and numbers; a number that is not finite as a string."""
        found: dict[str, Any] = finite_json(dataclasses.asdict(self))
        return found

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.verdict}"]
        for item in self.inputs:
            margin = "  "
            if len(self.inputs) > 1:
                lines.append(f"  by {item.input}: {item.verdict}")
                margin = "    "
            lines += [margin + line for line in _report(item)]
        points = sum(item.compared for item in self.inputs)
        lines.append(f"  {points} points compared with finite differences of {self.oracle}")
        return "\n".join(lines)


def check(
    program: Program,
    function: Callable[..., Any] | None = None,
    low: float = -8.0,
    high: float = 8.0,
    *,
    points: int = 321,
) -> Check:
    """Measure a program's derivative, against `function` if it is at hand: see `Studied.check`."""
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise CallError(f"the range goes from low to high, and is {low!r} to {high!r}")
    own = _python_function(program, function)
    done = tuple(_check_input(program, own, name, low, high, points) for name in program.inputs)
    verdict = max((item.verdict for item in done), key=_VERDICTS.index)
    oracle = "the Python function" if own else "its formula"
    return Check(program.name, verdict, done, oracle)


def _check_input(
    program: Program,
    own: Callable[..., float] | None,
    by: str,
    low: float,
    high: float,
    points: int,
) -> InputCheck:
    several = len(program.inputs) > 1
    lines = []
    for i in range(len(_OTHERS) if several else 1):
        others = [n for n in program.inputs if n != by]
        at = {name: _OTHERS[(i + k) % len(_OTHERS)] for k, name in enumerate(others)}
        lines.append(
            _Line(program, own, by, at, low, high, points // len(_OTHERS) if several else points)
        )
    return _summary(program, by, lines)


class _Line:
    """The comparison along one input, the others at the values `at`."""

    def __init__(
        self,
        program: Program,
        own: Callable[..., float] | None,
        by: str,
        at: Mapping[str, float],
        low: float,
        high: float,
        points: int,
    ) -> None:
        self.at, self.range = at, max(abs(low), abs(high))
        self.breakpoints = breakpoints(program, by, low, high, at)
        values = settings(program, at)
        value = plain(program.value)
        signature = Signature([value], by, values)
        found = _places(program, by, values, low, high)
        self.x = _points(found, low, high, points)
        self.claims, self.linear, self.zero = _claims(program, by, at, self.x)
        function = _along(program, own, by, at)
        self.slopes = slopes(function, self.x, signature)
        slope, tolerance = self.slopes.value, 10 * self.slopes.error

        # The kink itself: there the claim is good if it lies between the slopes at both sides.
        places = found[:, 1] if len(found) else np.zeros(0)
        sides = slopes(function, found[:, [0, 2]].ravel(), signature) if len(found) else None
        low_side, high_side = slope.copy(), slope.copy()
        for i, x in enumerate(places):
            if sides is None:
                break
            here = np.flatnonzero(self.x == x)
            pair = sides.value[2 * i : 2 * i + 2]
            low_side[here], high_side[here] = pair.min(), pair.max()
            tolerance[here] = 10 * sides.error[2 * i : 2 * i + 2].max()
        jumping = np.isin(self.x, [b.x for b in self.breakpoints if b.kind == "jump"])
        tolerance[jumping | self.slopes.kink] = np.inf

        with np.errstate(all="ignore"):
            off = np.fmax(low_side - self.claims, self.claims - high_side)
            size = np.fmax(np.abs(self.claims), np.abs(slope))
            sure = tolerance <= 0.05 * np.fmax(np.abs(slope), self.slopes.typical / 8)
            measured = sure & self.slopes.finite
            self.wrong = measured & (off > RTOL * size + tolerance)
        self.lost = self.slopes.finite & ~np.isfinite(self.claims)
        self.wrong |= self.lost & measured & (np.abs(self.x) <= 16)
        self.true = np.where(self.claims > high_side, high_side, low_side)
        self.measured = measured
        self.off = np.where(np.isfinite(off), off, np.inf)
        # By rule, a function whose kinks cancel (max(x, 0) - x / 2 - abs(x) / 2) has at that one point
        # the derivative of the branch that Python takes, which is not the slope.
        self.branch = self.wrong & np.isin(self.x, places) & (program.kind == "exact")
        self.wrong &= ~self.branch

    def own_kinks(self) -> Array:
        """Points at which the slopes measured on the two sides differ."""
        return np.asarray(self.x[self.slopes.kink & (np.abs(self.x) <= self.range)])

    def rank(self, i: int) -> tuple[Any, ...]:
        """The largest difference first; of equal ones that of a moderate x."""
        x, off = abs(float(self.x[i])), float(self.off[i])
        off = float(f"{off:.2g}")
        return x > self.range, x < 1e-4, -off, abs(x - 1)


def _places(
    program: Program, by: str, values: Mapping[str, float], low: float, high: float
) -> Array:
    """Where the function or the derivative in force switches."""
    roots = [plain(program.value)]
    if program.gradient:
        values = {**values, program.upstream: 1.0}
        roots += program.gradient
    else:
        roots.append(plain(derive(program.value, by)))
    return places(roots, by, values, low, high, limit=200)


def _points(found: Array, low: float, high: float, points: int) -> Array:
    signs = np.array([[-1.0], [1.0]])
    extra = (signs * np.array([*_SMALL, *_LARGE])).ravel()
    middles = (found[1:, 1] + found[:-1, 1]) / 2
    grid = np.linspace(low, high, points)
    # A little off the round numbers too, where what is missing from a formula may vanish.
    between = grid[:-1] + 0.3719 * np.diff(grid)
    x = np.unique(np.concatenate([grid, between, extra, middles, found.ravel()]))
    return np.append(x[x != 0], [-0.0, 0.0])


def _claims(
    program: Program, by: str, at: Mapping[str, float], x: Array
) -> tuple[Array, bool, bool]:
    """The derivative in force, whether it is linear in the upstream gradient, and whether zero. Of a
    `gradient=` rule, what it makes of an upstream gradient, per unit of it."""
    arguments = [x if name == by else at[name] for name in program.inputs]
    if not program.gradient:
        claims = np.broadcast_to(program.partial(by).evaluate(*arguments), x.shape) + 0.0
        return claims, True, not np.any(claims)
    rule = program.vjp(by)
    with np.errstate(all="ignore"):
        units = [np.broadcast_to(rule.evaluate(*arguments, u), x.shape) / u for u in _UPSTREAM]
        nothing = np.broadcast_to(rule.evaluate(*arguments, 0.0), x.shape)
        spread = np.max(units, axis=0) - np.min(units, axis=0)
        size = np.max(np.abs(units), axis=0)
        linear = not np.any((spread > 1e-9 * size) & np.isfinite(size)) and not np.any(
            np.isfinite(nothing) & (nothing != 0)
        )
    return np.array(units[0] if linear else units[1]), linear, not np.any(units)


def _along(
    program: Program, own: Callable[..., float] | None, by: str, at: Mapping[str, float]
) -> Callable[[Array], Array]:
    if own is None:
        return lambda x: (
            np.broadcast_to(
                program.evaluate(*(x if name == by else at[name] for name in program.inputs)),
                np.shape(x),
            )
            + 0.0
        )

    def value(x: float) -> float:
        try:
            return float(own(*(x if name == by else at[name] for name in program.inputs)))
        except (ArithmeticError, ValueError):  # where Python raises there is nothing to compare
            return math.nan

    return lambda x: np.array([value(float(item)) for item in x])


def _python_function(
    program: Program, function: Callable[..., Any] | None
) -> Callable[..., float] | None:
    """The user's function of plain numbers, its parameters filled in, if it is at hand and is one."""
    if function is None or not callable(function):
        return None
    function = unwrap(function)
    try:
        takes = dict(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        takes = {}
    parameters = dict(program.parameters) | dict(program.fixed)
    keywords = {n: v for n, v in parameters.items() if n in takes}
    if any(isinstance(v, tuple) for v in keywords.values()):
        return None
    names = program.inputs
    only_keyword = {n for n in names if n in takes and takes[n].kind is takes[n].KEYWORD_ONLY}

    def call(*numbers: float) -> Any:
        given = dict(zip(names, numbers, strict=True))
        positional = [v for n, v in given.items() if n not in only_keyword]
        return function(*positional, **{n: given[n] for n in only_keyword}, **keywords)

    for probe in (0.7, -0.7):
        try:
            float(call(*[probe] * len(names)))
            return call
        except (ArithmeticError, ValueError):
            continue
        except Exception:  # written for tensors, say: then it does not answer to a plain number
            return None
    return None


def _summary(program: Program, by: str, lines: Sequence[_Line]) -> InputCheck:
    wrong: list[tuple[Any, Place]] = []
    for line in lines:
        for i in np.flatnonzero(line.wrong):
            point = tuple(float(line.x[i]) if n == by else line.at[n] for n in program.inputs)
            place = Place(point, float(line.claims[i]), float(line.true[i]))
            wrong.append((line.rank(int(i)), place))
    worst = _spread([place for _, place in sorted(wrong, key=lambda item: item[0])])
    kinks = sorted(
        {b.x for line in lines for b in line.breakpoints if b.kind == "kink"}
        | {float(x) + 0.0 for line in lines for x in line.x[line.branch]}
    )
    jumps = sorted({b.x for line in lines for b in line.breakpoints if b.kind == "jump"})
    if program.on_host:
        found = _clusters(np.sort(np.concatenate([line.own_kinks() for line in lines])))
        kinks = [x for x in found if all(abs(x - jump) > 0.02 for jump in jumps)]
    linear = all(line.linear for line in lines)
    declared = program.kind == "exact" and any(n.op == "given" for n in walk(program.value))
    if (
        program.kind == "surrogate"
        or (declared and wrong)
        or (program.gradient and (wrong or not linear))
    ):
        verdict: Verdict = "surrogate (declared)"
    elif wrong:
        verdict = "WRONG"
    else:
        verdict = "exact except at kinks" if kinks or jumps else "exact"
    return InputCheck(
        by,
        verdict,
        tuple(kinks),
        tuple(jumps),
        worst,
        len(wrong),
        sum(int(line.measured.sum()) for line in lines),
        tuple(float(x) for line in lines for x in line.x[line.lost]),
        all(line.zero for line in lines),
        linear,
    )


def _clusters(x: Array, apart: float = 0.02) -> list[float]:
    """One number for each group of neighbours."""
    groups = np.split(x, np.flatnonzero(np.diff(x) > apart) + 1) if len(x) else []
    return [simplest(float(group[0]), float(group[-1])) for group in groups]


def _spread(places: list[Place], most: int = 8, apart: float = 0.3) -> tuple[Place, ...]:
    """The first places that are not neighbours of one before them."""
    chosen: list[Place] = []
    for place in places:
        near = (
            all(abs(a - b) < apart for a, b in zip(place.point, other.point, strict=True))
            for other in chosen
        )
        if len(chosen) < most and not any(near):
            chosen.append(place)
    return tuple(chosen)


def _report(item: InputCheck) -> Iterator[str]:
    if item.kinks:
        yield f"kink{'s' * (len(item.kinks) > 1)} at {_listed(item.kinks)}"
    if item.jumps:
        yield (
            f"jump{'s' * (len(item.jumps) > 1)} of the function at {_listed(item.jumps)}, "
            f"which its slope does not show"
        )
    if not item.linear:
        yield "the gradient rule is not linear in the upstream gradient"
    if item.zero:
        yield "it is zero at every point: nothing before this activation can learn"
    if item.not_finite:
        yield f"it is not finite at {_listed(item.not_finite)}, where the function is"
    if item.worst:
        where = "differs from the slope" if item.verdict != "WRONG" else "is not the slope"
        yield f"it {where} at {item.different} of {item.compared} points, the most at"
        titles = ("x" if len(item.worst[0].point) == 1 else "point", "claimed", "slope")
        rows = [titles] + [
            (", ".join(map(_number, p.point)), _number(p.claimed), _number(p.true))
            for p in item.worst[: 8 if item.verdict == "WRONG" else 1]
        ]
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        for row in rows:
            yield "  " + "  ".join(text.rjust(w) for text, w in zip(row, widths, strict=True))


def _listed(numbers: Sequence[float], most: int = 8) -> str:
    """The numbers, those nearest to 0 if there are too many."""
    shown = sorted(sorted(set(numbers), key=abs)[:most])
    more = len(set(numbers)) - len(shown)
    return ", ".join(map(_number, shown)) + (f" and {more} more" if more else "")


def _number(x: float) -> str:
    return f"{x + 0.0 if x == 0 else x:.6g}"
