"""Derivatives that a function takes itself: `torch.func.grad(g)(x)`, `jax.hessian(g)(x)`, `tf.GradientTape`.

`g` is read with a variable for each of its arguments; the derivative of what it computes is the result. Its
decisions are on those variables, which the arguments replace.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, NoReturn

from actgrad.common.types import Fields, Function
from actgrad.language.derive import derive
from actgrad.language.expression import Expr, walk
from actgrad.reading.derivatives.rules import Inside, as_now, declared
from actgrad.reading.libraries.meanings import add, multiply, stop_gradient
from actgrad.reading.libraries.totals import Total
from actgrad.reading.reader import reader, reading
from actgrad.reading.refusal import refuse
from actgrad.reading.symbol import Symbol, made, number

Places = int | Sequence[int]
"""Which arguments a derivative is taken by."""
MEANINGS = (
    *("gradient_of", "value_and_gradient_of", "gradient_and_value_of", "jacobian_of", "hessian_of"),
    *("jvp", "vjp", "linearize", "torch_gradient", "Tape", "hooked"),
)


def each_of(tree: object, change: Callable[[Any], Any]) -> object:
    """A result again, each of its numbers changed: a number, or a tuple, list or dict of results."""
    if isinstance(tree, dict):
        return {name: each_of(part, change) for name, part in tree.items()}
    if isinstance(tree, (tuple, list)):
        return _of_kind(tree, [each_of(part, change) for part in tree])
    return change(tree)


def _of_kind(tree: Any, parts: list[object]) -> object:
    """These parts as a tuple, a list or a namedtuple, as the tree is one."""
    return tree._make(parts) if hasattr(tree, "_make") else type(tree)(parts)


class _Taken:
    """What a function computes, and the derivative of that by its arguments."""

    def __init__(
        self, g: Function, args: Sequence[object], kwargs: Fields, by: tuple[int, ...]
    ) -> None:
        if reader().rows:
            refuse(
                "a derivative that is taken inside of a function of a row",
                "Take it of a function of numbers; or give the function's own with `gradient=`.",
            )
        self.inside = Inside(reader())
        own = [*args]
        with reading(self.inside):
            self.variables = [self.inside.variable(args[i]) for i in by]
            for i, variable in zip(by, self.variables, strict=True):
                own[i] = variable
            self.result = g(*own, **kwargs)

    def outside(self, value: object) -> Any:
        """A number of the result, of the arguments themselves."""
        if isinstance(value, Total):
            return Total(self.outside(value.terms))
        if not isinstance(value, Symbol):
            return value
        expr = self.inside.outside(value.expr)
        return Symbol(expr, value.form) if expr.boolean else made(expr, value, *self.variables)

    def slopes(self, value: object) -> list[object]:
        """The derivatives of a number of the result."""
        terms = number(value.terms if isinstance(value, Total) else value)
        parts = [(derive(terms.expr, str(x.expr.value)), x) for x in self.variables]
        return [self.outside(Symbol(slope, x.form, x.mask)) for slope, x in parts]


def _by(argnums: Places, args: Sequence[object]) -> tuple[int, ...]:
    chosen = argnums if isinstance(argnums, (tuple, list)) else (argnums,)
    return tuple(i % len(args) for i in chosen)


def jacobian_of(g: Function, argnums: Places = 0, has_aux: bool = False) -> Function:
    """`jax.jacrev(g)`, `torch.func.jacfwd(g)`: the derivative of each number that g returns, which is that
    of one element by this element; the others' are 0."""

    def call(*args: object, **kwargs: object) -> object:
        taken = _Taken(g, args, kwargs, _by(argnums, args))
        result, rest = taken.result if has_aux else (taken.result, None)

        def by_each(value: object) -> object:
            slopes = taken.slopes(value)
            return tuple(slopes) if isinstance(argnums, (tuple, list)) else slopes[0]

        found = each_of(result, by_each)
        return (found, each_of(rest, taken.outside)) if has_aux else found

    return call


def hessian_of(g: Function, argnums: Places = 0, has_aux: bool = False) -> Function:
    """`jax.hessian(g)`, `torch.func.hessian(g)`."""
    return jacobian_of(jacobian_of(g, argnums, has_aux), argnums, has_aux)


def value_and_gradient_of(g: Function, argnums: Places = 0, has_aux: bool = False) -> Function:
    """`jax.value_and_grad(g)`: the value, and the derivative."""

    def both(*args: object, **kwargs: object) -> object:
        result = g(*args, **kwargs)
        value, rest = result if has_aux else (result, None)
        if isinstance(value, (tuple, list, dict)):
            refuse(
                "a gradient of a function of several results",
                "Return one number from it, or that and `has_aux=True`; or take `jacrev` of it.",
            )
        return value, (value, rest) if has_aux else value

    def call(*args: object, **kwargs: object) -> tuple[object, object]:
        return jacobian_of(both, argnums, True)(*args, **kwargs)[::-1]

    return call


def gradient_and_value_of(g: Function, argnums: Places = 0, has_aux: bool = False) -> Function:
    """`torch.func.grad_and_value(g)`."""
    both = value_and_gradient_of(g, argnums, has_aux)
    return lambda *args, **kwargs: both(*args, **kwargs)[::-1]


