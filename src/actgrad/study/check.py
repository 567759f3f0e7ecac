"""Whether a derivative is what it claims to be: measured against the function itself."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from actgrad.common.text import finite_json
from actgrad.common.types import Array, Fields, Function
from actgrad.language.derive import derive
from actgrad.language.expression import evaluate, walk
from actgrad.language.program import Program
from actgrad.reading.derivatives import claims
from actgrad.reading.signature import MAX_ENTRIES, like
from actgrad.reading.surroundings.wrappers import unwrap
from actgrad.study.breakpoints import check_range, simplest
from actgrad.study.line import Line, Rank, is_exact

Verdict = Literal["exact", "exact except at kinks", "surrogate (declared)", "WRONG"]

VERDICTS: tuple[Verdict, ...] = ("exact", "exact except at kinks", "surrogate (declared)", "WRONG")
_OTHERS = (0.4, -1.3, 2.1, 0.0)
_NEAR = 0.02  # kinks of a function on the host that are one
_MOST = 8  # places that are told


@dataclass(frozen=True)
class Difference:
    """A point at which the claimed derivative is not the slope."""

    point: tuple[float, ...]
    claimed: float
    true: float

    @property
    def x(self) -> float:
        return self.point[0]


@dataclass(frozen=True)
class InputCheck:
    """The derivative by one input or parameter."""

    input: str
    """Its name."""
    verdict: Verdict
    kinks: tuple[float, ...]
    """Where the slope jumps, along this input."""
    jumps: tuple[float, ...]
    """Where the function jumps, or ends: the derivative cannot see it."""
    worst: tuple[Difference, ...]
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
    outside: tuple[float, ...] = ()
    """The kinks at which the derivative lies outside of the slopes from the left and from the right."""


@dataclass(frozen=True)
class Check:
    """What `check` found. False in an `if` when the verdict is WRONG, and printed as a small table."""

    name: str
    verdict: Verdict
    inputs: tuple[InputCheck, ...]
    oracle: str
    """What the slope was measured of."""
    parameters: tuple[InputCheck, ...] = ()
    """The derivatives by the parameters that are numbers."""
    settings: tuple[tuple[str, float], ...] = ()
    """The values of the parameters that are numbers."""

    def __bool__(self) -> bool:
        return self.verdict != "WRONG"

    @property
    def arguments(self) -> tuple[InputCheck, ...]:
        """The inputs, then the parameters."""
        return self.inputs + self.parameters

    @property
    def kinks(self) -> tuple[float, ...]:
        return self.inputs[0].kinks

    @property
    def jumps(self) -> tuple[float, ...]:
        return self.inputs[0].jumps

    @property
    def worst(self) -> tuple[Difference, ...]:
        return tuple(place for item in self.arguments for place in item.worst)

    @property
    def zero(self) -> bool:
        return all(item.zero for item in self.inputs)

    @property
    def not_finite(self) -> tuple[float, ...]:
        return tuple(place for item in self.arguments for place in item.not_finite)

    def to_dict(self) -> Fields:
        """For JSON: plain lists, strings and numbers; a number that is not finite as a string."""
        found: Fields = finite_json(dataclasses.asdict(self))
        return found

    def __str__(self) -> str:
        values = ", ".join(f"{name}={value:g}" for name, value in self.settings)
        lines = [f"{self.name}{f'({values})' * bool(values)}: {self.verdict}"]
        for item in self.arguments:
            margin = "  "
            if len(self.arguments) > 1:
                lines.append(f"  by {item.input}: {item.verdict}")
                margin = "    "
            lines += [margin + line for line in _report(item, item in self.parameters)]
        points = sum(item.compared for item in self.arguments)
        lines.append(f"  {points} points compared with finite differences of {self.oracle}")
        return "\n".join(lines)


def check(
    program: Program,
    function: Function | None = None,
    low: float = -8.0,
    high: float = 8.0,
    *,
    points: int = 321,
) -> Check:
    """Measure a program's derivative, against `function` if it is at hand: see `Studied.check`."""
    check_range(low, high)
    if 0 < sum(program.lengths[name] for name in program.tables) <= MAX_ENTRIES:
        program = program.unrolled
    own = _python_function(program, function)
    inputs = tuple(_check_input(program, own, name, low, high, points) for name in program.inputs)
    numbers = [name for name, value in program.parameters if isinstance(value, float)]
    parameters = tuple(
        _check_parameter(program, function, name, points)
        for name in numbers
        if name in program.differentiable
    )
    settings = tuple((n, v) for n, v in program.settings.items() if isinstance(v, float))
    return concluded(program, own, inputs, parameters, settings)


