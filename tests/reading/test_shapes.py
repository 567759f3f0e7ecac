"""Questions about the input's shape, dtype and device: read where every answer gives the same numbers."""

import numpy as np
import pytest

from actgrad import activation, from_json
from actgrad.errors import ActgradWarning, TraceError

torch = pytest.importorskip("torch")
tf = pytest.importorskip("tensorflow")
jnp = pytest.importorskip("jax.numpy")
keras = pytest.importorskip("keras")
F = torch.nn.functional
pytestmark = pytest.mark.filterwarnings(f"ignore::{ActgradWarning.__module__}.ActgradWarning")

X = np.concatenate([np.linspace(-3.1, 3, 40), [0.0, 0.5, -0.5, 1.0]])


def scale_by_rank(x):
    scale = torch.tensor([0.5])
    if len(x.shape) == 4:
        scale = scale.view(-1, 1, 1, 1)
    elif len(x.shape) == 2:
        scale = scale.view(-1, 1)
    else:
        scale = scale.view(-1)
    return x + (torch.round(x / scale) * scale - x).detach()


def checked_rank(x):
    if x.dim() not in (1, 2, 4):
        raise ValueError("batches of vectors or images")
    return F.relu(x) * 2


def asserted_rank(x):
    if not (x.ndim >= 1 and x.size(0) > 0):  # pytest rewrites an assert
        raise AssertionError("a batch")
    return torch.tanh(x)


def narrow_dtypes(x):
    if x.dtype in (torch.float16, torch.bfloat16):
        return F.silu(x.float()).type(x.dtype)
    return F.silu(x)


def on_its_device(x):
    floor = torch.zeros(1)
    if x.is_cuda:
        floor = floor.cuda()
    if x.device.type == "cuda":
        floor = floor.cuda()
    return torch.where(x > floor, x, 0.1 * x)


def in_its_type(x):
    return torch.gt(x, 0.5).type(x.type()) * x


def where_learnt(x):
    if x.requires_grad:
        return torch.sin(x)
    return x.sin()


def guarded(x):
    if x.numel() == 0 or x.dim() < 0 or not x.numel():
        return x
    if x.size(-1) > 0 and x.dim() > -1 and len(x.shape) >= 0:
        return torch.sigmoid(x)
    return x


def of_one_shape(x):
    y = torch.tanh(x)
    if y.shape != x.shape or y.dim() != x.dim():
        raise ValueError("shapes")
    return y * x


class SavedForAGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, alpha):
        if x.requires_grad:
            ctx.save_for_backward(x)
            ctx.alpha = alpha
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx, upstream):
        (x,) = ctx.saved_tensors
        return upstream * torch.sigmoid(ctx.alpha * x), None


def saved_for_a_gradient(x):
    return SavedForAGradient.apply(x, 2.0)


def constant_of_its_type(x):
    return torch.tanh(x) * torch.Tensor([0.5]).to(x.device).to(x.dtype)


def binarized(x):
    y = x.new(x.size())
    y[x >= 0] = 1
    y[x < 0] = -1
    return y * x


READ = [
    binarized,
    guarded,
    saved_for_a_gradient,
    constant_of_its_type,
    of_one_shape,
    scale_by_rank,
    checked_rank,
    asserted_rank,
    narrow_dtypes,
    on_its_device,
    in_its_type,
    where_learnt,
]


