"""Class folders → a classifier, with images set aside before anything is learned from them.

A run is a pure function of the images and its recipe: what an epoch does follows from the seed and the epoch's
number, so that a run taken up again after an interruption ends in the same weights, bit for bit (on one CPU).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nero_core.data.guarantee import DEFAULT_ALPHA, CalibrationSettings
from nero_core.data.listing import read_images
from nero_core.data.near_duplicates import large_groups, mixed_groups, near_duplicate_groups
from nero_core.data.preprocessing import Preprocessing
from nero_core.data.seen import NOT_KNOWN
from nero_core.data.splits import UNKNOWN_START, counted, group_digests, said_of_split, set_aside
from nero_core.errors import ArtefactError, InputError
from nero_core.network.architectures import preprocessing_of
from nero_core.network.augmentation import augmented
from nero_core.network.classifier import Classifier, build_classifier
from nero_core.network.initial_weights import known_of, record_of
from nero_core.network.pictures import Pictures, decode_pictures
from nero_core.network.random_state import global_generator
from nero_core.records import Begin, Progress, Say, TrainingRecord
from nero_core.storage.files import digest, read_arrays, write_arrays

SUFFIX = ".safetensors"
SCRATCH_LEARNING_RATE, INIT_LEARNING_RATE = 1e-3, 1e-4
WARM_UP_SHARE = 0.2
"""Of all steps; then the learning rate falls along a half cosine (Smith & Topin 2018, arXiv:1708.07120)."""


@dataclass(frozen=True)
class Recipe:
    """Everything a run depends on besides the images; stored with the classifier."""

    architecture: str
    epochs: int
    seed: int
    init: str
    learning_rate: float
    calibration_share: float
    test_share: float
    precision: str
    alpha: float = DEFAULT_ALPHA
    group: str = ""
    init_training: str = ""
    batch_size: int = 32
    weight_decay: float = 0.05
    label_smoothing: float = 0.05


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
    architecture : str
    out : Path
        A ``.safetensors`` file.
    epochs, seed : int
    init : Path, optional
        Weights to start from. Images that those were trained on are not set aside.
    calibration_share, test_share : float
        Of the images of each class.
    alpha : float
        Share of false alarms that calibration images of every class must support, as far as the class suffices.
    group : str, optional
        What keeps images together: a folder level, or a column of the manifest.
    init_unseen : bool
        Whether initial weights of unknown training are known to have seen none of these images, as ImageNet's.
        Otherwise the images set aside promise nothing.
    preprocessing : Preprocessing, optional
    device : str
    begin : callable, optional
        ``begin(what)`` announces a stretch of work and returns its progress callback, from which
        :class:`~nero_core.errors.Cancelled` may be raised.
    say : callable, optional
        Is given lines of text: warnings, and a report of each epoch.
    on_epoch : callable, optional
        Is given the history so far, once each epoch is written and once a run is taken up again.

    Raises
    ------
    InputError
        The folders cannot be used, are too small to set images aside, a parameter is out of range, the loss is no
        longer a number, or an interrupted run beside `out` had other images or another recipe.
    ArtefactError
        `out` cannot be written, or `init` or the state of an interrupted run cannot be read.
    """
    begin, say = begin or (lambda what: lambda done, total: None), say or (lambda line: None)
    on_epoch = on_epoch or (lambda history: None)
    _check_parameters(out, epochs, calibration_share, test_share, alpha)
    preprocessing = preprocessing or preprocessing_of(architecture)
    images = read_images(data, group=group, progress=begin("Reading files"))
    network = build_classifier(architecture, images.classes, seed, init, preprocessing, device, say).network
    earlier = record_of(init)
    recipe = Recipe(
        architecture=architecture,
        epochs=epochs,
        seed=seed,
        init="" if init is None else digest(init),
        learning_rate=SCRATCH_LEARNING_RATE if init is None else INIT_LEARNING_RATE,
        calibration_share=calibration_share,
        test_share=test_share,
        precision="bfloat16" if _has_bfloat16(device) else "float32",
        alpha=alpha,
        group=group or "",
        init_training=known_of(init, earlier, init_unseen),
    )
    if recipe.init_training == NOT_KNOWN:
        say(f"note: {UNKNOWN_START}. Without that the images set aside promise nothing.")
    pictures, hashes, unreadable = decode_pictures(images, preprocessing, begin("Decoding images"))
    for reason in unreadable.values():
        say(f"left out: {reason}")
    alike = near_duplicate_groups(hashes)
    for warning in [*large_groups(pictures.images, alike), *mixed_groups(pictures.images, alike)]:
        say(f"note: {warning}")
    seen = frozenset() if earlier is None else earlier.train
    parts = set_aside(pictures.images, hashes, calibration_share, test_share, alpha, seed, seen)
    per_class = counted(parts)
    for line in said_of_split(per_class, alpha):
        say(line)

    run = _Run(network, recipe, {name: pictures.select(part) for name, part in parts.items()}, torch.device(device))
    state = out.with_suffix(f".resume{SUFFIX}")
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
            f"training, {report['test_accuracy']:.3f} on the {len(parts['test'])} test images set aside"
        )
    record = TrainingRecord(
        train=frozenset(parts["train"].digests) | seen,
        calibration=frozenset(parts["calibration"].digests),
        test=frozenset(parts["test"].digests),
        recipe=dataclasses.asdict(recipe),
        history=tuple(run.history),
        hashes=({} if earlier is None else dict(earlier.hashes))
        | {key: int(value) for key, value in zip(pictures.images.digests, hashes, strict=True)},
        groups=({} if earlier is None else dict(earlier.groups)) | group_digests(pictures.images),
    )
    classifier = Classifier(network, architecture, images.classes, preprocessing, record, device)
    classifier.save(out)
    state.unlink(missing_ok=True)
    return Trained(classifier, unreadable, per_class)


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


