"""Random programs in every framework, dtype and way of running, against Python.

`make fuzz` draws as many as `ACTGRAD_FUZZ` says, and each runs in every framework: in JAX in one of the
dtypes, elsewhere in all three. What takes long to compile takes one of many: see `runners.MODES`. `make
test` draws 25 and runs 8 of them, `make test-all` all, and the ways of running take turns.
"""

from __future__ import annotations

import linecache
import os
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache, reduce
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, Verbosity, given, settings

jax = pytest.importorskip("jax")
pytest.importorskip("tensorflow")
pytest.importorskip("torch")
from actgrad.errors import TraceError
from actgrad.frameworks import numpy_dialect
from actgrad.language.expression import walk
from actgrad.language.program import Program
from tests.agreement import rounding, runners
from tests.fuzz import arithmetic, compare
from tests.fuzz.programs import POINTS, Generated, programs

SAMPLE = "ACTGRAD_FUZZ" not in os.environ
FUZZ = int(os.environ.get("ACTGRAD_FUZZ", "25"))
PART = 100
DTYPES = ("float32", "float64", "bfloat16")
# Numbers of bfloat16, so that every dtype has the same points and there is one answer for all: first
# those on which kinks lie, then others.
KINKS = [-17.25, -6.0, -1.5, -1.0, -0.25, 0.0, 0.5, 1.0, 2.0, 2.5]
BETWEEN = (np.float32(POINTS) + np.float32(0.0123)).view(np.uint32) & np.uint32(0xFFFF0000)
AT = np.concatenate([KINKS, BETWEEN.view(np.float32).astype(np.float64)])


# What the texts that are made of a program know by these names, too.
NAMES = (
    "f",
    "abs",
    "np",
    "torch",
    "tf",
    "jax",
    "jnp",
    "math",
    "_value",
    "_select",
    "_mod",
    "like",
    "größe",
)


class _Enough(Exception):
    """So many programs were wanted."""


