"""`actgrad export --to table | c | hex`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("typer")

from typer.testing import CliRunner

from actgrad import activation, activations
from actgrad.workbench.cli import app
from tests.integers import oracle
from tests.sample import exhaustive_but

FUNCTIONS = """
import math
from actgrad import activation
def gelu(x):
    return 0.5 * x * (1 + math.erf(x / math.sqrt(2)))
def product(a, b):
    return a * b
"""


@pytest.fixture
def functions(tmp_path: Path) -> Path:
    path = tmp_path / "functions.py"
    path.write_text(FUNCTIONS, encoding="utf-8")
    return path


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


def scales(pair: tuple[float, int]) -> str:
    return f"{pair[0]},{pair[1]}"


def test_a_table_with_scales(functions: Path, tmp_path: Path) -> None:
    path = tmp_path / "gelu.npz"
    pairs = [scales(pair) for pair in oracle.SCALES[1]]
    options = ["--to", "table", "--input-scale", pairs[0], "--output-scale", pairs[1]]
    result = run(f"{functions}:gelu", *options, "-o", path, "--json")
    assert result.exit_code == 0, result.output
    with np.load(path) as found:
        np.testing.assert_array_equal(found["codes"], oracle.rounded("gelu", 1))
        assert found["codes"].dtype == np.int8
        assert found["input_scale"] == np.float32(0.0431)
        assert found["output_zero_point"] == -90
    told = json.loads(result.stdout)
    assert told["input"] == {"scale": float(np.float32(0.0431)), "zero_point": 11}
    assert told["error"]["inputs"] == 256


def test_c_for_a_range_and_hex_for_data(functions: Path, tmp_path: Path) -> None:
    header = tmp_path / "gelu.h"
    range_ = ["--low", -4, "--high", 4, "--bits", 16]
    result = run(f"{functions}:gelu", "--to", "c", *range_, "--interpolated", "-o", header)
    assert result.exit_code == 0, result.output
    assert "65,536 inputs of int16" in result.stdout
    assert "int16_t gelu_table[513]" in header.read_text()
    assert "by 1: the entries are rounded, and so is the line between them" in result.stdout
    np.save(tmp_path / "x.npy", np.linspace(-2, 3, 1000))
    options = ["--data", tmp_path / "x.npy", "--unsigned", "--away"]
    result = run(f"{functions}:gelu", "--to", "hex", *options, "-o", tmp_path / "gelu.hex")
    assert result.exit_code == 0, result.output
    wanted = tmp_path / "wanted.hex"
    f = activation(activations.gelu, name="gelu")
    f.quantise(-2.0, 3.0, signed=False, rounding="away").to_hex(wanted)
    assert (tmp_path / "gelu.hex").read_text() == wanted.read_text()


def test_the_middle_of_data(functions: Path, tmp_path: Path) -> None:
    data = np.append(np.random.default_rng(0).normal(size=9999), 500.0)
    np.save(tmp_path / "x.npy", data)
    options = ["--data", tmp_path / "x.npy", "--percentile", 99, "-o", tmp_path / "gelu.npz"]
    result = run(f"{functions}:gelu", "--to", "table", *options, "--json")
    assert result.exit_code == 0, result.output
    (scale, zero) = json.loads(result.stdout)["input"].values()
    ends = [(code - zero) * scale for code in (-128, 127)]
    np.testing.assert_allclose(ends, np.percentile(data, [0.5, 99.5]), atol=scale)


WRONG = {
    "nothing": ([], "there is none of them"),
    "two": (["--low", 0, "--high", 1, "--input-scale", "1,0"], "one of"),
    "half a range": (["--low", 0], "both --low and --high"),
    "half of the scales": (["--input-scale", "1,0"], "both --input-scale"),
    "no scale": (["--input-scale", "a,0", "--output-scale", "1,0"], "SCALE,ZERO_POINT"),
    "a percentile of nothing": (["--low", 0, "--high", 1, "--percentile", 9], "goes with --data"),
    "bits": (["--low", 0, "--high", 1, "--bits", 4], "8 or 16 bits"),
    "no file": (["--data", "nowhere.npz"], "nowhere.npz"),
    "interpolated": (["--low", 0, "--high", 1, "--interpolated"], "goes with --to c"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_used_is_said(wrong: str, functions: Path, tmp_path: Path) -> None:
    options, said = WRONG[wrong]
    path = tmp_path / "out.npz"
    result = run(f"{functions}:gelu", "--to", "table", *options, "-o", path)
    assert result.exit_code == 2, result.output
    assert said in " ".join(result.stderr.split())
    assert not path.exists()


def test_two_inputs_and_data_that_are_not_numbers(functions: Path, tmp_path: Path) -> None:
    result = run(
        f"{functions}:product", "--to", "c", "--low", -1, "--high", 1, "-o", tmp_path / "p.h"
    )
    assert result.exit_code == 2
    assert "a table has one" in " ".join(result.stderr.split())
    np.savez(tmp_path / "two.npz", a=np.ones(2), b=np.ones(2))
    result = run(
        f"{functions}:gelu", "--to", "c", "--data", tmp_path / "two.npz", "-o", tmp_path / "g.h"
    )
    assert result.exit_code == 2
    assert "two.npz: it should hold `x`, and holds a, b" in " ".join(result.stderr.split())
    assert "not a NumPy file" not in result.stderr


def test_supports_names_what_has_no_table() -> None:
    two = activation(lambda a, b: a * b, name="product").supports()
    row = activation(lambda x: x / np.sum(x), axis=-1, name="share").supports()
    hosted = activation(lambda x: x, host=True, derivative=1, name="hosted")
    for target in ("table", "qonnx", "hls4ml"):
        assert activations.gelu.supports()[target]["value"]
        assert two[target].reason("value") == "a table has one input"
        assert "a row has several" in row[target].reason("value")
        assert hosted.supports()[target]["value"]
    assert hosted.table((1.0, 0), (0.5, 0))[7] == 14


INT8 = {
    "another target": (["--to", "torch", "--int8"], "goes with --to onnx, tflite, executorch, qonnx"),
    "no such model": (["--to", "onnx", "--int8", "--model", "none.keras"], "no such file"),
    "a model alone": (["--to", "executorch", "--int8", "--model", "m.keras"], "the activation alone"),
    "no integers": (["--to", "qonnx"], "integers alone: give --int8"),
    "a model for QONNX": (["--to", "qonnx", "--int8", "--model", "m.keras"], "the activation alone"),
    "a table of a model": (["--to", "c", "--model", "m.keras"], "goes with --int8"),
    "scales without integers": (["--to", "json", "--low", 0, "--high", 1], "scales are for integers"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", INT8)
def test_int8_that_makes_no_sense(wrong: str, functions: Path, tmp_path: Path) -> None:
    options, said = INT8[wrong]
    result = run(f"{functions}:gelu", *options, "-o", tmp_path / "out")
    assert result.exit_code == 2, result.output
    assert said in " ".join(result.stderr.split())
    assert not (tmp_path / "out").exists()


NEEDS = {
    "onnx": ["onnx", "onnxruntime"],
    "tflite": ["tensorflow"],
    "executorch": ["executorch"],
    "qonnx": ["qonnx"],
}


@pytest.mark.parametrize("target", exhaustive_but(["onnx"], NEEDS))
def test_an_activation_in_int8(target: str, functions: Path, tmp_path: Path) -> None:
    for name in NEEDS[target]:
        pytest.importorskip(name)
    path = tmp_path / "gelu"
    options = ["--to", target, "--int8", "--low", -4, "--high", 4, "-o", path]
    result = run(f"{functions}:gelu", *options)
    assert result.exit_code == 0, result.output
    assert "all 256 codes of int8 verified in a fresh process" in result.stdout
    assert path.exists()


def test_an_activation_that_answers_otherwise_is_removed(
    functions: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    from actgrad.workbench import export

    wrong = {"value": np.zeros(256, np.int8)}
    monkeypatch.setattr(export, "reopened", lambda *_: wrong)
    pytest.importorskip("onnx")
    options = ["--to", "onnx", "--int8", "--low", -4, "--high", 4, "-o", tmp_path / "gelu.onnx"]
    result = run(f"{functions}:gelu", *options)
    assert result.exit_code == 2
    assert "codes otherwise; removed" in result.stderr
    assert {p.name for p in tmp_path.iterdir()} - {"__pycache__"} == {"functions.py"}
