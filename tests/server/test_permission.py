"""Whose word files of the server are read and written on: nobody's by default, behind a proxy neither."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from pages.shared import permission
from tests.server.serving import ROOT, Session, ask, free_port, handshake, serve, state, wait_for, watched_by

BAIT = "some-secret-folder"
START = ("pages.shared.start",)
VIEWS = {
    "": ("", [""]),
    "neurons": ("", [""]),
    "benchmark": ("-benchmark-source", ["This reference’s own result", "A results file", "Runs"]),
    "references": ("-view", ["On this computer", "From a file", "Build one"]),
}
"""Pages, what the identity of the control ends in that chooses a view, and the views."""
ASKS_FOR_PATHS = {"text_input", "text_area", "chat_input"}
UPLOADERS = {"Drop one image or many", "Drop results.json and scores.safetensors"}
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def token_in(log):
    """The last token that was printed."""
    return re.findall(r"\?token=(\S+)", log.read_text())[-1]


def cookie_for(address, token, path="/"):
    """The cookie that a token is exchanged for; empty where it is not."""
    status, headers, _ = ask(address, f"{path}?token={token}")
    assert status == 303
    return (headers["Set-Cookie"] or "").partition(";")[0]


def walk(session, more=None):
    """Every view of every page with its elements: ("references: Build one", elements)."""
    more = more or {}
    for page, (end, views) in VIEWS.items():
        control = next(m.id for _, m in session.run(page) if getattr(m, "id", "").endswith(end)) if end else ""
        for view in views:
            chosen = {control: state(control, [view])} if end else {}
            yield f"{page}: {view}", session.run(page, widgets=(more | chosen).values())


def paths_asked(session):
    """Where somebody could type a path."""
    return [f"{view}: {m.label}" for view, elements in walk(session) for kind, m in elements if kind in ASKS_FOR_PATHS]


def assert_nothing_is_offered(session):
    """No page takes a path, a file for the server's folders, or writes, or tells a path; those that would say so."""
    for view, elements in walk(session):
        assert str(ROOT) not in "".join(str(message) for _, message in elements), view
        assert not {kind for kind, _ in elements} & {*ASKS_FOR_PATHS, "exception"}, view
        assert {m.label for kind, m in elements if kind == "file_uploader"} <= UPLOADERS, view
        assert not {m.label for kind, m in elements if kind in ("button", "download_button")} & {
            "Build", "Run", "Verify and add", "Remove", "Use this reference", "Export as one file",
        }, view  # fmt: skip
        if view.rpartition(": ")[2] in ("From a file", "Build one", "A results file", "Runs"):
            said = [m.body for kind, m in elements if kind == "alert"]
            assert any("is not offered here" in text for text in said), view


def assert_building_is_offered(session):
    asked = "\n".join(paths_asked(session))
    for label in ("Folder of class folders", "Folder of in-distribution images", "Folder on this computer"):
        assert label in asked


# Who --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", ["", "0", "maybe"])
def test_nothing_is_offered_unless_it_was_allowed(tmp_path, said):
    with serve(tmp_path / "log.txt", NERO_ALLOW_BUILD=said) as address, Session(address) as session:
        assert_nothing_is_offered(session)


def test_an_owner_may_allow_it_to_everybody(tmp_path):
    with serve(tmp_path / "log.txt", NERO_ALLOW_BUILD="1") as address, Session(address) as session:
        assert_building_is_offered(session)


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """A server as `make app` starts it: (its address, its log)."""
    log = tmp_path_factory.mktemp("started") / "log.txt"
    with serve(log, command=[sys.executable, "-m", *START]) as address:
        yield address, log


def test_the_printed_address_allows_it_and_no_other(started):
    address, log = started
    assert re.findall(r"https?://\S+", log.read_text())[-1].startswith(address), "the address is that of the server"
    with Session(address) as session:
        assert_nothing_is_offered(session)
    with Session(address, cookie_for(address, token_in(log))) as session:
        assert_building_is_offered(session)


def test_a_token_works_once_and_the_next_is_printed(started):
    address, log = started
    first = token_in(log)
    cookie = cookie_for(address, first)
    assert cookie
    assert cookie_for(address, first) == "", "spent"
    second = token_in(log)
    assert second != first
    assert cookie_for(address, second) == cookie, "one server, one permission"
    assert first not in cookie
    assert second not in cookie


