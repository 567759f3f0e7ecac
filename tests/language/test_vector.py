"""Vectors and `gather` in the language: identity, derivative, storage, bounds, text, breakpoints."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from actgrad import Activation
from actgrad.errors import ProgramError
from actgrad.language import storage
from actgrad.language.derive import derive
from actgrad.language.expression import const, make, show, var, vector
from actgrad.language.program import Program
from actgrad.language.rewrite import rewrite
from actgrad.reading.bounds import Bounds, Trail
from actgrad.study.breakpoints import breakpoints

TABLE = (0.5, -1.25, math.inf, math.nan, -0.0)
X = var("x")
LOOKUP = make("gather", vector(TABLE), X)
F = Program("lookup", ("x",), (), LOOKUP)


def test_equal_vectors_are_one_node() -> None:
    assert vector(TABLE) is vector(list(TABLE))
    assert vector([0.0]) is not vector([-0.0])
    with pytest.raises(ValueError, match="at least one"):
        vector([])


def test_a_constant_index_is_the_element() -> None:
    assert rewrite(make("gather", vector(TABLE), const(1.75)))[0] is const(-1.25)
    assert rewrite(make("gather", vector(TABLE), const(-3.0)))[0] is const(0.5)
    assert math.isnan(rewrite(make("gather", vector([1.0]), const(math.nan)))[0].value)


def test_its_derivative_is_zero_and_what_is_around_it_keeps_its_own() -> None:
    assert derive(LOOKUP, "x") is const(0.0)
    assert derive(make("mul", LOOKUP, X), "x") is LOOKUP


def test_it_is_shown_as_python_writes_it() -> None:
    assert (
        show(make("gather", vector([1.0, 2.5]), make("add", X, const(1.0)))) == "[1.0, 2.5][x + 1]"
    )
    assert show(make("gather", vector(range(100)), X)) == "[0.0, 1.0, 2.0, ..., 98.0, 99.0][x]"


def test_it_is_stored_in_version_2_and_other_programs_are_not() -> None:
    text = storage.to_json(F)
    assert json.loads(text)["actgrad"] == 2
    assert '["vector", [0.5, -1.25, "inf", "nan", -0.0]]' in text
    assert storage.from_json(text) is F
    assert json.loads(storage.to_json(Program("f", ("x",), (), X)))["actgrad"] == 1


GOOD = json.loads(storage.to_json(F))


@pytest.mark.parametrize(
    ("nodes", "value", "said"),
    [
        ([["vector", []], ["var", "x"], ["gather", 0, 1]], 2, "list of numbers"),
        ([["vector", 3], ["var", "x"], ["gather", 0, 1]], 2, "list of numbers"),
        ([["vector", [[1]]], ["var", "x"], ["gather", 0, 1]], 2, "expected a number"),
        ([["vector", ["a"]], ["var", "x"], ["gather", 0, 1]], 2, "expected a number"),
        ([["vector", [1]], ["var", "x"], ["gather", 1, 1]], 2, "must be a vector"),
        ([["vector", [1]], ["var", "x"], ["gather", 0, 0]], 2, "not a vector"),
        ([["vector", [1]], ["var", "x"], ["add", 0, 1]], 2, "not a vector"),
        ([["vector", [1]], ["var", "x"]], 0, "a vector, not a number"),
    ],
)
def test_faults_are_refused(nodes: list[object], value: int, said: str) -> None:
    with pytest.raises(ProgramError, match=said):
        storage.from_json(json.dumps({**GOOD, "nodes": nodes, "value": value}))


def test_version_1_knows_no_vectors() -> None:
    with pytest.raises(ProgramError, match="unknown operation 'vector'"):
        storage.from_json(json.dumps({**GOOD, "actgrad": 1}))


def test_its_bounds_are_its_smallest_and_largest_number() -> None:
    assert Bounds(Trail()).of(make("gather", vector([2.0, -1.0, math.nan]), X)) == (-1.0, 2.0)


def test_it_jumps_where_the_index_steps() -> None:
    program = Program("f", ("x",), (), make("gather", vector([1.0, 1.0, 4.0, 2.0]), X))
    found = breakpoints(program)
    assert [(b.x, b.kind, b.left, b.right) for b in found] == [
        (2.0, "jump", 1.0, 4.0),
        (3.0, "jump", 4.0, 2.0),
    ]


def test_check_finds_the_derivative_exact_except_at_jumps() -> None:
    value = make("mul", make("gather", vector([1.0, 3.0, 2.0]), X), X)
    f = Activation(Program("f", ("x",), (), value))
    assert "WRONG" not in str(f.check())
    np.testing.assert_array_equal(f.derivative(np.array([0.5, 1.5, 9.0])), [1.0, 3.0, 2.0])
