"""An import is used by those who choose it, and a reference that does not load stops nobody."""

from __future__ import annotations

import shutil

import pytest

from nero_core.reference.manifest import read_manifest, write_manifest
from nero_core.reference.origin import Origin, read_origin, write_origin
from nero_core.reference.signatures import SIGNATURE_NAME, make_key, sign
from pages.shared import permission, resources, session
from tests.app.conftest import picture_bytes, upload, words_of

REFERENCES = "pages/references.py"


@pytest.fixture
def home(tmp_path, tiny_reference):
    """A folder of two references: one of rendered scenes that was made here, one that says it is real, imported."""
    folder = tmp_path / "references"
    shutil.copytree(tiny_reference, folder / "made-here")
    shutil.copytree(tiny_reference, folder / "imported")
    rewrite(folder / "imported", title="Real frames", synthetic=False)
    write_origin(folder / "imported", Origin(imported=True))
    return folder


def rewrite(folder, **fields):
    content = read_manifest(folder)
    content.pop("sha256")
    write_manifest(folder, {**content, **fields})


@pytest.fixture
def begin(open_app, monkeypatch, home):
    """Call it for a session in that folder."""
    monkeypatch.setenv("NERO_REFERENCES", str(home))
    return open_app


def in_use(page):
    entry = page.session_state[session.ENTRY]
    return None if entry is None else entry.path.name


def spoil(folder):
    """A reference whose manifest is sound and whose network does not load."""
    next(folder.glob("classifier-*")).write_bytes(b"no weights")
    return folder


# What sessions start with ------------------------------------------------------------------------------------------


def test_an_import_never_becomes_the_default_by_itself(begin, home):
    assert in_use(begin()) == "made-here", "also where it claims to be real, and real ones come first"
    write_origin(home / "imported", Origin())
    assert in_use(begin()) == "imported", "one made here from real images does"


def test_a_person_chooses_it_for_their_own_session(begin):
    page = begin()
    page.switch_page(REFERENCES).run()
    next(button for button in page.button if button.label == "Use").click().run()
    assert not page.exception
    assert in_use(page) == "imported"
    assert in_use(begin()) == "made-here", "nobody else's session starts with it"


def test_where_all_were_imported_one_is_chosen_first(begin, home):
    shutil.rmtree(home / "made-here")
    page = begin()
    assert not page.exception
    assert in_use(page) is None
    assert "First, choose a reference" in words_of(page)
    for name in ("pages/neurons.py", "pages/benchmark.py", REFERENCES):
        page.switch_page(name).run()
        assert not page.exception
        assert in_use(page) is None
    assert "What it is for" in words_of(page), "it can be looked into before it is used"
    next(button for button in page.button if button.label == "Use").click().run()
    assert not page.exception
    assert in_use(page) == "imported"
    page.switch_page("pages/case_review.py").run()
    upload(page, ("a.png", picture_bytes()))
    assert not page.exception
    assert "calibration images" in words_of(page)


def test_the_owner_lets_sessions_start_with_it(begin, home):
    page = begin()
    page.switch_page(REFERENCES).run()
    next(button for button in page.button if button.label == "Start sessions with it").click().run()
    assert not page.exception
    assert read_origin(home / "imported") == Origin(imported=True, default=True)
    assert in_use(page) == "made-here", "a session that has begun keeps what it has"
    other = begin()
    assert in_use(other) == "imported"
    other.switch_page(REFERENCES).run()
    next(button for button in other.button if button.label == "Sessions start with it").click().run()
    assert in_use(begin()) == "made-here"


def test_who_may_not_change_the_server_is_not_asked(begin, monkeypatch):
    monkeypatch.setenv(permission.ALLOW, "0")
    page = begin()
    page.switch_page(REFERENCES).run()
    assert not [button for button in page.button if "essions" in button.label]


def test_a_button_that_cannot_do_it_says_why(begin, home, monkeypatch):
    page = begin()
    page.switch_page(REFERENCES).run()
    shutil.rmtree(home / "imported")
    (home / "imported").write_bytes(b"in its place")
    next(button for button in page.button if button.label == "Start sessions with it").click().run()
    assert not page.exception
    assert "is no reference" in page.error[0].value


# What does not load ------------------------------------------------------------------------------------------------


