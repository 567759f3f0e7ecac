"""JAX: dtypes, broadcasting, parameters, what is kept for the backward pass, refusals."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from actgrad import activation
from actgrad.errors import CallError, DtypeError, HostError, NoDerivativeError, UnfusedWarning
from actgrad.frameworks import jax as frameworks_jax

jax = pytest.importorskip("jax")
jnp = pytest.importorskip("jax.numpy")
extend = pytest.importorskip("jax.extend.core")
ad_checkpoint = pytest.importorskip("jax._src.ad_checkpoint")

step = activation(
    lambda x, slope=1.5: 1.0 if x >= 0 else 0.0,
    surrogate=lambda x, slope: slope * np.exp(-slope * x * x),
    name="step",
)
seven = activation(lambda x: x * x, surrogate=7, name="seven")
swish = activation(lambda x, beta=1.0: x / (1 + np.exp(-beta * x)), name="swish")
gate = activation(lambda a, b: a / (1 + np.exp(-b)), name="gate")
guided = activation(
    lambda x, scale=2.0: scale * max(x, 0.0),
    gradient=lambda x, g, scale: scale * g if x > 0 and g > 0 else 0.0,
    name="guided",
)
X = jnp.asarray(np.float32([[-1.5, -0.2, 0.3], [0.7, 1.1, 2.3]]))


def operations(jaxpr: Any) -> Iterator[Any]:
    """Every equation, those of nested programs too."""
    for equation in jaxpr.eqns:
        yield equation
        for inner in extend.jaxprs_in_params(equation.params):
            yield from operations(inner)


def names(function: Any, *args: Any) -> set[str]:
    return {e.primitive.name for e in operations(jax.make_jaxpr(function)(*args).jaxpr)}


TRANSFORMED = {
    "value": lambda f: f,
    "grad": lambda f: jax.grad(lambda x: f(x).sum()),
    "jvp": lambda f: lambda x: jax.jvp(f, (x,), (x,)),
    "hessian": lambda f: jax.hessian(lambda x: f(x).sum()),
    "vmap(grad)": lambda f: jax.vmap(jax.vmap(jax.grad(f))),
}
CONTROL = {
    "custom_jvp_call", "custom_vjp_call", "pjit", "jit", "remat2", "checkpoint", "closed_call",
}  # fmt: skip


@pytest.mark.parametrize("transformed", TRANSFORMED)
@pytest.mark.parametrize("f", [step, seven, swish], ids=lambda f: f.name)
def test_the_jaxpr_holds_native_operations_only(f: Any, transformed: str) -> None:
    found = names(TRANSFORMED[transformed](f), X)
    assert not {name for name in found if "callback" in name}
    assert all(hasattr(jax.lax, f"{name}_p") for name in found - CONTROL), found


def test_the_walk_over_the_jaxpr_can_find_a_callback() -> None:
    slow = activation(lambda x: float(x) ** 2, derivative=lambda x: 2.0 * x, host=True, name="slow")
    assert "pure_callback" in names(jax.jit(slow), X)
    assert "pure_callback" in names(jax.jit(jax.checkpoint(slow)), X)


def test_the_derivative_is_honoured_inside_a_larger_function() -> None:
    w = jnp.eye(3) * 2
    got = jax.jit(jax.grad(lambda x: seven(x @ w).sum()))(X)
    np.testing.assert_array_equal(got, np.full((2, 3), 14.0))


# What is kept for the backward pass.


def kept(function: Any, *args: Any) -> list[tuple[str, tuple[int, ...]]]:
    """Dtype and shape of what the backward pass is given, but for the arguments themselves."""
    found = ad_checkpoint.saved_residuals(function, *args)
    return [(r.dtype.name, r.shape) for r, where in found if "argument" not in where]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("f", [step, seven, swish], ids=lambda f: f.name)
def test_one_tensor_is_kept(f: Any, dtype: str) -> None:
    x = jnp.ones((4, 5), dtype)
    residuals = kept(lambda x: f(x + 1).sum(), x)
    assert [r for r in residuals if r[1]] in ([(dtype, (4, 5))], [])


def test_one_tensor_per_input_is_kept() -> None:
    a, b = jnp.ones((4, 5)), jnp.ones(5)
    found = kept(lambda a, b: gate(a + 1, b + 1).sum(), a, b)
    assert sorted(found) == [("float32", (4, 5)), ("float32", (5,))]


def test_a_trainable_parameter_keeps_no_further_tensor() -> None:
    found = kept(lambda x, b: swish(x + 1, beta=b + 1).sum(), jnp.ones((4, 5)), jnp.ones(()))
    assert [shape for _, shape in found if shape] == [(4, 5)]


COMPILED = "/jax/core/compile/backend_compile_duration"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("arguments", [1, 2])
def test_outside_jit_there_is_one_loop_for_the_value_and_few_for_the_gradient(
    arguments: int, dtype: str
) -> None:
    long = activation(lambda x: x * math.tanh(math.log(1 + math.exp(x))) + math.sin(x), name="long")
    f = long if arguments == 1 else activation(lambda x, y: long(x) * long(y), name="longer")
    tensors = [jnp.ones((5, 7), dtype)] * arguments
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: compiled.append(event)
    )
    try:
        jax.clear_caches()
        value, backward = jax.vjp(f, *tensors)
        forward = compiled.count(COMPILED)
        backward(value)
    finally:
        jax.monitoring.clear_event_listeners()
    assert forward == 1
    assert compiled.count(COMPILED) - forward <= 2


# Dtypes.


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool", "int8", "complex64", "float8_e5m2"])
@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit, jax.vmap], ids=["eager", "jit", "vmap"])
def test_other_dtypes_are_refused(dtype: str, wrap: Any) -> None:
    way_out = "jax.lax.complex" if dtype == "complex64" else "astype"
    found = rf"'swish' got an array of dtype {dtype}.*(?s:.*){way_out}"
    with pytest.raises(DtypeError, match=found):
        wrap(swish)(jnp.zeros(3, dtype))


def test_an_integer_array_beside_a_float_is_refused() -> None:
    with pytest.raises(DtypeError, match="int32"):
        gate(X, jnp.arange(3))
    with pytest.raises(DtypeError, match="int64"):
        gate(X, np.arange(3))


def test_weak_types_stay_weak() -> None:
    weak = jnp.asarray(0.5)
    assert weak.weak_type
    assert swish(weak).weak_type
    assert (swish(weak) + jnp.ones(2, jnp.bfloat16)).dtype == jnp.bfloat16
    assert jax.grad(swish)(0.5).dtype == jnp.float32
    assert not swish(jnp.float32(0.5)).weak_type


def test_python_numbers_take_the_dtype_of_the_others() -> None:
    half = jnp.ones(3, jnp.bfloat16)
    assert gate(half, 2).dtype == gate(2.0, half).dtype == jnp.bfloat16
    assert gate(half, jnp.asarray(0.5)).dtype == jnp.bfloat16
    assert gate(half, X).dtype == jnp.float32
    np.testing.assert_allclose(gate(1, X), 1 / (1 + np.exp(-np.asarray(X))), rtol=1e-6)


def test_python_numbers_alone_are_numpys() -> None:
    assert type(swish(0.5)) is float


def test_strict_promotion() -> None:
    with jax.numpy_dtype_promotion("strict"):
        np.testing.assert_allclose(step(X), np.asarray(X) >= 0)
        assert (
            jax.grad(lambda x: swish(x, beta=2.0).sum())(X.astype(jnp.bfloat16)).dtype == "bfloat16"
        )


def test_debug_nans_sees_no_dead_branch() -> None:
    root = activation(lambda x: np.sqrt(x) if x > 0 else 0.0, name="root")
    x = jnp.array([-1.0, 0.0, 4.0])
    with jax.debug_nans(True):
        np.testing.assert_array_equal(root(x), [0, 0, 2])
        np.testing.assert_array_equal(jax.grad(lambda x: root(x).sum())(x), [0, 0, 0.25])
        np.testing.assert_array_equal(jax.vmap(jax.hessian(root))(x), [0, 0, -1 / 32])


# Broadcasting and parameters.


@pytest.mark.diagonal
@pytest.mark.parametrize(
    ("a", "b"),
    [((2, 3), (3,)), ((2, 1), (1, 3)), ((), (2, 3)), ((4, 1, 3), (2, 1)), ((0, 3), (3,))],
)
@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_inputs_broadcast_and_gradients_sum_back(a: Any, b: Any, wrap: Any) -> None:
    rng = np.random.default_rng(0)
    x, y = (jnp.asarray(rng.normal(size=s), jnp.float32) for s in (a, b))
    reference = lambda x, y: (x * jax.nn.sigmoid(y)).sum()
    got = wrap(jax.grad(lambda x, y: gate(x, y).sum(), (0, 1)))(x, y)
    for mine, theirs in zip(got, jax.grad(reference, (0, 1))(x, y), strict=True):
        assert mine.shape == theirs.shape
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(), (3,), (2, 1)], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_parameters_are_arguments(shape: tuple[int, ...], dtype: str) -> None:
    beta = jnp.full(shape, 1.5, dtype)
    reference = lambda x, b: (x * jax.nn.sigmoid(x * b.astype(jnp.float32))).sum()
    got = jax.jit(jax.grad(lambda x, b: swish(x, beta=b).sum(), (0, 1)))(X, beta)
    for mine, theirs in zip(got, jax.grad(reference, (0, 1))(X, beta), strict=True):
        assert (mine.shape, mine.dtype) == (theirs.shape, theirs.dtype)
        np.testing.assert_allclose(mine.astype(float), theirs.astype(float), rtol=1e-2)


def test_a_parameter_acts_in_the_surrogate() -> None:
    slope = lambda s: jax.grad(lambda x: step(x, slope=s))(0.3)
    assert slope(4.0) == pytest.approx(4 * np.exp(-4 * 0.09), rel=1e-6)
    assert jax.jit(slope)(4.0) == pytest.approx(4 * np.exp(-4 * 0.09), rel=1e-6)
    by_slope = jax.grad(lambda s: step(jnp.float32(0.3), slope=s))
    assert by_slope(4.0) == 0.0


def test_a_traced_parameter_of_a_numpy_input() -> None:
    x = np.float32([0.5, 1.0])
    got = jax.grad(lambda b: swish(x, beta=b).sum())(1.0)
    wanted = jax.grad(lambda b: (x * jax.nn.sigmoid(x * b)).sum())(1.0)
    assert got == pytest.approx(float(wanted), rel=1e-5)


def test_another_parameter_value_compiles_nothing_anew() -> None:
    traces = []

    @jax.jit
    def run(x: Any, beta: Any) -> Any:
        traces.append(1)
        return swish(x, beta=beta)

    run(X, 1.0), run(X, 2.0)
    assert len(traces) == 1


def test_array_parameter() -> None:
    scaled = activation(lambda x, w=(1.0, 2.0, 3.0): x * w, name="scaled")
    np.testing.assert_allclose(scaled(X), np.asarray(X) * [1, 2, 3], rtol=1e-6)
    np.testing.assert_allclose(jax.grad(lambda x: scaled(x).sum())(X), [[1, 2, 3]] * 2)


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_a_value_that_does_not_mention_every_input(wrap: Any) -> None:
    first = activation(lambda a, b: a * 1.0, name="first")
    three = activation(lambda x: 3.0, surrogate=lambda x: x, name="three")
    assert wrap(first)(jnp.ones(3), jnp.ones((2, 3))).shape == (2, 3)
    assert wrap(first)(jnp.ones(3, "bfloat16"), jnp.ones((2, 3), "bfloat16")).dtype == "bfloat16"
    grads = jax.grad(lambda a, b: wrap(first)(a, b).sum(), (0, 1))(jnp.ones(3), jnp.ones((2, 3)))
    np.testing.assert_array_equal(grads[0], [2, 2, 2])
    np.testing.assert_array_equal(grads[1], np.zeros((2, 3)))
    np.testing.assert_array_equal(wrap(three)(X), np.full((2, 3), 3.0))
    np.testing.assert_array_equal(wrap(jax.grad(lambda x: three(x).sum()))(X), X)


def test_one_tensor_as_both_inputs() -> None:
    got = jax.jit(jax.grad(lambda x: gate(x, x).sum()))(X)
    np.testing.assert_allclose(got, jax.vmap(jax.vmap(jax.grad(jax.nn.silu)))(X), rtol=1e-5)


# A whole gradient: reverse mode only.

BACKWARD = {
    "grad": lambda f, x: jax.grad(lambda x: (f(x) * -x).sum())(x),
    "jit(grad)": lambda f, x: jax.jit(jax.grad(lambda x: (f(x) * -x).sum()))(x),
    "vjp": lambda f, x: jax.vjp(f, x)[1](-x)[0] - f(x),
    "vmap(grad)": lambda f, x: jax.vmap(jax.vmap(jax.grad(lambda x: -x * f(x))))(x),
    "grad(checkpoint)": lambda f, x: jax.grad(lambda x: (jax.checkpoint(f)(x) * -x).sum())(x),
}


@pytest.mark.diagonal
@pytest.mark.parametrize("mode", BACKWARD)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_gradient_rule(mode: str, dtype: str) -> None:
    x = X.astype(dtype)
    got = BACKWARD[mode](guided, x)
    # upstream is -x: nothing passes where x > 0, nor where it is not; the product's own part stays.
    assert got.dtype == dtype
    np.testing.assert_array_equal(got.astype(float), -2.0 * np.maximum(x.astype(float), 0))


def test_gradient_rule_lets_positive_upstream_through() -> None:
    np.testing.assert_array_equal(jax.grad(lambda x: guided(x).sum())(X), 2.0 * (np.asarray(X) > 0))


def test_gradient_rule_second_order_is_that_of_the_rule() -> None:
    rule = activation(lambda x: x * x, gradient=lambda x, g: x * x * x * g, name="rule")
    assert jax.grad(jax.grad(rule))(2.0) == pytest.approx(12.0)
    assert jax.jit(jax.grad(jax.grad(jax.grad(rule))))(2.0) == pytest.approx(12.0)
    assert jax.jacrev(jax.jacrev(rule))(2.0) == pytest.approx(12.0)


@pytest.mark.parametrize("shape", [(), (3,), (2, 1)], ids=str)
def test_gradient_rule_with_parameter(shape: tuple[int, ...]) -> None:
    scale = jnp.full(shape, 2.0)
    gradient = jax.grad(lambda x, s: guided(x, scale=s).sum(), (0, 1))(X, scale)
    wanted = jax.grad(lambda x, s: (s * jnp.maximum(x, 0)).sum(), (0, 1))(X, scale)
    np.testing.assert_allclose(gradient[0], wanted[0], rtol=1e-6)
    np.testing.assert_allclose(gradient[1], wanted[1], rtol=1e-6)


FORWARD = {
    "jvp": lambda f, x: jax.jvp(f, (x,), (x,)),
    "jacfwd": lambda f, x: jax.jacfwd(f)(x),
    "jvp(jit)": lambda f, x: jax.jvp(jax.jit(f), (x,), (x,)),
    "hessian": lambda f, x: jax.hessian(lambda x: f(x).sum())(x),
    "jit(jvp)": lambda f, x: jax.jit(lambda x: jax.jvp(f, (x,), (x,)))(x),
}


@pytest.mark.parametrize("mode", FORWARD)
def test_gradient_rule_refuses_forward_mode(mode: str) -> None:
    """Where JAX meets it while it compiles a larger function, the error is JAX's own."""
    inside = mode in ("jvp", "jacfwd", "hessian")
    error, text = (
        (NoDerivativeError, "reverse mode only") if inside else (TypeError, "forward-mode")
    )
    with pytest.raises(error, match=text):
        FORWARD[mode](guided, X)


