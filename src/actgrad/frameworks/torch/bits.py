"""What a derivative of two values needs of its input: one bit for each number.

ReLU's is 0 or 1, and so are a box's and that of most straight-through estimators. In the place of the
input, bits are kept between forward and backward, 1/32 of float32, and the gradient is the same to the
bit ("few-bit backward", Novikov et al. 2022, https://arxiv.org/abs/2202.00441). For tensors of float32 so
large that a network is not slower by it: there memory is new each time, and what is not kept is memory
for the next layer. In other dtypes Inductor packs three times slower.

Each 16 words of 32 bits hold 32 lines of 16 numbers, a line in one bit of each word: so a processor packs
16 numbers at once. With neighbours in one word it would take four times as long.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import torch

from actgrad.codegen.emit import kernel
from actgrad.frameworks.torch import fused as torch_fused
from actgrad.frameworks.torch.dialect import COMPILED_DIALECT
from actgrad.frameworks.torch.host import host
from actgrad.language.expression import Expr, const, plain, walk
from actgrad.language.program import Program
from actgrad.language.rewrite import build

LARGE = 1 << 24
LINES, WORDS = 32, 16
ROW = LINES * WORDS


@dataclass(frozen=True)
class TwoValues:
    """A derivative that is `yes` where the condition holds, and `no` elsewhere."""

    condition: Program
    yes: float
    no: float


@cache
def two_values(program: Program) -> TwoValues | None:
    """The derivative by the only argument, if it takes two values and has no slope of its own."""
    if program.gradient or program.on_host or len(program.arguments) != 1:
        return None
    (name,) = program.arguments
    derivative = program.partial(name)
    tree = plain(derivative.value)
    nodes = walk(tree)
    ends: dict[
        Expr, tuple[Expr, ...]
    ] = {}  # the numbers that a tree of choices ends at: two at most
    for node in nodes:
        if node.op == "const":
            ends[node] = (node,)
        elif node.op == "select" and all(part in ends for part in node.args[1:]):
            numbers = tuple(dict.fromkeys(ends[node.args[1]] + ends[node.args[2]]))
            if len(numbers) <= 2:
                ends[node] = numbers
    if len(ends.get(tree, ())) != 2 or derivative.partial(name).value is not const(0.0):
        return None
    yes, no = ends[tree]
    at: dict[Expr, Expr] = {}  # whether a tree chooses `yes`
    for node in filter(ends.get, nodes):
        if node.op == "const":
            at[node] = const(node is yes)
        else:
            condition, one, other = node.args
            otherwise = build("and", build("not", condition), at[other])
            at[node] = build("or", build("and", condition, at[one]), otherwise)
    chosen = replace(derivative, value=at[tree])
    return TwoValues(chosen, float(yes.value), float(no.value))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Loops:
    """The two loops of a program, over the memory of dense tensors of float32."""

    values: TwoValues
    forward: torch_fused.Kernel
    backward: torch_fused.Kernel

    def value(self, x: Any) -> tuple[Any, Any]:
        """The value, and the words that tell of the derivative."""
        out = torch.empty_like(x, requires_grad=False)
        words = torch.empty(-(-x.numel() // ROW) * WORDS, dtype=torch.int32, device="cpu")
        torch_fused.by_rows(self.forward, (out, words, x), (ROW, WORDS, ROW))
        return out, words

    def gradient(self, words: Any, upstream: Any, shape: Any, strides: Any) -> Any:
        out = torch.empty_strided(shape, strides, dtype=torch.float32, device="cpu")
        upstream = torch_fused.in_order_of(out, upstream)
        torch_fused.by_rows(self.backward, (out, words, upstream), (ROW, WORDS, ROW))
        return out

    def slope(self, words: Any, shape: Any, strides: Any) -> Any:
        """The derivative, unpacked by PyTorch's own operations."""
        slopes = _unpacked(words.view(-1, WORDS), self.values)
        rows, rest = divmod(shape.numel(), ROW)
        if rest:
            slopes = torch.cat([slopes[:rows].flatten(), slopes[rows, ROW - rest :]])
        return slopes.as_strided(shape, strides)


def loops(program: Program, x: Any) -> Loops | None:
    """For a plain, large tensor; None where the derivative has other values, or nothing can be compiled."""
    values = two_values(program) if x.dtype is torch.float32 else None
    if values is None or not torch_fused.is_dense(x.shape, x.stride()):
        return None
    found = [
        torch_fused.compiled(
            (program, make), program.name, partial(make, program, values), wait=True
        )
        for make in (_forward, _backward)
    ]
    return Loops(values, *found) if all(found) else None  # type: ignore[arg-type]


_NUMBERS, _PACKED = (ROW, torch.float32), (WORDS, torch.int32)


def _forward(program: Program, values: TwoValues) -> torch_fused.Kernel:
    both = (program, values.condition)
    value, condition = (kernel(p, COMPILED_DIALECT, host) for p in both)

    def flat(_rows: int, out: Any, words: Any, x: Any) -> tuple[()]:
        out.copy_(value(x))
        chosen = condition(x).view(-1, LINES, WORDS)
        words.copy_(torch.where(chosen, 1 << _lines(), 0).sum(1, dtype=torch.int32))
        return ()

    return torch_fused.loop(flat, _NUMBERS, _PACKED, _NUMBERS)


def _backward(_program: Program, values: TwoValues) -> torch_fused.Kernel:
    def flat(_rows: int, out: Any, words: Any, upstream: Any) -> tuple[()]:
        out.copy_(upstream * _unpacked(words, values))
        return ()

    return torch_fused.loop(flat, _NUMBERS, _PACKED, _NUMBERS)


def _lines() -> Any:
    return torch.arange(LINES, dtype=torch.int32, device="cpu")[:, None]


def _unpacked(words: Any, values: TwoValues) -> Any:
    chosen = ((words.unsqueeze(1) >> _lines()) & 1).view(-1, ROW)
    yes, no = (
        torch.full((), v, dtype=torch.float32, device="cpu") for v in (values.yes, values.no)
    )
    return torch.where(chosen != 0, yes, no)
