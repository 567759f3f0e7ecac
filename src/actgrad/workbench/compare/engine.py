"""Where the runs are done, through joblib: processes here (loky), or a cluster of Dask or Ray.

Finished runs come one by one, in any order. A worker that dies takes its runs with it, and they are asked
for again; a run that has killed two workers is given up, and the others go on.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from actgrad.common.types import Fields
from actgrad.errors import InputError, MissingFrameworkError
from actgrad.workbench.compare.run import Task, run
from actgrad.workbench.compare.store import Row

MOST_CRASHES = 2
MOST_GROWN = 2 << 30
"""A worker that has grown by so many bytes is replaced. loky's own 300 MB are the programs that XLA keeps of
about 50 runs, and a new worker takes seconds to load Keras."""


class Call:
    """A task as a function of no arguments, with a name by which a cluster can speak of it."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.__name__ = f"run{task.index}"

    def __call__(self) -> Row:
        from joblib.externals.loky import process_executor

        process_executor._MAX_MEMORY_LEAK_SIZE = MOST_GROWN  # loky has no other way to say it
        return run(self.task)


class Engine(AbstractContextManager["Engine"]):
    """Runs here, in `workers` processes."""

    def __init__(self, workers: int | None = None) -> None:
        needed("joblib", "workbench")
        cores = os.cpu_count() or 1
        self.workers = workers or cores
        self.threads = max(1, cores // self.workers)
        self.marks = Path(tempfile.mkdtemp(prefix="actgrad-compare-"))
        self.config: Fields = {"backend": "loky", "inner_max_num_threads": self.threads}
        self.as_they_come = True

    def __str__(self) -> str:
        return f"{self.workers} worker process{'es' if self.workers > 1 else ''} here"

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.marks, ignore_errors=True)

    def stop(self) -> None:
        from joblib.externals.loky import get_reusable_executor

        get_reusable_executor(reuse=True).shutdown(wait=True, kill_workers=True)

    def deaths(self) -> tuple[type[BaseException], ...]:
        """The errors that say that a worker is gone."""
        from joblib.externals.loky.process_executor import BrokenProcessPool

        return (BrokenProcessPool,)  # TerminatedWorkerError is one

    def rows(self, tasks: list[Task], crashed: Callable[[str], None]) -> Iterator[Row]:
        """A row for every task, whatever happens."""
        waiting = {t.index: replace(t, threads=self.threads, marks=str(self.marks)) for t in tasks}
        alone: list[int] = []  # they were at work when a worker died: one at a time, to know which
        while waiting:
            now = [waiting[alone[0]]] if alone else list(waiting.values())
            try:
                for row in self._stream(now):
                    index = next(i for i, t in waiting.items() if t.key == row.key)
                    del waiting[index]
                    alone = [i for i in alone if i != index]
                    yield row
            except self.deaths() as error:
                suspects = [now[0].index] if len(now) == 1 else self._suspects(error, waiting)
                self._clean()
                for index in suspects:
                    task = waiting[index]
                    if task.attempts >= MOST_CRASHES:
                        del waiting[index]
                        alone = [i for i in alone if i != index]
                        yield task.died()
                    else:
                        waiting[index] = replace(task, attempts=task.attempts + 1)
                        alone = alone if index in alone else [*alone, index]
                crashed(f"a worker died; {len(waiting)} runs are still to do, and go on")

    def _suspects(self, error: BaseException, waiting: dict[int, Task]) -> list[int]:
        """The runs that were at work. If nobody can say, the first ones."""
        named = re.search(r"batch_of_run(\d+)_1_calls", str(error))
        marked = [int(path.name) for path in self.marks.iterdir()]
        found = [int(named[1])] if named else marked
        return [i for i in found if i in waiting] or list(waiting)[: self.workers]

    def _clean(self) -> None:
        for path in self.marks.iterdir():
            path.unlink(missing_ok=True)

    def _stream(self, tasks: list[Task]) -> Iterator[Row]:
        from joblib import Parallel, delayed, parallel_config

        # joblib does one job in its own process, where a crash would be ours: so two at least.
        jobs = max(self.workers, 2)
        ahead: int = 1 if self.workers == 1 else 2 * jobs
        with parallel_config(**self.config):
            if self.as_they_come:
                parallel = Parallel(
                    n_jobs=jobs,
                    batch_size=1,
                    pre_dispatch=ahead,
                    return_as="generator_unordered",
                )
                yield from parallel(delayed(Call(task))() for task in tasks)
                return
            for start in range(0, len(tasks), ahead):
                some = tasks[start : start + ahead]
                yield from Parallel(n_jobs=jobs, batch_size=1)(delayed(Call(t))() for t in some)

    def progress(self) -> dict[int, int]:
        """The finished epochs of each run that is at work on this machine."""
        found = {}
        for path in sorted(self.marks.iterdir(), key=lambda p: int(p.name)):
            try:
                found[int(path.name)] = int(path.read_text() or 0)
            except (OSError, ValueError):
                continue
        return found


