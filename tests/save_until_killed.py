"""Run by test_crash_safety: loads a reference and saves version after version of it to one folder, until killed."""

import sys
from pathlib import Path

from nero_core import Reference
from nero_core.calibration import Calibration


def main(source: str, target: str) -> None:
    reference = Reference.load(source)
    base = reference.calibrations["nero"].scores
    reference.manifest["metrics"] = {}  # they were measured with the scores that are about to change
    version = 0
    while True:
        version += 1
        reference.manifest["title"] = f"version {version}"
        reference.calibrations["nero"] = Calibration(base + version, guaranteed=True)
        reference.save(Path(target))
        sys.stdout.write(f"{version}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
