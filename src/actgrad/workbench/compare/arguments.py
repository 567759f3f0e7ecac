"""The arguments of `actgrad compare`."""

from __future__ import annotations

import shlex
import sys
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Literal

import typer
from typer.core import TyperCommand

from actgrad.workbench.terminal import (
    OnBackend,
    ResultsAsJson,
    Screen,
    command,
    complain,
    option_output,
    print_json,
    warn,
)


class Lists(TyperCommand):
    """A command whose lists are written as `--networks mlp cnn`: values up to the next option."""

    def parse_args(self, ctx: object, args: list[str]) -> list[str]:
        several = {name for p in self.params if getattr(p, "multiple", False) for name in p.opts}
        found: list[str] = []
        option, first = None, False
        for argument in args:
            if argument.startswith("-") and argument != "-":
                option, first = (argument if argument in several else None), True
            elif option and not first:
                found.append(option)
            else:
                first = False
            found.append(argument)
        return super().parse_args(ctx, found)


@command(
    """actgrad compare relu gelu spiky.py:spiky --seeds 10 --networks mlp cnn
actgrad compare relu 'spiky.py:spiky?slope=1,5,25' --rates 1e-3 3e-4 --optimizers adam sgd
actgrad compare study.toml --output runs/study
actgrad compare runs/study --table""",
    cls=Lists,
)
def compare(
    ctx: typer.Context,
    activations: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE:NAME...|DESIGN.toml|STUDY",
            help="Activations (FILE:NAME, or names of the catalogue; ?NAME=1,5 after one tries parameters); "
            "or a design in a TOML file; or, with --table, a comparison that there is.",
            show_default=False,
        ),
    ],
    networks: Annotated[
        list[str] | None, typer.Option(help="One or more of mlp, deep, cnn. \\[default: mlp]")
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(help="'digits' and .npz files, one or more. \\[default: digits]"),
    ] = None,
    optimizers: Annotated[
        list[str] | None,
        typer.Option(
            help="To choose from, for each activation: adam, adamw, sgd, momentum, rmsprop, nadam, lion. "
            "\\[default: adam]"
        ),
    ] = None,
    rates: Annotated[
        list[float] | None,
        typer.Option(help="Learning rates to choose from. \\[default: 1e-3 3e-4]"),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Final runs of each, with seeds 0, 1, ...")] = 10,
    tuning_seeds: Annotated[int, typer.Option(help="Runs of each try.")] = 1,
    epochs: Annotated[int, typer.Option(help="Of every run.")] = 20,
    batch_size: Annotated[int, typer.Option(help="Samples in a step.")] = 32,
    reference: Annotated[
        str | None,
        typer.Option(help="What the others are tested against. \\[default: relu, or the first]"),
    ] = None,
    engine: Annotated[
        Literal["loky", "dask", "ray"],
        typer.Option(help="Processes here, or a cluster that there is."),
    ] = "loky",
    address: Annotated[str | None, typer.Option(help="Of the cluster.")] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes. \\[default: one for each core]"),
    ] = None,
    backend: OnBackend = None,
    output: Annotated[
        Path | None,
        option_output("The folder. A comparison there goes on. \\[default: runs/compare]"),
    ] = None,
    table: Annotated[
        bool, typer.Option("--table", help="Show the table of a comparison; train nothing.")
    ] = False,
    as_json: ResultsAsJson = False,
) -> None:
    """Train activations side by side: equal tuning, many seeds, intervals and tests. Stopped, it goes on."""
    from actgrad.workbench.compare import command as room
    from actgrad.workbench.compare import design

    given = {
        field.name: ctx.params[field.name]
        for field in fields(design.Asked)[1:]
        if ctx.get_parameter_source(field.name).name == "COMMANDLINE"
    }
    console = Screen(stderr=as_json)
    if table:
        found = room.table(
            activations, {**given, **({"output": output} if output else {})}, console
        )
    else:
        try:
            found = room.compare(
                activations, given, engine, address, workers, backend, output, console, warn
            )
        except KeyboardInterrupt:
            again = f"actgrad {shlex.join(sys.argv[1:])}"
            complain(f"\nStopped. Every finished run is kept. To go on, the same again:\n  {again}")
            raise typer.Exit(130) from None
    if as_json:
        print_json(found)
