"""A parameter that is read at a computed index: gathered, and its gradient scattered, in every framework."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

from actgrad import activation, from_json, learnable, trainable
from actgrad.errors import CallError, DefinitionError
from actgrad.language.expression import walk
from tests.process import python
from tests.tensors import ROOMS, tensor

KNOTS = np.linspace(-2.0, 2.0, 9)
VALUES = np.round(np.sin(2 * KNOTS) + 0.2 * KNOTS, 3)
X = np.array([[-3.1, -1.93, -0.57, 0.21], [0.83, 1.17, 1.91, 2.7]])


def interpolated(x: Any, values: Any = tuple(VALUES), scale: Any = 1.5) -> Any:
    return scale * np.interp(x, KNOTS, values)


def stairs(x: Any, t: Any = (0.5, -1.0, 2.0, 4.0), scale: Any = 1.5) -> Any:
    return t[int(min(max(x + 1, 0), 3))] * x * scale


def of_numpy(x: Any, t: Any = np.array([0.5, -1.0, 2.0, 4.0]), scale: Any = 1.5) -> Any:  # noqa: B008
    return np.take(t, int(min(max(x + 1, 0), 3))) ** 2 + scale * x


def of_slopes(x: Any, t: Any = [0.5, -1.0, 2.0, 4.0], scale: Any = 1.5) -> Any:  # noqa: B006
    rises = [t[i + 1] - t[i] for i in range(len(t) - 1)]
    i = min(max(math.floor(x + 1), 0), 2)
    return t[i] + np.array(rises)[i] * (x + 1 - i) * scale


FUNCTIONS = [interpolated, stairs, of_numpy, of_slopes]
functions = pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
frameworks = pytest.mark.parametrize("framework", [n for n in ROOMS if n != "numpy"])


def table_of(f: Any) -> str:
    return str(next(iter(f.program.lengths)))


def numbers_of(f: Any) -> Any:
    return np.round(np.asarray(f.parameters[table_of(f)]) * 1.1 + 0.07, 4)


def values(function: Callable[..., Any], table: Any, scale: float) -> Any:
    """The user's own function, one plain number at a time."""
    return np.array([[function(float(x), np.array(table), scale) for x in row] for row in X])


def slopes(function: Callable[..., Any], table: Any) -> tuple[Any, float, Any]:
    """By the table, the scale and x: differences of the user's own function, the first two added up."""
    step = 1e-6
    by_table = [
        np.sum(values(function, table + e, 0.8) - values(function, table - e, 0.8)) / (2 * step)
        for e in step * np.eye(len(table))
    ]
    by_scale = np.sum(values(function, table, 0.8 + step) - values(function, table, 0.8 - step)) / (
        2 * step
    )
    by_x = [
        [
            (function(x + step, np.array(table), 0.8) - function(x - step, np.array(table), 0.8))
            / (2 * step)
            for x in row
        ]
        for row in X
    ]
    return np.array(by_table), float(by_scale), np.array(by_x)


def gradients(f: Any, framework: str, dtype: str, mode: str) -> list[Any]:
    """The value, and the gradients of its sum by the table, the scale and x."""
    name, table = table_of(f), numbers_of(f)
    if framework == "torch":
        import torch

        wide = torch.float64 if dtype == "float64" else torch.float32
        x = torch.tensor(X, dtype=getattr(torch, dtype), requires_grad=True)
        t = torch.tensor(table, dtype=wide, requires_grad=True)
        s = torch.tensor(0.8, dtype=wide, requires_grad=True)

        def call(x: Any, t: Any, s: Any) -> Any:
            return f(x, **{name: t}, scale=s)

        torch.compiler.reset()  # all cases share one code object, whose recompilations are limited
        y = (torch.compile(call, fullgraph=True) if mode == "compiled" else call)(x, t, s)
        y.sum().backward()
        return [each.detach().double().numpy() for each in (y, t.grad, s.grad, x.grad)]
    if framework == "tensorflow":
        import tensorflow as tf

        wide = "float64" if dtype == "float64" else "float32"
        x = tf.constant(X, dtype)
        t, s = tf.Variable(table, dtype=wide), tf.Variable(0.8, dtype=wide)

        def compute() -> Any:
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = f(x, **{name: t}, scale=s)
            by = tape.gradient(y, [t, s, x])
            return [y, *map(tf.convert_to_tensor, by)]

        if mode != "eager":
            compute = tf.function(compute, jit_compile=True)
        return [tf.cast(each, tf.float64).numpy() for each in compute()]
    import jax

    with jax.enable_x64(dtype == "float64"):
        wide = "float64" if dtype == "float64" else "float32"
        x, t = jax.numpy.asarray(X, dtype), jax.numpy.asarray(table, wide)

        def run(t: Any, s: Any, x: Any) -> Any:
            y, back = jax.vjp(lambda t, s, x: f(x, **{name: t}, scale=s), t, s, x)
            return [y, *back(jax.numpy.ones_like(y))]

        run = jax.jit(run) if mode == "compiled" else run
        return [np.asarray(each, np.float64) for each in run(t, jax.numpy.asarray(0.8, wide), x)]


