"""What devices of a class reach: one page with what is asked now, and a form that counts an answer.

It trusts nothing that a device sends. A device is known by a random cookie with this server's seal on it, and given one
when it opens the page: so a page of another site, with which the browser sends no such cookie, answers for nobody.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from base64 import b64encode
from functools import cache
from pathlib import Path
from urllib.parse import parse_qs

import jinja2
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nero_core.lesson.tally import MOST_DEVICES, NotAskedError, NotOfferedError, Round, Tally, TooManyDevicesError
from nero_core.wording import language, said

FOLDER = Path(__file__).parent
COOKIE = "nero-class"
STATE = "X-Class-State"
MOST_BYTES = 1024
"""Of what a form sends; ours sends about thirty."""
PATIENCE = 10.0
"""Seconds that a form may take to arrive."""
LOOK_EVERY = 4
"""Seconds between two looks of a page whether something else is asked, on average."""
FORM = "application/x-www-form-urlencoded"


class _Refused(Exception):
    """An answer that is not counted: the status, and the sentence that is shown."""

    def __init__(self, status: int, told: str) -> None:
        self.status, self.told = status, told


def site(tally: Tally) -> ASGIApp:
    """The page of a tally, as a program for a server of its own."""
    seal = secrets.token_bytes(32)

    async def page(request: Request) -> Response:
        device = _device(request.cookies.get(COOKIE, ""), seal)
        if request.method == "HEAD":
            return Response(headers={STATE: _state(tally.now())})
        if request.method == "GET":
            answer: Response = _page(tally, device)
        else:
            try:
                _count(tally, device, await _body(request))
                answer = RedirectResponse("/", 303)  # so that a reload answers nothing again
            except _Refused as refused:
                answer = _page(tally, device, refused)
        if device is None:
            new = secrets.token_urlsafe(16)
            answer.set_cookie(COOKIE, f"{new}.{_sealed(new, seal)}", httponly=True, samesite="strict", path="/")
        return answer

    routes = [Route("/", page, methods=["GET", "HEAD", "POST"])]
    return _OwnHeaders(Starlette(routes=routes, exception_handlers={HTTPException: _nothing_here}))


# Who, without knowing who -----------------------------------------------------------------------------------------


def _sealed(device: str, seal: bytes) -> str:
    return hashlib.blake2b(device.encode(), key=seal, digest_size=16).hexdigest()


def _device(cookie: str, seal: bytes) -> str | None:
    """The device of a cookie; None where this server did not give it."""
    device, _, shown = cookie.rpartition(".")
    return device if hmac.compare_digest(shown.encode(), _sealed(device, seal).encode()) else None


# One answer -------------------------------------------------------------------------------------------------------


async def _body(request: Request) -> bytes:
    """What a form sends, if it is small, soon here and a form."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise _Refused(415, said("That was no answer of this page."))
    body = b""
    try:
        async with asyncio.timeout(PATIENCE):
            async for part in request.stream():
                body += part
                if len(body) > MOST_BYTES:
                    raise _Refused(413, said("That was too long for an answer."))
    except (TimeoutError, ClientDisconnect):
        raise _Refused(408, said("The answer did not arrive in time. Choose again.")) from None
    return body


def _count(tally: Tally, device: str | None, body: bytes) -> None:
    """Count the answer that a form sent, or say why not."""
    try:
        sent = parse_qs(body.decode("ascii"), strict_parsing=True, errors="strict", max_num_fields=2)
        [[number], [option]] = sent["question"], sent["answer"]
        asked = int(number) if number.isascii() and number.isdecimal() else -1
    except (ValueError, KeyError):
        raise _Refused(400, said("That was no answer of this page.")) from None
    if device is None:
        raise _Refused(
            403,
            said("Not counted yet: choose again. If this stays, let the browser keep a cookie for this page; it tells "
                 "devices apart, so that each counts once, and means nothing else."),
        )  # fmt: skip
    try:
        tally.answer(device, asked, option)
    except NotAskedError:
        raise _Refused(409, said("That question takes no more answers. Below is what is asked now.")) from None
    except NotOfferedError:
        raise _Refused(400, said("The question has no such answer. Choose one of these.")) from None
    except TooManyDevicesError:
        raise _Refused(503, said("{n} devices have answered, and no more are counted.", n=MOST_DEVICES)) from None


# What is shown ----------------------------------------------------------------------------------------------------


def _state(asked: Round | None) -> str:
    """What a page compares to know whether it shows what is asked now."""
    return "0" if asked is None else f"{asked.number}{'-revealed' if asked.revealed else ''}"


def _page(tally: Tally, device: str | None, refused: _Refused | None = None) -> HTMLResponse:
    asked = tally.now()
    text = _template().render(
        language=language().replace("_", "-"),
        words=_words(asked),
        asked=asked,
        own=None if device is None else tally.answer_of(device),
        error=None if refused is None else refused.told,
        state=_state(asked),
        look_every=LOOK_EVERY,
        style=Markup(_part("tally.css")),
        script=Markup(_part("tally.js")),
    )
    return HTMLResponse(text, 200 if refused is None else refused.status, {STATE: _state(asked)})


def _words(asked: Round | None) -> dict[str, str]:
    words = {
        "title": said("Question for the class") if asked is None else asked.text,
        "waiting": said("No question yet"),
        "comes": said("The next question appears here by itself."),
        "choose": said("Choose one answer. You can change it until the answer is shown."),
        "counted": said("Your answer is counted. You can change it until the answer is shown."),
        "own": said("(your answer)"),
        "promise": said("Answers are counted without names, and forgotten afterwards."),
    }
    if asked is not None:
        words["closed"] = said("Answers counted: {n}. No more are taken.", n=asked.answers)
    return words


@cache
def _part(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("tally.html")


async def _nothing_here(_: Request, error: Exception) -> Response:
    """Another path, another method: told by its number alone."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    return PlainTextResponse(str(status), status, getattr(error, "headers", None))


@cache
def _own_headers() -> dict[bytes, bytes]:
    """What every answer says of itself: nothing from elsewhere, in no frame, kept nowhere."""

    def hashed(name: str) -> str:
        return f"'sha256-{b64encode(hashlib.sha256(_part(name).encode()).digest()).decode()}'"

    policy = (
        f"default-src 'none'; style-src {hashed('tally.css')}; script-src {hashed('tally.js')}; connect-src 'self'; "
        "img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    return {
        b"content-security-policy": policy.encode(),
        b"x-content-type-options": b"nosniff",
        b"x-frame-options": b"DENY",
        b"referrer-policy": b"no-referrer",
        b"cross-origin-resource-policy": b"same-origin",
        b"cache-control": b"no-store",
        b"connection": b"close",  # one request, then the place is another's
    }


class _OwnHeaders:
    """Puts them on every answer of a program, also on those that refuse."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_own_headers().items()]
            await send(message)

        await self.app(scope, receive, sent)
