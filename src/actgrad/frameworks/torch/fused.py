"""Large calls in eager mode: one loop over memory in the place of one for each operation.

`torch.compile` makes the loop from the generated text. The loop sees flat memory of any length: shapes
never compile anew, and there are no guards, since what a loop depends on is its key here. A small
call never waits for a compiler, and runs one operation at a time for good. Which of the two runs depends
on the call alone, so a number never depends on what ran before it.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Tensor
from torch.nn import Parameter

from actgrad.codegen.emit import kernel
from actgrad.codegen.lower import lower
from actgrad.codegen.size import doubled, expanded, operations
from actgrad.common.locks import Lock
from actgrad.common.types import Fields
from actgrad.errors import UnfusedWarning
from actgrad.frameworks.patience import saying
from actgrad.frameworks.torch.dialect import COMPILED_DIALECT
from actgrad.frameworks.torch.operator import operator
from actgrad.language.expression import walk
from actgrad.language.length import N
from actgrad.language.program import Program

LARGE = 1 << 15
"""From this many elements on a loop pays, and PyTorch's own operations use several threads too. In a network
whose layers have so many a step took 1.52 times that with ReLU without it, and takes 1.28."""

MAX_OPERATIONS = 400
"""More may take more than ten seconds to compile, and run unfused: 10 to 20 ms of CPU time for each, once
what PyTorch lacks is decomposed. (The gradient of `gamma` has 338: 4 s.)"""
FEW = 4
"""With more arguments fewer are allowed, in proportion: by each there is a gradient, a loop of its own. The
first gradient by 11 took 13 s of CPU time."""
MAX_DOUBLED = 10_000
"""And of those that are written out again where one operation takes a part twice: Inductor has no option that
keeps it."""

INLINED = 100
"""A program that is larger than this, with its shared parts written out, keeps them in buffers while it
is compiled. Inductor would inline them: eight steps of Newton's square root in 20 s, twelve never."""

LENGTHS = 4
"""A program of rows has a loop for each length of a row; after so many, others run unfused. Softmax of
(4096, 1024), forward and backward, takes 2.5 times PyTorch's with loops, 4.9 times without."""

EXPANDED = 500
"""And in a graph of torch.compile, whose options are not ours, it is one operator from here on."""

Loop = Callable[..., object]
Laid = tuple[Tensor, list[Tensor]]
"""The result, and what a loop is given: its memory first, then that of the tensors."""

_compiling = Lock()
_off = os.environ.get("TORCH_COMPILE_DISABLE") == "1"
_busy = False
"""Whether a thread is compiling. A child that is forked meanwhile finds locks of PyTorch's compiler taken, by
a thread that it does not have, so it compiles nothing."""
_works = False
"""Whether a loop was compiled in this process: then one that fails is the only one."""
_warned = False


