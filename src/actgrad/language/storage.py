"""Program <-> JSON: inert data, never code.

Written canonically (equal programs give equal bytes), one node a line, so that a diff can be read.
Read with bounds on everything; whatever is wrong is one `ProgramError` that names the place.
"""

from __future__ import annotations

import json
import keyword
import math
import os
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from actgrad.common.text import finite_json
from actgrad.common.types import Fields
from actgrad.errors import HostError, ProgramError
from actgrad.language import row_storage
from actgrad.language.decomposed import DECOMPOSITIONS
from actgrad.language.expression import Expr, const, make, var, variables, vector, walk
from actgrad.language.length import MOST, Length, N, read_length
from actgrad.language.limits import excess
from actgrad.language.ops import OPS
from actgrad.language.program import Program, Value
from actgrad.language.rows import ROWS

VERSION = 2
"""The newest version of the format. A program is written in the oldest version that can hold it, so
that earlier releases open what they can."""
MAX_BYTES = 4_000_000
MAX_NODES = 100_000

LONGEST_NAME = 200

_KEYS = {"actgrad", "name", "inputs", "parameters", "fixed", "kind", "value", "gradient", "nodes"}
_TRUTHS = {"and": (0, 1), "or": (0, 1), "not": (0,), "select": (0,)}


def is_name(name: object) -> bool:
    """Whether an activation may have this name."""
    return isinstance(name, str) and name.isprintable() and 0 < len(name) <= LONGEST_NAME


def to_json(program: Program) -> str:
    if program.on_host:
        raise HostError(
            f"{program.name!r} runs on the host (host=True), as Python code of this process, so it cannot "
            f"be saved.\n  Rewrite it with operations that actgrad can read, and drop host=True."
        )
    too_large = excess(program)
    if too_large:
        raise ProgramError(f"{program.name!r} is too large to be saved: {too_large}")
    nodes = walk(*program.expressions)
    index = {node: i for i, node in enumerate(nodes)}
    head = {
        "actgrad": _version(program),
        "name": program.name,
        "inputs": list(program.inputs),
        "parameters": {name: finite_json(value) for name, value in program.parameters},
        "fixed": {name: _encode_plain(value) for name, value in program.fixed},
        "kind": program.kind,
        "value": index[program.value],
        "gradient": [index[node] for node in program.gradient],
    }
    if program.axis is not None:
        head["axis"] = program.axis
    if program.vectors:
        head["vectors"] = {name: list(entries) for name, entries in program.vectors}
    if program.tables:
        head["tables"] = list(program.tables)
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    rows = (f"    {json.dumps(_row(node, index))}" for node in nodes)
    lines.append('  "nodes": [\n' + ",\n".join(rows) + "\n  ]")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _version(program: Program) -> int:
    """2 for a function of a row, where a `gradient=` rule names parameters, a parameter or a constant is a
    vector, or a special function is used, else 1."""
    newer = any(node.op in _SINCE_2 for node in walk(*program.expressions))
    newer = newer or bool(program.vectors or program.tables) or program.axis is not None
    return 2 if newer or len(program.gradient) > len(program.inputs) else 1


_SINCE_2 = {"vector", "gather", *DECOMPOSITIONS}


def _row(node: Expr, index: dict[Expr, int]) -> list[object]:
    if node.op in ROWS:
        return [node.op, *row_storage.written(node.value), *(index[arg] for arg in node.args)]
    if node.op == "var" and node.width is not None:
        return [node.op, node.value, node.width.written]
    if not node.args:
        return [node.op, finite_json(node.value)]
    return [node.op, *(index[arg] for arg in node.args)]


def _encode_plain(value: object) -> object:
    """A fixed value may be a text too, so a number that is not finite says that it is a number."""
    encoded = finite_json(value)
    return {"number": encoded} if encoded is not value else value


def from_json(text: str | bytes, source: str = "this text") -> Program:
    return _Loader(source).load(text)


def load(path: str | os.PathLike[str]) -> Program:
    """The program in a file, of which no more is read than is allowed."""
    try:
        with Path(path).open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ProgramError(f"{path!s:.200} cannot be read: {reason}") from error
    return from_json(text, source=str(path))


