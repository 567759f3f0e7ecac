"""Keras, on the backend that KERAS_BACKEND names: values, the derivative in force, saving.

The backend is chosen before Keras is imported. Here it is TensorFlow, and `test_keras_backends.py`
runs this file under the others, each in a process of its own.
"""

from __future__ import annotations

import math
import os
from importlib.util import find_spec

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy as np
import pytest

keras = pytest.importorskip("keras")
BACKEND = keras.config.backend()
pytest.importorskip(BACKEND)

import actgrad
from actgrad import activation
from actgrad.errors import CallError, DtypeError, SettingError
from tests.frameworks.conftest import CASES, of_one_case
from tests.process import python

CLOSE = {"rtol": 1e-5, "atol": 1e-6}
WAYS = {
    "jit_compile=False": {"jit_compile": False},
    "jit_compile=True": {"jit_compile": True},
    "jit_compile=auto": {},
    "run_eagerly": {"run_eagerly": True},
}
QUICK = {} if BACKEND == "jax" else {"run_eagerly": True}  # where every operation is compiled
if BACKEND == "torch":  # slow there: `test_compiled_by_torch` takes its place
    del WAYS["jit_compile=True"]


def _sum(_, y):
    return keras.ops.sum(y)


class Source(keras.layers.Layer):
    """A weight, as the output: so that one step of gradient descent shows the gradient by it."""

    def __init__(self, values, **options):
        super().__init__(**options)
        self.values = values
        self.weight = self.add_weight(
            shape=np.shape(values), initializer=lambda shape, dtype: keras.ops.cast(values, dtype)
        )

    def call(self, inputs):
        return self.weight + 0 * keras.ops.sum(inputs)


def step(model, x, loss=_sum, **way):
    """What one step of plain gradient descent with rate 1 on the sum of the outputs takes off the weights."""
    model.compile(optimizer=keras.optimizers.SGD(1.0), loss=loss, auto_scale_loss=False, **way)
    before = [np.array(w) for w in model.get_weights()]
    model.train_on_batch(x, np.zeros((len(x), 1)))
    return [b - np.array(a) for b, a in zip(before, model.get_weights(), strict=True)]


def slope(apply, values, **way):
    """The gradient of sum(apply(x)) at these values, from training."""
    inputs = keras.Input((1,))
    model = keras.Model(inputs, apply(Source(values)(inputs)))
    return step(model, np.zeros((len(values), 1), np.float32), **way)[0]


def numpy(x):
    return keras.ops.convert_to_numpy(x)


# The derivative in force, in every way of training.


