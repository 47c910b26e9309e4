"""A reference calibrated anew: its own guarantee, nothing fitted, nothing half-written."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from nero_core import Reference
from nero_core.calibration.stored import CALIBRATED_BEFORE
from nero_core.cli.main import main
from nero_core.data.class_folders import list_images, read_class_folders
from nero_core.data.guarantee import CalibrationSettings, Guarantee
from nero_core.data.image_set import ImageSet
from nero_core.data.listing import read_in_distribution
from nero_core.data.splits import LOOKS_UNKNOWN, UNKNOWN_TRAINING
from nero_core.errors import ArtefactError, InputError
from nero_core.network.classifier import Classifier
from nero_core.reference.manifest import read_manifest, verify_file, write_manifest
from nero_core.reference.model_card import model_card
from nero_core.reference.recalibration import recalibrate
from nero_core.storage.files import read_arrays
from tests.conftest import write_class_folders
from tests.references import ALPHA, TENTH, fitted, halves_record, telling_classifier
from tests.scenes import save_again

CLASSES = ("amber", "moss", "slate")


@pytest.fixture(scope="module")
def images(class_folders):
    return read_class_folders(class_folders)


@pytest.fixture(scope="module")
def reference(images, strange_folder, tmp_path_factory):
    """Path of a reference with a panel, its members among them."""
    classifier = telling_classifier(images, halves_record(images))
    folder = tmp_path_factory.mktemp("references") / "noise"
    like = write_class_folders(tmp_path_factory.mktemp("like") / "id", 4, seed=71)
    ood = {"strange": list_images(strange_folder), "like": list_images(like)}
    fitted(
        classifier,
        images,
        ("nero", "energy", "stage_mahalanobis", "stage_knn", "knn", "mahalanobis_pp", "panel"),
        ood=ood,
    ).save(folder)
    return folder


@pytest.fixture(scope="module")
def own_folder(tmp_path_factory):
    """Pictures of another source: fifteen of each class."""
    return write_class_folders(tmp_path_factory.mktemp("own") / "id", 15, seed=31)


@pytest.fixture
def loaded(reference):
    return Reference.load(reference)


@pytest.fixture
def run(capsys):
    """Run a command; its exit code, output and error output."""

    def run(*arguments):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return run


def own_images(folder):
    return read_in_distribution(folder, CLASSES)


def fitted_part(folder):
    """Every stored array that is no calibration, and no look of an image."""
    arrays, _ = read_arrays(verify_file(folder, "fitted", read_manifest(folder)["files"]))
    beside = (
        "calibration/",
        "predicted/",
        "ood/panel/",
        "detector/panel/scores_",
        "detector/panel/predicted_",
        "detector/panel/own_",
        "groups/",
        "looks/",
        "seen/",
    )
    return {name: array.tobytes() for name, array in arrays.items() if not name.startswith(beside)}


# What it does -----------------------------------------------------------------------------------------------------


def test_the_calibration_is_new_and_everything_else_is_as_it_was(reference, loaded, own_folder, tmp_path):
    new = recalibrate(loaded, own_images(own_folder), TENTH, "our endoscopes, 2024", "Ours")
    new.save(tmp_path / "ours")
    again = Reference.load(tmp_path / "ours")
    assert again.title == "Ours"
    assert again.manifest["calibration"]["guarantee"]["origin"] == "our endoscopes, 2024"
    assert fitted_part(tmp_path / "ours") == fitted_part(reference), "nothing was fitted"
    assert read_manifest(tmp_path / "ours")["files"]["classifier"] == read_manifest(reference)["files"]["classifier"]
    assert again.manifest["detectors"] == loaded.manifest["detectors"]
    held_out = loaded.classifier.extract(own_images(own_folder).images, keep_source=True)
    for name, calibration in again.calibrations.items():
        assert len(calibration) == 45
        assert calibration.guarantee.holds
        if name != "panel":
            wanted = np.sort(loaded.detectors[name].score(held_out))
            np.testing.assert_allclose(calibration.scores, wanted, rtol=1e-6)
        read = np.bincount(held_out.logits.argmax(axis=1), minlength=3)
        assert [each["predicted"] for each in calibration.per_class().values()] == read.tolist()
        assert all(each["guaranteed"] for each in calibration.per_class().values())
    assert len(loaded.calibrations["panel"]) == 36
    strange = loaded.classifier.extract(list_images(own_folder / "moss"))
    assert (again.score(strange) != loaded.score(strange)).any(), "the panel ranks among the new images"
    assert again.caught(0.1).keys() == loaded.caught(0.1).keys() == {"strange", "like"}


def test_what_a_recalibrated_panel_catches_is_worked_out_from_its_members(loaded, own_folder, strange_folder):
    new = recalibrate(loaded, own_images(own_folder), TENTH)
    strange = loaded.classifier.extract(list_images(strange_folder))
    np.testing.assert_allclose(new.ood_scores["panel"]["strange"], new.score(strange), rtol=1e-5)
    flagged = [each.state == "out-of-distribution" for each in new.decide(strange, alpha=0.1)]
    assert new.caught(0.1)["strange"] == (sum(flagged), len(strange))


def test_without_all_members_nobody_knows_what_a_recalibrated_panel_catches(loaded, own_folder, tmp_path):
    for kept in (loaded.detectors, loaded.calibrations, loaded.ood_scores, loaded.manifest["detectors"]):
        del kept["energy"]
    new = recalibrate(loaded, own_images(own_folder), TENTH)
    new.save(tmp_path / "ours")
    again = Reference.load(tmp_path / "ours")
    assert again.caught(0.1) is None
    assert again.caught(0.1, "nero") is not None
    card = {name: text for section in model_card(tmp_path / "ours").sections for name, text in section.lines}
    assert "AUROC of NERO on strange" in card
    assert "AUROC of Panel on strange" not in card


def test_what_was_measured_on_the_earlier_images_is_measured_again_or_left_out(loaded, own_folder, tmp_path):
    new = recalibrate(loaded, own_images(own_folder), TENTH)
    for name in ("strange", "like"):
        usual, unusual = new.calibrations["nero"].scores, new.ood_scores["nero"][name]
        pairs = (unusual[:, None] > usual).mean() + 0.5 * (unusual[:, None] == usual).mean()
        assert new.manifest["metrics"]["auroc"]["nero"][name] == pytest.approx(pairs)
    assert new.manifest["metrics"]["auroc"]["nero"]["like"] != loaded.manifest["metrics"]["auroc"]["nero"]["like"]
    assert "false_alarms" not in new.manifest["metrics"]
    assert new.manifest["split"]["per_class"] == {name: {"calibration": 15} for name in CLASSES}
    new.save(tmp_path / "ours")
    Reference.load(tmp_path / "ours")  # its figures agree with its scores
    card = {name: text for section in model_card(tmp_path / "ours").sections for name, text in section.lines}
    assert card["Guarantee"].startswith("yes")
    assert card["Calibration images"] == "45 (images given)"


def test_without_classes_it_is_calibrated_by_what_the_network_reads(loaded, own_folder):
    new = recalibrate(loaded, read_in_distribution(own_folder / "amber", CLASSES), TENTH)
    assert new.calibrations["nero"].guarantee.holds
    per_class = new.calibrations["nero"].per_class()
    assert per_class["amber"] == {"predicted": 15, "guaranteed": True}
    assert per_class["moss"] == {"predicted": 0, "guaranteed": False}
    decisions = new.decide(new.classifier.extract(list_images(own_folder / "moss")), alpha=ALPHA)
    assert not any(decision.guaranteed for decision in decisions)
    together = recalibrate(loaded, read_in_distribution(own_folder / "amber", CLASSES), replace(TENTH, by_class=False))
    assert together.calibrations["nero"].guarantee.reason == "no calibration image is read as moss or slate"


def test_a_reference_without_a_guarantee_gets_one(images, own_folder):
    """Fitted with --calibration-seen: images of one's own, which nothing has seen, are a true calibration."""
    seen = fitted(telling_classifier(images, halves_record(images)), images, calibration_seen=True)
    assert not seen.calibrations["nero"].guarantee.holds
    assert recalibrate(seen, own_images(own_folder), TENTH).calibrations["nero"].guarantee.holds
    foreign = fitted(telling_classifier(images), images, calibration_seen=True)
    reason = recalibrate(foreign, own_images(own_folder), TENTH).calibrations["nero"].guarantee.reason
    assert reason == UNKNOWN_TRAINING


