"""One gate before files of the server, read from the source of the pages and from what it does; and the start."""

from __future__ import annotations

import ast
import asyncio
from types import SimpleNamespace

import pytest

from pages.benchmark_views import folders
from pages.shared import permission, start
from tests.app.conftest import ROOT

TOUCHES = {
    "expanduser", "import_reference", "submit", "publish", "remove", "resume", "start_queue", "list_jobs",
    "read_job", "rows_so_far", "cancel", "iterdir", "glob", "rglob", "unlink", "rmtree", "mkdir",
}  # fmt: skip
WITHOUT = {
    "pages/benchmark_views/results.py:_open_files": "writes what was uploaded into a temporary folder of its own",
    "pages/classroom/server.py:connection_lost": "ends the clock of a connection",
    "pages/shared/watching.py:look": "inside watch, which asks",
    "pages/shared/watching.py:_ask_to_stop": "draws the button, and what that does asks",
    "pages/shared/resources.py:_changed": "looks at references that are listed",
    "pages/shared/resources.py:_loading": "submits to a pool of threads",
}
"""Functions that may do so without asking, and why."""


def functions():
    """Every function of the pages: (its file and name, the node)."""
    for path in sorted((ROOT / "pages").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                yield f"{path.relative_to(ROOT).as_posix()}:{node.name}", node


def touches(node):
    calls = [each.func for each in ast.walk(node) if isinstance(each, ast.Call)]
    names = {each.attr if isinstance(each, ast.Attribute) else getattr(each, "id", "") for each in calls}
    passed = {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)}
    return (names | passed) & TOUCHES


def test_what_touches_files_of_the_server_asks_first():
    found = {name: node for name, node in functions() if touches(node)}
    assert len(found) > 5, "else this looks at nothing"
    asking = {name for name, node in found.items() if "permission.needed" in map(ast.unparse, node.decorator_list)}
    assert sorted(set(found) - asking) == sorted(WITHOUT)


def test_uploaders_are_those_with_limits():
    for path in (ROOT / "pages").rglob("*.py"):
        if path.name != "uploads.py":
            assert "st.file_uploader" not in path.read_text(encoding="utf-8"), path


# The gate ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def gate(monkeypatch):
    """Call it with what the owner said, and whether a token is asked for; the cookies of the session are returned."""
    cookies = {}
    monkeypatch.setattr(permission.st, "context", SimpleNamespace(cookies=cookies))

    def said(text, token=False):
        monkeypatch.setattr(permission, "_token", None)
        if text is None:
            monkeypatch.delenv(permission.ALLOW, raising=False)
        else:
            monkeypatch.setenv(permission.ALLOW, text)
        if token:
            permission.ask_for_token()
        return cookies

    return said


@pytest.mark.parametrize(
    ("text", "granted"),
    [(None, False), ("", False), ("0", False), ("no", False), ("2", False), ("1", True), (" Yes ", True), ("ON", True)],
)
def test_what_the_owner_says(gate, text, granted):
    gate(text)
    assert permission.granted() is granted


def test_with_a_token_the_cookie_decides(gate):
    cookies = gate("1", token=True)
    assert not permission.granted()
    for wrong in ("", "x", "é", permission._token):
        cookies[permission.cookie_name()] = wrong
        assert not permission.granted()
    first = permission._token
    cookies[permission.cookie_name()] = permission.exchange(first)
    assert permission.granted()
    assert permission.exchange(first) is None
    gate("0", token=True)
    assert not permission.granted(), "what the owner forbids no token opens"


def test_no_token_is_right_where_none_is_asked_for(gate):
    gate("1")
    for token in ("", "None", "x"):
        assert permission.exchange(token) is None


def test_without_it_no_path_is_looked_at(gate, tmp_path):
    gate(None)
    with pytest.raises(permission.NotAllowed, match=f"{permission.ALLOW}=1"):
        folders.folder("A folder", str(tmp_path))
    with pytest.raises(permission.NotAllowed):
        folders.ood_folders(f"a={tmp_path}")
    gate("1")
    assert folders.folder("A folder", str(tmp_path)) == tmp_path


# The start -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("localhost", True), ("0.0.0.0", False),
        ("::", False), ("192.168.1.5", False), ("localhost.evil.example", False), ("", False), ("unix://x", False),
    ],
)  # fmt: skip
def test_which_addresses_only_this_machine_reaches(address, own):
    assert start.is_loopback(address) is own


@pytest.mark.parametrize(
    ("arguments", "before", "after", "token"),
    [
        ([], None, "1", True),
        ([], "1", "1", True),
        ([], "0", "0", False),
        (["--server.address", "0.0.0.0"], None, None, False),
        (["--server.address", "0.0.0.0"], "1", "1", False),
        (["--server.address", "::1", "--server.port", "1"], None, "1", True),
    ],
)
def test_what_a_start_allows(gate, monkeypatch, arguments, before, after, token):
    from streamlit.web import cli

    gate(before)
    monkeypatch.delenv("STREAMLIT_SERVER_ADDRESS", raising=False)
    ran = []
    monkeypatch.setattr(cli, "main", lambda command, **named: ran.append(command))
    start.main(arguments)
    assert ran == [["run", str(ROOT / "app.py"), *(arguments or ["--server.address", "127.0.0.1"])]]
    assert start.os.environ.get(permission.ALLOW) == after
    assert (permission._token is not None) is token


@pytest.mark.parametrize(
    ("set_before", "arguments", "address"),
    [
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["--server.address=127.0.0.1"], "127.0.0.1"),
        ("", ["--server.address", "0.0.0.0", "--server.address", "::1"], "::1"),
    ],
)
def test_the_address_is_the_last_that_was_given(gate, monkeypatch, set_before, arguments, address):
    from streamlit.web import cli

    gate(None)
    ran = []
    monkeypatch.setattr(cli, "main", lambda command, **named: ran.append(command))
    monkeypatch.setenv("STREAMLIT_SERVER_ADDRESS", set_before)
    start.main(arguments)
    assert ran[0][2:] == ["--server.address", address]


@pytest.mark.parametrize(
    ("options", "address"),
    [
        ({"server.address": "127.0.0.1"}, "http://127.0.0.1:8501"),
        ({"server.address": "::1"}, "http://[::1]:8501"),
        ({"server.address": "0.0.0.0", "server.sslCertFile": "x"}, "https://127.0.0.1:8501"),
        ({"server.baseUrlPath": "/nero/"}, "http://127.0.0.1:8501/nero"),
    ],
)
def test_the_address_that_is_announced(gate, monkeypatch, options, address, capsys):
    set_ = {"server.port": 8501, "server.baseUrlPath": "", "server.headless": False, **options}
    monkeypatch.setattr(start.st, "get_option", set_.get)
    opened = []
    monkeypatch.setattr(start.webbrowser, "open", opened.append)

    async def serve():
        async with start.announced(None):
            await asyncio.sleep(0)

    gate("1", token=True)
    asyncio.run(serve())
    assert opened == [f"{address}/?token={permission._token}"]
    assert opened[0] in capsys.readouterr().out
    gate("1")
    set_["server.headless"] = True
    asyncio.run(serve())
    assert len(opened) == 1, "where there is no screen, no browser"
    assert f"NERO Dashboard: {address}\n" in capsys.readouterr().out
