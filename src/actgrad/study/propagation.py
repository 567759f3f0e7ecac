"""How signals and gradients pass through an activation: moments of a Gaussian, gains, and warnings.

With Z ~ N(0, 1), Q(q) = E f(√q Z)², s the derivative in force, and weights of variance σ²/fan_in:
one layer multiplies the second moment by σ² Q and the gradient's by σ² E s². All of it is a
quadrature over the function itself, split where the function breaks.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from actgrad.common.text import finite_json
from actgrad.common.types import Array, Fields
from actgrad.errors import CallError
from actgrad.language.program import Program
from actgrad.study.breakpoints import along, breakpoints, on_panels

if TYPE_CHECKING:
    from actgrad.study.forecast import Forecast


_REACH, _PANELS, _POINTS = 14.0, 56, 64
_TERMS, HERMITE = 8, "Hermite coefficients"
_FAR = 2.0 ** np.arange(10, 31, 4)


@dataclass(frozen=True)
class Propagation:
    """The numbers of one activation. Printed as a table; `warnings()` says in words what follows."""

    name: str
    surrogate: bool
    """Whether the derivative in force is not meant to be the exact one."""
    mean: float
    """E f(Z)"""
    second_moment: float
    """E f(Z)²"""
    gain: float
    """g_f = (E f²)^-1/2: the standard deviation of weights (times √fan_in) that keeps the signal's size."""
    centred_gain: float
    """g_c = (Var f)^-1/2: the same for weights standardised to mean 0."""
    slope_moment: float
    """E s(Z)², of the derivative in force"""
    backward_gain: float
    """g_b = (E s²)^-1/2: the weights that keep the gradient's size."""
    chi: float
    """E s² / E f²: what one layer with gain g_f does to the gradient's second moment."""
    eta: float
    """Q'(1) / Q(1): below 1 a wrong variance is drawn back, above 1 it is driven away."""
    stein_gap: float
    """E[f Z] - E s: 0 for an exact derivative of a function without jumps."""
    tail_exponent: float
    """p = lim log|f(x)| / log|x|, the larger of both sides; inf for an exponential."""
    escape_threshold: float
    """The variance from which on, with gain g_f, it grows without bound; inf if there is none."""
    dead: float
    """The share of inputs at which the derivative in force is 0."""
    hermite: tuple[float, ...]
    """E f(Z) He_k(Z) / √k!, k = 0, 1, ...: the squares add up to E f²."""
    program: Program = field(repr=False)

    @property
    def surrogate_factor(self) -> float:
        """c = √(E f² / E s²): multiplying the derivative by it gives chi = 1."""
        return _divided(1.0, math.sqrt(self.chi))

    def to_dict(self) -> Fields:
        """For JSON; a number that is not finite as a string."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        del values["program"]
        values["surrogate_factor"] = self.surrogate_factor
        return {name: finite_json(value) for name, value in values.items()}

    @property
    def rows(self) -> list[tuple[str, str]]:
        """What is printed: labels and numbers."""
        numbers = [
            ("mean  E f", self.mean),
            ("second moment  E f²", self.second_moment),
            ("gain  g_f", self.gain),
            ("centred gain  g_c", self.centred_gain),
            ("slope moment  E s²", self.slope_moment),
            ("backward gain  g_b", self.backward_gain),
            ("chi  E s² / E f²", self.chi),
            ("eta  Q'(1) / Q(1)", self.eta),
            ("Stein gap", self.stein_gap),
            ("tail exponent", self.tail_exponent),
            ("escape threshold", self.escape_threshold),
            ("share without slope", self.dead),
        ]
        hermite = " ".join(shown(a, 4) for a in self.hermite)
        return [*((label, shown(value)) for label, value in numbers), (HERMITE, hermite)]

    def __str__(self) -> str:
        lines = [f"  {label:22}{text:>12}" for label, text in self.rows]
        return "\n".join([self.name, *lines])

    def warnings(self, depth: int = 10) -> list[str]:
        """What would go wrong in a network of this depth whose weights have the gain g_f, in words,
        each with its numbers and its remedy. Empty for a sound activation."""
        return [
            text for text in (self._dies(), self._escapes(depth), self._backward(depth)) if text
        ]

    def _dies(self) -> str | None:
        if self.slope_moment == 0:
            return (
                f"{self.name}: the derivative is zero everywhere, so nothing before it learns. Give a "
                f"`surrogate=`."
            )
        if self.second_moment == 0:
            return f"{self.name}: the value is zero everywhere, so nothing passes."
        if self.dead > 0.75:
            return (
                f"{self.name}: the derivative is zero for {self.dead:.0%} of standard normal inputs, "
                f"which then do not learn. Normalise the inputs towards the part with a slope, or widen it."
            )
        return None

    @property
    def safe_depth(self) -> float:
        """How many layers keep the variance within a factor of 10 when every weight has grown by 20%."""
        if not (self.eta > 1 + 1e-9 and self.tail_exponent > 1):
            return math.inf
        grown, allowed = 2 * math.log(1.2), math.log(10)  # grown · (1 + η + η² + ...) <= allowed
        return math.floor(math.log1p(allowed / grown * (self.eta - 1)) / math.log(self.eta))

    def _escapes(self, depth: int) -> str | None:
        if depth < 2 or not math.isfinite(self.second_moment):
            return None
        leaves = math.isfinite(self.escape_threshold)
        if self.eta > 1.3:
            off = 1.01 ** min(self.eta ** (depth - 1), 1e4)
            beyond = (
                f" and from {self.escape_threshold:.3g} on it grows without bound" if leaves else ""
            )
            fewer = f"at most {self.safe_depth:.0f}" if self.safe_depth < math.inf else "fewer"
            return (
                f"{self.name}: the variance does not stay where it is (eta = {self.eta:.3g}, above 1): "
                f"an error of 1% becomes a factor of {off:.3g} after {depth} layers"
                f"{beyond}. No gain can hold it; normalise each sample before the activation (layer "
                f"normalisation), or use {fewer} layers."
            )
        if leaves:
            return (
                f"{self.name}: it grows like |x|^{self.tail_exponent:.3g}, so a variance that comes "
                f"beyond {self.escape_threshold:.3g} grows without bound, doubly exponentially in the "
                f"layers. Keep pre-activations below {math.sqrt(self.escape_threshold):.3g} in rms: "
                f"normalise before the activation, or clip its input."
            )
        return None

    def _backward(self, depth: int) -> str | None:
        if not (0 < self.chi < math.inf):
            return None
        factor = self.chi ** (depth / 2)
        if self.surrogate and (factor > 10 or factor < 0.1):
            return (
                f"{self.name}: the surrogate is out of scale with the function: with gain "
                f"{self.gain:.4g} the gradient's size is multiplied by {math.sqrt(self.chi):.3g} in each "
                f"layer, {factor:.3g} in {depth}. Multiply the surrogate by c = {self.surrogate_factor:.5g}: "
                f"`f.scaled()`."
            )
        if (factor > 10 or factor < 0.1) and not 0.66 < self.chi < 1.5:
            word = "explodes" if factor > 1 else "vanishes"
            return (
                f"{self.name}: with gain {self.gain:.4g} the gradient {word}: its size is multiplied by "
                f"{math.sqrt(self.chi):.3g} in each layer, {factor:.3g} in {depth}. The gain that keeps the "
                f"gradient is {self.backward_gain:.4g}; take one between, fewer layers, or skip connections."
            )
        return None

    def forecast(
        self,
        depth: int = 10,
        width: int = 512,
        weight_scale: float = 1.0,
        bias_scale: float = 0.0,
        input_moment: float | None = None,
    ) -> Forecast:
        """Variance forward and gradient backward in random networks, layer by layer.

        Weights have the standard deviation `weight_scale` · g_f / √fan_in, biases `bias_scale`;
        `input_moment` is the mean square of the inputs (left out: 1 / g_f², which the gain brings to
        variance 1). The spread over networks is that of this width. Raises `CallError`.

        >>> from actgrad import activation
        >>> square = activation(lambda x: x**2, name="square").propagation()
        >>> ahead = square.forecast(depth=4, width=10**9, weight_scale=1.2)
        >>> [round(math.exp(v), 1) for v in ahead.log_variance]  # 1.44^(2^l - 1)
        [1.4, 3.0, 12.8, 237.4]
        """
        from actgrad.study.random_networks import forecast  # makes tables when it is imported

        return forecast(
            self.program, self.gain, depth, width, weight_scale, bias_scale, input_moment
        )


def shown(value: float, digits: int = 6) -> str:
    """A number as a text: what is only rounding is zero."""
    return f"{0.0 if abs(value) < 1e-12 else value:.{digits}g}"


def propagation(program: Program) -> Propagation:
    """The propagation numbers of a program of one input: see `Studied.propagation`."""
    if len(program.inputs) != 1:
        raise CallError(
            f"propagation needs an activation of one input, and {program.name!r} has "
            f"{len(program.inputs)} ({', '.join(program.inputs)})"
        )
    if program.gradient:
        raise CallError(
            f"{program.name!r} has a `gradient=` rule, which has no derivative to take moments of\n"
            f"  Give `derivative=` or `surrogate=`."
        )
    slope = program.partial(program.inputs[0])
    places = _places(program) + _places(slope)
    z, weights = _rule(places)
    f, s = along(program)(z), along(slope)(z)
    with np.errstate(all="ignore"):
        mean, second = _mean(weights, f), _mean(weights, f * f)
        slopes, mean_slope = _mean(weights, s * s), _mean(weights, s)
        eta = _divided(_mean(weights, f * f * (z * z - 1)) / 2, second)
        variance = _mean(weights, (f - mean) ** 2)
        gap = _mean(weights, f * z) - mean_slope
        hermite = _hermite(z, weights * f)
    exponent = _tail(along(program))
    return Propagation(
        program.name,
        program.kind == "surrogate",
        mean,
        second,
        _divided(1.0, math.sqrt(second)),
        _divided(1.0, math.sqrt(variance)),
        slopes,
        _divided(1.0, math.sqrt(slopes)),
        _divided(slopes, second),
        eta,
        gap,
        exponent,
        _threshold(program, second, exponent),
        _mean(weights, (s == 0).astype(float)),
        hermite,
        program,
    )


def _places(program: Program) -> list[float]:
    return [b.x for b in breakpoints(program, low=-_REACH, high=_REACH)]


def _rule(places: list[float]) -> tuple[Array, Array]:
    """Nodes and weights on panels that end at every breakpoint."""
    ends = np.union1d(np.linspace(-_REACH, _REACH, _PANELS + 1), np.clip(places, -_REACH, _REACH))
    return on_panels(ends, _POINTS)


def _mean(weights: Array, values: Array) -> float:
    return float(np.sum(weights * values))


def _hermite(z: Array, weighted: Array) -> tuple[float, ...]:
    found, before, now = [], np.zeros_like(z), np.ones_like(z)  # He_k / √k!
    for k in range(_TERMS):
        found.append(float(np.sum(weighted * now)))
        before, now = now, (z * now - math.sqrt(k) * before) / math.sqrt(k + 1)
    return tuple(found)


def _divided(a: float, b: float) -> float:
    return a / b if b else math.inf if a else math.nan


def _tail(function: Callable[[Array], Array]) -> float:
    """From the two largest powers of 2 at which both values are finite."""
    found = []
    for side in (-1.0, 1.0):
        values = np.abs(function(side * _FAR))
        if not np.isfinite(values[0]):
            found.append(math.inf)
            continue
        known = np.flatnonzero(np.isfinite(values) & (values > 0))
        if len(known) < 2:
            found.append(-math.inf if not np.any(values) else math.nan)
            continue
        i, j = known[-2:]
        found.append(math.log(values[j] / values[i]) / math.log(_FAR[j] / _FAR[i]))
    exponent = max((p for p in found if not math.isnan(p)), default=math.nan)
    nearest = float(np.round(exponent))
    return nearest if abs(exponent - nearest) < 1e-3 else exponent


def _threshold(program: Program, second: float, exponent: float) -> float:
    """The first variance q above 1 with Q(q) / Q(1) > q, if the tail grows faster than a line."""
    if not exponent > 1 or not (0 < second < math.inf):
        return math.inf
    variances = np.geomspace(1.0, 1e6, 241)[1:]
    reach = _REACH * math.sqrt(float(variances[-1]))
    places = np.array([b.x for b in breakpoints(program, low=-reach, high=reach)])

    def grows(q: float) -> bool:
        z, weights = _rule(list(places / math.sqrt(q)))
        with np.errstate(all="ignore"):
            values = along(program)(z * math.sqrt(q))
            moment = _mean(weights, np.where(weights > 0, values * values, 0.0))
        return not moment <= second * q * (1 + 1e-9)

    last = 1.0
    for q in map(float, variances):
        if grows(q):
            for _ in range(40):
                middle = math.sqrt(last * q)
                last, q = (last, middle) if grows(middle) else (middle, q)
            return q
        last = q
    return math.inf
