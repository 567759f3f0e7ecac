"""Where a PyTorch module holds its activations: in child modules, and in attributes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import torch
from torch.nn import functional

from actgrad.activation import Activation
from actgrad.common.types import Function
from actgrad.errors import OverrideError
from actgrad.frameworks.torch.modules import ActivationModule
from actgrad.models.place import Place, Put, Undo, attribute, calls_by_name, keeping
from actgrad.models.torch_calls import forms
from actgrad.models.torch_calls import overridden as overridden

_PLAIN = (
    *(torch.nn.ReLU, torch.nn.ReLU6, torch.nn.SELU, torch.nn.SiLU, torch.nn.Mish, torch.nn.Tanh),
    *(torch.nn.Sigmoid, torch.nn.Softsign, torch.nn.Hardswish, torch.nn.Hardsigmoid),
    *(torch.nn.Tanhshrink, torch.nn.LogSigmoid),
)
MODULES: dict[type, tuple[str, tuple[str, ...]]] = {
    **{kind: (kind.__name__.lower(), ()) for kind in _PLAIN},
    torch.nn.LeakyReLU: ("leaky_relu", ("negative_slope",)),
    torch.nn.ELU: ("elu", ("alpha",)),
    torch.nn.CELU: ("celu", ("alpha",)),
    torch.nn.GELU: ("gelu", ("approximate",)),
    torch.nn.Softplus: ("softplus", ("beta", "threshold")),
    torch.nn.Hardtanh: ("hardtanh", ("min_val", "max_val")),
    torch.nn.Hardshrink: ("hardshrink", ("lambd",)),
    torch.nn.Softshrink: ("softshrink", ("lambd",)),
    torch.nn.Threshold: ("threshold", ("threshold", "value")),
}
"""The function of each module, and which of its attributes are arguments of it."""


def places(model: torch.nn.Module) -> Iterator[Place]:
    for path, module in model.named_modules():
        for key, child in module._modules.items():
            where = f"{path}.{key}" if path else key
            put = _seen(module, _put(module, key))
            if isinstance(child, ActivationModule):
                yield _ours(where, child, put)
            elif type(child) in MODULES:
                yield _module(where, child, put)
        for key, value in vars(module).items():
            home = getattr(value, "__module__", None)
            known = getattr(functional, getattr(value, "__name__", ""), None) is value
            if isinstance(value, Activation) or (known and home):
                where = f"{path}.{key}" if path else key
                put = _seen(module, attribute(vars(module), key))
                yield Place(where, value.__name__, module, value, value, put)


def _ours(where: str, child: torch.nn.Module, put: Put) -> Place:
    """A module of ours: where it has parameters of its own, it stays, with another program."""
    held = Activation(child.program)

    def put_program(new: object) -> Undo:
        names = child._trainable.keys() | child._numbers.keys()
        if not names:
            return put(new)
        kept = keeping(f"module {where!r}", names, new)
        return attribute(vars(child), "_stored")(type(child._stored)(kept.program))

    return Place(where, held.name, child, held(**child._numbers), held, put_program)


def _module(where: str, child: torch.nn.Module, put: Put) -> Place:
    name, options = MODULES[type(child)]
    original = getattr(functional, name)
    values = {option: getattr(child, option) for option in options}

    def function(x: torch.Tensor) -> torch.Tensor:
        return original(x, **values)

    function.__name__ = name
    return Place(where, name, child, child, function if values else original, put)


def _put(parent: torch.nn.Module, key: str) -> Put:
    def put(new: object) -> Undo:
        module = _as_module(new)
        module.train(parent.training)
        return attribute(parent._modules, key)(module)

    return put


def _seen(module: torch.nn.Module, put: Put) -> Put:
    """`nn.TransformerEncoderLayer` notes at its start that it holds ReLU or GELU. In evaluation it then runs
    a kernel with that function, whatever it holds by now."""
    if not getattr(module, "activation_relu_or_gelu", 0):
        return put

    def put_and_note(new: object) -> Undo:
        undo = ExitStack()
        undo.callback(put(new))
        undo.callback(attribute(vars(module), "activation_relu_or_gelu")(0))
        return undo.close

    return put_and_note


def _as_module(new: Function | torch.nn.Module | Activation) -> torch.nn.Module:
    if isinstance(new, torch.nn.Module):
        return new
    return new.module() if isinstance(new, Activation) else _Function(new)


class _Function(torch.nn.Module):
    """A function of tensors as a module."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.forward = function


def name_of(name: str) -> str:
    return name


def functional_name(old: object) -> str | None:
    """The name of a function whose calls `override` reaches."""
    names = {name for name, _ in MODULES.values()}
    if isinstance(old, str):
        return old if old in names else None
    return next((name for name in names if not isinstance(old, type) and old in forms(name)), None)


def accept(new: object) -> object:
    if isinstance(new, str):
        found = getattr(functional, new, None)
        if found is None:
            raise OverrideError(f"torch.nn.functional has no {new!r}")
        return found
    return new


def unreached(model: torch.nn.Module, name: str) -> list[str]:
    """Classes whose `forward` calls a function of this name."""
    found = {
        f"`{type(module).__name__}.forward`"
        for module in model.modules()
        if not type(module).__module__.startswith(("torch.", "actgrad."))
        and calls_by_name(type(module).forward, module, name)
    }
    return sorted(found)


def other(model: torch.nn.Module) -> list[str]:
    """Modules among PyTorch's activations that have weights, draw numbers, or mix the elements."""
    return [
        f"{path} ({type(module).__name__})"
        for path, module in model.named_modules()
        if type(module).__module__ == "torch.nn.modules.activation" and type(module) not in MODULES
    ]


def forget(model: torch.nn.Module) -> None:
    """`torch.compile` guards the modules that it has compiled, and sees the change by itself."""
