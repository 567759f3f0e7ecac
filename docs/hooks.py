"""For `make docs`: a link from a page to a file of the repository also works on the built site.

On the pages as they lie in the repository such a link is `../src/...`, which leaves the folder that
mkdocs builds. The file is put on the site, under `files/`, and the link is turned there. A link to
nothing is left as it is, and the strict build refuses it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from mkdocs.structure.files import File

DOCS = Path(__file__).parent.resolve()
ROOT = DOCS.parent
LINK = re.compile(r"\]\((\.\./[^)#]+)")


def repository_file(page, link):
    """The file that a link on a page leads to, if it is in the repository and not a page."""
    path = Path(os.path.normpath(DOCS / Path(page).parent / link))
    inside = path.is_relative_to(ROOT) and not path.is_relative_to(DOCS)
    return path.relative_to(ROOT) if inside and path.is_file() else None


def target_of(name):
    """As text, so that a browser shows it; a name that begins with a dot would be left out."""
    return f"files/{name.as_posix().lstrip('.')}.txt"


def on_files(files, *, config):
    for page in [file for file in files.documentation_pages() if file.abs_src_path]:
        for link in LINK.findall(Path(page.abs_src_path).read_text(encoding="utf-8")):
            name = repository_file(page.src_uri, link)
            if name and files.get_file_from_path(target_of(name)) is None:
                files.append(File.generated(config, target_of(name), abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown, *, page, config, files):
    def turn(match):
        name = repository_file(page.file.src_uri, match[1])
        if name is None or files.get_file_from_path(target_of(name)) is None:
            return match[0]
        return "](" + os.path.relpath(target_of(name), os.path.dirname(page.file.src_uri))

    return LINK.sub(turn, markdown)
