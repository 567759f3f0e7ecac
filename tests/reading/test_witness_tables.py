"""The witness sees a fault in every table that reading rests on: what the libraries call each meaning, what
they mean over rows, and what the vocabulary says of an operation and of its derivative."""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from actgrad import activation
from actgrad.errors import ActgradWarning, ImpureError, TraceError
from actgrad.language import adjoint, derive
from actgrad.language.ops import OPS
from actgrad.language.rows import ROWS
from actgrad.reading.libraries import names, rows
from actgrad.reading.libraries import row_numbers as numbers
from actgrad.reading.libraries import row_orders as orders
from actgrad.reading.libraries import row_parts as parts
from actgrad.reading.witnesses import witness

Patch = pytest.MonkeyPatch


def name(table: str, entry: str) -> Callable[[Patch], None]:
    """Another meaning of a library's function."""
    return lambda patch: patch.setitem(names.NAMES, table, f"{names.NAMES[table]} {entry}")


def over_rows(key: str, meaning: Any) -> Callable[[Patch], None]:
    return lambda patch: patch.setitem(rows.MEANINGS, key, meaning)


def operation(table: dict[str, Any], op: str, **wrong: Any) -> Callable[[Patch], None]:
    return lambda patch: patch.setitem(table, op, replace(table[op], **wrong))


FAULTS: dict[str, tuple[Callable[[Patch], None], str, int | None]] = {
    # the names of each library
    "math": (name("math", "tan=tanh"), "math.tan(x)", None),
    "NumPy": (name("numpy", "sinc=sin"), "np.sinc(x)", None),
    "SciPy": (name("scipy.special", "expit=normal_cdf"), "scipy.special.expit(x)", None),
    "torch": (name("torch", "atan=tanh"), "torch.atan(x)", None),
    "functional": (name("torch.nn.functional", "mish=silu"), "torch.nn.functional.mish(x)", None),
    "tf.math": (name("tensorflow.math", "rint=floor"), "tensorflow.math.rint(x)", None),
    "tf.nn": (name("tensorflow.nn", "relu6=relu"), "tensorflow.nn.relu6(x)", None),
    "jax.numpy": (name("jax.numpy", "trunc=floor"), "jax.numpy.trunc(x)", None),
    "jax.nn": (name("jax.nn", "mish=silu"), "jax.nn.mish(x)", None),
    "Keras": (name("keras.ops", "arctan=tanh"), "keras.ops.arctan(x)", None),
    "methods": (
        lambda patch: patch.setattr(names, "METHODS", f"{names.METHODS} sigmoid=tanh"),
        "x.sigmoid() + 0 * torch.pi", None,
    ),
    # the vocabulary
    "a value": (operation(OPS, "sqrt", numpy=np.cbrt), "np.sqrt(x * x + 1)", None),
    "a derivative": (operation(OPS, "atan", partials=("1 / (2 + x * x)",)), "torch.atan(x)", None),
    "a value of rows": (
        operation(ROWS, "cumsum", numpy=lambda x: np.cumsum(x, -1) - x), "np.cumsum(x)", -1
    ),
    "the adjoint of a maximum": (operation(ROWS, "max", adjoint="g"), "torch.amax(x, -1) * x", -1),
    "the adjoint of a sorted row": (
        operation(ROWS, "take", adjoint="take(g, order_)"), "torch.sort(x)[0] * x", -1
    ),
    # the meanings over rows
    "a mean": (over_rows("mean", numbers.total), "x - np.mean(x)", -1),
    "a turned row": (over_rows("flip", parts.same), "np.flip(x) * x", -1),
    "a median of PyTorch": (
        lambda patch: patch.setitem(rows._OF_TORCH, "median", orders.median), "x - torch.median(x)", -1
    ),
    "a deviation of PyTorch": (
        lambda patch: patch.delitem(rows._ITS_OWN, "torch.std"), "x / torch.std(x)", -1
    ),
}  # fmt: skip


@pytest.fixture
def fresh() -> Iterator[None]:
    """Nothing that the tables said before is remembered, nor what they say in the test."""
    _forget()
    yield
    _forget()


def _forget() -> None:
    derive._rules.cache_clear()
    adjoint._rule.cache_clear()
    names.method.cache_clear()
    names._resolved.clear()


def written(text: str) -> Any:
    known = {"math": math, "np": np}
    for library in ("scipy", "torch", "tensorflow", "jax", "keras"):
        if library in text:
            known[library] = pytest.importorskip(library)
    for module in ("scipy.special", "jax.numpy", "jax.nn"):
        if module in text:
            importlib.import_module(module)
    return eval(f"lambda x: {text}", known)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_table_is_caught(fault: str, fresh: None, monkeypatch: Patch) -> None:
    plant, text, axis = FAULTS[fault]
    function = written(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ActgradWarning)
        activation(function, axis=axis, name="right")
        plant(monkeypatch)
        _forget()
        with pytest.raises((ImpureError, TraceError), match="cannot be read"):
            activation(function, axis=axis, name="wrong")
        monkeypatch.setattr(witness, "check", lambda *args, **options: None)
        activation(function, axis=axis, name="unseen")  # so it is the witness that saw it
