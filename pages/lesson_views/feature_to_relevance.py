"""Step 2: a network of three neurons whose numbers the student edits, and the formula that fills itself in."""

from __future__ import annotations

import numpy as np
import pandas
import streamlit as st

from nero_core.figures.palette import significant
from nero_core.lesson.small_network import CLASSES, MOST, NEURONS, TYPED, SmallNetwork, WorkedOut, holds, work_out
from nero_core.wording import said
from pages.lesson_views.frame import Answer, Lesson, Question
from pages.shared import controls
from pages.shared.words import plain

LARGEST_EPSILON = 1.0
CELLS, BEGIN, LAST = "lesson-small-cells", "lesson-small-begin", "lesson-small-last"
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
    st.dataframe(_cells(SmallNetwork()), placeholder="–", alt=said("Activations, weights and biases"))


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
    """Activations, weights and biases, each in a cell; they stay for the visit."""
    if CELLS not in st.session_state:  # the page was left, and the table with it
        st.session_state[BEGIN] = st.session_state.get(LAST, SmallNetwork())
    frame = _cells(st.session_state[BEGIN])
    edited = st.data_editor(
        frame,
        key=CELLS,
        placeholder="–",
        alt=said("Activations, weights and biases; every number can be changed"),
        column_config={name: st.column_config.NumberColumn(format="%.3g") for name in frame.columns},
    )
    cells = edited.to_numpy(dtype=float)
    network = SmallNetwork(
        tuple(cells[0, :NEURONS].tolist()),
        tuple(map(tuple, cells[1:, :NEURONS].tolist())),
        tuple(cells[1:, NEURONS].tolist()),
    )
    st.session_state[LAST] = network
    return network


def _cells(network: SmallNetwork) -> pandas.DataFrame:
    """The numbers of a network as a table."""
    neurons = [said("neuron {number}", number=j + 1) for j in range(NEURONS)]
    rows = {
        said("activation a"): [*network.activations, None],
        **{
            said("weight into class {number}", number=k + 1): [*network.weights[k], network.biases[k]]
            for k in range(CLASSES)
        },
    }
    return pandas.DataFrame.from_dict(rows, orient="index", columns=[*neurons, said("bias b")], dtype=float)


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
    """The sum, written out to three digits behind the point."""
    terms = " + ".join(f"({value:.3f})" if value < 0 else f"{value:.3f}" for value in (*relevance, bias))
    return plain(f"{terms} = {total:.3f}.".replace("-", "−"))


def _check(found: WorkedOut, own: list[float] | None, epsilon: float) -> None:
    """Whether the sum holds, and if not, what broke it."""
    if own is not None and not np.allclose(own, found.relevance, atol=TYPED):
        total = found.total_with(own)
        written = _sum(own, found.bias_relevance, total)
        if holds(total, TYPED):
            st.warning(said("It adds up to 1: {sum} Yet these are not the relevance of this network.", sum=written))
        else:
            st.error(said("The sum does not hold: {sum} These are not the relevance of this network.", sum=written))
        return
    written = _sum(found.relevance.tolist(), found.bias_relevance, found.total)
    if holds(found.total):
        st.success(said("The sum holds: {sum}", sum=written))
    else:
        missing = significant(1 - found.total)
        st.warning(
            said("The sum is not 1: {sum} ε = {epsilon} took {missing} away.", sum=written, epsilon=f"{epsilon:g}",
                 missing=missing)
        )  # fmt: skip