@pytest.mark.parametrize("function", READ, ids=lambda f: f.__name__)
def test_a_question_whose_answers_agree_is_read(function):
    made = from_json(activation(function).to_json())
    x = torch.tensor(X, requires_grad=True)
    value = function(x * 1)
    (slope,) = torch.autograd.grad(value.sum(), x)
    np.testing.assert_allclose(made(X), value.detach().numpy(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(made.derivative(X), slope.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.maximum(x, 0.0) if x.size > 0 else x,
        lambda x: np.maximum(x, 0.0) if x.size else x,
        lambda x: np.maximum(x, 0.0) if np.ndim(x) >= 0 else x,
        lambda x: np.maximum(x, 0.0) if x.shape[0] >= 1 and np.size(x) != 0 else x,
    ],
)
def test_an_array_has_numbers(function):
    np.testing.assert_array_equal(activation(function)(X), np.maximum(X, 0.0))


RESHAPED = {
    "torch.reshape": lambda x: torch.reshape(torch.relu(torch.flatten(x)), x.shape),
    "torch, by name": lambda x: torch.reshape(torch.relu(x.flatten(start_dim=0)), shape=x.size()),
    "torch.broadcast_to": lambda x: torch.broadcast_to(torch.relu(x), x.shape),
    "np.reshape": lambda x: np.reshape(np.maximum(np.reshape(x, -1), 0.0), np.shape(x)),
    "np.reshape, by name": lambda x: np.reshape(np.maximum(x.ravel("C"), 0.0), shape=x.shape),
    "the method": lambda x: np.maximum(x.ravel(order="C"), 0.0).reshape(x.shape, order="C"),
    "np.broadcast_to": lambda x: np.broadcast_to(np.maximum(x, 0.0), x.shape),
    "tf.reshape": lambda x: tf.reshape(tf.maximum(tf.reshape(x, [-1]), 0.0), tf.shape(x)),
    "tf.ensure_shape": lambda x: tf.ensure_shape(tf.maximum(x, 0.0), x.shape),
    "tf.broadcast_to": lambda x: tf.broadcast_to(tf.constant(0.0, x.dtype), tf.shape(x)) + tf.nn.relu(x),
    "jnp.reshape": lambda x: jnp.reshape(jnp.maximum(x.ravel(), 0.0), x.shape),
    "keras.ops.reshape": lambda x: keras.ops.reshape(keras.ops.relu(x), keras.ops.shape(x)),
}  # fmt: skip


@pytest.mark.parametrize("name", RESHAPED)
def test_the_shape_is_passed_on(name):
    array = X.reshape(4, 11)
    np.testing.assert_array_equal(activation(RESHAPED[name])(array), np.maximum(array, 0.0))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.maximum(x.ravel("F"), 0.0).reshape(x.shape),
        lambda x: np.maximum(x.flatten("F"), 0.0).reshape(x.shape),
        lambda x: np.maximum(x.ravel(order="F"), 0.0).reshape(x.shape),
        lambda x: np.maximum(np.ravel(x, "F"), 0.0).reshape(x.shape),
        lambda x: np.maximum(np.ravel(x, order="F"), 0.0).reshape(x.shape),
        lambda x: np.maximum(x.ravel(), 0.0).reshape(x.shape, order="F"),
        lambda x: np.reshape(np.maximum(x.ravel(), 0.0), x.shape, order="F"),
    ],
)
def test_an_order_that_moves_the_elements_is_refused(function):
    assert not np.array_equal(function(X.reshape(4, 11)), np.maximum(X.reshape(4, 11), 0.0))
    with pytest.raises(TraceError, match=r"another order \(order='F'\)"):
        activation(function)


def test_a_shape_that_is_taken_apart_is_refused_with_a_cure_that_works():
    def by_parts(x):
        rows, columns = x.shape
        return np.maximum(x.ravel(), 0.0).reshape(rows, columns)

    for function in (by_parts, lambda x: torch.relu(x.flatten()).view(*x.shape)):
        with pytest.raises(TraceError, match=r"Pass it on as it is: `y.view\(x.shape\)`"):
            activation(function)
    cured = activation(lambda x: torch.relu(x.flatten()).view(x.shape))
    np.testing.assert_array_equal(cured(X.reshape(4, 11)), np.maximum(X.reshape(4, 11), 0.0))


LIMITS = {
    "torch": lambda x: torch.clamp(x, min=torch.finfo(x.dtype).eps),
    "numpy": lambda x: np.maximum(x, np.finfo(x.dtype).tiny),
    "numpy, of the array": lambda x: np.maximum(x, np.finfo(x).eps),
    "the dtype's own": lambda x: torch.where(x > x.dtype.max, x, 0.5 * x),
    "tensorflow": lambda x: x * np.finfo(x.dtype.as_numpy_dtype).eps,
}


@pytest.mark.parametrize("name", LIMITS)
def test_the_limits_of_the_input_s_dtype_are_refused_with_a_cure_that_works(name):
    with pytest.raises(
        TraceError, match=r"Name the dtype, as in `torch.finfo\(torch.float32\).eps`"
    ):
        activation(LIMITS[name])
    for cured in (
        lambda x: torch.clamp(x, min=torch.finfo(torch.float32).eps),
        lambda x: np.maximum(x, np.finfo(np.float32).eps),
        lambda x, eps=2.0**-23: np.maximum(x, eps),
    ):
        np.testing.assert_array_equal(activation(cured)([0.0, 0.5]), [2.0**-23, 0.5])


def widened(x):
    while x.dim() < 4:
        x = x.unsqueeze(-1)
    return x


def count(x):
    return x / np.sqrt(x.numel())


