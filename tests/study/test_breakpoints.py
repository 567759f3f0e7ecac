"""Kinks and jumps, against what the functions say in their own text."""

import math

import numpy as np
import pytest

from actgrad import activation
from actgrad.study.breakpoints import breakpoints


def places(function, low=-4.3, high=4.3, **options):
    program = activation(function, name="f", surrogate=1).program
    return [(b.x, b.kind) for b in breakpoints(program, low=low, high=high, **options)]


def spiky(x):
    r = x % 1
    return r if r <= 0.5 else 0


CASES = {
    "relu": (lambda x: x if x > 0 else 0, [(0.0, "kink")]),
    "clip": (lambda x: max(-1, min(x, 2)), [(-1.0, "kink"), (2.0, "kink")]),
    "abs": (lambda x: abs(x - 0.3), [(0.3, "kink")]),
    "step": (lambda x: 1 if x >= 0 else 0, [(0.0, "jump")]),
    "round": (lambda x: round(x / 3), [(-1.5, "jump"), (1.5, "jump")]),
    "int": (lambda x: int(x / 2), [(-4.0, "jump"), (-2.0, "jump"), (2.0, "jump"), (4.0, "jump")]),
    "narrow": (lambda x: 1 if 0.3 < x < 0.30001 else 0, [(0.3, "jump"), (0.30001, "jump")]),
    "one point": (lambda x: 5 if x == 0.5 else x, [(0.5, "jump")]),
    "sign": (lambda x: math.copysign(1, x), [(0.0, "jump")]),
    "sqrt": (lambda x: math.sqrt(x), [(0.0, "jump")]),
    "vertical": (lambda x: math.cbrt(x - 1), [(1.0, "kink")]),
    "pole": (lambda x: 1 / (x - 1), [(1.0, "jump")]),
    "touching": (lambda x: math.sqrt(x * x), [(0.0, "kink")]),
    "decimal": (lambda x: max(3 * x - 0.3, 0), [(0.1, "kink")]),
    "not a kink": (lambda x: x * abs(x), []),
    "joined smoothly": (lambda x: x if x > 0 else math.exp(x) - 1, []),
    "smooth": (lambda x: x * math.erf(x), []),
    "steep, not a jump": (lambda x: math.tanh(1e7 * x) if x > 0 else 1e7 * x, []),
}


@pytest.mark.parametrize("name", CASES)
def test_found_and_named(name):
    function, expected = CASES[name]
    assert places(function) == expected


def test_limits_on_both_sides():
    program = activation(spiky, surrogate=1).program
    jump, kink = breakpoints(program, low=0.1, high=1.2)
    assert (jump.x, jump.kind, jump.slopes) == (0.5, "jump", (1.0, 0.0))
    assert (jump.left, jump.right) == (pytest.approx(0.5), 0.0)
    assert (kink.x, kink.kind, kink.slopes) == (1.0, "kink", (0.0, 1.0))


def test_to_full_precision():
    found = breakpoints(activation(lambda x: abs(math.exp(x) - 2)).program)
    assert found[0].x == pytest.approx(math.log(2), abs=3e-16)
    assert found[0].before <= found[0].x <= found[0].after
    assert found[0].after - found[0].before < 1e-15


def test_the_derivative_in_force_has_its_own():
    program = activation(
        lambda x: 1.0 if x >= 0 else 0.0, surrogate=lambda x: max(0, 1 - abs(x))
    ).program
    assert [(b.x, b.kind) for b in breakpoints(program.partial("x"))] == [
        (-1.0, "kink"),
        (0.0, "kink"),
        (1.0, "kink"),
    ]


def test_parameters_have_their_values():
    shifted = activation(lambda x, at=1.0: max(x - at, 0))
    assert breakpoints(shifted.program)[0].x == 1.0
    assert breakpoints(shifted(at=2.5).program)[0].x == 2.5
    assert breakpoints(shifted.program, at={"at": -3.0})[0].x == -3.0


