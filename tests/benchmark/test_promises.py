"""What the benchmark of promises computes: bounds against scipy and all splits, exact rates against draws, copies."""

from __future__ import annotations

from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from scipy.stats import betabinom

from benchmarks import promises, promises_by_class, promises_copies, promises_frames
from benchmarks.promises import DISTRIBUTIONS, KINDS, Rates, Share, Source
from benchmarks.promises_by_class import beyond_chance, cells
from benchmarks.promises_frames import BEFORE, NOW, PREDICTED, TRUE, Flags, Frames, count_flags, most_by_chance
from nero_core.calibration import Calibration, false_alarms
from nero_core.data.class_folders import read_class_folders
from nero_core.data.guarantee import Guarantee
from nero_core.data.near_duplicates import difference_hashes, near_duplicate_groups
from nero_core.data.preprocessing import Preprocessing
from nero_core.detectors import DETECTORS
from nero_core.network.classifier import Classifier, build_classifier
from nero_core.records import Activations, TrainingRecord
from tests.conftest import coloured_noise, write_class_folders


@pytest.mark.parametrize(("frames", "allowed", "calibration"), [(119, 10, 198), (113, 3, 65), (4, 1, 19), (1, 2, 39)])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_the_bound_is_scipys_quantile(frames, allowed, calibration, level):
    law = betabinom(frames, allowed, calibration + 1 - allowed)
    most, chance = most_by_chance(frames, allowed, calibration, level)
    assert law.cdf(most) >= level - 1e-9
    assert most == 0 or law.cdf(most - 1) < level
    assert chance == pytest.approx(law.sf(most), abs=1e-12)


def test_the_bound_by_every_split_of_a_few_frames():
    """Of 9 frames 5 calibrate; all 126 splits, and how often more than `most` of the other 4 are flagged, exactly."""
    scores, allowed, level = np.arange(1.0, 10.0) ** 2, 2, 0.8
    flagged = []
    for own in combinations(range(9), 5):
        others = np.setdiff1d(np.arange(9), own)
        p = Calibration(scores[list(own)], Guarantee(True)).p_values(scores[others])
        flagged.append(int((p <= allowed / 6 + 1e-12).sum()))
    most, chance = most_by_chance(4, allowed, 5, level)
    assert chance == pytest.approx(np.mean(np.array(flagged) > most))
    assert chance <= 1 - level < np.mean(np.array(flagged) > most - 1)


def test_nothing_allowed_is_nothing_flagged():
    assert most_by_chance(100, 0, 12) == (0, 0.0)


# Draws whose truth is known


@pytest.mark.parametrize("name", ["normal", "Poisson, 3 (ties)"])
@pytest.mark.parametrize("kind", KINDS)
def test_exact_rates_are_those_of_many_draws(name, kind):
    source, rng = Source(DISTRIBUTIONS[name], (67, 39, 202)), np.random.default_rng(1)
    scores, predicted, _ = source.draw(source.sizes, rng)
    settings, classes = KINDS[kind], ("a", "b", "c")
    calibration = Calibration(
        scores, Guarantee(True), predicted if settings.by_class else None, classes, settings=settings
    )
    exact = source.rates(calibration)
    many = source.draw(tuple(100 * size for size in source.sizes), rng)
    counts = false_alarms(calibration, 0.05, *many, classes)
    for rates, side in zip(exact, ("predicted", "true"), strict=True):
        for rate, (flagged, images) in zip(rates, counts[side].values(), strict=True):
            assert flagged / images == pytest.approx(rate, abs=4.5 * np.sqrt(rate * (1 - rate) / images) + 1e-3)


def test_a_source_is_what_it_says():
    source = Source(DISTRIBUTIONS["0 or 1 (ties)"], (20, 60))
    np.testing.assert_allclose(source.true_of_read, [[0.9, 0.1], [0.1, 0.9]])
    np.testing.assert_allclose(source.read_of_true, [[18 / 24, 6 / 24], [2 / 56, 54 / 56]])
    scores, predicted, true = source.draw((2000, 6000), np.random.default_rng(0))
    assert np.bincount(predicted).tolist() == [2000, 6000]
    assert (true[predicted == 1] == 0).mean() == pytest.approx(0.1, abs=0.02)
    assert set(scores[true == predicted]) == {0, 1}
    assert set(scores[true != predicted]) == {2, 3}