@lru_cache(maxsize=1)
def draw(count: int, part: int) -> list[tuple[Generated, Program]]:
    """Different programs that bend somewhere, others for each part; for `make test` every time the same."""
    found: dict[Program, Generated] = {}

    @settings(
        max_examples=100 * count,
        derandomize=SAMPLE,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    @given(programs())
    def run(generated: Generated) -> None:
        if len(found) == count:
            raise _Enough
        with suppress(TraceError):  # it raises for every number
            program = replace(compare.read(generated), name=NAMES[len(found) % len(NAMES)])
            if len(walk(program.value)) < 60 and program not in found:
                bends = [len(walk(derived(program, by).value)) for by in runners.names(program)[2:]]
                if 1 < max(bends) < 400:
                    found[program] = generated

    with suppress(_Enough):
        run()
    return [(generated, program) for program, generated in found.items()]


def derived(program: Program, by: tuple[str, ...]) -> Program:
    return reduce(Program.partial, by, program)


@dataclass(frozen=True)
class Question:
    """A program, where it is asked, and what Python says of the value and each derivative."""

    generated: Generated
    program: Program
    columns: list[Any]
    answers: list[Any]
    has_value: Any
    """Where the function's text has one."""
    expected: dict[Any, rounding.Expected] = field(default_factory=dict)


def question(generated: Generated, program: Program) -> Question:
    """The answers are exact where the function's text has one in 60 digits: at kinks it has no slope,
    beyond its domain no value, and there it is what the operations say in float64. So it is where a
    slope of zero goes through a vertical tangent: zero times infinity, which Python need not compute.
    """
    columns = [np.roll(AT, 5 * i) for i in range(len(program.inputs))]
    points = list(zip(*(column.tolist() for column in columns), strict=True))
    exact = generated.function(arithmetic.exact())
    values = [compare.exact_value(generated, point) for point in points]
    slopes = {
        name: [arithmetic.slopes(exact, list(point), i) for point in points]
        for i, name in enumerate(program.inputs)
    }
    answers = []
    for by in runners.names(program):
        answer = np.array(np.broadcast_to(derived(program, by).evaluate(*columns), len(AT)))
        if len(set(by)) < 2:
            true = values if not by else [both and both[len(by) - 1] for both in slopes[by[0]]]
            known = [i for i, number in enumerate(true) if number is not None]
            answer[known] = [true[i] for i in known]
            if by:
                said = np.broadcast_to(derived(program.closed, by).evaluate(*columns), len(AT))
                answer = np.where((answer == 0.0) & np.isnan(said), np.nan, answer)
        answers.append(answer)
    has_value = np.array([value is not None for value in values])
    return Question(generated, program, columns, answers, has_value)


def _expected(asked: Question, by: tuple[str, ...], kind: str, answer: Any) -> rounding.Expected:
    """Once for all frameworks: it takes longer than most of them."""
    if (by, kind) not in asked.expected:
        asked.expected[by, kind] = rounding.expected(
            derived(asked.program, by), asked.columns, rounding.FORMATS[kind], answer
        )
    return asked.expected[by, kind]


@dataclass
class Count:
    programs: int = 0
    compared: int = 0
    special: int = 0
    left: int = 0
    worst: float = 0.0


def judge(asked: Question, found: list[Any], dtype: str, count: Count) -> list[str]:
    """Counts the numbers that were compared, and tells those that are wrong.

    Where Python raises, the value is what the operations say, and the derivatives may be anything.
    """
    kind = rounding.FORMATS["float32" if dtype == "bfloat16" else dtype]
    wrong = []
    count.programs += 1
    pairs = zip(runners.names(asked.program), asked.answers, found, strict=True)
    for by, answer, got in pairs:
        wanted = _expected(asked, by, kind.name, answer)
        inside = asked.has_value if by else True
        finite, special = wanted.finite & inside, wanted.special & inside
        with np.errstate(all="ignore"):
            rounded = rounding.BFLOAT16 * np.abs(answer) if dtype == "bfloat16" else 0.0
            tolerance = wanted.tolerance + rounded
            share = np.where(finite, np.abs(got - answer) / tolerance, 0.0)
        share = np.where(np.isnan(share) | (finite & ~np.isfinite(got)), np.inf, share)
        other = special & ~((got == answer) | (np.isnan(got) & np.isnan(answer)))
        count.compared += int(finite.sum())
        count.special += int(special.sum())
        count.left += int((~finite & ~special).sum())
        count.worst = max(count.worst, float(share.max()))
        for i in np.flatnonzero((share > 1) | other)[:2]:
            wrong.append(
                f"derivative by {by} at {[float(c[i]) for c in asked.columns]} is {got[i]!r}, and should "
                f"be {answer[i]!r} (within {tolerance[i]:.2g}) in{asked.generated!r}"
            )
    return wrong


def disagreements(number: int, asked: Question, counts: dict[str, Count]) -> list[str]:
    """Runs a program in each mode whose turn it is."""
    wrong = []
    for name, mode in runners.MODES.items():
        every = mode.sample if SAMPLE else mode.fuzz
        for turn, dtype in enumerate(DTYPES):
            if (number + turn * every // 3) % every == 0:
                where = f"{name} in {dtype}"
                try:
                    found = mode.run(asked.program, asked.columns, dtype)
                except Exception as error:
                    error.add_note(f"{where}: {asked.generated!r}")
                    raise
                wrong += [f"{where}: {one}" for one in judge(asked, found, dtype, counts[where])]
    return wrong


def _forget(part: int) -> None:
    """What was derived and compiled of earlier programs, which nobody will ask for again."""
    compare.forget()
    linecache.clearcache()
    if part % 20 == 19:  # with each operation, which take half a minute to compile again
        jax.clear_caches()


# Which part of the programs, and how many of it.
PARTS: list[Any] = [(part, min(PART, FUZZ - part * PART)) for part in range(-(-FUZZ // PART))]
if SAMPLE:
    PARTS = [(0, 4), pytest.param(0, FUZZ, marks=pytest.mark.exhaustive)]


@pytest.mark.parametrize(("part", "size"), PARTS)
def test_random_programs(
    part: int, size: int, record_property: Callable[[str, object], None]
) -> None:
    _forget(part)
    counts: dict[str, Count] = defaultdict(Count)
    wrong: list[str] = []
    for number, one in enumerate(draw(min(PART, FUZZ), part)[:size], part * PART):
        wrong += disagreements(number, question(*one), counts)
    record_property("agreement", {where: asdict(count) for where, count in counts.items()})
    assert not wrong, "\n".join(wrong)
    assert counts["NumPy in float64"].programs == size
    assert counts["NumPy in float64"].compared > 30 * size


@pytest.mark.parametrize(
    "faults",
    [
        {"mul": "({0} * {1} * 1.00001)"},
        {"select": "np.where({0}, {2}, {1})"},
        {
            "exp": "np.exp2({0})",
            "sin": "np.cos({0})",
            "log": "np.log2({0})",
            "tanh": "np.sinh({0})",
        },
    ],
    ids=["mul", "select", "transcendental"],
)
def test_a_wrong_operation_is_caught(
    faults: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for op, template in faults.items():
        monkeypatch.setitem(numpy_dialect.TABLE, op, template)
    compare.forget()
    wrong = []
    for one in draw(25, 0):
        asked = question(*one)
        found = runners.of_numpy(asked.program, asked.columns, "float32")
        wrong += judge(asked, found, "float32", Count())
    compare.forget()
    assert wrong != []
