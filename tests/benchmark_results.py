"""A benchmark's result made from made-up scores, for whatever shows or writes one."""

from __future__ import annotations

import numpy as np

from nero_core.benchmark.loop import rank_correlation
from nero_core.benchmark.result import POOLED, BenchmarkResult, CalibrationSummary, DetectorResult, Scores, SetSummary
from nero_core.metrics import bootstrap, metrics_with_intervals, paired_differences, point_metrics

RESAMPLES = 20


def made_result(shifts, *, ood=("polyp", "ulcer"), images=30, title="Made up", refused=(), **changed):
    """Detectors of which each OOD score lies about `shifts[name]` above the ID scores."""
    rng = np.random.default_rng(0)
    scores, rows, draws, values = {}, [], {}, {}
    for name, shift in shifts.items():
        sets = {each: rng.normal(shift, 1, 10 + 5 * i) for i, each in enumerate(ood)}
        scores[name] = Scores(rng.normal(0, 1, images), sets, rng.normal(0, 1, 40))
        sets = sets | ({POOLED: np.concatenate(list(sets.values()))} if len(ood) > 1 else {})
        draws[name] = {each: bootstrap(scores[name].id, s, 0, RESAMPLES) for each, s in sets.items()}
        values[name] = {each: point_metrics(scores[name].id, s) for each, s in sets.items()}
    baseline = "nero" if "nero" in shifts else next(iter(shifts), None)
    for name in shifts:
        metrics = {each: metrics_with_intervals(v, draws[name][each]) for each, v in values[name].items()}
        differences = {
            each: paired_differences(v, draws[name][each], values[baseline][each], draws[baseline][each])
            for each, v in values[name].items()
        }
        detector = name.partition("[")[0]
        rows.append(
            DetectorResult(
                name, detector, detector.upper(), "made up", 2000, "done", parameters={"k": 3}, metrics=metrics,
                differences={} if name == baseline else differences,
                flagged={"id": 0.05, **dict.fromkeys(metrics, 0.5)},
                calibration=CalibrationSummary(40, False, True, "", {"all classes": 1.0}),
            )
        )  # fmt: skip
    rows += [
        DetectorResult(n, n, n.upper(), "made up", 2000, "refused", reason=why) for n, why in dict(refused).items()
    ]
    given = {
        "title": title, "architecture": "resnet18", "classes": ("amber", "moss"),
        "sets": (
            SetSummary("id", "id", images, 0, "0" * 64),
            *(SetSummary(each, "ood", 10 + 5 * i, 0, "1" * 64) for i, each in enumerate(ood)),
        ),
        "detectors": tuple(rows), "baseline": baseline, "alpha": 0.05, "grouped": False, "accuracy": 0.9,
        "rank_correlation": rank_correlation(scores), "seed": 0, "resamples": RESAMPLES, "warnings": (),
        "provenance": {"versions": {"numpy": "2"}, "classifier_digest": "a" * 64, "command": "nero benchmark REF"},
        "scores": scores,
    }  # fmt: skip
    return BenchmarkResult(**{**given, **changed})
