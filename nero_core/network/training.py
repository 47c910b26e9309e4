"""Class folders → a classifier, with images set aside before anything is learned from them.

A run is a pure function of the images and its recipe: what an epoch does follows from the seed and the epoch's
number, so that a run taken up again after an interruption ends in the same weights, bit for bit (on one CPU).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from nero_core.data.class_folders import LabelledImages
from nero_core.data.guarantee import DEFAULT_ALPHA, CalibrationSettings
from nero_core.data.listing import read_images
from nero_core.data.near_duplicates import HashArray, large_groups, mixed_groups, near_duplicate_groups
from nero_core.data.preprocessing import Preprocessing
from nero_core.data.seen import NOT_KNOWN
from nero_core.data.splits import UNKNOWN_START, counted, group_digests, said_of_split, set_aside
from nero_core.errors import ArtefactError, InputError
from nero_core.network.architectures import preprocessing_of
from nero_core.network.classifier import Classifier, build_classifier
from nero_core.network.epochs import Recipe, Run
from nero_core.network.frozen import fit_head
from nero_core.network.initial_weights import Start, start_from_file, start_from_pretrained
from nero_core.network.pictures import Pictures, decode_pictures
from nero_core.records import Begin, Say, TrainingRecord

SUFFIX = ".safetensors"
SCRATCH_LEARNING_RATE, INIT_LEARNING_RATE = 1e-3, 1e-4


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


def train(
    data: Path,
    architecture: str,
    out: Path,
    *,
    epochs: int = 12,
    seed: int = 0,
    init: Path | None = None,
    pretrained: bool = False,
    frozen: bool = False,
    calibration_share: float = 0.15,
    test_share: float = 0.1,
    alpha: float = DEFAULT_ALPHA,
    group: str | None = None,
    init_unseen: bool = False,
    preprocessing: Preprocessing | None = None,
    device: str = "cpu",
    begin: Begin | None = None,
    say: Say | None = None,
    on_epoch: Callable[[Sequence[Mapping[str, float]]], None] | None = None,
) -> Trained:
    """Train a classifier on class folders, and write it to `out`.

    Images are set aside for calibration and for testing first, groups and near-duplicates on one side, and their
    digests are recorded. After every epoch the state is written beside `out`; a run that was interrupted goes on from
    there. The last epoch is the result: the images set aside are only reported on, never chosen by.

    Parameters
    ----------
    data : Path
        One sub-folder of images per class, or a CSV manifest; see :func:`~nero_core.data.listing.read_images`.
    architecture, out : str, Path
        The latter a ``.safetensors`` file.
    epochs, seed : int
    init : Path, optional
        Weights to start from. Images that those were trained on are not set aside.
    pretrained : bool
        Whether to start from the weights that the architecture's makers trained on ImageNet; see
        :func:`~nero_core.network.pretrained.pretrained_weights`.
    frozen : bool
        Whether those weights stay as they are, and only a linear head is fitted to their features; see
        :mod:`~nero_core.network.frozen`. Then `epochs` is not looked at.
    calibration_share, test_share : float
        Of the images of each class.
    alpha : float
        Share of false alarms that calibration images of every class must support, as far as the class suffices.
    group : str, optional
        What keeps images together: a folder level, or a column of the manifest.
    init_unseen : bool
        Whether weights of unknown training have seen none of these images, as ImageNet's; else nothing is promised.
    preprocessing, device : Preprocessing, str
    begin, say, on_epoch : callable, optional
        ``begin(what)`` announces a stretch of work and returns its progress callback, from which
        :class:`~nero_core.errors.Cancelled` may be raised; `say` is given lines of text; `on_epoch` the history so
        far, once each epoch is written and once a run is taken up again.

    Raises
    ------
    InputError
        The folders cannot be used or are too small, a parameter is out of range, the loss is no longer a number, or an
        interrupted run beside `out` had other images or another recipe.
    ArtefactError
        `out` cannot be written, or `init` or the state of an interrupted run cannot be read.
    """
    begin, say = begin or (lambda what: lambda done, total: None), say or (lambda line: None)
    _check_parameters(out, epochs, calibration_share, test_share, alpha)
    _check_start(init, pretrained, frozen)
    preprocessing = preprocessing or preprocessing_of(architecture)
    images = read_images(data, group=group, progress=begin("Reading files"))
    start = _start(architecture, init, pretrained, init_unseen, say)
    blank = build_classifier(architecture, images.classes, seed, start.weights, preprocessing, device, say)
    recipe = Recipe(
        architecture,
        0 if frozen else epochs,
        seed,
        start.digest,
        SCRATCH_LEARNING_RATE if start.weights is None else INIT_LEARNING_RATE,
        calibration_share,
        test_share,
        "bfloat16" if _has_bfloat16(device) and not frozen else "float32",
        alpha,
        group or "",
        start.known,
        start.origin,
        frozen,
    )
    if recipe.init_training == NOT_KNOWN:
        say(f"note: {UNKNOWN_START}. Without that the images set aside promise nothing.")
    pictures, hashes, unreadable = decode_pictures(images, preprocessing, begin("Decoding images"))
    seen = frozenset() if start.record is None else start.record.train
    parts, per_class = _divide(pictures, hashes, unreadable, recipe, seen, say)
    state = out.with_suffix(f".resume{SUFFIX}")
    history: Sequence[Mapping[str, float]]
    if frozen:
        history = [fit_head(blank, parts, begin, say)]
        (on_epoch or (lambda history: None))(history)
    else:
        run = Run(blank.network, recipe, parts, torch.device(device))
        _go_through(run, state, begin, say, on_epoch or (lambda history: None))
        history = run.history
    record = _recorded(recipe, history, parts, start.record, pictures.images, hashes)
    classifier = Classifier(blank.network, architecture, images.classes, preprocessing, record, device)
    classifier.save(out)
    state.unlink(missing_ok=True)
    return Trained(classifier, unreadable, per_class)


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
    return {name: pictures.select(part) for name, part in parts.items()}, per_class


def _go_through(
    run: Run, state: Path, begin: Begin, say: Say, on_epoch: Callable[[Sequence[Mapping[str, float]]], None]
) -> None:
    """All epochs that are left, each written to `state` once it is done."""
    epochs, tested = run.recipe.epochs, len(run.parts["test"].images)
    if state.exists():
        run.restore(state)
        say(f"going on after epoch {len(run.history)} of {epochs}, from {state}")
        on_epoch(run.history)
    while len(run.history) < epochs:
        number = len(run.history) + 1
        report = run.epoch(begin(f"Epoch {number}/{epochs}"))
        run.store(state)
        on_epoch(run.history)
        say(
            f"epoch {number} of {epochs}: loss {report['loss']:.3f}, accuracy {report['train_accuracy']:.3f} in "
            f"training, {report['test_accuracy']:.3f} on the {tested} test images set aside"
        )


def _start(architecture: str, init: Path | None, pretrained: bool, unseen: bool, say: Say) -> Start:
    """The weights to start from; none where neither a file nor the makers' own are asked for."""
    if init is not None:
        return start_from_file(init, unseen)
    return start_from_pretrained(architecture, unseen, say) if pretrained else Start()


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
        train=parts["train"] | before.train,
        calibration=parts["calibration"],
        test=parts["test"],
        recipe=dataclasses.asdict(recipe),
        history=tuple(history),
        hashes=dict(before.hashes) | {key: int(value) for key, value in zip(images.digests, hashes, strict=True)},
        groups=dict(before.groups) | group_digests(images),
    )


