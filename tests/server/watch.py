"""Run by the tests of this folder: a program, with what it calls and which of some files it touches noted in a file.

``python -m tests.server.watch LOG BAIT MODULE ARGUMENTS…``: every address that it looks up or calls, and every look
at a path that has BAIT in it.
"""

import os
import runpy
import sys
from pathlib import Path

CALLS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.sendto")
LOOKS = ("stat", "lstat", "access", "readlink")  # what Python itself does not audit

log = Path(sys.argv[1]).open("a", buffering=1)  # noqa: SIM115  # for the life of this process
bait = sys.argv[2]
sys.argv = sys.argv[3:]


def note(event, arguments):
    if event in CALLS:
        log.write(f"{event} {arguments[0] if isinstance(arguments[0], (str, bytes)) else arguments[1]!r}\n")
    elif any(isinstance(each, (str, bytes, os.PathLike)) and bait in os.fsdecode(each) for each in arguments):
        log.write(f"{event} {arguments!r}\n")


def watched(name):
    look = getattr(os, name)

    def noted(path, *args, **named):
        note(f"os.{name}", (path,))
        return look(path, *args, **named)

    return noted


for name in LOOKS:
    setattr(os, name, watched(name))
sys.addaudithook(note)
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