TOLERANCE = {"float64": 1e-7, "float32": 2e-5, "bfloat16": 3e-2}


@functions
def test_it_is_one_parameter(function: Any) -> None:
    f = activation(function)
    assert len(f.program.tables) == 1
    table = numbers_of(f)
    np.testing.assert_allclose(f(X, **{table_of(f): table}), values(function, table, 1.5))
    loaded = from_json(f.to_json())
    assert loaded == f
    np.testing.assert_array_equal(loaded(X), f(X))


@pytest.mark.parametrize(
    "function",
    [
        lambda x, t=(0.5, -1.0, 2.0): np.array(t)[int(min(max(x, 0), 2))] * x,
        lambda x, t=(0.5, -1.0, 2.0): np.take(t, np.floor(x).astype(int), mode="clip") * x,
        lambda x, t=[0.5, -1.0, 2.0]: (
            np.take(np.asarray(t), np.floor(x).astype(int), mode="wrap") * x
        ),
    ],
    ids=["array", "clip", "wrap"],
)
def test_an_array_that_is_made_of_it_and_indices_outside(function: Any) -> None:
    f = activation(function)
    assert f.program.tables == ("t",)
    given = [2.0, 3.5, -0.25]
    expected = [[function(np.float64(x), given) for x in row] for row in X]
    np.testing.assert_array_equal(f(X, t=given), expected)


@pytest.mark.parametrize("mode", ["clip", "wrap", None])
def test_take_of_jax(mode: str | None) -> None:
    jnp = pytest.importorskip("jax.numpy")

    def function(x: Any, t: Any = (0.5, -1.0, 2.0)) -> Any:
        return jnp.take(jnp.asarray(t), jnp.floor(x).astype(int), mode=mode) * x

    f = activation(function)
    assert f.program.tables == ("t",)
    np.testing.assert_array_equal(f(X.astype("float32")), function(X.astype("float32")))


def test_a_tensor_that_is_made_of_it() -> None:
    torch = pytest.importorskip("torch")

    def function(x: Any, t: Any = (0.5, -1.0, 2.0)) -> Any:
        return torch.tensor(t, dtype=x.dtype)[x.clamp(0, 2).long()] * x

    f = activation(function)
    assert f.program.tables == ("t",)
    x = torch.tensor(X)
    assert torch.equal(f(x, t=[2.0, 3.5, -0.25]), function(x, [2.0, 3.5, -0.25]))


def _cases() -> list[Any]:
    """Each function in each mode and dtype; by default the fast ones, and one that is compiled."""
    return [
        pytest.param(
            *(function, mode, dtype),
            marks=() if quick else pytest.mark.exhaustive,
            id=f"{function.__name__}-{mode}-{dtype}",
        )
        for function in FUNCTIONS
        for mode in ("eager", "compiled")
        for dtype in ("float32", "bfloat16", "float64")
        for quick in [dtype == "float32" and (mode == "eager" or function is interpolated)]
    ]


@frameworks
@pytest.mark.parametrize(("function", "mode", "dtype"), _cases())
def test_gradients(function: Any, framework: str, mode: str, dtype: str) -> None:
    pytest.importorskip(framework)
    f = activation(function)
    table = numbers_of(f)
    expected = [values(function, table, 0.8), *slopes(function, table)]
    for found, true in zip(gradients(f, framework, dtype, mode), expected, strict=True):
        size = np.abs(true).max()
        np.testing.assert_allclose(found, true, rtol=0, atol=TOLERANCE[dtype] * (1 + size))


