"""Statistics of neurons against slow literal twins, and what a reference keeps of its neurons."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from nero_core.errors import ArtefactError, InputError
from nero_core.neurons.sample import as_npz, chosen_rows, group_names, sample_neurons
from nero_core.neurons.sheets import SIDE, cut_sheet, make_sheet
from nero_core.neurons.statistics import Comparison, Group, Moments, cohens_d, neuron_auroc, pooled
from nero_core.reference.manifest import read_manifest, write_manifest
from nero_core.reference.reference import Reference
from nero_core.relevance import relevance_of
from tests.activations import make_activations


def group(values, name="g"):
    values = np.asarray(values, np.float64)
    return Group(name, Moments.of(values), values, values)


# Moments ---------------------------------------------------------------------------------------------------------


def test_by_hand():
    moments = Moments.of([[1, 5], [3, 5]])
    assert moments.count == 2
    assert moments.mean.tolist() == [2, 5]
    assert moments.squares.tolist() == [2, 0]
    np.testing.assert_allclose(moments.std, [2**0.5, 0])


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 1000))
def test_merged_moments_are_those_of_all_images(n, m, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(3, 2, (n, 4)), rng.normal(-1, 5, (m, 4))
    merged, whole = Moments.of(a).merged(Moments.of(b)), Moments.of(np.concatenate([a, b]))
    assert merged.count == whole.count
    np.testing.assert_allclose(merged.mean, whole.mean, atol=1e-12)
    np.testing.assert_allclose(merged.squares, whole.squares, atol=1e-9)


def test_streamed_moments_match_a_plain_loop():
    x = np.random.default_rng(0).normal(100, 0.01, (1000, 3))  # a large mean beside a small spread
    streamed = pooled((Moments.of(x[start : start + 37]) for start in range(0, 1000, 37)), 3)
    for j in range(3):
        mean = sum(float(v) for v in x[:, j]) / 1000
        variance = sum((float(v) - mean) ** 2 for v in x[:, j]) / 999
        assert streamed.mean[j] == pytest.approx(mean, rel=1e-12)
        assert streamed.std[j] == pytest.approx(variance**0.5, rel=1e-9)


def test_too_few_images_have_no_deviation():
    assert np.isnan(Moments.of([[1.0, 2.0]]).std).all()
    assert np.isnan(Moments.none(2).std).all()


def test_moments_of_other_shapes_are_refused():
    with pytest.raises(InputError, match=r"shape \(3,\)"):
        Moments.of(np.zeros(3))
    with pytest.raises(InputError, match="2 neurons cannot be merged with 3"):
        Moments.of(np.zeros((4, 2))).merged(Moments.of(np.zeros((4, 3))))


# Effects ---------------------------------------------------------------------------------------------------------


def test_cohens_d_matches_a_plain_loop():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 1, (20, 5)), rng.normal(0.7, 2, (9, 5))
    for j, d in enumerate(cohens_d(Moments.of(a), Moments.of(b))):
        ma, mb = sum(a[:, j]) / 20, sum(b[:, j]) / 9
        squares = sum((v - ma) ** 2 for v in a[:, j]) + sum((v - mb) ** 2 for v in b[:, j])
        assert d == pytest.approx((mb - ma) / (squares / 27) ** 0.5, rel=1e-12)


def test_cohens_d_by_hand_and_at_its_edges():
    assert cohens_d(Moments.of([[0.0], [2.0]]), Moments.of([[3.0], [5.0]]))[0] == pytest.approx(3 / 2**0.5)
    one = cohens_d(Moments.of([[0.0], [2.0]]), Moments.of([[3.0]]))
    assert one[0] == pytest.approx(2 / 2**0.5), "one image against a group"
    constant = cohens_d(Moments.of([[1.0, 1.0]] * 3), Moments.of([[1.0, 2.0]] * 3))
    assert constant[0] == 0
    assert np.isnan(constant[1])
    assert np.isnan(cohens_d(Moments.of([[0.0]]), Moments.of([[1.0]]))[0])


@given(st.integers(2, 25), st.integers(2, 25), st.integers(0, 1000))
def test_auroc_of_each_neuron_is_scikit_learns(n, m, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 6, (n, 3)).astype(float), rng.integers(2, 8, (m, 3)).astype(float)  # many ties
    expected = [roc_auc_score(np.r_[np.zeros(n), np.ones(m)], np.r_[a[:, j], b[:, j]]) for j in range(3)]
    np.testing.assert_allclose(neuron_auroc(a, b), expected, atol=1e-12)


def test_auroc_by_hand_and_where_there_is_none():
    assert neuron_auroc(np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]]))[0] == 3.5 / 4
    assert np.isnan(neuron_auroc(np.zeros((1, 2)), np.ones((5, 2)))).all()
    with pytest.raises(InputError, match="same number of neurons"):
        neuron_auroc(np.zeros((4, 2)), np.zeros((4, 3)))


def test_order_puts_what_stands_out_first_and_what_does_not_exist_last():
    c = Comparison(group([[0, 0, 5, 1], [1, 2, 5, 1]]), group([[9, 1, 6, 1], [10, 1, 6, 1]]))
    assert np.isnan(c.effect[2])
    assert c.order("effect")[0] == 0
    assert c.order("effect")[-1] == 2
    assert c.order("difference")[:2].tolist() == [0, 2]
    assert c.order("first")[0] == 2
    assert c.order("second")[0] == 0
    assert c.order("number").tolist() == [0, 1, 2, 3]
    assert sorted(c.order("auroc")) == [0, 1, 2, 3]
    assert c.order("auroc")[-1] in (1, 3), "AUROC 0.5 stands out least"


def test_two_single_images_have_no_effect_sizes_and_are_ordered_by_difference():
    c = Comparison(group([[0.0, 1.0, 2.0, 4.0]]), group([[0.0, 3.0, 2.0, 3.0]]))
    assert np.isnan(c.effect).all()
    for by in ("effect", "auroc", "difference"):
        assert c.order(by).tolist() == [1, 3, 0, 2]


def test_networks_of_two_sizes_are_not_compared():
    with pytest.raises(InputError, match="2 and 3 neurons"):
        Comparison(group(np.zeros((2, 2))), group(np.zeros((2, 3))))


# The sample ------------------------------------------------------------------------------------------------------


def test_the_sample_holds_means_over_all_images_and_some_of_them(monkeypatch):
    from nero_core.neurons import sample

    monkeypatch.setattr(sample, "CHUNK_ROWS", 7)
    held_out, head = make_activations(n=30)
    strange, _ = make_activations(n=11, seed=1, far=2)
    kept = [chosen_rows(30, 8), chosen_rows(11, 20)]
    assert len(kept[0]) == 8
    assert kept[1].tolist() == list(range(11))
    sample = sample_neurons(["a", "b", "c"], head, 0.01, held_out, {"strange": strange}, kept)
    assert sample.names == ("a", "b", "c", "strange")
    r, s = relevance_of(held_out, head, 0.01).neurons, relevance_of(strange, head, 0.01).neurons
    for number in range(3):
        assert sample.moments[number].count == 10
        np.testing.assert_allclose(sample.moments[number].mean, r[held_out.labels == number].mean(axis=0))
    np.testing.assert_allclose(sample.moments[3].std, s.std(axis=0, ddof=1))
    np.testing.assert_allclose(sample.relevance, np.concatenate([r[kept[0]], s]), atol=1e-9)
    both = sample.group("a and strange", [0, 3])
    np.testing.assert_allclose(both.moments.mean, np.concatenate([r[held_out.labels == 0], s]).mean(axis=0))
    with pytest.raises(InputError, match="no group 4"):
        sample.group("nothing", [4])


def test_images_are_drawn_by_a_fixed_seed_and_none_twice():
    rows = chosen_rows(5000, 1000)
    assert len(set(rows.tolist())) == 1000
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(rows, chosen_rows(5000, 1000))


def test_a_saved_reference_gives_its_neurons_without_torch(tiny_reference):
    code = (
        "import sys; from pathlib import Path; from nero_core import Reference;"
        f"s = Reference.open(Path({str(tiny_reference)!r})).read_without_network(); s.sample.relevance;"
        "c = s.feature_concepts; c.crops(c.neurons[0]);"
        "assert 'torch' not in sys.modules and 'sklearn' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1500:]


def test_what_is_read_is_what_the_reference_holds(tiny_reference):

    whole, light = Reference.load(tiny_reference), Reference.open(tiny_reference)
    np.testing.assert_array_equal(light.sample.features, whole.sample.features)
    np.testing.assert_array_equal(light.sample.head.weight, whole.classifier.head.weight)
    assert list(light.sample.names) == [*whole.classes, "strange"] == group_names(whole.manifest)
    assert np.bincount(light.sample.groups).tolist() == [12, 12, 12, 5]
    neuron = light.feature_concepts.neurons[0]
    assert neuron.stage is None
    for by in ("relevance", "activation"):
        assert len(light.feature_concepts.crops(neuron, by)) == len(whole.concepts.crops(neuron, by)) > 0
    nero = whole.detectors["nero"]
    np.testing.assert_allclose(light.projection(nero.class_means_), nero.centroids_[:, :2], atol=1e-9)
    np.testing.assert_allclose(pooled(light.sample.moments[:3], 512).mean, whole.profile.mean)
    assert len(cut_sheet(light.sample.read_sheet(), 41)) == 41


def test_most_active_images_are_those_of_largest_activation(tiny_reference, class_folders):
    from nero_core.data.class_folders import read_class_folders

    ref = Reference.load(tiny_reference)
    images = read_class_folders(class_folders)
    fitted = images.select([digest in ref.classifier.training.train for digest in images.digests])
    features = ref.classifier.extract(fitted.paths).features
    neuron = int(features.max(axis=0).argmax())
    order = np.argsort(-features[:, neuron], kind="stable")[:8]
    np.testing.assert_allclose(ref.concepts.strengths(neuron, "activation"), features[order, neuron], rtol=1e-3)
    np.testing.assert_array_equal(ref.concepts.labels(neuron, "activation"), fitted.labels[order])
    assert len(ref.concepts.crops(neuron, "activation")) == 8


@pytest.fixture
def folder(tiny_reference, tmp_path):
    return shutil.copytree(tiny_reference, tmp_path / "copy")


def rewrite_arrays(folder, change, without=()):
    """The same reference with other fitted arrays, and without some fields of its manifest, sealed again."""
    from nero_core.storage.files import digest, read_arrays, write_arrays

    content = read_manifest(folder)
    content.pop("sha256")
    path = folder / content["files"]["fitted"]["name"]
    arrays, _ = read_arrays(path)
    write_arrays(path, change(arrays))
    content["files"]["fitted"] |= {"sha256": digest(path), "bytes": path.stat().st_size}
    content = {name: value for name, value in content.items() if name not in without}
    write_manifest(folder, content)


def test_an_older_reference_without_a_sample_still_loads(folder):

    rewrite_arrays(folder, lambda arrays: {k: a for k, a in arrays.items() if not k.startswith("sample/")}, ["sample"])
    assert Reference.load(folder).sample is None
    light = Reference.open(folder)
    assert light.sample is None
    assert light.projection is not None


def test_a_sample_that_does_not_fit_is_named(folder):
    def shortened(arrays):
        return arrays | {"sample/groups": arrays["sample/groups"][:-1]}

    rewrite_arrays(folder, shortened)
    with pytest.raises(ArtefactError, match=r"fitted-.*disagree.*groups"):
        Reference.open(folder).read_without_network()


def test_a_missing_file_is_named(folder):
    content = read_manifest(folder)
    (folder / content["files"]["fitted"]["name"]).unlink()
    with pytest.raises(ArtefactError, match=r"fitted-.*is missing"):
        Reference.open(folder).read_without_network()


def test_raw_arrays_open_without_pickles(tiny_reference):
    sample = Reference.open(tiny_reference).sample
    with np.load(io.BytesIO(as_npz(sample)), allow_pickle=False) as arrays:
        np.testing.assert_allclose(arrays["relevance"], sample.relevance, rtol=1e-5, atol=1e-9)
        assert arrays["names"].tolist() == list(sample.names)
        assert int(arrays["classes"]) == 3
        assert arrays["weight"].shape == (3, 512)


def test_the_card_says_what_is_kept(tiny_reference):
    manifest = json.loads((tiny_reference / "manifest.json").read_text())
    assert manifest["sample"] == {"images": 41, "pictures": True, "trained": 36}


# Pictures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 40, 41])
def test_a_sheet_gives_its_pictures_back_in_order(count):
    from PIL import Image

    from nero_core.data.preprocessing import Preprocessing

    images = [Image.new("RGB", (60, 50), (5 * i, 100, 255 - 5 * i)) for i in range(count)]
    sheet = make_sheet(images, Preprocessing())
    pictures = cut_sheet(sheet, count)
    for image, picture in zip(images, pictures, strict=True):
        assert picture.size == (SIDE, SIDE)
        centre = np.array(picture.getpixel((24, 24))) - np.array(image.getpixel((0, 0)))
        assert np.abs(centre).max() < 25
    with pytest.raises(ArtefactError, match="wanted 200"):
        cut_sheet(sheet, 200)
