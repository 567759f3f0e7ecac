"""The command `actgrad`. What it does is elsewhere; here are its arguments, and how it ends.

Exit codes: 0, 1 for a derivative that is wrong, 2 for what cannot be used, 130 after Ctrl-C or SIGTERM. What
a program reads is on stdout, everything else on stderr.
"""

from __future__ import annotations

import io
import math
import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

try:
    import rich  # noqa: F401
    import typer
except ModuleNotFoundError as missing:
    print(
        f"actgrad: the command needs {missing.name}, which is not installed\n"
        f"  pip install 'actgrad[workbench]'",
        file=sys.stderr,
    )
    raise SystemExit(2) from None

from actgrad.common.text import file_name
from actgrad.errors import InputError
from actgrad.frameworks.names import Framework
from actgrad.workbench.compare import arguments as _compare  # noqa: F401 (it adds the subcommand)
from actgrad.workbench.export import SUFFIXES
from actgrad.workbench.load import load
from actgrad.workbench.report import arguments as _report  # noqa: F401
from actgrad.workbench.terminal import (
    AsJson,
    OnBackend,
    ResultsAsJson,
    Screen,
    Target,
    answer,
    app,
    command,
    complain,
    main,
    option_output,
    print_json,
    warn,
)

__all__ = ["app", "main"]

BenchFramework = Literal["numpy", "tensorflow", "torch", "jax"]
PICTURES = (".png", ".svg", ".pdf", ".jpg", ".webp")


@command(
    """actgrad check spiky.py:spiky
actgrad check spiky.py:spiky --json"""
)
def check(
    target: Target,
    as_json: AsJson = False,
) -> None:
    """Is the derivative what it claims to be? Exit code 1 if it is wrong."""
    found = load(target, warn).check()
    answer(as_json, found.to_dict(), found)
    if not found:
        raise typer.Exit(1)


