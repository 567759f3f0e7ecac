"""Operations on rows in a file: what they carry is written before their arguments. Raises `ValueError`."""

from __future__ import annotations

from collections.abc import Sequence

from actgrad.language.expression import Expr, Payload, make
from actgrad.language.length import Length, bounded, read_length
from actgrad.language.rows import ROWS, WHOLE, is_order

_CARRIED = {"slice": 3, "place": 3, "fill": 1, "length": 1, "position": 1}
"""How many numbers an operation carries."""


def written(value: object) -> list[object]:
    if value is None:
        return []
    parts = value if isinstance(value, tuple) else (value,)
    return [[part.written if isinstance(part, Length) else part for part in parts]]


def carried(op: str, args: list[object]) -> tuple[Payload, list[object]]:
    """What an operation carries, and its arguments."""
    size = _CARRIED.get(op)
    if size is None:
        return None, args
    if not args or not isinstance(args[0], list) or len(args[0]) != size:
        raise ValueError(f"{op} carries {size} numbers first")
    parts, rest = args[0], args[1:]
    if size == 1:
        return read_length(parts[0]), rest
    start, step, length = parts
    if type(step) is not int or not 0 < step <= 10**6:
        raise ValueError(f"a step of {step!r:.60}")
    return (read_length(start), step, read_length(length)), rest


def made(op: str, parts: Sequence[Expr], value: Payload) -> Expr:
    arity = len(ROWS[op].arguments.split())
    if (len(parts) != arity) if op != "concat" else len(parts) < 2:
        raise ValueError(f"{op} takes {arity} arguments, and got {len(parts)}")
    for part in parts:
        if part.boolean or part.op == "vector" or (op in WHOLE and part.width is None):
            raise ValueError(f"an argument of {op} must be a {'row' if op in WHOLE else 'number'}")
    if op == "fill" and parts[0].width is not None:
        raise ValueError("fill takes one number, and got a row")
    if op == "take" and not is_order(parts[1]):
        raise ValueError("take is by an order alone")
    node = make(op, *parts, value=value)
    if op == "place" and node.width is None:
        raise ValueError("place makes a row, and got the length of one number")
    if node.width is not None:
        bounded(node.width)
    return node
