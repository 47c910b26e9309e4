"""The server that a room of students reaches, beside the dashboard's and in its process; at most one.

The dashboard listens on this computer only. What listens in the room's network is this server, which knows one page.
Its socket is opened before the dashboard starts: where that fails, nothing is started.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
import struct
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from nero_core.errors import InputError
from nero_core.lesson.tally import MOST_DEVICES, Tally
from pages.classroom.site import site

EVERYWHERE = ("0.0.0.0", "::")
PORT = 8502
MOST_CONNECTIONS = MOST_DEVICES
"""At once, each for one request: well below the files that a process may have open; the dashboard needs some, too."""
LONGEST_CONNECTION = 15.0
"""Seconds; whoever holds one without asking anything takes it from others."""
SIOCGIFADDR = {"linux": 0x8915, "darwin": 0xC0206921}
"""Asks the system for the IPv4 address of one of its own interfaces; nothing is sent."""


@dataclass(frozen=True, eq=False)
class Room:
    """A class that is on.

    Attributes
    ----------
    tally : Tally
    addresses : list of str
        What students open; empty where none could be found.
    port : int
    """

    tally: Tally
    addresses: list[str]
    port: int
    _socket: socket.socket = field(repr=False)


_room: Room | None = None


def room() -> Room | None:
    """The class of this process; None where there is none."""
    return _room


def open_room(address: str, port: int) -> Room:
    """Take the port in the room's network, before anything else is started.

    Parameters
    ----------
    address : str
        An address of this computer in that network, or 0.0.0.0 for all networks that it is in.
    port : int
        Where; 0 takes any that is free.

    Raises
    ------
    InputError
        The port is taken, or this computer has no such address.
    """
    global _room
    listening = _listen(address, port)
    port = listening.getsockname()[1]
    hosts = own_addresses() if address in EVERYWHERE else [f"[{address}]" if ":" in address else address]
    _room = Room(Tally(), [f"http://{host}:{port}" for host in hosts], port, listening)
    return _room


def close_room() -> None:
    """Give the port back and forget the answers."""
    global _room
    if _room is not None:
        _room.tally.close()
        _room._socket.close()
        _room = None


@asynccontextmanager
async def served() -> AsyncIterator[Room | None]:
    """For the dashboard's life: answer the room, where a class is on; in a thread, so that neither waits for the other.

    Raises
    ------
    RuntimeError
        It does not start.
    """
    if _room is None:
        yield None
        return
    server = uvicorn.Server(_settings(_room.tally))
    thread = threading.Thread(target=server.run, args=([_room._socket],), name="class", daemon=True)
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("The page for the class did not start; so nothing was started.")
            await asyncio.sleep(0.01)
        yield _room
    finally:
        server.should_exit = True
        await asyncio.to_thread(thread.join, 5)
        close_room()


class _ShortConnections(H11Protocol):
    """uvicorn's own way to speak HTTP, but nobody holds a connection, and there are no more than some at once."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take it, for a while, if there is room."""
        if len(self.connections) >= MOST_CONNECTIONS:
            transport.abort()
            return
        super().connection_made(transport)
        self._end = self.loop.call_later(LONGEST_CONNECTION, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        if hasattr(self, "_end"):
            self._end.cancel()
            super().connection_lost(exc)


def _settings(tally: Tally) -> uvicorn.Config:
    """Nothing logged, nothing believed of proxies, little read."""
    return uvicorn.Config(
        site(tally),
        http=_ShortConnections,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=8192,
        timeout_graceful_shutdown=1,
    )


def _listen(address: str, port: int) -> socket.socket:
    """A socket that listens, or why there is none."""
    instead = "`make class CLASS_PORT=8600` takes another, and CLASS_PORT=0 any that is free."
    if not 0 <= port <= 65535:
        raise InputError(f"The class’s port is {port}; wanted 1 to 65535, or 0 for any that is free.")
    try:
        kind = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
    except ValueError:
        raise InputError(
            f"The class’s address is {address!r}; wanted an IP address of this computer, such as 192.168.1.7, or "
            "0.0.0.0 for every network that it is in."
        ) from None
    try:
        return socket.create_server(
            (address, port),
            family=kind,
            backlog=MOST_DEVICES,
            dualstack_ipv6=address == "::" and socket.has_dualstack_ipv6(),
        )
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            told = f"Port {port}, where the class would answer, is taken by another program. {instead}"
        elif error.errno == errno.EACCES:
            told = f"Port {port}, where the class would answer, is not for this account. {instead}"
        else:
            told = (
                f"This computer cannot answer a class at {address}, port {port}: {os.strerror(error.errno or 0)}. Give "
                "an address that it has, or none: then it answers in every network that it is in."
            )
        raise InputError(f"{told} Nothing was started.") from None


def own_addresses() -> list[str]:
    """IPv4 addresses of this computer in the networks that it is in, as its system knows them; nobody is asked."""
    if sys.platform in SIOCGIFADDR:
        found = [_address_of(name, SIOCGIFADDR[sys.platform]) for _, name in socket.if_nameindex()]
    else:
        try:
            found = list(socket.gethostbyname_ex(socket.gethostname())[2])
        except OSError:
            found = []
    return [each for each in dict.fromkeys(found) if each is not None and _in_a_network(each)]


def _address_of(interface: str, request: int) -> str | None:
    """The address of one interface; None where it has none."""
    import fcntl  # not on every system

    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as asked:
        try:
            answer = fcntl.ioctl(asked, request, struct.pack("256s", interface.encode()[:15]))
        except OSError:
            return None
    return socket.inet_ntoa(answer[20:24])


def _in_a_network(address: str) -> bool:
    held = ipaddress.ip_address(address)
    return not (held.is_loopback or held.is_unspecified or held.is_link_local)
