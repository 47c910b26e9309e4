"""Heatmaps of a trained network beside those of the same network with its weights shuffled, which knows nothing.

Source: Adebayo et al., "Sanity checks for saliency maps", 2018. What a method draws alike for both cannot come from
what the network has learnt.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image

from nero_core.attribution import Attributions
from nero_core.attribution.faithfulness import (
    CELLS,
    KINDS,
    RANDOM,
    STEPS,
    Faithfulness,
    Scores,
    curves_along,
    with_shuffled_weights,
)
from nero_core.attribution.regions import cell_means, rank_correlation
from nero_core.data.images import displayed
from nero_core.errors import InputError
from nero_core.records import Float32Array, Progress, Source
from nero_core.reference.reference import Reference

SHUFFLING_SEED = 0
"""Of the order that the weights are put into: every visit sees the same shuffled network."""

RANDOM_ORDERS = 8
"""Random orders that the two maps of one picture are held against."""

ALIKE_FROM = 0.3
"""Rank correlation of the sizes from which two maps are called much alike. Our choice: the order of one then tells
about a tenth of that of the other (0.3² = 0.09)."""

TRAINED, SHUFFLED = "trained", "shuffled"
"""The two networks."""


@dataclass(frozen=True, eq=False)
class TwoMaps:
    """The maps of one picture by one method.

    Attributes
    ----------
    trained, shuffled : (H, W) float32
        Relevance to the answer of the trained network, and to that of the one with shuffled weights.
    """

    trained: Float32Array
    shuffled: Float32Array

    @property
    def agreement(self) -> float:
        """Rank correlation of the cells' mean relevance, with its sign, in [−1, 1]; 0 is best."""
        first, second = (cell_means(each, CELLS) for each in (self.trained, self.shuffled))
        return rank_correlation(first, second)

    @property
    def agreement_of_sizes(self) -> float:
        """The same of relevance without its sign: whether both point at the same places, for or against."""
        first, second = (cell_means(np.abs(each), CELLS) for each in (self.trained, self.shuffled))
        return rank_correlation(first, second)

    @property
    def alike(self) -> bool:
        """Whether both point at much the same places; see `ALIKE_FROM`."""
        return self.agreement_of_sizes >= ALIKE_FROM


class HeatmapTrial:
    """A reference's network and the same with shuffled weights, with the heatmap methods of both.

    Any number of threads may use it: both networks are run from private copies.

    Parameters
    ----------
    reference : Reference
        Read, never changed.
    """

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self._methods = {
            TRAINED: reference.attributions,
            SHUFFLED: Attributions(with_shuffled_weights(reference.classifier, SHUFFLING_SEED)),
        }

    @property
    def best(self) -> str:
        """Title of the method by which heatmaps are made where nobody chooses."""
        return self.reference.attributions.by().method

    @property
    def methods(self) -> list[str]:
        """Titles of all methods that the network has, the best first; costs some forward passes."""
        fits = self.reference.attributions.fits
        return [self.best, *(title for title, fit in fits.items() if fit and title != self.best)]

    def maps(self, image: Source, method: str) -> TwoMaps:
        """Where both networks looked, by one method.

        Parameters
        ----------
        method : str
            Title of one of :attr:`methods`.

        Raises
        ------
        InputError
            The image cannot be read, or the network does not have the method.
        """
        pixels = self.reference.classifier.prepare(image)
        return TwoMaps(*(each.by(method).open(pixels).overall() for each in self._methods.values()))

    def shown(self, image: Image.Image) -> Image.Image:
        """What of a picture the maps are of, to lay them over: all of it where the network sees it stretched.

        Parameters
        ----------
        image : RGB picture
        """
        preprocessing = self.reference.classifier.preprocessing
        return image if preprocessing.crop_share is None else displayed(image, preprocessing)

    def curves(
        self, image: Source, maps: TwoMaps, random_orders: int = RANDOM_ORDERS, progress: Progress | None = None
    ) -> Faithfulness:
        """How the trained network's answer fares when places are blurred in the order of each map, and brought back.

        Both maps are tried on the trained network: whose map it is, is what is asked. Its methods are `TRAINED`,
        `SHUFFLED` and the random order; noise is not tried, so that `stability` is NaN.

        Parameters
        ----------
        maps : TwoMaps
            Of this picture.
        progress : callable, optional
            Told how many of the blurred pictures were passed through the network.

        Raises
        ------
        InputError
            The image cannot be read, there is no random order, or every detector of the reference reads the image anew.
        """
        if random_orders < 1:
            raise InputError(f"`random_orders` is {random_orders}; wanted at least 1.")
        of_maps = [cell_means(each, CELLS) for each in (maps.trained, maps.shuffled)]
        rng = np.random.default_rng(SHUFFLING_SEED)
        orders = [np.argsort(-each, kind="stable") for each in of_maps]
        orders += [rng.permutation(CELLS**2) for _ in range(random_orders)]
        shares = np.linspace(0, 1, STEPS + 1)
        classifier = self.reference.classifier
        predicted, *values = curves_along(
            classifier, self._score(), classifier.prepare(image), orders, shares, progress=progress
        )
        drawn = len(of_maps)
        probability, score = (
            {
                kind: np.concatenate([curves[:drawn], curves[drawn:].mean(axis=0, keepdims=True)])[:, None]
                for kind, curves in zip(KINDS, each, strict=True)
            }
            for each in values
        )
        return Faithfulness(
            (TRAINED, SHUFFLED, RANDOM),
            shares,
            np.array([predicted], np.int64),
            probability,
            score,
            np.full((drawn, 1), np.nan),
            np.array([[maps.agreement], [1.0]]),
            {kind: each[drawn:, None] for kind, each in zip(KINDS, values[0], strict=True)},
        )

    def _score(self) -> Scores:
        """The score of the deciding detector, or of the first that does not run the network again."""
        for name in (self.reference.deciding, *self.reference.detectors):
            if "source" not in self.reference.detectors[name].info.needs:
                return partial(self.reference.score, detector=name)
        raise InputError("Every detector of this reference reads the image anew; fit it with nero as well.")


# Which side is which -----------------------------------------------------------------------------------------------


def trained_is_first(seed: int, picture: str) -> bool:
    """Whether the trained network's map of a picture is shown as the first of the two: drawn for a visit and a picture.

    Parameters
    ----------
    seed : int
        Of the visit, at least 0.
    picture : str
        Its name.
    """
    return bool(np.random.default_rng((seed, zlib.crc32(picture.encode()))).integers(2))


def sides(seed: int, picture: str) -> Sequence[str]:
    """The two networks in the order in which their maps are shown: (`TRAINED`, `SHUFFLED`) or the other way round."""
    return (TRAINED, SHUFFLED) if trained_is_first(seed, picture) else (SHUFFLED, TRAINED)
