"""The Neurons page, driven through the whole app: choosing, comparing, links, files, and what may be missing."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from types import SimpleNamespace
from urllib.parse import parse_qsl

import numpy as np
import pytest

from nero_core.neurons.statistics import Comparison
from nero_core.reference.manifest import read_manifest
from nero_core.reference.reference import Reference
from pages.neuron_views import groups, link, overview
from tests.app.conftest import picture_bytes, upload, words_of

PAGE = "pages/neurons.py"
FILE_NAME = "Mrs Example 1950-02-03.png"


@pytest.fixture
def opened(open_app):
    """Call it for a session on the Neurons page, with or without a case and an address."""

    def open_page(*files, **address):
        session = open_app()
        if files:
            upload(session, *files)
        session.switch_page(PAGE)
        for name, value in address.items():
            session.query_params[name] = value
        return session.run()

    return open_page


@pytest.fixture(scope="session")
def stored(tiny_reference):
    """What the reference keeps of its neurons."""
    return Reference.open(tiny_reference)


@pytest.fixture(scope="session")
def token(tiny_reference):
    return groups.token(tiny_reference)


@pytest.fixture(scope="session")
def bare(tmp_path_factory, tiny_reference):
    """The same reference without a sample, and without pictures of training images."""
    from nero_core import Reference

    reference = Reference.load(tiny_reference)
    folder = tmp_path_factory.mktemp("bare")
    reference.sample = None
    reference.save(folder / "no-sample" / "r")
    reference.sample, reference.concepts = Reference.load(tiny_reference).sample, None
    reference.save(folder / "no-pictures" / "r")
    return folder


@pytest.fixture
def second(monkeypatch, tmp_path, tiny_reference):
    """A second reference beside the first: the same network under another title."""
    from nero_core import Reference

    shutil.copytree(tiny_reference, tmp_path / "one")
    other = Reference.load(tiny_reference)
    other.manifest["title"] = "Zweite"
    other.save(tmp_path / "two")
    return tmp_path


def main_table(page):
    return page.dataframe[0].value


def written(body):
    """What the page would have the browser put into the address, as one plain dict."""
    told = json.loads(re.search(r"\}\)\((\{.*\})\);", body)[1])
    assert told["page"] == "/neurons"
    return dict(parse_qsl(told["view"], strict_parsing=True))


def address_of(page):
    """The view in the address after a run."""
    (script,) = [each.proto.body for each in page.get("html") if "replaceState" in each.proto.body]
    return written(script)


def compare(page, first, second):
    page.selectbox(key=link.FIRST).set_value(first)
    page.selectbox(key=link.SECOND).set_value(second)
    return page.run()


# Content -----------------------------------------------------------------------------------------------------------


def test_the_neuron_that_stands_out_most_comes_first_and_is_the_one_looked_at(opened, stored):
    page = opened()
    assert not page.exception
    comparison = Comparison(stored.sample.group("id", range(3)), stored.sample.group("ood", [3]))
    order = comparison.order("effect")
    assert main_table(page)["neuron"].tolist() == order[: link.SHOWN_AT_FIRST].tolist()
    assert page.number_input(key=link.NEURON).value == order[0]
    np.testing.assert_allclose(
        main_table(page)["mean, second"], comparison.second.moments.mean[order[:24]], rtol=6e-3, atol=1e-12
    )
    text = words_of(page)
    for heading in ("Images by relevance", f"Training images that neuron {order[0]} stands for", "Where it looked"):
        assert heading in text


def test_every_chart_is_named_and_has_its_table(opened):
    page = opened(neuron="7", beside="9")
    assert all(chart.proto.alt for chart in page.get("plotly_chart"))
    assert all(image.alt for picture in page.get("image") for image in picture.proto.imgs)
    assert {"Weights of neuron 7 as a table", "Values of neuron 9 as a table", "Map as a table"} <= {
        expander.label for expander in page.expander
    }


def test_a_number_chooses_a_neuron(opened, stored):
    page = opened()
    page.number_input(key=link.NEURON).set_value(7).run()
    assert not page.exception
    tables = [table.value for table in page.dataframe]
    boxes = next(table for table in tables if "median" in table)
    values = stored.sample.relevance[stored.sample.groups == 0, 7]
    assert boxes["median"].iloc[0] == pytest.approx(np.median(values), rel=6e-3)
    weights = next(table for table in tables if list(table.columns) == ["class", "weight"])
    assert weights["weight"].tolist() == pytest.approx(stored.sample.head.weight[:, 7].tolist(), rel=6e-3)


def test_activation_instead_of_relevance(opened, stored):
    page = opened(neuron="7")
    page.segmented_control(key="neurons-values").set_value("activation").run()
    boxes = next(table.value for table in page.dataframe if "median" in table.value)
    values = stored.sample.features[stored.sample.groups == 1, 7]
    assert boxes["median"].iloc[1] == pytest.approx(np.median(values), rel=6e-3)


def test_two_neurons_stand_side_by_side(opened, stored):
    page = opened(neuron="7")
    page.number_input(key=link.BESIDE).set_value(9).run()
    assert not page.exception
    assert address_of(page)["beside"] == "9"
    text = words_of(page)
    for neuron in (7, 9):
        assert f"Mean relevance of neuron {neuron}:" in text
        assert f"Training images that neuron {neuron} stands for" in text
    tables = [table.value for table in page.dataframe]
    medians = [table["median"].iloc[0] for table in tables if "median" in table]
    values = stored.sample.relevance[stored.sample.groups == 0]
    assert medians == pytest.approx([np.median(values[:, 7]), np.median(values[:, 9])], rel=6e-3)
    bars, seven, _, nine, _ = (json.loads(chart.proto.spec)["layout"] for chart in page.get("plotly_chart")[:5])
    assert [mark["text"] for mark in bars.get("annotations", [])] == [
        f"<b>▼ {neuron}</b>" for neuron in (7, 9) if neuron in main_table(page)["neuron"].tolist()
    ]
    assert seven["xaxis"]["autorangeoptions"] == nine["xaxis"]["autorangeoptions"], "on one scale"
    page.number_input(key=link.BESIDE).set_value(7).run()
    assert not page.exception
    assert words_of(page).count("Mean relevance of neuron 7:") == 1, "a neuron is not set beside itself"
    page.number_input(key=link.BESIDE).set_value(None).run()
    assert "beside" not in address_of(page)


def test_a_neuron_beside_goes_with_its_network(second, opened, monkeypatch):
    monkeypatch.setenv("NERO_REFERENCES", str(second))
    page = opened(neuron="7", beside="9")
    page.selectbox(key="reference").set_value(str(second / "two")).run()
    assert not page.exception
    assert page.number_input(key=link.BESIDE).value is None


@pytest.mark.parametrize(("points", "chosen"), [([{"x": "31"}], 31), ([{"x": 31}], 31), ([], 5), ([{"x": "a"}], 5)])
def test_a_bar_chooses_a_neuron(monkeypatch, points, chosen):
    state = {overview.BARS: SimpleNamespace(selection=SimpleNamespace(points=points)), link.NEURON: 5}
    monkeypatch.setattr(overview, "st", SimpleNamespace(session_state=state))
    overview._take_bar()
    assert state[link.NEURON] == chosen


@pytest.mark.parametrize(("rows", "chosen"), [([1], 40), ([], 5), ([2], 5)])
def test_a_row_of_the_table_chooses_a_neuron(monkeypatch, rows, chosen):
    state = {
        overview.TABLE: SimpleNamespace(selection=SimpleNamespace(rows=rows)),
        f"{overview.TABLE}-order": [30, 40],
        link.NEURON: 5,
    }
    monkeypatch.setattr(overview, "st", SimpleNamespace(session_state=state))
    overview._take_row()
    assert state[link.NEURON] == chosen


# Order and filter ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", list(overview.ORDERS))
def test_every_order(opened, stored, by):
    page = opened()
    page.selectbox(key=link.ORDER).set_value(by).run()
    comparison = Comparison(stored.sample.group("id", range(3)), stored.sample.group("ood", [3]))
    assert main_table(page)["neuron"].tolist() == comparison.order(by)[:24].tolist()


def test_filters_by_class_range_and_number(opened, stored):
    page = opened()
    page.selectbox(key=link.OF_CLASS).set_value(1)
    page.slider(key=link.RANGE).set_range(100, 299)
    page.slider(key=link.SHOWN).set_value(512).run()
    assert not page.exception
    shown = main_table(page)["neuron"]
    wanted = [j for j in range(100, 300) if stored.sample.head.weight[:, j].argmax() == 1]
    assert sorted(shown) == wanted
    page.slider(key=link.SHOWN).set_value(6).run()
    assert main_table(page)["neuron"].tolist() == shown[:6].tolist()


def test_a_filter_that_leaves_nothing_says_so_and_the_neuron_stays(opened, stored):
    strangers = np.flatnonzero(stored.sample.head.weight.argmax(axis=0) != 2)
    page = opened(neuron="9")
    page.selectbox(key=link.OF_CLASS).set_value(2)
    page.slider(key=link.RANGE).set_range(int(strangers[0]), int(strangers[0])).run()
    assert not page.exception
    assert "No neuron is left" in page.info[0].value
    assert page.number_input(key=link.NEURON).value == 9


# Comparing -----------------------------------------------------------------------------------------------------------


def test_two_classes(opened, stored):
    page = compare(opened(), "id-0", "id-2")
    comparison = Comparison(stored.sample.group("a", [0]), stored.sample.group("b", [2]))
    assert main_table(page)["neuron"].tolist() == comparison.order("effect")[:24].tolist()
    assert "Class slate" in words_of(page)


def test_two_images_of_a_case(opened, reference):
    page = compare(opened((FILE_NAME, picture_bytes(0)), ("b.png", picture_bytes(1))), "case-0", "case-1")
    assert not page.exception
    from nero_core.relevance import relevance_of

    activations = [reference.classifier.extract([picture_bytes(i)]) for i in (0, 1)]
    r = [relevance_of(a, reference.classifier.head).neurons[0] for a in activations]
    table = main_table(page)
    for column, values in zip(("mean, first", "mean, second"), r, strict=True):
        np.testing.assert_allclose(table[column], values[table["neuron"]], rtol=6e-3, atol=1e-12)
    assert table["Cohen’s d"].isna().all(), "one image has no spread"
    assert "too few for a group of one image" in words_of(page)


def test_the_whole_case_against_ordinary_images(opened):
    page = compare(opened(("a.png", picture_bytes(0)), ("b.png", picture_bytes(1))), "id", "case")
    assert not page.exception
    assert main_table(page)["deviation, second"].notna().all()


def test_the_case_is_a_star_on_the_map_and_a_line_in_the_boxes(opened):
    page = opened(("a.png", picture_bytes(0)))
    tables = [table.value for table in page.dataframe]
    assert "image 1" in next(t for t in tables if "median" in t)["group"].tolist()
    assert "image 1" in next(t for t in tables if {"group", "first", "second"} <= set(t.columns))["group"].tolist()


def test_an_image_that_cannot_be_read_is_not_offered(opened):
    page = opened(("a.png", picture_bytes(0)), ("broken.png", b"no picture"))
    assert [option for option in page.selectbox(key=link.SECOND).options if "ase" in option] == ["The open case"]


def test_two_references_side_by_side(second, opened, monkeypatch):
    monkeypatch.setenv("NERO_REFERENCES", str(second))
    page = opened()
    offered = [option for option in page.selectbox(key=link.SECOND).options if "eference" in option]
    assert offered == ["Reference Zweite, calibration images"]
    page = compare(page, "id", f"ref-{groups.token(second / 'two')}")
    assert not page.exception
    assert "comparable only where they hold the same network" in words_of(page)
    assert (main_table(page)["difference"] == 0).all(), "the same network and the same images"
    maps = [chart.proto.alt for chart in page.get("plotly_chart") if chart.proto.alt.startswith("Map of")]
    assert len(maps) == 2
    shutil.rmtree(second / "two")
    page.run()
    assert not page.exception, "a reference that was removed is no longer compared with"
    assert page.selectbox(key=link.SECOND).value == "ood"


# What may be missing -------------------------------------------------------------------------------------------------


def test_without_a_reference(no_bundle, monkeypatch, tmp_path):
    from streamlit.testing.v1 import AppTest

    from tests.app.conftest import PATIENCE, ROOT

    monkeypatch.setenv("NERO_REFERENCES", str(tmp_path))
    session = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE).run()
    session.switch_page(PAGE).run()
    assert not session.exception
    assert "First, a reference" in words_of(session)


def test_a_reference_without_a_sample_says_how_to_get_one(opened, monkeypatch, bare):
    monkeypatch.setenv("NERO_REFERENCES", str(bare / "no-sample"))
    page = opened()
    assert not page.exception
    assert "keeps no sample of its neurons" in words_of(page)
    assert "nero_core fit" in page.code[0].value


def test_a_reference_without_pictures(opened, monkeypatch, bare):
    monkeypatch.setenv("NERO_REFERENCES", str(bare / "no-pictures"))
    page = opened()
    assert not page.exception
    assert "carries no pictures of training images" in page.info[0].value
    page.selectbox(key="neurons-map-group-own").set_value(3).run()
    assert "**5 images chosen**" in words_of(page)


def test_a_damaged_file_is_said_in_words_until_it_is_repaired(open_app, monkeypatch, tmp_path, tiny_reference):
    shutil.copytree(tiny_reference, tmp_path / "r")
    monkeypatch.setenv("NERO_REFERENCES", str(tmp_path))
    fitted = next((tmp_path / "r").glob("fitted-*"))
    whole = fitted.read_bytes()
    fitted.write_bytes(whole[:-10])
    session = open_app()
    session.switch_page(PAGE).run()
    assert not session.exception
    assert "is truncated" in session.error[0].value
    fitted.write_bytes(whole)
    session.run()
    assert not session.error
    assert len(main_table(session)) == link.SHOWN_AT_FIRST


@pytest.mark.parametrize("role", ["concepts/neuron_00007", "concepts/sample"])
def test_damaged_pictures_take_nothing_else_away(open_app, monkeypatch, tmp_path, tiny_reference, role):
    shutil.copytree(tiny_reference, tmp_path / "r")
    sheet = tmp_path / "r" / read_manifest(tmp_path / "r")["files"][role]["name"]
    sheet.write_bytes(sheet.read_bytes()[::-1])
    monkeypatch.setenv("NERO_REFERENCES", str(tmp_path))
    page = open_app()
    page.switch_page(PAGE)
    page.query_params["neuron"] = "7"
    page.run()
    page.selectbox(key="neurons-map-group-own").set_value(3).run()
    assert not page.exception
    assert not page.error
    assert [w.value for w in page.warning if "SHA" in w.value]
    assert "Images by relevance" in words_of(page)


def test_a_group_is_opened_without_a_pointer(opened):
    page = opened()
    page.selectbox(key="neurons-map-group-own").set_value(3).run()
    assert "**5 images chosen**" in words_of(page)
    alts = [image.alt for picture in page.get("image") for image in picture.proto.imgs]
    assert sum(alt.endswith(", strange") for alt in alts) == 5
    assert next(t.value for t in page.dataframe if "network’s answer" in t.value)["group"].tolist() == ["strange"] * 5


# Heatmaps ------------------------------------------------------------------------------------------------------------


def test_where_a_neuron_looked_names_image_relevance_and_method(opened):
    page = opened((FILE_NAME, picture_bytes(0)), neuron="7")
    assert "The network is loaded when an image is chosen" in words_of(page)
    page.multiselect(key="neurons-images").set_value(["Case, image 1"]).run()
    assert not page.exception
    (picture,) = [i for image in page.get("image") for i in image.proto.imgs if "where neuron 7 looked" in i.alt]
    assert picture.alt.startswith("Case, image 1")
    assert page.session_state[link.NEURON] == 7
    assert re.fullmatch(r"Case, image 1 · relevance [−0-9.]+ · CRP", picture.caption)


def test_two_images_and_two_neurons_are_set_side_by_side(opened):
    page = opened(("a.png", picture_bytes(0)), ("b.png", picture_bytes(1)), neuron="7", beside="9")
    page.multiselect(key="neurons-images").set_value(["Case, image 1", "Case, image 2"]).run()
    assert not page.exception
    pictures = [i for image in page.get("image") for i in image.proto.imgs if " looked, by " in i.alt]
    assert [picture.alt.partition(" looked")[0] for picture in pictures] == [
        f"Case, image {image}: where neuron {neuron}" for image in (1, 2) for neuron in (7, 9)
    ]
    assert [picture.caption.partition(" ·")[0] for picture in pictures] == ["Neuron 7", "Neuron 9"] * 2


# The address ---------------------------------------------------------------------------------------------------------


def test_a_link_restores_the_view(opened, token):
    asked = {
        "reference": token,
        "neuron": "41",
        "first": "id-1",
        "second": "ood-0",
        "sort": "auroc",
        "k": "9",
        "class": "2",
        "range": "5-400",
        "beside": "7",
    }
    page = opened(**asked)
    assert not page.exception
    assert page.number_input(key=link.NEURON).value == 41
    assert page.number_input(key=link.BESIDE).value == 7
    assert page.selectbox(key=link.FIRST).value == "id-1"
    assert page.selectbox(key=link.SECOND).value == "ood-0"
    assert page.selectbox(key=link.ORDER).value == "auroc"
    assert page.selectbox(key=link.OF_CLASS).value == 2
    assert page.slider(key=link.SHOWN).value == 9
    assert tuple(page.slider(key=link.RANGE).value) == (5, 400)
    assert not page.info
    assert address_of(page) == asked


def test_what_is_chosen_is_written_into_the_address(opened, token):
    page = opened()
    page.number_input(key=link.NEURON).set_value(12)
    page.slider(key=link.RANGE).set_range(3, 99)
    page.selectbox(key=link.OF_CLASS).set_value(0).run()
    address = address_of(page)
    assert address["reference"] == token
    assert (address["neuron"], address["range"], address["class"]) == ("12", "3-99", "0")


def test_nonsense_in_a_link_is_ignored_and_said(opened, stored):
    page = opened(
        neuron="512", first="case", sort="<b>x</b>", k="1e9", range="9-3", second="ref-0123", **{"[x](http://y)": "1"}
    )
    assert not page.exception
    said = page.info[0].value
    for name in ("neuron", "first", "second", "sort", "k", "range"):
        assert name in said
    assert "](" not in said.replace("\\", "") or "\\]\\(" in said
    assert page.selectbox(key=link.ORDER).value == "effect"
    assert page.selectbox(key=link.FIRST).value == "id"
    page.run()
    assert not page.info, "it is said once"


def test_a_link_made_with_another_reference_says_so(opened):
    page = opened(reference="0123456789ab", neuron="3")
    assert "made with another reference" in page.info[0].value
    assert page.number_input(key=link.NEURON).value == 3


def test_a_link_made_with_a_reference_that_is_here_names_it(second, opened, monkeypatch):
    monkeypatch.setenv("NERO_REFERENCES", str(second))
    page = opened(reference=groups.token(second / "two"), neuron="3")
    assert "made with the reference *Zweite*" in page.info[0].value
    page.selectbox(key="reference").set_value(str(second / "two")).run()
    assert not page.info
    assert page.number_input(key=link.NEURON).value == 3


def test_no_file_name_is_ever_in_the_address(opened):
    page = compare(opened((FILE_NAME, picture_bytes(0)), ("b.png", picture_bytes(1))), "case-1", "case-0")
    page.multiselect(key="neurons-images").set_value(["Case, image 1"]).run()
    address = str(address_of(page))
    assert "case-0" in address
    for part in ("Mrs", "Example", "1950", "png"):
        assert part not in address


def test_the_view_outlives_another_page(opened):
    page = opened()
    page.number_input(key=link.NEURON).set_value(12)
    page.selectbox(key=link.ORDER).set_value("difference").run()
    page.switch_page("pages/case_review.py").run()
    page.switch_page(PAGE).run()
    assert page.number_input(key=link.NEURON).value == 12
    assert page.selectbox(key=link.ORDER).value == "difference"


# The address, without a screen ---------------------------------------------------------------------------------------

GROUPS = ("id", "id-0", "ood")


@pytest.fixture
def screen(monkeypatch):
    """The session and the address in place of a browser's."""

    class Address(dict):
        def from_dict(self, view):
            self.clear()
            self.update(view)

    place = SimpleNamespace(session_state={}, query_params=Address())
    place.html = lambda body, **named: place.query_params.from_dict(written(body))  # as the browser does
    monkeypatch.setattr(link, "st", place)
    return place