@functions
def test_by_each_entry(function: Any) -> None:
    f = activation(function)
    name, table = table_of(f), numbers_of(f)
    f = f(**{name: table}, scale=0.8)
    by_entry = [np.sum(partial(X)) for partial in f.partial(name)]
    np.testing.assert_allclose(by_entry, slopes(function, table)[0], atol=1e-8)
    assert f.check()


@pytest.mark.parametrize("n", [16, 1024])
def test_it_is_not_unrolled(n: int) -> None:
    knots, heights = np.linspace(-1, 1, n), tuple(np.cos(np.linspace(-1, 1, n)))

    def interpolated(x: Any, v: Any = heights) -> Any:
        return np.interp(x, knots, v)

    f = activation(interpolated)
    assert f.program.tables == ("v",)
    assert len(f.program.opened.arguments) == 3
    assert len(walk(f.program.value)) < 30


@pytest.mark.parametrize("framework", ROOMS)
def test_a_place_that_is_no_number(framework: str) -> None:
    f = activation(lambda x, t=(1.0, 2.0, 4.0): t[int(min(max(x, 0), 2))], name="steps",
                   surrogate=lambda x: 1.0)  # fmt: skip
    x = np.float32([math.nan, -math.inf, math.inf, 1.5])
    np.testing.assert_array_equal(np.asarray(f(tensor(framework, x))), [math.nan, 1.0, 4.0, 2.0])


@pytest.mark.parametrize("framework", ["numpy", "torch", "tensorflow", "jax"])
def test_a_place_that_a_number_leaves_without_one(framework: str) -> None:
    """The root of -3 is no number, so no entry is read, whatever the rest does with it."""
    f = activation(lambda x, t=(0.5, -1.0, 2.0): t[int(math.sqrt(x))] * x, name="rooted")
    np.testing.assert_array_equal(np.asarray(f(tensor(framework, [-3.0, 1.0]))), [np.nan, -1.0])


@pytest.mark.parametrize("index", ["1e19", "-1e19", '"inf"'])
@pytest.mark.parametrize("framework", ROOMS)
def test_a_place_that_no_integer_holds(framework: str, index: str) -> None:
    f = activation(lambda x, t=(0.5, -1.0, 2.0): t[int(min(max(x, 0), 2))] * x, name="held")
    stored = json.loads(f.to_json())
    nodes = stored["nodes"]
    at = next(node for node in nodes if node[0] == "gather")
    nodes.insert(0, ["const", json.loads(index)])
    for node in nodes[1:]:
        node[1:] = [n + 1 for n in node[1:]] if node[0] not in ("var", "const") else node[1:]
    at[2] = 0
    stored["value"] += 1
    entry = 0.5 if index.startswith("-") else 2.0
    found = from_json(json.dumps(stored))(tensor(framework, [-3.0, 1.0]))
    np.testing.assert_array_equal(np.asarray(found), [-3.0 * entry, entry])


def test_second_order_and_forward_mode_in_torch() -> None:
    torch = pytest.importorskip("torch")
    f = activation(of_numpy)  # its square has a second derivative by the table
    x, t = torch.tensor(X), torch.tensor(numbers_of(f))
    counts = torch.bincount((x + 1).clamp(0, 3).long().reshape(-1), minlength=4)
    hessian = torch.func.hessian(lambda t: f(x, t=t).sum())(t)
    torch.testing.assert_close(hessian, torch.diag(2.0 * counts.double()))
    _, moved = torch.func.jvp(lambda t: f(x, t=t), (t,), (torch.ones_like(t),))
    torch.testing.assert_close(moved, 2 * t[(x + 1).clamp(0, 3).long()])
    stacked = torch.func.vmap(lambda t: f(x, t=t))(torch.stack([t, 2 * t]))
    torch.testing.assert_close(stacked[1], f(x, t=2 * t))


