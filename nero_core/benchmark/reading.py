"""A stored benchmark, read again and checked: types as declared, and every figure that belongs to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict

from nero_core.benchmark.result import (
    IMAGES,
    RESULTS_NAME,
    SCHEMA,
    SCORES_NAME,
    BenchmarkResult,
    DetectorResult,
    ScoredImages,
    Scores,
)
from nero_core.errors import ArtefactError, InputError
from nero_core.metrics import METRICS
from nero_core.storage.files import arrays_under, read_arrays
from nero_core.storage.json_files import Versioned, checked, parsed, read_json

ADVICE = "It is damaged; run `benchmark` again."


class _Provenance(TypedDict):
    versions: Mapping[str, str]
    classifier_digest: str


class _PublishedRow(TypedDict):
    detector: str
    title: str
    auroc: float
    fpr_ood_at_95_id_tpr: float


class _Published(TypedDict):
    protocol: str
    comparable: bool
    reason: str
    source: str
    rows: list[_PublishedRow]


class _Named(TypedDict):
    """The images of one set, without their classes."""

    names: tuple[str, ...]
    digests: tuple[str, ...]


class RowsSoFar(TypedDict):
    """What a benchmark that runs has finished, of so many detectors."""

    rows: list[DetectorResult]
    planned: int


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
    try:
        content = read_json(path, Versioned, "Run `benchmark` again.")
    except FileNotFoundError as error:
        raise ArtefactError(f"No {RESULTS_NAME} in {folder}; give the folder that `benchmark --out` wrote.") from error
    if (schema := content.pop("schema")) != SCHEMA:
        raise ArtefactError(f"{path}, field `schema`: {schema}; this version reads {SCHEMA}. Run `benchmark` again.")
    result: BenchmarkResult = checked(content, BenchmarkResult, RESULTS_NAME, ADVICE)
    _check_together(result)
    arrays, notes = read_arrays(path.parent / SCORES_NAME)
    try:
        scores = {
            row.name: Scores.of_arrays(arrays_under(f"{row.name}/", arrays), result.ood_sets)
            for row in result.detectors
            if row.done
        }
        return replace(result, scores=scores, images=_read_images(notes, arrays))
    except (KeyError, InputError) as error:
        raise ArtefactError(f"{path} is damaged or does not belong to its scores ({error!r}).") from error


def _read_images(notes: Mapping[str, str], arrays: Mapping[str, Any]) -> dict[str, ScoredImages]:
    """The images beside the scores; none in results of earlier versions."""
    found = {}
    named = checked(parsed(notes.get(IMAGES, "{}"), SCORES_NAME), dict[str, _Named], SCORES_NAME, ADVICE)
    for name, given in named.items():
        beside = arrays_under(f"{IMAGES}/{name}/", arrays)
        images = ScoredImages(
            given["names"], given["digests"], beside["predicted"], beside.get("labels"), beside.get("groups")
        )
        counts = {len(each) for each in (images.names, images.digests, *images.beside.values())}
        _that(len(counts) == 1, f"{IMAGES}.{name}", "lists of different lengths")
        found[name] = images
    return found


def _check_together(result: BenchmarkResult) -> None:
    """Refuse what is as declared and could not have been written by this version."""
    names = [row.name for row in result.detectors]
    done = [row for row in result.detectors if row.done]
    _that(len(set(names)) == len(names), "detectors", "two rows have one name")
    _that(any(each.role == "id" for each in result.sets) and result.ood_sets != (), "sets", "no ID or no OOD set")
    _that(result.baseline is None or result.baseline in {row.name for row in done}, "baseline", "no such row")
    for row in done:
        tables = [row.metrics] if row.name == result.baseline else [row.metrics, row.differences]
        for table in tables:
            whole = all(set(table.get(column, ())) == set(METRICS) for column in result.columns)
            _that(whole, f"detectors.{row.name}", "figures are missing")
        line = result.rank_correlation.get(row.name, {})
        _that({each.name for each in done} <= set(line), f"rank_correlation.{row.name}", "rows are missing")
    checked(result.provenance, _Provenance, RESULTS_NAME, ADVICE, "provenance")
    if result.published:
        checked(result.published, _Published, RESULTS_NAME, ADVICE, "published")


def _that(holds: bool, field: str, what: str) -> None:
    if not holds:
        raise ArtefactError(f"{RESULTS_NAME}, field `{field}`: {what}. {ADVICE}")
