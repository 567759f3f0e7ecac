"""Functions of a row in NumPy: values on each row, gradients against finite differences, files, errors."""

from __future__ import annotations

import itertools
import json
import math
import pickle
import warnings
from functools import reduce
from operator import attrgetter
from typing import Any

import numpy as np
import pytest

from actgrad import activation, from_json
from actgrad.errors import (
    CallError,
    DefinitionError,
    ImpureError,
    MixingError,
    NoDerivativeError,
    ProgramError,
    TraceError,
    UnboundedError,
    ZeroDerivativeWarning,
)
from actgrad.language import storage
from actgrad.language.expression import const, make, var
from actgrad.language.length import N
from actgrad.language.program import Program
from tests.rows.functions import FUNCTIONS, SIZE, by_row, gradients, rows

NAMES = list(FUNCTIONS)


def made(name: str, **options: Any) -> Any:
    return activation(FUNCTIONS[name], axis=-1, **options)


@pytest.mark.parametrize("name", NAMES)
def test_value_is_that_of_each_row(name: str) -> None:
    inputs = rows(name, 2, 3)
    f, expected = made(name), by_row(name, inputs)
    np.testing.assert_allclose(f(*inputs), expected, rtol=1e-12, atol=1e-14)
    moved = [np.moveaxis(x, -1, 1) for x in inputs]
    result = f(*moved, axis=1)
    if expected.ndim == 3:
        result = np.moveaxis(result, 1, -1)
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_and_tangent_are_those_of_finite_differences(name: str) -> None:
    inputs = rows(name, 4)
    program = made(name).program
    expected = by_row(name, inputs)
    upstream = np.random.default_rng(1).normal(size=expected.shape)
    above = upstream[..., None] if program.squeezes else upstream
    along = [np.random.default_rng(2 + i).normal(size=x.shape) for i, x in enumerate(inputs)]
    pushed = program.push(program.inputs).evaluate(
        *inputs, *(np.float64(v) for _, v in program.parameters), *along
    )
    total = 0.0
    for x, direction, input_name, slope in zip(
        inputs, along, program.inputs, gradients(name, inputs, upstream), strict=True
    ):
        found = np.broadcast_to(program.vjp(input_name).evaluate(*inputs, above), x.shape)
        np.testing.assert_allclose(found, slope, rtol=2e-5, atol=2e-7)
        total = total + (found * direction).sum(-1)
    np.testing.assert_allclose((pushed * above).sum(-1), total, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_holds_all_of_it(name: str) -> None:
    f = made(name)
    text = f.to_json()
    assert json.loads(text)["actgrad"] == 2
    assert from_json(text) == f
    assert pickle.loads(pickle.dumps(f)) == f


def test_an_order_that_is_turned_twice_is_the_order() -> None:
    f = activation(lambda x: x[np.argsort(x)[::-1][::-1]], axis=-1, name="ordered")
    assert f == activation(lambda x: x[np.argsort(x)], axis=-1, name="ordered")
    assert from_json(f.to_json()) == f


def test_of_equal_maxima_each_has_an_equal_share() -> None:
    top = activation(lambda x: np.max(x), axis=-1, name="top").program
    row = np.array([1.0, 3.0, 3.0, 0.0, 3.0])
    np.testing.assert_allclose(top.vjp("x").evaluate(row, np.ones(1)), [0, 1 / 3, 1 / 3, 0, 1 / 3])


def test_what_a_branch_not_taken_makes_infinite_is_no_nan() -> None:
    def root_of_the_positive(x):
        return np.sum(np.sqrt(np.where(x > 0, x, 0.0)))

    def only_where_positive(x):
        return np.sum(np.sqrt(x)) if np.min(x) > 0 else x * 2.0

    row = np.array([0.0, -1.0, 4.0, 0.0])
    first = activation(root_of_the_positive, axis=-1).program
    np.testing.assert_allclose(first.vjp("x").evaluate(row, np.ones(1)), [0, 0, 0.25, 0])

    def chosen(x):
        return np.sum(np.sqrt(x)) * np.ones_like(x) if np.min(x) > 0 else x * 2.0

    program = activation(chosen, axis=-1).program
    gradient = program.vjp("x")
    np.testing.assert_allclose(gradient.evaluate(row, np.ones(4)), [2, 2, 2, 2])
    second = gradient.vjp("x").evaluate(row, np.ones(4), np.ones(4))
    np.testing.assert_array_equal(np.broadcast_to(second, (4,)), np.zeros(4))
    pushed = program.push(("x",)).evaluate(row, np.ones(4))
    np.testing.assert_allclose(pushed, [2, 2, 2, 2])
    with pytest.raises(TraceError, match="different lengths"):
        activation(only_where_positive, axis=-1)


def test_a_product_with_zeros_has_its_gradient() -> None:
    product = activation(lambda x: np.prod(x), axis=-1, name="product").program
    for row, slope in (
        ([2.0, 0.0, 3.0], [0.0, 6.0, 0.0]),
        ([2.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
        ([2.0, 4.0, 3.0], [12.0, 6.0, 8.0]),
    ):
        np.testing.assert_allclose(product.vjp("x").evaluate(np.array(row), np.ones(1)), slope)


def test_a_surrogate_is_differentiated_in_its_place() -> None:
    softmax = made("softmax")

    def hardmax(x):
        return np.where(np.arange(len(x)) == np.argmax(x), 1.0, 0.0)

    f = activation(hardmax, axis=-1, surrogate=softmax)
    (x,) = rows("softmax", 3)
    upstream = np.random.default_rng(0).normal(size=x.shape)
    assert (f(x) == by_row("softmax", [x]).round()).all() or f(x).sum() == 3
    own, other = (g.program.vjp("x").evaluate(x, upstream, temperature=1.3) for g in (f, softmax))
    np.testing.assert_allclose(own, other)
    with pytest.warns(ZeroDerivativeWarning):
        activation(hardmax, axis=-1)


def test_a_gradient_rule_is_one_of_rows() -> None:
    f = activation(
        lambda x: x / np.sum(np.abs(x)),
        axis=-1,
        name="share",
        gradient=lambda x, upstream: upstream - np.mean(upstream),
    )
    upstream = np.array([[1.0, 2.0, 6.0]])
    found = f.program.vjp("x").evaluate(np.ones((1, 3)), upstream)
    np.testing.assert_allclose(found, [[-2.0, -1.0, 3.0]])
    with pytest.raises(NoDerivativeError, match="reverse mode only"):
        f.program.push(("x",))
    assert from_json(f.to_json()) == f


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtype_is_kept_and_halves_are_summed_in_float32(dtype: Any) -> None:
    total = activation(lambda x: np.sum(x), axis=-1, name="total")
    x = np.full((2, 5000), 0.1, dtype)
    result = total(x)
    assert result.dtype == dtype
    np.testing.assert_allclose(result.astype(float), x.astype(float).sum(-1), rtol=2e-3)


def test_several_inputs_broadcast_and_a_number_stands_for_a_row() -> None:
    f = made("weighted")
    (x, weights) = rows("weighted", 5)
    np.testing.assert_allclose(
        f(x, weights[0]), by_row("weighted", [x, np.broadcast_to(weights[0], x.shape)])
    )
    number = np.full((5, 1), 0.3)
    np.testing.assert_allclose(
        f(x, number), by_row("weighted", [x, np.broadcast_to(number, x.shape)])
    )


def test_a_parameter_may_have_a_number_for_each_place() -> None:
    f = made("rms_norm")
    (x,) = rows("rms_norm", 4)
    gain = np.arange(1.0, SIZE + 1)
    np.testing.assert_allclose(f(x, gain=gain), f(x, gain=1.0) * gain)
    with pytest.raises(CallError, match="one for each place"):
        f(x, gain=np.ones(SIZE - 1))
    with pytest.raises(CallError, match="one number"):
        f(gain=gain)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: f(np.ones((2, 5))), "rows of length 5"),
        (lambda f: f(np.ones((2, 0))), "rows of length 0"),
        (lambda f: f(np.float64(3.0)), "no dimension"),
        (lambda f: f(np.ones((2, 6)), axis=2), "axis 2"),
        (lambda f: f(axis=1.5), "whole number"),
        (lambda f: f.propagation(), "one number"),
        (lambda f: f.standardised(), "one number"),
        (lambda f: f.scaled(), "one number"),
        (lambda f: f.polynomial(3), "one number"),
        (lambda f: f.table((0.1, 0), (0.1, 0)), "one number"),
        (lambda f: made("unit")(np.ones((2, 6)), beta=1.0), "no parameter"),
    ],
)
def test_what_has_no_meaning_is_refused(call: Any, message: str) -> None:
    with pytest.raises(CallError, match=message):
        call(made("glu"))


