"""``nero app``: the dashboard, started as ``make app`` starts it in a checkout."""

from __future__ import annotations

import argparse
import runpy
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from nero_core.cli.console import DONE
from nero_core.errors import InputError
from nero_core.storage.dashboard import dashboard_folder

if TYPE_CHECKING:
    from argparse import ArgumentParser, _SubParsersAction

START = "pages.shared.start"
"""What is run. The core imports no page: it hands over, and is not come back to until the server ends."""
EXTRA = ("streamlit", "starlette", "uvicorn", "pandas")
"""What the extra [app] adds to the core."""


def add_app(commands: _SubParsersAction[ArgumentParser]) -> None:
    """Enter the command into the parser."""
    text = "Start the dashboard, print its address and open it in a browser."
    app = commands.add_parser("app", help=text, description=text)
    app.set_defaults(run=_app)
    app.add_argument("--port", type=int, help="where it listens (default: 8501)")
    app.add_argument("--address", help="who can reach it (default: 127.0.0.1, this machine only)")
    app.add_argument(
        "options",
        nargs="*",
        metavar="-- OPTION",
        help="options of `streamlit run`, after two dashes: -- --server.headless true",
    )


def _app(options: argparse.Namespace) -> int:
    missing = [name for name in EXTRA if find_spec(name) is None]
    if missing:
        raise InputError(
            f"The dashboard needs {', '.join(missing)}, which the core does without and which is not installed. "
            "Install it with: python -m pip install 'nero-dashboard[app]'"
        )
    named = {"--server.port": options.port, "--server.address": options.address}
    given = [word for name, value in named.items() if value is not None for word in (name, str(value))]
    sys.path.insert(0, str(dashboard_folder()))
    sys.argv = ["nero app", *given, *options.options]
    runpy.run_module(START, run_name="__main__", alter_sys=True)
    return DONE
