"""Program files that are JSON, with faults in one field or in the graph: each is refused with a
`ProgramError`, or runs in every framework with the value that the formula has in NumPy.

`python -m tests.fuzz.mutants COUNT SEED` prints what came of them as JSON. Nothing is timed: the work of
a file is the number of nodes that are made for it.
"""

from __future__ import annotations

import copy
import json
import random
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import CodeType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tensorflow as tf
import torch

from actgrad.activation import Activation
from actgrad.codegen.emit import identifier
from actgrad.errors import ProgramError
from actgrad.language import expression, storage
from actgrad.language.length import MOST
from actgrad.language.ops import OPS
from actgrad.language.program import Program
from actgrad.language.rows import ROWS
from tests.agreement import rounding
from tests.fuzz.files import CARRYING, originals

AT = np.array([-30.0, -2.5, -1.0, -0.75, -0.0, 0.0, 0.3, 1.0, 2.5, 7.0])
ROW_COUNT = 3
MOST_NODES_MADE = 200_000
"""For one file, with its derivatives and its code in four frameworks."""

NAMES: list[Any] = [
    "x",
    "y",
    "a",
    "upstream",
    "np",
    "torch",
    "class",
    "__debug__",
    "ﬁ",
    "x ",
    3,
    None,
]
NUMBERS: list[Any] = [
    0, 1, -1, 2, 3.5, -0.0, 1e308, 5e-324, 1e-9, 10**18, 10**19, "nan", "inf", "-inf", True, False,
    None, "1", [], [1.0], {"number": "inf"}, {"number": 2}, {"number": [1.0, 2.0]}, {"x": 1},
]  # fmt: skip
ARRAYS: list[Any] = [
    [], [[]], [1.0], [1.0, 2.0], [1.0, 2.0, 3.0], [[1.0], [2.0]], [[1.0, 2.0], [3.0]], [1.0, [2.0]],
    [[1.0, 2.0, 3.0]], [1.0, True], [1.0, "nan"], [1.0, "x"], [[[[[[[[[[1.0]]]]]]]]]],
]  # fmt: skip
OPERATIONS = [*OPS, *ROWS, "vector", "const", "var", "where", ""]
LENGTHS: list[Any] = [
    [1, 0], [0, 1], [0, 2], [1, -1], [0, 0], [2, 0], [0, 0, [1, 1, 0, 2]], [0, 0, [1, 1, 1, 2]],
    [-1, 3], [0, 10**6], [0, 10**9], [1], [1, 0, [1, 1, 0, 0]], [True, 0], 3, None, "n",
]  # fmt: skip


# Mutations: of one field, or of the graph.


def in_a_field(data: dict[str, Any], chance: random.Random) -> None:
    key = chance.choice(list(data))
    if chance.random() < 0.05:
        key = chance.choice(["axis", "tables", "vectors"])
    if key in ("inputs", "parameters", "fixed") and chance.random() < 0.9:
        _in_names(data, key, chance)
    elif key == "nodes":
        in_the_graph(data, chance)
    elif key == "gradient" and chance.random() < 0.7:
        size = chance.choice(
            [len(data["inputs"]), len(data["inputs"]) + len(data["parameters"]), 1]
        )
        data[key] = [chance.randrange(len(data["nodes"])) for _ in range(size)]
        data["kind"] = chance.choice(["gradient", data["kind"]])
    elif key == "name":
        data[key] = chance.choice(
            ["", "a" * 201, "größe", "a\nb", '"""', "\ud800", "def", "x", 1, None]
        )
    elif key == "axis":
        data[key] = chance.choice([-1, 0, 1, -2, 3, 101, 10**9, True, 1.0, "-1", None])
    elif key in ("tables", "vectors"):
        names = chance.sample([*data["parameters"], *data["inputs"], *NAMES[:4]], 2)
        data[key] = chance.choice([[], {}, names, names[:1], {"c": names}, {names[0]: names[1:]}])
        data["actgrad"] = 2
    elif key == "kind":
        data[key] = chance.choice(["exact", "derivative", "surrogate", "gradient", "none", None])
    elif key == "value" and data["nodes"]:
        data[key] = chance.choice([chance.randrange(len(data["nodes"])), -1, True, 1.0, "0", None])
    else:
        data[key] = chance.choice([*NUMBERS, *ARRAYS, *NAMES])