def concluded(
    program: Program,
    own: object,
    inputs: tuple[InputCheck, ...],
    parameters: tuple[InputCheck, ...],
    settings: tuple[tuple[str, float], ...] = (),
) -> Check:
    """The worst of all verdicts, and whether the function itself was at hand."""
    verdict = max((item.verdict for item in inputs + parameters), key=VERDICTS.index)
    if program.kind == "surrogate":
        verdict = max(verdict, "surrogate (declared)", key=VERDICTS.index)
    oracle = "the Python function" if own else "its formula"
    return Check(program.name, verdict, inputs, oracle, parameters, settings)


def has_declared(program: Program) -> bool:
    """Whether an exact derivative goes through a declared one, of an activation that it calls, say."""
    return program.kind == "exact" and any(node.op == "given" for node in walk(program.value))


def _check_parameter(
    program: Program, function: Function | None, name: str, points: int
) -> InputCheck:
    """As by an input, near the value that it has; a vector entry by entry."""
    centre = float(dict(program.parameters)[name])  # type: ignore[arg-type]
    around = 1.0 + abs(centre)
    own = _python_function(program, function, name)
    low, high = centre - around, centre + around
    found = _check_input(
        program.with_input(name), own, name, low, high, points // 4, extremes=False
    )
    found = dataclasses.replace(found, zero=found.zero and claims.is_zero_by(program, name))
    return dataclasses.replace(found, input=program.shown(name))


def _check_input(
    program: Program,
    own: Callable[..., float] | None,
    by: str,
    low: float,
    high: float,
    points: int,
    extremes: bool = True,
) -> InputCheck:
    several = len(program.inputs) > 1
    lines = []
    for i in range(len(_OTHERS) if several else 1):
        others = [n for n in program.inputs if n != by]
        at = {name: _OTHERS[(i + k) % len(_OTHERS)] for k, name in enumerate(others)}
        some = points // len(_OTHERS) if several else points
        lines.append(Line(program, own, by, at, low, high, some, extremes))
    return _summary(program, by, lines)


