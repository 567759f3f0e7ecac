"""An activation of rows, of any framework's tensors: the axis goes last, and back.

The kernels have the rows along the last axis, all inputs' of one length, and for one number of a row there a
size of 1. Nothing here has a derivative of its own: the framework follows these views.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from actgrad.errors import CallError
from actgrad.language.program import Program

Rule = Callable[[Program, Sequence[Any]], Any]


def along_axis(
    program: Program, tensors: Sequence[Any], ops: Any, rule: Rule, axis: int | None = None
) -> Any:
    """The program of tensors, inputs before parameters. `ops` has `moveaxis`, `reshape` and `broadcast_to`.

    `rule` is called with the program and its tensors, the rows last. `axis` stands in the place of the
    program's own.
    """
    inputs, parameters = tensors[: len(program.inputs)], tensors[len(program.inputs) :]
    rank = max(len(x.shape) for x in inputs)
    axis = last_axis(program, rank, axis)
    moved = []
    for x in inputs:
        missing = rank - len(x.shape)
        if missing and (axis != -1 or not len(x.shape)):
            x = ops.reshape(x, (*(1,) * missing, *x.shape))
        moved.append(x if axis == -1 else ops.moveaxis(x, axis, -1))
    n = common_length(program, [x.shape[-1] for x in moved])
    moved = [x if x.shape[-1] == n else ops.broadcast_to(x, (*x.shape[:-1], n)) for x in moved]
    names = [name for name, _ in program.parameters]
    wide = frozenset(
        name
        for name, p in zip(names, parameters, strict=True)
        if is_row(program, name, tuple(p.shape), n)
    )
    numbers = [
        p if name in wide or not len(p.shape) else ops.reshape(p, ())
        for name, p in zip(names, parameters, strict=True)
    ]
    result = rule(program.with_rows(wide), (*moved, *numbers))
    if program.squeezes:
        return result[..., 0]
    return result if axis == -1 else ops.moveaxis(result, -1, axis)


def last_axis(program: Program, rank: int, axis: int | None = None) -> int:
    """The axis, counted from the end. Raises `CallError` if tensors of this rank have none such."""
    axis = int(program.axis or 0) if axis is None else axis
    if not -rank <= axis < rank:
        what = f"{rank} dimension{'s' * (rank != 1)}" if rank else "no dimension"
        raise CallError(
            f"{program.name!r} is a function of a row along axis {axis}, and got a tensor of {what}"
        )
    return axis - rank if axis >= 0 else axis


def common_length(program: Program, lengths: Sequence[int | None]) -> int | None:
    """Of the inputs' rows; one number is as good as a row of equal ones."""
    others = {n for n in lengths if n != 1}
    if None in others:  # TensorFlow does not know it yet
        return None
    if len(others) > 1:
        raise CallError(
            f"{program.name!r} got rows of the lengths {' and '.join(map(str, lengths))}\n"
            f"  Its inputs must have rows of one length, or one number for each."
        )
    n = int(others.pop() or 0) if others else 1
    program.check_length(n)
    return n


def is_row(program: Program, name: str, shape: tuple[int | None, ...], n: int | None) -> bool:
    """Whether a parameter has a number for each place in the rows, and not one number."""
    if shape in ((), (1,)):
        return False
    if len(shape) == 1 and n in (None, shape[0]):
        return True
    raise CallError(
        f"the parameter {name!r} of {program.name!r} has the shape {shape}\n"
        f"  It is one number, or one for each place in a row, of which there are {n}."
    )