def test_along_each_of_several_inputs():
    program = activation(lambda a, b: max(a, 2 * b)).program
    assert [b.x for b in breakpoints(program, "a", at={"b": 0.75})] == [1.5]
    assert [b.x for b in breakpoints(program, "b", at={"a": 0.75})] == [0.375]


def test_bounded_in_number_nearest_to_zero_first():
    found = places(lambda x: x % 0.001, limit=100)
    assert 0 < len(found) <= 100
    assert max(abs(x) for x, _ in found) < 0.1


def test_never_two_for_one_kink_blurred_by_rounding():
    assert len(places(lambda x: max((x * 3 - 0.9) / 7 * 7, 0))) == 1


@pytest.mark.parametrize("seed", range(12))
def test_random_staircases(seed):
    edges = np.sort(np.random.default_rng(seed).uniform(-4, 4, 12))

    def staircase(x):
        return sum((1.0 if x >= edge else 0.0) for edge in map(float, edges))

    assert [x for x, _ in places(staircase)] == pytest.approx(list(edges), abs=1e-12)


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (lambda x: x // 1.5, "jump"),
        (lambda x: math.floor(x / 1.5), "jump"),
        (lambda x: math.ceil(x / 1.5), "jump"),
        (lambda x: math.trunc(x / 1.5 + 9), "jump"),
        (lambda x: round(x / 1.5 + 0.5), "jump"),
        (lambda x: x % 1.5, "jump"),
        (lambda x: math.copysign(1, x * (x - 1.5) * (x + 1.5) * (x - 3) * (x + 3)), "jump"),
        (lambda x: abs(x * (x - 1.5) * (x + 1.5) * (x - 3) * (x + 3)), "kink"),
        (lambda x: 1 / (x * (x - 1.5) * (x + 1.5) * (x - 3) * (x + 3)), "jump"),
        (lambda x: math.tan(math.pi * (x / 1.5 + 0.5)), "jump"),
    ],
    ids=["//", "floor", "ceil", "trunc", "round", "%", "copysign", "abs", "/", "tan"],
)
def test_every_switching_operation(function, kind):
    assert [(pytest.approx(x, abs=1e-9), k) for x, k in places(function, -4.3, 4.3)] == [
        (x, kind) for x in (-3.0, -1.5, 0.0, 1.5, 3.0)
    ]


@pytest.mark.parametrize(
    ("function", "at"),
    [
        (math.log, 0.0),
        (math.log2, 0.0),
        (math.log10, 0.0),
        (math.log1p, -1.0),
        (lambda x: math.acosh(x), 1.0),
        (lambda x: x**0.5, 0.0),
        (lambda x: math.atan2(x, -1), 0.0),
        (lambda x: math.hypot(x - 2, 0), 2.0),
    ],
    ids=["log", "log2", "log10", "log1p", "acosh", "power", "atan2", "hypot"],
)
def test_where_a_domain_ends(function, at):
    assert [x for x, _ in places(function)] == [at]


@pytest.mark.parametrize(
    ("function", "ends"), [(math.asin, 1.0), (math.acos, 1.0), (math.atanh, 1.0)]
)
def test_where_a_domain_ends_on_both_sides(function, ends):
    assert [x for x, _ in places(function)] == [-ends, ends]


@pytest.mark.parametrize(
    ("function", "jumps"),
    [
        (spiky, [-1.5, -0.5, 0.5, 1.5]),
        (lambda x: 1.0 if x >= 0.3 else 0.0, [0.3]),
        (lambda x: max(x, 0), []),
        (math.tanh, []),
        (lambda x: 3.0, []),
    ],
    ids=["spiky", "step", "relu", "tanh", "constant"],
)
def test_on_the_host_jumps_are_found_from_outside(function, jumps):
    program = activation(function, derivative=1, host=True).program
    found = breakpoints(program, low=-2.2, high=2.2)
    assert [b.x for b in found] == jumps
    assert {b.kind for b in found} <= {"jump"}
