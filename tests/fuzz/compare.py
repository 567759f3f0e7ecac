"""What it means that a program says the same as the Python function that it was read from."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from mpmath import mp

from actgrad.errors import ActgradWarning
from actgrad.frameworks import numpy as room
from actgrad.language import program as language
from actgrad.language.expression import Expr, const, evaluate_all, plain, walk
from actgrad.language.ops import OPS
from actgrad.language.program import Program
from actgrad.language.rewrite import as_written
from actgrad.reading.define import define
from tests.agreement import rounding
from tests.fuzz import arithmetic
from tests.fuzz.programs import POINTS, Generated

RELATIVE = 1e-12
BESIDE_ONE = 400
"""Digits in which even the smallest float64, added to one, is not lost: log(1 + exp(-700)) > 0."""


def forget() -> None:
    """What was derived and compiled of programs is made anew when it is next wanted."""
    for program in list(language._programs.values()):
        program.kept.clear()


@dataclass
class Count:
    programs: int = 0
    values: int = 0
    slopes: int = 0
    bends: int = 0

    def __str__(self) -> str:
        return (
            f"{self.programs:,} programs: {self.values:,} values, {self.slopes:,} derivatives, "
            f"{self.bends:,} second derivatives"
        )


def read(generated: Generated) -> Program:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ActgradWarning)
        return define(generated.function())


def points(inputs: int) -> list[tuple[float, ...]]:
    columns = [np.roll(POINTS, 5 * i).tolist() for i in range(inputs)]
    return list(zip(*columns, strict=True))


def evaluate(program: Program, at: list[tuple[float, ...]]) -> list[float]:
    found = program.evaluate(*np.array(at).T)
    return np.broadcast_to(found, len(at)).tolist()  # type: ignore[no-any-return]


def python_value(generated: Generated, at: tuple[float, ...]) -> float | None:
    """What Python returns; None where it raises, or leaves the real numbers."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return float(generated.function()(*at))
        except (ArithmeticError, ValueError, TypeError):
            return None


def ieee_value(
    generated: Generated, at: tuple[float, ...], *, first_zero: bool = False
) -> float | None:
    """What the text computes in NumPy's float64, where nothing raises but a sum of constants."""
    values = {name: np.float64(value) for name, value in generated.parameters}
    names = arithmetic.ieee(first_zero=first_zero)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return float(generated.function(names)(*map(np.float64, at), **values))
        except (ArithmeticError, ValueError):
            return None


def exact_value(
    generated: Generated, at: tuple[float, ...], digits: int = arithmetic.DIGITS
) -> float | None:
    with mp.workdps(digits):
        try:
            found = generated.function(arithmetic.exact())(*map(arithmetic.Exact, at))
            return float(found.of if isinstance(found, arithmetic.Exact) else found)
        except (arithmetic.NotNeeded, ArithmeticError):
            return None


def close(a: float, b: float, relative: float = RELATIVE, scale: float = 1e-40) -> bool:
    if not (math.isfinite(a) and math.isfinite(b)):
        return a == b or (math.isnan(a) and math.isnan(b))
    return abs(a - b) <= relative * max(abs(a), abs(b), scale)


def wrong_values(program: Program, generated: Generated, count: Count) -> list[str]:
    """Where the program's value is not Python's, nor nearer to the exact number than Python's is."""
    found = []
    at = points(len(generated.inputs))
    a_path_raises = const(math.nan) in walk(program.value)
    for point, ours in zip(at, evaluate(program, at), strict=True):
        own = python_value(generated, point)
        if own is None or not close(ours, own):
            if own is None and math.isnan(ours) and a_path_raises:
                continue  # arithmetic of constants alone, which raises before we can see it
            ieee = ieee_value(generated, point)
            beyond = own is None and ieee is not None and not math.isfinite(ieee)
            if beyond and math.isfinite(ours) and exact_value(generated, point) is None:
                continue  # finite, and too large on the way for anybody to say
            if own is None and (ieee is None or "copysign" in generated.source):
                continue  # constants that raise, or the sign of a nan
            answers = (ieee, ieee_value(generated, point, first_zero=True))
            if (
                not any(a is not None and close(ours, a) for a in answers)
                and not _better(generated, point, ours, own)
                and not _cancels(program, point, ours, own)
                and not (own is None and _rounds(program, point, ours, ieee))
            ):
                found.append(f"at {point}: {ours!r}, where Python has {own!r} and IEEE {ieee!r}")
        count.values += 1
    return found


def _better(generated: Generated, point: tuple[float, ...], ours: float, own: float | None) -> bool:
    """Whether a difference is in our favour, or only rounding at a jump."""
    for digits in (arithmetic.DIGITS, BESIDE_ONE):
        true = exact_value(generated, point, digits)
        if true is None:
            return _is_as_written(generated, point, own)
        lost = math.inf if own is None or not math.isfinite(own) else abs(own - true)
        if abs(ours - true) <= min(100 * lost, 0.01 * abs(true)) + RELATIVE * abs(true) + 1e-40:
            return True
    sides = [python_value(generated, tuple(x * (1 + e) for x in point)) for e in (-1e-12, 1e-12)]
    return any(side is not None and close(ours, side, 1e-9) for side in sides)


def _cancels(program: Program, point: tuple[float, ...], ours: float, own: float | None) -> bool:
    """Whether a sum's terms cancel, as in sqrt(v)**2 - v, and the last digits of these are the difference."""
    values = dict(zip(program.inputs, point, strict=True)) | dict(program.parameters)
    terms = [plain(program.value)]
    for term in terms:
        if term.op in ("add", "sub"):
            terms += term.args
    largest = np.abs(evaluate_all(terms, values)).max()
    if own is None or not np.isfinite(largest):
        return False
    return bool(abs(ours - own) <= 4 * np.finfo(float).eps * largest)


