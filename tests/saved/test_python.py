"""Python's own ways to carry an object: pickle, copy, another process; functions without a name too."""

from __future__ import annotations

import copy
import io
import math
import multiprocessing
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actgrad import activation
from tests.process import python

X = np.array([-1.7, -0.6, 0.3, 0.7, 1.1])


def _typed() -> Any:
    """As in a notebook: there is no file."""
    names: dict[str, Any] = {}
    exec("def cell(x, k=2.0):\n    return k * x if x > 0 else x % 0.7\n", names)
    exec("def d_cell(x, k):\n    return k if x > 0 else 1.0\n", names)
    return activation(names["cell"], derivative=names["d_cell"])


def _closure() -> Any:
    offset = 0.25

    def inner(x):
        return max(x, offset)

    return activation(inner, surrogate=lambda x: 7.0)


def _cell(x: float) -> float:
    return 2.0 * x if x > 0 else x % 0.7


CASES: dict[str, tuple[Callable[[], Any], Callable[[float], float], Callable[[float], float]]] = {
    "a lambda": (
        lambda: activation(lambda x: x * x, surrogate=lambda x: 7.0),
        lambda x: x * x,
        lambda x: 7.0,
    ),
    "a notebook's": (_typed, _cell, lambda x: 2.0 if x > 0 else 1.0),
    "a closure": (_closure, lambda x: max(x, 0.25), lambda x: 7.0),
    "other parameters": (
        lambda: activation(lambda x, b=1.0: math.tanh(b * x))(b=0.5),
        lambda x: math.tanh(0.5 * x),
        lambda x: 0.5 - 0.5 * math.tanh(0.5 * x) ** 2,
    ),
}


def by_cloudpickle(f: Any) -> Any:
    cloudpickle = pytest.importorskip("cloudpickle")
    return pickle.loads(cloudpickle.dumps({"f": f, "use": lambda x: f(x)}))["f"]


def by_joblib(f: Any) -> Any:
    joblib = pytest.importorskip("joblib")
    file = io.BytesIO()
    joblib.dump(f, file)
    file.seek(0)
    return joblib.load(file)


WAYS: dict[str, Callable[[Any], Any]] = {
    **{
        f"pickle {n}": lambda f, n=n: pickle.loads(pickle.dumps(f, n))
        for n in range(pickle.HIGHEST_PROTOCOL + 1)
    },
    "copy": copy.copy,
    "deepcopy": lambda f: copy.deepcopy([f])[0],
    "cloudpickle": by_cloudpickle,
    "joblib": by_joblib,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES)
def test_it_comes_back(case: str, way: str) -> None:
    make, value, slope = CASES[case]
    f = make()
    back = WAYS[way](f)
    assert back == f
    assert hash(back) == hash(f)
    np.testing.assert_allclose(back(X), [value(float(x)) for x in X], rtol=1e-15)
    np.testing.assert_allclose(back.derivative(X), [slope(float(x)) for x in X], rtol=1e-14)


FRESH = """
import pickle, sys
f, x = pickle.load(open(sys.argv[1], "rb"))
print([(g(x).tolist(), g.derivative(x).tolist()) for g in f])
"""


def test_in_a_fresh_process_without_the_users_source(tmp_path: Path) -> None:
    path = tmp_path / "f.pickle"
    path.write_bytes(pickle.dumps(([make() for make, _, _ in CASES.values()], X)))
    (found,) = python("-c", FRESH, path, folder=tmp_path)
    for (_, value, slope), (got, by) in zip(CASES.values(), eval(found), strict=True):
        np.testing.assert_allclose(got, [value(float(x)) for x in X], rtol=1e-15)
        np.testing.assert_allclose(by, [slope(float(x)) for x in X], rtol=1e-14)


def test_spawn_and_loky() -> None:
    """Both start Python anew and import what they are sent; all cases go in one journey."""
    joblib = pytest.importorskip("joblib")
    functions = [make() for make, _, _ in CASES.values()]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(copy.copy, functions) == functions
    sent = joblib.Parallel(n_jobs=2)(joblib.delayed(copy.copy)(f) for f in functions)
    assert sent == functions
