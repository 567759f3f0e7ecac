"""An entry of a catalogue: a plain Python function, and what the literature says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, cast

from actgrad.activation import Activation, activation
from actgrad.common.types import Fields
from actgrad.frameworks.sampled import Sampled

Function = Callable[..., float]
"""Of plain numbers."""
Rule = Callable[..., float | dict[str, float]]
"""A surrogate derivative, or those by inputs and parameters."""


class Kept(Protocol):
    """What a catalogue has for a name."""

    @property
    def activation(self) -> Activation: ...


@dataclass(frozen=True)
class Entry:
    function: Function
    source: str
    kinks: dict[float, float] = field(default_factory=dict)
    """Places where the derivative jumps, and its value there: that of the branch that is taken."""
    builtins: dict[str, str] = field(default_factory=dict)
    """What the frameworks call it."""
    rule: Rule | None = None
    """The derivative, where it is not the slope."""
    noise: dict[str, Sampled] = field(default_factory=dict)
    """What to draw for which parameter."""
    axis: int | None = None
    """Where the rows lie, of a function of a row."""

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def formula(self) -> str:
        return (self.function.__doc__ or "").partition("\n")[0]

    @cached_property
    def activation(self) -> Activation:
        return activation(self.function, surrogate=self.rule, axis=self.axis)


def served(
    entries: Mapping[str, Kept], what: str, module: Fields
) -> tuple[Callable[[str], Activation], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a module of entries, which answer with activations for the names of
    the functions. These go from the module; to a type checker each is the activation."""
    for name in entries:
        del module[name]

    def get(name: str) -> Activation:
        if name in entries:
            return entries[name].activation
        raise AttributeError(f"{what} {name!r}; it has {', '.join(entries)}")

    return get, lambda: ["ENTRIES", *entries]


class Catalogue(dict[str, Entry]):
    """Entries by name, in the order in which they are written; all of numbers, or all of rows."""

    def __init__(self, axis: int | None = None) -> None:
        super().__init__()
        self._axis = axis

    def add(
        self,
        source: str,
        kinks: dict[float, float] | None = None,
        *,
        rule: Rule | None = None,
        noise: dict[str, Sampled] | None = None,
        same: str = "",
        **builtins: str,
    ) -> Callable[[Function], Activation]:
        """Collect a function; `same` are the frameworks that have it under the same name. Its name is taken
        from the module later, which answers with an `Activation` for it: that is its type."""

        def collect(function: Function) -> Activation:
            known = dict.fromkeys(same.split(), function.__name__) | builtins
            self[function.__name__] = Entry(
                function, source, kinks or {}, known, rule, noise or {}, self._axis
            )
            return cast(Activation, function)

        return collect
