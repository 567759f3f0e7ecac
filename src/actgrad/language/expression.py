"""The expression graph: immutable nodes, each different one made once.

Two expressions with the same content are the same object, so `is` compares them, shared parts are
stored once, and every walk over a graph visits a node once. Walks use a stack of their own: a graph
may be deeper than Python's recursion limit.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn
from weakref import WeakValueDictionary

import numpy as np

from actgrad.common.locks import Lock
from actgrad.language.length import Length
from actgrad.language.ops import OPS
from actgrad.language.rows import ROWS, WHOLE, Width, carried_at

Payload = float | bool | str | tuple[object, ...] | Length | Callable[..., object] | None

LENGTH = ""
"""Where `evaluate` finds the length of the rows, among the values by name."""


class Expr:
    """A node: an operation on other nodes, `const` with a number or truth value, `var` with a name, or
    `vector` with a tuple of numbers."""

    __slots__ = ("__weakref__", "args", "boolean", "forked", "op", "simple", "value", "width")
    op: str
    args: tuple[Expr, ...]
    value: Payload
    boolean: bool
    """A truth value rather than a number."""
    forked: bool
    """Whether a select stands anywhere in it."""
    simple: bool
    """Whether it is known that no rule of `rewrite` changes it."""
    width: Width
    """The length of the row that it is; None for one number."""

    def __repr__(self) -> str:
        return show(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("an expression is stored through its program's JSON, not pickled")

    # The operators that the derivative rules in `ops` are written with.
    def __neg__(self) -> Expr:
        return make("neg", self)

    def __add__(self, other: Operand) -> Expr:
        return make("add", self, lift(other))

    def __radd__(self, other: Operand) -> Expr:
        return make("add", lift(other), self)

    def __sub__(self, other: Operand) -> Expr:
        return make("sub", self, lift(other))

    def __rsub__(self, other: Operand) -> Expr:
        return make("sub", lift(other), self)

    def __mul__(self, other: Operand) -> Expr:
        return make("mul", self, lift(other))

    def __rmul__(self, other: Operand) -> Expr:
        return make("mul", lift(other), self)

    def __truediv__(self, other: Operand) -> Expr:
        return make("div", self, lift(other))

    def __rtruediv__(self, other: Operand) -> Expr:
        return make("div", lift(other), self)

    def __lt__(self, other: Operand) -> Expr:
        return make("lt", self, lift(other))

    def __gt__(self, other: Operand) -> Expr:
        return make("lt", lift(other), self)


Operand = Expr | float | int | bool

_nodes: WeakValueDictionary[object, Expr] = WeakValueDictionary()
_one_at_a_time = Lock()
_bits = struct.Struct("<d").pack


def _intern(
    key: object,
    op: str,
    args: tuple[Expr, ...],
    value: Payload,
    boolean: bool,
    width: Width = None,
) -> Expr:
    node = _nodes.get(key)
    if node is None:
        node = Expr.__new__(Expr)
        node.op, node.args, node.value, node.boolean, node.width = op, args, value, boolean, width
        node.forked = op == "select" or True in [arg.forked for arg in args]
        node.simple = not args
        with _one_at_a_time:
            node = _nodes.setdefault(key, node)
    return node


def make(op: str, *args: Expr, value: Payload = None) -> Expr:
    """The node `op(*args)`; `value` is the Python function of a `host` node, or what an operation on a row
    carries."""
    row = ROWS.get(op)
    if row is None:
        parts = args[:1] if op == "given" else args
        width = next((arg.width for arg in parts if arg.width is not None), None)
        return _intern((op, *map(id, args), id(value)), op, args, value, OPS[op].boolean, width)
    widths = [arg.width for arg in args]
    if op in WHOLE and None in widths:
        raise AssertionError(f"{op} of one number")
    return _intern((op, *map(id, args), value), op, args, value, False, row.width(widths, value))


def const(value: float | bool) -> Expr:
    """A number (0.0 and -0.0 are two; every nan is one) or a truth value."""
    if isinstance(value, (bool, np.bool_)):
        return _intern(("const", bool(value), "bool"), "const", (), bool(value), True)
    number = float(value)
    bits = b"nan" if math.isnan(number) else _bits(number)
    return _intern(("const", bits), "const", (), number, False)


def vector(numbers: Iterable[float]) -> Expr:
    """A constant vector, at least one number long, for `gather` to read."""
    values = tuple(map(float, numbers))
    if not values:
        raise ValueError("a vector has at least one number")
    bits = b"".join(b"nan     " if math.isnan(value) else _bits(value) for value in values)
    return _intern(("vector", bits), "vector", (), values, False)


def var(name: str, width: Width = None) -> Expr:
    """An input or a parameter: one number, or a row of this length."""
    return _intern(("var", name, width), "var", (), name, False, width)


def as_row(node: Expr, width: Width) -> Expr:
    """The row of this length, of a row or of one number for all of it."""
    if width is None or node.width is not None:
        return node
    return make("fill", node, value=width)


def carried(node: Expr) -> tuple[Length, int, Length]:
    """Start, step and size of a slice, or of what puts one back."""
    value: Any = node.value
    start, step, size = value
    return start, step, size


def lift(value: Operand) -> Expr:
    return value if isinstance(value, Expr) else const(value)


def operation(op: str) -> Callable[..., Expr]:
    """An operation as a function of nodes and numbers."""
    return lambda *args: make(op, *map(lift, args))


def is_const(node: Expr, value: float | None = None) -> bool:
    """Whether the node is a number (this one: then 0.0 is not -0.0)."""
    if node.op != "const" or node.boolean:
        return False
    return value is None or _bits(node.value) == _bits(value)


def all_arguments(node: Expr) -> tuple[Expr, ...]:
    return node.args


def walk(*roots: Expr, into: Callable[[Expr], tuple[Expr, ...]] = all_arguments) -> list[Expr]:
    """Every node once, arguments before the nodes that use them; `into` says which arguments count."""
    order: dict[Expr, None] = {}
    stack = [*reversed(roots)]
    while stack:
        node = stack[-1]
        if node not in order:
            rest = [arg for arg in into(node) if arg not in order]
            if rest:
                stack += reversed(rest)
                continue
            order[node] = None
        stack.pop()
    return list(order)


def transform(
    roots: Iterable[Expr],
    visit: Callable[[Expr, tuple[Expr, ...]], Expr],
    into: Callable[[Expr], tuple[Expr, ...]] = all_arguments,
) -> list[Expr]:
    """Rebuild bottom-up: `visit(node, new_args)` answers what stands in for each node."""
    roots = list(roots)
    new: dict[Expr, Expr] = {}
    for node in walk(*roots, into=into):
        new[node] = visit(node, tuple([new[arg] for arg in into(node)]))
    return [new[root] for root in roots]


class NotOneNumberError(ValueError):
    """What is put into a row as one number has become a row."""


def rebuild(node: Expr, args: tuple[Expr, ...]) -> Expr:
    """The same operation on other arguments. A row that has become one number is filled with it.

    Raises `NotOneNumberError`.
    """
    if not node.args:
        return node
    if node.op in ROWS:
        pairs = list(zip(args, node.args, strict=True))
        if any(before.width is None and arg.width is not None for arg, before in pairs):
            if node.op == "fill" and args[0].width == node.width:
                return args[0]
            raise NotOneNumberError("puts it into a row as one number")
        args = tuple(as_row(arg, before.width) for arg, before in pairs)
    return make(node.op, *args, value=node.value)


def substitute(root: Expr, values: Mapping[str, Expr]) -> Expr:
    """Put expressions in the place of variables."""

    def visit(node: Expr, args: tuple[Expr, ...]) -> Expr:
        if node.op == "var":
            return values.get(str(node.value), node)
        return rebuild(node, args)

    return transform([root], visit)[0]


def plain(root: Expr) -> Expr:
    """The expression without declared derivatives: what it computes, and no more."""

    def visit(node: Expr, args: tuple[Expr, ...]) -> Expr:
        return args[0] if node.op == "given" else rebuild(node, args)

    return transform([root], visit, _of_value)[0]


def variables(*roots: Expr) -> set[str]:
    return {str(node.value) for node in walk(*roots) if node.op == "var"}


def evaluate(
    root: Expr, values: Mapping[str, object], after: Callable[[Expr, object], object] | None = None
) -> Any:
    """The value in NumPy float64: the oracle of generated code, and the folder of constants."""
    return evaluate_all([root], values, after)[0]


def evaluate_all(
    roots: Iterable[Expr],
    values: Mapping[str, Any],
    after: Callable[[Expr, object], object] | None = None,
) -> list[object]:
    """The values of several expressions, with what they share computed once.

    `after(node, value)` may put another value in the place of each operation's.
    """
    roots = list(roots)
    nodes = walk(*roots, into=_of_value)
    # A value is forgotten after its last use: there may be many, each an array.
    last = {arg: node for node in nodes for arg in _of_value(node)} | dict.fromkeys(roots)
    results: dict[Expr, object] = {}
    with np.errstate(all="ignore"):
        for node in nodes:
            args = [results[arg] for arg in _of_value(node)]
            for arg in set(_of_value(node)):
                if last[arg] is node:
                    del results[arg]
            if node.op == "const":
                results[node] = node.value if node.boolean else np.float64(node.value)  # type: ignore[arg-type]
            elif node.op == "vector":
                results[node] = np.array(node.value)
            elif node.op == "var":
                results[node] = np.asarray(values[str(node.value)], dtype=np.float64)[()]
            elif node.op == "host":
                results[node] = np.vectorize(node.value, otypes=[np.float64])(*args)  # type: ignore[arg-type]
            elif node.op == "given":
                results[node] = args[0]
            elif node.op in ROWS:
                carried = carried_at(node.value, values.get(LENGTH, 0))
                results[node] = ROWS[node.op].numpy(*args, *carried)
            else:
                results[node] = OPS[node.op].numpy(*args)
            if after is not None and node.args and node.op != "given":
                results[node] = after(node, results[node])
    return [results[root] for root in roots]


def _of_value(node: Expr) -> tuple[Expr, ...]:
    """What a node's value depends on: of a declared derivative, not the derivative."""
    return node.args[:1] if node.op == "given" else node.args


