"""D1: "How to make a custom activation function with only Python in TensorFlow"."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

from actgrad import activation
from tests.documents.conftest import FRAMEWORKS
from tests.process import python

X = np.array([0.2, 0.7, 1.2, 1.7], np.float32)
Y = np.array([0.2, 0, 0.20000005, 0], np.float32)
DY = np.array([1, 0, 1, 0], np.float32)


def spiky(x):
    r = x % 1
    if r <= 0.5:
        return r
    else:
        return 0


def d_spiky(x):
    r = x % 1
    if r <= 0.5:
        return 1
    else:
        return 0


WRITTEN = {
    "np.vectorize": lambda: activation(np.vectorize(spiky), derivative=np.vectorize(d_spiky)),
    "np.vectorize, float32": lambda: activation(
        np.vectorize(spiky, otypes=[np.float32]), derivative=np.vectorize(d_spiky)
    ),
    "plain functions": lambda: activation(spiky, derivative=d_spiky),
    "the exact derivative": lambda: activation(spiky),
    "the gradient whole": lambda: activation(spiky, gradient=lambda x, grad: grad * d_spiky(x)),
    "TensorFlow operations": lambda: activation(spiky, derivative=d_spiky_tf()),
    "TensorFlow 1 operations": lambda: activation(spiky, derivative=d_spiky_tf1()),
    "the gradient in TensorFlow operations": lambda: activation(spiky, gradient=gradient_tf()),
    "all in TensorFlow operations": lambda: activation(spiky_tf(), derivative=d_spiky_tf()),
}


def d_spiky_tf():
    tf = pytest.importorskip("tensorflow")

    def derivative(x):
        r = tf.math.floormod(x, 1)
        return tf.cast(tf.less_equal(r, 0.5), tf.float32)

    return derivative


def d_spiky_tf1():
    tf = pytest.importorskip("tensorflow")

    def derivative(x):
        r = tf.math.mod(x, 1)
        n = tf.compat.v1.to_float(tf.less_equal(r, 0.5))
        return n

    return derivative


def gradient_tf():
    tf = pytest.importorskip("tensorflow")
    d = d_spiky_tf()
    return lambda x, grad: tf.multiply(grad, d(x))


def spiky_tf():
    tf = pytest.importorskip("tensorflow")

    def spiky(x):
        r = tf.math.floormod(x, 1)
        return tf.where(tf.less_equal(r, 0.5), r, tf.zeros_like(r))

    return spiky


@pytest.fixture(scope="module", params=WRITTEN)
def f(request):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a right derivative is not warned about
        return WRITTEN[request.param]()


# 1 to 4, however it is written, in every framework.


@pytest.mark.diagonal
def test_the_documents_numbers(run, f):
    y, (dy,) = run(f, X)
    np.testing.assert_array_equal(y, Y)
    np.testing.assert_array_equal(dy, DY)


@pytest.mark.diagonal
def test_the_integer_branch_may_come_first(run, f):
    y, (dy,) = run(f, [0.7, 0.2])
    np.testing.assert_array_equal(y, np.float32([0, 0.2]))
    np.testing.assert_array_equal(dy, np.float32([0, 1]))


def test_the_recipe_of_the_document_is_wrong_there():
    # What ours is compared with: the type of the first element decides for all.
    assert np.vectorize(spiky)(np.float32([0.7, 0.2])).tolist() == [0, 0]


@pytest.mark.diagonal
def test_the_gradient_is_multiplied_with_the_upstream(run, f):
    _, (dy,) = run(f, X, upstream=[2, 3, -4, 5])
    np.testing.assert_array_equal(dy, np.float32([2, 0, -4, 0]))


@pytest.mark.diagonal
def test_values_are_pythons(run, f):
    x = np.float32([-1.75, -0.5, -0.25, -0.0, 0.0, 0.5, 0.75, 1.0, 1e6, 3.4e38])
    y, (dy,) = run(f, x)
    np.testing.assert_array_equal(y, np.float32([spiky(float(v)) for v in x]))
    np.testing.assert_array_equal(dy, np.float32([d_spiky(float(v)) for v in x]))


def test_numpy_and_plain_numbers(f):
    np.testing.assert_array_equal(f(X), Y)
    assert f(0.7) == 0
    assert f(1.25) == 0.25


# 5. Several inputs, one gradient each.


@pytest.mark.diagonal
@pytest.mark.parametrize(
    "rule",
    [
        {"gradient": lambda a, b, grad: (+1 * grad, -1 * grad)},
        {"derivative": lambda a, b: (+1, -1)},
        {"derivative": (1.0, -1.0)},
        {},
    ],
    ids=["gradient", "derivative", "numbers", "exact"],
)
def test_one_gradient_per_input(run, rule):
    minus = activation(lambda a, b: a - b, name="minus", **rule)
    y, (da, db) = run(minus, [3.0, 1.0], [1.0, 5.0], upstream=[10.0, 0.5])
    np.testing.assert_array_equal(y, [2, -4])
    np.testing.assert_array_equal(da, [10, 0.5])
    np.testing.assert_array_equal(db, [-10, -0.5])


# 6. Graphs, sessions, names, shapes and dtypes.

SESSION = """
import json, sys
import numpy as np, tensorflow as tf
from actgrad import activation
tf.compat.v1.disable_eager_execution()

def spiky(x):
    r = x % 1
    if r <= 0.5:
        return r
    else:
        return 0

def d_spiky(x):
    return 1 if x % 1 <= 0.5 else 0