# What may not calibrate -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["jpeg 75", "jpeg 95", "resized"])
def test_copies_of_what_trained_are_left_out_and_void_the_promise(loaded, images, own_folder, tmp_path, how):
    folder = shutil.copytree(own_folder, tmp_path / "own")
    for path in images.paths[::2][:15]:
        save_again(path, folder / path.parent.name, how)
    guarantee = recalibrate(loaded, own_images(folder), TENTH).calibrations["nero"].guarantee
    assert 12 <= guarantee.dropped <= 15
    assert not guarantee.holds
    assert f"{guarantee.dropped} of 60 calibration images" in guarantee.reason


def test_same_bytes_and_a_few_of_them(loaded, images, own_folder, tmp_path):
    folder = shutil.copytree(own_folder, tmp_path / "own")
    for path in images.paths[::2][:2]:
        shutil.copy(path, folder / path.parent.name / f"copy-{path.name}")
    new = recalibrate(loaded, own_images(folder), TENTH)
    assert new.calibrations["nero"].guarantee == Guarantee(True, "", "images given", 2)
    assert len(new.calibrations["nero"]) == 45
    with pytest.raises(InputError, match="All 36 calibration images were trained or fitted on"):
        recalibrate(loaded, ImageSet.of(images.select(np.arange(72) % 2 == 0)), TENTH)