def test_an_elementwise_activation_has_no_axis() -> None:
    with pytest.raises(CallError, match="no axis"):
        activation(activation(lambda x: x * 2, name="double"), axis=-1)
    with pytest.raises(CallError, match="no axis"):
        activation(lambda x: x * 2, name="double")(np.ones(3), axis=0)
    with pytest.raises(CallError, match="`axis=`"):
        activation(lambda x: x / np.sum(x), axis=-1, name="share")(np.ones(3), dim=0)
    with pytest.raises(MixingError, match="axis=-1"):
        activation(lambda x: x / np.sum(x), name="share")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: np.sum(x, axis=1) * x, "only axis is -1"),
        (lambda x: [v for v in x if v > 0], "leaves out numbers"),
        (lambda x: sum([v if v > 0 else 0 for v in x]) * x, "and mixes them then"),
        (lambda x: sorted(v for v in x if v > 0), "places where a condition holds"),
        (lambda x: sum(w for v in x if v > 0 for w in (v, v)) * x, "makes several items"),
        (lambda x: [v if v > 0 else 0 for v in x] + [v if v > 0 else 1 for v in x[1:]], "two rows"),
        (lambda x: [0.0 if math.sin(1e3 * v) > 1 - 1e-15 else v for v in x], "of which it is true"),
        (lambda x: [b - a for a, b in itertools.pairwise(x)], "of the neighbours in a row"),
        (lambda x: np.maximum.accumulate(x), "running maximum"),
        (lambda x: np.logaddexp.accumulate(x), "np.logaddexp"),
        (lambda x: [a * b for a, b in zip(x, [1.0, 2.0], strict=False)], "Return the row"),
        (lambda x: [x], "returns a tuple with one number"),
        (lambda x: np.stack([x]), "matrix"),
        (lambda x: x * len([x]) + x[len([x]) :], "rows of the lengths"),
        (lambda x: (lambda a, b: a + b)(*x), "one number after another"),
        (lambda x: reduce(lambda total, v: total + v, x) * x, "carries something on"),
        (lambda x: x if x > 0 else -x, "an `if` on a whole row"),
        (lambda x: x[: len(x) // 2] + x, "rows of the lengths"),
        (lambda x: x.reshape(2, -1)[0], "another shape"),
        (lambda x: x[None, :], "another shape|another"),
        (lambda x: np.cumprod(x, dtype=np.float16), "dtype"),
        (lambda x: np.quantile(x, 0.1, method="lower"), "another method"),
        (lambda x: np.roll(x, 1.5), "rolled by 1.5"),
        (lambda x: x[np.argmax(x) :], "bounds depend on its numbers"),
        (lambda x: np.sort(x[x > 0]) * x, "places where a condition holds"),
        (lambda x: np.stack([x, x]), "matrix"),
        (lambda x, k=(1.0, 2.0): x * 2, "is an array"),
        (lambda x, axis=0: x * 2, "says where the rows lie"),
        (lambda x: np.linalg.norm(x, ord=-1) * x, "order -1"),
        (lambda x: np.sum(x, dtype=np.float16) * x, "dtype"),
    ],
)
def test_what_is_no_function_of_a_row_is_refused(function: Any, message: str) -> None:
    with pytest.raises((TraceError, DefinitionError), match=message):
        activation(function, axis=-1, name="f")


