"""The page for a class: what a student's device reaches, what is counted, and what is told of anybody."""

from __future__ import annotations

import asyncio
import gettext
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from html.parser import HTMLParser
from urllib.parse import urlencode, urlsplit

import pytest

from nero_core import wording
from nero_core.errors import InputError
from nero_core.lesson import tally as tallies
from nero_core.wording import languages
from pages.classroom import server, site
from tests.server.serving import PATIENCE, ROOT, ask, free_port, wait_for

OPTIONS = {"2": "Two of them", "4": "Four of them", "6": "All six"}
FORM = "application/x-www-form-urlencoded"
START = [sys.executable, "-m", "pages.shared.start"]
MARKUP = '<script>alert("x")</script>'


@pytest.fixture
def room():
    """A class that is on, with its server, in this process."""
    begun, over = threading.Event(), threading.Event()
    opened = server.open_room("127.0.0.1", 0)

    async def life():
        async with server.served():
            begun.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(life()))
    thread.start()
    assert begun.wait(PATIENCE)
    yield opened
    over.set()
    thread.join(PATIENCE)
    assert server.room() is None


@pytest.fixture
def address(room):
    [address] = room.addresses
    return address


@pytest.fixture
def asked(room):
    """The number of a question that is put."""
    return room.tally.ask("how-many", "How many?", OPTIONS)


def device(address):
    """The cookie of a new device."""
    return ask(address)[1]["Set-Cookie"].partition(";")[0]


def answer(address, cookie, number, option, **more):
    """Send the form: (status, headers, page)."""
    headers = {"Content-Type": FORM} | ({"Cookie": cookie} if cookie else {}) | more
    status, answered, body = ask(
        address, "/", "POST", urlencode({"question": number, "answer": option}).encode(), **headers
    )
    return status, answered, body.decode()


def spoken_by(address, data):
    """What the server says to bytes as they are, until it closes."""
    place = urlsplit(address)
    with socket.create_connection((place.hostname, place.port), timeout=PATIENCE) as there:
        there.sendall(data)
        said = b""
        while part := there.recv(65536):
            said += part
    return said


# What is reached --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/lesson", "/case_review", "/references", "/benchmark", "/neurons", "/_stcore/health", "/_stcore/host-config",
        "/_stcore/stream", "/_stcore/upload_file/a/b", "/upload", "/media/x.png", "/static/index.html", "/app/static/x",
        "/component/x", "/favicon.ico", "/index.html", "/tally.html", "/tally.css", "/..", "/%2e%2e/app.py",
        "/..%2f..%2fetc/passwd", "//", "/./", "/%00", "/é".encode().decode("latin-1"), "/?token=x/../lesson", "*",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_a_device_reaches_nothing_but_the_page(address, path, method):
    status = int(spoken_by(address, f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode("latin-1")).split()[1])
    if path.startswith("/?"):
        assert status == {"GET": 200, "POST": 415, "PUT": 405}[method]
    else:
        assert status in (404, 400)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW"])
def test_another_method_does_nothing(address, asked, room, method):
    assert ask(address, "/", method, b"question=1&answer=2", Content_Type=FORM)[0] == 405
    assert room.tally.now().answers == 0


