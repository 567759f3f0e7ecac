"""int8 in onnxruntime: every code, and models that it quantises around the activation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
pytest.importorskip("typer")

from actgrad import activations
from actgrad.errors import ExportError
from actgrad.workbench.integers import onnx_models
from tests.integers import oracle
from tests.sample import exhaustive_but

FUNCTIONS = """
from actgrad import activations
gelu = activations.gelu
"""


def answers(path: Path, *names: str, **inputs: Any) -> list[Any]:
    return ort.InferenceSession(path).run(list(names) or None, inputs)


def every_code(table: Any) -> Any:
    format = table.format
    return np.arange(format.first, format.high + 1).astype(format.dtype)


@pytest.mark.parametrize("scales", range(3))
def test_every_int8_code_of_thirty_functions(scales: int, tmp_path: Path) -> None:
    for name in oracle.FUNCTIONS:
        table = oracle.table(name, scales)
        onnx_models.write_activation(table, tmp_path / "f.onnx")
        (found,) = answers(tmp_path / "f.onnx", x=every_code(table).reshape(16, 16))
        assert found.dtype == np.int8
        np.testing.assert_array_equal(found.ravel(), oracle.rounded(name, scales), name)


CASES = [(name, scales) for name in oracle.FUNCTIONS for scales in range(3)]


@pytest.mark.parametrize("case", exhaustive_but([("relu", 0)], CASES), ids=str)
def test_every_int16_code(case: tuple[str, int], tmp_path: Path) -> None:
    table = oracle.table(*case, bits=16)
    onnx_models.write_activation(table, tmp_path / "f.onnx")
    (found,) = answers(tmp_path / "f.onnx", x=every_code(table))
    np.testing.assert_array_equal(found, oracle.rounded(*case, bits=16))


def test_every_uint8_code(tmp_path: Path) -> None:
    table = oracle.table("gelu", 0, signed=False)
    onnx_models.write_activation(table, tmp_path / "f.onnx")
    (found,) = answers(tmp_path / "f.onnx", x=every_code(table))
    np.testing.assert_array_equal(found, oracle.rounded("gelu", 0, signed=False))


def gelu_alone(path: Path) -> None:
    """x * Φ(x) by ONNX's own operations."""
    make = onnx.helper.make_node
    number = lambda v: onnx.numpy_helper.from_array(np.float32(v))
    nodes = [
        make("Constant", [], ["root"], value=number(np.sqrt(0.5))),
        make("Constant", [], ["one"], value=number(1.0)),
        make("Constant", [], ["half"], value=number(0.5)),
        make("Mul", ["x", "root"], ["scaled"]),
        make("Erf", ["scaled"], ["erf"]),
        make("Add", ["erf", "one"], ["sum"]),
        make("Mul", ["sum", "half"], ["phi"]),
        make("Mul", ["x", "phi"], ["y"]),
    ]
    save(path, nodes, [], [None], [None])


def save(path: Path, nodes: Any, numbers: Any, shape: Any, out: Any) -> None:
    kind = onnx.TensorProto.FLOAT
    ends = [onnx.helper.make_tensor_value_info(n, kind, s) for n, s in (("x", shape), ("y", out))]
    graph = onnx.helper.make_graph(nodes, "g", ends[:1], ends[1:], numbers)
    opset = [onnx.helper.make_opsetid("", 20)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=9), path)


def marked(path: Path, random: Any) -> None:
    """A convolution and a dense layer with a marker after each, which the weights could take up; the first
    activation goes on to both sides of a sum."""
    numbers = [
        onnx.numpy_helper.from_array(random.normal(size=shape).astype(np.float32), name)
        for name, shape in {"w1": (16, 8, 1, 1), "b1": (16,), "w2": (16, 16), "b2": (16,)}.items()
    ]
    numbers.append(onnx.numpy_helper.from_array(np.array([onnx_models.MARK], np.float32), "mark"))
    make = onnx.helper.make_node
    nodes = [
        make("Conv", ["x", "w1", "b1"], ["h1"]),
        make("Mul", ["h1", "mark"], ["activated"]),
        make("Flatten", ["activated"], ["a1"]),
        make("Gemm", ["a1", "w2", "b2"], ["h2"]),
        make("Mul", ["h2", "mark"], ["a2"]),
        make("Add", ["a1", "a2"], ["y"]),
    ]
    save(path, nodes, numbers, ["n", 8, 1, 1], ["n", 16])


