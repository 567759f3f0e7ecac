"""Custom gradients: `torch.autograd.Function`, `tf.custom_gradient`, `jax.custom_vjp` and their relatives.

Value and rule are both run with symbols. The rule is run with a symbolic upstream gradient (or tangent);
its result must be that symbol times a local derivative. The value is then declared to have this derivative.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial, reduce
from typing import Any, NoReturn

from actgrad.common.types import Fields
from actgrad.errors import TraceError
from actgrad.language.derive import derive
from actgrad.language.expression import (
    Expr,
    as_row,
    const,
    is_const,
    substitute,
    var,
    variables,
    walk,
)
from actgrad.language.length import ONE
from actgrad.reading.derivatives.linear import is_linear, measures_linear
from actgrad.reading.libraries.arrays import copied
from actgrad.reading.libraries.meanings import add, multiply
from actgrad.reading.libraries.totals import Total
from actgrad.reading.reader import (
    Nested,
    Reader,
    detached,
    is_detached,
    mixes,
    reader,
    reading,
)
from actgrad.reading.refusal import refuse
from actgrad.reading.symbol import Symbol, given, made, number, of_row


class NonlinearRuleError(TraceError):
    """A rule whose result is not the upstream gradient times a local derivative."""


class _Without(Nested):
    """The reader at work, for a custom gradient that must not decide on the upstream gradient."""

    def __init__(self, outer: Reader) -> None:
        super().__init__(outer)
        self.name = f"the upstream gradient {self.depth}"

    def decide(self, condition: Expr) -> bool:
        if self.name in variables(condition):
            _nonlinear("branches on the upstream gradient")
        return self.outer.decide(condition)


@contextmanager
def upstream_name() -> Iterator[str]:
    """A name for the upstream gradient; a rule that uses another rule has two."""
    without = _Without(reader())
    with reading(without):
        yield without.name


class Inside(Nested):
    """The reader at work, for code with variables of its own, each of which stands for an expression."""

    def __init__(self, outer: Reader) -> None:
        super().__init__(outer)
        self.values: dict[str, Expr] = {}

    def variable(self, value: object) -> Symbol:
        x = number(value)
        name = f"variable {self.depth}.{len(self.values)}"
        self.values[name] = self.outside(x.expr)
        return Symbol(of_form(name, x), x.form, x.mask)

    def outside(self, expr: Expr) -> Expr:
        return substitute(expr, self.values)

    def decide(self, condition: Expr) -> bool:
        return self.outer.decide(self.outside(condition))

    def index(self, value: Expr) -> int:
        return self.outer.index(self.outside(value))

    def settle(self, value: Expr) -> None:
        self.outer.settle(self.outside(value))

    def range_of(self, value: Expr) -> tuple[float, float]:
        return self.outer.range_of(self.outside(value))


class _Whole(Inside):
    """The reader at work, for a function with custom gradients that are taken as a whole."""

    def __init__(self, outer: Reader, chained: bool) -> None:
        super().__init__(outer)
        self.chained = chained
        self.taken: list[tuple[str, Symbol, Sequence[Any], Callable[..., Any]]] = []
        """Each custom gradient: its name, its result, what it is applied to, and its rule."""

    def ask(self, what: str, question: str) -> bool:
        return (self.chained and what == "requires_grad") or self.outer.ask(what, question)

    def take(
        self, name: str, output: object, inputs: Sequence[Any], backward: Callable[..., Any]
    ) -> object:
        if not self.chained:
            return output
        if isinstance(output, (tuple, list)):
            _nonlinear("is one of several results")
        output = number(output)
        if is_detached():
            return Symbol(detached(output.expr), output.form, output.mask)
        result = self.variable(output)
        self.taken.append((name, result, inputs, backward))
        return result


def value_of(function: Callable[[], object]) -> object:
    """What a function returns, without its custom gradients."""
    with reading(_Whole(reader(), False)):
        return function()


def gradients_of(
    function: Callable[[], object], arguments: Mapping[str, object], upstream: Symbol
) -> Fields:
    """The gradients by the arguments of a function with custom gradients, each of which is called with what
    comes back to it; None by what the result is not computed of."""
    whole = _Whole(reader(), True)
    with reading(whole):
        result = function()
    flows = [(number(result).expr, upstream)]

    def by(x: Expr) -> object:
        terms = [
            multiply(gradient, made(_slope(y, x), upstream))
            for y, gradient in flows
            if x in walk(y)
        ]
        return reduce(add, terms) if terms else None

    within = Inside(whole.outer)
    within.values = whole.values
    with reading(within):
        for name, output, inputs, backward in reversed(whole.taken):
            back = by(output.expr)
            if back is None:
                continue
            results = results_of(name, backward(back), len(inputs))
            flows += [
                (x.expr, terms_of(gradient, x))
                for x, gradient in zip(inputs, results, strict=True)
                if differentiable(x) and gradient is not None
            ]
        found = {n: by(x.expr) for n, x in arguments.items() if isinstance(x, Symbol)}
    return {
        name: Symbol(whole.outside(number(x).expr), x.form) if isinstance(x, Symbol) else x
        for name, x in found.items()
    }


def _slope(y: Expr, by: Expr) -> Expr:
    if y is by:
        return const(1.0)
    if reader().rows:
        _nonlinear(
            "is not linear in the upstream gradient, and a row is computed before or after it"
        )
    return derive(y, by)


def of_form(name: str, like: Symbol) -> Expr:
    """A variable that is as long as a row, where this is one."""
    return var(name, like.form if of_row(like) and like.form != ONE else None)


def _nonlinear(what: str) -> NoReturn:
    refuse(
        f"the custom gradient {what}, so it is not the upstream gradient times a derivative",
        "Make an activation of that function alone (`activation(MyFunction.apply)`), which keeps the rule as "
        "a whole; or give the rule yourself: `activation(f, gradient=lambda x, upstream: ...)`.",
        NonlinearRuleError,
    )


def terms_of(result: object, by: Symbol) -> Any:
    """What a rule gives by a symbol, for each element; by a number it may give their sum."""
    if isinstance(result, Total):
        return mixes("sum") if by.form is not None else result.terms
    return result


def coefficient(result: object, name: str, by: Symbol) -> object:
    """The local derivative in a rule's result by a symbol, which is the symbol `name` times it."""
    if result is None:
        return 0.0
    symbol = number(terms_of(result, by))
    root = symbol.expr
    if is_const(root, 0.0) or is_const(root, -0.0):
        return 0.0
    unit = as_row(substitute(root, {name: const(1.0)}), root.width)
    if not is_linear(root, name) and not measures_linear(root, unit, name):
        _nonlinear("is not linear in the upstream gradient")
    return Symbol(unit, symbol.form, symbol.mask)


