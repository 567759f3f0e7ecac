"""JAX: several devices, exported programs, and generated source, each in a process of its own."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actgrad import activation
from tests.process import python
from tests.sample import exhaustive_but

jax = pytest.importorskip("jax")
jnp = pytest.importorskip("jax.numpy")

POINTS = np.float32([-1.7, -0.6, -0.2, 0.3, 0.7, 0.9, 1.2, 1.6])

spiky = activation(
    lambda x: x % 1 if x % 1 <= 0.5 else 0,
    derivative=lambda x: 1.0 if x % 1 <= 0.5 else 0.0,
    name="spiky",
)
step = activation(
    lambda x, slope=1.5: 1.0 if x >= 0 else 0.0,
    surrogate=lambda x, slope: slope * np.exp(-slope * x * x),
    name="step",
)
seven = activation(lambda x: x * x, surrogate=7, name="seven")
gate = activation(lambda a, b=0.5: a / (1 + np.exp(-b * a)), name="gate")
guided = activation(
    lambda x: max(x, 0.0), gradient=lambda x, g: g if x > 0 and g > 0 else 0.0, name="guided"
)
CASES = {"spiky": spiky, "step": step, "seven": seven}


def run(script: str, *arguments: str, actgrad: bool = True, **environment: str) -> Any:
    """What the script prints last, as JSON."""
    options = ("-W", "error::UserWarning", "-c", textwrap.dedent(script))
    return json.loads(python(*options, *arguments, actgrad=actgrad, **environment)[-1])


TWO_DEVICES = """
import json, sys
import jax, jax.numpy as jnp, numpy as np
from functools import partial
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
from actgrad import from_json

assert len(jax.devices()) == 2
mesh = jax.make_mesh((2,), ("d",), axis_types=(AxisType.Auto,))
explicit = jax.make_mesh((2,), ("d",), axis_types=(AxisType.Explicit,))
x = jnp.asarray(json.loads(sys.argv[1]), jnp.float32)
split = jax.device_put(x, NamedSharding(mesh, P("d")))
found = {}
for text in json.loads(sys.argv[2]):
    f = from_json(text)
    total = lambda x: f(x).sum()
    on_each = jax.shard_map(f, mesh=mesh, in_specs=P("d"), out_specs=P("d"))
    sums = jax.shard_map(
        lambda x: jax.lax.psum(f(x).sum(), "d"), mesh=mesh, in_specs=P("d"), out_specs=P()
    )
    inside = jax.shard_map(
        jax.grad(total), mesh=mesh, in_specs=P("d"), out_specs=P("d")
    )
    pushed = jax.shard_map(
        lambda x: jax.jvp(f, (x,), (jnp.ones_like(x),))[1], mesh=mesh, in_specs=P("d"), out_specs=P("d")
    )
    placed = jax.jit(jax.grad(total))(split)
    if f.name != "seven":  # a gradient that does not depend on x need not be split as x is
        assert placed.sharding.is_equivalent_to(split.sharding, 1), placed.sharding
    with jax.set_mesh(explicit):
        typed = jax.jit(jax.grad(total))(jax.device_put(x, P("d")))
        assert jax.typeof(typed).sharding.spec == P("d"), jax.typeof(typed)
    answers = {
        "sharded jit": jax.jit(f)(split),
        "sharded jit(grad)": placed,
        "explicit sharding": typed,
        "shard_map": on_each(x),
        "jit(shard_map)": jax.jit(on_each)(x),
        "grad(shard_map)": jax.grad(lambda x: on_each(x).sum())(x),
        "grad(shard_map(psum))": jax.grad(sums)(x),
        "jit(grad(shard_map))": jax.jit(jax.grad(lambda x: on_each(x).sum()))(x),
        "shard_map(grad)": inside(x),
        "shard_map(jvp)": pushed(x),
        "pmap(grad)": jax.pmap(jax.grad(total))(x.reshape(2, -1)).reshape(-1),
    }
    found[f.name] = {mode: np.asarray(a).tolist() for mode, a in answers.items()}
