"""Random programs against Python itself: `make fuzz` runs 20,000, `make test-all` 300, `make test` 100."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from functools import cache
from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from actgrad.errors import TraceError
from actgrad.frameworks import numpy_dialect
from actgrad.language import derive
from actgrad.language.decomposed import DECOMPOSITIONS
from actgrad.language.expression import walk
from actgrad.language.ops import OPS
from actgrad.reading.libraries import casts, formulas, meanings
from actgrad.reading.libraries import names as aliases
from tests.fuzz import compare
from tests.fuzz.programs import Generated, programs
from tests.sample import exhaustive_but

FUZZ = int(os.environ.get("ACTGRAD_FUZZ", "300"))
PARTS = min(20, max(1, FUZZ // 300))
"""So that many programs are shared out to the cores."""


def each(limit: int, check: Callable[[Generated], None], same: bool = True) -> None:
    """Check that many different programs, the same ones every time or others."""
    seen: set[str] = set()

    @settings(
        max_examples=3 * limit,
        derandomize=same,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(programs())
    def run(generated: Generated) -> None:
        if generated.source not in seen and len(seen) < limit:
            check(generated)
            seen.add(generated.source)

    run()


def mismatches(generated: Generated, count: compare.Count) -> list[str]:
    """Everything in which the program that is read differs from Python and from mathematics."""
    count.programs += 1
    try:
        program = compare.read(generated)
    except TraceError:
        raises = all(
            compare.python_value(generated, point) is None
            for point in compare.points(len(generated.inputs))
        )
        return [] if raises else ["it cannot be read"]
    found = compare.wrong_values(program, generated, count)
    orders = 2 if len(walk(program.value)) < 40 else 1
    return found + compare.wrong_slopes(program, generated, count, orders)


SAMPLE = "ACTGRAD_FUZZ" not in os.environ
PER_PART = -(-FUZZ // PARTS)


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("limit", exhaustive_but([100], [100, 300]) if SAMPLE else [PER_PART])
def test_programs_are_what_python_computes(
    part: int, limit: int, record_property: Callable[[str, object], None]
) -> None:
    count = compare.Count()

    def check(generated: Generated) -> None:
        assert mismatches(generated, count) == []

    each(limit, check, same=SAMPLE)
    record_property("compared with Python", asdict(count))
    assert count.programs >= limit
    assert count.values > 10 * limit
    assert count.slopes > 5 * limit


@cache
def sample() -> list[Generated]:
    """Programs for the tests that need the same ones again and again."""
    found: list[Generated] = []
    each(700, found.append)
    return found


@pytest.mark.parametrize("every", exhaustive_but([40], [40, 10]))
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_generated_numpy_is_its_operations_one_by_one(dtype: type[np.floating], every: int) -> None:
    wrong = []
    for generated in sample()[::every]:
        with suppress(TraceError):
            program = compare.read(generated)
            for each_one in (program, *map(program.partial, program.arguments)):
                wrong += compare.wrong_kernel(each_one, dtype)
    assert wrong == []


def test_the_programs_reach_the_whole_vocabulary() -> None:
    reached: set[str] = set()
    for generated in sample():
        with suppress(TraceError):
            reached.update(node.op for node in walk(compare.read(generated).value))
    # No text says the first by themselves; special functions have tests of their own.
    assert set(OPS) - reached <= {"gather", "given", "host", *DECOMPOSITIONS}


@pytest.fixture
def fresh() -> Iterator[None]:
    """Nothing that was derived or compiled before is remembered, nor what the test derives."""
    _forget()
    yield
    _forget()


def _forget() -> None:
    derive._rules.cache_clear()
    compare.forget()
    aliases._resolved.clear()


def caught(check: Callable[[Generated], list[str]], named: str) -> bool:
    """Whether any of the random programs that have this in their text shows the planted fault."""
    return any(check(generated) for generated in sample() if re.search(named, generated.source))


def _mismatches(generated: Generated) -> list[str]:
    return mismatches(generated, compare.Count())


def _kernel(generated: Generated) -> list[str]:
    with suppress(TraceError):
        return compare.wrong_kernel(compare.read(generated), np.float64)
    return []


MORE = pytest.mark.exhaustive


@pytest.mark.parametrize(
    ("op", "named", "partials"),
    [
        pytest.param("tanh", "tanh", ("4 * sigmoid(2 * x) * sigmoid(-x)",), marks=MORE),
        pytest.param("div", "/", ("1 / y", "x / y / y"), marks=MORE),
        ("atan2", "atan2|arctan2", ("y / (x * x + y * y)", "x / (x * x + y * y)")),
        ("mod", "%", ("1", "0")),
        pytest.param("abs", "abs", ("1",), marks=MORE),
        pytest.param("softplus", "log.1", ("1.01 * sigmoid(x)",), marks=MORE),
    ],
)
def test_a_wrong_partial_derivative_is_caught(
    op: str, named: str, partials: tuple[str, ...], fresh: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(OPS, op, replace(OPS[op], partials=partials))
    assert caught(_mismatches, named)


@pytest.mark.parametrize(
    ("op", "named", "meaning"),
    [
        ("mod", "%", np.fmod),
        ("round", "round", np.trunc),
        ("floordiv", "//", lambda x, y: np.trunc(x / y)),
        ("le", "<=", np.less),
    ],
)
def test_a_wrong_meaning_is_caught(
    op: str,
    named: str,
    meaning: Callable[..., object],
    fresh: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(OPS, op, replace(OPS[op], numpy=meaning))
    assert caught(_mismatches, named)


@pytest.mark.parametrize(
    ("named", "module", "name", "wrong"),
    [
        ("acosh", meanings, "acosh", "asinh"),
        ("maximum", formulas, "maximum", "minimum"),
        ("ceil", casts, "whole_ceil", "whole_floor"),
    ],
)
def test_a_wrong_alias_is_caught(
    named: str,
    module: ModuleType,
    name: str,
    wrong: str,
    fresh: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, name, getattr(module, wrong))
    assert caught(_mismatches, named)


@pytest.mark.parametrize(
    ("op", "named", "text"),
    [
        ("floor", "floor", "np.trunc({0})"),
        ("select", "if", "np.where({0}, {2}, {1})"),
        ("le", "<=", "({0} < {1})"),
        ("exp2", "exp2", "np.exp({0})"),
    ],
)
def test_a_wrong_table_is_caught(
    op: str, named: str, text: str, fresh: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(numpy_dialect.TABLE, op, text)
    assert caught(_kernel, named)


@pytest.mark.parametrize(
    ("text", "right"), [("np.maximum(-x, x)", -math.pi), ("np.minimum(x, -x)", math.pi)]
)
def test_which_of_two_zeros_is_the_larger_is_left_open(text: str, right: float) -> None:
    generated = Generated(f"def f(x):\n    return math.atan2({text}, -1 - x)", ("x",), ())
    program = compare.read(generated)
    assert program.evaluate(np.zeros(1)).tolist() == [right]
    assert compare.python_value(generated, (0.0,)) == -right
    assert mismatches(generated, compare.Count()) == []
    assert compare.ieee_value(generated, (0.0,), first_zero=True) == right
