"""Step 2: a network of three neurons whose numbers the student edits, and the formula that fills itself in."""

from __future__ import annotations

import pandas
import streamlit as st

from nero_core.figures.palette import significant
from nero_core.lesson.small_network import CLASSES, MOST, NEURONS, SmallNetwork, WorkedOut, holds, work_out
from nero_core.wording import said
from pages.lesson_views.frame import Answer, Lesson, Question
from pages.shared import controls
from pages.shared.words import plain

LARGEST_EPSILON = 1.0
GENERAL = (
    r"r_j=\sum_k p_k\,\frac{a_j\,W_{kj}}{z_k+\varepsilon\,\mathrm{sign}(z_k)}\qquad "
    r"r_\beta=\sum_k p_k\,\frac{b_k}{z_k+\varepsilon\,\mathrm{sign}(z_k)}"
)
"""NERO, equation 1."""
ROWS = ("a", *(f"W class {k + 1}" for k in range(CLASSES)))


def before(lesson: Lesson) -> None:
    """The network as it is at first, worked out."""
    st.latex(GENERAL)
    st.caption(
        said("a: activation of a neuron. W: its weight into a class. b: bias. z: the logits, W a + b. p: softmax of z.")
    )
    _table(work_out(SmallNetwork()))


def question(lesson: Lesson) -> Question:
    """What the sum is."""
    found = work_out(SmallNetwork())
    logit, confidence = (significant(float(values.max())) for values in (found.logits, found.probabilities))
    return Question(
        {
            "zero": said("To 0"),
            "confidence": said("To the confidence of the answer, {confidence}", confidence=confidence),
            "one": said("To 1"),
            "logit": said("To the largest logit, {logit}", logit=logit),
        },
    )


def answer(lesson: Lesson) -> Answer:
    """The sum, computed; whichever option it is nearest to."""
    found = work_out(SmallNetwork())
    meant = {
        "zero": 0.0,
        "confidence": float(found.probabilities.max()),
        "one": 1.0,
        "logit": float(found.logits.max()),
    }
    right = min(meant, key=lambda option: abs(meant[option] - found.total))
    return Answer(right, _sum(found.relevance.tolist(), found.bias_relevance, found.total))


def explore(lesson: Lesson) -> None:
    """Numbers to change, and the sum that holds or not."""
    _network()


@controls.section
def _network() -> None:
    st.subheader(said("Change the numbers"), anchor=False)
    left, right = st.columns([1, 1], gap="medium")
    with left:
        network = _edited()
        epsilon = st.slider(
            "ε", 0.0, LARGEST_EPSILON, 0.0, 0.01, key="lesson-small-epsilon", persist_state="session",
            help=said("ε keeps a quotient finite where a logit is near 0. It takes a part of the relevance away."),
        )  # fmt: skip
    found = work_out(network, epsilon)
    with left:
        own = _own(found)
    with right:
        st.markdown(said("The network reads **class {number}**.", number=found.answer + 1))
        neuron = controls.one_of(
            said("Fill in the formula for"),
            {j: said("neuron {number}", number=j + 1) for j in range(NEURONS)},
            "lesson-small-neuron",
        )
        st.latex(_filled_in(found, neuron))
        _table(found)
        _check(found, own, epsilon)


def _edited() -> SmallNetwork:
    """Activations, weights and biases, each in a cell."""
    start = SmallNetwork()
    neurons = [said("neuron {number}", number=j + 1) for j in range(NEURONS)]
    rows = {
        said("activation a"): [*start.activations, None],
        **{
            said("weight into class {number}", number=k + 1): [*start.weights[k], start.biases[k]]
            for k in range(CLASSES)
        },
    }
    frame = pandas.DataFrame.from_dict(rows, orient="index", columns=[*neurons, said("bias b")], dtype=float)
    edited = st.data_editor(
        frame,
        key="lesson-small-cells",
        placeholder="–",
        alt=said("Activations, weights and biases; every number can be changed"),
        column_config={
            name: st.column_config.NumberColumn(min_value=-MOST, max_value=MOST, format="%.3g")
            for name in frame.columns
        },
    )
    cells = edited.to_numpy(dtype=float)
    return SmallNetwork(tuple(cells[0, :NEURONS]), tuple(map(tuple, cells[1:, :NEURONS])), tuple(cells[1:, NEURONS]))


def _own(found: WorkedOut) -> list[float] | None:
    """Three numbers in place of the relevance, where the student wants to break the sum."""
    if not st.toggle(said("Put numbers of my own in place of the relevance"), key="lesson-small-own"):
        return None
    with st.container(horizontal=True):
        return [
            st.number_input(f"r {j + 1}", -MOST, MOST, float(found.relevance[j]), 0.05, format="%.3f",
                            key=f"lesson-small-own-{j}", width=110)
            for j in range(NEURONS)
        ]  # fmt: skip


def _table(found: WorkedOut) -> None:
    """Relevance and what leads there."""
    neurons = [said("neuron {number}", number=j + 1) for j in range(NEURONS)]
    rows = [
        {"": said("class {number}: z = {logit}, p = {share}", number=k + 1, logit=significant(found.logits[k]),
                  share=significant(found.probabilities[k])),
         **{name: float(found.terms[k, j]) for j, name in enumerate(neurons)},
         said("bias"): float(found.bias_terms[k])}
        for k in range(CLASSES)
    ]  # fmt: skip
    total = {"": said("relevance r"), **{name: float(found.relevance[j]) for j, name in enumerate(neurons)},
             said("bias"): found.bias_relevance}  # fmt: skip
    columns = {name: st.column_config.NumberColumn(format="%.3f") for name in (*neurons, said("bias"))}
    st.dataframe([*rows, total], hide_index=True, column_config=columns,
                 alt=said("Terms of each class and neuron, and their sums: the relevance"))  # fmt: skip


def _filled_in(found: WorkedOut, j: int) -> str:
    """The formula of one neuron with its numbers in it."""
    parts = [
        rf"{significant(found.probabilities[k])}\cdot\frac{{{significant(found.activations[j])}\cdot "
        rf"({significant(found.weights[k, j])})}}{{{significant(found.divided_by[k])}}}"
        for k in range(CLASSES)
    ]
    return rf"r_{{{j + 1}}}={'+'.join(parts)}={significant(found.relevance[j])}"


def _sum(relevance: list[float], bias: float, total: float) -> str:
    """The sum, written out."""
    terms = " + ".join(f"({significant(value)})" if value < 0 else significant(value) for value in (*relevance, bias))
    return plain(f"{terms} = {significant(total, 6)}.")


def _check(found: WorkedOut, own: list[float] | None, epsilon: float) -> None:
    """Whether the sum holds, and if not, what broke it."""
    relevance = found.relevance.tolist() if own is None else own
    total = found.total if own is None else found.total_with(own)
    written = _sum(relevance, found.bias_relevance, total)
    if holds(total):
        st.success(said("The sum holds: {sum}", sum=written))
    elif own is not None:
        st.error(said("The sum does not hold: {sum} These are not the relevance of this network.", sum=written))
    else:
        missing = significant(1 - total)
        st.warning(
            said("The sum is not 1: {sum} ε = {epsilon} took {missing} away.", sum=written, epsilon=f"{epsilon:g}",
                 missing=missing)
        )  # fmt: skip
