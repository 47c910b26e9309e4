"""Case review, driven through the whole app: empty, good, bad and many images, two people at once."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from nero_core.case import ALL
from nero_core.data.class_folders import list_images
from nero_core.data.guarantee import Guarantee
from nero_core.figures import overlays
from nero_core.figures.palette import significant
from nero_core.records import Neuron
from nero_core.reference.manifest import read_manifest
from nero_core.wording import STATES
from tests.app.conftest import (
    PATIENCE,
    ROOT,
    cards,
    choose_image,
    layers,
    mounted,
    open_popover,
    picture_bytes,
    show_part,
    tell,
    upload,
    words_of,
)
from tests.data.test_hostile_uploads import declared
from tests.neurons.test_sheets import with_sheet

STATE_WORDS = set(STATES.values())


def frames(session):
    return session.session_state["case"]


def headline(session):
    """The state word of the verdict card."""
    return next((word for word in STATE_WORDS for h in session.header if h.value.endswith(f"{word}]")), None)


# Opening ---------------------------------------------------------------------------------------------------------


def test_the_first_screen_asks_for_an_image_and_says_what_this_is_not(app):
    assert not app.exception
    assert app.file_uploader[0].label == "Drop one image or many"
    text = words_of(app)
    assert "Not a medical device" in text
    assert "“not flagged” does not mean healthy" in text
    assert "No case open" in text
    assert "amber" in text, "what is usual for this reference"


def test_the_first_screen_speaks_no_machine_learning(app):
    text = words_of(app).lower()
    for word in ("neuron", "logit", "softmax", "out-of-distribution", "ood", "relevance", "α", "feature"):
        assert word not in text


def test_a_synthetic_reference_says_so(app):
    assert any("Synthetic images" in element.value for element in app.markdown)


def test_first_paint_does_not_import_torch(tiny_reference):
    """Torch may be imported, but only by the thread that loads the reference in the background."""
    code = f"""
import sys, threading
importers = set()
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            importers.add(threading.current_thread().name)
            raise ImportError("torch is not for this test")
