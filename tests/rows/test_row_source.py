"""`f.source(framework)` of a function of a row: run in a process without actgrad, it has the values of the
user's own function and the derivative in force, along any axis."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actgrad import activation, rows
from actgrad.errors import ActgradWarning
from tests.process import WITHOUT_ACTGRAD, python
from tests.rows.functions import FUNCTIONS, by_row, gradients
from tests.rows.functions import rows as rows_of
from tests.sample import exhaustive_but

FRAMEWORKS = ("numpy", "tensorflow", "torch", "jax")

ALONE = (
    WITHOUT_ACTGRAD
    + """
import importlib.util, json, sys
import numpy as np

def of_numpy(f, by, inputs, upstream, axis):
    return f(*inputs, axis=axis), by(*inputs, upstream=upstream, axis=axis)[:len(inputs)]

def of_tensorflow(f, by, inputs, upstream, axis):
    import tensorflow as tf
    inputs = [tf.constant(x) for x in inputs]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        y = tf.function(f)(*inputs, axis=axis)
    return y, tape.gradient(y, inputs, tf.constant(upstream), unconnected_gradients="zero")

def of_torch(f, by, inputs, upstream, axis):
    import torch
    inputs = [torch.tensor(x, requires_grad=True) for x in inputs]
    y, above = f(*inputs, axis=axis), torch.tensor(upstream)
    found = torch.autograd.grad(y, inputs, above, materialize_grads=True)
    along = [torch.cos(x.detach()) for x in inputs]
    _, tangent = torch.func.jvp(lambda *x: f(*x, axis=axis), tuple(inputs), tuple(along))
    total = sum((g * d).sum() for g, d in zip(found, along))
    torch.testing.assert_close((tangent * above).sum(), total, rtol=1e-9, atol=1e-9)
    return y.detach(), found

def of_jax(f, by, inputs, upstream, axis):
    import jax
    jax.config.update("jax_enable_x64", True)
    y, pull = jax.vjp(jax.jit(lambda *x: f(*x, axis=axis)), *map(jax.numpy.asarray, inputs))
    return y, pull(jax.numpy.asarray(upstream))

with open("cases.json") as file:
    cases = json.load(file)