def test_an_excess_beyond_chance_is_told_and_chance_is_not():
    bound, sets = 0.05, 1000
    noise = np.random.default_rng(3).normal(0, 0.02, (20, sets))
    honest = [Share.over(f"{row}", 0.05 + draws) for row, draws in enumerate(noise)]
    assert promises.beyond_chance(honest, bound).startswith("beyond chance 0 of 20")
    broken = [*honest, Share.over("broken", 0.055 + noise[0])]
    assert "1 of 21, the largest" in promises.beyond_chance(broken, bound)
    assert "broken" in promises.beyond_chance(broken, bound)


def test_rows_of_draws(monkeypatch):
    for name, value in {"SETS": 20, "P_VALUE_SETS": 5, "DISTRIBUTIONS": dict(list(DISTRIBUTIONS.items())[:2])}.items():
        monkeypatch.setattr(promises, name, value)
    rows = promises.main()
    assert len(rows) == 2 + len(KINDS) + 1
    assert all(str(row).count("|") == 5 for row in rows)


def test_only_sets_above_alpha_are_counted_for_confidence():
    rates = Rates(np.array([[0.04, 0.06], [0.05, 0.07]]), np.zeros((2, 2)), np.array([True, True]))
    assert [Share.over("", (rates.predicted[:, place] > 0.05).astype(float)).mean for place in (0, 1)] == [0, 1]


# Splits of frames


def frames_of(features, labels, predicted):
    """Frames whose first feature is their score."""
    logits = np.eye(2)[predicted]
    activations = Activations(np.asarray(features, float)[:, None], logits, np.asarray(labels))
    return Frames(SimpleNamespace(classes=["a", "b"]), activations, {}, np.arange(len(labels)))


def test_flags_by_hand():
    """19 frames of each class calibrate, with scores 1 … 19 and 101 … 119; three others of each are scored."""
    scores = np.concatenate([np.arange(1.0, 20), np.arange(101.0, 120), [5, 25, 30], [50, 118, 130]])
    predicted = np.repeat([0, 1, 0, 1], [19, 19, 3, 3])
    labels = predicted.copy()
    labels[-1] = 0
    flags = count_flags(frames_of(scores, labels, predicted), [(scores, np.arange(38), np.arange(38, 44))])
    assert flags.flagged[NOW, PREDICTED].tolist() == [[2, 1]]
    assert flags.frames[NOW, PREDICTED].tolist() == [[3, 3]]
    assert flags.flagged[NOW, TRUE].tolist() == [[3, 0]]
    assert flags.flagged[BEFORE, PREDICTED].tolist() == [[0, 1]]
    assert flags.calibration[NOW].tolist() == [[19, 19]]
    assert flags.allowed[NOW].tolist() == flags.allowed[BEFORE].tolist() == [[1, 1]]
    np.testing.assert_allclose(flags.rates(NOW, PREDICTED), [[2 / 3, 1 / 3]])


def test_a_class_without_a_guarantee_is_never_above_its_bound():
    scores = np.arange(1.0, 61)
    predicted = np.repeat([0, 1, 1], [30, 5, 25])
    frames = frames_of(scores, predicted, predicted)
    flags = count_flags(frames, [(scores, np.arange(35), np.arange(35, 60))])
    assert flags.allowed[NOW].tolist() == [[1, 0]]
    assert flags.flagged[NOW, PREDICTED].tolist() == [[0, 25]]
    assert not flags.above(NOW, PREDICTED).any()
    assert np.isnan(flags.rates(NOW, PREDICTED)).all()  # no frame of one class, no guarantee of the other


