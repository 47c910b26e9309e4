"""The parser of all commands, and what becomes of a user's mistake."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

import nero_core
from nero_core.cli.app import add_app
from nero_core.cli.benchmark import add_benchmark
from nero_core.cli.calibrate import add_calibrate
from nero_core.cli.console import INTERRUPTED, NOTHING_DONE, SOME_FAILED, close_bars
from nero_core.cli.demo import add_demo
from nero_core.cli.detectors import add_detectors
from nero_core.cli.explain import add_explain
from nero_core.cli.faithfulness import add_faithfulness
from nero_core.cli.fit import add_fit
from nero_core.cli.handout import add_handout
from nero_core.cli.jobs import add_jobs
from nero_core.cli.protocols import add_protocols
from nero_core.cli.references import add_references
from nero_core.cli.score import add_score
from nero_core.cli.train import add_train
from nero_core.errors import NeroError
from nero_core.wording import STANDING_LINE, said

# Before torch is imported: threads that wait for each other sleep instead of spinning, so that a command and whatever
# else the machine does hold each other up less.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; a user's mistake gives one line and an exit code, never a traceback."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except NeroError as error:
        close_bars()
        print(f"nero: {error}", file=sys.stderr)
        return NOTHING_DONE
    except KeyboardInterrupt:
        close_bars()
        print("nero: stopped; nothing was left half-written.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return SOME_FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nero",
        description=f"Out-of-distribution scores for endoscopy networks, explained neuron by neuron. "
        f"{said(STANDING_LINE)}",
        epilog="Exit codes: 0 all done; 1 done, but some files failed; 2 nothing could be done; 130 stopped by Ctrl-C.",
    )
    parser.add_argument("--version", action="version", version=f"NERO Dashboard {nero_core.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        sub.add_argument(
            "--device", choices=["cpu", "cuda", "mps"], help="where to compute (default: the best there is)"
        )
        sub.add_argument("--json", action="store_true", help="print the result as JSON")
        return sub

    for add in (
        add_train,
        add_fit,
        add_score,
        add_explain,
        add_calibrate,
        add_benchmark,
        add_detectors,
        add_protocols,
        add_faithfulness,
        add_references,
        add_jobs,
        add_demo,
        add_handout,
    ):
        add(command)
    add_app(commands)
    return parser
