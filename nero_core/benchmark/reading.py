"""A stored benchmark, read again and checked: types as declared, and every figure that belongs to it."""

from __future__ import annotations

import json
import math
import types
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from nero_core.benchmark.result import (
    IMAGES,
    RESULTS_NAME,
    SCHEMA,
    SCORES_NAME,
    BenchmarkResult,
    CalibrationSummary,
    DetectorResult,
    ScoredImages,
    Scores,
    SetSummary,
)
from nero_core.errors import ArtefactError
from nero_core.metrics import METRICS, Interval
from nero_core.storage.files import read_arrays

_hints: Callable[[Any], dict[str, Any]] = cache(get_type_hints)
"""Worked out once: anew for each of a result's thousands of values they take a second."""


def read_results(folder: Path) -> BenchmarkResult:
    """What :meth:`BenchmarkResult.save` wrote.

    Parameters
    ----------
    folder : Path
        Holds ``results.json`` and ``scores.safetensors``.

    Raises
    ------
    ArtefactError
        A file is missing, damaged, or of a newer version.
    """
    path = Path(folder) / RESULTS_NAME
    if not path.is_file():
        raise ArtefactError(f"No {RESULTS_NAME} in {folder}; give the folder that `benchmark --out` wrote.")
    try:
        content = json.loads(path.read_bytes())
        schema = content.pop("schema")
    except (OSError, ValueError, KeyError, AttributeError, RecursionError) as error:
        raise ArtefactError(f"{path} cannot be read ({error!r}); run `benchmark` again.") from error
    if schema != SCHEMA:
        raise ArtefactError(f"{path}, field `schema`: {schema!r}; this version reads {SCHEMA}. Run `benchmark` again.")
    arrays, notes = read_arrays(path.parent / SCORES_NAME)
    try:
        given = {each.name: content[each.name] for each in fields(BenchmarkResult) if each.name != IMAGES}
        rows = tuple(read_row(row) for row in given["detectors"])
        names = [each["name"] for each in given["sets"] if each["role"] == "ood"]
        scores = {
            row.name: Scores(
                arrays[f"{row.name}/id"],
                {name: arrays[f"{row.name}/ood/{name}"] for name in names},
                arrays.get(f"{row.name}/calibration"),
                arrays.get(f"{row.name}/calibration_rows"),
            )
            for row in rows
            if row.done
        }
        result = BenchmarkResult(
            **given
            | {
                "classes": tuple(given["classes"]),
                "sets": tuple(SetSummary(**each) for each in given["sets"]),
                "warnings": tuple(given["warnings"]),
                "detectors": rows,
                "scores": scores,
                "images": _read_images(notes, arrays),
            }
        )
        check_result(result)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ArtefactError(f"{path} is damaged or does not belong to its scores ({error!r}).") from error
    return result


def _read_images(notes: Mapping[str, str], arrays: Mapping[str, Any]) -> dict[str, ScoredImages]:
    """The images beside the scores; none in results of earlier versions."""
    found = {}
    for name, given in json.loads(notes.get(IMAGES, "{}")).items():
        predicted, labels = arrays[f"{IMAGES}/{name}/predicted"], arrays.get(f"{IMAGES}/{name}/labels")
        images = ScoredImages(tuple(map(str, given["names"])), tuple(map(str, given["digests"])), predicted, labels)
        counts = {len(images.names), len(images.digests), len(predicted), len(predicted if labels is None else labels)}
        _that(len(counts) == 1, f"{IMAGES}, {name}", "lists of different lengths")
        found[name] = images
    return found


def read_row(row: Mapping[str, Any]) -> DetectorResult:
    """One row as :func:`~dataclasses.asdict` and JSON have left it.

    Raises
    ------
    KeyError, TypeError, AttributeError
        Something is missing, surplus or of another kind.
    """

    def intervals(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Interval]]:
        return {name: {key: Interval(*three) for key, three in table.items()} for name, table in tables.items()}

    counts = {kind: {name: tuple(two) for name, two in table.items()} for kind, table in row["false_alarms"].items()}
    calibration = row["calibration"]
    if calibration is not None:
        calibration = {**calibration, "without_guarantee": tuple(calibration["without_guarantee"])}
        calibration = CalibrationSummary(**calibration)
    tables = {name: intervals(row[name]) for name in ("metrics", "differences")}
    return DetectorResult(**{**row, **tables, "false_alarms": counts, "calibration": calibration})


def check_result(result: BenchmarkResult) -> None:
    """Raise where a result that was read could not have been written by this version.

    Raises
    ------
    ArtefactError
        A field is missing something or of another type; it is named.
    """
    for each in fields(result):
        if each.name not in ("scores", IMAGES):
            _check(each.name, getattr(result, each.name), _hints(type(result))[each.name])
    names = [row.name for row in result.detectors]
    done = [row for row in result.detectors if row.done]
    _that(len(set(names)) == len(names), "detectors", "two rows have one name")
    _that(any(each.role == "id" for each in result.sets) and result.ood_sets != (), "sets", "no ID or no OOD set")
    _that(result.baseline is None or result.baseline in {row.name for row in done}, "baseline", "no such row")
    for row in done:
        tables = [row.metrics] if row.name == result.baseline else [row.metrics, row.differences]
        for table in tables:
            whole = all(set(table.get(column, ())) == set(METRICS) for column in result.columns)
            _that(whole, f"detectors, {row.name}", "figures are missing")
        line = result.rank_correlation.get(row.name, {})
        _that({each.name for each in done} <= set(line), f"rank_correlation, {row.name}", "rows are missing")
    for key, wanted in (("versions", Mapping), ("classifier_digest", str)):
        _that(isinstance(result.provenance.get(key), wanted), f"provenance, {key}", "missing")
    if result.published:
        _check_published(result.published)


def _check_published(published: Mapping[str, Any]) -> None:
    for key, wanted in {"protocol": str, "comparable": bool, "reason": str, "source": str, "rows": list}.items():
        _that(isinstance(published.get(key), wanted), f"published, {key}", "missing")
    for row in published["rows"]:
        for key, hint in {"detector": str, "title": str, "auroc": float, "fpr_ood_at_95_id_tpr": float}.items():
            _check(f"published, rows, {key}", row.get(key) if isinstance(row, Mapping) else None, hint)


def _check(field: str, value: Any, hint: Any) -> None:
    """Whether a value is of a declared type; a float must be finite."""
    kind, inner = get_origin(hint) or hint, get_args(hint)
    if kind in (Union, types.UnionType):
        if value is None and type(None) in inner:
            return
        _check(field, value, next(each for each in inner if each is not type(None)))
    elif kind is Literal:
        _that(value in inner, field, f"{value!r} is none of {inner}")
    elif isinstance(kind, type) and issubclass(kind, tuple):
        _that(isinstance(value, tuple), field, f"{value!r} is no list")
        for each in value:
            _check(field, each, inner[0] if inner else float)  # an Interval holds floats
    elif kind is Mapping:
        _that(isinstance(value, Mapping), field, f"{value!r} is no table")
        for key, each in value.items():
            _check(f"{field}, {key}", each, inner[1])
    elif is_dataclass(kind):
        for part in fields(kind):
            _check(f"{field}, {part.name}", getattr(value, part.name), _hints(kind)[part.name])
    elif kind is float:
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        _that(number, field, f"{value!r} is no number")
    elif kind is not Any:
        _that(type(value) is kind, field, f"{value!r} is not {kind.__name__}")


def _that(holds: bool, field: str, what: str) -> None:
    if not holds:
        raise ArtefactError(f"results.json, field `{field}`: {what[:200]}. It is damaged; run `benchmark` again.")
