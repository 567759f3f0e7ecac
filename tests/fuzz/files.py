"""Program files with random faults: each is refused with a `ProgramError`, or loads to what its text says.

`python -m tests.fuzz.files COUNT SEED SHARE` prints what came of them as JSON, in a process whose memory
is its own; SHARE is the size of the largest, of what is allowed.
"""

from __future__ import annotations

import copy
import json
import math
import random
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np

from actgrad import Activation, activation, activations, surrogates
from actgrad.errors import ActgradWarning, ProgramError
from actgrad.language import storage
from actgrad.language.expression import Expr, make, var, vector
from actgrad.language.ops import OPS
from actgrad.language.program import Program
from actgrad.language.rows import ROWS
from tests.rows.functions import FUNCTIONS

LINES = 20_000, 150
"""How many lines of Python a text may take, and how many more for each of its bytes."""
COUNTED = 100_000
"""The longest text, in bytes, whose lines are counted: counting slows them ten times."""
MEGABYTES = 200
CARRYING = ("slice", "place", "fill", "length", "position")
"""Operations on rows that carry lengths before their arguments."""
STATUS = Path("/proc/self/status")


def originals() -> list[str]:
    """Files of every kind, as they are written."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ActgradWarning)
        own = [
            activation(lambda x: math.exp(x) if x < 0 else x % 2, name="branches"),
            activation(lambda x, a=1.5, b=-0.0: a * x + b, name="parameters"),
            activation(lambda x, y: max(x, y), surrogate=lambda x, y: (y, 7), name="größe"),
            activation(lambda x, a=(0.5, 0.25): x * a, name="channels"),
            activation(lambda x: max(x, 0), gradient=lambda x, g: max(g, 0), name="guided"),
            activation(lambda x, n=3: sum(x**k for k in range(n)), name="loop"),
            activation(lambda x: math.inf if x > 9 else x + math.nan, name="limits"),
            activation(lambda x, c=(0.5, 2.0): c[0] * x + c[1] * x * x, name="entries"),
            activation(
                lambda x, t=(0.5, -1.0, 2.0): t[int(min(max(x, 0), 2))] * x, name="looked_up"
            ),
            activation(lambda x: math.erf(x) * math.lgamma(3.5 + x * x), name="special"),
            activation(lambda x: np.max(x) - x, axis=-1, gradient=lambda x, g: g * x, name="ruled"),
        ]
        own += [activation(f, axis=-1) for f in FUNCTIONS.values()]
    catalogue = [getattr(module, n) for module in (activations, surrogates) for n in module.ENTRIES]
    looked_up = make("gather", vector([0.5, math.inf, -0.0]), make("neg", var("x")))
    own.append(Activation(Program("table", ("x",), (), looked_up)))
    return [f.to_json() for f in [*own, *catalogue[::5]]]


# Faults in the text.

PIECES = [
    "", "0", "-1", "1e999", "-0.0", "NaN", "Infinity", '"nan"', "null", "true", "[]", "{}", '"x"',
    "9" * 30, "0.1", "1", "2", ",", ":", "[", "]", "{", "}", '"', "\\", "\x00", "\ufeff", "é", "\ud800",
    "[" * 5000, '{"a":' * 5000, "1" * 5000, " " * 5000, '"' + "a" * 5000 + '"',
]  # fmt: skip


def garbled(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text) + 1)
    kind = chance.randrange(7)
    if kind == 0:
        return text[:at] + chance.choice(PIECES) + text[at:]
    if kind == 1:
        return text[:at] + text[at + chance.randrange(1, 9) :]
    if kind == 2:
        return text[:at]
    if kind == 3:
        return text[:at] + chance.choice(PIECES) + text[at + chance.randrange(1, 9) :]
    lines = text.splitlines(keepends=True) or [""]
    i, j = chance.randrange(len(lines)), chance.randrange(len(lines))
    if kind == 4:
        lines[i], lines[j] = lines[j], lines[i]
    elif kind == 5:
        lines.insert(i, lines[j])
    else:
        del lines[i]
    return "".join(lines)


# Faults in the data: the text stays JSON.

VALUES: list[Any] = [
    None, True, False, 0, 1, 2, -1, 3.5, -0.0, 1e308, 5e-324, 10**18, "", "x", "nan", "inf", "-inf",
    "given", "select", "class", "a b", "x" * 300, [], {}, [0], [[]], ["var", "x"], ["const", "nan"],
    ["host", 0], {"a": 1.0}, [1, 0], [[1, 0]], [[0, 0], 2, [0, 0, [1, 1, 1, 2]]], *ROWS, *OPS,
    [[[[[[[[[[1.0]]]]]]]]]],
]  # fmt: skip


def places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in it with each of its keys."""
    keys = data.keys() if isinstance(data, dict) else range(len(data))
    for key in list(keys):
        yield data, key
        if isinstance(data[key], (dict, list)):
            yield from places(data[key])


