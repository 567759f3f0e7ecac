"""`Table`: an activation of integers, exact for every input, and how far it is from the real one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from actgrad.common.files import write_text
from actgrad.errors import CallError
from actgrad.integers import text
from actgrad.integers.exact import Array, bounded, decimals
from actgrad.integers.scheme import Codes, Format, Pair, near_tie, nearest
from actgrad.language.program import Program

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Cause:
    """Why some codes of an interpolation are not those of the table."""

    codes: int
    apart: int
    """By how much these codes differ at most."""
    why: str

    def __str__(self) -> str:
        return f"{self.codes:,} by {'up to ' * (self.apart > 1)}{self.apart:,}: {self.why}"


_APART = 128
"""How many inputs lie from one entry of an interpolation to the next."""
_SATURATES = (
    "between two of the 513 entries the output reaches its limit, where the line does not bend"
)
_BENDS = "between two of the 513 entries the function bends or jumps, and the line is straight"
_ROUNDS = "the entries are rounded, and so is the line between them"


@dataclass(frozen=True)
class TableError:
    """How far a table is from the real function, in real numbers, over the inputs that do not saturate."""

    largest: float
    at: float
    """The real input of the largest error."""
    mean: float
    step: float
    """The output's scale: half of it is the least that rounding costs."""
    saturated: int
    """For how many inputs the function lies outside of what the output can hold."""
    inputs: int
    others: int = 0
    """How many codes are not those of the table, but of its interpolation."""
    apart: int = 0
    """By how much these differ at most."""
    causes: tuple[Cause, ...] = ()
    """Of the codes that are not the table's, how many have which cause."""

    def __str__(self) -> str:
        lines = [
            f"largest error {self.largest:.4g} ({self.largest / self.step:.3g} steps of the output), "
            f"at {self.at:.6g}",
            f"mean error {self.mean:.4g} ({self.mean / self.step:.3g} steps)",
        ]
        if self.saturated:
            lines.append(
                f"{self.saturated:,} of {self.inputs:,} inputs saturate, and are not counted"
            )
        if self.others:
            lines.append(f"{self.others:,} of {self.inputs:,} codes are not the table's")
            lines += [f"  {cause}" for cause in self.causes]
        return "\n".join(lines)


