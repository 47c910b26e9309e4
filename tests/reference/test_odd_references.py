"""References with odd values, sealed so that every hash agrees: refused by name when loaded, imported or not."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from PIL import Image

from nero_core.data.class_folders import list_images, read_class_folders
from nero_core.data.images import displayed
from nero_core.data.preprocessing import Preprocessing
from nero_core.data.splits import split_for_fit
from nero_core.errors import ArtefactError, InputError
from nero_core.network.classifier import Classifier, build_classifier
from nero_core.neurons.sample import SHEET_ROLE
from nero_core.records import TrainingRecord
from nero_core.reference.description import Card
from nero_core.reference.export import import_reference
from nero_core.reference.fit import fit_reference
from nero_core.reference.manifest import MANIFEST_NAME, list_references, read_manifest
from nero_core.reference.reference import Reference
from tests.reference.forging import files_of, with_array, with_description, with_manifest, write_folder, zipped


@pytest.fixture(scope="module")
def files(tmp_path_factory, class_folders, strange_folder):
    """{name: bytes} of a reference of a very small network with everything in it."""
    images = read_class_folders(class_folders)
    aside = images.digests[1::2]
    test = frozenset(aside[::3])
    record = TrainingRecord(frozenset(images.digests[::2]), frozenset(aside) - test, test, {"epochs": 1})
    preprocessing = Preprocessing(height=32, width=32)
    network = build_classifier("test_resnet", images.classes, preprocessing=preprocessing).network
    classifier = Classifier(network, "test_resnet", images.classes, preprocessing, record)
    folder = tmp_path_factory.mktemp("odd") / "reference"
    fit_reference(
        classifier,
        split_for_fit(record, images),
        Card("Odd"),
        detectors={"nero": {}, "stage_mahalanobis": {}, "knn": {}, "panel": {}},
        ood={"strange": list_images(strange_folder)},
    ).save(folder)
    return files_of(folder)


def field(path, value):
    """A change of one field of a manifest or a description; a path of one field more removes it."""

    def change(content):
        *parents, last = path.split("/", 1) if path.startswith("files/") else path.split("/")
        for parent in parents:
            content = content[parent]
        if value is REMOVED:
            del content[last]
        else:
            content[last] = value

    return change


class REMOVED:
    """Stands for the absence of a field."""


def refused(files, folder):
    """Load it from disk, where it was never imported; returns the sentence."""
    write_folder(files, folder)
    with pytest.raises(ArtefactError) as told:
        Reference.load(folder)
    return str(told.value)


def test_what_is_changed_here_loads_unchanged(files, tmp_path):
    same = with_array(with_description(files, lambda d: None), "ood/nero/strange", lambda a: a)
    assert Reference.load(write_folder(same, tmp_path / "r")).title == "Odd"
    assert Reference.open(tmp_path / "r").sample is not None


# Values that cannot be ---------------------------------------------------------------------------------------------

PREPROCESSING = [
    ("crop_share", 0.005, "[0.5, 1.25]"),
    ("crop_share", 5, "[0.5, 1.25]"),
    ("crop_share", math.nan, "[0.5, 1.25]"),
    ("crop_share", "0.9", "[0.5, 1.25]"),
    ("interpolation", "nearest", "'bilinear' or 'bicubic'"),
    ("interpolation", None, "'bilinear' or 'bicubic'"),
    ("std", [0, 0, 0], "std[0]"),
    ("std", [1, 1, 1e-9], "std[2]"),
    ("std", [1, 1], "list of 3"),
    ("mean", [0.5, math.nan, 0.5], "mean[1]"),
    ("mean", ["a", "b", "c"], "mean[0]"),
    ("mean", 0.5, "list of 3"),
    ("height", 10**6, "[8, 2,048]"),
    ("width", 7, "[8, 2,048]"),
    ("width", 32.0, "a whole number"),
    ("height", True, "a whole number"),
    ("colour", "grey", "is not known"),
]


@pytest.mark.parametrize(("name", "value", "why"), PREPROCESSING, ids=str)
def test_preprocessing_is_refused_in_the_classifier_and_in_the_manifest(files, tmp_path, name, value, why):
    change = field(f"preprocessing/{name}", value)
    for number, forged in enumerate((with_description(files, change), with_manifest(files, change))):
        said = refused(forged, tmp_path / str(number))
        assert f"preprocessing.{name}" in said
        assert why in said
        assert said.startswith(("classifier-", MANIFEST_NAME)), "the file is named"


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        ("classes", ["amber", "amber", "moss"], "`classes` are 3, of 2 names"),
        ("classes", [], "`classes` are 0"),
        ("classes", {"a": 1}, "`classes` is {'a': 1}"),
        ("architecture", "resnet_of_nobody", "architecture"),
        ("architecture", None, "`architecture` is None"),
        ("training", [], "`training` is []"),
        ("training/train", "all", "`training.train` is 'all'"),
        ("training/recipe", {"epochs": []}, "`training.recipe.epochs` is []"),
        ("training/history", [{"loss": math.inf}], "`training.history[0].loss` is inf"),
        ("training/test", REMOVED, "`training.test` is missing"),
        ("preprocessing", None, "`preprocessing` is None"),
    ],
    ids=str,
)
def test_a_description_of_a_classifier_is_refused_by_field(files, tmp_path, path, value, why):
    said = refused(with_description(files, field(path, value)), tmp_path / "r")
    assert said.startswith("classifier-")
    assert why in said


@pytest.mark.parametrize("key", ["nero", "classifier"])
def test_a_description_too_deep_to_read_is_refused(tmp_path, key):
    """As metadata of the file, and as the description inside it."""
    import safetensors.numpy

    deep = "[" * 10**5
    metadata = {"nero": deep if key == "nero" else json.dumps({"format": "nero-classifier-1", "classifier": deep})}
    (tmp_path / "deep").write_bytes(safetensors.numpy.save({"x": np.zeros(1)}, metadata=metadata))
    with pytest.raises(ArtefactError, match="deep"):
        Classifier.load(tmp_path / "deep")


@pytest.mark.parametrize(
    ("name", "change", "why"),
    [
        ("fc.weight", lambda a: np.where(np.arange(a.size).reshape(a.shape) == 3, np.nan, a).astype(a.dtype), "NaN"),
        ("fc.bias", lambda a: np.full(a.shape, np.inf, a.dtype), "NaN or infinity"),
        ("fc.weight", lambda a: a.astype(np.int8), "are int8; wanted torch.float32"),
        ("fc.bias", lambda a: None, "missing: fc.bias"),
        ("more.weight", lambda a: np.zeros(3, np.float32), "surplus"),
        ("fc.weight", lambda a: a[:, :-1], "another shape"),
    ],
    ids=["NaN", "infinite", "int8", "missing", "surplus", "shape"],
)
def test_weights_are_refused_by_name(files, tmp_path, name, change, why):
    said = refused(with_array(files, name, change, role="classifier"), tmp_path / "r")
    assert said.startswith("classifier-")
    assert why in said


def hole(array):
    holed = array.astype(np.float64)
    holed.flat[0] = np.nan
    return holed


ARRAYS = [
    ("detector/nero/components_", hole, "`components_` of NERO"),
    ("detector/nero/centroids_", lambda a: a.astype(np.int8), "`centroids_` of NERO holds int8"),
    ("detector/nero/mean_", lambda a: a[:3], "`mean_` of NERO has shape (3,)"),
    ("detector/nero/other_", lambda a: np.zeros(1), "surplus ['other_']"),
    ("detector/panel/mahalanobis_pp/class_means_", hole, "`class_means_` of Mahalanobis++"),
    ("detector/panel/weights_", lambda a: a / 2, "a sum of 0.5"),
    ("detector/panel/scores_", hole, "`scores_` of Panel"),
    ("ood_predicted/strange", lambda a: a + 3, "`strange` of ood_predicted"),
    ("detector/knn/labels_", lambda a: a + 9, "`labels_` of KNN"),
    ("calibration/nero", lambda a: None, "calibration/nero"),
    ("calibration/nero", lambda a: a.astype(np.int64), "`calibration/nero`"),
    ("calibration/knn", hole, "NaN"),
    ("calibration/nero", lambda a: a[None], "has shape (1, "),
    ("ood/nero/strange", hole, "`strange` of ood/nero"),
    ("ood/nero/strange", lambda a: a[:-1], "`strange` of ood/nero has shape (4,)"),
    ("ood/nero/other", lambda a: np.zeros(3), "`other` of ood/nero is not known"),
    ("ood/knn/strange", lambda a: None, "`strange` of ood/knn is missing"),
    ("profile/mean", hole, "`mean` of the profile"),
    ("profile/std", lambda a: -a - 1, "`std` of the profile"),
    ("profile/counts", lambda a: a * 0.5, "`counts` of the profile"),
    ("profile/mean", lambda a: a[:-1], "`mean` of the profile"),
    ("sample/features", hole, "`features` of the sample"),
    ("sample/groups", lambda a: a + 10, "`groups` of the sample"),
    ("sample/squares", lambda a: -a - 1, "`squares` of the sample"),
    ("sample/epsilon", lambda a: a - 1, "`epsilon` of the sample"),
    ("sample/weight", lambda a: a + 1, "head of the sample"),
    ("sample/trained_features", hole, "`trained_features` of the sample"),
    ("sample/trained_features", lambda a: a[:, 1:], "`trained_features` of the sample"),
    ("sample/trained_features", lambda a: None, "`trained_features` of the sample is missing"),
    ("sample/trained_labels", lambda a: a + 3, "`trained_labels` of the sample"),
    ("concepts/stages", lambda a: a + 99, "`stages` of the concepts"),
    ("concepts/channels", lambda a: a + 10**6, "`channels` of the concepts"),
    ("concepts/labels", lambda a: a + 3, "`labels` of the concepts"),
    ("concepts/by", lambda a: a + 2, "`by` of the concepts"),
    ("concepts/strengths", hole, "`strengths` of the concepts"),
    ("concepts/strengths", lambda a: a[:, :1], "of the concepts"),
]


@pytest.mark.parametrize(("name", "change", "why"), ARRAYS, ids=[f"{n}-{i}" for i, (n, _, _) in enumerate(ARRAYS)])
def test_stored_arrays_are_refused_by_name(files, tmp_path, name, change, why):
    assert why in refused(with_array(files, name, change), tmp_path / "r")


SHOWN = [a for a in ARRAYS if a[0].startswith(("sample/f", "concepts/")) and a[0] != "concepts/stages"]


@pytest.mark.parametrize(("name", "change", "why"), SHOWN)
def test_the_neurons_page_refuses_them_too(files, tmp_path, name, change, why):
    """It reads the arrays without building the network, and so without the names of its stages."""
    folder = write_folder(with_array(files, name, change), tmp_path / "r")
    with pytest.raises(ArtefactError, match="disagree"):
        Reference.open(folder).read_without_network()


@pytest.mark.parametrize("value", [10**18, -1, math.nan, "x", None, [1], True])
@pytest.mark.parametrize("path", ["nero/parameters/k", "knn/parameters/k", "panel/parameters/members"])
def test_parameters_are_refused_by_name(files, tmp_path, path, value):
    said = refused(with_manifest(files, field(f"detectors/{path}", value)), tmp_path / "r")
    assert f"`{path.rpartition('/')[2]}" in said
    assert MANIFEST_NAME in said


# What the files say otherwise --------------------------------------------------------------------------------------

LIES = [
    ("calibration/images", 10**5, "which `calibration.images` counts"),
    ("calibration/smallest_alpha", 1e-5, "calibration.smallest_alpha"),
    ("calibration/guarantee/holds", "yes", "calibration.guarantee.holds"),
    ("calibration/guarantee/holds", False, "reason"),
    ("calibration/guarantee/reason", "none", "reason"),
    ("calibration/guarantee/dropped", -1, "calibration.guarantee.dropped"),
    ("calibration/settings/alpha", 2, "alpha"),
    ("calibration/per_class/amber/predicted", 10**4, "calibration.per_class"),
    ("calibration/images", math.inf, "calibration.images"),
    ("training/known", False, "training.known"),
    ("training/recipe", {"epochs": 500}, "training.recipe"),
    ("training/images", 10**6, "training.images"),
    ("training/per_class", {"oak": 36}, "'oak'"),
    ("training/digest", 7, "training.digest"),
    ("crops", 3, "crops"),
    ("sample", {"images": 4, "pictures": True}, "sample.images"),
    ("sample", {"images": 29, "pictures": False}, "sample.pictures"),
    ("sample/trained", 4, "sample.trained"),
    ("sample/calibrates", "no", "sample.calibrates"),
    ("ood", {"strange": 500}, "has shape (5,)"),
    ("ood", {"strange": 5, "other": 4}, "`other` of ood/"),
    ("metrics/auroc/nero/strange", 0.999, "metrics.auroc.nero.strange"),
    ("metrics/auroc/vim", {"strange": 0.9}, "'vim'"),
    ("metrics/accuracy", 1.0, "metrics.accuracy"),
    ("metrics/test_images", 10**4, "metrics.test_images"),
    ("metrics/false_alarms/nero", -0.1, "metrics.false_alarms.nero"),
    ("metrics/false_alarms/nero/true/amber", [3], "metrics.false_alarms.nero.true.amber"),
    ("metrics/false_alarms/nero/true/amber", [9, 4], "more false alarms than images"),
    ("metrics/false_alarms/nero/true/amber", [0, 400], "metrics.false_alarms.nero.true"),
    ("metrics/calibration_accuracy", 1, "metrics.calibration_accuracy"),
    ("metrics/warnings", "none", "metrics.warnings"),
    ("split/per_class/oak", {"train": 9}, "'oak'"),
    ("preprocessing_origins", {"size": 3}, "preprocessing_origins.size"),
    ("metrics/alpha", REMOVED, "metrics.alpha"),
    ("classes", ["amber", "moss", "moss"], "classes"),
    ("classes", ["moss", "amber", "slate"], "classes"),
    ("architecture", "resnet18", "architecture"),
    ("preprocessing/height", 64, "preprocessing"),
    ("versions", {"numpy": 2}, "versions.numpy"),
    ("detectors/nero", {}, "detectors.nero.parameters"),
]


@pytest.mark.parametrize(("path", "value", "why"), LIES, ids=[f"{path}-{i}" for i, (path, _, _) in enumerate(LIES)])
def test_a_manifest_cannot_say_what_is_not_so(files, tmp_path, path, value, why):
    forged = with_manifest(files, field(path, value))
    said = refused(forged, tmp_path / "r")
    assert why in said
    assert MANIFEST_NAME in said


def test_pictures_of_a_neuron_that_are_not_listed_are_missed(files, tmp_path):
    role = next(role for role in json.loads(files[MANIFEST_NAME])["files"] if role.startswith("concepts/neuron_"))
    assert "no pictures of neuron" in refused(with_manifest(files, field(f"files/{role}", REMOVED)), tmp_path / "r")


@pytest.mark.parametrize(
    "change",
    [
        lambda listed: listed["fitted"].update(sha256="z" * 64),
        lambda listed: listed.update(other=listed.pop(SHEET_ROLE)),
        lambda listed: listed["fitted"].update(name=listed["classifier"]["name"]),
    ],
    ids=["no hash", "another role", "another's file"],
)
def test_a_file_is_listed_by_its_role_and_its_hash(files, tmp_path, change):
    assert "`files." in refused(with_manifest(files, lambda content: change(content["files"])), tmp_path / "r")


def test_older_references_have_fewer_fields(files, tmp_path):
    def older(content):
        for name in ("sample", "heatmaps", "panel"):
            content.pop(name)
        content["training"].pop("per_class")
        content["metrics"].pop("test_per_class")

    assert Reference.load(write_folder(with_manifest(files, older), tmp_path / "r")).title == "Odd"


# In the list, and on the way in ------------------------------------------------------------------------------------


def test_an_odd_reference_is_listed_with_its_reason_beside_the_others(files, tmp_path):
    write_folder(files, tmp_path / "good")
    write_folder(with_manifest(files, field("preprocessing/crop_share", 0.005)), tmp_path / "odd")
    good, odd = list_references([tmp_path])
    assert (good.error, odd.path.name) == (None, "odd")
    assert "`preprocessing.crop_share` is 0.005" in odd.error


def test_an_odd_reference_is_not_imported(files, tmp_path, monkeypatch):
    monkeypatch.setattr("nero_core.reference.export.try_reference", lambda folder, what: Reference.load(folder))
    for number, forged in enumerate(
        (
            with_description(files, field("preprocessing/crop_share", 0.005)),
            with_array(files, "detector/nero/components_", hole),
            with_manifest(files, field("crops", 3)),
        )
    ):
        with pytest.raises(ArtefactError):
            import_reference(zipped(forged.items()), tmp_path / str(number) / "new")
        assert not list((tmp_path / str(number)).iterdir())


# Preprocessing in memory -------------------------------------------------------------------------------------------


def test_a_strip_is_refused_before_it_is_resized():
    """A crop resizes the whole picture first: of a strip, that would be a hundred times what the network sees."""
    strip = Image.new("RGB", (800, 8))
    with pytest.raises(InputError, match=r"strip of 800 × 8 pixels: .* it would have 409600 × 4096"):
        displayed(strip, Preprocessing(height=2048, width=2048, crop_share=0.5))
    wide = displayed(strip, Preprocessing(crop_share=0.875))
    assert wide.size == (224, 224)


def test_a_classifier_of_odd_preprocessing_is_not_made(files, tmp_path):
    network = Reference.load(write_folder(files, tmp_path / "r")).classifier.private_copy()
    for fields in ({"std": (0.0, 1.0, 1.0)}, {"height": 10**6}, {"crop_share": 0.1}, {"interpolation": "lanczos"}):
        with pytest.raises(InputError, match=f"preprocessing.{next(iter(fields))}"):
            Classifier(network, "test_resnet", ["a", "b", "c"], Preprocessing(**{"height": 32, "width": 32, **fields}))


def test_the_bundled_reference_meets_every_declaration():
    from nero_core.demo.rendered import BUNDLED

    assert read_manifest(BUNDLED)
    assert Reference.load(BUNDLED).sample is not None
