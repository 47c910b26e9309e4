"""One detector of a result, beside the table: its scores, its ROC curve, and how it does on each OOD set."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from nero_core.benchmark.result import BenchmarkResult, DetectorResult, Scores
from nero_core.benchmark.tables import percent, titled
from nero_core.figures import benchmark as figures
from nero_core.figures.palette import significant
from nero_core.wording import said
from pages.benchmark_views.charts import key_of
from pages.benchmark_views.tables import set_words
from pages.shared import controls, widgets
from pages.shared.words import plain

CHART_WIDE, CURVE_HEIGHT = 340, 340  # pixels


def choice(result: BenchmarkResult) -> tuple[str, dict[str, str]]:
    """Under which key of the session the detector lies that is looked at, and {name: words} of those on offer."""
    titles = {row.name: row.label for row in result.ranked() if row.name in result.scores}
    return key_of("looked-at", titles), titles


def show(result: BenchmarkResult, ood_set: str) -> None:
    """The detector of the row that was chosen, or named here; the best at first."""
    key, titles = choice(result)
    name = controls.select(said("Detector to look at"), titles, key)
    row = next(row for row in result.detectors if row.name == name)
    area = percent(row.metrics[ood_set]["auroc"])
    st.markdown(
        said(
            "**{detector}** on {images}: {metric} **{area}**",
            detector=plain(row.label),
            images=plain(set_words(ood_set)),
            metric=titled("auroc"),
            area=area,
        )
    )
    with st.grid(2, min_column_width=CHART_WIDE) as grid:
        with grid.cell():
            _scores(result, row, ood_set)
        with grid.cell():
            alone = replace(result, detectors=(row,))
            widgets.chart(
                figures.roc_chart(alone, [name], ood_set, height=CURVE_HEIGHT),
                table=said("ROC of {detector}", detector=row.label),
            )
        if len(result.ood_sets) > 1:
            with grid.cell():
                chart = figures.breakdown_chart(alone, [name])
                widgets.chart(chart, table=said("{detector} on each OOD set", detector=row.label))


def _scores(result: BenchmarkResult, row: DetectorResult, ood_set: str) -> None:
    """Its scores on ID and OOD images, and where it flags."""
    scores = result.scores[row.name]
    shown = Scores(scores.id, {set_words(ood_set): figures.ood_scores(result, row.name, ood_set)}, scores.calibration)
    note = said("The outermost bars hold whatever lies beyond them.")
    thresholds = {} if row.calibration is None else row.calibration.thresholds
    threshold = next(iter(thresholds.values())) if len(thresholds) == 1 else None
    share = f"{100 * result.alpha:g}"
    if threshold is not None:
        beyond = said(
            "Beyond the dashed line images are flagged: {share} % of the ordinary ones on average.", share=share
        )
        note = f"{beyond} {note}"
    elif thresholds:
        each = ", ".join(f"{plain(name)} {significant(value)}" for name, value in thresholds.items())
        beyond = said(
            "Each predicted class has a threshold of its own ({each}); beyond it images are flagged: {share} % of the "
            "ordinary ones on average.",
            each=each,
            share=share,
        )
        note = f"{beyond} {note}"
    chart = figures.benchmark_histogram(shown, row.label, threshold=threshold)
    widgets.chart(chart, table=said("Scores of {detector}", detector=row.label), note=note)
