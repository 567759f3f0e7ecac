"""Where an activation can go, and what is kept there: known before training, not after.

One table, from which `f.supports()`, `actgrad export --dry-run` and docs/targets.md are made.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field

from actgrad.common.types import Fields
from actgrad.language.expression import plain, walk
from actgrad.language.program import Program

ASPECTS = ("value", "derivative", "second derivative", "trainable parameters")


@dataclass(frozen=True)
class Target:
    """A form in which an activation, or a model with it, leaves this process."""

    name: str
    how: str
    opened: str
    no: dict[str, str] = field(default_factory=dict)
    """What it never keeps, and why."""
    note: str = ""


def _frozen(why: str) -> dict[str, str]:
    """Of a target that holds the value only."""
    derivatives = dict.fromkeys(("derivative", "second derivative"), why)
    return derivatives | {"trainable parameters": "they are frozen at their values"}


_INFERENCE = _frozen("it is a format for inference: it holds the value only")


TARGETS = (
    Target(
        "json",
        "f.save(path), actgrad export --to json",
        "actgrad.load(path)",
        {"trainable parameters": "a program holds numbers: what is learnt is saved with its model"},
    ),
    Target("pickle", "pickle, copy, joblib, spawn; torch.save of a module", "with actgrad"),
    Target("keras", ".keras, .weights.h5, .h5, to_json", "keras.saving.load_model, with actgrad"),
    Target(
        "source",
        "f.source(framework), actgrad export --to source",
        "as a Python file, with the framework alone",
        {
            "second derivative": "the framework differentiates the first one's formula, by its own rules at "
            "kinks and in branches that are not taken"
        },
    ),
    Target(
        "saved_model",
        "tf.saved_model.save, model.export, actgrad export --to saved_model",
        "tf.saved_model.load, with TensorFlow alone",
        note="derivatives up to the third",
    ),
    Target(
        "tflite",
        "tf.lite.TFLiteConverter, actgrad export --to tflite",
        "tf.lite.Interpreter",
        _INFERENCE,
        "float32; with --int8 integers, in which it is one exact lookup, alone or in a Keras model that the "
        "converter quantises",
    ),
    Target(
        "torch",
        "torch.export.export, actgrad export --to torch",
        "torch.export.load, with PyTorch alone",
        note="derivatives up to the second; where one is not finite, it is zero",
    ),
    Target(
        "executorch",
        "actgrad export --to executorch",
        "executorch.runtime, with PyTorch for its tensors",
        _INFERENCE,
        "float32, vectors of up to 65,536 numbers, by its portable kernels; with --int8 integers, in which "
        "the activation is one exact lookup",
    ),
    Target(
        "aotinductor",
        "torch._inductor.aoti_compile_and_package",
        "torch._inductor.aoti_load_package",
        _INFERENCE,
        "export it under torch.no_grad(); needs a C++ compiler",
    ),
    Target(
        "onnx",
        "torch.onnx.export(dynamo=True), Keras on PyTorch: model.export(format='onnx'), actgrad export "
        "--to onnx (--model: saved under any backend)",
        "onnxruntime",
        _INFERENCE,
        "standard operations of opset 20; float16, float32 and float64; with --int8 integers, in which it is "
        "one exact lookup, alone or in a Keras model that onnxruntime quantises",
    ),
    Target(
        "jax",
        "jax.export.export(...).serialize(vjp_order=2), actgrad export --to jax",
        "jax.export.deserialize, with JAX alone",
        note="derivatives up to the vjp_order that was asked for",
    ),
    Target(
        "table",
        "f.table(...), f.quantise(...), .to_c(path), .to_hex(path), actgrad export --to table, c or hex",
        "NumPy, a C99 compiler, Verilog's $readmemh",
        _frozen("train with f.quantised(...), whose values are those of the table"),
        "one input; 8 or 16 bits, each output rounded once",
    ),
    Target(
        "qonnx",
        "actgrad export --to qonnx --int8",
        "qonnx.core.onnx_exec",
        _INFERENCE,
        "8 bits, by its operation MultiThreshold, which only rises: a table that falls somewhere is the "
        "difference of two",
    ),
    Target(
        "hls4ml",
        "np.asarray(f.table(...)) in its layer UnaryLUT: see the tutorial on integers",
        "hls4ml's C++, with the backends Vitis and Vivado",
        _INFERENCE,
        "its fixed point has scales that are powers of two, and zero points 0",
    ),
)

_TABLES = ("table", "qonnx", "hls4ml")
"""Which take the table of integers alone."""

# Operations for which the target has none of its own.
TFLITE_LACKS = frozenset(("tan", "asin", "acos", "atan", "asinh", "acosh", "atanh", "erf", "erfc"))
EXECUTORCH_LACKS = frozenset(("floordiv", "hypot", "copysign", "cbrt", "exp2", "atanh", "erfc"))
_LACKS = {"tflite": ("TFLite", TFLITE_LACKS), "executorch": ("ExecuTorch", EXECUTORCH_LACKS)}


@dataclass(frozen=True)
class Row:
    """What one target keeps; `reasons` has an entry for each no."""

    target: Target
    reasons: dict[str, str]

    @property
    def name(self) -> str:
        return self.target.name

    def __getitem__(self, aspect: str) -> bool:
        if aspect not in ASPECTS:
            raise KeyError(f"{aspect!r} is none of {', '.join(ASPECTS)}")
        return aspect not in self.reasons

    def reason(self, aspect: str) -> str:
        """Why not; empty where it is kept."""
        return self.reasons.get(aspect, "")


@dataclass(frozen=True)
class Support:
    """What each target keeps of an activation. Printed, it is a table; `supports["onnx"]["value"]`."""

    name: str
    rows: tuple[Row, ...]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __getitem__(self, target: str) -> Row:
        for row in self.rows:
            if row.name == target:
                return row
        raise KeyError(f"{target!r} is none of {', '.join(row.name for row in self.rows)}")

    def to_dict(self) -> Fields:
        """As plain data, for JSON."""
        return {
            row.name: {a: {"kept": row[a], "reason": row.reason(a)} for a in ASPECTS}
            for row in self
        }

    def __str__(self) -> str:
        width = max(len(row.name) for row in self)
        lines = [" " * width + "  " + "  ".join(aspect.ljust(6) for aspect in ASPECTS)]
        reasons: dict[str, list[str]] = {}
        for row in self:
            cells = []
            for aspect in ASPECTS:
                mark = "yes"
                if not row[aspect]:
                    found = reasons.setdefault(row.reason(aspect), [])
                    found.append(row.name)
                    mark = f"no ({list(reasons).index(row.reason(aspect)) + 1})"
                cells.append(mark.ljust(max(len(aspect), 6)))
            lines.append(f"{row.name:{width}}  {'  '.join(cells)}".rstrip())
        for i, reason in enumerate(reasons, 1):
            lines += textwrap.wrap(f"({i}) {reason}", 96, subsequent_indent="    ")
        return "\n".join([f"{self.name}: what each target keeps", *lines])


def supports(program: Program) -> Support:
    """What each target keeps of a program: see `Studied.supports`."""
    return Support(program.name, tuple(Row(t, _reasons(program, t)) for t in TARGETS))


def _of_rows(target: str) -> dict[str, str]:
    """What a function of a row has not everywhere."""
    if target == "saved_model":
        why = (
            "of a function of a row a SavedModel keeps the first derivative; the second one raises"
        )
        return {"second derivative": why}
    if target in _TABLES:
        return {"value": "a table has one number for each input, and a row has several"}
    return {}


def _reasons(program: Program, target: Target) -> dict[str, str]:
    if program.on_host and target.name not in _TABLES:
        why = "it runs on the host (host=True), as Python code of this process"
        return dict.fromkeys(ASPECTS, why)
    found = dict(target.no)
    if program.on_host:
        return found
    if target.name in _TABLES and len(program.inputs) != 1:
        found["value"] = "a table has one input"
    if program.axis is not None:
        found |= _of_rows(target.name)
    if target.name in _LACKS:
        who, lacks = _LACKS[target.name]
        lacking = sorted({n.op for n in walk(plain(program.value))} & lacks)
        if lacking:
            found["value"] = f"{who} has no {', '.join(lacking)} of its own"
    if target.name == "torch" and program.gradient:
        why = "torch.export keeps data flow, which a gradient= rule is not; export it under torch.no_grad()"
        found |= dict.fromkeys(ASPECTS[1:], why)
    return found
