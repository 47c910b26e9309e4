"""How a training went, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from nero_core.errors import InputError
from nero_core.figures.palette import ACCENT, SERIES, Chart, blank_figure, table
from nero_core.wording import said

HEIGHT = 260


def training_curves(history: Sequence[Mapping[str, float]], dark: bool = False) -> tuple[Chart, Chart]:
    """Loss, and accuracy in training beside that on images set aside, over epochs.

    Parameters
    ----------
    history : sequence of {figure: value}
        Per epoch: epoch (from 1), loss, train_accuracy and test_accuracy in [0, 1].
    dark : bool

    Raises
    ------
    InputError
        There is no epoch, or one lacks a figure.
    """
    wanted = ("epoch", "loss", "train_accuracy", "test_accuracy")
    if not history or any(key not in epoch for epoch in history for key in wanted):
        raise InputError(f"{len(history)} epochs were given; wanted at least one, each with {', '.join(wanted)}.")
    epochs = [int(epoch["epoch"]) for epoch in history]
    loss = [epoch["loss"] for epoch in history]
    learnt, aside = ([100 * epoch[key] for epoch in history] for key in ("train_accuracy", "test_accuracy"))
    accuracy = {said("in training"): (ACCENT, "solid", learnt), said("on images set aside"): (SERIES[1], "dash", aside)}
    shown = {
        said("Loss"): loss,
        said("Accuracy in training, %"): learnt,
        said("Accuracy on images set aside, %"): aside,
    }
    rows = table({said("Epoch"): epochs, **shown})
    fell = said(
        "Loss over {epochs} epochs: from {loss} to {last}.",
        epochs=len(epochs),
        loss=f"{loss[0]:.3g}",
        last=f"{loss[-1]:.3g}",
    )
    rose = said(
        "Accuracy after {epochs} epochs: {learnt} % in training, {aside} % on images set aside.",
        epochs=len(epochs),
        learnt=f"{learnt[-1]:.0f}",
        aside=f"{aside[-1]:.0f}",
    )
    first = Chart(_curves(epochs, {said("Loss"): (ACCENT, "solid", loss)}, said("Loss"), dark), rows, fell)
    return first, Chart(_curves(epochs, accuracy, said("Accuracy, %"), dark), rows, rose)


def _curves(
    epochs: Sequence[int], curves: Mapping[str, tuple[str, str, Sequence[float]]], title: str, dark: bool
) -> go.Figure:
    figure = blank_figure(dark, HEIGHT)
    for name, (colour, dash, values) in curves.items():
        figure.add_scatter(
            x=list(epochs), y=list(values), name=name, mode="lines+markers", line={"color": colour, "dash": dash}
        )
    figure.update_layout(showlegend=len(curves) > 1)
    figure.update_xaxes(title=said("Epoch"), tick0=1, dtick=max(1, len(epochs) // 10))
    figure.update_yaxes(title=title, rangemode="tozero")
    return figure
