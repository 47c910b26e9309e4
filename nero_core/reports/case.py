"""One image held against a reference, as charts and as files."""

from __future__ import annotations

import io
import json
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from nero_core.case import ALL, Case
from nero_core.data.images import displayed
from nero_core.figures.charts import account_chart, account_rows, relevance_profile, score_histogram
from nero_core.figures.overlays import overlay, tiled
from nero_core.figures.palette import Chart
from nero_core.neurons.similar import BYS, NO_FRAMES, lacking
from nero_core.records import Neuron
from nero_core.storage.files import make_folder, write_bytes


def case_charts(case: Case, alpha: float, neurons: int, dark: bool = False) -> dict[str, Chart]:
    """Histogram, account and relevance profile of a case with an exact account, by file name."""
    reference, e, calibration = case.reference, case.explanation, case.calibration
    assert e is not None
    leading = [place for place, _ in e.top(neurons)]
    charts = {
        "histogram": score_histogram(
            calibration.scores,
            case.score,
            threshold=calibration.threshold(alpha),
            known=reference.ood_scores.get(case.detector),
            state=case.decide(alpha).state,
            dark=dark,
        ),
        "account": account_chart(account_rows(e.contributions, e.terms, e.factor, leading, e.neurons), dark=dark),
    }
    if (profile := reference.profile) is not None:
        charts["relevance"] = relevance_profile(
            case.relevance, profile.mean, profile.std, known_mean=profile.ood_mean, dark=dark
        )
    return charts


def write_case(case: Case, image: Image.Image, folder: Path, alpha: float, neurons: int) -> list[Path]:
    """Write a case's numbers (JSON), charts (HTML that opens offline) and heatmaps (PNG); the paths written.

    ``similar.png`` has the similar frames where the reference keeps any: a row by relevance and one by features, in the
    order of ``similar`` in ``case.json``.

    Parameters
    ----------
    image : RGB image
        The one that the case is of.
    neurons : int
        How many of the leading neurons get a heatmap.

    Raises
    ------
    InputError
        α cannot be supported, the detector has no exact account, or the network does not have the method.
    ArtefactError
        The folder cannot be written.
    """
    folder = Path(folder)
    make_folder(folder)
    charts = case_charts(case, alpha, neurons)
    picture = displayed(image, case.reference.classifier.preprocessing)
    pictures = {"image.png": _png(picture)}
    for neuron in case.draw(image, [*_leading(case, neurons), ALL]):
        name = "overall" if neuron is ALL else "-".join(["neuron", *(str(part) for part in neuron if part is not None)])
        pictures[f"{name}.png"] = _png(overlay(picture, case.maps[neuron]), case.methods[neuron])
    if lacking(case.reference.sample) != NO_FRAMES:
        rows = [[frame.picture for frame in case.similar(by)] for by in BYS]
        pictures["similar.png"] = _png(tiled([picture for row in rows for picture in row], len(rows[0])))
    files = {"case.json": json.dumps(case.numbers(alpha, neurons), indent=1).encode()}
    files |= {f"{name}.html": c.figure.to_html(include_plotlyjs=True).encode() for name, c in charts.items()} | pictures
    for name, data in files.items():
        write_bytes(folder / name, data)
    return [folder / name for name in files]


def _leading(case: Case, neurons: int) -> list[Neuron]:
    """Neurons with a heatmap of their own; none where the method gives only that of all together."""
    e = case.explanation
    return [e.neurons[place] for place, _ in e.top(neurons)] if e is not None and case.single_neurons else []


def _png(image: Image.Image, method: str | None = None) -> bytes:
    """A picture as a file, in which the method of its heatmap is named."""
    buffer, notes = io.BytesIO(), PngInfo()
    if method is not None:
        notes.add_itxt("Heatmap by", method)
    image.save(buffer, "PNG", pnginfo=notes)
    return buffer.getvalue()
