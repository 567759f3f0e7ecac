"""NumPy: every kind of array, list and number, in the dtype that it came in."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from actgrad import activation, activations
from actgrad.codegen.emit import kernel
from actgrad.errors import CallError, DtypeError
from actgrad.frameworks import numpy as room
from actgrad.language.decomposed import DECOMPOSITIONS
from actgrad.language.expression import const, make, var
from actgrad.language.ops import OPS
from actgrad.language.program import Program


def _gated(a, b, beta=1.0):
    return a / (1 + math.exp(-beta * b))


gated = activation(_gated, name="gated")
double = activation(lambda x: x * 2, name="double")
same = activation(lambda x: x, name="same")


def test_values_and_derivatives_of_an_array(case, points):
    f = case.activation(**case.options)
    np.testing.assert_allclose(f(points), case.expected(0, points), rtol=1e-5)
    np.testing.assert_allclose(f.derivative(points), case.expected(1, points), rtol=1e-5)
    second = f.derivative.derivative(points)
    np.testing.assert_allclose(second, case.expected(2, points), rtol=1e-4)


NUMBERS = [
    0.7,
    2,
    True,
    np.float16(0.7),
    np.float32(0.7),
    np.float64(0.7),
    np.int8(2),
    np.uint64(2),
]


@pytest.mark.parametrize("x", NUMBERS, ids=lambda x: type(x).__name__)
def test_a_number_stays_one(case, x):
    y = case(x)
    real = isinstance(x, np.floating)
    assert type(y) is (type(x) if real else np.float64 if isinstance(x, np.generic) else float)
    assert y == pytest.approx(case.expected(0, x)[()], rel=1e-3)


ARRAYS = {
    "list": [0.2, -0.7, 1.2],
    "tuple": (0.2, -0.7, 1.2),
    "list of lists": [[0.2, -0.7], [1.2, 0.0]],
    "empty list": [],
    "0-d": np.array(0.2),
    "empty": np.zeros((0, 3), np.float32),
    "Fortran order": np.asfortranarray(np.array([[0.2, -0.7, 1.2], [0.1, 2.2, -3.3]])),
    "strided": np.linspace(-2, 2, 24).reshape(4, 6)[::2, ::-3],
    "transposed": np.linspace(-2, 2, 6).reshape(2, 3).T,
    "broadcast": np.broadcast_to(np.array([0.2, -0.7]), (3, 2)),
    "big-endian": np.array([0.2, -0.7], ">f4"),
    "float16": np.array([0.2, -0.7], np.float16),
    "longdouble": np.array([0.2, -0.7], np.longdouble),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_any_array(case, kind):
    x = ARRAYS[kind]
    y = case(x)
    assert np.shape(y) == np.shape(x)
    assert np.asarray(y).dtype == np.asarray(x).dtype.newbyteorder("=")
    np.testing.assert_allclose(
        np.asarray(y, np.float64), case.expected(0, x), rtol=2e-3 if kind == "float16" else 1e-5
    )


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8", "bool"])
def test_integers_promote_to_float64(case, dtype):
    x = np.array([0, 1, 3], dtype)
    y = case(x)
    assert y.dtype == np.float64
    np.testing.assert_allclose(y, case.expected(0, x))


def test_bfloat16(case, points):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = points.astype(ml_dtypes.bfloat16)
    y = case(x)
    assert y.dtype == ml_dtypes.bfloat16
    expected = case.expected(0, x.astype(np.float64))
    np.testing.assert_allclose(y.astype(np.float64), expected, rtol=2**-8)


def test_half_types_compute_in_float32():
    near = activation(lambda x: x * 1000 - x * 999, name="near")
    x = np.array([0.1, 0.3, 60.0], np.float16)
    np.testing.assert_allclose(near(x), x, rtol=1e-3)


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        (("float16", "float32"), "float32"),
        (("float32", "float64"), "float64"),
        (("float32", "int64"), "float64"),
        (("float16", "bfloat16"), "float32"),
    ],
    ids=str,
)
def test_arrays_of_several_dtypes_promote(dtypes, expected):
    pytest.importorskip("ml_dtypes")
    a, b = (np.ones(2, np.dtype(name)) for name in dtypes)
    assert gated(a, b).dtype == expected


def test_a_read_only_array_is_read():
    x = np.array([1.0, 2.0])
    x.flags.writeable = False
    y = double(x)
    np.testing.assert_array_equal(y, [2, 4])
    assert y.flags.writeable


@pytest.mark.parametrize("f", [same, activation(lambda x: abs(x) if x > 5 else x, name="some")])
def test_the_result_is_an_array_of_its_own(f):
    x = np.array([1.0, 2.0])
    y = f(x)
    y[0] = 99.0
    np.testing.assert_array_equal(x, [1, 2])


def test_the_input_is_left_as_it_is(case, points):
    before = points.copy()
    case(points)
    np.testing.assert_array_equal(points, before)


SHAPES = [((2, 3), (3,), ()), ((), (2, 3), (3,)), ((2, 1), (1, 3), (2, 3)), ((0, 3), (3,), ())]


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_inputs_and_parameters_broadcast(shapes):
    random = np.random.default_rng(0)
    a, b, beta = (random.normal(size=shape) for shape in shapes)
    np.testing.assert_allclose(gated(a, b, beta=beta), a / (1 + np.exp(-beta * b)), rtol=1e-12)


def test_a_constant_has_the_inputs_shape():
    one = activation(lambda x: 1.0, name="one", surrogate=1.0)
    assert one(np.zeros((2, 3), np.float32)).shape == (2, 3)
    assert one(np.zeros((2, 3), np.float32)).dtype == np.float32


# Subclasses: kept, or clearly refused.


def test_a_mask_is_kept():
    x = np.ma.masked_array([1.0, -2.0, 3.0], mask=[False, True, False], fill_value=-1.0)
    y = double(x)
    assert isinstance(y, np.ma.MaskedArray)
    np.testing.assert_array_equal(y.mask, [False, True, False])
    np.testing.assert_array_equal(y.compressed(), [2, 6])
    assert y.fill_value == -1.0
    y.mask[0] = True
    assert not x.mask[0]


def test_masks_of_several_inputs_join():
    a = np.ma.masked_array([[1.0, 2.0]], mask=[[True, False]])
    b = np.ma.masked_array([[1.0], [2.0]], mask=[[False], [True]])
    y = gated(a, b)
    np.testing.assert_array_equal(y.mask, [[True, False], [True, True]])
    assert gated(a, 1.0).mask.tolist() == [[True, False]]


def test_a_matrix_stays_one(case):
    x = np.array([[0.2, -0.7], [1.2, 2.2]]).view(np.matrix)
    y = case(x)
    assert type(y) is np.matrix
    np.testing.assert_allclose(y, case.expected(0, np.asarray(x)))


def test_a_memory_map_is_read(tmp_path):
    x = np.memmap(tmp_path / "x", np.float32, "w+", shape=(3,))
    x[:] = [1, 2, 3]
    np.testing.assert_array_equal(double(x), [2, 4, 6])


def test_an_unknown_subclass_is_refused():
    class Metres(np.ndarray):
        pass

    with pytest.raises(CallError, match=r"'double' got a Metres(.|\n)*np.asarray"):
        double(np.ones(2).view(Metres))


# Special values.

SPECIAL = np.array([0.0, -0.0, math.inf, -math.inf, math.nan])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_special_values_pass(dtype):
    x = SPECIAL.astype(dtype)
    y = same(x)
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(np.signbit(y), np.signbit(x))


def test_a_dead_branch_gives_no_nan():
    f = activation(lambda x: math.log(x) if x > 0 else 0.0, name="f")
    x = np.array([-1.0, 0.0, 1.0])
    for derived in (f, f.derivative, f.derivative.derivative, f.derivative.derivative.derivative):
        assert np.isfinite(derived(x)).all()


@pytest.mark.parametrize("shapes", [((4096,), (4096,)), ((64, 1), (64,)), ((4096,), ())])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "g"])
def test_a_choice_among_many_numbers_keeps_every_bit(dtype, shapes):
    special = np.array(
        [np.inf, -np.inf, np.nan, -np.nan, -0.0, 0.0, np.finfo(dtype).tiny / 4, -1], dtype
    )
    x, y = (np.resize(np.roll(special, i), shape) for i, shape in enumerate(shapes))
    smaller = activation(lambda x, y: x if x < y else y, name="smaller")(x, y)
    assert smaller.dtype == x.dtype
    assert smaller.astype("f8").tobytes() == np.where(x < y, x, y).astype("f8").tobytes()
    step = activation(lambda x: 1.0 if x > 0 else 0.0, surrogate=lambda x: 1.0, name="step")(x)
    np.testing.assert_array_equal(step, np.where(x > 0, 1, 0).astype(dtype), strict=True)


def test_where_python_raises_ieee_answers():
    f = activation(lambda x: 1 / x, name="f")
    np.testing.assert_array_equal(f(np.array([0.0, -0.0])), [math.inf, -math.inf])
    assert f(0.0) == math.inf
    assert activation(lambda x: math.exp(x), name="g")(1000) == math.inf


# Wrong use.


@pytest.mark.parametrize(
    "x",
    ["a", None, 1j, b"a", [None], object(), {}, np.array(["a"]), np.datetime64("2020-01-01")],
    ids=lambda x: type(x).__name__,
)  # fmt: skip
def test_what_is_no_number_is_refused(x):
    with pytest.raises(DtypeError, match=r"'double' got .*real numbers"):
        double(x)


def test_a_crooked_list():
    with pytest.raises(CallError, match=r"'double'.*list"):
        double([[1.0], [1.0, 2.0]])


def test_shapes_that_do_not_broadcast():
    with pytest.raises(ValueError, match="broadcast"):
        gated(np.ones(2), np.ones(3))


@pytest.mark.parametrize("count", [1, 3])
def test_the_wrong_number_of_inputs(count):
    with pytest.raises(CallError, match=rf"takes 2 inputs \(a, b\), and got {count}"):
        gated(*[1.0] * count)


def test_an_unknown_parameter():
    with pytest.raises(CallError, match="did you mean 'beta'"):
        gated(1.0, 1.0, betta=1.0)


@pytest.mark.parametrize("value", ["2", None, True, 1j])
def test_a_parameter_that_is_no_number(value):
    with pytest.raises(CallError, match="'beta' of 'gated' must be a number"):
        gated(1.0, 1.0, beta=value)


# Each operation, against its meaning.


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "name",
    [
        n
        for n, op in OPS.items()
        if n not in ("given", "host", "select", "gather", *DECOMPOSITIONS) and not op.boolean
    ],
)
def test_operation(name, dtype):
    op = OPS[name]
    names = ("x", "y")[: op.arity]
    program = Program(f"op_{name}", names, (), make(name, *map(var, names)))
    random = np.random.default_rng(0)
    x = np.concatenate(
        [random.uniform(-5, 5, 500), random.uniform(-80, 80, 500), SPECIAL, [1, 2, 3]]
    )
    arguments = [x.astype(dtype), random.permutation(x).astype(dtype)][: op.arity]
    with np.errstate(all="ignore"):
        found = kernel(program, room.DIALECT, room.host)(*arguments)
        exact = np.asarray(op.numpy(*(a.astype(np.float64) for a in arguments)))
        expected = exact.astype(dtype)
        ulp = np.abs((found - exact) / np.spacing(np.abs(expected)))
    assert found.dtype == dtype
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
    np.testing.assert_array_equal(
        np.signbit(found)[expected == 0], np.signbit(expected)[expected == 0]
    )
    normal = np.isfinite(expected) & (np.abs(expected) > np.finfo(dtype).tiny)
    # SciPy's erfc, in its far tail, is not as good as Python's.
    assert np.max(ulp, where=normal, initial=0) <= (512 if name == "erfc" else 16)


def test_both_zeros_are_constants_of_small_arrays():
    f = activation(lambda x: x + math.atan2(abs(x), 0.0) + math.atan2(abs(x), -0.0), name="f")
    np.testing.assert_array_equal(f(np.array([0.0, 0.0])), [math.pi, math.pi])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "name", sorted(OPS.keys() - {"gather", "given", "host", "select", "and", "or", "not"})
)
def test_one_number_is_computed_as_one_of_many(name, dtype):
    op = OPS[name]
    for others in itertools.product(
        [var("x"), const(-1.5), const(0.0), const(2.0)], repeat=op.arity
    ):
        if var("x") not in others:
            continue
        value = make(name, *others)
        if op.boolean:
            value = make("select", make("not", value), var("x"), const(-0.0))
        program = Program("f", ("x",), (), value)
        points = np.array(
            [0, -0.0, 0.25, -0.25, 1, -1, 1.5, 2, 7.7, -40, 1e30, np.inf, -np.inf, np.nan]
        )
        for x in points.astype(dtype):
            many = room.call(program, (np.full((2, 3), x),), {})
            one = room.call(program, (np.full((1, 1), x),), {})
            assert (one.dtype, one.shape) == (dtype, (1, 1))
            np.testing.assert_array_equal(one, many[:1, :1], str(program))
            if not np.isnan(x):
                np.testing.assert_array_equal(
                    np.signbit(one), np.signbit(many[:1, :1]), str(program)
                )


@pytest.mark.parametrize("name", sorted(activations.ENTRIES))
def test_one_number_by_an_activation_of_the_catalogue(name):
    f = getattr(activations, name)
    if len(f.program.inputs) == 1:
        x = np.random.default_rng(0).normal(0, 3, 50).astype(np.float32)
        np.testing.assert_array_equal([f(x[i : i + 1])[0] for i in range(50)], f(x))


def test_a_small_call_says_nothing_and_leaves_the_state_as_it_was():
    f = activation(lambda x: 1 / x, name="f")
    with np.errstate(all="raise"):
        for x in (np.zeros(1), np.zeros(3)):
            np.testing.assert_array_equal(f(x), np.full(x.shape, np.inf))
            with pytest.raises(FloatingPointError):
                np.divide(1.0, x)