def test_no_session_is_opened(address):
    asks = (
        "GET /_stcore/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    assert spoken_by(address, asks.encode()).startswith(b"HTTP/1.1 404")
    assert b" 101 " not in spoken_by(address, asks.replace("/_stcore/stream", "/").encode())


@pytest.mark.parametrize("path", ["/", "/nowhere"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "HEAD"])
def test_every_answer_has_the_headers_that_guard_it(address, path, method):
    _, headers, _ = ask(address, path, method)
    policy = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert "Server" not in headers


@pytest.mark.parametrize("host", ["evil.example", "", "evil.example:1@x", "[::9", "<b>"])
def test_the_name_that_it_is_asked_for_means_nothing(address, asked, room, host):
    tricks = {"Host": host, "X-Forwarded-Host": host, "X-Forwarded-For": "203.0.113.9", "Forwarded": f"host={host}"}
    status, headers, body = ask(address, **tricks)
    assert status == 200
    if host:
        assert host.encode() not in body
    status, headers, _ = answer(address, headers["Set-Cookie"].partition(";")[0], asked, "2", **tricks)
    assert (status, headers["Location"]) == (303, "/")
    assert room.tally.now().answers == 1


# What is counted --------------------------------------------------------------------------------------------------


def test_a_device_answers_once_and_may_change_its_answer(address, asked, room):
    first, second = device(address), device(address)
    assert first != second
    assert answer(address, first, asked, "2")[0] == 303
    assert answer(address, second, asked, "2")[0] == 303
    assert room.tally.now().counts == {"2": 2, "4": 0, "6": 0}
    assert answer(address, first, asked, "6")[0] == 303
    assert room.tally.now().counts == {"2": 1, "4": 0, "6": 1}
    page = ask(address, Cookie=first)[2].decode()
    assert "Your answer is counted" in page
    assert re.findall(r'value="(\w+)" aria-pressed="true"', page) == ["6"]
    assert "Your answer is counted" not in ask(address, Cookie=device(address))[2].decode()


def test_counts_are_shown_when_they_are_revealed_and_no_sooner(address, asked, room):
    cookie = device(address)
    answer(address, cookie, asked, "4")
    assert "Answers counted" not in ask(address, Cookie=cookie)[2].decode()
    before = ask(address, method="HEAD")[1][site.STATE]
    room.tally.reveal(asked)
    page = ask(address, Cookie=cookie)[2].decode()
    assert "Answers counted: 1." in page
    assert re.findall(r"<b>(\d+)</b>", page) == ["0", "1", "0"]
    assert "<form" not in page
    assert ask(address, method="HEAD")[1][site.STATE] != before, "the pages that are open learn of it"
    assert answer(address, cookie, asked, "2")[0] == 409
    assert room.tally.now().counts["4"] == 1


def test_an_answer_to_an_old_question_is_refused_and_the_new_one_shown(address, asked, room):
    cookie = device(address)
    room.tally.ask("which", "Which of the two?", {"a": "Left", "b": "Right"})
    status, _, page = answer(address, cookie, asked, "2")
    assert status == 409
    assert "takes no more answers" in page
    assert "Which of the two?" in page
    assert room.tally.now().answers == 0


def test_nothing_is_asked_at_first_and_in_the_end(address, room):
    page = ask(address)[2].decode()
    assert "No question yet" in page
    assert "<form" not in page
    assert answer(address, device(address), 1, "2")[0] == 409


def test_many_devices_at_once(address, asked, room):
    def vote(i):
        cookie = device(address)
        for option in ("2", "246"[i % 3]):
            assert answer(address, cookie, asked, option)[0] == 303

    with ThreadPoolExecutor(40) as pool:
        list(pool.map(vote, range(120)))
    assert room.tally.now().counts == {"2": 40, "4": 40, "6": 40}


def test_no_more_devices_than_are_kept(address, asked, room, monkeypatch):
    monkeypatch.setattr(tallies, "MOST_DEVICES", 2)
    cookies = [device(address) for _ in range(3)]
    assert [answer(address, cookie, asked, "2")[0] for cookie in cookies] == [303, 303, 503]
    assert answer(address, cookies[0], asked, "4")[0] == 303


# What is sent to harm ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["3", "", "Two of them", MARKUP, "2 ", "2\r\nSet-Cookie: a=b", "é", "x" * 500])
def test_an_unknown_answer_is_refused_and_not_repeated(address, asked, room, option):
    status, headers, page = answer(address, device(address), asked, option)
    assert status == 400
    assert room.tally.now().answers == 0
    assert MARKUP not in page
    assert "a=b" not in str(headers)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"answer=2", b"question=1", b"question=1&answer=2&answer=4", b"question=1&question=1&answer=2",
        b"question=&answer=2", b"question=1&answer=%ff", b"\xff\xfe", b"question=1;answer=2", b'{"question": 1}',
        b"question=1&answer=2&a=1&b=2&c=3", "question=1&answer=é".encode(),
    ],
)  # fmt: skip
def test_a_form_that_is_none_of_ours_is_refused(address, asked, room, body):
    assert ask(address, "/", "POST", body, Content_Type=FORM, Cookie=device(address))[0] == 400
    assert room.tally.now().answers == 0