def test_second_order_and_forward_mode_in_jax() -> None:
    jax = pytest.importorskip("jax")
    f = activation(of_numpy)
    x, t = jax.numpy.asarray(X), jax.numpy.asarray(numbers_of(f), "float32")
    places = np.clip(X + 1, 0, 3).astype(int)
    hessian = jax.hessian(lambda t: f(x, t=t).sum())(t)
    np.testing.assert_allclose(hessian, np.diag(2.0 * np.bincount(places.ravel(), minlength=4)))
    _, moved = jax.jvp(lambda t: f(x, t=t), (t,), (jax.numpy.ones_like(t),))
    np.testing.assert_allclose(moved, 2 * np.asarray(t)[places], rtol=1e-6)


@pytest.mark.parametrize("n", [2, 32, 33], ids="{} entries".format)
def test_short_tables_are_compared_and_long_ones_gathered_in_jax(n: int) -> None:
    jax = pytest.importorskip("jax")
    f = activation(lambda x, t=tuple(range(1, n + 1)): x * t[int(min(max(x, 0), n - 1))], name="f")
    x = np.float32([-5.0, 0.0, 0.5, 1.0, 1.75, 30.5, 31.0, 32.0, 90.0, math.nan])
    places = np.clip(np.nan_to_num(x), 0, n - 1).astype(int)
    tables = np.random.default_rng(0).normal(size=(n, 3)).astype("float32")  # one for each channel
    value, back = jax.vjp(
        lambda t: f(jax.numpy.asarray(x)[:, None], t=t), jax.numpy.asarray(tables)
    )
    np.testing.assert_array_equal(value, x[:, None] * tables[places])
    upstream = np.arange(30, dtype="float32").reshape(10, 3)
    upstream[-1] = 0.0
    expected = np.zeros_like(tables)
    np.add.at(expected, places[:-1], (np.nan_to_num(x)[:, None] * upstream)[:-1])
    (found,) = back(jax.numpy.asarray(upstream))
    np.testing.assert_allclose(found[1:], expected[1:], rtol=1e-6)
    gathers = str(jax.make_jaxpr(lambda t: f(jax.numpy.asarray(x), t=t))(jax.numpy.zeros(n)))
    assert ("gather" in gathers) == (n > 32)


def test_a_forward_accumulator_in_tensorflow() -> None:
    tf = pytest.importorskip("tensorflow")
    f = activation(of_numpy)
    x, t = tf.constant(X), tf.constant(numbers_of(f))
    with tf.autodiff.ForwardAccumulator(t, tf.ones_like(t)) as accumulator:
        y = f(x, t=t)
    places = np.clip(X + 1, 0, 3).astype(int)
    np.testing.assert_allclose(accumulator.jvp(y), 2 * t.numpy()[places])


