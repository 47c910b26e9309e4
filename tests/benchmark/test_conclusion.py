"""The sentences a benchmark ends in: whole numbers that can be checked on paper, ties, and what may be missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nero_core.benchmark.conclusion import MEASURE_ELSEWHERE, conclusion, standing
from nero_core.benchmark.reading import read_results
from nero_core.benchmark.result import POOLED, ScoredImages, Scores, SetSummary, with_pooled
from nero_core.metrics import bootstrap, metrics_with_intervals, paired_differences, point_metrics
from tests.benchmark_results import RESAMPLES, made_result

ORDINARY = [0.0] * 8
ALL, NONE, HALF = [1.0] * 6, [-1.0] * 6, [0.0] * 6
"""Scores of OOD images with an AUROC of 100, 0 and 50 percent in every resample: above, below and level with 0."""


def result_of(ood, ordinary=ORDINARY, sets=("polyp",), groups=(None, None), **changed):
    """A result of detectors with these OOD scores, {name: scores} or {name: {set: scores}}."""
    result = made_result(dict.fromkeys(ood, 1.0), ood=sets, **changed)
    scores, rows = {}, []
    for row in result.detectors:
        if row.done:
            given = ood[row.name] if isinstance(ood[row.name], dict) else {sets[0]: ood[row.name]}
            usual = np.array(ordinary[row.name] if isinstance(ordinary, dict) else ordinary)
            scores[row.name] = Scores(usual, {name: np.array(values) for name, values in given.items()})
            row = replace(
                row,
                metrics={
                    name: metrics_with_intervals(
                        point_metrics(usual, values), bootstrap(usual, values, 0, RESAMPLES, *groups)
                    )
                    for name, values in with_pooled(scores[row.name].ood).items()
                },
            )
        rows.append(row)
    return replace(result, scores=scores, detectors=tuple(rows))


def test_an_example_in_whole_numbers():
    result = result_of({"vim": ALL, "knn": ALL, "nero": HALF, "msp": NONE})
    assert conclusion(result, "polyp") == [
        "On these images VIM and KNN are ahead together, and not told apart: AUROC 100.0 to 100.0 %.",
        "NERO is 50.0 points behind VIM (50.0 to 50.0).",
        "MSP is below chance: OOD images get lower scores than ID images.",
        f"Use VIM, the highest of them. {MEASURE_ELSEWHERE}",
    ]


def test_one_is_ahead():
    said = conclusion(result_of({"nero": HALF, "vim": ALL}), "polyp")
    assert said == [
        "On these images VIM is ahead of all others: AUROC 100.0 % (100.0 to 100.0).",
        "NERO is 50.0 points behind VIM (50.0 to 50.0).",
        f"Use VIM. {MEASURE_ELSEWHERE}",
    ]


def test_nero_ahead_is_said_once():
    assert conclusion(result_of({"nero": ALL, "vim": HALF}), "polyp") == [
        "On these images NERO is ahead of all others: AUROC 100.0 % (100.0 to 100.0).",
        f"Use NERO. {MEASURE_ELSEWHERE}",
    ]
    together = conclusion(result_of({"vim": ALL, "nero": ALL}), "polyp")
    assert together[0].startswith("On these images VIM and NERO are ahead together")
    assert together[1].startswith("Use VIM")


def test_one_detector_is_compared_with_none():
    assert conclusion(result_of({"vim": ALL}), "polyp") == [
        "On these images VIM alone was compared: AUROC 100.0 % (100.0 to 100.0).",
        "NERO was not compared.",
        "Compare it with others before you choose.",
    ]


def test_nero_below_chance_says_so():
    said = conclusion(result_of({"vim": ALL, "nero": NONE}), "polyp")
    assert said[1] == "NERO is 100.0 points behind VIM (100.0 to 100.0), and below chance."
    assert not any("lower scores" in each for each in said), "it is told of once"


def test_where_none_is_better_than_chance_none_is_recommended():
    said = conclusion(result_of({"vim": HALF, "nero": NONE, "knn": NONE}), "polyp")
    assert said[0].startswith(
        "On these images no detector is surely better than chance: the best, VIM, has AUROC 50.0 %"
    )
    assert said[-1] == "None of them can be recommended by these images."
    assert not any(each.startswith("Use") for each in said)


@pytest.mark.parametrize(
    ("refused", "words"), [({}, "NERO was not compared."), ({"nero": "No."}, "NERO could not run.")]
)
def test_without_nero(refused, words):
    assert words in conclusion(result_of({"vim": ALL, "knn": HALF}, refused=refused), "polyp")


def test_a_detector_taken_apart_is_none_of_them():
    result = result_of({"vim": HALF, "nero": HALF, "nero[k=25]": ALL})
    found = standing(result, "polyp")
    assert [row.name for row in found.ranked] == ["vim", "nero"]


def test_where_none_ran_nothing_is_said():
    assert conclusion(result_of({}, refused={"nero": "No."}), "polyp") == []


def test_many_are_counted():
    names = [f"d{i}" for i in range(7)]
    said = conclusion(result_of({**dict.fromkeys(names, ALL), "nero": ALL}), "polyp")
    assert said[0].startswith("On these images D0, D1, D2, D3 and 4 others are ahead together")
    assert said[1] == "NERO is among them."
    five = conclusion(result_of({**dict.fromkeys(names[:4], ALL), "nero": ALL}), "polyp")
    assert "D0, D1, D2, D3 and NERO are" in five[0]
    assert "NERO is among them." not in five


def test_the_one_to_use_need_not_go_through_the_network_again():
    result = result_of({"gram": [2.0] * 6, "vim": ALL, "nero": HALF})
    slow, *rest = result.detectors
    result = replace(result, detectors=(replace(slow, sees_images=True), *rest))
    assert conclusion(result, "polyp")[-1].startswith(
        "Use VIM, the highest of those that need not go through the network again."
    )
    alone = result_of({"gram": ALL, "nero": HALF})
    alone = replace(alone, detectors=(replace(alone.detectors[0], sees_images=True), alone.detectors[1]))
    assert conclusion(alone, "polyp")[-1].startswith("Use GRAM. ")


def test_the_set_is_named_where_it_is_one_of_several():
    result = result_of(
        {"vim": {"polyp": ALL, "ulcer": NONE}, "nero": {"polyp": HALF, "ulcer": HALF}}, sets=("polyp", "ulcer")
    )
    assert conclusion(result, "polyp")[0].startswith("On the images of polyp VIM is ahead")
    assert conclusion(result, "ulcer")[0].startswith("On the images of ulcer no detector is surely better than chance")
    assert conclusion(result, POOLED)[0].startswith("On these images")


def test_the_difference_is_paired():
    """Intervals that overlap by far, and a difference that is surely not 0; and one that may be."""
    rng = np.random.default_rng(0)
    usual, unusual = rng.normal(0, 1, 200), rng.normal(1, 1, 200)
    result = result_of({"a": unusual, "b": unusual - 0.1}, usual)  # both see an image alike
    first, second = (row.metrics["polyp"]["auroc"] for row in result.detectors)
    assert second.high > first.value, "they overlap"
    assert [row.name for row in standing(result, "polyp").ahead] == ["a"]
    rng = np.random.default_rng(0)
    tied = result_of({"a": rng.normal(1, 1, 50), "b": rng.normal(0.95, 1, 50)}, ordinary=rng.normal(0, 1, 50))
    assert len(standing(tied, "polyp").ahead) == 2


def test_it_says_what_the_slow_way_over_every_pair_says():
    rng = np.random.default_rng(3)
    names = ["nero", *"abcdefgh"]
    result = result_of(
        {name: rng.normal(rng.uniform(0, 1.5), 1, 40) for name in names},
        {name: rng.normal(0, 1, 60) for name in names},
    )
    found = standing(result, "polyp")
    rows = {row.name: row for row in result.detectors}
    best = max(rows.values(), key=lambda row: row.metrics["polyp"]["auroc"].value)
    draws = {n: bootstrap(s.id, s.ood["polyp"], result.seed, result.resamples) for n, s in result.scores.items()}
    ahead = set()
    for name, row in rows.items():
        value, of_best = row.metrics["polyp"]["auroc"].value, best.metrics["polyp"]["auroc"].value
        interval = paired_differences({"auroc": value}, draws[name], {"auroc": of_best}, draws[best.name])["auroc"]
        if interval.low <= 0 <= interval.high:
            ahead.add(name)
        if name == "nero" and row is not best:
            assert found.behind == interval
    assert {row.name for row in found.ahead} == ahead


# Images that belong together -------------------------------------------------------------------------------------


def images_of(count, groups):
    names = tuple(f"{i}.png" for i in range(count))
    return ScoredImages(names, tuple("0" * 64 for _ in names), np.zeros(count, np.int64), None, groups)


def grouped(groups):
    """Two detectors, of which one is better on one of four patients alone."""
    rng = np.random.default_rng(1)
    usual, unusual = rng.normal(0, 1, 40), rng.normal(2, 1, 40)
    other = unusual - np.where(np.arange(40) < 10, 2.0, 0.0)
    result = result_of({"a": unusual, "b": other}, usual, groups=groups)
    given = {"id": images_of(40, groups[0]), "ood/polyp": images_of(40, groups[1])}
    sets = (SetSummary("id", "id", 40, 0, "0" * 64), SetSummary("polyp", "ood", 40, 0, "1" * 64))
    return replace(result, grouped=groups[0] is not None, images=given, sets=sets)


def test_whole_patients_are_resampled():
    patients = np.arange(40) // 10
    alone = standing(grouped((None, None)), "polyp")
    together = standing(grouped((patients, patients)), "polyp")
    assert len(alone.ahead) == 1, "image by image the difference looks sure"
    assert len(together.ahead) == 2, "it rests on one patient"


def test_who_belongs_together_is_kept_beside_the_scores(tmp_path):
    patients = np.arange(40) // 10
    result = grouped((patients, None))
    result.save(tmp_path)
    again = read_results(tmp_path)
    np.testing.assert_array_equal(again.images["id"].groups, patients)
    assert again.images["ood/polyp"].groups is None
    assert conclusion(again, "polyp") == conclusion(result, "polyp")


def test_a_grouped_result_of_an_earlier_version_says_that_it_cannot_be_said():
    patients = np.arange(40) // 10
    result = replace(grouped((patients, patients)), images={})
    assert standing(result, "polyp") is None
    (said,) = conclusion(result, "polyp")
    assert "does not keep which" in said