class Table:
    """The integer output of an activation for every integer input: see `Activation.table`.

    `np.asarray(table)` is the array of output codes, in the order of the input codes from the lowest to
    the highest; `table[code]` is one of them. `input` and `output` are pairs (scale, zero point).
    """

    def __init__(self, program: Program, input: Pair, output: Pair, format: Format) -> None:
        self.program = _one_input(program)
        self.format = format
        self.input = format.affine("input", input)
        self.output = format.affine("output", output)
        codes = np.arange(format.first, format.high + 1)
        unclipped, self.values = self._rounded(codes)
        zero, low, high = self.output.zero_point, format.low, format.high
        self.inside: npt.NDArray[np.bool_] = (low <= unclipped + zero) & (unclipped + zero <= high)
        """For each input, whether the output holds its value without saturating."""
        self._codes = np.clip(unclipped + zero, low, high).astype(format.dtype)
        for array in (self._codes, self.values, self.inside):
            array.flags.writeable = False

    @property
    def name(self) -> str:
        return self.program.name

    def _rounded(self, codes: Codes) -> tuple[Codes, Array]:
        """The nearest multiples of the output's scale, and the real values."""
        (name,), root = self.program.inputs, self.program.value
        x = self.real(codes)
        scale, rounding = self.output.scale, self.format.rounding
        values, bound = bounded(root, name, x)
        doubtful = np.flatnonzero(near_tie(values, bound, scale, 2 * self.format.size))
        with np.errstate(all="ignore"):
            steps = np.rint(np.clip(values / scale, -(2.0**31), 2.0**31))
        for i, value in zip(doubtful, decimals(root, name, x[doubtful]), strict=True):
            rounded = nearest(value, scale, rounding)
            if rounded is None:
                raise CallError(
                    f"{self.name!r} is nan at {x[i]:.6g}, which no integer stands for\n"
                    f"  Give it a value there, as in `... if x > 0 else 0.0`, or another input scale."
                )
            steps[i], values[i] = rounded, float(value)
        return steps.astype(np.int64), values

    def real(self, codes: object) -> Array:
        """The real numbers that input codes stand for."""
        offset = np.asarray(codes, np.float64) - self.input.zero_point
        return np.asarray(offset * self.input.scale)

    def dequantised(self, codes: object) -> Array:
        """The real numbers that output codes stand for."""
        offset = np.asarray(codes, np.float64) - self.output.zero_point
        return np.asarray(offset * self.output.scale)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Codes:
        codes = self._codes if dtype is None else self._codes.astype(dtype)
        return codes.copy() if copy else codes

    def __len__(self) -> int:
        return len(self._codes)

    def __getitem__(self, code: int) -> int:
        """The output code of an input code."""
        if not self.format.first <= code <= self.format.high:
            raise IndexError(f"{code} is not from {self.format.first} to {self.format.high}")
        return int(self._codes[code - self.format.first])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Table):
            return NotImplemented
        same = (self.input, self.output, self.format) == (other.input, other.output, other.format)
        return same and np.array_equal(self._codes, other._codes)

    def __hash__(self) -> int:
        return hash((self.input, self.output, self.format, self._codes.tobytes()))

    def __repr__(self) -> str:
        return (
            f"<table of {self.name}: {self.format.dtype} to {self.format.dtype}, "
            f"input {tuple(self.input)}, output {tuple(self.output)}>"
        )

    def error(self, *, interpolated: bool = False) -> TableError:
        """Measure the table, or with `interpolated=True` its interpolation, against the real function.

        Of an interpolation it also counts the codes that are not the table's, by their causes.

        >>> from actgrad import activation
        >>> table = activation(lambda x: x * x, name="square").table((1 / 16, 0), (1 / 2, -128))
        >>> print(table.error())
        largest error 0.25 (0.5 steps of the output), at -7.5
        mean error 0.1172 (0.234 steps)
        """
        codes = self.interpolated() if interpolated else self._codes
        apart = np.abs(codes.astype(np.int64) - self._codes)
        causes = self._causes(apart) if interpolated else ()
        off = np.where(self.inside, np.abs(self.dequantised(codes) - self.values), 0.0)
        counted, at = int(self.inside.sum()), int(off.argmax())
        return TableError(
            largest=float(off[at]),
            at=float(self.real(self.format.first + at)),
            mean=float(off.sum() / counted) if counted else 0.0,
            step=self.output.scale,
            saturated=len(self) - counted,
            inputs=len(self),
            others=int(np.count_nonzero(apart)),
            apart=int(apart.max()),
            causes=causes,
        )

    def _causes(self, apart: Codes) -> tuple[Cause, ...]:
        """Of the codes that differ by `apart` from the table's, how many have which cause."""
        ends = self._sampled[::2]
        held = (self.format.low <= ends) & (ends <= self.format.high)
        held = held[:-1] & held[1:] & self.inside.reshape(-1, _APART).all(1)
        saturates = ~np.repeat(held, _APART) & (apart > 0)
        bends = ~saturates & (apart > 1)
        groups = {_SATURATES: saturates, _BENDS: bends, _ROUNDS: ~saturates & (apart == 1)}
        return tuple(
            Cause(int(group.sum()), int(apart[group].max()), why)
            for why, group in groups.items()
            if group.any()
        )

    @cached_property
    def _sampled(self) -> Codes:
        """1025 outputs, at every 64th input: the 513 entries' and those between; they do not saturate."""
        if self.format.bits != 16:
            raise CallError("a table of 8 bits is read, not interpolated: that is for 16 bits")
        steps, _ = self._rounded(self.format.first + _APART // 2 * np.arange(1025))
        return steps + self.output.zero_point

    @cached_property
    def knots(self) -> Codes:
        """513 outputs, at every 128th of the 65,536 inputs, for TFLite's interpolation between them.

        Each is moved by half of the interpolation's error in the middle of its interval, as TFLite does.
        """
        ends, middles = self._sampled[::2], self._sampled[1::2]
        # In halves, so that every number is an integer: (a + b) / 2 - m, and half of it.
        bend = np.floor((ends[:-1] + ends[1:] - 2 * middles) / 4 + 0.5).astype(np.int64)
        moved = np.append(ends[:-1] - bend, ends[-1])
        return np.clip(moved, self.format.low, self.format.high).astype(self.format.dtype)

    def interpolated(self) -> Codes:
        """The outputs of TFLite's interpolation, which takes 1 kB in the place of 128 kB."""
        knots = self.knots.astype(np.int64)
        index, offset = np.divmod(np.arange(self.format.size), _APART)
        rise = (knots[index + 1] - knots[index]) * offset
        return (knots[index] + ((rise + 64) >> 7)).astype(self.format.dtype)

    def to_c(
        self,
        path: str | os.PathLike[str],
        *,
        name: str | None = None,
        interpolated: bool = False,
    ) -> None:
        """Write a C99 header: a constant array and an inline function that reads it.

        It allocates nothing and needs `<stdint.h>` alone. The function takes an `int32_t` and saturates
        it first, so that no input reads outside of the array. With `interpolated=True` a table of 16 bits
        has 513 entries and is interpolated, as TFLite does. The function has the activation's name, or
        `name`: a program with several tables of one activation needs several.

        Raises `WriteError`, and `CallError` for an interpolated table of 8 bits and a name that is not C.
        """
        write_text(path, text.c(self._written(interpolated), name, interpolated))

    def to_hex(self, path: str | os.PathLike[str]) -> None:
        """Write a file for Verilog's `$readmemh`: one code a line, addressed by the bits of the input.

        The address is the input's two's complement, so a signed input is used as it is:
        `output <= table[input];`. Raises `WriteError`.
        """
        write_text(path, text.hexadecimal(self._written()))

    def _written(self, interpolated: bool = False) -> text.Written:
        formula = f"{self.name}({self.program.inputs[0]}) = {self.program}"
        codes = self.knots if interpolated else self._codes
        return text.Written(self.name, formula, self.format, self.input, self.output, codes)

    def plot(self, path: str | os.PathLike[str] | None = None) -> Figure:
        """Draw the real function, the table's steps and, below, the error in steps of the output.

        Writes the picture to `path` if one is given. Raises `MissingFrameworkError` without matplotlib.
        """
        from actgrad.integers.picture import picture

        x = self.real(np.arange(self.format.first, self.format.high + 1))
        found = self.dequantised(self._codes)
        values = np.where(self.inside, self.values, np.nan)
        title = f"{self.name} as a table of {self.format.bits} bits"
        return picture(title, self.program.inputs[0], x, found, values, self.output.scale, path)


def _one_input(program: Program) -> Program:
    if program.axis is not None:
        raise CallError(
            f"{program.name!r} is a function of a row (axis={program.axis}), and a table has one number for "
            f"each input"
        )
    if len(program.inputs) != 1:
        names = ", ".join(program.inputs)
        raise CallError(
            f"{program.name!r} has the inputs {names}, and a table has one\n"
            f"  Fix the others: make an activation of one input, or turn them into parameters."
        )
    program = program.closed
    if program.parameters:
        names = ", ".join(name for name, _ in program.parameters)
        raise CallError(
            f"{program.name!r} has arrays for {names}, and a table is of one function\n"
            f"  Make one table for each number: f.table(..., {program.parameters[0][0]}=0.5)."
        )
    return program