def altered(text: str, chance: random.Random) -> str:
    data = json.loads(text)
    for _ in range(chance.choice([1, 1, 2, 4])):
        found = list(places(data)) if isinstance(data, (dict, list)) else []
        if not found:
            break
        holder, key = chance.choice(found)
        kind = chance.randrange(5)
        if kind == 0:
            holder[key] = copy.deepcopy(chance.choice(VALUES))
        elif kind == 1:
            del holder[key]
        elif kind == 2:
            other, at = chance.choice(found)
            holder[key] = copy.deepcopy(other[at])
        elif isinstance(holder, list) and kind == 3:
            holder.insert(key, copy.deepcopy(chance.choice(VALUES)))
        elif isinstance(holder[key], int):
            holder[key] += chance.choice([-2, -1, 1, 2])
    return json.dumps(data, indent=chance.choice([None, 1]))


# What a text says, read without actgrad's loader.


def number(written: Any) -> str:
    """As a text, so that nan is itself and -0.0 is not 0.0."""
    return repr(written if isinstance(written, bool) else float(written))


def same_number(loaded: Any, written: Any) -> bool:
    if isinstance(written, list):
        return (
            isinstance(loaded, tuple)
            and len(loaded) == len(written)
            and all(map(same_number, loaded, written))
        )
    return number(loaded) == number(written)


