"""Detectors added to a reference: the old ones as they were, a panel chosen anew, and what it was chosen by."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from nero_core import Reference
from nero_core.cli.main import main
from nero_core.data.class_folders import list_images, read_class_folders
from nero_core.data.splits import split_for_fit
from nero_core.detectors import make_detector
from nero_core.detectors.outliers import synthetic_outliers
from nero_core.detectors.panel import left_out
from nero_core.errors import ArtefactError, InputError, UnknownDetectorError
from nero_core.metrics import point_metrics
from nero_core.reference.adding import add_detectors, check_same_network, with_added
from nero_core.reference.manifest import read_manifest
from nero_core.reference.model_card import model_card
from nero_core.reference.panel_card import NO_PANEL, panel_lines
from tests.conftest import write_class_folders
from tests.reference.forging import files_of, with_manifest, write_folder
from tests.references import fitted, halves_record, telling_classifier

SMALL = ("panel", "nero", "energy", "stage_mahalanobis", "stage_knn", "knn", "mahalanobis_pp")
OTHER_NERO = {"nero": {"k": 3}, "msp": {}}


@pytest.fixture(scope="module")
def images(class_folders):
    return read_class_folders(class_folders)


@pytest.fixture(scope="module")
def classifier(images):
    return telling_classifier(images, halves_record(images))


@pytest.fixture(scope="module")
def split(images, classifier):
    return split_for_fit(classifier.training, images)


def stored(reference, folder):
    reference.save(folder)
    return folder


@pytest.fixture(scope="module")
def plain(classifier, images, strange_folder, tmp_path_factory):
    """Path of a reference without a panel."""
    ood = {"strange": list_images(strange_folder)}
    return stored(fitted(classifier, images, ("nero", "msp"), ood=ood), tmp_path_factory.mktemp("plain") / "noise")


@pytest.fixture(scope="module")
def panelled(classifier, images, tmp_path_factory):
    """Path of a reference with a panel."""
    return stored(fitted(classifier, images, None), tmp_path_factory.mktemp("panelled") / "noise")


@pytest.fixture
def run(capsys):
    def command(*arguments):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return command


def card_of(folder):
    return {name: text for section in model_card(folder).sections for name, text in section.lines}


# What was chosen, and by what -------------------------------------------------------------------------------------


def test_a_fit_makes_a_panel_and_its_manifest_says_by_what(panelled, classifier, split, images):
    reference = Reference.load(panelled)
    assert set(reference.detectors) == set(SMALL)
    panel, stated = reference.detectors["panel"], reference.manifest["panel"]
    assert stated["members"] == list(panel.members_)
    assert [stated["weights"][name] for name in stated["members"]] == panel.weights_.tolist()
    assert stated["added"] == []
    assert stated["images"] == 12  # of 12 training images of each of three classes the last four
    # Slowly again: each AUROC from the training images and their distorted copies alone.
    train = classifier.extract(split.fit.paths, split.fit.labels, keep_source=True)
    left = left_out(train.labels)
    ordinary = train[left]
    for name in stated["members"]:
        member = make_detector(name).fit(train[~left], classifier.head)
        for distortion, strange in synthetic_outliers(ordinary.source, len(ordinary)).items():
            found = point_metrics(member.score(ordinary), member.score(strange))["auroc"]
            assert stated["auroc"][name][distortion] == pytest.approx(found, abs=1e-6)
    assert set(stated["together"]) == {"shuffled", "blurred", "mixed", "pasted"}


def test_the_card_says_what_decides(panelled, plain):
    card, stated = card_of(panelled), read_manifest(panelled)["panel"]
    assert card["Verdict"].startswith("one test over a panel of 6 detectors")
    for name, title in {"nero": "NERO", "energy": "Energy"}.items():
        weight = stated["weights"][name]
        assert card[title].startswith(f"weight {weight:.2g}" if weight else "weight 0: takes no part in the verdict")
        assert "AUROC" in card[title]
    assert card["Chosen by"].startswith("12 training images left out")
    assert "no calibration image and no known OOD image took part" in card["Chosen by"]
    assert "Added later" not in card
    assert card_of(plain)["Panel"] == NO_PANEL


def test_a_member_of_no_weight_and_equal_weights_are_said():
    described = {
        "members": ["nero", "energy"],
        "added": ["energy"],
        "weights": {"nero": 0.0, "energy": 1.0},
        "auroc": {},
        "together": {},
        "images": 4,
    }
    said = dict(panel_lines({"detectors": {"panel": {}}, "panel": described}))
    assert list(said)[1:3] == ["Energy", "NERO"]
    assert said["NERO"] == "weight 0: takes no part in the verdict; looks for which neurons the answer rests on"
    assert said["Energy"].startswith("weight 1;")
    assert said["Chosen by"].startswith("nothing: all members count the same")
    assert said["Added later"].startswith("Energy;")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda p: p["weights"].update(nero=0.123), "`panel.weights`"),
        (lambda p: p["auroc"]["nero"].update(blurred=0.123), "`panel.auroc`"),
        (lambda p: p["together"].update(pasted=0.123), "`panel.together`"),
        (lambda p: p.update(images=1000), "`panel.images`"),
        (lambda p: p["members"].reverse(), "`panel.members`"),
        (lambda p: p.update(added=["gram"]), "`panel.added`"),
    ],
)
def test_what_the_manifest_says_of_the_panel_is_held_against_its_arrays(panelled, tmp_path, change, field):
    forged = write_folder(with_manifest(files_of(panelled), lambda m: change(m["panel"])), tmp_path / "forged")
    with pytest.raises(ArtefactError, match=field):
        Reference.load(forged)


def test_what_is_said_of_a_panel_needs_one(plain, panelled, tmp_path):
    panel = read_manifest(panelled)["panel"]
    forged = write_folder(with_manifest(files_of(plain), lambda m: m.update(panel=panel)), tmp_path / "forged")
    with pytest.raises(ArtefactError, match="`panel`: there is no panel"):
        Reference.load(forged)


# Adding -----------------------------------------------------------------------------------------------------------


def test_what_it_has_stays_and_the_panel_is_chosen_anew(panelled, split, tmp_path):
    before = Reference.load(panelled)
    after = Reference.load(stored(add_detectors(before, split, ["vim", "odin"]), tmp_path / "more"))
    assert set(after.detectors) == {*SMALL, "vim", "odin"}
    assert after.manifest["panel"]["members"] == [*before.manifest["panel"]["members"], "vim"], "ODIN sees the images"
    assert after.manifest["panel"]["added"] == ["vim"]
    assert card_of(tmp_path / "more")["Added later"].startswith("ViM;")
    for name, calibration in before.calibrations.items():
        assert after.calibrations[name].guarantee == calibration.guarantee
        if name != "panel":
            np.testing.assert_allclose(after.calibrations[name].scores, calibration.scores, rtol=1e-6)
    kept = ("title", "licence", "image_source", "training", "classes", "split", "calibration")
    assert {key: after.manifest[key] for key in kept} == {key: before.manifest[key] for key in kept}
    again = add_detectors(after, split, ["neco"])
    assert again.manifest["panel"]["added"] == ["vim", "neco"]


def test_a_reference_without_a_panel_gets_one(plain, split, strange_folder, tmp_path):
    before = Reference.load(plain)
    ood = {"strange": list_images(strange_folder)}
    after = Reference.load(stored(add_detectors(before, split, ["panel"], ood), tmp_path / "more"))
    assert (before.deciding, after.deciding) == ("nero", "panel")
    assert set(after.detectors) == {*SMALL, "msp"}
    assert after.manifest["panel"]["added"] == []
    assert after.manifest["ood"] == {"strange": 5}
    np.testing.assert_allclose(after.ood_scores["nero"]["strange"], before.ood_scores["nero"]["strange"], rtol=1e-5)


def test_parameters_stay_also_beside_a_member_with_others(classifier, images, split, tmp_path):
    before = fitted(classifier, images, ("nero",))
    before.detectors["nero"] = make_detector("nero", k=3)
    assert with_added(before, ["panel"])["nero"]["k"] == 3
    after = Reference.load(stored(add_detectors(before, split, ["panel"]), tmp_path / "more"))
    assert after.detectors["nero"].k == 3
    assert after.detectors["panel"].members_["nero"].k != 3


def test_known_unusual_images_that_are_not_given_again_are_left_out(plain, split):
    after = add_detectors(Reference.load(plain), split, ["knn"])
    assert after.manifest["ood"] == {}
    assert after.caught(0.1) is None
    assert "panel" not in after.detectors, "nobody asked for one"


@pytest.mark.parametrize(("names", "said"), [(["nero"], "has nero already"), (["panel"], "has panel already")])
def test_what_is_there_is_not_added_again(panelled, names, said):
    with pytest.raises(InputError, match=said):
        with_added(Reference.load(panelled), names)


def test_a_detector_beside_the_panel_may_join_it(classifier, images):
    reference = fitted(classifier, images, (*SMALL, "msp"))
    assert with_added(reference, ["msp"])["panel"]["members"][-1] == "msp"


def test_no_such_detector(panelled):
    with pytest.raises(UnknownDetectorError, match="'vimm'"):
        with_added(Reference.load(panelled), ["vimm"])


def test_other_images_and_another_network_are_refused(panelled, classifier, images, split, tmp_path):
    reference = Reference.load(panelled)
    fewer = split_for_fit(classifier.training, images.select(np.arange(72) != 0))
    with pytest.raises(InputError, match=r"The 35 training images have the digest .* and the 36 that"):
        add_detectors(reference, fewer, ["vim"])
    others = read_class_folders(write_class_folders(tmp_path / "own", 12, seed=31))
    with pytest.raises(InputError, match=r"calibrated on other images \(set aside before training\)"):
        add_detectors(reference, split_for_fit(classifier.training, images, others), ["vim"])
    check_same_network(reference, classifier)
    classifier.network.fc.bias.data += 1
    try:
        with pytest.raises(InputError, match="its weights differ"):
            check_same_network(reference, classifier)
    finally:
        classifier.network.fc.bias.data -= 1


# The command ------------------------------------------------------------------------------------------------------


def test_the_command(run, plain, class_folders, classifier, tmp_path):
    place = shutil.copytree(plain, tmp_path / "ref")
    frame = next(class_folders.glob("*/*.png"))
    assert NO_PANEL in run("score", place, frame, "--alpha", 0.1)[2]
    classifier.save(tmp_path / "network.safetensors")
    code, out, err = run(
        "fit", "--classifier", tmp_path / "network.safetensors", "--out", place, "--add", "panel,knn", class_folders
    )
    assert code == 0, err
    assert "known OOD images that are not given again with --ood are left out" in err
    assert "panel, by weight: " in out
    assert "which support α ≥" in out
    reference = Reference.load(place)
    assert set(reference.detectors) == {*SMALL, "msp", "knn"}
    assert reference.title == read_manifest(plain)["title"]
    code, out, err = run("score", place, frame, "--alpha", 0.1, "--json")
    assert (code, NO_PANEL in err) == (0, False)
    assert json.loads(out)[0]["detector"] == "panel"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["DATA", "--add", "nero"], "has nero already"),
        (["DATA", "--add", "vim", "--title", "Mine"], "leave out --title"),
        (["DATA", "--add", "vim", "--alpha", "0.2"], "leave out --alpha"),
        (["OTHERS", "--add", "vim"], "training images have the digest"),
        (["--add", "vim"], "give it before --add and its names"),
        (["DATA"], "--classifier is missing"),
    ],
)
def test_mistakes_are_one_line_and_change_nothing(run, panelled, class_folders, tmp_path, arguments, said):
    place = shutil.copytree(panelled, tmp_path / "ref")
    others = tmp_path / "others"
    shutil.copytree(class_folders, others)
    next(iter(sorted((others / "amber").iterdir()))).unlink()
    given = [{"DATA": class_folders, "OTHERS": others}.get(each, each) for each in arguments]
    code, out, err = run("fit", "--out", place, *given)
    assert (code, out) == (2, "")
    assert said in err
    assert read_manifest(place) == read_manifest(panelled)
