"""Custom gradients: value and derivative as the library's own autograd has them, in every framework."""

from functools import partial

import numpy as np
import pytest

from actgrad import activation, from_json, trainable
from actgrad.errors import TraceError

torch = pytest.importorskip("torch")
tf = pytest.importorskip("tensorflow")
jax = pytest.importorskip("jax")
keras = pytest.importorskip("keras")
jnp = jax.numpy

X = np.concatenate([np.linspace(-3, 3.1, 41), [0.0, 1.0, -1.0]]).astype(np.float32)
UP = np.linspace(-2, 2, X.size).astype(np.float32)


def by_torch(function, inputs):
    tensors = [torch.tensor(x, requires_grad=True) for x in inputs]
    value = function(*tensors)
    grads = torch.autograd.grad(value, tensors, torch.tensor(UP), allow_unused=True)
    return value.detach().numpy(), [0 * X if g is None else g.numpy() for g in grads]


def by_tensorflow(function, inputs):
    tensors = [tf.constant(x) for x in inputs]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        value = function(*tensors)
    grads = tape.gradient(value, tensors, output_gradients=tf.constant(UP))
    return value.numpy(), [0 * X if g is None else g.numpy() for g in grads]


def by_jax(function, inputs):
    def both(*xs):
        value, pullback = jax.vjp(function, *xs)
        return value, pullback(jnp.asarray(UP))

    value, slopes = jax.jit(both)(*map(jnp.asarray, inputs))
    return np.asarray(value), list(map(np.asarray, slopes))


RUNS = {"torch": by_torch, "tensorflow": by_tensorflow, "jax": by_jax}


def check(home, function, inputs=1, kind="surrogate"):
    """Read, saved and loaded, it has in every framework what its own library's autograd says."""
    columns = [np.roll(X, 7 * i) for i in range(inputs)]
    value, gradients = RUNS[home](function, columns)
    made = activation(function)
    assert made.program.kind == kind
    loaded = from_json(made.to_json())
    for run in RUNS.values():
        found, slopes = run(loaded, columns)
        np.testing.assert_allclose(found, value, rtol=2e-5, atol=1e-6)
        for slope, gradient in zip(slopes, gradients, strict=True):
            np.testing.assert_allclose(slope, gradient, rtol=2e-5, atol=1e-6)
    return made


class Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale=2.0):
        ctx.save_for_backward(x)
        ctx.scale = scale
        return (x > 0).float()

    @staticmethod
    def backward(ctx, upstream):
        (x,) = ctx.saved_tensors
        inside = upstream.clone()
        inside[x.abs() > 1.5] = 0
        return inside / (1 + (ctx.scale * x) ** 2), None


step = Step.apply


class TwoInputs(torch.autograd.Function):
    """The newer style, with what the older ones do not have."""

    @staticmethod
    def forward(x, y, power=2):
        return x.exp() * y**power

    @staticmethod
    def setup_context(ctx, inputs, output):
        _x, y, ctx.power = inputs
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(output, y)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, upstream):
        output, y = ctx.saved_tensors
        by_x = by_y = None
        if ctx.needs_input_grad[0]:
            by_x = upstream * output * 0.5
        if ctx.needs_input_grad[1]:
            by_y = upstream * 3 * y
        return by_x, by_y, None


