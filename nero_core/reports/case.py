"""One image held against a reference, as charts and as files."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from nero_core.case import ALL, Case, Concept, Why, before_and_after
from nero_core.data.images import displayed
from nero_core.figures.charts import account_chart, account_rows, score_histogram
from nero_core.figures.overlays import overlay, tiled
from nero_core.figures.palette import Chart
from nero_core.figures.profile import relevance_profile
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


@dataclass(frozen=True, eq=False)
class Tested:
    """What goes into a case's files beside its score: why, the concepts and, where it was covered, that.

    Attributes
    ----------
    why : Why
    concepts : sequence of Concept
    covered : Case or None
        The same image with covers over it.
    picture : RGB image or None
        That image.
    """

    why: Why
    concepts: Sequence[Concept] = ()
    covered: Case | None = None
    picture: Image.Image | None = None


def case_numbers(case: Case, alpha: float, neurons: int, tested: Tested | None = None) -> dict[str, Any]:
    """Everything but pictures, as plain JSON values; see :meth:`~nero_core.case.Case.numbers`."""
    numbers = case.numbers(alpha, neurons)
    if tested is not None:
        numbers |= {"why": tested.why.numbers(), "concepts": [concept.numbers() for concept in tested.concepts]}
        if tested.covered is not None:
            numbers["covered"] = before_and_after(case, tested.covered, alpha)
    return numbers


def write_case(
    case: Case, image: Image.Image, folder: Path, alpha: float, neurons: int, tested: Tested | None = None
) -> list[Path]:
    """Write a case's numbers (JSON), charts (HTML that opens offline) and heatmaps (PNG); the paths written.

    ``similar.png`` has the similar frames where the reference keeps any: a row by relevance and one by features, in the
    order of ``similar`` in ``case.json``.

    Parameters
    ----------
    image : RGB image
        The one that the case is of.
    neurons : int
        How many of the leading neurons get a heatmap.
    tested : Tested, optional
        Why, concepts and covers.

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
    wanted = [*_leading(case, neurons), ALL]
    list(case.draw(image, wanted))
    for neuron in wanted:
        name = "overall" if neuron is ALL else "-".join(["neuron", *(str(part) for part in neuron if part is not None)])
        pictures[f"{name}.png"] = _png(overlay(picture, case.maps[neuron]), case.methods[neuron])
    if tested is not None:
        pictures |= _tested_pictures(case, picture, tested)
    if lacking(case.reference.sample) != NO_FRAMES:
        rows = [[frame.picture for frame in case.similar(by)] for by in BYS]
        pictures["similar.png"] = _png(tiled([picture for row in rows for picture in row], len(rows[0])))
    files = {"case.json": json.dumps(case_numbers(case, alpha, neurons, tested), indent=1).encode()}
    files |= {f"{name}.html": c.figure.to_html(include_plotlyjs=True).encode() for name, c in charts.items()} | pictures
    for name, data in files.items():
        write_bytes(folder / name, data)
    return [folder / name for name in files]


def _tested_pictures(case: Case, picture: Image.Image, tested: Tested) -> dict[str, bytes]:
    """Each concept over the picture and by its reference crops, and the covered image with its heatmap."""
    pictures = {}
    for number, concept in enumerate(tested.concepts, start=1):
        pictures[f"concept-{number}.png"] = _png(overlay(picture, concept.heatmap))
        if crops := concept.crops(case.reference.concepts):
            pictures[f"concept-{number}-examples.png"] = _png(tiled(crops))
    if tested.covered is not None and tested.picture is not None:
        seen = displayed(tested.picture, case.reference.classifier.preprocessing)
        list(tested.covered.draw(tested.picture, [ALL]))
        heatmap = overlay(seen, tested.covered.maps[ALL])
        pictures |= {"covered.png": _png(seen), "covered-overall.png": _png(heatmap, tested.covered.methods[ALL])}
    return pictures


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
