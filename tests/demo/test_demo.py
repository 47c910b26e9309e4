"""The bundled reference: it loads, says that it is synthetic, and scores its own examples to the stored values."""

from __future__ import annotations

import numpy as np
import pytest

from nero_core import Reference
from nero_core.benchmark.reading import read_results
from nero_core.data import scenes
from nero_core.data.images import read_image
from nero_core.demo import rendered
from nero_core.demo.examples import read_examples
from nero_core.detectors import DETECTORS, make_detector
from nero_core.errors import ArtefactError, InputError
from nero_core.reference.manifest import list_references

EXAMPLES = rendered.BUNDLED.parents[1] / "examples"
BENCHMARK = rendered.BUNDLED.parents[1] / "benchmarks" / rendered.BUNDLED.name
FEW = rendered.SceneCounts(train=8, calibration=20, test=2, ood=2)


def quiet(what):
    return lambda done, total: None


@pytest.fixture(scope="module")
def bundled():
    return Reference.load(rendered.BUNDLED)


def test_it_is_whole_and_says_what_it_is(bundled):
    assert bundled.synthetic
    assert "synthetic" in bundled.title.lower()
    assert bundled.classes == sorted(scenes.CLASSES)
    card = bundled.manifest
    assert card["calibration"]["images"] >= 400
    assert bundled.calibrations["nero"].guarantee.holds
    assert card["metrics"]["accuracy"] >= 0.95
    assert set(card["metrics"]["auroc"]["nero"]) == set(scenes.OOD_KINDS)
    assert set(bundled.ood_scores["nero"]) == set(scenes.OOD_KINDS)
    assert bundled.profile.ood_mean is not None
    assert bundled.concepts.crops(int(np.argmax(bundled.profile.mean)))
    [entry] = [entry for entry in list_references([rendered.BUNDLED.parent]) if entry.path == rendered.BUNDLED]
    assert entry.synthetic
    assert entry.error is None


def test_its_weights_are_whole_in_half_precision(bundled):
    for tensor in bundled.classifier.network.state_dict().values():
        if tensor.is_floating_point():
            assert (tensor.half().float() == tensor).all()


def test_examples_score_to_the_stored_values(bundled):
    examples = read_examples(EXAMPLES)
    assert len(examples) == 12
    assert {example.known for example in examples} == {True, False}
    images = [read_image(EXAMPLES / example.file) for example in examples]
    scores = bundled.score(bundled.classifier.extract(images))
    np.testing.assert_allclose(scores, [example.score for example in examples], rtol=1e-3)


def test_examples_are_what_their_seeds_render():
    for example in read_examples(EXAMPLES):
        scene = rendered.example_scene(example.kind)
        stored = np.asarray(read_image(EXAMPLES / example.file), np.float64)
        assert np.abs(np.asarray(scene, np.float64) - stored).mean() < 0.5, example.kind


def test_the_stored_benchmark_is_of_this_reference(bundled):
    """Scenes rendered now score what the stored result says of the first of each class and kind."""
    result = read_results(BENCHMARK)
    assert "synthetic" in result.title.lower()
    assert {row.name for row in result.detectors if "[" not in row.name} == set(DETECTORS)
    assert all(row.status == "done" for row in result.detectors)
    known = [scenes.render(kind, rendered.FIRST_SEEDS["test"], rendered.FRAME_PIXELS) for kind in bundled.classes]
    scores = result.scores["energy"]  # fits nothing: the network and the scenes alone decide it
    strange = [scenes.render(kind, rendered.FIRST_SEEDS["ood"], rendered.FRAME_PIXELS) for kind in scores.ood]
    activations = bundled.classifier.extract([*known, *strange])
    energy = make_detector("energy").fit(activations, bundled.classifier.head).score(activations)
    stored = [*scores.id[:: rendered.SceneCounts().test], *(values[0] for values in scores.ood.values())]
    np.testing.assert_allclose(energy, stored, rtol=1e-3)


def test_parts_share_no_seed():
    starts = sorted(rendered.FIRST_SEEDS.values())
    assert max(vars(rendered.SceneCounts()).values()) < min(np.diff(starts))


def test_a_small_rebuild_runs_from_the_committed_weights(bundled, tmp_path):
    rebuilt = rendered.fit_demo(rendered.bundled_classifier(), FEW, quiet, keep=tmp_path / "scenes", faithfulness=2)
    rebuilt.save(tmp_path / "demo")
    assert {path.name for path in (tmp_path / "scenes").iterdir()} == {"train", "calibration", "test", "ood"}
    assert len(list((tmp_path / "scenes" / "train").glob("*/*.png"))) == 24
    assert rebuilt.manifest["heatmaps"]["images"] == 2
    assert [row["method"] for row in rebuilt.manifest["heatmaps"]["methods"]] == [
        row["method"] for row in bundled.manifest["heatmaps"]["methods"]
    ]
    with pytest.raises(InputError, match="is there already"):
        rendered.fit_demo(rendered.bundled_classifier(), FEW, quiet, keep=tmp_path / "scenes")
    again = Reference.load(tmp_path / "demo")
    assert again.manifest["calibration"]["images"] == 60
    frame = read_image(EXAMPLES / "polyp.png")
    one, two = (ref.classifier.extract([frame]) for ref in (bundled, again))
    np.testing.assert_allclose(one.logits, two.logits, rtol=1e-5)


@pytest.mark.soak
def test_a_full_rebuild_gives_the_committed_scores(bundled):
    rebuilt = rendered.fit_demo(rendered.bundled_classifier(), rendered.SceneCounts(), quiet)
    np.testing.assert_allclose(
        rebuilt.calibrations["nero"].scores, bundled.calibrations["nero"].scores, rtol=1e-3, atol=1e-6
    )
    for kind, scores in bundled.ood_scores["nero"].items():
        np.testing.assert_allclose(rebuilt.ood_scores["nero"][kind], scores, rtol=1e-3)


def test_an_installation_without_the_bundle_says_so(tmp_path):
    with pytest.raises(ArtefactError, match="--retrain"):
        rendered.bundled_classifier(tmp_path / "none")
