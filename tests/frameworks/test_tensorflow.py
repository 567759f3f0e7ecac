"""TensorFlow: in every mode the value is Python's, and the derivative is the one in force."""

from __future__ import annotations

import gc
import logging
import math
import threading

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from actgrad import activation
from actgrad.codegen.emit import kernel
from actgrad.errors import CallError, DtypeError, NoDerivativeError, TraceError
from actgrad.frameworks.tensorflow import dialect, rule
from actgrad.language.decomposed import DECOMPOSITIONS
from actgrad.language.expression import const, make, var
from actgrad.language.ops import OPS
from actgrad.language.program import Program
from tests.frameworks.conftest import CASES, of_one_case
from tests.process import python
from tests.sample import exhaustive_but

FLOATS = ["float16", "bfloat16", "float32", "float64"]
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def compiled(function, **options):
    return tf.function(function, autograph=False, **options)


def gradient(function, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return tape.gradient(y, x)


def forward(function, x):
    with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as accumulator:
        y = function(x)
    return accumulator.jvp(y)


def jacobian(function, x, which="jacobian", **options):
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = function(x)
    return getattr(tape, which)(y, x, **options)


def grad(function):
    return lambda x: gradient(function, x)


def jvp(function):
    return lambda x: forward(function, x)


# Values.

VALUE_MODES = {
    "eager": lambda f, x: f(x),
    "tf.function": lambda f, x: compiled(f)(x),
    "tf.function with AutoGraph": lambda f, x: tf.function(f)(x),
    "XLA": lambda f, x: compiled(f, jit_compile=True)(x),
    "vectorized_map": lambda f, x: tf.vectorized_map(f, x),
    "map_fn": lambda f, x: tf.map_fn(f, x),
    "variable": lambda f, x: f(tf.Variable(x)),
    "unknown batch": lambda f, x: compiled(f, input_signature=[tf.TensorSpec([None, 4])])(x),
    "unknown shape": lambda f, x: compiled(f, input_signature=[tf.TensorSpec([None, None])])(x),
    "unknown rank": lambda f, x: compiled(f, input_signature=[tf.TensorSpec(None)])(x),
    "transposed": lambda f, x: tf.transpose(f(tf.transpose(x))),
    "native": lambda f, x: f.activation.native("tensorflow")(x, **f.options),
    "ragged": lambda f, x: f(tf.RaggedTensor.from_tensor(x)).to_tensor(),
}


@pytest.mark.diagonal
@pytest.mark.parametrize("mode", VALUE_MODES)
def test_value(case, points, mode):
    y = VALUE_MODES[mode](case, tf.constant(points))
    assert y.dtype == tf.float32
    np.testing.assert_allclose(y, case.expected(0, points), **CLOSE)


# The derivative in force.


def persistent(f, x):
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = f(x)
    first = tape.gradient(y, x)
    np.testing.assert_array_equal(first, tape.gradient(y, x))
    return first


def upstream(f, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    return tape.gradient(y, x, output_gradients=tf.fill(x.shape, 2.0)) / 2.0


def inner_tape(f, x):
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = f(x)
        inner_gradient = inner.gradient(y, x)
        z = tf.reduce_sum(y)
    np.testing.assert_array_equal(outer.gradient(z, x), inner_gradient)
    return inner_gradient


def of_variable(f, x):
    v = tf.Variable(x)
    with tf.GradientTape() as tape:
        y = f(v)
    return tape.gradient(y, v)


def of_variable_in_function(f, x):
    v = tf.Variable(x)

    @compiled
    def step():
        with tf.GradientTape() as tape:
            y = f(v)
        return tape.gradient(y, v)

    return step()


def retraced(f, x):
    step = compiled(grad(f), reduce_retracing=True)
    for rows in (1, 2, 3):
        step(tf.ones([rows, 4]))
    return step(x)


def ragged(f, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = f(tf.RaggedTensor.from_row_lengths(x, [2, 0])).flat_values
    return tape.gradient(y, x)


def in_while_loop(f, x):
    def body(i, total):
        return i + 1, total + gradient(f, x)

    return tf.while_loop(lambda i, _: i < 3, body, (0, tf.zeros_like(x)))[1] / 3.0


def through_while_loop(f, x):
    """The gradient of y0 + f(x) + f(x) + f(x), taken through the loop itself."""

    def total(x):
        return tf.while_loop(lambda i, _: i < 3, lambda i, t: (i + 1, t + f(x)), (0, x * 0.0))[1]

    return gradient(total, x) / 3.0


def through_cond(f, x):
    return gradient(lambda x: tf.cond(tf.reduce_sum(x) > -1e9, lambda: f(x), lambda: x), x)


def gradients_function(f, x):
    return tf.gradients(f(x), x)[0]


def diagonal(four):
    return tf.einsum("abab->ab", four)


FIRST = {
    "eager": gradient,
    "tape in tf.function": lambda f, x: compiled(grad(f))(x),
    "tape around tf.function": lambda f, x: gradient(compiled(f), x),
    "tape around AutoGraph": lambda f, x: gradient(tf.function(f), x),
    "tf.function in tf.function": lambda f, x: compiled(grad(compiled(f)))(x),
    "XLA": lambda f, x: compiled(grad(f), jit_compile=True)(x),
    "tape around XLA": lambda f, x: gradient(compiled(f, jit_compile=True), x),
    "XLA in tf.function": lambda f, x: compiled(grad(compiled(f, jit_compile=True)))(x),
    "reduce_retracing": retraced,
    "persistent tape": persistent,
    "output_gradients": upstream,
    "nested tapes": inner_tape,
    "tf.gradients": lambda f, x: compiled(lambda x: gradients_function(f, x))(x),
    "jacobian": lambda f, x: diagonal(jacobian(f, x)),
    "jacobian without pfor": lambda f, x: diagonal(jacobian(f, x, experimental_use_pfor=False)),
    "jacobian in tf.function": lambda f, x: diagonal(compiled(lambda x: jacobian(f, x))(x)),
    "batch_jacobian": lambda f, x: tf.einsum("abb->ab", jacobian(f, x, "batch_jacobian")),
    "batch_jacobian in tf.function": lambda f, x: tf.einsum(
        "abb->ab", compiled(lambda x: jacobian(f, x, "batch_jacobian"))(x)
    ),
    "forward": forward,
    "forward in tf.function": lambda f, x: compiled(jvp(f))(x),
    "forward around tf.function": lambda f, x: forward(compiled(f), x),
    "forward in XLA": lambda f, x: compiled(jvp(f), jit_compile=True)(x),
    "forward around XLA": lambda f, x: forward(compiled(f, jit_compile=True), x),
    "vectorized_map of the gradient": lambda f, x: tf.vectorized_map(grad(f), x),
    "gradient of vectorized_map": lambda f, x: gradient(lambda x: tf.vectorized_map(f, x), x),
    "gradient of vectorized_map in tf.function": lambda f, x: compiled(
        grad(lambda x: tf.vectorized_map(f, x))
    )(x),
    "gradient of the second vectorized_map in tf.function": lambda f, x: compiled(
        lambda x: [gradient(lambda x: tf.vectorized_map(f, x), x) for _ in range(2)][1]
    )(x),
    "forward around vectorized_map": lambda f, x: forward(lambda x: tf.vectorized_map(f, x), x),
    "gradient of map_fn": lambda f, x: gradient(lambda x: tf.map_fn(f, x), x),
    "recompute_grad": lambda f, x: gradient(tf.recompute_grad(f), x),
    "recompute_grad in tf.function": lambda f, x: compiled(grad(tf.recompute_grad(f)))(x),
    "recompute_grad in XLA": lambda f, x: compiled(grad(tf.recompute_grad(f)), jit_compile=True)(x),
    "variable": of_variable,
    "variable in tf.function": of_variable_in_function,
    "unknown batch": lambda f, x: compiled(grad(f), input_signature=[tf.TensorSpec([None, 4])])(x),
    "unknown rank": lambda f, x: compiled(grad(f), input_signature=[tf.TensorSpec(None)])(x),
    "forward, unknown batch": lambda f, x: compiled(
        jvp(f), input_signature=[tf.TensorSpec([None, 4])]
    )(x),
    "ragged": ragged,
    "in a while_loop": lambda f, x: compiled(lambda x: in_while_loop(f, x))(x),
    "through a while_loop": lambda f, x: compiled(lambda x: through_while_loop(f, x))(x),
    "through cond": lambda f, x: compiled(lambda x: through_cond(f, x))(x),
    "native": lambda f, x: gradient(lambda x: f.activation.native("tensorflow")(x, **f.options), x),
}


@pytest.mark.diagonal
@pytest.mark.parametrize("mode", FIRST)
def test_first_derivative(case, points, mode):
    found = FIRST[mode](case, tf.constant(points))
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, case.expected(1, points), **CLOSE)


SECOND = {
    "reverse over reverse": lambda f, x: gradient(grad(f), x),
    "forward over reverse": lambda f, x: forward(grad(f), x),
    "reverse over forward": lambda f, x: gradient(jvp(f), x),
    "forward over forward": lambda f, x: forward(jvp(f), x),
    "jacobian of the gradient": lambda f, x: diagonal(jacobian(grad(f), x)),
    "gradient of the jacobian": lambda f, x: gradient(lambda x: diagonal(jacobian(f, x)), x),
    "vectorized_map of the second": lambda f, x: tf.vectorized_map(grad(grad(f)), x),
    "gradient of vectorized_map of the gradient": lambda f, x: gradient(
        lambda x: tf.vectorized_map(grad(f), x), x
    ),
    "gradient of the gradient of vectorized_map": lambda f, x: gradient(
        grad(lambda x: tf.vectorized_map(f, x)), x
    ),
}
AROUND = {
    "eager": lambda g: g,
    "tf.function": compiled,
    "XLA": lambda g: compiled(g, jit_compile=True),
}


@pytest.mark.diagonal
@of_one_case
@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("mode", SECOND)
def test_second_derivative(case, points, mode, around):
    found = AROUND[around](lambda x: SECOND[mode](case, x))(tf.constant(points))
    np.testing.assert_allclose(found, case.expected(2, points), rtol=1e-4, atol=1e-5)


SPLIT = {
    "reverse over reverse": lambda f, x: gradient(compiled(grad(f)), x),
    "reverse over a function's reverse": lambda f, x: gradient(grad(compiled(f)), x),
    "forward over reverse": lambda f, x: forward(compiled(grad(f)), x),
    "reverse over forward": lambda f, x: gradient(compiled(jvp(f)), x),
    "reverse over XLA": lambda f, x: gradient(compiled(grad(f), jit_compile=True), x),
}


@pytest.mark.diagonal
@pytest.mark.parametrize("mode", SPLIT)
def test_second_derivative_half_in_a_function(case, points, mode):
    found = SPLIT[mode](case, tf.constant(points))
    np.testing.assert_allclose(found, case.expected(2, points), rtol=1e-4, atol=1e-5)


THIRD = {
    "reverse over reverse over reverse": lambda f: grad(grad(grad(f))),
    "gradient of the second of vectorized_map": lambda f: grad(grad(grad(vectorized(f)))),
    "second of the jacobian": lambda f: grad(grad(lambda x: diagonal(jacobian(f, x)))),
}


def vectorized(function):
    return lambda x: tf.vectorized_map(function, x)


@pytest.mark.diagonal
@of_one_case
@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("mode", THIRD)
def test_third_derivative(case, points, mode, around):
    found = AROUND[around](THIRD[mode](case))(tf.constant(points))
    np.testing.assert_allclose(found, case.expected(3, points), rtol=1e-3, atol=1e-4)


@pytest.mark.exhaustive  # seconds each; tests/saved/test_tensorflow.py has one in make test
@pytest.mark.parametrize("around", AROUND)
def test_a_fourth_derivative_that_is_not_kept_is_no_number(around):
    fourth = lambda f: AROUND[around](grad(grad(grad(grad(vectorized(f))))))
    x = tf.constant([-0.7, 0.2])
    assert not np.isfinite(fourth(CASES["heaviside"])(x)).any()
    cube = activation(lambda x: x * x * x, name="cube")
    np.testing.assert_array_equal(fourth(lambda x: cube(x) + x**4)(x), [24.0, 24.0])


# Rules that are a whole gradient.


def _guided():
    def rule(x, upstream):
        return max(upstream, 0.0) if x > 0 else 0.0

    return activation(lambda x: max(x, 0.0), gradient=rule, name="guided")


@pytest.mark.parametrize("around", AROUND)
def test_a_gradient_rule_sees_the_upstream_gradient(around):
    guided = _guided()
    x = tf.constant([-1.0, 2.0, 3.0])

    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = guided(x)
        return tape.gradient(y, x, output_gradients=tf.constant([1.0, -5.0, 5.0]))

    np.testing.assert_array_equal(AROUND[around](run)(x), [0, 0, 5])


def test_a_gradient_rule_under_vectorized_map():
    found = tf.vectorized_map(grad(_guided()), tf.constant([-1.0, 2.0]))
    np.testing.assert_array_equal(found, [0, 1])


def test_a_gradient_rule_is_not_lost_around_vectorized_map():
    with pytest.raises(LookupError, match="gradient= rule"):
        gradient(lambda x: tf.vectorized_map(_guided(), x), tf.constant([-1.0, 2.0]))


@pytest.mark.parametrize("around", exhaustive_but(["tf.function"], AROUND))
def test_vectorized_map_over_several_inputs_and_parameters(around):
    a, b = tf.constant([[1.0, 2.0], [3.0, 4.0]]), tf.constant([0.5, -0.5])
    beta = tf.constant(1.5)

    def run(a, b, beta):
        with tf.GradientTape() as tape:
            tape.watch([a, b, beta])
            y = tf.vectorized_map(lambda row: gated(row[0], row[1], beta=beta), (a, b))
        return y, tape.gradient(y, [a, b, beta])

    def plain(a, b, beta):
        return a / (1 + np.exp(-beta * np.asarray(b)[:, None]))

    y, found = AROUND[around](run)(a, b, beta)
    np.testing.assert_allclose(y, plain(a, b, 1.5), rtol=1e-6)
    for i, part in enumerate(found):
        np.testing.assert_allclose(part, _numeric(plain, [a, b, beta], i), rtol=1e-4)


@pytest.mark.parametrize("around", AROUND)
def test_a_gradient_rule_has_no_forward_mode(around):
    with pytest.raises(NoDerivativeError, match="reverse mode only"):
        AROUND[around](jvp(_guided()))(tf.constant([1.0]))


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "XLA"])
@pytest.mark.parametrize("nested", [False, True], ids=["", "nested"])
def test_a_gradient_rule_is_refused_in_forward_mode_around_a_function(compiled, nested):
    x, upstream = tf.constant([1.0, 2.0, -1.0]), tf.constant([1.0, -1.0, 1.0])
    within = tf.function(_guided(), jit_compile=compiled)
    run = tf.function(lambda x: within(x), autograph=False) if nested else within
    np.testing.assert_array_equal(gradient(run, x), [1.0, 1.0, 0.0])
    with (
        pytest.raises(NoDerivativeError, match="reverse mode only"),
        tf.autodiff.ForwardAccumulator(x, upstream),
    ):
        run(x)
    np.testing.assert_array_equal(gradient(run, x), [1.0, 1.0, 0.0])