@pytest.mark.parametrize("wrong", ["", "x", "é", "%00", "a" * 100_000, "%F0%9F%98%80", "null", "None"])
def test_a_wrong_token_opens_nothing_and_spends_nothing(started, wrong):
    address, log = started
    right = token_in(log)
    status, headers, _ = ask(address, f"/?token={wrong if wrong.isascii() else '%C3%A9'}")
    assert status in (303, 400, 431)
    assert "Set-Cookie" not in headers
    assert token_in(log) == right


def test_the_token_leaves_the_address_and_nothing_else_does(started):
    address, _ = started
    for path, place in (
        ("/?token=x", "./"),
        ("/neurons?a=1&token=x&b=%3Cb%3E&token=y", "./neurons?a=1&b=%3Cb%3E"),
        ("/references/?token=x", "./"),
    ):
        status, headers, _ = ask(address, path)
        assert (status, headers["Location"]) == (303, place)
    for path in ("//evil.example/?token=x", "/%5C%5Cevil.example?token=x", "/http:%2F%2Fevil.example?token=x"):
        target = urlsplit(ask(address, path)[1]["Location"])
        assert (target.scheme, target.netloc) == ("", ""), "nowhere else"
        assert target.path.startswith("./")


def test_the_cookie_is_for_this_site_and_not_for_scripts(started):
    address, log = started
    _, headers, _ = ask(address, f"/?token={token_in(log)}")
    kept = headers["Set-Cookie"].lower()
    assert "httponly" in kept
    assert "samesite=strict" in kept
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("value", ["", "x", "é".encode().decode("latin-1"), '"'])
def test_another_cookie_is_none(started, value):
    address, _ = started
    with Session(address, f"nero-{urlsplit(address).port}={value}") as session:
        session.run("references", "view=Build+one")
        assert "is not offered here" in session.said()[0]


# How it is started ------------------------------------------------------------------------------------------------


def test_a_server_for_others_is_not_allowed_it_by_its_start(tmp_path):
    log, command = tmp_path / "log.txt", [sys.executable, "-m", *START, "--server.address", "0.0.0.0"]
    with serve(log, command=command) as address, Session(address) as session:
        assert "token" not in log.read_text()
        assert_nothing_is_offered(session)


def test_an_owner_may_forbid_it_on_this_machine_too(tmp_path):
    log = tmp_path / "log.txt"
    with serve(log, command=[sys.executable, "-m", *START], NERO_ALLOW_BUILD="0") as address:
        assert "token" not in log.read_text()
        with Session(address) as session:
            assert_nothing_is_offered(session)


def test_the_makefile_starts_it_so():
    makefile = (ROOT / "Makefile").read_text()
    assert "python -m pages.shared.start --server.port $(PORT) --server.address $(ADDRESS)" in makefile
    assert re.search(r"^ADDRESS \?= 127\.0\.0\.1$", makefile, re.MULTILINE)


def test_pages_say_how_it_is_allowed(started, tmp_path):
    address, _ = started
    with Session(address) as session:
        session.run("references", "view=Build+one")
        assert "open the address that the server printed when it was started" in session.said()[0]
    with serve(tmp_path / "log.txt") as address, Session(address) as session:
        session.run("references", "view=Build+one")
        assert f"{permission.ALLOW}=1" in session.said()[0].replace("\\", "")


# Tricks -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """Every widget that somebody with the permission is shown: {identity: kind}."""
    log = tmp_path_factory.mktemp("known") / "log.txt"
    found = {}
    with serve(log, NERO_ALLOW_BUILD="1") as address, Session(address) as session:
        for _, elements in walk(session):
            found |= {m.id: kind for kind, m in elements if getattr(m, "id", "")}
    assert [identity for identity in found if identity.endswith("-benchmark-place")]
    return found


@pytest.mark.parametrize("program", [START, ("streamlit", "run", "app.py")], ids=["with a token", "switched off"])
def test_a_stranger_reaches_no_path_by_any_trick(tmp_path, known, program):
    """Who knows the widgets of others says that they hold a path, and presses every button; then as deep links."""
    bait, home, log = tmp_path / BAIT, tmp_path / "home", tmp_path / "touched.txt"
    for folder in (bait / "a", bait / "b", home):
        folder.mkdir(parents=True)
    (bait / "results.json").write_text("{}")
    off = {} if program == START else {"NERO_ALLOW_BUILD": "0"}
    with serve(tmp_path / "log.txt", home, watched_by(log, BAIT, program), **off) as address:
        typed = {
            name: state(name, f"x={bait}" if name.endswith("-ood") else str(bait))
            for name, kind in known.items()
            if kind in ASKS_FOR_PATHS
        }
        pressed = {name: state(name, True) for name, kind in known.items() if kind in ("button", "download_button")}
        with Session(address) as session:
            for more in (typed, typed | pressed):
                for view, elements in walk(session, more):
                    assert not {kind for kind, _ in elements} & {*ASKS_FOR_PATHS, "exception"}, view
            for page in VIEWS:
                for name in [*(name.rpartition("-")[2] for name in typed), "result", "path", "folder", "reference"]:
                    session.run(page, f"{name}={bait}")
    assert [line for line in log.read_text().splitlines() if BAIT in line] == []
    assert list(home.iterdir()) == []


