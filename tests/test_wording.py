"""One word for one thing: no other spelling on a page, in the command line or in a report; and other languages."""

from __future__ import annotations

import ast
import io
import json
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po
from streamlit.testing.v1 import AppTest

from nero_core import wording
from nero_core.cli.main import main
from nero_core.metrics import METRICS
from nero_core.reports import benchmark as report
from nero_core.wording import STATES, languages
from tests.app.conftest import PATIENCE, picture_bytes, upload, words_of
from tests.benchmark_results import made_result

ROOT = Path(__file__).parents[1]
CORE, CASE_REVIEW = "nero_core/", ("pages/case_views/", "pages/case_review.py")
KNOWN_UNUSUAL = (*CASE_REVIEW, "nero_core/wording/glossary.py")
"""Where known OOD images have the name that readers of Case review know them by; the glossary has both."""
METHODS_IN_FILES = ("nero_core/attribution/",)
"""Where heatmap methods have the names that options and files go by."""

FORBIDDEN: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (r"calibration (set|sample|data)s?\b|conformal (calibration )?sets?\b", "calibration images", ()),
    (r"\breference(['’]s)? (own )?images\b|held-out (calibration )?images\b", "calibration images", ()),
    (r"\b(other|each|which|no) measures?\b(?! of| that)|unusualness is measured", "detector", ()),
    (r"\b(ood|outlier|anomaly|novelty) (detector|method|scorer)s?\b|\bscoring methods?\b", "detector", ()),
    (r"\baccounts? of (the|this|its|a) scores?\b|\bexact accounts?\b|\bhas an account\b", "score decomposition", ()),
    (r"decomposition of (the|this|its|a) score", "score decomposition", ()),
    (r"\bfpr ?@? ?95|false[ -]positive rate|fpr at 95 ?%(?! tpr \((id|ood) positive\))", "FPR at 95 % TPR (…)", ()),
    (r"\bauc\b|\bau-?roc area|area under the", "AUROC", ()),
    (r"heatmaps? (is|are|was|were) true|\bhow true\b|\bis it true\b", "faithfulness", ()),
    (r"known (as )?unusual|known (anomal|outlier|out-of-dist)|known:? unusual", "known OOD images", KNOWN_UNUSUAL),
    (r"conservative propagation|attn-?lrp", "LRP for transformers (Ali et al., 2022)", METHODS_IN_FILES),
    (r"instant map", "relevance-weighted feature map", METHODS_IN_FILES),
    (r"score,? ?\(?(higher|larger) = |(anomaly|novelty|unusualness) score", "OOD score, higher = more unusual", ()),
    (r"research use[.;]|does not mean (diseased|healthy)", "the standing line", ()),
    (r"[●◐▲]|(?-i:^(Usual|Unusual|Borderline)$)", "a state's sign and word", ()),
)
"""Spellings that were in use beside the one of `nero_core/wording`, what to write, and where they may stand."""
OWN = f"{CORE}wording/__init__.py"
LOOK_UP = {
    f"{module}{name}" for module in ("", "wording.") for name in ("said", "label", "counted", "message", "listed")
}


