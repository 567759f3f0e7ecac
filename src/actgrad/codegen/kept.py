"""What is made of a program once, and goes when the program goes."""

from __future__ import annotations

from dataclasses import fields
from functools import wraps
from typing import Any, TypeVar

from actgrad.common.types import Function
from actgrad.language.program import Program

Make = TypeVar("Make", bound=Function)


def kept(make: Make) -> Make:
    """A cache whose entries lie in the program, the first argument. The others must be hashable."""

    @wraps(make)
    def of(program: Program, *others: object) -> Any:
        key = (make, *others)
        if key not in program.kept:
            program.kept.setdefault(key, make(program, *others))
        return program.kept[key]

    return of  # type: ignore[return-value]


def twin(program: Program) -> Program:
    """The same content in an object of its own, which does not have what is kept of this one."""
    other = object.__new__(Program)
    other.__dict__.update({field.name: getattr(program, field.name) for field in fields(program)})
    object.__setattr__(other, "_structure", program._structure)
    return other