@pytest.mark.diagonal
@pytest.mark.parametrize("way", WAYS)
def test_the_derivative_in_every_way_of_training(case, points, way):
    found = slope(lambda x: case(x), points, **WAYS[way])
    np.testing.assert_allclose(found, case.expected(1, points), rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(BACKEND != "torch", reason="the others are tried one by one")
@pytest.mark.filterwarnings(
    "ignore:The .grad attribute of a Tensor that is not a leaf"
)  # for relu too
def test_compiled_by_torch(points):
    inputs = keras.Input((1,))
    line = activation(lambda x, k=1.0: k * x, name="line").layer(k=actgrad.trainable(1, low=0.5))
    outputs = [case(Source(points)(inputs)) for case in CASES.values()]
    outputs.append(line(Source(points)(inputs)))
    model = keras.Model(inputs, keras.layers.Concatenate()(outputs))
    *found, by_k = step(model, np.zeros((len(points), 1), np.float32), jit_compile=True)
    assert model.jit_compile
    for case, by_x in zip(CASES.values(), found, strict=False):
        np.testing.assert_allclose(by_x, case.expected(1, points), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(by_k, 0.5)  # the bound stopped it
    assert points.sum() > 0.5


AS_A_LAYER = {
    "called": lambda f: f,
    "Activation": keras.layers.Activation,
    "layer": lambda f: f.layer(),
    "Lambda": keras.layers.Lambda,
    "TimeDistributed": lambda f: keras.layers.TimeDistributed(keras.layers.Activation(f)),
}


@pytest.mark.diagonal
@pytest.mark.parametrize("kind", AS_A_LAYER)
def test_as_a_layer(case, points, kind):
    f = case.activation(**case.options)
    if kind == "TimeDistributed":
        points = points[..., None]
    layer = AS_A_LAYER[kind](f)
    np.testing.assert_allclose(
        numpy(layer(keras.ops.convert_to_tensor(points))), case.expected(0, points), **CLOSE
    )
    np.testing.assert_allclose(slope(layer, points), case.expected(1, points), rtol=1e-4, atol=1e-5)


def _dense(f):
    return keras.layers.Dense(3, activation=f), (5, 4)


def _convolution(f):
    return keras.layers.Conv2D(3, 2, activation=f), (2, 5, 5, 2)


def _time_distributed(f):
    return keras.layers.TimeDistributed(keras.layers.Dense(3, activation=f)), (2, 6, 4)


@pytest.mark.parametrize("make", [_dense, _convolution, _time_distributed])
def test_the_activation_of_a_layer(case, make):
    layer, shape = make(case.activation(**case.options))
    plain, _ = make(None)
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    layer.build(shape)
    plain.build(shape)
    plain.set_weights(layer.get_weights())
    found, before = numpy(layer(x)), numpy(plain(x))
    away = np.abs(before * 2 - np.round(before * 2)) > 1e-4  # from the jumps
    np.testing.assert_allclose(found[away], case.expected(0, before)[away], rtol=1e-4, atol=1e-5)


# In layers: against the same activation, written by hand for Keras with `stop_gradient`.


def _by_hand(value, slope):
    still = keras.ops.stop_gradient

    def twin(x):
        return still(value(x)) + still(slope(x)) * (x - still(x))

    return twin


def _fraction(x):
    return x - keras.ops.floor(x)


def _twin_of_heaviside(k):
    return _by_hand(
        lambda x: keras.ops.cast(x >= 0, x.dtype), lambda x: k / (1 + keras.ops.square(k * x))
    )


TWINS = {
    "spiky": _by_hand(
        lambda x: keras.ops.where(_fraction(x) <= 0.5, _fraction(x), 0 * x),
        lambda x: keras.ops.cast(_fraction(x) <= 0.5, x.dtype),
    ),
    "heaviside": _twin_of_heaviside(2.0),
    "heaviside(slope=3)": _twin_of_heaviside(3.0),
    "seven": _by_hand(lambda x: x * x, lambda x: 7.0 + 0 * x),
}
for _name, _twin in TWINS.items():
    keras.saving.register_keras_serializable("tests", f"by_hand {_name}")(_twin)


@pytest.mark.parametrize("name", TWINS)
def test_the_twins_are_right(name, points):
    twin, case = TWINS[name], CASES[name]
    found = numpy(twin(keras.ops.convert_to_tensor(points)))
    np.testing.assert_allclose(found, case.expected(0, points), **CLOSE)
    found = slope(keras.layers.Activation(twin), points)
    np.testing.assert_allclose(found, case.expected(1, points), rtol=1e-4, atol=1e-5)


def _transformer(f):
    def block(x):
        y = keras.layers.MultiHeadAttention(2, 4)(x, x)
        x = keras.layers.LayerNormalization()(x + y)
        y = keras.layers.Dense(3)(keras.layers.Dense(5, activation=f)(x))
        return keras.layers.LayerNormalization()(x + y)

    return block


layers = keras.layers
LAYERS_WITH_ONE = {
    "Dense": ((4,), lambda f: layers.Dense(3, activation=f)),
    "Conv2D": ((6, 5, 2), lambda f: layers.Conv2D(3, 2, activation=f)),
    "SeparableConv1D": ((6, 3), lambda f: layers.SeparableConv1D(2, 2, activation=f)),
    "EinsumDense": ((5, 3), lambda f: layers.EinsumDense("abc,cd->abd", (None, 2), activation=f)),
    "LSTM": ((3, 3), lambda f: layers.LSTM(4, activation=f)),
    "LSTM gates": ((3, 3), lambda f: layers.LSTM(4, recurrent_activation=f)),
    "GRU": ((3, 3), lambda f: layers.GRU(4, activation=f, return_sequences=True)),
    "Bidirectional": ((3, 3), lambda f: layers.Bidirectional(layers.LSTM(4, activation=f))),
    "TimeDistributed": ((5, 3), lambda f: layers.TimeDistributed(layers.Dense(2, activation=f))),
    "transformer": ((5, 3), _transformer),
}


def _squares(_, y):
    return keras.ops.sum(keras.ops.square(y))


@pytest.mark.diagonal
@pytest.mark.parametrize("kind", LAYERS_WITH_ONE)
@pytest.mark.parametrize("name", ["spiky", "heaviside(slope=3)", "seven"])
def test_in_a_layer_as_written_by_hand(name, kind):
    keras.utils.set_random_seed(0)  # chance may put all gates where the slope is zero
    case, twin = CASES[name], TWINS[name]
    shape, make = LAYERS_WITH_ONE[kind]
    x = np.random.default_rng(1).normal(size=(3, *shape)).astype(np.float32)
    models = []
    for f in (case.activation(**case.options), twin):
        inputs = keras.Input((None, *shape[1:]) if kind != "Dense" else shape)
        models.append(keras.Model(inputs, make(f)(inputs)))
    ours, theirs = models
    ours.set_weights(theirs.get_weights())
    np.testing.assert_allclose(numpy(ours(x)), numpy(theirs(x)), rtol=1e-4, atol=1e-5)
    found = step(ours, x, loss=_squares, **QUICK)
    wanted = step(theirs, x, loss=_squares, **QUICK)
    for mine, their in zip(found, wanted, strict=True):
        np.testing.assert_allclose(mine, their, rtol=1e-3, atol=1e-4)
    assert any(np.abs(their).max() > 1e-3 for their in wanted)


@pytest.mark.parametrize("way", WAYS)
def test_a_dense_layer_learns_by_the_declared_derivative(way):
    seven = activation(lambda x: x * x, surrogate=7, name="seven")
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation=seven)])
    kernel, bias = step(model, x, **WAYS[way])
    np.testing.assert_allclose(kernel, 7 * x.T @ np.ones((5, 3)), rtol=1e-4)
    np.testing.assert_allclose(bias, np.full(3, 35.0), rtol=1e-5)