@pytest.mark.parametrize("number", ["-1", "1e0", "²", "1.0", "0x1", " 1", "9" * 900, "None"])
def test_a_number_that_is_no_question_counts_nothing(address, asked, room, number):
    assert answer(address, device(address), number, "2")[0] in (400, 409)
    assert room.tally.now().answers == 0


def test_a_large_body_is_refused_before_it_is_read(address, asked, room):
    cookie = device(address)
    assert ask(address, "/", "POST", b"x" * 1025, Content_Type=FORM, Cookie=cookie)[0] == 413
    head = f"POST / HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\nContent-Type: {FORM}\r\n"
    endless = f"{head}Transfer-Encoding: chunked\r\n\r\n400\r\n{'x' * 1024}\r\n1\r\nx\r\n".encode()
    assert spoken_by(address, endless).startswith(b"HTTP/1.1 413"), "though it never ends"
    padded = urlencode({"question": asked, "answer": "2"}).encode()
    assert ask(address, "/", "POST", padded, Content_Type=FORM, Cookie=cookie)[0] == 303


def test_large_headers_are_refused(address):
    assert spoken_by(address, b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 70_000).split()[1] == b"400"


@pytest.mark.parametrize("kind", ["", "application/json", "text/plain", "multipart/form-data; boundary=x"])
def test_what_is_no_form_is_refused(address, asked, room, kind):
    cookie = device(address)
    body = urlencode({"question": asked, "answer": "2"}).encode()
    assert ask(address, "/", "POST", body, Content_Type=kind, Cookie=cookie)[0] == 415
    assert room.tally.now().answers == 0


def test_a_cookie_that_was_not_given_here_counts_nothing(address, asked, room):
    real = device(address)
    name, _, value = real.partition("=")
    known, _, seal = value.rpartition(".")
    forged = [
        "", f"{name}=", f"{name}=x", f"{name}=.", f"{name}=x.{seal}", f"{name}={known}.", f"{name}={known}",
        f"{name}={known}.{'0' * 32}", f"{name}={known}x.{seal}", f"{name}={'é' * 10}.x".encode().decode("latin-1"),
        f"other={value}",
    ]  # fmt: skip
    for cookie in forged:
        status, headers, page = answer(address, cookie, asked, "2")
        assert status == 403, cookie
        assert "Not counted yet" in page
        assert headers["Set-Cookie"], "the next try counts"
    assert room.tally.now().answers == 0
    assert answer(address, real, asked, "2")[0] == 303


def test_a_page_of_another_site_answers_for_nobody(address, asked, room):
    """The browser keeps a cookie that is strict from it; and what it sends without one is not counted."""
    kept = ask(address)[1]["Set-Cookie"].lower()
    assert "httponly" in kept
    assert "samesite=strict" in kept
    assert answer(address, "", asked, "2", Origin="http://evil.example")[0] == 403
    assert room.tally.now().answers == 0


def test_a_cookie_is_given_once(address):
    cookie = device(address)
    assert "Set-Cookie" not in ask(address, Cookie=cookie)[1]
    assert "Set-Cookie" in ask(address, Cookie=cookie + "x")[1]


class Tags(HTMLParser):
    """Every tag of a page."""

    def __init__(self, page):
        super().__init__()
        self.seen = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)


def test_a_question_is_text_and_no_markup(address, room):
    plain = room.tally.ask("plain", "How many?", OPTIONS)
    tags = Tags(ask(address)[2].decode()).seen
    hostile = room.tally.ask(
        "hostile", f'{MARKUP}"', {'"><img src=x onerror=alert(1)>': MARKUP, "b'": "{{ 7*7 }}", "6": "c"}
    )
    page = ask(address)[2].decode()
    assert Tags(page).seen == tags
    assert MARKUP not in page
    assert "{{ 7*7 }}" in page
    cookie = device(address)
    assert answer(address, cookie, hostile, '"><img src=x onerror=alert(1)>')[0] == 303
    room.tally.reveal(hostile)
    assert "<img" not in ask(address, Cookie=cookie)[2].decode()
    assert plain != hostile