def _python_function(
    program: Program, function: Function | None, by: str | None = None
) -> Callable[..., float] | None:
    """The user's function of plain numbers, its parameters filled in, if it is at hand and is one.

    With `by`, a parameter or an entry of one, that is the last of its numbers.
    """
    if function is None or not callable(function):
        return None
    function = unwrap(function)
    try:
        takes = dict(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        takes = {}
    settings = program.settings | dict(program.fixed)
    keywords = {n: like(takes[n].default, v) for n, v in settings.items() if n in takes}
    vectors = dict(program.vectors)
    whole = {*vectors, *program.tables}
    if any(isinstance(v, tuple) and n not in whole for n, v in program.settings.items()):
        return None  # an array that broadcasts: not a function of plain numbers
    names = program.inputs
    only_keyword = {n for n in names if n in takes and takes[n].kind is takes[n].KEYWORD_ONLY}
    vector = next((n for n, entries in program.vectors if by in entries), None)

    def call(*numbers: float) -> float:
        given = dict(zip(names, numbers, strict=False))
        positional = [v for n, v in given.items() if n not in only_keyword]
        changed = dict(keywords)
        if vector is not None:
            values = list(program.settings[vector])  # type: ignore[arg-type]
            values[vectors[vector].index(str(by))] = numbers[-1]
            changed[vector] = like(takes[vector].default, values)
        elif by in takes:
            changed[by] = numbers[-1]
        with np.errstate(all="ignore"):  # at the largest numbers NumPy would say so
            return function(*positional, **{n: given[n] for n in only_keyword}, **changed)

    for probe in (0.7, -0.7):
        try:
            float(call(*[probe] * (len(names) + (by is not None))))
            return call
        except (ArithmeticError, ValueError):
            continue
        except Exception:  # written for tensors, say: then it does not answer to a plain number
            return None
    return None


def _summary(program: Program, by: str, lines: Sequence[Line]) -> InputCheck:
    wrong: list[tuple[Rank, Difference]] = []
    for line in lines:
        for i in np.flatnonzero(line.wrong):
            point = tuple(float(line.x[i]) if n == by else line.at[n] for n in program.inputs)
            place = Difference(point, float(line.claims[i]), float(line.true[i]))
            wrong.append((line.rank(int(i)), place))
    worst = _spread([place for _, place in sorted(wrong, key=lambda item: item[0])])
    kinks = sorted(
        {b.x for line in lines for b in line.breakpoints if b.kind == "kink"}
        | {float(x) + 0.0 for line in lines for x in line.x[line.branch]}
    )
    jumps = sorted({b.x for line in lines for b in line.breakpoints if b.kind == "jump"})
    if program.on_host:
        found = _clusters(np.sort(np.concatenate([line.own_kinks() for line in lines])))
        kinks = [x for x in found if all(abs(x - jump) > _NEAR for jump in jumps)]
    linear = all(line.linear for line in lines)
    if (
        (program.kind == "surrogate" and not is_exact(program, by))
        or (has_declared(program) and wrong)
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
        _outside(program, by, np.array(kinks)),
    )


def _outside(program: Program, by: str, kinks: Array) -> tuple[float, ...]:
    """The kinks at which terms that tie add up to more than either slope, as `relu(x) - relu(-x)` at 0."""
    if program.on_host or program.gradient or program.inputs != (by,) or not len(kinks):
        return ()
    slope, step = derive(program.value, by), 1e-6 * np.maximum(1, np.abs(kinks))
    with np.errstate(all="ignore"):
        at, left, right = (
            np.broadcast_to(evaluate(slope, {**dict(program.parameters), by: x}), kinks.shape)
            for x in (kinks, kinks - step, kinks + step)
        )
        slack = 1e-3 * (1 + np.abs(left) + np.abs(right))
        beyond = (at < np.minimum(left, right) - slack) | (at > np.maximum(left, right) + slack)
    return tuple(float(x) for x in kinks[beyond])


def _clusters(x: Array) -> list[float]:
    """One number for each group of neighbours."""
    groups = np.split(x, np.flatnonzero(np.diff(x) > _NEAR) + 1) if len(x) else []
    return [simplest(float(group[0]), float(group[-1])) for group in groups]


def _spread(places: list[Difference]) -> tuple[Difference, ...]:
    """The first places that are not neighbours of one before them."""
    chosen: list[Difference] = []
    for place in places:
        near = (
            all(abs(a - b) < 0.3 for a, b in zip(place.point, other.point, strict=True))
            for other in chosen
        )
        if len(chosen) < _MOST and not any(near):
            chosen.append(place)
    return tuple(chosen)


def _report(item: InputCheck, is_parameter: bool) -> Iterator[str]:
    if item.kinks:
        yield f"kink{'s' * (len(item.kinks) > 1)} at {_listed(item.kinks)}"
    if item.outside:
        yield (
            f"the derivative at {_listed(item.outside)} lies outside of the slopes from the left and the "
            f"right: terms that tie there add up"
        )
    if item.jumps:
        yield (
            f"jump{'s' * (len(item.jumps) > 1)} of the function at {_listed(item.jumps)}, "
            f"which its slope does not show"
        )
    if not item.linear:
        yield "the gradient rule is not linear in the upstream gradient"
    if item.zero:
        what = "it cannot be learnt" if is_parameter else "nothing before this activation can learn"
        yield f"it is zero at every point: {what}"
    if item.not_finite:
        yield f"it is not finite at {_listed(item.not_finite)}, where the function is"
    if item.worst:
        where = "differs from the slope" if item.verdict != "WRONG" else "is not the slope"
        yield f"it {where} at {item.different} of {item.compared} points, the most at"
        titles = ("x" if len(item.worst[0].point) == 1 else "point", "claimed", "slope")
        rows = [titles] + [
            (", ".join(map(_number, p.point)), _number(p.claimed), _number(p.true))
            for p in item.worst[: _MOST if item.verdict == "WRONG" else 1]
        ]
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        for row in rows:
            yield "  " + "  ".join(text.rjust(w) for text, w in zip(row, widths, strict=True))


def _listed(numbers: Sequence[float]) -> str:
    """The numbers, those nearest to 0 if there are too many."""
    shown = sorted(sorted(set(numbers), key=abs)[:_MOST])
    more = len(set(numbers)) - len(shown)
    return ", ".join(map(_number, shown)) + (f" and {more} more" if more else "")


def _number(x: float) -> str:
    return f"{x + 0.0 if x == 0 else x:.6g}"
