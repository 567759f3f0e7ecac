"""For `make docs`: a link from a page to a file of the repository also works on the built site.

On the pages as they lie in the repository such a link is `../src/...`, which leaves the folder that
mkdocs builds. The file is put on the site, under `files/`, and the link is turned there. A link to
nothing is left as it is, and the strict build refuses it.
"""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\]\(\.\./([^)#]+)")


def target_of(name):
    """As text, so that a browser shows it; a name that begins with a dot would be left out."""
    return f"files/{name.lstrip('.')}.txt"


def on_files(files, *, config):
    for page in list(files.documentation_pages()):
        for name in LINK.findall(Path(page.abs_src_path).read_text(encoding="utf-8")):
            target = target_of(name)
            if (ROOT / name).is_file() and files.get_file_from_path(target) is None:
                files.append(File.generated(config, target, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown, *, page, config, files):
    def turn(match):
        target = target_of(match[1])
        return f"]({target}" if files.get_file_from_path(target) else match[0]

    return LINK.sub(turn, markdown)
