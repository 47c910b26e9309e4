"""How the benchmarks measure: alternately in one run, so that a busy moment hits both sides."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("torch", "torchvision", "numpy", "pillow", "streamlit", "zennit", "zennit-crp", "scikit-learn")


@dataclass(frozen=True)
class Row:
    """One line of a result table."""

    what: str
    wanted: str
    reached: str
    detail: str = ""

    def __str__(self) -> str:
        return f"| {self.what} | {self.wanted} | {self.reached} | {self.detail} |"


def table(rows: list[Row]) -> str:
    """Rows as Markdown."""
    return "\n".join(["| what | wanted | reached | detail |", "|---|---|---|---|", *map(str, rows)])


def side_by_side(candidates: Mapping[str, Callable[[], object]], rounds: int = 7) -> dict[str, float]:
    """Median seconds of each candidate, run in turn after one warm-up each."""
    for run in candidates.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, run in candidates.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def machine() -> str:
    """The machine and the versions, in one line."""
    cpu = platform.processor() or platform.machine()
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as info:
            cpu = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), cpu)
    except OSError:
        cpu = f"{cpu} (model unknown)"
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"{os.cpu_count()} cores, {cpu}; {platform.system()}, Python {platform.python_version()}; {packages}"
