"""`actgrad study`: what random networks make of an activation, in numbers, words and pictures."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from actgrad.activation import Activation
from actgrad.common.text import file_name
from actgrad.errors import InputError
from actgrad.study.forecast import Forecast
from actgrad.study.propagation import HERMITE, Propagation, shown
from actgrad.workbench.terminal import print_json, say

MEANING = {
    "mean": ("E f", "mean of the output, for a standard normal input"),
    "second_moment": ("E f²", "its mean square"),
    "gain": ("g_f", "weights with deviation g_f / √fan_in keep the signal's size"),
    "centred_gain": ("g_c", "the same, for weights standardised to mean 0"),
    "slope_moment": ("E s²", "mean square of the derivative in force"),
    "backward_gain": ("g_b", "weights with deviation g_b / √fan_in keep the gradient's size"),
    "chi": ("chi", "with g_f, each layer multiplies the gradient's mean square by this"),
    "eta": ("eta", "below 1, a wrong variance returns to its fixed point; above 1, it runs away"),
    "stein_gap": ("Stein gap", "0 for an exact derivative without jumps"),
    "tail_exponent": ("tail", "f grows like |x| to this power"),
    "escape_threshold": ("q+", "a variance above this grows without bound"),
    "safe_depth": ("safe depth", "number of layers that tolerate weights 20% too large"),
    "dead": ("dead", "share of inputs where the derivative is 0"),
    "surrogate_factor": ("c", "the derivative in force times this gives chi = 1"),
}


def study(
    f: Activation,
    depth: int,
    width: int,
    weight_scale: float,
    bias_scale: float,
    output: Path | None,
    console: Console | None,
) -> None:
    """Print it to the console, or as JSON if there is none. Pictures go into `output`, if it is given."""
    if output is not None and not output.is_dir():
        raise InputError(f"--output {output}: it should be a folder that exists")
    numbers = f.propagation()
    ahead = numbers.forecast(depth, width, weight_scale, bias_scale)
    warnings = numbers.warnings(depth)
    pictures = _pictures(f, ahead, output) if output is not None else []
    if console is None:
        found = {
            "activation": f.name,
            "verdict": f.check().verdict,
            "propagation": numbers.to_dict(),
            "forecast": ahead.to_dict(),
            "warnings": warnings,
            "pictures": [str(path) for path in pictures],
        }
        print_json(found)
        return

    say(console, str(f.check()) + "\n")
    console.print(_table(numbers))
    say(console, f"\n{ahead}\n")
    for warning in warnings:
        say(console, f"! {warning}", style="yellow")
    if not warnings:
        say(console, f"Nothing to warn about in a network of {depth} layers.")
    if pictures:
        say(console, f"Pictures: {', '.join(map(str, pictures))}")


def _table(numbers: Propagation) -> Table:
    table = Table(header_style="bold", box=None, pad_edge=False)
    table.add_column("number")
    table.add_column("value", justify="right")
    table.add_column("what it says")
    for name, (symbol, meaning) in MEANING.items():
        table.add_row(symbol, shown(getattr(numbers, name)), meaning)
    table.caption = f"{HERMITE}: {dict(numbers.rows)[HERMITE]}"
    return table


def _pictures(f: Activation, ahead: Forecast, output: Path) -> list[Path]:
    name = file_name(f.name)
    function, forecast = output / f"{name}.png", output / f"{name}_forecast.png"
    f.plot(path=function)
    ahead.plot(path=forecast)
    return [function, forecast]
