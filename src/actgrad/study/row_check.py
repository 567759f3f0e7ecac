"""Whether the derivative of a function of a row is what it claims to be: its matrix, entry by entry."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence

import numpy as np

from actgrad.common.types import Array, Fields, Function
from actgrad.language.length import MOST
from actgrad.language.program import Program
from actgrad.reading.surroundings.wrappers import unwrap
from actgrad.reading.witnesses import native
from actgrad.reading.witnesses.original import IRREGULAR
from actgrad.study.check import Check, Difference, InputCheck, Verdict, concluded, has_declared

Value = Callable[[Fields], Array]
_STEPS = (1e-5, 1e-6)


def check_rows(program: Program, function: Function | None) -> Check:
    """Measure the derivative in force by central differences, on rows of several lengths.

    Of the user's own function if it is at hand, and of the program's value otherwise.
    """
    lengths = [n for n in (6, 5, 8, *range(1, MOST)) if program.misfit(n) is None][:3]
    own = _own(program, function, lengths[0])
    value = own or (lambda arguments: np.atleast_1d(evaluated(program, arguments)))
    names = [*program.inputs, *(n for n, v in program.parameters if isinstance(v, float))]
    found = tuple(_by(program, value, name, lengths) for name in names)
    inputs, parameters = found[: len(program.inputs)], found[len(program.inputs) :]
    return concluded(program, own, inputs, parameters)


def evaluated(program: Program, arguments: dict[str, object]) -> Array:
    rows = [arguments[name] for name in program.inputs]
    rest = {name: value for name, value in arguments.items() if name not in program.inputs}
    return np.asarray(program.evaluate(*rows, **rest))


def _own(program: Program, function: Function | None, n: int) -> Value | None:
    """The user's function on rows of its own library, if it takes them."""
    if function is None:
        return None
    function = unwrap(function)
    settings = program.settings | dict(program.fixed)
    libraries = native.libraries(native.mentions(function).libraries or ("numpy",))

    def along(library: native.Library) -> Value:
        def value(arguments: dict[str, object]) -> Array:
            given = {name: arguments.get(name, value) for name, value in settings.items()}
            columns = [np.asarray(arguments[name]) for name in program.inputs]
            run = library.run(lambda *rows: function(*rows, **_taken(function, given)), columns)
            return np.ravel(np.array(run.outputs))  # a row, one number, or a list of numbers

        return value

    for library in libraries:
        try:
            along(library)({name: np.linspace(0.3, 1.7, n) for name in program.inputs})
        except native.NotTaken:
            continue
        return along(library)
    return None


def _taken(function: Function, values: Fields) -> Fields:
    known = inspect.signature(function).parameters
    return {name: value for name, value in values.items() if name in known}


def _by(program: Program, value: Value, by: str, lengths: Sequence[int]) -> InputCheck:
    """The derivative by one argument, on every row."""
    wrong: list[Difference] = []
    compared, largest, linear, lost = 0, 0.0, True, []
    for k, n in enumerate(lengths):
        for shift in range(3):
            at = _arguments(program, n, 7 * k + 5 * shift)
            claimed = jacobian(program, by, at, n)
            measured, trusted = _measured(value, by, at)
            finite = np.isfinite(claimed)
            point = np.broadcast_to(np.atleast_1d(at[by]), claimed.shape)
            lost += [float(x) for x in point[~finite & trusted]]
            close = np.isclose(claimed, measured, rtol=1e-4, atol=1e-6)
            compared += int(trusted.sum())
            largest = max(largest, float(np.abs(np.where(finite, claimed, 1.0)).max()))
            for i, j in np.argwhere(trusted & ~close):
                wrong.append(
                    Difference((float(point[i, j]),), float(claimed[i, j]), float(measured[i, j]))
                )
            linear &= _is_linear(program, by, at)
    worst = sorted(wrong, key=lambda place: -abs(place.claimed - place.true))[:8]
    verdict: Verdict = "exact"
    if program.kind == "surrogate" or has_declared(program) or program.gradient:
        verdict = "surrogate (declared)" if wrong or not linear else "exact"
    elif wrong:
        verdict = "WRONG"
    return InputCheck(
        by, verdict, (), (), tuple(worst), len(wrong), compared, tuple(lost), not largest, linear
    )


def _arguments(program: Program, n: int, shift: int) -> Fields:
    rows: Fields = {
        name: np.roll(np.resize(IRREGULAR, max(n, 24)), shift + 11 * i)[:n]
        for i, name in enumerate(program.inputs)
    }
    return rows | {name: np.float64(v) for name, v in program.parameters if isinstance(v, float)}


def jacobian(program: Program, by: str, at: Fields, n: int) -> Array:
    """A line for each number of the result, from the gradient in force."""
    size = 1 if program.value.width is None else program.value.width.at(n)
    upstream = np.eye(size)
    batch = {name: np.broadcast_to(x, (size, *np.shape(x))) for name, x in at.items()}
    batch = {name: x if name in program.inputs else x[0] for name, x in batch.items()}
    found = evaluated(program.vjp(by), {**batch, program.upstream: upstream})
    wide = n if by in program.inputs else 1
    return np.array(np.broadcast_to(found, (size, wide)))


def _measured(value: Value, by: str, at: Fields) -> tuple[Array, Array]:
    """The matrix by central differences, and where two step sizes and both sides agree."""
    x = np.atleast_1d(at[by])
    slopes, trusted = [], []
    middle = value(at)
    for j in range(len(x)):
        found = []
        for step in _STEPS:
            moved = [np.where(np.arange(len(x)) == j, x + s * step, x) for s in (1, -1)]
            shaped = [m if np.ndim(at[by]) else m[0] for m in moved]
            up, down = (value(at | {by: m}) for m in shaped)
            found.append(((up - down) / (2 * step), (up - middle) / step, (middle - down) / step))
        (central, right, left), (other, *_) = found
        slopes.append(other)
        near = np.isclose(central, other, rtol=1e-4, atol=1e-6)
        trusted.append(near & np.isclose(left, right, rtol=1e-2, atol=1e-3))
    return np.stack(slopes, -1), np.stack(trusted, -1) & np.isfinite(np.stack(slopes, -1))


def _is_linear(program: Program, by: str, at: Fields) -> bool:
    if not program.gradient:
        return True
    size = np.atleast_1d(evaluated(program, at)).shape[-1]
    a, b = np.linspace(-1, 2, size), np.linspace(1, -3, size) ** 2
    whole, one, other = (
        evaluated(program.vjp(by), {**at, program.upstream: u}) for u in (a + 3 * b, a, b)
    )
    return bool(np.allclose(whole, one + 3 * other, rtol=1e-6, atol=1e-9))
