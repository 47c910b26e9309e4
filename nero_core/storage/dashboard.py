"""Where the dashboard lies, for processes of its own: beside the core in a checkout, in a folder where it is installed.

So no package of the name `pages` is put among other people's.
"""

from __future__ import annotations

import os
from pathlib import Path

import nero_core

PACKAGES = Path(nero_core.__file__).parents[1]
"""The folder that holds the core: a checkout, or where Python's packages are installed."""
INSTALLED = "nero_dashboard"
"""The folder's name in the wheel: see pyproject.toml."""

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""By which the libraries are told how many threads they may use."""


def environment_of_child(threads: int, **more: str) -> dict[str, str]:
    """This process's environment for one that finds the core where this one did, and computes on so many threads."""
    places = os.pathsep.join(filter(None, [str(PACKAGES), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, **dict.fromkeys(THREADS, str(threads)), "PYTHONPATH": places, **more}


def dashboard_folder() -> Path:
    """The folder of app.py, pages/ and assets/; it is there wherever the core came from a wheel or a checkout."""
    installed = PACKAGES / INSTALLED
    return installed if installed.is_dir() else PACKAGES