REFUSED = {
    "another value": (lambda x: x * 2 if x.dim() == 3 else x * 3, "number of dimensions"),
    "another slope": (lambda x: x if x.dim() == 3 else x.detach(), "number of dimensions"),
    "another value by dtype": (lambda x: x + (1e-3 if x.dtype == torch.float16 else 1e-6), "dtype"),
    "another value by device": (lambda x: x + (1 if x.device.type == "cuda" else 2), "device's type"),
    "another value on a GPU": (lambda x: 2 * x if x.is_cuda else x, "device of its input"),
    "another value without a gradient": (lambda x: -x if x.requires_grad == False else x, "requires_grad"),  # noqa: E712
    "another value in training": (lambda x: x if x.requires_grad else 2 * x, "requires_grad"),
    "a loop over dimensions": (widened, "number of dimensions"),
    "the number of elements": (count, "number of elements"),
    "as many constants": (lambda x: x * torch.linspace(0, 1, x.shape[0]), "computes with the size"),
    "a range of its size": (lambda x: x * torch.arange(x.size(0)), "computes with the size"),
    "one number": (lambda x: x if x.numel() > 1 else -x, "number of elements"),
    "no dimensions": (lambda x: x if x.dim() > 0 else -x, "number of dimensions"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_question_whose_answers_differ_is_refused(name):
    function, match = REFUSED[name]
    with pytest.raises(TraceError, match=match) as caught:
        activation(function)
    assert "test_shapes.py" in str(caught.value)


@pytest.mark.filterwarnings("ignore:To copy construct from a tensor")
def test_new_tensors_of_old_code():
    for function in (
        lambda x: torch.max(x, x.new_full((1,), 0.3)),
        lambda x: torch.max(x, torch.full((1,), 0.3, device=x.device).type(x.type())),
        lambda x: x.new(x) * 2,
        lambda x: x + (torch.round(torch.autograd.Variable(x.data)) - x).detach(),
        lambda x: x * torch.autograd.Variable(x),
        lambda x: x + torch.tensor(x),
        lambda x: x * x.new_tensor(x),
        lambda x: torch.from_numpy(np.array([2.0])) * x,
    ):
        made = activation(function)
        x = torch.tensor(X, requires_grad=True)
        value = function(x * 1)
        (slope,) = torch.autograd.grad(value.sum(), x)
        np.testing.assert_allclose(made(X), value.detach().numpy(), rtol=1e-6)
        np.testing.assert_allclose(made.derivative(X), slope.numpy(), rtol=1e-6)


def needs_a_tensor(x):
    if not isinstance(x, torch.Tensor):
        raise TypeError(f"no tensor, but {type(x)}")
    return torch.sin(x)


def either(x):
    if isinstance(x, np.ndarray):
        return np.tanh(x)
    elif isinstance(x, (list, torch.Tensor)):
        return torch.tanh(x)
    raise TypeError("neither")


def with_a_parameter(x, slope=2.0):
    if isinstance(slope, torch.Tensor):
        slope = slope.item()
    return x * torch.tensor(slope, dtype=x.dtype)


def old_code(x):
    if isinstance(x, torch.autograd.Variable) and not isinstance(
        2.0, (torch.autograd.Variable, int)
    ):
        return torch.cos(x)
    raise TypeError("no variable")


@pytest.mark.parametrize(
    "function", [needs_a_tensor, either, with_a_parameter, old_code], ids=lambda f: f.__name__
)
def test_an_input_is_a_tensor(function):
    made = activation(function)
    np.testing.assert_allclose(made(X), function(torch.tensor(X)), rtol=1e-12)
    assert set(made.parameters) == ({"slope"} if function is with_a_parameter else set())
    if function is with_a_parameter:
        np.testing.assert_allclose(made.partial("slope")(X), X)


def test_an_input_that_is_another_tensor_in_another_library_is_refused():
    def differs(x):
        return np.tanh(x) if isinstance(x, np.ndarray) else torch.sin(x)

    with pytest.raises(TraceError, match="PyTorch tensors"):
        activation(differs)


SINGLE = {
    "PyTorch": lambda x: F.gelu(x.float()).type_as(x),
    "PyTorch, by a dtype": lambda x: F.silu(x.to(torch.float32)).to(x.dtype),
    "NumPy": lambda x: np.tanh(x.astype(np.float32)).astype(x.dtype),
    "NumPy, as a function": lambda x: np.tanh(np.float32(x)).astype(np.float64),
}


@pytest.mark.parametrize("name", SINGLE)
def test_what_is_computed_in_float32_whatever_the_input(name):
    function = SINGLE[name]
    made = activation(function)
    single = X.astype(np.float32)
    own = np.asarray(function(torch.tensor(single) if name.startswith("Py") else single))
    np.testing.assert_allclose(made(single), own, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(made(X), own, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.gelu(x.bfloat16()).type_as(x),
        lambda x: torch.round(x.float() * 1e4).to(x.dtype) / 1e4 + x.half().to(x.dtype),
    ],
)
def test_narrower_floats_are_refused(function):
    with pytest.raises(TraceError, match=r"casts to b?float16"):
        activation(function)


LEVELS = {4: 0.25, 8: 0.5}


def test_a_dict_with_numbers_for_keys():
    made = activation(lambda x: x * LEVELS[8] + sum(LEVELS))
    np.testing.assert_array_equal(made([1.0, 2.0]), [12.5, 13.0])