class TwoOutputs(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        sign = torch.sign(x)
        ctx.mark_non_differentiable(sign)
        ctx.save_for_backward(x)
        return x * x, sign

    @staticmethod
    def backward(ctx, upstream, _):
        (x,) = ctx.saved_tensors
        return upstream * x * 5


class Outer(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return Step.apply(x, 3.0)

    @staticmethod
    def backward(ctx, upstream):
        (x,) = ctx.saved_tensors
        return Passed.apply(upstream) * torch.exp(-x.abs())


class Passed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 1.5

    @staticmethod
    def backward(ctx, upstream):
        return upstream


class Clipped(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, upstream):
        return upstream.clamp(-1, 1)


def straight_through(x):
    return x + (torch.round(x) - x).detach()


def under_no_grad(x):
    with torch.no_grad():
        gain = torch.exp(-x.abs())
    return x * gain


@pytest.mark.parametrize(
    ("function", "inputs"),
    [
        (Step.apply, 1),
        (lambda x: Step.apply(2 * x, 3.0) + x * Step.apply(x), 1),
        (lambda x: step(x) * x, 1),
        (TwoInputs.apply, 2),
        (lambda x, y: TwoInputs.apply(x - y, y, 3), 2),
        (lambda x: TwoOutputs.apply(x)[0] + TwoOutputs.apply(x)[1], 1),
        (Outer.apply, 1),
        (straight_through, 1),
        (under_no_grad, 1),
    ],
)
def test_torch(function, inputs):
    check("torch", function, inputs)


def test_the_argument_with_a_default_is_a_parameter():
    made = activation(Step.apply)
    assert made.name == "Step"
    assert made.parameters == {"scale": 2.0}
    assert made(scale=0.5).derivative(1.0) == 1 / (1 + 0.25)


def test_the_class_is_read_as_its_apply():
    assert activation(Passed) == activation(Passed.apply)


def test_a_true_gradient_stays_exact():
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, upstream):
            return upstream * 2 * ctx.saved_tensors[0]

    check("torch", Square.apply, kind="exact")


def test_second_derivative_is_that_of_the_rule():
    made = activation(lambda x: Step.apply(x, 1.0))
    h = 1e-5
    slope = (made.derivative(0.3 + h) - made.derivative(0.3 - h)) / (2 * h)
    assert made.derivative.derivative(0.3) == pytest.approx(slope, rel=1e-6)


def test_a_rule_that_is_not_linear_is_the_whole_gradient():
    check("torch", Clipped.apply, kind="gradient")
    check("torch", lambda x: Clipped.apply(x), kind="gradient")

    class Module(torch.nn.Module):
        def forward(self, x):
            return Clipped.apply(x)

    check("torch", Module(), kind="gradient")


def test_the_result_of_one_of_two_custom_gradients_is_the_whole_function():
    def function(x):
        clipped = Clipped.apply(x)
        Step.apply(x)
        return clipped

    check("torch", function, kind="gradient")


@pytest.mark.parametrize("learns", [False, True])
def test_a_rule_that_is_not_linear_has_a_parameter(learns):
    class Guided(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, gain):
            ctx.save_for_backward(x, gain)
            return x.clamp(min=0) * gain

        @staticmethod
        def backward(ctx, upstream):
            x, gain = ctx.saved_tensors
            by_gain = (upstream.clamp(min=0) * x * 3).sum() if learns else None
            return upstream.clamp(min=0) * (x > 0) * gain, by_gain

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = torch.nn.Parameter(torch.tensor(1.5))

        def forward(self, x):
            return Guided.apply(x, self.gain)

    theirs = Module()
    made = from_json(activation(theirs).to_json())
    assert made.program.kind == "gradient"
    ours = made.module(gain=trainable(1.5))
    grads = []
    for module in (theirs, ours):
        x = torch.tensor(X, requires_grad=True)
        module(x).backward(torch.tensor(UP))
        grads.append((x.grad.numpy(), module.gain.grad))
    np.testing.assert_allclose(grads[1][0], grads[0][0], rtol=2e-5, atol=1e-6)
    if learns:  # otherwise the derivative by it stays the exact one
        torch.testing.assert_close(grads[1][1].sum(), grads[0][1])


@pytest.mark.parametrize("times", [1.0, 3.0])
def test_the_derivative_of_a_rule_that_is_not_linear_is_the_gradient_of_the_sum(times):
    def function(x):
        return Clipped.apply(times * x) * x

    x = torch.tensor(X, requires_grad=True)
    function(x).sum().backward()
    made = from_json(activation(function).to_json())
    assert made.program.kind == "gradient"
    np.testing.assert_allclose(made.derivative(X), x.grad.numpy(), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: Clipped.apply(x) + 1,
        lambda x: Clipped.apply(2 * x),
        lambda x: Clipped.apply(torch.tanh(Clipped.apply(3 * x))) * x,
        lambda x: Clipped.apply(x) * Clipped.apply(x) - Clipped.apply(-x),
        lambda x: torch.where(Clipped.apply(x) > 0, 3 * Clipped.apply(x), x),
        lambda x: Clipped.apply(x).detach() * x + Clipped.apply(x),
    ],
)
def test_a_rule_that_is_not_linear_has_what_comes_back_to_it(function):
    check("torch", function, kind="gradient")


