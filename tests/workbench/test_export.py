"""`actgrad export`: what it writes is the same in a fresh process, or is not there."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("typer")

from typer.testing import CliRunner

from actgrad import Activation, activation
from actgrad.errors import ActgradWarning, ExportError, InputError
from actgrad.language.expression import const, make, var
from actgrad.language.ops import OPS
from actgrad.language.program import Program
from actgrad.study.targets import ASPECTS, EXECUTORCH_LACKS, TARGETS
from actgrad.workbench import export as room
from actgrad.workbench.cli import app
from tests.process import python
from tests.sample import exhaustive_but

FUNCTIONS = """
import math
from actgrad import activation

def gate(a, b, k=0.7):
    return a % k if a < b else a * b

gate = activation(gate, surrogate=lambda a, b, k: (7.0, a * b))
step = activation(lambda x: 1.0 if x >= 0 else 0.0, surrogate=lambda x: 1 / (1 + x * x), name="step")
guided = activation(lambda x: max(x, 0.0), gradient=lambda x, g: g if x > 0 < g else 0.0, name="guided")
gelu = activation(lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2))), name="gelu")
outside = activation(lambda x: x, host=True, derivative=1, name="outside")
"""
NEEDS = {
    "json": [],
    "source": ["tensorflow"],
    "saved_model": ["tensorflow"],
    "tflite": ["tensorflow"],
    "onnx": ["torch", "onnxscript", "onnxruntime"],
    "torch": ["torch"],
    "executorch": ["executorch"],
    "jax": ["jax"],
}
TRAINED = {"json", "source", "saved_model", "torch", "jax"}

step = activation(
    lambda x: 1.0 if x >= 0 else 0.0, surrogate=lambda x: 1 / (1 + x * x), name="step"
)


@pytest.fixture
def functions(tmp_path: Path) -> Path:
    path = tmp_path / "functions.py"
    path.write_text(FUNCTIONS, encoding="utf-8")
    return path


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


def needed(target: str) -> None:
    for name in NEEDS[target]:
        pytest.importorskip(name)


# Each is verified in a fresh process.
@pytest.mark.parametrize("target", exhaustive_but(["jax"], NEEDS))
def test_written_and_verified(target: str, functions: Path, tmp_path: Path) -> None:
    needed(target)
    path = tmp_path / f"gate{room.SUFFIXES[target]}"
    result = run(f"{functions}:gate", "--to", target, "--output", path, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["value"] < 1e-5
    assert (found["gradient"] is not None) == (target in TRAINED)
    assert (found["gradient"] or 0) < 1e-5
    assert path.exists()
    assert not list(tmp_path.glob(".actgrad-*"))


@pytest.mark.parametrize(
    "target", exhaustive_but(["json"], ["json", "saved_model", "torch", "jax"])
)
def test_a_gradient_rule(target: str, functions: Path, tmp_path: Path) -> None:
    needed(target)
    path = tmp_path / "out.pt2"
    result = run(f"{functions}:guided", "--to", target, "--output", path, "--json")
    assert result.exit_code == 0, result.output
    kept = json.loads(result.stdout)["gradient"]
    assert kept is None if target in ("json", "torch") else kept == 0


@pytest.mark.parametrize("framework", exhaustive_but(["numpy"], ["numpy", "torch", "jax"]))
def test_source_for(framework: str, functions: Path, tmp_path: Path) -> None:
    pytest.importorskip(framework)
    path = tmp_path / "gate.py"
    result = run(f"{functions}:gate", "--to", "source", "-o", path, "--framework", framework)
    assert result.exit_code == 0, result.output
    assert "verified in a fresh process" in result.stdout
    assert path.read_text(encoding="utf-8").startswith(f'"""gate for {framework}')