# Several inputs and parameters.


def _gated(a, b, beta=1.0):
    return a / (1 + math.exp(-beta * b))


gated = activation(_gated, name="gated")


def _numeric(function, arguments, i, h=1e-6):
    """Central differences of the sum, by each element of one argument, in NumPy float64."""
    arguments = [np.asarray(a, np.float64) for a in arguments]
    found = np.zeros_like(arguments[i])
    for at in np.ndindex(found.shape):
        up, down = arguments[i].copy(), arguments[i].copy()
        up[at] += h
        down[at] -= h
        sums = [np.sum(function(*arguments[:i], v, *arguments[i + 1 :])) for v in (up, down)]
        found[at] = (sums[0] - sums[1]) / (2 * h)
    return found


SHAPES = [
    ((2, 3), (2, 3), ()),
    ((2, 3), (3,), ()),
    ((3,), (2, 3), (3,)),
    ((2, 1), (1, 3), (2, 3)),
    ((), (2, 3), (3,)),
    ((2, 3), (), (2, 1)),
    ((0, 3), (3,), ()),
]


@pytest.mark.diagonal
@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_broadcast_gradients_are_summed_back(shapes, around):
    random = np.random.default_rng(0)
    arguments = [random.normal(size=shape) for shape in shapes]

    def run(a, b, beta):
        with tf.GradientTape() as tape:
            tape.watch([a, b, beta])
            y = gated(a, b, beta=beta)
        return y, tape.gradient(y, [a, b, beta])

    y, found = AROUND[around](run)(*map(tf.constant, arguments))
    a, b, beta = arguments
    np.testing.assert_allclose(y, a / (1 + np.exp(-beta * b)), rtol=1e-12)
    for i, part in enumerate(found):
        assert part.shape == shapes[i]
        oracle = _numeric(lambda a, b, beta: a / (1 + np.exp(-beta * b)), arguments, i)
        np.testing.assert_allclose(part, oracle, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("around", AROUND)
def test_broadcast_in_forward_mode(around):
    a, b = tf.constant([[1.0], [2.0]]), tf.constant([0.5, -0.5, 1.0])

    def run(a, b):
        with tf.autodiff.ForwardAccumulator([a, b], [tf.ones_like(a), tf.zeros_like(b)]) as acc:
            y = gated(a, b)
        return acc.jvp(y)

    expected = np.broadcast_to(1 / (1 + np.exp(-np.array([0.5, -0.5, 1.0]))), (2, 3))
    np.testing.assert_allclose(AROUND[around](run)(a, b), expected, rtol=1e-6)


def test_unknown_batch_dimensions_broadcast():
    @compiled
    def run(a, b):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            y = gated(a, b)
        assert y.shape.as_list() == [None, 3]
        return tape.gradient(y, [a, b])

    by_a, by_b = run.get_concrete_function(tf.TensorSpec([None, 3]), tf.TensorSpec([3]))(
        a=tf.ones([4, 3]), b=tf.zeros([3])
    )
    np.testing.assert_allclose(by_a, np.full((4, 3), 0.5))
    np.testing.assert_allclose(by_b, np.full(3, 1.0))


@pytest.mark.parametrize("around", AROUND)
def test_a_parameter_that_is_a_variable_learns(around):
    beta = tf.Variable([1.0, 2.0])
    a, b = tf.constant([1.0, 1.0]), tf.constant([0.3, -0.4])

    def run(a, b):
        with tf.GradientTape() as tape:
            y = gated(a, b, beta=beta)
        return tape.gradient(y, beta)

    s = 1 / (1 + np.exp(-np.array([0.3, -0.8])))
    expected = np.array([0.3, -0.4]) * s * (1 - s)
    np.testing.assert_allclose(AROUND[around](run)(a, b), expected, rtol=1e-5)


def test_a_surrogates_parameter_learns_through_the_second_derivative():
    """The value does not depend on the slope; its gradient does."""
    x, slope = tf.constant(0.4), tf.Variable(2.0)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = CASES["heaviside"].activation(x, slope=slope)
        first = inner.gradient(y, x)
    k, v = 2.0, 0.4
    expected = (1 - (k * v) ** 2) / (1 + (k * v) ** 2) ** 2
    np.testing.assert_allclose(outer.gradient(first, slope), expected, rtol=1e-6)


def test_no_gradient_is_computed_for_a_plain_number():
    x = tf.constant([1.0, 2.0])

    @compiled
    def run(x):
        return gradient(lambda x: gated(x, 1.0, beta=2.0), x)

    @compiled
    def run_learnt(x):
        beta = tf.constant(2.0)
        with tf.GradientTape() as tape:
            tape.watch([x, beta])
            y = gated(x, 1.0, beta=beta)
        return tape.gradient(y, [x, beta])

    def exponentials(function):
        graph = function.get_concrete_function(x).graph
        return len(graph.get_operations())

    assert exponentials(run) < exponentials(run_learnt)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = gated(x, 1.0, beta=2.0)
    assert tape.gradient(y, x) is not None


# Dtypes.


@pytest.mark.diagonal
@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("dtype", FLOATS)
def test_dtype_in_is_dtype_out(case, points, dtype, around):
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = case(x)
        return y, tape.gradient(y, x)

    x = tf.constant(points, dtype)
    y, slope = AROUND[around](run)(x)
    assert (y.dtype.name, slope.dtype.name) == (dtype, dtype)
    exact = x.numpy().astype(np.float64)
    # Half types compute in float32: at most half a unit of their own is lost at the end.
    eps = {"float16": 2**-11, "bfloat16": 2**-8, "float32": 2**-21, "float64": 2**-50}[dtype]
    for found, order in ((y, 0), (slope, 1)):
        expected = case.expected(order, exact)
        np.testing.assert_allclose(found.numpy().astype(np.float64), expected, rtol=1.01 * eps)


def test_half_types_compute_in_float32():
    """x * 1000 - x * 999 has nothing left in float16 arithmetic."""
    near = activation(lambda x: x * 1000 - x * 999, name="near")
    x = tf.constant([0.1, 0.3, 60.0], tf.float16)
    np.testing.assert_allclose(near(x), x, rtol=1e-3)
    np.testing.assert_allclose(forward(near, x), 1.0, rtol=1e-3)


@pytest.mark.parametrize(
    ("tensor", "way_out"),
    [([1, 2], "tf.cast"), ([1 + 1j], "tf.complex"), ([True], "tf.cast"), (["a"], "tf.cast")],
    ids=["integer", "complex", "boolean", "text"],
)
@pytest.mark.parametrize("around", ["eager", "tf.function"])
def test_other_dtypes_are_refused(case, tensor, way_out, around):
    x = tf.constant(tensor)
    with pytest.raises(DtypeError, match=rf"{case.activation.name}.*{x.dtype.name}") as caught:
        AROUND[around](case)(x)
    assert way_out in str(caught.value)


def _dtypes(graph):
    found = {output.dtype.name for node in graph.get_operations() for output in node.outputs}
    for function in graph._functions.values() if hasattr(graph, "_functions") else ():
        found |= _dtypes(function.graph) if hasattr(function, "graph") else set()
    return found


@pytest.mark.diagonal
@pytest.mark.parametrize(
    "beta", [2.0, np.float64(2.0), np.array([1.0, 2.0, 3.0]), [1, 2, 3]], ids=repr
)
@pytest.mark.parametrize("shape", [[2, 3], [None, 3], None], ids=str)
def test_no_float64_in_a_float32_graph(beta, shape):
    @compiled
    def run(x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            first = gradient(lambda x: gated(x, 0.5, beta=beta), x)
        return first, outer.gradient(first, x, unconnected_gradients="zero")

    dtypes = _dtypes(run.get_concrete_function(tf.TensorSpec(shape, tf.float32)).graph)
    assert "float32" in dtypes
    assert not dtypes & {"float64", "int64", "float16"}


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("float16", "float32", "float32"),
        ("float16", "bfloat16", "float32"),
        ("float32", "float64", "float64"),
        ("bfloat16", "bfloat16", "bfloat16"),
    ],
)
def test_inputs_of_several_dtypes_promote(first, second, expected):
    a, b = tf.ones([2], first), tf.ones([2], second)
    with tf.GradientTape() as tape:
        tape.watch([a, b])
        y = gated(a, b)
    assert y.dtype.name == expected
    assert [part.dtype.name for part in tape.gradient(y, [a, b])] == [first, second]


