"""What a monitor costs: the time of training steps with it and without it, in turns, in one process.

    python benchmarks/monitor.py                    PyTorch, Keras on each backend, JAX
    python benchmarks/monitor.py torch keras/jax    these alone

Two numbers make up the cost. What every step pays (hooks, a callback, a look at the loss): rounds of steps
without a monitor and with one that never measures take turns, and their quick steps (the first tenth) are
compared: whatever else a machine does only makes steps slower. What measuring takes: the monitor's own
account, over the time of its rounds. MLPs with 2 and 8 hidden layers of 256 units, batches of 128. The first
measurement, which compiles, is before the rounds, as the first step is; in a training, the next one waits
until it is paid.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time

import numpy as np

ROOMS = ("torch", "keras/tensorflow", "keras/torch", "keras/jax", "jax")
DEPTHS = (2, 8)
WIDTH, INPUTS, BATCH, STEPS, ROUNDS = 256, 64, 128, 40, 16


def data():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((BATCH * STEPS, INPUTS)).astype("float32")
    return x, rng.integers(0, 10, len(x))


def of_torch(depth):
    import torch

    from actgrad import Monitor

    x, y = map(torch.tensor, data())

    def make():
        torch.manual_seed(0)
        widths = [INPUTS] + [WIDTH] * depth
        layers = [
            part
            for n, m in itertools.pairwise(widths)
            for part in (torch.nn.Linear(n, m), torch.nn.ReLU())
        ]
        model = torch.nn.Sequential(*layers, torch.nn.Linear(WIDTH, 10))
        return model, torch.optim.Adam(model.parameters(), 1e-3)

    def runner(watched, every=None):
        model, optimizer = make()
        monitor = Monitor(model, terminal=False, every=every) if watched else None

        def run():
            stamps = []
            for i in range(0, len(x), BATCH):
                stamps.append(time.perf_counter())
                loss = torch.nn.functional.cross_entropy(model(x[i : i + BATCH]), y[i : i + BATCH])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                if monitor is not None:
                    monitor.step(loss)
                else:
                    float(loss.detach())  # a loop that looks at its loss, as all do
            return monitor, np.diff(stamps)

        return run

    return runner(False), runner(True, every=10**9), runner(True)


def of_keras(depth):
    import keras

    from actgrad import Monitor

    x, y = data()

    def runner(watched, every=None):
        keras.utils.set_random_seed(0)
        hidden = [keras.layers.Dense(WIDTH, activation="relu") for _ in range(depth)]
        model = keras.Sequential([keras.Input((INPUTS,)), *hidden, keras.layers.Dense(10)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(1e-3), loss)
        monitor = Monitor(model, x, y, terminal=False, every=every) if watched else None

        def run():
            stamps = []
            stamp = keras.callbacks.LambdaCallback(
                on_train_batch_begin=lambda batch, logs=None: stamps.append(time.perf_counter()),
                on_train_batch_end=lambda batch, logs=None: float(logs["loss"]),  # as others do
            )
            callbacks = [stamp, monitor] if watched else [stamp]
            model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0, callbacks=callbacks)
            return monitor, np.diff(stamps)

        return run

    return runner(False), runner(True, every=10**9), runner(True)


def of_jax(depth):
    import jax
    import jax.numpy as jnp

    from actgrad import Monitor, activations

    x, y = data()
    names = [f"layer {i}" for i in range(depth)]

    def forward(weights, x, added):
        seen = {}
        for name, w in zip(names, weights, strict=False):
            seen[name] = x @ w + added[name]
            x = jax.nn.relu(seen[name])
        return x @ weights[-1], seen

    def loss_of(weights, added, x, y):
        z, seen = forward(weights, x, added)
        return -jnp.mean(jax.nn.log_softmax(z)[jnp.arange(len(y)), y]), seen

    @jax.jit
    def step(weights, x, y):
        none = dict.fromkeys(names, 0.0)
        (loss, _), slope = jax.value_and_grad(loss_of, has_aux=True)(weights, none, x, y)
        return loss, [w - 0.01 * g for w, g in zip(weights, slope, strict=True)]

    @jax.jit
    def probe(weights, x, y):
        none = {name: jnp.zeros((len(x), WIDTH)) for name in names}
        (_, seen), slope = jax.value_and_grad(loss_of, 1, has_aux=True)(weights, none, x, y)
        return seen, slope

    def runner(watched, every=None):
        rng = np.random.default_rng(0)
        widths = [INPUTS] + [WIDTH] * depth + [10]
        weights = [
            jnp.asarray(rng.standard_normal((n, m)) * (2 / n) ** 0.5, jnp.float32)
            for n, m in itertools.pairwise(widths)
        ]
        monitor = (
            Monitor({n: activations.relu for n in names}, terminal=False, every=every)
            if watched
            else None
        )
        state = {"weights": weights, "step": 0}

        def run():
            stamps = []
            for i in range(0, len(x), BATCH):
                stamps.append(time.perf_counter())
                a, b = x[i : i + BATCH], y[i : i + BATCH]
                loss, state["weights"] = step(state["weights"], a, b)
                float(loss)  # a loop that looks at its loss, as all do
                if monitor is not None:
                    start, values, slopes = time.perf_counter(), None, None
                    if monitor.due(state["step"]):
                        values, slopes = probe(state["weights"], a[:64], b[:64])
                    monitor.observe(
                        state["step"], loss, values, slopes, time.perf_counter() - start
                    )
                state["step"] += 1
            return monitor, np.diff(stamps)

        return run

    return runner(False), runner(True, every=10**9), runner(True)


def cost(room, depth):
    """Of a step's time: what every step pays, and what measuring takes."""
    plain, idle, watched = {"torch": of_torch, "jax": of_jax}.get(room, of_keras)(depth)
    plain(), idle()  # compiled
    monitor, _ = watched()
    monitor.every = STEPS  # once more, compiled: what one measurement costs
    watched()
    monitor.every, monitor._spent, elapsed = None, 1e-9, 0.0
    before = len(monitor.samples)
    times = {plain: [], idle: []}
    for i in range(ROUNDS):
        for run in (plain, idle) if i % 2 else (idle, plain):
            times[run] += list(run()[1])
        start = time.perf_counter()
        monitor._began = start - elapsed  # the other rounds are not its time
        watched()
        elapsed += time.perf_counter() - start
    fastest, with_it = (np.quantile(times[run], 0.1) for run in (plain, idle))
    each, measuring = with_it / fastest - 1, monitor._spent / elapsed
    print(
        f"{room:18}{depth:2} layers, {1e3 * fastest:6.2f} ms a step: each step {each:+.1%}, "
        f"measuring {measuring:+.1%} ({len(monitor.samples) - before} times in {ROUNDS * STEPS} "
        f"steps), together {max(each, 0) + measuring:.1%}",
        flush=True,
    )


def main(rooms):
    if len(rooms) == 1:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before there are threads
        for depth in DEPTHS:
            cost(rooms[0], depth)
        return
    for room in rooms or ROOMS:
        backend = room.partition("/")[2]
        env = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        if backend:
            env["KERAS_BACKEND"] = backend
        subprocess.run([sys.executable, __file__, room], env=env, check=True)


if __name__ == "__main__":
    if len(sys.argv) == 2 and "/" in sys.argv[1]:
        os.environ["KERAS_BACKEND"] = sys.argv[1].partition("/")[2]
    main(sys.argv[1:])
