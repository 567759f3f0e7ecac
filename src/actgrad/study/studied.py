"""`Studied`: the methods by which an activation is saved, checked, drawn and measured."""

from __future__ import annotations

import html
import os
from typing import TYPE_CHECKING, Self

from actgrad.common.files import write_text
from actgrad.common.types import Fields, Function
from actgrad.language import storage
from actgrad.language.program import Program

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from actgrad.study.check import Check
    from actgrad.study.propagation import Propagation
    from actgrad.study.targets import Support


class Studied:
    """The base class of `Activation`: what can be asked of its program, without any framework.

    Each method loads its part of the study when it is called, so that `import actgrad` stays light.
    """

    program: Program

    @property
    def function(self) -> Function | None:
        """The Python function that it was read from, where this process has it."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the tensors that it takes."""
        return self.program.inputs

    @property
    def parameters(self) -> Fields:
        """Names and values of the numbers that shape it."""
        return self.program.settings | dict(self.program.fixed)

    def _with(self, parameters: Fields) -> Self:
        """The same with other parameter values."""
        raise NotImplementedError

    def _of(self, program: Program) -> Self:
        """An activation of another program."""
        raise NotImplementedError

    def to_json(self) -> str:
        """The activation as text: data, no code. Equal activations give equal texts."""
        return storage.to_json(self.program)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `to_json()` to a file, at once: a crash leaves the old file as it was."""
        write_text(path, self.to_json())

    def get_config(self) -> Fields:
        """What Keras stores."""
        return {"program": self.to_json()}

    def check(
        self, low: float = -8.0, high: float = 8.0, *, points: int = 321, **parameters: object
    ) -> Check:
        """Measure the derivative in force against the slope of the function.

        The slope is that of your own Python function, by finite differences with many step sizes in
        float64, one-sided at the breakpoints; of the program's value where this process does not have
        the function. Points: a grid over [low, high], both sides of every kink and jump found in
        there, the middle between neighbouring ones, ±0, subnormal and large numbers. For several
        inputs, along each of them with the others at four values. The derivatives by parameters that are
        numbers are measured too, near the values that they have (`Check.parameters`). Keyword arguments
        are parameter values.

        Of a function of a row, every entry of its matrix is measured, on rows of several lengths; kinks
        are left out, and the range and the points have no meaning.

        The verdict is one of

        - "exact": the derivative is the slope wherever it could be measured;
        - "exact except at kinks": so too, but at some places (`kinks`, `jumps`) the function has no
          slope. The value at a kink itself must lie between the slopes at its sides;
        - "surrogate (declared)": `surrogate=` was given, or a `gradient=` that is not the upstream
          gradient times the slope, or the function calls an activation or a `stop_gradient` whose
          declared derivative is not the slope;
        - "WRONG": it claims to be the slope, and is not; `worst` has the places.

        Raises `CallError` for an unknown parameter or an empty range.

        >>> from actgrad import activation
        >>> leaky = activation(lambda x: x if x > 0 else 0.1 * x, name="leaky")
        >>> print(leaky.check())
        leaky: exact except at kinks
          kink at 0
          ... points compared with finite differences of the Python function
        >>> leaky.check().kinks
        (0.0,)
        """
        from actgrad.study.check import check

        f = self._with(parameters)
        if f.program.axis is not None:
            from actgrad.study.row_check import check_rows

            return check_rows(f.program, f.function)
        return check(f.program, f.function, low, high, points=points)

    def plot(
        self,
        low: float = -4.0,
        high: float = 4.0,
        path: str | os.PathLike[str] | None = None,
        ax: Axes | None = None,
        **parameters: object,
    ) -> Figure:
        """Draw the function, the derivative in force and, if it is another, the exact derivative.

        A jump is not joined by a line: a full dot is the value, an open one a limit. A diamond is a
        kink. Of two inputs, the function and both derivatives are drawn as heat maps, breakpoints
        dotted; of more, a slice along each input with the others at 0.5. Of a function of a row: a
        sample row and its result, the result as one number goes from low to high, and the Jacobian in
        force. Keyword arguments are parameter values.

        Writes the picture to `path` (png, svg, pdf, ...) if one is given, and draws on the matplotlib
        axes `ax` (a slice along the first input) if those are given. Returns the matplotlib `Figure`,
        which a notebook shows; pyplot and its global state are not used.

        Raises `MissingFrameworkError` without matplotlib, and `CallError` for an empty range.
        """
        from actgrad.study import breakpoints, plots, row_plots

        program = self._with(parameters).program
        breakpoints.check_range(low, high)
        room = plots if program.axis is None else row_plots
        figure = room.draw(program, low, high, ax)
        if path is not None:
            plots.save(figure, path)
        return figure

    def propagation(self, **parameters: object) -> Propagation:
        """Measure how signals and gradients pass through an activation of one input.

        Gauss-Legendre quadrature over [-14, 14], 56 panels of 64 points, split at the kinks and jumps
        of the function and of the derivative in force. Keyword arguments are parameter values.

        Raises `CallError` for several inputs and for a `gradient=` rule, which has no derivative.

        Source: Poole et al. 2016 (arXiv 1606.05340), Schoenholz et al. 2017 (arXiv 1611.01232).

        >>> from actgrad import activation
        >>> numbers = activation(lambda x: max(x, 0), name="relu").propagation()
        >>> round(numbers.gain ** 2, 9), round(numbers.chi, 9)
        (2.0, 1.0)
        """
        from actgrad.study.propagation import propagation

        self.program.check_elementwise("propagation()")
        return propagation(self._with(parameters).program)

    def scaled(self) -> Self:
        """The same function, its derivative in force multiplied by c = √(E f² / E s²), as a surrogate.

        Then a network whose weights have the forward gain passes gradients at their size: chi = 1.
        c belongs to the present parameter values, and stays if those are changed later.

        Raises `CallError` if there is no such c: several inputs, a `gradient=` rule, a zero derivative.

        Source: Zenke and Vogels 2021 (scale matters, shape hardly).

        >>> from actgrad import surrogates
        >>> step = surrogates.fast_sigmoid(slope=100.0)
        >>> round(step.propagation().chi, 5), round(step.scaled().propagation().chi, 5)
        (0.00532, 1.0)
        """
        from actgrad.study.variants import scaled

        self.program.check_elementwise("scaled()")
        return self._of(scaled(self.program))

    def standardised(self, **parameters: object) -> Self:
        """(f - E f(Z)) / √Var f(Z): mean 0 and variance 1 for a standard normal input.

        The derivative in force is divided by the same number. Keyword arguments are parameter values.

        Raises `CallError` if the variance is 0 or not finite.

        >>> from actgrad import activation
        >>> square = activation(lambda x: x**2, name="square")
        >>> round(float(square.standardised()(2.0)), 6)
        2.12132
        """
        from actgrad.study.variants import standardised

        self.program.check_elementwise("standardised()")
        return self._of(standardised(self._with(parameters).program))

    def supports(self) -> Support:
        """Tell what each export target keeps of it, and why not what it does not keep.

        >>> from actgrad import activation
        >>> table = activation(lambda x: x * x, name="square").supports()
        >>> onnx = table["onnx"]
        >>> onnx["value"], onnx["derivative"]
        (True, False)
        >>> onnx.reason("derivative")
        'it is a format for inference: it holds the value only'
        """
        from actgrad.study.targets import supports

        return supports(self.program)

    def __repr__(self) -> str:
        arguments = [*self.inputs, *(f"{n}={v!r}" for n, v in self.parameters.items())]
        if self.program.axis is not None:
            arguments.append(f"axis={self.program.axis}")
        how = {
            "exact": "",
            "derivative": ", derivative given",
            "surrogate": ", surrogate derivative",
            "gradient": ", whole gradient given",
        }[self.program.kind]
        where = (
            ", runs on the host: cannot be saved, exported or compiled by XLA"
            if self.program.on_host
            else ""
        )
        return f"<activation {self.name}({', '.join(arguments)}) = {self.program}{how}{where}>"

    def _repr_html_(self) -> str:
        from actgrad.study.card import card

        if self.program.axis is not None:
            return f"<code>{html.escape(repr(self))}</code>"
        return card(self.program, self.function)