@pytest.mark.parametrize("other", [1, 1.0, [1.0, 1.0], np.ones(2), np.ones(2, int), np.float64(1)])
@pytest.mark.parametrize("swap", [False, True])
def test_arrays_and_numbers_take_the_tensors_dtype(other, swap):
    pair = (tf.ones([2]), other)
    assert gated(*(pair[::-1] if swap else pair)).dtype == tf.float32


# Shapes, special values, graphs.


@pytest.mark.diagonal
@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1,), (2, 1, 3)], ids=str)
def test_shapes(case, shape, around):
    x = tf.constant(np.full(shape, 0.7, np.float32))
    y = AROUND[around](case)(x)
    slope = AROUND[around](grad(case))(x)
    assert y.shape == slope.shape == shape
    np.testing.assert_allclose(y, case.expected(0, x), rtol=1e-5)
    np.testing.assert_allclose(slope, case.expected(1, x), rtol=1e-5)


def _keep(x):
    return x


def _either(x):
    return x if x > 0 else -0.0


def _third(x):
    return x * x * x


SPECIAL = [0.0, -0.0, math.inf, -math.inf, math.nan]


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("function", [_keep, _either, _third], ids=lambda f: f.__name__)
def test_special_values(function, around):
    tf.constant(
        0.0
    )  # so that TensorFlow has this one in its cache of scalars, which takes -0.0 for it
    found = AROUND[around](activation(function))(tf.constant(SPECIAL)).numpy()
    expected = np.array([function(x) for x in SPECIAL], np.float32)
    np.testing.assert_array_equal(found, expected)
    signs = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(found)[signs], np.signbit(expected)[signs])


