"""The command `actgrad`. What it does is elsewhere; here are its arguments, and how it ends.

Exit codes: 0, 1 for a derivative that is wrong, 2 for what cannot be used, 130 after Ctrl-C. What a
program reads is on stdout, everything else on stderr.
"""

from __future__ import annotations

import difflib
import functools
import json
import math
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

try:
    import typer
    from rich.console import Console
    from typer.core import TyperCommand
except ModuleNotFoundError as missing:
    raise SystemExit(
        f"actgrad: the command needs {missing.name}: pip install 'actgrad[workbench]'"
    ) from None

import actgrad
from actgrad.errors import ActgradError, InputError
from actgrad.workbench.load import load


class _Group(typer.core.TyperGroup):
    """Says of a wrong choice which one was meant."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            text = getattr(error, "message", "")
            if isinstance(text, str) and " is not one of " in text:
                text = text.removeprefix("Value error, ")
                given, *choices = re.findall(r"'([^']*)'", text)
                near = difflib.get_close_matches(given, choices, 1)
                error.message = text + "".join(f" Did you mean {name!r}?" for name in near)  # type: ignore[attr-defined]
            raise


app = typer.Typer(
    name="actgrad",
    cls=_Group,
    help="Check, draw and train your own activation function, written in plain Python.",
    epilog="Begin with:\n\n"
    "[cyan]actgrad check examples/spiky.py:spiky[/cyan]\n\n"
    "[cyan]actgrad train examples/spiky.py:spiky[/cyan]\n\n"
    "Exit codes: 0, 1 for a derivative that is wrong, 2 for what cannot be used, 130 after Ctrl-C. "
    "NO_COLOR=1 switches colours off.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

PICTURES = (".png", ".svg", ".pdf", ".jpg", ".webp")

Target = Annotated[
    str,
    typer.Argument(
        metavar="FILE:NAME",
        help="A Python file and a function or activation in it, or a saved activation (FILE.json).",
        show_default=False,
    ),
]


AsJson = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]


def main() -> None:
    app()


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


def command(
    examples: str, cls: type[TyperCommand] | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A command whose errors are one message and an exit code."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def guarded(*args: Any, **options: Any) -> None:
            try:
                function(*args, **options)
            except ActgradError as error:
                _complain(f"actgrad: {error}")
                raise typer.Exit(2) from None
            except OSError as error:
                where = f"{error.filename}: " if error.filename else ""
                _complain(f"actgrad: {where}{error.strerror or error}")
                raise typer.Exit(2) from None
            except KeyboardInterrupt:
                _complain("actgrad: stopped")
                raise typer.Exit(130) from None

        lines = "\n\n".join(f"[cyan]{line}[/cyan]" for line in examples.strip().splitlines())
        return app.command(cls=cls, epilog=f"Examples:\n\n{lines}")(guarded)

    return decorate


@command(
    """actgrad check spiky.py:spiky
actgrad check spiky.py:spiky --json"""
)
def check(
    target: Target,
    as_json: AsJson = False,
) -> None:
    """Is the derivative what it claims to be? Exit code 1 if it is wrong."""
    found = load(target, _warn).check()
    print(json.dumps(found.to_dict(), indent=2) if as_json else found)
    if not found:
        raise typer.Exit(1)


@command(
    """actgrad plot spiky.py:spiky
actgrad plot spiky.py:spiky --output spiky.svg --low -2 --high 2"""
)
def plot(
    target: Target,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The picture to write. [default: NAME.png]"),
    ] = None,
    low: Annotated[float | None, typer.Option(help="Where the drawing begins.")] = None,
    high: Annotated[float | None, typer.Option(help="Where the drawing ends.")] = None,
    as_json: AsJson = False,
) -> None:
    """Draw the function, its derivative in force, and its exact derivative."""
    f = load(target, _warn)
    path = output or Path(f"{_as_file_name(f.name)}.png")
    if path.suffix.lower() not in PICTURES:
        raise InputError(f"--output {path}: a picture ends in {', '.join(PICTURES)}")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise InputError(f"--output {path}: it should be a file in a folder that exists")
    limits = {name: value for name, value in (("low", low), ("high", high)) if value is not None}
    f.plot(path=path, **limits)
    print(json.dumps({"activation": f.name, "picture": str(path)}, indent=2) if as_json else path)


@command(
    """actgrad study square.py:square
actgrad study square.py:square --depth 4 --weight-scale 1.2 --json"""
)
def study(
    target: Target,
    depth: Annotated[int, typer.Option(min=1, help="Layers of the network.")] = 10,
    width: Annotated[int, typer.Option(min=1, help="Units of a layer.")] = 512,
    weight_scale: Annotated[
        float, typer.Option(help="Deviation of the weights, times the gain over √fan-in.")
    ] = 1.0,
    bias_scale: Annotated[float, typer.Option(help="Deviation of the biases.")] = 0.0,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The folder for the pictures. [default: here; none with --json]"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What deep networks make of it, before training: gains, a forecast by layer, warnings, pictures."""
    from actgrad.workbench.study import study as run

    if output is None and not as_json:
        output = Path()
    f = load(target, _warn)
    run(f, depth, width, weight_scale, bias_scale, output, None if as_json else Console())


