"""How the command speaks, and what its subcommands share: arguments, examples, errors and how they end."""

from __future__ import annotations

import functools
import io
import json
import os
import re
import sys
from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console
from typer.core import TyperCommand, TyperGroup
from typer.models import OptionInfo

import actgrad
from actgrad.common.text import finite_json, nearest
from actgrad.common.types import Function
from actgrad.errors import ActgradError
from actgrad.frameworks.names import Backend
from actgrad.workbench.signals import ends_as_by_ctrl_c

ORDER = ("check", "plot", "study", "source", "bench", "export", "report", "compare", "train")


class Screen(Console):
    """A console whose reader may go away (`| head -1`): that ends the command as a full disk does."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class _Group(TyperGroup):
    """Says of a wrong choice which one was meant."""

    def list_commands(self, ctx: object) -> list[str]:
        return sorted(super().list_commands(ctx), key=ORDER.index)

    def invoke(self, ctx: object) -> object:
        try:
            return super().invoke(ctx)
        except Exception as error:
            text = getattr(error, "message", "")
            if isinstance(text, str) and " is not one of " in text:
                text = text.removeprefix("Value error, ")
                given, *choices = re.findall(r"'([^']*)'", text)
                near = nearest(given, choices)
                error.message = text + f" Did you mean {near!r}?" * (near is not None)  # type: ignore[attr-defined]
            raise


app = typer.Typer(
    name="actgrad",
    cls=_Group,
    help="Check, draw and train your own activation function, written in plain Python.",
    epilog="Begin with:\n\n"
    "[cyan]actgrad check examples/spiky.py:spiky[/cyan]\n\n"
    "[cyan]actgrad train examples/spiky.py:spiky[/cyan]\n\n"
    "Exit codes: 0, 1 for a derivative that is wrong, 2 for what cannot be used, 130 after Ctrl-C or "
    "SIGTERM. NO_COLOR=1 switches colours off.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """The command, whatever its standard streams are: closed, full, without a reader, of ASCII alone."""
    for stream, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, stream) is None:  # in their order, so that each gets its own number
            setattr(sys, stream, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    os.environ["MPLBACKEND"] = "agg"  # pictures go to files, and the user's may be a screen
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except OSError as error:
        sys.exit(_stopped_by(error))


def _stopped_by(error: OSError) -> int:
    """Say so, if it can be said. Returns the exit code."""
    try:
        if not isinstance(error, BrokenPipeError):
            where = f"{error.filename}: " if error.filename else ""
            complain(f"actgrad: {where}{error.strerror or error}")
    except OSError:
        pass
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # nor can it be flushed when Python ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return 2


Target = Annotated[
    str,
    typer.Argument(
        metavar="FILE:NAME",
        help="A Python file and a function or activation in it, or a saved activation (FILE.json).",
        show_default=False,
    ),
]


OnBackend = Annotated[
    Backend | None, typer.Option(help="What Keras runs on. \\[default: Keras' own choice]")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]
ResultsAsJson = Annotated[
    bool, typer.Option("--json", help="Print the results as JSON; how it goes, on stderr.")
]


def _version(asked: bool) -> None:
    if asked:
        print(actgrad.__version__)
        raise typer.Exit


@app.callback()
def _actgrad(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def command(examples: str, cls: type[TyperCommand] | None = None) -> Callable[[Function], Function]:
    """A command whose errors are one message and an exit code."""

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def guarded(*args: object, **options: object) -> None:
            try:
                with ends_as_by_ctrl_c():
                    function(*args, **options)
            except ActgradError as error:
                complain(f"actgrad: {error}")
                raise typer.Exit(2) from None
            except OSError as error:
                raise typer.Exit(_stopped_by(error)) from None
            except KeyboardInterrupt:
                complain("actgrad: stopped")
                raise typer.Exit(130) from None

        lines = "\n\n".join(f"[cyan]{line}[/cyan]" for line in examples.strip().splitlines())
        return app.command(cls=cls, epilog=f"Examples:\n\n{lines}")(guarded)

    return decorate


def warn(text: str) -> None:
    complain(f"warning: {text}", style="yellow")


def complain(text: str, style: str | None = None) -> None:
    Screen(stderr=True).print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def print_json(content: object) -> None:
    """For a program, on stdout; a number that is not finite as a text."""
    print(json.dumps(finite_json(content), indent=2, allow_nan=False))


def answer(as_json: bool, content: object, text: object) -> None:
    """What a command found, on stdout, for a program or a person."""
    if as_json:
        print_json(content)
    else:
        print(text)


def say(console: Console, text: str, style: str | None = None) -> None:
    """Text that may have any characters in it, in whole words where a terminal ends."""
    soft = not console.is_terminal
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=soft)


def option_output(help: str) -> OptionInfo:
    return typer.Option("--output", "-o", help=help)
