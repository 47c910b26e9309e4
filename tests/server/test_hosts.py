"""To whom the server answers: its own names, its own pages, and nothing else; and whom it calls: nobody."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest

from tests.server.serving import ROOT, Session, ask, handshake, serve, watched_by

LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """A server whose sockets are watched: (its address, the file that names every address it called)."""
    folder = tmp_path_factory.mktemp("watched")
    with serve(folder / "log.txt", command=watched_by(folder / "calls.txt")) as address:
        yield address, folder / "calls.txt"


@pytest.fixture
def served(watched):
    return watched[0]


def calls(watched):
    return watched[1].read_text().splitlines()


def abroad(watched):
    return [call for call in calls(watched) if not any(name in call for name in LOOPBACK)]


# Names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8501",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil-localhost",
        "192.168.1.7:8501",
        "user@evil.example",
        "127.0.0.1@evil.example",
        "localhost:port",
        "[::2]:8501",
        "[",
        "",
    ],
)
@pytest.mark.parametrize("path", ["/", "/references", "/_stcore/health", "/static/index.html"])
def test_a_foreign_name_gets_nothing(served, host, path):
    status, _, body = ask(served, path, Host=host)
    assert status in (400, 403)
    assert b"<html" not in body.lower()
    assert b"evil" not in body, "what was asked for is not repeated"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8501", "127.0.0.1.evil.example", ""])
def test_a_foreign_name_opens_no_session(served, host):
    assert handshake(served, Host=host, Origin=f"http://{host}") in (400, 403)
    assert handshake(served, Host=host) in (400, 403)


@pytest.mark.parametrize("name", ["localhost", "LocalHost", "localhost.", "127.0.0.1", "[::1]"])
def test_every_name_of_this_machine_is_its_own(served, name):
    host = f"{name}:{served.rpartition(':')[2]}"
    assert ask(served, Host=host)[0] == 200
    assert handshake(served, Host=host, Origin=f"http://{host}") == 101


def test_a_refusal_says_what_to_do(served):
    assert b"server.allowedHosts" in ask(served, Host="evil.example")[2]


def test_the_bundled_configuration_names_this_machine_only():
    server = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["server"]
    assert sorted(server["allowedHosts"]) == ["127.0.0.1", "::1", "localhost"]


def test_an_owner_adds_a_name_and_an_origin(tmp_path):
    names = {
        "STREAMLIT_SERVER_ALLOWED_HOSTS": "localhost 127.0.0.1 *.hospital.example",
        "STREAMLIT_SERVER_CORS_ALLOWED_ORIGINS": "https://portal.example",
    }
    with serve(tmp_path / "log.txt", command=watched_by(tmp_path / "calls.txt"), **names) as address:
        own = "nero.hospital.example"
        assert ask(address, Host=own)[0] == 200
        assert handshake(address, Host=own, Origin=f"https://{own}") == 101
        assert handshake(address, Host=own, Origin="https://portal.example") == 101
        assert handshake(address, Host=own, Origin="https://other.example") == 403
        assert handshake(address, Host=own, Origin="http://localhost:3000") == 403, "a visitor's own machine"
        assert ask(address, Host="hospital.example.evil")[0] == 403
        assert abroad((address, tmp_path / "calls.txt")) == []


# Origins -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "https://evil.example:8501", "null", "http://[::2]", "http://127.0.0.1.evil.example"],
)
def test_a_page_of_another_origin_opens_no_session(served, origin):
    assert handshake(served, Origin=origin) == 403


def test_a_page_of_another_origin_uploads_nothing_and_reads_nothing(served):
    with Session(served) as session:
        session.run()
        for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}):
            assert ask(served, f"/_stcore/upload_file/{session.identity}/x", "PUT", b"x", **headers)[0] == 403
            status, answered, _ = ask(served, "/_stcore/host-config", **headers)
            assert status == 403
            assert "Access-Control-Allow-Origin" not in answered


# Calls -------------------------------------------------------------------------------------------------------------


def test_nothing_is_called_whatever_comes_in(watched):
    served = watched[0]
    port = served.rpartition(":")[2]
    for host in (f"127.0.0.1:{port}", "evil.example", f"[::1]:{port}", "8.8.8.8"):
        for origin in (
            None,
            "http://evil.example",
            "http://8.8.8.8",
            f"http://localhost:{port}",
            "http://[::1]:1",
            "null",
        ):
            headers = {"Host": host} | ({"Origin": origin} if origin else {})
            for path in ("/", "/_stcore/health", "/_stcore/host-config", "/_stcore/upload_file/a/b"):
                ask(served, path, **headers)
            handshake(served, **headers)
    with Session(served) as session:
        for page in ("", "neurons", "benchmark", "references"):
            session.run(page)
    assert abroad(watched) == []


def test_the_watcher_sees_a_call(tmp_path):
    """Else the test before says nothing."""
    code = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 1))"
    (tmp_path / "caller.py").write_text(code)
    log = tmp_path / "calls.txt"
    command = [sys.executable, "-m", "tests.server.watch", str(log), "no bait", "caller"]
    subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(tmp_path)}, check=True)
    assert abroad((None, log)) == ["socket.connect ('192.0.2.1', 1)"]


def test_a_server_for_others_calls_nobody_when_it_starts(tmp_path):
    """Streamlit would ask the internet for its own address, to print it."""
    log = tmp_path / "calls.txt"
    with serve(tmp_path / "log.txt", command=[*watched_by(log), "--server.address", "0.0.0.0"]) as address:
        assert ask(address)[0] == 200
    assert abroad((None, log)) == []


def test_without_what_guards_it_nothing_is_shown(tmp_path):
    """Should another Streamlit not find what app.py asks it to serve, it says so, and asks for nothing."""
    command = [sys.executable, "-m", "tests.server.unguarded", "streamlit", "run", "app.py"]
    with serve(tmp_path / "log.txt", command=command, NERO_ALLOW_BUILD="1") as address, Session(address) as session:
        for page in ("", "benchmark", "references"):
            session.run(page)
            assert session.kinds() == {"alert"}
            assert "requirements.txt" in session.said()[0]
