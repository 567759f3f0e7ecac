"""The monitor on PyTorch trainings that diverge, that are healthy, and that have a planted fault."""

import json
import math
from functools import cache

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from actgrad import activation
from actgrad.errors import CallError
from actgrad.trainability.monitor import Monitor
from tests.sample import exhaustive_but
from tests.trainability.monitor import runs
from tests.trainability.monitor.runs import DIVERGING, FAULTS, HEALTHY, RELU, SQUARE, Run, train

trained = cache(train)


@cache
def diverged():
    found = [(run, *trained(run)[:2]) for run in DIVERGING]
    return [(run, monitor, broke) for run, monitor, broke in found if broke and broke > 50]


def test_these_do_diverge_and_not_at_once():
    assert len(diverged()) >= 0.7 * len(DIVERGING)


def test_warned_fifty_steps_before_in_nine_of_ten():
    early = [
        any(f.cause == "escape" and f.step <= broke - 50 for f in monitor.findings)
        for _, monitor, broke in diverged()
    ]
    assert np.mean(early) >= 0.9 - 1e-9


def test_the_escape_is_named_when_it_comes():
    found = [
        (run, f, broke)
        for run, monitor, broke in diverged()
        for f in monitor.findings
        if run.depth > 2 and f.fatal
    ]
    assert {f.cause for _, f, _ in found} == {"escape"}
    assert all(f.began <= f.step <= broke for _, f, broke in found), found
    # With Adam the loss rises long before it leaves floating point.
    assert all(f.began >= broke - 60 for run, f, broke in found if run.optimizer != "adam"), found
    assert all("class 0" in f.text or "the loss went from" in f.text for _, f, _ in found)


def test_adam_is_among_those_that_diverge():
    assert any(run.optimizer == "adam" for run, *_ in diverged())


SOME = [*HEALTHY[:15:4], *HEALTHY[15:]]  # each optimizer and each activation but two


@pytest.mark.parametrize("run", exhaustive_but(SOME, HEALTHY), ids=lambda run: f"{run.name}")
def test_no_false_alarm(run):
    monitor, broke, losses = train(run)
    assert broke is None
    assert np.mean(losses[-10:]) < losses[0]
    assert monitor.findings == []
    assert monitor.cause is None


def test_there_are_twenty_healthy_runs():
    assert len(HEALTHY) >= 20


PLANTED = [(cause, run) for cause, group in FAULTS.items() for run in group]


@pytest.mark.exhaustive  # make test plants one of each cause
def test_right_on_nine_of_ten_planted_faults():
    named = [(cause, trained(run)[0].cause) for cause, run in PLANTED]
    right = [cause == found for cause, found in named]
    assert np.mean(right) >= 0.9, named


@pytest.mark.parametrize("cause", FAULTS)
def test_each_cause_is_found_with_its_place(cause):
    run = FAULTS[cause][0]
    monitor, _, _ = trained(run)
    finding = next(f for f in monitor.findings if f.cause == cause and f.certain)
    assert 0 <= finding.began <= finding.step
    if cause == "nan":
        assert (finding.step, finding.layer) == (run.poison, "the input")
    elif cause != "learning rate":
        assert finding.layer in dict(runs.network(run).named_modules())


def test_what_is_measured():
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), RELU.module(), torch.nn.Linear(4, 2))
    monitor = Monitor(model, every=1, terminal=False)
    x = torch.randn(10, 3)
    loss = model(x).pow(2).mean()
    h = model[0](x)
    z = torch.relu(h.detach()).requires_grad_()
    (upstream,) = torch.autograd.grad(model[2](z).pow(2).mean(), z)
    loss.backward()
    monitor.step(loss)
    (layer,) = monitor.samples[0].layers
    h = h.detach().numpy().astype(np.float64)
    assert layer.rms == pytest.approx(np.sqrt(np.mean(h**2)))
    assert layer.quantiles == pytest.approx(np.quantile(h, [0.01, 0.5, 0.99]))
    assert layer.dead == np.mean((h <= 0).all(axis=0))
    assert layer.gradient == pytest.approx(
        10 * np.sqrt(np.mean((upstream.numpy() * (h > 0)) ** 2)), rel=1e-5
    )
    assert (layer.beyond, layer.not_finite) == (0, 0)


