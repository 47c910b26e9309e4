"""Metrics: against scikit-learn, against slow literal twins, and on samples a reader can check on paper."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, roc_auc_score

from nero_core import metrics
from nero_core.errors import InputError
from nero_core.metrics import (
    METRICS,
    bootstrap,
    interval,
    paired_differences,
    point_metrics,
    rank_correlations,
    roc_points,
)

few = st.lists(st.integers(0, 4).map(float), min_size=1, max_size=25)
"""Small whole numbers: many ties."""


def literal_metrics(ids, oods):
    """Every metric from its definition, one pair and one threshold at a time."""
    wins = sum((o > i) + 0.5 * (o == i) for i in ids for o in oods)

    def average_precision(positives, negatives):
        total = 0.0
        for threshold in positives:
            hits = sum(p >= threshold for p in positives)
            total += hits / (hits + sum(n >= threshold for n in negatives))
        return total / len(positives)

    t = sorted(ids)[math.floor(95 * len(ids) / 100)]
    allowed = [threshold for threshold in oods if sum(o >= threshold for o in oods) * 100 >= 95 * len(oods)]
    return {
        "auroc": wins / (len(ids) * len(oods)),
        "aupr_in": average_precision([-i for i in ids], [-o for o in oods]),
        "aupr_out": average_precision(oods, ids),
        "fpr_ood_at_95_id_tpr": sum(o <= t for o in oods) / len(oods),
        "fpr_id_at_95_ood_tpr": sum(i >= max(allowed) for i in ids) / len(ids),
    }


def close(found, wanted):
    assert found.keys() == wanted.keys() == set(METRICS)
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, abs=1e-12), name


def test_ten_images_on_paper():
    # ID 1 2 3 4, OOD 3 4 5: of 12 pairs OOD wins 9 and ties 2.
    found = point_metrics([1, 2, 3, 4], [3, 4, 5])
    assert found["auroc"] == pytest.approx(10 / 12)
    assert found["fpr_ood_at_95_id_tpr"] == pytest.approx(2 / 3)  # t = sorted ID[3] = 4: OOD 3 and 4 pass
    assert found["fpr_id_at_95_ood_tpr"] == pytest.approx(2 / 4)  # all OOD are ≥ 3: ID 3 and 4 are flagged
    assert found["aupr_out"] == pytest.approx((1 / 1 + 2 / 3 + 3 / 5) / 3)
    assert found["aupr_in"] == pytest.approx((1 + 1 + 3 / 4 + 4 / 6) / 4)


def test_the_two_rates_differ():
    rng = np.random.default_rng(0)
    found = point_metrics(rng.normal(0, 1, 4000), rng.normal(2, 3, 4000))
    assert found["fpr_ood_at_95_id_tpr"] == pytest.approx(0.4530, abs=0.03)  # Φ((1.645 − 2) / 3)
    assert found["fpr_id_at_95_ood_tpr"] > 0.99


@given(few, few)
def test_values_equal_their_definitions(ids, oods):
    close(point_metrics(ids, oods), literal_metrics(ids, oods))


def test_values_equal_scikit_learn():
    rng = np.random.default_rng(1)
    ids, oods = rng.normal(size=300), rng.normal(0.7, 1.5, size=500)
    labels, scores = np.r_[np.zeros(300), np.ones(500)], np.r_[ids, oods]
    found = point_metrics(ids, oods)
    assert found["auroc"] == roc_auc_score(labels, scores)
    assert found["aupr_out"] == average_precision_score(labels, scores)
    assert found["aupr_in"] == average_precision_score(1 - labels, -scores)


@given(few, few)
def test_a_resample_equals_the_values_on_the_images_drawn(ids, oods):
    draws = bootstrap(ids, oods, seed=3, resamples=4)
    drawn = [
        np.repeat(given, counts)
        for which, given in enumerate((ids, oods))
        for counts in next(metrics._resampled_counts(np.arange(len(given)), (3, which), 4))
    ]
    for row in range(4):
        close(
            {name: draws[name][row] for name in METRICS}, literal_metrics(drawn[row].tolist(), drawn[4 + row].tolist())
        )


def test_both_thresholds_lie_where_they_should_among_many_scores():
    rng = np.random.default_rng(11)
    ids, oods = rng.normal(size=137), rng.normal(0.2, 0.5, size=163)
    close(point_metrics(ids, oods), literal_metrics(ids.tolist(), oods.tolist()))
    draws = bootstrap(ids, oods, seed=1, resamples=3)
    ids_drawn, oods_drawn = (
        next(metrics._resampled_counts(np.arange(137), (1, 0), 3)),
        next(metrics._resampled_counts(np.arange(163), (1, 1), 3)),
    )
    for row in range(3):
        wanted = literal_metrics(np.repeat(ids, ids_drawn[row]).tolist(), np.repeat(oods, oods_drawn[row]).tolist())
        close({name: draws[name][row] for name in METRICS}, wanted)


def test_every_resample_draws_as_many_images_as_there_are():
    blocks = list(metrics._resampled_counts(np.arange(7), (0, 0), 130))
    assert [len(block) for block in blocks] == [50, 50, 30]
    assert all((block.sum(axis=1) == 7).all() for block in blocks)
    mean = np.concatenate(blocks).mean(axis=0)
    assert np.abs(mean - 1).max() < 0.4, "each image is drawn about once"


def test_resamples_are_the_same_for_every_detector_and_differ_between_id_and_ood():
    rng = np.random.default_rng(2)
    scores = rng.normal(size=40)
    one, other = bootstrap(scores, scores + 1, seed=5), bootstrap(2 * scores, 2 * scores + 2, seed=5)
    for name in METRICS:
        np.testing.assert_array_equal(one[name], other[name])
        assert len(one[name]) == 1000
    assert not np.array_equal(one["auroc"], bootstrap(scores, scores + 1, seed=6)["auroc"])
    assert np.ptp(bootstrap(scores, scores, seed=5)["auroc"]) > 0, "ID and OOD are drawn apart"


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    # AUROC of N(0, 1) against N(1, 1) is Φ(1/√2) = 0.7602.
    rng = np.random.default_rng(7)
    hits = 0
    for trial in range(100):
        ids, oods = rng.normal(size=80), rng.normal(1, 1, size=60)
        found = interval(point_metrics(ids, oods)["auroc"], bootstrap(ids, oods, trial, 300)["auroc"])
        assert found.low <= found.value <= found.high
        hits += found.low <= 0.7602 <= found.high
    assert 88 <= hits <= 99


def test_paired_differences_are_narrower_than_two_intervals_suggest():
    rng = np.random.default_rng(4)
    ids, oods = rng.normal(size=100), rng.normal(1, 1, size=100)
    better = (ids + 0.1 * rng.normal(size=100), oods + 0.3 + 0.1 * rng.normal(size=100))
    a, b = point_metrics(*better), point_metrics(ids, oods)
    drawn_a, drawn_b = bootstrap(*better), bootstrap(ids, oods)
    found = paired_differences(a, drawn_a, b, drawn_b)["auroc"]
    assert found.value == pytest.approx(a["auroc"] - b["auroc"])
    assert found.low > 0, "the better one is better beyond doubt, although"
    assert interval(a["auroc"], drawn_a["auroc"]).low < interval(b["auroc"], drawn_b["auroc"]).high
    same = paired_differences(b, drawn_b, b, drawn_b)
    assert all(difference == (0, 0, 0) for difference in same.values())


def test_all_scores_equal():
    found = point_metrics([2, 2, 2], [2, 2])
    assert found == {
        "auroc": 0.5,
        "aupr_in": pytest.approx(0.6),
        "aupr_out": pytest.approx(0.4),
        "fpr_ood_at_95_id_tpr": 1,
        "fpr_id_at_95_ood_tpr": 1,
    }
    assert set(bootstrap([2, 2, 2], [2, 2])["auroc"]) == {0.5}


def test_one_image_each():
    assert point_metrics([1], [2])["auroc"] == 1
    assert point_metrics([2], [1])["fpr_ood_at_95_id_tpr"] == 1
    draws = bootstrap([1], [2])
    assert all(np.ptp(values) == 0 for values in draws.values())


@pytest.mark.parametrize("call", [point_metrics, bootstrap, roc_points])
@pytest.mark.parametrize(
    ("ids", "oods", "message"),
    [
        ([], [1], "in-distribution scores have shape"),
        ([1], [], "out-of-distribution scores have shape"),
        ([[1, 2]], [1], "one number per image"),
        ([1, np.nan], [1], "1 of 2 in-distribution scores are not finite"),
        ([1], [np.inf], "1 of 1 out-of-distribution scores are not finite"),
    ],
)
def test_scores_that_mean_nothing_are_refused(call, ids, oods, message):
    with pytest.raises(InputError, match=message):
        call(ids, oods)


@given(few, few)
def test_roc_points_rise_from_nothing_to_all_and_enclose_the_auroc(ids, oods):
    x, y = roc_points(ids, oods)
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert all(b >= a for curve in (x, y) for a, b in pairwise(curve))
    assert np.trapezoid(y, x) == pytest.approx(point_metrics(ids, oods)["auroc"], abs=1e-12)


# Groups -------------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=20), few)
def test_the_cluster_bootstrap_equals_its_literal_twin(grouped, oods):
    """As many groups are drawn as there are, each with all of its images: ID by patient, OOD one by one."""
    ids, names = zip(*grouped, strict=True)
    draws = bootstrap([float(i) for i in ids], oods, 5, 6, np.array(names) * 10)
    distinct = sorted(set(names))
    id_rng, ood_rng = np.random.default_rng((5, 0)), np.random.default_rng((5, 1))
    patients, images = (
        id_rng.integers(0, len(distinct), (6, len(distinct))),
        ood_rng.integers(0, len(oods), (6, len(oods))),
    )
    for row in range(6):
        drawn = [float(i) for patient in patients[row] for i, name in grouped if name == distinct[patient]]
        close({name: draws[name][row] for name in METRICS}, literal_metrics(drawn, [oods[i] for i in images[row]]))


def test_where_every_image_is_its_own_group_nothing_changes():
    rng = np.random.default_rng(6)
    ids, oods = rng.normal(size=40), rng.normal(1, 1, size=30)
    plain = bootstrap(ids, oods, 3, 70)
    for groups in ((np.arange(40), np.arange(30)), (None, np.arange(30) * 7), (np.arange(40) - 100, None)):
        again = bootstrap(ids, oods, 3, 70, *groups)
        for name in METRICS:
            np.testing.assert_array_equal(again[name], plain[name])


def test_images_that_say_the_same_make_wide_intervals():
    rng = np.random.default_rng(7)
    patients = np.repeat(np.arange(8), 20)
    ids, oods = rng.normal(size=8)[patients] + 0.01 * rng.normal(size=160), rng.normal(1, 1, size=100)
    spread = [np.ptp(interval(0.5, bootstrap(ids, oods, 0, 300, each)["auroc"])[1:]) for each in (None, patients)]
    assert spread[1] > 1.5 * spread[0]


def test_groups_that_do_not_match_are_refused():
    with pytest.raises(InputError, match=r"There are 3 scores and groups of shape \(2,\); give one group per score"):
        bootstrap([1.0, 2.0, 3.0], [1.0], id_groups=np.array([0, 1]))


# Agreement -------------------------------------------------------------------------------------------------------


def test_rank_correlations_on_paper():
    rho = rank_correlations([[1, 2, 9], [10, 20, 21], [3, 2, 1], [0, 0, 5], [7, 7, 7]])
    tied = 1.5 / math.sqrt(3)  # ranks 1.5, 1.5, 3
    wanted = [[1, 1, -1, tied], [1, 1, -1, tied], [-1, -1, 1, -tied], [tied, tied, -tied, 1]]
    np.testing.assert_allclose(rho[:4, :4], wanted, atol=1e-12)
    assert np.isnan(rho[4]).all()
    assert np.isnan(rho[:, 4]).all()
    assert rank_correlations([[1.0, 2.0]]).tolist() == [[1.0]]


@given(st.lists(st.lists(st.integers(0, 4).map(float), min_size=6, max_size=6), min_size=2, max_size=2))
def test_rank_correlations_are_scipys(rows):
    if any(len(set(row)) == 1 for row in rows):
        assert np.isnan(rank_correlations(rows)[0, 1])
    else:
        assert rank_correlations(rows)[0, 1] == pytest.approx(spearmanr(*rows).statistic, abs=1e-12)


# Effects ---------------------------------------------------------------------------------------------------------


def test_effects_on_paper():
    """Differences 1, 2 and 3: mean 2, spread 1, so that d_z is 2; t(2) at 97.5 % is 4.3027."""
    found = metrics.effect(2.0, 1 / 3**0.5, 3)
    assert found.standardized == pytest.approx(2)
    assert (found.low, found.high) == (pytest.approx(2 - 4.302653 / 3**0.5), pytest.approx(2 + 4.302653 / 3**0.5))
    assert not found.better, "of three images nothing is sure"
    # A further difference like these three lies within 2 ± 4.3027 · √(4/3).
    one = metrics.effect_of_one(np.array([1.0, 2.0, 3.0]))
    assert (one.low, one.standardized) == (pytest.approx(2 - 4.302653 * (4 / 3) ** 0.5), pytest.approx(2))


@given(st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=30), st.floats(-1, 1))
def test_effects_are_those_of_a_second_implementation(values, shift):
    from scipy import stats

    given_values = np.array(values) + shift
    assume(np.ptp(given_values) > 1e-3)
    deviation = given_values.std(ddof=1)
    found = metrics.effect(given_values.mean(), deviation / len(values) ** 0.5, len(values))
    interval = stats.ttest_1samp(given_values, 0).confidence_interval(0.95)
    np.testing.assert_allclose((found.low, found.high), interval, rtol=1e-6, atol=1e-9)
    assert found.better == (interval.low > 0 and given_values.mean() >= metrics.MEDIUM_EFFECT * deviation)
    assert not (found.better and not found.certain)
    assert metrics.effect_of_one(given_values).low <= found.low


def test_what_has_no_spread():
    single, same = metrics.effect(1.0, 0.0, 1), metrics.effect(0.3, 0.0, 5)
    assert (single.low, single.standardized, single.better) == (None, None, False)
    assert (same.low, same.standardized, same.better) == (0.3, None, True)
    assert not metrics.effect(0.0, 0.0, 5).better


def test_a_random_map_is_seldom_called_better_than_chance():
    """One image, eight random orders: of 4,000 maps that are random orders themselves about 25 in 1,000 are."""
    rng = np.random.default_rng(0)
    called = [metrics.effect_of_one(own - rng.normal(size=8)).better for own in rng.normal(size=4000)]
    assert 0.015 < np.mean(called) < 0.035
