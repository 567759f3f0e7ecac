"""Large calls in eager mode: one loop over memory in the place of one for each operation.

`torch.compile` makes the loop from the generated text. The loop sees flat memory of any length, in rows:
shapes never compile anew, and there are no guards, since what a loop depends on is its key here. A small
call never waits for a compiler, and runs one operation at a time for good. Which of the two runs depends
on the call alone, so a number never depends on what ran before it.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from torch import Tensor

from actgrad.codegen.emit import kernel
from actgrad.codegen.size import expanded, operations
from actgrad.common.types import Fields
from actgrad.errors import UnfusedWarning
from actgrad.frameworks.patience import saying
from actgrad.frameworks.torch.dialect import COMPILED_DIALECT
from actgrad.frameworks.torch.operator import operator
from actgrad.language.expression import walk
from actgrad.language.program import Program

LARGE = 1 << 16
"""From this many elements on a loop pays. Its call costs 40 µs, an operation of so many elements 10."""

ROWS = {"cpu": 64, "cuda": 1}
"""Devices that have a loop, and the elements in a row. Of whole rows the CPU's loop asks for no last
vector, which makes it a third faster at a million elements."""

MAX_OPERATIONS = 250
"""More are compiled in more than ten seconds, and run unfused."""

INLINED = 100
"""A program that is larger than this, with its shared parts written out, keeps them in buffers while it
is compiled. Inductor would inline them: eight steps of Newton's square root in 20 s, twelve never."""

LENGTHS = 4
"""A program of rows has a loop for each length of a row; after so many, others run unfused. Softmax of
(4096, 1024), forward and backward, takes 2.5 times PyTorch's with loops, 4.9 times without."""

EXPANDED = 500
"""And in a graph of torch.compile, whose options are not ours, it is one operator from here on."""

Loop = Callable[..., Any]

_compiling = threading.Lock()
_off = os.environ.get("TORCH_COMPILE_DISABLE") == "1"
_works = False
"""Whether a loop was compiled in this process: then one that fails is the only one."""
_warned = False