def test_share_beyond_the_threshold_and_numbers_not_finite():
    model = torch.nn.Sequential(torch.nn.Identity(), SQUARE.module())
    monitor = Monitor(model, every=1, terminal=False)
    x = torch.ones(4, 5)
    x[0], x[1], x[2, 3] = 2.0, 0.5, math.inf  # mean squares 4, 1/4, inf, 1, and the threshold is 1
    monitor.step(model(x).sum())
    (layer,) = monitor.samples[0].layers
    assert (layer.beyond, layer.not_finite) == (0.5, 1)


def test_modules_without_activation_modules():
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
    monitor = Monitor(model, every=1, terminal=False)
    monitor.step(model(torch.randn(5, 3)).sum())
    assert [layer.name for layer in monitor.samples[0].layers] == ["0", "1"]


def test_work_in_place_is_not_mistaken_for_the_pre_activation():
    model = torch.nn.Sequential(torch.nn.Linear(3, 64), torch.nn.ReLU(inplace=True))
    monitor = Monitor(model, every=1, terminal=False)
    monitor.step(model(torch.randn(5, 3)).sum())
    assert monitor.samples[0].layers[0].quantiles[0] < 0


def test_closed_it_leaves_the_module_alone():
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU())
    monitor = Monitor(model, every=1, terminal=False)
    monitor.close()
    model(torch.randn(5, 3))
    monitor.step(1.0)
    assert monitor.samples == []


def test_stop():
    run = Run(SQUARE, 3, "sgd", 0.3)
    monitor, _, losses = train(Run(**{**vars(run), "options": {"on_failure": "stop"}}))
    assert monitor.failed
    assert len(losses) < 100


def test_roll_back():
    run = Run(SQUARE, 3, "sgd", 0.3)
    monitor, _, losses = train(
        Run(**{**vars(run), "steps": 400, "options": {"on_failure": "roll back"}})
    )
    assert all(torch.isfinite(p).all() for p in monitor.module.parameters())
    assert monitor.optimizer.param_groups[0]["lr"] <= run.rate / 9
    assert np.mean(losses[-20:]) < 2.3


def test_roll_back_needs_the_optimizer():
    with pytest.raises(CallError, match="optimizer="):
        Monitor(torch.nn.Linear(2, 2), on_failure="roll back", terminal=False)


def test_json_lines(tmp_path):
    path = tmp_path / "run.jsonl"
    monitor, _, _ = train(
        Run(**{**vars(Run(SQUARE, 3, "sgd", 0.3)), "options": {"json_lines": path}})
    )
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["kind"] for row in rows].count("sample") == len(monitor.samples)
    assert [row["cause"] for row in rows if row["kind"] == "finding"] == ["escape", "escape"]


def test_terminal(capsys):
    model = torch.nn.Sequential(*(SQUARE.module() for _ in range(3)))
    Monitor(model)
    said = capsys.readouterr().err
    assert "may come: step 0: escape" in said


def test_a_loop_of_ones_own():
    cube = activation(lambda x: x**3, name="cube")
    watch = Monitor({name: cube for name in "abc"}, terminal=False)
    assert watch.cause == "escape"
    found = [watch.observe(step, loss) for step, loss in enumerate([2.0, 1.0, 1.0, math.inf])]
    assert [len(new) for new in found] == [0, 0, 0, 1]
    assert watch.failed


@pytest.mark.parametrize("kind", [torch.nn.Tanhshrink, torch.nn.GELU, torch.nn.PReLU])
def test_activations_of_pytorch_are_watched(kind):
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), kind(), torch.nn.Linear(2, 2))
    assert [place.name for place in Monitor(model, terminal=False).places] == ["1"]


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        (object(), {}, "a Keras model, a PyTorch module"),
        (torch.nn.Linear(2, 2), {"every": 0}, "from 1 on"),
        (torch.nn.Linear(2, 2), {"on_failure": "panic"}, "roll back"),
    ],
)
def test_what_cannot_be_watched(model, options, words):
    with pytest.raises(CallError, match=words):
        Monitor(model, terminal=False, **options)
