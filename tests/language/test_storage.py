"""Programs as JSON: the same program back, canonical bytes, and every fault named with its place."""

from __future__ import annotations

import ast
import json
import math
import os
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import actgrad
from actgrad import activation
from actgrad.errors import ActgradWarning, HostError, ProgramError
from actgrad.language import storage
from actgrad.language.expression import const, make, var
from actgrad.language.program import Program

CASES: dict[str, Callable[[], Any]] = {
    "plain": lambda: activation(lambda x: x * math.tanh(x), name="plain"),
    "branches": lambda: activation(lambda x: math.exp(x) if x < 0 else x % 2, name="branches"),
    "parameters": lambda: activation(lambda x, a=1.5, b=-0.0: a * x + b, name="parameters"),
    "two inputs": lambda: activation(lambda x, y: max(x, y), name="two"),
    "derivative": lambda: activation(lambda x: x * x, derivative=lambda x: 2 * x, name="square"),
    "surrogate": lambda: activation(lambda x: x // 1, surrogate=lambda x: 1.0, name="steps"),
    "gradient": lambda: activation(
        lambda x: max(x, 0), gradient=lambda x, g: max(g, 0), name="guided"
    ),
    "infinities": lambda: activation(lambda x: math.inf if x > 9 else x + math.nan, name="limits"),
    "smallest": lambda: activation(lambda x: x + 5e-324 + 0.1 + 1e308 * 1.7, name="smallest"),
    "a loop's length": lambda: activation(lambda x, n=3: sum(x**k for k in range(n)), name="loop"),
    "array": lambda: activation(lambda x, a=(0.5, 0.25): x * a, name="channels"),
    "unicode": lambda: activation(lambda x, α=2.0: α * x, name="größe"),
}


def made(case: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ActgradWarning)
        return CASES[case]()


@pytest.mark.parametrize("case", CASES)
def test_what_comes_back_is_equal(case: str) -> None:
    f = made(case)
    back = actgrad.from_json(f.to_json())
    assert back == f
    assert hash(back) == hash(f)
    assert back.program.value is f.program.value


@pytest.mark.parametrize("case", CASES)
def test_equal_programs_give_equal_bytes(case: str) -> None:
    text = made(case).to_json()
    assert made(case).to_json() == text
    assert actgrad.from_json(text).to_json() == text
    assert actgrad.from_json(text.encode()).to_json() == text


def test_the_order_of_what_was_written_before_leaves_no_trace() -> None:
    first = activation(lambda x: math.sin(x) + math.cos(x), name="f").to_json()
    activation(lambda x: math.cos(x) * math.sin(x) - math.tan(x))
    assert activation(lambda x: math.sin(x) + math.cos(x), name="f").to_json() == first


def test_a_line_is_a_node() -> None:
    text = activation(lambda x: x * 2.5, name="double").to_json()
    assert '    ["const", 2.5]' in text
    assert json.loads(text)["actgrad"] == 1


# Faults: each is made in the text of this program.

TEXT = Program("f", ("x",), (("a", 1.0),), make("mul", make("sin", var("x")), var("a")))
GOOD = json.loads(storage.to_json(TEXT))


def changed(**changes: Any) -> str:
    return json.dumps({**GOOD, **changes})


def nodes(*rows: Any) -> str:
    return changed(nodes=list(rows), value=len(rows) - 1)


def of_rows(*rows: Any) -> str:
    return changed(actgrad=2, axis=-1, parameters={}, nodes=[ROW, *rows], value=len(rows))


X = ["var", "x"]
ROW = ["var", "x", [1, 0]]
FAULTS = {
    "empty": ("", "line 1, column 1"),
    "truncated": (storage.to_json(TEXT)[:80], "line"),
    "not utf-8": (b'{"name": "\xff"}', "byte 10"),
    "a list": ("[]", "expected an object, and got list"),
    "a number": ("3", "expected an object, and got int"),
    "a bare NaN": (changed(parameters={"a": math.nan}), "the bare word NaN"),
    "a bare Infinity": (changed(nodes=[["const", -math.inf]], value=0), "the bare word -Infinity"),
    "a key twice": ('{"actgrad": 1, "actgrad": 1}', "'actgrad': the key is there twice"),
    "a huge integer": (changed(value=10**30), "an integer of 31 digits"),
    "deep nesting": ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
    "a newer version": (changed(actgrad=99), f"version 99 is newer than {storage.VERSION}"),
    "a gradient of a parameter in version 1": (
        changed(kind="gradient", gradient=[0, 0]),
        "2 given, for kind 'gradient' with 1 inputs",
    ),
    "a gradient too many in version 2": (
        changed(actgrad=2, kind="gradient", gradient=[0, 0, 0]),
        "3 given, for kind 'gradient' with 1 inputs",
    ),
    "vectors in version 1": (changed(vectors={"v": ["a"]}), "unknown keys ['vectors']"),
    "vectors that are a list": (changed(actgrad=2, vectors=[["a"]]), '"vectors"'),
    "a vector without entries": (changed(actgrad=2, vectors={"v": []}), '"vectors"'),
    "a vector called as an input": (changed(actgrad=2, vectors={"x": ["a"]}), '"vectors"'),
    "a vector of what is no parameter": (changed(actgrad=2, vectors={"v": ["x"]}), '"vectors"'),
    "an entry of two vectors": (
        changed(actgrad=2, vectors={"v": ["a"], "w": ["a"]}),
        "'a' is no parameter that is free",
    ),
    "a vector that is code": (changed(actgrad=2, vectors={"a b": ["a"]}), "is not a Python name"),
    "no version": (changed(actgrad=None), '"actgrad"'),
    "a true version": (changed(actgrad=True), '"actgrad"'),
    "an unknown key": (changed(more=1), "unknown keys ['more']"),
    "a missing key": (json.dumps({k: v for k, v in GOOD.items() if k != "nodes"}), "['nodes']"),
    "a name of another type": (changed(name=3), '"name"'),
    "an empty name": (changed(name=""), '"name"'),
    "an unknown kind": (changed(kind="guess"), "unknown kind 'guess'"),
    "a kind that is a list": (changed(kind=[]), '"kind"'),
    "no inputs": (changed(inputs=[]), '"inputs"'),
    "inputs that are a text": (changed(inputs="x"), '"inputs"'),
    "an input twice": (changed(inputs=["x", "x"]), '"inputs"'),
    "an input that is a parameter": (changed(inputs=["x", "a"]), '"inputs"'),
    "an input that is code": (changed(inputs=["x); import os; (x"]), "is not a Python name"),
    "an input that is a keyword": (changed(inputs=["lambda"]), "'lambda' is not a Python name"),
    "a parameter that is a text": (changed(parameters={"a": "1.0"}), '"parameters".a'),
    "a parameter that is true": (changed(parameters={"a": True}), '"parameters".a'),
    "a parameter beyond float64": (changed().replace("1.0}", "1e999}"), '"parameters".a'),
    "a deep parameter": (changed(parameters={"a": [[[[[[[[[[[1.0]]]]]]]]]]]}), "nested too deeply"),
    "parameters that are a list": (changed(parameters=[]), '"parameters"'),
    "a fixed value that is a list": (changed(fixed={"n": []}), '"fixed".n'),
    "no nodes": (changed(nodes=[]), '"nodes"'),
    "nodes of another type": (changed(nodes={}), '"nodes"'),
    "a node of another type": (nodes(X, "sin"), '"nodes"[1]'),
    "an empty node": (nodes(X, []), '"nodes"[1]'),
    "an unknown operation": (nodes(X, ["system", 0]), "\"nodes\"[1]: unknown operation 'system'"),
    "a host node": (nodes(X, ["host", 0]), '"nodes"[1]: unknown operation'),
    "an unknown variable": (nodes(["var", "z"]), '"nodes"[0]: no input or parameter'),
    "a variable without a name": (nodes(["var"]), '"nodes"[0]'),
    "a constant without a number": (nodes(["const"]), '"nodes"[0]'),
    "a constant that is null": (nodes(["const", None]), '"nodes"[0]'),
    "a constant that is a list": (nodes(["const", [1.0]]), '"nodes"[0]'),
    "a node that refers to itself": (nodes(X, ["sin", 1]), '"nodes"[1]: 1 is not the number of an earlier'),
    "a forward reference": (nodes(X, ["sin", 2], X), '"nodes"[1]: 2 is not the number of an earlier'),
    "a negative reference": (nodes(X, ["sin", -1]), '"nodes"[1]: -1'),
    "a reference that is true": (nodes(X, X, ["sin", True]), '"nodes"[2]: True'),
    "a reference that is a float": (nodes(X, ["sin", 0.0]), '"nodes"[1]: 0.0'),
    "too few arguments": (nodes(X, ["add", 0]), '"nodes"[1]: add takes 2 arguments, and got 1'),
    "too many arguments": (nodes(X, ["sin", 0, 0]), '"nodes"[1]: sin takes 1 arguments, and got 2'),
    "half a pair": (nodes(X, ["given", 0, 0]), '"nodes"[1]: `given`'),
    "a truth value added": (nodes(X, ["lt", 0, 0], ["add", 0, 1]), '"nodes"[2]: argument 1 of add'),
    "a number negated as a truth": (nodes(X, ["not", 0]), '"nodes"[1]: argument 0 of not'),
    "a number as a condition": (nodes(X, ["select", 0, 0, 0]), '"nodes"[1]: argument 0 of select'),
    "a truth value as a branch": (nodes(X, ["lt", 0, 0], ["select", 1, 1, 0]), '"nodes"[2]: argument 1'),
    "a truth value as the result": (nodes(X, ["lt", 0, 0]), '"value": it is a truth value'),
    "a value beyond the nodes": (changed(value=99), '"value": 99'),
    "a gradient too many": (changed(gradient=[0]), '"gradient"'),
    "no gradient": (changed(kind="gradient"), '"gradient"'),
    "a gradient of another type": (changed(gradient={}), '"gradient"'),
    "upstream in the value": (
        changed(kind="gradient", nodes=[["var", "upstream"]], value=0, gradient=[0]), '"value"'
    ),
    "a row without a name": (of_rows(["var", [], [1, 0]]), '"nodes"[1]: no input or parameter'),
    "a length that is a list": (of_rows(["fill", [[0, [1]]], 0]), '"nodes"[1]: a length is of whole numbers'),
    "a part of a length that is a text": (of_rows(["fill", [[1, 0, "abcd"]], 0]), "a part of a length has"),
    "a divisor that is a list": (of_rows(["fill", [[1, 0, [1, 1, 0, []]]], 0]), "a length is of whole"),
    "flips of an order": (
        of_rows(["order", 0], *(["flip", i] for i in range(1, 3000)), ["take", 0, 3000]),
        '"nodes"[3001]: take is by an order',
    ),
    "a row placed in one number": (
        of_rows(["place", [[0, 0, [1, 1, 0, 2]], 2, [0, 1]], 0]), '"nodes"[1]: place makes a row, and got'
    ),
    "a number placed in one number": (
        of_rows(["sum", 0], ["place", [[0, 0], 1, [0, 1]], 1]), '"nodes"[2]: place makes a row, and got'
    ),
    "a row doubled and doubled": (
        of_rows(*(["concat", i, i] for i in range(50_000))), '"nodes"[20]: a length beyond a million'
    ),
    "half a row doubled and doubled": (
        of_rows(["slice", [[0, 0], 1, [0, 0, [1, 1, 0, 2]]], 0], *(["concat", i, i] for i in range(1, 40))),
        '"nodes"[21]: a length beyond a million',
    ),
    "many long rows": (
        of_rows(["sum", 0], ["fill", [[0, 500_000]], 1], *(["neg", i] for i in range(2, 40)), ["sum", 40]),
        "its rows have 19,500,001 numbers, more than the 10,000,000 allowed",
    ),
    "too many bytes": (" " * (storage.MAX_BYTES + 1), "more than the 4,000,000 bytes allowed"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_with_its_place(fault: str) -> None:
    text, message = FAULTS[fault]
    with pytest.raises(ProgramError) as caught:
        actgrad.from_json(text)
    assert message in str(caught.value)
    assert str(caught.value).startswith("this text is not a valid activation: ")
    assert len(str(caught.value)) < 400


def test_the_text_that_the_faults_are_made_in_is_right() -> None:
    assert actgrad.from_json(changed())(2.0) == math.sin(2.0)


@pytest.mark.parametrize("value", [None, 3, {}])
def test_what_is_not_text_is_refused(value: Any) -> None:
    with pytest.raises(ProgramError, match="expected JSON text"):
        actgrad.from_json(value)


def test_too_many_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "MAX_NODES", 3)
    with pytest.raises(ProgramError, match=r'"nodes": expected a list of 1 to 3 nodes'):
        actgrad.from_json(changed())


@pytest.mark.parametrize("cut", range(1, 10))
def test_a_truncated_file_is_never_another_activation(cut: int) -> None:
    text = storage.to_json(TEXT)
    with pytest.raises(ProgramError):
        actgrad.from_json(text[: len(text.rstrip()) * cut // 10])


def test_a_graph_deeper_than_pythons_stack_is_stored() -> None:
    node = var("x")
    for k in range(1500):
        node = make("add", node, const(float(k)))
    program = Program("deep", ("x",), (), node)
    assert storage.from_json(storage.to_json(program)) == program


def test_what_runs_on_the_host_is_refused() -> None:
    with pytest.raises(HostError, match="cannot"):
        activation(lambda x: x, name="f", host=True, derivative=1).to_json()


# Files.


def test_a_file_comes_back(tmp_path: Path) -> None:
    f = made("branches")
    f.save(tmp_path / "f.json")
    assert actgrad.load(tmp_path / "f.json") == f
    assert actgrad.load(str(tmp_path / "f.json")) == f
    assert [path.name for path in tmp_path.iterdir()] == ["f.json"]


@pytest.mark.parametrize("broken", ["replace", "fsync"])
def test_a_failed_save_leaves_the_old_file_and_nothing_else(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f.json"
    made("plain").save(path)
    before = path.read_bytes()

    def fail(*_: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(os, broken, fail)
    with pytest.raises(OSError, match="the disk is full"):
        made("branches").save(path)
    assert path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["f.json"]


def test_a_fault_in_a_file_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text("{")
    with pytest.raises(ProgramError, match=r"broken\.json is not a valid activation: line 1"):
        actgrad.load(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match=r"none\.json cannot be read"):
        actgrad.load(tmp_path / "none.json")


def test_of_a_file_too_large_no_more_is_read_than_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor of a device, whose size nobody knows."""
    monkeypatch.setattr(storage, "MAX_BYTES", 100)
    pipe = tmp_path / "endless"
    os.mkfifo(pipe)
    end = os.open(pipe, os.O_RDWR)
    os.write(end, b" " * 150)
    with pytest.raises(ProgramError, match=r"endless is not .* more than the 100 bytes allowed"):
        actgrad.load(pipe)
    os.close(end)


def test_minus_zero_as_an_integer() -> None:
    text = storage.to_json(Program("f", ("x",), (("a", -0.0),), make("add", var("x"), var("a"))))
    assert '"a": -0.0' in text
    program = storage.from_json(text.replace("-0.0", "-0"))
    assert math.copysign(1, program.parameters[0][1]) == -1  # type: ignore[arg-type]


def test_a_path_that_cannot_be() -> None:
    with pytest.raises(ProgramError, match="cannot be read: embedded null"):
        actgrad.load("a\0b")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"parameters": {"a": [1.0, [2.0]]}}, '"parameters".a: the lists of an array must have'),
        ({"parameters": {"a": [[1.0, 2.0], [3.0]]}}, "same length at each level"),
        ({"parameters": {"a": []}}, "an array without a number"),
        ({"parameters": {"a": [[]]}}, "an array without a number"),
        (
            {"parameters": {"a": [1.0, 2.0], "b": [1.0, 2.0, 3.0]}},
            "do not broadcast: a (2,), b (3,)",
        ),
        ({"name": "a\nb"}, "printable characters"),
        ({"name": "\ud800"}, "printable characters"),
        ({"inputs": ["ﬁ"]}, "is not a Python name"),
        ({"inputs": ["__debug__"]}, "is not a Python name"),
    ],
)
def test_what_loads_can_run(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ProgramError, match=re.escape(words)):
        storage.from_json(json.dumps({**GOOD, **change}))


def test_the_source_of_any_name_is_text_and_no_code() -> None:
    for name in ('"""', 'a"""; import os; """', "\\", 'a\\"', "größe"):
        f = activation(lambda x, a=(1.0, math.inf, math.nan): x * a, name=name)
        for framework in ("numpy", "torch", "tensorflow", "jax"):
            tree = ast.parse(f.source(framework))
            modules = {n.name for node in ast.walk(tree) for n in getattr(node, "names", [])}
            assert "os" not in modules
