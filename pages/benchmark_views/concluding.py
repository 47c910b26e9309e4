"""The sentences that the page ends in."""

from __future__ import annotations

import streamlit as st

from nero_core.benchmark.conclusion import conclusion
from nero_core.benchmark.result import BenchmarkResult
from nero_core.wording import language, said
from pages.shared.words import plain

KEPT = 4  # results with their conclusions in memory, a few MB each


def show(result: BenchmarkResult, ood_set: str) -> None:
    """What the result comes to, worked out from its scores."""
    st.header(said("What follows"), anchor=False)
    with st.spinner(said("Looking which detectors these images tell apart…")):
        _, (first, *rest) = _concluded(result, ood_set, language())
    st.markdown(" ".join([f"**{plain(first)}**", *map(plain, rest)]))


@st.cache_resource(
    max_entries=KEPT,
    show_spinner=False,
    hash_funcs={BenchmarkResult: id},
)
def _concluded(result: BenchmarkResult, ood_set: str, language: str) -> tuple[BenchmarkResult, list[str]]:
    """The result is kept with it: as long as it lives, no other has its identity."""
    return result, conclusion(result, ood_set)
