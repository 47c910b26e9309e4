"""Is a heatmap true? Deletion and insertion curves, stability under noise, and the check with shuffled weights.

Sources: regions are blurred in order of relevance, and the class probability watched (Samek et al., "Evaluating the
visualization of what a deep neural network has learned", 2017; Petsiuk et al., "RISE", 2018), against a random order;
a map should change little with noise that nobody sees, and altogether with the weights (Adebayo et al., "Sanity checks
for saliency maps", 2018).

Every map is averaged over the same square cells, so that a coarse map and a fine one are asked the same question.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch

from nero_core.attribution.attribution import PREFERRED, Attribution
from nero_core.attribution.regions import area, blurred, cell_means, first_cells, rank_correlation
from nero_core.errors import InputError
from nero_core.metrics import Effect, effect, effect_of_one
from nero_core.network.classifier import Classifier
from nero_core.network.extraction import BATCH_SIZE
from nero_core.records import Activations, Float32Array, Float64Array, IntArray, Progress, Source

CELLS = 14
"""Cells along a side: 16 pixels each at 224, the patches of a vision transformer."""

STEPS = 10
"""Steps from the whole image to the blurred one."""

NOISE = 0.02
"""Standard deviation of the noise, as a share of the range of greys: five of 255, less than a camera's own."""

RANDOM_ORDERS = 3
"""Random orders per image, averaged."""

KINDS = ("deletion", "insertion")
"""The curves: the image is blurred place by place, or is brought back."""

RANDOM = "random order"
"""What the methods are held against."""

Scores = Callable[[Activations], Float64Array]


@dataclass(frozen=True, eq=False)
class Faithfulness:
    """How true the maps of some methods are, for n images.

    Attributes
    ----------
    methods : m names
        The last is `RANDOM`.
    shares : (s,) float64
        Shares of the image that were blurred (deletion) or brought back (insertion), from 0 to 1.
    predicted : (n,) int64
        The class whose probability was watched: that of the whole image.
    probability, score : {"deletion", "insertion": (m, n, s) float64}
        Probability of that class, and the out-of-distribution score, after each step.
    stability : (m − 1, n) float64
        Rank correlation of the cells' relevance with and without noise, in [−1, 1]; 1 is best. NaN where it was not
        tried.
    shuffled : (m − 1, n) float64
        The same between the network and one with shuffled weights; 0 is best.
    random_probability : {"deletion", "insertion": (r, n, s) float64}
        Probability along each of the r random orders, whose mean is the last of `probability`.
    """

    methods: tuple[str, ...]
    shares: Float64Array
    predicted: IntArray
    probability: Mapping[str, Float64Array]
    score: Mapping[str, Float64Array]
    stability: Float64Array
    shuffled: Float64Array
    random_probability: Mapping[str, Float64Array]

    def areas(self, kind: str) -> Float64Array:
        """Mean probability along the curves of "deletion" (small is good) or "insertion" (large is good), (m, n)."""
        return area(self.probability[kind], self.shares)

    def score_areas(self, kind: str) -> Float64Array:
        """Mean out-of-distribution score along the curves, (m, n)."""
        return area(self.score[kind], self.shares)

    @property
    def gain(self) -> Float64Array:
        """Area of insertion minus that of deletion, above the same of a random order, (m − 1, n); large is good."""
        between = self.areas("insertion") - self.areas("deletion")
        return cast(Float64Array, between[:-1] - between[-1])

    @property
    def random_gain(self) -> Float64Array:
        """The same of each random order against their mean, (r, n): what chance alone gives."""
        deletion, insertion = (area(self.random_probability[kind], self.shares) for kind in KINDS)
        between = insertion - deletion
        return cast(Float64Array, between - between.mean(axis=0))

    @property
    def best(self) -> str:
        """The method with the largest mean gain."""
        return self.methods[int(self.gain.mean(axis=1).argmax())]

    @property
    def left(self) -> float:
        """Share of the answer's probability that is left when the whole image is blurred away.

        The last point of the images' mean deletion curve over its first; above 1 where blurring makes the answer surer.
        """
        whole, smooth = _ends(self.probability["deletion"])
        return smooth / whole

    @property
    def score_left(self) -> float | None:
        """The same of the out-of-distribution score; None where scores are not all above 0, and have no share."""
        curve = self.score["deletion"]
        if (curve[0][:, [0, -1]] <= 0).any():
            return None
        whole, smooth = _ends(curve)
        return smooth / whole

    def effect(self, method: str) -> Effect:
        """How much more than chance a method's maps gain: over the images or, of one image, over its random orders."""
        gain = self.gain[self.methods.index(method)]
        if len(gain) == 1:
            return effect_of_one(gain[0] - self.random_gain[:, 0])
        return effect(float(gain.mean()), _standard_error(gain), len(gain))

    def beaten(self, method: str) -> IntArray:
        """How many of the r random orders a method's map gains more than, (n,)."""
        return cast(IntArray, (self.gain[self.methods.index(method)] > self.random_gain).sum(axis=0))

    def summary(self) -> list[dict[str, Any]]:
        """One row per method, means over the images; the random order last.

        "gain_low", "gain_high", "effect" and "better_than_chance" are of :class:`~nero_core.metrics.Effect`, by whose
        one rule "by_chance" is told, too.
        """
        areas = {kind: self.areas(kind) for kind in KINDS} | {f"score_{kind}": self.score_areas(kind) for kind in KINDS}
        rows = []
        for place, method in enumerate(self.methods):
            row: dict[str, Any] = {"method": method} | {kind: float(of[place].mean()) for kind, of in areas.items()}
            if method != RANDOM:
                gain, found = self.gain[place], self.effect(method)
                row |= {
                    "gain": float(gain.mean()),
                    "gain_standard_error": _standard_error(gain),
                    "gain_low": found.low,
                    "gain_high": found.high,
                    "effect": found.standardized,
                    "better_than_chance": found.better,
                    "by_chance": not found.better,
                    "better_than_random": float((gain > 0).mean()),
                    "stability": float(self.stability[place].mean()),
                    "shuffled": float(self.shuffled[place].mean()),
                }
            rows.append(row)
        return rows

    def rows(self) -> list[dict[str, Any]]:
        """One row per image and method, for a table."""
        measures = {kind: self.areas(kind) for kind in KINDS}
        measures |= {"gain": self.gain, "stability": self.stability, "shuffled": self.shuffled}
        return [
            {"image": image, "method": method} | {name: float(of[place, image]) for name, of in measures.items()}
            for image in range(len(self.predicted))
            for place, method in enumerate(self.methods[:-1])
        ]


