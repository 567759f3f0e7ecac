"""The witness sees what a table has wrong, and what is no function of one number.

Faults are planted in what library functions mean, one at a time, and each must be refused.
"""

from __future__ import annotations

import random
import statistics
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from actgrad import activation
from actgrad.errors import ActgradError, ActgradWarning, ImpureError, MixingError, TraceError
from actgrad.reading import randomness
from actgrad.reading.define import define
from actgrad.reading.libraries import meanings, names, shipped
from actgrad.reading.witnesses import native, original, witness
from actgrad.reading.witnesses.original import Original

np_ = {"np": np}


def torch_names() -> dict[str, Any]:
    torch = pytest.importorskip("torch")
    return {"torch": torch, "F": torch.nn.functional}


def tensorflow_names() -> dict[str, Any]:
    return {"tf": pytest.importorskip("tensorflow")}


def jax_names() -> dict[str, Any]:
    jax = pytest.importorskip("jax")
    return {"jax": jax, "jnp": pytest.importorskip("jax.numpy")}


def of(text: str, library: Callable[[], dict[str, Any]]) -> Callable[..., Any]:
    """A function with this body, written with a library."""
    return eval(f"lambda x: {text}", dict(library()))


@dataclass(frozen=True)
class Fault:
    """A function, the name in it whose meaning is wrong, and the wrong meaning."""

    text: str
    library: Callable[[], dict[str, Any]]
    path: str
    meaning: Callable[..., Any]
    error: type[ActgradError] = ImpureError


def first(x: Any, *_: Any, **__: Any) -> Any:
    return x


