"""Derivatives that a function takes itself: `torch.func.grad(g)(x)`, `jax.grad(g)(x)`, `torch.autograd.grad`.

`g` is read with a variable for its argument; the derivative of what it computes is the result. Its decisions
are on that variable, which the argument replaces.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

from actgrad.common.types import Function
from actgrad.language.derive import derive
from actgrad.language.expression import Expr, substitute, var, walk
from actgrad.reading.libraries.meanings import add, multiply, stop_gradient
from actgrad.reading.libraries.totals import Total
from actgrad.reading.reader import Nested, reader, reading
from actgrad.reading.refusal import refuse
from actgrad.reading.symbol import Symbol, made, number

MEANINGS = (
    *("gradient_of", "value_and_gradient_of", "gradient_and_value_of", "torch_gradient"),
    *("jvp", "vjp"),
)


class _Inside(Nested):
    """The reader at work, for a function of one more variable, which stands for an expression."""

    in_rule = True  # `jax.grad(lambda v: jnp.sum(g(v)))` is the derivative of g by each element

    def __init__(self, outer: Any, value: Expr) -> None:
        super().__init__(outer)
        self.name = f"the argument of a derivative {self.depth}"
        self.values = {self.name: value}

    def decide(self, condition: Expr) -> bool:
        answer: bool = self.outer.decide(substitute(condition, self.values))
        return answer

    def index(self, value: Expr) -> int:
        found: int = self.outer.index(substitute(value, self.values))
        return found

    def settle(self, value: Expr) -> None:
        self.outer.settle(substitute(value, self.values))

    def range_of(self, value: Expr) -> tuple[float, float]:
        bounds: tuple[float, float] = self.outer.range_of(substitute(value, self.values))
        return bounds


def value_and_gradient_of(g: Any, argnums: object = 0, has_aux: bool = False) -> Function:
    """`jax.value_and_grad(g)`: the value, and the derivative by one argument."""

    def call(*args: Any, **kwargs: object) -> tuple[Any, Any]:
        if reader().rows or has_aux or type(argnums) is not int:
            refuse(
                "a derivative that is taken inside of it, by several arguments or with other results",
                "Take it by one argument of a function of numbers that returns one; or make an activation of "
                "that function before, and call its `derivative`.",
            )
        x = number(args[argnums])
        inside = _Inside(reader(), x.expr)
        name = inside.name
        with reading(inside):
            own = [*args]
            own[argnums] = Symbol(var(name), x.form, x.mask)
            result = g(*own, **kwargs)
            terms = number(result.terms if isinstance(result, Total) else result)
            slope = derive(terms.expr, name)
        parts = [substitute(each, {name: x.expr}) for each in (terms.expr, slope)]
        value, gradient = (made(each, x, terms) for each in parts)
        return (Total(value) if isinstance(result, Total) else value), gradient

    return call


def gradient_of(g: Any, argnums: Any = 0, has_aux: bool = False) -> Function:
    """`jax.grad(g)`, `torch.func.grad(g)`."""
    both = value_and_gradient_of(g, argnums, has_aux)
    return lambda *args, **kwargs: both(*args, **kwargs)[1]


def vjp(g: Any, *primals: Any) -> tuple[object, Function]:
    """`jax.vjp(g, x, ...)`: the value, and the function of the upstream gradient."""
    pairs = [value_and_gradient_of(g, i)(*primals) for i in range(len(primals))]
    return pairs[0][0], lambda upstream: tuple(multiply(slope, upstream) for _, slope in pairs)


def jvp(g: object, primals: Any, tangents: Any) -> tuple[Any, Any]:
    """`jax.jvp(g, (x, ...), (dx, ...))`: the value, and its derivative along the tangents."""
    pairs = [value_and_gradient_of(g, i)(*primals) for i in range(len(primals))]
    terms = [multiply(slope, t) for (_, slope), t in zip(pairs, tangents, strict=True)]
    return pairs[0][0], reduce(add, terms)


def gradient_and_value_of(g: Any, argnums: Any = 0, has_aux: bool = False) -> Function:
    """`torch.func.grad_and_value(g)`."""
    both = value_and_gradient_of(g, argnums, has_aux)
    return lambda *args, **kwargs: both(*args, **kwargs)[::-1]


def torch_gradient(
    outputs: Any, inputs: Any, grad_outputs: Any = None, create_graph: bool = False
) -> tuple[object, ...]:
    """`torch.autograd.grad`, by inputs of the function."""
    y, x, upstream = (
        each[0] if isinstance(each, (tuple, list)) and len(each) == 1 else each
        for each in (outputs, inputs, grad_outputs)
    )
    is_input = isinstance(x, Symbol) and x.expr.op == "var" and isinstance(y, Symbol)
    if reader().rows or not is_input or any(node.op == "host" for node in walk(y.expr)):
        refuse(
            "`torch.autograd.grad` by what is no input of the function, or of several outputs",
            "Take it of one output by one input; or use `torch.func.grad(g)(z)`, where g is a function of z.",
        )
    slope = made(derive(y.expr, str(x.expr.value)), x, y)
    slope = slope if upstream is None else multiply(upstream, slope)
    return (slope if create_graph else stop_gradient(slope),)