def _log_or_zero(x):
    return math.log(x) if x > 0 else 0.0


def _sqrt_or_line(x):
    return math.sqrt(x) if x > 0 else x


def _power(x):
    return x**1.5 if x > 0 else 0.0


def _exp_or_line(x):
    return math.exp(x) if x < 50 else x


@pytest.mark.diagonal
@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("order", [0, 1, 2, 3])
@pytest.mark.parametrize(
    "function", [_log_or_zero, _sqrt_or_line, _power, _exp_or_line], ids=lambda f: f.__name__
)
def test_a_dead_branch_gives_no_nan(function, order, around):
    derived = activation(function)
    for _ in range(order):
        derived = grad(derived)
    x = tf.constant([-2.0, 0.0, 1e4])
    assert np.isfinite(AROUND[around](derived)(x)).all()


@pytest.mark.parametrize("shape", [[2, 3], [None, 3], [None, None], None], ids=str)
def test_static_shapes_are_kept(case, shape):
    seen = []

    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = case(x)
        slope = tape.gradient(y, x)
        seen.extend([y.shape, slope.shape])
        return slope

    compiled(run).get_concrete_function(tf.TensorSpec(shape, tf.float32))
    assert [s.rank if shape is None else s.as_list() for s in seen] == [shape, shape]


