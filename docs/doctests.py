"""For `make docs`: the examples in a docstring are shown as code. Markdown takes `>>>` for a quotation."""

import re

import griffe

EXAMPLES = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)


class Doctests(griffe.Extension):
    def on_object(self, *, obj, **_):
        if obj.docstring is not None:
            obj.docstring.value = EXAMPLES.sub(
                lambda found: f"```pycon\n{found[0]}\n```", obj.docstring.value
            )
