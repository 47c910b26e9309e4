"""Which detectors of a benchmark a reference would gain by."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from pathlib import Path

from nero_core.benchmark.result import BenchmarkResult
from nero_core.reference.panel_card import PANEL

BEST = 3
"""So many are looked at: more are mostly kin of the first ones, as all see the same features."""


def best_to_add(result: BenchmarkResult, has: Collection[str]) -> tuple[str, ...]:
    """The best detectors by AUROC over all OOD images that a reference has not; no panel, and none taken apart.

    Parameters
    ----------
    has : names
        Of the reference.
    """
    proper = [row.detector for row in result.ranked() if not row.ablation and row.detector != PANEL]
    return tuple(name for name in proper[:BEST] if name not in has)


def adding_command(names: Collection[str], reference: str | Path = "REF", images: str | Path = "DATA") -> str:
    """The line that adds detectors to a reference; `images` are those that it was fitted to."""
    return shlex.join(["python", "-m", "nero_core", "fit", str(images), "--out", str(reference), "--add", *names])
