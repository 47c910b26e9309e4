"""How a training went, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from nero_core.errors import InputError
from nero_core.figures.palette import ACCENT, RAISES, Cell, Chart, blank_figure, rounded

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
    last = history[-1]
    loss = _curves(epochs, {"Loss": (ACCENT, "solid", [epoch["loss"] for epoch in history])}, "Loss", dark)
    accuracy = _curves(
        epochs,
        {
            "in training": (ACCENT, "solid", [100 * epoch["train_accuracy"] for epoch in history]),
            "on images set aside": (RAISES, "dash", [100 * epoch["test_accuracy"] for epoch in history]),
        },
        "Accuracy, %",
        dark,
    )
    rows: list[dict[str, Cell]] = [
        {
            "Epoch": int(epoch["epoch"]),
            "Loss": rounded(epoch["loss"]),
            "Accuracy in training, %": rounded(100 * epoch["train_accuracy"]),
            "Accuracy on images set aside, %": rounded(100 * epoch["test_accuracy"]),
        }
        for epoch in history
    ]
    return (
        Chart(loss, rows, f"Loss over {len(epochs)} epochs: from {history[0]['loss']:.3g} to {last['loss']:.3g}."),
        Chart(
            accuracy,
            rows,
            f"Accuracy after {len(epochs)} epochs: {100 * last['train_accuracy']:.0f} % in training, "
            f"{100 * last['test_accuracy']:.0f} % on images set aside.",
        ),
    )


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
