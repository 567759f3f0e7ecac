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
from actgrad.language.ops import OPS
from actgrad.language.program import Program
from tests.agreement import rounding
from tests.fuzz.files import originals

AT = np.array([-30.0, -2.5, -1.0, -0.75, -0.0, 0.0, 0.3, 1.0, 2.5, 7.0])
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
OPERATIONS = [*OPS, "vector", "const", "var", "where", ""]


# Mutations: of one field, or of the graph.


def in_a_field(data: dict[str, Any], chance: random.Random) -> None:
    key = chance.choice(list(data))
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
    if kind == 0:
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
    elif kind == 6:
        _root(data, _append(nodes, chance))
    else:
        nodes[at] = _operation(at, nodes, chance)


def _append(nodes: list[Any], chance: random.Random) -> int:
    nodes.append(_operation(len(nodes), nodes, chance))
    return len(nodes) - 1


def _operation(at: int, nodes: list[Any], chance: random.Random) -> list[Any]:
    """Any operation, most often with the right number of operands of the right kind."""
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
        common = np.broadcast_shapes(*(np.shape(value) for _, value in program.parameters))
        shape = (len(AT), *[1] * len(common))
        self.columns = [np.roll(AT, 3 * i).reshape(shape) for i in range(len(program.inputs))]
        self.ones = np.ones(shape)
        # A gradient by an input is summed over the axes that a parameter adds.
        self.names = () if common else program.inputs
        slopes = (_expected(program.vjp(name), common, upstream=True) for name in self.names)
        self.expected = [_expected(program, common), *slopes]

    def differences(self, answers: list[Any]) -> list[str]:
        found = []
        for name, wanted, got in zip(("value", *self.names), self.expected, answers, strict=True):
            got = np.broadcast_to(got, np.shape(wanted.value))
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


def _expected(
    program: Program, common: tuple[int, ...], upstream: bool = False
) -> rounding.Expected:
    """For each number of the parameters' arrays alone, then together. An upstream gradient, which is the
    last input, is 1."""
    columns = [np.roll(AT, 3 * i) for i in range(len(program.inputs))]
    if upstream:
        columns[-1] = np.ones_like(AT)
    parts = []
    for at in np.ndindex(*common):
        values = tuple(
            (name, float(np.broadcast_to(value, common)[at])) for name, value in program.parameters
        )
        one = replace(program, parameters=values)
        answer = np.broadcast_to(one.evaluate(*columns), AT.shape)
        parts.append(rounding.expected(one, columns, rounding.FORMATS["float64"], answer))

    def together(field: str) -> Any:
        return np.stack([getattr(part, field) for part in parts], -1).reshape(*AT.shape, *common)

    return rounding.Expected(*map(together, ("value", "tolerance", "finite", "special")))


def in_numpy(asked: Question) -> list[Any]:
    f = Activation(asked.program)
    slopes = [Activation(asked.program.vjp(name)) for name in asked.names]
    return [f(*asked.columns), *(slope(*asked.columns, asked.ones) for slope in slopes)]


def in_torch(asked: Question) -> list[Any]:
    at = [torch.tensor(column).requires_grad_(bool(asked.names)) for column in asked.columns]
    value = Activation(asked.program)(*at)
    slopes = torch.autograd.grad(
        value.sum(), at, allow_unused=True, materialize_grads=True
    ) if asked.names else ()  # fmt: skip
    return [x.detach().numpy() for x in (value, *slopes)]


def in_tensorflow(asked: Question) -> list[Any]:
    at = [tf.constant(column) for column in asked.columns]
    with tf.GradientTape() as tape:
        tape.watch(at)
        value = Activation(asked.program)(*at)
    slopes = tape.gradient(value, at, unconnected_gradients="zero") if asked.names else ()
    return [x.numpy() for x in (value, *slopes)]


def in_jax(asked: Question) -> list[Any]:
    with jax.enable_x64(True), jax.disable_jit():
        at = [jnp.asarray(column) for column in asked.columns]
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
                source = compile(f.source(where), where, "exec")
                if where == "numpy":
                    _run_alone(source, asked)
                found += [f"{where}: {one}" for one in asked.differences(run(asked))]
            where = "the second derivative"
            if not program.gradient:
                for name in program.inputs:
                    program.partial(name).partial(name).evaluate(*asked.columns)
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


def _run_alone(source: CodeType, asked: Question) -> None:
    """The stand-alone file, in a module of its own."""
    own: dict[str, Any] = {"__name__": "alone"}
    exec(source, own)
    name = identifier(asked.program.name)
    (own.get(name) or own[f"{name}_"])(*asked.columns)


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
