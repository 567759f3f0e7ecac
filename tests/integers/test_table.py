"""Tables of integers against mpmath, on every input; choosing scales; errors and refusals."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from mpmath import mpf

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


@pytest.mark.parametrize("name", oracle.FUNCTIONS)
def test_the_floats_of_the_oracle_are_near_enough(name: str) -> None:
    for scales in range(3):
        (in_scale, zero), (out_scale, _) = oracle.pairs(scales, bits=16)
        for code in [zero, *range(-32768, 32768, 1009)]:
            x = (code - zero) * float(np.float32(in_scale))
            off = oracle.FUNCTIONS[name](mpf(x)) - mpf(oracle.FLOATS[name](x))
            assert abs(off) / out_scale < oracle.DOUBT / 1000, (scales, code)


CASES = [(name, scales) for name in oracle.FUNCTIONS for scales in range(3)]


@pytest.mark.parametrize("case", exhaustive_but([("relu", 0), ("mish", 1)], CASES), ids=str)
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


GIVE = "give low and high, or data="
ENDS = "codes need two finite ends"
UNUSABLE: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, GIVE),
    "half a range": ({"low": 0.0}, GIVE),
    "a range and data": ({"low": 0.0, "high": 1.0, "data": [1.0]}, GIVE),
    "half a range and data": ({"low": 0.0, "data": [1.0]}, GIVE),
    "a percentile of a range": ({"low": 0.0, "high": 1.0, "percentile": 50.0}, GIVE),
    "no data": ({"data": []}, "at least one"),
    "nan": ({"data": [math.nan]}, "finite real numbers"),
    "complex numbers": ({"data": [1j]}, "finite real numbers"),
    "texts": ({"data": ["1"]}, "finite real numbers"),
    "rows of different lengths": ({"data": [1.0, [2.0]]}, "inhomogeneous"),
    "zeros": ({"data": [0.0, 0.0]}, "the inputs range from 0.0 to 0.0"),
    "a percentile of 0": ({"data": [1.0], "percentile": 0}, "above 0"),
    "a text for a percentile": ({"data": [1.0], "percentile": "9"}, "percentile='9'"),
    "nothing between": ({"low": 0.0, "high": 0.0}, ENDS),
    "the wrong way": ({"low": 2.0, "high": -2.0}, "range from 2.0 to -2.0"),
    "without an end": ({"low": 0.0, "high": math.inf}, ENDS),
    "beyond float32": ({"low": -1e308, "high": 1e308}, ENDS),
    "a text": ({"low": "0", "high": 1.0}, "low='0': it should be a number"),
}


@pytest.mark.parametrize("wrong", UNUSABLE)
def test_what_gives_no_scale_is_refused(wrong: str) -> None:
    arguments, said = UNUSABLE[wrong]
    with pytest.raises(CallError, match=said):
        activations.tanh.quantise(**arguments)


@pytest.mark.filterwarnings("ignore::actgrad.errors.ZeroDerivativeWarning")
def test_poles_jumps_constants_and_decreasing_functions_are_quantised_or_refused() -> None:
    pole = activation(lambda x: 1 / x, name="pole")
    with pytest.raises(CallError, match=r"the outputs of 'pole' range from .* to inf"):
        pole.quantise(-1.0, 1.0)
    missed = activation(lambda x: 1 / (x - 0.5), name="missed").quantise(-1.0, 1.0)
    assert missed.error().largest <= 0.5 * missed.output.scale
    with pytest.raises(CallError, match=r"from 0\.0 to 0\.0"):
        activation(lambda x: 0.0, name="nothing").quantise(-1.0, 1.0)
    three = activation(lambda x: 3.0, name="three").quantise(-1.0, 1.0)
    assert set(np.asarray(three)) == {127}
    assert three.dequantised(three[0]) == pytest.approx(3)
    step = activation(lambda x: 1.0 if x >= 0.3 else -1.0, name="jump").quantise(-1.0, 1.0)
    x = step.real(np.arange(-128, 128))
    assert [step[q] for q in range(-128, 128)] == [step[127] if v >= 0.3 else step[-128] for v in x]
    cube = activation(lambda x: -x * x * x, name="cube").quantise(-1.0, 1.0, narrow=True)
    codes = np.asarray(cube)
    assert (np.diff(codes) <= 0).all()
    assert codes.min() == -127


@pytest.mark.parametrize("scale", [1.2e-38, 1e-30, 1e30, 3e38])
def test_the_smallest_and_the_largest_scales(scale: float) -> None:
    small = float(np.float32(scale))
    same = activations.linear.table((scale, 3), (scale, -5))
    assert [same[q] for q in (-100, 0, 100)] == [-108, -8, 92]
    gelu = activations.gelu.table((scale, 0), (scale, 0))
    for code in range(-128, 128):
        wanted = oracle.mp.nint(oracle.FUNCTIONS["gelu"](code * mpf(small)) / mpf(small))
        assert gelu[code] == wanted


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bits": 4}, "8 or 16"),
        ({"bits": 8.0}, "integer"),
        ({"signed": 1}, "signed=1: it should be True or False"),
        ({"narrow": 5}, "narrow=5: it should be True or False"),
        ({"input": (True, 0)}, "a pair \\(scale, zero_point\\)"),
        ({"output": (0.05, True)}, "a pair \\(scale, zero_point\\)"),
        ({"input": (4e38, 0)}, "positive float32"),
        ({"output": (-1.0, 0)}, "positive float32"),
        ({"output": (math.nan, 0)}, "positive float32"),
        ({"output": (1e-45, 0)}, "positive float32"),
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
    saturates = np.isin(oracle.rounded("gelu", 0), [-128, 127])
    assert 10 < saturates.sum() < 250
    for line in (above.lines[1], below.lines[0]):
        np.testing.assert_array_equal(np.isnan(line.get_ydata()), saturates)
