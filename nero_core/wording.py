"""Every term, and every sentence that more than one of pages, command line and reports shows, each once.

A gettext catalogue. The constants are English and the keys of the catalogue; :func:`said` gives what is shown. It looks
the words up when they are shown, so that a language chosen after the import holds too. Catalogues are looked for as
``locale/<language>/LC_MESSAGES/nero.mo`` beside this file, and where there is none English stands. ``locale/nero.pot``
is what a translator starts from: ``python -c "from nero_core import wording; print(wording.template(), end='')"``.
"""

from __future__ import annotations

import gettext
import json
from collections.abc import Mapping
from itertools import chain
from pathlib import Path

DOMAIN = "nero"
LOCALES = Path(__file__).parent / "locale"

# What a verdict says -----------------------------------------------------------------------------------------------

NOT_FLAGGED, BORDERLINE, UNUSUAL = "Not flagged", "Borderline", "Unusual"
STATES: Mapping[str, str] = {"in-distribution": NOT_FLAGGED, "borderline": BORDERLINE, "out-of-distribution": UNUSUAL}
"""The word of every state in :data:`nero_core.records.State`."""
SYMBOLS: Mapping[str, str] = {"in-distribution": "●", "borderline": "◐", "out-of-distribution": "▲"}
"""The sign that stands before it, in every language."""
NO_VERDICT = "no verdict"
CAUTIONS: Mapping[str, str] = {
    "in-distribution": "It can be wrong on an image that is not flagged.",
    "borderline": "Lean on it with care: few calibration images are as unusual as this one.",
    "out-of-distribution": "Do not lean on it: hardly any calibration image is as unusual as this one.",
}
"""What is said of the network's own answer in every state."""
ONLY_RENDERED = "This reference knows rendered scenes only: every real image differs from what it knows."
NOBODY_MEASURED = "Nobody has measured what this reference misses."
NOT_KEPT = (
    "What this reference misses cannot be said: an earlier version made it, and did not keep enough of its known "
    "unusual images. Run `fit` again."
)
STANDING_LINE = (
    f"Research use. Not a medical device. “{UNUSUAL}” does not mean diseased, "
    f"and “{NOT_FLAGGED.lower()}” does not mean healthy."
)

# Terms -------------------------------------------------------------------------------------------------------------

DETECTOR = "detector"
CHOOSE_DETECTORS = "Choose detectors"
CALIBRATION_IMAGES = "calibration images"
KNOWN_OOD_IMAGES = "known OOD images"
KNOWN_UNUSUAL_IMAGES = "known unusual images"
"""The same on Case review, whose readers do not say OOD."""
SCORE_DECOMPOSITION = "score decomposition"
ADDS_TO_THE_SCORE = "adds to the score"
FAITHFULNESS = "faithfulness of the heatmaps"
CHANCE_DOES_AS_WELL = "chance can do as well"
HEATMAPS_BY = "Heatmaps by"
RELEVANCE_TO_THE_ANSWER = "Relevance to the answer"
FALSE_ALARMS_ACCEPTED = "accepted share of false alarms"
FLAGGED_AT_MOST = "Ordinary images flagged, at most … in 100"
NEVER_TRAINED_ON = "ID images never trained on, for decisions"
NO_WEIGHT = "No training image gave this neuron any weight."
WHERE_IMAGES_COME_FROM = "where the images come from"

# Scores and charts -------------------------------------------------------------------------------------------------

OOD_SCORE = "OOD score, higher = more unusual"
OOD_SCORE_OF = "{detector}: OOD score, higher = more unusual"
SCORE_FROM = "score from"
SHARE_OF_IMAGES = "Share of images (%)"
FLAGGED_BEYOND = "flagged beyond"
ROC_CURVES = "ROC curves"
ID_FLAGGED = "Share of ID images flagged"
OOD_FLAGGED = "Share of OOD images flagged"
COULD_NOT_RUN = "could not run"
COMPARABLE, NOT_COMPARABLE = "comparable", "not comparable"
IN_PERCENT = (
    "Percent, with bootstrap 95 % intervals in brackets. ↑ higher is better, ↓ lower is better, ★ best of its column."
)
POINTS_AGAINST = "Percentage points, each detector minus {baseline} on the same resampled images."

THIS_IMAGE = "this image"
ALL_NEURONS = "where the whole network looked"
PLACES_OF = "where the score of {detector} comes from, place by place: it is their sum"

# The frame and its heatmaps, the strip of images ---------------------------------------------------------------------