def test_earlier_calibration_images_may_calibrate_again(loaded, images, own_folder):
    """Nothing is learnt from them, a panel's weights neither: they give back the reference as it was."""
    aside = ImageSet.of(images.select(np.arange(72) % 2 == 1))
    again = recalibrate(recalibrate(loaded, own_images(own_folder), TENTH), aside, TENTH)
    for name, calibration in again.calibrations.items():
        assert calibration.guarantee.holds
        np.testing.assert_allclose(calibration.scores, loaded.calibrations[name].scores)
    np.testing.assert_array_equal(again.detectors["panel"].weights_, loaded.detectors["panel"].weights_)


def test_patients_of_the_fit_are_left_out(images, own_folder):
    """The classifier knows no groups; what was fitted on does, and its patients may not calibrate later."""
    grouped = replace(images, groups=tuple(f"p{i % 2}-{i // 8}" for i in range(72)))
    plain = fitted(telling_classifier(images, halves_record(images)), grouped)
    own = own_images(own_folder)
    patients = ("p0-1",) * 5 + tuple(f"new{i}" for i in range(40))
    new = recalibrate(plain, replace(own, groups=patients), TENTH)
    assert (new.calibrations["nero"].guarantee.dropped, new.calibrations["nero"].guarantee.holds) == (5, False)
    assert new.manifest["split"]["grouped"]
    assert new.manifest["calibration"]["groups"] == 40


def test_few_patients_and_one_view_promise_nothing(loaded, own_folder, tmp_path):
    own = own_images(own_folder)
    few = recalibrate(loaded, replace(own, groups=tuple(f"new{i // 5}" for i in range(45))), TENTH)
    assert few.calibrations["nero"].guarantee.reason.startswith("no class has the 9 independent calibration images")
    view = tmp_path / "view"
    view.mkdir()
    original = own_folder / "amber" / "000.png"
    for number in range(40):
        file = save_again(original, view, "jpeg 95")
        file.rename(view / f"{number}.jpg")
        with (view / f"{number}.jpg").open("ab") as end:
            end.write(bytes([number]))  # other bytes, same picture
    one = recalibrate(loaded, read_in_distribution(view, CLASSES), TENTH).calibrations["nero"]
    assert not one.guarantee.holds
    assert "no class has the 9 independent" in one.guarantee.reason
    assert "look nearly the same and count as 1 independent ones" in replace(
        one, guarantee=Guarantee(True)
    ).of(0).guarantee.reason  # fmt: skip