sys.meta_path.insert(0, Watch())
sys.path.insert(0, {str(ROOT)!r})
from streamlit.testing.v1 import AppTest
from pages.shared import resources
app = AppTest.from_file({str(ROOT / "app.py")!r}, default_timeout={PATIENCE}).run()
assert not app.exception and app.file_uploader
assert resources.begin_loading(resources.entries()[0].path).exception()
assert importers and all(name.startswith("reference-loader") for name in importers), importers
"""
    environment = {"NERO_REFERENCES": str(tiny_reference.parent), "PATH": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_without_a_reference_the_page_says_how_to_get_one(no_bundle):
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE).run()
    assert not app.exception
    assert not app.file_uploader
    commands = app.code[0].value
    assert "nero_core train" in commands
    assert "nero_core fit" in commands


def test_a_damaged_reference_is_named_with_the_reason(no_bundle, monkeypatch, tmp_path, tiny_reference):
    shutil.copytree(tiny_reference, tmp_path / "damaged")
    (tmp_path / "damaged" / "manifest.json").write_text("{")
    monkeypatch.setenv("NERO_REFERENCES", str(tmp_path))
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE).run()
    assert not app.exception
    assert "damaged cannot be used" in app.warning[0].value


def test_a_reference_with_a_truncated_file_gives_a_sentence_until_it_is_repaired(
    no_bundle, monkeypatch, tmp_path, tiny_reference
):
    shutil.copytree(tiny_reference, tmp_path / "truncated")
    weights = next((tmp_path / "truncated").glob("classifier-*"))
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-100])
    monkeypatch.setenv("NERO_REFERENCES", str(tmp_path))
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE).run()
    upload(app, ("a.png", picture_bytes()))
    assert not app.exception
    assert "truncated" in app.warning[0].value
    weights.write_bytes(whole)
    app.run()
    assert not app.warning, "a repaired reference loads without a restart"
    assert headline(app) in STATE_WORDS


# One image -------------------------------------------------------------------------------------------------------


@pytest.fixture
def reviewed(app):
    return upload(app, ("a.png", picture_bytes()))


def test_a_verdict_names_state_standing_guarantee_and_the_networks_answer(reviewed, reference):
    assert not reviewed.exception
    activations = reference.classifier.extract([picture_bytes()])
    score, decision = reference.score(activations), reference.decide(activations)[0]
    assert headline(reviewed) == STATES[decision.state]
    text = words_of(reviewed)
    assert "calibration images" in text
    assert decision.guaranteed
    assert "5 in 100 ordinary images from the same source that are read as" in text
    assert "are flagged on average; with these" in text
    assert "The network’s own answer" in text
    assert "Case: a.png" in text
    assert f"higher = more unusual: {significant(score[0])}" in text


def test_the_app_says_the_same_as_the_python_api(reviewed, reference):
    activations = reference.classifier.extract([picture_bytes()])
    explanation = reference.explain(activations)[0]
    reading = frames(reviewed)[0].reading
    assert reading.score == reference.score(activations)[0] == explanation.score
    assert list(reading.explanation.contributions) == list(explanation.contributions)
    neurons = [neuron for neuron, _ in explanation.top(6)]
    show_part(reviewed, "Top neurons")
    maps = reference.heatmaps(picture_bytes(), neurons)
    for neuron, heatmap in zip(neurons, maps, strict=True):
        assert abs(reading.maps[Neuron(None, neuron)] - heatmap).max() <= 1e-4 * abs(heatmap).max()


ON_THE_CARD = ("What each detector says", "Gauge", "Histogram", "Known unusual images")
CHARTS_OF = {
    "Why": 1,
    "Top neurons": 0,
    "Concepts": 0,
    "Detectors": 3,
    "All neurons": 1,
    "Similar frames": 0,
    "Covers": 0,
}
TABLE_OF = {
    "Why": "Score decomposition",
    "Top neurons": "Leading neurons",
    "Concepts": "Concepts",
    "Detectors": "What each detector says",
    "All neurons": "Relevance of the neurons",
    "Similar frames": "Similar frames",
}


@pytest.mark.parametrize("part", CHARTS_OF)
def test_every_picture_and_chart_is_named_and_every_chart_has_its_table(reviewed, part):
    show_part(open_popover(reviewed, "card-tables"), part)
    assert not reviewed.exception
    charts = reviewed.get("plotly_chart")
    assert len(charts) == 2 + CHARTS_OF[part], "gauge and histogram, and those of this part alone"
    assert all(chart.proto.alt for chart in charts)
    assert mounted(reviewed)["frame"]["alt"]
    assert all(image.alt for element in reviewed.get("image") for image in element.proto.imgs)
    assert all(card["crops_alt"] and (card["crops"] or card["caption"]) for card in cards(reviewed).values())
    tables = [table.proto.alt for table in reviewed.dataframe]
    assert [name for name in tables if name in ON_THE_CARD][:4] == list(ON_THE_CARD)
    assert tables[4:] == ([TABLE_OF[part]] if part in TABLE_OF else [])
    if part in TABLE_OF:
        assert f"{TABLE_OF[part]} as a table" in [expander.label for expander in reviewed.expander]


def test_each_part_shows_only_itself(reviewed):
    """What another part shows is not made: its controls, its cards, its pictures."""
    seen = {}
    for part in CHARTS_OF:
        show_part(reviewed, part)
        controls = [each for kind in ("toggle", "multiselect", "segmented_control") for each in getattr(reviewed, kind)]
        keys = {each.key for each in controls}
        keys |= {each.key for each in reviewed.button if each.key and each.key.startswith("cover-")}
        pictures = [image.alt for element in reviewed.get("image") for image in element.proto.imgs]
        seen[part] = (keys, set(cards(reviewed)), pictures)
    assert seen["Why"] == ({"ranking", "what-if-nero-contribution", "camera-Score decomposition"}, set(), [])
    assert seen["Top neurons"][0] == {"ranking"}
    assert len(seen["Top neurons"][1]) == 6
    assert seen["Concepts"][0] == set()
    assert all(title.startswith("Concept ") for title in seen["Concepts"][1])
    assert seen["Detectors"] == (set(), set(), [])
    assert seen["All neurons"] == ({"all-neurons", "camera-Relevance of the neurons"}, set(), [])
    assert seen["Similar frames"][:2] == ({"similar-by"}, set())
    assert len(seen["Similar frames"][2]) == 8
    assert seen["Covers"] == ({"cover-fill", "cover-add"}, set(), [])


def test_the_parts_are_tabs_and_the_first_is_why(reviewed):
    assert [tab.label for tab in reviewed.tabs] == list(CHARTS_OF)
    assert "Score decomposition as a table" in [expander.label for expander in reviewed.expander]


def test_the_frame_is_the_image_and_its_map_lies_over_it(reviewed):
    frame = mounted(reviewed)["frame"]
    assert (frame["width"], frame["height"]) == (60, 48)
    assert frame["picture"].startswith("data:image/jpeg;base64,")
    assert list(layers(reviewed)) == ["all"]
    [layer] = layers(reviewed).values()
    made = overlays.layer(frames(reviewed)[0].reading.maps[ALL])
    assert (layer["colours"], layer["outline"]) == (made.colours, made.outline)
    assert layer["frame"] == frame["frame"], "a layer of another frame is never drawn"


def test_cards_and_layers_find_each_other(reviewed):
    show_part(reviewed, "Top neurons")
    leading = {f"neuron-{neuron}" for neuron, _ in frames(reviewed)[0].reading.explanation.top(6)}
    assert {card["name"] for card in cards(reviewed).values()} == leading
    assert set(layers(reviewed)) == {"all", *leading}
    numbers = {data["frame"] for data in [*cards(reviewed).values(), *layers(reviewed).values()]}
    assert numbers == {mounted(reviewed)["frame"]["frame"]}


def test_what_is_announced_is_the_headline(reviewed):
    watch = mounted(reviewed)["case-watch"]
    assert watch["number"] == mounted(reviewed)["frame"]["frame"]
    assert watch["headline"].startswith(f"a.png: {headline(reviewed)}. ")
    assert "calibration images" in watch["headline"]
    assert "*" not in watch["headline"]


def test_every_chart_has_a_camera_and_what_it_saves_can_be_chosen(reviewed):
    def saved():
        configs = [json.loads(chart.proto.config) for chart in reviewed.get("plotly_chart")]
        cameras = [config["toImageButtonOptions"] for config in configs]
        return {camera["filename"]: camera["format"] for camera in cameras}

    names = ("nero gauge", "nero histogram", "nero score decomposition")
    assert saved() == dict.fromkeys(names, "svg")
    open_popover(reviewed, "card-tables")
    reviewed.segmented_control(key="camera-Histogram").set_value("PNG").run()
    assert saved() == dict.fromkeys(names, "svg") | {"nero histogram": "png"}
    show_part(reviewed, "All neurons")
    names = ("nero gauge", "nero histogram", "nero relevance of the neurons")
    assert saved() == dict.fromkeys(names, "svg") | {"nero histogram": "png"}


def test_the_account_in_the_table_ends_at_the_score(reviewed):
    account = next(d.value for d in reviewed.dataframe if "adds to the score" in d.value and "part" in d.value)
    score = frames(reviewed)[0].reading.score
    assert account["part"].iloc[-1] == "Score"
    assert account["adds to the score"].iloc[-1] == pytest.approx(score, rel=5e-3)


def test_the_text_starts_with_the_term_that_leads(reviewed):
    e = frames(reviewed)[0].reading.explanation
    leader = "The distance leads" if e.distance >= e.bias_term else "The bias term leads"
    assert any(m.value.startswith(f"**{leader}") for m in reviewed.markdown)


def test_what_if_shows_the_recomputed_score_and_that_it_need_not_fall(reviewed):
    explanation = frames(reviewed)[0].reading.explanation
    neurons = [neuron for neuron, _ in explanation.top(2)]
    reviewed.multiselect[0].set_value(neurons).run()
    assert f"**{significant(explanation.what_if(neurons))}**" in words_of(reviewed)
    assert "need not fall" in words_of(reviewed)


def test_neurons_are_chosen_by_relevance_too(reviewed):
    show_part(reviewed, "Top neurons")
    reviewed.segmented_control(key="ranking").set_value("relevance").run()
    assert not reviewed.exception
    reading = frames(reviewed)[0].reading
    wanted = [reading.explanation.neurons[place] for place, _ in reading.explanation.top(6, by="relevance")]
    assert set(wanted) <= set(reading.maps)
    assert list(cards(reviewed)) == [f"Neuron {neuron}" for neuron in wanted]


def test_another_detector_is_explained_by_its_own_neurons(reviewed, reference):
    reviewed.selectbox(key="detector").set_value("stage_mahalanobis").run()
    assert not reviewed.exception
    reading = frames(reviewed)[0].reading
    activations = reference.classifier.extract([picture_bytes()])
    assert reading.score == reference.score(activations, "stage_mahalanobis")[0]
    assert f"higher = more unusual: {significant(reading.score)}" in words_of(reviewed)
    leading = [reading.explanation.neurons[place] for place, _ in reading.explanation.top(6)]
    account = next(d.value for d in reviewed.dataframe if "adds to the score" in d.value and "part" in d.value)
    assert account["adds to the score"].iloc[-1] == pytest.approx(reading.score, rel=5e-3)
    assert "ranking" not in {control.key for control in reviewed.segmented_control}, "only NERO also ranks by relevance"
    show_part(reviewed, "Top neurons")
    assert not reviewed.exception
    assert all(neuron in reading.maps for neuron in leading)
    assert list(cards(reviewed)) == [f"Neuron {neuron}" for neuron in leading]
    neuron = Neuron(*leading[0])
    expected = reference.heatmaps(picture_bytes(), [neuron.channel], stage=neuron.stage)[0]
    assert abs(reading.maps[neuron] - expected).max() <= 1e-4 * abs(expected).max()


def test_the_other_detectors_verdicts_stand_beside_the_one_in_use(reviewed):
    open_popover(reviewed, "card-tables")
    table = next(d.value for d in reviewed.dataframe if "weight in the panel (%)" in d.value)
    assert list(table["detector"]) == ["NERO", "Stage Mahalanobis", "MSP"]
    assert all(verdict.split(" ", 1)[1] in STATE_WORDS for verdict in table["verdict"])
    headlined = next(verdict for verdict in table["verdict"] if verdict.endswith(headline(reviewed)))
    otherwise = [row.detector for row in table.itertuples() if row.verdict != headlined]
    said = [m.value for m in reviewed.markdown if m.value.startswith("Detectors that say otherwise")]
    assert len(said) == bool(otherwise)
    assert all(name in said[0].replace("\\", "") for name in otherwise)


def test_a_detector_without_an_account_says_so_and_names_those_that_have_one(reviewed):
    reviewed.selectbox(key="detector").set_value("msp").run()
    assert not reviewed.exception
    text = words_of(reviewed).replace("\\", "")
    assert "no exact decomposition" in text
    assert "NERO or Stage Mahalanobis" in text
    assert None in frames(reviewed)[0].reading.maps, "the map of all neurons together is the network's own"
    assert headline(reviewed) in STATE_WORDS


def test_all_neurons_on_demand(reviewed, reference):
    show_part(reviewed, "All neurons")
    reviewed.toggle(key="all-neurons").set_value(True).run()
    assert max(len(d.value) for d in reviewed.dataframe) == reference.classifier.head.width


def test_headline_and_frame_wait_for_no_heatmap_and_the_first_heatmap_for_no_chart(app, monkeypatch):
    from nero_core import Reference
    from pages.case_views import account, evidence, verdict, viewer

    order = []

    def noting(owner, name):
        original = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *args, **named: order.append(name) or original(*args, **named))

    for owner, name in [
        (verdict, "headline"),
        (viewer, "show"),
        (evidence, "histogram"),
        (verdict, "promises"),
        (account, "why"),
        (Reference, "open_heatmaps"),
    ]:
        noting(owner, name)
    upload(app, ("a.png", picture_bytes()))
    assert not app.exception
    assert order[:3] == ["headline", "show", "open_heatmaps"], "the map of all neurons"
    assert order[3:] == ["histogram", "promises", "why", "open_heatmaps"], "last the maps that concepts need beside it"
    assert frames(app)[0].reading.maps.keys() > {ALL}


def test_heatmaps_can_be_abandoned_and_taken_up_again(reviewed):
    reading = frames(reviewed)[0].reading
    kept = ALL
    del reading.maps[kept]
    frames(reviewed)[0].stopped = True
    show_part(reviewed, "Top neurons")
    assert kept not in reading.maps
    assert "Stopped: 6 of 7" in words_of(reviewed)
    reviewed.button(key="continue-heatmaps").click().run()
    assert kept in reading.maps
    assert "Stopped" not in words_of(reviewed)


def test_a_network_without_heatmaps_still_gets_a_verdict(app, monkeypatch):
    from nero_core import Reference
    from nero_core.errors import InputError

    def refuse(self, image, method=None):
        raise InputError("There is no exact rule for this network.")

    monkeypatch.setattr(Reference, "open_heatmaps", refuse)
    upload(app, ("a.png", picture_bytes()))
    assert not app.exception
    assert headline(app) in STATE_WORDS
    assert "no exact rule" in app.warning[0].value


def test_an_alpha_that_the_reference_cannot_support_is_refused_in_words(reviewed):
    reviewed.number_input[0].set_value(1.0).run()
    assert not reviewed.exception
    assert headline(reviewed) is None
    calibration = frames(reviewed)[0].reading.calibration
    smallest = significant(math.ceil(1000 * calibration.smallest_alpha) / 10)
    assert f"{len(calibration)} calibration images" in reviewed.warning[0].value
    assert "are too few to promise 1 in 100" in reviewed.warning[0].value
    assert f"{smallest} in 100" in reviewed.warning[0].value
    assert any(f"of {len(calibration)} calibration images" in m.value for m in reviewed.markdown)
    assert "a.png: no verdict. " in mounted(reviewed)["case-watch"]["headline"]
    reviewed.number_input[0].set_value(float(smallest)).run()
    assert headline(reviewed) in STATE_WORDS


def test_alpha_changes_the_verdict_as_the_api_says(reviewed, reference):
    activations = frames(reviewed)[0].reading.activations
    for percent in (5.0, 20.0, 50.0):
        reviewed.number_input[0].set_value(percent).run()
        state = reference.decide(activations, alpha=percent / 100)[0].state
        assert headline(reviewed) == STATES[state]


def test_without_a_training_record_there_is_no_guarantee(no_bundle, monkeypatch, tmp_path, reference):
    from nero_core import Reference

    copy = Reference.load(reference.path)
    unknown = Guarantee(False, "it is not known which images the network was trained on")
    copy.calibrations = {name: replace(each, guarantee=unknown) for name, each in copy.calibrations.items()}
    copy.save(tmp_path / "unsure")
    monkeypatch.setenv("NERO_REFERENCES", str(tmp_path))
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE).run()
    upload(app, ("a.png", picture_bytes()))
    text = words_of(app)
    assert "No guarantee: it is not known which images the network was trained on" in text
    assert "5 in 100 ordinary images from" not in text


@pytest.mark.parametrize(
    ("place", "said"), [(0, "the network or its detectors were trained on this image"), (1, "is among the calibration")]
)
def test_an_image_that_the_reference_was_made_from_has_no_guarantee(app, class_folders, place, said):
    upload(app, ("seen.png", list_images(class_folders)[place].read_bytes()))
    assert "No guarantee: " in words_of(app)
    assert said in words_of(app)


def test_the_networks_answer_comes_last_and_with_a_caution_when_the_image_is_unusual(app, reference):
    scores = {i: reference.score(reference.classifier.extract([picture_bytes(i)])) for i in range(8)}
    highest = max(scores, key=scores.__getitem__)
    upload(app, ("a.png", picture_bytes(highest)))
    app.number_input[0].set_value(50.0).run()
    assert headline(app) == "Unusual"
    place, answer = next((i, m.value) for i, m in enumerate(app.markdown) if "The network’s own answer" in m.value)
    assert answer.startswith(":small[")
    assert "Do not lean on it" in answer
    assert place > next(i for i, m in enumerate(app.markdown) if "are flagged on average" in m.value)


# Bad and many ----------------------------------------------------------------------------------------------------


def test_a_bad_file_gets_a_sentence_and_the_others_are_scored(app):
    whole = picture_bytes(1)
    upload(
        app,
        ("good.png", picture_bytes()),
        ("text.png", b"hello"),
        ("cut.png", whole[: len(whole) // 2]),
        ("empty.jpg", b""),
    )
    assert not app.exception
    assert [each.label for each in app.expander if "could not" in each.label] == ["3 of 4 could not be read"]
    for name in ("text", "cut", "empty"):
        assert f"**{name}\\." in words_of(app)
    assert headline(app) in STATE_WORDS


def test_only_bad_files_leave_a_page_that_still_works(app):
    upload(app, ("text.png", b"hello"))
    assert not app.exception
    assert len(app.error) == 1
    assert headline(app) is None
    upload(app, ("good.png", picture_bytes()))
    assert headline(app) in STATE_WORDS


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>.png", "![x](http://a.b/c.png).png", "a\nb :red[c] $x$.png"]
)
def test_file_names_are_text_never_markup(app, name):
    upload(app, (name, b"not an image"), ("good.png", picture_bytes()))
    said = app.error[0].value  # the first is under review
    for markup in ("<script>", "](", ":red[", "$x$", "\nb"):
        assert markup not in said


def test_several_images_make_a_table_and_one_is_picked(app, reference):
    files = [(f"{i}.png", picture_bytes(i)) for i in range(3)]
    upload(app, *files)
    open_popover(app, "case-table")
    table = next(d.value for d in app.dataframe if "verdict" in d.value)
    assert list(table["image"]) == ["1 · 0.png", "2 · 1.png", "3 · 2.png"]
    assert all(verdict.split(" ", 1)[1] in STATE_WORDS for verdict in table["verdict"])
    scores = [float(reference.score(reference.classifier.extract([data]))[0]) for _, data in files]
    assert list(table["score"]) == pytest.approx(scores, rel=5e-3)
    choose_image(app, 2)
    assert mounted(app)["frame"]["note"] == "2.png · 60 × 48"
    assert f"higher = more unusual: {significant(scores[2])}" in words_of(app)


def test_adding_an_image_keeps_what_was_read_of_the_others(app):
    upload(app, ("a.png", picture_bytes()))
    reading = frames(app)[0].reading
    upload(app, ("a.png", picture_bytes()), ("b.png", picture_bytes(5)))
    assert [frame.name for frame in frames(app)] == ["a.png", "b.png"]
    assert frames(app)[0].reading is reading


def test_images_that_are_added_leave_the_one_under_review_there_and_are_said(app):
    files = [(f"{n}.png", picture_bytes(n)) for n in range(5)]
    upload(app, *files[:2])
    assert not app.toast
    choose_image(app, 1)
    upload(app, *files)
    assert [each.value for each in app.toast] == ["3 images added"]
    assert mounted(app)["frame"]["note"] == "1.png · 60 × 48"
    upload(app, *files[1:4])
    assert mounted(app)["frame"]["note"] == "1.png · 60 × 48", "taking others away leaves it there, too"


def test_a_file_of_another_kind_is_named_with_the_reason_and_comes_under_review_last(app):
    upload(app, ("notes.txt", b"not an image"), ("a.png", picture_bytes()))
    assert not app.exception
    assert mounted(app)["frame"]["note"] == "a.png · 60 × 48"
    assert [each.label for each in app.expander if "could not" in each.label] == ["1 of 2 could not be read"]
    assert "**notes\\.txt**: " in words_of(app)


def test_an_image_gets_the_same_score_alone_and_among_others(open_app):
    alone = upload(open_app(), ("a.png", picture_bytes()))
    among = upload(open_app(), ("b.png", picture_bytes(5)), ("a.png", picture_bytes()))
    assert frames(alone)[0].reading.score == frames(among)[1].reading.score


# Sessions --------------------------------------------------------------------------------------------------------


def test_two_sessions_share_the_reference_and_nothing_else(open_app):
    first, second = open_app(), open_app()
    upload(first, ("first.png", picture_bytes(1)))
    second.run()
    assert "No case open" in words_of(second)
    upload(second, ("second.png", picture_bytes(2)))
    first.run()
    assert [frame.name for frame in frames(first)] == ["first.png"]
    assert [frame.name for frame in frames(second)] == ["second.png"]
    assert frames(first)[0].reading.reference is frames(second)[0].reading.reference


def test_the_case_outlives_an_uploader_that_forgot_its_files(open_app):
    """What a page switch does: the session's case is there, the uploader is empty."""
    session, other = upload(open_app(), ("a.png", picture_bytes())), open_app()
    other.session_state["case"] = frames(session)
    other.run()
    assert not other.file_uploader[0].value
    assert headline(other) == headline(session)
    assert "Case: a.png" in words_of(other)