VIEWER: Mapping[str, str] = {
    "ways": "show the heatmap as",
    "outline": "outline",
    "fade": "fade",
    "wipe": "wipe",
    "off": "off",
    "opacity": "strength of the heatmap",
    "edge": "edge of the heatmap",
    "cover": "cover a part",
    "drawing": "drag over the image. Keys: arrows move, Shift and arrows size, Enter takes, Escape leaves.",
    "box": "{left} % from the left, {top} % from the top, {width} % wide, {height} % high",
    "waiting": "where the network looked…",
    "line": "outline",
    "colours": "colours",
    "against": "speaks against",
    "nothing": "nothing",
    "for": "speaks for",
}
TESTED_PLACE, NAMED_PLACE = "tested place", "named place"
CARDS: Mapping[str, str] = {
    "waiting": "Its heatmap is being made…",
    "none": "This method gives none of one neuron",
    "stopped": "Stopped before its heatmap was made",
    "map": "Where it looked on this image",
    "keep": "Show on the image",
}
FILMSTRIP: Mapping[str, str] = {
    "label": "Images of this case; arrow keys go from one to the next, N to the next flagged",
    "next": "Next flagged",
    "none": "No other is flagged",
    "unread": "could not be read",
}

# Metrics, and what each counts, in the order of columns -------------------------------------------------------------

METRICS: Mapping[str, str] = {
    "auroc": "AUROC",
    "fpr_ood_at_95_id_tpr": "FPR at 95 % TPR (ID positive)",
    "fpr_id_at_95_ood_tpr": "FPR at 95 % TPR (OOD positive)",
    "aupr_out": "AUPR-out",
    "aupr_in": "AUPR-in",
}
MEANINGS: Mapping[str, str] = {
    "auroc": "How often an OOD image scores higher than an ID image. Higher is better; 50 % is chance.",
    "fpr_ood_at_95_id_tpr": "Share of OOD images that pass as ID where 95 % of the ID images do. Lower is better. "
    "Papers on NERO, LINe and ODIN give this one.",
    "fpr_id_at_95_ood_tpr": "Share of ID images that are flagged where 95 % of the OOD images are. Lower is better. "
    "OpenOOD 1.5 gives this one.",
    "aupr_out": "Average precision with OOD as the positive class. Depends on how many of each.",
    "aupr_in": "Average precision with ID as the positive class. Depends on how many of each.",
}

# Heatmap methods whose name in files and options is an older one ------------------------------------------------------

HEATMAPS: Mapping[str, str] = {
    "conservative propagation": "LRP for transformers (Ali et al., 2022)",
    "instant map": "relevance-weighted feature map",
}

# The language ------------------------------------------------------------------------------------------------------

_catalogue: gettext.NullTranslations


def use(language: str | None = None) -> None:
    """Choose the language of all that is shown from now on.

    Parameters
    ----------
    language : str, optional
        Such as ``de``; without it that of the environment: the first set of LANGUAGE, LC_ALL, LC_MESSAGES and LANG.
    """
    global _catalogue
    _catalogue = gettext.translation(DOMAIN, LOCALES, None if language is None else [language], fallback=True)


def language() -> str:
    """Of what is shown, as HTML and PDF name it: that of the catalogue in use, English where there is none."""
    return _catalogue.info().get("language", "en")


def said(text: str, **values: object) -> str:
    """A text of this file in the language in use, its ``{places}`` filled with the values."""
    shown = _catalogue.gettext(text)
    return shown.format(**values) if values else shown


def to_say(text: str) -> str:
    """Mark a text for the catalogue where it is kept in another file; :func:`said` looks it up where it is shown."""
    return text


def label(text: str, **values: object) -> str:
    """The same as the name of something: it begins with a capital."""
    shown = said(text, **values)
    return shown[:1].upper() + shown[1:]


def metric_title(metric: str) -> str:
    """A metric as it is written for people; :data:`nero_core.metrics.METRICS` has the names."""
    return said(METRICS[metric])


def metric_meaning(metric: str) -> str:
    """What a metric counts, and which end is the better."""
    return said(MEANINGS[metric])


def state_word(state: str) -> str:
    """A state as one word."""
    return said(STATES[state])


def state_mark(state: str) -> str:
    """A state as its sign and its word."""
    return f"{SYMBOLS[state]} {state_word(state)}"


def heatmap_method(title: str) -> str:
    """A heatmap method as the field writes it, from its name in the registry, in files and in options."""
    return said(HEATMAPS.get(title, title))


def messages() -> list[str]:
    """Every text that a catalogue translates, in the order of this file."""
    none = ("DOMAIN", "LOCALES", "SYMBOLS")
    constants = [value for name, value in globals().items() if name.isupper() and name not in none]
    texts = chain.from_iterable([value] if isinstance(value, str) else value.values() for value in constants)
    return list(dict.fromkeys(texts))


def template() -> str:
    """The catalogue without translations, in gettext's own format (PO)."""
    header = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n'
    entries = [f'msgid {json.dumps(text, ensure_ascii=False)}\nmsgstr ""\n' for text in messages()]
    return "\n".join([header, *entries])


use()
