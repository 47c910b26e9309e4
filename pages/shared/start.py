"""Starting the server: ``python -m pages.shared.start``, with any option of `streamlit run` behind it.

With ``--class`` a second server beside it answers a room, where students reach one page and nothing else: see
:mod:`pages.classroom.server`. ``--class-address`` and ``--class-port`` say where.

On a loopback address, whoever opens the address that is printed may build and import (see
:mod:`pages.shared.permission`); on any other, $NERO_ALLOW_BUILD alone decides.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import os
import sys
import webbrowser
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import streamlit as st

from nero_core.errors import InputError, NeroError
from nero_core.wording import said
from pages.classroom import server as classroom
from pages.shared import permission
from pages.shared.door import DOOR

ADDRESS = "--server.address"
HERE = "127.0.0.1"
EVERYWHERE = classroom.EVERYWHERE


def main(arguments: Sequence[str]) -> None:
    """Serve the app until it is stopped.

    Raises
    ------
    InputError
        A class is asked for where others would reach the dashboard itself, or its port cannot be had.
    """
    from streamlit.web import cli

    own = argparse.ArgumentParser(prog="python -m pages.shared.start", add_help=False, allow_abbrev=False)
    own.add_argument(ADDRESS, dest="address", default=os.environ.get("STREAMLIT_SERVER_ADDRESS") or HERE)
    own.add_argument("--class", dest="room", action="store_true")
    own.add_argument("--class-address", dest="room_address", default=classroom.EVERYWHERE[0])
    own.add_argument("--class-port", dest="room_port", type=int, default=classroom.PORT)
    given, rest = own.parse_known_args(arguments)
    if given.room:
        if not is_loopback(given.address):
            raise InputError(
                f"For a class the dashboard listens on this computer only, but it was given the address "
                f"{given.address}, where students would reach all of it. Leave the address out; where students answer "
                "is said by `make class CLASS_ADDRESS=…`. Nothing was started."
            )
        classroom.open_room(given.room_address, given.room_port)
    if is_loopback(given.address) and permission.said() is not False:
        os.environ[permission.ALLOW] = "1"
        permission.ask_for_token()
    cli.main(["run", str(DOOR), ADDRESS, given.address, *rest], prog_name="streamlit")


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches a server that listens there."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def own_address() -> str:
    """The address to open in a browser on this machine, with the token where one is asked for."""
    host = st.get_option("server.address") or HERE
    host = HERE if host in EVERYWHERE else f"[{host}]" if ":" in host else host
    scheme = "https" if st.get_option("server.sslCertFile") else "http"
    path = st.get_option("server.baseUrlPath").strip("/")
    return permission.address(f"{scheme}://{host}:{st.get_option('server.port')}" + (f"/{path}" if path else ""))


def say(what: str, address: str) -> None:
    """On the terminal."""
    sys.stdout.write(f"  {what} {address}\n")
    sys.stdout.flush()


@asynccontextmanager
async def announced(_: object) -> AsyncIterator[None]:
    """For the server's life: print its address once it listens, and open it where there is a screen."""
    async with classroom.served() as room:
        address = own_address()
        say("NERO Dashboard:", address)
        if room is not None:
            say_to_whom(room)
        if not st.get_option("server.headless"):
            asyncio.get_running_loop().run_in_executor(None, webbrowser.open, address)
        yield


def say_to_whom(room: classroom.Room) -> None:
    """Where a class answers, and who reaches that."""
    for place in room.addresses:
        say(said("For the class:"), place)
    if not room.addresses:
        say(
            said("For the class:"),
            said(
                "no address of this computer in a network was found. Join the room’s network and start again, or look "
                "the address up in the system’s settings; students open http://ADDRESS:{port}",
                port=room.port,
            ),
        )
    say(
        said("Mind:"),
        said(
            "everybody in this network can open that page and answer, and nothing else of the dashboard. What is sent "
            "is not encrypted. Answers have no names, and are forgotten when this ends."
        ),
    )


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except NeroError as error:
        sys.exit(str(error))
