"""An entry of a catalogue that is first used, and so read, while PyTorch traces what uses it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from actgrad import activations, rows, surrogates

torch = pytest.importorskip("torch")
from torch._subclasses.fake_tensor import FakeTensorMode

FIRST = [(activations, "mish"), (surrogates, "triangle"), (rows, "softmax")]


class Model(torch.nn.Module):
    def forward(self, x: Any) -> Any:
        return activations.mish(x) + surrogates.triangle(x) * rows.softmax(x)


def exported(x: Any) -> Any:
    return torch.export.export(Model(), (x,)).module()(x)


def compiled(x: Any) -> Any:
    return torch.compile(Model(), fullgraph=True, backend="aot_eager")(x)


def faked(x: Any) -> Any:
    with FakeTensorMode() as mode:
        found = Model()(mode.from_tensor(x))
    assert found.shape == x.shape
    return Model()(x)


def on_meta(x: Any) -> Any:
    with torch.device("meta"):
        return Model()(x)


WAYS: dict[str, Callable[[Any], Any]] = {
    "torch.export": exported,
    "torch.compile": compiled,
    "torch.jit.trace": lambda x: torch.jit.trace(Model(), x)(x),
    "vmap(grad)": lambda x: torch.func.vmap(torch.func.grad(lambda x: Model()(x).sum()))(x),
    "fake tensors": faked,
    "a default device": on_meta,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_first_use_is_in(way: str) -> None:
    x = torch.linspace(-2, 2, 12).reshape(3, 4)
    for module, name in FIRST:
        vars(module.ENTRIES[name]).pop("activation", None)
    torch.compiler.reset()
    found = WAYS[way](x)
    assert all("activation" in vars(module.ENTRIES[name]) for module, name in FIRST)
    y = x.clone().requires_grad_()
    value = Model()(y)
    (by_x,) = torch.autograd.grad(value.sum(), y)
    torch.testing.assert_close(found, by_x if "grad" in way else value)