_INFIX = {
    "or": ("or", 1), "and": ("and", 2), "lt": ("<", 4), "le": ("<=", 4), "eq": ("==", 4),
    "add": ("+", 5), "sub": ("-", 5), "mul": ("*", 6), "div": ("/", 6), "floordiv": ("//", 6),
    "mod": ("%", 6), "pow": ("**", 8),
}  # fmt: skip
_RIGHT_BINDS_TIGHTER = {"sub", "div", "floordiv", "mod", "lt", "le", "eq"}


def show(root: Expr, limit: int = 400) -> str:
    """A readable formula in Python's notation; parts too long to repeat are cut with `...`."""
    return _shown(root, limit)[root][0]


def show_lines(root: Expr, width: int = 60) -> str:
    """As `show`; a formula of several pieces that is wider than this has a line for each piece."""
    texts = _shown(root, 400)
    text = texts[root][0]
    pieces = []
    node = root
    while node.op in ("select", "given"):
        if node.op == "select":
            condition, value = texts[node.args[0]], texts[node.args[1]]
            pieces.append(f"{_at(value, 1)} if {_at(condition, 1)}")
        node = node.args[2 if node.op == "select" else 0]
    if len(text) <= width or len(pieces) < 2:
        return text
    return "\nelse ".join([*pieces, texts[node][0]])