@command(
    """actgrad source spiky.py:spiky
actgrad source spiky.py:spiky --framework torch > spiky_torch.py
actgrad source spiky.py:spiky --framework jax --json"""
)
def source(
    target: Target,
    framework: Annotated[
        Literal["numpy", "tensorflow", "keras", "torch", "jax"],
        typer.Option(help="For which framework."),
    ] = "tensorflow",
    as_json: AsJson = False,
) -> None:
    """Print the code that is generated for a framework: a file that stands alone."""
    f = load(target, _warn)
    text = f.source(framework)
    found = {"activation": f.name, "framework": framework, "source": text}
    print(json.dumps(found, indent=2) + "\n" if as_json else text, end="")


@command(
    """actgrad export spiky.py:spiky --to onnx
actgrad export spiky.py:spiky --to saved_model --model model.keras --output served
actgrad export spiky.py:spiky --to tflite --dry-run"""
)
def export(
    target: Target,
    to: Annotated[
        Literal["json", "source", "saved_model", "tflite", "onnx", "torch", "jax"],
        typer.Option("--to", help="What to write."),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where. [default: NAME with the target's ending]"),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(help="A Keras model (.keras) that has the activation: export it whole."),
    ] = None,
    framework: Annotated[
        Literal["numpy", "tensorflow", "keras", "torch", "jax"],
        typer.Option(help="For which framework, with --to source."),
    ] = "tensorflow",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what each target keeps, and why not.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write it for another program; kept if values and gradients are the same in a fresh process."""
    from actgrad.workbench import export as room
    from actgrad.workbench.quiet import choose_backend

    choose_backend(room.MODELS.get(to) if model else None)
    f = load(target, _warn)
    if dry_run:
        table = f.supports()
        print(json.dumps(table.to_dict(), indent=2) if as_json else table)
        return
    path = output or room.default_path(f, to)
    found = room.export(f, to, path, framework, model)
    if as_json:
        print(json.dumps({"path": str(path), "value": found.value, "gradient": found.gradient}))
        return
    print(f"{path}: verified in a fresh process")
    print(f"  largest difference of the value: {found.value:.2g}")
    kept = f"{found.gradient:.2g}" if found.gradient is not None else "none is kept there"
    print(f"  largest difference of the gradient: {kept}")


@command(
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
    output: Annotated[Path, typer.Option("--output", "-o", help="The page to write.")] = Path(
        "report.html"
    ),
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
    from actgrad.workbench.report import command as room

    console = Console(stderr=True)
    if room.is_study(target):
        if training or train:
            raise InputError(
                "--training and --train are for one activation, and this is a comparison"
            )
        found = room.study(Path(target), output, bench, console)
    else:
        found = room.one(target, output, training, train, bench, console, _warn)
    print(json.dumps(found, indent=2, allow_nan=False) if as_json else output)


class Lists(TyperCommand):
    """A command whose lists are written as `--networks mlp cnn`: values up to the next option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
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
        list[str] | None,
        typer.Option(help="One or more of mlp, deep, cnn. [default: mlp]", show_default=False),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="'digits' and .npz files, one or more. [default: digits]", show_default=False
        ),
    ] = None,
    optimizers: Annotated[
        list[str] | None,
        typer.Option(
            help="To choose from, for each activation: adam, adamw, sgd, momentum, rmsprop, nadam, lion. "
            "[default: adam]",
            show_default=False,
        ),
    ] = None,
    rates: Annotated[
        list[float] | None,
        typer.Option(
            help="Learning rates to choose from. [default: 1e-3 3e-4]", show_default=False
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            help="Final runs of each, with seeds 0, 1, ... [default: 10]", show_default=False
        ),
    ] = None,
    tuning_seeds: Annotated[
        int | None, typer.Option(help="Runs of each try. [default: 1]", show_default=False)
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Of every run. [default: 20]", show_default=False)
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Samples in a step. [default: 32]", show_default=False)
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            help="What the others are tested against. [default: relu, or the first]",
            show_default=False,
        ),
    ] = None,
    engine: Annotated[
        Literal["loky", "dask", "ray"],
        typer.Option(help="Processes here, or a cluster that there is."),
    ] = "loky",
    address: Annotated[str | None, typer.Option(help="Of the cluster.", show_default=False)] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes. [default: one for each core]", show_default=False),
    ] = None,
    backend: Annotated[
        Literal["tensorflow", "torch", "jax"] | None,
        typer.Option(help="What Keras runs on. [default: Keras' own choice]", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The folder. A comparison there goes on. [default: runs/compare]"
        ),
    ] = None,
    table: Annotated[
        bool, typer.Option("--table", help="Show the table of a comparison; train nothing.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the results as JSON; how it goes, on stderr.")
    ] = False,
) -> None:
    """Train activations side by side: equal tuning, many seeds, intervals and tests. Stopped, it goes on."""
    from actgrad.workbench.compare import command as room

    flags = {
        "networks": networks, "data": data, "optimizers": optimizers, "rates": rates, "seeds": seeds,
        "tuning_seeds": tuning_seeds, "epochs": epochs, "batch_size": batch_size, "reference": reference,
    }  # fmt: skip
    given = {name: value for name, value in flags.items() if value not in (None, [])}
    console = Console(stderr=as_json)
    found: str
    if table:
        found = room.table(
            activations, {**given, **({"output": output} if output else {})}, console
        )
    else:
        try:
            found = room.compare(
                activations, given, engine, address, workers, backend, output, console, _warn
            )
        except KeyboardInterrupt:
            again = f"actgrad {shlex.join(sys.argv[1:])}"
            _complain(
                f"\nStopped. Every finished run is kept. To go on, the same again:\n  {again}"
            )
            raise typer.Exit(130) from None
    if as_json:
        print(found)


