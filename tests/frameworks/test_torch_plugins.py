"""Where PyTorch libraries take a surrogate or an activation, ours goes in as it is: snnTorch,
SpikingJelly, Norse, Lightning. (Those of JAX: `test_jax_plugins.py`.)

Each network is compared with its twin that has the library's own surrogate of the same formula. A
library that is not installed is skipped.
"""

from __future__ import annotations

import copy
import importlib
import math
import pickle
import warnings
from typing import Any

import numpy as np
import pytest

from actgrad import activation, surrogates, trainable
from tests.sample import exhaustive_but

torch = pytest.importorskip("torch")
# What these libraries do with PyTorch, NumPy and each other is theirs to mend.
pytestmark = pytest.mark.filterwarnings("default")

EXACT = {"rtol": 1e-6, "atol": 1e-7}
POINTS = [-3.0, -1.0, -0.51, -0.3, -1e-3, 1e-3, 0.24, 0.7, 1.0, 2.5]


def library(name: str) -> Any:
    """The module; the test is skipped where it is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip(name.partition(".")[0])
        return importlib.import_module(name)


def value_and_slope(f: Any, points: Any = POINTS) -> tuple[Any, Any]:
    x = torch.tensor(points, requires_grad=True)
    y = f(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    return y.detach(), slope


def same(mine: Any, theirs: Any) -> None:
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b, **EXACT)
    assert any(b.abs().max() > 0 for b in theirs)


# The same formula: the same value and the same slope.

SNNTORCH = {
    "atan": ({"alpha": 2.0}, "atan", (2.0,)),
    "atan(alpha=5)": ({"alpha": 5.0}, "atan", (5.0,)),
    "fast_sigmoid": ({"slope": 25.0}, "fast_sigmoid", (25,)),
    "sigmoid": ({"slope": 4.0}, "sigmoid", (4,)),
    "straight_through": ({}, "straight_through_estimator", ()),
    "half": ({}, "heaviside", ()),
    "up_down": ({"threshold": 2.0}, "triangular", (2.0,)),
    "spike_rate_escape": ({"beta": 1.0, "slope": 25.0}, "spike_rate_escape", (1, 25)),
    "sparse_fast_sigmoid": ({"slope": 25.0, "b": 1.0}, "SFS", (25, 1)),
}


@pytest.mark.parametrize("name", SNNTORCH)
def test_the_surrogates_of_snntorch(name: str) -> None:
    theirs = library("snntorch.surrogate")
    parameters, called, arguments = SNNTORCH[name]
    ours = getattr(surrogates, name.partition("(")[0])(at_zero=0.0, **parameters)
    same(value_and_slope(ours), value_and_slope(getattr(theirs, called)(*arguments)))


SPIKINGJELLY = {
    "atan": ({"alpha": 2.0}, "ATan"),
    "sigmoid": ({"slope": 4.0}, "Sigmoid"),
    "piecewise_quadratic": ({"alpha": 1.0}, "PiecewiseQuadratic"),
    "piecewise_exp": ({"alpha": 1.0}, "PiecewiseExp"),
    "soft_sign": ({"alpha": 2.0}, "SoftSign"),
    "super_spike": ({"alpha": 1.0}, "SuperSpike"),
    "nonzero_sign_log_abs": ({"alpha": 1.0}, "NonzeroSignLogAbs"),
    "erf": ({"alpha": 2.0}, "Erf"),
    "piecewise_leaky_relu": ({"w": 1.0, "c": 0.01}, "PiecewiseLeakyReLU"),
    "square_wave_fourier": ({}, "SquarewaveFourierSeries"),
    "s2nn": ({"alpha": 4.0, "beta": 1.0}, "S2NN"),
    "q_pseudo_spike": ({"alpha": 2.0}, "QPseudoSpike"),
    "leaky_k_relu": ({"leak": 0.0, "k": 1.0}, "LeakyKReLU"),
    "fake_numerical_gradient": ({"alpha": 0.3}, "FakeNumericalGradient"),
    "log_tailed_relu": ({"alpha": 0.0}, "LogTailedReLU"),
    "rect": ({"alpha": 1.0}, "Rect"),
}
NOT_ON_THE_EDGE = [x for x in POINTS if abs(x) != 1]  # where they differ in `<` and `<=`


@pytest.mark.parametrize("name", SPIKINGJELLY)
def test_the_surrogates_of_spikingjelly(name: str) -> None:
    theirs = library("spikingjelly.activation_based.surrogate")
    parameters, called = SPIKINGJELLY[name]
    ours = getattr(surrogates, name)(**parameters)
    wanted = value_and_slope(getattr(theirs, called)(), NOT_ON_THE_EDGE)
    same(value_and_slope(ours, NOT_ON_THE_EDGE), wanted)


NORSE = {
    "fast_sigmoid": ({"slope": 1.0}, "super", 100.0),
    "triangle": ({"alpha": 0.3}, "triangle", 0.3),
    "tanh": ({"alpha": 2.0}, "tanh", 2.0),
    "circ": ({"alpha": 2.0}, "circ", 2.0),
    "erfc": ({"alpha": 2.0}, "heavi_erfc", 2.0),
}


@pytest.mark.parametrize("name", NORSE)
def test_the_surrogates_of_norse(name: str) -> None:
    theirs = library("norse.torch.functional.threshold")
    parameters, method, alpha = NORSE[name]
    ours = getattr(surrogates, name)(at_zero=0.0, **parameters)
    same(value_and_slope(ours), value_and_slope(lambda x: theirs.threshold(x, method, alpha)))


# snnTorch: `spike_grad=`

FORMS = {
    "the activation": lambda f: f,
    "its module": lambda f: f.module(),
}


def inputs(steps: int = 5) -> Any:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(steps, 4, 3, generator=generator).mul(2).requires_grad_()


def run_snntorch(neuron: Any, x: Any) -> tuple[Any, ...]:
    state: Any = ()
    spikes, total = [], 0
    for now in x:
        spike, *state = neuron(now, *state)
        spikes.append(spike)
        total = total + (spike * torch.arange(1.0, 4)).sum() + state[-1].sum()
    spikes = torch.stack(spikes)
    assert 0 < spikes.mean() < 1
    weights = [p for p in neuron.parameters() if p.requires_grad]
    return (spikes.detach(), *torch.autograd.grad(total, [x, *weights], allow_unused=True)[:1])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["Leaky", "Lapicque", "Synaptic", "Alpha", "Leaky, learnt"])
def test_a_neuron_of_snntorch(kind: str, form: str) -> None:
    snn, theirs = library("snntorch"), library("snntorch.surrogate")
    decays = {"Synaptic": {"alpha": 0.8}, "Alpha": {"alpha": 0.9}}.get(kind, {})
    learnt = {"learn_beta": True, "learn_threshold": True} if "learnt" in kind else {}
    found = []
    for f in (FORMS[form](surrogates.atan(at_zero=0.0)), theirs.atan()):
        options = {"beta": 0.7, "spike_grad": f, **decays, **learnt}
        neuron = getattr(snn, kind.partition(",")[0])(**options)
        found.append(run_snntorch(neuron, inputs()))
    same(*found)


def graded() -> Any:
    """A step of a height that is learnt."""
    f = activation(
        lambda x, height=1.0: height if x > 0 else 0.0,
        surrogate=lambda x, height: height / (1 + x * x),
        name="graded",
    )
    return f.module(height=trainable(1.5, low=0.1))


def test_a_height_that_snntorch_learns() -> None:
    snn = library("snntorch")
    neuron = snn.Leaky(beta=0.7, spike_grad=graded(), reset_mechanism="none")
    assert [name for name, _ in neuron.named_parameters()] == ["spike_grad.height"]
    state, total = neuron.init_leaky(), 0
    for now in inputs():
        spike, state = neuron(now, state)
        total = total + spike.sum()
    total.backward()
    fired = total.detach() / 1.5
    assert fired > 0
    torch.testing.assert_close(neuron.spike_grad.height.grad, fired.reshape(1))
    fresh = snn.Leaky(beta=0.7, spike_grad=graded())
    neuron.spike_grad.height.data.fill_(0.7)
    fresh.load_state_dict(neuron.state_dict())
    assert float(fresh.spike_grad.height.detach()) == pytest.approx(0.7)


def test_a_network_of_snntorch_trains_and_copies() -> None:
    snn = library("snntorch")

    def network() -> Any:
        torch.manual_seed(0)
        return torch.nn.Sequential(
            torch.nn.Linear(3, 16),
            snn.Leaky(beta=0.5, spike_grad=surrogates.fast_sigmoid(slope=5.0), init_hidden=True),
            torch.nn.Linear(16, 3),
        )

    model, x = network(), inputs(1)[0].detach()
    optimizer, losses = torch.optim.Adam(model.parameters(), 0.02), []
    for _ in range(60):
        model[1].reset_mem()
        loss = sum(((model(x) - torch.eye(4, 3)) ** 2).mean() for _ in range(4))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
    clone = pickle.loads(pickle.dumps(model))
    assert clone[1].spike_grad == surrogates.fast_sigmoid(slope=5.0)


# SpikingJelly: `surrogate_function=`


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("steps", ["s", "m"])
@pytest.mark.parametrize(
    "kind", ["IFNode", "LIFNode", "ParametricLIFNode", "QIFNode", "EIFNode", "KLIFNode"]
)
def test_a_neuron_of_spikingjelly(kind: str, steps: str, form: str) -> None:
    neurons = library("spikingjelly.activation_based.neuron")
    theirs = library("spikingjelly.activation_based.surrogate")
    found = []
    for f in (FORMS[form](surrogates.atan), theirs.ATan()):
        neuron = getattr(neurons, kind)(surrogate_function=f, step_mode=steps)
        x = inputs()
        spikes = neuron(2 * x) if steps == "m" else torch.stack([neuron(2 * now) for now in x])
        assert spikes.mean() < 1
        (gradient,) = torch.autograd.grad(spikes.sum(), x)
        found.append((spikes.detach(), gradient))
    same(*found)


def test_a_network_of_spikingjelly_saves_copies_and_resets() -> None:
    name = "spikingjelly.activation_based"
    neurons, functional = library(f"{name}.neuron"), library(f"{name}.functional")
    layers = library(f"{name}.layer")
    make = lambda: torch.nn.Sequential(
        layers.Linear(3, 8), neurons.LIFNode(surrogate_function=graded()), layers.Linear(8, 2)
    )
    torch.manual_seed(0)
    model = make()
    functional.set_step_mode(model, "m")
    x = 8 * inputs()
    before = model(x)
    before.sum().backward()
    assert abs(float(model[1].surrogate_function.height.grad)) > 0
    assert "1.surrogate_function.height" in model.state_dict()
    functional.reset_net(model)
    clone = copy.deepcopy(model)
    torch.testing.assert_close(clone(x), before)
    fresh = make()
    fresh.load_state_dict(model.state_dict())
    functional.set_step_mode(fresh, "m")
    torch.testing.assert_close(fresh(x), before)


# Norse names its surrogates by text; its cells take the whole step of a neuron, which holds ours.


def lif_step(f: Any) -> Any:
    def step(now: Any, v: Any, p: Any, dt: float) -> tuple[Any, Any]:
        v = v + dt * 100 * (now - v)
        spike = f(v - 0.3)
        return spike, (1 - spike) * v

    return step


def test_a_cell_of_norse() -> None:
    norse = library("norse.torch")
    theirs = library("norse.torch.functional.threshold")
    snn = library("norse.torch.module.snn")
    found = []
    for f in (
        surrogates.triangle(alpha=1.0, at_zero=0.0),
        lambda x: theirs.threshold(x, "triangle", 1.0),
    ):
        cell = snn.SNNCell(lif_step(f), torch.zeros_like, p=None, dt=0.004)
        x, state, spikes = inputs(), None, []
        for now in x:
            spike, state = cell(now, state)
            spikes.append(spike)
        spikes = torch.stack(spikes)
        assert 0 < spikes.mean() < 1
        found.append((spikes.detach(), *torch.autograd.grad(spikes.sum(), x)))
    same(*found)
    torch.manual_seed(0)
    model = norse.SequentialState(
        torch.nn.Linear(3, 8), norse.LIFCell(), surrogates.triangle.module(), torch.nn.Linear(8, 2)
    )
    answer, _ = model(inputs()[0])
    assert answer.shape == (4, 2)


# Lightning


@pytest.mark.parametrize("precision", exhaustive_but(["bf16-mixed"], ["32-true", "bf16-mixed"]))
def test_a_module_of_lightning(precision: str, tmp_path: Any) -> None:
    lightning = library("lightning")
    swish = activation(lambda x, beta=1.0: x / (1 + math.exp(-beta * x)), name="swish")

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(1, 1, bias=False)
            self.swish = swish.module(beta=trainable(0.5, low=0.0, high=2.0))

        def training_step(self, batch: Any, _: Any) -> Any:
            x, y = batch
            z = self.swish(self.linear(x))
            assert z.dtype == (torch.float32 if precision == "32-true" else torch.bfloat16)
            return ((z - y) ** 2).mean()

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.swish.parameters(), 0.05)

    x = torch.linspace(-3, 3, 64)[:, None]
    batches = torch.utils.data.DataLoader([(x, x * torch.sigmoid(1.7 * x))] * 400, batch_size=None)
    trainer = lightning.Trainer(
        max_epochs=1,
        accelerator="cpu",
        precision=precision,
        default_root_dir=tmp_path,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    model = Module()
    torch.nn.init.ones_(model.linear.weight)
    trainer.fit(model, batches)
    np.testing.assert_allclose(float(model.swish.beta.detach()), 1.7, atol=0.05)
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    loaded = Module.load_from_checkpoint(tmp_path / "model.ckpt", weights_only=True)
    torch.testing.assert_close(loaded.swish.beta, model.swish.beta)