def test_random_splits_of_distinct_scores_are_above_as_often_as_chance_says():
    """And one that flags all of a class is told, with its name."""
    N = 200
    predicted = np.arange(N) % 2
    frames = frames_of(np.zeros(N), predicted, predicted)
    rng = np.random.default_rng(0)
    honest, level, above, expected = {}, 0.9, 0, 0.0
    for name in range(5):
        scores = 1.0 + rng.permutation(N)
        splits = promises_frames.random_splits(np.arange(N), 100, 100)
        honest[f"{name}"] = flags = count_flags(frames, [(scores, *split) for split in splits])
        for m, n, allowed, flagged in zip(
            *(
                table[NOW, PREDICTED].ravel() if (NOW, PREDICTED) in table else table[NOW].ravel()
                for table in (flags.frames, flags.calibration, flags.allowed, flags.flagged)
            ),
            strict=True,
        ):
            most, chance = most_by_chance(int(m), int(allowed), int(n), level)
            above, expected = above + (flagged > most), expected + chance
    assert above == pytest.approx(expected, abs=4 * np.sqrt(expected))
    assert beyond_chance(cells(honest, ("a", "b"), NOW, PREDICTED)) == []
    one = honest["0"]
    all_flagged = {**one.flagged, (NOW, PREDICTED): one.flagged[NOW, PREDICTED].copy()}
    all_flagged[NOW, PREDICTED][:, 1] = one.frames[NOW, PREDICTED][:, 1]
    broken = {**honest, "broken": Flags(all_flagged, one.frames, one.calibration, one.allowed)}
    [cell] = beyond_chance(cells(broken, ("a", "b"), NOW, PREDICTED))
    assert (cell.detector, cell.of_class, cell.mean, cell.above) == ("broken", "b", 1.0, 100)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A network of random weights; 30 pictures a class, of which half train few test, and ``id/test``."""
    data = tmp_path_factory.mktemp("frames")
    images = read_class_folders(write_class_folders(data / "id" / "train", 30))
    for label, name in enumerate(images.classes):
        folder = data / "id" / "test" / name
        folder.mkdir(parents=True)
        for number in range(6):
            coloured_noise((90, 60 + 60 * label, 120), (5, label, number)).save(folder / f"{number}.png")
        with Image.open(images.paths[int(np.flatnonzero(images.labels == label)[0])]) as first:
            first.save(folder / "copy.png", compress_level=1)
    keys = images.digests
    record = TrainingRecord(
        frozenset(keys[::2]), frozenset(keys[1::2]) - frozenset(keys[5::30]), frozenset(keys[5::30])
    )
    preprocessing = Preprocessing(height=64, width=64)
    network = build_classifier("resnet18", images.classes, seed=0, preprocessing=preprocessing).network
    classifier = Classifier(network, "resnet18", images.classes, preprocessing, record)
    return promises_frames.read_frames(data, classifier)


def test_parts_of_frames_do_not_meet_and_copies_are_left_out(small):
    fit, unseen = small.parts["fit"], small.unseen
    assert not set(fit) & set(unseen)
    assert len(fit) == len(small.classifier.training.train)
    assert len(small.parts["test before"]) == 21
    assert len(small.parts["test"]) == 18
    assert len(small.parts["aside"]) == 3
    assert set(small.parts["test"]) < set(small.parts["test before"])
    assert set(small.parts["calibration"]) <= set(small.parts["calibration before"])
    assert len(small.activations) == 90 + 21


def test_rows_and_tables_of_frames(small, monkeypatch):
    for module, name, value in (
        (promises_frames, "SPLITS", 2),
        (promises_by_class, "SPLITS", 2),
        (promises_frames, "DETECTORS", {name: DETECTORS[name] for name in ("msp", "nero", "stage_mahalanobis")}),
    ):
        monkeypatch.setattr(module, name, value)
    rows, tables = promises_by_class.main(small)
    assert len(rows) == 5
    assert all(str(row).count("|") == 5 for row in rows)
    assert all(len({line.count("|") for line in text.splitlines()}) == 1 for text in tables)


# Copies


def test_copies_are_in_order_of_what_they_were_copied_from(class_folders, tmp_path):
    images = promises_copies.spread(read_class_folders(class_folders), 9)
    copies = promises_copies.saved_again(images, tmp_path / "copies", 95)
    assert copies.labels.tolist() == images.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert not set(copies.digests) & set(images.digests)
    ours, theirs = (difference_hashes(each.paths)[0] for each in (copies, images))
    assert np.bitwise_count(ours ^ theirs).max() <= 8  # these are noise, whose neighbours are nearly equal


def test_a_still_scene_is_one_group(gi_real, tmp_path):
    images = read_class_folders(gi_real / "id" / "train")
    still = promises_copies.with_alike(images, tmp_path / "id", shift=0)
    assert still.counts() == dict.fromkeys(images.classes[:-1], 200) | {images.classes[-1]: 100}
    groups = near_duplicate_groups(difference_hashes(still.paths)[0])[still.labels == len(images.classes) - 1]
    assert len(np.unique(groups)) == 1


def test_what_is_set_aside_of_each_class_is_told(class_folders):
    images = read_class_folders(class_folders)
    rows = promises_copies.rows_of_aside(images, difference_hashes(images.paths)[0])
    assert [row.wanted for row in rows] == ["≥ 19 where half of the class suffices"] * 3
    assert all(int(row.reached) <= 12 for row in rows)
