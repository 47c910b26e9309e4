"""The loop over detectors: one extraction, honest parts, refusals by name, and work that is kept."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import platformdirs
import pytest
from platformdirs.macos import MacOS
from platformdirs.unix import Unix
from platformdirs.windows import Windows
from scipy.stats import spearmanr

from nero_core import Reference
from nero_core.benchmark.division import divide
from nero_core.benchmark.line_up import Contender, PartialNero, contenders
from nero_core.benchmark.loop import Benchmark, rank_correlation
from nero_core.benchmark.reading import read_results
from nero_core.benchmark.result import Scores
from nero_core.data.class_folders import list_images, read_class_folders
from nero_core.data.guarantee import CalibrationSettings, Guarantee
from nero_core.data.image_set import ImageSet
from nero_core.data.listing import read_in_distribution
from nero_core.data.preprocessing import Preprocessing
from nero_core.data.splits import FOLDER_ORIGIN, UNKNOWN_TRAINING
from nero_core.detectors import DETECTORS, Detector, DetectorInfo, Nero, Paper
from nero_core.errors import ArtefactError, Cancelled, InputError, UnknownDetectorError
from nero_core.metrics import bootstrap, interval, point_metrics
from nero_core.network.activation_cache import CachedExtractor, default_folder
from nero_core.network.classifier import Classifier, build_classifier
from nero_core.records import TrainingRecord
from nero_core.reports.benchmark import write_report
from tests.conftest import coloured_noise

NO_PAPER = Paper("made up", (), "", 2000)


class Confidence(Detector):
    """Minus the largest logit."""

    info = DetectorInfo("confidence", "Confidence", NO_PAPER, fits=False)

    def _fit(self, train, head, calibration): ...

    def _score(self, batch):
        assert batch.source is None, "an array-only detector must not be handed images"
        return -batch.logits.max(axis=1)


class Seeing(Confidence):
    """The mean of the preprocessed image."""

    info = DetectorInfo("seeing", "Seeing", NO_PAPER, needs=frozenset({"source"}))

    def _score(self, batch):
        return np.concatenate([images.mean(axis=(1, 2, 3)) for images in batch.source.batches()])


class Choosy(Confidence):
    """Runs on no network."""

    info = DetectorInfo("choosy", "Choosy", NO_PAPER)

    def _fit(self, train, head, calibration):
        raise InputError("Choosy needs a network with wings.")


class Held(Confidence):
    """Remembers its calibration images."""

    info = DetectorInfo("held", "Held", NO_PAPER, needs=frozenset({"pool"}))

    def _fit(self, train, head, calibration):
        self.seen_ = calibration.logits

    def _score(self, batch):
        return batch.logits[:, 0]


MARGINAL = CalibrationSettings(by_class=False, alpha=0.2)
NAMES = ["nero", "confidence", "seeing", "choosy", "held"]
MADE_UP = {each.info.name: each for each in (Confidence, Seeing, Choosy, Held)}


@pytest.fixture
def registry(monkeypatch):
    """Four made-up detectors beside the others."""
    for name, each in MADE_UP.items():
        monkeypatch.setitem(DETECTORS, name, each)


@pytest.fixture(scope="module")
def images(class_folders):
    return read_class_folders(class_folders)


@pytest.fixture(scope="module")
def classifier(images):
    """ResNet-18 with random weights at 64 px; of 72 pictures half trained on, a quarter each set aside."""
    record = TrainingRecord(
        frozenset(images.digests[::2]), frozenset(images.digests[1::4]), frozenset(images.digests[3::4])
    )
    preprocessing = Preprocessing(height=64, width=64)
    network = build_classifier("resnet18", images.classes, seed=0, preprocessing=preprocessing).network
    return Classifier(network, "resnet18", images.classes, preprocessing, record)


@pytest.fixture(scope="module")
def strange(strange_folder):
    return {"strange": ImageSet.of_files(list_images(strange_folder))}


@pytest.fixture(scope="module")
def cache_folder(tmp_path_factory):
    """Shared by the tests of this file, which all look at the same pictures."""
    return tmp_path_factory.mktemp("cache")


def run(classifier, division, rows, cache_folder, folder=None, **options):
    benchmark = Benchmark("Noise", classifier, division, rows, folder, cache_folder, resamples=50, **options)
    return benchmark.run()


# Division --------------------------------------------------------------------------------------------------------


def test_the_record_divides_one_folder(classifier, images, strange):
    division = divide(classifier, ImageSet.of(images), strange)
    assert [len(part) for part in (division.fit, division.calibration, division.id)] == [36, 18, 18]
    assert division.guarantee.holds
    assert set(division.id.digests) == classifier.training.test
    assert set(division.fit.digests) == classifier.training.train
    assert "Fewer than 50 images: strange (5), the ID test images (18). Read the intervals, not the figures." in (
        division.warnings
    )


def test_unseen_id_images_beside_a_training_folder(classifier, images, strange, class_folders, tmp_path):
    folder = tmp_path / "new"
    folder.mkdir()
    for i in range(4):
        coloured_noise((200, 140, 60), (77, i)).save(folder / f"{i}.png")
    shutil.copy(images.paths[0], folder / "trained.png")
    new = read_in_distribution(folder, classifier.classes)
    assert new.labels is None
    division = divide(classifier, new, strange, train=ImageSet.of(images))
    assert [len(part) for part in (division.fit, division.calibration, division.id)] == [36, 18, 4]
    assert any("1 of 5 ID images were used to train or to calibrate" in text for text in division.warnings)
    alone = divide(classifier, new, strange)
    assert alone.fit is None
    assert any("only the reference's own detectors" in text for text in alone.warnings)
    with pytest.raises(InputError, match="have no classes"):
        divide(classifier, new, strange, train=new)


def test_class_folders_that_half_fit_are_refused(classifier, tmp_path):
    for name in ("amber", "moss"):
        (tmp_path / name).mkdir()
        coloured_noise((9, 9, 9), 0).save(tmp_path / name / "0.png")
    with pytest.raises(InputError, match="missing: slate"):
        read_in_distribution(tmp_path, classifier.classes)
    with pytest.raises(InputError, match="does not exist"):
        read_in_distribution(tmp_path / "none", classifier.classes)


def test_a_network_of_unknown_training_needs_a_training_folder(classifier, images, strange):
    foreign = Classifier(classifier.network, "resnet18", images.classes, classifier.preprocessing)
    alone = divide(foreign, ImageSet.of(images), strange)
    assert alone.fit is None
    assert len(alone.id) == 72
    assert alone.guarantee is None, "nothing calibrates"
    assert "not known what this classifier was trained on" in alone.warnings[0]
    first, second, third = (ImageSet.of(images.select(np.arange(72) % 3 == part)) for part in range(3))
    division = divide(foreign, first, strange, train=second, calibration=third)
    assert [len(part) for part in (division.fit, division.calibration, division.id)] == [24, 24, 24]
    assert division.guarantee == Guarantee(False, UNKNOWN_TRAINING, FOLDER_ORIGIN)
    with pytest.raises(InputError, match="All 24 calibration images were trained or fitted on"):
        divide(foreign, first, strange, train=second, calibration=second)


def test_sets_that_mean_nothing_are_refused(classifier, images, strange):
    everything = ImageSet.of(images)
    with pytest.raises(InputError, match="no OOD image"):
        divide(classifier, everything, {})
    with pytest.raises(InputError, match="no OOD image in none"):
        divide(classifier, everything, strange | {"none": ImageSet((), ())})
    with pytest.raises(InputError, match="'pooled', which stands for something else"):
        divide(classifier, everything, {"pooled": strange["strange"]})
    trained = everything.select([key in classifier.training.train for key in everything.digests])
    with pytest.raises(InputError, match="All 36 ID images were used"):
        divide(classifier, trained, strange)


def test_overlaps_are_counted(classifier, images, strange):
    everything = ImageSet.of(images)
    mixed = ImageSet((*strange["strange"].images, images.paths[3]), (*strange["strange"].digests, images.digests[3]))
    warnings = divide(classifier, everything, {"same": everything, "mixed": mixed}).warnings
    for expected in (
        "36 of 72 images of OOD set 'same' are also among the training images",
        "18 of 72 images of OOD set 'same' are also among the ID images",
        "1 of 6 images of OOD set 'mixed' are also among the ID images",
        "1 of 6 images of OOD set 'mixed' are also among the images of OOD set 'same'",
    ):
        assert any(expected in text for text in warnings), expected
    warnings = divide(classifier, everything, {"test": divide(classifier, everything, strange).id}).warnings
    assert any("All images of OOD set 'test' are also among the ID images" in text for text in warnings)
    one = {"one": strange["strange"].select([True, False, False, False, False])}
    assert any("one is one image" in text for text in divide(classifier, everything, one).warnings)


# The loop --------------------------------------------------------------------------------------------------------


@pytest.fixture
def division(classifier, images, strange):
    half = strange["strange"].select([True, True, False, False, False])
    return divide(classifier, ImageSet.of(images), {"strange": strange["strange"], "half": half})


def test_every_detector_gets_what_it_needs_from_one_extraction(
    registry, classifier, division, cache_folder, monkeypatch
):
    counted = []
    extract = Classifier.extract
    monkeypatch.setattr(
        Classifier, "extract", lambda self, given, **more: counted.append(len(given)) or extract(self, given, **more)
    )
    held = contenders(["held"], None, "here", 512)
    order = []
    rows = contenders(NAMES[1:-1], None, "here", 512) + held + contenders(["nero"], None, "here", 512)
    Benchmark("Noise", classifier, division, rows, resamples=50).run(on_detector=lambda row: order.append(row.name))
    assert order == ["nero", "confidence", "choosy", "held", "seeing"], "what others are held against, …, the slow ones"
    counted.clear()
    result = run(classifier, division, contenders(NAMES[:-1], None, "here", 512) + held, None)
    assert counted == [36, 18, 18, 5, 2], "each set once, whatever the number of detectors"
    rows = {row.name: row for row in result.detectors}
    assert [row.status for row in result.detectors] == ["done", "done", "done", "refused", "done"]
    assert rows["choosy"].reason == "Choosy needs a network with wings."
    assert rows["choosy"].metrics == {}
    assert "choosy" not in result.scores
    assert rows["seeing"].sees_images
    assert result.columns == ("strange", "half", "pooled")
    assert [(each.name, each.role, each.images) for each in result.sets] == [
        ("fit", "fit", 36),
        ("calibration", "calibration", 18),
        ("id", "id", 18),
        ("strange", "ood", 5),
        ("half", "ood", 2),
    ]
    calibration = CachedExtractor(classifier, None).extract(division.calibration).activations
    np.testing.assert_array_equal(held[0].detector.seen_, calibration.logits)
    np.testing.assert_array_equal(result.scores["held"].calibration, calibration.logits[:, 0])
    assert len(result.scores["nero"].calibration) == 18


def test_figures_are_those_of_the_scores(registry, classifier, division, cache_folder):
    result = run(
        classifier, division, contenders(["nero", "confidence"], None, "here", 512), cache_folder, settings=MARGINAL
    )
    assert result.baseline == "nero"
    activations = CachedExtractor(classifier, cache_folder).extract(division.fit).activations
    fitted = Nero().fit(activations, classifier.head)
    inside = classifier.extract(division.id.images)
    np.testing.assert_allclose(result.scores["nero"].id, fitted.score(inside), rtol=1e-4)
    for row in result.detectors:
        scores = result.scores[row.name]
        for name, values in [*scores.ood.items(), ("pooled", np.concatenate(list(scores.ood.values())))]:
            for metric, value in point_metrics(scores.id, values).items():
                found = row.metrics[name][metric]
                assert found.value == value
                assert found.low <= found.high
        at_least = (scores.calibration[:, None] >= scores.id - 1e-4 * np.abs(scores.id)).sum(axis=0)
        assert row.flagged["id"] == pytest.approx(((1 + at_least) / (len(scores.calibration) + 1) <= 0.2).mean())
    nero, confidence = result.detectors
    assert nero.differences == {}
    assert confidence.differences["half"]["auroc"].value == pytest.approx(
        confidence.metrics["half"]["auroc"].value - nero.metrics["half"]["auroc"].value
    )
    assert result.ranked()[0].metrics["pooled"]["auroc"].value >= result.ranked()[1].metrics["pooled"]["auroc"].value
    everything = {name: np.concatenate([s.id, *s.ood.values()]) for name, s in result.scores.items()}
    rho = spearmanr(everything["nero"], everything["confidence"]).statistic
    assert result.rank_correlation["nero"]["confidence"] == pytest.approx(rho)
    assert 0 <= result.accuracy <= 1


def test_a_score_that_never_changes_has_no_rank_correlation():
    flat, steep = Scores(np.zeros(3), {"a": np.zeros(2)}), Scores(np.arange(3.0), {"a": np.arange(2.0)})
    found = rank_correlation({"flat": flat, "steep": steep})
    assert found["flat"] == {"flat": None, "steep": None}
    assert found["steep"]["steep"] == pytest.approx(1)


def test_too_few_calibration_images_give_no_shares(registry, classifier, division, cache_folder):
    result = run(
        classifier,
        division,
        contenders(["confidence"], None, "here", 512),
        cache_folder,
        settings=CalibrationSettings(alpha=0.01),
    )
    assert result.detectors[0].flagged == {}
    assert any("18 calibration images are too few for α = 0.01" in text for text in result.warnings)
    with pytest.raises(InputError, match="alpha"):
        CalibrationSettings(alpha=1.0)


def test_unreadable_images_are_left_out_counted_and_named(registry, classifier, images, strange_folder, tmp_path):
    folder = tmp_path / "some"
    shutil.copytree(strange_folder, folder)
    (folder / "broken.png").write_bytes(b"not a picture")
    (folder / "empty.jpg").write_bytes(b"")
    shutil.copy(folder / "0.png", folder / "copy.png")
    ood = {"some": ImageSet.of_files(list_images(folder))}
    division = divide(classifier, ImageSet.of(images), ood)
    for _ in range(2):  # computed, then read back
        result = run(classifier, division, contenders(["confidence"], None, "here", 512), tmp_path / "cache")
        assert [(each.images, each.unreadable) for each in result.sets if each.name == "some"] == [(5, 2)]
        (text,) = [text for text in result.warnings if "could not be read" in text]
        assert text.startswith("2 of some could not be read and were left out: broken.png")
        assert "empty.jpg" in text
        (text,) = [text for text in result.warnings if "same file" in text]
        assert text.startswith("1 of 8 images of OOD set 'some'"), "a copy is counted once, and told"
    bad = divide(classifier, ImageSet.of(images), {"bad": ImageSet.of_files([folder / "broken.png"])})
    with pytest.raises(InputError, match="could be read"):
        run(classifier, bad, [], None)


QUICK = [name for name, each in DETECTORS.items() if "source" not in each.info.needs]


def all_but_dead(network):
    """Features that are 0 for every image."""
    network.layer4[1].bn2.weight.zero_()
    network.layer4[1].bn2.bias.fill_(-1e6)


@pytest.mark.parametrize(("classes", "change"), [(1, None), (2, None), (3, all_but_dead)])
def test_networks_at_the_edge_are_scored_or_refused_in_words(
    classifier, images, strange, tmp_path, caplog, classes, change
):
    names = images.classes[:classes]
    some = ImageSet.of(images.select(images.labels < classes))
    record = TrainingRecord(frozenset(some.digests[::2]), frozenset(some.digests[1::4]), frozenset())
    preprocessing = Preprocessing(height=64, width=64)
    network = build_classifier("resnet18", names, seed=0, preprocessing=preprocessing).network
    if change is not None:
        change(network)
    edge = Classifier(network, "resnet18", names, preprocessing, record)
    rows = contenders(QUICK, None, "here", 512, ablate=["nero"])
    result = run(edge, divide(edge, some, strange), rows, None, tmp_path)
    assert {row.status for row in result.detectors} <= {"done", "refused"}
    assert caplog.records == []
    assert all(row.reason for row in result.detectors if not row.done)
    assert sum(row.done for row in result.detectors) > 20
    assert any("the covariance is singular" in text and "shrinkage" in text for text in result.warnings)
    assert any("gave every image the same score" in text for text in result.warnings) == (classes != 2)
    write_report(result, tmp_path)
    assert list(read_results(tmp_path).scores) == list(result.scores)


def test_features_that_are_no_numbers_are_refused(classifier, division):
    network = classifier.private_copy()
    broken = Classifier(network, "resnet18", classifier.classes, classifier.preprocessing, classifier.training)
    network.layer4[1].bn2.bias[3] = np.nan
    with pytest.raises(InputError, match="NaN"):
        run(broken, division, contenders(["nero"], None, "here", 512), None)


class Clumsy(Confidence):
    """Stops with whatever error it is given."""

    info = DetectorInfo("clumsy", "Clumsy", NO_PAPER)
    error = None

    def _fit(self, train, head, calibration):
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        np.linalg.LinAlgError("Singular\nmatrix"),
        RuntimeError("not enough memory: you tried to allocate 99 bytes"),
        MemoryError(),
        ZeroDivisionError("a defect"),
    ],
)
def test_a_detector_that_fails_is_listed_and_the_others_go_on(
    classifier, division, cache_folder, tmp_path, caplog, monkeypatch, error
):
    monkeypatch.setattr(Clumsy, "error", error)
    rows = [Contender("clumsy", Clumsy()), Contender("confidence", Confidence())]
    result = run(classifier, division, rows, cache_folder, tmp_path)
    clumsy, confidence = result.detectors
    assert (clumsy.status, confidence.status) == ("failed", "done")
    text = " ".join(str(error).split())
    assert clumsy.reason == f"failed with {type(error).__name__}: {text}"
    assert caplog.records[0].exc_info[1] is error, "the log has the traceback"
    result.save(tmp_path)
    assert read_results(tmp_path).detectors == result.detectors
    assert [path.stem for path in (tmp_path / "detectors").iterdir()] == ["confidence"], "it is tried again next time"


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), Cancelled("Stopped.")])
def test_who_stops_a_run_is_no_failing_detector(classifier, division, cache_folder, monkeypatch, stop):
    monkeypatch.setattr(Clumsy, "error", stop)
    with pytest.raises(type(stop)):
        run(classifier, division, [Contender("clumsy", Clumsy())], cache_folder)


# Kept work -------------------------------------------------------------------------------------------------------


class Stopping(Confidence):
    """A person loses patience with it."""

    info = DetectorInfo("stopping", "Stopping", NO_PAPER)

    def _score(self, batch):
        raise KeyboardInterrupt


def test_what_is_finished_survives_and_a_rerun_goes_on(registry, classifier, division, cache_folder, tmp_path):
    fitted = []

    class Counting(Confidence):
        info = DetectorInfo("counting", "Counting", NO_PAPER)

        def _fit(self, train, head, calibration):
            fitted.append(1)

    def rows(last):
        return [Contender("counting", Counting()), Contender(last.info.name, last())]

    benchmark = Benchmark("Noise", classifier, division, rows(Stopping), tmp_path, cache_folder, resamples=50)
    with pytest.raises(KeyboardInterrupt):
        benchmark.run()
    assert benchmark.finished == 1
    first = benchmark.result()
    assert [row.name for row in first.detectors] == ["counting"]
    again = run(classifier, division, rows(Confidence), cache_folder, tmp_path)
    assert fitted == [1], "the finished one is not fitted again"
    assert [row.name for row in again.detectors] == ["counting", "confidence"]
    assert again.detectors[0].metrics == first.detectors[0].metrics
    np.testing.assert_array_equal(again.scores["counting"].id, first.scores["counting"].id)

    fewer = divide(classifier, division.id, {"strange": division.ood["half"]}, train=division.fit)
    run(classifier, fewer, rows(Confidence), cache_folder, tmp_path)
    assert fitted == [1, 1], "other images: nothing old is mixed in"
    (tmp_path / "detectors" / "counting.safetensors").write_bytes(b"damaged")
    run(classifier, fewer, rows(Confidence), cache_folder, tmp_path)
    assert fitted == [1, 1, 1]


def test_what_was_finished_for_other_labels_is_not_taken_up(registry, classifier, images, strange, tmp_path):
    """A manifest gave some images other classes, in the same order: their bytes are what they were."""
    everything = ImageSet.of(images)
    swapped = replace(everything, labels=everything.labels[::-1])
    fresh = run(classifier, divide(classifier, swapped, strange), contenders(["nero"], None, "here", 512), None)
    folder = tmp_path / "out"
    first = run(
        classifier, divide(classifier, everything, strange), contenders(["nero"], None, "here", 512), None, folder
    )
    again = run(classifier, divide(classifier, swapped, strange), contenders(["nero"], None, "here", 512), None, folder)
    np.testing.assert_array_equal(again.scores["nero"].id, fresh.scores["nero"].id)
    assert not np.array_equal(again.scores["nero"].id, first.scores["nero"].id)


def test_a_reference_calibrated_anew_is_not_taken_up(registry, tiny_reference, images, strange, tmp_path):
    reference = Reference.load(tiny_reference)
    new = divide(reference.classifier, ImageSet(strange["strange"].images[:2], strange["strange"].digests[:2]), strange)
    first = run(reference.classifier, new, contenders(["nero"], reference, None, 512), None, tmp_path)
    calibration = reference.calibrations["nero"]
    reference.calibrations["nero"] = replace(calibration, scores=calibration.scores + 1)
    again = run(reference.classifier, new, contenders(["nero"], reference, None, 512), None, tmp_path)
    np.testing.assert_array_equal(again.scores["nero"].calibration, first.scores["nero"].calibration + 1)


def test_patients_are_resampled_whole(registry, classifier, images, strange):
    """Two images of each patient, on one side each."""
    record = classifier.training
    sides = {key: side for side, part in enumerate((record.train, record.calibration, record.test)) for key in part}
    seen = dict.fromkeys(range(3), 0)
    patients = []
    for key in images.digests:
        patients.append(f"{sides[key]}-{seen[sides[key]] // 2}")
        seen[sides[key]] += 1
    division = divide(classifier, replace(ImageSet.of(images), groups=tuple(patients)), strange)
    assert [len(part) for part in (division.fit, division.calibration, division.id)] == [36, 18, 18]
    result = run(classifier, division, contenders(["nero", "held"], None, "here", 512), None, settings=MARGINAL)
    assert result.grouped
    assert not any("--group" in text for text in result.warnings)
    scores, (nero, held) = result.scores["nero"], result.detectors
    groups = np.repeat(np.arange(9), 2)
    wanted = interval(
        nero.metrics["strange"]["auroc"].value,
        bootstrap(scores.id, scores.ood["strange"], 0, 50, groups)["auroc"],
    )
    assert nero.metrics["strange"]["auroc"] == wanted
    assert nero.calibration.guaranteed, "nine patients are enough for α = 0.2"
    logits = classifier.extract(division.calibration.images).logits[:, 0]
    np.testing.assert_allclose(result.scores["held"].calibration, logits, rtol=1e-5)
    assert held.calibration.images == 18


def test_results_survive_the_disk(registry, classifier, division, cache_folder, tmp_path):
    result = run(classifier, division, contenders(NAMES, None, "here", 512), cache_folder)
    result.save(tmp_path)
    read = read_results(tmp_path)
    assert read.to_json() == result.to_json()
    assert read.detectors == result.detectors
    assert read.scores.keys() == result.scores.keys()
    np.testing.assert_array_equal(read.scores["nero"].ood["half"], result.scores["nero"].ood["half"])
    content = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    for damage, message in (
        ({"schema": 99}, "99; this version reads 2"),
        ({"detectors": None}, "damaged"),
        ({"detectors": [{}]}, "damaged"),
    ):
        (tmp_path / "results.json").write_text(json.dumps(content | damage), encoding="utf-8")
        with pytest.raises(ArtefactError, match=message):
            read_results(tmp_path)
    (tmp_path / "results.json").write_text("[1", encoding="utf-8")
    with pytest.raises(ArtefactError, match="cannot be read"):
        read_results(tmp_path)
    with pytest.raises(ArtefactError, match=r"No results\.json"):
        read_results(tmp_path / "nowhere")


# Contenders ------------------------------------------------------------------------------------------------------


def test_what_the_reference_holds_is_scored_as_it_is(registry, tiny_reference, images, strange, cache_folder):
    reference = Reference.load(tiny_reference)
    names = ["nero", "seeing", "confidence"]
    ids = ImageSet.of(images)
    new = ImageSet(strange["strange"].images[:2], strange["strange"].digests[:2])
    division = divide(reference.classifier, new, strange)
    assert division.fit is None
    result = run(reference.classifier, division, contenders(names, reference, None, 512), cache_folder)
    nero, seeing, confidence = result.detectors
    assert nero.fitted == "by the reference"
    np.testing.assert_array_equal(result.scores["nero"].calibration, reference.calibrations["nero"].scores)
    assert seeing.status == "refused"
    assert "give them with --train" in seeing.reason
    assert confidence.done, "what learns nothing needs no training images"

    trained = ids.select([key in reference.classifier.training.train for key in ids.digests])
    assert contenders(["nero"], reference, trained.digest, 512)[0].fitted
    assert not contenders(["nero"], reference, "others", 512)[0].fitted
    division = divide(reference.classifier, new, strange, train=ids)
    refitted = run(reference.classifier, division, contenders(["nero"], reference, "others", 512), cache_folder)
    np.testing.assert_allclose(refitted.scores["nero"].id, result.scores["nero"].id, rtol=1e-4)


def test_a_typo_offers_the_nearest_names(registry):
    with pytest.raises(UnknownDetectorError, match="did you mean confidence"):
        contenders(["confidense"], None, None, 512)
    with pytest.raises(InputError, match="'msp' is not known; wanted nero"):
        contenders(None, None, None, 512, ablate=["msp"])
    assert [row.name for row in contenders(["seeing", "seeing"], None, None, 512)] == ["seeing"]
    for everything in (None, ["all"], ["nero", "all"]):
        assert [row.name for row in contenders(everything, None, None, 512)] == list(DETECTORS)


def test_nero_is_taken_apart(registry, classifier, division, cache_folder):
    rows = contenders(["confidence"], None, "here", 512, ablate=["nero"])
    names = [row.name for row in rows]
    assert names[:4] == ["confidence", "nero", "nero[distance]", "nero[distance + bias]"]
    assert {"nero[k=100]", "nero[m=85]", "nero[m=512]", "nero[epsilon=0]"} <= set(names)
    result = run(classifier, division, rows, cache_folder)
    assert [row.status for row in result.detectors if row.name != "nero[epsilon=0]"] == ["done"] * (len(rows) - 1)
    extractor = CachedExtractor(classifier, cache_folder)
    whole = Nero().fit(extractor.extract(division.fit).activations, classifier.head)
    terms = whole.terms(extractor.extract(division.id).activations)
    np.testing.assert_allclose(result.scores["nero[distance]"].id, terms.distance)
    np.testing.assert_allclose(result.scores["nero[distance + bias]"].id, terms.distance + terms.bias_term)
    assert PartialNero("distance").parameters() == {"terms": "distance"}


# The cache -------------------------------------------------------------------------------------------------------


@pytest.fixture
def few(strange):
    return strange["strange"]


def count_passes(monkeypatch):
    passes = []
    stream = Classifier.stream
    monkeypatch.setattr(
        Classifier, "stream", lambda self, images, *args: passes.append(len(images)) or stream(self, images, *args)
    )
    return passes


def test_the_second_look_needs_no_pass(classifier, few, tmp_path, monkeypatch):
    passes = count_passes(monkeypatch)
    extractor = CachedExtractor(classifier, tmp_path / "new" / "cache")
    first = extractor.extract(few).activations
    reversed_set = ImageSet(few.images[::-1], few.digests[::-1], np.arange(5))
    seen = []
    second = CachedExtractor(classifier, tmp_path / "new" / "cache").extract(reversed_set, lambda *p: seen.append(p))
    assert passes == [5]
    assert seen == [(5, 5)]
    np.testing.assert_array_equal(second.activations.features, first.features[::-1])
    np.testing.assert_array_equal(second.activations.stages["layer2"], first.stages["layer2"][::-1])
    np.testing.assert_array_equal(second.activations.labels, np.arange(5))
    source = second.with_source(classifier).source
    np.testing.assert_array_equal(next(source.batches())[0], classifier.prepare(few.images[-1]))
    assert second.activations.source is None


def test_another_network_or_preprocessing_is_another_entry(classifier, few, tmp_path, monkeypatch):
    passes = count_passes(monkeypatch)
    CachedExtractor(classifier, tmp_path).extract(few)
    other = Classifier(classifier.private_copy(), "resnet18", classifier.classes, Preprocessing(height=32, width=32))
    CachedExtractor(other, tmp_path).extract(few)
    network = classifier.private_copy()
    network.fc.bias.add_(1)
    changed = Classifier(network, "resnet18", classifier.classes, classifier.preprocessing)
    CachedExtractor(changed, tmp_path).extract(few)
    assert passes == [5, 5, 5]


@pytest.mark.parametrize("damage", [lambda data: data[:-9] + b"\0" * 9, lambda data: data[:50], lambda data: b""])
def test_a_damaged_entry_is_made_again(classifier, few, tmp_path, monkeypatch, damage):
    extractor = CachedExtractor(classifier, tmp_path)
    first = extractor.extract(few).activations
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    passes = count_passes(monkeypatch)
    np.testing.assert_array_equal(extractor.extract(few).activations.features, first.features)
    assert passes == [5]
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name], "the same content has the same name"


def test_the_oldest_entries_make_room(classifier, few, tmp_path):
    roomy = CachedExtractor(classifier, tmp_path)
    single = [few.select(np.arange(5) == i) for i in range(3)]
    roomy.extract(single[0])
    size = next(tmp_path.iterdir()).stat().st_size
    narrow = CachedExtractor(classifier, tmp_path, limit=int(2.5 * size))
    narrow.extract(single[1])
    assert len(list(tmp_path.iterdir())) == 2
    narrow.extract(single[2])
    assert len(list(tmp_path.iterdir())) == 2
    CachedExtractor(classifier, tmp_path, limit=1).extract(single[0])
    assert len(list(tmp_path.iterdir())) == 1, "the newest stays whatever its size"


def test_the_default_folder_can_be_named(monkeypatch, tmp_path):
    monkeypatch.setenv("NERO_CACHE", str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv("NERO_CACHE")
    for platform, base in ((Unix, ".cache"), (MacOS, "Library/Caches"), (Windows, "Local")):
        monkeypatch.setattr(platformdirs, "PlatformDirs", platform)
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "Local"))
        monkeypatch.setattr("platformdirs.windows.get_win_folder", lambda name: str(tmp_path / "Local"))
        assert default_folder() == tmp_path / base / "nero-dashboard", "where earlier versions kept them"
    monkeypatch.setattr(platformdirs, "PlatformDirs", Unix)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    assert default_folder() == tmp_path / "own" / "nero-dashboard"