def test_unreadable_images_and_none_at_all(loaded, own_folder, tmp_path):
    folder = shutil.copytree(own_folder, tmp_path / "own")
    (folder / "moss" / "broken.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"broken\.png"):
        recalibrate(loaded, own_images(folder), TENTH)
    (tmp_path / "void").mkdir()
    with pytest.raises(InputError, match="holds no images"):
        read_in_distribution(tmp_path / "void", CLASSES)


# Earlier references -----------------------------------------------------------------------------------------------


def as_earlier_version(source, target, record=True):
    """The same reference as the version before wrote it: no hashes, no groups, all classes read together."""
    reference = Reference.load(source)
    training = reference.classifier.training if record else None
    bare = None if training is None else replace(training, hashes={}, groups={})
    old = reference.classifier
    reference.classifier = Classifier(old.network, old.architecture, old.classes, old.preprocessing, bare)
    reference.seen = None
    together = CalibrationSettings(by_class=False)
    reference.calibrations = {
        name: replace(each, predicted=None, looks=None, settings=together)
        for name, each in reference.calibrations.items()
    }
    reference.manifest["metrics"] = {"auroc": reference.manifest["metrics"]["auroc"]}
    reference.save(target)
    manifest = {key: value for key, value in read_manifest(target).items() if key != "sha256"}
    kept = manifest["calibration"]
    manifest["calibration"] = {
        "images": kept["images"], "guaranteed": True, "origin": "set aside", "smallest_alpha": kept["smallest_alpha"]
    }  # fmt: skip
    for field in ("looks_known", "groups"):
        manifest["training"].pop(field, None)
    write_manifest(target, {**manifest, "schema": 1})
    return target


@pytest.fixture(scope="module")
def earlier(reference, tmp_path_factory):
    return as_earlier_version(reference, tmp_path_factory.mktemp("earlier") / "noise")


def test_an_earlier_reference_promises_nothing_and_says_why(earlier, own_folder):
    old = Reference.load(earlier)
    assert old.calibrations["nero"].guarantee == Guarantee(False, CALIBRATED_BEFORE, "set aside")
    assert old.calibrations["nero"].predicted is None
    decision = old.decide(old.classifier.extract(list_images(own_folder)[:1]))[0]
    assert (decision.guaranteed, decision.no_guarantee_because) == (False, CALIBRATED_BEFORE)
    card = {name: text for section in model_card(earlier).sections for name, text in section.lines}
    assert card["Guarantee"] == f"no: {CALIBRATED_BEFORE}"


def test_an_earlier_reference_can_be_calibrated_anew(earlier, own_folder, tmp_path):
    """Nobody knows how its training images look, so that copies of them cannot be told: it says so."""
    new = recalibrate(Reference.load(earlier), own_images(own_folder), TENTH)
    assert new.calibrations["nero"].guarantee.reason == LOOKS_UNKNOWN
    assert new.calibrations["nero"].predicted is not None
    new.save(tmp_path / "new")
    assert Reference.load(tmp_path / "new").calibrations["nero"].guarantee.reason == LOOKS_UNKNOWN


# The command ------------------------------------------------------------------------------------------------------


def test_the_command_writes_a_new_reference_or_replaces_it(run, reference, own_folder, tmp_path):
    place = shutil.copytree(reference, tmp_path / "ref")
    before = read_manifest(place)
    arguments = ["calibrate", place, own_folder, "--alpha", ALPHA, "--title", "Ours", "--image-source", "our unit"]
    code, out, err = run(*arguments, "--out", tmp_path / "new")
    assert code == 0, err
    assert "calibrated on 45 images (our unit)" in out
    assert "false-alarm guarantee: yes" in out
    assert "amber: 15 calibration images are read as this class" in out
    assert read_manifest(place) == before
    code, out, _ = run(*arguments, "--json")
    assert code == 0
    described = json.loads(out)
    assert described == Reference.load(place).manifest["calibration"]
    assert described == Reference.load(tmp_path / "new").manifest["calibration"]
    assert described["guarantee"] == {"holds": True, "reason": "", "origin": "our unit", "dropped": 0}
    assert Reference.load(place).title == "Ours"


def test_what_takes_no_part_and_what_is_not_promised_is_said(run, reference, images, own_folder, tmp_path):
    folder = shutil.copytree(own_folder, tmp_path / "own")
    for path in images.paths[::2][:9]:
        save_again(path, folder / path.parent.name, "jpeg 95")
    (folder / "moss" / "broken.png").write_bytes(b"no picture")
    code, out, err = run("calibrate", reference, folder, "--out", tmp_path / "new", "--alpha", ALPHA)
    assert code == 1, "one image could not be read"
    assert "left out: broken.png" in err
    assert "9 images that were to calibrate take no part: they were trained or fitted on, look nearly" in err
    assert "No guarantee: 9 of 55 calibration images (16%)" in err
    assert "false-alarm guarantee: no" in out
    new = Reference.load(tmp_path / "new")
    assert len(new.calibrations["nero"]) == 45
    unseen = write_class_folders(tmp_path / "unseen", 1, seed=99) / "moss" / "000.png"
    code, out, _ = run("score", tmp_path / "new", unseen, "--alpha", ALPHA, "--json")
    (row,) = json.loads(out)
    assert (row["guaranteed"], row["no_guarantee_because"]) == (False, new.calibrations["nero"].guarantee.reason)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere does not exist"),
        (["OWN", "--alpha", "2"], "`alpha` is 2.0"),
        (["OWN", "--confidence", "0"], "`confidence` is 0.0"),
        (["OWN", "--group", "patient"], "names no folder level"),
        (["OWN", "--group", "1"], "asks for 1; put every image into the folder of its group"),
        (["SEEN"], "All 36 calibration images were trained or fitted on"),
    ],
)
def test_mistakes_are_one_line_and_change_nothing(run, reference, images, own_folder, tmp_path, arguments, message):
    seen = tmp_path / "seen"
    for path in images.paths[::2]:
        (seen / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, seen / path.parent.name)
    place = shutil.copytree(reference, tmp_path / "ref")
    before = read_manifest(place)
    given = [{"OWN": own_folder, "SEEN": seen}.get(each, each) for each in arguments]
    code, out, err = run("calibrate", place, *given)
    assert (code, out) == (2, "")
    assert message in err
    assert read_manifest(place) == before


