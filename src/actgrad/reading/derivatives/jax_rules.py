"""Custom gradients as JAX has them: `jax.custom_vjp` and `jax.custom_jvp`."""

from __future__ import annotations

import inspect
from typing import Any, NoReturn

from actgrad.common.types import Fields
from actgrad.language.expression import const
from actgrad.reading.derivatives.rules import (
    coefficient,
    declared,
    differentiable,
    like,
    of_form,
    upstream_name,
)
from actgrad.reading.refusal import refuse
from actgrad.reading.symbol import Symbol, given


class _Custom:
    """What `jax.custom_jvp` and `jax.custom_vjp` share."""

    __actgrad_reads__ = True

    def __init__(self, fun: Any, nondiff_argnums: Any = (), nondiff_argnames: Any = ()) -> None:
        self.fun = fun
        self.__name__ = getattr(fun, "__name__", "function")
        names = list(inspect.signature(fun).parameters)
        numbers = [i % len(names) for i in nondiff_argnums]
        self.fixed = sorted({*numbers, *map(names.index, nondiff_argnames)})
        self._busy = False
        """Whether its rule is being read: where that uses the function itself, it is for the value."""

    def __call__(self, *args: Any, **kwargs: object) -> Any:
        if self._busy:
            return self.fun(*args, **kwargs)
        self._busy = True
        try:
            return self._declared(*args, **kwargs)
        finally:
            self._busy = False

    def _declared(self, *args: object, **kwargs: object) -> Any:
        raise NotImplementedError

    def _arguments(
        self, args: tuple[object, ...], kwargs: Fields
    ) -> tuple[list[Any], list[Any], list[Any]]:
        """All arguments, those with a derivative, and those without."""
        bound = inspect.signature(self.fun).bind(*args, **kwargs)
        bound.apply_defaults()
        every = list(bound.args)
        inputs = [
            like(arg) if isinstance(arg, Symbol) else arg
            for i, arg in enumerate(every)
            if i not in self.fixed
        ]
        return every, inputs, [every[i] for i in self.fixed]

    def _rule(self, rule: object) -> Any:
        if rule is None:
            refuse(
                f"{self.__name__!r} has no rule for its derivative yet",
                "Define it before the activation is made, with `defjvp` or `defvjp`.",
            )
        return rule


class CustomVjp(_Custom):
    """`jax.custom_vjp`."""

    fwd: Any = None
    bwd: Any = None

    def defvjp(self, fwd: object, bwd: object, symbolic_zeros: bool = False, **_: object) -> None:
        self.fwd, self.bwd = fwd, bwd
        if symbolic_zeros:
            _symbolic_zeros()

    def _declared(self, *args: object, **kwargs: Any) -> object:
        every, inputs, fixed = self._arguments(args, kwargs)
        outputs = self.fun(*every)
        _, residuals = self._rule(self.fwd)(*every)
        rule = self._rule(self.bwd)

        def backward(*upstream: object) -> object:
            several = isinstance(outputs, (tuple, list))
            return rule(*fixed, residuals, upstream if several else upstream[0])

        return declared(self.__name__, outputs, inputs, backward)


class CustomJvp(_Custom):
    """`jax.custom_jvp`."""

    jvp: Any = None

    def defjvp(self, jvp: object, symbolic_zeros: bool = False) -> object:
        self.jvp = jvp
        if symbolic_zeros:
            _symbolic_zeros()
        return jvp

    def defjvps(self, *jvps: Any) -> None:
        def jvp(primals: Any, tangents: Any) -> tuple[Any, Any]:
            output = self.fun(*primals)
            total: object = 0.0
            for tangent, rule in zip(tangents, jvps, strict=True):
                total = total if rule is None else total + rule(tangent, output, *primals)
            return output, total

        self.jvp = jvp

    def _declared(self, *args: object, **kwargs: Any) -> object:
        every, inputs, fixed = self._arguments(args, kwargs)
        output = self.fun(*every)
        if isinstance(output, (tuple, list)):
            refuse(
                f"{self.__name__!r} has a `custom_jvp` and returns several values",
                "Make a function of each.",
            )
        rule = self._rule(self.jvp)
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
                _, tangent = rule(*fixed, tuple(inputs), tuple(tangents))
                pairs += [x, coefficient(tangent, name, x)]
        return given(output, *pairs) if pairs else output


def _symbolic_zeros() -> NoReturn:
    refuse("a rule with `symbolic_zeros=True`", "Leave it out: here every gradient is a number.")