def test_the_default_that_does_not_load_is_told_and_another_is_used(begin, home):
    spoil(home / "imported")
    write_origin(home / "imported", Origin(imported=True, default=True))
    page = begin()
    assert in_use(page) == "imported"
    upload(page, ("a.png", picture_bytes()))
    assert not page.exception
    assert in_use(page) == "made-here"
    said = " ".join(warning.value for warning in page.warning)
    assert "Real frames" in said
    assert "cannot be used" in said
    assert "Coloured noise** is in use instead" in said
    assert "calibration images" in words_of(page), "the case is read, with the other one"
    page.switch_page(REFERENCES).run()
    assert not page.exception
    assert "Cannot be used" in words_of(page)
    assert in_use(begin()) == "made-here", "the next session does not try it again"


def test_choosing_one_that_does_not_load_falls_back(begin, home):
    spoil(home / "imported")
    page = begin()
    page.switch_page(REFERENCES).run()
    next(button for button in page.button if button.label == "Use").click().run()
    page.switch_page("pages/case_review.py").run()
    upload(page, ("a.png", picture_bytes()))
    assert not page.exception
    assert in_use(page) == "made-here"
    assert "cannot be used" in page.warning[0].value


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("odd"), KeyError("x"), RecursionError("deep")])
def test_whatever_loading_raises_no_page_stops(begin, home, monkeypatch, error):
    """Also what a library raises that nobody thought of."""
    real = resources._load

    def fail(path):
        if path.endswith("imported"):
            raise error
        return real(path)

    monkeypatch.setattr(resources, "_load", fail)
    write_origin(home / "imported", Origin(default=True))
    page = begin()
    upload(page, ("a.png", picture_bytes()))
    assert not page.exception
    assert in_use(page) == "made-here"
    assert type(error).__name__ in page.warning[0].value


def test_where_none_loads_the_page_says_so(begin, home):
    shutil.rmtree(home / "imported")
    spoil(home / "made-here")
    page = begin()
    upload(page, ("a.png", picture_bytes()))
    assert not page.exception
    assert in_use(page) is None
    assert "Coloured noise" in words_of(page)
    assert "cannot be used" in words_of(page)


def test_a_reference_that_was_mended_is_tried_again(begin, home, tiny_reference):
    shutil.rmtree(home / "imported")
    spoil(home / "made-here")
    page = begin()
    upload(page, ("a.png", picture_bytes()))
    assert in_use(page) is None
    shutil.rmtree(home / "made-here")
    shutil.copytree(tiny_reference, home / "made-here")
    (home / "made-here" / "manifest.json").touch()
    page.run()
    assert not page.exception
    assert in_use(page) == "made-here"


# Signatures --------------------------------------------------------------------------------------------------------


def signature_line(page):
    return next(each.proto.body for each in page.get("html") if "Signature" in each.proto.body)


def test_the_page_says_who_signed(begin, home, tmp_path, monkeypatch):
    (tmp_path / "keys").mkdir()
    key = make_key(tmp_path / "keys" / "unit.pem")
    (home / "imported" / SIGNATURE_NAME).write_bytes(sign(home / "imported", tmp_path / "keys" / "unit.pem"))
    page = begin()
    page.switch_page(REFERENCES).run()
    assert "who made it is not checked" in signature_line(page)
    assert "a key that is not trusted here" in words_of(page)
    monkeypatch.setenv(resources.KEYS_VARIABLE, str(tmp_path / "keys"))
    page.run()
    assert not page.exception
    assert f"Imported: unchanged since it was made; signed by unit \\(fingerprint {key.fingerprint}\\)" in words_of(
        page
    )
    next(box for box in page.selectbox if box.label == "Look inside").set_value(str(home / "imported")).run()
    assert f"signed by unit (fingerprint {key.fingerprint})" in signature_line(page)


def test_a_signature_that_does_not_hold_is_told(begin, home, tmp_path):
    make_key(tmp_path / "unit.pem")
    (home / "imported" / SIGNATURE_NAME).write_bytes(sign(home / "made-here", tmp_path / "unit.pem"))
    page = begin()
    page.switch_page(REFERENCES).run()
    assert not page.exception
    assert "is of another manifest" in words_of(page)


def test_a_folder_of_keys_that_is_not_there_is_told_and_the_page_goes_on(begin, monkeypatch, tmp_path):
    monkeypatch.setenv(resources.KEYS_VARIABLE, str(tmp_path / "nowhere"))
    page = begin()
    page.switch_page(REFERENCES).run()
    assert not page.exception
    assert "No signature can be told by name" in page.error[0].value
    assert "What it is for" in words_of(page)
