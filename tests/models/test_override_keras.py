"""`override` and `replace` on Keras models that are built."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from actgrad import activation, override, replace, trainable
from actgrad.errors import CallError, DefinitionError, OverrideError, UnreachedWarning

tf = pytest.importorskip("tensorflow")
if keras.config.backend() != "tensorflow":
    pytest.skip("gradients are taken with TensorFlow's tape here", allow_module_level=True)


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(2)


@activation(gradient=lambda x, grad: max(grad, 0.0) if x > 0 else 0.0)
def guided(x):
    return max(x, 0.0)


@activation(surrogate=lambda x: 7.0)
def seven(x):
    return max(x, 0.0)


@activation
def cube(x):
    return x**3


def dense(*activations, units=3):
    layers = [keras.layers.Dense(units, activation=f) for f in activations]
    return keras.Sequential([keras.Input((2,)), *layers])


X = np.array([[1.0, -2.0], [0.5, 3.0]], "float32")


def gradient(model, x=X):
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = model(x)
    return tape.gradient(y, x).numpy()


def by_hand(model, rule, x=X):
    """The gradient of the sum of the outputs, for layers of Dense, with this rule at each relu."""
    values, zs = x, []
    for layer in model.layers:
        kernel, bias = layer.get_weights()
        z = values @ kernel + bias
        zs.append((z, kernel))
        values = np.maximum(z, 0)
    upstream = np.ones_like(values)
    for z, kernel in reversed(zs):
        upstream = rule(z, upstream) @ kernel.T
    return upstream


def test_guided_backpropagation_in_three_lines():
    model = dense("relu", "relu", "relu")
    before = gradient(model)
    with override(model, "relu", guided):
        inside = gradient(model)
    expected = by_hand(model, lambda z, up: np.where(z > 0, np.maximum(up, 0), 0))
    np.testing.assert_allclose(inside, expected, rtol=1e-5)
    assert not np.allclose(inside, before), "or this network shows nothing"
    np.testing.assert_array_equal(gradient(model), before)
    np.testing.assert_allclose(
        before, by_hand(model, lambda z, up: np.where(z > 0, up, 0)), rtol=1e-5
    )


def test_only_the_derivative():
    model = dense("relu")
    value = model(X).numpy()
    with override(model, "relu", surrogate=lambda x: 7.0):
        np.testing.assert_array_equal(model(X).numpy(), value)
        got = gradient(model)
    np.testing.assert_allclose(got, by_hand(model, lambda z, up: 7 * up), rtol=1e-5)


@pytest.mark.parametrize(
    "rule",
    [{"surrogate": lambda x: 7.0}, {"gradient": lambda x, grad: 7 * grad}],
    ids=["surrogate", "gradient"],
)
def test_only_the_derivative_of_ones_own_activation(rule):
    model = dense(cube)
    value = model(X).numpy()
    with override(model, cube, **rule):
        np.testing.assert_array_equal(model(X).numpy(), value)
        np.testing.assert_allclose(gradient(model), by_hand(model, lambda z, up: 7 * up), rtol=1e-5)


OLD = {
    "name": "relu",
    "function": keras.activations.relu,
    "type": keras.layers.Dense,
}


@pytest.mark.parametrize("old", OLD.values(), ids=OLD)
def test_what_old_may_be(old):
    model = dense("relu")
    with override(model, old, seven):
        assert model.layers[0].activation == seven
    assert model.layers[0].activation is keras.activations.relu


def test_old_may_be_one_layer():
    model = dense("relu", "relu")
    with override(model, model.layers[1], seven):
        assert [layer.activation for layer in model.layers] == [keras.activations.relu, seven]


def test_old_may_be_an_activation_by_content():
    model = dense(cube, seven)
    with override(model, activation(lambda x: x**3, name="cube"), seven):
        assert [layer.activation for layer in model.layers] == [seven, seven]
    assert [layer.activation for layer in model.layers] == [cube, seven]


def test_old_may_be_the_python_function():
    def own(x):
        return x * 2

    model = dense(activation(own))
    with override(model, own, seven):
        assert model.layers[0].activation == seven


def test_an_alias_of_a_name():
    model = dense("silu")
    with override(model, "swish", seven):
        assert model.layers[0].activation == seven


LAYERS = {
    "ReLU": (keras.layers.ReLU, "relu"),
    "ELU": (keras.layers.ELU, "elu"),
    "ReLU by type": (keras.layers.ReLU, keras.layers.ReLU),
    "LeakyReLU by type": (keras.layers.LeakyReLU, keras.layers.LeakyReLU),
    "Activation": (lambda: keras.layers.Activation("relu"), "relu"),
    "ours": (seven.layer, seven),
}


@pytest.mark.parametrize("case", LAYERS)
def test_layers_that_are_activations(case):
    make, old = LAYERS[case]
    inputs = keras.Input((2,))
    model = keras.Model(inputs, make()(inputs))
    kind, names = type(model.layers[1]), set(vars(model.layers[1]))
    before, slope = model(X).numpy(), gradient(model)
    with override(model, old, cube):
        np.testing.assert_allclose(model(X).numpy(), X**3, rtol=1e-6)
        np.testing.assert_allclose(gradient(model), 3 * X**2, rtol=1e-6)
    assert type(model.layers[1]) is kind
    assert set(vars(model.layers[1])) == names
    np.testing.assert_array_equal(model(X).numpy(), before)
    np.testing.assert_array_equal(gradient(model), slope)


def test_only_the_derivative_of_a_layer_with_options():
    model = keras.Sequential([keras.Input((2,)), keras.layers.LeakyReLU(negative_slope=0.25)])
    with override(model, keras.layers.LeakyReLU, surrogate=lambda x: 7.0):
        np.testing.assert_allclose(model(X).numpy(), np.where(X > 0, X, X / 4))
        np.testing.assert_allclose(gradient(model), 7.0 * np.ones_like(X))


def test_a_relu_with_options_is_not_called_relu():
    model = keras.Sequential([keras.Input((2,)), keras.layers.ReLU(max_value=6.0)])
    with pytest.raises(OverrideError, match=r"relu\(.*max_value=6"), override(model, "relu", cube):
        pass


def test_a_trainable_layer_keeps_its_weight():
    @activation
    def scaled(x, beta=1.0):
        return beta * x

    layer = scaled.layer(beta=trainable(3.0))
    model = keras.Sequential([keras.Input((2,)), layer])
    with override(model, scaled, surrogate=lambda x: 7.0):
        np.testing.assert_allclose(model(X).numpy(), 3 * X)
        np.testing.assert_allclose(gradient(model), 7 * np.ones_like(X))
    np.testing.assert_allclose(gradient(model), 3 * np.ones_like(X))
    with (
        pytest.raises(OverrideError, match="parameters \\['beta'\\]"),
        override(model, scaled, cube),
    ):
        pass
    assert layer.program == scaled.program


def test_inside_nested_models_and_wrappers():
    inner = dense("relu")
    wrapped = keras.layers.TimeDistributed(keras.layers.Dense(2, activation="relu"))
    model = keras.Sequential([keras.Input((4, 2)), wrapped, keras.layers.Flatten()])
    outer = keras.Sequential([keras.Input((2,)), inner, keras.layers.Dense(2, "relu")])
    with override(model, "relu", seven), override(outer, "relu", seven):
        assert wrapped.layer.activation == seven
        assert inner.layers[0].activation == seven
        assert outer.layers[1].activation == seven
    assert inner.layers[0].activation is keras.activations.relu


def test_recurrent_activations_by_name():
    model = keras.Sequential([keras.Input((3, 2)), keras.layers.LSTM(2)])
    with override(model, "sigmoid", cube):
        assert model.layers[0].cell.recurrent_activation == cube
    assert model.layers[0].cell.recurrent_activation is keras.activations.sigmoid


def test_scopes_nest():
    model = dense("relu")
    with override(model, "relu", seven):
        with override(model, seven, cube):
            assert model.layers[0].activation == cube
        assert model.layers[0].activation == seven
    assert model.layers[0].activation is keras.activations.relu


def test_an_exception_restores_and_passes():
    model = dense("relu")
    with pytest.raises(RuntimeError, match="mine"), override(model, "relu", seven):
        raise RuntimeError("mine")
    assert model.layers[0].activation is keras.activations.relu


def test_a_failure_on_the_way_in_restores_what_was_done():
    @activation
    def scaled(x, beta=1.0):
        return beta * x

    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(2, scaled), scaled.layer(beta=trainable())]
    )
    with pytest.raises(OverrideError), override(model, "scaled", cube):
        pass
    assert model.layers[0].activation == scaled


@pytest.mark.parametrize("jit", [False, True], ids=["graph", "xla"])
def test_what_was_compiled_is_compiled_anew(jit):
    model = dense("relu", units=1)
    model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=jit)
    x, y = X, np.zeros((2, 1), "float32")
    model.fit(x, y, verbose=0)
    before = model.predict(x, verbose=0), model.evaluate(x, y, verbose=0)
    with override(model, "relu", lambda z: z * 0 + 5.0):
        np.testing.assert_array_equal(model.predict(x, verbose=0), np.full((2, 1), 5.0))
        assert model.evaluate(x, y, verbose=0) == 25.0
        assert model.fit(x, y, verbose=0).history["loss"] == [25.0]
    np.testing.assert_array_equal(model.predict(x, verbose=0), before[0])
    assert model.evaluate(x, y, verbose=0) == before[1]


def test_training_sees_the_derivative():
    model = dense("relu", units=1)
    model.layers[0].set_weights([np.zeros((2, 1)), np.array([-1.0])])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    y = np.ones((2, 1), "float32")
    model.fit(X, y, verbose=0)
    assert model.layers[0].bias.numpy() == -1.0, "a dead relu does not learn"
    with override(model, "relu", surrogate=lambda x: 1.0):
        model.fit(X, y, verbose=0)
    # loss = (0 - 1)^2, slope -2, derivative 1, step 0.1
    np.testing.assert_allclose(model.layers[0].bias.numpy(), -0.8, rtol=1e-6)


def test_replace_is_for_good_and_saved(tmp_path):
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(3, "relu"),
            keras.layers.ReLU(),
            keras.layers.Dense(1),
        ]
    )
    assert replace(model, {"relu": cube}) is model
    want = model(X).numpy()
    kernel, bias = model.layers[0].get_weights()
    hidden = ((X @ kernel + bias) ** 3) ** 3
    np.testing.assert_allclose(want, hidden @ model.layers[2].get_weights()[0], rtol=1e-4)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(X).numpy(), want)


def test_replace_swaps_two_at_once():
    model = dense("relu", "tanh")
    replace(model, {"relu": "tanh", "tanh": "relu"})
    names = [layer.activation.__name__ for layer in model.layers]
    assert names == ["tanh", "relu"]


def test_replace_changes_nothing_when_one_is_not_found():
    model = dense("relu")
    with pytest.raises(OverrideError, match="selu"):
        replace(model, {"relu": cube, "selu": cube})
    assert model.layers[0].activation is keras.activations.relu


def test_not_found_lists_what_there_is():
    model = dense("relu", "tanh")
    with pytest.raises(OverrideError) as raised, override(model, "tahn", seven):
        pass
    text = str(raised.value)
    assert "'tahn'; did you mean 'tanh'?" in text
    assert f"relu: {model.layers[0].name}.activation" in text


def test_functional_calls_are_reported():
    inputs = keras.Input((2,))
    hidden = keras.layers.Dense(2, activation="relu")(inputs)
    model = keras.Model(inputs, keras.ops.relu(hidden))
    with pytest.warns(UnreachedWarning, match="graph of"), override(model, "relu", seven):
        assert model.layers[1].activation == seven


def test_functional_calls_alone_are_an_error():
    class Own(keras.Model):
        def call(self, x):
            return keras.ops.relu(x)

    with pytest.raises(OverrideError, match=r"`Own\.call`"), override(Own(), "relu", seven):
        pass


def test_attributes_of_ones_own_layer():
    class Own(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.bend = keras.activations.relu
            self.shape = cube

        def call(self, x):
            return self.bend(x) + self.shape(x)

    layer = Own()
    with override(layer, "relu", seven), override(layer, cube, seven):
        np.testing.assert_allclose(layer(X).numpy(), 2 * np.maximum(X, 0))
    np.testing.assert_allclose(layer(X).numpy(), np.maximum(X, 0) + X**3, rtol=1e-6)


def test_a_layer_cannot_be_put_in():
    with (
        pytest.raises(OverrideError, match="weights"),
        override(dense("relu"), "relu", keras.layers.PReLU()),
    ):
        pass


@pytest.mark.parametrize("arguments", [{}, {"new": "tanh", "surrogate": lambda x: 1.0}])
def test_one_of_new_and_the_rules(arguments):
    with (
        pytest.raises(DefinitionError, match="override takes one of"),
        override(dense("relu"), "relu", **arguments),
    ):
        pass


@pytest.mark.parametrize("thing", [3, keras.optimizers.Adam()], ids=["number", "optimizer"])
def test_something_that_is_not_a_model(thing):
    kind = type(thing).__name__
    with pytest.raises(CallError, match=f"got {kind}"), override(thing, "relu", seven):
        pass
