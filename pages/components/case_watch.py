"""What a page cannot do by itself when a case opens: come into view, be announced, and warn before it is lost."""

from __future__ import annotations

from pages.components.bundles import component

_watch = component("case_watch")


def case_watch(number: int | None, headline: str = "", anchor: str = "", parts: str = "", opened: int = 0) -> None:
    """Seen by nobody. When another image comes under review, its headline is announced and scrolled into view.

    While a case is open the browser asks before the page is reloaded or left, since the images are kept nowhere. The
    focus stays where it is; where what had it is gone, the headline gets it.

    Parameters
    ----------
    number : int or None
        Of the image under review; None where no case is open.
    headline : str
        What is announced.
    anchor : str
        The key of the container that the headline stands in.
    parts : str
        The key of what holds the parts below.
    opened : int
        How often one of them was opened by hand: it comes into view then.
    """
    data = {"number": number, "headline": headline, "anchor": anchor, "parts": parts, "opened": opened}
    _watch(key="case-watch", data=data)
