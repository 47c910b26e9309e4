"""Relevance as a map: images that the network answers for like reasons lie close; a lasso opens them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import streamlit as st

from nero_core.errors import NeroError
from nero_core.figures.palette import Cell
from nero_core.figures.relevance_map import BEYOND, relevance_map
from nero_core.neurons.sample import NeuronSample
from nero_core.neurons.sheets import cut_sheet
from nero_core.neurons.statistics import Group
from nero_core.records import IntArray
from nero_core.reference.manifest import ReferenceEntry
from nero_core.reference.reference import Reference
from nero_core.wording import said
from pages.shared import controls, widgets
from pages.shared.words import plain

OPENED_AT_MOST = 48
THUMBNAIL_PIXELS = 72
TOOLS = [["select2d", "lasso2d"], ["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "autoScale2d"]]


def show(entry: ReferenceEntry, stored: Reference, case: Mapping[str, Group], key: str, *, wide: bool = True) -> None:
    """The map of one reference, and the images that were chosen in it: beside it where it has the page to itself."""
    sample, projection = stored.sample, stored.projection
    if sample is None or projection is None:
        st.info(
            said(
                "No map of {title}: its centroids come with NERO and a stored sample. Fit it again with both.",
                title=plain(entry.title),
            )
        )
        return
    points = projection(sample.relevance)
    whole = float(sample.relevance.var(axis=0).sum())
    spread = points.var(axis=0) / whole if whole > 0 else np.zeros(2)
    chart = relevance_map(
        points,
        sample.groups,
        sample.names,
        projection.centroids,
        case={name: projection(group.relevance)[0] for name, group in case.items()},
        shares=(float(spread[0]), float(spread[1])),
    )
    left, right = st.columns([7, 4], gap="medium") if wide else (st.container(), st.container())
    with left:
        selecting = {"on_select": "rerun", "selection_mode": ("points", "box", "lasso")}
        event = widgets.plot(chart, f"Map {key}", tools=TOOLS, key=f"neurons-map-{key}", **selecting)
        widgets.table_twin(chart.rows, said("Map"), picture=f"Map {key}")
    with right:
        rows = [point["customdata"] for point in event.selection.points if "customdata" in point]
        found = np.unique([int(np.ravel(row)[0]) for row in rows]).astype(np.int64)
        opened(sample, found if len(found) else from_group(sample, key))
        st.caption(
            said(
                "✕ centroid of a class in the training images. Two components hold only the stated part of the "
                "variance: images that lie together here may be far apart in the others."
            )
        )
        far([row for row in chart.rows if row[said(BEYOND)]])


def far(rows: Sequence[Mapping[str, Cell]]) -> None:
    """Which images lie so far out that they are drawn at the map's edge, and where they are."""
    if not rows:
        return
    st.markdown(said("**{n} lie beyond the frame**, and are drawn at its edge, each with an arrow:", n=len(rows)))
    st.dataframe(
        [dict(row) for row in rows],
        hide_index=True,
        placeholder="–",
        height=min(38 + 35 * len(rows), 400),
        alt=said("What lies beyond the frame of the map, and where"),
    )


def from_group(sample: NeuronSample, key: str) -> IntArray:
    """The same without a pointer: the images of one group."""
    chosen = controls.select_or_none(
        said("Draw a lasso or a box to open images, or open a group"),
        dict(enumerate(sample.names)),
        f"neurons-map-group-{key}",
        placeholder=said("No group"),
    )
    return np.zeros(0, np.int64) if chosen is None else np.flatnonzero(sample.groups == chosen)


def opened(sample: NeuronSample, rows: IntArray) -> None:
    """The chosen images: what they are, what the network says, and how they look."""
    if not len(rows):
        return
    answers = sample.logits[rows].argmax(axis=1)
    chosen = said("**{n} images chosen**", n=len(rows))
    st.markdown(chosen + (said(", {n} shown", n=OPENED_AT_MOST) if len(rows) > OPENED_AT_MOST else ""))
    if sample.read_sheet is None:
        st.caption(said("This reference carries no pictures."))
    else:
        try:
            pictures = _pictures(sample)
        except NeroError as error:
            st.warning(plain(str(error)))
        else:
            names = [sample.names[sample.groups[row]] for row in rows[:OPENED_AT_MOST]]
            tiles = [pictures[row] for row in rows[:OPENED_AT_MOST]]
            with st.container(horizontal=True, gap="xsmall"):
                for row, name, tile in zip(rows, names, tiles, strict=False):
                    st.image(
                        tile,
                        width=THUMBNAIL_PIXELS,
                        alt=said("Image {row}, {name}", row=row, name=name),
                        caption=f"{row}",
                    )
    table = [
        {
            said("image"): int(row),
            said("group"): sample.names[sample.groups[row]],
            said("network’s answer"): sample.names[answer],
        }
        for row, answer in zip(rows, answers, strict=True)
    ]
    st.dataframe(table, hide_index=True, height=min(38 + 35 * len(table), 220), alt=said("The chosen images"))


@st.cache_resource(max_entries=3, show_spinner=False, hash_funcs={NeuronSample: id})
def _pictures(sample: NeuronSample) -> list[object]:
    assert sample.read_sheet is not None
    return list(cut_sheet(sample.read_sheet(), len(sample.groups)))