def check_lookups(path: Path, data: Any) -> int:
    """What each lookup of gelu reads and writes while the model runs, against mpmath."""
    model = onnx.load(path)
    assert not model.functions
    assert not {node.op_type for node in model.graph.node} & {"Erf", "Tanh", "ActgradLookup"}
    values = {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}
    lookups = [n for n in model.graph.node if n.op_type == "GatherElements"]
    makers = {name: node for node in model.graph.node for name in node.output}
    after = {node.input[0]: node for node in model.graph.node if node.op_type.startswith("Deq")}
    users = {name: node for node in model.graph.node for name in node.input}

    def up(name: str) -> str:
        return makers[name].input[0]

    ends = [(up(up(node.input[1])), users[node.output[0]].output[0]) for node in lookups]
    for name in {name for pair in ends for name in pair}:
        kind = onnx.TensorProto.INT8
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, kind, None))
    onnx.save(model, path.with_name("seen.onnx"))
    for before, end in ends:
        inputs = {model.graph.input[0].name: data}
        read, wrote = answers(path.with_name("seen.onnx"), before, end, **inputs)
        s, z = (values[name] for name in makers[before].input[1:])
        t, y = (values[name] for name in after[end].input[1:])
        assert len(np.unique(read)) > 50
        for code in np.unique(read):
            x = (int(code) - int(z)) * oracle.mpf(float(s))
            wanted = oracle.mp.nint(oracle.FUNCTIONS["gelu"](x) / oracle.mpf(float(t))) + int(y)
            assert set(wrote[read == code]) == {min(max(int(wanted), -128), 127)}
    return len(ends)


def test_a_quantised_model_has_exact_lookups(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    data = random.normal(size=(200, 8, 1, 1)).astype(np.float32)
    alone, before, path = (tmp_path / f"{name}.onnx" for name in ("a", "m", "out"))
    gelu_alone(alone)
    marked(before, random)
    values = {i.name: onnx.numpy_helper.to_array(i) for i in onnx.load(before).graph.initializer}
    first = scipy_gelu(data[..., 0, 0] @ values["w1"][..., 0, 0].T + values["b1"])
    wanted = first + scipy_gelu(first @ values["w2"] + values["b2"])
    files = before, alone, data, path
    assert onnx_models.quantise_around(activations.gelu, *files, wanted) == 2
    with pytest.raises(ExportError, match="in float32 already"):
        onnx_models.quantise_around(activations.gelu, *files, wanted + 0.1)
    assert check_lookups(path, data) == 2
    (found,) = answers(path, x=data)
    assert np.abs(found - wanted).max() < 0.05 * np.abs(wanted).max()


def scipy_gelu(x: Any) -> Any:
    special = pytest.importorskip("scipy.special")
    return x * special.ndtr(x)


@pytest.mark.exhaustive
def test_a_keras_model_by_the_command(tmp_path: Path, command: Any) -> None:
    keras = pytest.importorskip("keras")
    for name in ("torch", "onnxscript"):
        pytest.importorskip(name)
    (tmp_path / "functions.py").write_text(FUNCTIONS, encoding="utf-8")
    f = activations.gelu
    layers = [
        keras.layers.Conv2D(4, 3, activation=f),
        keras.layers.Flatten(),
        keras.layers.Dense(16),
        f.layer(),
        keras.layers.Dense(10, activation=f),
    ]
    keras.Sequential([keras.Input((8, 8, 1)), *layers]).save(tmp_path / "m.keras")
    data = np.random.default_rng(0).normal(size=(100, 8, 8, 1)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=data)
    options = ["--to", "onnx", "--int8", "--model", "m.keras", "--data", "x.npz", "-o", "m.onnx"]
    done = command("export", "functions.py:gelu", *options, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["lookups"] == 3
    assert told["largest"] < 0.1 * told["range"]
    assert check_lookups(tmp_path / "m.onnx", data) == 3


def test_a_model_without_the_marker_is_refused() -> None:
    graph = onnx.helper.make_graph([], "empty", [], [])
    model = onnx.helper.make_model(graph)
    with pytest.raises(ExportError, match="not found again"):
        onnx_models._with_calls(model, model)