@pytest.mark.parametrize(
    ("name", "scope"),
    [
        ("spiky", "spiky"),
        ("_own", "own"),
        ("<lambda>", "lambda_"),
        ("σ", "activation"),
        ("a b/c", "a_b_c"),
    ],
)
def test_its_name_is_in_the_graph(name, scope):
    named = activation(lambda x: x * 2, name=name)
    graph = compiled(named).get_concrete_function(tf.TensorSpec([2])).graph
    assert any(node.name.startswith(f"{scope}/") for node in graph.get_operations())


def test_the_graph_holds_native_operations_only(case):
    graph = compiled(grad(case)).get_concrete_function(tf.TensorSpec([2])).graph
    kinds = {node.type for node in graph.get_operations()}
    assert not {kind for kind in kinds if "PyFunc" in kind or "Stateful" in kind}


def test_autograph_has_nothing_to_convert(case, caplog):
    with caplog.at_level(logging.WARNING, logger="tensorflow"):
        tf.function(case.activation)(tf.constant([1.0]))
        tf.function(case.activation.native("tensorflow"))(tf.constant([1.0]))
    assert "AutoGraph" not in caplog.text


def _branch(x):
    return x * x if x > 0 else 0.0


def _seven(x):
    return 7.0


def test_an_activation_is_made_inside_of_a_function():
    make_and_call = tf.function(lambda x: activation(_branch, surrogate=_seven)(x))
    assert gradient(make_and_call, tf.constant([2.0, -2.0])).numpy().tolist() == [7.0, 7.0]