def test_another_reference_reads_the_case_anew(no_bundle, monkeypatch, tmp_path, tiny_reference, reference):
    from nero_core import Reference

    shutil.copytree(tiny_reference, tmp_path / "one")
    other = Reference.load(tiny_reference)
    other.manifest["title"] = "Zweite"
    other.save(tmp_path / "two")
    monkeypatch.setenv("NERO_REFERENCES", str(tmp_path))
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE).run()
    upload(app, ("a.png", picture_bytes()))
    assert frames(app)[0].reading.reference.title == reference.title
    app.selectbox(key="reference").set_value(str(tmp_path / "two")).run()
    assert not app.exception
    assert frames(app)[0].reading.reference.title == "Zweite"


def test_a_reference_that_disappears_is_replaced_by_one_that_is_there(no_bundle, monkeypatch, tmp_path, tiny_reference):
    shutil.copytree(tiny_reference, tmp_path / "one")
    shutil.copytree(tiny_reference, tmp_path / "two")
    monkeypatch.setenv("NERO_REFERENCES", str(tmp_path))
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE).run()
    app.selectbox(key="reference").set_value(str(tmp_path / "two")).run()
    shutil.rmtree(tmp_path / "two")
    app.run()
    assert not app.exception
    assert app.session_state["entry"].path == tmp_path / "one"


