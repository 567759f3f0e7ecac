"""Tables, knots and interpolants, against the library that they are written with."""

from __future__ import annotations

import array
import bisect
import warnings
from typing import Any

import numpy as np
import pytest

from actgrad import from_json
from actgrad.activation import Activation
from actgrad.errors import ActgradError, ActgradWarning, CallError, MixingError, TraceError
from actgrad.reading.define import define

GRID = np.concatenate([np.linspace(-3, 3, 49), [0.1, -0.7, 2.9, -2.95, 1.0, -1.0]])
KNOTS = np.array([-2.0, -1.0, -0.25, 0.5, 1.0, 2.5])
VALUES = np.array([0.0, 1.0, -1.0, 0.5, 2.0, -0.5])
MANY = np.linspace(-3, 3, 1000)
TABLE = [0.5, -1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
PAIR = (0.25, -0.5)
ARRAY = np.array(TABLE)
NUMBERS = array.array("d", TABLE)


def read(function: Any, **options: Any) -> Activation:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ActgradWarning)
        return from_json(Activation(define(function, **options)).to_json())


def _cell(x):
    return int(np.floor(np.clip(x, -3, 3))) + 3


OF_NUMBERS = {
    "a list": lambda x: TABLE[_cell(x)],
    "a tuple": lambda x: PAIR[int(x > 0)],
    "an array": lambda x: ARRAY[_cell(x)] * x,
    "from the end": lambda x: TABLE[-1 - _cell(x)],
    "a list made inside": lambda x: [0.5, 1.5, 2.5][int(np.clip(x, 0, 2))],
    "np.take": lambda x: np.take(ARRAY, _cell(x)),
    "the method": lambda x: ARRAY.take(_cell(x)) * ARRAY.take(2),
    "an array.array": lambda x: NUMBERS[_cell(x)] * NUMBERS[0] + sum(a * x for a in NUMBERS),
    "a truth value as the index": lambda x: (0.25 * x, x)[x > 0] + PAIR[not x < 1],
    "bisect": lambda x: TABLE[bisect.bisect(list(KNOTS), x)] * bisect.bisect_left([-1.0, 0.1], x),
    "np.choose": lambda x: np.choose(int(np.clip(x, 0, 2)), [x, 2 * x, 3.0]),
}


@pytest.mark.parametrize("function", OF_NUMBERS.values(), ids=OF_NUMBERS)
def test_a_table_is_read_at_a_computed_index(function: Any) -> None:
    activation = read(function)
    own = [float(function(float(x))) for x in GRID]
    np.testing.assert_array_equal(activation(GRID), own)


def test_beyond_a_table_is_nan_where_python_raises() -> None:
    assert np.isnan(read(lambda x: TABLE[int(x)])(100.0))


OF_ARRAYS = {
    "np.interp": lambda x: np.interp(x, KNOTS, VALUES),
    "np.interp, with ends": lambda x: np.interp(x, KNOTS, VALUES, left=-3.0, right=7.0),
    "np.interp of a thousand": lambda x: np.interp(x, MANY, np.sin(MANY)),
    "np.digitize": lambda x: np.digitize(x, KNOTS) * x,
    "np.digitize, right": lambda x: np.digitize(x, KNOTS, right=True) * 1.0,
    "np.searchsorted": lambda x: np.searchsorted(KNOTS, x) + x,
    "np.searchsorted, right": lambda x: np.searchsorted(KNOTS, x, side="right") + x,
}


@pytest.mark.parametrize("function", OF_ARRAYS.values(), ids=OF_ARRAYS)
def test_knots_are_found_as_numpy_finds_them(function: Any) -> None:
    points = np.concatenate([GRID, KNOTS, MANY[::37]])
    np.testing.assert_allclose(read(function)(points), function(points), 1e-13, 1e-13)


