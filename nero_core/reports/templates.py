"""Pages made from templates; whatever a user or a file has named is text in them, never markup."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup

from nero_core.figures.palette import Chart

FOLDER = Path(__file__).parent / "templates"


def render(name: str, **content: object) -> str:
    """A template with its content.

    Parameters
    ----------
    name : str
        A file of the folder ``templates``; texts are escaped in those that end in ``.html``.
    """
    return _environment().get_template(name).render(**content)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=lambda name: name is not None and name.endswith(".html"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = _cell
    environment.filters["drawn"] = _drawn
    return environment


def _cell(text: object) -> str:
    """A text on one line of Markdown, in a table or outside."""
    return " ".join(str(text).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").split())


def _drawn(chart: Chart, with_library: bool) -> Markup:
    """A chart as HTML; the first of a page brings plotly along."""
    return Markup(
        chart.figure.to_html(full_html=False, include_plotlyjs=with_library, config={"displayModeBar": False})
    )
