"""A results file that was damaged or made up is refused by field, and never half read."""

from __future__ import annotations

import json

import pytest

from nero_core.benchmark.reading import read_results
from nero_core.benchmark.result import POOLED, RESULTS_NAME
from nero_core.errors import ArtefactError
from tests.benchmark_results import made_result


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """A good result's folder and what its JSON holds."""
    folder = tmp_path_factory.mktemp("result")
    made_result({"nero": 1.0, "energy": 0.5}, refused={"gram": "No."}).save(folder)
    return folder, (folder / RESULTS_NAME).read_text()


def read_with(content, path, value):
    folder, text = content
    changed = json.loads(text)
    place = changed
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    (folder / RESULTS_NAME).write_text(json.dumps(changed))
    return read_results(folder)


FIELDS = [
    ("detectors", 0, "metrics", POOLED, "auroc"), ("detectors", 0, "metrics", "polyp"), ("detectors", 1, "name"),
    ("detectors", 1, "differences"), ("detectors", 1, "differences", POOLED), ("detectors", 0, "status"),
    ("detectors", 0, "title"), ("detectors", 0, "year"), ("sets", 0, "images"), ("sets", 1, "name"),
    ("rank_correlation",), ("rank_correlation", "nero"), ("provenance",), ("provenance", "versions"), ("alpha",),
    ("warnings",), ("classes",), ("title",), ("resamples",), ("detectors", 0, "metrics", POOLED, "auroc", 1),
]  # fmt: skip


LISTS_OR_TABLES = {("provenance", "versions"), ("warnings",), ("classes",)}
"""What may be empty."""
WRONG = [
    (path, value)
    for path in FIELDS
    for value in (None, {}, [[]], True, ...)
    if value != {} or path not in LISTS_OR_TABLES
]


@pytest.mark.parametrize(("path", "value"), WRONG)
def test_a_field_of_another_type_is_refused(content, path, value):
    with pytest.raises(ArtefactError, match=r"results\.json"):
        read_with(content, path, value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "0.5"])
def test_a_figure_that_is_none_is_refused(content, value):
    with pytest.raises(ArtefactError, match=r"field `detectors\[0\]\.metrics\.pooled\.auroc\[0\]` is"):
        read_with(content, ("detectors", 0, "metrics", POOLED, "auroc"), [value, 0.1, 0.9])


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("baseline",), "gram", "no such row"),
        (("published",), {"protocol": "x"}, "field `published.comparable` is missing"),
        (("provenance", "classifier_digest"), 3, "classifier_digest"),
        (("sets", 0, "role"), "fit", "no ID or no OOD set"),
    ],
)
def test_what_does_not_belong_together_is_refused(content, path, value, message):
    with pytest.raises(ArtefactError, match=message):
        read_with(content, path, value)


def test_what_may_be_absent_may_be(content):
    assert read_with(content, ("accuracy",), None).accuracy is None
    assert read_with(content, ("rank_correlation", "nero", "energy"), None)
