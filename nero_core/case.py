"""One image against one reference: the numbers, the figures and the heatmaps, as records and as files."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from nero_core import figures
from nero_core.artefacts import write_bytes
from nero_core.errors import ArtefactError
from nero_core.explanation import Explanation
from nero_core.images import Source, displayed, read_image
from nero_core.records import Decision, Float32Array
from nero_core.reference import DEFAULT_DETECTOR, Reference


@dataclass(frozen=True, eq=False)
class Case:
    """All that is said of one image.

    Attributes
    ----------
    picture : RGB image
        What the network saw, at its input size.
    decision : Decision
    explanation : Explanation
    predicted_class : str
    probability : float
        Of the predicted class, in [0, 1].
    heatmaps : {neuron: (H, W) float32}
        CRP pixel maps, leading neurons first.
    overall : (H, W) float32
        Relevance of all neurons together.
    """

    reference: Reference
    alpha: float
    picture: Image.Image
    decision: Decision
    explanation: Explanation
    predicted_class: str
    probability: float
    heatmaps: Mapping[int, Float32Array]
    overall: Float32Array

    def numbers(self) -> dict[str, Any]:
        """Everything but pictures, as plain JSON values."""
        e = self.explanation
        return {
            "reference": self.reference.title,
            "detector": DEFAULT_DETECTOR,
            "alpha": self.alpha,
            **asdict(self.decision),
            "predicted_class": self.predicted_class,
            "probability": self.probability,
            "nearest_class": e.nearest_class,
            "distance": e.distance,
            "bias_term": e.bias_term,
            "low_relevance_share": e.low_relevance_share,
            "conservation_error": e.conservation_error,
            "top_neurons": [
                {
                    "neuron": neuron,
                    "contribution": float(e.contributions[neuron]),
                    "relevance": float(e.relevance[neuron]),
                    "heatmap_sum": float(heatmap.sum()),
                    "score_if_usual": e.what_if([neuron]),
                }
                for neuron, heatmap in self.heatmaps.items()
            ],
            "contributions": e.contributions.tolist(),
            "relevance": e.relevance.tolist(),
        }


def explain_case(reference: Reference, source: Source, neurons: int, alpha: float) -> Case:
    """Score, decide, explain and draw the heatmaps of one image.

    Raises
    ------
    InputError
        The image cannot be read, or α cannot be supported.
    """
    image = read_image(source)
    activations = reference.classifier.extract([image])
    decision = reference.decide(reference.score(activations), alpha=alpha)[0]
    explanation = reference.explain(activations)[0]
    probabilities = activations.probabilities[0]
    maps = reference.open_heatmaps(image)
    leading = [neuron for neuron, _ in explanation.top(neurons)]
    return Case(
        reference=reference,
        alpha=alpha,
        picture=displayed(image, reference.classifier.preprocessing),
        decision=decision,
        explanation=explanation,
        predicted_class=reference.classes[int(probabilities.argmax())],
        probability=float(probabilities.max()),
        heatmaps=dict(zip(leading, maps.neurons(leading), strict=True)),
        overall=maps.overall(),
    )


def case_charts(case: Case, dark: bool = False) -> dict[str, figures.Chart]:
    """Histogram, account and relevance profile of a case, by file name."""
    reference, e = case.reference, case.explanation
    calibration = reference.calibrations[DEFAULT_DETECTOR]
    leading = [neuron for neuron, _ in e.top(len(case.heatmaps))]
    charts = {
        "histogram": figures.score_histogram(
            calibration.scores,
            case.decision.score,
            threshold=calibration.threshold(case.alpha),
            known=reference.ood_scores.get(DEFAULT_DETECTOR),
            state=case.decision.state,
            dark=dark,
        ),
        "account": figures.account_chart(
            figures.account_rows(e.contributions, e.bias_term, e.low_relevance_share, leading), dark=dark
        ),
    }
    if (profile := reference.profile) is not None:
        charts["relevance"] = figures.relevance_profile(
            e.relevance, profile.mean, profile.std, known_mean=profile.ood_mean, dark=dark
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
        f"neuron-{neuron}.png": _png(figures.overlay(case.picture, heatmap))
        for neuron, heatmap in case.heatmaps.items()
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
