"""A benchmark's charts: curves and histograms of chosen detectors, every OOD set, agreement."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256

import streamlit as st

from nero_core import wording
from nero_core.benchmark.result import BenchmarkResult, DetectorResult, Scores
from nero_core.benchmark.tables import titled
from nero_core.figures import benchmark as figures
from nero_core.figures.palette import significant
from nero_core.wording import label, said
from pages.benchmark_views.tables import set_words
from pages.shared import controls, widgets
from pages.shared.words import plain


def key_of(what: str, options: Iterable[str]) -> str:
    """A widget's key that changes with what it offers: an answer is never carried to other options."""
    return f"benchmark-{what}-{sha256(repr(list(options)).encode()).hexdigest()[:8]}"


def whole(result: BenchmarkResult) -> list[DetectorResult]:
    """The detectors that are done and not taken apart, best first."""
    return [row for row in result.ranked() if not row.ablation]


def curves_and_histogram(result: BenchmarkResult, ood_set: str) -> None:
    """ROC curves of chosen detectors, and the scores of one."""
    ranked = [row for row in result.ranked() if row.name in result.scores]
    titles = {row.name: row.label for row in ranked}
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader(said(wording.ROC_CURVES), anchor=False)
        drawn = controls.several(
            "Detectors drawn",
            titles,
            key_of("drawn", titles),
            said(wording.CHOOSE_DETECTORS),
            default=[name for name in figures.leading(result) if name in titles],
            format_func=titles.__getitem__,
            max_selections=len(figures.LINES),
            wrap=True,
        )
        if drawn:
            chosen = replace(result, detectors=tuple(row for row in ranked if row.name in drawn))
            widgets.chart(figures.roc_chart(chosen, drawn, ood_set), table="AUROC of these")
    with right:
        st.subheader("Scores", anchor=False)
        name = controls.select(label(wording.DETECTOR), titles, key_of("scores", titles))
        row = next(row for row in ranked if row.name == name)
        scores = result.scores[name]
        shown = Scores(scores.id, {set_words(ood_set): figures.ood_scores(result, name, ood_set)}, scores.calibration)
        note = "The outermost bars hold whatever lies beyond them."
        thresholds = {} if row.calibration is None else row.calibration.thresholds
        threshold = next(iter(thresholds.values())) if len(thresholds) == 1 else None
        aim = f"{100 * result.alpha:g} % of the ordinary ones on average."
        if threshold is not None:
            note = f"Beyond the dashed line images are flagged: {aim} {note}"
        elif thresholds:
            each = ", ".join(f"{plain(name)} {significant(value)}" for name, value in thresholds.items())
            note = (
                f"Each predicted class has a threshold of its own ({each}); beyond it images are flagged: {aim} {note}"
            )
        widgets.chart(figures.benchmark_histogram(shown, row.label, threshold=threshold), table="Histogram", note=note)


def breakdown(result: BenchmarkResult) -> None:
    """Every detector on every OOD set; a large set can carry a figure over all."""
    metric = controls.select(
        "Figure", {name: titled(name) for name in wording.METRICS}, "benchmark-breakdown", width=340
    )
    names = [row.name for row in whole(result)]
    sizes = ", ".join(f"{plain(s.name)} {s.images}" for s in result.sets if s.role == "ood")
    widgets.chart(
        figures.breakdown_map(result, names, metric),
        table="Each OOD set",
        note=f"Images per set: {sizes}. A large set can carry the figures over all.",
    )


def agreement(result: BenchmarkResult) -> None:
    """Which detectors put the images in one order."""
    ranked = whole(result)
    widgets.chart(
        figures.correlation_chart(
            result.rank_correlation, [row.name for row in ranked], {r.name: r.label for r in ranked}
        ),
        table="Rank correlation",
        note="Spearman’s rank correlation over all ID and OOD images: 1 where two detectors put the images in one "
        "order, 0 where one tells nothing of the other. Detectors that disagree are worth combining.",
    )
