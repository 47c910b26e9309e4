"""A network with a linear head, its preprocessing and its record: images → Activations in one pass."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nero_core.data.images import DECODING_THREADS, preprocess, read_image
from nero_core.data.input_checks import Check, check_image
from nero_core.data.near_duplicates import difference_hash
from nero_core.data.preprocessing import Preprocessing
from nero_core.errors import InputError
from nero_core.network.architectures import build_network, preprocessing_of
from nero_core.network.checkpoints import Weights, load_weights, read_weights
from nero_core.network.classifier_file import FORMAT, check_kinds, read_classifier_file
from nero_core.network.extraction import BATCH_SIZE, Batch, Rows, cells, mean_and_deviation
from nero_core.network.given_preprocessing import recorded_origins
from nero_core.network.image_source import Images
from nero_core.network.inspection import inspect_layout
from nero_core.network.random_state import global_generator
from nero_core.network.taps import Tapped
from nero_core.records import Activations, Float32Array, Head, IntArray, Progress, Say, Source, TrainingRecord
from nero_core.storage.files import write_arrays

OnUnreadable = Callable[[int, InputError], None]


class Classifier:
    """A trained network, ready to score.

    Threads may extract side by side: what a pass sees is kept per thread. The network itself carries no hook;
    the taps sit on a twin that shares its parameters.

    Parameters
    ----------
    network : nn.Module
        Any network whose output is that of one linear layer.
    architecture : str
        The name it was built by.
    classes : sequence of str
        K class names, in the order of the logits.
    preprocessing : Preprocessing
    training : TrainingRecord, optional
        None where it is not known what the network was trained on.
    device : str
        "cpu", "cuda" or "mps".

    Raises
    ------
    InputError
        The head has not one output for each class.
    """

    def __init__(
        self,
        network: nn.Module,
        architecture: str,
        classes: Sequence[str],
        preprocessing: Preprocessing,
        training: TrainingRecord | None = None,
        device: str = "cpu",
    ) -> None:
        self.network = network.to(device=device, memory_format=torch.channels_last).eval().requires_grad_(False)  # type: ignore[call-overload]
        self.architecture = architecture
        self.classes = list(classes)
        self.preprocessing = preprocessing.checked()
        self.preprocessing_origins: Mapping[str, str] = {} if training is None else recorded_origins()
        self.training = training
        self.device = torch.device(device)
        self.layout = inspect_layout(self.network, preprocessing.height, preprocessing.width)
        linear = self.network.get_submodule(self.layout.head)
        assert isinstance(linear, nn.Linear)
        if linear.out_features != len(self.classes):
            raise InputError(
                f"The head gives {linear.out_features} logits but {len(self.classes)} class names were given; "
                "give one name per logit."
            )
        weight = linear.weight.detach().float().cpu().numpy().copy()
        bias = np.zeros(len(weight), np.float32) if linear.bias is None else linear.bias.detach().float().cpu().numpy()
        self.head = Head(weight=weight, bias=bias.copy())
        shared = {id(tensor): tensor for tensor in (*self.network.parameters(), *self.network.buffers())}
        self._tapped = Tapped(copy.deepcopy(self.network, memo=shared), self.layout)

    def private_copy(self) -> nn.Module:
        """A deep copy of the network that shares nothing with it and may be changed."""
        return cast(nn.Module, copy.deepcopy(self.network))

    # One pass ------------------------------------------------------------------------------------------------

    def _pass(self, batch: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Logits, features and the maps by name, channels first."""
        with torch.inference_mode():
            logits, seen = self._tapped.run(batch.to(self.device, memory_format=torch.channels_last))
            maps = {name: self.layout.channels_first(name, output) for name, output in seen.items() if name is not None}
        return logits, seen[None], maps

    def forward(self, batch: Tensor, rows: IntArray | None = None) -> Batch:
        """Features, logits, peaks and stage statistics of a preprocessed batch, in one pass.

        Parameters
        ----------
        batch : (n, 3, H, W)
        rows : (n,) int64, optional
            Numbers of the images in a longer list; from 0 where not given.
        """
        logits, features, maps = self._pass(batch)
        peaks = places = grid = None
        with torch.inference_mode():
            if self.layout.map is not None:
                last = maps[self.layout.map]
                grid = (last.shape[2], last.shape[3])
                top = cells(last).max(dim=1)
                peaks, places = top.values.cpu().numpy(), top.indices.cpu().numpy()
            stages = {name: mean_and_deviation(maps[name]).cpu().numpy() for name in self.layout.stages}
        activations = Activations(features.cpu().numpy(), logits.cpu().numpy(), peaks=peaks, stages=stages or None)
        return Batch(np.arange(len(batch)) if rows is None else rows, activations, places, grid)

    def feature_map(self, image: Source) -> Float32Array | None:
        """The map before pooling of one image, (d, h, w); None for a network without one."""
        if self.layout.map is None:
            return None
        return self._pass(torch.from_numpy(self.prepare(image))[None])[2][self.layout.map][0].cpu().numpy()

    def stage_maps(self, image: Source) -> dict[str, Float32Array]:
        """The maps of one image after each stage, {name: (c, h, w)}."""
        maps = self._pass(torch.from_numpy(self.prepare(image))[None])[2]
        return {name: maps[name][0].cpu().numpy() for name in self.layout.stages}

    def prepare(self, image: Source) -> Float32Array:
        """One image as the network's input, (3, H, W) float32."""
        return preprocess(read_image(image), self.preprocessing)

    # Many images ---------------------------------------------------------------------------------------------

    def stream(
        self,
        images: Sequence[Source],
        batch_size: int = BATCH_SIZE,
        on_unreadable: OnUnreadable | None = None,
        progress: Progress | None = None,
        keep_source: bool = False,
        hashed: bool = False,
        checked: bool = False,
    ) -> Iterator[Batch]:
        """Batches of activations, decoded ahead of the network by two threads.

        Parameters
        ----------
        on_unreadable : callable, optional
            Told the position and the error of each image that cannot be read, which is then left out. Without
            it the first such image raises.
        keep_source : bool
            Whether activations also hold the images, for detectors that have to see them again.
        hashed : bool
            Whether batches hold how their images look (:func:`~nero_core.data.near_duplicates.difference_hash`).
        checked : bool
            Whether they hold what is noticed about them (:func:`~nero_core.data.input_checks.check_image`).

        Yields
        ------
        Batch
            Of up to `batch_size` images that could be read.

        Raises
        ------
        InputError
            An image cannot be read and `on_unreadable` is None.
        """

        def decode(source: Source) -> tuple[Float32Array, int, tuple[Check, ...]]:
            image = read_image(source)
            looks, noticed = difference_hash(image) if hashed else 0, check_image(image) if checked else ()
            return preprocess(image, self.preprocessing), looks, noticed

        starts = range(0, len(images), batch_size)
        pool = ThreadPoolExecutor(DECODING_THREADS)
        ahead: list[list[Future[tuple[Float32Array, int, tuple[Check, ...]]]]] = []
        try:
            for number, start in enumerate(starts):
                for wanted in starts[number + len(ahead) : number + 2]:
                    ahead.append([pool.submit(decode, image) for image in images[wanted : wanted + batch_size]])
                rows, inputs, hashes, checks = [], [], [], []
                for row, future in enumerate(ahead.pop(0), start):
                    try:
                        prepared, looks, noticed = future.result()
                    except InputError as error:
                        if on_unreadable is None:
                            raise
                        on_unreadable(row, error)
                    else:
                        inputs.append(prepared)
                        hashes.append(looks)
                        checks.append(noticed)
                        rows.append(row)
                if inputs:
                    batch = self.forward(torch.from_numpy(np.stack(inputs)), np.asarray(rows))
                    if keep_source:
                        source = Images(self, [images[row] for row in rows])
                        batch = replace(batch, activations=replace(batch.activations, source=source))
                    yield replace(
                        batch,
                        hashes=np.array(hashes, dtype=np.uint64) if hashed else None,
                        checks=tuple(checks) if checked else None,
                    )
                if progress is not None:
                    progress(min(start + batch_size, len(images)), len(images))
        finally:
            pool.shutdown(cancel_futures=True)

    def extract(
        self,
        images: Sequence[Source],
        labels: IntArray | None = None,
        batch_size: int = BATCH_SIZE,
        on_unreadable: OnUnreadable | None = None,
        progress: Progress | None = None,
        on_batch: Callable[[Batch], None] | None = None,
        spool: Path | None = None,
        keep_source: bool = False,
    ) -> Activations:
        """Activations of many images (paths, bytes or PIL images) in one pass over them.

        Parameters
        ----------
        labels : (n,) int64, optional
            True classes, kept beside the rows.
        on_batch : callable, optional
            Sees each batch as it passes.
        spool : Path, optional
            A folder; where given, the rows are kept there in memory-mapped files instead of in memory.
        keep_source : bool
            Whether the record also holds the images, for detectors that have to see them again.

        Raises
        ------
        InputError
            There is no readable image, or one cannot be read and `on_unreadable` is None.
        """
        rows = Rows(len(images), spool)
        for batch in self.stream(images, batch_size, on_unreadable, progress):
            rows.add(batch)
            if on_batch is not None:
                on_batch(batch)
        activations = rows.activations(labels)
        if not keep_source:
            return activations
        return replace(activations, source=Images(self, [images[row] for row in rows.kept()]))

    # On disk -------------------------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write weights and record to one ``.safetensors`` file, replaced in one step.

        A tensor is stored in half precision where that loses nothing.
        """
        arrays = {name: _shortest(tensor.detach().cpu().numpy()) for name, tensor in self.network.state_dict().items()}
        metadata = {"format": FORMAT, "classifier": json.dumps(self.description())}
        write_arrays(Path(path), arrays, metadata)

    def description(self) -> dict[str, object]:
        """Architecture, classes, preprocessing and training record as plain JSON values."""
        record: dict[str, object] | None = None
        if self.training is not None:
            record = {
                "train": sorted(self.training.train),
                "calibration": sorted(self.training.calibration),
                "test": sorted(self.training.test),
                "recipe": dict(self.training.recipe),
                "history": [dict(epoch) for epoch in self.training.history],
            }
            if self.training.hashes:
                record["hashes"] = {key: f"{value:016x}" for key, value in sorted(self.training.hashes.items())}
            if self.training.groups:
                record["groups"] = dict(sorted(self.training.groups.items()))
        return {
            "architecture": self.architecture,
            "classes": self.classes,
            "preprocessing": asdict(self.preprocessing),
            "training": record,
        }

    @classmethod
    def load(cls, path: Path, device: str = "cpu") -> Classifier:
        """Read what `save` wrote.

        Raises
        ------
        ArtefactError
            The file is missing, damaged, foreign or newer, a field of it cannot be what it says, or its weights do not
            fit its architecture.
        """
        path = Path(path)
        read = read_classifier_file(path)
        preprocessing = read.preprocessing
        with global_generator(0):  # the initial weights are all replaced
            network = build_network(read.architecture, len(read.classes), (preprocessing.height, preprocessing.width))
        check_kinds(read.weights, network, path.name)
        load_weights(network, {name: torch.from_numpy(array) for name, array in read.weights.items()}, path.name)
        return cls(network, read.architecture, read.classes, preprocessing, read.training, device)


def _shortest(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """The array in half precision where every value survives that, else unchanged."""
    if array.dtype != np.float32:
        return array
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    return half if np.array_equal(half.astype(np.float32), array) else array


def build_classifier(
    architecture: str,
    classes: Sequence[str],
    seed: int = 0,
    init: Path | Weights | None = None,
    preprocessing: Preprocessing | None = None,
    device: str = "cpu",
    say: Say | None = None,
) -> Classifier:
    """A classifier with seeded initial weights, or with those of a checkpoint.

    Parameters
    ----------
    architecture : str
        A name that torchvision or timm knows.
    init : Path or Weights, optional
        ``.safetensors``, or ``.pt``/``.pth`` holding tensors only; or what was read. A head of another size is left at
        its initial values.
    preprocessing : Preprocessing, optional
        The architecture's own where it is not given.
    say : callable, optional
        Told where a head is left so.

    Raises
    ------
    InputError
        The architecture is not known, or it has no single linear head.
    ArtefactError
        The checkpoint cannot be read or does not fit.
    """
    preprocessing = preprocessing or preprocessing_of(architecture)
    with global_generator(seed):
        network = build_network(architecture, len(classes), (preprocessing.height, preprocessing.width))
    if init is not None:
        weights, origin = Weights(read_weights(init), init.name) if isinstance(init, Path) else init
        head = inspect_layout(network, preprocessing.height, preprocessing.width).head
        takes_head = load_weights(network, weights, origin, head)
        if say is not None and not takes_head:
            say(
                f"{origin} has no head `{head}` for {len(classes)} classes: its other weights are taken, and the head "
                "starts untrained."
            )
    return Classifier(network, architecture, classes, preprocessing, device=device)
