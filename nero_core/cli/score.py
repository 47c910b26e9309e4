"""``nero score``: images against a reference."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nero_core.cli.console import DONE, NOTHING_DONE, SOME_FAILED, AddCommand, add_alpha, begin, given_images, load, say
from nero_core.wording import STANDING_LINE, said, state_word

if TYPE_CHECKING:
    from nero_core.reference.reference import Reference


def add_score(command: AddCommand) -> None:
    """Enter the command into the parser."""
    score = command("score", _score, "Score images against a reference.")
    score.add_argument("reference", type=Path, metavar="REF")
    score.add_argument("images", type=Path, nargs="+", metavar="IMAGE_OR_FOLDER")
    score.add_argument("--detector", help="default: the panel; nero where a reference has none")
    add_alpha(score)
    score.add_argument("--csv", action="store_true", help="print the result as CSV")


def _score(options: argparse.Namespace) -> int:
    from nero_core.data.guarantee import CalibrationSettings
    from nero_core.reference.panel_card import NO_PANEL, PANEL
    from nero_core.storage.spreadsheets import comma_separated

    reference = load(options)
    reference.detector(options.detector)
    CalibrationSettings(alpha=options.alpha)  # refuses one that is no share, before anything is read
    paths = given_images(options)
    rows = _scored_rows(reference, paths, options.detector or reference.deciding, options.alpha)
    failed = sum("error" in row for row in rows)
    if options.detector is None and PANEL not in reference.detectors and failed < len(rows):
        say(f"note: {NO_PANEL}.")
    if options.json:
        print(json.dumps(rows, indent=1))
    elif options.csv:
        fields = list(dict.fromkeys(key for row in sorted(rows, key=lambda row: "error" in row) for key in row))
        joined = [row | ({"checks": ";".join(row["checks"])} if "checks" in row else {}) for row in rows]
        print(comma_separated(joined, fields), end="")
    else:
        _print_scores(rows)
    if failed == len(rows):
        print(f"nero: none of {failed} files could be scored: {rows[0]['error']}", file=sys.stderr)
        return NOTHING_DONE
    return SOME_FAILED if failed else DONE


def _scored_rows(reference: Reference, paths: Sequence[Path], detector: str, alpha: float) -> list[dict[str, Any]]:
    """One row per path, in the order given: numbers where it could be read, else the reason."""
    from nero_core.case import explained_by, read_members
    from nero_core.detectors import ExplainedDetector

    errors: dict[int, str] = {}
    rows: list[dict[str, Any]] = [{"path": str(path)} for path in paths]
    stream = reference.classifier.stream(
        paths,
        on_unreadable=lambda position, error: errors.__setitem__(position, str(error)),
        progress=begin("Scoring") if len(paths) > 1 else None,
        keep_source="source" in reference.detector(detector).info.needs,
        hashed=True,
        checked=True,
    )
    for batch in stream:
        activations = batch.activations
        decisions = reference.decide(activations, detector, alpha, hashes=batch.hashes)
        probabilities = activations.probabilities
        members = read_members(reference, activations, detector)
        explained = [explained_by(reference, detector, each) for each in members]
        nearest = {
            name: [e.nearest_class for e in reference.explain(activations, name)]
            for name in dict.fromkeys(explained)
            if isinstance(reference.detector(name), ExplainedDetector)
        }
        for place, (row, decision) in enumerate(zip(batch.rows, decisions, strict=True)):
            predicted = int(probabilities[place].argmax())
            rows[row] |= {"detector": detector, **asdict(decision)}
            rows[row] |= {
                "predicted_class": reference.classes[predicted],
                "probability": float(probabilities[place, predicted]),
                "nearest_class": nearest[explained[place]][place] if explained[place] in nearest else None,
            }
            if batch.checks is not None:
                rows[row]["checks"] = [check.name for check in batch.checks[place]]
            if members[place]:
                rows[row]["led_by"] = members[place][0].name
                rows[row] |= {f"p_{each.name}": each.p_value for each in members[place]}
    for position, error in errors.items():
        rows[position]["error"] = error
    return rows


def _print_scores(rows: Sequence[Mapping[str, Any]]) -> None:
    from nero_core.data.input_checks import NOTHING_TO_JUDGE
    from nero_core.storage.display_names import display_name

    print(f"{'score':>9}  {'above':>6}  {'p':>6}  {'state':<19}  {'bound':<5}  {'predicted':<24}  file")
    for number, row in enumerate(rows):
        name = display_name(Path(row["path"]), number)
        if "error" in row:
            print(f"{'–':>9}  {'–':>6}  {'–':>6}  {'not scored':<19}  {'':<5}  {'':<24}  {name}: {row['error']}")
            continue
        empty = NOTHING_TO_JUDGE in row["checks"]
        predicted = "–" if empty else f"{row['predicted_class']} ({row['probability']:.0%})"
        state = NOTHING_TO_JUDGE if empty else state_word(row["state"])
        noticed = f"  [{', '.join(row['checks'])}]" if row["checks"] else ""
        print(
            f"{row['score']:9.4g}  {row['percentile']:6.1%}  {row['p_value']:6.3f}  {state:<19}  "
            f"{'yes' if row['guaranteed'] else 'no':<5}  {predicted:<24}  {name}{noticed}"
        )
    for reason, count in Counter(row["no_guarantee_because"] for row in rows if row.get("guaranteed") is False).items():
        print(f"No guarantee for {count} of {len(rows)}: {reason}.")
    if any(row.get("checks") for row in rows):
        print("In brackets: what input checks noticed and may move the score; they do not notice everything.")
    print(said(STANDING_LINE))
