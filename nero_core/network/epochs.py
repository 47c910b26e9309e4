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
from nero_core.records import Progress
from nero_core.storage.files import read_arrays, write_arrays

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
    init_origin: str = ""
    frozen: bool = False
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


class Run:
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