class Dask(Engine):
    """Runs on a Dask cluster that is there already. Its scheduler asks again for what a worker lost."""

    def __init__(self, address: str) -> None:
        distributed = needed("distributed", "dask")
        try:
            self.client = distributed.Client(address, timeout="10s", set_as_default=True)
        except (OSError, ValueError) as error:
            raise InputError(f"--address {address}: no Dask scheduler answers there") from error
        found = self.client.scheduler_info(n_workers=-1)["workers"]
        super().__init__(max(1, len(found)))
        self.address = address
        self.threads = 0
        self.config = {"backend": "dask"}

    def __str__(self) -> str:
        return f"Dask at {self.address}, {self.workers} workers"

    def stop(self) -> None:
        self.client.close()

    def deaths(self) -> tuple[type[BaseException], ...]:
        return (importlib.import_module("distributed").KilledWorker,)


class Ray(Engine):
    """Runs on a Ray cluster that is there already; `local` starts one on this machine."""

    def __init__(self, address: str, workers: int | None = None) -> None:
        self.ray = needed("ray", "ray")
        try:
            self.ray.init(
                address=address,
                num_cpus=workers if address == "local" else None,
                log_to_driver=False,
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise InputError(f"--address {address}: no Ray cluster answers there") from error
        importlib.import_module("ray.util.joblib").register_ray()
        cores = int(self.ray.cluster_resources().get("CPU", 1))
        super().__init__(workers or cores)
        self.address = address
        self.threads = 1
        self.config = {"backend": "ray"}
        self.as_they_come = False

    def __str__(self) -> str:
        return f"Ray at {self.address}, {self.workers} workers"

    def stop(self) -> None:
        self.ray.shutdown()

    def deaths(self) -> tuple[type[BaseException], ...]:
        found = self.ray.exceptions
        return (found.RayActorError, found.WorkerCrashedError)


def needed(module: str, extra: str) -> ModuleType:
    """An engine's package. Raises `MissingFrameworkError` with what to install."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingFrameworkError(
            f"this engine needs {error.name}, which is not installed\n"
            f"  pip install 'actgrad[{extra}]'"
        ) from error


def engine(name: str, address: str | None, workers: int | None) -> Engine:
    """Raises `InputError` for what does not go together, or does not answer."""
    if name == "loky":
        if address:
            raise InputError("--address is that of a cluster: say --engine dask or --engine ray")
        return Engine(workers)
    if not address:
        example = "tcp://127.0.0.1:8786" if name == "dask" else "auto"
        raise InputError(f"--engine {name} needs --address, as in --address {example}")
    if name == "dask" and workers:
        raise InputError("--workers is for --engine loky and ray: a Dask cluster has its own")
    return Dask(address) if name == "dask" else Ray(address, workers)