# On the host.


@pytest.fixture(scope="module")
def on_host() -> Any:
    def smaller(a, b):
        return float(sorted([float(a), float(b)])[0])

    rules = (lambda a, b: float(float(a) < float(b)), lambda a, b: float(float(a) >= float(b)))
    return activation(smaller, derivative=rules, host=True)


@pytest.mark.diagonal
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize(
    "wrap", [lambda f: f, jax.jit, jax.checkpoint], ids=["eager", "jit", "remat"]
)
def test_host(on_host: Any, dtype: str, wrap: Any) -> None:
    x, b = X.astype(dtype), jnp.asarray([0.5, 0.25, 1.0], dtype)
    value = wrap(on_host)(x, b)
    assert (value.shape, value.dtype) == (x.shape, dtype)
    np.testing.assert_array_equal(value, jnp.minimum(x, b))
    da, db = jax.grad(lambda x, b: wrap(on_host)(x, b).sum(), (0, 1))(x, b)
    np.testing.assert_array_equal(da, (x < b).astype(dtype))
    np.testing.assert_array_equal(db, (x >= b).astype(dtype).sum(0))


@pytest.mark.parametrize("axes", [(0, 0), (0, None), (None, 0)], ids=str)
def test_host_vmaps_inputs_of_different_rank(on_host: Any, axes: Any) -> None:
    a = jnp.arange(4.0) if axes[0] == 0 else jnp.float32(1.5)
    b = jnp.linspace(0, 3, 12).reshape(4, 3) if axes[1] == 0 else jnp.ones(3)
    np.testing.assert_array_equal(jax.vmap(on_host, axes)(a, b), jax.vmap(jnp.minimum, axes)(a, b))