@pytest.mark.parametrize(
    "function",
    [
        lambda x: sum(v * v for v in x),
        lambda x: [max(0.0, v) for v in x],
        lambda x: np.array([v - sum(x) / len(x) for v in x]),
        lambda x: [i * v for i, v in enumerate(x, start=1)],
        lambda x: [x[i] * i for i in range(len(x))],
        lambda x: [a * b for a, b in zip(x, reversed(x), strict=True)],
        lambda x: list(map(math.tanh, x)),
        lambda x: sorted(abs(v) for v in x),
        lambda x: x * math.prod(math.exp(-v * v) for v in x),
        lambda x: x / math.fsum(math.exp(v) for v in x),
        lambda x: np.exp([v / max(abs(u) for u in x) for v in x]),
        lambda x: x * any(v > 9 for v in x) + x * all(v < 9 for v in x),
        lambda x: sum([v * v for v in x]) / len([v for v in x]),
        lambda x: np.mean([v * v for v in x]) * x,
        lambda x: [float(np.where(v > 0, v, 0.1 * v)) for v in x],
        lambda x: [*(v * 2 for v in x), 0.0],
        lambda x: [max(v, 0) for v in x] + [max(-v, 0) for v in x],
        lambda x: [0.0 for v in x] if x[0] > 0 else [v * 2 for v in x],
        lambda x: [v for v in x] if x[0] > 0 else x * 2,
        lambda x: list(reversed(x)),
        lambda x: [*x],
        lambda x: tuple(v * v for v in x),
        lambda x: np.array(tuple(map(math.tanh, x))) * x,
        lambda x: tuple(v if v > 0 else 0.0 for v in x),
        lambda x: np.array(tuple([v if v > 0 else 0.0 for v in x])) * x,
        lambda x: (*(2 * v for v in x), 1.0),
        lambda x: np.array([x[0], *(2 * v for v in x[1:])]) * x,
        lambda x: np.stack((*(2 * v for v in x), *x)),
        # asked of each number
        lambda x: [v if v > 0 else 0 for v in x],
        lambda x: [v if v == max(x) else 0.0 for v in x],
        lambda x: np.array([1.0 if v > 0 else 0.0 for v in x]) * x,
        lambda x: [v if v > np.mean(x) else np.mean(x) for v in x],
        lambda x: [-1 if v < -1 else 1 if v > 1 else v for v in x],
        lambda x: [0.0 if i == 0 else v for i, v in enumerate(x)],
        lambda x: list(map(lambda v: v if v > 0 else 0.1 * v, x)),
        lambda x: [v if v >= sorted(x)[-2] else 0.0 for v in x],
        lambda x: sum(v for v in x if v > -9),
        lambda x: sum(v if v > 0 else 0.1 * v for v in x) * x,
        lambda x: sum(1 for v in x if v > 0) / len(x) * x,
        lambda x: sum(1 for _ in x) * x + len([1 for _ in x]),
        lambda x: math.fsum(v for v in x if v < 0 or v > 1) * x,
        lambda x: x * any(v > 0.1 and v < 1 for v in x),
        lambda x: x * all(v < 9 for v in x if v > 0),
        lambda x: sum(map(lambda v: v if v > 0 else -3 * v, x)) * x,
        lambda x: x * sum(u * v for u, v in zip(x, np.cumsum(x), strict=True) if u > 0 and v > 0),
        lambda x: x * sum(i for i, v in enumerate(x) if v > 0),
        lambda x: x * min((abs(v) for v in x if v != 0)),
        lambda x: max(x, key=abs) * x + min(x, key=lambda v: v * v),
        lambda x: [
            v if i == max(range(len(x)), key=lambda j: x[j]) else 0.0 for i, v in enumerate(x)
        ],
        lambda x: math.dist(x, reversed(x)) * x,
        lambda x: x * np.sum(x[x > -9]) / len(x[x > -9]),
        lambda x: x * x[x > -9].mean(),
        lambda x: np.clip(x, *np.quantile(x, [0.1, 0.9])) + np.percentile(x, (20, 40))[1],
        lambda x: np.where([v > 0 for v in x], x, 0.1 * x),
        lambda x: np.concatenate([[1.0, 2.0], x, [0.5]]) * sum([v * v for v in x]),
        lambda x: np.array_split(x, 2)[0] * x[0],
    ],
)
def test_comprehensions_over_the_row(function: Any) -> None:
    f = activation(function, axis=-1, name="f")
    for n in (2, 7):
        x = np.random.default_rng(n).normal(size=n)
        np.testing.assert_allclose(f(x), function(x), rtol=1e-12)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: [v * v for v in x],
        lambda x: [v if v > 0 else 0.1 * v for v in x],
        lambda x: np.array([math.exp(v) for v in x]) * sum(v for v in x if v > 0),
        lambda x: sum(v * v for v in x if v > 0),
    ],
)
def test_the_check_measures_plain_python(function: Any) -> None:
    found = activation(function, axis=-1, name="f").check()
    assert found.verdict == "exact"
    assert "of the Python function" in str(found)


