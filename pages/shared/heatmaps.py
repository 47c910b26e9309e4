"""Which method heatmaps are by: what was chosen, and the control to choose with."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from nero_core.reference.reference import Reference
from nero_core.wording import HEATMAPS_BY, heatmap_method, said
from pages.shared import controls
from pages.shared.words import plain


def chosen(reference: Reference, key: str) -> str | None:
    """The title that was chosen in the control of that key; None for the best, where nobody chose another that fits.

    Until somebody chooses, no method but the best is looked at: the first heatmaps wait for none of them.
    """
    title: str | None = st.session_state.get(key)
    if title is None or title == reference.attributions.by().method:
        return None
    return title if reference.attributions.fits.get(title) else None


def gives_neurons(title: str | None) -> bool:
    """Whether a method gives maps of single neurons; the best of a network always does."""
    from nero_core.attribution import METHODS

    return title is None or METHODS[title].single_neurons


def method_control(reference: Reference, key: str, single_neurons: bool = False) -> None:
    """A select of the methods that this network has, the best first, and why the others are not offered.

    Parameters
    ----------
    single_neurons : bool
        Whether to leave out methods that give only a map of the whole answer.
    """
    best, fits = reference.attributions.by().method, reference.attributions.fits
    offered = [title for title, fit in fits.items() if fit and (gives_neurons(title) or not single_neurons)]
    offered = [best, *(title for title in offered if title != best)]
    if st.session_state.get(key) not in offered:
        st.session_state.pop(key, None)
    controls.select(
        said(HEATMAPS_BY),
        {title: heatmap_method(title) for title in offered},
        key,
        width=240,
        help=_about(offered, {title: fit.reason for title, fit in fits.items() if not fit}, single_neurons),
    )


def _about(offered: Sequence[str], reasons: dict[str, str], single_neurons: bool) -> str:
    """What each method does, and why the others are not there."""
    from nero_core.attribution import METHODS

    does = [f"**{plain(heatmap_method(title))}**: {plain(said(METHODS[title].meaning))}." for title in offered]
    told = [f"**{plain(heatmap_method(title))}**: {plain(reason)}" for title, reason in reasons.items()]
    if single_neurons:
        told += [
            said(
                "**{title}**: it gives one map of the whole answer; Case review shows it.",
                title=plain(heatmap_method(title)),
            )
            for title, method in METHODS.items()
            if not method.single_neurons and title not in reasons
        ]
    others = [said("Not offered here:"), *told] if told else [said("Every method fits it.")]
    return "\n\n".join([said("The first is the best that this network has."), *does, *others])
