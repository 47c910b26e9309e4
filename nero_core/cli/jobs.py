"""``nero run-jobs`` and, as it was called when builds were the only jobs, ``run-builds``: the queue's own process."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from nero_core.cli.console import DONE, AddCommand
from nero_core.errors import InputError


def add_jobs(command: AddCommand) -> None:
    """Enter the commands into the parser."""
    jobs = command("run-jobs", _run_jobs, "Do the jobs of one kind that wait in the queue; the app starts this.")
    jobs.add_argument("--kind", required=True, metavar="KIND", help="build or benchmark")
    builds = command("run-builds", _run_jobs, "Build the references that wait in the queue: run-jobs --kind build.")
    builds.set_defaults(kind="build")
    for parser in (jobs, builds):
        parser.add_argument("home", type=Path, metavar="DIR", help="the folder that references are written to")


def _run_jobs(options: argparse.Namespace) -> int:
    from nero_core.jobs.kinds import KINDS
    from nero_core.jobs.queue import NICENESS, run_queue

    if options.kind not in KINDS:
        raise InputError(f"There is no kind of job called {options.kind!r}; wanted {' or '.join(KINDS)}.")
    if hasattr(os, "nice"):
        os.nice(NICENESS)  # whoever uses the app meanwhile comes first
    run_queue(options.home, KINDS[options.kind])
    return DONE
