"""The rule that keeps a derivative in every mode of PyTorch: reverse, forward, vmap, of any order.

`f.source("torch")` prints this code from the first import on, so what it prints is what runs.
"""

import inspect
import types

import torch
from torch.autograd import forward_ad


class Kernel:
    """A function of tensors, with the functions of its derivative by each of them.

    A gradient takes the same tensors, with the upstream gradient after the inputs. Where it is linear in that
    it is the tangent too; where it need not be, the tangent is None, and there is no forward mode.

    With `rows` the function is one of rows, which lie along the last axis. What is one number for a row has
    the size 1 there, or is a tensor without dimensions. Its tangents take a direction after all tensors.
    """

    def __init__(self, function, inputs=0, gradients=(), tangents=(), rows=False):
        self.function = function
        self.inputs = inputs
        self.gradients = [Kernel(each, rows=rows) for each in gradients]
        self.tangents = [each and Kernel(each, rows=rows) for each in tangents]
        self.rows = rows

    def gradient(self, index):
        return self.gradients[index]

    def tangent(self, index):
        if self.tangents[index] is None:
            raise NotImplementedError("this gradient defines reverse mode only")
        return self.tangents[index]

    def apply(self, dtype, tensors):
        """With its derivative. A gradient without gradients is left to PyTorch to differentiate."""
        return Rule.apply(self, dtype, *tensors) if self.gradients else self.value(dtype, tensors)

    def value(self, dtype, tensors):
        """In this dtype and the shape of all tensors; half types compute in float32 inside."""
        result = self.function(*[t.float() if t.dtype.itemsize == 2 else t for t in tensors])
        shape = self.shape(tensors, result)
        if result.shape != shape:
            result = result.expand(shape).clone()
        if result.dtype != dtype:
            result = result.to(dtype)
        for t in tensors:
            if result is t:
                return result.clone()
        return result

    def shape(self, tensors, result):
        """The shape of the value, of which `result` may lack what no tensor in it has."""
        if self.rows:
            batch = torch.broadcast_shapes(*[t.shape[:-1] for t in tensors])
            return (*batch, result.shape[-1] if result.dim() else 1)
        shape = tensors[0].shape
        for t in tensors:
            if t.dim() and t.shape != shape:
                return torch.broadcast_shapes(*[t.shape for t in tensors])
        return shape

    def arguments(self, tensors, above):
        return (*tensors[: self.inputs], above, *tensors[self.inputs :])

    def backward(self, needed, upstream, tensors):
        """The gradients by the tensors that need one, summed where those were broadcast, and None."""
        # Where nothing can differentiate it, the gradient runs without a rule of its own.
        watched = torch.is_grad_enabled() or torch.compiler.is_compiling()
        for t in () if watched else (upstream, *tensors):
            watched = watched or forward_ad.unpack_dual(t).tangent is not None
        arguments = self.arguments(tensors, upstream)
        found = [None] * len(needed)
        for i, need in enumerate(needed):
            if need:
                kernel, tensor = self.gradient(i), tensors[i]
                shape = upstream.shape
                if self.rows:
                    shape = (*shape[:-1], *tensor.shape[-1:])
                same = tensor.shape == shape
                wide = tensor.dtype if same else torch.promote_types(tensor.dtype, torch.float32)
                gradient = (kernel.apply if watched else kernel.value)(wide, arguments)
                if not same:
                    gradient = gradient.sum_to_size(tensor.shape).to(tensor.dtype)
                found[i] = gradient
        return found

    def push(self, dtype, tensors, tangents):
        """The tangent of the value, of those of the tensors (None: it has none)."""
        wide = torch.promote_types(dtype, torch.float32)
        total = None
        for i, tangent in enumerate(tangents):
            if tangent is not None:
                order = (*tensors, tangent) if self.rows else self.arguments(tensors, tangent)
                term = self.tangent(i).apply(wide, order)
                total = term if total is None else total + term
        return None if total is None else total.to(dtype)


class Rule(torch.autograd.Function):
    """A kernel of tensors, inputs before parameters, with its derivative."""

    @staticmethod
    def forward(*arguments):
        kernel, dtype, *tensors = arguments
        return kernel.value(dtype, tensors)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.kernel, ctx.dtype, *tensors = inputs
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx, upstream):
        needed = ctx.needs_input_grad[2:]
        if upstream is None:
            return (None,) * (2 + len(needed))
        return (None, None, *ctx.kernel.backward(needed, upstream, ctx.saved_tensors))

    @staticmethod
    def jvp(ctx, _kernel, _dtype, *tangents):
        # PyTorch switches forward mode off in here, also for all outer levels: a jvp of a jvp would
        # silently be zero. So it is on again, for primals without this level's tangent.
        with forward_ad._set_fwd_grad_enabled(True):
            tensors = [forward_ad.unpack_dual(t, level=0).primal for t in ctx.saved_tensors]
            return ctx.kernel.push(ctx.dtype, tensors, tangents)

    @staticmethod
    def vmap(_info, in_dims, kernel, dtype, *tensors):
        """Every kernel is elementwise, or has its rows last: the mapped dimension goes first, and the others
        line up."""
        mapped = in_dims[2:]
        rank = max(t.dim() - (d is not None) for t, d in zip(tensors, mapped, strict=True))
        moved = []
        for tensor, dim in zip(tensors, mapped, strict=True):
            if dim is not None:
                tensor = tensor.movedim(dim, 0)
                missing = rank + 1 - tensor.dim()
                tensor = tensor[(slice(None), *(None,) * missing)] if missing else tensor
            moved.append(tensor)
        return Rule.apply(kernel, dtype, *moved), 0


def as_tensors(arguments, size):
    """The inputs in the dtype of the first tensor, the parameters in the one that is computed in."""
    like = next(a for a in arguments if isinstance(a, torch.Tensor))
    dtypes = [like.dtype] * size
    dtypes += [torch.promote_types(like.dtype, torch.float32)] * (len(arguments) - size)
    pairs = zip(arguments, dtypes, strict=True)
    return [torch.as_tensor(a, dtype=dtype, device=like.device) for a, dtype in pairs]


class _Positional(inspect.Signature):
    """`Function.apply` binds its arguments by this in every call, which by default costs as much as the
    rest of a small call; here all arguments are positional, and none has a default."""

    def bind(self, *args):
        return types.SimpleNamespace(args=args, kwargs={}, apply_defaults=lambda: None)


Rule.forward.__dict__["__signature__"] = _Positional()
