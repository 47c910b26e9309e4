"""Run by test_hostile_uploads: scores every file of a folder through the app's door, and says what each of them took.

A process of its own, because a decoder may crash it, hang it or fill its memory. Writes one line of JSON per file.
"""

import faulthandler
import json
import resource
import sys
import time
import traceback
import warnings
from pathlib import Path

import numpy as np
import psutil

from nero_core import Reference
from pages.shared.reading import read_case
from pages.shared.session import Frame
from tests.data.hostile import whole_files

GIVE_UP = 120  # seconds for one file, on whatever machine; then the process ends and says where it hung


def peak_resident():
    """Bytes this program has had in memory at most."""
    status = Path("/proc/self/status")
    if status.is_file():  # Linux counts in ru_maxrss what the parent held when it started this process
        return next(
            int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM:")
        )
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def read(reference, name, data):
    """One upload as the app reads it."""
    frame = Frame(name, data)
    read_case([frame], reference, "nero")
    return frame


def main(reference_folder, folder):
    reference = Reference.load(reference_folder)
    for kind, data in whole_files().items():  # first of all: what the decoders and the network keep is nobody's fault
        assert read(reference, kind, data).error is None, kind
    known = read(reference, "known", whole_files()["png"]).reading
    resident = psutil.Process().memory_info().rss
    warnings.simplefilter("error")
    for path in sorted(Path(folder).iterdir()):
        data, problem, reading = path.read_bytes(), None, None
        faulthandler.dump_traceback_later(GIVE_UP, exit=True)
        started = time.process_time()
        try:
            reading = read(reference, path.name, data).reading
        except Exception:  # noqa: BLE001  the app would show it
            problem = traceback.format_exc()
        seconds = time.process_time() - started
        faulthandler.cancel_dump_traceback_later()
        peak = peak_resident()
        again = read(reference, "known", whole_files()["png"]).reading
        line = {
            "name": path.name,
            "problem": problem,
            "read": reading is not None,
            "finite": reading is None or bool(np.isfinite(reading.score)),
            "processor_seconds": seconds,
            "extra_bytes": max(0, peak - resident),
            "still_right": again.score == known.score
            and np.array_equal(again.explanation.contributions, known.explanation.contributions),
        }
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
