"""`actgrad export`: writes an activation, or a Keras model with it, for a target, and keeps what verifies.

What was written is opened in a fresh process, without actgrad where the target needs none, and its values
and gradients are compared with those of the program in NumPy float64 (a model's with Keras' own).
"""

from __future__ import annotations

import errno
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from actgrad.activation import Activation
from actgrad.codegen.emit import identifier
from actgrad.common.files import cannot_write, is_full, write_text
from actgrad.common.text import file_name
from actgrad.common.types import Array, Fields
from actgrad.errors import ExportError, InputError, MissingFrameworkError, WriteError
from actgrad.language.program import Program
from actgrad.workbench.quiet import import_keras, quiet

if TYPE_CHECKING:
    import keras
    import tensorflow as tf
    import torch

SUFFIXES = {
    "json": ".json",
    "source": ".py",
    "saved_model": "",
    "tflite": ".tflite",
    "onnx": ".onnx",
    "torch": ".pt2",
    "executorch": ".pte",
    "qonnx": ".onnx",
    "jax": ".jaxexport",
    "table": ".npz",
    "c": ".h",
    "hex": ".hex",
}
MODELS = {"saved_model": "tensorflow", "tflite": "tensorflow", "onnx": "torch"}
"""The targets that a Keras model can go to, and the backend that each is written from."""
POINTS = 400
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Exported:
    """What was written, and how far it is from the oracle: the largest differences."""

    path: Path
    value: float
    gradient: float | None


def export(
    f: Activation,
    target: str,
    path: Path,
    framework: str = "tensorflow",
    model: Path | None = None,
) -> Exported:
    """Write it there. Raises `ExportError`, and leaves nothing, if it cannot be or is not the same."""
    _check_arguments(f, target, path, model)
    with drafted(path, target) as draft:
        with telling(target, path):
            if model is None:
                inputs = _points(len(f.inputs), _length(f.program))
                _WRITERS[target](f, draft, framework)
                wanted = _oracle(f, target, inputs)
            else:
                loaded = loaded_model(f, model)
                inputs, wanted = _of_model(loaded, target)
                _write_model(loaded, target, draft)
        found = reopened(f, target, draft, framework, inputs)
        return _compared(path, wanted, found)


@contextmanager
def drafted(path: Path, target: str) -> Iterator[Path]:
    """A path in a folder of its own, which takes the place of `path` if all goes well."""
    try:
        folder = Path(tempfile.mkdtemp(dir=path.absolute().parent, prefix=".actgrad-"))
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        draft = folder / (path.name if path.suffix else f"{path.name}{SUFFIXES[target]}")
        yield draft
        draft.replace(path)
    except OSError as error:
        raise error if isinstance(error, WriteError) else cannot_write(path, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _check_arguments(f: Activation, target: str, path: Path, model: Path | None) -> None:
    row = f.supports()[target]
    if not row["value"]:
        raise ExportError(f"{f.name!r} cannot go to {target}: {row.reason('value')}")
    if target not in _WRITERS:
        raise InputError(f"to {target} go integers alone: give --int8, and the scales")
    check_path(path)
    if model is None:
        return
    if target not in MODELS:
        raise InputError(
            f"--model goes to {', '.join(MODELS)}; to {target} goes the activation alone"
        )
    if not model.is_file():
        raise InputError(f"--model {model}: no such file")


def check_path(path: Path) -> None:
    """Raises `InputError` for a path that is taken, or in no folder."""
    if path.exists():
        raise InputError(f"--output {path}: there is something already")
    if not path.absolute().parent.is_dir():
        raise InputError(f"--output {path}: its folder does not exist")


@contextmanager
def telling(target: str, path: Path) -> Iterator[None]:
    """Quietly, and whatever a framework raises is one error of ours."""
    try:
        with quiet(), redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ModuleNotFoundError as error:
        raise MissingFrameworkError(
            f"{target} needs {error.name}, which is not installed\n  pip install {error.name}"
        ) from error
    except (InputError, ExportError):
        raise
    except OSError as error:
        reason = error.__cause__ if isinstance(error, WriteError) and error.__cause__ else error
        raise cannot_write(path, reason) from error
    except Exception as error:
        if is_full(path.absolute().parent):  # frameworks raise errors of many kinds for it
            raise cannot_write(path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))) from error
        # Keras says where in the first line, and what, in bold, in the next.
        lines = re.sub(r"\x1b\[\d*m", "", str(error)).split("\n")
        said = " ".join([line.strip() for line in lines if line.strip()][:2])
        raise ExportError(
            f"it could not be written as {target}: {type(error).__name__}: {said:.300}"
        ) from error


# One writer for each target.


def _function(f: Activation) -> tf.types.experimental.PolymorphicFunction:
    """The activation as a function of TensorFlow, of vectors of any length."""
    import tensorflow as tf

    size = _fixed_length(f.program)
    # In alphabetic order, by which TensorFlow sorts them.
    signature = [tf.TensorSpec([size], tf.float32, f"x{i:02}") for i in range(len(f.inputs))]
    return tf.function(lambda *inputs: f(*inputs), input_signature=signature)


