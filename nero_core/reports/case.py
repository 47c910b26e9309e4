"""One image held against a reference, as charts and as files."""

from __future__ import annotations

import io
import json
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from nero_core import figures
from nero_core.case import Case
from nero_core.errors import ArtefactError
from nero_core.storage.files import write_bytes


def case_charts(case: Case, dark: bool = False) -> dict[str, figures.Chart]:
    """Histogram, account and relevance profile of a case, by file name."""
    reference, e = case.reference, case.explanation
    calibration = reference.calibrations[case.detector].of(reference.classes.index(case.predicted_class))
    leading = list(case.leading)
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
            figures.overlay(case.picture, heatmap), case.method
        )
        for place, heatmap in case.heatmaps.items()
    }
    content["overall.png"] = _png(figures.overlay(case.picture, case.overall), case.method)
    content["image.png"] = _png(case.picture)
    for name, data in content.items():
        write_bytes(folder / name, data)
    return [folder / name for name in content]


def _png(image: Image.Image, method: str | None = None) -> bytes:
    """A picture as a file, in which the method of its heatmap is named."""
    buffer, notes = io.BytesIO(), PngInfo()
    if method is not None:
        notes.add_itxt("Heatmap by", method)
    image.save(buffer, "PNG", pnginfo=notes)
    return buffer.getvalue()