for i, (path, name, inputs, upstream, axis) in enumerate(cases):
    spec = importlib.util.spec_from_file_location(f"file{i}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    f, by = getattr(module, name), getattr(module, name + "_gradient", None)
    inputs = [np.array(x) for x in inputs]
    value, slopes = globals()["of_" + sys.argv[1]](f, by, inputs, np.array(upstream), axis)
    print(json.dumps([np.asarray(value).tolist(), [np.asarray(s).tolist() for s in slopes]]))
assert "actgrad" not in sys.modules
"""
)


@pytest.mark.parametrize("framework", exhaustive_but(["numpy", "torch"], FRAMEWORKS))
def test_it_stands_alone(framework: str, tmp_path: Path) -> None:
    pytest.importorskip(framework)
    cases, expected = [], []
    names = list(FUNCTIONS) if framework in {"numpy", "torch"} else list(FUNCTIONS)[::3]
    for i, name in enumerate(names):
        path = tmp_path / f"file{i}.py"
        path.write_text(activation(FUNCTIONS[name], axis=-1).source(framework))
        inputs = rows_of(name, 2, 3)
        value = by_row(name, inputs)
        upstream = np.random.default_rng(1).normal(size=value.shape)
        expected.append((value, gradients(name, inputs, upstream)))
        axis = -1 if i % 2 else 1
        moved = [np.moveaxis(x, -1, axis).tolist() for x in inputs]
        above = np.moveaxis(upstream, -1, axis) if upstream.ndim == 3 else upstream
        cases.append((str(path), name, moved, above.tolist(), axis))
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    lines = python("-c", ALONE, framework, folder=tmp_path, actgrad=False)
    assert len(lines) == len(cases)
    for line, case, (value, slopes) in zip(lines, cases, expected, strict=True):
        found, by = json.loads(line)
        axis = case[-1]
        found = np.moveaxis(found, axis, -1) if value.ndim == 3 else np.asarray(found)
        np.testing.assert_allclose(found, value, rtol=1e-9, atol=1e-11, err_msg=case[1])
        for own, slope in zip(by, slopes, strict=True):
            own = np.moveaxis(own, axis, -1)
            np.testing.assert_allclose(own, slope, rtol=2e-5, atol=2e-7, err_msg=case[1])


def loaded(f: Any, framework: str) -> Any:
    names: dict[str, Any] = {}
    exec(f.source(framework), names)
    return names[f.name], names


def test_the_derivative_in_force_is_in_the_file() -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor([[1.0, 2.0, 4.0]], dtype=torch.float64, requires_grad=True)
    above = torch.tensor([[1.0, -1.0, 2.0]], dtype=torch.float64)
    hard, _ = loaded(rows.hardmax, "torch")
    result = hard(x)
    assert result.tolist() == [[0, 0, 1]]
    (found,) = torch.autograd.grad(result, x, above)
    (other,) = torch.autograd.grad(torch.softmax(x, -1), x, above)
    torch.testing.assert_close(found, other)
    rule = activation(
        lambda x: x / np.sum(np.abs(x)),
        axis=-1,
        name="share",
        gradient=lambda x, upstream: upstream - np.mean(upstream),
    )
    share, _ = loaded(rule, "torch")
    (found,) = torch.autograd.grad(share(x), x, above)
    torch.testing.assert_close(found, above - above.mean())
    with pytest.raises(NotImplementedError, match="reverse mode only"):
        torch.func.jvp(share, (x.detach(),), (above,))


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_parameters_are_numbers_and_lengths_are_checked(framework: str) -> None:
    pytest.importorskip(framework)
    from tests.tensors import tensor

    x = np.random.default_rng(0).normal(size=(2, 6)).astype(np.float32)
    norm, names = loaded(rows.rms_norm, framework)
    own = 3 * x / np.sqrt(np.mean(x * x, -1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(norm(tensor(framework, x), gain=3.0), own, rtol=1e-5)
    with pytest.raises(Exception, match=r"reshape|shape '\[\]'|size 6"):
        norm(tensor(framework, x), gain=tensor(framework, np.ones(6, np.float32)))
    if framework == "numpy":
        gain = names["rms_norm_gradient"](x, gain=3.0)[1]
        np.testing.assert_allclose(gain, np.sum(own / 3), rtol=1e-5)
    glu, _ = loaded(rows.glu, framework)
    with pytest.raises(ValueError, match="no rows of length 5"):
        glu(tensor(framework, x[:, :5]))
    with pytest.raises(ValueError, match="no rows along axis 2"):
        glu(tensor(framework, x), axis=2)


def test_tensorflow_rows_of_a_length_that_is_not_known_yet() -> None:
    tf = pytest.importorskip("tensorflow")
    x = np.random.default_rng(0).normal(size=(2, 6)).astype(np.float32)
    spec = [tf.TensorSpec([None, None])]
    softmax, _ = loaded(rows.softmax, "tensorflow")
    np.testing.assert_allclose(tf.function(softmax, spec)(x), tf.nn.softmax(x), rtol=1e-5)
    glu, _ = loaded(rows.glu, "tensorflow")
    with pytest.raises(ValueError, match="no rows of length None"):
        tf.function(glu, spec)(x)


def test_halves_compute_in_float32() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3000)).astype(np.float16)
    softmax, _ = loaded(rows.softmax, "numpy")
    assert softmax(x).dtype == np.float16
    np.testing.assert_allclose(softmax(x).astype(float), softmax(x.astype(float)), rtol=1e-2)


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore", category=ActgradWarning)
@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("name", rows.ENTRIES)
def test_the_catalogue(framework: str, name: str) -> None:
    pytest.importorskip(framework)
    from tests.tensors import tensor

    f = rows.ENTRIES[name].activation
    x = [np.random.default_rng(i).normal(size=(3, 6)).astype(np.float32) for i in range(2)]
    given = [tensor(framework, each) for each in x[: len(f.inputs)]]
    own, _ = loaded(f, framework)
    np.testing.assert_allclose(own(*given), f(*x[: len(given)]), rtol=1e-5, atol=1e-6)
