"""Similar frames: against a slow twin, on paper, in references of every age, and harmed."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nero_core import Reference
from nero_core.data.class_folders import read_class_folders
from nero_core.data.image_set import ImageSet
from nero_core.data.images import displayed, read_image
from nero_core.data.preprocessing import Preprocessing
from nero_core.errors import ArtefactError, InputError
from nero_core.neurons.sample import (
    SAMPLE_ARRAYS,
    TRAINED_ARRAYS,
    TRAINED_KEPT,
    TRAINED_ROLE,
    NeuronSample,
    TrainedFrames,
    spread_rows,
)
from nero_core.neurons.sheets import SIDE, make_sheet
from nero_core.neurons.similar import (
    BYS,
    NO_FRAMES,
    NO_LONGER_CALIBRATE,
    NO_TRAINING_FRAMES,
    distances_between,
    lacking,
    similar_frames,
)
from nero_core.neurons.statistics import Moments
from nero_core.records import Activations, Head
from nero_core.reference.manifest import read_manifest, write_manifest
from nero_core.reference.recalibration import recalibrate
from nero_core.relevance import neuron_relevance
from tests.neurons.test_sheets import with_sheet
from tests.reference.test_restoring import harms
from tests.references import halves_record, telling_classifier

D, K = 3, 2


def sheet_of(count, first=0):
    """Pictures of one grey each, by which they are known again."""
    greys = [Image.new("RGB", (SIDE, SIDE), (10 * (first + i) % 250,) * 3) for i in range(count)]
    return make_sheet(greys, Preprocessing(height=SIDE, width=SIDE))


def made_up(held_out=9, known=2, trained=7, seed=0):
    """A sample of three features and two classes, with calibration, known unusual and training frames."""
    rng = np.random.default_rng(seed)
    groups = np.concatenate([np.arange(held_out) % K, np.full(known, K)])
    frames = TrainedFrames(
        rng.random((trained, D)).astype(np.float32), np.arange(trained) % K, lambda: sheet_of(trained, 12)
    )
    return NeuronSample(
        ("amber", "moss", "strange"),
        Head(rng.normal(size=(K, D)), rng.normal(size=K)),
        0.01,
        rng.random((held_out + known, D)).astype(np.float32),
        groups,
        (Moments.none(D),) * 3,
        lambda: sheet_of(held_out + known),
        frames,
    )


def image_of(sample, features):
    features = np.asarray(features, np.float32)[None]
    return Activations(features, sample._logits(features))


def distance_by_hand(one, two, by):
    if by == "relevance":
        return sum(abs(float(a) - float(b)) for a, b in zip(one, two, strict=True))
    dot = sum(float(a) * float(b) for a, b in zip(one, two, strict=True))
    lengths = [sum(float(a) ** 2 for a in each) ** 0.5 for each in (one, two)]
    return 1.0 if 0 in lengths else 1 - dot / (lengths[0] * lengths[1])


def by_hand(sample, activations, k, by):
    """(kind, class, distance, percentile) frame by frame, with loops."""

    def vector(features):
        if by == "features":
            return features
        z = features.astype(np.float64) @ sample.head.weight.T + sample.head.bias
        return neuron_relevance(features[None], z[None], sample.head.weight, sample.head.bias, sample.epsilon)[0][0]

    calibration = [(vector(f), g) for f, g in zip(sample.features, sample.groups, strict=True) if g < K]
    training = [(vector(f), g) for f, g in zip(sample.trained.features, sample.trained.labels, strict=True)]
    own, found = vector(activations.features[0]), []
    for kind, frames in (("training", training), ("calibration", calibration)):
        usual = []
        for v, _ in calibration:
            usual.append(min(distance_by_hand(v, w, by) for w, _ in frames if w is not v))
        ranked = sorted((distance_by_hand(own, v, by), place) for place, (v, _) in enumerate(frames))
        for distance, place in ranked[:k]:
            nearer = sum(each < distance for each in usual) / len(usual)
            found.append((kind, sample.names[frames[place][1]], distance, nearer))
    return sorted(found, key=lambda each: each[2])


@pytest.mark.parametrize("by", BYS)
@pytest.mark.parametrize("seed", range(5))
def test_similar_frames_are_those_of_the_slow_twin(by, seed):
    sample = made_up(seed=seed)
    image = image_of(sample, np.random.default_rng(100 + seed).random(D))
    found, expected = similar_frames(sample, image, 3, by), by_hand(sample, image, 3, by)
    assert [(f.kind, f.class_name) for f in found] == [each[:2] for each in expected]
    np.testing.assert_allclose([f.distance for f in found], [each[2] for each in expected], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose([f.percentile for f in found], [each[3] for each in expected], atol=1e-12)
    assert len(found) == 6


def test_distances_on_paper():
    one = np.array([[1.0, 2.0, 2.0]])
    np.testing.assert_array_equal(distances_between(one, [[0, 2, 5], [1, 2, 2]], "relevance"), [[4, 0]])
    # Cosines: 8/9 of (1, 2, 2) and (2, 1, 2), 1 of twice itself, −1 of its opposite; zeros have no direction.
    others = [[2, 1, 2], [2, 4, 4], [-1, -2, -2], [0, 0, 0]]
    np.testing.assert_allclose(distances_between(one, others, "features"), [[1 / 9, 0, 2, 1]], atol=1e-15)


@given(st.lists(st.lists(st.integers(-9, 9), min_size=D, max_size=D), min_size=2, max_size=6), st.sampled_from(BYS))
def test_distances_are_distances(rows, by):
    rows = np.array(rows, float)
    found = distances_between(rows, rows, by)
    np.testing.assert_allclose(found, found.T, atol=1e-12)
    assert (found >= 0).all()
    lengths = np.linalg.norm(rows, axis=1)
    np.testing.assert_allclose(np.diag(found), (lengths == 0) & (by == "features"), atol=1e-12)
    np.testing.assert_allclose(distances_between(3 * rows, rows, by).argmin() >= 0, True)


def test_each_frame_comes_with_its_own_picture_and_known_unusual_images_with_none():
    sample = made_up()
    for row in range(9):  # a frame's own features find it
        [found] = [f for f in similar_frames(sample, image_of(sample, sample.features[row]), 1) if f.kind != "training"]
        assert found.distance == pytest.approx(0, abs=1e-6)
        assert abs(int(np.asarray(found.picture)[24, 24, 0]) - 10 * row) <= 3
    for row in range(7):
        image = image_of(sample, sample.trained.features[row])
        [found] = [f for f in similar_frames(sample, image, 1, "features") if f.kind == "training"]
        assert found.distance == pytest.approx(0, abs=1e-6)
        assert abs(int(np.asarray(found.picture)[24, 24, 0]) - 10 * (12 + row)) <= 3
    everything = similar_frames(sample, image_of(sample, sample.features[10]), 99)
    assert len(everything) == 9 + 7, "k more than there are gives all; the known unusual two are not among them"
    assert {f.class_name for f in everything} == {"amber", "moss"}


def test_one_calibration_frame_has_no_neighbour_of_its_kind():
    sample = made_up(held_out=1, known=0)
    found = {f.kind: f for f in similar_frames(sample, image_of(sample, [1, 0, 0]), 1)}
    assert found["calibration"].percentile is None
    assert found["training"].percentile in (0.0, 1.0)


def test_what_is_missing_is_said_with_how_to_get_it():
    sample = made_up()
    image = image_of(sample, [1, 0, 0])
    assert lacking(sample) == ""
    earlier = replace(sample, trained=None)
    assert lacking(earlier) == NO_TRAINING_FRAMES
    assert {f.kind for f in similar_frames(earlier, image)} == {"calibration"}
    again = replace(sample, calibrates=False)
    assert lacking(again) == NO_LONGER_CALIBRATE
    assert {f.kind for f in similar_frames(again, image)} == {"training", "held out"}
    for none in (None, replace(sample, trained=None, read_sheet=None)):
        assert lacking(none) == NO_FRAMES
        with pytest.raises(InputError, match="without --no-crops"):
            similar_frames(none, image)


def test_what_makes_no_sense_is_refused():
    sample = made_up()
    image = image_of(sample, [1, 0, 0])
    with pytest.raises(InputError, match="`k` is 0"):
        similar_frames(sample, image, 0)
    with pytest.raises(InputError, match="'looks'"):
        similar_frames(sample, image, 1, "looks")
    with pytest.raises(InputError, match=r"\(2, 3\); wanted one image of 3"):
        similar_frames(sample, Activations(np.ones((2, 3)), np.ones((2, K))))
    with pytest.raises(InputError, match=r"\(1, 4\); wanted one image of 3"):
        similar_frames(sample, Activations(np.ones((1, 4)), np.ones((1, K))))
    with pytest.raises(InputError, match="one and the same network"):
        similar_frames(sample, Activations(image.features, image.logits + 9), by="features")
    with pytest.raises(ArtefactError, match="wanted 7"):
        similar_frames(replace(sample, trained=replace(sample.trained, read_sheet=lambda: sheet_of(6))), image)


# Which are kept --------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 3), max_size=40), st.integers(1, 12))
def test_training_frames_are_spread_over_the_classes(labels, most):
    labels = np.array(labels, np.int64)
    rows = spread_rows(labels, most)
    assert len(rows) == min(most, len(labels))
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(rows, spread_rows(labels, most))
    counts, kept = (np.bincount(which, minlength=4) for which in (labels, labels[rows]))
    short = kept[kept < counts]  # a class of which some are left out has as many as any other, or one less
    assert not len(short) or kept.max() - short.min() <= 1


def test_spread_on_paper():
    labels = np.array([0] * 10 + [1] * 2 + [2] * 10)
    assert np.bincount(labels[spread_rows(labels, 8)]).tolist() == [3, 2, 3]


# In a reference --------------------------------------------------------------------------------------------------


def test_a_reference_keeps_them_and_they_come_back(tiny_reference, class_folders):
    loaded = Reference.load(tiny_reference)
    images = read_class_folders(class_folders)
    trained = loaded.sample.trained
    assert len(trained.labels) == loaded.manifest["sample"]["trained"] == min(36, TRAINED_KEPT)
    own = loaded.classifier.extract([images.paths[0]])  # a training image
    for by in BYS:
        nearest = next(f for f in loaded.similar_frames(own, 1, by) if f.kind == "training")
        assert nearest.distance == pytest.approx(0, abs=1e-4)
        assert nearest.class_name == images.classes[images.labels[0]]
        small = displayed(read_image(images.paths[0]), Preprocessing(height=SIDE, width=SIDE))
        difference = np.asarray(nearest.picture, float) - np.asarray(small, float)
        assert np.abs(difference).mean() < 12, "its own picture, but for what WebP loses"
    assert TRAINED_ROLE in loaded.manifest["files"]


def test_without_crops_no_training_frame_is_kept(class_folders, tmp_path):
    from nero_core.data.splits import split_for_fit
    from nero_core.reference.description import Card
    from nero_core.reference.fit import fit_reference

    images = read_class_folders(class_folders)
    classifier = telling_classifier(images, halves_record(images))
    split = split_for_fit(classifier.training, images)
    fit_reference(classifier, split, Card("Bare"), {"nero": {}}, crops=False).save(tmp_path / "r")
    bare = Reference.load(tmp_path / "r")
    assert (bare.sample.trained, bare.sample.read_sheet) == (None, None)
    assert not [role for role in bare.manifest["files"] if role.startswith("concepts/")]
    with pytest.raises(InputError, match="keeps no frames"):
        bare.similar_frames(bare.classifier.extract([images.paths[0]]))


def test_a_reference_of_an_earlier_version_has_its_calibration_frames(tiny_reference, tmp_path, class_folders):
    earlier = Reference.load(tiny_reference)
    earlier.sample = replace(earlier.sample, trained=None)
    del earlier.manifest["sample"]["trained"]
    earlier.save(tmp_path / "r")
    loaded = Reference.load(tmp_path / "r")
    assert lacking(loaded.sample) == NO_TRAINING_FRAMES
    found = loaded.similar_frames(loaded.classifier.extract([read_class_folders(class_folders).paths[1]]), 2)
    assert [f.kind for f in found] == ["calibration"] * 2
    assert found[0].distance == pytest.approx(0, abs=1e-4)


def test_calibrated_anew_the_frames_calibrate_no_longer(tiny_reference, class_folders, tmp_path):
    images = read_class_folders(class_folders)
    recalibrate(Reference.load(tiny_reference), ImageSet.of(images)).save(tmp_path / "r")
    loaded = Reference.load(tmp_path / "r")
    assert not loaded.sample.calibrates
    kinds = {f.kind for f in loaded.similar_frames(loaded.classifier.extract([images.paths[1]]))}
    assert kinds == {"training", "held out"}


@pytest.mark.parametrize("name", TRAINED_ARRAYS)
def test_harmed_arrays_are_refused_by_name_or_give_frames(name):
    sample = made_up()
    arrays, image = sample.arrays(), image_of(sample, [1, 0, 0])
    assert set(arrays) == set(SAMPLE_ARRAYS), "each array that is stored is declared"
    for how, harmed in harms(arrays[name]):
        said = ""
        try:
            restored = NeuronSample.restore(
                {**arrays, name: harmed}, sample.names, K, sample.read_sheet, sample.trained.read_sheet
            )
            with np.errstate(all="ignore"):
                found = similar_frames(restored, image)
        except (InputError, ArtefactError) as error:
            said = str(error)
        if how in {"NaN", "infinite", "another shape", "one row", "one shorter", "empty"}:
            assert "`trained_" in said, how
        if not said:
            assert all(np.isfinite(f.distance) for f in found), how


@pytest.mark.parametrize("left_out", [("trained_features",), ("trained_labels",), TRAINED_ARRAYS])
def test_arrays_and_pictures_go_together(left_out):
    sample = made_up()
    arrays = {name: array for name, array in sample.arrays().items() if name not in left_out}
    with pytest.raises(InputError, match="trained_"):
        NeuronSample.restore(arrays, sample.names, K, sample.read_sheet, sample.trained.read_sheet)
    with pytest.raises(InputError, match="go together"):
        NeuronSample.restore(sample.arrays(), sample.names, K, sample.read_sheet)


def test_a_sheet_that_is_none_of_ours_and_a_count_that_is_not_true_are_refused(tiny_reference, tmp_path):
    folder = shutil.copytree(tiny_reference, tmp_path / "r")
    with_sheet(folder, TRAINED_ROLE, b"words")
    loaded = Reference.load(folder)
    image = Activations(loaded.sample.features[:1], loaded.sample.logits[:1])
    with pytest.raises(ArtefactError, match="wanted WEBP"):
        loaded.similar_frames(image)
    folder = shutil.copytree(tiny_reference, tmp_path / "lie")
    content = {key: value for key, value in read_manifest(folder).items() if key != "sha256"}
    write_manifest(folder, {**content, "sample": {**content["sample"], "trained": 35}})
    with pytest.raises(ArtefactError, match=r"sample\.trained"):
        Reference.load(folder)
