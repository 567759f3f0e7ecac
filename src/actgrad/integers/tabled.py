"""`Tabled`: the methods by which an activation becomes a table of integers."""

from __future__ import annotations

from typing import Self

from actgrad.errors import CallError
from actgrad.integers.quantised import quantised
from actgrad.integers.scheme import Format, Pair, Rounding, number, ranges
from actgrad.integers.table import Table
from actgrad.study.studied import Studied


class Tabled(Studied):
    """A base class of `Activation`: its integer form, computed without any framework."""

    def table(
        self,
        input: Pair,
        output: Pair,
        *,
        bits: int = 8,
        signed: bool = True,
        rounding: Rounding = "even",
        narrow: bool = False,
        **parameters: object,
    ) -> Table:
        """The output code for every input code, of an activation of one input.

        `input` and `output` are pairs (scale, zero point): code q stands for (q - zero point) * scale,
        with the scale rounded to float32, as ONNX and TFLite store it. The function's value at that
        number is computed in real arithmetic (which branch is taken, and on which step a floor lands, as
        Python decides in float64), divided by the output's scale, rounded once (ties to even, or away
        from zero), moved by the zero point, and saturated. `bits` is 8 or 16; `narrow` keeps the lowest
        output code free. Keyword arguments are parameter values. A host function's own float64 value
        counts as exact.

        Raises `CallError` for several inputs, for a scale or a zero point out of range, and where the
        function is nan.

        >>> import numpy as np
        >>> from actgrad import activation
        >>> square = activation(lambda x: x * x, name="square")
        >>> table = square.table(input=(1 / 16, 0), output=(1 / 4, -128))
        >>> np.asarray(table)[:3], table[16], table[-128]
        (array([127, 124, 120], dtype=int8), -124, 127)
        """
        self.program.check_elementwise("table()")
        f = self._with(parameters)
        return Table(f.program, input, output, Format(bits, signed, rounding, narrow))

    def quantise(
        self,
        low: float | None = None,
        high: float | None = None,
        bits: int = 8,
        *,
        data: object = None,
        percentile: float = 100.0,
        signed: bool = True,
        rounding: Rounding = "even",
        narrow: bool = False,
        **parameters: object,
    ) -> Table:
        """The table whose input codes span a range, and whose output codes span the function on it.

        The range is [low, high], or that of `data`, an array of inputs: from the smallest to the
        largest, or of the middle `percentile` per cent. It is widened to have 0 in it, which gets a code
        of its own. Keyword arguments are parameter values.

        Raises `CallError` for an empty range, and where the function is not finite on it.

        >>> from actgrad import activation
        >>> table = activation(lambda x: max(x, 0), name="relu").quantise(-4.0, 4.0)
        >>> table.input.zero_point, table.output.zero_point, table[127]
        (-1, -128, 127)
        """
        if data is not None and low is None and high is None:
            ends = ranges(data, percentile)
        elif data is None and low is not None and high is not None and percentile == 100.0:
            ends = number("low", low), number("high", high)
        else:
            raise CallError(
                "give low and high, or data= (with percentile=, if you like), to choose the scales from"
            )
        self.program.check_elementwise("quantise()")
        f, format = self._with(parameters), Format(bits, signed, rounding, narrow)
        input = format.range("the inputs", *ends)
        values = Table(f.program, input, (1.0, 0), format).values
        output = format.range(
            f"the outputs of {f.name!r}", float(values.min()), float(values.max())
        )
        return Table(f.program, input, output, format)

    def quantised(
        self,
        input: Pair,
        output: Pair,
        *,
        bits: int = 8,
        signed: bool = True,
        rounding: Rounding = "even",
        narrow: bool = False,
        **parameters: object,
    ) -> Self:
        """The activation that an integer device computes, for quantisation-aware training.

        The input is rounded to a code, looked up in `table(input, output, ...)`, and the output's code is
        turned back into a number: bit for bit the same in every framework, and saved as others are.
        Backward is the derivative in force at the rounded input, and 0 where the input or the output
        saturates: both roundings are straight-through estimators. The parameters keep their values.

        Raises `CallError` as `table` does, and `NoDerivativeError` for a host function without a rule.

        Source: Jacob et al. 2018 (arXiv 1712.05877).

        >>> from actgrad import activation
        >>> square = activation(lambda x: x * x, name="square")
        >>> q = square.quantised(input=(1 / 16, 0), output=(1 / 4, -128))
        >>> q(1.03), q.derivative(1.03), q.derivative(9.0)
        (1.0, 2.0, 0.0)
        """
        table = self.table(
            input,
            output,
            bits=bits,
            signed=signed,
            rounding=rounding,
            narrow=narrow,
            **parameters,
        )
        return self._of(quantised(table))
