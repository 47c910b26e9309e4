"""One image against one reference: the numbers, the figures and the heatmaps, as records and as files."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nero_core import figures
from nero_core.data.images import Source, displayed, read_image
from nero_core.data.near_duplicates import difference_hash
from nero_core.errors import ArtefactError
from nero_core.explanation import Explanation, NeroExplanation
from nero_core.records import Decision, Float32Array, Float64Array
from nero_core.reference.reference import DEFAULT_DETECTOR, Reference
from nero_core.relevance import relevance_of
from nero_core.storage.files import write_bytes


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
    heatmaps : {position in the account: (H, W) float32}
        Pixel maps, leading neurons first.
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
            "top_neurons": [
                {
                    "neuron": e.neurons[place].channel,
                    **({} if e.neurons[place].stage is None else {"stage": e.neurons[place].stage}),
                    "contribution": float(e.contributions[place]),
                    **({} if e.neurons[place].stage else {"relevance": float(self.relevance[place])}),
                    "heatmap_sum": float(heatmap.sum()),
                    "score_if_usual": e.what_if([place]),
                }
                for place, heatmap in self.heatmaps.items()
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
    reference: Reference, source: Source, neurons: int, alpha: float, detector: str = DEFAULT_DETECTOR
) -> Case:
    """Score, decide, explain and draw the heatmaps of one image.

    Raises
    ------
    InputError
        The image cannot be read, α cannot be supported, or the detector has no exact account.
    """
    image = read_image(source)
    activations = reference.classifier.extract([image], keep_source=True)
    hashes = np.array([difference_hash(image)], dtype=np.uint64)
    decision = reference.decide(activations, detector, alpha, hashes=hashes)[0]
    explanation = reference.explain(activations, detector)[0]
    probabilities = activations.probabilities[0]
    maps = reference.open_heatmaps(image)
    leading = {place: explanation.neurons[place] for place, _ in explanation.top(neurons)}
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
        heatmaps={place: maps.neuron(neuron.channel, neuron.stage) for place, neuron in leading.items()},
        overall=maps.overall(),
    )


def case_charts(case: Case, dark: bool = False) -> dict[str, figures.Chart]:
    """Histogram, account and relevance profile of a case, by file name."""
    reference, e = case.reference, case.explanation
    calibration = reference.calibrations[case.detector].of(reference.classes.index(case.predicted_class))
    leading = [neuron for neuron, _ in e.top(len(case.heatmaps))]
    charts = {
        "histogram": figures.score_histogram(
            calibration.scores,
            case.decision.score,
            threshold=calibration.threshold(case.alpha),
            known=reference.ood_scores.get(case.detector),
            state=case.decision.state,
            dark=dark,
        ),
        "account": figures.account_chart(
            figures.account_rows(e.contributions, e.terms, e.factor, leading, e.neurons), dark=dark
        ),
    }
    if (profile := reference.profile) is not None:
        charts["relevance"] = figures.relevance_profile(
            case.relevance, profile.mean, profile.std, known_mean=profile.ood_mean, dark=dark
        )
    return charts


def write_case(case: Case, folder: Path) -> list[Path]:
    """Write a case's numbers (JSON), charts (HTML that opens offline) and heatmaps (PNG); the paths written.

    Raises
    ------
    ArtefactError
        The folder cannot be written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArtefactError(f"{folder} cannot be made ({error.strerror}); choose another --out.") from error
    content = {"case.json": json.dumps(case.numbers(), indent=1).encode()}
    content |= {
        f"{name}.html": chart.figure.to_html(include_plotlyjs=True).encode()
        for name, chart in case_charts(case).items()
    }
    content |= {
        f"neuron-{'-'.join(str(part) for part in case.explanation.neurons[place] if part is not None)}.png": _png(
            figures.overlay(case.picture, heatmap)
        )
        for place, heatmap in case.heatmaps.items()
    }
    content["overall.png"] = _png(figures.overlay(case.picture, case.overall))
    content["image.png"] = _png(case.picture)
    for name, data in content.items():
        write_bytes(folder / name, data)
    return [folder / name for name in content]


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
