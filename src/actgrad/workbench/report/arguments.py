"""The arguments of `actgrad report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from actgrad.errors import InputError
from actgrad.workbench import terminal
from actgrad.workbench.terminal import AsJson, Screen, answer, option_output, warn


@terminal.command(
    """actgrad report spiky.py:spiky
actgrad report spiky.py:spiky --training runs/spiky --output spiky.html
actgrad report runs/comparison"""
)
def report(
    target: Annotated[
        str,
        typer.Argument(
            metavar="FILE:NAME|STUDY",
            help="An activation, as for `check`; or what `actgrad compare` made.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, option_output("The page to write.")] = Path("report.html"),
    training: Annotated[
        Path | None,
        typer.Option(help="The folder of an `actgrad train` run: its curves, beside ReLU's."),
    ] = None,
    train: Annotated[
        bool, typer.Option("--train", help="Make a short training on the digits for the page.")
    ] = False,
    bench: Annotated[
        bool, typer.Option(help="Measure the speed beside the frameworks' own ReLU.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """One page to show to others, complete in one file: what is known of an activation, or a comparison."""
    from actgrad.workbench.report import one, study

    console, path = Screen(stderr=True), Path(target)
    if path.is_dir() or path.suffix == ".sqlite":  # what `actgrad compare` made
        if training or train:
            raise InputError(
                "--training and --train are for one activation, and this is a comparison"
            )
        found = study.write(path, output, console, bench)
    else:
        found = one.write(target, output, training, train, bench, console, warn)
    answer(as_json, found, output)
