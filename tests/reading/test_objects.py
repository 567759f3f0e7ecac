"""Objects as functions: modules and layers by their `forward` or `call`, their numbers as parameters."""

import numpy as np
import pytest

from actgrad import activation, from_json, trainable
from actgrad.errors import ActgradError, DefinitionError, TraceError

torch = pytest.importorskip("torch")
tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
nn = torch.nn

X = np.concatenate([np.linspace(-3, 3.1, 41), [0.25, -0.25]])


class Gated(nn.Module):
    """Weights, a child, a count and a method of its own."""

    def __init__(self):
        super().__init__()
        self.beta = nn.Parameter(torch.tensor(1.5, dtype=torch.float64))
        self.inner = nn.LeakyReLU(0.2)
        self.turns = 3

    def gate(self, x):
        return torch.sigmoid(self.beta * x)

    def forward(self, x):
        for _ in range(self.turns):
            x = 0.9 * x
        return self.inner(x) * self.gate(x)


MODULES = [
    (nn.PReLU(dtype=torch.float64), {"weight": 0.25}),
    (nn.LeakyReLU(0.1), {"negative_slope": 0.1}),
    (nn.ELU(0.5, inplace=True), {"alpha": 0.5}),
    (nn.Hardtanh(-0.5, 2.0), {"min_val": -0.5, "max_val": 2.0}),
    (nn.Softplus(2), {"beta": 2.0, "threshold": 20.0}),
    (nn.Threshold(0.3, 0.7), {"threshold": 0.3, "value": 0.7}),
    (nn.GELU("tanh"), {}),
    (nn.Hardswish(), {}),
    (nn.RReLU(0.1, 0.3).eval(), {"lower": 0.1, "upper": 0.3}),
    (nn.Sequential(nn.Tanh(), nn.LeakyReLU(0.3), nn.Dropout()).eval(), {"negative_slope": 0.3}),
    (Gated(), {"beta": 1.5, "negative_slope": 0.2}),
]


@pytest.mark.parametrize(("module", "parameters"), MODULES)
@pytest.mark.parametrize("form", ["module", "forward"])
def test_a_module_is_its_forward(module, parameters, form):
    made = from_json(activation(module if form == "module" else module.forward).to_json())
    assert {n: pytest.approx(v) for n, v in made.parameters.items()} == parameters
    x = torch.tensor(X, requires_grad=True)
    value = module(x * 1)
    (slope,) = torch.autograd.grad(value.sum(), x)
    np.testing.assert_allclose(made(X), value.detach().numpy(), rtol=1e-12, atol=1e-12)
    smooth = np.abs(X[:, None] - [0.0, -0.5, 2.0, 0.3]).min(axis=1) > 1e-9
    np.testing.assert_allclose(made.derivative(X)[smooth], slope.numpy()[smooth], rtol=1e-9)
    with tf.GradientTape() as tape:
        t = tf.constant(X)
        tape.watch(t)
        y = made(t)
    np.testing.assert_allclose(y.numpy(), made(X), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(tape.gradient(y, t).numpy(), made.derivative(X), rtol=1e-9)


def test_its_weights_are_learnt_again():
    module = activation(nn.PReLU()).module(weight=trainable(0.25))
    module(torch.tensor([-2.0, -1.0, 3.0])).sum().backward()
    assert module.weight.grad.item() == -3.0


def test_parameters_of_one_name_are_told_apart():
    made = activation(nn.Sequential(nn.PReLU(init=0.5), nn.Tanh(), nn.PReLU(init=0.125)))
    assert made.parameters == {"weight_0": 0.5, "weight_2": 0.125}


def test_a_module_inside_of_a_function():
    elu = nn.ELU(0.5)
    made = activation(lambda x: 2 * elu(x))
    assert made(-1.0) == pytest.approx(2 * 0.5 * np.expm1(-1.0))


@pytest.mark.parametrize(
    "module",
    [
        nn.Softmax(-1),
        nn.LayerNorm(3),
        nn.Linear(3, 3),
        nn.GLU(),
        nn.PReLU(3),
        nn.Dropout(),
        nn.RReLU(),
    ],
)
def test_what_mixes_or_draws_is_refused(module):
    with pytest.raises(ActgradError, match=r"\n  \S"):
        activation(module)


@pytest.mark.parametrize(
    ("layer", "parameters"),
    [
        (
            keras.layers.ReLU(max_value=2.0, negative_slope=0.1, threshold=0.5),
            {"max_value": 2.0, "negative_slope": 0.1, "threshold": 0.5},
        ),
        (keras.layers.LeakyReLU(0.2), {"negative_slope": 0.2}),
        (keras.layers.ELU(0.7), {"alpha": 0.7}),
        (keras.layers.Activation("silu"), {}),
        (keras.layers.Dropout(0.3), {}),
        (keras.layers.Lambda(lambda x: 3 * x), {}),
        (keras.layers.PReLU("ones"), {"alpha": 1.0}),
        (keras.layers.Rescaling(0.25, offset=-1.0), {"scale": 0.25, "offset": -1.0}),
        (keras.layers.Normalization(mean=1.0, variance=4.0), {"mean": 1.0, "variance": 4.0}),
        (keras.Sequential([keras.layers.Rescaling(2.0), keras.layers.ReLU()]), {}),
    ],
)
def test_a_layer_is_its_call(layer, parameters):
    layer.build((None, 1))
    made = activation(layer)
    assert made.parameters == parameters
    value = keras.ops.convert_to_numpy(layer(X.astype("float32")[:, None]))[:, 0]
    np.testing.assert_allclose(made(X.astype("float32")), value, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: keras.layers.LeakyReLU(0.3)(x) + 1,
        lambda x: keras.ops.relu(keras.layers.Rescaling(2.0, offset=-1.0)(x)),
        lambda x: keras.activations.get("leaky_relu")(x, negative_slope=0.3) + 1,
    ],
    ids=["layer", "preprocessing", "activation by name"],
)
def test_what_keras_makes_while_the_function_is_read(function):
    made = activation(function)
    value = keras.ops.convert_to_numpy(function(keras.ops.convert_to_tensor(X.astype("float32"))))
    np.testing.assert_allclose(made(X.astype("float32")), value, rtol=2e-6, atol=1e-6)