@command(
    """actgrad train spiky.py:spiky
actgrad train spiky.py:spiky --network cnn --data mnist.npz --epochs 5 --seeds 1
actgrad train spiky.py:spiky --resume"""
)
def train(
    target: Target,
    network: Annotated[
        Literal["mlp", "deep", "cnn"],
        typer.Option(help="One wide hidden layer, four, or two convolutions and a hidden layer."),
    ] = "mlp",
    data: Annotated[
        str,
        typer.Option(help="'digits', or an .npz file with x_train, y_train, x_test, y_test."),
    ] = "digits",
    epochs: Annotated[
        int, typer.Option(min=1, help="How often each training sample is seen.")
    ] = 20,
    seeds: Annotated[int, typer.Option(min=1, help="How many times, with seeds 0, 1, ...")] = 3,
    batch_size: Annotated[int, typer.Option(min=1, help="Samples in a step.")] = 32,
    learning_rate: Annotated[float, typer.Option(help="Of Adam.")] = 3e-4,
    stabilise: Annotated[
        Literal["off", "auto", "foldable"],
        typer.Option(
            help="Choose first weights, normalisation, penalty, clipping and learning rate by the "
            "forecast, and say why; 'foldable' normalises what folds into the weights."
        ),
    ] = "off",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The folder for what is made. [default: runs/NAME]"),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a training that was stopped.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Begin anew where a training is, finished or not.")
    ] = False,
    backend: Annotated[
        Literal["tensorflow", "torch", "jax"] | None,
        typer.Option(help="What Keras runs on. [default: Keras' own choice]", show_default=False),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the results as JSON; how it goes, on stderr.")
    ] = False,
) -> None:
    """Train a network with your activation, beside the same network with ReLU."""
    if not (math.isfinite(learning_rate) and learning_rate > 0):
        raise InputError(f"--learning-rate {learning_rate}: it should be a number above 0")
    if resume and overwrite:
        raise InputError("--resume goes on, --overwrite begins anew: give one of them")
    from actgrad.workbench import job
    from actgrad.workbench.folder import RESULTS, SETTINGS
    from actgrad.workbench.quiet import choose_backend
    from actgrad.workbench.train import Options

    choose_backend(backend)
    f = load(target, _warn)
    options = Options(network, epochs, seeds, batch_size, learning_rate, stabilise)
    path = output or Path("runs") / _as_file_name(f.name)
    try:
        job.run(
            f,
            data,
            options,
            path,
            Console(stderr=as_json),
            backend=backend,
            resume=resume,
            overwrite=overwrite,
        )
    except KeyboardInterrupt:
        if (path / SETTINGS).exists():
            kept = f"Every finished epoch is kept in {path}. To go on:\n  {_resume_command()}"
        else:
            kept = "Training had not begun."
        _complain(f"\nStopped. {kept}")
        raise typer.Exit(130) from None
    if as_json:
        print((path / RESULTS).read_text(encoding="utf-8").rstrip("\n"))


def _resume_command() -> str:
    arguments = [a for a in sys.argv[1:] if a not in ("--overwrite", "--resume")]
    return f"actgrad {shlex.join(arguments)} --resume"


def _as_file_name(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_") or "activation"


def _warn(text: str) -> None:
    _complain(f"warning: {text}", style="yellow")


def _complain(text: str, style: str | None = None) -> None:
    Console(stderr=True).print(text, style=style, markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