print(json.dumps(found))
"""
VALUES = ["sharded jit", "shard_map", "jit(shard_map)"]
SLOPES = [
    "sharded jit(grad)", "explicit sharding", "grad(shard_map)", "grad(shard_map(psum))",
    "jit(grad(shard_map))", "shard_map(grad)", "shard_map(jvp)", "pmap(grad)",
]  # fmt: skip


@pytest.fixture(scope="module")
def two_devices() -> Any:
    texts = json.dumps([f.to_json() for f in CASES.values()])
    flags = "--xla_force_host_platform_device_count=2"
    return run(TWO_DEVICES, json.dumps(POINTS.tolist()), texts, XLA_FLAGS=flags)


@pytest.mark.parametrize("mode", VALUES)
@pytest.mark.parametrize("name", CASES)
def test_value_on_two_devices(two_devices: Any, name: str, mode: str) -> None:
    wanted = CASES[name](POINTS.astype(np.float64))
    np.testing.assert_allclose(two_devices[name][mode], wanted, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("mode", SLOPES)
@pytest.mark.parametrize("name", CASES)
def test_derivative_on_two_devices(two_devices: Any, name: str, mode: str) -> None:
    wanted = CASES[name].derivative(POINTS.astype(np.float64))
    np.testing.assert_allclose(two_devices[name][mode], wanted, rtol=1e-6, atol=1e-7)


OPENED = """
import json, sys
import jax, jax.numpy as jnp, numpy as np
from jax import export

f = export.deserialize(bytearray(open(sys.argv[1], "rb").read()))
x = jnp.asarray(json.loads(sys.argv[2]), jnp.float32)
first = jax.grad(lambda x: f.call(x).sum())
found = {"value": f.call(x), "first": first(x), "jit": jax.jit(first)(x)}
if len(sys.argv) > 3:
    found["second"] = jax.grad(lambda x: first(x).sum())(x)
assert "actgrad" not in sys.modules
print(json.dumps({name: np.asarray(a).tolist() for name, a in found.items()}))
"""


@pytest.mark.diagonal
@pytest.mark.parametrize("shape", ["8", "n"])
@pytest.mark.parametrize("name", CASES)
def test_exported_and_opened_without_actgrad(name: str, shape: str, tmp_path: Path) -> None:
    """With a vjp_order the derivatives travel along, the second that of the given first."""
    f = CASES[name]
    dimensions = jax.export.symbolic_shape(shape)
    exported = jax.export.export(jax.jit(f))(jax.ShapeDtypeStruct(dimensions, jnp.float32))
    path = tmp_path / "f"
    path.write_bytes(exported.serialize(vjp_order=2))
    found = run(OPENED, str(path), json.dumps(POINTS.tolist()), "second", actgrad=False)
    points = POINTS.astype(np.float64)
    wanted = {
        "value": f(points),
        "first": f.derivative(points),
        "jit": f.derivative(points),
        "second": f.derivative.derivative(points),
    }
    for part, values in wanted.items():
        np.testing.assert_allclose(found[part], values, rtol=1e-5, atol=1e-6, err_msg=part)


def test_a_gradient_rule_is_exported(tmp_path: Path) -> None:
    exported = jax.export.export(jax.jit(guided))(jax.ShapeDtypeStruct((8,), jnp.float32))
    (tmp_path / "f").write_bytes(exported.serialize(vjp_order=1))
    found = run(OPENED, str(tmp_path / "f"), json.dumps(POINTS.tolist()), actgrad=False)
    np.testing.assert_array_equal(found["first"], POINTS > 0)


ALONE = """
import importlib.util, json, sys
import jax, jax.numpy as jnp, numpy as np

