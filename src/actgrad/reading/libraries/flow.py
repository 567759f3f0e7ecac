"""Control flow in a framework's own words: `tf.cond`, `jax.lax.fori_loop`, `keras.ops.while_loop`.

Read as Python's `if` and loops are: each condition on a symbol is a decision, each turn one more. So a
loop needs a bound, by its count or by its numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from actgrad.common.types import Function
from actgrad.reading.libraries.meanings import Number
from actgrad.reading.reader import reader, set_detached
from actgrad.reading.refusal import refuse
from actgrad.reading.symbol import Symbol, apply, truth


def _holds(condition: object) -> bool:
    return bool(truth(condition)) if isinstance(condition, Symbol) else bool(condition)


def cond(pred: Number, true_fun: Function, false_fun: Function, *operands: object) -> object:
    """TensorFlow's, Keras's and JAX's."""
    return (true_fun if _holds(pred) else false_fun)(*operands)


def torch_cond(
    pred: Number, true_fn: Function, false_fn: Function, operands: Sequence[object] = ()
) -> object:
    return (true_fn if _holds(pred) else false_fn)(*operands)


def backend_switch(condition: object, then_expression: object, else_expression: object) -> object:
    """`keras.backend.switch`, whose branches are values or functions."""

    def value(branch: object) -> object:
        return branch() if callable(branch) and not isinstance(branch, Symbol) else branch

    return value(then_expression) if _holds(condition) else value(else_expression)


def tf_case(pred_fn_pairs: Any, default: Function | None = None) -> object:
    pairs = list(pred_fn_pairs.items() if isinstance(pred_fn_pairs, dict) else pred_fn_pairs)
    for condition, function in pairs:
        if _holds(condition):
            return function()
    return (pairs[-1][1] if default is None else default)()


def tf_switch_case(
    branch_index: object, branch_fns: Any, default: Function | None = None
) -> object:
    pairs = list(branch_fns.items() if isinstance(branch_fns, dict) else branch_fns)
    if not all(isinstance(pair, (tuple, list)) for pair in pairs):
        pairs = list(enumerate(pairs))
    for index, function in pairs:
        if _holds(branch_index == index):
            return function()
    return (default or max(pairs, key=lambda pair: pair[0])[1])()


def lax_switch(index: Number, branches: Sequence[Function], *operands: object) -> object:
    """JAX's and Keras's: an index beyond the ends is the nearest."""
    for i, branch in enumerate(branches[:-1]):
        if _holds(index <= i):
            return branch(*operands)
    return branches[-1](*operands)


def select_n(which: object, *cases: object) -> object:
    if isinstance(which, Symbol) and which.expr.boolean:
        return apply("select", which, cases[1], cases[0])
    for i, case in enumerate(cases[:-1]):
        if _holds(which == i):
            return case
    return cases[-1]


def fori_loop(lower: object, upper: object, body: Callable[..., object], initial: object) -> object:
    value = initial
    for i in range(_count(lower), _count(upper)):
        value = body(i, value)
    return value


def _count(bound: Number) -> int:
    return reader().index(bound.expr) if isinstance(bound, Symbol) else int(bound)


def lax_while_loop(condition: Function, body: Function, initial: object) -> object:
    value = initial
    while _holds(condition(value)):
        value = body(value)
    return value


def tf_while_loop(
    condition: Function, body: Function, loop_vars: Any, maximum_iterations: Number = None
) -> object:
    """TensorFlow's and Keras's: the loop's variables are arguments of both functions."""
    many = isinstance(loop_vars, (tuple, list))
    values = tuple(loop_vars) if many else (loop_vars,)
    turns = 0
    while (maximum_iterations is None or turns < maximum_iterations) and _holds(condition(*values)):
        result = body(*values)
        values = tuple(result) if isinstance(result, (tuple, list)) else (result,)
        turns += 1
    return type(loop_vars)(values) if many and type(loop_vars) in (tuple, list) else values[0]


def scan(
    f: Function, init: object, xs: Any = None, length: int | None = None, reverse: bool = False
) -> object:
    """JAX's `lax.scan` over numbers that are given, or a count; what it collects is a list."""
    if isinstance(xs, (Symbol, dict)):
        refuse("`scan` over the input", "Scan over constants, or over a count (`length=`).")
    items: list[object] = [None] * int(length or 0)
    if xs is not None:
        items = list(zip(*xs, strict=True) if isinstance(xs, tuple) else xs)
    carry, collected = init, []
    for item in reversed(items) if reverse else items:
        carry, out = f(carry, item)
        collected.append(out)
    collected = collected[::-1] if reverse else collected
    return carry, (None if all(out is None for out in collected) else collected)


def applied(function: Function | None = None, *_: object, **__: object) -> Callable[..., object]:
    """`jax.jit(f)`, `np.frompyfunc(f, 1, 1)`: the function itself, which computes the same; of none, as in
    `@tf.function(jit_compile=True)`, what returns it."""
    return applied if function is None else function


def called(function: Function, *args: object) -> object:
    """`torch.utils.checkpoint.checkpoint(f, x)`."""
    return function(*args)


def mapped(function: Function, elements: object, *_: object, **__: object) -> object:
    """`vectorized_map(f, x)`, `jax.lax.map(f, x)`: f of each part of the input."""
    if not isinstance(elements, Symbol):
        refuse(
            "a function is mapped over something else than the input",
            "Write a loop: `sum(f(c) for c in constants)`.",
        )
    return function(elements)


class Detached:
    """`torch.no_grad()`: what is computed inside has the derivative 0."""

    mode = True

    def __init__(self, mode: object = None) -> None:
        self._function = mode if callable(mode) else None
        self._before: list[bool] = []
        if isinstance(mode, bool):  # inference_mode(False)
            self.mode = mode

    def __enter__(self) -> None:
        self._before.append(set_detached(self.mode))

    def __exit__(self, *_: object) -> None:
        set_detached(self._before.pop())

    def clone(self) -> Detached:
        copy = type(self)()
        copy.mode = self.mode
        return copy

    def __call__(self, *args: Function, **kwargs: object) -> object:
        if self._function is not None:  # @torch.no_grad, without parentheses
            with self:
                return self._function(*args, **kwargs)
        (function,) = args

        def decorated(*args: object, **kwargs: object) -> object:
            with self.clone():
                return function(*args, **kwargs)

        return decorated


class Attached(Detached):
    """`torch.enable_grad()`."""

    mode = False


class GradMode(Detached):
    """`torch.set_grad_enabled(mode)`, which acts when it is made, and until its block ends."""

    def __init__(self, mode: bool = True) -> None:
        super().__init__()
        self.mode = not mode
        self._before.append(set_detached(self.mode))

    def __enter__(self) -> None:
        pass

    def clone(self) -> GradMode:
        return GradMode(not self.mode)
