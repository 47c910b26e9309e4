"""The command line: ``python -m nero_core <command>``, installed as ``nero``. Only :mod:`nero_core.cli` prints."""

import sys

from nero_core.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