def _in_names(data: dict[str, Any], key: str, chance: random.Random) -> None:
    if key == "inputs":
        data[key] = chance.choice(
            [[], ["x", "x"], [*data[key], chance.choice(NAMES)], data[key][:-1]]
        )
        return
    name = chance.choice([*data[key], *data["inputs"], chance.choice(NAMES)])
    data[key][str(name)] = chance.choice(NUMBERS + (ARRAYS if key == "parameters" else []))


def in_the_graph(data: dict[str, Any], chance: random.Random) -> None:
    nodes = data["nodes"]
    at = chance.randrange(len(nodes))
    row = nodes[at]
    kind = chance.randrange(8)
    if row[0] in CARRYING and chance.random() < 0.5:
        row[1][chance.randrange(len(row[1]))] = chance.choice([*LENGTHS, 1, 2, 0, -1])
    elif kind == 0:
        row[0] = chance.choice(OPERATIONS)
    elif kind == 1 and len(row) > 1:
        row[chance.randrange(1, len(row))] = chance.choice(
            [*range(max(at, 1)), *NUMBERS[:5], at, -1]
        )
    elif kind == 2:
        row.append(chance.choice([chance.randrange(max(at, 1)), *NUMBERS[:4]]))
    elif kind == 3 and len(row) > 1:
        del row[-1]
    elif kind == 4:
        nodes[at] = ["const", chance.choice([*NUMBERS, *ARRAYS])]
    elif kind == 5:
        names = [*data["inputs"], *data["parameters"], *data["fixed"], "upstream", *NAMES]
        nodes[at] = ["var", chance.choice(names)]
        if "axis" in data and chance.random() < 0.8:
            nodes[at].append(chance.choice(LENGTHS[:3]))
    elif kind == 6:
        nodes.append(_operation(len(nodes), data, chance))
        _root(data, len(nodes) - 1)
    else:
        nodes[at] = _operation(at, data, chance)


def _on_row(at: int, nodes: list[Any], chance: random.Random) -> list[Any]:
    """Any operation on rows, most often with lengths that may fit."""
    op = chance.choice(list(ROWS))
    length = chance.choice(LENGTHS[:8] if chance.random() < 0.9 else LENGTHS)
    start = chance.choice(LENGTHS[1:8])
    carried = {"slice": [start, chance.choice([1, 2, 3]), length], "fill": [length]}
    carried |= {"place": carried["slice"], "length": [length], "position": [length]}
    size = 2 if op == "concat" else len(ROWS[op].arguments.split())
    rows = [i for i in range(at) if not _is_truth(nodes[i])] or [0]
    orders = [i for i in range(at) if nodes[i][0] in ("order", "flip")] if op == "take" else []
    parts = [chance.choice(rows) for _ in range(size)]
    parts[1:] = [chance.choice(orders)] if orders else parts[1:]
    return [op, *([carried[op]] if op in CARRYING else []), *parts]


def _operation(at: int, data: dict[str, Any], chance: random.Random) -> list[Any]:
    """Any operation, most often with the right number of operands of the right kind."""
    nodes = data["nodes"]
    if "axis" in data and chance.random() < 0.5:
        return _on_row(at, data["nodes"], chance)
    op = chance.choice(list(OPS))
    boolean = [i for i in range(at) if _is_truth(nodes[i])]
    numbers = [i for i in range(at) if not _is_truth(nodes[i])]
    wanted = {"select": "bnn", "and": "bb", "or": "bb", "not": "b", "given": "nnn"}.get(
        op, "n" * OPS[op].arity
    )
    if chance.random() < 0.1:
        wanted = wanted[:-1] + chance.choice(["", "b", "nn"])
    return [op, *(chance.choice((boolean if kind == "b" else numbers) or [0]) for kind in wanted)]


def _is_truth(row: Any) -> bool:
    op = row[0] if isinstance(row, list) and row and isinstance(row[0], str) else ""
    return bool(op in OPS and OPS[op].boolean) or (op == "const" and isinstance(row[-1], bool))


def _root(data: dict[str, Any], at: int) -> None:
    if isinstance(data["gradient"], list) and data["gradient"]:
        data["gradient"][0] = at
    else:
        data["value"] = at