def test_a_file_that_needs_actgrad_is_refused(
    functions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = room._WRITERS["source"]

    def needs_actgrad(f: Activation, path: Path, framework: str) -> None:
        write(f, path, framework)
        path.write_text(f"{path.read_text(encoding='utf-8')}import actgrad\n", encoding="utf-8")

    monkeypatch.setitem(room._WRITERS, "source", needs_actgrad)
    path = tmp_path / "gate.py"
    result = run(f"{functions}:gate", "--to", "source", "-o", path, "--framework", "numpy")
    assert result.exit_code == 2
    assert "cannot be opened; removed\n  ModuleNotFoundError: actgrad" in result.output
    assert not path.exists()


def saved(path: Path) -> Path:
    import keras

    layers = [keras.layers.Dense(4, activation=step), keras.layers.Dense(2)]
    keras.Sequential([keras.Input((3,)), *layers]).save(path)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("keras")
    return saved(tmp_path_factory.mktemp("model") / "model.keras")


@pytest.mark.parametrize("target", exhaustive_but(["saved_model"], ["saved_model", "tflite"]))
def test_a_keras_model(target: str, functions: Path, tmp_path: Path, model: Path) -> None:
    needed(target)
    path = tmp_path / f"out{room.SUFFIXES[target]}"
    done = run(f"{functions}:step", "--to", target, "--model", model, "-o", path, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["value"] < 1e-5
    assert (found["gradient"] is not None) == (target == "saved_model")
    assert path.exists()


@pytest.mark.exhaustive
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_a_keras_model_of_any_backend_goes_to_onnx(
    backend: str, functions: Path, tmp_path: Path, actgrad
) -> None:
    """The command opens it on PyTorch, whatever it was saved under."""
    for name in ("keras", backend, *NEEDS["onnx"]):
        pytest.importorskip(name)
    path, out = tmp_path / "model.keras", tmp_path / "model.onnx"
    here = str(Path(__file__).parent)
    script = (
        f"import sys; sys.path.insert(0, {here!r}); import keras, test_export as t, pathlib\n"
        f"assert keras.config.backend() == {backend!r}; t.saved(pathlib.Path({str(path)!r}))"
    )
    python("-c", script, KERAS_BACKEND=backend)
    done = actgrad(
        "export", f"{functions}:step", "--to", "onnx", "--model", path, "-o", out, "--json"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["value"] < 1e-5
    assert out.exists()


SOFTPLUS = """
import math
from actgrad import activation

@activation
def softplus(x):
    return math.log(1 + math.exp(x))
"""
SAVED = """
import sys; sys.path.insert(0, ".")
import keras
from functions import softplus
layers = [keras.layers.Conv2D(2, 3, activation=softplus), keras.layers.GlobalMaxPooling2D()]
keras.Sequential([keras.Input((None, 6, 1), name="picture"), *layers]).save("m.keras")
"""


@pytest.mark.exhaustive
def test_a_keras_model_goes_to_onnx_by_the_exporter_that_knows_its_operations(
    functions: Path, tmp_path: Path, actgrad
) -> None:
    """PyTorch's older one, which Keras takes, has no logaddexp, of which log(1 + exp) is made."""
    for name in ("keras", *NEEDS["onnx"]):
        pytest.importorskip(name)
    functions.write_text(SOFTPLUS, encoding="utf-8")
    python("-c", SAVED, folder=tmp_path, KERAS_BACKEND="torch")
    model, out = tmp_path / "m.keras", tmp_path / "m.onnx"
    done = actgrad(
        "export", f"{functions}:softplus", "--to", "onnx", "--model", model, "-o", out, "--json"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["value"] < 1e-5
    import onnxruntime

    (given,) = onnxruntime.InferenceSession(out).get_inputs()
    assert [n if isinstance(n, int) else None for n in given.shape] == [None, None, 6, 1]
    assert given.name == "picture"


# What cannot be.

REFUSED = {
    "a value that the target lacks": (["gelu", "--to", "tflite"], "TFLite has no erf of its own"),
    "a host function": (["outside", "--to", "json"], "host=True"),
    "a folder that is not there": (
        ["gate", "--to", "json", "--output", "none/f.json"],
        "its folder does not exist",
    ),
    "a model to json": (
        ["step", "--to", "json", "--model", "m.keras"],
        "saved_model, tflite, onnx",
    ),
    "no such model": (["step", "--to", "tflite", "--model", "none.keras"], "no such file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str, functions: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    (name, *options), message = REFUSED[case]
    result = run(f"{functions}:{name}", *options)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert {p.name for p in tmp_path.iterdir()} - {"__pycache__"} == {"functions.py"}


@pytest.mark.exhaustive
def test_a_keras_model_with_a_named_input_to_tflite(tmp_path: Path, monkeypatch: Any) -> None:
    """The converter's own way with Keras models raised a TypeError there (TensorFlow 2.21, Keras 3.15)."""
    needed("tflite")
    keras = pytest.importorskip("keras")
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    given = keras.Input((3,), name="given")
    keras.Model({"given": given}, keras.layers.Dense(2, activation=step)(given)).save(
        tmp_path / "m.keras"
    )
    done = room.export(step, "tflite", tmp_path / "m.tflite", model=tmp_path / "m.keras")
    assert done.value < 1e-5


def test_nothing_is_overwritten(functions: Path, tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    path.write_text("mine")
    result = run(f"{functions}:gate", "--to", "json", "--output", path)
    assert result.exit_code == 2
    assert "there is something already" in result.output
    assert path.read_text() == "mine"


def test_a_model_without_the_activation(tmp_path: Path, model: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    other = activation(math.tanh, name="other")
    with pytest.raises(InputError, match="no layer of it has the activation 'other'"):
        room.export(other, "tflite", tmp_path / "m.tflite", model=model)


WRONG = {
    "another value": (lambda f: activation(lambda x: x, name="step", surrogate=1), "value"),
    "another derivative": (
        lambda f: activation(lambda x: 1.0 if x >= 0 else 0.0, name="step", surrogate=7),
        "gradient",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_not_the_same_is_removed(wrong: str, tmp_path: Path, monkeypatch: Any) -> None:
    change, what = WRONG[wrong]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ActgradWarning)
        other = change(step)
    monkeypatch.setitem(room._WRITERS, "json", lambda f, path, _: other.save(path))
    with pytest.raises(ExportError, match=f"its {what} is off by up to"):
        room.export(step, "json", tmp_path / "f.json")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_opened_is_removed(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setitem(room._WRITERS, "json", lambda f, path, _: path.write_text("{"))
    with pytest.raises(ExportError, match="cannot be opened; removed"):
        room.export(step, "json", tmp_path / "f.json")
    assert list(tmp_path.iterdir()) == []


# The table.


def test_dry_run_writes_nothing(functions: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(f"{functions}:gelu", "--to", "tflite", "--dry-run")
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(activation(
        lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2))), name="gelu"
    ).supports())  # fmt: skip
    assert {p.name for p in tmp_path.iterdir()} - {"__pycache__"} == {"functions.py"}


def test_every_no_has_its_reason() -> None:
    table = step.supports()
    assert [row.name for row in table] == [target.name for target in TARGETS]
    for row in table:
        for aspect in ASPECTS:
            assert row[aspect] == (row.reason(aspect) == "")


def test_the_table_can_be_read() -> None:
    lines = str(step.supports()).splitlines()
    assert lines[0] == "step: what each target keeps"
    assert max(map(len, lines)) <= 100
    assert any(line.startswith("onnx ") and line.count("no (") == 3 for line in lines)


def test_a_wrong_question() -> None:
    with pytest.raises(KeyError, match="json, pickle, keras"):
        step.supports()["tensorrt"]
    with pytest.raises(KeyError, match="second derivative"):
        step.supports()["onnx"]["third derivative"]


@pytest.mark.parametrize("op", ["atan", "erf", "asinh"])
def test_what_tflite_is_said_to_lack_it_does_not_convert(op: str) -> None:
    tf = pytest.importorskip("tensorflow")
    f = activation(getattr(math, op), name="f")
    assert op in f.supports()["tflite"].reason("value")
    function = tf.function(lambda x: f(x), input_signature=[tf.TensorSpec([None], tf.float32)])
    concrete = [function.get_concrete_function()]
    with pytest.raises(Exception, match="neither a custom op nor a flex op"):
        tf.lite.TFLiteConverter.from_concrete_functions(concrete, function).convert()


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("op", sorted(EXECUTORCH_LACKS))
def test_what_executorch_is_said_to_lack_it_does_not_take(op: str, tmp_path: Path) -> None:
    needed("executorch")
    args = [var("x"), const(0.7)][: OPS[op].arity]
    f = Activation(Program("f", ("x",), (), make(op, *args)))
    assert op in f.supports()["executorch"].reason("value")
    with pytest.raises(Exception, match="is not in Core ATen opset"):
        room._executorch(f, tmp_path / "f.pte", "")


def test_points_are_many_and_in_float32() -> None:
    (x,) = room._points(1)
    assert x.dtype == np.float32
    assert len(set(x.tolist())) == 400


def test_an_error_of_keras_is_told_with_its_cause():
    told = "Exception encountered when calling Dense.call().\n\n\x1b[1mno such kernel\x1b[0m\n\nArguments"
    with pytest.raises(
        ExportError, match=r"ValueError: Exception .* Dense.call\(\)\. no such kernel$"
    ):
        with room.telling("onnx", Path("model")):
            raise ValueError(told)
