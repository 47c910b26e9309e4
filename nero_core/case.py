"""One image held against a reference: the verdict, its account and the heatmaps, as one record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from PIL import Image

from nero_core.data.images import displayed, read_image
from nero_core.data.near_duplicates import difference_hash
from nero_core.explanation import Explanation, NeroExplanation
from nero_core.records import Decision, Float32Array, Float64Array, Source
from nero_core.reference.reference import DEFAULT_DETECTOR, Reference
from nero_core.relevance import relevance_of


@dataclass(frozen=True, eq=False)
class Case:
    """All that is said of one image.

    Attributes
    ----------
    picture : RGB image
        What the network saw, at its input size.
    decision : Decision
    explanation : Explanation
    relevance : (d,) float64
        r, the features' relevance to the prediction.
    predicted_class : str
    probability : float
        Of the predicted class, in [0, 1].
    leading : positions in the account
        The leading neurons, first the one that adds or takes most.
    method : str
        Title of the heatmap method.
    caution : str
        Why not to lean on its maps here; empty where nothing speaks against them.
    heatmaps : {position in the account: (H, W) float32}
        Pixel maps of the leading neurons; empty where the method gives only the overall map.
    overall : (H, W) float32
        Relevance of all neurons together.
    """

    reference: Reference
    detector: str
    alpha: float
    picture: Image.Image
    decision: Decision
    explanation: Explanation
    relevance: Float64Array
    predicted_class: str
    probability: float
    leading: tuple[int, ...]
    method: str
    caution: str
    heatmaps: Mapping[int, Float32Array]
    overall: Float32Array

    def numbers(self) -> dict[str, Any]:
        """Everything but pictures, as plain JSON values."""
        e = self.explanation
        return {
            "reference": self.reference.title,
            "detector": self.detector,
            "alpha": self.alpha,
            **asdict(self.decision),
            "predicted_class": self.predicted_class,
            "probability": self.probability,
            "nearest_class": e.nearest_class,
            **self._nero_numbers(),
            "factor": e.factor,
            "terms": dict(e.terms),
            "heatmap_method": self.method,
            **({"heatmap_caution": self.caution} if self.caution else {}),
            "top_neurons": [
                {
                    "neuron": e.neurons[place].channel,
                    **({} if e.neurons[place].stage is None else {"stage": e.neurons[place].stage}),
                    "contribution": float(e.contributions[place]),
                    **({} if e.neurons[place].stage else {"relevance": float(self.relevance[place])}),
                    **({"heatmap_sum": float(self.heatmaps[place].sum())} if place in self.heatmaps else {}),
                    "score_if_usual": e.what_if([place]),
                }
                for place in self.leading
            ],
            "contributions": e.contributions.tolist(),
            "relevance": self.relevance.tolist(),
        }

    def _nero_numbers(self) -> dict[str, float]:
        e = self.explanation
        if not isinstance(e, NeroExplanation):
            return {}
        return {
            "distance": e.distance,
            "bias_term": e.bias_term,
            "low_relevance_share": e.low_relevance_share,
            "conservation_error": e.conservation_error,
        }


def explain_case(
    reference: Reference,
    source: Source,
    neurons: int,
    alpha: float,
    detector: str = DEFAULT_DETECTOR,
    method: str | None = None,
) -> Case:
    """Score, decide, explain and draw the heatmaps of one image.

    Parameters
    ----------
    neurons : int
        How many leading neurons get a heatmap.
    alpha : float
        Accepted share of false alarms.
    method : str, optional
        Title of a heatmap method; the best that the network has where it is not given.

    Raises
    ------
    InputError
        The image cannot be read, α cannot be supported, the detector has no exact account, or the network does not have
        the method.
    """
    image = read_image(source)
    activations = reference.classifier.extract([image], keep_source=True)
    hashes = np.array([difference_hash(image)], dtype=np.uint64)
    decision = reference.decide(activations, detector, alpha, hashes=hashes)[0]
    explanation = reference.explain(activations, detector)[0]
    probabilities = activations.probabilities[0]
    maps = reference.open_heatmaps(image, method)
    leading = {place: explanation.neurons[place] for place, _ in explanation.top(neurons)}
    shown = leading if maps.single_neurons else {}
    return Case(
        reference=reference,
        detector=detector,
        alpha=alpha,
        picture=displayed(image, reference.classifier.preprocessing),
        decision=decision,
        explanation=explanation,
        relevance=relevance_of(activations, reference.classifier.head).neurons[0],
        predicted_class=reference.classes[int(probabilities.argmax())],
        probability=float(probabilities.max()),
        leading=tuple(leading),
        method=maps.method,
        heatmaps={place: maps.neuron(neuron.channel, neuron.stage) for place, neuron in shown.items()},
        overall=maps.overall(),
        caution=maps.caution,
    )