@pytest.fixture
def examples(monkeypatch, tmp_path):
    from pages.shared import resources

    monkeypatch.setattr(resources, "BUNDLED_EXAMPLES", tmp_path)
    index = []
    for i, name in enumerate(["a-red-one.png", "another.png"]):
        (tmp_path / name).write_bytes(picture_bytes(i))
        state = "in-distribution" if i == 0 else "out-of-distribution"
        index.append({"file": name, "kind": name, "known": i == 0, "score": 1.0, "state": state})
    (tmp_path / "examples.json").write_text(json.dumps({"examples": index}))


def test_bundled_examples_are_offered_and_open_as_a_case(no_bundle, examples, open_app):
    app = open_app()
    assert "rendered, not real" in words_of(app)
    choices = mounted(app)["examples"]["choices"]
    assert [(choice["name"], choice["title"]) for choice in choices] == [
        ("a-red-one.png", "A red one"),
        ("another.png", "Another"),
    ]
    assert [choice["text"] for choice in choices] == [
        "● Not flagged. Like what the network learned from",
        "▲ Unusual. Unlike what it learned from",
    ]
    assert all(choice["picture"].startswith("data:image/jpeg;base64,") for choice in choices)
    tell(app, "examples", event=("chosen", "a-red-one.png"))
    assert not app.exception
    assert "Case: a-red-one.png" in words_of(app)
    assert headline(app) in STATE_WORDS