def test_the_policy_lets_the_page_s_own_style_and_script_through_and_no_other(address):
    _, headers, body = ask(address)
    for tag in ("style", "script"):
        [text] = re.findall(rf"<{tag}>(.*?)</{tag}>", body.decode(), re.DOTALL)
        assert f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" in headers["Content-Security-Policy"]
    assert not re.search(r"\son\w+=|\sstyle=|https?://", body.decode())


def test_who_holds_a_connection_without_asking_loses_it(monkeypatch, room, address):
    monkeypatch.setattr(server, "LONGEST_CONNECTION", 0.2)
    place = urlsplit(address)
    with socket.create_connection((place.hostname, place.port), timeout=PATIENCE) as idle:
        idle.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nA: ")
        with suppress(ConnectionResetError):
            assert idle.recv(1) == b""


def test_no_more_connections_than_there_is_room_for(monkeypatch, room, address):
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 3)
    place = urlsplit(address)
    held = [socket.create_connection((place.hostname, place.port), timeout=PATIENCE) for _ in range(3)]
    time.sleep(0.2)
    with pytest.raises(OSError, match=r"reset|closed|remote|Broken"):
        ask(address)
    for each in held:
        each.close()
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            assert ask(address)[0] == 200
            return
        except OSError:
            time.sleep(0.1)
    pytest.fail("the room is never free again")


# How it is started ------------------------------------------------------------------------------------------------


@pytest.fixture
def started(tmp_path):
    """`make class` on free ports: (process, dashboard, the class, log)."""
    log, port, room = tmp_path / "log.txt", free_port(), free_port()
    with log.open("w") as sink:
        options = ["--server.port", str(port), "--server.headless", "true"]
        places = ["--class", "--class-port", str(room), "--class-address", "127.0.0.1"]
        process = subprocess.Popen([*START, *options, *places], cwd=ROOT, stdout=sink, stderr=subprocess.STDOUT)
    try:
        wait_for(f"http://127.0.0.1:{port}/_stcore/health", process, log)
        yield process, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{room}", log
    finally:
        process.kill()
        process.wait(20)


def open_there(address):
    place = urlsplit(address)
    with socket.socket() as there:
        return there.connect_ex((place.hostname, place.port)) == 0


def test_both_start_say_where_and_end_together(started):
    process, dashboard, room, log = started
    assert ask(dashboard)[0] == 200
    status, _, page = ask(room)
    assert status == 200
    assert b"No question yet" in page
    assert ask(room, "/_stcore/health")[0] == 404
    end = time.monotonic() + PATIENCE
    while "Mind:" not in log.read_text() and time.monotonic() < end:
        time.sleep(0.1)
    told = log.read_text()
    assert f"NERO Dashboard: {dashboard}" in told
    assert f"For the class: {room}\n" in told
    assert "everybody in this network" in told
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    assert not open_there(dashboard)
    assert not open_there(room)


def test_nothing_of_anybody_is_told(started):
    _, _, room, log = started
    cookie = device(room)
    answer(room, cookie, 1, "secret-answer", User_Agent="secret-agent")
    for path in ("/secret-path", "/"):
        ask(room, path, "PUT", User_Agent="secret-agent", X_Forwarded_For="203.0.113.9")
    spoken_by(room, b"secret nonsense\r\n\r\n")
    spoken_by(room, b"GET / HTTP/1.1\r\nHost: x\r\nA: secret" + b"x" * 20_000 + b"\r\n\r\n")
    end = time.monotonic() + PATIENCE
    while "Mind:" not in log.read_text() and time.monotonic() < end:
        time.sleep(0.1)
    told = log.read_text()
    for each in ("secret", "203.0.113.9", cookie, cookie.partition("=")[2].partition(".")[0], "POST", "PUT"):
        assert each not in told
    assert "127.0.0.1" not in re.sub(r"http://127\.0\.0\.1:\d+", "", told)


