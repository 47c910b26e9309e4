"""Which requests are answered: to the server's own names, from its own pages; and the address with the token.

Streamlit's list of hosts is for WebSockets only, and to judge a foreign origin it asks the internet for this machine's
address. So both are judged here, before it sees them.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from urllib.parse import quote, urlsplit

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit import runtime

from nero_core.wording import message
from pages.shared import permission, start

LOOPBACK = ("localhost", "127.0.0.1", "::1")
UNKNOWN_HOST = (
    "This server does not answer to that name. Whoever runs it can add names to `server.allowedHosts` in "
    ".streamlit/config.toml, or name them all in STREAMLIT_SERVER_ALLOWED_HOSTS."
)
FOREIGN_ORIGIN = (
    "This server does not answer to pages of that address. Whoever runs it can add addresses to "
    "`server.corsAllowedOrigins` in .streamlit/config.toml, or let the proxy before it pass the Host on."
)
UNGUARDED = message(
    "Streamlit was started in a way in which requests from elsewhere are not turned down, so nothing is "
    "shown. Install the version that requirements.txt names, and start with `make app` or `streamlit run "
    "app.py`."
)
COOKIE_SECONDS = 30 * 24 * 60 * 60  # it opens nothing once the server that gave it has ended


class OwnOrigins:
    """ASGI middleware: turns down what is asked under a foreign name or by a foreign page; takes the token."""

    in_place = False

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        OwnOrigins.in_place = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or WebSocket."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if not is_own_host(host):
            await PlainTextResponse(UNKNOWN_HOST, 403)(scope, receive, send)
        elif origin is not None and not is_own_origin(origin, host):
            await PlainTextResponse(FOREIGN_ORIGIN, 403)(scope, receive, send)
        elif scope["type"] == "http" and permission.TOKEN in (asked := QueryParams(scope["query_string"])):
            await _take_token(scope["path"], asked)(scope, receive, send)
        else:
            if scope["type"] == "websocket" and origin is not None and urlsplit(origin).netloc != host:
                scope = _without_origin(scope)
            await self.app(scope, receive, send)


def is_guarded() -> bool:
    """Whether this session came through the middleware; a test of a page alone comes through no server at all."""
    return OwnOrigins.in_place or type(runtime.get_instance()) is not runtime.Runtime


def is_own_host(host: str) -> bool:
    """Whether a Host header names this server, as `server.allowedHosts` has it; any does where that is empty."""
    allowed = st.get_option("server.allowedHosts")
    name = _name(host)
    return not allowed or (name is not None and any(fnmatchcase(name, pattern.lower()) for pattern in allowed))


def is_own_origin(origin: str, host: str) -> bool:
    """Whether an Origin header is that of this server's own pages, or of one that the owner trusts.

    Pages of this machine are its own where the server is asked for under a name of this machine: a proxy on it asks so.
    """
    place = urlsplit(origin)
    if place.netloc == host or origin in st.get_option("server.corsAllowedOrigins"):
        return True
    return _name(place.netloc) in LOOPBACK and _name(host) in LOOPBACK


def _name(host: str) -> str | None:
    """The name in "name:port"; None where it is no such thing."""
    try:
        parts = urlsplit(f"//{host}")
        sound = parts.netloc == host and "@" not in host and (parts.port or True)
    except ValueError:
        return None
    return parts.hostname.rstrip(".") if sound and parts.hostname else None


def _without_origin(scope: Scope) -> Scope:
    """The origin was judged here; Streamlit would ask the internet to judge it again."""
    copied = {**scope, "headers": list(scope["headers"])}
    del MutableHeaders(scope=copied)["origin"]
    return copied


def _take_token(path: str, asked: QueryParams) -> Response:
    """On to the same address without the token; with the cookie, where the token is right."""
    rest = QueryParams([(name, value) for name, value in asked.multi_items() if name != permission.TOKEN])
    place = "./" + quote(path.rpartition("/")[2])  # relative: whatever a proxy calls this server, and nowhere else
    answer = Response(status_code=303, headers={"Location": f"{place}?{rest}" if rest else place})
    answer.headers["Cache-Control"] = "no-store"
    if (kept := permission.exchange(asked[permission.TOKEN])) is not None:
        answer.set_cookie(
            permission.cookie_name(), kept, max_age=COOKIE_SECONDS, httponly=True, samesite="strict", path="/"
        )
        start.say("For another browser:", start.own_address())
    return answer
