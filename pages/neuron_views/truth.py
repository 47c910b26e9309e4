"""Faithfulness: heatmaps put to the test on demand: on one image, or on several for a summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from nero_core.errors import InputError, NeroError
from nero_core.figures.faithfulness import WAYS, faithfulness_curves, faithfulness_table
from nero_core.figures.palette import significant
from nero_core.records import Source
from nero_core.reference.heatmap_truth import (
    LEFT_RULE,
    RULE,
    StoredHeatmaps,
    is_flat,
    said_of_chance,
    said_of_left,
    stored_heatmaps,
)
from nero_core.reference.manifest import read_manifest
from nero_core.wording import FAITHFULNESS, heatmap_method, label, message, said
from pages.neuron_views.groups import Choices
from pages.neuron_views.heatmaps import METHOD
from pages.shared import controls, heatmaps, resources, session, widgets, words
from pages.shared.words import plain

if TYPE_CHECKING:
    from nero_core import Reference
    from nero_core.attribution.faithfulness import Faithfulness, Scores
    from nero_core.metrics import Effect
    from nero_core.reference.heatmap_truth import Of

IMAGES, EVERY, RESULT = "neurons-truth-images", "neurons-truth-methods", "neurons-truth"
IMAGES_AT_MOST = 24
ORDERS_FOR_ONE = 8
"""Random orders that a single image is held against; several images make up for fewer."""
HOW_TO_READ = message(
    "Places are blurred, or brought back, in the order in which the heatmap of all neurons together ranks them. Where "
    "it is true, the answer's probability falls sooner than in the grey band of random orders, and comes back sooner. "
    "Besides, noise that nobody sees should leave the heatmap alike (1), and a network with shuffled weights should "
    "not (0). {rule}. {left_rule}.",
    rule=RULE,
    left_rule=LEFT_RULE,
)
COMMAND = "python -m nero_core faithfulness REF IMAGES --out RESULT"

Key = tuple[str, bool, str | None, tuple[Source, ...]]
"""The reference, whether every method is compared, the one that was chosen above, and the images."""


def show(choices: Choices) -> None:
    """Which images, the button, and what was found."""
    st.header(label(FAITHFULNESS), anchor=False)
    st.caption(said(HOW_TO_READ))
    if (kept := stored_heatmaps(read_manifest(choices.entry.path))) is not None:
        _stored(kept)
    offered = choices.pictures
    if offered:
        _on_demand(choices, offered)
    else:
        st.caption(said("Open a case in Case review to test the heatmaps on it."))
    st.caption(
        said(
            "A reference keeps no whole images: over its calibration images this is measured when it is fitted, "
            "with `fit … --faithfulness 60`. Where a folder of images is at hand, this does it:"
        )
    )
    widgets.command(COMMAND)


def _stored(kept: StoredHeatmaps) -> None:
    """What was measured when the reference was fitted."""
    best = max(kept.methods, key=lambda row: float(row["gain"]))
    shown = kept.methods[0]  # by it the heatmaps here are made
    gains = [
        said(
            "{method} gains **{gain} points** over a random order (standard error {error}; {chance})",
            method=plain(heatmap_method(row["method"])),
            gain=significant(100 * row["gain"]),
            error=significant(100 * row["gain_standard_error"]),
            chance=said_of_chance(kept.effect(row)),
        )
        for row in kept.methods
    ]
    text = said(
        "**Over {n} calibration images**, measured when this reference was fitted: {gains}.",
        n=kept.images,
        gains=", ".join(gains),
    )
    if len(kept.methods) > 1:
        text += said(" Most is gained by {method}.", method=plain(heatmap_method(best["method"])))
    st.markdown(
        text + _caution(heatmap_method(shown["method"]), kept.effect(shown)) + _without_image(kept.left, kept.images)
    )
    _table([*kept.methods, kept.random], kept.images, over=True)


def _caution(method: str, found: Effect) -> str:
    """Not to lean on heatmaps that are not better than chance."""
    if found.better:
        return ""
    told = said(
        "Of the heatmaps shown here, by {method}: {chance}. Do not lean on them.",
        method=plain(method),
        chance=said_of_chance(found),
    )
    return f" **{told}**"


def _without_image(left: float | None, images: int, of: Of = "answer") -> str:
    """How much does not need the image; bold where that is most of it."""
    text = f"{said_of_left(left, images, of)}."
    return f" **{text}**" if is_flat(left, of) else f" {text}"


def _table(methods: Sequence[Mapping[str, Any]], images: int, over: bool = False) -> None:
    """Every method in numbers; `over` calibration images or, on demand, over those that were chosen."""
    alt = (
        said("Faithfulness of the heatmaps of each method over {n} calibration images, beside a random order", n=images)
        if over
        else said("Faithfulness of the heatmaps of each method, beside a random order")
    )
    st.dataframe(faithfulness_table(methods, images), hide_index=True, placeholder="–", alt=alt)


def _on_demand(choices: Choices, offered: dict[str, Source]) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = controls.several(
            said("Test the heatmaps of"),
            offered,
            IMAGES,
            said("One image, or several for a summary"),
            max_selections=IMAGES_AT_MOST,
        )
        every = st.toggle(
            said("Every method this network has"),
            key=EVERY,
            persist_state="session",
            help=said("Side by side, with those of zennit and zennit-crp: several seconds for each image."),
        )
        asked = st.button(said("Test"), key="neurons-truth-test", disabled=not chosen)
    # Once something was chosen there the reference is loaded; until then it is the best.
    method = heatmaps.chosen(resources.reference(choices.entry.path), METHOD) if METHOD in st.session_state else None
    key = (str(choices.entry.path), every, method, tuple(offered[name] for name in chosen))
    kept: dict[Key, tuple[Faithfulness, str, str]] = st.session_state.get(RESULT, {})
    if asked:
        try:
            reference = resources.reference(choices.entry.path)
            attribution = reference.attributions.by(method)
            measured = _measured(reference, key, attribution.method)
        except NeroError as error:
            st.warning(said("Not measured: {error}", error=plain(str(error))))
            return
        kept = {key: (measured, attribution.method, attribution.reason)}
        st.session_state[RESULT] = kept
    if chosen and key in kept:
        _found(choices, chosen, *kept[key])


def _measured(reference: Reference, key: Key, method: str) -> Faithfulness:
    """Measure on private copies of the network; a click anywhere stops it after the image at work."""
    from nero_core.attribution import fitting
    from nero_core.attribution.faithfulness import RANDOM_ORDERS, measure_faithfulness

    _, every, _, images = key
    bar = st.progress(0.0, text=said("Testing image 1 of {images}…", images=len(images)))

    def tell(done: int, total: int) -> None:
        bar.progress(done / total, text=said("Tested {done} of {total} images…", done=done, total=total))

    try:
        return measure_faithfulness(
            reference.classifier,
            _score(reference),
            images,
            fitting(reference.classifier) if every else [method],
            random_orders=ORDERS_FOR_ONE if len(images) == 1 else RANDOM_ORDERS,
            progress=tell,
        )
    finally:
        bar.empty()


def _score(reference: Reference) -> Scores:
    """The score of the detector in use, or of the first that does not run the network again."""
    names = [session.detector(reference), *reference.detectors]
    for name in names:
        if "source" not in reference.detectors[name].info.needs:
            return partial(reference.score, detector=name)
    raise InputError(said("Every detector of this reference reads the image anew; fit it with nero as well."))


def _found(choices: Choices, chosen: list[str], measured: Faithfulness, method: str, reason: str) -> None:
    st.markdown(_said(choices, measured, method))
    st.caption(
        words.heatmaps_by([method])
        + (said(" No better one fits this network. {reason}", reason=plain(said(reason))) if reason else "")
    )
    for place, kind in zip(st.columns(2, gap="large"), WAYS, strict=True):
        with place:
            widgets.chart(faithfulness_curves(measured, kind), table=label(kind))
    _table(measured.summary(), len(measured.predicted))
    if len(chosen) > 1:
        widgets.table_twin([{**row, "image": chosen[row["image"]]} for row in measured.rows()], said("Every image"))


def _said(choices: Choices, measured: Faithfulness, method: str) -> str:
    """The answer in a sentence, for the heatmaps in use."""
    gain, found = measured.gain[measured.methods.index(method)], measured.effect(method)
    points = significant(100 * float(gain.mean()))
    if len(gain) == 1:
        text = said(
            "For the answer *{answer}*, this heatmap ranks places better than **{beaten} of {orders}** random orders "
            "(gain {points} points): {chance}.",
            answer=plain(choices.sample.names[measured.predicted[0]]),
            beaten=int(measured.beaten(method)[0]),
            orders=len(measured.random_gain),
            points=points,
            chance=said_of_chance(found),
        )
    else:
        row = next(row for row in measured.summary() if row["method"] == method)
        text = said(
            "Over {n} images the heatmaps by {method} gain **{points} points** over a random order (standard error "
            "{error}) and are better on **{better}\u00a0%** of them: {chance}.",
            n=len(gain),
            method=heatmap_method(method),
            points=points,
            error=significant(100 * row["gain_standard_error"]),
            better=f"{100 * row['better_than_random']:.0f}",
            chance=said_of_chance(found),
        )
        if len(measured.methods) > 2:
            text += said(" Most is gained by **{method}**.", method=heatmap_method(measured.best))
    return (
        f"{text}{_caution(heatmap_method(method), found)}{_without_image(measured.left, len(gain))}"
        f"{_without_image(measured.score_left, len(gain), 'score')}"
    )