def test_all_examples_open_at_once(no_bundle, examples, open_app):
    app = open_app()
    app.button(key="all-examples").click().run()
    assert not app.exception
    assert "Case: 2 images" in words_of(app)


def test_a_reference_of_real_images_comes_first_and_examples_say_that_they_are_rendered(
    no_bundle, examples, monkeypatch, tmp_path, tiny_reference
):
    from nero_core import Reference

    shutil.copytree(tiny_reference, tmp_path / "references" / "a")
    real = Reference.load(tiny_reference)
    real.manifest |= {"title": "Zweite", "synthetic": False}
    real.save(tmp_path / "references" / "b")
    monkeypatch.setenv("NERO_REFERENCES", str(tmp_path / "references"))
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE).run()
    assert app.session_state["entry"].title == "Zweite"
    assert not any("Synthetic" in element.value for element in app.markdown)
    assert len(mounted(app)["examples"]["choices"]) == 2, "there is something to look at before anything is dropped"
    assert "Or try an example: rendered, not real" in words_of(app)


def test_hostile_pictures_of_a_reference_take_nothing_else_away(open_app, monkeypatch, tmp_path, tiny_reference):
    """Every sheet promises 256 million pixels; all hashes agree."""
    shutil.copytree(tiny_reference, tmp_path / "r")
    monkeypatch.setenv("NERO_REFERENCES", str(tmp_path))
    bomb = declared("webp", 16_000, 16_000)
    for role in list(read_manifest(tmp_path / "r")["files"]):
        if role.startswith("concepts/"):
            with_sheet(tmp_path / "r", role, bomb)
    page = upload(open_app(), ("a.png", picture_bytes()))
    assert not page.exception
    assert headline(page) is not None
    show_part(page, "Top neurons")
    assert not page.exception
    assert headline(page) is not None
    assert len(cards(page)) == 6
    assert [text.value for text in page.warning if "is too large" in text.value]


def test_many_images_can_be_flagged_together(app):
    """Benjamini–Hochberg in the table: what it bounds is said, and the flags are those of the core."""
    from nero_core.calibration import flag_batch

    upload(app, *((f"{n}.png", picture_bytes(n)) for n in range(4)))
    open_popover(app, "case-table")
    assert "of 4 ordinary images about 0.2 would be flagged" in words_of(app)
    assert "flagged together" not in app.dataframe[0].value.columns
    app.toggle(key="flag-together").set_value(True).run()
    assert not app.exception
    p = [frame.reading.decide(0.05).p_value for frame in frames(app)]
    flags = flag_batch(p, 0.05)
    assert app.dataframe[0].value["flagged together"].tolist() == ["yes" if flag else "no" for flag in flags]
    assert f"Together, {flags.sum()} of 4 images are flagged" in words_of(app)
    assert "frames of one patient or clip" in app.toggle(key="flag-together").help
