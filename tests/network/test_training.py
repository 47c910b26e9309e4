"""Training: set aside before, taken up after, and never half-written."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nero_core.data.class_folders import read_class_folders
from nero_core.data.near_duplicates import difference_hashes, near_duplicate_groups
from nero_core.data.preprocessing import Preprocessing
from nero_core.data.seen import NOT_KNOWN, RECORDED, TOLD_UNSEEN
from nero_core.data.splits import UNKNOWN_START, split_for_fit
from nero_core.errors import ArtefactError, Cancelled, InputError
from nero_core.network import augmentation, pictures, training
from nero_core.network.augmentation import augmented
from nero_core.network.classifier import Classifier
from nero_core.network.epochs import learning_rate
from nero_core.network.training import Trained, train
from nero_core.records import Progress
from nero_core.storage.files import read_arrays

SMALL = Preprocessing(height=32, width=32)
ARCHITECTURE = "mobilenet_v3_small"
"""Small, and with dropout, whose chance a resumed run must repeat."""


def scene(path: Path, seed: int, colour: tuple[int, int, int]) -> None:
    """A smooth random picture around one colour."""
    noise = np.random.default_rng(seed).normal(0, 35, (7, 8, 3)) + colour
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise.clip(20, 255).astype(np.uint8)).resize((48, 40), Image.Resampling.BICUBIC).save(path)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of 24 pictures, of which each fourth is a paler copy of the one before; one file is no image."""
    root = tmp_path_factory.mktemp("data")
    for label, (name, colour) in enumerate({"amber": (200, 140, 60), "slate": (80, 110, 180)}.items()):
        for number in range(24):
            scene(root / name / f"{number:02}.png", 100 * label + number - (number % 4 == 3), colour)
            if number % 4 == 3:
                paler = Image.open(root / name / f"{number:02}.png").point(lambda value: int(value * 0.95 + 10))
                paler.save(root / name / f"{number:02}.png")
    (root / "slate" / "notes.png").write_text("not an image")
    return root


def run(data: Path, out: Path, epochs: int = 3, **options: object) -> Trained:
    """A share of false alarms for which the usual shares of these few images are enough."""
    given: dict[str, object] = {"alpha": 0.4, "preprocessing": SMALL, **options}
    return train(data, ARCHITECTURE, out, epochs=epochs, **given)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """An uninterrupted run of three epochs."""
    return run(data, tmp_path_factory.mktemp("run") / "a.safetensors")


def weights(classifier: Classifier) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in classifier.network.state_dict().items()}


def stopping(epoch: int, error: type[BaseException]) -> Callable[[str], Progress]:
    """A `begin` whose progress raises in one epoch."""

    def begin(what: str) -> Progress:
        def progress(done: int, total: int) -> None:
            if what.startswith(f"Epoch {epoch}/"):
                raise error("stop")

        return progress

    return begin


# What is recorded ---------------------------------------------------------------------------------------------------


def test_every_readable_image_is_in_one_part(trained: Trained, data: Path) -> None:
    record = trained.classifier.training
    assert record is not None
    parts = (record.train, record.calibration, record.test)
    readable = {d for p, d in zip(*digests(data), strict=True) if p.name != "notes.png"}
    assert sum(map(len, parts)) == len(record.train | record.calibration | record.test) == 48
    assert record.train | record.calibration | record.test == readable
    assert [len(part) for part in parts] == [37, 7, 4]


def digests(data: Path) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    images = read_class_folders(data)
    return images.paths, images.digests


def test_near_duplicates_are_on_one_side(trained: Trained, data: Path) -> None:
    record = trained.classifier.training
    assert record is not None
    images = read_class_folders(data)
    groups = near_duplicate_groups(difference_hashes(images.paths)[0])
    side = {d: i for i, part in enumerate((record.train, record.calibration, record.test)) for d in part}
    readable = [i for i, path in enumerate(images.paths) if path.name != "notes.png"]
    together = [{side[images.digests[i]] for i in readable if groups[i] == g} for g in set(groups[readable].tolist())]
    assert len(together) == 36  # 24 + 24 pictures, of which 6 + 6 are copies
    assert all(len(sides) == 1 for sides in together)