def differentiable(value: object) -> bool:
    return isinstance(value, Symbol) and not value.expr.boolean


def as_now(value: Any) -> Any:
    """A symbol as it is now: its code may write into it. Anything else as it is."""
    return copied(value) if isinstance(value, Symbol) else value


def results_of(rule: str, found: object, count: int) -> tuple[Any, ...]:
    """What a rule returned, one for each argument."""
    results = tuple(found) if isinstance(found, (tuple, list)) else (found,)
    while len(results) > count and results[-1] is None:
        results = results[:-1]
    if len(results) != count:
        refuse(
            f"the custom gradient of {rule!r} returns {len(results)} gradients for {count} arguments",
            "Return one for each argument, None for those without.",
        )
    return results


def declared(
    name: str,
    outputs: Any,
    inputs: Sequence[Any],
    backward: Callable[..., object],
    fixed: Sequence[int] = (),
) -> object:
    """The outputs with the derivatives by `inputs` that `backward(*upstreams)` says; the outputs at the
    places `fixed` have none."""
    at = reader()
    if isinstance(at, _Whole):
        return at.take(name, outputs, inputs, backward)
    several = isinstance(outputs, (tuple, list))
    parts = list(outputs) if several else [outputs]
    made = []
    for i, output in enumerate(parts):
        plain = isinstance(output, Symbol) and output.expr.boolean
        if output is None or plain or i in fixed:
            made.append(output)
            continue
        output = number(output)
        with upstream_name() as upstream:
            shape = (
                output if output.form is not None else next(filter(differentiable, inputs), output)
            )
            gradients = [Symbol(const(0.0), shape.form, shape.mask) for _ in parts]
            gradients[i] = Symbol(of_form(upstream, shape), shape.form, shape.mask)
            results = results_of(name, backward(*gradients), len(inputs))
            pairs = [
                part
                for x, result in zip(inputs, results, strict=True)
                if differentiable(x)
                for part in (x, coefficient(result, upstream, x))
            ]
        made.append(given(output, *pairs) if pairs else output)
    return type(outputs)(made) if several and type(outputs) in (tuple, list) else made[0]


