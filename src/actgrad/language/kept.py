"""What is made of a program once, and goes when the program goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import Any, TypeVar

Make = TypeVar("Make", bound=Callable[..., Any])
Kept = TypeVar("Kept")


def kept(make: Make) -> Make:
    """A cache whose entries lie in the program, the first argument. The others must be hashable."""

    @wraps(make)
    def of(program: Any, *others: object, **options: object) -> object:
        key = (make, *others, *options.items())
        if key not in program.kept:
            program.kept.setdefault(key, make(program, *others, **options))
        return program.kept[key]

    return of  # type: ignore[return-value]


def twin(program: Kept) -> Kept:
    """The same content in an object of its own, which does not have what is kept of this one."""
    other = object.__new__(type(program))
    content: Any = program
    other.__dict__.update({field.name: getattr(program, field.name) for field in fields(content)})
    object.__setattr__(other, "_structure", content._structure)
    return other
