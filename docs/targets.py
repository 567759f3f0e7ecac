"""`python docs/targets.py` prints docs/targets.md, from the table of `f.supports()`."""

from __future__ import annotations

from actgrad.study.targets import (
    ASPECTS,
    EXECUTORCH_LACKS,
    TARGETS,
    TFLITE_LACKS,
    Target,
)

_NO_FLOAT64_KERNEL = (
    "acos, acosh, asin, asinh, atan, atan2, cosh, erf, erfc, sinh, tan"
)

_HEAD = """# Where an activation can go

Made by `python docs/targets.py`; a test holds it current. For one activation, with its own
reasons: `f.supports()`, or `actgrad export FILE:NAME --to TARGET --dry-run`.

| Target | Value | Derivative | Second derivative | Trainable parameters | Made by | Opened by |
|---|---|---|---|---|---|---|
"""

_NAMES = ", ".join
_TAIL = f"""
## What depends on the activation

- A function that runs on the host (`host=True`) goes nowhere but into a table of integers, which is data: it
  is Python code of its process.
- A `gradient=` rule is kept by all that keep a derivative but `torch`, which keeps data flow: there the
  export for training is refused, and one made under `torch.no_grad()` has the value.
- An exact derivative aside, what was exported under `torch.no_grad()` refuses to be trained.
- TFLite has no {_NAMES(sorted(TFLITE_LACKS))} of its own. `%` and `//` have Python's signs.
- ExecuTorch has no {_NAMES(sorted(EXECUTORCH_LACKS))} of its own.
- onnxruntime has no float64 kernel for {_NO_FLOAT64_KERNEL}, and no arithmetic in
  bfloat16 on the CPU: export in float32 or float16. float16 computes in float32 inside, as everywhere.
- A Keras model on TensorFlow or JAX goes to ONNX by `actgrad export --to onnx --model M.keras`, which opens
  it on PyTorch. Keras' own `model.export(format="onnx")` needs tf2onnx or jax2onnx there; neither is tested.
- Keras empties the file of `model.save` before it asks its layers what they are, so a refusal, that of a
  `host=True` activation included, leaves an empty file where an older model was. `actgrad` is not asked
  before that and cannot prevent it: save such a model's weights (`model.save_weights`), or under a new name.

`actgrad export` writes vectors of any length in float32, opens what it wrote in a fresh process (without
actgrad, where none is needed), compares values and gradients with the program in NumPy float64, and
removes what is not the same. With `--model`, a Keras model is written whole and compared with Keras' own
predictions (and, as a SavedModel, gradients of the weights).
"""


def page() -> str:
    """The page as Markdown."""
    return _HEAD + "".join(map(_row, TARGETS)) + "".join(_notes()) + _TAIL


def _row(target: Target) -> str:
    cells = ["no" if aspect in target.no else "yes" for aspect in ASPECTS]
    how = [text.replace("|", "\\|") for text in (target.how, target.opened)]
    return f"| {' | '.join([f'`{target.name}`', *cells, *how])} |\n"


def _notes() -> list[str]:
    lines = ["\n## Why not, and how far\n\n"]
    for target in TARGETS:
        reasons: dict[str, list[str]] = {}
        for aspect, why in target.no.items():
            reasons.setdefault(why, []).append(aspect)
        parts = [
            f"no {' nor '.join(aspects)}: {why}" for why, aspects in reasons.items()
        ]
        said = [*parts, *([target.note] if target.note else [])]
        if said:
            lines.append(f"- `{target.name}`: {'; '.join(said)}.\n")
    return lines


if __name__ == "__main__":
    print(page(), end="")
