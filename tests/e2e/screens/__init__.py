"""Pages that hold the components and nothing else, run by Streamlit; what happens on them stands on them as text."""

import sys
from pathlib import Path

from tests.server.serving import ROOT, serve


def serve_screen(name, log):
    """Address of a new server of one of these pages."""
    page = str(Path(__file__).parent / f"{name}.py")
    return serve(log, command=[sys.executable, "-m", "streamlit", "run", page], PYTHONPATH=str(ROOT))