def heatmap_summary(
    classifier: Classifier, images: Sequence[Source], progress: Progress | None = None
) -> dict[str, Any]:
    """How true the heatmaps of each method are on some images, as a reference keeps it.

    Returns
    -------
    dict
        "images": n; "left": :attr:`Faithfulness.left`; "methods": one row per method, the random order last, as
        :meth:`Faithfulness.summary` gives them but for the detector's score, which is not watched here.
    """
    measured = measure_faithfulness(
        classifier, lambda seen: 1 - seen.probabilities.max(axis=1), images, progress=progress
    )
    rows = [{name: value for name, value in row.items() if "score" not in name} for row in measured.summary()]
    return {"images": len(images), "left": measured.left, "methods": rows}


def _ends(curves: Float64Array) -> tuple[float, float]:
    """Mean over the images of the first and of the last point of curves (m, n, s), which all methods share."""
    return float(curves[0][:, 0].mean()), float(curves[0][:, -1].mean())


def _standard_error(values: Float64Array) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


# The measurement --------------------------------------------------------------------------------------------------


def with_shuffled_weights(classifier: Classifier, seed: int) -> Classifier:
    """The same network with the values of each matrix and kernel in another order; norms and biases stay."""
    network = classifier.private_copy()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
                parameter.copy_(parameter.flatten()[order].view_as(parameter))
    return Classifier(
        network, classifier.architecture, classifier.classes, classifier.preprocessing, device=str(classifier.device)
    )


def available_methods(classifier: Classifier) -> dict[str, Attribution]:
    """Of the methods that are taken where nobody chooses those that a network has, ready for use, preferred first."""
    found: dict[str, Attribution] = {}
    for method in PREFERRED:
        try:
            found[method] = Attribution(classifier, method)
        except InputError:
            continue
    return found


