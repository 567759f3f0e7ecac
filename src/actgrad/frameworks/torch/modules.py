"""The activation as a `torch.nn.Module`, with parameters that are learnt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import NoReturn
from weakref import WeakSet

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from actgrad.common.types import Fields
from actgrad.errors import CallError
from actgrad.frameworks.sampled import Sampled
from actgrad.frameworks.torch import export, rule
from actgrad.frameworks.trainable import Trainable
from actgrad.language import storage
from actgrad.language.program import Program


class _Stored:
    """A program that copies as itself and pickles as data."""

    def __init__(self, program: Program) -> None:
        self.program = program

    def __deepcopy__(self, memo: object) -> _Stored:
        return self

    def __reduce__(self) -> tuple[Callable[[str], _Stored], tuple[str]]:
        return _restored, (storage.to_json(self.program),)


def _restored(text: str) -> _Stored:
    return _Stored(storage.from_json(text))


class ActivationModule(nn.Module):
    """An activation as a module; parameters are numbers, or weights where they are `trainable(...)`.

    A trainable number has the shape (1,) (what FSDP can shard), an array its own shape. With
    `per_channel` there is one number per channel of the first input: the last dimension of a tensor of
    two dimensions or fewer, the second of one with more, as in `nn.PReLU`. The number of channels is
    taken from the first call, or from a loaded state_dict. Of a function of a row it is one number per
    place in the row.

    A parameter that is `sampled(...)` is drawn for each element in training mode, and fixed in `eval()`.

    Bounds hold after every `optimizer.step()`, and for the values that are used, whatever changed them.
    """

    def __init__(self, program: Program, parameters: Mapping[str, object]) -> None:
        super().__init__()
        self._stored = _Stored(program)
        self._trainable = {n: v for n, v in parameters.items() if isinstance(v, Trainable)}
        self._sampled = {n: v for n, v in parameters.items() if isinstance(v, Sampled)}
        self._numbers = {
            n: v for n, v in parameters.items() if not isinstance(v, (Trainable, Sampled))
        }
        for name, value in self._trainable.items():
            if hasattr(self, name):
                raise CallError(
                    f"a torch.nn.Module has an attribute {name!r}; rename the parameter"
                )
            parameter = nn.UninitializedParameter()
            if not value.per_channel:
                initial = torch.tensor(value.start(program, name))
                parameter = nn.Parameter(initial.reshape(initial.shape or (1,)))
            self.register_parameter(name, parameter)
        self._watch()

    @property
    def program(self) -> Program:
        return self._stored.program

    def _watch(self) -> None:
        if any(value.bounded for value in self._trainable.values()):
            _bounded.add(self)
            _clamp_after_steps()

    def __setstate__(self, state: Fields) -> None:
        super().__setstate__(state)
        self.__dict__.setdefault("_sampled", {})  # version 0.1 had none
        self._watch()

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        if len(inputs) != len(self.program.inputs):
            raise CallError(
                f"{self.program.name!r} takes {len(self.program.inputs)} inputs "
                f"({', '.join(self.program.inputs)}), and got {len(inputs)}"
            )
        if tracer := export.tracer(inputs):  # torch.fx: the module stays one
            return tracer.create_proxy("call_module", tracer.path_of_module(self), inputs, {})
        values: Fields = dict(self._numbers)
        for name, trainable in self._trainable.items():
            values[name] = self._weight(name, trainable, inputs[0])
        for name, sampled in self._sampled.items():
            values[name] = self._sample(sampled, inputs)
        return rule.call(self.program, inputs, self.program.spread(values))

    def _sample(self, sampled: Sampled, inputs: tuple[torch.Tensor, ...]) -> torch.Tensor | float:
        """The number for inference, or a number for each element, drawn anew."""
        still = sampled.still(self.training)
        if still is not None:
            return still
        shape = torch.broadcast_shapes(*(x.shape for x in inputs))
        draw = torch.randn if sampled.base == "normal" else torch.rand
        wide = torch.promote_types(inputs[0].dtype, torch.float32)
        return sampled.transform(torch, draw(shape, dtype=wide, device=inputs[0].device))

    def _weight(self, name: str, trainable: Trainable, x: torch.Tensor) -> torch.Tensor:
        weight = getattr(self, name)
        if isinstance(weight, nn.UninitializedParameter):
            self._materialize(name, weight, x)
        if trainable.bounded:
            still = weight.detach()
            weight = still.clamp(trainable.low, trainable.high) + (weight - still)
        if trainable.per_channel and self.program.axis is not None:
            return weight  # a number for each place in the row
        if trainable.per_channel:
            return weight.reshape(weight.shape + (1,) * max(x.dim() - 2, 0))
        return (
            weight.reshape(()) if isinstance(trainable.start(self.program, name), float) else weight
        )

    def _materialize(self, name: str, weight: nn.UninitializedParameter, x: torch.Tensor) -> None:
        if x.dim() == 0:
            raise CallError(f"{name!r} is trainable per channel, and the input has no dimension")
        axis = self.program.axis
        channels = x.shape[axis if axis is not None else 1 if x.dim() > 2 else -1]
        dtype = x.dtype if x.dtype == torch.float64 else torch.float32
        with torch.no_grad():
            initial = torch.tensor(self._trainable[name].start(self.program, name), dtype=dtype)
            is_vector = name in self.program.lengths
            shape = (len(initial), channels) if is_vector else (channels,)
            weight.materialize(shape, device=x.device, dtype=dtype)
            weight.copy_(initial[:, None] if is_vector else initial)

    def _load_from_state_dict(
        self, state_dict: Mapping[str, torch.Tensor], prefix: str, *args: object
    ) -> None:
        for name in self._trainable:
            weight, loaded = getattr(self, name), state_dict.get(prefix + name)
            lazy = isinstance(weight, nn.UninitializedParameter)
            if lazy and loaded is not None and not isinstance(loaded, nn.UninitializedParameter):
                weight.materialize(loaded.shape, dtype=loaded.dtype)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def clamp_(self) -> None:
        """Bring every trainable parameter back within its bounds."""
        with torch.no_grad():
            for name, value in self._trainable.items():
                weight = getattr(self, name)
                if value.bounded and not isinstance(weight, nn.UninitializedParameter):
                    weight.clamp_(value.low, value.high)

    def __prepare_scriptable__(self) -> NoReturn:
        raise CallError(
            f"TorchScript cannot compile {self.program.name!r}, and PyTorch has deprecated it\n"
            f"  Use `torch.jit.trace(model, example)`, or `torch.export.export(model, (example,))`."
        )

    def extra_repr(self) -> str:
        numbers = {**self._numbers, **self._trainable, **self._sampled}
        return ", ".join([str(self.program.name), *(f"{n}={v}" for n, v in numbers.items())])


_bounded: WeakSet[ActivationModule] = WeakSet()


@cache
def _clamp_after_steps() -> None:
    """After every step of any optimizer, since only the module knows the bounds."""

    def clamp(*_: object) -> None:
        for module in list(_bounded):
            module.clamp_()

    register_optimizer_step_post_hook(clamp)