def same_length(loaded: Any, written: Any) -> bool:
    """A length, or a plain number: the same for rows of many lengths."""
    if isinstance(written, int):
        return loaded == written
    per, plus, *parts = written
    return all(
        loaded.at(n)
        == per * n + plus + sum(t * ((over * n + add) // by) for t, over, add, by in parts)
        for n in range(40)
    )


def differences(program: Program, text: str) -> list[str]:
    """In which the program is not what the text says: names, numbers, and the graph node by node."""
    data = json.loads(text)
    found = []
    if (program.name, list(program.inputs), program.kind) != (
        data["name"], data["inputs"], data["kind"],
    ):  # fmt: skip
        found.append("name, inputs or kind")
    rows = (program.axis, {n: list(v) for n, v in program.vectors}, list(program.tables))
    if rows != (data.get("axis"), data.get("vectors", {}), data.get("tables", [])):
        found.append("axis, vectors or tables")
    if [n for n, _ in program.parameters] != list(data["parameters"]):
        found.append("names of the parameters")
    written = data["parameters"].values()
    if not all(same_number(v, w) for (_, v), w in zip(program.parameters, written, strict=True)):
        found.append("values of the parameters")
    fixed = {n: v for n, v in data["fixed"].items()}
    for name, value in program.fixed:
        finite = not (isinstance(value, float) and not math.isfinite(value))
        if (value if finite else repr(value)) != fixed[name] or len(fixed) != len(program.fixed):
            found.append(f"fixed {name}")
    roots = [(program.value, data["value"]), *zip(program.gradient, data["gradient"], strict=True)]
    seen: dict[int, Expr] = {}
    todo = list(roots)
    while todo:
        expr, at = todo.pop()
        if at in seen:
            if seen[at] is not expr:
                found.append(f"node {at} is two")
            continue
        seen[at] = expr
        op, *rest = data["nodes"][at]
        if expr.op != op:
            found.append(f"node {at}: {expr.op} for {op}")
        elif op == "const":
            if number(expr.value) != number(rest[0]):
                found.append(f"node {at}: {expr.value!r} for {rest[0]!r}")
        elif op == "vector":
            if list(map(number, expr.value)) != list(map(number, rest[0])):
                found.append(f"node {at}: {expr.value!r} for {rest[0]!r}")
        elif op == "var":
            lengths = [] if expr.width is None else [expr.width]
            if expr.value != rest[0] or not all(map(same_length, lengths, rest[1:])):
                found.append(f"node {at}: {expr.value!r} for {rest[0]!r}")
        elif op in CARRYING:
            carried = expr.value if isinstance(expr.value, tuple) else (expr.value,)
            if not all(map(same_length, carried, rest[0])) or len(carried) != len(rest[0]):
                found.append(f"node {at}: {expr.value!r} for {rest[0]!r}")
            todo += zip(expr.args, rest[1:], strict=True)
        elif len(expr.args) != len(rest):
            found.append(f"node {at}: {len(expr.args)} arguments for {len(rest)}")
        else:
            todo += zip(expr.args, rest, strict=True)
    return found


# The run.


class Slow(Exception):
    pass


@contextmanager
def at_most(lines: int) -> Iterator[None]:
    """Raises `Slow` after so many lines of Python: the same on every machine, busy or not."""
    left = lines

    def count(frame: Any, event: str, _: Any) -> Any:
        nonlocal left
        left -= event == "line"
        if left < 0:
            raise Slow
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        yield
    finally:
        sys.settrace(before)


def _megabytes(key: str) -> int:
    """Of memory: VmRSS, used now, or VmHWM, the most since `_forget_the_most`; where Linux tells it."""
    if not STATUS.exists():
        return 0
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) // 1024


def _forget_the_most() -> None:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def fault(text: str | bytes, load: Callable[[Any], Program] = storage.from_json) -> str | None:
    """What is wrong with how this text was taken; None if nothing is. "" stands for a refusal."""
    _forget_the_most()
    before = _megabytes("VmRSS")
    allowed = LINES[0] + LINES[1] * len(text)
    try:
        with at_most(allowed) if len(text) <= COUNTED else nullcontext():
            program = load(text)
        most = _megabytes("VmHWM") - before
        if most > MEGABYTES:
            return f"{most} MB"
    except ProgramError as error:
        return "" if 0 < len(str(error)) < 1000 else f"a message of {len(str(error))} characters"
    except Slow:
        return f"more than {allowed} lines"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    try:
        found = differences(program, text if isinstance(text, str) else text.decode())
        if storage.from_json(storage.to_json(program)) != program:
            found.append("written and read again")
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "; ".join(found) or None


def large(share: float) -> Iterator[str]:
    """Files as large as they may be, or that share of it, each with much of one thing."""
    head = json.loads(
        storage.to_json(activation(lambda x: 1.0 * x + 2, name="f").program)
    ) | {"gradient": [], "nodes": [["var", "x"]], "value": 0}  # fmt: skip
    nodes, size = int(share * storage.MAX_NODES), int(share * (storage.MAX_BYTES - 1000))
    chain = [["var", "x"], *(["sin", i] for i in range(nodes - 1))]
    yield json.dumps({**head, "nodes": chain, "value": nodes - 1})
    yield json.dumps({**head, "nodes": [["const", i + 0.125] for i in range(nodes)]})
    yield json.dumps({**head, "nodes": [["var", "x"], ["given", *[0] * (size // 4 * 2 // 2 - 99)]]})
    row = {**head, "actgrad": 2, "axis": -1}
    doubled = [["var", "x", [1, 0]], *(["concat", i, i] for i in range(nodes - 1))]
    yield json.dumps({**row, "nodes": doubled})
    turned = [["var", "x", [1, 0]], ["order", 0], *(["flip", i + 1] for i in range(nodes // 2))]
    yield json.dumps({**row, "nodes": [*turned, *[["take", 0, nodes // 2]] * (nodes // 2 - 3)]})
    yield json.dumps({**head, "parameters": {"a": [0.5] * (size // 5 - 99)}})
    yield json.dumps({**head, "parameters": {"a": [[0.5]] * (size // 7 - 99)}})
    yield json.dumps({**head, "name": "a" * (size - 999)})
    for piece in ("[],", "{},", "0,", '"",', "1e5,"):
        yield "[" + piece * (size // len(piece)) + "0]"
    for piece in ("[", "{", '{"a":', "1", "-", '"', "\\", " ", "\x00"):
        yield piece * (size // len(piece))
    yield "{" + ",".join(f'"k{i}":0' for i in range(size // 12)) + "}"


def run(count: int, seed: int, share: float) -> dict[str, Any]:
    """What came of so many files, each another text, and of large ones: the counts, and the faults."""
    chance = random.Random(seed)
    texts, tally, faults = originals(), Counter[str](), []

    def take(text: str) -> None:
        found = fault(text if chance.random() < 0.5 else text.encode("utf-8", "surrogatepass"))
        tally["loaded" if found is None else "refused" if found == "" else "faults"] += 1
        if found:
            faults.append(f"{found}: {text[:300]!r}")

    for text in (*texts, *large(share), *large(COUNTED / storage.MAX_BYTES)):
        take(text)
    seen: set[int] = set()
    while len(seen) < count:
        text = chance.choice(texts)
        for _ in range(chance.choice([1, 1, 1, 2, 3])):
            try:
                text = chance.choice([garbled, altered])(text, chance)
            except (ValueError, RecursionError):  # no longer JSON
                text = garbled(text, chance)
        if hash(text) not in seen:
            seen.add(hash(text))
            take(text)
    return {"loaded": 0, "refused": 0, "faults": 0, **tally, "what": faults[:20]}


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))))