def measure_faithfulness(
    classifier: Classifier,
    score: Scores,
    images: Sequence[Source],
    methods: Sequence[str] | None = None,
    cells: int = CELLS,
    steps: int = STEPS,
    random_orders: int = RANDOM_ORDERS,
    seed: int = 0,
    progress: Progress | None = None,
) -> Faithfulness:
    """Measure how true the overall maps of some methods are.

    Parameters
    ----------
    score : callable
        From activations to out-of-distribution scores (n,), as ``partial(reference.score, detector="nero")`` gives it.
    images : n sources
        Paths, bytes or pictures.
    methods : sequence of str, optional
        Titles; where it is not given those of `PREFERRED` that the network has.
    cells : int
        Cells along a side of the image.
    steps : int
        Steps from the whole image to the blurred one.
    random_orders : int
        Random orders per image, averaged.
    seed : int
        Of random orders, noise and shuffled weights; equal seeds give equal results.

    Raises
    ------
    InputError
        There is no image, one cannot be read, the network does not have a method, or a number makes no sense.
    """
    _check(classifier, images, cells, steps, random_orders)
    if methods is None:
        explained = available_methods(classifier)
    else:
        explained = {method: Attribution(classifier, method) for method in methods}
    other = with_shuffled_weights(classifier, seed)
    shuffled = {method: Attribution(other, method) for method in explained}
    shares = np.linspace(0, 1, steps + 1)
    shape, maps = (len(images), len(shares)), len(explained)
    probability, scores = np.empty((2, len(KINDS), maps + 1, *shape))
    random = np.empty((len(KINDS), random_orders, *shape))
    stability, between = np.empty((2, maps, len(images)))
    predicted = np.empty(len(images), np.int64)
    for n, source in enumerate(images):
        rng = np.random.default_rng((seed, n))
        image = classifier.prepare(source)
        noise = rng.normal(0, NOISE, image.shape) / np.array(classifier.preprocessing.std)[:, None, None]
        noisy = (image + noise).astype(np.float32)
        orders = []
        for m, method in enumerate(explained):
            own = _cells_of(explained[method], image, cells)
            stability[m, n] = rank_correlation(own, _cells_of(explained[method], noisy, cells))
            between[m, n] = rank_correlation(own, _cells_of(shuffled[method], image, cells))
            orders.append(np.argsort(-own, kind="stable"))
        orders += [rng.permutation(cells**2) for _ in range(random_orders)]
        predicted[n], of_class, of_score = curves_along(classifier, score, image, orders, shares)
        for curves, target in ((of_class, probability), (of_score, scores)):
            target[:, :-1, n], target[:, -1, n] = curves[:, :maps], curves[:, maps:].mean(axis=1)
        random[:, :, n] = of_class[:, maps:]
        if progress is not None:
            progress(n + 1, len(images))
    of_kind, score_of, random_of = (dict(zip(KINDS, each, strict=True)) for each in (probability, scores, random))
    return Faithfulness((*explained, RANDOM), shares, predicted, of_kind, score_of, stability, between, random_of)


def _check(classifier: Classifier, images: Sequence[Source], cells: int, steps: int, random_orders: int) -> None:
    """Refuse what cannot be measured with."""
    most = min(classifier.preprocessing.height, classifier.preprocessing.width)
    if not len(images):
        raise InputError("There is no image to measure with; give at least one.")
    if not 1 <= cells <= most or steps < 1 or random_orders < 1:
        raise InputError(
            f"`cells` is {cells}, `steps` {steps} and `random_orders` {random_orders}; wanted at least 1 of each, and "
            f"at most {most} cells along a side."
        )


def _cells_of(attribution: Attribution, image: Float32Array, cells: int) -> Float64Array:
    """Mean relevance of each cell of an image's overall map, (cells²,)."""
    return cell_means(attribution.open(image).overall(), cells)


def curves_along(
    classifier: Classifier,
    score: Scores,
    image: Float32Array,
    orders: Sequence[npt.NDArray[np.integer]],
    shares: Float64Array,
    progress: Progress | None = None,
) -> tuple[int, Float64Array, Float64Array]:
    """The predicted class; its probability and the score along the curves, (deletion and insertion, orders, shares).

    Parameters
    ----------
    image : (3, H, W) float32
        Preprocessed.
    orders : sequence of (cells²,)
        Numbers of the cells, the first one first.
    shares : (s,)
        From 0 to 1.
    progress : callable, optional
        Told how many of the blurred pictures were passed through the network.
    """
    smooth = blurred(image)
    inner = shares[1:-1]
    pictures = [image, smooth]
    for order in orders:
        within = first_cells(order, inner, *image.shape[1:])[:, None]
        pictures += [*np.where(within, smooth, image), *np.where(within, image, smooth)]
    probabilities, values = [], []
    for start in range(0, len(pictures), BATCH_SIZE):
        batch = torch.from_numpy(np.stack(pictures[start : start + BATCH_SIZE]))
        activations = classifier.forward(batch).activations
        probabilities.append(activations.probabilities)
        values.append(score(activations))
        if progress is not None:
            progress(min(start + BATCH_SIZE, len(pictures)), len(pictures))
    every_class = np.concatenate(probabilities)
    predicted = int(every_class[0].argmax())
    of_class = _arranged(every_class[:, predicted], len(orders), len(inner))
    return predicted, of_class, _arranged(np.concatenate(values), len(orders), len(inner))


def _arranged(seen: Float64Array, orders: int, inner: int) -> Float64Array:
    """Values of whole image, blurred image and everything between as curves, (2, orders, inner + 2)."""
    whole, smooth = seen[:2]
    curves = np.empty((2, orders, inner + 2))
    curves[:, :, 1:-1] = seen[2:].reshape(orders, 2, inner).swapaxes(0, 1)
    curves[0, :, 0] = curves[1, :, -1] = whole
    curves[0, :, -1] = curves[1, :, 0] = smooth
    return curves