def _check_parameters(out: Path, epochs: int, calibration_share: float, test_share: float, alpha: float) -> None:
    CalibrationSettings(alpha=alpha)  # refuses one that is no share
    if epochs < 1:
        raise InputError(f"{epochs} epochs were asked for; wanted at least 1.")
    if not (calibration_share > 0 and test_share > 0 and calibration_share + test_share < 1):
        raise InputError(
            f"The shares set aside are {calibration_share} (calibration) and {test_share} (test); "
            "wanted positive numbers that leave something to train on."
        )
    if out.suffix != SUFFIX:
        raise InputError(f"The classifier was to be written to {out.name}; wanted a name that ends in {SUFFIX}.")
    if not out.parent.is_dir():
        raise ArtefactError(f"{out.parent} is not a folder; make it first, so that the result can be written.")


def _check_start(init: Path | None, pretrained: bool, frozen: bool) -> None:
    if init is not None and pretrained:
        raise InputError("Both a file to start from and the pretrained weights were asked for; give one of them.")
    if frozen and init is None and not pretrained:
        raise InputError("A frozen network needs weights that know something; ask for pretrained ones, or give a file.")


def _has_bfloat16(device: str) -> bool:
    """Whether the processor computes in bfloat16, which is then about three times faster."""
    if device == "cpu":
        return any(supported for name, supported in torch.cpu.get_capabilities().items() if name.endswith("bf16"))
    return device.startswith("cuda") and torch.cuda.is_bf16_supported()
