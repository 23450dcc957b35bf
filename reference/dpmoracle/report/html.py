"""A page as one HTML file that needs nothing else: no network, no font, no script from outside. Needs Jinja2."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from .. import storage
from ..errors import InvalidParameterError, require
from . import provenance
from .cells import grid
from .formula import formula_html
from .page import Figure, Page
from .svg import inline

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["check", "render", "write_html"]

_TEMPLATES = Path(__file__).parent / "templates"


def check(path: str | os.PathLike[str], who: str) -> None:
    """Before the long work: what a report needs is installed, and `path` can be written."""
    for module in ("jinja2", "matplotlib"):
        require(module, "report", who)
    storage.check_writable(path, who)


def write_html(path: str | os.PathLike[str], page: Page, who: str = "write_html") -> None:
    """Write the page as one file, whole or not at all; a "?" stands for what is no Unicode (a name of a file)."""
    storage.write_text(path, render(page, who).encode("utf-8", "replace").decode("utf-8"), who)


def render(page: Page, who: str = "render") -> str:
    """The page as HTML; all its text is escaped, its figures are checked by `svg.inline`.

    The page tells the browser to run its own script alone, known by its hash, and to fetch nothing.
    """
    require("jinja2", "report", who)
    names = [figure.name for section in page.sections for figure in section.figures]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidParameterError(f"{who}: every figure must have its own name; {twice!r} came twice")
    script = (_TEMPLATES / "page.js").read_text(encoding="utf-8")
    return (
        _environment()
        .get_template("page.html")
        .render(
            page=page,
            facts=_facts(page),
            script=script,
            script_hash="sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )
    )


def _environment() -> Environment:
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def drawing(figure: Figure) -> Markup:
        return Markup(inline(figure.svg, figure.name, figure.alt))

    def formula(latex: str) -> Markup:
        return Markup(formula_html(latex))

    environment.filters |= {"drawing": drawing, "formula": formula, "grid": grid, "data_uri": _data_uri}
    return environment


def _data_uri(csv: str) -> str:
    return "data:text/csv;charset=utf-8," + quote(csv, safe="")


def _facts(page: Page) -> list[tuple[str, str]]:
    versions = ", ".join(f"{name} {version}" for name, version in provenance.versions().items())
    seed = () if page.seed is None else (("Seed", str(page.seed)),)
    made = (("Made", provenance.date()), ("Versions", versions), ("Machine", provenance.machine()))
    return [*page.facts, *seed, *made]
