"""Every private name of a framework that actgrad uses, with the reason, and the versions that have it.

`tests/common/test_private.py` looks each of them up, and finds none in the code that is not here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Private:
    name: str
    versions: str
    reason: str
    """What breaks without it, and what the public way would cost."""


PRIVATE = (
    Private(
        "torch.autograd.forward_ad._set_fwd_grad_enabled",
        "torch 2.0 to 2.14",
        "PyTorch switches forward mode off inside `Function.jvp`, also for all outer levels: without it a "
        "jvp of a jvp is silently zero. Nothing public switches it on.",
    ),
    Private(
        "torch._C._len_torch_dispatch_stack",
        "torch 2.0 to 2.14",
        "Whether a dispatch mode (make_fx, FlopCounterMode) watches the operations of plain tensors: a "
        "compiled kernel would hide them from it. Nothing public tells.",
    ),
    Private(
        "tensorflow.python.eager.record.could_possibly_record",
        "tensorflow 2.21",
        "Whether a tape or a forward accumulator is active. If none is, an eager call runs its kernel alone; "
        "through tf.custom_gradient a small call with its gradient takes a quarter longer.",
    ),
    Private(
        "torch.jit.ScriptFunction._torchdynamo_inline",
        "torch 2.0 to 2.14",
        "The Python function under `torch.jit.script`, which is read. Nothing public has it; without it such "
        "a function is refused.",
    ),
    Private(
        "tensorflow.lite.tools.flatbuffer_utils.read_model_from_bytearray",
        "tensorflow 2.16 to 2.21",
        "It opens a converted TFLite model as objects, with the schema's names in it. The converter has no "
        "operation for an int8 table: it quantises the parts of an activation, each with its own rounding.",
    ),
)

HABITS = (
    Private(
        "tensorflow.vectorized_map",
        "tensorflow 2.21",
        "Public, but not the name scope `loop_body` in which it and the jacobians trace what they rebuild "
        "operation by operation. They drop custom gradients silently; the derivatives are data flow there.",
    ),
)
"""What public functions do that no documentation promises."""
