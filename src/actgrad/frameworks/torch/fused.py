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

import torch
from torch import Tensor

from actgrad.codegen.emit import kernel
from actgrad.codegen.size import expanded, operations
from actgrad.common.types import Fields
from actgrad.errors import UnfusedWarning
from actgrad.frameworks.patience import saying
from actgrad.frameworks.torch.dialect import COMPILED_DIALECT
from actgrad.frameworks.torch.operator import operator
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

EXPANDED = 500
"""And in a graph of torch.compile, whose options are not ours, it is one operator from here on."""

Loop = Callable[..., None]

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
                    self.loops[key] = _compile(self.program, device, dtype, tensors)
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


def _warn(text: str) -> None:
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(text, UnfusedWarning, stacklevel=2)


def _is_plain(like: Tensor, tensors: Sequence[Tensor]) -> bool:
    """Whether memory holds the numbers, and nobody watches the operations."""
    if like.device.type not in ROWS or torch.compiler.is_compiling():
        return False
    if torch._C._len_torch_dispatch_stack():
        return False
    for t in tensors:
        if type(t) not in (torch.Tensor, torch.nn.Parameter) or t.is_neg() or not _has_memory(t):
            return False
        if t.dim() and t.shape != like.shape:
            return False
    within = like.device.type == "cpu" or like.numel() < 1 << 31  # CUDA's loops count in 32 bits
    return within and _is_dense(like)


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


def _compile(
    program: Program, device: torch.device, dtype: torch.dtype, tensors: Sequence[Tensor]
) -> Loop:
    """A loop of (out, *tensors), in rows, that writes the value to `out`."""
    row = ROWS[device.type]
    names = [f"a{i}" for i in range(len(tensors))]
    wide = (
        f"{n}.float()" if t.dtype.itemsize == 2 else n for n, t in zip(names, tensors, strict=True)
    )
    # The condition fixes the length of a row. Each loop has code of its own: Dynamo knows loops by that.
    text = (
        f"def loop(out, {', '.join(names)}):\n"
        f"    if out.shape[1] == {row}:\n"
        f"        out.copy_(value({', '.join(wide)}))\n"
    )
    namespace: Fields = {"value": kernel(program, COMPILED_DIALECT, operator)}
    exec(compile(text, f"<actgrad loop of {program.name}>", "exec"), namespace)
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
        examples = [
            torch.zeros((4096, row) if dim else (), dtype=kind, device=where)
            for kind, dim, where in (
                (dtype, 1, device),
                *((t.dtype, t.dim(), t.device) for t in tensors),
            )
        ]
        if hasattr(loop, "aot_compile"):  # calls cost 40 µs in the place of 75
            return loop.aot_compile((tuple(examples), {}))
        loop(*examples)
    return loop


def _after_fork() -> None:
    """A thread that was compiling does not live on in the child."""
    global _compiling
    _compiling = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
