"""PyTorch's eager mode at the speed of memory: one loop in the place of one for each operation.

Inductor compiles the loop, without Dynamo, whose guards cost more than a small call. It runs over flat
memory of any length, so shapes never compile anew: there is one kernel for each program and dtype. It
goes by rows of 64: where Inductor knows nothing of a length, it asks for each vector if it is the last.

A small call never waits for a compiler. It runs unfused for good: there operations cost little, and
starting the threads of a loop costs much where the machine is busy. Which of the two runs depends on the
size alone, so a number never depends on what ran before it. Inductor keeps kernels on disk, so the next
process only loads them. CPU only, so far.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch

from actgrad.codegen.emit import kernel
from actgrad.errors import UnfusedWarning
from actgrad.frameworks.patience import saying
from actgrad.frameworks.torch.dialect import COMPILED_DIALECT
from actgrad.frameworks.torch.host import host
from actgrad.language.program import Program

ROW = 64

LARGE = 1 << 15
"""From this many elements on a loop pays; so many PyTorch gives to one thread."""

Kernel = Callable[[list[Any]], Any]

_kernels: dict[tuple[Any, ...], Kernel | None] = {}
"""By program, dtypes, and which arguments are single numbers; None where none can be had."""

_compiling = threading.Lock()
_off = os.environ.get("TORCH_COMPILE_DISABLE") == "1"


def run(program: Program, dtype: Any, tensors: Sequence[Any]) -> Any:
    """The program's value, or None where it has to run unfused.

    Takes plain CPU tensors, one of them large, and must be called where nothing is recorded for autograd.
    """
    if _off:
        return None
    like: Any = None
    signature: list[Any] = [program, dtype]
    for tensor in tensors:
        if tensor.dim():
            signature.append(tensor.dtype)
            like = tensor if like is None else like
        else:
            signature += (tensor.dtype, "number")
    if not _same_memory(like, tensors) or program.on_host:
        return None
    key = tuple(signature)
    found = _kernels.get(key)
    if found is None and key not in _kernels:
        found = compiled(key, program.name, lambda: _compile(program, dtype, tensors), wait=False)
    if found is None:
        return None
    out = torch.empty_like(like, dtype=dtype, requires_grad=False)
    by_rows(found, (out, *tensors), (ROW, *(ROW if t.dim() else 0 for t in tensors)))
    return out


def by_rows(found: Kernel, tensors: Sequence[Any], widths: Sequence[int]) -> None:
    """Run a kernel over tensors of so many elements in a row. It sees memory only, and no shapes."""
    rows, rest = divmod(tensors[0].numel(), widths[0])
    found([rows, *tensors])
    if rest:  # the last row's worth again, whole
        found([1, *map(_end, tensors, widths)])


def _end(tensor: Any, width: int) -> Any:
    if not width:
        return tensor
    return tensor.as_strided((width,), (1,), tensor.storage_offset() + tensor.numel() - width)


def in_order_of(like: Any, tensor: Any) -> Any:
    """The tensor, copied into the memory order of another if it has its own, or is expanded."""
    if tensor.numel() < LARGE or tensor.shape != like.shape or _same_memory(like, (tensor,)):
        return tensor
    return torch.empty_like(like, dtype=tensor.dtype, requires_grad=False).copy_(tensor)


def _same_memory(like: Any, tensors: Sequence[Any]) -> bool:
    """Whether all tensors, but for single numbers, are dense and have their elements in one order."""
    shape, strides, contiguous = like.shape, like.stride(), like.is_contiguous()
    for t in tensors:
        if t is like or t.dim() == 0:
            continue
        if t.shape != shape or not (t.stride() == strides or (contiguous and t.is_contiguous())):
            return False
    return contiguous or is_dense(shape, strides)


def is_dense(shape: Sequence[int], strides: Sequence[int]) -> bool:
    expected = 1
    for stride, size in sorted(zip(strides, shape, strict=True)):
        if size != 1:
            if stride != expected:
                return False
            expected *= size
    return True


def compiled(
    key: tuple[Any, ...], name: str, make: Callable[[], Kernel], wait: bool
) -> Kernel | None:
    """The kernel; None if it cannot be had, or another thread is compiling and this one shall not wait."""
    global _off
    if found := _kernels.get(key):
        return found
    if not _compiling.acquire(blocking=wait):
        return None
    try:
        if key not in _kernels and not _off:
            _kernels[key] = None
            with saying("PyTorch", name):
                _kernels[key] = make()
    except Exception as error:
        _off = True
        reason = str(error).strip().partition("\n")[0]
        warnings.warn(
            f"PyTorch could not compile {name!r}, so activations run unfused in eager mode: right, "
            f"and several times slower\n  {type(error).__name__}: {reason}\n"
            f"  Install a C++ compiler, or set TORCH_COMPILE_DISABLE=1 to not try.",
            UnfusedWarning,
            stacklevel=2,
        )
    finally:
        _compiling.release()
    return _kernels.get(key)


def _compile(program: Program, dtype: Any, tensors: Sequence[Any]) -> Kernel:
    """A kernel of [rows, out, *tensors] that writes the value to `out`."""
    function = kernel(program, COMPILED_DIALECT, host)

    def flat(_rows: int, out: Any, *arguments: Any) -> tuple[()]:
        wide = (a.to(torch.promote_types(a.dtype, torch.float32)) for a in arguments)
        out.copy_(function(*wide))
        return ()

    return loop(flat, (ROW, dtype), *((ROW if t.dim() else 0, t.dtype) for t in tensors))


def loop(flat: Callable[..., tuple[()]], *likes: tuple[int, Any]) -> Kernel:
    """A kernel of [rows, *tensors], of so many elements in a row (0: a number) and such dtypes."""
    from torch._inductor import config

    # Threads as many as torch.set_num_threads says when it runs; compiled here, in no other process.
    options = {"cpp.dynamic_threads": True, "size_asserts": False, "compile_threads": 1}
    with (
        config.patch(options),
        torch.inference_mode(False),
        torch.no_grad(),
        torch.autocast("cpu", enabled=False),
    ):
        from torch._dynamo.source import ConstantSource
        from torch._inductor.compile_fx import compile_fx_inner
        from torch._inductor.decomposition import select_decomp_table
        from torch._subclasses import FakeTensorMode
        from torch.fx.experimental.proxy_tensor import make_fx
        from torch.fx.experimental.symbolic_shapes import (
            DimDynamic,
            ShapeEnv,
            StatelessSymbolicContext,
        )

        fake = FakeTensorMode(shape_env=ShapeEnv())
        any_length = StatelessSymbolicContext(
            dynamic_sizes=[DimDynamic.DYNAMIC, DimDynamic.STATIC], constraint_sizes=[None, None]
        )
        first = fake.from_tensor(
            torch.empty((1 << 14, likes[0][0]), dtype=likes[0][1], device="cpu"),
            symbolic_context=any_length,
            source=ConstantSource("out"),
        )
        rows = first.shape[0]
        with fake, torch._guards.tracing(torch._guards.TracingContext(fake)):
            others = [
                torch.empty((rows, width) if width else (), dtype=dtype, device="cpu")
                for width, dtype in likes[1:]
            ]
            graph = make_fx(
                flat,
                decomposition_table=select_decomp_table(),
                tracing_mode="symbolic",
                _allow_non_fake_inputs=True,
            )(rows, first, *others)
            examples = [n.meta["val"] for n in graph.graph.nodes if n.op == "placeholder"]
            made = compile_fx_inner(graph, examples)
    return made.current_callable


def _after_fork() -> None:
    """A thread that was compiling does not live on in the child."""
    global _compiling
    _compiling = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