def literals(path: Path) -> Iterator[tuple[int, str]]:
    """Every string of a file that is no docstring; what is filled in is ``{}``."""
    if path.suffix != ".py":
        yield 1, path.read_text(encoding="utf-8")
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    pieces = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield (
                node.lineno,
                "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values),
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not {id(node)} & (pieces | alone):
            yield node.lineno, node.value


def prose(text: str) -> str:
    """A Markdown page without what is typed: blocks and spans of code."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"```.*?```", "", text, flags=re.S))


def shown() -> Iterator[tuple[str, int, str]]:
    """Everything people are shown, by file and line."""
    templates = ROOT / CORE / "reports" / "templates"
    for path in [ROOT / "app.py", *(ROOT / "pages").rglob("*.py"), *(ROOT / CORE).rglob("*.py"), *templates.iterdir()]:
        name = path.relative_to(ROOT).as_posix()
        yield from ((name, line, text) for line, text in literals(path) if name != OWN)
    for line, text in enumerate(prose((ROOT / "README.md").read_text(encoding="utf-8")).splitlines(), start=1):
        yield "README.md", line, text


@pytest.fixture(scope="module")
def everything():
    return list(shown())


# One spelling ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("pattern", "instead", "allowed"), FORBIDDEN, ids=[row[1] for row in FORBIDDEN])
def test_nothing_is_called_by_another_name(everything, pattern, instead, allowed):
    other = re.compile(pattern, re.I)
    assert [
        f"{name}:{line}: {found[0]!r} in {text.strip()[:90]!r}; write {instead!r}"
        for name, line, text in everything
        if not name.startswith(allowed or ("\0",))
        and (found := other.search(text))
        and not (name == "README.md" and wording.STANDING_LINE in text.replace('"', "”").replace(" ”", " “"))
    ] == []


def test_what_the_catalogue_says_is_written_nowhere_else(everything):
    def bare(text: str) -> str:
        return text.strip(" .:;*").lower()

    texts = {bare(text) for text in wording.messages() if " " in text}
    assert [f"{name}:{line}: {text!r}" for name, line, text in everything if bare(text) in texts] == []


def test_every_text_is_looked_up_where_it_is_shown():
    """A constant by itself would stay English: it is an argument of `said` or `label`."""
    english = {name for name, value in vars(wording).items() if name.isupper() and isinstance(value, str)}
    for path in [ROOT / "app.py", *(ROOT / "pages").rglob("*.py"), *(ROOT / CORE).rglob("*.py")]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if path == ROOT / OWN:
            continue
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) in LOOK_UP]
        looked_up = {id(part) for call in calls for argument in call.args for part in ast.walk(argument)}
        imported = {
            name.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for name in node.names
            if node.module == "nero_core.wording"
        }  # fmt: skip
        for node in ast.walk(tree):
            bare = isinstance(node, ast.Name) and node.id in english & imported
            dotted = isinstance(node, ast.Attribute) and ast.unparse(node.value) == "wording" and node.attr in english
            assert not (bare or dotted) or id(node) in looked_up, f"{path}:{node.lineno}: {ast.unparse(node)}"


def test_the_readme_has_the_standing_line():
    straight = wording.STANDING_LINE.replace("“", '"').replace("”", '"')
    assert straight in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_spelling_that_is_looked_for_is_found_where_it_stands():
    for text in (
        "conformal calibration set", "Reference images (40)", "Other measures · ", "an OOD detector", "FPR95", "FPR@95",
        "Account of the score", "no exact account", "decomposition of the score", "FPR at 95 %", "heatmaps are true",
        "Known unusual images", "instant map", "conservative propagation", "Score (higher = more unusual)", "● Usual",
    ):  # fmt: skip
        assert any(re.search(pattern, text, re.I) for pattern, _, _ in FORBIDDEN), text
    for text in (*wording.METRICS.values(), *wording.HEATMAPS.values(), "calibration images", "score decomposition"):
        assert not any(re.search(pattern, text, re.I) for pattern, _, _ in FORBIDDEN), text


def test_every_metric_has_its_title_and_its_one_explanation():
    assert set(wording.METRICS) == set(wording.MEANINGS) == set(METRICS)
    assert wording.METRICS["fpr_ood_at_95_id_tpr"] == "FPR at 95 % TPR (ID positive)"


# Other languages ---------------------------------------------------------------------------------------------------


def write_catalogue(path: Path, texts: dict[str | tuple[str, ...], str | tuple[str, ...]]) -> None:
    """A catalogue as translators write it (PO)."""
    catalog = Catalog(locale="en", charset="UTF-8")  # its rules for numbers
    for text, translation in texts.items():
        catalog.add(text, translation)
    with path.open("wb") as file:
        write_po(file, catalog)


@pytest.fixture
def loud(tmp_path, monkeypatch):
    """A language in which every text is shouted, chosen for this test."""
    texts = [message.id for message in read_po(io.StringIO(wording.template())) if message.id]
    write_catalogue(tmp_path / "xx.po", {text: shouted(text) for text in texts})
    monkeypatch.setattr(languages, "LOCALES", tmp_path)
    wording.use("xx")
    yield
    monkeypatch.undo()
    wording.use()


def shouted(text):
    """Capitals, but for what is filled in; of those that count, one and many."""
    if isinstance(text, tuple):
        return tuple(map(shouted, text))
    parts = string.Formatter().parse(text)
    return "".join(before.upper() + ("" if name is None else f"{{{name}}}") for before, name, _, _ in parts)


def test_a_language_changes_what_is_said_after_the_import(loud):
    assert wording.said(wording.STANDING_LINE) == wording.STANDING_LINE.upper()
    assert wording.said(wording.OOD_SCORE_OF, detector="kNN") == "kNN: OOD SCORE, HIGHER = MORE UNUSUAL"
    assert wording.state_mark("borderline") == "◐ BORDERLINE"
    assert wording.metric_title("auroc") == "AUROC"
    assert wording.heatmap_method("instant map") == "RELEVANCE-WEIGHTED FEATURE MAP"
    wording.use("a language that nobody wrote")
    assert wording.said(wording.STANDING_LINE) == wording.STANDING_LINE


def test_the_language_is_that_of_the_environment(loud, monkeypatch):
    monkeypatch.setenv("LANGUAGE", "xx")
    wording.use()
    assert wording.state_word("borderline") == "BORDERLINE"


def test_a_language_changes_a_page(loud, tiny_reference, tmp_path, monkeypatch):
    monkeypatch.setattr("pages.shared.resources.BUNDLED_REFERENCES", tmp_path / "none")
    monkeypatch.setenv("NERO_REFERENCES", str(tiny_reference.parent))
    session = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE).run()
    reviewed = upload(session, ("a.png", picture_bytes()))
    assert not reviewed.exception
    assert wording.STANDING_LINE.upper() in [caption.value for caption in reviewed.caption]
    assert any(header.value.endswith(f"{wording.state_word(state)}]") for header in reviewed.header for state in STATES)
    assert "CALIBRATION IMAGES" in words_of(reviewed)
    assert "SCORE DECOMPOSITION AS A TABLE" in [expander.label for expander in reviewed.expander]


def test_a_language_changes_the_command_line_and_not_its_files(loud, tiny_reference, class_folders, capsys):
    image = str(next(class_folders.rglob("*.png")))
    assert main(["score", str(tiny_reference), image]) == 0
    told = capsys.readouterr().out
    assert wording.STANDING_LINE.upper() in told
    assert any(wording.state_word(state) in told for state in STATES)
    assert main(["score", str(tiny_reference), image, "--json"]) == 0
    [row] = json.loads(capsys.readouterr().out)
    assert row["state"] in STATES
    with pytest.raises(SystemExit):
        main(["--help"])
    assert wording.STANDING_LINE.upper().split()[0] in capsys.readouterr().out


def test_a_language_changes_reports_and_not_their_columns(loud):
    result = made_result({"nero": 1.0, "energy": 0.5})
    text, figures = report.markdown(result), report.comma_separated(result)
    assert wording.STANDING_LINE.upper() in text
    assert wording.MEANINGS["fpr_ood_at_95_id_tpr"].upper() in text
    assert wording.ROC_CURVES.upper() in report.page(result)
    assert figures.startswith("detector,title,set,")
    assert "auroc_low" in figures


def test_names_in_files_are_of_no_language():
    assert wording.heatmap_method("CRP") == "CRP"
    assert wording.heatmap_method("a method of a plug-in") == "a method of a plug-in"


def test_the_template_of_translators_is_of_today():
    path = ROOT / CORE / "locale" / "nero.pot"
    assert path.read_text(encoding="utf-8") == wording.template(), f"write wording.template() to {path.name}"


def test_every_place_to_fill_has_a_name():
    for text in wording.messages():
        for _, name, spec, conversion in string.Formatter().parse(text):
            assert name is None or (name.isidentifier() and not spec and conversion is None), text