def _fixed_length(program: Program) -> int | None:
    """Of the vectors that it is written for; None if they may have any."""
    if program.axis is None or (program.takes_any_length and len(program.inputs) == 1):
        return None
    return _length(program)


def _length(program: Program) -> int:
    """How many numbers are compared: of a function of a row, one row that fits."""
    if program.axis is None:
        return POINTS
    return next(n for n in range(POINTS, 0, -1) if program.misfit(n) is None)


def _saved_model(f: Activation, path: Path, _: str) -> None:
    import tensorflow as tf

    module = tf.Module()
    module.__call__ = _function(f)
    tf.saved_model.save(module, str(path), signatures=module.__call__)


def write_tflite(function: tf.types.experimental.PolymorphicFunction, path: Path) -> None:
    import tensorflow as tf

    concrete = [function.get_concrete_function()]
    converter = tf.lite.TFLiteConverter.from_concrete_functions(concrete, function)
    path.write_bytes(converter.convert())


def _vectors(
    f: Activation, longest: int | None = None
) -> tuple[tuple[object, ...], tuple[object, ...]]:
    import torch

    size = _fixed_length(f.program)
    length = torch.export.Dim("n", max=longest) if size is None else torch.export.Dim.STATIC
    # Each another tensor: one that is given twice would be one input.
    return tuple(torch.zeros(size or 5) for _ in f.inputs), ({0: length},) * len(f.inputs)


def _torch(f: Activation, path: Path, _: str) -> None:
    import torch

    arguments, shapes = _vectors(f)
    with torch.set_grad_enabled(not f.program.gradient):
        exported = torch.export.export(f.module(), arguments, dynamic_shapes=(shapes,))
    # To a file on a full disk PyTorch's writer ends the process.
    buffer = io.BytesIO()
    torch.export.save(exported, buffer)
    path.write_bytes(buffer.getvalue())


def _executorch(f: Activation, path: Path, _: str) -> None:
    value = Activation(f.program.closed.exact())  # nothing trains it: no rule has to be kept
    arguments, shapes = _vectors(value, LONGEST)
    write_executorch(value.module(), arguments, (shapes,), path)


LONGEST = 65_536
"""Of a vector. ExecuTorch sets memory aside beforehand, so that there has to be a longest."""


def write_executorch(
    module: torch.nn.Module, arguments: tuple[object, ...], shapes: object, path: Path
) -> None:
    """Export a module for inference; `shapes` are those of `torch.export`, each with an end."""
    import torch
    from executorch.exir import to_edge

    with torch.no_grad():
        exported = torch.export.export(module.eval(), arguments, dynamic_shapes=shapes)
    path.write_bytes(to_edge(exported).to_executorch().buffer)


def write_onnx(f: Activation, path: Path, _: str = "") -> None:
    """The activation alone, of vectors."""
    import onnxscript  # noqa: F401  (torch.onnx would find out late, and say it at length)
    import torch

    arguments, shapes = _vectors(f)
    torch.onnx.export(
        f.module().eval(), arguments, path, dynamo=True, dynamic_shapes=(shapes,), verbose=False
    )


def _jax(f: Activation, path: Path, _: str) -> None:
    import jax
    import jax.export

    size = _fixed_length(f.program)
    shape = (size,) if size else jax.export.symbolic_shape("n", constraints=["n >= 2"])
    shape = jax.ShapeDtypeStruct(shape, np.float32)
    exported = jax.export.export(jax.jit(f.native("jax")))(*[shape] * len(f.inputs))
    path.write_bytes(exported.serialize(vjp_order=2))


_WRITERS: dict[str, Callable[[Activation, Path, str], None]] = {
    "json": lambda f, path, _: f.save(path),
    "source": lambda f, path, framework: write_text(path, f.source(framework)),
    "saved_model": _saved_model,
    "tflite": lambda f, path, _: write_tflite(_function(f), path),
    "onnx": write_onnx,
    "torch": _torch,
    "executorch": _executorch,
    "jax": _jax,
}


# A Keras model.


def loaded_model(f: Activation, path: Path) -> keras.Model:
    """The Keras model in a file, which has the activation somewhere."""
    model = import_keras().saving.load_model(path, compile=False)
    if f not in set(_activations(model)):
        raise InputError(f"--model {path}: no layer of it has the activation {f.name!r}")
    return model


def _activations(model: keras.Model) -> Iterator[Activation]:
    for layer in model._flatten_layers():
        program = getattr(layer, "program", None)
        if program is not None:
            yield Activation(program)
        yield from (v for v in vars(layer).values() if isinstance(v, Activation))


def _of_model(model: keras.Model, target: str) -> tuple[list[Array], Fields]:
    """Inputs, and what Keras answers: predictions, and for a SavedModel the gradients of the weights."""
    if len(model.inputs) != 1:
        raise ExportError("a model with one input can be verified, and this one has more")
    shape = tuple(n or 7 for n in model.inputs[0].shape)
    inputs = [np.random.default_rng(0).normal(size=shape).astype(np.float32)]
    wanted = {"value": model.predict(inputs[0], verbose=0)}
    if target == "saved_model":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = model(inputs[0])
        gradients = tape.gradient(value, model.trainable_variables)
        wanted |= {f"g{i}": np.asarray(g) for i, g in enumerate(gradients)}
    return inputs, wanted


