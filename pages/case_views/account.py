"""Why this score: the account, the what-if, and all neurons beside what is usual."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from nero_core.figures.charts import account_chart, account_rows
from nero_core.figures.palette import significant
from nero_core.figures.profile import relevance_profile
from nero_core.wording import SCORE_DECOMPOSITION, label, message, said
from pages.shared import controls, widgets, words
from pages.shared.words import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streamlit.delta_generator import DeltaGenerator

    from nero_core.case import Case
    from nero_core.explanation import Explanation, Ranking

LEADING = 8  # neurons with a bar of their own
LARGEST = 24  # neurons in the profile, unless all are asked for
NUMBERED = message("Numbers are those of the last layer’s neurons, which the answer is made of.")
RANKINGS: Mapping[Ranking, str] = {
    "contribution": message("difference from usual"),
    "relevance": message("weight in the answer"),
}


def whose(reading: Case) -> None:
    """Of a panel, whose score is taken apart: that of the first member in sight that is a sum over neurons."""
    titles = {name: plain(detector.info.title) for name, detector in reading.reference.detectors.items()}
    leader, explained = reading.members[0].name, reading.explained
    share = {each.name: each.share for each in reading.members}[explained]
    text = said(
        "This is the {decomposition} of **{title}**, which adds {share} % to the verdict.",
        decomposition=said(SCORE_DECOMPOSITION),
        title=titles[explained],
        share=f"{100 * share:.0f}",
    )
    if leader != explained:
        text += said(" {title} adds more, and its score is no sum over neurons.", title=titles.get(leader, leader))
    st.markdown(text)


def no_account(reading: Case) -> None:
    """A score that is no sum over neurons has no exact account; say which have one."""
    detectors = reading.reference.detectors
    titles = [plain(d.info.title) for name, d in detectors.items() if words.is_explained(d)]
    instead = said(" Choose **{titles}** above for one.", titles=said(" or ").join(titles)) if titles else ""
    own = plain(detectors[reading.detector].info.title)
    st.markdown(
        said("{title} is not a sum over neurons, so its score has no exact decomposition.", title=own) + instead
    )


def ranking_control(e: Explanation) -> Ranking:
    """By what the leading neurons are chosen; only NERO ranks by relevance too."""
    if not words.is_nero(e):
        return "contribution"
    return controls.one_of(
        said("Choose neurons by"),
        {ranking: said(text) for ranking, text in RANKINGS.items()},
        "ranking",
        help=said(
            "Difference from usual: each neuron’s contribution to the score. Weight in the answer: its relevance."
        ),
    )


def why(reading: Case, e: Explanation) -> DeltaGenerator:
    """The score, added up neuron by neuron, and what it would be without some of them.

    Returns the place where it stands how much the leading neurons carry.
    """
    left, right = st.columns([8, 4], gap="large")
    with right:
        ranking = ranking_control(e)
        what_if(reading, e, ranking)
    with left:
        st.markdown(words.lead(e))
        leading = [place for place, _ in e.top(LEADING, by=ranking)]
        rows = account_rows(e.contributions, e.terms, e.factor, leading, e.neurons)
        widgets.chart(
            account_chart(rows, detector=reading.reference.detectors[reading.detector].info.title),
            table=label(SCORE_DECOMPOSITION),
        )
        return st.empty()


@st.fragment
def what_if(reading: Case, e: Explanation, ranking: Ranking) -> None:
    """The score recomputed with chosen neurons set back to usual."""
    offered = [neuron for neuron, _ in e.top(4 * LEADING, by=ranking)]
    chosen = st.multiselect(
        said("What if these neurons had behaved as usual?"),
        offered,
        format_func=lambda place: said("Neuron {neuron}", neuron=e.neurons[place]),
        placeholder=said("Choose neurons"),
        key=f"what-if-{reading.detector}-{ranking}",
    )
    if chosen:
        calibration = reading.calibration
        score, n = e.what_if(chosen), len(calibration.scores)
        before, after = (
            words.standing(float(calibration.percentiles([s])[0]), n, calibration.of_class) for s in (e.score, score)
        )
        st.markdown(
            said(
                "The score would be **{score}** instead of {before}.",
                score=significant(score),
                before=significant(e.score),
            )
        )
        st.caption(said("{after}; before: {before}.", after=after, before=f"{before[0].lower()}{before[1:]}"))
    usual = said("As usual: as in usual *{class_name}* images.", class_name=plain(e.nearest_class))
    st.caption(f"{usual} {said(words.WHAT_IF)}")


def profile(reading: Case) -> None:
    """Every neuron's weight in the answer beside what is usual."""
    usual = reading.reference.profile
    if usual is None:
        st.caption(said("This reference does not store what is usual for each neuron."))
        return
    everything = st.toggle(said("Show all neurons"), key="all-neurons", persist_state="session")
    chart = relevance_profile(
        reading.relevance, usual.mean, usual.std, known_mean=usual.ood_mean, top=None if everything else LARGEST
    )
    widgets.chart(chart, table=said("Relevance of the neurons"), note=said(NUMBERED))