def test_host_empty(on_host: Any) -> None:
    assert on_host(jnp.ones((0, 3)), jnp.ones(3)).shape == (0, 3)


def test_host_has_no_source(on_host: Any) -> None:
    with pytest.raises(HostError, match="host"):
        on_host.source("jax")


# The object.


def test_errors() -> None:
    with pytest.raises(CallError, match=r"takes 2 inputs \(a, b\), and got 1"):
        gate(X)
    with pytest.raises(CallError, match="'betta'; did you mean 'beta'"):
        swish(X, betta=2.0)
    with pytest.raises(CallError, match="takes arrays, and got ArrayImpl, object"):
        gate(X, object())


def test_an_edited_function_takes_effect_at_once() -> None:
    make = lambda slope: activation(lambda x: x * x, surrogate=slope, name="edited")
    slopes = [jax.jit(jax.grad(make(slope)))(1.0) for slope in (7, 8, 7)]
    assert slopes == [7.0, 8.0, 7.0]


def test_equal_activations_share_what_was_compiled() -> None:
    traces = []

    def run(f: Any, x: Any) -> Any:
        traces.append(f)
        return f(x)

    compiled = jax.jit(run, static_argnums=0)
    make = lambda slope: activation(lambda x: x * x, surrogate=slope, name="shared")
    for slope in (7, 7, 8):
        compiled(make(slope), X)
    assert len(traces) == 2