def _shown(root: Expr, limit: int) -> dict[Expr, tuple[str, int]]:
    """The text of each part, with how tightly it binds."""
    texts: dict[Expr, tuple[str, int]] = {}
    for node in walk(root):
        text, rank = _show_node(node, [texts[arg] for arg in node.args])
        texts[node] = (text, rank) if len(text) <= limit else ("...", 10)
    return texts


def _at(text: tuple[str, int], rank: int) -> str:
    return text[0] if text[1] >= rank else f"({text[0]})"


def _show_node(node: Expr, args: list[tuple[str, int]]) -> tuple[str, int]:
    def at(i: int, rank: int) -> str:
        return _at(args[i], rank)

    if node.op == "given":
        rules = node.args[2::2]
        stopped = all(is_const(rule, 0.0) for rule in rules)
        return (f"stop_gradient({at(0, 0)})", 10) if stopped else args[0]
    if node.op == "const":
        number = node.value
        if isinstance(number, float) and number.is_integer() and abs(number) < 1e16:
            text = "-0.0" if is_const(node, -0.0) else str(int(number))
        else:
            text = repr(number)
        return text, 7 if text.startswith("-") else 10
    if node.op == "var":
        return str(node.value), 10
    if node.op == "vector":
        numbers = [repr(number) for number in node.value]  # type: ignore[union-attr]
        shown = numbers if len(numbers) <= 6 else [*numbers[:3], "...", *numbers[-2:]]
        return f"[{', '.join(shown)}]", 10
    if node.op == "gather":
        return f"{at(0, 10)}[{at(1, 0)}]", 10
    if node.op in {"length", "position"}:
        return f"{'len' if node.op == 'length' else 'range'}({node.value})", 10
    if node.op == "slice":
        start, step, size = carried(node)
        stop = start + size * step - (step - 1)
        last = f":{step}" if step != 1 else ""
        single = f"{start}" if node.width is None else f"{start}:{stop}{last}"
        return f"{at(0, 10)}[{single}]", 10
    if node.op in _INFIX:
        sign, rank = _INFIX[node.op]
        left = rank + (node.op in {"pow", "lt", "le", "eq"})
        right = rank + (node.op in _RIGHT_BINDS_TIGHTER)
        return f"{at(0, left)} {sign} {at(1, right)}", rank
    if node.op == "neg":
        return f"-{at(0, 7)}", 7
    if node.op == "not":
        return f"not {at(0, 3)}", 3
    if node.op == "select":
        return f"{at(1, 1)} if {at(0, 1)} else {at(2, 0)}", 0
    name = getattr(node.value, "__name__", "host") if node.op == "host" else node.op
    return f"{name}({', '.join(text for text, _ in args)})", 10


_PASSES_NAN = {
    "var",
    "const",
    "neg",
    "abs",
    "floor",
    "ceil",
    "trunc",
    "round",
    "select",
    "lt",
    "le",
    "eq",
}
_WITH_A_NUMBER = {"add", "sub", "mul", "div"}


def only_passes_nan(root: Expr) -> bool:
    """Whether it is plain to see that no number, infinity included, makes a nan: as a root of -1 would."""

    def passes(node: Expr) -> bool:
        numbers = [float(arg.value) for arg in node.args if arg.op == "const"]  # type: ignore[arg-type]
        by_a_number = bool(numbers) and all(n != 0 and math.isfinite(n) for n in numbers)
        if node.op == "div":
            by_a_number = by_a_number and node.args[1].op == "const"
        return node.op in _PASSES_NAN or (node.op in _WITH_A_NUMBER and by_a_number)

    return all(map(passes, walk(root)))
