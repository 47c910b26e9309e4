"""Run by test_crash_safety: loads a reference and saves version after version of it to one folder, until killed.

Writes one line per save: its number, or why it could not be.
"""

import itertools
import sys
from dataclasses import replace
from pathlib import Path

from nero_core import Reference
from nero_core.errors import ArtefactError


def main(source: str, target: str, versions: str = "") -> None:
    reference = Reference.load(source)
    first, ood = reference.calibrations["nero"], reference.ood_scores["nero"]
    for version in range(1, int(versions) + 1) if versions else itertools.count(1):
        reference.manifest["title"] = f"version {version}"
        reference.calibrations["nero"] = replace(first, scores=first.scores + version)
        reference.ood_scores["nero"] = {name: scores + version for name, scores in ood.items()}  # so that figures agree
        try:
            reference.save(Path(target))
            told = str(version)
        except ArtefactError as error:
            told = str(error)
        sys.stdout.write(f"{told}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