def test_a_layer_with_one_number_for_each_feature():
    layer = keras.layers.PReLU()
    layer.build((None, 3))
    layer.set_weights([np.array([0.1, 0.2, 0.3], "float32")])
    x = np.array([[-1.0, -2.0, 3.0]], "float32")
    np.testing.assert_allclose(
        activation(layer)(x), keras.ops.convert_to_numpy(layer(x)), rtol=1e-6
    )


def test_a_layer_that_is_not_built_says_so():
    with pytest.raises(TraceError, match="before it is built"):
        activation(keras.layers.PReLU())


@pytest.mark.parametrize(
    "weight",
    [nn.Parameter(torch.tensor(2.0)), tf.Variable(2.0), keras.Variable(2.0)],
)
def test_a_weight_inside_of_a_function_is_refused(weight):
    with pytest.raises(TraceError, match="trainable"):
        activation(lambda x: weight * x)


def test_numba():
    numba = pytest.importorskip("numba")

    def leaky(x):
        return x if x > 0 else 0.1 * x

    typed = numba.vectorize(["float64(float64)"])(leaky)
    for wrapped in (numba.vectorize(leaky), typed, numba.njit(leaky)):
        assert activation(wrapped)(-1.0) == -0.1
        assert activation(lambda x, f=wrapped: 2 * f(x))(-1.0) == -0.2

    @numba.guvectorize(["void(float64, float64[:])"], "()->()")
    def kernel(x, out):
        out[0] = 2 * x

    with pytest.raises(DefinitionError, match="writes its result into an argument"):
        activation(kernel)


def library_objects():
    stats = pytest.importorskip("scipy.stats")
    return [stats.skewnorm(2.0).cdf, lambda x: stats.skewnorm.cdf(x, 2.0)]


class OfBits(torch.nn.Module):
    def __init__(self, bits):
        super().__init__()
        self.bits = bits

    def forward(self, x):
        if self.bits == 1:
            print("not supported")
        if self.bits == 2:
            x = x / x.abs().max()
        steps = 2**self.bits - 1
        return x + (torch.round(x * steps) / steps - x).detach()


def test_a_branch_for_other_settings_is_not_refused(capsys):
    made = activation(OfBits(4))
    np.testing.assert_allclose(made(X), np.round(X * 15) / 15, rtol=1e-12)
    assert made.derivative(0.3) == 1.0
    for bits in (1, 2):
        with pytest.raises(TraceError):
            activation(OfBits(bits))
    assert not capsys.readouterr().out


@pytest.mark.parametrize("index", range(2))
def test_what_a_library_keeps_to_itself_is_refused_with_its_name(index):
    function = library_objects()[index]
    with pytest.raises(TraceError) as refused:
        activation(function)
    text = str(refused.value)
    assert "cdf" in text
    assert "host=True" in text
    assert "has no attribute" not in text


