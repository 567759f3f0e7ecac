"""The largest programs that load, of many families, and what each first call and method of them takes.

    python benchmarks/largest.py draw FOLDER            # one file for each family, as large as may be saved
    python benchmarks/largest.py time FOLDER [NAME...]  # CPU seconds and megabytes of each step, a line each

Every program runs in a fresh process for each framework, which has only imported and warmed that up. CPU time
is that of all threads and of the compilers that are started; memory is the peak beyond what there was before.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

FRAMEWORKS = ("numpy", "torch", "tensorflow", "jax")
SIZE = 70_000
MOST_SECONDS = 150
"""After so many of CPU time a process ends."""


def largest(program_of: Callable[[int], Any]) -> str:
    """The text of the largest program of the family that may be saved."""
    from actgrad.errors import ProgramError
    from actgrad.language import storage

    def text_of(n: int) -> str | None:
        try:
            text = storage.to_json(program_of(n))
            storage.from_json(text)
        except ProgramError:
            return None
        return text

    low, high = 1, 2
    best = text_of(1)
    while (text := text_of(high)) is not None and high < 100_000:
        best, low, high = text, high, 2 * high
    while high - low > max(1, low // 100):
        middle = (low + high) // 2
        text = text_of(middle)
        if text is None:
            high = middle
        else:
            best, low = text, middle
    if best is None:
        raise AssertionError("even the smallest may not be saved")
    return best


# What is done with each.

Step = tuple[str, Callable[[], object]]


def steps(framework: str, path: Path) -> Iterator[Step]:
    """The first uses of an activation, in the order in which a user might make them."""
    import actgrad

    def load() -> None:
        nonlocal f
        f = actgrad.load(path)

    f: Any = None
    yield "load", load
    yield from STEPS[framework](f)


def _arrays(f: Any) -> list[Any]:
    import numpy as np

    shape = (SIZE,)
    for value in f.parameters.values():
        if np.ndim(value) and f.program.axis is None and not f.program.tables:
            shape = np.shape(value)
    if f.program.axis is not None:
        shape = (SIZE // 1000, 1000)
    chance = np.random.default_rng(0)
    return [chance.normal(size=shape).astype("float32") for _ in f.inputs]


def _numbers(f: Any) -> dict[str, Any]:
    return {n: v for n, v in f.parameters.items() if isinstance(v, float)}


def _methods(f: Any) -> Iterator[Step]:
    xs = _arrays(f)
    yield "to_json", f.to_json
    yield "repr", lambda: repr(f)
    yield "call", lambda: f(*xs)
    yield "source", lambda: [f.source(fw) for fw in FRAMEWORKS]
    yield "supports", lambda: f.supports()
    yield "card", lambda: f._repr_html_()
    yield "check", lambda: f.check()
    yield "plot", lambda: f.plot()
    if f.program.axis is not None:
        return
    yield "propagation", lambda: f.propagation()
    yield "scaled", lambda: f.scaled()
    yield "standardised", lambda: f.standardised()
    yield "polynomial", lambda: f.polynomial(5)
    yield "table", lambda: f.table(input=(0.1, 0), output=(0.1, 0))

    def derivative(order: int) -> Any:
        g = f
        for _ in range(order):
            g = g.derivative
            g = g[0] if isinstance(g, tuple) else g
        return g

    yield "derivative", lambda: derivative(1)(*xs)
    yield "second derivative", lambda: derivative(2)(*xs)
    yield "source of the second", lambda: [derivative(2).source(fw) for fw in FRAMEWORKS]
    yield "partials", lambda: [f.partial(n) for n in f.parameters]
    yield "exact derivative", lambda: f.exact_derivative


def _torch(f: Any) -> Iterator[Step]:
    import torch

    xs = [torch.tensor(x, requires_grad=True) for x in _arrays(f)]
    ps = {n: torch.tensor(v, requires_grad=True) for n, v in _numbers(f).items()}

    def gradient(call: Callable[..., Any]) -> Any:
        call(*xs, **ps).sum().backward()

    def second() -> None:
        every = [*xs, *ps.values()]
        by = torch.autograd.grad(f(*xs, **ps).sum(), every, create_graph=True, allow_unused=True)
        first = next((g for g in by if g is not None and g.requires_grad), None)
        if first is not None:
            torch.autograd.grad(first.sum(), every, allow_unused=True)

    compiled = torch.compile(lambda *xs, **ps: f(*xs, **ps))
    yield "call", lambda: f(*(x.detach() for x in xs))
    yield "gradient", lambda: gradient(f)
    yield "small gradient", lambda: f(*(x[:10] for x in xs), **ps).sum().backward()
    yield "second derivative", second
    yield "compiled call", lambda: compiled(*(x.detach() for x in xs))
    yield "compiled gradient", lambda: gradient(compiled)


def _tensorflow(f: Any) -> Iterator[Step]:
    import tensorflow as tf

    xs = [tf.constant(x) for x in _arrays(f)]
    ps = {n: tf.constant(v) for n, v in _numbers(f).items()}

    def gradient(*xs: Any) -> Any:
        with tf.GradientTape() as tape:
            every = [*xs, *ps.values()]
            tape.watch(every)
            y = tf.reduce_sum(f(*xs, **ps))
        return tape.gradient(y, every)

    def second(*xs: Any) -> Any:
        every = [*xs, *ps.values()]
        with tf.GradientTape() as outer:
            outer.watch(every)
            first = next((g for g in gradient(*xs) if g is not None), None)
            y = None if first is None else tf.reduce_sum(first)
        return None if y is None else outer.gradient(y, every)

    yield "call", lambda: f(*xs)
    yield "gradient", lambda: gradient(*xs)
    yield "small gradient", lambda: gradient(*(x[:10] for x in xs))
    yield "second derivative", lambda: second(*xs)
    yield "graph gradient", lambda: tf.function(gradient)(*xs)
    yield "XLA call", lambda: tf.function(lambda *xs: f(*xs), jit_compile=True)(*xs)
    yield "XLA gradient", lambda: tf.function(gradient, jit_compile=True)(*xs)
    yield "XLA second derivative", lambda: tf.function(second, jit_compile=True)(*xs)


def _jax(f: Any) -> Iterator[Step]:
    import jax

    xs = [jax.numpy.asarray(x) for x in _arrays(f)]
    ps = _numbers(f)

    def total(xs: Any, ps: Any) -> Any:
        return f(*xs, **ps).sum()

    def second(xs: Any, ps: Any) -> Any:
        return jax.grad(lambda xs: jax.grad(total)(xs, ps)[0].sum())(xs)

    def ready(y: Any) -> None:
        jax.block_until_ready(y)

    yield "call", lambda: ready(f(*xs))
    yield "gradient", lambda: ready(jax.grad(total, (0, 1))(xs, ps))
    yield "second derivative", lambda: ready(second(xs, ps))
    yield "jit call", lambda: ready(jax.jit(f)(*xs))
    yield "jit gradient", lambda: ready(jax.jit(jax.grad(total, (0, 1)))(xs, ps))
    yield "jit second derivative", lambda: ready(jax.jit(second)(xs, ps))


# Measuring.


def _cpu() -> float:
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, whose))


def _memory(kind: str) -> float:
    """In megabytes: `VmRSS` now, or `VmHWM`, the peak since it was set back."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(kind)) / 1024


