"""`actgrad export --to table | c | hex`, and `--int8`: what is written, and what is said of it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from actgrad.activation import Activation
from actgrad.common.files import atomically
from actgrad.common.text import percent
from actgrad.common.types import Array, Fields
from actgrad.errors import ExportError, InputError
from actgrad.integers.table import Table, TableError
from actgrad.workbench import export as room
from actgrad.workbench.integers.scales import Scales, calibration
from actgrad.workbench.terminal import print_json

if TYPE_CHECKING:
    import keras


def write(
    f: Activation,
    target: str,
    path: Path,
    scales: Scales,
    model: Path | None,
    interpolated: bool,
    as_json: bool,
) -> None:
    """Write the table of an activation, and print its scales and its error."""
    if model is not None:
        raise InputError(f"--model goes with --int8; to {target} goes the activation alone")
    if interpolated and target != "c":
        raise InputError(f"--interpolated goes with --to c, and not with --to {target}")
    room.check_path(path)
    table = scales.table(f)
    _WRITERS[target](table, path, interpolated)
    found = table.error(interpolated=interpolated)
    format = table.format
    said = f"{format.size:,} inputs of {format.dtype}, each output rounded once"
    _tell(table, path, found, said, as_json)
    if not as_json:
        print("\n".join(f"  {line}" for line in str(found).splitlines()))


def _tell(table: Table, path: Path, error: TableError, said: str, as_json: bool) -> None:
    if as_json:
        ends = {"input": table.input._asdict(), "output": table.output._asdict()}
        known = {"path": str(path), "dtype": str(table.format.dtype)}
        print_json(known | ends | {"error": asdict(error)})
        return
    print(f"{path}: {said}")
    print(f"  input: {table.input.formula('code')}")
    print(f"  output: {table.output.formula('code')}")


def _npz(table: Table, path: Path, _: bool) -> None:
    with atomically(path) as draft, draft.open("wb") as file:
        np.savez(
            file,
            codes=np.asarray(table),
            input_scale=np.float32(table.input.scale),
            input_zero_point=table.input.zero_point,
            output_scale=np.float32(table.output.scale),
            output_zero_point=table.output.zero_point,
        )


def write_int8(
    f: Activation, target: str, path: Path, scales: Scales, model: Path | None, as_json: bool
) -> None:
    """Write the activation, or a Keras model around it, in int8, and print how it compares."""
    if target not in _INT8:
        raise InputError(f"--int8 goes with --to {', '.join(_INT8)}, and not with --to {target}")
    room.check_path(path)
    if model is None:
        _activation(f, target, path, scales, as_json)
        return
    if target not in _MODELS:
        raise InputError(
            f"--int8 with --model goes to {' and '.join(_MODELS)}; to {target} goes the activation alone"
        )
    if not model.is_file():
        raise InputError(f"--model {model}: no such file")
    _model(f, target, path, scales, model, as_json)


def _activation(f: Activation, target: str, path: Path, scales: Scales, as_json: bool) -> None:
    table = scales.table(f)
    codes = np.arange(table.format.first, table.format.high + 1).astype(table.format.dtype)
    with room.drafted(path, target) as draft:
        with room.telling(target, path):
            _writer(target).write_activation(table, draft)
        found = room.reopened(f, target, draft, "", [codes])["value"]
        wrong = int((found != np.asarray(table)).sum())
        if wrong:
            raise ExportError(f"{target} answers {wrong} of {len(codes)} codes otherwise; removed")
    said = f"all {len(codes):,} codes of {table.format.dtype} verified in a fresh process"
    _tell(table, path, table.error(), said, as_json)


def _model(
    f: Activation, target: str, path: Path, scales: Scales, model: Path, as_json: bool
) -> None:
    if scales != Scales(data=scales.data) or scales.data is None:
        raise InputError(
            "--model with --int8 takes its scales from --data alone: give typical inputs"
        )
    data = calibration(scales.data)
    with room.drafted(path, target) as draft:
        with room.telling(target, path):
            loaded = room.loaded_model(f, model)
            _check(loaded, data)
            wanted = loaded.predict(data, verbose=0)
            lookups = _writer(target).write_model(f, loaded, data, draft)
        found = room.reopened(f, target, draft, "", [data])["value"]
        off = np.abs(found - wanted)
    told: Fields = {
        "path": str(path),
        "lookups": lookups,
        "samples": len(data),
        "largest": float(off.max()),
        "mean": float(off.mean()),
        "range": float(np.abs(wanted).max()),
    }
    classes = wanted.ndim == 2 and wanted.shape[1] > 1
    if classes:
        told["same class"] = float((found.argmax(1) == wanted.argmax(1)).mean())
    if as_json:
        print_json(told)
        return
    print(
        f"{path}: int8, {f.name} as {lookups} lookups; run in a fresh process on {len(data):,} samples"
    )
    print(
        f"  largest difference to float32: {told['largest']:.3g}, of outputs up to {told['range']:.3g}"
    )
    print(f"  mean difference: {told['mean']:.3g}")
    if classes:
        print(f"  the same class: {percent(told['same class'], 2)} of the samples")


def _check(model: keras.Model, data: Array) -> None:
    """One input, of the data's shape, and no activation of ours whose parameters were learnt."""
    if len(model.inputs) != 1:
        raise ExportError("a model with one input can be written in int8, and this one has more")
    shape, given = tuple(model.inputs[0].shape)[1:], data.shape[1:]
    fits = len(shape) == len(given) and all(
        n in (None, m) for n, m in zip(shape, given, strict=True)
    )
    if not fits:
        raise InputError(f"--data has samples of shape {given}, and the model takes {shape}")
    for layer in model._flatten_layers():
        if getattr(layer, "program", None) is not None and layer.parameters:
            raise ExportError(
                f"the layer {layer.name!r} has parameters of its own, {', '.join(layer.parameters)}\n"
                f"  Build the model with their values fixed, as in f({next(iter(layer.parameters))}=0.5)."
            )


def _writer(target: str) -> ModuleType:
    """The module that writes a target; it imports the target's libraries when it writes."""
    return importlib.import_module(f"actgrad.workbench.integers.{target}_models")


_INT8 = ("onnx", "tflite", "executorch", "qonnx")
_MODELS = ("onnx", "tflite")
_WRITERS: dict[str, Callable[[Table, Path, bool], None]] = {
    "table": _npz,
    "c": lambda table, path, interpolated: table.to_c(path, interpolated=interpolated),
    "hex": lambda table, path, _: table.to_hex(path),
}
TARGETS = tuple(_WRITERS)
