"""An activation of rows, of any framework's tensors: the axis goes last, and back: see `views`.

The kernels have the rows along the last axis, all inputs' of one length, and for one number of a row there a
size of 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from actgrad.errors import CallError
from actgrad.frameworks import views
from actgrad.language.program import Program

Rule = Callable[[Program, Sequence[Any]], Any]


def along_axis(
    program: Program, tensors: Sequence[Any], ops: Any, rule: Rule, axis: int | None = None
) -> Any:
    """The program of tensors, inputs before parameters. `ops` has `moveaxis`, `reshape` and `broadcast_to`.

    `rule` is called with the program and its tensors, the rows last. `axis` stands in the place of the
    program's own. A parameter of several dimensions is one more input: a sample for each number.
    """
    inputs = tensors[: len(program.inputs)]
    values = dict(zip(program.arguments, tensors, strict=True))
    samples = tuple(name for name, _ in program.parameters if len(values[name].shape) > 1)
    if samples:
        program = program.drawn(samples)
        inputs = (*inputs, *(values[name] for name in samples))
    parameters = [values[name] for name, _ in program.parameters]
    axis = last_axis(program, max(len(x.shape) for x in inputs), axis)

    def of_rows(*moved: Any) -> Any:
        n = moved[0].shape[-1]
        shapes = {
            name: tuple(p.shape)
            for (name, _), p in zip(program.parameters, parameters, strict=True)
        }
        wide = frozenset(name for name, shape in shapes.items() if is_row(program, name, shape, n))
        numbers = [
            p if name in wide or not len(p.shape) else ops.reshape(p, ())
            for name, p in zip(shapes, parameters, strict=True)
        ]
        widened = program.with_rows(wide)
        if wide and n is not None:
            widened.check_length(n)
        return rule(widened, (*moved, *numbers))

    fitting = partial(common_length, program)
    return views.along_axis(inputs, axis, program.squeezes, ops, fitting, of_rows)


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
    if None in lengths:  # TensorFlow does not know it yet
        return None
    others = [n for n in lengths if n is not None and n != 1]
    if any(n != others[0] for n in others):
        raise CallError(
            f"{program.name!r} got rows of the lengths {' and '.join(map(str, lengths))}\n"
            f"  Its inputs must have rows of one length, or one number for each."
        )
    n = others[0] if others else 1
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
        f"  It is one number, one for each place in a row, of which there are {n}, or one for each in "
        f"the tensor."
    )
