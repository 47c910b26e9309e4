"""Uploads: what the page asks for, within the limits of its session, and nothing that no uploader holds."""

from __future__ import annotations

import asyncio
import http.client
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import RerunData, RerunException, StopException
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

from pages.shared import session as sessions
from pages.shared import uploads
from tests.server.serving import UPLOAD, Session, ask, serve

MB = 2**20


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server whose owner may build, so that every uploader is there."""
    with serve(tmp_path_factory.mktemp("server") / "log.txt", NERO_ALLOW_BUILD="1") as address:
        yield address


@pytest.fixture
def session(served):
    with Session(served) as session:
        session.run()
        yield session


def uploader_of(session):
    return next(message.id for kind, message in session.elements if kind == "file_uploader")


def holding(session, *files):
    """The state of the page's uploader in which it holds some files."""
    message = WidgetState(id=uploader_of(session))
    for file, name, size in files:
        held = message.file_uploader_state_value.uploaded_file_info.add(name=name, size=size)
        held.file_id = file
    return message


# One file ---------------------------------------------------------------------------------------------------------


def test_the_endpoint_takes_no_more_than_the_uploader_of_the_page(session):
    assert session.upload(sessions.LARGEST * MB)[0] == 204
    assert session.upload(sessions.LARGEST * MB + MB)[0] == 413
    assert session.upload(150 * MB)[0] == 413


def test_another_page_has_its_own_limit(session):
    session.run("references", "view=Build+one")
    assert session.upload(150 * MB)[0] == 204
    assert session.upload(201 * MB)[0] == 413
    session.run("")
    assert session.upload(30 * MB)[0] == 413, "that of the page in sight"


def test_a_page_without_an_uploader_takes_nothing(session):
    session.run("neurons")
    assert session.upload(10)[0] == 403


def test_the_three_files_of_900_megabytes(session):
    assert [session.upload(900 * MB)[0] for _ in range(3)] == [413] * 3


def test_a_body_of_unknown_length_is_counted_as_it_comes(session):
    edge = uuid.uuid4().hex
    sent = 0

    def pieces():
        nonlocal sent
        yield f'--{edge}\r\nContent-Disposition: form-data; name="f"; filename="a.png"\r\n\r\n'.encode()
        for _ in range(100):
            sent += MB
            yield bytes(MB)
        yield f"\r\n--{edge}--\r\n".encode()

    place = urlsplit(session.address)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=60)
    headers = {"Content-Type": f"multipart/form-data; boundary={edge}", "Cookie": session.cookie}
    try:
        connection.request(
            "PUT",
            f"{UPLOAD}/{session.identity}/{uuid.uuid4()}",
            pieces(),
            headers | {"X-Xsrftoken": session.token},
            encode_chunked=True,
        )
        assert connection.getresponse().status == 413
    except (BrokenPipeError, ConnectionError):
        pass  # turned down before it was all sent
    finally:
        connection.close()
    assert 20 <= sent / MB <= 100


def test_an_owner_raises_the_limit_by_streamlits_own_setting(tmp_path):
    raised = {"NERO_ALLOW_BUILD": "1", "STREAMLIT_SERVER_MAX_UPLOAD_SIZE": "250"}
    with serve(tmp_path / "log.txt", **raised) as address, Session(address) as session:
        session.run("references", "view=From+a+file")
        (uploader,) = [message for kind, message in session.elements if kind == "file_uploader"]
        assert uploader.max_upload_size_mb == 250
        assert session.upload(240 * MB)[0] == 204
        session.run("")
        assert session.upload(30 * MB)[0] == 413, "an uploader that says 20 MB keeps it"


# A session --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A server on which all uploads of a session may take 10 MB."""
    command = [sys.executable, "-m", "tests.server.small", "streamlit", "run", "app.py"]
    log = tmp_path_factory.mktemp("small") / "log.txt"
    with serve(log, command=command, NERO_ALLOW_BUILD="1", STREAMLIT_SERVER_MAX_UPLOAD_SIZE="10") as address:
        yield address


@pytest.fixture
def full(small):
    """A session with an uploader in which 8 of the 10 MB are taken: (session, its two files)."""
    with Session(small) as session:
        session.run()
        files = [(file, f"{file}.png", 4 * MB) for _, file in (session.upload(4 * MB), session.upload(4 * MB))]
        assert session.upload(4 * MB)[0] == 413
        yield session, files