def restore(neurons=512, classes=3):
    return link.restore(GROUPS, ("id", "ood"), overview.ORDERS, neurons, classes, "abc")


def test_an_empty_address_gives_the_defaults_and_no_neuron(screen):
    assert restore() == []
    assert screen.session_state == {
        link.FIRST: "id",
        link.SECOND: "ood",
        link.SHOWN: 24,
        link.OF_CLASS: link.EVERY_CLASS,
        link.RANGE: (0, 511),
        link.IN_USE: "abc",
    }


def test_another_network_is_shown_anew(screen):
    """Numbers of the network before mean nothing in it, and its sliders end elsewhere."""
    state = screen.session_state
    restore()
    state |= {link.NEURON: 3, link.RANGE: (2, 5), link.OF_CLASS: 1, link.SHOWN: 6}
    restore()
    assert (state[link.NEURON], state[link.RANGE], state[link.OF_CLASS]) == (3, (2, 5), 1)
    state[link.IN_USE] = "another"
    restore()
    assert link.NEURON not in state
    assert (state[link.RANGE], state[link.OF_CLASS], state[link.SHOWN]) == ((0, 511), link.EVERY_CLASS, 6)


def test_numbers_of_a_link_stay_when_its_reference_is_chosen(screen):
    state = screen.session_state
    state |= {link.IN_USE: "another", link.ASKED: "abc", link.NEURON: 3}
    restore()
    assert state[link.NEURON] == 3


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("neuron", "512"),
        ("neuron", "-1"),
        ("neuron", "٣"),
        ("neuron", "1" * 5000),
        ("neuron", ""),
        ("k", "3"),
        ("k", "513"),
        ("class", "3"),
        ("range", "5"),
        ("range", "5-"),
        ("range", "9-8"),
        ("range", "0-512"),
        ("range", "0-5-9"),
        ("first", "case"),
        ("sort", "EFFECT"),
        ("sort", ""),
        ("other", "x"),
    ],
)
def test_each_kind_of_nonsense_is_named(screen, name, text):
    screen.query_params[name] = text
    assert restore() == [name]
    assert link.NEURON not in screen.session_state


