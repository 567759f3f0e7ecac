"""From the arguments of `actgrad compare` to a design, and on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from actgrad.common.types import Fields
from actgrad.errors import InputError
from actgrad.frameworks.keras_backend import keras_backend
from actgrad.workbench.compare import design, job, show, store
from actgrad.workbench.compare.engine import engine as make_engine
from actgrad.workbench.folder import check_writable
from actgrad.workbench.quiet import choose_backend, quiet

DEFAULT = Path("runs/compare")


def compare(
    activations: list[str],
    flags: Fields,
    engine: str,
    address: str | None,
    workers: int | None,
    backend: str | None,
    output: Path | None,
    console: Console,
    warn: Callable[[str], None],
) -> Fields:
    """Train what is still to be trained. Returns the results."""
    choose_backend(backend)
    lists = {n: tuple(v) if isinstance(v, list) else v for n, v in flags.items()}
    asked, folder = _asked(activations, lists)
    folder = output or folder
    with quiet():
        plan = design.make(asked, backend or keras_backend(), warn)
    check_writable(folder)
    study = job.run(plan, folder, lambda: make_engine(engine, address, workers), console)
    return show.results(study)


def table(activations: list[str], flags: Fields, console: Console) -> Fields:
    """The table of what is stored. Trains nothing, and writes nothing."""
    if len(activations) != 1 or flags:
        raise InputError("--table shows a comparison that there is: actgrad compare STUDY --table")
    study = store.read(Path(activations[0]))
    show.tell(console, study)
    return show.results(study)


def _asked(activations: list[str], flags: Fields) -> tuple[design.Asked, Path]:
    first = Path(activations[0])
    if first.suffix != ".toml":
        if len(activations) == 1 and first.is_dir():
            raise InputError(
                f"{first} is a folder\n  actgrad compare {first} --table shows its results."
            )
        return design.Asked(tuple(activations), **flags), DEFAULT
    if len(activations) > 1 or flags:
        also = [*activations[1:], *(f"--{name.replace('_', '-')}" for name in flags)]
        raise InputError(f"{first} says what is compared, so leave out {', '.join(also)}")
    if not first.is_file():
        raise InputError(f"no such file: {first}")
    return design.read_toml(first), Path("runs") / first.stem