FAULTS = {
    "another function": Fault("torch.tanh(x)", torch_names, "torch.tanh", meanings.atan),
    "the identity": Fault("F.relu(x)", torch_names, "F.relu", first),
    "a reduction as the identity": Fault("x - np.mean(x)", lambda: np_, "np.mean", first, MixingError),
    "a softmax as a sigmoid": Fault(
        "torch.softmax(x, -1)", torch_names, "torch.softmax",
        lambda x, *_: meanings.sigmoid(x), MixingError,
    ),
    "a scan as the identity": Fault("jnp.cumsum(x)", jax_names, "jnp.cumsum", first, MixingError),
    "a sort as the identity": Fault("tf.sort(x)", tensorflow_names, "tf.sort", first, MixingError),
    "another rounding of a quotient": Fault(
        "tf.math.floordiv(x, 0.3)", tensorflow_names, "tf.math.floordiv", meanings.floor_divide
    ),
    "another rounding of a half": Fault(
        "jnp.round(x)", jax_names, "jnp.round", lambda x: meanings.floor(x + 0.5)
    ),
    "an argument ignored": Fault(
        "F.softplus(x, beta=1, threshold=1)", torch_names, "F.softplus",
        lambda x, **_: shipped.softplus(x),
    ),
    "an argument for another": Fault(
        "np.clip(x, -1.0, 2.0)", lambda: np_, "np.clip", lambda x, a, b: meanings.clip(x, b, a)
    ),
    "branches exchanged": Fault(
        "tf.where(x > 0, x, 0.1 * x)", tensorflow_names, "tf.where",
        lambda c, a, b: meanings.where(c, b, a),
    ),
    "digits ignored": Fault("torch.round(x, decimals=1)", torch_names, "torch.round",
        lambda x, **_: meanings.rint(x)),
    "randomness": Fault("F.dropout(x, 0.5)", torch_names, "F.dropout", first),
    "a cast ignored": Fault("x.half()", torch_names, ".half", first),
    "a derivative that is stopped": Fault(
        "x + jax.lax.stop_gradient(jnp.sin(x))", jax_names, "jax.lax.stop_gradient", first, TraceError
    ),
    "a derivative that is stopped by a method": Fault(
        "x + torch.sin(x).detach()", torch_names, ".detach", first, TraceError
    ),
    "a derivative that is not stopped": Fault(
        "x * torch.sin(x)", torch_names, "torch.sin",
        lambda x: meanings.stop_gradient(meanings.sin(x)), TraceError,
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_in_the_tables_is_caught(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    function = of(fault.text, fault.library)
    known, known_method = names.meaning, names.method
    if fault.path.startswith("."):
        changed = fault.path[1:]
        monkeypatch.setattr(
            names, "method", lambda name: fault.meaning if name == changed else known_method(name)
        )
    else:
        target = eval(fault.path, fault.library())
        monkeypatch.setattr(
            names, "meaning", lambda value: fault.meaning if value is target else known(value)
        )
    with pytest.raises(fault.error) as caught:
        define(function)
    assert "cannot be read" in str(caught.value) or "different results" in str(caught.value)
    monkeypatch.setattr(witness, "check", lambda *args, **kwargs: None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ActgradWarning)
        define(function)  # so it is the witness that saw it


RIGHT = [
    ("np.where(x > 0, x, 0.1 * x) + np.tanh(x)", lambda: np_),
    ("x * torch.sigmoid(x) + F.relu(x, inplace=False)", torch_names),
    ("torch.tanh(x) if x > 0 else 0.5 * x", torch_names),
    ("x.clamp(-1, 1) * x.sigmoid()", torch_names),
    ("F.hardtanh(x, inplace=True)", torch_names),
    ("tf.nn.silu(x) * tf.cast(x > 0, x.dtype)", tensorflow_names),
    ("tf.constant(0.5) * x", tensorflow_names),
    ("jax.nn.gelu(x) + jnp.where(x > 0, x, 0)", jax_names),
    ("jnp.tanh(x) if x > 0 else x", jax_names),
    ("np.any([x > 1, x < -1]) * x", lambda: np_),
]


@pytest.mark.parametrize(("text", "library"), RIGHT, ids=[text for text, _ in RIGHT])
def test_what_is_right_is_accepted(text: str, library: Callable[[], dict[str, Any]]) -> None:
    define(of(text, library))


@pytest.mark.parametrize(
    ("text", "library", "message"),
    [
        ("torch.clamp(x)", torch_names, "PyTorch tensors it raises RuntimeError"),
        ("tf.cast(x, tf.bool) - 0.3", tensorflow_names, "TensorFlow tensors it raises"),
        ("np.clip(x, a_max=2.0)", lambda: np_, "NumPy arrays it raises TypeError"),
    ],
)
def test_what_its_own_library_refuses_is_refused(text: str, library: Any, message: str) -> None:
    with pytest.raises(TraceError, match=message):
        define(of(text, library))


LIBRARIES = {
    "numpy": ("np.tanh(x)", lambda: np_),
    "torch": ("torch.tanh(x)", torch_names),
    "tensorflow": ("tf.tanh(x)", tensorflow_names),
    "jax": ("jnp.tanh(x)", jax_names),
}


@pytest.mark.parametrize("name", LIBRARIES)
def test_every_library_answers_with_values_and_slopes(name: str) -> None:
    text, library = LIBRARIES[name]
    function = of(text, library)
    assert native.mentions(function).libraries == (name,)
    (column,) = original.points(1)
    run = native.library(name).run(function, [column], slopes=True)
    np.testing.assert_allclose(run.outputs[0], np.tanh(column), 1e-12, 1e-12)
    assert not run.narrow
    assert not run.changed
    if name != "numpy":
        np.testing.assert_allclose(run.slopes[0], 1 - np.tanh(column) ** 2, 1e-9, 1e-12)


def test_the_function_gets_its_own_copy_and_must_not_write_into_it() -> None:
    def doubled(x):
        np.multiply(x, 2.0, out=x)
        return x

    with pytest.raises(TraceError):
        define(doubled)
    with pytest.raises(ImpureError, match="writes into its input"):
        witness.check(Original(doubled, *_reading_of(lambda x: 2.0 * x)))


def test_plain_numbers_are_compared_beside_arrays() -> None:
    def by_type(x):
        return np.tanh(x) if hasattr(x, "shape") else np.sin(x)

    with pytest.raises(ImpureError, match="Python returns"):
        define(by_type)


def test_a_rule_that_draws_is_named_and_the_generator_is_as_before() -> None:
    before = random.getstate()

    def noisy_rule(x):
        return 2.0 * x + 0.0 * statistics.NormalDist().samples(1)[0]

    with pytest.raises(ImpureError, match=r"'noisy_rule'.*draws"):
        define(lambda x: x * x, noisy_rule, "surrogate")
    assert random.getstate() == before


@pytest.mark.parametrize("kind", [np.random.MT19937, np.random.PCG64, np.random.Philox])
def test_a_draw_from_numpy_is_seen_and_taken_back(kind: Any) -> None:
    own = np.random.get_bit_generator()
    np.random.set_bit_generator(kind(0))
    try:
        with randomness.refused("f", abs):
            pass
        before = np.random.get_state(legacy=False)
        with pytest.raises(ImpureError, match="draws"), randomness.refused("f", abs):
            np.random.random()
        np.testing.assert_equal(np.random.get_state(legacy=False), before)
    finally:
        np.random.set_bit_generator(own)


def _reading_of(function: Callable[..., Any]) -> tuple[Any, ...]:
    from actgrad.reading.paths import read
    from actgrad.reading.signature import signature

    own = signature(function)
    return own, own.inputs, frozenset(), {}, read(function, own, own.inputs, frozenset(), {})


def test_an_operator_that_writes_is_a_new_number() -> None:
    torch = torch_names()["torch"]

    def doubled(x):
        x *= 2
        return torch.tanh(x)

    assert define(doubled).evaluate(0.5) == pytest.approx(np.tanh(1.0))


@pytest.mark.parametrize(
    "text", ["np.exp(x) / np.sum(np.exp(x))", "x - np.mean(x)", "np.sort(x)", "np.cumsum(x)"]
)
def test_host_refuses_what_mixes(text: str) -> None:
    with pytest.raises(MixingError, match="mixes the elements"):
        activation(of(text, lambda: np_), host=True)


def test_host_refuses_a_mixing_torch_function() -> None:
    with pytest.raises(MixingError, match="mixes the elements"):
        activation(of("torch.softmax(x, -1)", torch_names), host=True)


def test_host_calls_a_tensor_function_with_tensors() -> None:
    f = activation(of("torch.special.bessel_j0(x)", torch_names), host=True, name="j0")
    special = pytest.importorskip("scipy.special")
    x = np.array([0.0, 0.5, 2.0])
    np.testing.assert_allclose(f(x), special.j0(x), 1e-12)


def test_a_rule_is_compared_too(monkeypatch: pytest.MonkeyPatch) -> None:
    known = names.meaning
    monkeypatch.setattr(names, "meaning", lambda f: first if f is np.mean else known(f))
    with pytest.raises(MixingError):
        define(lambda x: x * x, lambda x: 2 * np.mean(x), "derivative")


def test_generators_and_modes_are_left_as_they_were() -> None:
    torch = torch_names()["torch"]

    def state() -> tuple[Any, ...]:
        numbers = np.random.get_state()[1].tolist()
        return random.getstate(), numbers, torch.get_rng_state().tolist(), np.geterr()

    before = state()
    with torch.no_grad(), pytest.raises(ActgradError):
        define(of("F.dropout(x, 0.5)", torch_names))
    with torch.inference_mode():
        define(of("torch.tanh(x)", torch_names))
    assert state() == before
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_another_default_device_is_no_obstacle() -> None:
    torch = torch_names()["torch"]
    torch.set_default_device("meta")
    try:
        assert define(of("torch.tanh(x)", torch_names)).evaluate(0.5) == pytest.approx(np.tanh(0.5))
    finally:
        torch.set_default_device(None)