def test_knots_that_are_a_default_are_numbers() -> None:
    def table(x, knots=(-1.0, 0.0, 2.0), values=(0.1, 0.2, 0.3, 0.4)):
        return np.array(values)[np.digitize(x, knots)] * x

    def nearest(x, knots=(-1.0, 0.0, 2.0)):
        return bisect.bisect(knots, x) * x

    np.testing.assert_array_equal(read(table)(GRID), table(GRID))
    np.testing.assert_array_equal(
        read(table)(GRID, values=(3.0, 1.0, 2.0, 5.0)), table(GRID, values=(3, 1, 2, 5))
    )
    np.testing.assert_array_equal(read(nearest)(GRID), [nearest(x) for x in GRID])
    with pytest.raises(CallError, match="knots"):
        read(table)(GRID, knots=(-2.0, 0.0, 1.0))
    with pytest.raises(TraceError, match="Give them as numbers, or as a parameter"):
        read(lambda x: np.digitize(x, [x - 1, x + 1]))


def test_the_slope_of_an_interpolant_is_its_piece() -> None:
    slopes = read(lambda x: np.interp(x, KNOTS, VALUES)).derivative(
        np.array([-3.0, -1.5, 0.0, 2.0, 3.0])
    )
    np.testing.assert_allclose(slopes, [0.0, 1.0, 2.0, -2.5 / 1.5, 0.0])


def test_a_thousand_knots_are_a_small_program() -> None:
    from actgrad.language.expression import walk

    program = define(lambda x: np.interp(x, MANY, np.sin(MANY)))
    assert len(walk(program.value)) < 120


def _splines() -> dict[str, Any]:
    from scipy import interpolate

    return {
        "cubic": interpolate.CubicSpline(KNOTS, VALUES),
        "cubic, natural": interpolate.CubicSpline(
            KNOTS, VALUES, bc_type="natural", extrapolate=False
        ),
        "pchip": interpolate.PchipInterpolator(KNOTS, VALUES),
        "akima": interpolate.Akima1DInterpolator(KNOTS, VALUES),
        "b-spline": interpolate.make_interp_spline(KNOTS, VALUES, k=3),
        "pieces": interpolate.PPoly(np.array([[1.0, 2.0], [0.5, -1.0]]), [-1.0, 0.0, 2.0]),
        "poly1d": np.poly1d([1.0, -2.0, 0.5]),
        "polynomial": np.polynomial.Polynomial([1.0, -2.0, 0.5], domain=[-2, 3]),
        "chebyshev": np.polynomial.Chebyshev([1.0, -2.0, 0.5, 0.25]),
    }


@pytest.mark.parametrize("name", _splines())
@pytest.mark.parametrize("how", ["directly", "inside"])
def test_interpolants_and_polynomials(name: str, how: str) -> None:
    spline = _splines()[name]
    function = spline if how == "directly" else lambda x: 2.0 * spline(x) + x
    activation = read(function, name="spline")
    points = np.concatenate([GRID, KNOTS + 1e-9])
    np.testing.assert_allclose(activation(points), function(points), 1e-10, 1e-10)
    h = 1e-6
    inner = np.array([-1.7, -0.6, 0.1, 0.8, 1.7])
    slope = (function(inner + h) - function(inner - h)) / (2 * h)
    np.testing.assert_allclose(activation.derivative(inner), slope, 1e-6, 1e-6)