def test_the_files_of_a_session_are_limited_together(full, small):
    session, _ = full
    assert session.upload(MB)[0] == 204
    assert session.upload(2 * MB)[0] == 413
    with Session(small) as another:
        another.run()
        assert another.upload(4 * MB)[0] == 204, "somebody else's session is not concerned"


def test_files_that_arrive_at_the_same_time_are_counted_together(small):
    with Session(small) as session:
        session.run()
        with ThreadPoolExecutor(12) as pool:
            statuses = list(pool.map(lambda _: session.upload(3 * MB)[0], range(12)))
        assert set(statuses) <= {204, 413}
        assert statuses.count(204) <= 3


def test_five_hundred_frames_of_two_megabytes_fit(alone):
    manager, frame = MemoryUploadedFileManager(""), bytes(2 * MB)  # the same bytes each time: the test holds them once
    assert alone(manager, [(str(number), frame) for number in range(501)]) == [204] * 500 + [413]


def test_many_empty_files_are_files_too(alone, monkeypatch):
    monkeypatch.setattr(uploads, "SESSION_MEGABYTES", 1)
    monkeypatch.setattr(uploads.st, "get_option", lambda name: 1)
    statuses = alone(MemoryUploadedFileManager(""), [(str(number), b"") for number in range(1100)])
    fit = (MB + uploads.FRAMING_BYTES) // uploads.FILE_BYTES
    assert statuses == [204] * fit + [413] * (1100 - fit)


# Whose they are ---------------------------------------------------------------------------------------------------


def test_files_are_dropped_when_their_uploader_is_gone(full):
    session, files = full
    for _ in range(2):
        session.run(widgets=[holding(session, *files)])
        assert session.upload(4 * MB)[0] == 413, "while the uploader holds them, they stay"
    session.run("neurons")
    session.run("")
    assert session.upload(4 * MB)[0] == 204


def test_a_file_that_was_taken_out_of_its_uploader_is_dropped(full):
    session, files = full
    session.run(widgets=[holding(session, *files)])
    session.run(widgets=[holding(session, files[1])])
    assert session.upload(4 * MB)[0] == 204
    assert session.upload(4 * MB)[0] == 413


def test_a_file_that_no_uploader_holds_yet_waits_while_others_come(full):
    """The browser names the files of an uploader once all of them are through."""
    session, _ = full
    session.run()
    assert session.upload(4 * MB)[0] == 413


def test_a_run_that_is_cut_short_drops_nothing(monkeypatch):
    manager = MemoryUploadedFileManager("")
    context = SimpleNamespace(session_id="s", uploaded_file_mgr=manager)
    monkeypatch.setattr(uploads, "get_script_run_ctx", lambda: context)
    known = uploads._Session(before=uploads._Shown({"one": MB}, {"a"}))
    monkeypatch.setattr(uploads, "_sessions", {"s": known})
    manager.add_file("s", UploadedFileRec("a", "a", "t", b"x"))

    @uploads.watched()
    def run_until(error):
        assert known.largest() == MB, "what comes meanwhile is taken"
        raise error

    for error in (RerunException(RerunData()), ValueError()):
        with pytest.raises(type(error)):
            run_until(error)
        assert known.holds("a")
        assert known.largest() == MB
    with pytest.raises(StopException):  # as a page ends that has nothing more to show
        run_until(StopException())
    assert not known.holds("a")
    assert known.largest() is None
    assert manager.get_files("s", ["a"]) == []


def test_a_run_that_ends_after_the_next_has_begun_takes_nothing_from_it(monkeypatch):
    """Streamlit begins the run that an upload asks for before the empty page's run has come to its end."""
    removed = []
    manager = SimpleNamespace(remove_file=lambda identity, file: removed.append(file))
    monkeypatch.setattr(uploads, "_sessions", {"s": uploads._Session()})
    monkeypatch.setattr(
        uploads, "get_script_run_ctx", lambda: SimpleNamespace(session_id="s", uploaded_file_mgr=manager)
    )
    with ExitStack() as first, ExitStack() as second:
        first.enter_context(uploads.watched())
        second.enter_context(uploads.watched())
        uploads._sessions["s"].now.files.add("frame")
        first.close()
        assert uploads._sessions["s"].holds("frame")
        second.close()
    assert removed == []
    assert uploads._sessions["s"].holds("frame")
    with uploads.watched():
        pass
    assert removed == ["frame"], "the next run shows it no more"


