"""Functional calls within a PyTorch model (`F.relu(x)`, `torch.relu(x)`, `x.relu_()`), for a scope.

A `TorchFunctionMode` sees every such call in its thread. It acts only while a module of the model runs, and
not on calls that an activation's own code makes.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from actgrad.activation import Activation
from actgrad.common.types import Fields, Function
from actgrad.errors import OverrideError
from actgrad.models.place import Place

Options = tuple[tuple[str, object], ...]


class _Running(threading.local):
    """Whether calls are within reach: for each module that runs, the innermost last."""

    def __init__(self) -> None:
        self.reach: list[bool] = []


_running = _Running()


def forms(name: str) -> dict[object, tuple[Function, bool]]:
    """Every function that computes `name`: the plain function that it stands for, and whether in place."""
    homes = (functional, torch, torch.Tensor)
    plain = next(f for home in homes[:2] if (f := getattr(home, name, None)))
    found = {}
    for home in homes:
        if function := getattr(home, name, None):
            found[function] = (plain if home is torch.Tensor else function, False)
        if function := getattr(home, f"{name}_", None):
            found.setdefault(function, (plain, True))
    return found


def _alone(new: Function) -> Function:
    """A function whose own calls are out of reach: `lambda x: 2 * torch.relu(x)` may replace relu."""
    if isinstance(new, (Activation, torch.nn.Module)):
        return new

    @functools.wraps(new)
    def function(*inputs: object) -> object:
        return _apart(new, *inputs)

    return function


def _apart(function: Function, *args: object, **kwargs: object) -> object:
    _running.reach.append(False)
    try:
        return function(*args, **kwargs)
    finally:
        _running.reach.pop()


class Calls(TorchFunctionMode):
    """Puts another function in the place of every form of one."""

    def __init__(self, name: str, choose: Callable[[Function], Function]) -> None:
        super().__init__()
        self.forms = forms(name)
        self.choose = choose
        self.chosen: dict[object, Function] = {}
        self.reached = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = dict(kwargs or {})
        if func not in self.forms or not _in_reach():
            return func(*args, **options)
        self.reached = True
        plain, in_place = self.forms[func]
        in_place = options.pop("inplace", False) or in_place
        x, *rest = args or (options.pop("input"),)
        new = self.instead_of(plain, tuple(rest), tuple(sorted(options.items())))
        if not in_place:
            return _apart(new, x)
        return x.copy_(_apart(new, x.clone()))

    def instead_of(self, plain: Function, rest: tuple[object, ...], options: Options) -> Function:
        key = (plain, rest, options)
        if key not in self.chosen:
            self.chosen[key] = self._made(plain, rest, dict(options))
        return self.chosen[key]

    def _made(self, plain: Function, rest: tuple[object, ...], options: Fields) -> Function:
        if any(isinstance(value, torch.Tensor) for value in (*rest, *options.values())):
            raise OverrideError(
                f"`{plain.__name__}` is called with a tensor as an option, which cannot be overridden\n"
                f"  Give numbers, or swap that layer with `replace`."
            )
        if not rest and not options:
            return self.choose(plain)

        def function(x: object) -> object:
            return plain(x, *rest, **options)

        function.__name__ = plain.__name__
        return self.choose(function)


def _in_reach() -> bool:
    if not (_running.reach and _running.reach[-1]):
        return False
    if torch.compiler.is_dynamo_compiling():  # there an activation is one operation
        return True
    frame: Any = sys._getframe(1)
    while frame.f_code is Calls.__torch_function__.__code__:
        frame = frame.f_back
    return not frame.f_code.co_filename.startswith("<actgrad")


@contextmanager
def overridden(
    model: torch.nn.Module, name: str, places: list[Place], choose: Callable[[Function], Function]
) -> Iterator[Calls]:
    """While the scope lasts, the places and the calls of `name` in the model have what `choose` gives."""
    calls = Calls(name, choose)
    own = set(model.modules())
    with ExitStack() as stack:
        for place in places:
            if (
                place.held not in calls.forms
            ):  # one that an attribute holds is called, and seen then
                stack.callback(place.put(_alone(choose(place.function))))
                calls.reached = True
        for module in model.modules():
            enter = module.register_forward_pre_hook(_enter(module in own))
            leave = module.register_forward_hook(_leave, always_call=True)
            stack.callback(enter.remove)
            stack.callback(leave.remove)
        stack.enter_context(calls)
        yield calls


def _enter(within_reach: bool) -> Callable[..., None]:
    return lambda *_: _running.reach.append(within_reach)


def _leave(*_: object) -> None:
    _running.reach.pop()
