"""A reference with a detector that is not installed here: the others serve, and the missing one is named."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nero_core.cli.main import main
from nero_core.errors import ArtefactError, InputError, UnknownDetectorError
from nero_core.reference.model_card import model_card
from nero_core.reference.reference import Reference
from nero_core.reference.trial import score_one_image
from tests.reference.forging import files_of, with_file, with_manifest, write_folder

ELSEWHERE = "clairvoyant"


def renamed(files, *names, new=f"{ELSEWHERE}-{{}}".format):
    """The files of a reference in which detectors are called as none is here."""

    def manifest(content):
        text = json.dumps(content)
        for name in names:
            text = text.replace(f'"{name}"', f'"{new(name)}"')
        content.clear()
        content.update(json.loads(text))

    def arrays(found, metadata):
        def called(key):
            return "/".join(new(part) if part in names else part for part in key.split("/"))

        return {called(key): array for key, array in found.items()}, metadata

    return with_manifest(with_file(files, "fitted", arrays), manifest)


@pytest.fixture(scope="module")
def lacking(tiny_reference, tmp_path_factory):
    """The tiny reference as it would look where MSP had been a detector of some package that is not installed here."""
    return write_folder(renamed(files_of(tiny_reference), "msp"), tmp_path_factory.mktemp("lacking") / "reference")


def test_the_other_detectors_serve_as_before(lacking, tiny_reference, class_folders):
    whole, found = Reference.load(tiny_reference), Reference.load(lacking)
    assert list(found.detectors) == [name for name in whole.detectors if name != "msp"]
    batch = whole.classifier.extract(sorted(class_folders.glob("*/*.png"))[:5])
    for name in found.detectors:
        np.testing.assert_array_equal(found.score(batch, name), whole.score(batch, name))
        assert [each.p_value for each in found.decide(batch, name)] == [
            each.p_value for each in whole.decide(batch, name)
        ]
    score_one_image(lacking)


def test_the_missing_one_is_named(lacking, tiny_reference):
    assert Reference.load(tiny_reference).missing == ()
    found = Reference.load(lacking)
    assert found.missing == ("clairvoyant-msp",)
    with pytest.raises(UnknownDetectorError, match="fitted with 'clairvoyant-msp', which is not installed here"):
        found.detector("clairvoyant-msp")
    with pytest.raises(UnknownDetectorError, match="has no detector 'knn'"):
        found.detector("knn")


def test_the_model_card_names_it(lacking, tiny_reference):
    assert "not installed here" not in model_card(tiny_reference).markdown()
    [said] = [text for section in model_card(lacking).sections for name, text in section.lines if "installed" in name]
    assert said.startswith("clairvoyant-msp;")


def test_the_command_line_says_so_and_goes_on(lacking, class_folders, capsys):
    frame = str(next(class_folders.glob("*/*.png")))
    assert main(["score", str(lacking), frame]) == 0
    assert "clairvoyant-msp" in capsys.readouterr().err


def test_it_is_not_saved_without_it(lacking, tmp_path):
    with pytest.raises(InputError, match="clairvoyant-msp"):
        Reference.load(lacking).save(tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_reference_of_which_no_detector_is_installed_is_refused(tiny_reference, tmp_path):
    files = renamed(files_of(tiny_reference), "msp", "nero", "stage_mahalanobis")
    with pytest.raises(ArtefactError, match="clairvoyant-msp, clairvoyant-nero, clairvoyant-stage_mahalanobis"):
        Reference.load(write_folder(files, tmp_path / "reference"))


def test_a_detector_of_which_nothing_is_stored_is_damage(tiny_reference, tmp_path):
    files = with_manifest(files_of(tiny_reference), lambda m: m["detectors"].update({ELSEWHERE: {"parameters": {}}}))
    with pytest.raises(ArtefactError, match="`calibration/clairvoyant` is missing"):
        Reference.load(write_folder(files, tmp_path / "reference"))


def test_an_earlier_reference_with_fused_opens_without_it_and_says_what_to_do(tiny_reference, tmp_path):
    """What Fused was is the panel now, which needs its members' scores image by image."""
    old = write_folder(renamed(files_of(tiny_reference), "msp", new=lambda name: "fused"), tmp_path / "old")
    found = Reference.load(old)
    assert found.missing == ("fused",)
    assert found.deciding == "nero"
    with pytest.raises(UnknownDetectorError, match="The panel has taken its place; `fit … --add panel`"):
        found.detector("fused")
    found.save(tmp_path / "new")
    assert Reference.load(tmp_path / "new").missing == ()
