"""`actgrad train` from beginning to end: check, train, compare, save, load again, draw."""

from __future__ import annotations

import json
import math
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

from rich.console import Console

from actgrad.activation import Activation
from actgrad.common.files import atomically
from actgrad.errors import HostError
from actgrad.workbench import curves, folder, results, show
from actgrad.workbench import data as data_files
from actgrad.workbench.data import Data
from actgrad.workbench.folder import Folder, Settings, write_json
from actgrad.workbench.networks import NETWORKS, check_one_input, check_shape
from actgrad.workbench.quiet import import_keras, quiet
from actgrad.workbench.reload import same_in_a_fresh_process
from actgrad.workbench.terminal import say
from actgrad.workbench.train import Options, Run, build, repair, train

RELU = "ReLU"


def run(
    f: Activation,
    source: str,
    options: Options,
    path: Path,
    console: Console,
    backend: str | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> None:
    """Raises `InputError` for what cannot be used, before anything is written."""
    check_one_input(f)
    with quiet():
        data = data_files.load(source)
    check_shape(options.network, data.shape)
    with console.status("Starting Keras") if console.is_terminal else nullcontext():
        keras = import_keras(backend)
    settings = _settings(f, data, options, keras.config.backend())
    output = Folder(path)
    output.check(settings, resume, overwrite)
    say(console, str(f.check()))
    output.open(settings, resume)
    f.plot(path=output / folder.FUNCTION)
    say(console, f"\n{data}")
    if options.stabilise != "off":
        model = NETWORKS[options.network](keras, f, data.shape, data.classes)
        say(console, f"Stabilised: {repair(model, options)[1]}")
    say(console, _plan(f, options, keras))

    runs = _train_all(keras, f, data, options, output, console)
    _report(runs, data, options, console)
    _save(keras, f, data, options, output, console)
    curves.draw(output / folder.CURVES, runs, f"{options.network} on {data.name}")
    steps = _steps(data, options)
    write_json(
        output / folder.RESULTS, {"settings": settings, **results.as_json(options, runs, steps)}
    )
    made = sorted(p.name for p in path.iterdir() if p.is_file() and p.name != folder.SETTINGS)
    say(console, f"In {path}: {', '.join(made)}")


def _settings(f: Activation, data: Data, options: Options, backend: str) -> Settings:
    try:
        activation: object = json.loads(f.to_json())
    except HostError:
        activation = repr(f)
    return {
        **asdict(options),
        "data": data.name,
        "content of the data": data.digest,
        "backend": backend,
        "activation": activation,
    }


def _plan(f: Activation, options: Options, keras: ModuleType) -> str:
    seeds = "1 seed" if options.seeds == 1 else f"{options.seeds} seeds"
    epochs = "1 epoch" if options.epochs == 1 else f"{options.epochs} epochs"
    return (
        f"Training {options.network} for {epochs}, with {f.name} and with {RELU}, "
        f"{seeds} each (Keras on {keras.config.backend()}). Ctrl-C keeps what is finished."
    )


def _steps(data: Data, options: Options) -> int:
    return math.ceil(len(data.x_train) / options.batch_size)


def _train_all(
    keras: ModuleType, f: Activation, data: Data, options: Options, output: Folder, console: Console
) -> dict[str, list[Run]]:
    own = f.name if f.name.lower() != "relu" else f"{f.name} (own)"
    runs: dict[str, list[Run]] = {"own": [], "relu": []}
    bars = show.Bars(console, options, 2 * options.seeds, _steps(data, options))
    with bars.progress:
        for seed in range(options.seeds):
            for who, name, activation in (("own", own, f), ("relu", RELU, "relu")):
                one = Run(who, name, seed)
                model = build(keras, activation, data, options, seed)
                train(keras, model, one, data, options, output.checkpoint(who, seed), bars.step)
                runs[who].append(one)
                bars.finished(one)
    return runs


def _report(runs: dict[str, list[Run]], data: Data, options: Options, console: Console) -> None:
    names = {who: group[0].name for who, group in runs.items()}
    console.print(show.table(names, {who: results.summary(group) for who, group in runs.items()}))
    difference = results.difference(runs["own"], runs["relu"])
    if difference["mean"] is not None:
        say(console, show.compared(names["own"], difference, options.seeds))
    for group in runs.values():
        for one in group:
            for note in results.notes(one, _steps(data, options)):
                say(console, f"! {note}", style="yellow")


def _save(
    keras: ModuleType, f: Activation, data: Data, options: Options, output: Folder, console: Console
) -> None:
    """The network of the first seed, and the activation by itself."""
    first = Run("own", f.name, 0)
    model = build(keras, f, data, options, 0)
    train(keras, model, first, data, options, output.checkpoint("own", 0), lambda *_: None)
    path = output / folder.MODEL
    try:
        f.save(output / folder.SAVED)
        with atomically(path) as temporary:
            model.save(temporary)
    except HostError as error:
        say(console, f"! The model is not saved. {error}", style="yellow")
        return
    wrong = same_in_a_fresh_process(keras, model, path, data)
    if wrong is None:
        say(
            console,
            f"{path.name} (seed 0), loaded in a fresh process without your file: identical predictions, "
            f"and it goes on learning in the same way.",
        )
    else:
        say(console, f"! {path.name}, loaded in a fresh process: {wrong}", style="bold red")
