"""Every neuron's weight in an answer, beside what is usual."""

from __future__ import annotations

import numpy as np

from nero_core import wording
from nero_core.errors import InputError
from nero_core.figures import palette
from nero_core.figures.palette import Chart, blank_figure, significant, table
from nero_core.records import FloatArray
from nero_core.wording import label, said


def relevance_profile(
    relevance: FloatArray,
    mean: FloatArray,
    std: FloatArray,
    *,
    known_mean: FloatArray | None = None,
    top: int | None = 24,
    dark: bool = False,
) -> Chart:
    """Per-channel mean relevance: reference images with their spread, known unusual ones, and this image.

    Parameters
    ----------
    relevance, mean, std : (d,)
        This image's relevance; mean and standard deviation over in-distribution images.
    known_mean : (d,), optional
        Mean over images known to be out-of-distribution.
    top : int or None
        Only the channels that deviate most from the mean, largest first; None: all, in their own order.

    Raises
    ------
    InputError
        They are of different numbers of channels.
    """
    r, m, s = (np.asarray(a, np.float64) for a in (relevance, mean, std))
    u = None if known_mean is None else np.asarray(known_mean, np.float64)
    if len({a.shape for a in (r, m, s) + (() if u is None else (u,))}) > 1:
        raise InputError(f"Relevance has {len(r)} channels, the reference {len(m)}; use the reference of this network.")
    order = np.argsort(-np.abs(r - m), kind="stable")[:top] if top is not None else np.arange(len(r))
    few = top is not None
    calibrated, known = label(wording.CALIBRATION_IMAGES), label(wording.KNOWN_UNUSUAL_IMAGES)
    x = [str(j) for j in order] if few else order
    figure = blank_figure(dark, height=340)
    if few:
        figure.add_scatter(
            x=x, y=m[order], mode="markers",
            name=said("{calibrated}: mean ± one standard deviation", calibrated=calibrated),
            marker={"color": palette.ACCENT, "symbol": "line-ew-open", "size": 12, "line": {"width": 3}},
            error_y={"type": "data", "array": s[order], "color": palette.ACCENT, "thickness": 5, "width": 0},
        )  # fmt: skip
    else:
        figure.add_scatter(
            x=np.concatenate([order, order[::-1]]), y=np.concatenate([(m + s)[order], (m - s)[order][::-1]]),
            fill="toself", fillcolor=palette.see_through(palette.ACCENT, 0.3), line={"width": 0}, hoverinfo="skip",
            name=said("{calibrated}: ± one standard deviation", calibrated=calibrated),
        )  # fmt: skip
        figure.add_scatter(
            x=x, y=m[order], mode="lines", line={"color": palette.ACCENT, "width": 1.2}, name=f"{calibrated}: mean"
        )
    if u is not None:
        marks = {"color": palette.UNUSUAL, "symbol": "diamond-open", "size": 9 if few else 4, "line": {"width": 2}}
        figure.add_scatter(x=x, y=u[order], mode="markers", name=f"{known}: mean", marker=marks)
    own_marks = palette.OWN | {"symbol": "circle", "size": 10 if few else 6}
    figure.add_scatter(x=x, y=r[order], mode="markers", name=label(wording.THIS_IMAGE), marker=own_marks)
    title = said("Neuron, most different first") if few else said("Neuron")
    figure.update_layout(
        xaxis={"title": title, "type": "category" if few else "linear", "showgrid": False},
        yaxis={"title": said(wording.RELEVANCE_TO_THE_ANSWER), "zeroline": True},
    )
    columns = {said(wording.THIS_IMAGE): r, said(wording.CALIBRATION_IMAGES): m, said("spread"): s}
    columns |= ({} if u is None else {said(wording.KNOWN_UNUSUAL_IMAGES): u}) | {said("difference"): r - m}
    rows = table({said("neuron"): order} | {name: values[order] for name, values in columns.items()})
    most = int(np.argmax(np.abs(r - m)))
    alt = said(
        "Relevance of {n} of {all} neurons for this image beside their mean over {images}; "
        "neuron {most} differs most, {own} against {usual}.",
        n=len(order),
        all=len(r),
        images=said(wording.CALIBRATION_IMAGES),
        most=most,
        own=significant(r[most]),
        usual=significant(m[most]),
    )
    return Chart(figure, rows, alt)
