"""Arrays to figures: beside every figure the same content as a table and as a sentence; no torch, no screen."""

from nero_core.figures.charts import AccountRow, Effect, account_chart, account_rows, relevance_profile, score_histogram
from nero_core.figures.faithfulness import WAYS, faithfulness_curves, faithfulness_table
from nero_core.figures.neurons import SPREAD_SHOWN, class_weights, neuron_bars, neuron_rows, relevance_map, value_boxes
from nero_core.figures.overlays import colour_bar, overlay, symmetric_limit, tiled
from nero_core.figures.palette import (
    ACCENT,
    DIVERGING,
    LOWERS,
    NEUTRAL,
    RAISES,
    STATE_COLOURS,
    UNUSUAL,
    Cell,
    Chart,
    rounded,
    significant,
)

__all__ = [
    "ACCENT",
    "DIVERGING",
    "LOWERS",
    "NEUTRAL",
    "RAISES",
    "SPREAD_SHOWN",
    "STATE_COLOURS",
    "UNUSUAL",
    "WAYS",
    "AccountRow",
    "Cell",
    "Chart",
    "Effect",
    "account_chart",
    "account_rows",
    "class_weights",
    "colour_bar",
    "faithfulness_curves",
    "faithfulness_table",
    "neuron_bars",
    "neuron_rows",
    "overlay",
    "relevance_map",
    "relevance_profile",
    "rounded",
    "score_histogram",
    "significant",
    "symmetric_limit",
    "tiled",
    "value_boxes",
]