def test_a_rule_that_branches_on_the_upstream_gradient_has_what_comes_back_to_it():
    class Branches(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 1 * x

        @staticmethod
        def backward(ctx, upstream):
            return upstream if upstream > 3 else 5 * upstream

    made = activation(lambda x: x * Branches.apply(2 * x))
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    made(x).sum().backward()
    # At 1 what comes back to it is x, 1, and goes on five times; at 2 too; at 4 once.
    assert x.grad.tolist() == [2.0 * 1 + 1.0 * 5 * 2, 2.0 * 2 + 2.0 * 5 * 2]
    x = torch.tensor([4.0], requires_grad=True)
    made(x).sum().backward()
    assert x.grad.tolist() == [2.0 * 4 + 4.0 * 2]


def test_a_hook_changes_the_gradient():
    def function(x):
        y = torch.tanh(x)
        y.register_hook(lambda upstream: upstream.clamp(-0.2, 0.2))
        return 3 * y + x

    check("torch", function, kind="gradient")


def test_a_hook_on_the_input_is_refused():
    def function(x):
        x.register_hook(lambda upstream: 2 * upstream)
        return torch.tanh(x)

    with pytest.raises(TraceError, match="caller's tensor"):
        activation(function)


def test_a_rule_with_too_few_gradients_is_refused():
    class Short(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            return x * y

        @staticmethod
        def backward(ctx, upstream):
            return upstream

    with pytest.raises(TraceError, match="1 gradients for 2 arguments"):
        activation(Short.apply)


@tf.custom_gradient
def tf_scaled(x, y):
    def gradient(upstream):
        return upstream * y, upstream * tf.nn.sigmoid(x)

    return x * y, gradient


@tf.custom_gradient
def tf_clipped(x):
    return x * 2.0, lambda upstream: tf.clip_by_value(upstream, -0.5, 0.5)


def tf_inside(x):
    @tf.custom_gradient
    def inner(z):
        return tf.sign(z), lambda upstream: upstream * tf.exp(-tf.abs(z))

    return inner(x * 2.0) + x


@pytest.mark.parametrize(
    ("function", "inputs", "kind"),
    [
        (tf_scaled, 2, "surrogate"),
        (lambda x: tf_scaled(x, 2.0 * x), 1, "surrogate"),
        (tf.function(tf_scaled), 2, "surrogate"),
        (tf_inside, 1, "surrogate"),
        (tf_clipped, 1, "gradient"),
        (tf.grad_pass_through(tf.round), 1, "surrogate"),
        (tf.recompute_grad(lambda x: x * tf.sigmoid(x)), 1, "exact"),
        (lambda x: x + tf.stop_gradient(tf.sign(x) - x), 1, "surrogate"),
    ],
)
def test_tensorflow(function, inputs, kind):
    check("tensorflow", function, inputs, kind)


@jax.custom_jvp
def with_jvp(x, y):
    return jnp.sin(x) * y


@with_jvp.defjvp
def _(primals, tangents):
    (x, y), (dx, dy) = primals, tangents
    return with_jvp(x, y), 2 * jnp.cos(x) * dx * y + jnp.sin(x) * dy


@jax.custom_jvp
def with_jvps(x, y):
    return jnp.sin(x) * y


with_jvps.defjvps(lambda dx, value, x, y: 3 * jnp.cos(x) * dx * y, None)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def with_vjp(height, x):
    return jnp.where(x > 0, height, 0.0)


with_vjp.defvjp(
    lambda height, x: (with_vjp(height, x), x),
    lambda height, x, upstream: (upstream * height * jnp.exp(-jnp.abs(x)),),
)


@jax.custom_vjp
def jax_clipped(x):
    return 2 * x


jax_clipped.defvjp(lambda x: (2 * x, None), lambda _, g: (jnp.clip(g, -0.5, 0.5),))


@jax.custom_gradient
def jax_pair(x):
    return x**2, lambda upstream: (upstream * x,)


@pytest.mark.parametrize(
    ("function", "inputs", "kind"),
    [
        (with_jvp, 2, "surrogate"),
        (with_jvps, 2, "surrogate"),
        (lambda x: with_vjp(2.0, x) * x, 1, "surrogate"),
        (jax.jit(lambda x: with_vjp(2.0, x)), 1, "surrogate"),
        (jax.checkpoint(lambda x: with_vjp(2.0, x)), 1, "surrogate"),
        (jax.vmap(lambda x: with_vjp(2.0, x)), 1, "surrogate"),
        (jnp.vectorize(lambda x: with_vjp(2.0, x)), 1, "surrogate"),
        (jax_clipped, 1, "gradient"),
        (jax_pair, 1, "surrogate"),
        (lambda x: jax_pair(jnp.sin(x)), 1, "surrogate"),
        (lambda x: x + jax.lax.stop_gradient(jnp.round(x) - x), 1, "surrogate"),
    ],
)
def test_jax(function, inputs, kind):
    check("jax", function, inputs, kind)


def test_keras():
    home = keras.backend.backend()
    if home == "numpy":
        return

    @keras.ops.custom_gradient
    def leaky(x):
        def gradient(*args, upstream=None):
            if upstream is None:
                (upstream,) = args
            return upstream * keras.ops.sigmoid(4 * x)

        return keras.ops.maximum(x, 0.0), gradient

    check(home, leaky)
    check(home, lambda x: leaky(2 * x) + x)


def test_check_and_repr_say_surrogate():
    made = activation(Step.apply)
    assert "surrogate derivative" in repr(made)
    assert "surrogate" in str(made.check())