def test_tables_of_tensor_libraries() -> None:
    import jax.numpy as jnp
    import tensorflow as tf
    import torch

    numbers = torch.tensor(TABLE, dtype=torch.float64)
    bounds = torch.tensor(KNOTS)
    x = torch.tensor(GRID)
    for function in (
        lambda x: numbers[(x.clamp(-3, 3) + 3).long()],
        lambda x: torch.take(numbers, (x.clamp(-3, 3) + 3).long()),
        lambda x: numbers.take((x.clamp(-3, 3) + 3).long()),
        lambda x: torch.index_select(numbers, 0, (x.clamp(-3, 3) + 3).long()),
        lambda x: numbers.index_select(dim=-1, index=(x.clamp(-3, 3) + 3).long()),
        lambda x: torch.gather(numbers, 0, (x.clamp(-3, 3) + 3).long()),
        lambda x: numbers.gather(0, (x.clamp(-3, 3) + 3).long()) * x,
        lambda x: torch.bucketize(x, bounds) * x,
        lambda x: torch.searchsorted(bounds, x, right=True) * x,
    ):
        np.testing.assert_allclose(read(function)(GRID), function(x).numpy())
    tf_table, jax_table = tf.constant(TABLE, tf.float64), jnp.asarray(TABLE)
    of_tf = lambda x: tf.gather(tf_table, tf.cast(tf.clip_by_value(x, -3.0, 3.0) + 3.0, tf.int32))
    np.testing.assert_allclose(read(of_tf)(GRID), of_tf(tf.constant(GRID)).numpy())
    of_jax = lambda x: jax_table[(jnp.clip(x, -3, 3) + 3).astype(jnp.int32)]
    np.testing.assert_allclose(read(of_jax)(GRID), of_jax(jnp.asarray(GRID)))
    of_interp = lambda x: jnp.interp(x, jnp.asarray(KNOTS), jnp.asarray(VALUES))
    np.testing.assert_allclose(read(of_interp)(GRID), of_interp(jnp.asarray(GRID)), 1e-5, 1e-5)


def test_other_ways_to_read_a_table_are_refused_with_the_way_that_is_read() -> None:
    import tensorflow as tf
    import torch

    numbers, tf_numbers = torch.tensor(TABLE), tf.constant(TABLE, tf.float64)
    place = lambda x: (x.clamp(-3, 3) + 3).long()
    tf_place = lambda x: tf.cast(tf.clip_by_value(x, -3.0, 3.0) + 3.0, tf.int32)
    for function in (
        lambda x: torch.nn.functional.embedding(place(x), numbers[:, None])[..., 0],
        lambda x: torch.nn.functional.one_hot(place(x), 7).double() @ numbers,
        lambda x: torch.take_along_dim(numbers, place(x), 0),
        lambda x: tf.gather_nd(tf_numbers, tf_place(x)[..., None]),
        lambda x: tf.nn.embedding_lookup(tf_numbers, tf_place(x)),
    ):
        with pytest.raises(MixingError, match=r"Read a table of constants with `table\[i\]`"):
            read(function)
    with pytest.raises(MixingError) as caught:  # of the input itself
        read(lambda x: torch.index_select(x, 0, torch.tensor([1, 0])))
    assert "axis=-1" in str(caught.value)


def test_an_array_of_jax_that_is_updated_is_refused_with_a_cure_that_works() -> None:
    import jax.numpy as jnp

    for function in (
        lambda x: jnp.zeros(2).at[0].set(x).at[1].set(2 * x).sum(),
        lambda x: jnp.asarray(TABLE).at[(jnp.clip(x, -3, 3) + 3).astype(int)].get(),
    ):
        with pytest.raises(
            ActgradError, match=r"`.at` of an array of constants\n(.*\n)*.*jnp.stack"
        ):
            read(function)
    np.testing.assert_array_equal(read(lambda x: jnp.stack([x, 2 * x]).sum(0))(GRID), 3 * GRID)


def test_a_table_read_into_an_array_is_refused() -> None:
    target = np.zeros(())
    for function in (
        lambda x: ARRAY.take(_cell(x), out=target),
        lambda x: np.take(ARRAY, _cell(x), out=target),
    ):
        with pytest.raises(ActgradError, match=r"`numpy\.(ndarray\.)?take` writes into an array"):
            read(function)


def test_a_table_of_two_dimensions_is_refused() -> None:
    grid = np.ones((2, 3))
    with pytest.raises(ActgradError, match="several dimensions"):
        read(lambda x: np.take(grid, int(x)))
