"""`host=True`: a function that cannot be read keeps its value, gradient, dtype and shape, and says
clearly where it cannot go."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")

from actgrad import activation, trainable
from actgrad.errors import HostError, NoDerivativeError


class Opaque:
    """Software that cannot be read: it insists on real floats."""

    @staticmethod
    def cube(x):
        assert type(x) is float
        return float.fromhex(x.hex()) ** 3


def _cube(x, scale=1.0):
    return scale * Opaque.cube(x)


def _seven(x, scale):
    assert type(x) is float
    return float.fromhex((7.0 * scale).hex())


host = activation(_cube, surrogate=_seven, name="host_cube", host=True)
no_rule = activation(_cube, name="no_rule", host=True)
two = activation(
    lambda a, b: Opaque.cube(a) * b,
    derivative=lambda a, b: (3 * a * a * b, a * a * a),
    name="two",
    host=True,
)
X = np.array([[-1.5, 0.5], [2.0, 0.0]], np.float32)


def gradient(f, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    return tape.gradient(y, x)


AROUND = {
    "eager": lambda g: g,
    "tf.function": lambda g: tf.function(g, autograph=False),
    "reduce_retracing": lambda g: tf.function(g, autograph=False, reduce_retracing=True),
}


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_value_gradient_and_dtype(dtype, around):
    x = tf.constant(X, dtype)
    y = AROUND[around](host)(x)
    slope = AROUND[around](lambda x: gradient(host, x))(x)
    assert (y.dtype.name, slope.dtype.name) == (dtype, dtype)
    np.testing.assert_allclose(np.asarray(y, np.float64), X**3.0, rtol=1e-2)
    np.testing.assert_array_equal(np.asarray(slope, np.float64), np.full(X.shape, 7.0))


@pytest.mark.parametrize("around", AROUND)
def test_the_shared_parameter_reaches_both(around):
    x = tf.constant(X)
    np.testing.assert_allclose(AROUND[around](lambda x: host(x, scale=2.0))(x), 2 * X**3)
    found = AROUND[around](lambda x: gradient(lambda x: host(x, scale=2.0), x))(x)
    np.testing.assert_array_equal(found, np.full(X.shape, 14.0))


@pytest.mark.parametrize("shape", [[2, 3], [None, 3], [None, None], None], ids=str)
def test_static_shapes_are_kept(shape):
    function = tf.function(host, autograph=False)
    y = function.get_concrete_function(tf.TensorSpec(shape, tf.float32)).structured_outputs
    assert (y.shape.rank is None) if shape is None else (y.shape.as_list() == shape)


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (2, 1, 3)], ids=str)
@pytest.mark.parametrize("around", AROUND)
def test_shapes(shape, around):
    x = tf.constant(np.full(shape, 2.0, np.float32))
    y = AROUND[around](host)(x)
    assert y.shape == shape
    np.testing.assert_array_equal(y, np.full(shape, 8.0))
    assert AROUND[around](lambda x: gradient(host, x))(x).shape == shape


@pytest.mark.parametrize("around", AROUND)
def test_several_inputs_broadcast(around):
    a, b = tf.constant([[1.0], [2.0]]), tf.constant([3.0, 4.0, 5.0])

    def run(a, b):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            y = two(a, b)
        return y, tape.gradient(y, [a, b])

    y, (by_a, by_b) = AROUND[around](run)(a, b)
    np.testing.assert_allclose(y, [[3, 4, 5], [24, 32, 40]])
    np.testing.assert_allclose(by_a, [[36], [144]])
    np.testing.assert_allclose(by_b, [9, 9, 9])


def test_a_tensor_parameter_is_unconnected():
    """Its derivative is not known: None, as TensorFlow says it, and never a silent zero."""
    x, scale = tf.constant(X), tf.Variable(2.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = host(x, scale=scale)
    by_x, by_scale = tape.gradient(y, [x, scale])
    np.testing.assert_array_equal(by_x, np.full(X.shape, 14.0))
    assert by_scale is None


def test_without_a_rule_there_is_a_value_and_no_gradient():
    x = tf.constant(X)
    np.testing.assert_allclose(no_rule(x), X**3)
    with pytest.raises(NoDerivativeError, match=r"runs on the host(.|\n)*derivative="):
        gradient(no_rule, x)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_numpy(dtype):
    x = X.astype(dtype)
    y = host(x)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, X**3.0, rtol=1e-2)
    np.testing.assert_array_equal(host.derivative(x), np.full(X.shape, 7.0))
    assert host(2.0) == 8.0


def test_an_exception_of_the_function_arrives():
    def broken(x):
        raise RuntimeError("from the user's own code")

    with pytest.raises(Exception, match="from the user's own code"):
        activation(broken, name="broken", host=True, surrogate=1.0)(tf.constant(X))


def test_xla_names_the_cause():
    with pytest.raises(tf.errors.InvalidArgumentError, match="host_function_cannot_run_under_XLA"):
        tf.function(host, jit_compile=True, autograph=False)(tf.constant(X))


def test_its_repr_says_so():
    assert "runs on the host: cannot be saved, exported or compiled by XLA" in repr(host)


STORES = {
    "to_json": lambda path: host.to_json(),
    "save": lambda path: host.save(path),
    "get_config": lambda path: host.get_config(),
    "source": lambda path: host.source("tensorflow"),
    "pickle": lambda path: pickle.dumps(host),
    "layer config": lambda path: host.layer().get_config(),
}


@pytest.mark.parametrize("how", STORES)
def test_storing_is_refused(how, tmp_path):
    with pytest.raises(HostError, match="'host_cube' runs on the host"):
        STORES[how](tmp_path / "f.json")
    assert list(tmp_path.iterdir()) == []


def test_a_copy_is_itself():
    assert copy.deepcopy(host) is host


# Keras.

LAYERS = {
    "activation=": lambda: keras.layers.Dense(2, activation=host, kernel_initializer="identity"),
    "layer": lambda: keras.Sequential(
        [keras.layers.Dense(2, kernel_initializer="identity"), host.layer()]
    ),
}


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("way", [{"jit_compile": False}, {"run_eagerly": True}], ids=str)
def test_a_keras_model_learns_by_it(kind, way):
    model = keras.Sequential([keras.Input((2,)), LAYERS[kind]()])
    model.compile(optimizer=keras.optimizers.SGD(1.0), loss=lambda _, y: keras.ops.sum(y), **way)
    before = model.get_weights()[0]
    np.testing.assert_allclose(model.predict(X, verbose=0), X**3, rtol=1e-6)
    model.train_on_batch(X, np.zeros((2, 1)))
    np.testing.assert_allclose(before - model.get_weights()[0], 7 * X.T @ np.ones((2, 2)))


def test_a_layer_turns_xla_off_by_itself():
    layer = host.layer()
    assert layer.supports_jit is False
    model = keras.Sequential([keras.Input((2,)), layer])
    model.compile(optimizer="sgd", loss="mse")
    assert model.jit_compile is False


def test_a_layer_as_activation_turns_xla_off_by_itself():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, activation=host.layer())])
    model.compile(optimizer="sgd", loss="mse")
    assert model.jit_compile is False


def test_an_activation_under_xla_names_the_cause():
    model = keras.Sequential([keras.Input((2,)), LAYERS["activation="]()])
    model.compile(optimizer="sgd", loss="mse", jit_compile=True)
    with pytest.raises(Exception, match="host_function_cannot_run_under_XLA"):
        model.fit(X, X, verbose=0)


def test_a_layer_under_xla_is_run_without_it():
    model = keras.Sequential([keras.Input((2,)), host.layer()])
    with pytest.warns(UserWarning, match="doesn't support `jit_compile=True`"):
        model.compile(optimizer="sgd", loss="mse", jit_compile=True)
    assert model.jit_compile is False


@pytest.mark.parametrize("kind", LAYERS)
def test_saving_a_model_is_refused_before_anything_is_written(kind, tmp_path):
    model = keras.Sequential([keras.Input((2,)), LAYERS[kind]()])
    with pytest.raises(HostError, match="'host_cube' runs on the host"):
        model.save(tmp_path / "model.keras")
    # Keras opens the file before it asks what to write, and leaves it empty.
    assert [path.stat().st_size for path in tmp_path.iterdir()] in ([], [0])


def test_a_symbolic_tensor():
    inputs = keras.Input((None, 2))
    outputs = host(inputs)
    assert outputs.shape == (None, None, 2)
    found = keras.Model(inputs, outputs).predict(X[None], verbose=0)
    np.testing.assert_allclose(found, X[None] ** 3, rtol=1e-6)


def test_a_parameter_cannot_be_learnt():
    with pytest.raises(HostError, match="'scale' cannot be learnt"):
        host.layer(scale=trainable(1.0))
    assert math.isclose(host.parameters["scale"], 1.0)