def test_the_watcher_sees_an_owner_look(tmp_path, known):
    """Else the test before says nothing."""
    bait, log = tmp_path / BAIT, tmp_path / "touched.txt"
    bait.mkdir()
    place = next(name for name in known if name.endswith("-benchmark-place"))
    with (
        serve(tmp_path / "log.txt", None, watched_by(log, BAIT), NERO_ALLOW_BUILD="1") as address,
        Session(address) as s,
    ):
        list(walk(s))
        list(walk(s, {place: state(place, str(bait))}))
    assert BAIT in log.read_text()


# Behind a proxy ---------------------------------------------------------------------------------------------------


PLAIN = """location / {
    proxy_pass http://127.0.0.1:8501;
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection "upgrade";
}"""
"""WebSockets pass; Host is rewritten to that of the server behind, as nginx does by itself."""
(DOCUMENTED,) = re.findall(r"```nginx\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


@contextmanager
def nginx(folder, behind, location=PLAIN):
    """Address of an nginx before a server."""
    port = free_port()
    user = "user root;" if os.geteuid() == 0 else ""
    kept = "\n".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"""{user}
        daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.txt;
        events {{}}
        http {{
            access_log off; client_max_body_size 0; {kept}
            server {{
                listen 127.0.0.1:{port};
                {location.replace("http://127.0.0.1:8501", behind)}
            }}
        }}"""
    )
    command = [NGINX, "-p", str(folder), "-e", str(folder / "error.txt"), "-c", str(folder / "nginx.conf")]
    proxy = subprocess.Popen(command)
    try:
        wait_for(f"http://127.0.0.1:{port}/_stcore/health", proxy, folder / "error.txt")
        yield f"http://127.0.0.1:{port}"
    finally:
        proxy.terminate()
        proxy.wait(20)


needs_nginx = pytest.mark.skipif(NGINX is None, reason="no nginx here: apt-get install nginx-light")


@needs_nginx
@pytest.mark.parametrize("location", [PLAIN, DOCUMENTED], ids=["Host rewritten", "as the README has it"])
def test_behind_nginx_nobody_builds_without_the_token(tmp_path, started, location):
    address, log = started
    with nginx(tmp_path, address, location) as outside:
        with Session(outside) as session:
            assert_nothing_is_offered(session)
        cookie = cookie_for(outside, token_in(log))
        with Session(outside, cookie) as session:
            assert_building_is_offered(session)
            assert session.upload(1000)[0] == 204, "the page that was walked last asks for a file"


@needs_nginx
def test_behind_nginx_nobody_builds_where_it_was_not_allowed(tmp_path):
    with serve(tmp_path / "log.txt") as address, nginx(tmp_path, address) as outside, Session(outside) as session:
        assert_nothing_is_offered(session)


@needs_nginx
@pytest.mark.parametrize("location", [PLAIN, DOCUMENTED], ids=["Host rewritten", "as the README has it"])
def test_behind_nginx_a_page_of_another_name_opens_no_session(tmp_path, started, location):
    with nginx(tmp_path, started[0], location) as outside:
        assert handshake(outside, Host="nero.example", Origin="http://nero.example") == 403
        assert handshake(outside, Host="evil.example", Origin="http://evil.example") == 403


@needs_nginx
def test_behind_nginx_under_a_name_of_ones_own(tmp_path):
    log, names = tmp_path / "log.txt", {"STREAMLIT_SERVER_ALLOWED_HOSTS": "localhost 127.0.0.1 nero.example"}
    command = [sys.executable, "-m", *START]
    with serve(log, command=command, **names) as address, nginx(tmp_path, address, DOCUMENTED) as outside:
        assert handshake(outside, Host="nero.example", Origin="https://nero.example") == 101
        assert handshake(outside, Host="nero.example", Origin="https://evil.example") == 403
        assert ask(outside, Host="evil.example")[0] == 403