@command(
    """actgrad plot spiky.py:spiky
actgrad plot spiky.py:spiky --output spiky.svg --low -2 --high 2"""
)
def plot(
    target: Target,
    output: Annotated[
        Path | None, option_output("The picture to write. \\[default: NAME.png]")
    ] = None,
    low: Annotated[float, typer.Option(help="Where the drawing begins.")] = -4.0,
    high: Annotated[float, typer.Option(help="Where the drawing ends.")] = 4.0,
    as_json: AsJson = False,
) -> None:
    """Draw the function, its derivative in force, and its exact derivative."""
    f = load(target, warn)
    path = output or Path(f"{file_name(f.name)}.png")
    if path.suffix.lower() not in PICTURES:
        raise InputError(f"--output {path}: a picture ends in {', '.join(PICTURES)}")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise InputError(f"--output {path}: it should be a file in a folder that exists")
    f.plot(low, high, path)
    answer(as_json, {"activation": f.name, "picture": str(path)}, path)


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
        option_output("The folder for the pictures. \\[default: here; none with --json]"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What deep networks make of it, before training: gains, a forecast by layer, warnings, pictures."""
    from actgrad.workbench.study import study as run

    if output is None and not as_json:
        output = Path()
    f = load(target, warn)
    run(f, depth, width, weight_scale, bias_scale, output, None if as_json else Screen())


@command(
    """actgrad bench spiky.py:spiky
actgrad bench spiky.py:spiky --framework torch --size 1000000 --json"""
)
def bench(
    target: Target,
    framework: Annotated[
        BenchFramework | None,
        typer.Option(help="In which framework. \\[default: all that are installed]"),
    ] = None,
    size: Annotated[int, typer.Option(min=1, help="Elements of the tensor.")] = 131_072,
    repeats: Annotated[int, typer.Option(min=2, help="Runs of each.")] = 21,
    as_json: AsJson = False,
) -> None:
    """Measure its speed beside each framework's own ReLU."""
    from actgrad.workbench.bench import run

    run(load(target, warn), [framework] if framework else [], size, repeats, as_json)


@command(
    """actgrad source spiky.py:spiky
actgrad source spiky.py:spiky --framework torch > spiky_torch.py
actgrad source spiky.py:spiky --framework jax --json"""
)
def source(
    target: Target,
    framework: Annotated[
        Framework,
        typer.Option(help="For which framework."),
    ] = "tensorflow",
    as_json: AsJson = False,
) -> None:
    """Print the code that is generated for a framework: a file that stands alone."""
    f = load(target, warn)
    text = f.source(framework)
    found = {"activation": f.name, "framework": framework, "source": text}
    if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
        sys.stdout.reconfigure(encoding="utf-8")  # as Python takes a file to be
    answer(as_json, found, text.removesuffix("\n"))


@command(
    """actgrad export spiky.py:spiky --to onnx
actgrad export spiky.py:spiky --to saved_model --model model.keras --output served
actgrad export spiky.py:spiky --to tflite --dry-run
actgrad export spiky.py:spiky --to c --low -4 --high 4
actgrad export spiky.py:spiky --to onnx --int8 --model model.keras --data calibration.npz"""
)
def export(
    target: Target,
    to: Annotated[
        Literal[tuple(SUFFIXES)],  # type: ignore[valid-type]
        typer.Option("--to", help="What to write."),
    ],
    output: Annotated[
        Path | None,
        option_output(
            "The file to write; for saved_model a folder. \\[default: NAME with the target's ending]"
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(help="A Keras model (.keras) that has the activation: export it whole."),
    ] = None,
    framework: Annotated[
        Framework,
        typer.Option(help="For which framework, with --to source."),
    ] = "tensorflow",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what each target keeps, and why not.")
    ] = False,
    int8: Annotated[
        bool,
        typer.Option(
            "--int8",
            help="With --to onnx, tflite, executorch or qonnx: integers, as one exact lookup.",
        ),
    ] = False,
    low: Annotated[
        float | None, typer.Option(help="In integers: the lowest input that has a code.")
    ] = None,
    high: Annotated[float | None, typer.Option(help="And the highest.")] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="In place of them: typical inputs, an .npy or .npz file (its x)."),
    ] = None,
    percentile: Annotated[
        float, typer.Option(help="Of --data, how much gets a code; the ends saturate.")
    ] = 100.0,
    input_scale: Annotated[
        str | None,
        typer.Option(metavar="SCALE,ZERO", help="In place of them: what the input's codes are."),
    ] = None,
    output_scale: Annotated[
        str | None, typer.Option(metavar="SCALE,ZERO", help="And the output's.")
    ] = None,
    bits: Annotated[int, typer.Option(help="8 or 16.")] = 8,
    unsigned: Annotated[bool, typer.Option("--unsigned", help="Codes from 0 on.")] = False,
    away: Annotated[
        bool, typer.Option("--away", help="Round ties away from zero, not to even.")
    ] = False,
    interpolated: Annotated[
        bool,
        typer.Option("--interpolated", help="With --to c, 16 bits: 513 entries, as TFLite has."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write it for another program; kept if values and gradients are the same in a fresh process.

    A table, C or hex is the exact integer form, for the range of inputs that you give.
    """
    from actgrad.workbench import export as room
    from actgrad.workbench.integers import command as integers
    from actgrad.workbench.integers.scales import Scales
    from actgrad.workbench.quiet import choose_backend

    choose_backend(room.MODELS.get(to) if model else None)
    f = load(target, warn)
    if dry_run:
        table = f.supports()
        answer(as_json, table.to_dict(), table)
        return
    path = output or room.default_path(f, to)
    scales = Scales(
        low, high, data, percentile, input_scale, output_scale, bits, not unsigned, away
    )
    if int8:
        integers.write_int8(f, to, path, scales, model, as_json)
        return
    if to in integers.TARGETS:
        integers.write(f, to, path, scales, model, interpolated, as_json)
        return
    if interpolated or scales != Scales():
        raise InputError(f"scales are for integers: --int8, or --to {', '.join(integers.TARGETS)}")
    found = room.export(f, to, path, framework, model)
    if as_json:
        print_json({"path": str(path), "value": found.value, "gradient": found.gradient})
        return
    print(f"{path}: verified in a fresh process")
    print(f"  largest difference of the value: {found.value:.2g}")
    kept = f"{found.gradient:.2g}" if found.gradient is not None else "none is kept there"
    print(f"  largest difference of the gradient: {kept}")


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
        Path | None, option_output("The folder for what is made. \\[default: runs/NAME]")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a training that was stopped.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Begin anew where a training is, finished or not.")
    ] = False,
    backend: OnBackend = None,
    as_json: ResultsAsJson = False,
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
    f = load(target, warn)
    options = Options(network, epochs, seeds, batch_size, learning_rate, stabilise)
    path = output or Path("runs") / file_name(f.name)
    try:
        console = Screen(stderr=as_json)
        job.run(f, data, options, path, console, backend, resume=resume, overwrite=overwrite)
    except KeyboardInterrupt:
        if (path / SETTINGS).exists():
            again = [a for a in sys.argv[1:] if a not in ("--overwrite", "--resume")]
            kept = (
                f"Every finished epoch is kept in {path}. To go on:\n"
                f"  actgrad {shlex.join(again)} --resume"
            )
        else:
            kept = "Training had not begun."
        complain(f"\nStopped. {kept}")
        raise typer.Exit(130) from None
    if as_json:
        print((path / RESULTS).read_text(encoding="utf-8").rstrip("\n"))


if __name__ == "__main__":
    main()