def test_what_no_uploader_has_claimed_is_dropped_in_time(alone, monkeypatch):
    manager = MemoryUploadedFileManager("")
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(uploads.time, "monotonic", lambda: clock.now)
    later = []
    monkeypatch.setattr(
        uploads.asyncio, "get_running_loop", lambda: SimpleNamespace(call_later=lambda *call: later.append(call))
    )
    assert alone(manager, [("held", b"x"), ("nobodys", b"y")]) == [204, 204]
    uploads._sessions["s"].before.files.add("held")

    def pass_time(seconds):
        clock.now += seconds
        due, later[:] = list(later), []
        for _, do, *arguments in due:
            do(*arguments)

    pass_time(uploads.UNCLAIMED_SECONDS - 1)
    assert set(manager.file_storage["s"]) == {"held", "nobodys"}
    uploads._sessions["s"].heard = clock.now  # something else of the session is still on its way
    pass_time(uploads.UNCLAIMED_SECONDS - 1)
    assert set(manager.file_storage["s"]) == {"held", "nobodys"}
    pass_time(1)
    assert set(manager.file_storage["s"]) == {"held"}
    assert later == [], "nothing is looked for any more"


# What must stay refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["", "x", "2|00000000|00000000000000000000000000000000|1"])
def test_an_upload_without_its_token_is_refused(session, token):
    assert session.upload(10, token=token)[0] == 403


def test_an_upload_for_no_session_is_refused(session):
    for identity in ("", "x", str(uuid.uuid4()), "../../etc"):
        session.identity, kept = identity, session.identity
        assert session.upload(10)[0] in (400, 403, 404)
        session.identity = kept


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
@pytest.mark.parametrize(
    "path", ["/", "/_stcore/health", "/_stcore/agent/interact", "/media/x", "/_stcore/upload_file"]
)
def test_nothing_else_takes_a_body(served, method, path):
    assert ask(served, path, method, b"x" * 100)[0] in (400, 403, 405)


def test_nothing_is_served_where_uploads_are_held_in_an_unknown_way(monkeypatch):
    monkeypatch.delattr(MemoryUploadedFileManager, "remove_file")
    with pytest.raises(RuntimeError, match="limits would not hold"):
        uploads.Limits(None)


def test_nothing_is_taken_where_what_is_held_cannot_be_counted(alone):
    """Should Streamlit change under a server that runs: an error, and no file."""
    manager = SimpleNamespace(add_file=lambda **_: pytest.fail("taken"))
    with pytest.raises(AttributeError, match="file_storage"):
        alone(manager, [("a", b"x")])


# The middleware alone ---------------------------------------------------------------------------------------------


@pytest.fixture
def alone(monkeypatch):
    """Call it for the statuses of uploads to a server that only keeps what it gets, behind the middleware."""
    known = uploads._Session()
    known.before.limits["one"] = 20 * MB
    monkeypatch.setattr(uploads, "_sessions", {"s": known})

    def statuses(manager, files):
        monkeypatch.setattr(uploads.runtime, "get_instance", lambda: SimpleNamespace(uploaded_file_mgr=manager))

        async def keep(request):
            file = UploadedFileRec(request.path_params["file"], "f", "t", await request.body())
            manager.add_file(session_id="s", file=file)
            return PlainTextResponse("", 204)

        routes = [Route(f"{UPLOAD}/s/{{file}}", keep, methods=["PUT"])]
        app = Starlette(routes=routes, middleware=[Middleware(uploads.Limits)])

        async def all_of_them():
            return [await put(app, f"{UPLOAD}/s/{name}", data) for name, data in files]

        return asyncio.run(all_of_them())

    return statuses


async def put(app, path, data):
    """One request to an ASGI application; its status."""
    statuses = []
    scope = {
        "type": "http", "method": "PUT", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": [],
        "http_version": "1.1", "scheme": "http", "root_path": "", "server": ("x", 1), "client": ("x", 1),
    }  # fmt: skip

    async def receive():
        return {"type": "http.request", "body": data, "more_body": False}

    async def send(message):
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(scope, receive, send)
    return statuses[0]
