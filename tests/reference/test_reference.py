"""A reference on disk: whole, verified, and saying what is wrong where something is."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from nero_core import Reference
from nero_core.data.images import read_image
from nero_core.errors import ArtefactError, InputError, UnknownDetectorError
from nero_core.records import Neuron
from nero_core.reference.manifest import list_references, read_manifest, write_manifest
from nero_core.relevance import relevance_of


@pytest.fixture
def folder(tiny_reference, tmp_path):
    return shutil.copytree(tiny_reference, tmp_path / "copy")


@pytest.fixture(scope="module")
def ref(tiny_reference):
    return Reference.load(tiny_reference)


@pytest.fixture(scope="module")
def frames(class_folders):
    return sorted(class_folders.glob("*/*.png"))[::9]


def test_the_promised_names(ref, frames):
    acts = ref.classifier.extract([str(frames[0]), frames[1].read_bytes(), read_image(frames[2])])
    assert acts.features.dtype == acts.logits.dtype == np.float32
    assert ref.classifier.head.weight.shape == (3, 512)
    assert ref.classifier.head.bias.shape == (3,)
    assert ref.classes == ["amber", "moss", "slate"]
    s = ref.score(acts, detector="nero")
    assert (s.dtype, s.shape) == (np.float64, (3,))
    decision = ref.decide(acts, detector="nero", alpha=0.05)[0]
    assert decision.score == s[0]
    assert decision == ref.decide(acts, "nero", 0.05, scores=s)[0]
    e = ref.explain(acts)[0]
    assert e.nearest_class in ref.classes
    assert (e.distance + e.bias_term) * e.low_relevance_share == pytest.approx(s[0], rel=1e-9)
    assert e.contributions.sum() == pytest.approx(e.distance, rel=1e-9)
    assert len(e.top(5)) == 5
    assert np.isfinite(e.what_if([neuron for neuron, _ in e.top(2)]))
    maps = ref.heatmaps(frames[0], neurons=[3, 17])
    assert (maps.dtype, maps.shape) == (np.float32, (2, 64, 64))


def test_saved_and_loaded_it_says_the_same(ref, frames, tmp_path):
    ref.save(tmp_path / "again")
    again = Reference.load(tmp_path / "again")
    acts = ref.classifier.extract(frames)
    np.testing.assert_array_equal(again.score(again.classifier.extract(frames)), ref.score(acts))
    np.testing.assert_array_equal(again.calibrations["nero"].scores, ref.calibrations["nero"].scores)
    np.testing.assert_array_equal(again.ood_scores["nero"]["strange"], ref.ood_scores["nero"]["strange"])
    np.testing.assert_array_equal(again.profile.ood_mean, ref.profile.ood_mean)
    assert again.concepts.sheets(stages := ref.classifier.layout.stages) == ref.concepts.sheets(stages)
    assert {e["sha256"] for e in again.manifest["files"].values()} == {
        e["sha256"] for e in ref.manifest["files"].values()
    }


def test_calibration_scores_are_those_of_the_images_set_aside(ref, class_folders):
    from nero_core.data.class_folders import read_class_folders

    images = read_class_folders(class_folders)
    aside = images.select([digest in ref.classifier.training.calibration for digest in images.digests])
    scores = ref.score(ref.classifier.extract(aside.paths))
    np.testing.assert_allclose(np.sort(scores), ref.calibrations["nero"].scores, rtol=1e-4)


def test_concepts_are_the_most_relevant_training_images(ref, class_folders):
    from nero_core.data.class_folders import read_class_folders
    from nero_core.relevance import relevance_of

    images = read_class_folders(class_folders)
    fitted = images.select([digest in ref.classifier.training.train for digest in images.digests])
    r = relevance_of(ref.classifier.extract(fitted.paths), ref.classifier.head).neurons
    neuron = int(r.max(axis=0).argmax())
    order = np.argsort(-r[:, neuron])[:8]
    np.testing.assert_allclose(ref.concepts.strengths(neuron), r[order, neuron], rtol=1e-3)
    np.testing.assert_array_equal(ref.concepts.labels(neuron), fitted.labels[order])
    crops = ref.concepts.crops(neuron)
    assert [crop.size for crop in crops] == [(128, 128)] * 8
    from tests.conftest import COLOURS

    expected = np.array([COLOURS[images.classes[label]] for label in fitted.labels[order]])
    seen = np.array([np.asarray(crop).reshape(-1, 3).mean(axis=0) for crop in crops])
    assert (np.abs(seen - expected).max(axis=1) < 70).all()


def test_stage_mahalanobis_is_explained_by_channels_of_stages(ref, frames):
    acts = ref.classifier.extract(frames[:3])
    for e, score in zip(ref.explain(acts, "stage_mahalanobis"), ref.score(acts, "stage_mahalanobis"), strict=True):
        assert e.score == score
        assert e.factor * (e.contributions.sum() + sum(e.terms.values())) == pytest.approx(score, rel=1e-9)
        assert {neuron.stage for neuron in e.neurons} == {"layer1", "layer2", "layer3"}
    (place, _), *_ = e.top(1)
    stage, channel = e.neurons[place]
    assert str(e.neurons[place]) == f"{stage} · {channel}"
    maps = ref.heatmaps(frames[2], neurons=[channel], stage=stage)
    assert maps.shape == (1, 64, 64)
    assert np.abs(maps).max() > 0
    with pytest.raises(InputError, match="ranks neurons by contribution"):
        e.top(1, by="relevance")


def test_channels_of_stages_have_the_images_that_drive_them_most(ref, class_folders):
    from nero_core.data.class_folders import read_class_folders

    channels = [neuron for neuron in ref.concepts.neurons if neuron.stage]
    assert len(channels) == 448, "every channel of the first three stages"
    images = read_class_folders(class_folders)
    fitted = images.select([digest in ref.classifier.training.train for digest in images.digests])
    stages = ref.classifier.extract(fitted.paths).stages
    for stage, channel in channels[::20]:
        means = stages[stage][:, channel]
        order = np.argsort(-means, kind="stable")[:8]
        np.testing.assert_allclose(ref.concepts.strengths(Neuron(stage, channel)), means[order], rtol=1e-3)
        crops = ref.concepts.crops(Neuron(stage, channel))
        assert [crop.size for crop in crops] == [(128, 128)] * 8


def test_a_score_without_an_account_says_which_have_one(ref, frames):
    acts = ref.classifier.extract(frames[:1])
    assert ref.score(acts, "msp").shape == (1,)
    with pytest.raises(InputError, match="no exact score decomposition by neuron; choose nero or stage_mahalanobis"):
        ref.explain(acts, "msp")


@pytest.mark.parametrize("role", ["classifier", "fitted", "concepts/neuron_"])
@pytest.mark.parametrize("harm", ["missing", "truncated", "swapped"])
def test_a_harmed_file_is_named(folder, role, harm):
    files = read_manifest(folder)["files"]
    entry = next(entry for name, entry in files.items() if name.startswith(role))
    path = folder / entry["name"]
    data = path.read_bytes()
    if harm == "missing":
        path.unlink()
    elif harm == "truncated":
        path.write_bytes(data[: len(data) // 2])
    else:
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ArtefactError, match=path.name):
        Reference.load(folder)


def rewrite(folder, **changes):
    content = read_manifest(folder)
    content.pop("sha256")
    write_manifest(folder, content | changes)


def test_a_newer_reference_asks_for_an_update(folder):
    rewrite(folder, schema=99)
    with pytest.raises(ArtefactError, match=r"`schema`: 99 is newer.*update"):
        Reference.load(folder)


def test_an_edited_manifest_is_noticed(folder):
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace("Coloured noise", "Hospital frames"))
    with pytest.raises(ArtefactError, match="`sha256`: the content was changed"):
        Reference.load(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": "amber"}, "`classes`"),
        ({"classes": ["x", "y", "z"]}, "`training.per_class` names 'amber'"),
        ({"synthetic": 1}, "`synthetic`"),
        ({"calibration": {}}, "`calibration.images` is missing"),
        ({"detectors": {"nero": {"parameters": {"epsilon": 0.01, "colour": 3}}}, "metrics": {}}, "disagree"),
        ({"detectors": {"oracle": {"parameters": {}}}, "metrics": {}}, "disagree"),
        ({"detectors": {"oracle": {"parameters": {}}}}, "`metrics.auroc` names 'msp'"),
        ({"files": {}}, "classifier"),
        ({"files": {"classifier": {"name": "../../etc/passwd", "sha256": "", "bytes": 1}}}, "not a name of ours"),
        ({"files": {"classifier": 3}}, r"files\.classifier"),
    ],
)
def test_a_resealed_manifest_is_still_checked(folder, changes, message):
    rewrite(folder, **changes)
    with pytest.raises(ArtefactError, match=message):
        Reference.load(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_a_damaged_manifest_is_named(folder, content):
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(ArtefactError, match=r"manifest\.json"):
        Reference.load(folder)


def test_a_folder_without_a_manifest_is_named(tmp_path):
    with pytest.raises(ArtefactError, match=r"No manifest\.json"):
        Reference.load(tmp_path)


def test_saving_does_not_touch_a_folder_of_others(ref, tmp_path):
    (tmp_path / "thesis.txt").write_text("keep me")
    with pytest.raises(ArtefactError, match=r"holds other files \(thesis\.txt\)"):
        ref.save(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "keep me"


def test_saving_again_removes_what_is_no_longer_listed(ref, folder):
    stale = folder / "fitted-0123456789abcdef.safetensors"
    stale.write_bytes(b"old")
    (folder / "fitted.part").write_bytes(b"half")
    (folder / "notes.txt").write_text("mine")
    ref.save(folder)
    assert not stale.exists()
    assert not (folder / "fitted.part").exists()
    assert (folder / "notes.txt").read_text() == "mine"
    Reference.load(folder)


def test_a_failure_while_saving_leaves_the_old_one(ref, folder, monkeypatch):
    before = json.loads((folder / "manifest.json").read_text())
    monkeypatch.setattr(
        "nero_core.reference.manifest.write_bytes", lambda *args: (_ for _ in ()).throw(ArtefactError("disk full"))
    )
    with pytest.raises(ArtefactError, match="disk full"):
        ref.save(folder)
    monkeypatch.undo()
    assert read_manifest(folder) == before
    Reference.load(folder)


def test_questions_it_cannot_answer(ref, frames):
    acts = ref.classifier.extract(frames[:1])
    with pytest.raises(UnknownDetectorError, match="it has nero"):
        ref.score(acts, detector="vim")
    for alpha in (0, 1, -1, float("nan")):
        with pytest.raises(InputError, match="alpha"):
            ref.decide(acts, alpha=alpha)
    with pytest.raises(
        InputError, match="needs at least 99 calibration images of class 'slate'; this reference has 36"
    ):
        ref.decide(acts, alpha=0.01)


def test_references_are_listed_with_what_is_wrong_with_them(folder):
    (folder.parent / "broken").mkdir()
    (folder.parent / "broken" / "manifest.json").write_text("{}")
    good, broken = list_references([folder.parent, folder.parent / "nowhere"])
    assert (good.title, good.synthetic, good.error) == ("Coloured noise", True, None)
    assert broken.path.name == "broken"
    assert "schema" in broken.error


@pytest.fixture(scope="module")
def with_panel(class_folders, strange_folder, tmp_path_factory):
    """Path of a reference that was fitted without a word about detectors, with one set of known OOD images."""
    from nero_core.data.class_folders import list_images, read_class_folders
    from tests.references import fitted, halves_record, telling_classifier

    images = read_class_folders(class_folders)
    folder = tmp_path_factory.mktemp("panel") / "r"
    ood = {"strange": list_images(strange_folder)}
    fitted(telling_classifier(images, halves_record(images)), images, None, ood=ood).save(folder)
    return folder


def test_without_a_word_about_detectors_a_panel_decides(with_panel, class_folders):
    loaded = Reference.load(with_panel)
    assert loaded.deciding == next(iter(loaded.detectors)) == "panel"
    assert set(loaded.detectors) == {
        "panel",
        "nero",
        "stage_mahalanobis",
        "stage_knn",
        "knn",
        "energy",
        "mahalanobis_pp",
    }
    assert len({len(each) for each in loaded.calibrations.values()}) == 1, "no calibration image is spent on scales"
    batch = loaded.classifier.extract(sorted(class_folders.rglob("*.png"))[:5])
    np.testing.assert_array_equal(loaded.score(batch), loaded.score(batch, "panel"))
    one, other = loaded.decide(batch, alpha=0.2), loaded.decide(batch, "panel", 0.2)
    assert one == other


def test_a_panel_is_the_same_after_saving_and_its_members_are_stored_once(with_panel, tmp_path, class_folders):
    from nero_core.storage.files import read_arrays

    loaded = Reference.load(with_panel)
    arrays, _ = read_arrays(next(with_panel.glob("fitted-*")))
    assert not [name for name in arrays if name.startswith("detector/panel/") and name.count("/") > 2]
    loaded.save(tmp_path / "again")
    again = Reference.load(tmp_path / "again")
    batch = loaded.classifier.extract(sorted(class_folders.rglob("*.png"))[:7])
    np.testing.assert_array_equal(again.score(batch), loaded.score(batch))


def test_what_is_caught_is_counted_from_the_images_themselves(with_panel, strange_folder):
    from nero_core.data.class_folders import list_images

    loaded = Reference.load(with_panel)
    strange = loaded.classifier.extract(list_images(strange_folder))
    for name in loaded.detectors:
        flagged = [each.state == "out-of-distribution" for each in loaded.decide(strange, name, 0.2)]
        assert loaded.caught(0.2, name) == {"strange": (sum(flagged), len(strange))}


def test_an_earlier_reference_does_not_know_what_it_catches(with_panel):
    loaded = Reference.load(with_panel)
    loaded.ood_predicted = {}
    assert loaded.caught(0.2) is None
    loaded.ood_scores = {}
    assert loaded.caught(0.2, "nero") is None


def test_a_case_is_held_against_the_reference_with_its_own_epsilon(tiny_reference, class_folders):
    """The profile that a case is drawn beside has ε = 0 then, and so has the case."""
    from nero_core.case import open_case
    from nero_core.detectors import make_detector

    loaded = Reference.load(tiny_reference)
    path = next(iter(sorted(class_folders.rglob("*.png"))))
    loaded.sample = replace(loaded.sample, epsilon=0.0)
    case = open_case(loaded, read_image(path), "nero")
    exact = relevance_of(case.activations, loaded.classifier.head, 0.0).neurons[0]
    stabilised = relevance_of(case.activations, loaded.classifier.head).neurons[0]
    np.testing.assert_array_equal(case.relevance, exact)
    assert np.abs(exact - stabilised).max() > 1e-6
    loaded.sample, loaded.detectors["nero"] = None, make_detector("nero", epsilon=0.5)
    assert loaded.epsilon == 0.5, "older references keep no sample"
