"""Python code as HTML with its colours, which follow light and dark."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markupsafe import Markup

STYLE = """
.code .k, .code .kn, .code .ow, .code .kc { color: var(--code-keyword); }
.code .mi, .code .mf, .code .mh { color: var(--code-number); }
.code .s, .code .s1, .code .s2, .code .sd, .code .sa, .code .si { color: var(--code-text); }
.code .c, .code .c1 { color: var(--code-comment); font-style: italic; }
.code .nf, .code .nc, .code .nd { color: var(--code-name); }
"""


def as_written(source: str) -> Markup:
    """A function's own lines; of one of the catalogue without the decorator that enters it there."""
    text = textwrap.dedent(source)
    return highlighted(re.sub(r"\A@_add\((?:[^()]|\([^()]*\))*\)\n", "", text))


def highlighted(text: str) -> Markup:
    from markupsafe import Markup
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    return Markup(highlight(text, PythonLexer(), HtmlFormatter(nowrap=True)).rstrip("\n"))
