"""First weights: their variance, fan-in, and what a layer makes of a normal input."""

import math

import numpy as np
import pytest

from actgrad import activation, init_, initializer
from actgrad.errors import CallError

SQUARE = activation(lambda x: x**2, name="square")  # g_f² = 1/3
SHAPES = [((300, 500), 300), ((3, 3, 40, 64), 360), ((5, 32, 200), 160)]


def expected(fan_in):
    return pytest.approx(1 / (3 * fan_in), rel=0.05)


@pytest.mark.parametrize(("shape", "fan_in"), SHAPES)
def test_keras(shape, fan_in):
    keras = pytest.importorskip("keras")
    weights = np.asarray(keras.ops.convert_to_numpy(initializer(SQUARE)(shape)))
    assert weights.var() == expected(fan_in)
    assert abs(weights.mean()) < 0.1 * weights.std()


def test_keras_saves_it():
    keras = pytest.importorskip("keras")
    layer = keras.layers.Dense(4, activation=SQUARE, kernel_initializer=initializer(SQUARE))
    again = keras.layers.Dense.from_config(layer.get_config())
    assert again.kernel_initializer.scale == pytest.approx(1 / 3)


@pytest.mark.parametrize(("shape", "fan_in"), SHAPES)
def test_jax(shape, fan_in):
    jax = pytest.importorskip("jax")
    weights = initializer(SQUARE, framework="jax")(jax.random.key(0), shape, "float32")
    assert (weights.shape, weights.dtype) == (shape, "float32")
    assert np.var(weights) == expected(fan_in)


@pytest.mark.parametrize(
    ("shape", "fan_in"), [((500, 300), 300), ((64, 40, 3, 3), 360), ((200, 8, 5), 40)]
)
def test_torch(shape, fan_in):
    torch = pytest.importorskip("torch")
    weight = torch.nn.Parameter(torch.empty(shape))
    assert init_(weight, SQUARE, torch.Generator().manual_seed(0)) is weight
    assert float(weight.detach().var()) == expected(fan_in)


def test_grouped_convolution():
    torch = pytest.importorskip("torch")
    convolution = torch.nn.Conv2d(64, 128, 3, groups=8)
    init_(convolution.weight, SQUARE)
    assert float(convolution.weight.detach().var()) == expected(64 // 8 * 9)


def test_parameters_and_plain_functions():
    def leaky(x, slope=0.0):
        return x if x > 0 else slope * x

    found = initializer(leaky, "jax", slope=1.0)
    jax = pytest.importorskip("jax")
    assert np.var(found(jax.random.key(0), (400, 400))) == pytest.approx(1 / 400, rel=0.05)


def test_torch_has_its_own():
    with pytest.raises(CallError, match=r"actgrad.init_\(weight, f\)"):
        initializer(SQUARE, framework="torch")


def test_a_bias_is_refused():
    torch = pytest.importorskip("torch")
    with pytest.raises(CallError, match="no fan-in"):
        init_(torch.zeros(4), SQUARE)


def test_no_gain_no_weights():
    with pytest.raises(CallError, match="no weights keep the variance"):
        initializer(activation(lambda x: math.exp(9 * x * x), name="f"))
