"""Custom gradients as JAX has them: `jax.custom_vjp` and `jax.custom_jvp`."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import partial
from typing import Any

from actgrad.common.types import Fields
from actgrad.language.expression import const
from actgrad.reading.derivatives.rules import (
    as_now,
    coefficient,
    declared,
    differentiable,
    of_form,
    upstream_name,
)
from actgrad.reading.reader import reader
from actgrad.reading.refusal import refuse
from actgrad.reading.symbol import Symbol, given


class _Custom:
    """What `jax.custom_jvp` and `jax.custom_vjp` share."""

    def __init__(self, fun: Any, nondiff_argnums: Any = (), nondiff_argnames: Any = ()) -> None:
        self.fun = fun
        self.__name__ = getattr(fun, "__name__", "function")
        names = list(inspect.signature(fun).parameters)
        numbers = [i % len(names) for i in nondiff_argnums]
        self.fixed = sorted({*numbers, *map(names.index, nondiff_argnames)})
        self._busy = False
        """Whether its rule is being read: where that uses the function itself, it is for the value."""

    def __call__(self, *args: object, **kwargs: object) -> object:
        if self._busy:
            return self.fun(*args, **kwargs)
        self._busy = True
        try:
            return self._declared(*args, **kwargs)
        finally:
            self._busy = False

    def _declared(self, *args: object, **kwargs: object) -> object:
        raise NotImplementedError

    def _arguments(
        self, args: tuple[object, ...], kwargs: Fields
    ) -> tuple[list[Any], list[Any], list[Any]]:
        """All arguments, those with a derivative, and those without."""
        bound = inspect.signature(self.fun).bind(*args, **kwargs)
        bound.apply_defaults()
        every = list(bound.args)
        inputs = [as_now(arg) for i, arg in enumerate(every) if i not in self.fixed]
        return every, inputs, [every[i] for i in self.fixed]

    def _rule(self, rule: object) -> Any:
        if rule is None:
            refuse(
                f"{self.__name__!r} has no rule for its derivative yet",
                "Define it before the activation is made, with `defjvp` or `defvjp`.",
            )
        return rule


class Primal:
    """An argument as a `fwd` with `symbolic_zeros=True` gets it."""

    def __init__(self, value: object) -> None:
        self.value = value
        self.perturbed = differentiable(value)


class CustomVjp(_Custom):
    """`jax.custom_vjp`."""

    fwd: object = None
    bwd: object = None
    _marks: bool = False
    """Whether `fwd` is told of each argument whether a gradient by it is asked for."""

    def defvjp(self, fwd: object, bwd: object, symbolic_zeros: bool = False, **_: object) -> None:
        self.fwd, self.bwd, self._marks = fwd, bwd, symbolic_zeros

    def _declared(self, *args: object, **kwargs: object) -> object:
        every, inputs, fixed = self._arguments(args, kwargs)
        outputs = self.fun(*every)
        marked = [arg if i in self.fixed else Primal(arg) for i, arg in enumerate(every)]
        _, residuals = self._rule(self.fwd)(*(marked if self._marks else every))
        rule = self._rule(self.bwd)

        def backward(*upstream: object) -> object:
            several = isinstance(outputs, (tuple, list))
            return rule(*fixed, residuals, upstream if several else upstream[0])

        return declared(self.__name__, outputs, inputs, backward)


class CustomJvp(_Custom):
    """`jax.custom_jvp`."""

    jvp: object = None

    def defjvp(self, jvp: object, symbolic_zeros: bool = False) -> object:
        self.jvp = jvp
        return jvp

    def defjvps(self, *jvps: Any) -> None:
        def jvp(primals: Any, tangents: Any) -> tuple[Any, Any]:
            output = self.fun(*primals)
            total: object = 0.0
            for tangent, rule in zip(tangents, jvps, strict=True):
                total = total if rule is None else total + rule(tangent, output, *primals)
            return output, total

        self.jvp = jvp

    def _declared(self, *args: object, **kwargs: object) -> object:
        every, inputs, fixed = self._arguments(args, kwargs)
        rule = self._rule(self.jvp)
        return self._derived(self.fun(*every), partial(rule, *fixed), inputs)

    def _derived(self, output: object, rule: Any, inputs: Sequence[Any]) -> object:
        if isinstance(output, (tuple, list)):
            refuse(
                f"{self.__name__!r} has a `custom_jvp` and returns several values",
                "Make a function of each.",
            )
        pairs: list[object] = []
        for i, x in enumerate(inputs):
            if not differentiable(x):
                continue
            with upstream_name() as name:
                tangents: list[Any] = [
                    Symbol(const(0.0), y.form, y.mask) if isinstance(y, Symbol) else 0.0
                    for y in inputs
                ]
                tangents[i] = Symbol(of_form(name, x), x.form, x.mask)
                _, tangent = rule(tuple(inputs), tuple(tangents))
                pairs += [x, coefficient(tangent, name, x)]
        return given(output, *pairs) if pairs else output


def _moves(value: object) -> bool:
    """Whether a derivative by it can be asked for; a parameter is a plain number from here on."""
    if not isinstance(value, Symbol):
        return False
    reader().settle(value.expr)
    return differentiable(value)


class FilterVjp(CustomVjp):
    """`equinox.filter_custom_vjp`, which has a gradient by its first argument alone: a number, or a tuple."""

    def _declared(self, *args: Any, **kwargs: object) -> object:
        first, *rest = args
        if any(map(_moves, (*rest, *kwargs.values()))):
            refuse(
                f"{self.__name__!r}, an `equinox.filter_custom_vjp`, has no gradient by any argument but "
                f"its first one",
                "Make the first one a tuple of all that have one: `f((x, beta))`.",
            )
        several = isinstance(first, (tuple, list))
        parts = list(map(as_now, first if several else (first,)))
        perturbed = tuple(map(differentiable, parts)) if several else differentiable(first)
        outputs = self.fun(*args, **kwargs)
        _, residuals = self._rule(self.fwd)(perturbed, *args, **kwargs)

        def backward(*upstream: object) -> object:
            gradient = upstream if isinstance(outputs, (tuple, list)) else upstream[0]
            return self._rule(self.bwd)(residuals, gradient, perturbed, *args, **kwargs)

        return declared(self.__name__, outputs, parts, backward)


class FilterJvp(CustomJvp):
    """`equinox.filter_custom_jvp`, whose keyword arguments have no derivative."""

    def _declared(self, *args: object, **kwargs: object) -> object:
        if any(map(_moves, kwargs.values())):
            refuse(
                f"{self.__name__!r}, an `equinox.filter_custom_jvp`, has no derivative by its keyword "
                f"arguments",
                "Pass what has one by position.",
            )
        rule = partial(self._rule(self.jvp), **kwargs)
        inputs = list(map(as_now, args))
        return self._derived(self.fun(*args, **kwargs), rule, inputs)
