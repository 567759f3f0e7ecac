"""Quantisers whose steps are learnt: their rules sum over all elements for the gradient by a number."""

import numpy as np
import pytest

from actgrad import activation, from_json, trainable
from actgrad.errors import ImpureError, MixingError, TraceError

torch = pytest.importorskip("torch")
nn = torch.nn
UP = np.linspace(-2, 2, 48)
X = np.linspace(-3.1, 3, 48)


class Pact(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, alpha, bits=4):
        ctx.save_for_backward(x, alpha)
        y = torch.clamp(x, min=0, max=alpha.item())
        scale = (2**bits - 1) / alpha
        return torch.round(y * scale) / scale

    @staticmethod
    def backward(ctx, upstream):
        x, alpha = ctx.saved_tensors
        inside = ~((x < 0) | (x > alpha))
        grad_alpha = torch.sum(upstream * torch.ge(x, alpha).float()).view(-1)
        return upstream * inside.float(), grad_alpha, None


class Lsq(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, alpha, g, low, high):
        ctx.save_for_backward(x, alpha)
        ctx.other = g, low, high
        return (x / alpha).round().clamp(low, high) * alpha

    @staticmethod
    def backward(ctx, upstream):
        x, alpha = ctx.saved_tensors
        g, low, high = ctx.other
        q = x / alpha
        small, big = (q < low).double(), (q > high).double()
        middle = 1.0 - small - big
        by_alpha = small * low + big * high + middle * (-q + q.round())
        by_alpha = (by_alpha * upstream * g).sum() / 2 - -(by_alpha * upstream * g).sum() / 2
        return middle * upstream, by_alpha.unsqueeze(dim=0), None, None, None


class Chosen(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, alpha):
        ctx.save_for_backward(x, alpha)
        return torch.where(x > alpha, alpha, x)

    @staticmethod
    def backward(ctx, upstream):
        x, alpha = ctx.saved_tensors
        return upstream * (x <= alpha), upstream[x > alpha].sum().reshape(alpha.shape) * 0.5


class Learnt(nn.Module):
    def __init__(self, function, *rest):
        super().__init__()
        self.alpha = nn.Parameter(torch.tensor([0.75], dtype=torch.float64))
        self.function, self.rest = function, rest

    def forward(self, x):
        return self.function.apply(x, self.alpha, *self.rest)


@pytest.mark.parametrize(
    ("function", "rest"),
    [(Pact, ()), (Lsq, (0.25, -4, 3)), (Chosen, ())],
    ids=["pact", "lsq", "chosen"],
)
def test_the_gradient_by_a_step_is_the_sum(function, rest):
    own = Learnt(function, *rest)
    made = from_json(activation(own).to_json()).module(alpha=trainable(0.75)).double()
    found = []
    for module in (own, made):
        x = torch.tensor(X, requires_grad=True)
        module(x).backward(torch.tensor(UP))
        found.append([x.grad.numpy(), module.alpha.grad.numpy().reshape(())])
    (slopes, by_alpha), (our_slopes, our_by_alpha) = found
    assert np.abs(by_alpha) > 0.1
    np.testing.assert_allclose(our_slopes, slopes, rtol=1e-12)
    np.testing.assert_allclose(our_by_alpha, by_alpha, rtol=1e-12)


def test_a_sum_by_a_constant_is_no_part_of_it():
    made = activation(lambda x: Lsq.apply(x, torch.tensor(0.5, dtype=torch.float64), 1.0, -4, 3))
    assert made.program.kind == "surrogate"
    np.testing.assert_array_equal(made.derivative([-3.0, 0.2, 9.0]), [0.0, 1.0, 0.0])


BAD = {
    "the gradient by the input": lambda g, x, a: ((g * x).sum(), (g * x).sum()),
    "a product of sums": lambda g, x, a: (g * a, (g * x).sum() * x.sum()),
    "a sum among elements": lambda g, x, a: (g * a - (g * x).sum(), (g * x).sum()),
    "elements times a sum": lambda g, x, a: (g * a, g * x.sum()),
    "a sum that moves": lambda g, x, a: (g * a, (g * x).sum() + 1),
    "a bounded sum": lambda g, x, a: (g * a, (g * x).sum().clamp(-1, 1)),
    "a mean": lambda g, x, a: (g * a, (g * x).mean()),
    "a sum along an axis": lambda g, x, a: (g * a, (g * x).sum(0)),
    "a question of a sum": lambda g, x, a: (g * a, g.sum() if x.sum() > 0 else -g.sum()),
}


@pytest.mark.parametrize("name", BAD)
def test_another_sum_is_refused(name):
    class Bad(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, a):
            ctx.save_for_backward(x, a)
            return x * a

        @staticmethod
        def backward(ctx, g):
            return BAD[name](g, *ctx.saved_tensors)

    with pytest.raises(MixingError, match="mixes the elements"):
        activation(lambda x, a=2.0: Bad.apply(x, a))


class Clipped(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sign()

    @staticmethod
    def backward(ctx, upstream):
        (x,) = ctx.saved_tensors
        slope = torch.zeros_like(upstream)
        for mask, sign in (((x >= 0) & (x < 1), -2.0), ((x < 0) & (x >= -1), 2.0)):
            slope.masked_scatter_(mask, x[mask].mul_(sign).add_(2.0))
        return slope.mul_(upstream)


def test_a_rule_that_scatters_into_a_mask():
    x = torch.tensor(X, requires_grad=True)
    Clipped.apply(x).backward(torch.tensor(UP))
    made = activation(Clipped)
    np.testing.assert_allclose(made.derivative(X) * UP, x.grad, rtol=1e-12)


def test_a_module_that_writes_into_its_weight_is_refused_with_a_cure_that_works():
    class Writes(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Parameter(torch.tensor(2.0))

        def forward(self, x):
            self.a.data = torch.clamp(self.a.data, 1.01, 6.0)
            return x * self.a

    class Clamps(Writes):
        def forward(self, x):
            a = self.a.clamp(1.01, 6.0)
            return x * a

    with pytest.raises(ImpureError, match="writes into its own weight"):
        activation(Writes())
    np.testing.assert_array_equal(activation(Clamps())([1.0, -2.0], a=9.0), [6.0, -12.0])


def test_a_function_without_a_rule_is_refused_with_a_cure_that_works():
    class Rounded(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return torch.round(x)

    class Passed(Rounded):
        @staticmethod
        def backward(ctx, upstream):
            return upstream

    with pytest.raises(TraceError, match="has no `backward`"):
        activation(Rounded)
    np.testing.assert_array_equal(activation(Passed).derivative([0.2, 0.7]), [1.0, 1.0])


SPREAD = {
    "spread, and added up again": lambda total, x: total.expand_as(x).sum(),
    "cut to a whole number": lambda total, x: total.to(torch.int32),
    "cut by its type": lambda total, x: total.type(torch.LongTensor),
}


@pytest.mark.parametrize("name", SPREAD)
def test_a_sum_that_is_no_longer_one_is_refused(name):
    class Scaled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, gain):
            ctx.save_for_backward(x, gain)
            return x * gain

        @staticmethod
        def backward(ctx, upstream):
            x, gain = ctx.saved_tensors
            return upstream * gain, SPREAD[name]((upstream * x).sum(), x)

    with pytest.raises(MixingError, match="sum"):
        activation(lambda x, gain=2.0: Scaled.apply(x, gain))
