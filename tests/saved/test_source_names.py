"""`f.source(framework)` with inputs and parameters that are named as something in the file is."""

from __future__ import annotations

import ast
import itertools
import keyword
import linecache
from typing import Any

import numpy as np
import pytest

from actgrad import Activation, activation
from tests.tensors import tensor

KINDS = {
    "numbers": "    return {a} * {x} * {x}",
    "row": "    return {x} * {a} / np.sum({x} * {x})",
    "table": "    return np.asarray({a})[np.clip(np.floor({x}), 0, 3).astype(int)] * {x}",
}
DEFAULTS = {"numbers": 1.5, "row": 1.5, "table": (0.5, -1.0, 2.0, 3.0)}
X = np.array([0.2, 1.5, 2.7, 9.0, -3.0])
_count = itertools.count()


def made(kind: str, x: str = "x", a: str = "a") -> tuple[Activation, Any]:
    text = f"def f({x}, {a}=default):\n{KINDS[kind].format(x=x, a=a)}\n"
    filename = f"<names {next(_count)}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    namespace: dict[str, Any] = {"np": np, "default": DEFAULTS[kind]}
    exec(compile(text, filename, "exec"), namespace)
    f = namespace["f"]
    return activation(f, axis=-1 if kind == "row" else None), f


def names_in(text: str) -> set[str]:
    """All but those that it has for the function itself and its gradient."""
    tree = ast.parse(text)
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    names |= {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
    names |= {n.name for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
    own = {name for name in names if name.startswith("f_")}
    return names - own - {"f", "np", "axis", *keyword.kwlist}


@pytest.mark.parametrize("framework", ["numpy", "torch", "jax", "tensorflow"])
@pytest.mark.parametrize("kind", KINDS)
def test_names_of_the_file(kind: str, framework: str) -> None:
    pytest.importorskip(framework)
    names = sorted(names_in(made(kind)[0].source(framework)))
    for x, a in zip(names, names[1:] + names[:1], strict=True):
        f, python = made(kind, x, a)
        file: dict[str, Any] = {}
        exec(f.source(framework), file)
        found = file["f"](tensor(framework, X.astype(np.float32)))
        np.testing.assert_allclose(found, python(X), rtol=1e-5, err_msg=f"{x}, {a}")
        if framework == "numpy":
            steps = np.eye(5) * 1e-6
            slopes = [(python(X + step) - python(X - step)).sum() / 2e-6 for step in steps]
            by_x = file["f_gradient"](X)[0]
            np.testing.assert_allclose(by_x, slopes, rtol=1e-4, atol=1e-7, err_msg=f"{x}, {a}")


def test_an_upstream_gradient_beside_inputs_of_that_name() -> None:
    f, _ = made("table", "upstream", "upstream_")
    file: dict[str, Any] = {}
    exec(f.source("numpy"), file)
    np.testing.assert_array_equal(
        file["f_gradient"](X, upstream__=2.0)[0], [1.0, -2.0, 4.0, 6.0, 1.0]
    )
