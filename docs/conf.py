"""How Sphinx builds the documentation: the pages beside this file, and the reference from the docstrings."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from nero_core import __version__  # noqa: E402

project = "NERO Dashboard"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.apidoc"]
html_theme = "alabaster"
html_theme_options = {"show_powered_by": False}
default_role = "code"  # `name` in a docstring is the name of an argument or an attribute
napoleon_google_docstring = False
napoleon_use_ivar = True
suppress_warnings = ["ref.python"]  # types in words, such as {title: rows}, are linked where one name fits
autodoc_default_options = {"ignore-module-all": True}  # what a package passes on is described where it is defined
apidoc_modules = [
    {
        "path": str(ROOT / "nero_core"),
        "destination": "api",
        "separate_modules": True,
        "automodule_options": {"members", "show-inheritance", "ignore-module-all"},
    }
]