def every_place(x):
    out = np.zeros(len(x))
    for i in range(len(x)):
        out[i] = math.tanh(x[i]) if x[i] > 0 else -1.0
    return out


def every_place_of_a_list(x):
    out = [0.0] * len(x)
    for i, v in enumerate(x):
        out[i] = v * v
    return out


def first_half(x):
    y = x.copy()
    y[: len(x) // 2] = np.tanh(y[: len(x) // 2])
    y[1:] *= 2
    y[::2] = y[::2] - 1
    y[:] = y + 1
    return y


def appended(x):
    out = []
    for v in x:
        if v > np.mean(x):
            out.append(v)
        else:
            out.append(0.1 * v)
    return out


@pytest.mark.parametrize("function", [every_place, every_place_of_a_list, first_half, appended])
def test_a_row_written_place_by_place(function: Any) -> None:
    f = activation(function, axis=-1)
    for n in (3, 8):
        x = np.random.default_rng(n).normal(size=n)
        np.testing.assert_allclose(f(x), function(x), rtol=1e-12)


@pytest.mark.parametrize("accumulate", [np.maximum.accumulate, np.logaddexp.accumulate])
def test_the_cure_for_what_runs_along_the_row_is_it(accumulate: Any) -> None:
    better = np.maximum if accumulate.__self__ is np.maximum else np.logaddexp

    def running(x):
        y = x
        for s in (1, 2, 4):
            y = np.concatenate([y[:s], better(y[s:], y[:-s])])
        return y

    f = activation(running, axis=-1)
    for n in (5, 8):
        x = 50 * np.random.default_rng(n).normal(size=n)
        np.testing.assert_allclose(f(x), accumulate(x), rtol=1e-12)


def test_a_while_loop_to_the_length_of_a_row_is_refused() -> None:
    def counting(x):
        i, total = 0, 0.0
        while i < len(x):
            total += x[i] * i
            i += 1
        return total

    def halving(x, k=0.5):
        n = len(x)
        while n > 1:
            x, n = x * k, n // 2
        return x

    def to_a_multiple(x, k=2.0):
        n = 0
        while n < k * x.shape[-1]:
            n += 1
        return n * x

    for function in (counting, halving, to_a_multiple):
        with pytest.raises(
            UnboundedError, match=r"length of a row.*\n(.*\n)*  Loop over the numbers"
        ):
            activation(function, axis=-1)
    cured = activation(lambda x: sum(x[i] * i for i in range(len(x))), axis=-1)
    assert cured([2.0, 3.0, 5.0]) == 13.0


def test_a_loop_that_carries_something_on_is_refused() -> None:
    def summed(x):
        total = 0.0
        for v in x:
            total += v
        return x - total

    def last(x):
        for v in x:
            found = v
        return x - found

    def chosen(x):
        total = 0.0
        for v in x:
            if v > 0:
                total += v
        return x - total

    def rarely(x):
        seen, out = 0.0, []
        for v in x:
            if v > 123.4:
                seen += 1
            out.append(v + seen)
        return out

    def of_nan(x):
        seen, out = 0.0, []
        for v in x:
            seen = seen + 1 if v != v else seen
            out.append(seen * 2 + v if v == v else 0.0)
        return out

    def generator(x):
        seen = 0.0
        for v in x:
            if v > -1e5:
                yield v + seen
            else:
                seen += 1
                yield seen

    def in_a_generator(x):
        return sum(generator(x)) * x

    for function in (summed, last, chosen, rarely, of_nan, in_a_generator):
        with pytest.raises(ImpureError, match="carries something on from turn to turn"):
            activation(function, axis=-1)


def test_the_witness_runs_the_function_itself() -> None:
    def looks_at_the_kind(x):
        return x * 2 if type(x).__name__ == "ndarray" else x * 3

    with pytest.raises(ImpureError, match="cannot be read"):
        activation(looks_at_the_kind, axis=-1)

    def fails_on_a_row(x):
        return x * 2 if type(x).__name__ != "ndarray" else np.sqrt("no")

    with pytest.raises(TraceError, match="it raises"):
        activation(fails_on_a_row, axis=-1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.pop("axis"), "unknown operation|length|no input"),
        (lambda data: data.update(axis="last"), "whole number"),
        (lambda data: data.update(actgrad=1), "unknown keys"),
        (lambda data: data["nodes"].__setitem__(0, ["var", "x", [2, 0]]), "as long as"),
        (lambda data: data["nodes"].__setitem__(0, ["var", "x"]), "row|length"),
        (lambda data: data["nodes"].__setitem__(0, ["var", "x", [1, 0, [1, 1, 0, 0]]]), "part"),
        (lambda data: data["nodes"].__setitem__(0, ["position", [[10**9, 0]]]), "million"),
    ],
)
def test_a_damaged_file_is_refused(change: Any, message: str) -> None:
    data = json.loads(made("softmax").to_json())
    assert data["nodes"][0] == ["var", "x", [1, 0]]
    change(data)
    with pytest.raises(ProgramError, match=message):
        from_json(json.dumps(data))


def test_nothing_warns_while_it_is_made() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("softmax", "glu", "unit", "sparsemax"):
            made(name)


@pytest.mark.parametrize("framework", ["numpy", "torch", "tensorflow", "jax"])
def test_a_row_that_turns_out_to_be_one_number_stays_a_row(framework: str) -> None:
    x = var("x", N)
    false = make("lt", const(-1.0), make("copysign", const(-1.0), const(-1.0)))
    ones = make("select", false, x, const(1.0))
    mean = make("div", make("sum", ones), make("sum", ones))
    program = Program("f", ("x",), (), make("mul", ones, mean), axis=-1, rows=(("x", N),))
    f = from_json(storage.to_json(program))
    module = pytest.importorskip(framework)
    made = {
        "torch": "asarray",
        "tensorflow": "constant",
        "jax": "numpy.asarray",
        "numpy": "asarray",
    }
    array = attrgetter(made[framework])(module)
    assert np.array_equal(f(array(np.arange(6.0, dtype="float32").reshape(2, 3))), np.ones((2, 3)))
