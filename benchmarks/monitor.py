"""What a monitor costs: the time of training steps with it and without it, in turns, in one process.

    python benchmarks/monitor.py                    PyTorch, Keras on each backend, JAX
    python benchmarks/monitor.py torch keras/jax    these alone

Two numbers make up the cost. What every step pays (hooks, a callback, a look at the loss): steps without a
monitor and with one that never measures take turns, one by one, on one core and in processor time, to which
other programs add nothing; the difference is the median over all pairs, with the standard error of a median.
What measuring takes: the monitor's own account, over the time of its steps. MLPs with 2 and 8 hidden layers
of 256 units, batches of 128. The first measurement, which compiles, is before that, as the first step is; in
a training, the next one waits until it is paid.
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
WIDTH, INPUTS, BATCH, STEPS, ROUNDS = 256, 64, 128, 40, 20
NEVER = 10**9


def data():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((BATCH * STEPS, INPUTS)).astype("float32")
    return x, rng.integers(0, 10, len(x))


def of_torch(depth):
    import torch

    from actgrad import Monitor

    x, y = map(torch.tensor, data())

    def stepper(**options):
        torch.manual_seed(0)
        widths = [INPUTS] + [WIDTH] * depth
        layers = [
            part
            for n, m in itertools.pairwise(widths)
            for part in (torch.nn.Linear(n, m), torch.nn.ReLU())
        ]
        model = torch.nn.Sequential(*layers, torch.nn.Linear(WIDTH, 10))
        optimizer = torch.optim.Adam(model.parameters(), 1e-3)
        monitor = Monitor(model, terminal=False, **options) if options else None

        def step(i):
            part = slice(i * BATCH, i * BATCH + BATCH)
            loss = torch.nn.functional.cross_entropy(model(x[part]), y[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if monitor is not None:
                monitor.step(loss)
            else:
                float(loss.detach())  # a loop that looks at its loss, as all do

        return monitor, step

    return by_steps(stepper)


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
    def update(weights, x, y):
        none = dict.fromkeys(names, 0.0)
        (loss, _), slope = jax.value_and_grad(loss_of, has_aux=True)(weights, none, x, y)
        return loss, [w - 0.01 * g for w, g in zip(weights, slope, strict=True)]

    @jax.jit
    def probe(weights, x, y):
        none = {name: jnp.zeros((len(x), WIDTH)) for name in names}
        (_, seen), slope = jax.value_and_grad(loss_of, 1, has_aux=True)(weights, none, x, y)
        return seen, slope

    def stepper(**options):
        rng = np.random.default_rng(0)
        widths = [INPUTS] + [WIDTH] * depth + [10]
        state = {"step": 0}
        state["weights"] = [
            jnp.asarray(rng.standard_normal((n, m)) * (2 / n) ** 0.5, jnp.float32)
            for n, m in itertools.pairwise(widths)
        ]
        functions = dict.fromkeys(names, activations.relu)
        monitor = Monitor(functions, terminal=False, **options) if options else None

        def step(i):
            a, b = x[i * BATCH : i * BATCH + BATCH], y[i * BATCH : i * BATCH + BATCH]
            loss, state["weights"] = update(state["weights"], a, b)
            float(loss)  # a loop that looks at its loss, as all do
            if monitor is not None:
                start, values, slopes = time.perf_counter(), None, None
                if monitor.due(state["step"]):
                    values, slopes = probe(state["weights"], a[:64], b[:64])
                monitor.observe(state["step"], loss, values, slopes, time.perf_counter() - start)
            state["step"] += 1

        return monitor, step

    return by_steps(stepper)


def by_steps(stepper):
    """Pairs of steps, and a monitor with a round of its own, for a loop that is written out."""
    (_, plain), (_, idle), (monitor, watched) = stepper(), stepper(every=NEVER), stepper(every=None)

    def taken(step, i):
        start = time.process_time()
        step(i)
        return time.process_time() - start

    def pairs():
        found = []
        for i in range(STEPS):
            if i % 2:
                found.append([taken(plain, i), taken(idle, i)])
            else:
                found.append([taken(idle, i), taken(plain, i)][::-1])
        return found

    return pairs, monitor, lambda: [watched(i) for i in range(STEPS)]


def of_keras(depth):
    import keras

    from actgrad import Monitor

    x, y = data()

    class EverySecond(keras.callbacks.Callback):
        """A monitor that never measures, in every second step; and the time of all of them."""

        def __init__(self, model):
            super().__init__()
            self.monitor = Monitor(model, x, y, terminal=False, every=NEVER)
            self.stamps = []

        def set_model(self, model):
            super().set_model(model)
            self.monitor.set_model(model)

        def on_train_batch_begin(self, batch, logs=None):
            self.stamps.append(time.process_time())

        def on_train_batch_end(self, batch, logs=None):
            float(logs["loss"])  # as other callbacks do
            if batch % 2:
                self.monitor.on_train_batch_end(batch, logs)

    def made():
        keras.utils.set_random_seed(0)
        hidden = [keras.layers.Dense(WIDTH, activation="relu") for _ in range(depth)]
        model = keras.Sequential([keras.Input((INPUTS,)), *hidden, keras.layers.Dense(10)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(1e-3), loss)
        return model

    def fit(model, callback):
        model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0, callbacks=[callback])

    half, whole = made(), made()
    every_second = EverySecond(half)
    monitor = Monitor(whole, x, y, terminal=False)

    def pairs():
        every_second.stamps.clear()
        fit(half, every_second)
        times = np.diff(every_second.stamps)[1:]  # from the first odd step on
        return [[b, a] for a, b in times[: len(times) // 2 * 2].reshape(-1, 2)]

    return pairs, monitor, lambda: fit(whole, monitor)


def cost(room, depth):
    """Of a step's time: what every step pays, and what measuring takes."""
    pairs, monitor, watched = {"torch": of_torch, "jax": of_jax}.get(room, of_keras)(depth)
    pairs(), watched()  # compiled
    monitor.every = STEPS  # once more, compiled: what one measurement costs
    watched()
    monitor.every, monitor._spent, elapsed = None, 1e-9, 0.0
    before, times = len(monitor.samples), []
    for _ in range(ROUNDS):
        times += pairs()
        start = time.perf_counter()
        monitor._began = start - elapsed  # the other steps are not its time
        watched()
        elapsed += time.perf_counter() - start
    plain, idle = np.array(times).T
    step, more = np.median(plain), idle - plain
    each, error = np.median(more) / step, 1.25 * np.std(_within(more)) / len(more) ** 0.5 / step
    measuring = monitor._spent / elapsed
    print(
        f"{room:18}{depth:2} layers, {1e3 * step:6.2f} ms a step: each step {each:+.1%} "
        f"(± {error:.1%}), measuring {measuring:+.1%} ({len(monitor.samples) - before} times in "
        f"{ROUNDS * STEPS} steps), together {max(each, 0) + measuring:.1%}",
        flush=True,
    )


def _within(values):
    """Without the tenth at either end, where other things happened."""
    return np.clip(values, *np.quantile(values, (0.1, 0.9)))


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
