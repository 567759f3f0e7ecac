"""`f.source(framework)` is a file that stands alone: run in a process without actgrad, it has the values
and the derivative of the user's own functions."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actgrad import activation
from tests.process import WITHOUT_ACTGRAD, python
from tests.sample import exhaustive_but
from tests.tensors import tensor

FRAMEWORKS = ("numpy", "tensorflow", "torch", "jax")
X = [-1.7, -0.6, -0.2, 0.3, 0.7, 1.1]


def _spiky(x):
    r = x % 1
    return r if r <= 0.5 else 0


def _step(x, k=2.0):
    return 1.0 if x >= 0 else 0.0


def _long(x):
    return sum(x**k * math.sin(k * x + 0.123456789 * k) / (k + 1) for k in range(1, 12))


def _mixed(x):
    if x < -0.5:
        return math.hypot(x, 2.0) + math.sinh(x) // 0.3 - math.copysign(0.1, x)
    return math.erf(x) + math.log2(x * x + 1) if x < 0.5 else x**2.5 + x % -0.4


def slope(function: Callable[[float], float]) -> Callable[[float], float]:
    return lambda x: (function(x + 1e-6) - function(x - 1e-6)) / 2e-6


# Name, activation, Python's value, the derivative that is in force.
CASES: list[tuple[Any, Callable[[float], float], Callable[[float], float]]] = [
    (
        activation(_spiky, derivative=lambda x: 1.0 if x % 1 <= 0.5 else 0.0, name="spiky"),
        _spiky,
        lambda x: 1.0 if x % 1 <= 0.5 else 0.0,
    ),
    (
        activation(_step, surrogate=lambda x, k: k / (1 + (k * x) ** 2), name="step"),
        _step,
        lambda x: 2 / (1 + 4 * x * x),
    ),
    (activation(lambda x: x * x, surrogate=7, name="seven"), lambda x: x * x, lambda x: 7.0),
    (
        activation(
            lambda x: max(x, 0.0), gradient=lambda x, g: g if x > 0 < g else 0, name="guided"
        ),
        lambda x: max(x, 0.0),
        lambda x: 1.0 if x > 0 else 0.0,
    ),
    (activation(_long, name="a long one"), _long, slope(_long)),
    (activation(_mixed, name="größe"), _mixed, slope(_mixed)),
    (
        activation(lambda like, t0=0.5: like * t0 * like, name="lambda"),
        lambda x: 0.5 * x * x,
        lambda x: x,
    ),
    (
        activation(lambda x, like=0.5, first=3.0: like * x * x + first * x, name="_private"),
        lambda x: 0.5 * x * x + 3 * x,
        lambda x: x + 3,
    ),
    (
        activation(lambda x, dtype=2.0, upstream=1.5: dtype * x * x + upstream, name="names"),
        lambda x: 2 * x * x + 1.5,
        lambda x: 4 * x,
    ),
]

ALONE = (
    WITHOUT_ACTGRAD
    + """
import json, runpy, sys
import numpy as np

def of_numpy(names, f, x):
    (by,) = {g for n, g in names.items() if n == f.__name__ + "_gradient"}
    return f(x), by(x)[0]

def of_tensorflow(names, f, x):
    import tensorflow as tf
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.function(f)(x)
    return y.numpy(), tape.gradient(y, x).numpy()

def of_torch(names, f, x):
    import torch
    x = torch.tensor(x, requires_grad=True)
    y = f(x)
    y.sum().backward()
    return y.detach().numpy(), x.grad.numpy()

def of_jax(names, f, x):
    import jax
    jax.config.update("jax_enable_x64", True)
    x = jax.numpy.asarray(x)
    return np.asarray(jax.jit(f)(x)), np.asarray(jax.grad(lambda x: f(x).sum())(x))

found = []
for path, name in json.loads(sys.argv[2]):
    names = runpy.run_path(path)
    for dtype in ("float32", "float64"):
        x = np.array(json.loads(sys.argv[3]), dtype)
        value, slope = globals()["of_" + sys.argv[1]](names, names[name], x)
        assert value.dtype == slope.dtype == x.dtype, (name, value.dtype, slope.dtype)
        found.append([value.tolist(), slope.tolist()])
assert "actgrad" not in sys.modules
print(json.dumps(found))
"""
)


# Those of the others are run in this process, here and in tests/frameworks.
@pytest.fixture(scope="module", params=exhaustive_but(["numpy"], FRAMEWORKS))
def found(request: Any, tmp_path_factory: Any) -> Any:
    """What the files answer, in float32 and float64, by the place of their case."""
    pytest.importorskip(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    files = []
    for i, (f, _, _) in enumerate(CASES):
        path = folder / f"file{i}.py"
        path.write_text(f.source(request.param), encoding="utf-8")
        files.append(
            (str(path), {"a long one": "a_long_one", "lambda": "f_lambda"}.get(f.name, f.name))
        )
    arguments = ("-c", ALONE, request.param, json.dumps(files), json.dumps(X))
    return json.loads(python(*arguments, folder=folder, actgrad=False)[-1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", range(len(CASES)), ids=[f.name for f, _, _ in CASES])
def test_it_stands_alone(found: Any, case: int, dtype: str) -> None:
    _, value, by = CASES[case]
    got, slopes = found[2 * case + (dtype == "float64")]
    tolerance = 2e-5 if dtype == "float32" else 1e-12
    points = [float(np.dtype(dtype).type(x)) for x in X]
    np.testing.assert_allclose(got, [value(x) for x in points], rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(slopes, [by(x) for x in points], rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(
    ("framework", "name", "called"),
    [
        ("numpy", "np", "np_"),
        ("numpy", "abs", "abs"),
        ("torch", "torch", "torch_"),
        ("torch", "Rule", "Rule_"),
        ("tensorflow", "tf", "tf_"),
        ("jax", "jnp", "jnp_"),
        ("jax", "total", "total"),
    ],
)
def test_a_name_that_a_framework_has_too(framework: str, name: str, called: str) -> None:
    f = activation(lambda x: abs(math.sin(x)) + 2, name=name)
    file: dict[str, Any] = {}
    for size in (1, 5):
        x = np.linspace(-2.0, 1.5, size, dtype=np.float32)
        given = tensor(framework, x)
        exec(f.source(framework), file)
        for function in (f, file[called]):
            np.testing.assert_allclose(function(given), np.abs(np.sin(x)) + 2, rtol=1e-6)


@pytest.mark.parametrize("framework", [*FRAMEWORKS, "keras"])
def test_it_is_formatted(framework: str, tmp_path: Path) -> None:
    ruff = subprocess.run([sys.executable, "-m", "ruff", "--version"], capture_output=True)
    if ruff.returncode:
        pytest.skip("ruff is not installed")
    pytest.importorskip(framework)
    for i, (f, _, _) in enumerate(CASES):
        (tmp_path / f"file{i}.py").write_text(f.source(framework), encoding="utf-8")
    options = ["--isolated", "--line-length", "100", "--diff", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "format", *options], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[:2000]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_it_says_what_it_computes(framework: str) -> None:
    text = CASES[1][0].source(framework)
    assert text.startswith(f'"""step for {framework}, with a surrogate derivative.\n\n')
    assert "\n1 if 0 <= x else 0\n" in text.partition('"""\n')[0]
    assert '"""upstream * ' in text