class Fused:
    """The loops of one program, one for each device and each combination of dtypes.

    Of an elementwise program a loop sees memory of any length, the result's first. A program of rows has a
    loop for each length of a row, which takes as many rows as come.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.of_rows = program.axis is not None
        self.loops: dict[Hashable, Loop | None] = {}
        # Sorting is a call of PyTorch's own in a loop too.
        slow = self.of_rows and any(n.op == "order" for n in walk(program.value))
        self.fits = not (program.on_host or slow)

    def __call__(self, dtype: torch.dtype, tensors: Sequence[Tensor]) -> Tensor | None:
        """The value, or None where it has to run unfused."""
        like = max(tensors, key=Tensor.dim)
        if _off or not self.fits or not _in_plain_memory(like, tensors):
            return None
        laid = (self._rows if self.of_rows else _memory)(like, dtype, tensors)
        if laid is None:
            return None
        out, flat = laid
        key = (like.device, *[(t.dtype, t.dim(), self.of_rows and t.shape[-1:]) for t in flat])
        loop = self.loops.get(key) or self._compiled(key, flat)
        if loop is None:
            return None
        loop(*flat)
        return out

    def _rows(self, like: Tensor, dtype: torch.dtype, tensors: Sequence[Tensor]) -> Laid | None:
        batch = like.shape[:-1]
        if batch.numel() < 2 or any(t.dim() > 1 and t.shape[:-1] != batch for t in tensors):
            return None
        width, lengths = self.program.value.width, dict(self.program.rows)
        given = zip(self.program.arguments, tensors, strict=True)
        n = next(t.shape[-1] for name, t in given if lengths.get(name) == N)
        size = 1 if width is None else width.at(n)
        out = torch.empty((*batch, size), dtype=dtype, device=like.device)
        # The loop knows the strides of no other tensor.
        flat = [t.reshape(-1, t.shape[-1]) if t.dim() > 1 else t for t in (out, *tensors)]
        return out, [t.contiguous() for t in flat]

    def _compile(self, tensors: Sequence[Tensor]) -> Loop:
        """A loop of tensors like these, which writes the value to the first."""
        fixed = [t.shape[-1:] if self.of_rows else t.shape[:0] for t in tensors]
        lengths = {length for row in fixed for length in row}
        # PyTorch would take this number for a length, if it were one.
        many = next(
            n for n in range(3 + LARGE // max(lengths, default=1), 1 << 30) if n not in lengths
        )
        examples = [
            torch.zeros((many,) * (t.dim() - len(row)) + row, dtype=t.dtype, device=t.device)
            for t, row in zip(tensors, fixed, strict=True)
        ]
        named = {f"a{i}": t for i, t in enumerate(tensors)}
        known = [
            f"{name}.shape[-1] == {row[0]}" for name, row in zip(named, fixed, strict=True) if row
        ]
        wide = [f"{name}{'.float()' * (t.dtype.itemsize == 2)}" for name, t in named.items()]
        lines = [
            f"def loop({', '.join(named)}):",
            f"    if {' and '.join(known) or True}:",
            f"        a0.copy_(value({', '.join(wide[1:])}))",
        ]
        return _loop(self.program, lines, examples)

    def _compiled(self, key: Hashable, tensors: Sequence[Tensor]) -> Loop | None:
        """None if it cannot be had, or another thread is compiling: this one does not wait."""
        global _busy, _off, _works
        if self.of_rows and len(self.loops) >= LENGTHS:
            return None
        if count := _too_many(self.program):
            self.fits = False
            _warn(
                f"{self.program.name!r} has {count:,} operations, too many to compile in seconds, so it runs "
                f"unfused in eager mode: right, and slower"
            )
        if not self.fits or not _compiling.acquire(blocking=False):
            return None
        try:
            if key not in self.loops:
                self.loops[key], _busy = None, True
                with saying("PyTorch", self.program.name):
                    self.loops[key] = self._compile(tensors)
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
            _busy = False
            _compiling.release()
        return self.loops.get(key)


def _too_many(program: Program) -> int:
    """How many operations it has, if they are too many to compile; otherwise 0."""
    most = MAX_OPERATIONS * FEW // max(FEW, len(program.arguments))
    if (count := operations(program.value)) > most:
        return count
    value = lower(program.value, COMPILED_DIALECT.lacks)
    if (count := operations(value)) > most:
        return count
    return count if (count := doubled(value)) > MAX_DOUBLED else 0


def _in_child() -> None:
    global _off
    _off = _off or _busy


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def _memory(like: Tensor, dtype: torch.dtype, tensors: Sequence[Tensor]) -> Laid | None:
    """Tensors of one shape in dense memory, in any order, and numbers."""
    out = torch.empty_like(like, dtype=dtype, requires_grad=False)  # dense, ordered as a dense one
    shape, stride = out.shape, out.stride()
    if stride != like.stride():
        return None
    flat = []
    for t in (out, *tensors):
        if t.dim():
            if t.shape != shape:
                return None
            if t.stride() != stride:
                t = _in_order_of(out, t)
            if t.dim() > 1:
                t = t.as_strided((shape.numel(),), (1,))
        flat.append(t)
    return out, flat


def _warn(text: str) -> None:
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(text, UnfusedWarning, stacklevel=2)


def _in_plain_memory(like: Tensor, tensors: Sequence[Tensor]) -> bool:
    """Whether memory holds the numbers, of a device that has loops, and nobody watches the operations."""
    if torch._C._len_torch_dispatch_stack():
        return False
    try:
        for t in tensors:
            if type(t) not in (Tensor, Parameter) or t.is_neg() or not t.data_ptr():
                return False
    except RuntimeError:  # `is_grads_batched` and `torch.func` have tensors without a pointer
        return False
    return like.is_cpu or (like.is_cuda and like.numel() < 1 << 31)  # CUDA's loops count in 32 bits


def _in_order_of(like: Tensor, tensor: Tensor) -> Tensor:
    """The tensor, copied into the memory order of another if it has its own, or is expanded."""
    if like.is_contiguous() and tensor.is_contiguous():
        return tensor
    return torch.empty_like(like, dtype=tensor.dtype, requires_grad=False).copy_(tensor)


def _loop(program: Program, lines: Sequence[str], examples: Sequence[Tensor]) -> Loop:
    """The function of these lines, compiled for tensors like the examples."""
    # Each loop has code of its own: Dynamo knows loops by that.
    namespace: Fields = {"value": kernel(program, COMPILED_DIALECT, operator)}
    exec(compile("\n".join(lines), f"<actgrad loop of {program.name}>", "exec"), namespace)
    options: Fields = {
        "guard_filter_fn": lambda guards: [False] * len(guards),
        "cpp.dynamic_threads": True,  # as many as torch.set_num_threads says when it runs
        "size_asserts": False,
    }
    if torch.backends.cpu.get_cpu_capability() == "AVX512":
        # PyTorch's own loops have these vectors. To try whether the compiler makes them took 9 of 16 s of CPU
        # time of the first call with an empty cache.
        options["cpp.vec_isa_ok"] = True
    if expanded(lower(program.value, COMPILED_DIALECT.lacks)) > INLINED:
        options["realize_opcount_threshold"] = 4
    loop = torch.compile(namespace["loop"], dynamic=True, fullgraph=True, options=options)
    with (
        warnings.catch_warnings(),  # what PyTorch's compiler warns of would be an error under `-W error`
        torch.inference_mode(False),
        torch.no_grad(),
        torch.autocast(examples[0].device.type, enabled=False),
    ):
        warnings.simplefilter("ignore")
        if hasattr(loop, "aot_compile"):  # a call costs 8 µs, in the place of 75 with Dynamo's own
            loop = loop.aot_compile((tuple(examples), {}))
            loop.disable_guard_check()  # there are none
        loop(*examples)
    return loop