class _Loader:
    def __init__(self, source: str) -> None:
        self.source = source

    def fail(self, where: str, problem: str) -> NoReturn:
        raise ProgramError(f"{self.source} is not a valid activation: {where}: {problem}")

    def load(self, text: str | bytes) -> Program:
        if not isinstance(text, (str, bytes)):
            self.fail("top level", f"expected JSON text, and got {type(text).__name__}")
        if len(text) > MAX_BYTES:
            self.fail("top level", f"more than the {MAX_BYTES:,} bytes allowed")
        data = self._parse(text)
        if not isinstance(data, dict):
            self.fail("top level", f"expected an object, and got {type(data).__name__}")
        self._check_head(data)
        inputs = self._names(data["inputs"])
        parameters = self._values("parameters", data["parameters"], self._parameter)
        fixed = self._values("fixed", data["fixed"], self._plain)
        names = [*inputs, *(name for name, _ in parameters), *(name for name, _ in fixed)]
        if len(set(names)) != len(names) or not inputs:
            self.fail(
                '"inputs"', "there must be one, and no name twice among inputs and parameters"
            )
        vectors = self._vectors(data.get("vectors", {}), dict(parameters), names)
        self.tables = self._tables(data.get("tables", []), dict(parameters))
        axis = data.get("axis")
        if axis is not None and (type(axis) is not int or abs(axis) > 100):
            self.fail('"axis"', f"expected a whole number, and got {_brief(axis)}")
        self.rows = axis is not None
        program = Program(
            data["name"],
            inputs,
            parameters,
            const(0.0),
            data["kind"],
            (),
            fixed,
            vectors,
            self.tables,
            axis,
            tuple((name, N) for name in inputs) if self.rows else (),
        )
        known = {*program.arguments, *self.tables}
        known |= {program.upstream} if data["gradient"] else set()
        nodes = self._nodes(data["nodes"], known)
        value = self._reference('"value"', data["value"], nodes)
        if program.upstream in variables(value):
            self.fail('"value"', "it depends on the upstream gradient")
        if not isinstance(data["gradient"], list):
            self.fail('"gradient"', "expected a list")
        gradient = tuple(
            self._reference(f'"gradient"[{i}]', at, nodes) for i, at in enumerate(data["gradient"])
        )
        allowed = {len(inputs)} if data["kind"] == "gradient" else {0}
        if data["kind"] == "gradient" and data["actgrad"] > 1:
            allowed.add(len(program.arguments))
        if len(gradient) not in allowed:
            problem = f"{len(gradient)} given, for kind {data['kind']!r} with {len(inputs)} inputs"
            self.fail('"gradient"', problem)
        if any(node.boolean or self._is_vector(node) for node in (value, *gradient)):
            self.fail('"value"', "it is a truth value or a vector, not a number")
        self._check_shapes([(n, v) for n, v in parameters if n not in self.tables])
        program = replace(program, value=value, gradient=gradient)
        if self.rows:
            self._check_rows(program)
        too_large = excess(program)
        if too_large:
            self.fail('"nodes"', too_large)
        return program

    def _check_rows(self, program: Program) -> None:
        """That every variable has the length that it must have, and some rows fit."""
        if any(isinstance(value, tuple) for _, value in program.parameters):
            self.fail('"parameters"', "an array, in a function of a row")
        widths = {name: program.variable(name).width for name in program.arguments}
        widths[program.upstream] = program.value.width
        for node in walk(*program.expressions):
            if node.op == "var" and node.width != widths[str(node.value)]:
                self.fail('"nodes"', f"{node.value!r} is as long as {node.width or 'one number'}")
        for name, root in zip(program.reverse_only, program.gradient, strict=True):
            if root.width != widths[name]:
                self.fail('"gradient"', f"the one by {name!r} is not as long as it")
        if all(map(program.misfit, range(1, MOST))):
            self.fail('"nodes"', f"no row of up to {MOST - 1} numbers fits")

    def _parse(self, text: str | bytes) -> object:
        def pairs(items: list[tuple[str, object]]) -> Fields:
            found: Fields = {}
            for key, item in items:
                if key in found:
                    self.fail(_brief(key), "the key is there twice")
                found[key] = item
            return found

        def constant(name: str) -> NoReturn:
            self.fail(
                "top level", f'the bare word {name}; what is not finite is written "nan" or "inf"'
            )

        def integer(digits: str) -> float:
            if len(digits) > 20:
                self.fail("top level", f"an integer of {len(digits)} digits")
            return -0.0 if digits == "-0" else int(digits)

        try:
            return json.loads(
                text, object_pairs_hook=pairs, parse_constant=constant, parse_int=integer
            )
        except json.JSONDecodeError as error:
            self.fail(f"line {error.lineno}, column {error.colno}", error.msg)
        except UnicodeDecodeError as error:
            self.fail(f"byte {error.start}", "not UTF-8 text")
        except RecursionError:
            self.fail("top level", "nested too deeply")

    def _check_head(self, data: Fields) -> None:
        version = data.get("actgrad")
        if type(version) is not int or version < 1:
            self.fail('"actgrad"', f"expected the version of the format, and got {_brief(version)}")
        self.version = version
        if version > VERSION:
            self.fail(
                '"actgrad"',
                f"version {version} is newer than {VERSION}, the newest known here; upgrade",
            )
        if set(data) - ({"vectors", "tables", "axis"} if version > 1 else set()) != _KEYS:
            missing, unknown = sorted(_KEYS - set(data)), sorted(set(data) - _KEYS)
            self.fail("top level", f"missing keys {missing}, unknown keys {_brief(unknown)}")
        name = data["name"]
        if not is_name(name):
            self.fail(
                '"name"',
                f"expected a text of 1 to {LONGEST_NAME} printable characters, and got {_brief(name)}",
            )
        if data["kind"] not in ("exact", "derivative", "surrogate", "gradient"):
            self.fail('"kind"', f"unknown kind {_brief(data['kind'])}")

    def _names(self, names: object) -> tuple[str, ...]:
        if not isinstance(names, list) or len(names) > 100:
            self.fail('"inputs"', "expected a short list of names")
        return tuple(self._name('"inputs"', name) for name in names)

    def _name(self, where: str, name: object) -> str:
        valid = isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name)
        # Python reads every name in this normal form, so another one could not be given by keyword.
        normal = unicodedata.normalize("NFKC", str(name))
        if not valid or name != normal or normal == "__debug__" or len(normal) > 200:
            self.fail(where, f"{_brief(name)} is not a Python name")
        return normal

    def _values(
        self, key: str, values: object, read: Callable[[str, object], object]
    ) -> tuple[tuple[str, Any], ...]:
        if not isinstance(values, dict) or len(values) > 1000:
            self.fail(f'"{key}"', "expected an object of names and values")
        return tuple(
            (self._name(f'"{key}"', name), read(f'"{key}".{name}', item))
            for name, item in values.items()
        )

    def _vectors(
        self, vectors: object, parameters: dict[str, object], names: list[str]
    ) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Names of vectors, which nothing else has, and of their entries, which are parameters."""
        if not isinstance(vectors, dict):
            self.fail('"vectors"', "expected an object of names and lists of names")
        taken: set[str] = set()
        for name, entries in vectors.items():
            where = f'"vectors".{_brief(name)}'
            self._name('"vectors"', name)
            if name in names or not isinstance(entries, list) or not entries:
                self.fail(where, "expected a name of its own, and a list of names of parameters")
            for entry in entries:
                number = isinstance(entry, str) and isinstance(parameters.get(entry), float)
                if not number or entry in taken:
                    self.fail(where, f"{_brief(entry)} is no parameter that is free")
                taken.add(entry)
        return tuple((name, tuple(entries)) for name, entries in vectors.items())

    def _tables(self, names: object, parameters: dict[str, object]) -> tuple[str, ...]:
        if not isinstance(names, list):
            self.fail('"tables"', "expected a list of names")
        for name in names:
            known = isinstance(name, str) and isinstance(parameters.get(name), tuple)
            if not known or names.count(name) > 1:
                self.fail(
                    '"tables"', f"{_brief(name)} is no parameter that is a list, or is there twice"
                )
        return tuple(names)

    def _is_vector(self, node: Expr) -> bool:
        return node.op == "vector" or (node.op == "var" and node.value in self.tables)

    def _parameter(self, where: str, value: object) -> Value:
        """A number, or an array: nested lists of one length at each level, with at least one number."""
        found = self._number(where, value)
        try:
            size = np.size(found)
        except ValueError:
            self.fail(where, "the lists of an array must have the same length at each level")
        if not size:
            self.fail(where, "an array without a number in it")
        return found

    def _check_shapes(self, parameters: list[tuple[str, Value]]) -> None:
        shapes = {name: np.shape(value) for name, value in parameters if isinstance(value, tuple)}
        try:
            np.broadcast_shapes(*shapes.values())
        except ValueError:
            shown = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            self.fail('"parameters"', f"their shapes do not broadcast: {shown[:200]}")

    def _number(self, where: str, value: object, depth: int = 0) -> Value:
        if isinstance(value, list):
            if depth > 8:
                self.fail(where, "nested too deeply")
            return tuple(self._number(where, item, depth + 1) for item in value)
        if isinstance(value, str) and value in ("nan", "inf", "-inf"):
            return float(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.fail(where, f"expected a number, and got {_brief(value)}")
        number = float(value)
        if not math.isfinite(number):
            self.fail(where, "a number beyond the range of float64")
        return number

    def _element(self, where: str, value: object) -> float:
        if isinstance(value, list):
            self.fail(where, f"expected a number, and got {_brief(value)}")
        return float(self._number(where, value))  # type: ignore[arg-type]

    def _plain(self, where: str, value: object) -> float | bool | str | None:
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        if isinstance(value, dict) and set(value) == {"number"}:
            return self._number(where, value["number"])  # type: ignore[return-value]
        self.fail(where, f"expected a plain value, and got {_brief(value)}")

    def _nodes(self, rows: object, names: set[str]) -> list[Expr]:
        if not isinstance(rows, list) or not 0 < len(rows) <= MAX_NODES:
            self.fail('"nodes"', f"expected a list of 1 to {MAX_NODES:,} nodes")
        nodes: list[Expr] = []
        for i, row in enumerate(rows):
            nodes.append(self._node(f'"nodes"[{i}]', row, nodes, names))
        return nodes

    def _node(self, where: str, row: object, nodes: list[Expr], names: set[str]) -> Expr:
        if not isinstance(row, list) or not row or not isinstance(row[0], str):
            self.fail(where, f"expected [operation, arguments...], and got {_brief(row)}")
        op, args = row[0], row[1:]
        if op in ROWS and self.rows:
            return self._row(where, op, args, nodes)
        if op == "var":
            name, *length = args or [None]
            if not isinstance(name, str) or name not in names or len(length) > self.rows:
                self.fail(where, f"no input or parameter is called {_brief(args)}")
            return var(name, *(self._length(where, written) for written in length))
        if op == "const":
            if len(args) != 1 or isinstance(args[0], list):
                self.fail(where, "expected one number")
            return const(args[0] if isinstance(args[0], bool) else self._number(where, args[0]))  # type: ignore[arg-type]
        if op == "vector" and self.version >= 2:
            if len(args) != 1 or not isinstance(args[0], list) or not args[0]:
                self.fail(where, "expected a list of numbers")
            return vector(self._element(where, item) for item in args[0])
        if op not in OPS or op == "host" or (op in _SINCE_2 and self.version < 2):
            self.fail(where, f"unknown operation {_brief(op)}")
        parts = [self._reference(where, at, nodes) for at in args]
        if op == "given":
            if len(parts) < 3 or len(parts) % 2 == 0:
                self.fail(where, "`given` takes a value and pairs of an input and a derivative")
        elif len(parts) != OPS[op].arity:
            self.fail(where, f"{op} takes {OPS[op].arity} arguments, and got {len(parts)}")
        for i, part in enumerate(parts):
            expected = i in _TRUTHS.get(op, ())
            if self._is_vector(part) != (op == "gather" and i == 0):
                kind = "vector" if op == "gather" and i == 0 else "number, not a vector"
                self.fail(where, f"argument {i} of {op} must be a {kind}")
            if part.boolean != expected:
                kind = "truth value" if expected else "number"
                self.fail(where, f"argument {i} of {op} must be a {kind}")
        return make(op, *parts)

    def _row(self, where: str, op: str, args: list[object], nodes: list[Expr]) -> Expr:
        """An operation on a row, with what it carries before its arguments."""
        try:
            carried, args = row_storage.carried(op, args)
            return row_storage.made(op, [self._reference(where, at, nodes) for at in args], carried)
        except ValueError as error:
            self.fail(where, str(error))

    def _length(self, where: str, written: object) -> Length:
        try:
            return read_length(written)
        except ValueError as error:
            self.fail(where, f"{_brief(written)}: {error}")

    def _reference(self, where: str, at: object, nodes: list[Expr]) -> Expr:
        if type(at) is not int or not 0 <= at < len(nodes):
            self.fail(where, f"{_brief(at)} is not the number of an earlier node")
        return nodes[at]


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
