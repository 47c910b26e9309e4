"""Uploads within limits: of one file, of a browser session, and of what nobody asked for.

Streamlit takes a file for any session before it knows which uploader it is for, holds it in memory, and forgets it when
the session ends. Here a file is taken only while the page shows an uploader, and only as large as the largest of these
takes; all files of a session together may take :data:`SESSION_MEGABYTES`; and a file that no uploader holds is dropped.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import streamlit as st
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import StopException, get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile, UploadedFileManager

from nero_core.wording import said

MEGABYTE = 2**20
SESSION_MEGABYTES = 1000
"""Of all uploads of one session: 500 frames of 2 MB, which is what a lossless frame of full HD takes. Where the server
takes larger files (`server.maxUploadSize`), one such file."""
FRAMING_BYTES = 2**16
"""What the request may hold besides the file: its name, and the edges around it."""
FILE_BYTES = 2**10
"""What a file counts at least: an empty one takes memory, too."""
UNCLAIMED_SECONDS = 600
"""How long a file may wait for its uploader after the session's last byte: the browser names the files of an uploader
once all of them are through, and the page may be busy."""
PATH = "/_stcore/upload_file/"
WITHOUT_BODY = ("GET", "HEAD", "OPTIONS", "DELETE")


@dataclass
class _Shown:
    """The uploaders of a page with the bytes that each takes of one file, and the files that they hold."""

    limits: dict[str, int] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)


@dataclass
class _Session:
    """What is known of a session's uploads.

    Attributes
    ----------
    before, now : _Shown
        What the last whole run of a page showed, and what the run under way has come to so far.
    arriving : {request: bytes}
        How much came of the files under way.
    heard : float
        When the last byte came, on the monotonic clock.
    """

    before: _Shown = field(default_factory=_Shown)
    now: _Shown = field(default_factory=_Shown)
    arriving: dict[object, int] = field(default_factory=dict)
    heard: float = 0.0

    def largest(self) -> int | None:
        """The bytes of the largest file that an uploader of the page takes; None where there is no uploader."""
        return max([*self.before.limits.values(), *self.now.limits.values()], default=None)

    def holds(self, file: str) -> bool:
        """Whether an uploader of the page holds a file."""
        return file in self.before.files or file in self.now.files


_sessions: dict[str, _Session] = {}
_lock = threading.Lock()


# On a page ---------------------------------------------------------------------------------------------------------


def uploader(label: str, *, key: str, megabytes: int | None = None, **options: Any) -> Any:
    """A :func:`streamlit.file_uploader` whose limit holds on the server, too.

    Parameters
    ----------
    megabytes : int, optional
        The largest file it takes; what the server takes where None.

    Returns
    -------
    UploadedFile, list of them, or None
        As Streamlit has it; without those that are too large, of which it says so.
    """
    most = st.get_option("server.maxUploadSize")
    limit = most if megabytes is None else min(megabytes, most)
    context = get_script_run_ctx()
    assert context is not None
    with _lock:
        shown = _known(context.session_id).now
        shown.limits[key] = limit * MEGABYTE
    given = st.file_uploader(label, key=key, max_upload_size=limit, **options)
    st.html(_refusals_in_sight(key, options.get("type"), limit))
    files = given if isinstance(given, list) else [given] if given is not None else []
    fitting = within(files, limit)
    with _lock:
        shown.files.update(file.file_id for file in fitting)
    for file in files:
        if file not in fitting:
            _kept_in_memory(context.uploaded_file_mgr).remove_file(context.session_id, file.file_id)
            st.error(
                said(
                    "A file of {n} MB was not taken: at most {limit} MB are.",
                    n=f"{file.size / MEGABYTE:.0f}",
                    limit=limit,
                )
            )
    return fitting if isinstance(given, list) else next(iter(fitting), None)


def _refusals_in_sight(key: str, kinds: str | Sequence[str] | None, megabytes: int) -> str:
    """Style that shows why a file was refused, and what is taken.

    The browser refuses a file of another kind or size by itself: the server never hears of it, and Streamlit has the
    reason for screen readers and on hover alone.
    """
    named = ", ".join(f".{kind}" for kind in ([kinds] if isinstance(kinds, str) else kinds or ()))
    taken = (
        said("Taken here: {kinds}, at most {n} MB a file.", kinds=named, n=megabytes)
        if named
        else said("Taken here: at most {n} MB a file.", n=megabytes)
    )
    chip = f'.st-key-{key} [data-testid="stFileChip"][aria-invalid="true"]'
    return (
        f"<style>{chip} {{ height: auto; width: auto; max-width: 100%; flex-wrap: wrap; }} "
        f'{chip} [role="alert"] {{ position: static !important; flex-basis: 100%; width: auto !important; '
        "height: auto !important; margin: 0 !important; clip: auto !important; clip-path: none !important; "
        "overflow: visible !important; white-space: normal !important; } "
        f"""{chip} [role="alert"]::after {{ content: " {taken}"; }}</style>"""
    )


def within(files: list[UploadedFile] | None, megabytes: int) -> list[UploadedFile]:
    """Those of the files that are no larger: for a callback, which runs before the uploader has looked."""
    return [file for file in files or () if file.size <= megabytes * MEGABYTE]


def larger(command: str) -> str:
    """How a file comes here that is larger than the server takes."""
    return said(
        "At most {n} MB, unless whoever runs this server sets STREAMLIT_SERVER_MAX_UPLOAD_SIZE to "
        "more. `{command}` takes any size.",
        n=st.get_option("server.maxUploadSize"),
        command=command,
    )


@contextmanager
def watched() -> Iterator[None]:
    """Around a run of a page: what no uploader of it holds any more is dropped at its end.

    A run that is cut short, by another or by an error, says nothing of the uploaders that it did not come to; nor does
    one that ends when the next has begun: what is on the screen then is for the next to say.
    """
    context = get_script_run_ctx()
    assert context is not None
    shown = _Shown()
    with _lock:
        session = _known(context.session_id)
        session.now = shown
    whole = False
    try:
        yield
        whole = True
    except StopException:
        whole = True
        raise
    finally:
        with _lock:
            last = session.now is shown
            left = session.before.files - shown.files if whole and last else set()
            if not (whole and last):
                shown.limits |= session.before.limits
                shown.files |= session.before.files
            session.before = shown
            if last:
                session.now = _Shown()
        for file in left:
            _kept_in_memory(context.uploaded_file_mgr).remove_file(context.session_id, file)


def _kept_in_memory(manager: UploadedFileManager) -> MemoryUploadedFileManager:
    """The server's only kind of manager; what keeps the files to their limits is not in the kinds' common interface."""
    return cast(MemoryUploadedFileManager, manager)


def _known(identity: str) -> _Session:
    """The record of a session; those of sessions that are gone are removed when a new one comes."""
    if identity not in _sessions:
        server = runtime.get_instance()
        for other in [other for other in _sessions if not server.is_active_session(other)]:
            del _sessions[other]
        _sessions[identity] = _Session()
    return _sessions[identity]


# At the door -------------------------------------------------------------------------------------------------------


class Limits:
    """ASGI middleware: takes an upload as long as it is within the limits of its session.

    Raises
    ------
    RuntimeError
        Streamlit holds uploads in another way than this was written for; nothing is served then.
    """

    def __init__(self, app: ASGIApp) -> None:
        if not all(hasattr(MemoryUploadedFileManager(PATH), name) for name in ("file_storage", "remove_file")):
            raise RuntimeError(
                f"Streamlit {st.__version__} holds uploads in another way than this program knows, so their limits "
                "would not hold; install the version that requirements.txt names."
            )
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["method"] in WITHOUT_BODY:
            await self.app(scope, receive, send)
            return
        identity, slash, file = scope["path"].partition(PATH)[2].partition("/")
        with _lock:
            session = _sessions.get(identity)
        if scope["method"] != "PUT" or not slash or session is None or session.largest() is None:
            await PlainTextResponse("Nothing is uploaded here: no page asks for a file.", 403)(scope, receive, send)
            return
        await self._take(session, identity, file, scope, receive, send)

    async def _take(
        self, session: _Session, identity: str, file: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        most = (session.largest() or 0) + FRAMING_BYTES
        all_together = max(SESSION_MEGABYTES, st.get_option("server.maxUploadSize")) * MEGABYTE + FRAMING_BYTES
        manager = _kept_in_memory(runtime.get_instance().uploaded_file_mgr)

        this = object()

        async def counted() -> Message:
            message = await receive()
            session.arriving[this] += len(message.get("body", b""))
            session.heard = time.monotonic()
            files = list(manager.file_storage.get(identity, {}).values())
            held = sum(max(len(each.data), FILE_BYTES) for each in files)
            if session.arriving[this] > most or held + sum(session.arriving.values()) > all_together:
                raise HTTPException(413, "File too large, or too many files in this session")
            return message

        session.arriving[this] = FILE_BYTES
        try:
            await self.app(scope, counted, send)
        finally:
            del session.arriving[this]
            asyncio.get_running_loop().call_later(UNCLAIMED_SECONDS, _drop_unclaimed, identity, file)


def _drop_unclaimed(identity: str, file: str) -> None:
    """Drop a file that no uploader has come to hold; look again later while the session is still sending."""
    with _lock:
        session = _sessions.get(identity)
        if session is None or session.holds(file):
            return
        quiet = time.monotonic() - session.heard
    if quiet < UNCLAIMED_SECONDS:
        asyncio.get_running_loop().call_later(UNCLAIMED_SECONDS - quiet, _drop_unclaimed, identity, file)
    else:
        _kept_in_memory(runtime.get_instance().uploaded_file_mgr).remove_file(identity, file)
