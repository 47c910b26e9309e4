"""What detectors that see the images once more share: a private copy of the network, with taps.

Each call works on a copy of the network that is thrown away afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from nero_core.detectors.base import Detector
from nero_core.errors import InputError
from nero_core.records import Activations, Head, ImageSource, IntArray, Layout

if TYPE_CHECKING:
    from torch import Tensor, nn


class Opened:
    """A private copy of a network and its images, with taps on some of its modules."""

    def __init__(self, source: ImageSource, taps: Sequence[str], one_by_one: bool = False) -> None:
        network = source.network().eval().requires_grad_(False)
        self._one_by_one = one_by_one
        self.network, self.source, self.taps = network, source, taps
        self.seen: dict[str, Tensor] = {}
        for name in taps:
            network.get_submodule(name).register_forward_hook(self._keeper(name))

    def _keeper(self, name: str) -> Any:
        def keep(module: nn.Module, args: object, output: Tensor) -> None:
            self.seen[name] = output

        return keep

    def images(self) -> Iterator[Tensor]:
        """The preprocessed batches, where and as the network takes them."""
        import torch

        parameter = next(self.network.parameters())
        for batch in self.source.batches():
            images = torch.from_numpy(batch).to(parameter.device, parameter.dtype)
            yield from images.split(1) if self._one_by_one else [images]  # type: ignore[no-untyped-call]

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits and the tapped maps (n, c, h, w), in float64 where the device has it, without gradients.

        Parameters
        ----------
        images : (n, 3, H, W)
        """
        logits = self.run(images)
        return logits.cpu().double(), self.channels_first([self.seen[name].cpu().double() for name in self.taps])

    def run(self, images: Tensor) -> Tensor:
        """Logits, without gradients; what the taps saw is in `seen`.

        Parameters
        ----------
        images : (n, 3, H, W)
        """
        import torch

        parameter = next(self.network.parameters())
        with torch.no_grad():
            logits: Tensor = self.network(images.to(parameter.device, parameter.dtype))
        return logits

    def run_to(self, images: Tensor) -> None:
        """A pass that ends at the last of the taps, which stand in the order of the network: `seen` has them all.

        Parameters
        ----------
        images : (n, 3, H, W)
        """
        import torch

        def end(module: nn.Module, args: object, output: Tensor) -> None:
            raise _ReachedError

        parameter = next(self.network.parameters())
        last = self.network.get_submodule(self.taps[-1]).register_forward_hook(end)
        try:
            with torch.no_grad():
                self.network(images.to(parameter.device, parameter.dtype, memory_format=torch.channels_last))
        except _ReachedError:
            return
        finally:
            last.remove()

    def channels_first(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps of the taps as (n, c, h, w), wherever the network has its channels."""
        layout = self.source.layout
        return [layout.channels_first(name, each) for name, each in zip(self.taps, maps, strict=True)]


class _ReachedError(Exception):
    """The last tap was reached; ends a pass."""


def check_channels(channels: IntArray, wanted: int, title: str) -> None:
    """Refuse channels per stage that do not add up to an array's axis of all of them.

    Parameters
    ----------
    channels : (stages,) int64

    Raises
    ------
    InputError
        They do not.
    """
    if int(channels.sum()) != wanted:
        raise InputError(f"`channels_` of {title} are {channels.sum()} in all; wanted {wanted}.")


class SeesImages(Detector):
    """A detector that runs the network."""

    place: ClassVar[Literal["map", "stages"] | None] = None
    """What of :class:`~nero_core.records.Layout` it taps; None where it needs no tap."""

    def check_network(self, layout: Layout, head: Head) -> None:
        """As of :class:`Detector`; the network has the place that is tapped, too."""
        super().check_network(layout, head)
        self._tapped(layout)

    def _tapped(self, layout: Layout) -> tuple[str, ...]:
        if self.place is None:
            return ()
        if not (found := getattr(layout, self.place)):
            what = {"map": "the map before global pooling", "stages": "the maps of a network's stages"}[self.place]
            raise InputError(f"{self.info.title} reads {what}, and this network has none; leave it out.")
        return found if self.place == "stages" else (found,)

    def _opened(self, batch: Activations, one_by_one: bool = False) -> Opened:
        assert batch.source is not None  # `needs` was checked
        return Opened(batch.source, self._tapped(batch.source.layout), one_by_one)