def _lstm(x, kernel, recurrent, bias, squash):
    units = recurrent.shape[0]
    h = c = np.zeros((x.shape[0], units))
    sigmoid = lambda z: 1 / (1 + np.exp(-z))
    for t in range(x.shape[1]):
        z = x[:, t] @ kernel + h @ recurrent + bias
        i, f, g, o = (z[:, k * units : (k + 1) * units] for k in range(4))
        c = sigmoid(f) * c + sigmoid(i) * squash(g)
        h = sigmoid(o) * squash(c)
    return h


def _softsign(x):
    return x / (1 + abs(x))


@pytest.mark.parametrize("length", [5, None], ids=["known length", "unknown length"])
def test_an_lstm(length):
    f = activation(_softsign, name="own_softsign")
    model = keras.Sequential([keras.Input((length, 3)), keras.layers.LSTM(4, activation=f)])
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    expected = _lstm(x, *model.get_weights(), np.vectorize(_softsign))
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-5)


def test_a_bidirectional_lstm():
    f = activation(_softsign, name="own_softsign")
    layer = keras.layers.Bidirectional(keras.layers.LSTM(4, activation=f))
    model = keras.Sequential([keras.Input((None, 3)), layer])
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    weights = model.get_weights()
    squash = np.vectorize(_softsign)
    both = [_lstm(x, *weights[:3], squash), _lstm(x[:, ::-1], *weights[3:], squash)]
    np.testing.assert_allclose(
        model.predict(x, verbose=0), np.concatenate(both, axis=1), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("way", WAYS)
def test_a_recurrent_layer_is_trained(way):
    seven = activation(lambda x: x, surrogate=7, name="seven_times")
    model = keras.Sequential([keras.Input((1, 2)), keras.layers.SimpleRNN(3, activation=seven)])
    x = np.random.default_rng(0).normal(size=(4, 1, 2)).astype(np.float32)
    kernel, *_ = step(model, x, **WAYS[way])
    np.testing.assert_allclose(kernel, 7 * x[:, 0].T @ np.ones((4, 3)), rtol=1e-4)


# Symbolic tensors.


def _gated(a, b, beta=1.0):
    return a / (1 + math.exp(-beta * b))


gated = activation(_gated, name="gated")


@pytest.mark.parametrize("shapes", [((3,), (3,)), ((4, 3), (3,)), ((None, 3), (1, 3))], ids=str)
def test_called_on_two_symbolic_tensors(shapes):
    a, b = (keras.Input(shape) for shape in shapes)
    model = keras.Model([a, b], gated(a, b, beta=2.0))
    arrays = [
        np.random.default_rng(i).normal(size=[2, *[n or 5 for n in s]])
        for i, s in enumerate(shapes)
    ]
    if len(shapes[0]) != len(shapes[1]):
        arrays = [x[:1] if x.ndim < 3 else x for x in arrays]
    found = model.predict_on_batch([x.astype(np.float32) for x in arrays])
    np.testing.assert_allclose(found, arrays[0] / (1 + np.exp(-2 * arrays[1])), rtol=1e-4)
    restored = keras.Model.from_config(model.get_config())
    np.testing.assert_allclose(
        restored.predict_on_batch([x.astype(np.float32) for x in arrays]), found, rtol=1e-6
    )


@pytest.mark.diagonal
@pytest.mark.parametrize("shape", [(None,), (None, None, 3), (4,)], ids=str)
def test_unknown_dimensions(case, shape):
    inputs = keras.Input(shape)
    outputs = case(inputs)
    assert outputs.shape == inputs.shape
    model = keras.Model(inputs, outputs)
    x = (
        np.random.default_rng(0)
        .uniform(-3, 3, size=[2, *[n or 5 for n in shape]])
        .astype(np.float32)
    )
    np.testing.assert_allclose(model.predict(x, verbose=0), case.expected(0, x), **CLOSE)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_a_symbolic_tensors_dtype_is_kept(case, dtype):
    inputs = keras.Input((4,), dtype=dtype)
    outputs = case(inputs)
    assert outputs.dtype == dtype
    model = keras.Model(inputs, outputs)
    y = model(keras.ops.cast(np.full((2, 4), 0.7), dtype))
    assert keras.backend.standardize_dtype(y.dtype) == dtype


def test_a_subclassed_model(case, points):
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.source = Source(points)

        def call(self, inputs):
            return case(self.source(inputs))

    model = Own()
    x = np.zeros((2, 1), np.float32)
    np.testing.assert_allclose(numpy(model(x)), case.expected(0, points), **CLOSE)
    found = step(model, x)[0]
    np.testing.assert_allclose(found, case.expected(1, points), rtol=1e-4, atol=1e-5)


def test_variables_beside_arrays():
    x, b = np.float32([[0.5, -1.0], [2.0, 0.25]]), np.float32([1.5, -0.5])
    wanted = x / (1 + np.exp(-b))
    tensor, variable = keras.ops.convert_to_tensor, keras.Variable
    np.testing.assert_allclose(numpy(gated(tensor(x), variable(b))), wanted, rtol=1e-5)
    np.testing.assert_allclose(numpy(gated(variable(x), tensor(b))), wanted, rtol=1e-5)
    swish = activation(_swish)
    wanted = x / (1 + np.exp(-b * x))
    np.testing.assert_allclose(numpy(swish(tensor(x), beta=variable(b))), wanted, rtol=1e-5)


# Masks.


def test_a_mask_goes_through_a_layer():
    words = np.array([[3, 1, 0, 0], [2, 0, 0, 0]])
    embedded = keras.layers.Embedding(5, 3, mask_zero=True)(words)
    y = activation(_swish).layer()(embedded)
    np.testing.assert_array_equal(numpy(keras.src.backend.get_keras_mask(y)), words > 0)


@pytest.mark.parametrize("masked", [(True, True), (True, False), (False, True), (False, False)])
def test_masks_of_two_inputs(masked):
    words = np.array([[3, 1, 4, 0], [2, 0, 0, 0]]), np.array([[1, 1, 0, 0], [4, 2, 0, 0]])
    embedded = [
        keras.layers.Embedding(5, 3, mask_zero=mask)(word)
        for word, mask in zip(words, masked, strict=True)
    ]
    mask = keras.src.backend.get_keras_mask(gated.layer()(*embedded))
    known = [word > 0 for word, yes in zip(words, masked, strict=True) if yes]
    if known:
        np.testing.assert_array_equal(numpy(mask), np.logical_and.reduce(known))
    else:
        assert mask is None


# Mixed precision.


@pytest.fixture
def under():
    """Set Keras's policy for one test."""
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


@pytest.mark.diagonal
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "bfloat16"])
@pytest.mark.parametrize("how", ["activation=", "called", "layer"])
def test_mixed_precision(case, policy, how, under):
    under(policy)
    half = policy.removeprefix("mixed_")
    f = case.activation(**case.options)
    inputs = keras.Input((2,))
    if how == "activation=":
        y = keras.layers.Dense(2, activation=f, kernel_initializer="identity")(inputs)
    else:
        y = keras.layers.Dense(2, kernel_initializer="identity")(inputs)
        y = f(y) if how == "called" else f.layer()(y)
    assert y.dtype == half
    model = keras.Model(inputs, y)
    x = np.array([[0.25, 0.75], [-0.5, 1.125]], np.float32)  # exact in half precision
    np.testing.assert_allclose(
        np.asarray(numpy(model(x)), np.float32), case.expected(0, x), rtol=2**-8
    )
    kernel = step(model, x)[0]
    np.testing.assert_allclose(kernel, x.T @ case.expected(1, x), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_a_learnt_parameter_stays_in_float32(policy, under):
    under(policy)
    layer = gated.layer(beta=actgrad.trainable(1.0))
    layer.build([(None, 2), (None, 2)])
    assert [keras.backend.standardize_dtype(w.dtype) for w in layer.weights] == ["float32"]


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_the_gradient_by_a_learnt_parameter_in_mixed_precision(policy, under):
    x = np.random.default_rng(0).uniform(0.5, 2, size=(4, 3)).astype(np.float32)

    def found():
        layer = activation(_swish).layer(beta=actgrad.trainable(1.5))
        return step(keras.Sequential([keras.Input((3,)), layer]), x)[0]

    under(policy)
    half = found()
    under("float32")
    np.testing.assert_allclose(half, found(), rtol=0.02)
    sigmoid = 1 / (1 + np.exp(-1.5 * x))
    np.testing.assert_allclose(half, np.sum(x * x * sigmoid * (1 - sigmoid)), rtol=0.02)


# Data.


def test_serialised_and_back(case):
    f = case.activation(**case.options)
    data = keras.activations.serialize(f)
    restored = keras.activations.deserialize(data)
    assert restored == f
    assert keras.activations.get(data) == f
    assert actgrad.Activation.from_config(f.get_config()) == f


LAYERS = {
    "no options": lambda: gated.layer(),
    "a number": lambda: gated.layer(beta=3),
    "an array": lambda: gated.layer(beta=np.array([1.0, 2.0])),
    "trainable": lambda: gated.layer(beta=actgrad.trainable(2.0, low=0.5, high=3.0)),
    "per channel": lambda: gated.layer(beta=actgrad.trainable(per_channel=True)),
    "an array, trainable": lambda: gated.layer(beta=actgrad.trainable([1.0, 2.0], low=0.0)),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_a_layer_from_its_config(kind):
    layer = LAYERS[kind]()
    data = keras.layers.serialize(layer)
    restored = keras.layers.deserialize(data)
    assert restored.get_config() == layer.get_config()
    a, b = np.ones((3, 2), np.float32), np.full((3, 2), 0.3, np.float32)
    np.testing.assert_array_equal(numpy(restored(a, b)), numpy(layer(a, b)))


def _network(f, learnt):
    inputs = keras.Input((6, 3))
    x = keras.layers.Bidirectional(keras.layers.LSTM(4, activation=f, return_sequences=True))(
        inputs
    )
    x = keras.layers.TimeDistributed(keras.layers.Dense(5, activation=f))(x)
    x = learnt.layer(beta=actgrad.trainable(1.5, low=0.0, per_channel=True))(x)
    x = learnt(x, beta=0.5)
    x = keras.layers.Activation(f)(x)
    return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(x)))


