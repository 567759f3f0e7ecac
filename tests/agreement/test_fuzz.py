"""Random programs in every framework, dtype and way of running, against Python.

`make fuzz` runs as many as `ACTGRAD_FUZZ` says, `make test` 25.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cache, reduce
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax")
pytest.importorskip("tensorflow")
pytest.importorskip("torch")
from actgrad.errors import TraceError
from actgrad.frameworks import numpy, source
from actgrad.language.expression import walk
from actgrad.language.program import Program
from tests.agreement import rounding, runners
from tests.fuzz import arithmetic, compare
from tests.fuzz.programs import POINTS, Generated
from tests.fuzz.test_fuzz import each

FUZZ = int(os.environ.get("ACTGRAD_FUZZ", "25"))
DTYPES = ("float32", "float64", "bfloat16")
# Numbers of bfloat16, so that every dtype has the same points and there is one answer for all: first
# those on which kinks lie, then others.
KINKS = [-17.25, -6.0, -1.5, -1.0, -0.25, 0.0, 0.5, 1.0, 2.0, 2.5]
BETWEEN = (np.float32(POINTS) + np.float32(0.0123)).view(np.uint32) & np.uint32(0xFFFF0000)
AT = np.concatenate([KINKS, BETWEEN.view(np.float32).astype(np.float64)])


@dataclass(frozen=True)
class Question:
    """A program, where it is asked, and what Python says of the value and each derivative."""

    generated: Generated
    program: Program
    columns: list[Any]
    answers: list[Any]
    expected: dict[Any, rounding.Expected] = field(default_factory=dict)


@cache
def questions(count: int) -> list[Question]:
    """That many different programs that bend somewhere; for `make test` every time the same."""
    found: dict[Program, Question] = {}

    def ask(generated: Generated) -> None:
        if len(found) == count:
            return
        try:
            program = compare.read(generated)
        except TraceError:  # it raises for every number
            return
        if len(walk(program.value)) < 60 and program not in found:
            bends = [len(walk(derived(program, by).value)) for by in runners.names(program)[2:]]
            if 1 < max(bends) < 400:
                found[program] = question(generated, program)

    each(12 * count, ask, same="ACTGRAD_FUZZ" not in os.environ)
    return list(found.values())


def derived(program: Program, by: tuple[str, ...]) -> Program:
    return reduce(Program.partial, by, program)


def question(generated: Generated, program: Program) -> Question:
    columns = [np.roll(AT, 5 * i) for i in range(len(program.inputs))]
    points = list(zip(*(column.tolist() for column in columns), strict=True))
    answers = []
    for by in runners.names(program):
        answer = np.broadcast_to(derived(program, by).evaluate(*columns), len(AT))
        answers.append(_from_python(generated, program, by, points, answer))
    return Question(generated, program, columns, answers)


def _from_python(
    generated: Generated, program: Program, by: tuple[str, ...], points: Any, ours: Any
) -> Any:
    """The exact number where the function's text has one in 60 digits: at kinks it has no slope, beyond
    its domain no value, and there it is what the operations say in float64."""
    if len(set(by)) > 1:
        return ours
    exact = generated.function(arithmetic.exact())
    found = []
    for point, own in zip(points, ours, strict=True):
        if by:
            true = arithmetic.slope(exact, list(point), program.inputs.index(by[0]), len(by))
        else:
            true = compare.exact_value(generated, point)
        found.append(own if true is None else true)
    return np.array(found)


@dataclass
class Count:
    programs: int = 0
    compared: int = 0
    special: int = 0
    left: int = 0
    worst: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.programs:,} programs: {self.compared:,} numbers, {self.special:,} nan or inf, "
            f"{self.left:,} beside a jump or a pole; worst {self.worst:.2f} of what is allowed"
        )


def _expected(asked: Question, by: tuple[str, ...], kind: str, answer: Any) -> rounding.Expected:
    """Once for all frameworks: it takes longer than most of them."""
    if (by, kind) not in asked.expected:
        asked.expected[by, kind] = rounding.expected(
            derived(asked.program, by), asked.columns, rounding.FORMATS[kind], answer
        )
    return asked.expected[by, kind]


def judge(asked: Question, found: list[Any], dtype: str, count: Count) -> None:
    kind = rounding.FORMATS["float32" if dtype == "bfloat16" else dtype]
    count.programs += 1
    pairs = zip(runners.names(asked.program), asked.answers, found, strict=True)
    for by, answer, got in pairs:
        wanted = _expected(asked, by, kind.name, answer)
        with np.errstate(all="ignore"):
            rounded = rounding.BFLOAT16 * np.abs(answer) if dtype == "bfloat16" else 0.0
            tolerance = wanted.tolerance + rounded
            share = np.where(wanted.finite, np.abs(got - answer) / tolerance, 0.0)
        share = np.where(np.isnan(share) | (wanted.finite & ~np.isfinite(got)), np.inf, share)
        other = wanted.special & ~((got == answer) | (np.isnan(got) & np.isnan(answer)))
        count.compared += int(wanted.finite.sum())
        count.special += int(wanted.special.sum())
        count.left += int((~wanted.finite & ~wanted.special).sum())
        count.worst = max(count.worst, float(share.max()))
        for i in np.flatnonzero((share > 1) | other)[:2]:
            count.wrong.append(
                f"derivative by {by} at {[float(c[i]) for c in asked.columns]} is {got[i]!r}, and should "
                f"be {answer[i]!r} (within {tolerance[i]:.2g}) in{asked.generated!r}"
            )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", runners.MODES)
def test_a_random_program(name: str, dtype: str, capsys: pytest.CaptureFixture[str]) -> None:
    mode, count = runners.MODES[name], Count()
    for asked in questions(FUZZ)[:: mode.one_of][: mode.at_most]:
        judge(asked, mode.run(asked.program, asked.columns, dtype), dtype, count)
    with capsys.disabled():
        print(f"\nagreement: {name} in {dtype}: {count}")
    assert count.wrong == []
    assert count.programs >= min(FUZZ // mode.one_of, mode.at_most)
    assert count.compared > 30 * count.programs


@pytest.mark.parametrize(
    "faults",
    [
        {"mul": "({0} * {1} * 1.00001)"},
        {"select": "np.where({0}, {2}, {1})"},
        {"exp": "np.exp2({0})", "sin": "np.cos({0})", "log": "np.log2({0})", "tanh": "np.sinh({0})"},
    ],
    ids=["mul", "select", "transcendental"],
)
def test_a_wrong_operation_is_caught(
    faults: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for op, template in faults.items():
        monkeypatch.setitem(numpy.TABLE, op, template)
    source.kernel.cache_clear()
    count = Count()
    for asked in questions(FUZZ)[:25]:
        judge(asked, runners.of_numpy(asked.program, asked.columns, "float32"), "float32", count)
    source.kernel.cache_clear()
    assert count.wrong != []