def test_native_is_one_function_per_program() -> None:
    assert swish.native("jax") is swish.native("jax")
    assert swish.native("jax").__name__ == "swish"
    np.testing.assert_array_equal(swish.native("jax")(X, beta=2.0), swish(X, beta=2.0))
    assert isinstance(swish.native("jax")(0.5), jax.Array)


@pytest.mark.parametrize("transformed", ["value", "grad", "hessian"])
def test_many_threads_call_a_first_time_at_once(transformed: str) -> None:
    fresh = activation(
        lambda x: x * x, surrogate=lambda x: 7.0 + x * x, name=f"fresh_{transformed}"
    )
    run = TRANSFORMED[transformed](fresh)
    wanted = {"value": 4.0, "grad": 11.0, "hessian": 4.0}[transformed]
    start, found, failed = threading.Barrier(8), [], []

    def first() -> None:
        try:
            start.wait()
            found.append(float(np.max(run(jnp.float32([2.0])))))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=first) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert found == [wanted] * 8


def test_array_likes() -> None:
    class Parameter:
        """As Flax's variables."""

        def __init__(self, value: Any) -> None:
            self.value = value

        def __jax_array__(self) -> Any:
            return self.value

    np.testing.assert_array_equal(swish(Parameter(X)), swish(X))
    assert jax.jit(lambda x: swish(Parameter(x)))(X).shape == X.shape
    with pytest.raises(DtypeError, match="int32"):
        swish(Parameter(jnp.arange(3)))


