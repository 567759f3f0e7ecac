"""How an activation shows itself in a notebook: formula, verdict, picture, propagation numbers."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from html import escape
from typing import TypeVar

from actgrad.common.text import first_line
from actgrad.common.types import Function
from actgrad.errors import MissingFrameworkError
from actgrad.language.program import Program
from actgrad.study.check import Check, check
from actgrad.study.plots import draw, shortened
from actgrad.study.propagation import Propagation, propagation

T = TypeVar("T")

_GOOD, _BAD = "#2a8f41", "#e5484d"  # to be read on white and on black


def card(program: Program, function: Function | None = None) -> str:
    """HTML that stands alone: no script, no style sheet, nothing fetched; all text is escaped.

    What cannot be said of an activation (the propagation of two inputs, say) is left out with its
    reason. A function on the host is not run for this. It never raises, because a notebook would then
    show nothing.

    >>> from actgrad import activation
    >>> html = card(activation(lambda x: x if x > 0 else 0, name="relu").program)
    >>> "relu(x) = x if 0 &lt; x else 0" in html and "exact except at kinks" in html
    True
    """
    lines = [*_formulas(program)]
    if program.on_host:
        lines.append(
            _line("runs on the host: <code>.check()</code> and <code>.plot()</code> run it")
        )
        return _box(lines)
    measured, found = _tried(lambda: check(program, function))
    lines.append(_verdict(measured) if measured is not None else _left_out("not checked", found))
    numbers, why = _tried(lambda: propagation(program))
    image, lacking = _tried(lambda: _picture(program))
    right = _numbers(numbers) if numbers else _left_out("no propagation numbers", why)
    left = image or _left_out("no picture", lacking)
    lines.append(
        '<div style="display:flex;flex-wrap:wrap;gap:1.5em;align-items:flex-start">'
        f'<div style="max-width:100%">{left}</div><div style="flex:1 1 18em">{right}</div></div>'
    )
    return _box(lines)


def _tried(work: Callable[[], T]) -> tuple[T | None, str]:
    try:
        return work(), ""
    except MissingFrameworkError as error:
        return None, str(error)
    except Exception as error:
        return None, first_line(error)


def _formulas(program: Program) -> Iterator[str]:
    yield _code(over_lines(f"{head(program)} = ", program), bold=True)
    if program.on_host:
        return
    kind = {"exact": "", "derivative": " (given)", "surrogate": " (surrogate)"}
    for name in program.inputs:
        if program.gradient:
            rule = program.gradient[program.inputs.index(name)]
            shown = Program("", (), (), rule)
            yield _code(over_lines(f"gradient by {name} (whole, given) = ", shown))
        else:
            yield _code(over_lines(f"d/d{name}{kind[program.kind]} = ", program.partial(name)))


def head(program: Program) -> str:
    """The function with its arguments, as it would be called."""
    values = (
        f"{n}={v:g}" if isinstance(v, float) else f"{n}=[...]" for n, v in program.settings.items()
    )
    return f"{program.name}({', '.join([*program.inputs, *values])})"


def _verdict(found: Check) -> str:
    color = _GOOD if found else _BAD
    _, *rest = str(found).splitlines()
    verdict = f'<b style="color:{color}">{escape(found.verdict)}</b>'
    details = escape("\n".join(line[2:] for line in rest))
    style = "margin:.2em 0;font-size:85%;opacity:.8;white-space:pre-wrap"
    return _line(f'{verdict}<pre style="{style}">{details}</pre>')


def _numbers(found: Propagation) -> str:
    cells = "".join(
        f'<tr><td style="text-align:left;vertical-align:top;white-space:nowrap">{escape(label)}</td>'
        f'<td style="text-align:left">{escape(text)}</td></tr>'
        for label, text in found.rows
    )
    notes = "".join(f'<p style="max-width:28em">{escape(text)}</p>' for text in found.warnings())
    return f'<table style="font-size:90%">{cells}</table>{notes}'


def _picture(program: Program) -> str:
    figure = draw(program)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=72)
    data = base64.b64encode(buffer.getvalue()).decode()
    about = escape(f"{program.name} and its derivative", quote=True)
    return f'<img alt="{about}" style="max-width:100%" src="data:image/png;base64,{data}">'


def over_lines(head: str, program: Program) -> str:
    """The formula after its head; each further piece below the first."""
    return head + program.formula.replace("\n", "\n" + " " * len(head))


def _code(text: str, bold: bool = False) -> str:
    text = shortened(text)
    weight = "font-weight:bold;" * bold
    return f'<div><code style="{weight}white-space:pre-wrap">{escape(text)}</code></div>'


def _line(html: str) -> str:
    return f'<div style="margin:.4em 0">{html}</div>'


def _left_out(what: str, why: str) -> str:
    return _line(f'<span style="opacity:.75">{what}: {escape(why)}</span>')


def _box(lines: list[str]) -> str:
    return f'<div class="actgrad">{"".join(lines)}</div>'
