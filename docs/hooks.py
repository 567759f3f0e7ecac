"""For `make docs`: a link from a page to a file of the repository also works on the built site.

On the pages as they lie in the repository such a link is `../src/...`, which leaves the folder that
mkdocs builds. The file is put on the site, under `files/`, and the link is turned there. A link to
nothing is left as it is, and the strict build refuses it.
"""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

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
        text = Path(page.abs_src_path).read_text(encoding="utf-8")
        for link in LINK.findall(text.replace("<!-- files -->", files_by_folder())):
            name = repository_file(page.src_uri, link)
            if name and files.get_file_from_path(target_of(name)) is None:
                from mkdocs.structure.files import File

                files.append(
                    File.generated(
                        config, target_of(name), abs_src_path=str(ROOT / name)
                    )
                )
    return files


def first_line(path):
    """What a file does: the first paragraph of its docstring."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split())


def files_by_folder():
    """For docs/layout.md: a table for each folder of the package, from the files' own first lines."""
    package = ROOT / "src" / "actgrad"
    lines = []
    for folder in [package, *sorted(p.parent for p in package.rglob("__init__.py"))]:
        if folder == package and lines:
            continue
        lines += [f"## {folder.relative_to(package.parent).as_posix()}/", ""]
        lines += [
            first_line(folder / "__init__.py"),
            "",
            "| File | What it does |",
            "|---|---|",
        ]
        for path in sorted(folder.glob("*.py")):
            if path.name != "__init__.py":
                link = f"[{path.name}](../{path.relative_to(ROOT).as_posix()})"
                lines.append(f"| {link} | {first_line(path)} |")
        lines.append("")
    return "\n".join(lines)


def on_page_markdown(markdown, *, page, config, files):
    markdown = markdown.replace("<!-- files -->", files_by_folder())

    def turn(match):
        name = repository_file(page.file.src_uri, match[1])
        if name is None or files.get_file_from_path(target_of(name)) is None:
            return match[0]
        return "](" + os.path.relpath(
            target_of(name), os.path.dirname(page.file.src_uri)
        )

    return LINK.sub(turn, markdown)


if __name__ == "__main__":
    print(files_by_folder())