def gradient_of(g: Function, argnums: Places = 0, has_aux: bool = False) -> Function:
    """`jax.grad(g)`, `torch.func.grad(g)`."""
    both = value_and_gradient_of(g, argnums, has_aux)

    def call(*args: object, **kwargs: object) -> object:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return call


def vjp(g: Function, *primals: object, has_aux: bool = False) -> tuple[Any, ...]:
    """`jax.vjp(g, x, ...)`: the value, and the function of the upstream gradient."""
    every = tuple(range(len(primals)))
    slopes, (value, *rest) = jacobian_of(_with_value(g, has_aux), every, True)(*primals)

    def pull(upstream: Any) -> tuple[object, ...]:
        if not isinstance(value, (tuple, list)):
            return tuple(multiply(slope, upstream) for slope in slopes)
        terms = [[multiply(s, u) for s in of] for of, u in zip(slopes, upstream, strict=True)]
        return tuple(reduce(add, column) for column in zip(*terms, strict=True))

    return (value, pull, *rest)


def _with_value(g: Function, has_aux: bool) -> Function:
    def call(*args: object) -> object:
        result = g(*args)
        return (result[0], result) if has_aux else (result, (result,))

    return call


def linearize(g: Function, *primals: object, has_aux: bool = False) -> tuple[Any, ...]:
    """`jax.linearize(g, x, ...)`: the value, and the function of the tangents."""
    every = tuple(range(len(primals)))
    slopes, (value, *rest) = jacobian_of(_with_value(g, has_aux), every, True)(*primals)

    def push(*tangents: object) -> object:
        def along(of: Sequence[object], value: object) -> object:
            moved = reduce(add, map(multiply, of, tangents))
            return Total(moved) if isinstance(value, Total) else moved

        if isinstance(value, (tuple, list)):
            return _of_kind(value, list(map(along, slopes, value)))
        return along(slopes, value)

    return (value, push, *rest)


def jvp(
    g: Function, primals: Sequence[object], tangents: Sequence[object], has_aux: bool = False
) -> tuple[Any, ...]:
    """`jax.jvp(g, (x, ...), (dx, ...))`: the value, and its derivative along the tangents."""
    value, push, *rest = linearize(g, *primals, has_aux=has_aux)
    return (value, push(*tangents), *rest)


def _slope(y: Any, x: Any, what: str) -> Symbol | None:
    """The derivative of what was computed, by what it was computed of; None where it was not."""
    y = y.terms if isinstance(y, Total) else y
    plain = isinstance(x, Symbol) and isinstance(y, Symbol) and x.expr.op != "const"
    if reader().rows or not plain or any(node.op == "host" for node in walk(y.expr)):
        refuse(
            f"`{what}` of what is not computed of the function's input",
            "Take it of one number by one other; or make `d = activation(g).derivative` before, and call "
            "`d(x)`.",
        )
    return made(derive(y.expr, x.expr), x, y) if x.expr in walk(y.expr) else None


def torch_gradient(
    outputs: object, inputs: object, grad_outputs: object = None, create_graph: bool = False
) -> tuple[object, ...]:
    """`torch.autograd.grad`."""
    y, upstream = (
        each[0] if isinstance(each, (tuple, list)) and len(each) == 1 else each
        for each in (outputs, grad_outputs)
    )
    found = []
    for x in inputs if isinstance(inputs, (tuple, list)) else (inputs,):
        slope = _slope(y, x, "torch.autograd.grad")
        if slope is None:
            refuse(
                "`torch.autograd.grad` by what the output was not computed of",
                "Compute the output of it: `z = x.clone(); y = g(z); torch.autograd.grad(y.sum(), z)`.",
            )
        slope = slope if upstream is None else multiply(upstream, slope)
        found.append(slope if create_graph else stop_gradient(slope))
    return tuple(found)


class Tape:
    """`tf.GradientTape`."""

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self._watched: list[Expr] = []

    def __enter__(self) -> Tape:
        return self

    def __exit__(self, *_: object) -> None:
        """What follows is not recorded, and not asked for."""

    def watch(self, tensor: object) -> None:
        each_of(tensor, lambda x: self._watched.append(number(x).expr))

    def gradient(self, target: object, sources: object, output_gradients: object = None) -> object:
        def by(x: Symbol) -> object:
            slope = _slope(target, x, "GradientTape.gradient")
            if slope is None or not any(x.expr is watched for watched in self._watched):
                return None
            return slope if output_gradients is None else multiply(output_gradients, slope)

        return each_of(sources, by)

    def __getattr__(self, name: str) -> NoReturn:
        refuse(
            f"`GradientTape.{name}`, of which actgrad reads `watch` and `gradient`",
            "Use `gradient`, which is the derivative of each number by itself.",
        )


def hooked(y: Symbol, hook: Function) -> None:
    """`y.register_hook(hook)`: what the hook makes of the upstream gradient goes on."""
    if not y.writable:
        refuse(
            "a hook on the input, which would stay on the caller's tensor",
            "Put it on a copy: `y = x.clone(); y.register_hook(hook)`.",
        )

    def backward(upstream: object) -> object:
        found = hook(upstream)
        return upstream if found is None else found

    y.expr = number(declared("register_hook", as_now(y), [as_now(y)], backward)).expr