class Context:
    """What `torch.autograd.Function` calls ctx."""

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self.saved_tensors: tuple[object, ...] = ()
        self._fixed: tuple[object, ...] = ()

    @property
    def saved_variables(self) -> tuple[object, ...]:
        return self.saved_tensors

    def save_for_backward(self, *tensors: object) -> None:
        self.saved_tensors = tensors

    def save_for_forward(self, *tensors: object) -> None:
        """For forward mode, which has no rule of its own here."""

    def mark_non_differentiable(self, *outputs: object) -> None:
        self._fixed = outputs

    def mark_dirty(self, *inputs: object) -> None:
        """Says what the forward pass wrote into; that it did so is seen where it happens."""

    def set_materialize_grads(self, value: bool) -> None:
        """Of an output that is not used: it has no part in the result."""


def plain_rule(function: object) -> Any:
    """A static method inside of the decorators that PyTorch offers for one (`once_differentiable`,
    `torch.amp.custom_fwd`): they compute the same."""
    while True:
        home = getattr(function, "__globals__", {}).get("__name__", "")
        inner = getattr(function, "__wrapped__", None)
        if inner is None or home not in ("torch.autograd.function", "torch.amp.autocast_mode"):
            return function
        function = inner


class Function:
    """Stands in for `torch.autograd.Function`, of which the user's class is derived."""

    @classmethod
    def apply(cls, *args: object, **kwargs: object) -> object:
        kind: Any = cls
        split = hasattr(kind, "setup_context")
        if split or kwargs:
            skip = () if split else (None,)
            bound = inspect.signature(kind.forward).bind(*skip, *args, **kwargs)
            bound.apply_defaults()
            args = bound.args[len(skip) :]
        before = list(map(as_now, args))
        context = Context(tuple(map(differentiable, args)))
        if split:
            outputs = kind.forward(*args)
            kind.setup_context(context, args, outputs)
        else:
            outputs = kind.forward(context, *args)
        parts = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
        fixed = [
            i for i, part in enumerate(parts) if any(part is marked for marked in context._fixed)
        ]

        def backward(*gradients: object) -> object:
            if not reader().has_gradient():
                return (None,) * len(before)
            rule = getattr(kind, "backward", None) or getattr(kind, "vjp", None)
            if rule is None:
                refuse(
                    f"{cls.__name__!r} has no `backward`",
                    "Give it one, a static method; for a straight-through estimator it returns its gradient.",
                )
            if getattr(kind, "boxed_grads_call", False):
                return rule(context, list(gradients))
            return rule(context, *gradients)

        return declared(cls.__name__, outputs, before, backward, fixed)


class WithGradient:
    """A function that returns its value and the function of the gradient, as TensorFlow, Keras and
    `jax.custom_gradient` have it."""

    def __init__(self, function: Callable[..., object], by_name: bool = False) -> None:
        self.function = function
        self.by_name = by_name
        """Whether the gradient is called with the inputs, and `upstream=`: Keras does so on PyTorch."""
        self.__name__ = getattr(function, "__name__", "function")

    def __get__(self, instance: object, owner: object = None) -> WithGradient:
        """As a method, whose gradients are those by the arguments beside the instance."""
        bound = partial(self.function, instance)
        return self if instance is None else WithGradient(bound, self.by_name)

    def __call__(self, *args: object, **kwargs: object) -> object:
        before = list(map(as_now, args))
        returned = self.function(*args, **kwargs)
        if (
            not isinstance(returned, (tuple, list))
            or len(returned) != 2
            or not callable(returned[1])
        ):
            refuse(
                f"{self.__name__!r} has a custom gradient, and does not return a value and the function of "
                f"its gradient",
                "Return `value, grad`, where `grad(upstream)` gives the gradient.",
            )
        value, gradient = returned

        def backward(*upstream: object) -> object:
            return gradient(*args, upstream=upstream[0]) if self.by_name else gradient(*upstream)

        return declared(self.__name__, value, before, backward)


def with_gradient(f: Callable[..., object] | None = None) -> object:
    return WithGradient if f is None else WithGradient(f)


def pass_through(f: Any) -> object:
    """`tf.grad_pass_through(f)`: the value of f, the derivative of the identity."""

    def call(*args: object, **kwargs: object) -> object:
        return declared("grad_pass_through", f(*args, **kwargs), args, lambda *upstream: upstream)

    return call
