"""Starting the server: ``python -m pages.shared.start``, with any option of `streamlit run` behind it.

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

from pages.shared import permission
from pages.shared.door import DOOR

ADDRESS = "--server.address"
HERE = "127.0.0.1"
EVERYWHERE = ("0.0.0.0", "::")


def main(arguments: Sequence[str]) -> None:
    """Serve the app until it is stopped."""
    from streamlit.web import cli

    own = argparse.ArgumentParser(prog="python -m pages.shared.start", add_help=False, allow_abbrev=False)
    own.add_argument(ADDRESS, dest="address", default=os.environ.get("STREAMLIT_SERVER_ADDRESS") or HERE)
    given, rest = own.parse_known_args(arguments)
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
    address = own_address()
    say("NERO Dashboard:", address)
    if not st.get_option("server.headless"):
        asyncio.get_running_loop().run_in_executor(None, webbrowser.open, address)
    yield


if __name__ == "__main__":
    main(sys.argv[1:])