def test_a_module_per_channel() -> None:
    torch = pytest.importorskip("torch")
    module = activation(interpolated).module(values=trainable(per_channel=True))
    x = torch.tensor(np.stack([X, X + 0.1]), dtype=torch.float64)[:, :, :, None]  # N, C, H, W
    module(x)
    assert {name: tuple(w.shape) for name, w in module.named_parameters()} == {"values": (9, 2)}
    tables = np.stack([VALUES, VALUES[::-1] + 0.3], axis=1)
    with torch.no_grad():
        module.values.copy_(torch.tensor(tables))
    y = module(x)
    y.sum().backward()
    for channel in range(2):
        own = x[:, channel].numpy()
        np.testing.assert_allclose(
            y[:, channel].detach().numpy(), interpolated(own, tables[:, channel]), rtol=1e-6
        )
        for i, e in enumerate(1e-6 * np.eye(9)):
            pair = [interpolated(own, tables[:, channel] + s * e).sum() for s in (1, -1)]
            slope = (pair[0] - pair[1]) / 2e-6
            assert abs(module.values.grad[i, channel].item() - slope) < 1e-6


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_a_layer_per_channel(data_format: str) -> None:
    keras = pytest.importorskip("keras")
    before = keras.config.image_data_format()
    keras.config.set_image_data_format(data_format)
    try:
        layer = activation(interpolated).layer(values=trainable(per_channel=True))
    finally:
        keras.config.set_image_data_format(before)
    x = np.stack([X, X + 0.1], axis=-1)[:, :, None, :].astype("float32")  # N, H, W, C
    given = x if data_format == "channels_last" else np.moveaxis(x, -1, 1)
    layer(given)
    (weight,) = layer.trainable_weights
    assert (weight.name, tuple(weight.shape)) == ("values", (9, 2))
    tables = np.stack([VALUES, VALUES[::-1] + 0.3], axis=1)
    weight.assign(tables)
    value = keras.ops.convert_to_numpy(layer(given))
    value = value if data_format == "channels_last" else np.moveaxis(value, 1, -1)
    for channel in range(2):
        expected = interpolated(x[..., channel], tables[:, channel])
        np.testing.assert_allclose(value[..., channel], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("framework", ROOMS)
def test_source(framework: str) -> None:
    pytest.importorskip(framework)
    f = activation(interpolated)
    table = numbers_of(f)
    namespace: dict[str, Any] = {"__name__": "written"}
    exec(compile(f.source(framework), "written.py", "exec"), namespace)
    function = namespace["interpolated"]
    true = values(interpolated, table, 0.8)
    by_table, by_scale, by_x = slopes(interpolated, table)
    if framework == "numpy":
        np.testing.assert_allclose(function(X, table, 0.8), true, rtol=1e-12)
        of_x, of_scale, *reads = namespace["interpolated_gradient"](X, table, 0.8)
        found = np.zeros(len(table))
        for _, index, by in reads:
            np.add.at(found, index.astype(int), by)
        np.testing.assert_allclose(found, by_table, atol=1e-8)
        np.testing.assert_allclose(of_x, by_x, atol=1e-8)
        assert abs(np.sum(of_scale) - by_scale) < 1e-8
    elif framework == "torch":
        import torch

        t = torch.tensor(table, requires_grad=True)
        y = function(torch.tensor(X), t, 0.8)
        y.sum().backward()
        np.testing.assert_allclose(y.detach().numpy(), true, rtol=1e-12)
        np.testing.assert_allclose(t.grad.numpy(), by_table, atol=1e-8)
    elif framework == "tensorflow":
        import tensorflow as tf

        t = tf.Variable(table)
        with tf.GradientTape() as tape:
            y = function(tf.constant(X), t, 0.8)
        np.testing.assert_allclose(y, true, rtol=1e-12)
        np.testing.assert_allclose(tf.convert_to_tensor(tape.gradient(y, t)), by_table, atol=1e-8)
    else:
        import jax

        by = jax.grad(lambda t: function(jax.numpy.asarray(X), t, 0.8).sum())
        np.testing.assert_allclose(by(jax.numpy.asarray(table)), by_table, atol=1e-4)


def nested(
    x: Any, order: Any = (2.0, 0.0, 1.0), t: Any = (0.5, -1.0, 2.0), scale: Any = 1.5
) -> Any:
    return t[int(min(max(order[int(min(max(x + 1, 0), 2))], 0), 2))] * x * scale


@pytest.mark.parametrize("framework", ROOMS)
def test_source_of_an_index_that_another_table_holds(framework: str) -> None:
    pytest.importorskip(framework)
    f = activation(nested)
    assert set(f.program.tables) == {"order", "t"}
    namespace: dict[str, Any] = {"__name__": "written"}
    exec(compile(f.source(framework), "written.py", "exec"), namespace)
    function, order, t = namespace["nested"], [1.0, 2.0, 0.0], [3.0, -2.0, 0.7]
    expected = np.array([[nested(v, order, t, 0.8) for v in row] for row in X])
    found = function(tensor(framework, np.float32(X)), order, t, 0.8)
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-6)
    np.testing.assert_allclose(
        np.asarray(f(tensor(framework, np.float32(X)), order=order, t=t, scale=0.8)),
        expected,
        rtol=1e-6,
    )
    if framework == "torch":
        import torch

        weights = torch.tensor(t, requires_grad=True)
        function(torch.tensor(X), order, weights, 0.8).sum().backward()
        places = np.array(order)[np.clip(X + 1, 0, 2).astype(int)].astype(int)
        by_t = [np.sum(X[places == i]) * 0.8 for i in range(3)]
        np.testing.assert_allclose(weights.grad.numpy(), by_t, rtol=1e-5)