def test_many_unknown_names_do_not_fill_the_screen(screen):
    screen.query_params |= {f"x{i}": "1" for i in range(1000)}
    assert len(restore()) == 3


def test_what_was_written_is_not_read_again(screen):
    restore()
    screen.session_state |= {link.NEURON: 5, link.ORDER: "effect"}
    link.write("abc", 512)
    assert screen.query_params == {
        "reference": "abc",
        "neuron": "5",
        "first": "id",
        "second": "ood",
        "sort": "effect",
        "k": "24",
    }
    screen.session_state[link.NEURON] = 6  # a control was used; the address still says 5
    assert restore() == []
    assert screen.session_state[link.NEURON] == 6
    screen.query_params["neuron"] = "7"  # somebody edited the address
    restore()
    assert screen.session_state[link.NEURON] == 7


def test_a_smaller_network_drops_what_it_does_not_have(screen):
    screen.session_state |= {
        link.NEURON: 500,
        link.SHOWN: 300,
        link.RANGE: (2, 500),
        link.OF_CLASS: 2,
        link.FIRST: "ood-9",
        link.ORDER: "number",
    }
    assert restore(neurons=3, classes=2) == []
    assert link.NEURON not in screen.session_state
    assert screen.session_state[link.SHOWN] == 3
    assert screen.session_state[link.RANGE] == (0, 2)
    assert screen.session_state[link.OF_CLASS] == link.EVERY_CLASS
    assert screen.session_state[link.FIRST] == "id"
    assert screen.session_state[link.ORDER] == "number"


