"""``nero detectors``: every detector, what it reads, and the paper it comes from."""

from __future__ import annotations

import argparse
import json

from nero_core.cli.console import DONE, AddCommand


def add_detectors(command: AddCommand) -> None:
    """Enter the command into the parser."""
    parser = command("detectors", _detectors, "List the detectors, what each reads, and its paper.")
    parser.add_argument("--markdown", action="store_true", help="as the table of the README")


def _detectors(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from nero_core.detectors import DETECTORS, ExplainedDetector, describe_detectors

    found = sorted(DETECTORS.items())
    if options.json:
        told = [
            {
                "name": name,
                "title": each.info.title,
                "needs": sorted(each.info.needs),
                "exact_account": issubclass(each, ExplainedDetector),
                "paper": asdict(each.info.paper),
            }
            for name, each in found
        ]
        print(json.dumps(told, indent=1, ensure_ascii=False))
    elif options.markdown:
        print(describe_detectors())
    else:
        wide, wider = max(len(name) for name, _ in found), max(len(each.info.title) for _, each in found)
        for name, each in found:
            paper = each.info.paper
            print(f"{name:<{wide}}  {each.info.title:<{wider}}  {paper.citation}  {paper.url}".rstrip())
    return DONE
