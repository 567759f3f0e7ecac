"""Where libraries of models and of searches take an activation: each beside the library's own function.

A library that is not installed is skipped.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn

from actgrad import activation, activations, trainable

swish = activation(lambda x, beta=1.0: x / (1 + math.exp(-beta * x)), name="swish")


def compare(ours: Any, theirs: Any, *inputs: Any, pick: Any = lambda out: out) -> None:
    """The same values and gradients by all weights that both have."""
    ours.load_state_dict(theirs.state_dict(), strict=False)
    found = []
    for model in (ours, theirs):
        torch.manual_seed(0)
        value = pick(model(*inputs))
        model.zero_grad()
        (value**2).mean().backward()
        found.append((value.detach(), dict(model.named_parameters())))
    (value, weights), (wanted, others) = found
    torch.testing.assert_close(value, wanted)
    for name, weight in others.items():
        if weight.grad is not None:
            torch.testing.assert_close(weights[name].grad, weight.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("form", ["function", "module"])
def test_a_transformer_of_pytorch(form: str, training: bool) -> None:
    def layer(act: Any) -> Any:
        return nn.TransformerEncoderLayer(8, 2, 16, 0.0, act, batch_first=True).train(training)

    mine = activations.gelu if form == "function" else activations.gelu.module()
    ours, theirs = layer(mine), layer(nn.functional.gelu)
    x = torch.randn(3, 5, 8)
    compare(ours, theirs, x)
    with torch.no_grad():  # where PyTorch has a kernel of its own for GELU
        torch.testing.assert_close(ours(x), theirs(x))


def test_an_entry_of_transformers_act2fn() -> None:
    transformers = pytest.importorskip("transformers")
    from transformers.activations import ACT2FN

    def bert(act: str) -> Any:
        config = transformers.BertConfig(
            vocab_size=30, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=32, max_position_embeddings=16, hidden_act=act,
            attn_implementation="eager",
        )  # fmt: skip
        return transformers.BertModel(config).eval()

    ACT2FN["learnt_swish"] = lambda: swish.module(beta=trainable(1.0))
    try:
        ours = bert("learnt_swish")
    finally:
        del ACT2FN["learnt_swish"]
    words = torch.randint(0, 30, (2, 7))
    compare(ours, bert("silu"), words, pick=lambda out: out.last_hidden_state)
    betas = [weight for name, weight in ours.named_parameters() if name.endswith("beta")]
    assert len(betas) == 2
    assert all(float(beta.grad.abs()) > 0 for beta in betas)


@pytest.fixture
def torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    """timm imports it. Beside PyTorch's build for the CPU its usual one does not load its operators, so `make
    integrations` lays both apart, where they break no other library. The operators find boxes, which no
    classifier does: here it is enough that two of them have a name."""
    monkeypatch.syspath_prepend(Path(sys.prefix, "apart"))
    try:
        import torchvision  # noqa: F401
    except ModuleNotFoundError:
        pytest.skip("needs torchvision: make integrations")
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _kept.append(library)


_kept: list[Any] = []


@pytest.mark.usefixtures("torchvision")
def test_a_model_of_timm() -> None:
    timm = pytest.importorskip("timm")

    def network(act: Any) -> Any:
        return timm.create_model("resnet10t", num_classes=3, act_layer=act).eval()

    ours = network(lambda inplace=False: activations.relu.module())
    compare(ours, network(nn.ReLU), torch.randn(2, 3, 32, 32))


def test_optuna_finds_a_parameter() -> None:
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    x = torch.linspace(-3, 3, 50)
    wanted = nn.functional.silu(2.0 * x) / 2.0

    def objective(trial: Any) -> float:
        beta = trial.suggest_float("beta", 0.5, 4.0)
        return float(((swish(beta=beta)(x) - wanted) ** 2).mean())

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(objective, n_trials=40)
    assert study.best_params["beta"] == pytest.approx(2.0, abs=0.2)


def test_keras_tuner_chooses_an_activation(tmp_path: Any) -> None:
    keras_tuner = pytest.importorskip("keras_tuner")
    pytest.importorskip("tensorboard")  # which KerasTuner imports in a search
    keras = pytest.importorskip("keras")
    x = np.linspace(-3, 3, 64, dtype="float32")[:, None]
    y = x / (1 + np.exp(-2.0 * x))

    def build(hp: Any) -> Any:
        act = swish(beta=hp.Choice("beta", [0.1, 2.0]))
        first = keras.layers.Dense(1, activation=act, kernel_initializer="ones", trainable=False)
        last = keras.layers.Dense(1, kernel_initializer="ones")
        model = keras.Sequential([keras.Input((1,)), first, last])
        model.compile(keras.optimizers.SGD(1e-4), "mse")
        return model

    tuner = keras_tuner.GridSearch(build, "val_loss", directory=tmp_path, project_name="swish")
    tuner.search(x, y, epochs=1, validation_data=(x, y), verbose=0)
    assert tuner.get_best_hyperparameters()[0].get("beta") == 2.0
