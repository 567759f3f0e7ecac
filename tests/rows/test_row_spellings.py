"""Functions of a row in the words of each library: its own value and derivative, of equal numbers and of
zeros too; and what to write in the place of what is refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf
import torch
import torch.nn.functional as F
from jax import lax

from actgrad import activation, from_json
from actgrad.errors import TraceError
from tests.sample import exhaustive_but

pytestmark = pytest.mark.usefixtures("float64")

Function = Callable[[Any], Any]
PLAIN = np.random.default_rng(3).normal(size=(3, 8))
TIED = np.array([[1, -2, 3, 1, 0, 3, -0.5, 2], [2.0] * 8, [1, 1, 0, 0, -1, -1, 2, 2]])


def written(x: Any) -> Any:
    y = x.copy()
    y[0], y[-1], y[np.argmax(x)] = 0.5, x[0], 2.0
    return y


def hard(x: Any) -> Any:
    soft = torch.softmax(x, -1)
    place = soft.max(-1, keepdim=True)[1]
    return torch.zeros_like(x).scatter_(-1, place, 1.0) - soft.detach() + soft


def sparsemax_of_torch(x: Any) -> Any:
    z = torch.sort(x, descending=True)[0]
    above, k = z.cumsum(-1) - 1, torch.arange(1, x.numel() + 1, dtype=x.dtype)
    last = (k * z > above).sum()
    return torch.clamp(x - torch.where(k == last, above, 0.0).sum() / last, min=0)


def sparsemax_by_gather(x: Any) -> Any:
    z = torch.sort(x, dim=-1, descending=True)[0]
    above, k = z.cumsum(-1) - 1, torch.arange(1, x.shape[-1] + 1)
    last = (k * z > above).sum(-1, keepdim=True)
    return torch.clamp(x - above.gather(-1, last - 1) / last, min=0)


NUMPY: dict[str, Function] = {
    "cumprod": lambda x: np.cumprod(1 + x / 4) * (1 + x / 5).cumprod(),
    "accumulate": lambda x: np.add.accumulate(x) * np.multiply.accumulate(1 + x / 4),
    "reduce": lambda x: np.maximum.reduce(x) - x / np.add.reduce(np.abs(x)),
    "logaddexp.reduce": lambda x: x - np.logaddexp.reduce(x),
    "pad": lambda x: np.pad(x, (1, 2)) + np.pad(x, ((2, 1),), constant_values=(0.5, 1.5)),
    "tile": lambda x: np.tile(x, 2) * np.repeat(x, 2),
    "hstack": lambda x: np.append(np.hstack([np.maximum(x, 0), -x]), np.sum(x)),
    "partition": lambda x: np.where(x >= np.partition(x, -3)[-3], x, x[np.argpartition(x, 1)[1]]),
    "diff": lambda x: np.diff(x, prepend=0.0) * np.diff(x, 2, prepend=x[:2]),
    "vector_norm": lambda x: x / np.linalg.vector_norm(x) + np.linalg.norm(x, 3),
    "where": lambda x: x - np.max(x, where=x < 1, initial=-9.0) * np.sum(x * x, where=x > 0),
    "mean where": lambda x: x - np.mean(x, where=x > 0) + np.prod(x, where=x > 0.5),
    "linspace": lambda x: x * np.linspace(0, 1, len(x)) + np.linspace(2, 1, len(x), endpoint=False),
    "arange": lambda x: np.cumsum(x) / np.arange(1, len(x) + 1) * np.arange(len(x), 0, -1),
    "array": lambda x: np.array([np.sum(x), np.max(x), x[0]]),
    "written": written,
    "methods": lambda x: np.abs(x) / x.std() + x.var(ddof=1),
    "chosen": lambda x: x * np.sum(x[x > -1]) - x[x < 9].mean() * len(x[x > 0]),
    "array_split": lambda x: np.array_split(x, 3)[0] * np.array_split(x[1:], 2)[0][:3],
    "quantiles": lambda x: np.clip(x, *np.quantile(x, [0.1, 0.9])) * np.percentile(x, (20, 70))[0],
    "constants": lambda x: np.concatenate([[1.0, 2.0], x, (3.0,)]),
    "attention": lambda x: np.exp(x) * (x > 0) / (np.sum(np.exp(x) * (x > 0)) + 1e-9),
    "response": lambda x: x * np.abs(x) / (np.mean(np.abs(x), axis=-1, keepdims=True) + 1e-6) + x,
    "taylor": lambda x: (1 + x + x * x / 2) / np.sum(1 + x + x**2 / 2),
    "neighbours": lambda x: (lambda p: x / np.sqrt(1 + p[:-2] ** 2 + p[2:] ** 2))(np.pad(x, 1)),
    "eye": lambda x: np.eye(len(x))[np.argmax(x)] * x * x,
    "ranks": lambda x: x * np.argsort(np.argsort(x)) / (len(x) - 1),
    "master gates": lambda x: np.cumsum(np.exp(x[:4]) / np.sum(np.exp(x[:4]))) * x[4:],
    "stick breaking": lambda x: x * np.concatenate([[1.0], np.cumprod(1 - np.tanh(x) ** 2)[:-1]]),
    "pooled": lambda x: np.sum(x / (1 + np.exp(-x))) / np.sum(1 / (1 + np.exp(-x))),
    "rectangular": lambda x: np.mean(np.clip(x, 1e-6, None) ** 3.0) ** (1 / 3.0),
    "deviations": lambda x: (x - np.median(x)) / np.median(np.abs(x - np.median(x))),
    "averages": lambda x: (x - np.average(x)) * np.average(x, weights=x * x) + np.argmin(x),
    "one number as a row": lambda x: np.broadcast_to(np.sum(x), x.shape) * np.roll(x, 0),
    "asked twice": lambda x: x * sum(v for v in x if v > 0 if not v <= 0),
    "numbers and a row": lambda x: np.concatenate([[x[0], 1.0], np.roll(x, len(x) // 2)]),
    "parts by ellipsis": lambda x: x[..., 0] * x[...,] + x[(slice(1, 2),)],
}
TORCH: dict[str, Function] = {
    "gather": sparsemax_by_gather,
    "take_along_dim": lambda x: x / x.take_along_dim(x.abs().argmax(-1, keepdim=True), -1),
    "eye": lambda x: x * torch.eye(x.shape[-1])[torch.argmax(x)],
    "cumprod": lambda x: torch.cumprod(x, -1),
    "stick breaking": lambda x: F.pad(
        torch.cumprod(1 - torch.sigmoid(x), 0)[:-1], (1, 0), value=1.0
    ),
    "pad": lambda x: F.pad(x, (1, -2), "constant", 0.5),
    "tile": lambda x: torch.tile(x, (2,)) * x.repeat_interleave(2),
    "hstack": lambda x: torch.hstack([F.relu(x), F.relu(-x), x.max().unsqueeze(0)]),
    "var_mean": lambda x: x / (1 + sum(torch.var_mean(x, dim=-1, keepdim=True))),
    "std_mean": lambda x: x * sum(torch.std_mean(x, unbiased=False)) + torch.std(x, correction=0),
    "split": lambda x: (
        torch.split(x, [2, x.shape[-1] - 2], -1)[1] * x.narrow(-1, 1, x.shape[-1] - 2)
    ),
    "sort": lambda x: torch.sort(x, descending=True, stable=True)[0] * torch.msort(x),
    "aminmax": lambda x: (x - torch.aminmax(x).min) / (torch.aminmax(x).max + 5),
    "unpacked": lambda x: (lambda value, place: x * place - value)(*torch.max(x, -1, True)),
    "kthvalue": lambda x: x - torch.kthvalue(torch.arange(x.numel()) + 0 * x, 3).values,
    "diff": lambda x: torch.diff(x, n=2) * torch.inner(x, x),
    "norms": lambda x: x + torch.norm(x, p=3) + torch.linalg.vector_norm(x, ord=1),
    "modules": lambda x: torch.nn.Softmax(dim=-1)(x) - torch.nn.LogSoftmax(-1)(x),
    "methods": lambda x: torch.relu(x - x.mean()) / (x.std() + 1) + x.var(-1, False),
    "repeat": lambda x: torch.abs(x.repeat(2)),
    "hard": hard,
    "sparsemax": sparsemax_of_torch,
    "topk": lambda x: x * torch.count_nonzero(x > x.mean()),
    "scattered": lambda x: (lambda y: torch.zeros_like(x).scatter(-1, y.topk(3)[1], y.topk(3)[0]))(
        x + torch.arange(len(x)) / 50
    ),
    "device": lambda x: x * torch.arange(1, len(x) + 1, dtype=x.dtype, device=x.device),
    "of dim": lambda x: (x - x.mean(-1, keepdim=True)) / (1 + x.std(-1, keepdim=True)),
    "tensor_split": lambda x: torch.tensor_split(x, 3)[2] * torch.tensor_split(x, [2, 4])[0],
    "ordered neurons": lambda x: F.softmax(x, -1).cumsum(-1) * (1 - x.softmax(0).cumsum(0)),
    "clamped": lambda x: x.clamp(min=1e-6).pow(3.0).mean(dim=-1).pow(1 / 3.0) * x,
    "entropy": lambda x: -(F.softmax(x, -1) * F.log_softmax(x, -1)).sum(-1),
    "masked": lambda x: torch.softmax(x.masked_fill(x < -1, float("-inf")), dim=-1),
    "unit": lambda x: torch.where(x.norm() > 1, x / (x.norm() + 1e-9), x),
    "squeezed": lambda x: x * x.sum(-1, keepdim=True).squeeze(-1) + x.reshape(x.shape[-1]),
    "halves": lambda x: torch.split(x, x.shape[-1] // 2)[0] * x.chunk(2)[1],
    "the least, with its place": lambda x: x - torch.min(x, -1).values,
    "of two rows": lambda x: torch.max(x, 0.5 - x) + torch.min(x, x * x + 1),
}
TENSORFLOW: dict[str, Function] = {
    "cumsum": lambda x: tf.cumsum(x, exclusive=True) * tf.math.cumsum(x, reverse=True),
    "cumprod": lambda x: tf.math.cumprod(x + 5, exclusive=True, reverse=True),
    "pad": lambda x: tf.pad(x, [[1, 2]]) + tf.pad(x, [[2, 1]], constant_values=1.0),
    "tile": lambda x: tf.tile(x, [2]) * tf.repeat(x, 2),
    "split": lambda x: tf.split(x, [2, -1])[1] + tf.reduce_sum(tf.split(x, 4)[3]),
    "top_k": lambda x: tf.math.top_k(x, 3).values + tf.cast(tf.nn.top_k(x, 3)[1], x.dtype),
    "sort": lambda x: tf.sort(x, direction="DESCENDING") * tf.sort(x),
    "normalize": lambda x: tf.linalg.normalize(x + 4)[0] * tf.linalg.normalize(x + 4, ord=1)[1],
    "clip_by_norm": lambda x: tf.clip_by_norm(x, 1.5) + tf.clip_by_norm(x, 50.0, axes=[-1]),
    "sticks": lambda x: tf.sigmoid(x) * tf.math.cumprod(1 - tf.sigmoid(x), exclusive=True),
    "moments": lambda x: x * sum(tf.nn.moments(x, axes=[-1], keepdims=True)),
    "of Keras": lambda x: x / (1 + tf.keras.backend.sum(x * x)) - tf.keras.backend.max(x),
    "crelu": lambda x: tf.nn.crelu(x) / (1 + tf.math.reduce_euclidean_norm(x)),
}
JAX: dict[str, Function] = {
    "eye": lambda x: x * jnp.eye(len(x), dtype=x.dtype)[jnp.argmax(x)],
    "softmax where": lambda x: jax.nn.softmax(x, where=x > -1.5) + jnp.mean(x, where=x > -1.5),
    "logmeanexp": lambda x: x - jax.nn.logmeanexp(x) + jax.nn.logsumexp(x, where=x > -9),
    "top_k": lambda x: lax.top_k(x, 2)[0] * lax.top_k(x, 2)[1],
    "cumsum": lambda x: lax.cumsum(x, reverse=True) * jnp.cumprod(x),
    "pad": lambda x: jnp.pad(x, 1, constant_values=0.5),
    "sort": lambda x: jnp.sort(x, descending=True) * lax.rev(lax.sort(x), (0,)),
    "norm": lambda x: x + jnp.linalg.norm(x, 1) + jnp.linalg.norm(x, ord=jnp.inf),
    "at": lambda x: x.at[0].set(0.5).at[-2].add(x[1]),
    "at parts": lambda x: x.at[:4].set(jnp.tanh(x[:4])).at[1::2].multiply(2.0).at[2:].add(x[:-2]),
    "at one": lambda x: jnp.zeros_like(x).at[lax.top_k(x, 1)[1][0]].set(lax.top_k(x, 1)[0][0]),
    "methods": lambda x: jnp.abs(x) * x.max(-1) + x.std(),
    "lax": lambda x: lax.concatenate([x, x * lax.reduce_max(x, (0,))], 0),
}
KERAS: dict[str, Function] = {
    "cumprod": lambda x: keras.ops.cumprod(x + 5),
    "pad": lambda x: keras.ops.pad(x, (1, 2)) * keras.ops.pad(x, ((2, 1),), constant_values=1.0),
    "tile": lambda x: keras.ops.tile(x, 2) * keras.ops.repeat(x, 2),
    "hstack": lambda x: keras.ops.append(keras.ops.hstack([x, -x]), keras.ops.diff(x)),
    "top_k": lambda x: keras.ops.top_k(x, 2)[0],
    "count": lambda x: x * keras.ops.cast(keras.ops.count_nonzero(x > 0), x.dtype),
}
OF = [
    (library, name)
    for library, functions in (("torch", TORCH), ("tensorflow", TENSORFLOW), ("jax", JAX), ("keras", KERAS))
    for name in functions
]  # fmt: skip
SOME = [case for i, case in enumerate(OF) if case[0] != "jax" or i % 2]
"""JAX compiles each function and its gradient."""


@cache
def _by_jax(function: Function) -> Any:
    """Values and slopes in one compiled program: one by one, XLA would compile dozens of operations."""

    def both(x: Any, upstream: Any) -> tuple[Any, Any]:
        values, pull = jax.vjp(jax.vmap(function), x)
        return values, pull(upstream)[0]

    return jax.jit(both)


def own(library: str, function: Function, x: Any) -> tuple[Any, Any, Any]:
    """What the library itself makes of each row, with its autograd; and what came from above."""

    def above(values: Any) -> Any:
        return np.random.default_rng(1).normal(size=values.shape)

    if library == "torch":
        tensor = torch.tensor(x, requires_grad=True)
        values = torch.stack([function(row) for row in tensor])
        upstream = above(values)
        (slopes,) = torch.autograd.grad(values, tensor, torch.tensor(upstream))
        return values.detach(), slopes, upstream
    if library == "jax":
        upstream = above(jax.eval_shape(jax.vmap(function), x))
        return *_by_jax(function)(x, upstream), upstream
    tensor = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        values = tf.stack([function(row) for row in tf.unstack(tensor)])
    upstream = above(values)
    return values, tape.gradient(values, tensor, tf.constant(upstream)), upstream


def same(function: Function, x: Any, values: Any, slopes: Any, upstream: Any) -> None:
    f = activation(function, axis=-1, name="f")
    assert from_json(f.to_json()) == f
    np.testing.assert_allclose(f(x), values, rtol=1e-7, atol=1e-9)
    tensor = torch.tensor(x, requires_grad=True)
    f(tensor).backward(torch.tensor(upstream))
    np.testing.assert_allclose(tensor.grad, slopes, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("case", exhaustive_but(SOME, OF), ids="-".join)
def test_it_is_what_its_library_computes(case: tuple[str, str]) -> None:
    library, name = case
    functions = {"torch": TORCH, "tensorflow": TENSORFLOW, "jax": JAX, "keras": KERAS}[library]
    for x in (PLAIN, TIED):
        same(functions[name], x, *own(library, functions[name], x))


@pytest.mark.parametrize("name", NUMPY)
def test_it_is_what_numpy_computes(name: str) -> None:
    function, step = NUMPY[name], 1e-6 * np.eye(8)

    def values(x: Any) -> Any:
        return np.stack([np.asarray(function(row)) for row in x])

    upstream = np.random.default_rng(1).normal(size=values(PLAIN).shape)
    ends = [(values(PLAIN + s) - values(PLAIN - s)) / 2e-6 for s in step]
    slopes = np.stack([(e * upstream).reshape(len(PLAIN), -1).sum(-1) for e in ends], -1)
    same(function, PLAIN, values(PLAIN), slopes, upstream)


def running(better: Any, x: Any) -> Any:
    y = x
    for s in (1, 2, 4):
        y = np.concatenate([y[:s], better(y[s:], y[:-s])])
    return y


CURES: list[tuple[Function, str, Function]] = [
    (lambda x: x / np.nansum(x), "isnan", lambda x: x / np.sum(np.where(np.isnan(x), 0.0, x))),
    (lambda x: np.outer(x, x).sum(1), "no matrices", lambda x: x * np.sum(x)),
    (lambda x: x * np.einsum("i,i->", x, x), "Multiply and sum", lambda x: x * np.sum(x * x)),
    (lambda x: torch.logcumsumexp(x, -1), "np.logaddexp", lambda x: running(np.logaddexp, x)),
    (lambda x: torch.cummax(x, -1)[0], "np.maximum", lambda x: running(np.maximum, x)),
    (lambda x: lax.cummax(x), "np.maximum", lambda x: running(np.maximum, x)),
    (lambda x: np.maximum.accumulate(x), "np.maximum", lambda x: running(np.maximum, x)),
    (
        lambda x: np.sum([v if v > 0 else 0.1 * v for v in x]) * x,
        "take a generator",
        lambda x: sum(v if v > 0 else 0.1 * v for v in x) * x,
    ),
    (
        lambda x: [v / sum(x) if v > 0 else 0.0 for v in x],
        "before the loop",
        lambda x: (lambda total: [v / total if v > 0 else 0.0 for v in x])(sum(x)),
    ),
    (
        lambda x: [b - a for a, b in zip(x, x[1:], strict=False)],  # noqa: RUF007
        r"x\[:-1\]",
        lambda x: [b - a for a, b in zip(x[:-1], x[1:], strict=True)],  # noqa: RUF007
    ),
    (lambda x: x * np.trapezoid(x), "Write", lambda x: x * (np.sum(x[1:] + x[:-1]) / 2)),
    (
        lambda x: np.gradient(x),
        "at its ends",
        lambda x: np.concatenate([x[1:2] - x[:1], (x[2:] - x[:-2]) / 2, x[-1:] - x[-2:-1]]),
    ),
    (lambda x: tf.slice(x, [1], [3]) + 0, "x\\[1:4\\]", lambda x: x[1:4]),
    (lambda x: x * lax.iota("float64", 8), "arange", lambda x: x * np.arange(len(x))),
    (lambda x: np.delete(x, 1), "Concatenate", lambda x: np.concatenate([x[:1], x[2:]])),
    (lambda x: x.std() * x, "np.std", lambda x: np.std(x) * x),
    (lambda x: x.repeat(2), "torch.tile", lambda x: np.repeat(x, 2)),
    (
        lambda x: torch.split(x, [2, 6])[1] + 0,
        "what is left",
        lambda x: torch.split(x, [2, x.shape[-1] - 2])[1],
    ),
    (lambda x: x * x.unbind(0)[1], "x\\[1\\]", lambda x: x * x[1]),
    (
        lambda x: np.pad(x, 1, mode="edge"),
        "Concatenate",
        lambda x: np.concatenate([x[:1], x, x[-1:]]),
    ),
]


@pytest.mark.parametrize(("refused", "cure", "instead"), CURES)
def test_what_is_refused_names_a_cure_that_works(
    refused: Function, cure: str, instead: Function
) -> None:
    with pytest.raises(TraceError, match=cure):
        activation(refused, axis=-1, name="f")
    f = activation(instead, axis=-1, name="f")
    for x in PLAIN:
        np.testing.assert_allclose(f(x), np.asarray(instead(_as_it_takes(instead, x))), rtol=1e-12)
        theirs = _run(refused, x)
        np.testing.assert_allclose(f(x), np.asarray(theirs), rtol=1e-7)


REFUSED: dict[str, Function] = {
    "whole number, of 64 at most": lambda x: np.repeat(x, 100),
    "whole number, or a part of": lambda x: np.roll(x, 0.5),
    "Turn it first": lambda x: x[5:1:-1],
    "Use a step as in": lambda x: x[::0.5],
    r"Index by `np.argsort\(x\)`": lambda x: x[np.argsort(x)[:3]],
    "whole numbers, or parts of the row's length": lambda x: x[: np.argmax(x)],
    "whole number of equal parts": lambda x: np.split(x, 0)[0],
    "or into a list of sizes": lambda x: torch.split(x, 3)[0],
    "other bounds than a row's length": lambda x: np.arange(0, len(x), 2) * 1.0,
    "the row's own: `len": lambda x: np.linspace(0, 1, 8) * np.sum(x),
    "Make a row of them first": lambda x: np.concatenate([np.sum(x), np.max(x)]),
    "another shape than a row": lambda x: np.full((len(x), 2), 1.0) * np.sum(x),
    "matrix made of the row": lambda x: np.eye(len(x)).T[0] * x,
    "Multiply two rows": lambda x: x * np.dot(x, 2.0),
    "a row in another shape": lambda x: x.reshape(2, -1).sum(0),
    "Make one of each": lambda x: sum(w for v in x if v > 0 for w in (v, 1.0)) * x,
    "two rows of different lengths": lambda x: [
        a if a > 0 else b if b > 0 else 0.0 for a, b in zip(x, x[:4], strict=False)
    ],
    "works along an axis|whose only axis is -1": lambda x: np.sum(x, axis=1) * x,
    "Use fewer": lambda x: np.cumsum(x, 0, None, None, 5),
    "does not read": lambda x: np.sort(x, order="f"),
    "needed of a row's length": lambda x: [1.0][len(x)] * x,
}


@pytest.mark.parametrize("cure", REFUSED)
def test_what_is_no_row_is_refused_with_a_way_out(cure: str) -> None:
    with pytest.raises(TraceError, match=cure) as refused:
        activation(REFUSED[cure], axis=-1, name="f")
    assert f'File "{__file__}"' in str(refused.value)


def test_no_refusal_of_a_row_sends_it_to_the_host() -> None:
    for function in (lambda x: x * scipy.special.j0(x), lambda x: x + np.eye(len(x)).sum(0)):
        with pytest.raises(TraceError, match="cannot be read") as said:
            activation(function, axis=-1, name="f")
        assert "host" not in str(said.value)


def _as_it_takes(function: Function, x: Any) -> Any:
    return torch.tensor(x) if "torch" in function.__code__.co_names else x


def _run(function: Function, x: Any) -> Any:
    names = function.__code__.co_names
    kinds = {"tf": tf.constant, "lax": jnp.asarray, "torch": torch.tensor, "unbind": torch.tensor}
    kind = next((kind for name, kind in kinds.items() if name in names), np.asarray)
    return function(kind(x))


def test_a_row_with_an_array_of_constants_is_refused() -> None:
    weights = np.linspace(0.0, 1.0, 8)
    for function in (lambda x: x * weights, lambda x: np.where(np.arange(8) < 4, x, -x)):
        with pytest.raises(TraceError, match=r"Make it an input: `def f\(x, weights\)"):
            activation(function, axis=-1, name="f")
    f = activation(lambda x, weights: x * weights, axis=-1, name="f")
    np.testing.assert_array_equal(f(PLAIN, weights), PLAIN * weights)


PICKED = {
    "a list": lambda x: x[[0, -1, 3]] * x[[1, 1, 2]],
    "an array": lambda x: x[np.array([4, 0])],
    "one place": lambda x: x[[2]],
    "np.take": lambda x: np.take(x, [5, 1]) + x.take([0, 0]),
    "a tensor": lambda x: x[torch.tensor([0, 2])],
    "torch.index_select": lambda x: torch.index_select(x, -1, torch.tensor([7, 2])),
    "torch.gather": lambda x: (
        torch.gather(x, 0, torch.tensor([1, 1])) * x.gather(-1, x.argsort())[:2]
    ),
    "tf.gather": lambda x: tf.gather(x, [0, 2]),
}


@pytest.mark.parametrize("name", PICKED)
def test_places_that_are_constants_are_picked(name: str) -> None:
    f = activation(PICKED[name], axis=-1, name="f")
    np.testing.assert_allclose(f(PLAIN), [np.asarray(_run(PICKED[name], x)) for x in PLAIN])
    x = torch.tensor(PLAIN, requires_grad=True)
    f(x).sum().backward()
    ends = [np.stack([f(PLAIN + h * row).sum(-1) for row in np.eye(8)], -1) for h in (1e-6, -1e-6)]
    np.testing.assert_allclose(x.grad, (ends[0] - ends[1]) / 2e-6, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("key", [np.array([[0, 1], [1, 2]]), np.arange(8) < 3, np.array([0.0])])
def test_an_index_that_is_no_list_of_places_is_refused(key: Any) -> None:
    with pytest.raises(
        TraceError, match=r"indexed by an array of the shape .*\n(.*\n)*.*x\[\[0, 2\]\]"
    ):
        activation(lambda x: x[key], axis=-1)


def unpacked(x: Any) -> Any:
    first, second, *rest = x
    return first * (second + sum(rest))


CURED: dict[str, tuple[Function, str, Function]] = {
    "a matrix": (
        lambda x: np.stack([x, 2 * x]).max(0), r"as in `np.maximum\(a, b\)`", lambda x: np.maximum(x, 2 * x),
    ),
    "np.fromiter": (
        lambda x: np.fromiter((v * 2 for v in x), float, len(x)),
        r"Make the array of a list: `np.array\(\[",
        lambda x: np.array([v * 2 for v in x]),
    ),
    "unpacking": (
        unpacked,
        r"Of a row take numbers and parts: `x\[0\]`, `x\[1:\]`",
        lambda x: x[0] * np.sum(x[1:]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CURED)
def test_what_is_written_in_their_place_is_the_same(name: str) -> None:
    refused, way_out, cured = CURED[name]
    with pytest.raises(TraceError, match=way_out):
        activation(refused, axis=-1)
    np.testing.assert_allclose(activation(cured, axis=-1)(PLAIN), [refused(x) for x in PLAIN])


def test_a_running_product_has_its_derivative_by_the_only_zero() -> None:
    f = activation(lambda x: np.cumprod(x), axis=-1, name="f")
    tensor = torch.tensor([[2.0, 0.0, -3.0, 4.0], [-1.0, 0.0, 0.0, 2.0]], dtype=torch.float64)
    for function in (f, lambda x: torch.cumprod(x, -1)):
        x = tensor.clone().requires_grad_()
        function(x)[:, 1:].sum().backward()
        np.testing.assert_allclose(x.grad, [[0, -28, 0, 0], [0, -1, 0, 0]])
