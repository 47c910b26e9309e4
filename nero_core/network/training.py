"""Class folders → a classifier, with images set aside before anything is learned from them.

A run is a pure function of the images and its recipe: what an epoch does follows from the seed and the epoch's
number, so that a run taken up again after an interruption ends in the same weights, bit for bit (on one CPU).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

import numpy as np
import torch

from nero_core.data.class_folders import LabelledImages
from nero_core.data.guarantee import DEFAULT_ALPHA, CalibrationSettings
from nero_core.data.listing import read_images
from nero_core.data.near_duplicates import HashArray, large_groups, mixed_groups, near_duplicate_groups
from nero_core.data.preprocessing import Preprocessing
from nero_core.data.seen import NOT_KNOWN
from nero_core.data.splits import UNKNOWN_START, assigned, counted, group_digests, grouped, said_of_split, set_aside
from nero_core.errors import ArtefactError, InputError
from nero_core.network.architectures import preprocessing_of
from nero_core.network.classifier import Classifier, build_classifier
from nero_core.network.epochs import ALL_WEIGHTS, HEAD_ALONE, VALIDATION, Recipe, Run
from nero_core.network.frozen import fit_head
from nero_core.network.initial_weights import Start, start_from_file, start_from_pretrained
from nero_core.network.pictures import Pictures, decode_pictures
from nero_core.records import Begin, Say, TrainingRecord

OnEpoch = Callable[[Sequence[Mapping[str, float]]], None]

SUFFIX = ".safetensors"
CALIBRATION_SHARE, TEST_SHARE = 0.15, 0.1
"""Of the images of each class, set aside before anything is learned."""
SCRATCH_LEARNING_RATE, INIT_LEARNING_RATE = 1e-3, 1e-4
STAGE_DECAY = 0.7
"""By what the learning rate falls with each stage further from the head where training starts from weights."""
PATIENCE, VALIDATION_SHARE = 3, 0.1
"""Epochs that may be no better, where training starts from weights; the share of the training images that says so."""
BATCH_SIZE = 32
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True, eq=False)
class Trained:
    """What `train` gives.

    Attributes
    ----------
    classifier : Classifier
    unreadable : {path: reason}
        Files it left out.
    per_class : {class: {part: images}}
        How many images of each class train, calibrate and test.
    """

    classifier: Classifier
    unreadable: Mapping[str, str]
    per_class: Mapping[str, Mapping[str, int]]


class TrainingOptions(TypedDict, total=False):
    """What a training may be told beside its images, its network and its length.

    Attributes
    ----------
    init : Path
        Weights to start from. Images that those were trained on are not set aside.
    pretrained : bool
        Whether to start from the weights that the architecture's makers give; see
        :func:`~nero_core.network.pretrained.pretrained_weights`.
    init_unseen : bool
        Whether weights of unknown training have seen none of these images; else nothing is promised.
    frozen : bool
        Whether those weights stay as they are, and only a linear head is fitted to their features; see
        :mod:`~nero_core.network.frozen`. Then epochs, learning rate, batches and precision say nothing.
    learning_rate : float
        The highest of the cycle: 1e-3 from chance and 1e-4 from weights where not given.
    batch_size : int
        32 where not given.
    precision : {"float32", "bfloat16"}
        Of the passes in training: bfloat16 where the processor computes in it, if not given.
    calibration_share, test_share : float
        Of the images of each class: 0.15 and 0.1 where not given.
    alpha : float
        Share of false alarms that calibration images of every class must support, as far as the class suffices.
    group : str
        What keeps images together: a folder level, or a column of the manifest.
    """

    init: Path | None
    pretrained: bool
    init_unseen: bool
    frozen: bool
    learning_rate: float | None
    batch_size: int
    precision: str | None
    calibration_share: float
    test_share: float
    alpha: float
    group: str | None


def train(
    data: Path,
    architecture: str,
    out: Path,
    *,
    epochs: int = 12,
    seed: int = 0,
    preprocessing: Preprocessing | None = None,
    device: str = "cpu",
    begin: Begin | None = None,
    say: Say | None = None,
    on_epoch: OnEpoch | None = None,
    **options: Unpack[TrainingOptions],
) -> Trained:
    """Train a classifier on class folders, and write it to `out`.

    Images are set aside for calibration and for testing first, groups and near-duplicates on one side, and their
    digests are recorded. After every epoch the state is written beside `out`; a run that was interrupted goes on from
    there. From chance, the last epoch is the result. From weights, stages far from the head learn less, and the epoch
    that is best on a tenth of the training images is kept; three in a row that are no better end the training. The
    images set aside are only reported on, never chosen by.

    Parameters
    ----------
    data : Path
        One sub-folder of images per class, or a CSV manifest; see :func:`~nero_core.data.listing.read_images`.
    architecture, out : str, Path
        The latter a ``.safetensors`` file.
    epochs, seed, preprocessing, device : int, int, Preprocessing, str
    begin, say, on_epoch : callable, optional
        ``begin(what)`` announces a stretch of work and returns its progress callback, from which
        :class:`~nero_core.errors.Cancelled` may be raised; `say` is given lines of text; `on_epoch` the history so
        far, once each epoch is written and once a run is taken up again.
    options : TrainingOptions
        See there.

    Raises
    ------
    InputError
        The folders cannot be used or are too small, a parameter is out of range, the loss is no longer a number, or an
        interrupted run beside `out` had other images or another recipe.
    ArtefactError
        `out` cannot be written, or `init` or the state of an interrupted run cannot be read.
    """
    begin, say = begin or (lambda what: lambda done, total: None), say or (lambda line: None)
    on_epoch = on_epoch or (lambda history: None)
    _check_parameters(out, epochs, options)
    preprocessing = preprocessing or preprocessing_of(architecture)
    images = read_images(data, group=options.get("group"), progress=begin("Reading files"))
    start = _start(architecture, options, say)
    blank = build_classifier(architecture, images.classes, seed, start.weights, preprocessing, device, say)
    recipe = _recipe(architecture, epochs, seed, device, start, options)
    if recipe.init_training == NOT_KNOWN:
        say(f"note: {UNKNOWN_START}. Without that the images set aside promise nothing.")
    pictures, hashes, unreadable = decode_pictures(images, preprocessing, begin("Decoding images"))
    seen = frozenset() if start.record is None else start.record.train
    parts, per_class = _divide(pictures, hashes, unreadable, recipe, seen, say)
    state = out.with_suffix(f".resume{SUFFIX}")
    if recipe.trained == HEAD_ALONE:
        history = [fit_head(blank, parts, begin, say)]
        on_epoch(history)
    else:
        history = _go_through(
            Run(blank.network, blank.layout, recipe, parts, blank.device), state, begin, say, on_epoch
        )
    record = _recorded(recipe, history, parts, start.record, pictures.images, hashes)
    classifier = Classifier(blank.network, architecture, images.classes, preprocessing, record, device)
    classifier.save(out)
    state.unlink(missing_ok=True)
    return Trained(classifier, unreadable, per_class)


def _recipe(architecture: str, epochs: int, seed: int, device: str, start: Start, options: TrainingOptions) -> Recipe:
    """What was asked for, and what is usual for the rest."""
    frozen, from_weights = options.get("frozen", False), start.weights is not None
    usual = INIT_LEARNING_RATE if from_weights else SCRATCH_LEARNING_RATE
    tuned = from_weights and not frozen
    return Recipe(
        architecture=architecture,
        epochs=0 if frozen else epochs,
        seed=seed,
        init=start.digest,
        learning_rate=options.get("learning_rate") or usual,
        calibration_share=options.get("calibration_share", CALIBRATION_SHARE),
        test_share=options.get("test_share", TEST_SHARE),
        precision="float32" if frozen else options.get("precision") or _fastest(device),
        alpha=options.get("alpha", DEFAULT_ALPHA),
        group=options.get("group") or "",
        init_training=start.known,
        init_origin=start.origin,
        trained=HEAD_ALONE if frozen else ALL_WEIGHTS,
        stage_decay=STAGE_DECAY if tuned else 1.0,
        patience=PATIENCE if tuned else 0,
        batch_size=options.get("batch_size", BATCH_SIZE),
    )


def _divide(
    pictures: Pictures, hashes: HashArray, unreadable: Mapping[str, str], recipe: Recipe, seen: frozenset[str], say: Say
) -> tuple[dict[str, Pictures], Mapping[str, Mapping[str, int]]]:
    """What trains, calibrates and tests, and how many of each class; says what is worth knowing of it."""
    for reason in unreadable.values():
        say(f"left out: {reason}")
    alike = near_duplicate_groups(hashes)
    for warning in [*large_groups(pictures.images, alike), *mixed_groups(pictures.images, alike)]:
        say(f"note: {warning}")
    parts = set_aside(
        pictures.images, hashes, recipe.calibration_share, recipe.test_share, recipe.alpha, recipe.seed, seen
    )
    per_class = counted(parts)
    for line in said_of_split(per_class, recipe.alpha):
        say(line)
    if recipe.patience:
        look = dict(zip(pictures.images.digests, hashes, strict=True))
        groups = grouped(parts["train"], np.array([look[key] for key in parts["train"].digests], dtype=np.uint64))
        shares = {"train": 1 - VALIDATION_SHARE, VALIDATION: VALIDATION_SHARE}
        part = np.array(list(shares))[assigned(parts["train"], groups, shares, recipe.seed)]
        parts |= {name: parts["train"].select(part == name) for name in shares}
        say(f"of those that train, {len(parts[VALIDATION])} are kept to choose the best epoch by")
    return {name: pictures.select(part) for name, part in parts.items()}, per_class


def _go_through(run: Run, state: Path, begin: Begin, say: Say, on_epoch: OnEpoch) -> list[dict[str, float]]:
    """All epochs that are left, each written to `state` once it is done; returns the history."""
    epochs, tested = run.recipe.epochs, len(run.parts["test"].images)
    if state.exists():
        run.restore(state)
        say(f"going on after epoch {len(run.history)} of {epochs}, from {state}")
        on_epoch(run.history)
    while not run.over:
        number = len(run.history) + 1
        report = run.epoch(begin(f"Epoch {number}/{epochs}"))
        run.store(state)
        on_epoch(run.history)
        say(
            f"epoch {number} of {epochs}: loss {report['loss']:.3f}, accuracy {report['train_accuracy']:.3f} in "
            f"training, {report['test_accuracy']:.3f} on the {tested} test images set aside"
        )
    if run.recipe.patience:
        run.keep_best()
        say(f"kept: epoch {run.best}, with a loss of {run.history[run.best - 1]['validation_loss']:.3f} on those kept")
    return run.history


def _start(architecture: str, options: TrainingOptions, say: Say) -> Start:
    """The weights to start from; none where neither a file nor the makers' own are asked for."""
    unseen = options.get("init_unseen", False)
    if init := options.get("init"):
        return start_from_file(init, unseen)
    return start_from_pretrained(architecture, unseen, say) if options.get("pretrained") else Start()


