"""The monitor of a PyTorch module: hooks where its activations are."""

from __future__ import annotations

import copy
import time
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from actgrad.activation import Activation
from actgrad.common.types import Fields, Function
from actgrad.errors import CallError
from actgrad.frameworks.torch.modules import ActivationModule
from actgrad.models.torch import MODULES
from actgrad.trainability.monitor.causes import Finding
from actgrad.trainability.monitor.sample import WatchedLayer
from actgrad.trainability.monitor.watch import Watch

_WEIGHTED = (nn.Linear, nn.modules.conv._ConvNd)
_ACTIVATIONS = (ActivationModule, *MODULES, nn.PReLU)


class TorchMonitor(Watch):
    """Watches a module: `monitor.step(loss)` after each optimizer step.

    Pre-activations are what the activation modules take in; in a module that has none, what its
    linear and convolutional layers give. With `on_failure="roll back"` and the `optimizer`, weights and
    optimizer return to the last healthy measurement, and the learning rate falls to a tenth.
    `close()` takes the hooks away.
    """

    def __init__(
        self, module: nn.Module, *, optimizer: Optimizer | None = None, **options: Any
    ) -> None:
        self.module, self.steps = module, 0
        self.optimizer: Optimizer = optimizer  # there is one where it rolls back
        self.values: Fields = {}
        self.gradients: Fields = {}
        self.inputs: torch.Tensor | None = None
        self.kept: tuple[Fields, Fields] | None
        watched, before = _places(module)
        super().__init__([place for place, _ in watched], **options)
        if self.on_failure == "roll back" and optimizer is None:
            raise CallError("on_failure='roll back' needs `optimizer=`, whose state goes back too")
        self.hooks = [module.register_forward_pre_hook(self._see)]
        for place, child in watched:
            if before:
                self.hooks.append(child.register_forward_pre_hook(self._before(place.name)))
            else:
                self.hooks.append(child.register_forward_hook(self._after(place.name)))

    def step(self, loss: torch.Tensor) -> list[Finding]:
        """After `optimizer.step()`, with the loss of that step."""
        step, self.steps = self.steps, self.steps + 1
        value = float(loss.detach()) if isinstance(loss, torch.Tensor) else float(loss)
        start = time.perf_counter()
        values = {name: h.float().cpu().numpy() for name, h in self.values.items()}
        gradients = {name: g.float().cpu().numpy() for name, g in self.gradients.items()}
        self.values, self.gradients = {}, {}
        if value != value and self.inputs is not None:
            self.check_data(self.inputs.detach().float().cpu().numpy(), "the batch", step)
        found = self.observe(step, value, values, gradients, time.perf_counter() - start)
        if self.on_failure == "roll back":
            self.keep_or_roll_back(bool(values))
        return found

    def close(self) -> None:
        for hook in self.hooks:
            hook.remove()

    def _see(self, module: nn.Module, inputs: tuple[object, ...]) -> None:
        self.inputs = inputs[0] if inputs and isinstance(inputs[0], torch.Tensor) else None

    def _before(self, name: str) -> Function:
        return lambda module, inputs: self._record(name, inputs[0])

    def _after(self, name: str) -> Function:
        return lambda module, inputs, output: self._record(name, output)

    def _record(self, name: str, h: torch.Tensor) -> None:
        if not self.module.training or not self.due(self.steps) or name in self.values:
            return
        start = time.perf_counter()
        self.values[name] = h.detach()[:64].clone()  # the activation may work in place
        if h.requires_grad:
            h.register_hook(lambda g: self.gradients.__setitem__(name, g.detach()[:64] * len(g)))
        self._spent += time.perf_counter() - start

    def keep(self) -> None:
        weights = {name: value.clone() for name, value in self.module.state_dict().items()}
        self.kept = weights, copy.deepcopy(self.optimizer.state_dict())

    def restore(self) -> None:
        assert self.kept is not None
        weights, optimizer = self.kept
        with torch.no_grad():
            for name, value in self.module.state_dict().items():
                value.copy_(weights[name])
        self.optimizer.load_state_dict(optimizer)
        for group in self.optimizer.param_groups:
            group["lr"] *= 0.1


def _places(module: nn.Module) -> tuple[list[tuple[WatchedLayer, nn.Module]], bool]:
    """The watched modules in order, and whether what they take in is meant (or what they give)."""
    activations: list[tuple[WatchedLayer, nn.Module]] = []
    weighted: list[tuple[WatchedLayer, nn.Module]] = []
    normalised = False
    for name, child in module.named_modules():
        if "Norm" in type(child).__name__:
            normalised = True
        elif isinstance(child, _ACTIVATIONS):
            function: Activation | Function = (
                nn.functional.relu if isinstance(child, nn.ReLU) else child
            )
            if isinstance(child, ActivationModule):
                numbers = {n: v for n, v in child._numbers.items() if isinstance(v, (int, float))}
                function = Activation(child.program)(**numbers)
            activations.append((WatchedLayer(name, function, normalised), child))
            normalised = False
        elif isinstance(child, _WEIGHTED):
            weighted.append((WatchedLayer(name, None), child))
    return (activations, True) if activations else (weighted, False)
