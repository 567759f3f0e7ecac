"""JAX: in every transformation and composition, the value and the derivative in force.

The oracles are the Python functions themselves. The constant derivative 7 of x * x cannot be mistaken
for one that JAX found on its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from actgrad import Activation, activation

jax = pytest.importorskip("jax")
jnp = pytest.importorskip("jax.numpy")

# Away from every kink, irregular, both signs.
POINTS = np.float32([-2.7, -1.3, -0.37, -0.21, 0.13, 0.29, 0.44, 0.81, 1.2, 1.7, 3.4, 12.6])


@dataclass(frozen=True)
class Case:
    activation: Activation
    value: Callable[[float], float]
    derivative: Callable[[float], float]
    second: Callable[[float], float]
    third: Callable[[float], float] = lambda x: 0.0

    def expected(self, order: int, points: Any = POINTS) -> Any:
        function = (self.value, self.derivative, self.second, self.third)[order]
        return np.array([function(float(x)) for x in points.ravel()]).reshape(points.shape)


def spiky(x):
    r = x % 1
    return r if r <= 0.5 else 0


def d_spiky(x):
    return 1.0 if x % 1 <= 0.5 else 0.0


def step(x, slope=1.5):
    return 1.0 if x >= 0 else 0.0


def bump(x, slope):
    return slope * math.exp(-slope * x * x)


def square(x):
    return x * x


CASES = {
    "spiky": Case(activation(spiky, derivative=d_spiky), spiky, d_spiky, lambda x: 0.0),
    "step": Case(
        activation(step, surrogate=bump),
        step,
        lambda x: bump(x, 1.5),
        lambda x: -2 * 1.5 * x * bump(x, 1.5),
        lambda x: (4 * 1.5**2 * x * x - 2 * 1.5) * bump(x, 1.5),
    ),
    "seven": Case(
        activation(square, surrogate=7, name="seven"), square, lambda x: 7.0, lambda x: 0.0
    ),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def agree(got: Any, wanted: Any) -> None:
    np.testing.assert_allclose(np.asarray(got), wanted, rtol=2e-6, atol=2e-7)


def total(f: Any) -> Any:
    return lambda x: f(x).sum()


def by_scan(f: Any) -> Any:
    def all_at_once(xs: Any) -> Any:
        return jax.lax.scan(lambda carry, x: (carry + f(x), f(x)), 0.0, xs)[1]

    return all_at_once


def in_while(f: Any) -> Any:
    def once(x: Any) -> Any:
        return jax.lax.while_loop(lambda s: s[0] < 1, lambda s: (s[0] + 1, f(s[1])), (0, x))[1]

    return once


def in_for(f: Any) -> Any:
    return lambda x: jax.lax.fori_loop(0, 1, lambda _, x: f(x), x)


def in_cond(f: Any) -> Any:
    return lambda x: jax.lax.cond(x.sum() < 1e9, f, lambda x: x, x)


def pushed(f: Any) -> Any:
    return lambda x: jax.jvp(f, (x,), (jnp.ones_like(x),))[1]


def pulled(f: Any) -> Any:
    return lambda x: jax.vjp(f, x)[1](jnp.ones_like(x))[0]


def diagonal(jacobian: Any) -> Any:
    def of(f: Any) -> Any:
        return lambda x: jnp.diagonal(jacobian(f)(x))

    return of


VALUES: dict[str, Callable[[Any], Any]] = {
    "eager": lambda f: f,
    "jit": jax.jit,
    "native": lambda f: f.native("jax"),
    "jit(native)": lambda f: jax.jit(f.native("jax")),
    "vmap": jax.vmap,
    "jit(vmap)": lambda f: jax.jit(jax.vmap(f)),
    "vmap(vmap)": lambda f: lambda x: jax.vmap(jax.vmap(f))(x.reshape(3, 4)).reshape(-1),
    "scan": by_scan,
    "while_loop": in_while,
    "fori_loop": in_for,
    "cond": in_cond,
    "map": lambda f: lambda x: jax.lax.map(f, x),
    "checkpoint": jax.checkpoint,
    "jvp": lambda f: lambda x: jax.jvp(f, (x,), (x,))[0],
    "vjp": lambda f: lambda x: jax.vjp(f, x)[0],
    "linearize": lambda f: lambda x: jax.linearize(f, x)[0],
    "donated": lambda f: lambda x: jax.jit(f, donate_argnums=0)(x + 0),
}

FIRST: dict[str, Callable[[Any], Any]] = {
    "grad": lambda f: jax.grad(total(f)),
    "jit(grad)": lambda f: jax.jit(jax.grad(total(f))),
    "grad(jit)": lambda f: jax.grad(total(jax.jit(f))),
    "grad(native)": lambda f: jax.grad(total(f.native("jax"))),
    "value_and_grad": lambda f: lambda x: jax.value_and_grad(total(f))(x)[1],
    "jvp": pushed,
    "jit(jvp)": lambda f: jax.jit(pushed(f)),
    "jvp(jit)": lambda f: pushed(jax.jit(f)),
    "vjp": pulled,
    "jit(vjp)": lambda f: jax.jit(pulled(f)),
    "vjp(jit)": lambda f: pulled(jax.jit(f)),
    "vmap(grad)": lambda f: jax.vmap(jax.grad(f)),
    "jit(vmap(grad))": lambda f: jax.jit(jax.vmap(jax.grad(f))),
    "grad(vmap)": lambda f: jax.grad(total(jax.vmap(f))),
    "vmap(jvp)": lambda f: jax.vmap(pushed(f)),
    "jvp(vmap)": lambda f: pushed(jax.vmap(f)),
    "jacfwd": diagonal(jax.jacfwd),
    "jacrev": diagonal(jax.jacrev),
    "jit(jacfwd)": lambda f: jax.jit(diagonal(jax.jacfwd)(f)),
    "jit(jacrev)": lambda f: jax.jit(diagonal(jax.jacrev)(f)),
    "linearize": lambda f: lambda x: jax.linearize(f, x)[1](jnp.ones_like(x)),
    "linear_transpose": lambda f: (
        lambda x: jax.linear_transpose(lambda t: jax.jvp(f, (x,), (t,))[1], x)(jnp.ones_like(x))[0]
    ),
    "grad(scan)": lambda f: jax.grad(total(by_scan(f))),
    "jvp(scan)": lambda f: pushed(by_scan(f)),
    "jvp(while_loop)": lambda f: pushed(in_while(f)),
    "grad(fori_loop)": lambda f: jax.grad(total(in_for(f))),
    "grad(cond)": lambda f: jax.grad(total(in_cond(f))),
    "grad(map)": lambda f: jax.grad(lambda x: jax.lax.map(f, x).sum()),
    "grad(checkpoint)": lambda f: jax.grad(total(jax.checkpoint(f))),
    "jit(grad(checkpoint))": lambda f: jax.jit(jax.grad(total(jax.checkpoint(f)))),
    "grad(checkpoint(scan))": lambda f: jax.grad(total(jax.checkpoint(by_scan(f)))),
    "donated grad": lambda f: lambda x: jax.jit(jax.grad(total(f)), donate_argnums=0)(x + 0),
    "f.derivative": lambda f: f.derivative,
}

SECOND: dict[str, Callable[[Any], Any]] = {
    "grad(grad)": lambda f: jax.vmap(jax.grad(jax.grad(f))),
    "jit(grad(grad))": lambda f: jax.jit(jax.vmap(jax.grad(jax.grad(f)))),
    "hessian": lambda f: jax.vmap(jax.hessian(f)),
    "jit(hessian)": lambda f: jax.jit(lambda x: jnp.diagonal(jax.hessian(total(f))(x))),
    "jacfwd(jacrev)": lambda f: jax.vmap(jax.jacfwd(jax.jacrev(f))),
    "jacrev(jacfwd)": lambda f: jax.vmap(jax.jacrev(jax.jacfwd(f))),
    "jacfwd(jacfwd)": lambda f: jax.vmap(jax.jacfwd(jax.jacfwd(f))),
    "jacrev(jacrev)": lambda f: jax.vmap(jax.jacrev(jax.jacrev(f))),
    "jvp(grad)": lambda f: pushed(jax.grad(total(f))),
    "grad(jvp)": lambda f: jax.grad(total(pushed(f))),
    "jvp(jvp)": lambda f: pushed(pushed(f)),
    "vjp(vjp)": lambda f: pulled(pulled(f)),
    "grad(jit(grad))": lambda f: jax.grad(total(jax.jit(jax.grad(total(f))))),
    "grad(checkpoint(grad))": lambda f: jax.grad(total(jax.checkpoint(jax.grad(total(f))))),
    "grad(scan(grad))": lambda f: jax.grad(total(by_scan(jax.grad(f)))),
    "grad(f.derivative)": lambda f: jax.grad(total(f.derivative)),
}

THIRD: dict[str, Callable[[Any], Any]] = {
    "grad(grad(grad))": lambda f: jax.vmap(jax.grad(jax.grad(jax.grad(f)))),
    "jit(jacfwd(hessian))": lambda f: jax.jit(jax.vmap(jax.jacfwd(jax.hessian(f)))),
    "jvp(jvp(jvp))": lambda f: pushed(pushed(pushed(f))),
}


@pytest.mark.diagonal
@pytest.mark.parametrize("mode", VALUES)
def test_value(case: Case, mode: str) -> None:
    agree(VALUES[mode](case.activation)(jnp.asarray(POINTS)), case.expected(0))


@pytest.mark.diagonal
@pytest.mark.parametrize("mode", FIRST)
def test_derivative(case: Case, mode: str) -> None:
    agree(FIRST[mode](case.activation)(jnp.asarray(POINTS)), case.expected(1))


@pytest.mark.diagonal
@pytest.mark.parametrize("mode", SECOND)
def test_second_derivative(case: Case, mode: str) -> None:
    agree(SECOND[mode](case.activation)(jnp.asarray(POINTS)), case.expected(2))


@pytest.mark.diagonal
@pytest.mark.parametrize("mode", THIRD)
def test_third_derivative(case: Case, mode: str) -> None:
    np.testing.assert_allclose(
        THIRD[mode](case.activation)(jnp.asarray(POINTS)), case.expected(3), rtol=2e-5, atol=2e-6
    )


def test_fixed_point_by_while_loop() -> None:
    """More than one turn: each applies the rule."""
    f = CASES["seven"].activation

    def three_times(x: Any) -> Any:
        return jax.lax.fori_loop(0, 3, lambda _, x: f(x), x)

    assert jax.grad(three_times)(1.1) == 7.0**3
    assert jax.jit(jax.grad(three_times))(1.1) == 7.0**3


@pytest.mark.diagonal
@pytest.mark.parametrize("wide", [True, False], ids=["x64", "x32"])
@pytest.mark.parametrize("mode", ["jit(grad)", "jvp", "vmap(grad)", "jacrev"])
def test_x64(case: Case, mode: str, wide: bool) -> None:
    with jax.enable_x64(wide):
        dtype = np.float64 if wide else np.float32
        x = jnp.asarray(POINTS, dtype)
        value, slope = case.activation(x), FIRST[mode](case.activation)(x)
        assert value.dtype == slope.dtype == dtype
        points = POINTS.astype(np.float64)
        tolerance = 1e-14 if wide else 2e-6
        np.testing.assert_allclose(value, case.expected(0, points), rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(slope, case.expected(1, points), rtol=tolerance, atol=tolerance)


SHAPES = [(), (0,), (1,), (3, 0, 2), (2, 3), (1, 1, 5)]


@pytest.mark.diagonal
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_shapes(case: Case, shape: tuple[int, ...], wrap: Any) -> None:
    points = np.resize(POINTS, shape).astype(np.float32)
    value = wrap(case.activation)(jnp.asarray(points))
    slope = wrap(jax.grad(total(case.activation)))(jnp.asarray(points))
    assert value.shape == slope.shape == shape
    agree(value, case.expected(0, points))
    agree(slope, case.expected(1, points))
    agree(pushed(wrap(case.activation))(jnp.asarray(points)), case.expected(1, points))


HALVES = ["bfloat16", "float16"]


@pytest.mark.diagonal
@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("mode", ["grad", "jit(grad)", "jvp", "jacrev", "jacfwd", "vmap(grad)"])
def test_halves_compute_in_float32(case: Case, dtype: str, mode: str) -> None:
    """Rounded once: the float32 answer at the same points, cast."""
    x = jnp.asarray(POINTS, dtype)
    value, slope = case.activation(x), FIRST[mode](case.activation)(x)
    assert value.dtype == slope.dtype == dtype
    points = np.asarray(x.astype(jnp.float32))
    for got, order in ((value, 0), (slope, 1)):
        wanted = jnp.asarray(case.expected(order, points), jnp.float32).astype(dtype)
        np.testing.assert_array_equal(got.astype(jnp.float32), wanted.astype(jnp.float32))