class Fused:
    """The loops of one program, one for each device and each combination of dtypes."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.loops: dict[Hashable, Loop | None] = {}
        self.fits = not program.on_host

    def __call__(self, dtype: torch.dtype, tensors: Sequence[Tensor]) -> Tensor | None:
        """The value, or None where it has to run unfused."""
        like = next(t for t in tensors if t.dim())
        if _off or not self.fits or not _is_plain(like, tensors):
            return None
        tensors = [_in_order_of(like, t) for t in tensors]
        device = like.device
        key = (device, dtype, *((t.dtype, t.dim() > 0, t.device) for t in tensors))
        loop = self.loops.get(key) or self._compiled(key, device, dtype, tensors)
        if loop is None:
            return None
        out = torch.empty_like(like, dtype=dtype, requires_grad=False)
        row = ROWS[device.type]
        rows, rest = divmod(out.numel(), row)
        loop(*(_rows(t, 0, rows, row) for t in (out, *tensors)))
        if rest:  # the last row's worth again, whole
            loop(*(_rows(t, t.numel() - row, 1, row) for t in (out, *tensors)))
        return out

    def _compile(self, device: torch.device, dtype: torch.dtype, tensors: Sequence[Tensor]) -> Loop:
        """A loop of (out, *tensors), in rows, that writes the value to `out`."""
        row = ROWS[device.type]
        # The condition fixes the length of a row.
        body = [f"if a0.shape[1] == {row}:", f"    a0.copy_(value({_wide(tensors, 1)}))"]
        like = torch.empty((), dtype=dtype, device=device)
        examples = [
            torch.zeros((4096, row) if i == 0 or t.dim() else (), dtype=t.dtype, device=t.device)
            for i, t in enumerate((like, *tensors))
        ]
        return _loop(self.program, device, body, examples)

    def _compiled(
        self, key: Hashable, device: torch.device, dtype: torch.dtype, tensors: Sequence[Tensor]
    ) -> Loop | None:
        """None if it cannot be had, or another thread is compiling: this one does not wait."""
        global _off, _works
        size = operations(self.program.value)
        if size > MAX_OPERATIONS:
            self.fits = False
            _warn(
                f"{self.program.name!r} has {size:,} operations, too many to compile in seconds, so it runs "
                f"unfused in eager mode: right, and slower"
            )
        if not self.fits or not _compiling.acquire(blocking=False):
            return None
        try:
            if key not in self.loops:
                self.loops[key] = None
                with saying("PyTorch", self.program.name):
                    self.loops[key] = self._compile(device, dtype, tensors)
                _works = True
        except Exception as error:
            _off = not _works
            reason = str(error).strip().partition("\n")[0]
            _warn(
                f"PyTorch could not compile {self.program.name!r}, so activations run unfused in eager mode: "
                f"right, and several times slower\n  {type(error).__name__}: {reason}\n"
                f"  Install a C++ compiler, or set TORCH_COMPILE_DISABLE=1 to not try."
            )
        finally:
            _compiling.release()
        return self.loops.get(key)


class FusedRows(Fused):
    """The loops of a program of rows: one for each length of a row, and for as many rows as come."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        # Sorting is a call of PyTorch's own in a loop too.
        self.fits &= not any(node.op == "order" for node in walk(program.value))

    def __call__(self, dtype: torch.dtype, tensors: Sequence[Tensor]) -> Tensor | None:
        like = tensors[0]
        batch = like.shape[:-1]
        if _off or not self.fits or batch.numel() < 2 or not _in_plain_memory(like, tensors):
            return None
        if any(t.dim() > 1 and t.shape[:-1] != batch for t in tensors):
            return None
        # The loop knows the strides of no other tensor.
        flat = [(t.reshape(-1, t.shape[-1]) if t.dim() > 1 else t).contiguous() for t in tensors]
        key = (like.device, dtype, *((t.dtype, t.dim(), t.shape[-1:], t.device) for t in flat))
        loop = self.loops.get(key)
        if loop is None and len(self.loops) < LENGTHS:
            loop = self._compiled(key, like.device, dtype, flat)
        return None if loop is None else loop(*flat).reshape(*batch, -1)

    def _compile(self, device: torch.device, dtype: torch.dtype, tensors: Sequence[Tensor]) -> Loop:
        lengths = {t.shape[-1] for t in tensors if t.dim()}
        # PyTorch would take this number for a length, if it were one.
        rows = next(n for n in range(3 + LARGE // max(lengths), 1 << 30) if n not in lengths)
        examples = [
            torch.zeros((rows,) * (t.dim() > 1) + t.shape[-1:], dtype=t.dtype, device=t.device)
            for t in tensors
        ]
        fixed = [f"a{i}.shape[-1] == {t.shape[-1]}" for i, t in enumerate(tensors) if t.dim()]
        body = [
            f"if {' and '.join(fixed)}:",
            f"    result = value({_wide(tensors)}).to({dtype})",
            "    return result.expand(a0.shape[0], result.shape[-1] if result.dim() else 1).clone()",
        ]
        return _loop(self.program, device, body, examples)


def _warn(text: str) -> None:
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(text, UnfusedWarning, stacklevel=2)


def _is_plain(like: Tensor, tensors: Sequence[Tensor]) -> bool:
    """Whether all have one shape, or are numbers, in plain memory."""
    alike = all(t.shape == like.shape for t in tensors if t.dim())
    return alike and _in_plain_memory(like, tensors) and _is_dense(like)


def _in_plain_memory(like: Tensor, tensors: Sequence[Tensor]) -> bool:
    """Whether memory holds the numbers, and nobody watches the operations."""
    if like.device.type not in ROWS or torch.compiler.is_compiling():
        return False
    if torch._C._len_torch_dispatch_stack():
        return False
    for t in tensors:
        if type(t) not in (torch.Tensor, torch.nn.Parameter) or t.is_neg() or not _has_memory(t):
            return False
    return like.device.type == "cpu" or like.numel() < 1 << 31  # CUDA's loops count in 32 bits


def _has_memory(tensor: Tensor) -> bool:
    """Not a zero without memory, nor one of `is_grads_batched`, which has no pointer to ask for."""
    try:
        return bool(tensor.data_ptr())
    except RuntimeError:
        return False


def _is_dense(x: Tensor) -> bool:
    if x.is_contiguous():
        return True
    expected = 1
    for stride, size in sorted(zip(x.stride(), x.shape, strict=True)):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True


def _in_order_of(like: Tensor, tensor: Tensor) -> Tensor:
    """The tensor, copied into the memory order of another if it has its own, or is expanded."""
    if tensor is like or not tensor.dim() or tensor.stride() == like.stride():
        return tensor
    if like.is_contiguous() and tensor.is_contiguous():
        return tensor
    return torch.empty_like(like, dtype=tensor.dtype, requires_grad=False).copy_(tensor)


def _rows(tensor: Tensor, start: int, rows: int, row: int) -> Tensor:
    if not tensor.dim():
        return tensor
    return tensor.as_strided((rows, row), (row, 1), tensor.storage_offset() + start)


def _loop(
    program: Program,
    device: torch.device,
    body: Sequence[str],
    examples: Sequence[Tensor],
) -> Loop:
    """A loop of tensors like the examples, which are `a0`, `a1` and so on in its lines."""
    # Each loop has code of its own: Dynamo knows loops by that.
    head = f"def loop({', '.join(f'a{i}' for i in range(len(examples)))}):"
    namespace: Fields = {"torch": torch, "value": kernel(program, COMPILED_DIALECT, operator)}
    exec(
        compile("\n    ".join([head, *body]), f"<actgrad loop of {program.name}>", "exec"),
        namespace,
    )
    options: Fields = {
        "guard_filter_fn": lambda guards: [False] * len(guards),
        "cpp.dynamic_threads": True,  # as many as torch.set_num_threads says when it runs
        "size_asserts": False,
    }
    if expanded(program.value) > INLINED:
        options["realize_opcount_threshold"] = 4
    loop = torch.compile(namespace["loop"], dynamic=True, fullgraph=True, options=options)
    with (
        torch.inference_mode(False),
        torch.no_grad(),
        torch.autocast(device.type, enabled=False),
    ):
        if hasattr(loop, "aot_compile"):  # calls cost 40 µs in the place of 75
            return loop.aot_compile((tuple(examples), {}))
        loop(*examples)
    return loop


def _wide(tensors: Sequence[Tensor], first: int = 0) -> str:
    """The arguments of the value, half types in float32."""
    return ", ".join(
        f"a{i}{'.float()' * (t.dtype.itemsize == 2)}" for i, t in enumerate(tensors, first)
    )


def _after_fork() -> None:
    """A thread that was compiling does not live on in the child."""
    global _compiling
    _compiling = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