def test_recipe_history_and_left_out_files_are_reported(data: Path, tmp_path: Path) -> None:
    said: list[str] = []
    begun: dict[str, list[tuple[int, int]]] = {}

    def begin(what: str) -> Progress:
        calls = begun.setdefault(what, [])
        return lambda done, total: calls.append((done, total))

    result = run(data, tmp_path / "a.safetensors", epochs=2, begin=begin, say=said.append)
    record = result.classifier.training
    assert record is not None
    assert record.recipe["architecture"] == ARCHITECTURE
    assert (record.recipe["epochs"], record.recipe["seed"], record.recipe["init"]) == (2, 0, "")
    assert [epoch["epoch"] for epoch in record.history] == [1, 2]
    for epoch in record.history:
        assert epoch["loss"] > 0
        assert 0 <= epoch["train_accuracy"] <= 1
        assert 0 <= epoch["test_accuracy"] <= 1
    ((path, reason),) = result.unreadable.items()
    assert path.endswith("notes.png")
    assert reason.startswith("notes.png is not an image")
    assert said[0] == f"left out: {reason}"
    assert "amber: 18 train, 4 calibration, 2 test" in said
    assert result.per_class == {
        "amber": {"train": 18, "calibration": 4, "test": 2},
        "slate": {"train": 19, "calibration": 3, "test": 2},
    }
    assert [line[:12] for line in said[-2:]] == ["epoch 1 of 2", "epoch 2 of 2"]
    assert list(begun) == ["Reading files", "Decoding images", "Epoch 1/2", "Epoch 2/2"]
    assert [calls[-1] for calls in begun.values()] == [(49, 49), (49, 49), (37, 37), (37, 37)]


def test_the_file_is_the_classifier(trained: Trained, data: Path, tmp_path: Path) -> None:
    result = run(data, tmp_path / "b.safetensors")
    loaded = Classifier.load(tmp_path / "b.safetensors")
    assert weights(loaded) == weights(result.classifier) == weights(trained.classifier)
    assert loaded.training == result.classifier.training == trained.classifier.training
    assert loaded.preprocessing == SMALL
    assert loaded.classes == ["amber", "slate"]
    assert not loaded.network.training
    assert not any(p.requires_grad for p in result.classifier.network.parameters())
    assert [p.name for p in tmp_path.iterdir()] == ["b.safetensors"]


def test_it_learns(data: Path, tmp_path: Path) -> None:
    history = run(data, tmp_path / "a.safetensors", epochs=8).classifier.training.history  # type: ignore[union-attr]
    assert history[-1]["loss"] < 0.7 * history[0]["loss"]
    assert history[-1]["train_accuracy"] >= 0.9


