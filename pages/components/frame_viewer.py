"""The frame under review, with heatmaps laid over it in the browser, and covers drawn on it.

A viewer knows its frame. Heatmaps come to it one by one, as layers that name its channel, whenever they are made; cards
name a layer each, and the viewer shows it while the pointer or the focus is on the card. All three name the number of
their frame: what was made of another, and comes late, is never drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import streamlit as st

from nero_core import wording
from nero_core.case import Cover
from nero_core.figures.overlays import OUTLINE_SIDE, Layer
from nero_core.figures.palette import DIVERGING
from nero_core.wording import label, said
from pages.components.bundles import component

_viewer, _layer, _card = component("frame_viewer"), component("frame_layer"), component("layer_card")

ALL = "all"
"""The layer that is shown until another is pointed at."""
REGION = "region"
"""The place that the sentence of why speaks of."""


@dataclass(frozen=True)
class Shown:
    """A picture as the browser gets it.

    Attributes
    ----------
    url : str
        ``data:`` and the picture: nothing is kept at an address.
    width, height : int
        In pixels.
    """

    url: str
    width: int
    height: int


def frame_viewer(
    key: str,
    picture: Shown,
    alt: str,
    *,
    frame: int,
    note: str,
    reserved: int,
    seen: tuple[float, float, float, float],
    covers: Sequence[Cover],
    on_drawn: Callable[[], None] | None,
) -> None:
    """The frame with its layers as an outline (until another way is chosen), faded, wiped or off.

    Parameters
    ----------
    key : str
        Also the channel that layers and cards name.
    frame : int
        Number of what is under review; another one whenever the picture or its covers are.
    note : str
        Plain text below the frame, beside what is shown on it.
    reserved : int
        Pixels of the window's height that all else needs: the frame is as high as leaves them.
    seen : left, top, width, height
        Where the layers lie, in fractions of the picture.
    covers : sequence of Cover
        Drawn on the frame.
    on_drawn : callable or None
        Called once a rectangle was drawn, which :func:`drawn` has then. None: covers cannot be drawn.
    """
    data = {
        "channel": key,
        "frame": frame,
        "picture": picture.url,
        "width": picture.width,
        "height": picture.height,
        "alt": alt,
        "note": note,
        "reserved": reserved,
        "seen": list(seen),
        "covers": [list(astuple(cover)) for cover in covers],
        "drawing": on_drawn is not None,
        "colours": list(DIVERGING),
        "words": {name: label(text) for name, text in wording.VIEWER.items()},
    }
    _viewer(key=key, data=data, on_drawn_change=on_drawn or _nothing)


def drawn(key: str) -> Sequence[float] | None:
    """The rectangle that was just drawn on a viewer: left, top, width, height in fractions of the picture."""
    box: Sequence[float] | None = st.session_state[key].drawn
    return box


def frame_layer(channel: str, name: str, title: str, layer: Layer, *, frame: int) -> None:
    """A heatmap for the viewer of that channel, which draws it; nothing is seen where it is called.

    Parameters
    ----------
    name : str
        By which cards name it; :data:`ALL` for that of all neurons together.
    title : str
        What it is, for the viewer's caption: "neuron 12".
    frame : int
        That it was made of, as the viewer names it.
    """
    data = {
        "channel": channel,
        "frame": frame,
        "name": name,
        "title": title,
        "colours": layer.colours,
        "outline": layer.outline,
        "side": OUTLINE_SIDE,
    }
    _layer(key=f"{channel}-layer-{name}", data=data)


def frame_region(channel: str, title: str, box: Cover, *, frame: int) -> None:
    """A place for the viewer of that channel, which draws it with a dashed line and names it in its legend.

    Parameters
    ----------
    title : str
        What it is: in the legend, where it is also shown and hidden.
    box : Cover
        In fractions of the picture.
    frame : int
        That it was found in, as the viewer names it.
    """
    data = {"channel": channel, "frame": frame, "name": REGION, "title": title, "box": list(astuple(box))}
    _layer(key=f"{channel}-{REGION}", data=data | {"colours": "", "outline": "", "side": OUTLINE_SIDE})


def layer_card(
    channel: str,
    name: str,
    title: str,
    text: str,
    crops: Shown | None,
    crops_alt: str,
    caption: str,
    *,
    frame: int,
    waiting: str = "waiting",
) -> None:
    """A card with the frame under one layer, small, beside pictures of what the reference knows of it.

    While the pointer or the focus is on it the viewer shows its layer; pressing it keeps it there, pressing it again
    lets it go.

    Parameters
    ----------
    title, text : str
        Plain text: what it is, and what it does.
    crops : Shown or None
        Reference crops as one picture; None where there are none, and `caption` says why.
    frame : int
        That the card is about, as the viewer names it.
    waiting : {"waiting", "none", "stopped"}
        What stands in place of its map until that is there, of `wording.CARDS`.
    """
    data: dict[str, Any] = {
        "channel": channel,
        "frame": frame,
        "name": name,
        "title": title,
        "text": text,
        "crops": None if crops is None else {"url": crops.url, "width": crops.width, "height": crops.height},
        "crops_alt": crops_alt,
        "caption": caption,
        "words": {name: said(wording.CARDS[name]) for name in ("map", "keep")}
        | {"waiting": said(wording.CARDS[waiting])},
    }
    _card(key=f"{channel}-card-{name}", data=data)


def _nothing() -> None:
    """A component tells of what has a callback only."""