def test_a_function_that_autograph_rewrote_is_refused():
    @tf.function
    def run(x):
        def inner(x):
            return x * x if x > 0 else 0.0

        return activation(inner)(x)

    with pytest.raises(TraceError, match="Define it outside"):
        run(tf.constant([1.0]))


# What is kept for the backward pass.


def _mish(x):
    return x * math.tanh(math.log(1 + math.exp(x)))


def _tensors_kept(function):
    shape = (77, 13)
    x = tf.random.normal(shape)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = function(x)
    del y
    gc.collect()
    eager = type(x)
    kept = [t for t in gc.get_objects() if type(t) is eager and t.shape == shape]
    del tape
    return len(kept) - 1  # without x, which the caller has anyway


def test_only_the_input_is_kept_for_the_backward_pass():
    assert _tensors_kept(activation(_mish)) == 0
    # What a formula in TensorFlow's operations keeps: so that the count above can be trusted.
    assert _tensors_kept(lambda x: x * tf.tanh(tf.math.log(1 + tf.exp(x)))) >= 3


def test_only_the_input_is_kept_by_a_function():
    """Its forward half hands on to its backward half the input, and no intermediate."""
    step = compiled(activation(_mish))
    assert _tensors_kept(step) <= 1  # the input again, as a tensor of the graph
    assert _tensors_kept(compiled(lambda x: x * tf.tanh(tf.math.log(1 + tf.exp(x))))) >= 3


# Identity is content.


def test_an_edit_under_the_same_name_takes_effect():
    def define(factor, slope):
        return activation(lambda x: x * factor, surrogate=slope, name="edited")

    step = compiled(lambda f, x: (f(x), gradient(f, x)))
    x = tf.constant([2.0])
    edits = [define(*edit) for edit in [(2.0, 7.0), (3.0, 7.0), (3.0, 5.0), (2.0, 7.0)]]
    for edited, (factor, slope) in zip(edits, [(2, 7), (3, 7), (3, 5), (2, 7)], strict=True):
        for run in (step, compiled(step.python_function, jit_compile=True)):
            y, d = run(edited, x)
            np.testing.assert_array_equal([y[0], d[0]], [2 * factor, slope])
        np.testing.assert_array_equal(gradient(edited, x), [slope])
    # Three different activations, three traces: the fourth is the first again.
    assert step.experimental_get_tracing_count() == 3


