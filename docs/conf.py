"""Sphinx configuration: `sphinx-build -W docs build/site` builds these pages and the API reference."""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

import zoo

DOCS = Path(__file__).parent

project = "zoo"
author = "The zoo authors"
copyright = author
release = version = zoo.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 4
html_theme = "furo"
html_title = f"zoo {release}"

default_role = "code"  # docstrings write `name`, as in Markdown
napoleon_numpy_docstring = False


def unlink_repository_files(app: Sphinx, page: nodes.document) -> None:
    """Show links to files outside docs/, such as `../studies`, as text: the site has no pages for them."""
    folder = Path(app.env.doc2path(app.env.docname)).parent
    for link in list(page.findall(pending_xref)):
        target = (folder / link["reftarget"]).resolve()
        exists = target.exists() or target.with_suffix(".md").exists()
        if exists and not target.is_relative_to(DOCS):
            link.replace_self(link.children)


def mark_code_blocks(app: Sphinx, kind: str, name: str, obj: object, opts: object, lines: list[str]) -> None:
    """Put `::` in front of each indented example of a docstring, which reStructuredText needs."""
    for number in reversed(range(1, len(lines) - 1)):
        before, blank, line = lines[number - 1 : number + 2]
        if line.startswith("    ") and not blank.strip() and before.strip() and not before.startswith(" "):
            lines[number + 1 : number + 1] = ["::", ""]


def setup(app: Sphinx) -> None:
    app.connect("doctree-read", unlink_repository_files)
    app.connect("autodoc-process-docstring", mark_code_blocks, priority=400)  # before napoleon's
