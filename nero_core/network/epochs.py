"""A training under way: what each epoch does, and how it is taken up again after an interruption."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nero_core.data.guarantee import DEFAULT_ALPHA
from nero_core.errors import ArtefactError, InputError
from nero_core.network.augmentation import augmented
from nero_core.network.pictures import Pictures
from nero_core.network.random_state import global_generator
from nero_core.records import Layout, Progress
from nero_core.storage.files import read_arrays, write_arrays

VALIDATION = "validation"
"""Training images that are not learned from, and by which the best epoch is chosen."""
ALL_WEIGHTS, HEAD_ALONE = "all", "head"
"""What a run learns."""
WARM_UP_SHARE = 0.2
"""Of all steps; then the learning rate falls along a half cosine (Smith & Topin 2018, arXiv:1708.07120)."""


@dataclass(frozen=True)
class Recipe:
    """Everything a run depends on besides the images; stored with the classifier.

    Attributes
    ----------
    init, init_training, init_origin : str
        SHA-256 of the weights it started from, what is known of their training, and what they are called.
    trained : {"all", "head"}
        Where only a head was fitted nothing below, nor epochs and learning rate, was of effect.
    stage_decay : float
        In (0, 1]: by what the learning rate is multiplied for each stage further from the head.
    patience : int
        After so many epochs without a smaller loss on the validation images the run ends, and the best epoch is the
        result; 0 where the last one is.
    """

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
    init_origin: str = ""
    trained: str = ALL_WEIGHTS
    stage_decay: float = 1.0
    patience: int = 0
    batch_size: int = 32
    weight_decay: float = 0.05
    label_smoothing: float = 0.05


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


def by_stage(network: nn.Module, layout: Layout, decay: float) -> dict[float, list[nn.Parameter]]:
    """The parameters of a network by the share of the learning rate that is theirs, decay ** (stages up to the head).

    A stage's parameters are those up to the last of the module that ends it, in the network's own order; the head's
    come last. Rates that fall with the distance from the head are those of ULMFiT (Howard & Ruder, ACL 2018, section
    3.2), by stage instead of by layer.

    Parameters
    ----------
    layout : Layout
        Of the network.
    decay : float
        In (0, 1]; at 1 all learn alike.
    """
    names = [name for name, _ in network.named_parameters()]
    ends = sorted(
        max(place for place, name in enumerate(names) if name.startswith(f"{stage}."))
        for stage in layout.stages
        if any(name.startswith(f"{stage}.") for name in names)
    )
    groups: dict[float, list[nn.Parameter]] = {}
    for place, (name, parameter) in enumerate(network.named_parameters()):
        above = 0 if name.startswith(f"{layout.head}.") else sum(end >= place for end in ends)
        groups.setdefault(decay**above, []).append(parameter)
    return groups


class Run:
    """A training under way: weights, the optimiser's moments and the history so far."""

    def __init__(
        self,
        network: nn.Module,
        layout: Layout,
        recipe: Recipe,
        parts: Mapping[str, Pictures],
        device: torch.device,
    ) -> None:
        self.network, self.recipe, self.parts, self.device = network, recipe, parts, device
        self.history: list[dict[str, float]] = []
        network.requires_grad_(True)
        preprocessing = parts["train"].preprocessing
        self.optimiser = torch.optim.AdamW(
            [{"params": own, "share": share} for share, own in by_stage(network, layout, recipe.stage_decay).items()],
            weight_decay=recipe.weight_decay,
        )
        self._best: dict[str, Tensor] = {}
        self.mean = torch.tensor(preprocessing.mean, device=device)[:, None, None]
        self.std = torch.tensor(preprocessing.std, device=device)[:, None, None]

    def epoch(self, progress: Progress) -> dict[str, float]:
        """Learn from every training image once, then see how the test images fare; adds to the history.

        Raises
        ------
        InputError
            The loss is not finite, or the network gives more than logits.
        """
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
                    group["lr"] = rate * group["share"]
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
            "test_accuracy": self._answers(self.parts["test"])[1],
        }
        if VALIDATION in self.parts:
            report["validation_loss"], report["validation_accuracy"] = self._answers(self.parts[VALIDATION])
            if all(report["validation_loss"] < earlier["validation_loss"] for earlier in self.history):
                self._best = {name: tensor.clone() for name, tensor in self.network.state_dict().items()}
        self.history.append(report)
        return report

    @property
    def over(self) -> bool:
        """Whether all epochs are done, or the validation images have not got better for too long."""
        done = len(self.history)
        tired = bool(self.recipe.patience and done) and done - self.best >= self.recipe.patience
        return tired or done >= self.recipe.epochs

    @property
    def best(self) -> int:
        """The number of the epoch, from 1, with the smallest loss on the validation images."""
        losses = [epoch["validation_loss"] for epoch in self.history]
        return 1 + losses.index(min(losses))

    def keep_best(self) -> None:
        """Give the network the weights of the epoch that was best on the validation images, where there are any."""
        if self._best:
            self.network.load_state_dict(self._best)

    def _answers(self, pictures: Pictures) -> tuple[float, float]:
        """Mean cross-entropy, and the share of images whose largest logit is their class's; in full precision."""
        self.network.eval()
        n = len(pictures.images)
        order = np.array_split(np.arange(n), math.ceil(n / self.recipe.batch_size))
        loss = correct = 0.0
        with torch.inference_mode():
            for pixels, labels in pictures.batches(order):
                logits, labels = self.network(self._inputs(self._shares(pixels))), labels.to(self.device)
                loss += nn.functional.cross_entropy(logits.float(), labels, reduction="sum").item()
                correct += (logits.argmax(dim=1) == labels).sum().item()
        return loss / n, correct / n

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
        arrays |= {f"best/{name}": tensor for name, tensor in self._best.items()}
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
        self._best = {name.removeprefix("best/"): t for name, t in tensors.items() if name.startswith("best/")}
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
