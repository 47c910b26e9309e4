"""Training that starts from weights: rates by stage, the best epoch kept, and the same after an interruption."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.torch import save_file
from torch import nn

from nero_core.errors import Cancelled, InputError
from nero_core.network import training
from nero_core.network.classifier import build_classifier
from nero_core.network.epochs import VALIDATION, Run, by_stage
from nero_core.network.training import train
from nero_core.records import Layout
from tests.network.test_training import ARCHITECTURE, SMALL, scene, stopping, weights


class Three(nn.Module):
    """Two stages of one weight each, and a head."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(1, 1, bias=False)
        self.first = nn.Sequential(nn.Linear(1, 1, bias=False))
        self.second = nn.Sequential(nn.Linear(1, 1, bias=False))
        self.norm = nn.Linear(1, 1, bias=False)
        self.head = nn.Linear(1, 1, bias=False)


def test_rates_by_hand():
    """stem and first lie two stages from the head, second one, what follows the last stage none."""
    network = Three()
    groups = by_stage(
        network, Layout(head="head", map=None, stages=("first", "second"), channels_last=frozenset()), 0.5
    )
    named = {id(parameter): name for name, parameter in network.named_parameters()}
    assert {share: [named[id(each)] for each in own] for share, own in groups.items()} == {
        0.25: ["stem.weight", "first.0.weight"],
        0.5: ["second.0.weight"],
        1.0: ["norm.weight", "head.weight"],
    }


@pytest.mark.parametrize("architecture", ["resnet18", "tf_efficientnet_lite0", "deit_tiny_patch16_224"])
def test_every_parameter_has_one_rate_which_grows_towards_the_head(architecture):
    classifier = build_classifier(architecture, ["a", "b"])
    groups = by_stage(classifier.network, classifier.layout, 0.5)
    shares = {id(each): share for share, own in groups.items() for each in own}
    ordered = [shares[id(each)] for each in classifier.network.parameters()]
    assert len(ordered) == sum(map(len, groups.values()))
    assert len(groups) >= len(classifier.layout.stages)
    assert ordered[-1] == 1.0 == max(groups)
    assert ordered == sorted(ordered)


def test_all_learn_alike_without_a_decay():
    network = build_classifier("resnet18", ["a", "b"]).network
    layout = build_classifier("resnet18", ["a", "b"]).layout
    groups = by_stage(network, layout, 1.0)
    assert [id(each) for each in groups[1.0]] == [id(each) for each in network.parameters()]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    for label, (name, colour) in enumerate({"amber": (200, 140, 60), "slate": (80, 110, 180)}.items()):
        for number in range(30):
            scene(root / name / f"{number:02}.png", 100 * label + number, colour)
    return root


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Weights of chance, as somebody brings them."""
    path = tmp_path_factory.mktemp("start") / "start.safetensors"
    network = build_classifier(ARCHITECTURE, ["amber", "slate"], seed=7, preprocessing=SMALL).network
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, path)
    return path


def tune(data, out, start, **options):
    return train(data, ARCHITECTURE, out, init=start, init_unseen=True, alpha=0.4, preprocessing=SMALL, **options)


def test_the_best_epoch_on_images_that_train_is_kept(data, start, tmp_path, monkeypatch):
    """By hand: the weights after every epoch are noted, and those of the smallest loss are what is written."""
    after, epoch = [], Run.epoch

    def noted(self, progress):
        report = epoch(self, progress)
        after.append({name: tensor.clone() for name, tensor in self.network.state_dict().items()})
        return report

    monkeypatch.setattr(Run, "epoch", noted)
    said = []
    result = tune(data, tmp_path / "a.safetensors", start, epochs=4, learning_rate=0.02, say=said.append)
    record = result.classifier.training
    losses = [each["validation_loss"] for each in record.history]
    best = int(np.argmin(losses))
    assert weights(result.classifier) == {name: tensor.numpy().tobytes() for name, tensor in after[best].items()}
    assert any(line.startswith(f"kept: epoch {best + 1}, ") for line in said)
    assert record.recipe["stage_decay"] == training.STAGE_DECAY
    assert record.recipe["learning_rate"] == 0.02
    parts = record.train, record.calibration, record.test
    assert sum(map(len, parts)) == len(frozenset.union(*parts)) == 60, "those chosen by count as trained on"


def test_training_ends_after_epochs_that_were_no_better(data, start, tmp_path, monkeypatch):
    losses = iter([0.5, 0.4, 0.6, 0.4, 0.7, 0.1])
    answers = Run._answers

    def told(self, pictures):
        loss, accuracy = answers(self, pictures)
        return (next(losses), accuracy) if pictures is self.parts[VALIDATION] else (loss, accuracy)

    monkeypatch.setattr(Run, "_answers", told)
    result = tune(data, tmp_path / "a.safetensors", start, epochs=6)
    assert [each["validation_loss"] for each in result.classifier.training.history] == [0.5, 0.4, 0.6, 0.4, 0.7]


def test_an_interrupted_tuning_ends_in_the_same_weights(data, start, tmp_path):
    whole = tune(data, tmp_path / "whole.safetensors", start, epochs=3, learning_rate=0.02)
    with pytest.raises(Cancelled):
        tune(data, tmp_path / "cut.safetensors", start, epochs=3, learning_rate=0.02, begin=stopping(3, Cancelled))
    assert (tmp_path / "cut.resume.safetensors").exists()
    taken_up = tune(data, tmp_path / "cut.safetensors", start, epochs=3, learning_rate=0.02)
    assert weights(taken_up.classifier) == weights(whole.classifier)
    assert taken_up.classifier.training.history == whole.classifier.training.history


def test_from_chance_the_last_epoch_is_the_result_and_no_image_is_kept_back(data, tmp_path):
    record = train(
        data, ARCHITECTURE, tmp_path / "a.safetensors", epochs=1, alpha=0.4, preprocessing=SMALL
    ).classifier.training
    assert record.recipe["patience"] == 0
    assert record.recipe["stage_decay"] == 1.0
    assert "validation_loss" not in record.history[0]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"learning_rate": 0.0}, "learning rate is 0.0"),
        ({"learning_rate": float("nan")}, "learning rate is nan"),
        ({"batch_size": 1}, "Batches of 1"),
        ({"precision": "float16"}, "'float16'; wanted float32 or bfloat16"),
    ],
)
def test_steps_that_cannot_be_taken_are_refused(data, tmp_path, options, why):
    with pytest.raises(InputError, match=why):
        train(data, ARCHITECTURE, tmp_path / "a.safetensors", **options)


def test_precision_and_batches_are_part_of_the_recipe(data, tmp_path):
    given = {"precision": "float32", "batch_size": 16}
    record = train(
        data, ARCHITECTURE, tmp_path / "a.safetensors", epochs=1, alpha=0.4, preprocessing=SMALL, **given
    ).classifier.training
    assert {name: record.recipe[name] for name in given} == given