def _rounds(program: Program, point: tuple[float, ...], ours: float, ieee: float | None) -> bool:
    """Whether a difference from IEEE's answer, where Python has none, is the rounding of its parts: a
    remainder of a cube has it many times."""
    columns, oracle = [np.array([x]) for x in point], np.array([ieee], dtype=float)
    expected = rounding.expected(program, columns, rounding.FORMATS["float64"], oracle)
    return bool(expected.finite[0] and abs(ours - oracle[0]) <= expected.tolerance[0])


def _is_as_written(generated: Generated, point: tuple[float, ...], own: float | None) -> bool:
    """Whether a reading without the stable forms, which have digits that Python lacks, agrees."""
    with as_written():
        literal = evaluate(read(generated), [point])[0]
    answers = (own, ieee_value(generated, point))
    return any(answer is not None and close(literal, answer) for answer in answers)


def wrong_slopes(
    program: Program, generated: Generated, count: Count, orders: int = 1
) -> list[str]:
    """Where the program's derivatives, up to this order, are not those of the exact function."""
    found = []
    at = [tuple(x + 0.0123 for x in point) for point in points(len(generated.inputs))]
    function = generated.function(arithmetic.exact())
    for along, name in enumerate(generated.inputs):
        chain = [program]
        for _ in range(orders):
            chain.append(chain[-1].partial(name))
        for point, value, *ours in zip(at, *(evaluate(one, at) for one in chain), strict=True):
            true_value = exact_value(generated, point)
            if true_value is None or not close(value, true_value, 1e-9):
                continue
            slopes = arithmetic.slopes(function, list(point), along)
            for order in range(1, orders + 1) if slopes else ():
                count.slopes += order == 1
                count.bends += order == 2
                wrong = _wrong_slope(
                    chain[order], generated, point, value, ours[order - 1], slopes[order - 1]
                )
                if wrong:
                    found.append(f"at {point}: order {order} by {name} {wrong}")
    return found


def _wrong_slope(
    derivative: Program,
    generated: Generated,
    point: tuple[float, ...],
    value: float,
    ours: float,
    true: float,
) -> str | None:
    if math.isnan(ours) and python_value(generated, point) is None:
        return None  # where Python overflows, its value is IEEE's and its slope nobody's
    if not math.isfinite(ours) and _is_singular(derivative, point):
        return None  # a vertical tangent on the way, as asin has at 1
    if close(ours, true, 1e-7, scale=max(abs(value), 1e-30)):
        return None
    if abs(ours - true) <= 1e-13 * _largest_part(derivative, point):  # as cbrt(x ** 3) - x
        return None
    return f"is {ours!r}, and should be {true!r}"


def _is_singular(derivative: Program, point: tuple[float, ...]) -> bool:
    """Whether some part of the derivative is infinite there, as at a kink."""
    return bool(np.isinf(_parts(derivative, point)).any())


def _largest_part(derivative: Program, point: tuple[float, ...]) -> float:
    """What rounding is relative to, where parts cancel; 1 at least."""
    parts = np.abs(_parts(derivative, point))
    return float(parts[np.isfinite(parts)].max(initial=1.0))


def _parts(program: Program, point: tuple[float, ...]) -> np.ndarray[Any, Any]:
    """The values of all parts of the program's expression."""
    values = dict(zip(program.inputs, point, strict=True)) | dict(program.parameters)
    parts = [node for node in walk(plain(program.value)) if not node.boolean]
    return np.array([np.float64(value) for value in evaluate_all(parts, values)])


def evaluate_in(
    dtype: type[np.floating[Any]], program: Program, at: list[tuple[float, ...]]
) -> Any:
    """The value, operation by operation, with every constant and result of this dtype."""
    values = dict(zip(program.inputs, np.array(at, dtype).T, strict=True)) | dict(
        program.parameters
    )
    results: dict[Expr, Any] = {}
    with np.errstate(all="ignore"):
        for node in walk(plain(program.value)):
            if node.args:
                results[node] = OPS[node.op].numpy(*(results[arg] for arg in node.args))
            else:
                value = values[str(node.value)] if node.op == "var" else node.value
                results[node] = value if node.boolean else np.asarray(value, dtype)[()]
    return np.broadcast_to(results[node], len(at))


def wrong_kernel(program: Program, dtype: type[np.floating[Any]]) -> list[str]:
    """Where the generated NumPy code is not what its operations are one by one."""
    at = points(len(program.inputs))
    found = []
    kernel = room.call(program, tuple(np.array(at, dtype).T), {})
    relative = 50 * float(np.finfo(dtype).eps)
    for point, ours, own in zip(at, kernel, evaluate_in(dtype, program, at), strict=True):
        if not close(float(ours), float(own), relative) and not _near_jump(program, point, dtype):
            found.append(f"at {point} in {dtype.__name__}: {ours!r}, and one by one {own!r}")
    return found


def _near_jump(program: Program, point: tuple[float, ...], dtype: type[np.floating[Any]]) -> bool:
    """Whether the value moves by much when its inputs move by a few units in the last place."""
    step = 20 * float(np.finfo(dtype).eps)
    sides = [tuple(x * (1 + turns * step) for x in point) for turns in (-1, 0, 1)]
    below, here, above = evaluate(program, sides)
    return not close(below, here, 20 * step) or not close(here, above, 20 * step)
