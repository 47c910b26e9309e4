"""How a training went, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from nero_core.errors import InputError
from nero_core.figures.palette import ACCENT, SERIES, Chart, blank_figure, table

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
    accuracy = {"in training": (ACCENT, "solid", learnt), "on images set aside": (SERIES[1], "dash", aside)}
    shown = {"Loss": loss, "Accuracy in training, %": learnt, "Accuracy on images set aside, %": aside}
    rows = table({"Epoch": epochs, **shown})
    fell = f"Loss over {len(epochs)} epochs: from {loss[0]:.3g} to {loss[-1]:.3g}."
    rose = (
        f"Accuracy after {len(epochs)} epochs: {learnt[-1]:.0f} % in training, {aside[-1]:.0f} % on images set aside."
    )
    first = Chart(_curves(epochs, {"Loss": (ACCENT, "solid", loss)}, "Loss", dark), rows, fell)
    return first, Chart(_curves(epochs, accuracy, "Accuracy, %", dark), rows, rose)


def _curves(
    epochs: Sequence[int], curves: Mapping[str, tuple[str, str, Sequence[float]]], title: str, dark: bool
) -> go.Figure:
    figure = blank_figure(dark, HEIGHT)
    for name, (colour, dash, values) in curves.items():
        figure.add_scatter(
            x=list(epochs), y=list(values), name=name, mode="lines+markers", line={"color": colour, "dash": dash}
        )
    figure.update_layout(showlegend=len(curves) > 1)
    figure.update_xaxes(title="Epoch", tick0=1, dtick=max(1, len(epochs) // 10))
    figure.update_yaxes(title=title, rangemode="tozero")
    return figure
