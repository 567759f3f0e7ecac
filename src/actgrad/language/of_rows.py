"""`OfRows`: what a program has to say if it is a function of a row."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from actgrad.errors import CallError, NoDerivativeError
from actgrad.language import adjoint
from actgrad.language.expression import Expr, NotOneNumberError, as_row, substitute, var, walk
from actgrad.language.kept import kept
from actgrad.language.length import MOST, Length, N
from actgrad.language.rows import misfit


def reverse_only(name: str) -> NoDerivativeError:
    return NoDerivativeError(
        f"{name!r} was given a `gradient=` rule, which defines reverse mode only: "
        f"it has no derivative, no forward mode and no formula to show.\n"
        f"  Give `derivative=` or `surrogate=` to have them."
    )


class OfRows:
    """A base class of `Program`, whose `axis` is None where it is elementwise."""

    if TYPE_CHECKING:
        name: str
        parameters: tuple[tuple[str, Any], ...]
        value: Expr
        axis: int | None
        rows: tuple[tuple[str, Length], ...]

        @property
        def reverse_only(self) -> tuple[str, ...]: ...
        @property
        def expressions(self) -> tuple[Expr, ...]: ...
        @property
        def arguments(self) -> tuple[str, ...]: ...

    def variable(self, name: str) -> Expr:
        return var(name, dict(self.rows).get(name))

    @property
    def squeezes(self) -> bool:
        """Whether it makes one number of a row, so that the axis goes."""
        return self.axis is not None and self.value.width is None and self.value.op != "fill"

    def check_elementwise(self, what: str) -> None:
        """Raises `CallError` for a function of a row, which does not have this."""
        if self.axis is not None:
            raise CallError(
                f"{self.name!r} is a function of a row (axis={self.axis}), and {what} is of a function of "
                f"one number\n"
                f"  Of a row there are `check()`, `plot()`, `source()`, `supports()` and `save()`, and "
                f"in the shell `actgrad check`, `plot`, `source`, `report`, `export`, `train` and `compare`."
            )

    @kept
    def misfit(self, n: int) -> str | None:
        """Why it cannot take rows of length n; None if it can."""
        return misfit(walk(*self.expressions), n) if n else "they are empty"

    @cached_property
    def takes_any_length(self) -> bool:
        return self.axis is None or not any(map(self.misfit, range(1, MOST)))

    def check_length(self, n: int) -> None:
        """Raises `CallError` where it cannot take rows of length n."""
        problem = None if n and self.takes_any_length else self.misfit(int(n))
        if problem is None:
            return
        some = [str(m) for m in range(1, MOST) if self.misfit(m) is None][:4]
        takes = f"It takes rows of the lengths {', '.join(some)}{', ...' * (len(some) == 4)}."
        raise CallError(
            f"{self.name!r} got rows of length {n}: {problem}\n"
            f"  {takes if some else 'Give one number for each parameter.'}"
        )

    @kept
    def with_rows(self, names: frozenset[str]) -> Self:
        """The same with these parameters as rows: a number for each place in the input's rows."""
        if names <= dict(self.rows).keys():
            return self
        wide = {name: var(name, N) for name in names}
        widths = [self.value.width, *(self.variable(name).width for name in self.reverse_only)]
        try:
            new = [substitute(root, wide) for root in self.expressions]
        except NotOneNumberError as error:
            raise CallError(
                f"{self.name!r} got a row for {', '.join(map(repr, sorted(names)))}, and {error}\n"
                f"  Give one number."
            ) from None
        value, *gradient = map(as_row, new, widths)
        if value.width != self.value.width:
            raise CallError(
                f"{self.name!r} makes one number of a row, and would make more with "
                f"{', '.join(map(repr, sorted(names)))} for each place in it"
            )
        rows = (*self.rows, *((name, N) for name in sorted(names)))
        return replace(self, value=value, gradient=tuple(gradient), rows=rows)  # type: ignore[type-var]

    @kept
    def drawn(self, names: tuple[str, ...]) -> Self:
        """The same with these parameters as the last inputs: a number for each place of each row."""
        program: Any = self.with_rows(frozenset(names))
        for name in names:
            program = program.with_input(name)
        drawn: Self = program
        return drawn

    @kept
    def push(self, moving: tuple[str, ...], finite: bool = False) -> Self:
        """The derivative along a direction, as a program of the arguments and of the directions in which
        these move. Of rows; an elementwise one has `partial`. With `finite`, a slope that is not finite
        counts as zero."""
        if set(moving) & set(self.reverse_only):
            raise reverse_only(self.name)
        names = {name: f"along_{name}" for name in moving}
        while set(names.values()) & set(self.arguments):
            names = {name: f"{along}_" for name, along in names.items()}
        along = {self.variable(n): var(d, self.variable(n).width) for n, d in names.items()}
        widths = ((str(d.value), d.width) for d in along.values() if d.width is not None)
        return replace(  # type: ignore[type-var]
            self,
            name=f"{self.name}_tangent",
            inputs=(*self.arguments, *names.values()),
            parameters=(),
            fixed=(),
            vectors=(),
            value=adjoint.tangent(self.value, along, finite),
            kind="exact",
            gradient=(),
            rows=(*self.rows, *widths),
        )