def test_a_parameter_is_learnt() -> None:
    """Gradient descent on beta finds the one that made the data."""
    x = jnp.linspace(-3, 3, 101)
    target = swish(x, beta=2.5)
    loss = lambda b: ((swish(x, beta=b) - target) ** 2).mean()
    descend = jax.jit(lambda b: b - 20.0 * jax.grad(loss)(b))
    beta = jnp.float32(1.0)
    for _ in range(300):
        beta = descend(beta)
    assert beta == pytest.approx(2.5, abs=1e-2)


def test_xla_writes_out_nothing_that_a_long_value_and_its_gradient_share() -> None:
    """It made 18,665 instructions of these, and of 114 steps took a minute and 1 GB."""

    @activation
    def long(x):
        for _ in range(40):
            x = math.acosh(1.5 + x * x)
        return x

    both = jax.jit(jax.value_and_grad(lambda x: long(x).sum()))
    assert both.lower(jnp.ones(50)).compile().as_text().count(" = ") < 2000


def test_a_long_program_is_not_compiled(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(frameworks_jax, "MOST_OPERATIONS", 8)

    @activation(name="a_long_one")
    def long(x, scale=1.5):
        return scale * sum(x**k / (k + 1) for k in range(2, 8))

    x = np.linspace(-1, 1, 50)
    powers = np.arange(2, 8)
    with jax.log_compiles():
        with pytest.warns(UnfusedWarning, match="'a_long_one'(.|\n)*operations"):
            y = long(jnp.asarray(x, np.float32))
        slope = jax.grad(lambda x: long(x).sum())(jnp.asarray(x, np.float32))
    compiled = {record.args[0] for record in caplog.records if "Compiling" in record.msg}
    assert compiled  # single operations
    assert not {name for name in compiled if "long" in str(name) or "push" in str(name)}
    wanted = 1.5 * np.sum(x[:, None] ** powers / (powers + 1), 1)
    np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-6)
    wanted = 1.5 * np.sum(powers * x[:, None] ** (powers - 1) / (powers + 1), 1)
    np.testing.assert_allclose(slope, wanted, rtol=1e-5, atol=1e-6)
