"""A model card as a page of its own, and a section of one as a table."""

from __future__ import annotations

from collections.abc import Collection

from nero_core.reference.model_card import ModelCard, Section
from nero_core.reports.templates import render
from nero_core.wording import STANDING_LINE, said


def page(card: ModelCard) -> str:
    """The card as a page that loads nothing."""
    return render("model_card.html", card=card, standing_line=said(STANDING_LINE))


def table(section: Section, unlike: Collection[str] = ()) -> str:
    """Lines of a section as an HTML table of names and texts, wrapped wherever they must be.

    Parameters
    ----------
    unlike : names
        Of the lines that are marked as unlike those of a card beside this one.
    """
    return render("model_card_section.html", section=section, unlike=unlike)