def test_threads_may_call_a_first_time_at_once():
    fresh = activation(lambda x: x * x * x + 0.123456, surrogate=7, name="fresh")
    x = tf.constant([1.0, 2.0])
    gate, found, failed = threading.Barrier(8), [], []

    def work(i):
        gate.wait()
        try:
            mode = (fresh, compiled(fresh))[i % 2]
            found.append((mode(x).numpy(), gradient(mode, x).numpy()))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(found) == 8
    np.testing.assert_allclose([y for y, _ in found], [[1.123456, 8.123456]] * 8, rtol=1e-6)
    np.testing.assert_array_equal([d for _, d in found], [[7, 7]] * 8)


# Wrong use.


def test_the_wrong_number_of_inputs():
    with pytest.raises(CallError, match=r"takes 2 inputs \(a, b\), and got 1"):
        gated(tf.ones([2]))


def test_an_unknown_parameter():
    with pytest.raises(CallError, match="did you mean 'beta'"):
        gated(tf.ones([2]), tf.ones([2]), betta=1.0)


@pytest.mark.parametrize("value", ["a", None, True, 1j, tf.constant("a")], ids=repr)
def test_a_parameter_that_is_no_number(value):
    with pytest.raises(CallError, match=r"'beta' of 'gated' must be a number"):
        gated(tf.ones([2]), tf.ones([2]), beta=value)


@pytest.mark.parametrize("other", ["a", None, [None], {}], ids=repr)
def test_an_input_that_is_no_tensor(other):
    with pytest.raises(CallError, match=r"'gated' takes dense tensors"):
        gated(tf.ones([2]), other)


def test_a_sparse_tensor():
    with pytest.raises(CallError, match=r"SparseTensor(.|\n)*tf.sparse.to_dense"):
        gated(tf.sparse.from_dense([1.0, 0.0]), 1.0)


def test_ragged_tensors_of_other_rows():
    a, b = tf.ragged.constant([[1.0, 2.0], [3.0]]), tf.ragged.constant([[1.0], [2.0, 3.0]])
    with pytest.raises(tf.errors.InvalidArgumentError, match="row_splits"):
        gated(a, b)


# Each operation over its whole range, against NumPy.

ARITHMETIC = set(
    "neg abs add sub mul div floordiv mod hypot copysign floor ceil trunc round sqrt".split()
)
# TensorFlow's and XLA's own functions, which are what they are.
KNOWN = {
    ("erfc", "float32"): 64,
    ("erfc", "float64"): 512,
    ("log1p", "float64"): 128,
    ("atanh", "float64"): 128,
    ("pow", "float64"): 32,
}


def _range(dtype):
    random = np.random.default_rng(0)
    info = np.finfo(dtype)
    wide = np.log([float(info.tiny) * 1e4, float(info.max) / 1e2])
    positive = np.concatenate(
        [
            random.uniform(0, 3, 800),
            random.uniform(0, 100, 800),
            np.exp(random.uniform(*wide, 800)),
            [0.0, 0.1, 0.3, 0.5, 1, 1.5, 2, 2.5, 3, 7, 8, 10, 27, 64, 100, 1000, 1e6, math.inf],
        ]
    )
    return np.concatenate([positive, -positive, [math.nan]]).astype(dtype)


def _arguments(arity, dtype):
    x = _range(dtype)
    if arity == 1:
        return [x]
    random = np.random.default_rng(1)
    special = np.array(SPECIAL + [1, -1, 2, -2, 3, -3, 0.5, -0.5, 7, 1e30, -1e30], dtype)
    a, b = np.meshgrid(special, special)
    few = random.uniform(-5, 5, x.size).round(1).astype(dtype)
    return [
        np.concatenate([x, x, a.ravel()]),
        np.concatenate([random.permutation(x), few, b.ravel()]),
    ]


NUMERIC = [
    name
    for name, op in OPS.items()
    if name not in ("gather", "given", "host", *DECOMPOSITIONS) and not op.boolean
]


