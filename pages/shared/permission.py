"""Who may have files of the server read and written: to build, import, remove, export, or open what a typed path names.

Off by default. ``NERO_ALLOW_BUILD=1`` allows it to everybody whom the server answers. :mod:`pages.shared.start` (which
`make app` runs) allows it on a server that only this machine reaches, to whoever opens the address that it prints: this
address holds a token that works once, and is exchanged for a cookie. So a page that is reloaded keeps the permission,
and nobody gets it who reads the address later: in the browser's history, in a list of processes, on a projector.

Where a request comes from is not asked: behind a proxy on the same machine, everybody comes from this machine.
"""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import streamlit as st

from nero_core import wording
from nero_core.errors import NeroError

ALLOW = "NERO_ALLOW_BUILD"
TOKEN = "token"  # how the address names it
YES, NO = ("1", "yes", "true", "on"), ("0", "no", "false", "off")

P = ParamSpec("P")
R = TypeVar("R")

_token: str | None = None  # what opens the permission next; None where none is asked for
_cookie = secrets.token_urlsafe(32)  # what a browser shows that has opened it; of this process only


class NotAllowed(NeroError):
    """Somebody without the permission asked for a file of the server."""


def said() -> bool | None:
    """What the owner has said with $NERO_ALLOW_BUILD; None where nothing."""
    text = os.environ.get(ALLOW, "").strip().lower()
    return None if not text else text in YES


def ask_for_token() -> None:
    """From now on the permission is for those who show the token of the day's address."""
    global _token
    _token = secrets.token_urlsafe(32)


def address(base: str) -> str:
    """The address to open: with the token that works next, where one is asked for."""
    return base if _token is None else f"{base}/?{TOKEN}={_token}"


def exchange(token: str) -> str | None:
    """What the browser keeps in a cookie for a token; None for a wrong one. A right one is spent, and another made."""
    if _token is None or not _equal(token, _token):
        return None
    ask_for_token()
    return _cookie


def cookie_name() -> str:
    """The cookie's name. Servers on other ports of this machine share its cookies, so the port tells them apart."""
    return f"nero-{st.get_option('server.port')}"


def granted() -> bool:
    """Whether this session may have files of the server read and written."""
    return bool(said()) and (_token is None or _equal(st.context.cookies.get(cookie_name(), ""), _cookie))


def needed(do: Callable[P, R]) -> Callable[P, R]:
    """Decorate what reads or writes files of the server on somebody's word: without the permission it does nothing.

    Raises
    ------
    NotAllowed
        The session does not have the permission.
    """

    @wraps(do)
    def checked(*args: P.args, **named: P.kwargs) -> R:
        if not granted():
            raise NotAllowed(not_offered(wording.said("This")))
        return do(*args, **named)

    return checked


def not_offered(what: str) -> str:
    """What is not offered, why, and how the owner of the server offers it."""
    how = (
        wording.said(
            "To have it, open the address that the server printed when it was started: each works once, and the "
            "next stands below it."
        )
        if said() and _token is not None
        else wording.said(
            "Whoever runs the server can allow it with the environment variable {variable}=1, or start it by "
            "`nero app`.",
            variable=ALLOW,
        )
    )
    return wording.said(
        "{what} is not offered here, as it reads and writes files of the computer that runs this page. {how}",
        what=what,
        how=how,
    )


def _equal(shown: str, wanted: str) -> bool:
    """Compared in a time that tells nothing."""
    return hmac.compare_digest(shown.encode(), wanted.encode())