def test_every_step_has_its_rate_and_every_epoch_its_order(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[tuple[int, int]] = []
    orders: list[list[int]] = []
    real_rate, real_batches = learning_rate, pictures.Pictures.batches

    def rate(step: int, of: int, peak: float) -> float:
        steps.append((step, of))
        return real_rate(step, of, peak)

    def batches(self: pictures.Pictures, order: list[np.ndarray]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        orders.append(np.concatenate(order).tolist())
        return real_batches(self, order)

    monkeypatch.setattr("nero_core.network.epochs.learning_rate", rate)
    monkeypatch.setattr(pictures.Pictures, "batches", batches)
    run(data, tmp_path / "a.safetensors", epochs=3)
    assert steps == [(step, 6) for step in range(6)]
    epochs, tests = orders[::2], orders[1::2]
    assert all(sorted(order) == list(range(37)) for order in epochs)
    assert len({tuple(order) for order in epochs}) == 3
    assert tests == [[0, 1, 2, 3]] * 3


def test_another_seed_is_another_run(trained: Trained, data: Path, tmp_path: Path) -> None:
    other = run(data, tmp_path / "a.safetensors", epochs=1, seed=1).classifier
    assert other.training is not None
    assert trained.classifier.training is not None
    assert other.training.calibration != trained.classifier.training.calibration


def test_the_global_generator_is_left_alone(data: Path, tmp_path: Path) -> None:
    before = torch.get_rng_state()
    run(data, tmp_path / "a.safetensors", epochs=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_pictures_that_do_not_fit_in_memory_train_the_same(
    trained: Trained, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "KEPT_BYTES", 0)
    assert weights(run(data, tmp_path / "a.safetensors").classifier) == weights(trained.classifier)


# Interruptions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [Cancelled, KeyboardInterrupt])
def test_a_resumed_run_equals_an_uninterrupted_one(
    trained: Trained, data: Path, tmp_path: Path, error: type[BaseException]
) -> None:
    out = tmp_path / "a.safetensors"
    for epoch in (2, 3):
        with pytest.raises(error):
            run(data, out, begin=stopping(epoch, error))
        assert [p.name for p in tmp_path.iterdir()] == ["a.resume.safetensors"]
        _, metadata = read_arrays(tmp_path / "a.resume.safetensors")
        assert len(json.loads(metadata["history"])) == epoch - 1
    said: list[str] = []
    result = run(data, out, say=said.append)
    assert any(line.startswith("going on after epoch 2 of 3") for line in said)
    assert weights(result.classifier) == weights(trained.classifier)
    assert result.classifier.training == trained.classifier.training
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


@pytest.mark.parametrize("what", ["Reading files", "Decoding images", "Epoch 1/3"])
def test_stopping_before_the_first_epoch_leaves_nothing(data: Path, tmp_path: Path, what: str) -> None:
    def begin(begun: str) -> Progress:
        def progress(done: int, total: int) -> None:
            if begun == what:
                raise Cancelled("stop")

        return progress

    with pytest.raises(Cancelled):
        run(data, tmp_path / "a.safetensors", begin=begin)
    assert not list(tmp_path.iterdir())


def test_stopping_from_the_report_keeps_the_epoch(data: Path, tmp_path: Path) -> None:
    def say(line: str) -> None:
        if line.startswith("epoch 1 of"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(data, tmp_path / "a.safetensors", say=say)
    assert len(json.loads(read_arrays(tmp_path / "a.resume.safetensors")[1]["history"])) == 1


@pytest.fixture(scope="module")
def interrupted(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state of a run of three epochs, stopped in the second."""
    folder = tmp_path_factory.mktemp("interrupted")
    with pytest.raises(Cancelled):
        run(data, folder / "a.safetensors", begin=stopping(2, Cancelled))
    return folder / "a.resume.safetensors"


def test_a_state_of_another_recipe_is_refused(data: Path, tmp_path: Path, interrupted: Path) -> None:
    shutil.copy(interrupted, tmp_path)
    for options, message in (
        ({"epochs": 4}, r"another recipe \(epochs 3, now 4\); delete it"),
        ({"calibration_share": 0.2, "seed": 2}, r"another recipe \(calibration_share 0.15, now 0.2, seed 0, now 2\)"),
    ):
        with pytest.raises(InputError, match=message):
            run(data, tmp_path / "a.safetensors", **options)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="with other preprocessing; delete it to start again, or change --out"):
        run(data, tmp_path / "a.safetensors", preprocessing=Preprocessing(height=40, width=40))


def test_a_state_of_other_images_is_refused(data: Path, tmp_path: Path, interrupted: Path) -> None:
    shutil.copy(interrupted, tmp_path)
    changed = shutil.copytree(data, tmp_path / "changed")
    scene(changed / "amber" / "00.png", 999, (200, 140, 60))
    with pytest.raises(InputError, match="is the state of an interrupted run with other images"):
        run(changed, tmp_path / "a.safetensors")
    (changed / "amber").rename(changed / "brown")
    with pytest.raises(InputError, match="with other classes"):
        run(changed, tmp_path / "a.safetensors")


def test_a_damaged_state_is_refused(data: Path, tmp_path: Path, interrupted: Path) -> None:
    (tmp_path / "a.resume.safetensors").write_bytes(interrupted.read_bytes()[:-9])
    with pytest.raises(
        ArtefactError, match=r"a\.resume\.safetensors cannot be used.* Or delete it, and training starts"
    ):
        run(data, tmp_path / "a.safetensors")


# Initial weights ----------------------------------------------------------------------------------------------------


def test_images_that_the_initial_weights_saw_are_not_set_aside(trained: Trained, data: Path, tmp_path: Path) -> None:
    trained.classifier.save(tmp_path / "init.safetensors")
    before = trained.classifier.training
    assert before is not None
    fewer = shutil.copytree(data, tmp_path / "fewer")
    one_seen = next(path for path, key in zip(*digests(fewer), strict=True) if key in before.train)
    one_seen.unlink()  # what it saw stays seen, at hand or not
    result = run(fewer, tmp_path / "a.safetensors", epochs=1, seed=5, init=tmp_path / "init.safetensors")
    record = result.classifier.training
    assert record is not None
    assert record.train >= before.train
    assert record.calibration | record.test <= before.calibration | before.test
    assert record.calibration
    assert record.test
    assert record.recipe["learning_rate"] == training.INIT_LEARNING_RATE
    assert len(str(record.recipe["init"])) == 64
    # With the same rate and from nothing it is worse: the weights were taken.
    rate = training.INIT_LEARNING_RATE
    from_nothing = run(fewer, tmp_path / "b.safetensors", epochs=1, seed=5, learning_rate=rate).classifier.training
    assert from_nothing is not None
    assert record.history[0]["loss"] < from_nothing.history[0]["loss"]


@pytest.mark.parametrize(("unseen", "known"), [(False, NOT_KNOWN), (True, TOLD_UNSEEN)])
def test_weights_of_unknown_training_promise_nothing_unless_they_are_told_unseen(
    trained: Trained, data: Path, tmp_path: Path, unseen: bool, known: str
) -> None:
    """Weights from elsewhere may have been trained on these very images: what is set aside now was seen before."""
    torch.save(trained.classifier.network.state_dict(), tmp_path / "foreign.pt")
    said: list[str] = []
    options = {"epochs": 1, "init": tmp_path / "foreign.pt", "init_unseen": unseen, "say": said.append}
    record = run(data, tmp_path / "a.safetensors", **options).classifier.training  # type: ignore[arg-type]
    assert record is not None
    assert record.recipe["init_training"] == known
    assert any(UNKNOWN_START in line for line in said) != unseen
    images = read_class_folders(data)
    guarantee = split_for_fit(Classifier.load(tmp_path / "a.safetensors").training, images).guarantee
    assert guarantee.reason == ("" if unseen else UNKNOWN_START)

    again = run(data, tmp_path / "b.safetensors", epochs=1, init=tmp_path / "a.safetensors").classifier.training
    assert again is not None
    assert again.recipe["init_training"] == (RECORDED if unseen else NOT_KNOWN), "what came before stays as it was"
    older = replace(again, recipe={key: value for key, value in again.recipe.items() if key != "init_training"})
    assert split_for_fit(older, images).guarantee.reason == UNKNOWN_START
    assert trained.classifier.training is not None
    assert split_for_fit(trained.classifier.training, images).guarantee.holds


# Bad input ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"epochs": 0}, InputError, "0 epochs were asked for; wanted at least 1"),
        ({"calibration_share": 0.0}, InputError, "shares set aside are 0.0"),
        ({"test_share": math.nan}, InputError, "shares set aside are"),
        ({"calibration_share": 0.5, "test_share": 0.5}, InputError, "leave something to train on"),
        ({"out": Path("a.pt")}, InputError, r"wanted a name that ends in \.safetensors"),
        ({"out": Path("gone") / "a.safetensors"}, ArtefactError, "gone is not a folder; make it first"),
        ({"architecture": "resnet81"}, InputError, "resnet81"),
        ({"data": Path("nowhere")}, InputError, "nowhere does not exist"),
        ({"init": Path("nothing.safetensors")}, ArtefactError, r"nothing\.safetensors"),
    ],
)
def test_bad_parameters_are_refused(
    data: Path, tmp_path: Path, options: dict[str, object], error: type[Exception], message: str
) -> None:
    defaults: dict[str, object] = {"data": data, "architecture": ARCHITECTURE, "out": tmp_path / "a.safetensors"}
    given = {**defaults, "preprocessing": SMALL, **options}
    if "out" in options:
        given["out"] = tmp_path / str(options["out"])
    with pytest.raises(error, match=message):
        train(**given)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_too_few_images_say_so(tmp_path: Path) -> None:
    for name in ("a", "b"):
        scene(tmp_path / name / "0.png", ord(name), (200, 140, 60))
    with pytest.raises(InputError, match="2 images are too few to set calibration images aside"):
        run(tmp_path, tmp_path / "c.safetensors")


def test_a_loss_that_is_no_number_stops_the_run(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nero_core.network.epochs.learning_rate", lambda *_: math.inf)
    with pytest.raises(InputError, match="The loss is nan in epoch 1"):
        run(data, tmp_path / "a.safetensors")
    assert not list(tmp_path.iterdir())


# Schedule and augmentation -------------------------------------------------------------------------------------------


def test_the_learning_rate_by_hand() -> None:
    # Ten steps, two of them rising: the middles of the steps are at 5 %, 15 %, 25 %, … of the way.
    rates = [learning_rate(step, 10, 8.0) for step in range(10)]
    assert rates[:2] == pytest.approx([8 * 0.05 / 0.2, 8 * 0.15 / 0.2])
    assert rates[2:] == pytest.approx([4 * (1 + math.cos(math.pi * (2 * k + 1) / 16)) for k in range(8)])
    assert learning_rate(0, 1, 1.0) > 0


def test_varied_pictures_stay_in_range_and_follow_the_generator() -> None:
    pixels = torch.rand((6, 3, 8, 9), generator=torch.Generator().manual_seed(0))
    before = pixels.clone()
    one, same, other = (augmented(pixels, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert one.shape == pixels.shape
    assert 0 <= one.min() <= one.max() <= 1
    assert torch.equal(pixels, before)


def test_mirrors_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augmentation, "JITTER", 0)
    monkeypatch.setattr(augmentation, "HUE_JITTER", 0)
    pixels = torch.rand((200, 3, 4, 5))
    mirrored = augmented(pixels, torch.Generator().manual_seed(0))
    ways = [pixels, pixels.flip(2), pixels.flip(3), pixels.flip(2, 3)]
    agree = torch.stack([(mirrored - way).abs().amax(dim=(1, 2, 3)) < 1e-5 for way in ways])
    assert torch.equal(agree.sum(dim=0), torch.ones(200, dtype=torch.long))
    assert agree.sum(dim=1).min() > 25


def test_hue_keeps_greys_and_changes_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augmentation, "JITTER", 0)
    grey = torch.full((4, 3, 2, 2), 0.4)
    assert torch.allclose(augmented(grey, torch.Generator().manual_seed(0)), grey, atol=1e-6)
    red = torch.tensor([0.6, 0.2, 0.2])[None, :, None, None].expand(4, 3, 2, 2)
    turned = augmented(red, torch.Generator().manual_seed(0))
    assert torch.allclose(turned.sum(dim=1), red.sum(dim=1), atol=1e-5)
    assert 0.001 < (turned - red).abs().max() < 0.08


def test_jitter_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augmentation, "HUE_JITTER", 0)
    flat = torch.full((500, 3, 2, 2), 0.5)
    means = augmented(flat, torch.Generator().manual_seed(0)).mean(dim=(1, 2, 3))
    assert 0.5 * 0.7 <= means.min() < 0.5 * 0.75
    assert 0.5 * 1.25 < means.max() <= 0.5 * 1.3


def test_the_recipe_is_plain_json(trained: Trained) -> None:
    record = trained.classifier.training
    assert record is not None
    assert json.loads(json.dumps(dict(record.recipe))) == asdict(training.Recipe(**record.recipe))  # type: ignore[arg-type]
