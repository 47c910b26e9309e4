"""Every benchmark in turn, as one Markdown table: ``make bench``. Takes about ten minutes; leave the machine alone."""

from __future__ import annotations

import sys

from benchmarks import app, attribution, detectors, lesson, memory, networks, pages, promises, scoring
from benchmarks.measure import machine, table

if __name__ == "__main__":
    rows = []
    for part in (scoring, attribution, detectors, networks, memory, app, pages, lesson, promises):
        print(f"{part.__name__} …", file=sys.stderr)
        rows += part.main()
    print(f"{machine()}\n\n{table(rows)}")
