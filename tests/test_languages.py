"""Other languages: whole catalogues, nothing that is shown left out of them, and one file for each."""

from __future__ import annotations

import ast
import io
import re
import string
import threading
from collections import Counter
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

from nero_core import wording
from nero_core.wording import languages

ROOT = Path(__file__).parents[1]
CATALOGUES = sorted((ROOT / "nero_core" / "locale").glob("*.po"))
MARKUP = re.compile(r"\*\*|`|:material/\w+:|★|↑|↓|≠|✕|♂")
"""What a translation has as often as the English: bold, code, symbols."""
UNSAID = {
    "command": "typed in a terminal, in every language",
    "larger": "the same",
    "html": "style, and no text",
    "plot": "its name is that of a file and of a key; what it shows comes from the figures",
    "picture_choice": "the same name",
    "plotly_chart": "its words come from the figures",
    "get_option": "a setting's name",
    "space": "a size",
    "latex": "a formula",
    "Page": "a file",
}
"""Calls whose literals are not looked up, and why."""
KEYS = {
    "key", "icon", "type", "width", "height", "gap", "language", "format", "vertical_alignment", "label_visibility",
    "persist_state", "on_change", "on_select", "selection_mode", "output_format", "color", "bind", "layout",
    "position", "on_click", "default",
    "page_icon", "page_title", "size", "picture",
}  # fmt: skip
"""Arguments that nobody reads."""
SHOWING = ("st", "controls", "widgets", "uploads", "watching", "tables", "permission", "sidebar")
"""What draws: a call of one of these shows its texts."""
WORDS = re.compile(r"[^\W\d_]{2,}")
SLUG = re.compile(r"[a-z0-9_.-]+|[a-z]+/[a-z-]+")
"""A key of a widget, a file's name or kind, where a helper takes it by its place."""
NOT_WORDS = re.compile(r"`[^`]*`|:material/\w+:|:\w+\[|(\w+=)?/data/\S*|\.\w+|[A-Z]{2,}(=\w+)?|\bROC\b")


@pytest.fixture(scope="module")
def template():
    return {message.id: message for message in read_po(io.StringIO(wording.template())) if message.id}


@pytest.fixture(params=CATALOGUES, ids=lambda path: path.stem)
def catalogue(request):
    with request.param.open("rb") as file:
        return read_po(file)


def several(text):
    """One or many forms as a tuple."""
    return text if isinstance(text, tuple) else (text,)