def _measure(framework: str, path: Path, out: int) -> None:
    def say(*what: object) -> None:
        os.write(out, (json.dumps(what) + "\n").encode())

    _warm_up(framework)
    base = _memory("VmRSS")
    made = steps(framework, path)
    while True:
        step = next(made, None)
        if step is None:
            return
        name, action = step
        say(name, None, None, "")
        Path("/proc/self/clear_refs").write_text("5")
        start, before = _cpu(), _memory("VmRSS")
        error = ""
        try:
            action()
        except Exception as problem:
            error = f"{type(problem).__name__}: {str(problem)[:100]}"
        peak = _memory("VmHWM")
        say(name, _cpu() - start, peak - min(before, peak), error, before - base)


def _warm_up(framework: str) -> None:
    import actgrad

    small = actgrad.activation(lambda x: x * x + 1.0, name="small")
    for name, action in dict(STEPS[framework](small)).items():
        if name not in _NOT_WARMED:
            action()


STEPS = {"numpy": _methods, "torch": _torch, "tensorflow": _tensorflow, "jax": _jax}
_NOT_WARMED = {"table", "polynomial", "scaled", "standardised", "XLA second derivative"}


def serve(framework: str) -> None:
    """For each path that comes in a line: a process that has imported the framework, and what it measured."""
    __import__(framework)
    warnings.simplefilter("ignore")
    import actgrad  # noqa: F401

    for line in sys.stdin:
        read, write = os.pipe()
        child = os.fork()
        if not child:
            os.close(read)
            os.setsid()
            resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = tempfile.mkdtemp()
            try:
                _measure(framework, Path(line.strip()), write)
            finally:
                os._exit(0)
        os.close(write)
        with os.fdopen(read) as lines:
            rows = [json.loads(row) for row in lines]
        _, status = os.waitpid(child, 0)
        print(json.dumps([rows, signal.Signals(status).name if status else ""]), flush=True)


def main() -> None:
    command, folder, *names = sys.argv[1:]
    if command == "serve":
        serve(folder)
        return
    directory = Path(folder)
    directory.mkdir(exist_ok=True)
    if command == "draw":
        from largest_families import families

        for name, program_of in families().items():
            if not names or any(part in name for part in names):
                start = time.process_time()
                text = largest(program_of)
                (directory / f"{name}.json").write_text(text)
                print(
                    f"{name}: {len(text):,} bytes, {time.process_time() - start:.1f} s", flush=True
                )
        return
    only = [n for n in names if n in FRAMEWORKS] or FRAMEWORKS
    parts = [n for n in names if n not in FRAMEWORKS]
    paths = sorted(
        p for p in directory.glob("*.json") if not parts or any(n in p.stem for n in parts)
    )
    for framework in only:
        server = subprocess.Popen(
            [sys.executable, __file__, "serve", framework],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu",
                 "TORCHINDUCTOR_COMPILE_THREADS": "1"},
        )  # fmt: skip
        for path in paths:
            server.stdin.write(f"{path}\n")
            server.stdin.flush()
            rows, ended = json.loads(server.stdout.readline())
            for row in rows:
                print(json.dumps([framework, path.stem, *row]), flush=True)
            if ended:
                print(json.dumps([framework, path.stem, "ended", 999, 0, ended]), flush=True)
        server.stdin.close()


if __name__ == "__main__":
    main()
