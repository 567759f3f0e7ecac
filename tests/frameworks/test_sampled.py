"""Parameters that are drawn at random: anew for each element in training, fixed at inference,
reproducible, compiled, and saved with the model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

from actgrad import activation, rows, sampled, trainable
from actgrad.errors import CallError, SettingError
from actgrad.frameworks.sampled import Sampled
from tests.process import python

LOW, HIGH = 1 / 8, 1 / 3
rrelu = activation(lambda x, slope=0.2: x if x >= 0 else slope * x, name="rrelu")
noisy = activation(lambda x, noise=0.0: x + noise, name="noisy")
N = 20_000

# Mean and variance, from the textbooks.
MOMENTS = {
    ("uniform", 2.0, 5.0): (3.5, 9 / 12),
    ("normal", 1.0, 2.0): (1.0, 4.0),
    ("bernoulli", 0.3): (0.3, 0.21),
    ("gumbel", 1.0, 2.0): (1.0 + 2.0 * np.euler_gamma, np.pi**2 / 6 * 4.0),
    ("logistic", 1.0, 2.0): (1.0, np.pi**2 / 3 * 4.0),
}
moments = pytest.mark.parametrize(("given", "expected"), MOMENTS.items(), ids=lambda v: str(v[0]))


def check_moments(samples: Any, expected: tuple[float, float]) -> None:
    mean, variance = expected
    assert np.isfinite(samples).all()
    # Six standard errors; the fourth moments of these are below ten variances squared.
    assert abs(samples.mean() - mean) < 6 * np.sqrt(variance / samples.size)
    assert abs(samples.var() - variance) < 6 * variance * np.sqrt(10 / samples.size)


@moments
def test_torch_draws_from_the_distribution(given: Any, expected: Any) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    module = noisy.module(noise=sampled(*given))
    check_moments(module(torch.zeros(N)).numpy(), expected)
    still = module.eval()(torch.zeros(3)).numpy()
    np.testing.assert_allclose(still, expected[0], rtol=1e-6)


@moments
def test_keras_draws_from_the_distribution(given: Any, expected: Any) -> None:
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(1)
    layer = noisy.layer(noise=sampled(*given))
    samples = keras.ops.convert_to_numpy(layer(np.zeros(N, "float32"), training=True))
    check_moments(samples, expected)
    still = keras.ops.convert_to_numpy(layer(np.zeros(3, "float32")))
    np.testing.assert_allclose(still, expected[0], rtol=1e-6)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_torch_backward_has_the_slopes_of_forward(compiled: bool) -> None:
    torch = pytest.importorskip("torch")
    module = rrelu.module(slope=sampled("uniform", LOW, HIGH))
    run = torch.compile(module) if compiled else module
    x = torch.full((500,), -2.0, requires_grad=True)
    value = run(x)
    value.sum().backward()
    slopes = (value / x).detach().numpy()
    np.testing.assert_allclose(x.grad.numpy(), slopes, rtol=1e-6)
    assert len(np.unique(slopes)) > 400
    assert slopes.min() >= LOW - 1e-6
    assert slopes.max() <= HIGH + 1e-6
    again = (run(x) / x).detach().numpy()
    assert not np.array_equal(slopes, again)
    torch.manual_seed(11)
    first = run(x)
    torch.manual_seed(11)
    assert torch.equal(first, run(x))


def test_torch_is_reproducible_and_like_its_own_rrelu() -> None:
    torch = pytest.importorskip("torch")
    module = rrelu.module(slope=sampled("uniform", LOW, HIGH))
    x = torch.linspace(-3, 3, 100)
    torch.manual_seed(7)
    first = module(x)
    torch.manual_seed(7)
    assert torch.equal(first, module(x))
    theirs = torch.nn.RReLU(LOW, HIGH).eval()
    torch.testing.assert_close(module.eval()(x), theirs(x))
    half = module.train()(x.to(torch.bfloat16))
    assert half.dtype == torch.bfloat16
    assert "slope=Sampled(distribution='uniform'" in repr(module)


@pytest.mark.parametrize("inference", [0.25, "sample"])
def test_torch_inference(inference: Any) -> None:
    torch = pytest.importorskip("torch")
    module = rrelu.module(slope=sampled("uniform", LOW, HIGH, inference=inference)).eval()
    slopes = module(torch.full((100,), -1.0)).neg()
    assert len(slopes.unique()) == 1 if inference == 0.25 else len(slopes.unique()) > 50


def test_torch_several_inputs_and_a_weight_beside_it(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    f = activation(lambda x, y, k=2.0, noise=0.0: k * x * y + noise, name="f")
    module = f.module(k=trainable(), noise=sampled("normal"))
    value = module(torch.zeros(50, 1), torch.zeros(40))
    assert value.shape == (50, 40)
    assert len(value.unique()) > 1900
    assert list(module.state_dict()) == ["k"]
    torch.save(module, tmp_path / "module.pt")
    again = torch.load(tmp_path / "module.pt", weights_only=False)
    torch.manual_seed(3)
    first = module(torch.zeros(5, 1), torch.zeros(4))
    torch.manual_seed(3)
    assert torch.equal(first, again(torch.zeros(5, 1), torch.zeros(4)))


@pytest.mark.parametrize("jit", [False, True])
def test_keras_trains_compiled_reproducibly_and_is_saved(jit: bool, tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    x = np.linspace(-2, 2, 64, dtype="float32").reshape(16, 4)

    def trained() -> Any:
        keras.utils.set_random_seed(5)
        layers = [keras.layers.Dense(4), rrelu.layer(slope=sampled("uniform", LOW, HIGH))]
        model = keras.Sequential([keras.Input((4,)), *layers])
        model.compile("sgd", "mse", jit_compile=jit)
        history = model.fit(x, x, epochs=2, verbose=0)
        return model, history.history["loss"]

    model, losses = trained()
    _, again = trained()
    assert losses == again
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    assert loaded.layers[-1].parameters == {"slope": sampled("uniform", LOW, HIGH)}
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    first, second = (np.asarray(loaded.layers[-1](-x, training=True)) for _ in range(2))
    assert not np.array_equal(first, second)


def test_in_jax_the_sample_is_an_array() -> None:
    jax = pytest.importorskip("jax")
    x = -jax.numpy.ones(100)
    slopes = jax.random.uniform(jax.random.key(0), (100,), minval=LOW, maxval=HIGH)
    gradient = jax.jit(jax.grad(lambda x: rrelu(x, slope=slopes).sum()))(x)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-6)


softened = activation(
    lambda x, noise=0.0, temperature=0.5: rows.softmax(x + noise, temperature=temperature),
    axis=-1,
    name="softened",
)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_of_a_row_each_number_has_its_own_sample_in_torch(compiled: bool) -> None:
    torch = pytest.importorskip("torch")
    module = softened(axis=1).module(noise=sampled("gumbel"), temperature=trainable(0.7))
    # Inductor draws other numbers from the same seed.
    run = torch.compile(module, fullgraph=True, backend="aot_eager") if compiled else module
    x = torch.randn(5, 4, 3, requires_grad=True)
    upstream = torch.randn(5, 4, 3)
    torch.manual_seed(2)
    value = run(x)
    value.backward(upstream)
    torch.manual_seed(2)
    noise = sampled("gumbel").transform(torch, torch.rand(x.shape))
    own, t = x.detach().clone().requires_grad_(), torch.tensor([0.7], requires_grad=True)
    theirs = torch.softmax((own + noise) / t, 1)
    theirs.backward(upstream)
    for found, known in ((value, theirs), (x.grad, own.grad), (module.temperature.grad, t.grad)):
        torch.testing.assert_close(found, known, rtol=1e-4, atol=1e-5)
    still = module.eval()(x)
    torch.testing.assert_close(still, torch.softmax(x / 0.7, 1))
    both = softened.module(
        noise=sampled("gumbel", inference="sample"), temperature=sampled("bernoulli", 1.0)
    )
    assert not torch.equal(both.eval()(x), both(x))


@pytest.mark.parametrize("jit", [False, True])
def test_of_a_row_each_number_has_its_own_sample_in_keras(jit: bool, tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(5)
    layer = rows.gumbel_softmax.layer(noise=sampled("gumbel"))
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4), layer])
    model.compile("sgd", "mse", jit_compile=jit)
    x = np.random.default_rng(0).normal(size=(2000, 4)).astype("float32")
    model.fit(x, x, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    scores = np.tile(np.log([0.1, 0.2, 0.3, 0.4]), (20_000, 1)).astype("float32")
    shares = np.asarray(loaded.layers[-1](scores, training=True)).mean(0)
    np.testing.assert_allclose(shares, [0.1, 0.2, 0.3, 0.4], atol=6 * np.sqrt(0.25 / 20_000))


REOPENED = """
import keras, numpy as np, torch
for name in ("rrelu", "softened"):
    module = torch.load(name + ".pt", weights_only=False)
    model = keras.saving.load_model(name + ".keras")
    for dtype in (torch.float32, torch.bfloat16):
        torch.manual_seed(4)
        x = (torch.arange(12.0).reshape(3, 4) / 4 - 2).to(dtype).requires_grad_()
        torch.compile(module, backend="aot_eager")(x).float().cos().sum().backward()
        print(*x.grad.float().ravel().tolist())
    plain = lambda x: keras.ops.convert_to_numpy(x)
    print(*plain(model(-np.ones((3, 4), "float32"))).ravel())
    drawn = [plain(model(np.eye(3, 4, dtype="float32") - 0.5, training=True)) for _ in range(2)]
    assert not np.array_equal(*drawn)