def places(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


# Catalogues --------------------------------------------------------------------------------------------------------


def test_a_catalogue_holds_every_text_and_no_other(catalogue, template):
    kept = {message.id for message in catalogue if message.id}
    assert template.keys() - kept == set(), "run `make messages`, and translate these"
    assert kept - template.keys() == set(), "run `make messages`: nobody says these any more"
    assert not catalogue.obsolete


def test_every_text_is_translated(catalogue):
    assert [m.id for m in catalogue if m.id and (m.fuzzy or not all(several(m.string)))] == []


def test_a_translation_fills_the_same_places(catalogue):
    for message in catalogue:
        wanted = set().union(*map(places, several(message.id)))
        for text in several(message.string) if message.id else ():
            found = places(text)
            assert found == wanted or (isinstance(message.id, tuple) and found == wanted - {"n"}), message.id
            for _, name, spec, conversion in string.Formatter().parse(text):
                assert name is None or (not spec and conversion is None), message.id


def test_a_translation_has_the_same_marks_and_edges(catalogue):
    for message in catalogue:
        for english, text in zip(several(message.id), several(message.string), strict=False) if message.id else ():
            assert Counter(MARKUP.findall(text)) == Counter(MARKUP.findall(english)), english
            assert english[-1:].isspace() == text[-1:].isspace(), english
            if english[:1].isspace():
                assert text[:1] in " ,;", english


def test_every_place_to_fill_has_a_name(template):
    for text in (each for key in template for each in several(key)):
        for _, name, spec, conversion in string.Formatter().parse(text):
            assert name is None or (name.isidentifier() and not spec and conversion is None), text


# What is shown is looked up ----------------------------------------------------------------------------------------


def shown_files():
    return [ROOT / "app.py", *sorted((ROOT / "pages").rglob("*.py"))]


def has_words(text):
    return bool(WORDS.search(NOT_WORDS.sub(" ", text)))


def bare_texts(tree):
    """Literals and f-strings with words that a call which draws is given as they are, with their lines."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        if not name.startswith(tuple(f"{each}." for each in SHOWING)) or name.rpartition(".")[2] in UNSAID:
            continue
        named = [each.value for each in node.keywords if each.arg not in KEYS]
        for place, argument in enumerate([*node.args, *named]):
            for text in unsaid(argument):
                by_place = place < len(node.args)
                if has_words(text) and not (by_place and SLUG.fullmatch(text) and (place or "-" in text)):
                    yield node.lineno, text


def unsaid(node):
    """The literal parts of an expression that are not arguments of what looks them up, or of another call."""
    if isinstance(node, ast.Call | ast.Subscript | ast.Lambda | ast.Compare | ast.Attribute):
        return
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield node.value
    elif isinstance(node, ast.JoinedStr):
        for part in node.values:
            yield from unsaid(part.value if isinstance(part, ast.FormattedValue) else part)
    elif isinstance(node, ast.Dict):
        for each in node.values:
            yield from unsaid(each)
    elif isinstance(node, ast.IfExp):
        yield from unsaid(node.body)
        yield from unsaid(node.orelse)
    else:
        for child in ast.iter_child_nodes(node):
            yield from unsaid(child)


@pytest.mark.parametrize("path", shown_files(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_a_page_draws_is_looked_up(path):
    found = list(bare_texts(ast.parse(path.read_text(encoding="utf-8"))))
    assert [f"{path.name}:{line}: {text!r}: write said(…)" for line, text in found] == []


def test_a_bare_text_is_found():
    def found(code):
        return [text for _, text in bare_texts(ast.parse(code))]

    assert found('st.caption("Some words")') == ["Some words"]
    assert found('st.caption(f"{n} words")') == [" words"]
    assert found('st.image(x, alt="Some words")') == ["Some words"]
    assert found('controls.line("Some words", "key", "")') == ["Some words"]
    assert found('st.button(said("Some words") if x else "Other words")') == ["Other words"]
    assert found('st.caption(said("Some words"), key="some-key")') == []
    assert found('st.markdown(f"**{plain(title)}**")') == []


def test_what_is_looked_up_is_literal_and_filled():
    """An f-string would be another text every time; a place without a value, or a value without a place, is a slip."""
    wrong = []
    for path in wording.sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func).rpartition(".")[2]
            given = {each.arg for each in node.keywords}
            if name not in wording.KEYWORDS or name == "begin" or None in given:
                continue
            for place in wording.KEYWORDS[name]:
                text = node.args[place] if place < len(node.args) else None
                if not isinstance(text, ast.Constant) or not isinstance(text.value, str):
                    continue
                later = name == "message" and not given  # filled where it is said
                wanted = places(text.value) - ({"n"} if name == "counted" else set())
                if not later and not (wanted <= given and (given <= wanted or name == "counted")):
                    wrong.append(
                        f"{path.name}:{node.lineno}: {text.value!r} has {sorted(wanted)}, given {sorted(given)}"
                    )
    assert wrong == []


# Which language ----------------------------------------------------------------------------------------------------


def test_a_language_is_found_by_the_names_that_browsers_and_systems_have_for_it():
    for name in ("de", "de-AT", "de_DE.UTF-8", "DE", "de@euro"):
        assert languages.best([name]) == "de", name
    assert languages.best(["en-GB", "de"]) == "en"
    assert languages.best(["tlh", "de"]) == "de"
    assert languages.best(["C"]) is None
    assert languages.best([]) is None


def test_the_environment_says_which_language_the_command_line_speaks(monkeypatch):
    for name in languages.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert languages.of_environment() == "en"
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    assert languages.of_environment() == "de"
    monkeypatch.setenv("LC_ALL", "C")
    assert languages.of_environment() == "en"
    monkeypatch.setenv("LANGUAGE", "tlh:de")
    assert languages.of_environment() == "de"


def test_a_language_that_nobody_wrote_is_english():
    with wording.speaking("tlh"):
        assert wording.said(wording.STANDING_LINE) == wording.STANDING_LINE


def test_one_and_many_follow_the_language():
    def images(n):
        return wording.counted(n, "1 image added", "{n} images added")

    assert [images(1), images(2)] == ["1 image added", "2 images added"]
    with wording.speaking("de"):
        assert [images(1), images(2)] == ["1 Bild hinzugefügt", "2 Bilder hinzugefügt"]


def test_a_message_is_english_and_said_in_another_language():
    inner = wording.message("blurred")
    told = wording.message("Glare covers {share} % of the tissue.", share=12)
    both = wording.listed([inner, wording.message("too dark"), wording.message("glare")], wording.AND)
    assert (told, both) == ("Glare covers 12 % of the tissue.", "blurred, too dark and glare")
    with wording.speaking("de"):
        assert wording.said(told) == "Glanzlichter bedecken 12 % des Gewebes."
        assert wording.said(both) == "unscharf, zu dunkel und Glanzlichter"
        assert told == "Glare covers 12 % of the tissue."


def test_threads_do_not_mix_languages_up():
    """One speaks German while another, which was never told, speaks that of the process."""
    inside, checked, heard = threading.Event(), threading.Event(), {}

    def german():
        with wording.speaking("de"):
            inside.set()
            checked.wait(10)
            heard["german"] = wording.state_word("borderline")

    thread = threading.Thread(target=german)
    thread.start()
    assert inside.wait(10)
    heard["main"] = wording.state_word("borderline")
    checked.set()
    thread.join()
    assert heard == {"main": "Borderline", "german": "Grenzwertig"}


def test_a_third_language_is_one_file(tmp_path, monkeypatch):
    catalog = Catalog(locale="fr", charset="UTF-8")
    catalog.add(wording.BORDERLINE, "Limite")
    catalog.add(wording.UNUSUAL, "Inhabituel", flags=["fuzzy"])
    with (tmp_path / "fr.po").open("wb") as file:
        write_po(file, catalog)
    monkeypatch.setattr(languages, "LOCALES", tmp_path)
    assert languages.offered() == {"en": "English", "fr": "Français"}
    assert languages.best(["fr-CA"]) == "fr"
    with wording.speaking("fr"):
        assert wording.state_word("borderline") == "Limite"
        assert wording.state_word("out-of-distribution") == "Unusual", "what nobody has looked at again stays English"


def test_languages_are_called_by_their_own_names():
    assert languages.offered() == {"en": "English", "de": "Deutsch"}