def learning_rate(step: int, steps: int, peak: float) -> float:
    """One cycle: from 0 up to `peak` over the first fifth of the steps, and down to 0 along a half cosine.

    Parameters
    ----------
    step : int
        From 0 to steps - 1.
    steps : int
    peak : float
    """
    position = (step + 0.5) / steps
    if position < WARM_UP_SHARE:
        return peak * position / WARM_UP_SHARE
    return peak * 0.5 * (1 + math.cos(math.pi * (position - WARM_UP_SHARE) / (1 - WARM_UP_SHARE)))


def _has_bfloat16(device: str) -> bool:
    """Whether the processor computes in bfloat16, which is then about three times faster."""
    if device == "cpu":
        return any(supported for name, supported in torch.cpu.get_capabilities().items() if name.endswith("bf16"))
    return device.startswith("cuda") and torch.cuda.is_bf16_supported()


class _Run:
    """A training under way: weights, the optimiser's moments and the history so far."""

    def __init__(self, network: nn.Module, recipe: Recipe, parts: Mapping[str, Pictures], device: torch.device) -> None:
        self.network, self.recipe, self.parts, self.device = network, recipe, parts, device
        self.history: list[dict[str, float]] = []
        self.parameters = list(network.requires_grad_(True).parameters())
        self.optimiser = torch.optim.AdamW(self.parameters, weight_decay=recipe.weight_decay)
        preprocessing = parts["train"].preprocessing
        self.mean = torch.tensor(preprocessing.mean, device=device)[:, None, None]
        self.std = torch.tensor(preprocessing.std, device=device)[:, None, None]

    def epoch(self, progress: Progress) -> dict[str, float]:
        """Learn from every training image once, then see how the test images fare; adds to the history."""
        pictures, number = self.parts["train"], len(self.history)
        n = len(pictures.images)
        batches = math.ceil(n / self.recipe.batch_size)
        # Seeded by run and epoch, so that an epoch does not depend on how the earlier ones were run.
        draw = int(np.random.SeedSequence([self.recipe.seed, number]).generate_state(1)[0])
        generator = torch.Generator().manual_seed(draw)
        order = np.array_split(torch.randperm(n, generator=generator).numpy(), batches)
        criterion = nn.CrossEntropyLoss(label_smoothing=self.recipe.label_smoothing)
        self.network.train()
        loss_sum = correct = done = 0.0
        with global_generator(draw, self.device):  # dropout draws from it
            for step, (pixels, labels) in enumerate(pictures.batches(order), start=number * batches):
                rate = learning_rate(step, self.recipe.epochs * batches, self.recipe.learning_rate)
                for group in self.optimiser.param_groups:
                    group["lr"] = rate
                inputs = self._inputs(augmented(self._shares(pixels), generator))
                labels = labels.to(self.device)
                with self._autocast():
                    logits = self.network(inputs)
                if not isinstance(logits, Tensor):
                    raise InputError(
                        f"{self.recipe.architecture} gives more than logits while it is trained (an auxiliary head); "
                        "choose another architecture."
                    )
                loss = criterion(logits.float(), labels)
                if not torch.isfinite(loss):
                    raise InputError(f"The loss is {loss.item()} in epoch {number + 1}; start from other weights.")
                self.optimiser.zero_grad(set_to_none=True)
                loss.backward()
                self.optimiser.step()
                loss_sum += loss.item() * len(labels)
                correct += (logits.argmax(dim=1) == labels).sum().item()
                done += len(labels)
                progress(int(done), n)
        report = {
            "epoch": number + 1.0,
            "loss": loss_sum / n,
            "train_accuracy": correct / n,
            "test_accuracy": self._accuracy(self.parts["test"]),
        }
        self.history.append(report)
        return report

    def _accuracy(self, pictures: Pictures) -> float:
        """Share of images whose largest logit is their class's, in full precision."""
        self.network.eval()
        n = len(pictures.images)
        order = np.array_split(np.arange(n), math.ceil(n / self.recipe.batch_size))
        correct = 0.0
        with torch.inference_mode():
            for pixels, labels in pictures.batches(order):
                predicted = self.network(self._inputs(self._shares(pixels))).argmax(dim=1)
                correct += (predicted == labels.to(self.device)).sum().item()
        return correct / n

    def _shares(self, pixels: Tensor) -> Tensor:
        return pixels.to(self.device).float() / 255

    def _inputs(self, shares: Tensor) -> Tensor:
        return ((shares - self.mean) / self.std).contiguous(memory_format=torch.channels_last)

    def _autocast(self) -> AbstractContextManager[object]:
        if self.recipe.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    # The state of an interrupted run ------------------------------------------------------------------------------

    def store(self, path: Path) -> None:
        """Write weights, moments and history, replacing the last state in one step."""
        arrays = {f"weights/{name}": tensor for name, tensor in self.network.state_dict().items()}
        for name, parameter in self.network.named_parameters():
            arrays |= {f"{key}/{name}": moment for key, moment in self.optimiser.state[parameter].items()}
        metadata = {**self._identity(), "history": json.dumps(self.history)}
        write_arrays(path, {name: tensor.detach().cpu().numpy() for name, tensor in arrays.items()}, metadata)

    def restore(self, path: Path) -> None:
        """Take up what `store` wrote.

        Raises
        ------
        InputError
            It belongs to other images or another recipe.
        ArtefactError
            It cannot be read.
        """
        try:
            arrays, metadata = read_arrays(path)
        except ArtefactError as error:
            raise ArtefactError(f"{error} Or delete it, and training starts again.") from error
        for key, ours in self._identity().items():
            if metadata.get(key) != ours:
                raise InputError(
                    f"{path} is the state of an interrupted run with {_difference(key, metadata.get(key), ours)}; "
                    "delete it to start again, or change --out."
                )
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        weights = {name.removeprefix("weights/"): t for name, t in tensors.items() if name.startswith("weights/")}
        self.network.load_state_dict(weights)
        for name, parameter in self.network.named_parameters():
            if f"step/{name}" not in tensors:  # the network does not use it
                continue
            moments: dict[str, Any] = {"step": tensors[f"step/{name}"]}
            for key in ("exp_avg", "exp_avg_sq"):
                # In the parameter's own memory layout, as the optimiser had made it.
                moments[key] = torch.empty_like(parameter, requires_grad=False).copy_(tensors[f"{key}/{name}"])
            self.optimiser.state[parameter] = moments
        self.history = json.loads(metadata["history"])

    def _identity(self) -> dict[str, str]:
        """What must agree for a run to go on: the recipe, the input and the images of each part."""
        lines = [
            f"{name} {label} {key}"
            for name, pictures in self.parts.items()
            for label, key in zip(pictures.images.labels, pictures.images.digests, strict=True)
        ]
        pictures = self.parts["train"]
        return {
            "recipe": json.dumps(dataclasses.asdict(self.recipe), sort_keys=True),
            "classes": json.dumps(pictures.images.classes),
            "preprocessing": json.dumps(dataclasses.asdict(pictures.preprocessing), sort_keys=True),
            "images": hashlib.sha256("\n".join(lines).encode()).hexdigest(),
        }


def _difference(key: str, theirs: str | None, ours: str) -> str:
    """In words, how an interrupted run differs from this one."""
    if key != "recipe" or theirs is None:
        return f"other {key}"
    was, now = json.loads(theirs), json.loads(ours)
    return "another recipe (" + ", ".join(f"{k} {was.get(k)}, now {v}" for k, v in now.items() if was.get(k) != v) + ")"