def session(host):
    f = activation(np.vectorize(spiky), derivative=np.vectorize(d_spiky), name="tf_spiky", host=host)
    with tf.Graph().as_default() as graph, tf.compat.v1.Session() as sess:
        x = tf.compat.v1.placeholder(tf.float32, [None, 2])
        y = f(x)
        g = tf.gradients(y, [x])[0]
        initial = tf.compat.v1.constant_initializer([0.2, 0.7, 1.2, 1.7])
        v = tf.compat.v1.get_variable("v", [4], initializer=initial)
        loss = tf.reduce_sum(f(v))
        step = tf.compat.v1.train.GradientDescentOptimizer(0.1).minimize(loss)
        sess.run(tf.compat.v1.global_variables_initializer())
        value, gradient = sess.run([y, g], {x: np.float32([[0.2, 0.7], [1.2, 1.7]])})
        sess.run(step)
        outputs = [t for op in graph.get_operations() for t in op.outputs]
        return {
            "value": value.tolist(), "gradient": gradient.tolist(), "stepped": sess.run(v).tolist(),
            "shape": y.shape.as_list(), "dtype": y.dtype.name, "name": y.op.name,
            "doubles": [t.name for t in outputs if t.dtype.base_dtype == tf.float64],
        }

print(json.dumps([session(False), session(True)]))
"""


@pytest.fixture(scope="module")
def sessions():
    pytest.importorskip("tensorflow")
    return json.loads(python("-W", "ignore", "-c", SESSION)[-1])


@pytest.mark.parametrize("host", [False, True], ids=["native", "host"])
def test_a_tensorflow_1_session(sessions, host):
    found = sessions[host]
    assert found["value"] == Y.reshape(2, 2).tolist()
    assert found["gradient"] == DY.reshape(2, 2).tolist()
    assert (found["shape"], found["dtype"]) == ([None, 2], "float32")
    assert "tf_spiky" in found["name"]
    assert found["doubles"] == []
    # One step of descent moved the variable where the derivative is 1.
    np.testing.assert_allclose(found["stepped"], [0.1, 0.7, 1.1, 1.7], rtol=1e-6)


def graph_of(f, shape=(None, 3)):
    tf = pytest.importorskip("tensorflow")

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32)])
    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        return y, tape.gradient(y, x)

    return step.get_concrete_function()


def test_the_static_shape_is_kept(f):
    for output in graph_of(f).outputs:
        assert output.shape.as_list() == [None, 3]


def test_no_float64_in_a_float32_graph(f):
    tf = pytest.importorskip("tensorflow")
    operations = graph_of(f).graph.get_operations()
    assert len(operations) > 3
    doubles = [o.name for op in operations for o in op.outputs if o.dtype == tf.float64]
    assert doubles == []


def test_no_callback_in_the_graph(f):
    kinds = {op.type for op in graph_of(f).graph.get_operations()}
    assert not [kind for kind in kinds if "PyFunc" in kind]


def test_the_name_shows_in_the_graph():
    named = activation(spiky, derivative=d_spiky, name="my_spikes")
    names = [op.name for op in graph_of(named).graph.get_operations()]
    assert any("my_spikes" in name for name in names)


# 7. What cannot be read runs on the host, with the same promises.


class Unreadable:
    """Stands for other software: `x` must be a Python float."""

    def __init__(self, function):
        self.function = function
        self.kinds = set()

    def __call__(self, x):
        self.kinds.add(type(x))
        return self.function(float.fromhex(x.hex()))


@pytest.fixture
def on_host():
    return activation(
        Unreadable(spiky), derivative=Unreadable(d_spiky), name="spiky_on_host", host=True
    )


def test_it_cannot_be_read_without_host():
    from actgrad.errors import TraceError

    with pytest.raises(TraceError, match="host=True"):
        activation(Unreadable(spiky), derivative=d_spiky, name="unreadable")


# XLA runs no callback of TensorFlow.
@pytest.mark.parametrize("run", [name for name in FRAMEWORKS if "xla" not in name], indirect=True)
def test_host_gives_the_documents_numbers(run, on_host):
    y, (dy,) = run(on_host, X)
    np.testing.assert_array_equal(y, Y)
    np.testing.assert_array_equal(dy, DY)
    y, (dy,) = run(on_host, [0.7, 0.2], upstream=[3, 5])
    np.testing.assert_array_equal(y, np.float32([0, 0.2]))
    np.testing.assert_array_equal(dy, np.float32([0, 5]))


def test_host_keeps_the_static_shape_the_name_and_the_gradient(on_host):
    tf = pytest.importorskip("tensorflow")
    graph = graph_of(on_host)
    assert [output.shape.as_list() for output in graph.outputs] == [[None, 3]] * 2
    assert any("spiky_on_host" in op.name for op in graph.graph.get_operations())
    y, dy = graph(tf.constant([[0.2, 0.7, 1.2]]))
    np.testing.assert_array_equal(y, Y[None, :3])
    np.testing.assert_array_equal(dy, DY[None, :3])


def test_host_trains_in_keras(on_host):
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(4, on_host), keras.layers.Dense(1)]
    )
    model.compile("sgd", "mse", jit_compile=False)
    before = model.layers[0].get_weights()[0]
    model.fit(np.ones((8, 2), "float32"), np.ones((8, 1), "float32"), verbose=0)
    assert not np.array_equal(model.layers[0].get_weights()[0], before)


def test_host_says_what_it_cannot_do(on_host):
    from actgrad.errors import HostError

    assert "cannot be saved" in repr(on_host)
    with pytest.raises(HostError):
        on_host.to_json()
