"""The app, started from its door as a browser would, on the tiny reference alone."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # as `streamlit run` does for the folder of app.py

PATIENCE = 120  # seconds a run may take on a busy machine; nothing is asserted about time


def picture_bytes(seed=0, colour=(200, 140, 60), size=(60, 48), suffix="PNG"):
    """One small picture as a file."""
    noise = np.random.default_rng(seed).normal(0, 25, (*size[::-1], 3))
    buffer = io.BytesIO()
    Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)).save(buffer, suffix)
    return buffer.getvalue()


@pytest.fixture
def no_bundle(monkeypatch, tmp_path):
    """Hide bundled references and examples, so that tests do not depend on what is shipped."""
    from pages.shared import resources

    monkeypatch.setattr(resources, "BUNDLED_REFERENCES", tmp_path / "none")
    monkeypatch.setattr(resources, "BUNDLED_EXAMPLES", tmp_path / "none")
    monkeypatch.setattr(resources, "USER_REFERENCES", tmp_path / "none")
    monkeypatch.delenv(resources.FOLDERS_VARIABLE, raising=False)


@pytest.fixture
def open_app(no_bundle, monkeypatch, tiny_reference):
    """Call it for one browser session, first page painted; it may read and write files of the server."""
    monkeypatch.setenv("NERO_REFERENCES", str(tiny_reference.parent))
    monkeypatch.setenv("NERO_ALLOW_BUILD", "1")
    return lambda: AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE).run()


@pytest.fixture
def app(open_app):
    """One session."""
    return open_app()


@pytest.fixture(scope="session")
def reference(tiny_reference):
    """The same reference, through the Python API."""
    from nero_core import Reference

    return Reference.load(tiny_reference)


def upload(session, *files):
    """Upload (name, bytes) pairs and run."""
    for name, data in files:
        session.file_uploader[0].upload(name, data)
    return session.run()


def words_of(session):
    """Everything a reader could read, in one string; not what our own components say: see `mounted`."""
    kinds = ("title", "header", "subheader", "markdown", "caption", "text", "warning", "error", "info", "code")
    return "\n".join(element.value for kind in kinds for element in getattr(session, kind))


# Our own components, of which AppTest knows only that they are there -----------------------------------------------


def mounted(session):
    """What every component on the page was given, {key: data}."""
    return {_key(each): json.loads(each.proto.json) for each in session.get("bidi_component")}


def _key(element):
    return element.proto.id.split("-", 2)[2]  # "$$ID-", a hash, and the key


def layers(session):
    """The heatmaps laid over the frame, {name: data}, in the order they came."""
    return {data["name"]: data for key, data in mounted(session).items() if "-layer-" in key}


def cards(session):
    """The cards of neurons or concepts, {title: data}."""
    return {data["title"]: data for key, data in mounted(session).items() if "-card-" in key}


def tell(session, key, *, event=None, **state):
    """What a component says as the browser does, then run: an event (name, value), or what it keeps from now on."""
    element = next(each for each in session.get("bidi_component") if _key(each) == key)
    states = session._tree.get_widget_states()
    if event is not None:
        said = [{"event": event[0], "value": event[1]}]
        name = f"$$STREAMLIT_INTERNAL_KEY_{element.proto.id}__events"
        states.widgets.append(WidgetState(id=name, json_trigger_value=json.dumps(said)))
    else:
        states.widgets.append(WidgetState(id=element.proto.id, json_value=json.dumps(state)))
    return session._run(states)


def show_part(session, title):
    """Have another part below the frame in sight."""
    session.session_state["part"] = title
    return session.run()


def open_popover(session, key):
    """Open what is made only while it is open."""
    session.session_state[key] = True
    return session.run()


def choose_image(session, place):
    """Choose a thumbnail of the strip."""
    return tell(session, "filmstrip", chosen=[place, mounted(session)["filmstrip"]["heard"] + 1])