"""


@pytest.mark.exhaustive
def test_it_is_drawn_in_a_fresh_process(tmp_path: Path) -> None:
    keras, torch = pytest.importorskip("keras"), pytest.importorskip("torch")
    known = []
    for f, given in (
        (rrelu, {"slope": sampled("uniform", LOW, HIGH)}),
        (softened, {"noise": sampled("gumbel")}),
    ):
        module, layer = f.module(**given), f.layer(**given)
        torch.save(module, tmp_path / f"{f.name}.pt")
        model = keras.Sequential([keras.Input((4,)), layer])
        model.save(tmp_path / f"{f.name}.keras")
        for dtype in (torch.float32, torch.bfloat16):
            torch.manual_seed(4)
            x = (torch.arange(12.0).reshape(3, 4) / 4 - 2).to(dtype).requires_grad_()
            module(x).float().cos().sum().backward()
            known.append(x.grad.float().ravel().tolist())
        known.append(np.asarray(model(-np.ones((3, 4), "float32"))).ravel().tolist())
    (tmp_path / "reopened.py").write_text(REOPENED)
    said = python("reopened.py", folder=tmp_path, KERAS_BACKEND="torch")
    found = [[*map(float, line.split())] for line in said]
    np.testing.assert_allclose(found, known, rtol=1e-5, atol=1e-6)


def test_of_a_row_a_sample_is_a_tensor_in_a_call() -> None:
    jax = pytest.importorskip("jax")
    random = np.random.default_rng(0)
    x, noise = random.normal(size=(3, 4)), random.gumbel(size=(3, 4))
    known = rows.softmax(x + noise, temperature=0.5)
    np.testing.assert_allclose(softened(x, noise=noise), known)
    np.testing.assert_allclose(softened(x.T, noise=noise.T, axis=0).T, known)
    single = [np.float32(each) for each in (x, noise)]
    for f in (softened, jax.jit(softened)):
        np.testing.assert_allclose(f(single[0], noise=single[1]), known, rtol=1e-4, atol=1e-6)
    by_noise = jax.grad(lambda noise: softened(single[0], noise=noise)[:, 0].sum())(single[1])
    by_x = jax.grad(lambda x: softened(x, noise=single[1])[:, 0].sum())(single[0])
    np.testing.assert_allclose(by_noise, by_x, rtol=1e-5, atol=1e-7)
    total = activation(lambda x, noise=0.0: np.sum(x) + noise, axis=-1, name="total")
    with pytest.raises(CallError, match="'total' makes one number of a row"):
        total.module(noise=sampled("normal"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("unifrom",), "did you mean 'uniform'"),
        (("cauchy",), "there are uniform, normal"),
        (("uniform", 1.0, 2.0, 3.0), "takes the numbers low, high"),
        (("normal", "0"), "takes the numbers mean, deviation"),
        (("uniform", 2.0, 1.0), r"low=2\.0 is above high=1\.0"),
        (("normal", 0.0, -1.0), r"deviation=-1\.0"),
        (("bernoulli", 1.5), r"probability=1\.5 is not within"),
        (("gumbel", float("nan")), "location=nan"),
    ],
)
def test_what_makes_no_sense_is_refused(given: Any, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        sampled(*given)


@pytest.mark.parametrize("inference", ["median", None, True])
def test_an_inference_that_makes_no_sense_is_refused(inference: Any) -> None:
    with pytest.raises(SettingError, match="neither 'mean', 'sample' nor a number"):
        sampled("uniform", inference=inference)


def test_it_comes_back_from_its_config() -> None:
    found = sampled("normal", 1.0, inference="sample")
    assert Sampled(**found.get_config()) == found
    assert hash(Sampled(**found.get_config())) == hash(found)


def test_it_belongs_to_a_layer_or_a_module() -> None:
    with pytest.raises(CallError, match=r"'slope' of 'rrelu' must be a number(.|\n)*\.module"):
        rrelu(np.ones(3), slope=sampled("uniform"))
    with pytest.raises(CallError, match=r"function `sampled` itself"):
        rrelu.module(slope=sampled)
    repeated = activation(lambda x, n=2: sum(x for _ in range(n)))
    with pytest.raises(CallError, match="cannot be learnt or drawn"):
        repeated.module(n=sampled("uniform"))
    vector = activation(lambda x, c=(1.0, 2.0): c[0] * x + c[1])
    with pytest.raises(CallError, match="is a vector, and only a number can be drawn"):
        vector.module(c=sampled("uniform"))
