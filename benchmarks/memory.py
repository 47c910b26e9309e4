"""Memory of a fit on many rows: ``python -m benchmarks.memory``. Needs Linux's /proc."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from benchmarks.measure import Row, table

ROWS, WIDTH, CLASSES = 100_000, 512, 3
CHUNK = 5_000


def resident_megabytes(kind: str = "VmRSS") -> float:
    """Resident memory of this process; "RssAnon" leaves mapped files out."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{kind}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {kind}")


def fit_spooled_rows(folder: Path) -> tuple[float, float]:
    """Peak growth of resident and of anonymous memory during a fit on memory-mapped rows, in MB."""
    from nero_core.detectors import make_detector
    from nero_core.records import Activations, Head

    rng = np.random.default_rng(0)
    weight = rng.normal(0, 0.05, (CLASSES, WIDTH)).astype(np.float32)
    bias = rng.normal(0, 0.1, CLASSES).astype(np.float32)
    features = np.memmap(folder / "features", np.float32, "w+", shape=(ROWS, WIDTH))
    logits = np.memmap(folder / "logits", np.float32, "w+", shape=(ROWS, CLASSES))
    for start in range(0, ROWS, CHUNK):
        part = np.abs(rng.normal(size=(CHUNK, WIDTH))).astype(np.float32)
        features[start : start + CHUNK] = part
        logits[start : start + CHUNK] = part.astype(np.float64) @ weight.T + bias
    features.flush(), logits.flush()
    features = np.memmap(folder / "features", np.float32, "r", shape=(ROWS, WIDTH))
    logits = np.memmap(folder / "logits", np.float32, "r", shape=(ROWS, CLASSES))
    make_detector("nero")
    before = resident_megabytes(), resident_megabytes("RssAnon")
    peak = list(before)
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            peak[0] = max(peak[0], resident_megabytes())
            peak[1] = max(peak[1], resident_megabytes("RssAnon"))
            time.sleep(0.01)

    watcher = threading.Thread(target=watch)
    watcher.start()
    labels = np.arange(ROWS) % CLASSES
    make_detector("nero").fit(Activations(features, logits, labels=labels), Head(weight, bias))
    done.set()
    watcher.join()
    return peak[0] - before[0], peak[1] - before[1]


def main() -> list[Row]:
    """One row, measured in a process of its own."""
    told = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory", "--alone"], capture_output=True, text=True, check=True
    )
    resident, anonymous = map(float, told.stdout.split())
    detail = f"of which {anonymous:.0f} MB not mapped from the spool file"
    return [Row(f"NERO fit on {ROWS:,} × {WIDTH} rows, peak resident memory", "400 MB", f"{resident:.0f} MB", detail)]


if __name__ == "__main__":
    if "--alone" in sys.argv:
        with tempfile.TemporaryDirectory() as spool:
            print(*fit_spooled_rows(Path(spool)))
    else:
        print(table(main()))