def _swish(x, beta=1.0):
    return x / (1 + math.exp(-beta * x))


@of_one_case
def test_clone_model(case):
    model = _network(case.activation(**case.options), activation(_swish))
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    x = np.random.default_rng(0).normal(size=(4, 6, 3)).astype(np.float32)
    np.testing.assert_array_equal(clone.predict(x, verbose=0), model.predict(x, verbose=0))
    assert clone.layers[-4].parameters["beta"] == 0.5


# Opened without the code that defined the activations; safe mode is Keras's default.
OPEN = """
{imports}
import numpy as np
data = np.load("data.npz")
model = keras.saving.load_model("model.keras", compile=False)
found = keras.ops.convert_to_numpy(model(data["x"]))
np.testing.assert_allclose(found, data["y"], rtol=1e-4, atol=1e-5)
model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
before = [np.array(w) for w in model.get_weights()]
model.train_on_batch(data["x"], data["t"])
for i, (b, a) in enumerate(zip(before, model.get_weights())):
    np.testing.assert_allclose(b - np.array(a), data["step%d" % i], rtol=1e-3, atol=1e-4)
print("done under", keras.config.backend())
"""


def _with_every_case():
    swish = activation(_swish)
    inputs = keras.Input((2, 3))
    lstm = keras.layers.LSTM(4, activation=CASES["spiky"].activation, return_sequences=True)
    x = lstm(inputs)
    dense = [keras.layers.Dense(5, activation=c.activation(**c.options)) for c in CASES.values()]
    x = keras.layers.Concatenate()([keras.layers.TimeDistributed(layer)(x) for layer in dense])
    x = swish.layer(beta=actgrad.trainable(1.5, low=0.0, per_channel=True))(x)
    x = swish(x, beta=0.5)
    x = keras.layers.Activation(CASES["seven"].activation)(x)
    return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(x)))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The folder of a saved model, with what it answers and what one step of training takes off."""
    folder = tmp_path_factory.mktemp("saved")
    keras.utils.set_random_seed(0)
    model = _with_every_case()
    x = np.random.default_rng(0).normal(size=(4, 2, 3)).astype(np.float32)
    data = {"x": x, "t": np.ones((4, 1), np.float32), "y": numpy(model(x))}
    model.save(folder / "model.keras")
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
    before = [np.array(w) for w in model.get_weights()]
    model.train_on_batch(x, data["t"])
    for i, (b, a) in enumerate(zip(before, model.get_weights(), strict=True)):
        data[f"step{i}"] = b - np.array(a)
        assert np.abs(data[f"step{i}"]).max() > 0
    np.savez(folder / "data.npz", **data)
    return folder


@pytest.mark.slow
@pytest.mark.exhaustive  # tests/saved/test_keras.py has one in make test
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_opened_in_a_fresh_process_under(backend, saved):
    """With Keras imported before or after actgrad."""
    if not find_spec(backend):
        pytest.skip(f"{backend} is not installed")
    if backend == BACKEND != "tensorflow":
        pytest.skip("one backend that opens what it has saved is enough")
    imports = "import keras, actgrad" if backend == "torch" else "import actgrad, keras"
    said = python("-c", OPEN.format(imports=imports), folder=saved, KERAS_BACKEND=backend)
    assert said[-1] == f"done under {backend}"


# Parameters that are learnt.


def _train(layer, x, y, steps=300, rate=0.1):
    model = keras.Sequential([keras.Input(x.shape[1:]), layer])
    model.compile(optimizer=keras.optimizers.Adam(rate), loss="mse")
    again = [np.concatenate([z] * steps) for z in (x, y)]
    model.fit(*again, batch_size=len(x), shuffle=False, verbose=0)
    return model


def test_a_scalar_parameter_reaches_its_optimum():
    swish = activation(_swish)
    x = np.linspace(-3, 3, 64, dtype=np.float32)[:, None]
    layer = swish.layer(beta=actgrad.trainable(0.5))
    _train(layer, x, x / (1 + np.exp(-2 * x)))
    np.testing.assert_allclose(numpy(layer.weights[0]), 2.0, atol=1e-2)


def test_parameters_per_channel_reach_their_optimum():
    swish = activation(_swish)
    beta = np.array([0.5, 1.0, 2.0], np.float32)
    x = np.random.default_rng(0).uniform(-3, 3, size=(64, 3)).astype(np.float32)
    layer = swish.layer(beta=actgrad.trainable(1.3, per_channel=True))
    _train(layer, x, x / (1 + np.exp(-beta * x)))
    assert layer.weights[0].shape == (3,)
    np.testing.assert_allclose(numpy(layer.weights[0]), beta, atol=1e-2)


@pytest.fixture
def channels_first():
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_image_data_format(before)


@pytest.mark.parametrize("shape", [(3, 2, 4), (3, 2, 2, 4)], ids=["images", "volumes"])
def test_channels_that_come_first(shape, channels_first):
    x = np.random.default_rng(0).normal(size=(5, *shape)).astype(np.float32)
    layer = activation(_swish).layer(beta=actgrad.trainable(per_channel=True))
    model = keras.Sequential([keras.Input((3, *(None for _ in shape[1:]))), layer])
    beta = np.float32([0.5, 1.0, 2.0])
    model.set_weights([beta])
    keras.config.set_image_data_format("channels_last")  # what it was built with holds
    each = beta.reshape(3, *(1 for _ in shape[1:]))
    sigmoid = 1 / (1 + np.exp(-each * x))
    clone = keras.models.clone_model(model)
    clone.set_weights([beta])
    for network in (model, clone):
        np.testing.assert_allclose(numpy(network(x)), x * sigmoid, **CLOSE)
    axes = (0, *range(2, x.ndim))
    wanted = np.sum(x * x * sigmoid * (1 - sigmoid), axis=axes)
    np.testing.assert_allclose(step(model, x)[0], wanted, rtol=1e-4)


def test_channels_of_a_sequence_come_last(channels_first):
    layer = activation(_swish).layer(beta=actgrad.trainable(per_channel=True))
    layer(np.ones((2, 5, 3), np.float32))
    assert layer.weights[0].shape == (3,)


@pytest.mark.diagonal
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("initial", "direction", "expected"),
    [(1.0, 1.0, 0.5), (1.0, -1.0, 1.5), ([0.6, 1.4], 1.0, 0.5)],
)
def test_bounds_hold_after_each_step(way, initial, direction, expected):
    line = activation(lambda x, k=1.0: k * x, name="line")
    layer = line.layer(k=actgrad.trainable(initial, low=0.5, high=1.5))
    model = keras.Sequential([keras.Input((2,)), layer])
    step(model, np.full((1, 2), 100.0 * direction, np.float32), **WAYS[way])
    np.testing.assert_allclose(numpy(layer.weights[0]), np.full(np.shape(initial), expected))


def test_it_starts_at_the_activations_own_value():
    layer = gated(beta=1.7).layer(beta=actgrad.trainable())
    layer.build([(None, 2), (None, 2)])
    np.testing.assert_allclose(numpy(layer.weights[0]), 1.7)


def test_a_default_that_is_an_array_is_learnt_as_one():
    scaled = activation(lambda x, k=(1.0, 2.0, 3.0): k * x, name="scaled")
    layer = scaled.layer(k=actgrad.trainable())
    x = np.ones((2, 3), np.float32)
    np.testing.assert_allclose(numpy(layer(x)), [[1, 2, 3]] * 2)
    assert layer.weights[0].shape == (3,)


def test_a_number_is_frozen():
    layer = gated.layer(beta=2.0)
    found = numpy(layer(np.ones((1, 1), np.float32), np.ones((1, 1), np.float32)))
    assert layer.weights == []
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-2.0)), rtol=1e-6)


def test_a_learnt_parameter_is_saved(tmp_path):
    layer = activation(_swish).layer(beta=actgrad.trainable(0.5, low=0.0, per_channel=True))
    model = keras.Sequential([keras.Input((3,)), layer])
    layer.weights[0].assign([1.0, 2.0, 3.0])
    model.save(tmp_path / "model.keras")
    restored = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(numpy(restored.weights[0]), [1, 2, 3])
    assert restored.layers[0].parameters == layer.parameters
    assert restored.weights[0].constraint.get_config() == {"low": 0.0, "high": None}


def test_the_surrogates_parameter_shapes_the_gradient(points):
    step_function = activation(
        lambda x, slope=2.0: 1.0 if x >= 0 else 0.0,
        name="step",
        surrogate=lambda x, slope: slope + x * 0,
    )
    layer = step_function.layer(slope=5.0)
    np.testing.assert_allclose(slope(layer, points), np.full(points.shape, 5.0))


# Wrong use.


def test_an_integer_tensor_is_refused(case):
    with pytest.raises(DtypeError, match="int32"):
        case(keras.Input((3,), dtype="int32"))
    with pytest.raises(DtypeError, match="int32"):
        case(keras.ops.convert_to_tensor([1, 2], dtype="int32"))


def test_the_wrong_number_of_inputs():
    with pytest.raises(CallError, match=r"takes 2 inputs \(a, b\), and got 1"):
        gated(keras.Input((3,)))
    with pytest.raises(CallError, match=r"takes 2 inputs \(a, b\), and got 1"):
        gated.layer()(np.ones((2, 3)))


def test_an_unknown_parameter():
    with pytest.raises(CallError, match="did you mean 'beta'"):
        gated.layer(betta=1.0)


@pytest.mark.parametrize("value", ["a", None, True, 1j], ids=repr)
def test_a_parameter_that_is_no_number(value):
    with pytest.raises(CallError, match="'beta' of 'gated' must be a number"):
        gated.layer(beta=value)


def test_shapes_that_do_not_broadcast():
    with pytest.raises(CallError, match="do not broadcast"):
        gated(keras.Input((3,)), keras.Input((4,)))


def test_a_start_beyond_the_bounds():
    with pytest.raises(SettingError, match=r"initial=1\.0 is not within \[2\.0, inf\]"):
        gated.layer(beta=actgrad.trainable(low=2.0))


def test_channels_that_are_unknown():
    layer = activation(_swish).layer(beta=actgrad.trainable(per_channel=True))
    with pytest.raises(CallError, match="number of channels"):
        layer(keras.Input((3, None)))


def test_a_loops_length_is_put_in_but_cannot_be_learnt():
    def repeated(x, times=2):
        for _ in range(times):
            x = x * 2.0
        return x

    f = activation(repeated)
    np.testing.assert_array_equal(numpy(f.layer(times=3)(np.ones((1, 1), np.float32))), [[8.0]])
    with pytest.raises(CallError, match="cannot be learnt"):
        f.layer(times=actgrad.trainable(2.0))


# On JAX alone.


@pytest.mark.skipif(BACKEND != "jax", reason="keras.distribution is for JAX")
def test_data_parallel_over_two_devices():
    import jax

    if len(jax.devices()) < 2:
        pytest.skip("XLA_FLAGS=--xla_force_host_platform_device_count=2")
    random = np.random.default_rng(0)
    x, y = random.normal(size=(8, 4)).astype(np.float32), np.ones((8, 1), np.float32)

    def trained():
        keras.utils.set_random_seed(3)
        model = keras.Sequential(
            [
                keras.Input((4,)),
                keras.layers.Dense(8, activation=CASES["heaviside"].activation(slope=3)),
                activation(_swish).layer(beta=actgrad.trainable(1.5, low=0.1)),
                keras.layers.Dense(1, activation=CASES["seven"].activation),
            ]
        )
        model.compile(keras.optimizers.SGD(0.01), "mse")
        before = model.get_weights()
        model.fit(x, y, epochs=3, batch_size=4, shuffle=False, verbose=0)
        return before, model.get_weights()

    _, alone = trained()
    distribution = keras.distribution.DataParallel(devices=keras.distribution.list_devices())
    keras.distribution.set_distribution(distribution)
    try:
        before, together = trained()
    finally:
        keras.distribution.set_distribution(None)
    for start, a, b in zip(before, alone, together, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
        assert np.abs(start - a).max() > 0


@pytest.mark.skipif(BACKEND != "jax", reason="as on JAX")
def test_rematerialised():
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)

    def found():
        keras.utils.set_random_seed(3)
        dense = keras.layers.Dense(3, activation=CASES["seven"].activation)
        return step(keras.Sequential([keras.Input((4,)), dense]), x)

    with keras.RematScope(mode="full"):
        remade = found()
    for mine, their in zip(remade, found(), strict=True):
        np.testing.assert_allclose(mine, their, rtol=1e-5)