def mutant(text: str, chance: random.Random) -> str:
    data: dict[str, Any] = copy.deepcopy(json.loads(text))
    for _ in range(chance.choice([1, 1, 1, 2, 3, 6])):
        try:
            chance.choice([in_a_field, in_the_graph, in_the_graph])(data, chance)
        except (TypeError, IndexError, AttributeError, ValueError, KeyError):
            break  # an earlier mutation left nothing to do here
    return json.dumps(data)


# What each framework makes of it.


class Question:
    """A program, the columns that it is asked at, and the answers of its formula with their tolerance."""

    def __init__(self, program: Program) -> None:
        self.program = program
        axis, common = program.axis, _common(program)
        if axis is None:
            shape = (len(AT), *[1] * len(common))
            self.columns = [np.roll(AT, 3 * i).reshape(shape) for i in range(len(program.inputs))]
            self.given = self.columns
        else:
            size = next(n for n in [5, 6, *range(1, MOST)] if program.misfit(n) is None)
            self.columns = [
                np.stack(
                    [np.resize(np.roll(AT, 3 * i + 4 * row), size) for row in range(ROW_COUNT)]
                )
                for i in range(len(program.inputs))
            ]
            shape = (ROW_COUNT, *[1] * (max(2, axis + 1, -axis) - 2), size)
            self.given = [np.moveaxis(x.reshape(shape), -1, axis) for x in self.columns]
        # A gradient by an input is summed over the axes that a parameter adds.
        self.names = () if common else program.inputs
        value = _expected(program, self.columns)
        self.ones = np.ones_like(value.value if axis is not None else self.columns[0])
        slopes = (_expected(program.vjp(name), [*self.columns, self.ones]) for name in self.names)
        self.expected = [value, *slopes]

    def differences(self, answers: list[Any]) -> list[str]:
        found = []
        for name, wanted, got in zip(("value", *self.names), self.expected, answers, strict=False):
            got = np.broadcast_to(self.as_columns(got, name), np.shape(wanted.value))
            with np.errstate(all="ignore"):
                off = ~(np.abs(got - wanted.value) <= wanted.tolerance) & wanted.finite
                other = wanted.special & ~(
                    (got == wanted.value) | (np.isnan(got) & np.isnan(wanted.value))
                )
            if name != "value":
                other = np.zeros_like(off)  # where a value is infinite or missing, so is its slope
            for i in np.flatnonzero(off | other)[:1]:
                found.append(f"{name}: {got.flat[i]!r}, and should be {wanted.value.flat[i]!r}")
        return found

    def as_columns(self, got: Any, name: str) -> Any:
        """An answer of a function of rows, whose axis may be anywhere, as the formula has it."""
        axis = self.program.axis
        if axis is None:
            return got
        gone = name == "value" and self.program.squeezes
        return (got if gone else np.moveaxis(got, axis, -1)).reshape(ROW_COUNT, -1)


def _common(program: Program) -> tuple[int, ...]:
    """The shape of the parameters that are arrays, without the tables, which are read at an index."""
    return np.broadcast_shapes(
        *(np.shape(value) for name, value in program.parameters if name not in program.tables)
    )


def _expected(program: Program, columns: list[Any]) -> rounding.Expected:
    """For each number of the parameters' arrays alone, then together."""
    common = _common(program)
    if program.axis is None:
        columns = [x.ravel() for x in columns]
    parts = []
    for at in np.ndindex(*common):
        values = tuple(
            (name, value if name in program.tables else float(np.broadcast_to(value, common)[at]))
            for name, value in program.parameters
        )
        one = replace(program, parameters=values)
        answer = np.atleast_1d(one.evaluate(*columns))
        full = AT.shape if program.axis is None else (ROW_COUNT, answer.shape[-1])
        answer = np.broadcast_to(answer, full)
        parts.append(rounding.expected(one, columns, rounding.FORMATS["float64"], answer))

    def together(field: str) -> Any:
        return np.stack([getattr(part, field) for part in parts], -1).reshape(*full, *common)

    return rounding.Expected(*map(together, ("value", "tolerance", "finite", "special")))


def in_numpy(asked: Question) -> list[Any]:
    value = Activation(asked.program)(*asked.given)
    if asked.program.axis is not None:
        return [value]  # NumPy has no upstream gradient
    slopes = [Activation(asked.program.vjp(name)) for name in asked.names]
    return [value, *(slope(*asked.columns, asked.ones) for slope in slopes)]


