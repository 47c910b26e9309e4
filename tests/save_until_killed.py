"""Run by test_crash_safety: loads a reference and saves version after version of it to one folder, until killed."""

import sys
from dataclasses import replace
from pathlib import Path

from nero_core import Reference


def main(source: str, target: str) -> None:
    reference = Reference.load(source)
    first = reference.calibrations["nero"]
    version = 0
    while True:
        version += 1
        reference.manifest["title"] = f"version {version}"
        reference.calibrations["nero"] = replace(first, scores=first.scores + version)
        reference.save(Path(target))
        sys.stdout.write(f"{version}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