def test_another_length_under_torch_compile_is_refused() -> None:
    torch = pytest.importorskip("torch")
    f = activation(lambda x, t=(1.0, 2.0, 4.0): t[int(min(max(x, 0), len(t) - 1))] * x, name="f")
    x, table = torch.tensor([0.5, 3.5]), torch.tensor([1.0, 2.0, 4.0, 8.0])
    run = torch.compile(lambda x, t: f(x, t=t), backend="eager", fullgraph=True)
    with pytest.raises(Exception, match="'t' of 'f' has 3 numbers, and 4 in this call"):
        run(x, table)
    longer = f(t=[1.0] * 4)
    cured = torch.compile(lambda x, t: longer(x, t=t), backend="eager", fullgraph=True)
    assert cured(x, table).tolist() == [0.5, 28.0]


REOPENED = """
import numpy as np, torch
from actgrad import load
f = load("table.json")
t = torch.tensor({table}, dtype=torch.float64, requires_grad=True)
f(torch.tensor({X}, dtype=torch.float64), values=t, scale=0.8).sum().backward()
print(*t.grad.tolist())
print(*torch.load("module.pt", weights_only=False).values.tolist())
"""


def test_it_is_there_in_a_fresh_process(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    f = activation(interpolated)
    f.save(tmp_path / "table.json")
    table = numbers_of(f)
    torch.save(f.module(values=trainable(list(table))), tmp_path / "module.pt")
    text = REOPENED.format(X=X.tolist(), table=table.tolist())
    said = python("-c", text, folder=tmp_path)
    gradient, kept = [np.array(line.split(), float) for line in said]
    np.testing.assert_allclose(gradient, slopes(interpolated, table)[0], atol=1e-8)
    np.testing.assert_allclose(kept, table, rtol=1e-6)


def cubic(x: Any, t: Any = (0.5, -1.0, 0.25, 0.0625), scale: Any = 1.5) -> Any:
    return t[0] + x * (t[1] + x * (t[2] + x * t[3])) * scale


LOADED = """
import json, sys
from actgrad import load
from tests.frameworks.test_table_parameters import gradients
framework, *paths = sys.argv[1:]
for path in paths:
    f = load(path)
    for mode in ("eager", "compiled"):
        for dtype in ("float32", "bfloat16"):
            found = gradients(f, framework, dtype, mode)
            print(json.dumps([mode, dtype, [each.tolist() for each in found]]))
"""


@pytest.mark.exhaustive
@frameworks
def test_gradients_after_a_load_in_a_fresh_process(framework: str, tmp_path: Path) -> None:
    """Of a table and of a vector: eager and compiled, in single and half precision."""
    pytest.importorskip(framework)
    functions = [interpolated, cubic]
    paths = [tmp_path / f"{function.__name__}.json" for function in functions]
    for function, path in zip(functions, paths, strict=True):
        activation(function).save(path)
    said = python("-c", LOADED, framework, *paths, folder=Path(__file__).parents[2])
    rows = [json.loads(line) for line in said if line.startswith("[")]
    assert len(rows) == 8
    for i, (_, dtype, found) in enumerate(rows):
        function = functions[i // 4]
        table = numbers_of(activation(function))
        expected = [values(function, table, 0.8), *slopes(function, table)]
        for got, true in zip(found, expected, strict=True):
            size = np.abs(true).max()
            np.testing.assert_allclose(got, true, rtol=0, atol=TOLERANCE[dtype] * (1 + size))


def test_another_length_reads_it_anew() -> None:
    f = activation(lambda x, t=(1.0, 2.0, 4.0): t[int(min(max(x, 0), len(t) - 1))] * x, name="f")
    assert f(5.0, t=[1.0, 2.0, 4.0, 8.0]) == 40.0
    with pytest.raises(CallError, match="has 3 numbers, and its Python function is not at hand"):
        from_json(f.to_json())(5.0, t=[1.0, 2.0])


def test_rules() -> None:
    def rule(x: Any, t: Any) -> Any:
        return {"x": 7.0 * t[int(min(max(x + 1, 0), 3))]}

    f = activation(stairs, surrogate=rule)
    assert f.derivative(1.5) == 7.0 * 2.0
    by_entry = [partial(1.5) for partial in f.partial("t")]
    assert by_entry == [0.0, 0.0, 1.5 * 1.5, 0.0]  # what the rule does not name keeps its own


TENTS = {
    "surrogate": lambda x, t: {"t": [max(0, 1 - abs(x - i)) * t[i] for i in range(4)]},
    "gradient": lambda x, upstream, t: {
        "t": [upstream * max(0, 1 - abs(x - i)) * t[i] for i in range(4)]
    },
    "reads": lambda x, t: {
        "x": t[int(min(max(x + 1, 0), 3))] * 1.5,
        "t": [max(0, 1 - abs(x - i)) * t[int(min(max(i + 0 * x, 0), 3))] for i in range(4)],
    },
}


@frameworks
@pytest.mark.parametrize("rule", TENTS)
def test_a_rule_that_names_a_table(rule: str, framework: str) -> None:
    """It has a derivative for each entry, which is not the exact one here."""
    pytest.importorskip(framework)
    kind: Any = {"gradient" if rule == "gradient" else "surrogate": TENTS[rule]}
    f = activation(stairs, **kind)
    table, i = numbers_of(f), np.arange(4)[:, None, None]
    by_table = (np.maximum(0, 1 - abs(X - i)) * table[:, None, None]).sum(axis=(1, 2))
    value, _, by_x = values(stairs, table, 0.8), None, table[np.clip(X + 1, 0, 3).astype(int)]
    for each in (f, from_json(f.to_json())):
        found = gradients(each(scale=0.8), framework, "float32", "eager")
        np.testing.assert_allclose(found[0], value, rtol=1e-5)
        np.testing.assert_allclose(found[1], by_table, rtol=1e-5)
        np.testing.assert_allclose(found[3], by_x * (1.5 if rule == "reads" else 0.8), rtol=1e-5)


def test_a_rule_that_freezes_a_table() -> None:
    f = activation(stairs, surrogate={"t": 0.0})
    assert [partial(1.5) for partial in f.partial("t")] == [0.0] * 4
    with pytest.raises(DefinitionError, match="for 't' gives 3 numbers"):
        activation(stairs, surrogate={"t": lambda x: [0.0, x, 1.0]})


def test_a_rule_that_reads_at_an_index_makes_the_table() -> None:
    f = activation(
        lambda x, t=(1.0, 2.0, 4.0): t[0] + t[1] * x,
        surrogate=lambda x, t: {"x": t[int(min(max(x, 0), 2))]},
        name="f",
    )
    assert f.program.tables == ("t",)
    assert [f.derivative(x) for x in (-1.0, 1.5, 2.5)] == [1.0, 2.0, 4.0]
    assert [partial(3.0) for partial in f.partial("t")] == [1.0, 3.0, 0.0]


def test_inside_of_another_activation() -> None:
    inner = activation(stairs)
    outer = activation(lambda x: inner(x) + 1.0, name="outer")
    assert [outer(x) for x in (-1.5, 0.5, 7.0)] == [inner(x) + 1.0 for x in (-1.5, 0.5, 7.0)]
    shared = activation(lambda x, u=(1.0, 2.0, 3.0, 4.0): inner(x, t=u), name="shared")
    assert shared(0.5) == inner(0.5, t=[1.0, 2.0, 3.0, 4.0])


def test_what_only_parameters_choose_is_an_option() -> None:
    f = activation(lambda x, order=(2, 0), t=(1.0, 2.0, 4.0): t[order[0]] * x, name="f")
    assert (f.program.tables, f.parameters) == ((), {"t": (1.0, 2.0, 4.0)})


def test_a_piecewise_linear_module_learns() -> None:
    torch = pytest.importorskip("torch")
    module = learnable.pwlu.module(values=trainable([0.0] * 21), right=0.0)
    x = torch.linspace(-3, 3, 400)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        loss = ((module(x) - torch.tanh(x)) ** 2).mean()
        loss.backward()
        optimizer.step()
    assert loss.item() < 1e-4


def test_what_is_read_can_be_stopped() -> None:
    torch = pytest.importorskip("torch")

    def stopped(x: Any, t: Any = (1.0, 2.0, 4.0)) -> Any:
        entry = np.take(t, int(min(max(x, 0), 2)))
        return stop(entry) * x + entry

    jax = pytest.importorskip("jax")
    stop = jax.lax.stop_gradient
    f = activation(stopped)
    assert from_json(f.to_json()) == f
    t = torch.tensor([1.0, 2.0, 4.0], requires_grad=True)
    f(torch.tensor([1.5, 1.25]), t=t).sum().backward()
    assert t.grad.tolist() == [0.0, 2.0, 0.0]