@pytest.mark.diagonal
@pytest.mark.parametrize("around", ["eager", "XLA"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [name for name in NUMERIC if name != "select"])
def test_operation(name, dtype, around):
    op = OPS[name]
    names = ("x", "y")[: op.arity]
    program = Program(f"op_{name}", names, (), make(name, *map(var, names)))
    arguments = _arguments(op.arity, dtype)
    wider = np.float64 if dtype == "float32" or name in ("erf", "erfc") else np.longdouble
    with np.errstate(all="ignore"):
        exact = np.asarray(op.numpy(*(a.astype(wider) for a in arguments)))
        expected = exact.astype(dtype)
    function = kernel(program, dialect.DIALECT, rule.host)
    found = AROUND[around](function)(*map(tf.constant, arguments)).numpy()

    # TensorFlow takes subnormal numbers for zero, as XLA does.
    tiny = float(np.finfo(dtype).tiny) * 1e4
    normal = (expected == 0) | (np.abs(expected) > tiny) | np.isnan(expected)
    np.testing.assert_array_equal(np.isnan(found)[normal], np.isnan(expected)[normal])
    infinite = np.isinf(expected)
    np.testing.assert_array_equal(found[infinite], expected[infinite])
    zero = normal & (expected == 0)
    np.testing.assert_array_equal(np.signbit(found)[zero], np.signbit(expected)[zero])
    with np.errstate(all="ignore"):
        ulp = np.abs((found - exact) / np.spacing(np.abs(expected)))
    worst = np.max(ulp, where=normal & np.isfinite(expected), initial=0)
    assert worst <= KNOWN.get((name, dtype), 4 if name in ARITHMETIC else 16)


@pytest.mark.parametrize("around", ["eager", "XLA"])
@pytest.mark.parametrize("name", ["lt", "le", "eq"])
def test_comparison(name, around):
    program = Program(
        f"op_{name}",
        ("x", "y"),
        (),
        make("select", make(name, var("x"), var("y")), const(1.0), const(0.0)),
    )
    x, y = (a.ravel().astype(np.float32) for a in np.meshgrid(SPECIAL + [1, 2], SPECIAL + [1, 2]))
    found = AROUND[around](kernel(program, dialect.DIALECT, rule.host))(
        tf.constant(x), tf.constant(y)
    )
    np.testing.assert_array_equal(found, OPS[name].numpy(x, y).astype(np.float32))


@pytest.mark.parametrize("around", ["eager", "XLA"])
@pytest.mark.parametrize(("base", "function"), [(2.0, math.log2), (10.0, math.log10)])
def test_logarithms_of_whole_powers_are_whole(base, function, around):
    powers = np.arange(-30, 31) if base == 2 else np.arange(0, 11)
    x = tf.constant(base**powers, tf.float32)
    np.testing.assert_array_equal(AROUND[around](activation(lambda x: function(x)))(x), powers)


# In another process: they change what the whole process does.

TF1 = """
import numpy as np, tensorflow as tf
from actgrad import activation
tf1 = tf.compat.v1
if {disable}:
    tf1.disable_v2_behavior()
step = activation(lambda x, slope=2.0: 1.0 if x >= 0 else 0.0, name="step",
                  surrogate=lambda x, slope: slope / (1 + (slope * x) * (slope * x)))
seven = activation(lambda x: x * x, name="seven", surrogate=7)
product = activation(lambda a, b: a * b + a, name="product")
with tf.Graph().as_default():
    x = tf1.placeholder(tf.float32, [None, 3])
    free = tf1.placeholder(tf.float32)
    slope = tf1.get_variable("slope", initializer=3.0)
    y = step(x, slope=slope)
    first, = tf1.gradients(y, x)
    second, = tf1.gradients(first, x)
    by_slope, = tf1.gradients(first, slope)
    seven_first, = tf1.gradients(seven(free), free)
    whole = tf1.gradients(product(x, free), [x, free])
    assert y.shape.as_list() == first.shape.as_list() == [None, 3]
    assert seven(free).shape.rank is None
    assert any(op.name.startswith("step/") for op in tf1.get_default_graph().get_operations())
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        feed = {{x: [[-1.0, 0.0, 1.0]], free: [5.0]}}
        found = session.run([y, first, second, by_slope, seven_first, *whole], feed)
expected = [[[0, 1, 1]], [[0.3, 3, 0.3]], [[0.54, 0, -0.54]], 1 - 16 / 100, [7], [[6, 6, 6]], [0]]
assert len(found) == len(expected)
for got, want in zip(found, expected):
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
print("done")
"""

MIRRORED = """
import numpy as np, tensorflow as tf
from actgrad import activation
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
seven = activation(lambda x: x * x, name="seven", surrogate=7)
gate = activation(lambda x, beta=1.0: beta * x, name="gate")
with strategy.scope():
    v, beta = tf.Variable([1.0, -2.0]), tf.Variable(3.0)

def step(x):
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(seven(v)) + tf.reduce_sum(gate(x, beta=beta))
    by_v, by_beta = tape.gradient(y, [v, beta])
    context = tf.distribute.get_replica_context()
    return context.all_reduce("sum", by_v), context.all_reduce("sum", by_beta)

def share(context):
    return tf.constant([1.0, 2.0]) * (context.replica_id_in_sync_group + 1)

assert strategy.num_replicas_in_sync == 2
x = strategy.experimental_distribute_values_from_function(share)
for run in (strategy.run, tf.function(lambda *a, **k: strategy.run(*a, **k), autograph=False)):
    by_v, by_beta = run(step, args=(x,))
    for replica in strategy.experimental_local_results(by_v):
        np.testing.assert_array_equal(replica, [14, 14])
    for replica in strategy.experimental_local_results(by_beta):
        np.testing.assert_array_equal(replica, 9)
print("done")
"""


@pytest.mark.exhaustive  # tests/documents/test_d1_spiky.py has one in make test
@pytest.mark.parametrize(
    "disable",
    [False, True],
    ids=["a v1 graph", "v2 behaviour disabled"],
)
def test_a_tensorflow_1_session(disable):
    assert python("-c", TF1.format(disable=disable))[-1] == "done"


@pytest.mark.exhaustive
def test_mirrored_strategy():
    assert python("-c", MIRRORED)[-1] == "done"
