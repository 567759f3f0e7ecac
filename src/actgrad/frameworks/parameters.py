"""What may be given for a parameter: in a call, in a copy with other values, in a layer or module."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import FunctionType

import numpy as np

from actgrad.common.text import did_you_mean
from actgrad.errors import CallError, HostError
from actgrad.frameworks.sampled import Sampled, sampled
from actgrad.frameworks.trainable import Trainable, trainable
from actgrad.language.program import Program
from actgrad.reading.define import check_trainable
from actgrad.reading.signature import as_value, is_number

_NO_NUMBERS = (bool, str, bytes, complex, Trainable, Sampled, FunctionType)


def along(program: Program, axis: object) -> Program:
    """A function of a row, of the rows along another axis. Raises `CallError` for what is none."""
    if program.axis is None:
        raise _no_axis(program)
    return replace(program, axis=whole_axis(program, axis))


def _no_axis(program: Program) -> CallError:
    return CallError(
        f"{program.name!r} is a function of one number, so it has no axis\n"
        f"  Define it anew of its Python function, with `axis=`."
    )


def whole_axis(program: Program, axis: object) -> int:
    if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
        raise CallError(f"axis={axis!r} of {program.name!r} is no whole number")
    return int(axis)


def check_known(program: Program, names: Iterable[str]) -> None:
    """Raises `CallError` for a name that no parameter has."""
    known = program.settings | dict(program.fixed)
    for name in names:
        if name not in known:
            if name == "axis" and program.axis is None:
                raise _no_axis(program)
            if name == "dim" and program.axis is not None:
                raise CallError(f"{program.name!r} has no parameter 'dim'\n  Write `axis=`.")
            has = ", ".join(map(repr, known)) or "none"
            hint = did_you_mean(name, known, f"it has {has}")
            raise CallError(f"{program.name!r} has no parameter {name!r}; {hint}")


def check_call(
    program: Program, inputs: tuple[object, ...], parameters: Mapping[str, object]
) -> None:
    """Raises `CallError` for a wrong number of inputs, and for parameters that cannot be in a call."""
    check_known(program, parameters)
    for name, value in parameters.items():
        if (value is None or isinstance(value, _NO_NUMBERS)) and name not in dict(program.fixed):
            raise _not_a_number(program, name, value)
    if len(inputs) != len(program.inputs):
        names = ", ".join(program.inputs)
        raise CallError(
            f"{program.name!r} takes {len(program.inputs)} input{'s' * (len(program.inputs) != 1)} "
            f"({names}), and got {len(inputs)}\n"
            f"  Parameters go by keyword: {program.name}({names}, name=value)."
        )


def native_values(
    program: Program, inputs: tuple[object, ...], parameters: Mapping[str, object]
) -> Mapping[str, object]:
    """The parameters of a call of `native`, entry by entry. Raises `CallError` for what is none."""
    if not parameters and len(inputs) == len(program.inputs):
        return parameters
    axis = parameters.get("axis") if program.axis is not None else None
    if axis is not None:
        whole_axis(program, axis)
    check_call(
        program, inputs, {n: v for n, v in parameters.items() if n != "axis" or axis is None}
    )
    fixed = [name for name, _ in program.fixed if name in parameters]
    if fixed:
        raise CallError(
            f"{fixed} shaped {program.name!r} while it was read, so `native` cannot take it in a call\n"
            f"  Give it before: `{program.name}({fixed[0]}=...).native(...)`."
        )
    return program.spread(parameters)


def _length(program: Program, name: str, value: object) -> int:
    """How many entries a value has for a parameter that is a vector."""
    shape = getattr(value, "shape", None)
    if shape is not None:
        size = shape[0] if len(shape) else None
    else:
        size = len(value) if isinstance(value, (list, tuple)) else None
    if not size:
        raise CallError(
            f"the parameter {name!r} of {program.name!r} is a vector, and {value!r:.80} is none\n"
            f"  Give it a list, or a tensor whose first dimension has its entries."
        )
    return int(size)


def other_lengths(program: Program, parameters: Mapping[str, object]) -> dict[str, int]:
    """The lengths of the vectors among these, if one is another than the program was read with."""
    known = program.lengths
    lengths = {n: _length(program, n, parameters[n]) for n in known if n in parameters}
    return {} if all(known[name] == length for name, length in lengths.items()) else lengths


def other_length_compiled(program: Program, lengths: Mapping[str, int]) -> str:
    """What is said under `torch.compile`, which would follow the new reading for minutes."""
    name, size = next((n, size) for n, size in lengths.items() if size != program.lengths[n])
    return (
        f"{name!r} of {program.name!r} has {program.lengths[name]} numbers, and {size} in this call: with "
        f"another length the function is read anew, which torch.compile cannot do\n"
        f"  Give one of that length before: `longer = {program.name}({name}=[...])`, and compile a function "
        f"that calls `longer(x, {name}=...)`."
    )


def check_numbers(program: Program, parameters: Mapping[str, object]) -> None:
    for name, value in parameters.items():
        if not is_number(value):
            raise _not_a_number(program, name, value)


def with_values(program: Program, parameters: Mapping[str, object]) -> Program:
    """The program with other values for its numbers. Raises `CallError` for what is none."""
    check_numbers(program, parameters)
    for name, value in parameters.items():
        if program.axis is not None and isinstance(as_value(value), tuple):
            raise CallError(
                f"the parameter {name!r} of {program.name!r}, a function of a row, is one number\n"
                f"  One for each place in the row goes with the tensor, `f(x, {name}=gain)`, or is learnt, "
                f"with `trainable(per_channel=True)`."
            )
    given = {name: as_value(value) for name, value in program.spread(dict(parameters)).items()}
    values = dict(program.parameters) | given
    return replace(program, parameters=tuple(values.items()))


def _not_a_number(program: Program, name: str, value: object) -> CallError:
    learnt = isinstance(value, (Trainable, Sampled)) or value is trainable or value is sampled
    return CallError(
        f"the parameter {name!r} of {program.name!r} must be a number, and is {_shown(value)}"
        + f"\n  {program.name}.layer({name}=...) and .module(...) take `trainable()` or `sampled(...)`."
        * learnt
    )


def _shown(value: object) -> str:
    itself = [f.__name__ for f in (trainable, sampled) if value is f]
    return f"the function `{itself[0]}` itself" if itself else f"{value!r:.80}"


def check_fixed(program: Program, parameters: Mapping[str, object]) -> None:
    """Raises `CallError` for an unknown one, and where one is to be learnt that shaped the reading."""
    check_known(program, parameters)
    for name, value in parameters.items():
        if name in dict(program.fixed) and isinstance(value, (Trainable, Sampled)):
            raise CallError(
                f"the parameter {name!r} of {program.name!r} shaped it while it was read (a loop's "
                f"length, an option), so it cannot be learnt or drawn"
            )


def check_setting(program: Program, name: str, value: object) -> None:
    """That a layer or a module can be given this for a parameter; warn where it cannot be learnt."""
    if isinstance(value, Trainable):
        entries = dict(program.vectors).get(name, (name,))
        if program.on_host and not set(entries) <= set(program.differentiable):
            raise HostError(
                f"{program.name!r} runs on the host (host=True), so its derivative by {name!r} is not "
                f"known and {name!r} cannot be learnt\n"
                f"  Name it in the rule: {{{name!r}: ...}}."
            )
        at = program if value.initial is None else with_values(program, {name: value.initial})
        check_trainable(at, name)
    elif isinstance(value, Sampled):
        if name in program.lengths:
            raise CallError(
                f"the parameter {name!r} of {program.name!r} is a vector, and only a number can be drawn"
            )
        if program.axis is not None:
            program.drawn((name,))  # raises where the result would be as long as the sample
    elif not is_number(value):
        raise CallError(
            f"the parameter {name!r} of {program.name!r} must be a number, `trainable(...)` or "
            f"`sampled(...)`, and is {_shown(value)}\n  To learn it: {name}=trainable()."
        )
