"""Program files with faults in a field or in the graph: `make test` tries 10, `make test-all` 600 more, and
`make fuzz` 20,000. See `mutants`."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

for framework in ("torch", "tensorflow", "jax"):
    pytest.importorskip(framework)

from actgrad.codegen.lower import lower
from actgrad.codegen.size import operations
from actgrad.errors import ProgramError
from actgrad.frameworks import jax_dialect
from actgrad.frameworks.tensorflow import dialect as tensorflow_dialect
from actgrad.language import storage
from actgrad.language.derive import derive
from actgrad.language.expression import Expr, const, make, var, walk
from actgrad.language.length import N
from actgrad.language.limits import MAX_OPERATIONS, cost, growth, size
from actgrad.language.ops import OPS
from actgrad.language.program import Program
from tests.fuzz import mutants
from tests.process import python

ROOT = Path(__file__).parents[2]
FUZZ = os.environ.get("ACTGRAD_FUZZ")
FILES = [int(FUZZ)] if FUZZ else [10, pytest.param(600, marks=pytest.mark.exhaustive)]
SEED = random.randrange(10**9) if FUZZ else 0


@pytest.mark.parametrize("files", FILES)
def test_what_loads_runs_everywhere_with_the_same_value(files: int) -> None:
    arguments = ("-m", "tests.fuzz.mutants", files, SEED)
    count = json.loads(python(*arguments, folder=ROOT, timeout=1200 + files)[-1])
    print(f"mutants: {count['loaded']:,} loaded, {count['refused']:,} refused (seed {SEED})")
    assert count["what"] == [], f"seed {SEED}"
    assert count["refused"] > files // 3
    assert count["loaded"] > files // 10


X = var("x")
PROGRAM = Program("f", ("x",), (("a", 0.5),), make("mul", make("sin", X), var("a")))
TEXT = storage.to_json(PROGRAM)


def test_the_text_without_a_fault_is_taken() -> None:
    assert mutants.fault(TEXT) is None
    assert mutants.fault(TEXT.replace("sin", "son")) == ""


def _many(_: Any) -> Program:
    for i in range(mutants.MOST_NODES_MADE):
        const(float(i))
    return PROGRAM


PLANTED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a crash": (lambda _: {}["node"], "loading: KeyError"),
    "a ragged array": (
        lambda _: replace(PROGRAM, parameters=(("a", (1.0, (2.0, 3.0))),)),
        "ValueError",
    ),
    "a missing operand": (lambda _: replace(PROGRAM, value=make("add", X)), "Error"),
    "a truth value": (lambda _: replace(PROGRAM, value=make("select", X, X, X)), ""),
    "too much work": (_many, "nodes made"),
}


@pytest.mark.parametrize("plant", PLANTED)
def test_a_planted_fault_is_caught(plant: str) -> None:
    load, message = PLANTED[plant]
    found = mutants.fault(TEXT, load)
    assert found
    assert message in found


def test_a_difference_in_one_framework_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    right = mutants.in_torch
    monkeypatch.setitem(
        mutants.FRAMEWORKS, "torch", lambda asked: [1.001 * x for x in right(asked)]
    )
    assert "torch: value" in (mutants.fault(TEXT) or "")


# How large a file may be.


def newton(steps: int) -> Expr:
    y = X
    for _ in range(steps):
        y = make("mul", const(0.5), make("add", y, make("div", X, y)))
    return y


def test_twenty_steps_of_newton_are_no_large_program() -> None:
    program = Program("root", ("x",), (), newton(20))
    assert storage.from_json(storage.to_json(program)) == program


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (lambda: newton(1400), "the value has 4,202 operations, more than the 4,000 allowed"),
        (lambda: newton(400), "second derivative by x has 8,792 operations"),
    ],
)
def test_what_is_too_large_is_neither_saved_nor_loaded(
    value: Callable[[], Expr], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = Program("root", ("x",), (), value())
    with pytest.raises(ProgramError, match=words):
        storage.to_json(program)
    with monkeypatch.context() as unlimited:
        unlimited.setattr(storage, "excess", lambda _: None)
        text = storage.to_json(program)
    with pytest.raises(ProgramError, match=words):
        storage.from_json(text)


@pytest.mark.parametrize("op", [name for name in OPS if OPS[name].partials])
def test_a_derivative_grows_no_more_than_is_counted_on(op: str) -> None:
    """A chain of one operation. What has small derivatives by this is loaded without making them."""
    y = X
    for _ in range(20):
        y = make(op, *([y] * OPS[op].arity))
    assert size(walk(derive(derive(y, "x"), "x"))) <= sum(map(growth, walk(y)))
    assert 4 * growth(y) < MAX_OPERATIONS


@pytest.mark.parametrize(
    "op", [n for n, o in OPS.items() if o.arity in (1, 2) and n not in ("gather", "given")]
)
def test_no_framework_makes_much_more_of_an_operation_than_it_counts(op: str) -> None:
    y = make(op, *[X, var("y")][: OPS[op].arity])
    dialects = [jax_dialect.DIALECT, tensorflow_dialect.DIALECT]
    dialects += [other for dialect in dialects for _, other in dialect.variants]
    for dialect in dialects:
        assert operations(lower(y, dialect.lacks)) <= 4 * cost(op)


def test_a_special_function_counts_as_what_it_is_made_of() -> None:
    y = X
    for _ in range(1500):
        y = make("gamma", y)
    with pytest.raises(ProgramError, match="the value has 90,001 operations"):
        storage.to_json(Program("f", ("x",), (), y))


def test_many_parameters_count_with_their_derivatives() -> None:
    y, parameters = X, []
    for i in range(200):
        parameters.append((f"a{i}", 0.5))
        y = make("add", make("sin", y), var(f"a{i}"))
    with pytest.raises(
        ProgramError, match=r"its derivatives by 201 arguments have [\d,]+ operations"
    ):
        storage.to_json(Program("f", ("x",), tuple(parameters), y))


def softmaxes(count: int) -> Program:
    y = row = var("x", N)
    for _ in range(count):
        powers = make("exp", make("sub", y, make("max", y)))
        y = make("div", powers, make("sum", powers))
    return Program("f", ("x",), (), y, axis=-1, rows=((str(row.value), N),))


def test_a_function_of_a_row_counts_with_its_gradients() -> None:
    program = softmaxes(5)
    assert storage.from_json(storage.to_json(program)) == program
    with pytest.raises(ProgramError, match=r"gradient of the gradient by x has [\d,]+ operations"):
        storage.to_json(softmaxes(9))
    for many in (30, 1500):  # nothing is derived of these, which would take minutes
        with mutants.counted() as made, pytest.raises(ProgramError, match="more than the 4,000"):
            storage.to_json(softmaxes(many))
        assert made[0] < 20_000
