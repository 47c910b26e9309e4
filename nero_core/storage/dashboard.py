"""Where the dashboard lies: beside the core in a checkout, in a folder of its own where it is installed.

So no package of the name `pages` is put among other people's.
"""

from __future__ import annotations

from pathlib import Path

import nero_core

PACKAGES = Path(nero_core.__file__).parents[1]
"""The folder that holds the core: a checkout, or where Python's packages are installed."""
INSTALLED = "nero_dashboard"
"""The folder's name in the wheel: see pyproject.toml."""


def dashboard_folder() -> Path:
    """The folder of app.py, pages/ and assets/; it is there wherever the core came from a wheel or a checkout."""
    installed = PACKAGES / INSTALLED
    return installed if installed.is_dir() else PACKAGES