def _recorded(
    recipe: Recipe,
    history: Sequence[Mapping[str, float]],
    pictures: Mapping[str, Pictures],
    earlier: TrainingRecord | None,
    images: LabelledImages,
    hashes: HashArray,
) -> TrainingRecord:
    """What was trained on, and before that for the weights that it started from."""
    parts = {name: frozenset(part.images.digests) for name, part in pictures.items()}
    before = TrainingRecord(frozenset(), frozenset(), frozenset()) if earlier is None else earlier
    return TrainingRecord(
        train=parts["train"] | parts.get(VALIDATION, frozenset()) | before.train,
        calibration=parts["calibration"],
        test=parts["test"],
        recipe=dataclasses.asdict(recipe),
        history=tuple(history),
        hashes=dict(before.hashes) | {key: int(value) for key, value in zip(images.digests, hashes, strict=True)},
        groups=dict(before.groups) | group_digests(images),
    )


def _check_parameters(out: Path, epochs: int, options: TrainingOptions) -> None:
    CalibrationSettings(alpha=options.get("alpha", DEFAULT_ALPHA))  # refuses one that is no share
    if epochs < 1:
        raise InputError(f"{epochs} epochs were asked for; wanted at least 1.")
    calibration, test = options.get("calibration_share", CALIBRATION_SHARE), options.get("test_share", TEST_SHARE)
    if not (calibration > 0 and test > 0 and calibration + test < 1):
        raise InputError(
            f"The shares set aside are {calibration} (calibration) and {test} (test); "
            "wanted positive numbers that leave something to train on."
        )
    rate, batch = options.get("learning_rate"), options.get("batch_size", BATCH_SIZE)
    if rate is not None and not 0 < rate < 1:
        raise InputError(f"The learning rate is {rate}; wanted one between 0 and 1, such as 1e-3.")
    if batch < 2:
        raise InputError(f"Batches of {batch} were asked for; wanted at least 2: batch norms take means over them.")
    if (precision := options.get("precision")) not in (None, *PRECISIONS):
        raise InputError(f"The precision is {precision!r}; wanted {' or '.join(PRECISIONS)}.")
    if options.get("init") and options.get("pretrained"):
        raise InputError("Both a file to start from and the pretrained weights were asked for; give one of them.")
    if options.get("frozen") and not (options.get("init") or options.get("pretrained")):
        raise InputError("A frozen network needs weights that know something; ask for pretrained ones, or give a file.")
    if out.suffix != SUFFIX:
        raise InputError(f"The classifier was to be written to {out.name}; wanted a name that ends in {SUFFIX}.")
    if not out.parent.is_dir():
        raise ArtefactError(f"{out.parent} is not a folder; make it first, so that the result can be written.")


def _fastest(device: str) -> str:
    """The precision of training: bfloat16 where the processor computes in it, about three times faster then."""
    if device == "cpu":
        has = any(supported for name, supported in torch.cpu.get_capabilities().items() if name.endswith("bf16"))
    else:
        has = device.startswith("cuda") and torch.cuda.is_bf16_supported()
    return "bfloat16" if has else "float32"
