"""Every term, and every sentence that more than one of pages, command line and reports shows, each once.

A gettext catalogue. The constants are English and the keys of the catalogue; :func:`said` gives what is shown. It looks
the words up when they are shown, so that a language chosen after the import holds too;
:mod:`~nero_core.wording.languages` has the catalogues. Whose language it is, whoever serves several people at once says
by :func:`ask`. A sentence that is shown in one place stands there as the argument of `said`, `label` or `counted`, or
in a constant as that of :func:`message`. ``make messages`` writes ``locale/nero.pot``, which a translator starts from,
and brings the catalogues up to it.
"""

from __future__ import annotations

import ast
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import chain
from pathlib import Path

from nero_core.wording import languages

ROOT = Path(__file__).parents[2]
KEYWORDS: Mapping[str, tuple[int, ...]] = {
    "said": (0,),
    "label": (0,),
    "message": (0,),
    "counted": (1, 2),
    "begin": (0,),
}
"""The functions that look texts up, and which arguments these are; `begin` announces a stretch of work."""

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

_language = languages.ENGLISH
_asked: Callable[[], str | None] = lambda: None  # noqa: E731  # whose language it is, where several are served at once
_here: ContextVar[str | None] = ContextVar("language", default=None)


def use(language: str | None = None) -> None:
    """Choose the language of this process: of all that is shown where nobody asks for another.

    Parameters
    ----------
    language : str, optional
        Such as ``de``; without it that of the environment: the first set of LANGUAGE, LC_ALL, LC_MESSAGES and LANG.
    """
    global _language
    _language = languages.of_environment() if language is None else language


def ask(whose: Callable[[], str | None]) -> None:
    """Have a function asked for the language whenever something is shown; None from it leaves that of the process."""
    global _asked
    _asked = whose


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Within, everything is said in this language: for a thread that works for somebody."""
    before = _here.set(language)
    try:
        yield
    finally:
        _here.reset(before)


def language() -> str:
    """The code of the language in use here and now."""
    return _here.get() or _asked() or _language


class Message(str):
    """A sentence that is kept or passed on: English as a text, and :func:`said` gives it in the language in use.

    Attributes
    ----------
    text : str
        As the catalogue has it, with its ``{places}``.
    values : {place: value}
        What fills them; those that are messages themselves are translated, too.
    """

    text: str
    values: Mapping[str, object]

    @classmethod
    def of(cls, text: str, values: Mapping[str, object]) -> Message:
        """One that is filled."""
        made = cls(text.format(**values) if values else text)
        made.text, made.values = text, values
        return made


def message(text: str, /, **values: object) -> Message:
    """Mark what the catalogue holds where it is written; it is English, and :func:`said` is for where it is shown."""
    return Message.of(text, values)


def listed(names: Sequence[str], last: str) -> Message:
    """Names as a sentence has them: "a, b and c"; `last` joins the last of them.

    Parameters
    ----------
    names : sequence of str
        At least one; those that are messages are translated where the list is said.
    last : str
        :data:`AND` or :data:`OR`.
    """
    told = Message.of("{last}", {"last": names[0]})
    for place, name in enumerate(names[1:], start=2):
        told = Message.of(last if place == len(names) else "{first}, {last}", {"first": told, "last": name})
    return told


def said(text: str, /, **values: object) -> str:
    """A text in the language in use, its ``{places}`` filled with the values."""
    if isinstance(text, Message):
        values = {**text.values, **values}
        text = text.text
    values = {place: said(value) if isinstance(value, Message) else value for place, value in values.items()}
    shown = languages.catalogue(language()).gettext(text) if text else text  # the empty text is the header's key
    return shown.format(**values) if values else shown


def counted(n: int, one: str, many: str, /, **values: object) -> str:
    """The text for so many, by the rules of the language for numbers; ``{n}`` in it is the number."""
    return languages.catalogue(language()).ngettext(one, many, n).format(n=n, **values)


def label(text: str, /, **values: object) -> str:
    """The same as the name of something: it begins with a capital."""
    shown = said(text, **values)
    return shown[:1].upper() + shown[1:]


AND, OR = message("{first} and {last}"), message("{first} or {last}")


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


# The template ------------------------------------------------------------------------------------------------------


def messages() -> list[str]:
    """Every text of this file, in its order."""
    constants = [
        value for name, value in globals().items() if name.isupper() and name not in ("ROOT", "KEYWORDS", "SYMBOLS")
    ]
    texts = chain.from_iterable([value] if isinstance(value, str) else value.values() for value in constants)
    return list(dict.fromkeys(texts))


def template() -> str:
    """The catalogue without translations (PO): the texts of this file, then those that stand where they are shown."""
    from babel.messages.catalog import Catalog
    from babel.messages.pofile import write_po

    catalog, written = Catalog(charset="UTF-8"), io.BytesIO()
    for text in messages():
        catalog.add(text, locations=[("nero_core/wording/__init__.py", 1)])
    for path in sources():
        name = path.relative_to(ROOT).as_posix()
        for line, found in looked_up(ast.parse(path.read_text(encoding="utf-8"))):
            catalog.add(found, locations=[(name, line)])
    write_po(written, catalog, width=120, omit_header=True, include_lineno=False)
    return 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n' + written.getvalue().decode()


def renew() -> None:
    """Write the template, and bring every catalogue up to it: new texts wait to be translated, those gone go."""
    from babel.messages.pofile import read_po, write_po

    text = template()
    (languages.LOCALES / "nero.pot").write_text(text, encoding="utf-8")
    for path in languages.LOCALES.glob("*.po"):
        header, _, _ = path.read_text(encoding="utf-8").partition("\n\n")
        with path.open("rb") as file:
            catalog = read_po(file)
        catalog.update(read_po(io.StringIO(text)), no_fuzzy_matching=True)
        written = io.BytesIO()
        write_po(written, catalog, width=120, omit_header=True, include_lineno=False, ignore_obsolete=True)
        path.write_text(f"{header}\n\n{written.getvalue().decode()}", encoding="utf-8")


def looked_up(tree: ast.AST) -> Iterator[tuple[int, str | tuple[str, ...]]]:
    """The literal texts that a file looks up, with their lines: of those that count, one and many together."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            places = KEYWORDS.get(ast.unparse(node.func).rpartition(".")[2], ())
            given = [node.args[place] for place in places if place < len(node.args)]
            texts = [each.value for each in given if isinstance(each, ast.Constant) and isinstance(each.value, str)]
            if texts:
                yield node.lineno, texts[0] if len(texts) == 1 else tuple(texts)


def sources() -> list[Path]:
    """Every file of the program that may say something."""
    found = [*(ROOT / "nero_core").rglob("*.py"), *(ROOT / "pages").rglob("*.py"), ROOT / "app.py"]
    return [path for path in sorted(found) if path != Path(__file__)]


use()
