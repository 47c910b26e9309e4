"""Why this score: the account, the what-if, and all neurons beside what is usual."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from nero_core.figures.charts import account_chart, account_rows, relevance_profile
from nero_core.figures.palette import significant
from nero_core.wording import SCORE_DECOMPOSITION, label, said
from pages.shared import controls, widgets, words
from pages.shared.words import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streamlit.delta_generator import DeltaGenerator

    from nero_core.case import Case
    from nero_core.explanation import Explanation, Ranking

LEADING = 8  # neurons with a bar of their own
LARGEST = 24  # neurons in the profile, unless all are asked for
NUMBERED = "Numbers are those of the last layer’s neurons, which the answer is made of."
RANKINGS: Mapping[Ranking, str] = {"contribution": "difference from usual", "relevance": "weight in the answer"}


def whose(reading: Case) -> None:
    """Of a panel, whose score is taken apart: that of the first member in sight that is a sum over neurons."""
    titles = {name: plain(detector.info.title) for name, detector in reading.reference.detectors.items()}
    leader, explained = reading.members[0].name, reading.explained
    share = {each.name: each.share for each in reading.members}[explained]
    whose_it_is = f"This is the {said(SCORE_DECOMPOSITION)} of **{titles[explained]}**"
    text = f"{whose_it_is}, which adds {100 * share:.0f} % to the verdict."
    if leader != explained:
        text += f" {titles.get(leader, leader)} adds more, and its score is no sum over neurons."
    st.markdown(text)


def no_account(reading: Case) -> None:
    """A score that is no sum over neurons has no exact account; say which have one."""
    detectors = reading.reference.detectors
    titles = [plain(d.info.title) for name, d in detectors.items() if words.is_explained(d)]
    instead = f" Choose **{' or '.join(titles)}** above for one." if titles else ""
    st.markdown(
        f"{plain(detectors[reading.detector].info.title)} is not a sum over neurons, so its score has no exact "
        f"decomposition.{instead}"
    )


def ranking_control(e: Explanation) -> Ranking:
    """By what the leading neurons are chosen; only NERO ranks by relevance too."""
    if not words.is_nero(e):
        return "contribution"
    return controls.one_of(
        "Choose neurons by",
        RANKINGS,
        "ranking",
        help="Difference from usual: each neuron’s contribution to the score. Weight in the answer: its relevance.",
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
        "What if these neurons had behaved as usual?",
        offered,
        format_func=lambda place: f"Neuron {e.neurons[place]}",
        placeholder="Choose neurons",
        key=f"what-if-{reading.detector}-{ranking}",
    )
    if chosen:
        calibration = reading.calibration
        score, n = e.what_if(chosen), len(calibration.scores)
        before, after = (
            words.standing(float(calibration.percentiles([s])[0]), n, calibration.of_class) for s in (e.score, score)
        )
        st.markdown(f"The score would be **{significant(score)}** instead of {significant(e.score)}.")
        st.caption(f"{after}; before: {before[0].lower()}{before[1:]}.")
    st.caption(f"As usual: as in usual *{plain(e.nearest_class)}* images. {words.WHAT_IF}")


def profile(reading: Case) -> None:
    """Every neuron's weight in the answer beside what is usual."""
    usual = reading.reference.profile
    if usual is None:
        st.caption("This reference does not store what is usual for each neuron.")
        return
    everything = st.toggle("Show all neurons", key="all-neurons", persist_state="session")
    chart = relevance_profile(
        reading.relevance, usual.mean, usual.std, known_mean=usual.ood_mean, top=None if everything else LARGEST
    )
    widgets.chart(chart, table="Relevance of the neurons", note=NUMBERED)