def _write_model(model: keras.Model, target: str, path: Path) -> None:
    if target == "tflite":
        path.write_bytes(tflite_converter(model, path).convert())
    elif target == "saved_model":
        model.export(str(path), verbose=False)
    else:
        write_onnx_model(model, path)


def write_onnx_model(model: keras.Model, path: Path) -> None:
    """By PyTorch's newer exporter: Keras' `export` takes the older one, which knows fewer operations."""
    import onnxscript  # noqa: F401
    import torch

    (given,) = model.inputs
    sizes = {i: torch.export.Dim(f"n{i}") for i, n in enumerate(given.shape) if n is None}
    torch.onnx.export(
        model.eval(),
        (torch.zeros([n or 5 for n in given.shape]),),
        path,
        dynamo=True,
        dynamic_shapes=((sizes,),),
        input_names=[given.name],
        verbose=False,
    )


def tflite_converter(model: keras.Model, path: Path) -> tf.lite.TFLiteConverter:
    """The converter of a Keras model, whose SavedModel is written beside `path`."""
    import tensorflow as tf

    saved = str(path.with_name("saved_model"))  # from_keras_model fails where an input has a name
    model.export(saved, verbose=False)
    return tf.lite.TFLiteConverter.from_saved_model(saved)


# Is it the same?


def _points(count: int, size: int = POINTS) -> list[Array]:
    """Away from the places, mostly round numbers, where the last bit of float32 decides a branch."""
    random = np.random.default_rng(0)
    return [random.uniform(-4, 4, size).astype(np.float32) for _ in range(count)]


def _oracle(f: Activation, target: str, inputs: list[Array]) -> Fields:
    program, wide = f.program, [x.astype(np.float64) for x in inputs]
    with np.errstate(all="ignore"):
        wanted = {"value": program.evaluate(*wide)}
        if not f.supports()[target]["derivative"] or (
            target == "json" and (program.gradient or program.axis is not None)
        ):
            return wanted
        above = wide[0] if program.axis is None else wanted["value"]
        for i, name in enumerate(program.inputs):
            wanted[f"g{i}"] = program.vjp(name).evaluate(*wide, np.ones_like(above))
    return wanted


def reopened(f: Activation, target: str, path: Path, framework: str, inputs: list[Array]) -> Fields:
    """What is answered to these inputs in a fresh process; in the folder of `path` are its files."""
    if framework == "keras":
        framework = import_keras().config.backend()
    points, answers = (path.parent / f"{name}.npz" for name in ("points", "answers"))
    given: Fields = {f"x{i}": x for i, x in enumerate(inputs)}
    np.savez(points, **given)
    script = Path(__file__).with_name("reopen.py")
    command = ["-P", script, target, path, framework, identifier(f.name), points, answers]
    why = why_not(*command, env={"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(script.parents[2])})
    if why is not None:
        for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            if os.strerror(code) in why:
                raise OSError(code, os.strerror(code))
        raise ExportError(
            f"it was written as {target}, and cannot be opened; removed\n  {why:.300}"
        )
    with np.load(answers) as found:
        return dict(found)


def _compared(path: Path, wanted: Fields, found: Fields) -> Exported:
    if wanted.keys() != found.keys():
        kept = f"{len(found) - 1} gradients for {len(wanted) - 1}"
        raise ExportError(f"{path} was written with {kept}; removed")
    largest = {}
    for name, right in wanted.items():
        right, got = np.broadcast_arrays(np.asarray(right, np.float64), found[name])
        finite = np.isfinite(right) & (np.abs(right) < np.finfo(np.float32).max)
        with np.errstate(all="ignore"):
            apart = np.abs(got - right) / np.maximum(1, np.abs(right))
        wrong = np.isfinite(got) != finite
        largest[name] = float(np.where(wrong, np.inf, np.where(finite, apart, 0)).max(initial=0))
        if not largest[name] <= TOLERANCE:
            what = "value" if name == "value" else "gradient"
            raise ExportError(
                f"what was written is not the same, and is removed: its {what} is off by up to "
                f"{largest[name]:.3g}, relative to numbers above 1"
            )
    slopes = [apart for name, apart in largest.items() if name != "value"]
    return Exported(path, largest["value"], max(slopes) if slopes else None)


def why_not(*arguments: object, env: dict[str, str], folder: Path | None = None) -> str | None:
    """Run Python in a process of its own. The last line of its error, or None if it ends well."""
    command, env = [sys.executable, *map(str, arguments)], {**os.environ, **env}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env, cwd=folder)
    if not done.returncode:
        return None
    return (done.stderr.strip().splitlines() or ["no reason given"])[-1]


def default_path(f: Activation, target: str) -> Path:
    return Path(f"{file_name(f.name)}{SUFFIXES[target]}")
