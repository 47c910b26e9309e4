"""A benchmark's charts of all detectors: curves, every OOD set, agreement."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256

import streamlit as st

from nero_core import wording
from nero_core.benchmark.result import BenchmarkResult, DetectorResult
from nero_core.benchmark.tables import titled
from nero_core.figures import benchmark as figures
from nero_core.wording import said
from pages.shared import controls, widgets
from pages.shared.words import plain


def key_of(what: str, options: Iterable[str]) -> str:
    """A widget's key that changes with what it offers: an answer is never carried to other options."""
    return f"benchmark-{what}-{sha256(repr(list(options)).encode()).hexdigest()[:8]}"


def whole(result: BenchmarkResult) -> list[DetectorResult]:
    """The detectors that are done and not taken apart, best first."""
    return [row for row in result.ranked() if not row.ablation]


def curves(result: BenchmarkResult, ood_set: str) -> None:
    """ROC curves of chosen detectors, beside their areas."""
    ranked = [row for row in result.ranked() if row.name in result.scores]
    titles = {row.name: row.label for row in ranked}
    left, right = st.columns([7, 5], gap="medium")
    with right:
        drawn = controls.several(
            said("Detectors drawn"),
            titles,
            key_of("drawn", titles),
            said(wording.CHOOSE_DETECTORS),
            default=[name for name in figures.leading(result) if name in titles],
            format_func=titles.__getitem__,
            max_selections=len(figures.LINES),
            wrap=True,
        )
        if not drawn:
            return
        chosen = replace(result, detectors=tuple(row for row in ranked if row.name in drawn))
        chart = figures.roc_chart(chosen, drawn, ood_set)
        st.dataframe([dict(row) for row in chart.rows], hide_index=True, alt=said("AUROC of these"))
        widgets.picture_choice(said(wording.ROC_CURVES))
    with left:
        widgets.plot(chart, said(wording.ROC_CURVES))


def breakdown(result: BenchmarkResult) -> None:
    """Every detector on every OOD set; a large set can carry a figure over all."""
    metric = controls.select(
        said("Figure"), {name: titled(name) for name in wording.METRICS}, "benchmark-breakdown", width=340
    )
    names = [row.name for row in whole(result)]
    sizes = ", ".join(f"{plain(s.name)} {s.images}" for s in result.sets if s.role == "ood")
    widgets.chart(
        figures.breakdown_map(result, names, metric),
        table=said("Each OOD set"),
        note=said("Images per set: {sizes}. A large set can carry the figures over all.", sizes=sizes),
    )


def agreement(result: BenchmarkResult) -> None:
    """Which detectors put the images in one order."""
    ranked = whole(result)
    widgets.chart(
        figures.correlation_chart(
            result.rank_correlation, [row.name for row in ranked], {r.name: r.label for r in ranked}
        ),
        table=said("Rank correlation"),
        note=said(
            "Spearman’s rank correlation over all ID and OOD images: 1 where two detectors put the images in one "
            "order, 0 where one tells nothing of the other. Detectors that disagree are worth combining."
        ),
    )
