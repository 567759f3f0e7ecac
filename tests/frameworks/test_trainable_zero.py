"""A parameter that cannot be learnt is said to be so when a layer or a module is made of it."""

from __future__ import annotations

import os
import warnings
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

from actgrad import activation, activations, trainable
from actgrad.errors import CallError, HostError, SurrogateWarning, ZeroDerivativeWarning


def triangle(u: Any) -> Any:
    return max(0.0, 1.0 - abs(u))


def step(v: Any, threshold: Any = 1.0) -> Any:
    return 1.0 if v >= threshold else 0.0


def made(f: Any, how: str, **parameters: Any) -> Any:
    pytest.importorskip({"module": "torch", "layer": "keras"}[how])
    return getattr(f, how)(**parameters)


both = pytest.mark.parametrize("how", ["module", "layer"])


@both
@pytest.mark.parametrize(
    ("rule", "kind", "form"),
    [
        (
            {},
            ZeroDerivativeWarning,
            r"surrogate=lambda v, threshold: {\"v\": ..., \"threshold\": ...}",
        ),
        (
            {"surrogate": lambda v, threshold: triangle(v - threshold)},
            SurrogateWarning,
            r"surrogate=lambda v, threshold: {\"v\": ..., \"threshold\": ...}",
        ),
        (
            {"gradient": lambda v, upstream: upstream},
            SurrogateWarning,
            r"gradient=lambda v, upstream, threshold: {\"v\": ..., \"threshold\": ...}",
        ),
    ],
    ids=["none", "surrogate", "gradient"],
)
def test_it_warns_with_the_form_that_helps(how: str, rule: Any, kind: Any, form: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        f = activation(step, **rule)
    with pytest.warns(kind, match=f"'threshold' of 'step' cannot be learnt(.|\n)*{form}") as said:
        made(f, how, threshold=trainable())
    assert said[0].filename == __file__


@both
@pytest.mark.parametrize(("width", "start"), [(1e-2, -250.0), (1e-2, 1.0), (100.0, 0.0)])
def test_it_is_quiet_where_the_derivative_is_not_zero(how: str, width: float, start: float) -> None:
    def rule(v: Any, threshold: Any) -> Any:
        near = 1.0 if abs(v - threshold) < width else 0.0
        return {"v": near, "threshold": -near}

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        f = activation(step, surrogate=rule)(threshold=7.0)
        made(f, how, threshold=trainable(start))
        made(activations.leaky_relu, how, slope=trainable())


@both
@pytest.mark.parametrize(
    "value", ["learn", trainable, None, True, object()], ids=lambda value: type(value).__name__
)
def test_what_is_no_number_is_refused_with_the_right_form(how: str, value: Any) -> None:
    f = activation(lambda x, s=1.0: s * x, name="line")
    with pytest.raises(CallError, match=r"'s' of 'line' must be(.|\n)*s=trainable\(\)"):
        made(f, how, s=value)


def test_in_a_call_the_function_itself_is_refused_with_the_right_form() -> None:
    f = activation(lambda x, s=1.0: s * x, name="line")
    with pytest.raises(
        CallError, match=r"the function `trainable` itself(.|\n)*line.layer\(s=...\)"
    ):
        f(1.0, s=trainable)


@both
def test_of_a_row_both_forms_help(how: str) -> None:
    def above(x: Any, k: Any = 2.0) -> Any:
        return np.where(x >= k * np.mean(x), 1.0, 0.0)

    def smooth(x: Any, k: Any = 2.0) -> Any:
        return 1 / (1 + np.exp(k * np.mean(x) - x))

    def by_name(x: Any, upstream: Any, k: Any) -> Any:
        return {"x": upstream, "k": -np.sum(upstream)}

    form = r"surrogate=(.|\n)*gradient=lambda x, upstream, k: {\"x\": ..., \"k\": ...}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        f = activation(above, axis=-1)
    with pytest.warns(ZeroDerivativeWarning, match=f"'k' of 'above' cannot be learnt(.|\n)*{form}"):
        made(f, how, k=trainable())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made(activation(above, axis=-1, surrogate=smooth), how, k=trainable())
        made(activation(above, axis=-1, gradient=by_name), how, k=trainable())


@both
def test_on_the_host_only_what_the_rule_names_can_be_learnt(how: str) -> None:
    def scale(x: float, a: float = 2.0, b: float = 1.0) -> float:
        return float(str(x)) * a + b

    rule = {"x": lambda x, a: a, "a": lambda x, a: x}
    f = activation(scale, derivative=rule, host=True)
    made(f, how, a=trainable())
    with pytest.raises(HostError, match="Name it in the rule"):
        made(f, how, b=trainable())


def test_on_the_host_a_parameter_has_its_gradient_in_torch_and_tensorflow() -> None:
    torch, tf = pytest.importorskip("torch"), pytest.importorskip("tensorflow")

    def scale(x: float, a: float = 2.0) -> float:
        return float(str(x)) * a

    rule = {"x": lambda x, a: a, "a": lambda x, a: x}
    f = activation(scale, derivative=rule, host=True)
    module = f.module(a=trainable())
    module(torch.tensor([0.5, 1.5])).sum().backward()
    assert module.a.grad.item() == 2.0
    a = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        value = f(tf.constant([0.5, 1.5]), a=a)
    assert float(tape.gradient(value, a)) == 2.0