# Files ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def files(opened, monkeypatch):
    """What the download buttons would hand over."""
    found = {}
    monkeypatch.setattr(
        overview.st, "download_button", lambda label, data, *args, key, **named: found.__setitem__(key, data)
    )
    compare(opened((FILE_NAME, picture_bytes(0))), "id-1", "ood")
    return {key: data() for key, data in found.items()}


def test_the_csv_holds_every_neuron_with_numbers_that_can_be_read(files, stored):
    rows = list(csv.DictReader(io.StringIO(files["neurons-csv"])))
    assert sorted(int(row["neuron"]) for row in rows) == list(range(512))
    comparison = Comparison(stored.sample.group("a", [1]), stored.sample.group("b", [3]))
    assert [int(row["neuron"]) for row in rows] == comparison.order("effect").tolist()
    j = int(rows[0]["neuron"])
    assert float(rows[0]["mean, Class moss"]) == pytest.approx(comparison.first.moments.mean[j], rel=6e-3)
    assert float(rows[0]["weight into slate"]) == pytest.approx(stored.sample.head.weight[2, j], rel=6e-3)
    assert "Mrs" not in files["neurons-csv"]


def test_the_npz_opens_without_pickles_and_holds_the_raw_arrays(files, stored):
    with np.load(io.BytesIO(files["neurons-npz"]), allow_pickle=False) as arrays:
        np.testing.assert_allclose(arrays["relevance"], stored.sample.relevance, rtol=1e-6)
        np.testing.assert_array_equal(arrays["activation"], stored.sample.features)
        np.testing.assert_array_equal(arrays["group"], stored.sample.groups)
        assert arrays["names"].tolist() == ["amber", "moss", "slate", "strange"]
        assert int(arrays["classes"]) == 3
        np.testing.assert_allclose(arrays["mean"][3], stored.sample.relevance[-5:].mean(axis=0), rtol=1e-5)
        assert arrays["weight"].shape == (3, 512)


def test_the_same_group_twice_keeps_both_columns_apart(opened, monkeypatch):
    found = {}
    monkeypatch.setattr(
        overview.st, "download_button", lambda label, data, *args, key, **named: found.__setitem__(key, data)
    )
    compare(opened(), "id-1", "id-1")
    header = found["neurons-csv"]().splitlines()[0]
    assert "mean, Class moss (second)" in header