def test_a_crash_leaves_the_earlier_calibration(run, reference, own_folder, tmp_path, monkeypatch):
    place = shutil.copytree(reference, tmp_path / "ref")
    before = read_manifest(place)

    def full(*_, **__):
        raise ArtefactError("the disk is full")

    monkeypatch.setattr("nero_core.reference.saving.write_manifest", full)
    code, _, err = run("calibrate", place, own_folder, "--alpha", ALPHA)
    assert (code, "the disk is full" in err) == (2, True)
    monkeypatch.undo()
    assert read_manifest(place) == before
    assert Reference.load(place).manifest["calibration"] == before["calibration"]


def test_the_choices_are_kept(run, reference, own_folder, tmp_path):
    options = ["--alpha", "0.2", "--marginal", "--confidence", "0.8"]
    code, out, err = run("calibrate", reference, own_folder, "--out", tmp_path / "new", *options)
    assert code == 0, err
    assert "false-alarm guarantee: yes" in out
    calibration = Reference.load(tmp_path / "new").calibrations["nero"]
    assert calibration.settings == CalibrationSettings(False, 0.2, 0.8)
    assert calibration.confident(0.2)
    assert not calibration.confident(0.1)
    card = {name: text for section in model_card(tmp_path / "new").sections for name, text in section.lines}
    assert "with probability 0.8 over sets of calibration images" in card["Guarantee"]
    assert "all classes together" in card["Read"]


def test_detectors_that_promise_different_things_are_not_saved(loaded, tmp_path):
    loaded.calibrations["energy"] = replace(loaded.calibrations["energy"], guarantee=Guarantee(False, "seen"))
    with pytest.raises(InputError, match="promise different things"):
        loaded.save(tmp_path / "new")
    assert not (tmp_path / "new").exists()
