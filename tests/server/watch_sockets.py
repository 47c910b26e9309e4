"""Run by test_hosts: a program, with every address that it looks up or calls noted in a file."""

import runpy
import sys
from pathlib import Path

WATCHED = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.sendto")

log = Path(sys.argv[1]).open("a", buffering=1)  # noqa: SIM115  # for the life of this process
sys.argv = sys.argv[2:]


def note(event, arguments):
    if event in WATCHED:
        address = arguments[0] if isinstance(arguments[0], (str, bytes)) else arguments[1]
        log.write(f"{event} {address!r}\n")


sys.addaudithook(note)
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