def start(*options):
    """Start it where it cannot: (exit status, what it says)."""
    command = [*START, "--server.port", str(free_port()), "--server.headless", "true", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    return done.returncode, done.stdout + done.stderr


def test_a_port_that_is_taken_starts_nothing_and_says_what_to_do():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, told = start("--class", "--class-address", "127.0.0.1", "--class-port", str(port))
    assert status == 1
    assert f"Port {port}" in told
    assert "CLASS_PORT=" in told
    assert "Nothing was started." in told
    assert "NERO Dashboard:" not in told
    assert "Traceback" not in told


@pytest.mark.parametrize("address", ["0.0.0.0", "192.0.2.1", "::"])
def test_a_dashboard_that_others_reach_has_no_class(address):
    status, told = start("--class", "--class-port", "0", "--server.address", address)
    assert status == 1
    assert address in told
    assert "this computer only" in told
    assert "NERO Dashboard:" not in told


@pytest.mark.parametrize(
    ("address", "port", "said"),
    [
        ("198.51.100.77", 0, "an address that it has"),
        ("the room", 0, "wanted an IP address"),
        ("0.0.0.0", 70000, "is 70000"),
        ("127.0.0.1", -1, "wanted 1 to 65535"),
    ],
)
def test_where_it_cannot_be_is_said(address, port, said):
    with pytest.raises(InputError, match=said):
        server.open_room(address, port)
    assert server.room() is None


def test_without_being_asked_there_is_no_class(tmp_path):
    assert server.room() is None

    async def life():
        async with server.served() as nothing:
            return nothing

    assert asyncio.run(life()) is None


def test_the_makefile_starts_it_so():
    makefile = (ROOT / "Makefile").read_text()
    [recipe] = re.findall(r"^class: .*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert "python -m pages.shared.start --server.port $(PORT) --server.address $(ADDRESS)" in recipe
    assert "--class --class-port $(CLASS_PORT) --class-address $(CLASS_ADDRESS)" in recipe
    assert re.search(r"^CLASS_PORT \?= 8502$", makefile, re.MULTILINE)


def test_its_own_addresses_are_found_without_asking_anybody(tmp_path):
    code = "from pages.classroom import server; print(server.own_addresses())"
    (tmp_path / "finder.py").write_text(code)
    log = tmp_path / "calls.txt"
    command = [sys.executable, "-m", "tests.server.watch", str(log), "no bait", "finder"]
    done = subprocess.run(
        command, cwd=ROOT, env={"PYTHONPATH": str(tmp_path)}, check=True, capture_output=True, text=True
    )
    assert log.read_text() == ""
    assert re.fullmatch(r"\[('[\d.]+'(, )?)*\]\n", done.stdout)
    assert "127.0.0.1" not in done.stdout


def test_everywhere_is_printed_as_addresses_that_can_be_opened(monkeypatch):
    monkeypatch.setattr(server, "own_addresses", lambda: ["192.0.2.7", "198.51.100.7"])
    try:
        opened = server.open_room("0.0.0.0", 0)
        assert opened.addresses == [f"http://192.0.2.7:{opened.port}", f"http://198.51.100.7:{opened.port}"]
    finally:
        server.close_room()


class Austrian(gettext.NullTranslations):
    def gettext(self, message):
        return {"No question yet": "Noch keine Frage"}.get(message, message)


def test_the_page_names_the_language_it_is_in(address, monkeypatch):
    assert '<html lang="en">' in ask(address)[2].decode()

    monkeypatch.setattr(wording, "_language", "de_AT")  # of the process: nobody asks for another
    monkeypatch.setattr(
        languages, "catalogue", lambda language: Austrian() if language == "de_AT" else gettext.NullTranslations()
    )
    page = ask(address)[2].decode()
    assert '<html lang="de-AT">' in page
    assert "Noch keine Frage" in page