specification = importlib.util.spec_from_file_location("alone", sys.argv[1])
module = importlib.util.module_from_spec(specification)
specification.loader.exec_module(module)
f = getattr(module, sys.argv[2])
x = jnp.asarray(json.loads(sys.argv[3]), jnp.float32)
first = jax.grad(lambda x: f(x).sum())
found = {
    "value": f(x), "jit": jax.jit(f)(x), "grad": first(x), "jit(grad)": jax.jit(first)(x),
    "vmap(grad)": jax.vmap(jax.grad(f))(x),
    "bfloat16": jax.grad(lambda x: f(x.astype(jnp.bfloat16)).sum().astype(jnp.float32))(x),
}
assert f(x.astype(jnp.bfloat16)).dtype == jnp.bfloat16
assert f(jnp.arange(3)).dtype == jnp.float32
if sys.argv[2] != "guided":
    found["jvp"] = jax.jvp(f, (x,), (jnp.ones_like(x),))[1]
if sys.argv[2] == "gate":
    found["parameter"] = jax.grad(lambda b: f(x, b).sum())(0.25)
assert "actgrad" not in sys.modules
print(json.dumps({name: np.asarray(a, np.float64).tolist() for name, a in found.items()}))
"""


@pytest.mark.parametrize(
    "f", exhaustive_but([gate], [spiky, step, seven, gate, guided]), ids=lambda f: f.name
)
def test_source_stands_alone(f: Any, tmp_path: Path) -> None:
    path = tmp_path / "alone.py"
    path.write_text(f.source("jax"))
    found = run(ALONE, str(path), f.name, json.dumps(POINTS.tolist()), actgrad=False)
    points = POINTS.astype(np.float64)
    slope = (points > 0) * 1.0 if f is guided else f.derivative(points)
    for mode in ("value", "jit"):
        np.testing.assert_allclose(found[mode], f(points), rtol=1e-6, atol=1e-7)
    for mode in ("grad", "jit(grad)", "vmap(grad)", *(["jvp"] if "jvp" in found else [])):
        np.testing.assert_allclose(found[mode], slope, rtol=1e-5, atol=1e-6, err_msg=mode)
    half = np.asarray(jnp.asarray(POINTS, jnp.bfloat16), np.float64)
    slope = (half > 0) * 1.0 if f is guided else f.derivative(half)
    np.testing.assert_allclose(found["bfloat16"], slope, rtol=1e-2, atol=1e-2)
    if f is gate:
        by_b = jax.grad(lambda b: gate(jnp.asarray(POINTS), b=b).sum())(0.25)
        assert found["parameter"] == pytest.approx(float(by_b), rel=1e-5)


def test_source_and_room_agree_with_array_parameters() -> None:
    scaled = activation(lambda x, w=(1.0, 2.0): x * w * w, name="scaled")
    namespace: dict[str, Any] = {}
    exec(scaled.source("jax"), namespace)
    x = jnp.asarray(POINTS.reshape(4, 2))
    np.testing.assert_array_equal(namespace["scaled"](x), scaled(x))
    w = jnp.asarray([0.5, 3.0])
    alone = jax.grad(lambda x, w: namespace["scaled"](x, w).sum(), (0, 1))(x, w)
    room = jax.grad(lambda x, w: scaled(x, w=w).sum(), (0, 1))(x, w)
    for mine, theirs in zip(alone, room, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6)


def test_source_of_a_gradient_rule_sums_back() -> None:
    rule = activation(lambda a, b: a * b, gradient=lambda a, b, g: (g * b, g * a), name="rule")
    namespace: dict[str, Any] = {}
    exec(rule.source("jax"), namespace)
    a, b = jnp.asarray(POINTS.reshape(4, 2)), jnp.asarray([0.5, 3.0])
    got = jax.grad(lambda a, b: namespace["rule"](a, b).sum(), (0, 1))(a, b)
    np.testing.assert_allclose(got[0], jnp.broadcast_to(b, a.shape))
    np.testing.assert_allclose(got[1], a.sum(0), rtol=1e-6)