def in_torch(asked: Question) -> list[Any]:
    at = [torch.tensor(x).requires_grad_(bool(asked.names)) for x in asked.given]
    value = Activation(asked.program)(*at)
    slopes = torch.autograd.grad(
        value.sum(), at, allow_unused=True, materialize_grads=True
    ) if asked.names else ()  # fmt: skip
    return [x.detach().numpy() for x in (value, *slopes)]


def in_tensorflow(asked: Question) -> list[Any]:
    at = [tf.constant(x) for x in asked.given]
    with tf.GradientTape() as tape:
        tape.watch(at)
        value = Activation(asked.program)(*at)
    slopes = tape.gradient(value, at, unconnected_gradients="zero") if asked.names else ()
    return [x.numpy() for x in (value, *slopes)]


def in_jax(asked: Question) -> list[Any]:
    with jax.enable_x64(True), jax.disable_jit():
        at = [jnp.asarray(x) for x in asked.given]
        if not asked.names:
            return [np.asarray(Activation(asked.program)(*at))]
        value, pull = jax.vjp(Activation(asked.program), *at)
        return [np.asarray(x) for x in (value, *pull(jnp.ones_like(value)))]


FRAMEWORKS: dict[str, Callable[[Question], list[Any]]] = {
    "numpy": in_numpy,
    "torch": in_torch,
    "tensorflow": in_tensorflow,
    "jax": in_jax,
}


@contextmanager
def counted() -> Iterator[list[int]]:
    """How many nodes are asked for inside."""
    made, intern = [0], expression._intern

    def count(*content: Any) -> Any:
        made[0] += 1
        return intern(*content)

    expression._intern = count  # type: ignore[assignment]
    try:
        yield made
    finally:
        expression._intern = intern


def fault(text: str, load: Callable[[str], Program] = storage.from_json) -> str | None:
    """What is wrong with how this file is taken; None if nothing is, "" for a refusal."""
    with counted() as made:
        try:
            program = load(text)
        except ProgramError as error:
            return (
                "" if 0 < len(str(error)) < 1000 else f"a message of {len(str(error))} characters"
            )
        except Exception as error:
            return f"loading: {type(error).__name__}: {error}"
        where = "asking"
        try:
            f = Activation(program)
            asked = Question(program)
            found = []
            for where, run in FRAMEWORKS.items():
                if program.axis is None:  # there is no stand-alone file of a function of rows
                    source = compile(f.source(where), where, "exec")
                    if where == "numpy":
                        _run_alone(source, asked)
                found += [f"{where}: {one}" for one in asked.differences(run(asked))]
            where = "the second derivative"
            for name in () if program.gradient else program.inputs:
                _second_derivative(asked, name)
            where = "showing"
            repr(f)
            f.supports()
            where = "saving"
            if storage.from_json(f.to_json()) != program:
                found.append("written and read again")
        except Exception as error:
            return f"{where}: {type(error).__name__}: {error}"
    if made[0] > MOST_NODES_MADE:
        found.append(f"{made[0]:,} nodes made")
    return "; ".join(found) or None


def _second_derivative(asked: Question, name: str) -> None:
    if asked.program.axis is None:
        asked.program.partial(name).partial(name).evaluate(*asked.columns)
    else:
        again = asked.program.vjp(name).vjp(name)
        again.evaluate(*asked.columns, asked.ones, np.ones_like(asked.columns[0]))


def _run_alone(source: CodeType, asked: Question) -> None:
    """The stand-alone file, in a module of its own."""
    own: dict[str, Any] = {"__name__": "alone"}
    exec(source, own)
    name = identifier(asked.program.name)
    (own.get(name) or own[f"{name}_"])(*asked.given)


def run(count: int, seed: int) -> dict[str, Any]:
    chance = random.Random(seed)
    texts, tally, faults = originals(), Counter[str](), []

    def take(text: str) -> None:
        found = fault(text)
        tally["loaded" if found is None else "refused" if found == "" else "faults"] += 1
        if found:
            faults.append(f"{found}: {text}")

    for text in texts:
        take(text)
    seen: set[str] = set()
    while len(seen) < count:
        text = mutant(chance.choice(texts), chance)
        if text not in seen:
            seen.add(text)
            take(text)
            if len(seen) % 500 == 0:
                jax.clear_caches()
    return {"loaded": 0, "refused": 0, "faults": 0, **tally, "what": faults[:20]}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps(run(int(sys.argv[1]), int(sys.argv[2]))))
