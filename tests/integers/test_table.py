"""Tables of integers against mpmath, on every input; choosing scales; errors and refusals."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from actgrad import activation, activations
from actgrad.errors import CallError
from tests.integers import oracle
from tests.sample import exhaustive_but


@pytest.mark.parametrize("scales", range(3))
@pytest.mark.parametrize("name", oracle.FUNCTIONS)
def test_every_int8_output_is_correctly_rounded(name: str, scales: int) -> None:
    np.testing.assert_array_equal(oracle.table(name, scales), oracle.rounded(name, scales))


@pytest.mark.parametrize("name", oracle.names())
def test_every_uint8_output_rounded_away_is_too(name: str) -> None:
    found = oracle.table(name, 0, signed=False, rounding="away")
    assert found.format.dtype == np.asarray(found).dtype == np.uint8
    wanted = oracle.rounded(name, 0, signed=False, rounding="away")
    np.testing.assert_array_equal(found, wanted)


CASES = [(name, scales) for name in oracle.FUNCTIONS for scales in range(3)]


@pytest.mark.parametrize("case", exhaustive_but([("relu", 0)], CASES), ids=str)
def test_every_int16_output_is_correctly_rounded(case: tuple[str, int]) -> None:
    name, scales = case
    found = oracle.table(name, scales, bits=16)
    np.testing.assert_array_equal(found, oracle.rounded(name, scales, bits=16))


def test_a_tie_that_float64_cannot_see_is_rounded_by_its_real_value() -> None:
    above = activation(lambda x: 0.5 * x + 1e-25, name="above").table((1.0, 0), (1.0, 0))
    below = activation(lambda x: 0.5 * x - 1e-25, name="below").table((1.0, 0), (1.0, 0))
    for code in range(-127, 128, 2):
        assert above[code] == math.ceil(code / 2)
        assert below[code] == math.floor(code / 2)


@pytest.mark.parametrize("rounding", ["even", "away"])
def test_ties(rounding: Any) -> None:
    half = activation(lambda x: 0.5 * x, name="half").table((1.0, 0), (1.0, 0), rounding=rounding)
    for code in range(-128, 128):
        exact = Fraction(code, 2)
        away = int(abs(exact) + Fraction(1, 2)) * (1 if code > 0 else -1)
        assert half[code] == (round(exact) if rounding == "even" else away)


def test_a_lost_digit_is_recovered() -> None:
    # In float64 the difference is 0 for every input here.
    f = activation(lambda x: ((x + 1e17) - 1e17) * 1.0, name="lost")
    np.testing.assert_array_equal(f.table((1.0, 0), (1.0, 0)), np.arange(-128, 128))


def test_a_step_lands_where_python_says() -> None:
    f = activation(lambda x: math.floor(x / 0.1), surrogate=10.0, name="tenths")
    table = f.table((0.5, 0), (1.0, 0))
    for code in range(-20, 20):
        assert table[code] == math.floor(code * 0.5 / 0.1)


def test_what_is_infinite_saturates_and_nan_is_refused() -> None:
    inverse = activation(lambda x: 1 / x, name="inverse").table((1.0, 0), (0.5, 0))
    assert inverse[0] == 127
    assert activation(lambda x: -math.exp(9 * x), name="e").table((1.0, 0), (1.0, 0))[127] == -128
    log = activation(lambda x: math.log(x), name="log")
    with pytest.raises(CallError, match="nan at -128"):
        log.table((1.0, 0), (1.0, 0))
    assert log.table((1.0, 0), (1.0, 10), signed=False)[0] == 0


def test_narrow_leaves_out_the_lowest() -> None:
    f = activations.linear
    assert f.table((1.0, 0), (1.0, 0), narrow=True)[-128] == -127
    assert f.table((1.0, 0), (1.0, 0))[-128] == -128


def test_error_is_that_of_the_nearest_codes() -> None:
    table = oracle.table("tanh", 0)
    off = np.abs((oracle.rounded("tanh", 0) + 64) / 32 - np.tanh(np.arange(-128, 128) / 16))
    found = table.error()
    assert found.largest == pytest.approx(off.max(), rel=1e-9)
    assert found.mean == pytest.approx(off.mean(), rel=1e-9)
    assert found.saturated == 0
    full = activations.linear.table((1.0, 0), (0.5, 0)).error()
    assert full.saturated == 128
    assert full.largest == 0
    assert "128 of 256 inputs saturate" in str(full)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("bits", [8, 16])
def test_quantise_spans_the_range(bits: int, signed: bool) -> None:
    table = activations.gelu.quantise(-3.0, 5.0, bits, signed=signed)
    first, last = table.real(table.format.first), table.real(table.format.high)
    assert first == pytest.approx(-3, abs=table.input.scale)
    assert last == pytest.approx(5, abs=table.input.scale)
    codes = np.asarray(table)
    assert codes.max() >= table.format.high - 1
    assert table.error().largest <= 0.51 * table.output.scale
    assert table.dequantised(table[table.input.zero_point]) == 0


def test_quantise_from_data() -> None:
    data = np.append(np.linspace(-2, 2, 999), 100.0)
    assert activations.tanh.quantise(data=data).real(127) == pytest.approx(100, rel=1e-2)
    clipped = activations.tanh.quantise(data=data, percentile=99.0)
    assert clipped.real(127) == pytest.approx(np.percentile(data, 99.5), rel=1e-2)
    for wrong in ({"data": []}, {"data": [math.nan]}, {}, {"low": 0.0}):
        with pytest.raises(CallError):
            activations.tanh.quantise(**wrong)
    with pytest.raises(CallError, match="range"):
        activations.tanh.quantise(0.0, 0.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bits": 4}, "8 or 16"),
        ({"input": 0.5}, "pair"),
        ({"input": (0.0, 0)}, "positive"),
        ({"input": (math.inf, 0)}, "positive"),
        ({"output": (1.0, 128)}, "-128 to 127"),
        ({"output": (1.0, 0.5)}, "integer"),
        ({"rounding": "up"}, "away"),
        ({"slope": 1.0}, "slope"),
    ],
)
def test_what_does_not_make_sense_is_refused(change: dict[str, Any], said: str) -> None:
    arguments = {"input": (1.0, 0), "output": (1.0, 0), **change}
    with pytest.raises(CallError, match=said):
        activations.tanh.table(**arguments)


def test_a_table_has_one_input_and_takes_parameters() -> None:
    with pytest.raises(CallError, match="one input"):
        activation(lambda a, b: a * b, name="product").table((1.0, 0), (1.0, 0))
    softmax = activation(lambda x: np.exp(x) / np.sum(np.exp(x)), axis=-1, name="softmax")
    with pytest.raises(CallError, match="function of a row"):
        softmax.table((1.0, 0), (1.0, 0))
    assert "a row has several" in softmax.supports()["table"].reason("value")
    leaky = activations.leaky_relu.table((1.0, 0), (1.0, 0), slope=0.25)
    assert [leaky[-100], leaky[7]] == [-25, 7]
    assert leaky == activations.leaky_relu(slope=0.25).table((1.0, 0), (1.0, 0))


def test_plot_draws_the_table(tmp_path: Any) -> None:
    pytest.importorskip("matplotlib")
    figure = oracle.table("gelu", 0).plot(tmp_path / "gelu.svg")
    above, below = figure.axes
    steps = above.lines[0].get_ydata()
    np.testing.assert_array_equal(steps, (oracle.rounded("gelu", 0) + 64) / 32)
    assert np.nanmax(np.abs(below.lines[0].get_ydata())) <= 0.5
    assert (tmp_path / "gelu.svg").stat().st_size > 1000
