"""Whether a function's own answer differs from its reading by more than rounding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from actgrad.language.expression import Expr
from actgrad.reading.witnesses.native import Array, Library, Run
from actgrad.reading.witnesses.original import Original, attempt, each

_NARROW_DIGIT = 1e-7
"""A last digit of float32."""
_EDGE = 10.0
"""Beyond it a library's own formula may overflow."""


def tolerance(run: Run, columns: Sequence[Array]) -> tuple[float, float]:
    """Relative and absolute: a few digits of the dtype, float32's if narrower, so that a half type shows."""
    if run.narrow or columns[0].dtype == np.float32:
        return 1e-4, 1e-5
    return 1e-6, 1e-9


def differences(
    original: Original, library: Library, columns: Sequence[Array], run: Run, k: int
) -> list[int]:
    """The places at which the k-th output is not what was read."""
    theirs = each(run.outputs[k], columns)
    relative, absolute = tolerance(run, columns)

    def unlike(root: Expr) -> Array:
        ours = each(original.evaluate(root, columns), columns)
        with np.errstate(all="ignore"):
            close = np.abs(ours - theirs) <= absolute + relative * np.abs(theirs)
        finite = np.isfinite(theirs)
        beside: Array = finite & ~close
        if library.name != "python" and not finite.all():
            near = np.all([np.abs(column.ravel()) <= _EDGE for column in columns], axis=0)
            beside |= ~finite & np.isfinite(ours) & near
        return beside

    different = unlike(original.reading.outputs[k])
    if not different.any():
        return []
    different &= unlike(original.literal.outputs[k])
    rounding = _Rounding(original, library, columns, run, k)
    return [i for i in np.flatnonzero(different).tolist() if not rounding.explains(i)]


@dataclass(frozen=True)
class _Rounding:
    """Whether a difference is only that of the last digits, much amplified."""

    original: Original
    library: Library
    columns: Sequence[Array]
    run: Run
    k: int

    @cached_property
    def digit(self) -> float:
        return 1e-15 if tolerance(self.run, self.columns)[0] < 1e-5 else _NARROW_DIGIT

    @cached_property
    def spread(self) -> Array:
        """How far the function's own answer moves when its input moves by a few digits."""
        own = each(self.run.outputs[self.k], self.columns)
        moved = []
        for turns in (-3, -1, 1, 3):
            columns = [(c * (1 + turns * self.digit)).astype(c.dtype) for c in self.columns]
            run = attempt(self.original, self.library, columns)
            if run is not None:
                with np.errstate(invalid="ignore"):
                    moved.append(np.abs(each(run.outputs[self.k], columns) - own))
        return np.max(moved, axis=0) if moved else np.zeros(own.size)

    def explains(self, i: int) -> bool:
        row = [column.ravel()[i] for column in self.columns]
        own = each(self.run.outputs[self.k], self.columns)[i]
        root = self.original.literal.outputs[self.k]
        # A spread as large as this is a jump, at which every library but Python's own must agree.
        jump = self.library.name != "python" and self.spread[i] > 1e-4 * max(1.0, abs(own))
        if not jump and abs(own - self.original.evaluate(root, row)) < 100 * self.spread[i]:
            return True
        others = self.original.evaluate(root, row, _otherwise(self.digit))
        relative, absolute = tolerance(self.run, self.columns)
        return bool(np.isclose(own, others, rtol=relative, atol=absolute).any())


# IEEE gives these one answer, in every library.
_ARITHMETIC = {"add", "sub", "mul", "div", "sqrt"}
_EXACT = {
    *("neg", "abs", "add", "sub", "mul", "div", "floordiv", "mod", "sqrt", "copysign"),
    *("floor", "ceil", "trunc", "round", "gather", "given", "host"),
}


def _otherwise(digit: float, trials: int = 32) -> Callable[[Expr, object], object]:
    """What libraries are free to answer: a function's last digit, the sign of the smaller of two zeros,
    and where `round(x, n)` goes between two decimals.
    """
    random = np.random.default_rng(0)
    # The reading computes with more digits than a narrow run: there its sums and products round too.
    exact = _EXACT if digit < _NARROW_DIGIT else _EXACT - _ARITHMETIC

    def answer(node: Expr, value: Any) -> object:
        if (node.op in exact and not _scales(node)) or node.boolean:
            return value
        noise = random.uniform(-1.0, 1.0, trials)
        if node.op == "select":
            return np.where(value == 0.0, np.copysign(value, noise), value)
        return value * (1.0 + digit * noise)

    return answer


def _scales(node: Expr) -> bool:
    """Whether it is the product that `round(x, n)` rounds; Python rounds the digits of x."""
    return node.op == "mul" and any(arg.value in (10.0, 100.0, 1e3, 1e4, 1e5) for arg in node.args)