class Listed(nn.Module):
    """Weights in lists and dicts, and modules in them."""

    def __init__(self):
        super().__init__()
        self.a = nn.ParameterList([nn.Parameter(torch.tensor(v)) for v in (0.2, 0.3)])
        self.b = nn.ParameterDict({"slope": nn.Parameter(torch.tensor([1.5]))})
        self.gates = nn.ModuleDict({"one": nn.PReLU(), "two": nn.Hardtanh(-1, 2)})
        self.which = "two"

    def forward(self, x):
        y = sum(a * x**i for i, a in enumerate(self.a)) + self.a[-1]
        for name, gate in self.gates.items():
            y = y + gate(x) * len(name)
        return y * self.b["slope"][0] + self.gates[self.which](x)


def test_weights_in_lists_and_dicts_are_parameters():
    module = Listed()
    made = from_json(activation(module).to_json())
    assert {n: pytest.approx(v) for n, v in made.parameters.items()} == {
        "a_0": 0.2, "a_1": 0.3, "slope": 1.5, "weight": 0.25, "min_val": -1.0, "max_val": 2.0,
    }  # fmt: skip
    np.testing.assert_allclose(made(X), module.double()(torch.tensor(X)).detach(), rtol=1e-6)
    called = activation(lambda x: module(x) * 2)
    assert sorted(called.parameters) == ["slope", "w_0", "w_1", "weight"]
    np.testing.assert_allclose(called(X), 2 * made(X), rtol=1e-6)


class Images(nn.Module):
    """A weight that is laid out for a batch of images."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.full((1, 1, 1, 1), 0.3))
        self.shift = nn.Parameter(torch.tensor([0.5]))

    def forward(self, x):
        return x * self.scale + self.shift[0] * self.shift.data[0] * self.shift.item()


def test_a_weight_of_one_number_is_that_number():
    module = Images()
    made = activation(module).module(shift=trainable(0.5)).double()
    x = torch.tensor(X).reshape(1, 1, 1, -1)
    module.double()
    for each in (made, module):
        each(x).sum().backward()
    np.testing.assert_allclose(made(x).detach(), module(x).detach(), rtol=1e-6)
    np.testing.assert_allclose(made.shift.grad.item(), module.shift.grad.item(), rtol=1e-6)


class BranchesOnWeight(nn.Module):
    def __init__(self, alpha=0.5):
        super().__init__()
        self.alpha = nn.Parameter(torch.tensor(alpha, dtype=torch.float64))

    def forward(self, x):
        if self.alpha == 0.0:
            return x
        if self.alpha < 0.0:
            return -torch.log(1 - self.alpha * (x + self.alpha)) / self.alpha
        if self.alpha > 0.0:
            return (torch.exp(self.alpha * x) - 1) / self.alpha + self.alpha


@pytest.mark.parametrize("alpha", [0.5, 0.0, -0.5])
def test_a_path_for_nan_alone_needs_no_return(alpha):
    made = activation(BranchesOnWeight())
    x = np.abs(X)
    own = BranchesOnWeight(alpha)(torch.tensor(x)).detach()
    np.testing.assert_allclose(made(x, alpha=alpha), own, rtol=1e-12)


def test_a_missing_return_is_refused_at_the_user_s_line():
    class Missing(nn.Module):
        def __init__(self):
            super().__init__()
            self.alpha = nn.Parameter(torch.tensor(0.5))

        def forward(self, x):
            if self.alpha > 0.0:
                return x

    for function in (Missing(), Missing().forward):
        with pytest.raises(TraceError, match="a `return` missing") as caught:
            activation(function)
        assert "test_objects.py" in str(caught.value)
        assert "objects.py" not in str(caught.value).replace("test_objects.py", "")


class Bits(nn.Module):
    def __init__(self, bits=4):
        super().__init__()
        self.bits = bits

    def forward(self, x):
        if self.bits == 32:
            y = x
        elif self.bits == 1:
            pass
        else:
            y = torch.tanh(x * self.bits) / self.bits
        return y


def test_a_setting_for_which_the_function_has_no_answer():
    made = activation(Bits())
    np.testing.assert_allclose(made(X), Bits()(torch.tensor(X)), rtol=1e-12)
    np.testing.assert_array_equal(made(X, bits=32), X)
    assert np.isnan(made(X, bits=1)).all()


def test_a_name_that_an_input_leaves_without_a_value_is_refused():
    def function(x):
        if x > 0:
            y = x
        return y

    with pytest.raises(TraceError, match="'y'"):
        activation(function)


def test_a_refusal_that_a_library_made_its_own_text_is_told_again():
    tf = pytest.importorskip("tensorflow")
    with pytest.raises(TraceError, match="takes nothing but tensorflow's own arrays") as caught:
        activation(lambda x: tf.TensorArray(tf.float32, 1).write(0, x).read(0))
    assert "Traceback" not in str(caught.value)
