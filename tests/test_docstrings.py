"""What docstrings of the core owe: the shape of every array that is handed in, and the errors that are raised."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ARRAYS = re.compile(r"\b(\w*Array|NDArray\[|ArrayLike|Tensor)")
LISTED = """
    Calibration.decide.predicted Calibration.decide.scores Calibration.percentiles.predicted
    Calibration.percentiles.scores ClassAgreement.chance_p_value.order ClassAgreement.of.labels
    ClassAgreement.of.predicted Classifier.forward.batch Classifier.forward.rows ImageSource.forward.images
    Images.forward.images Layout.channels_first.output Linearised.run.image Moments.of.values Opened.forward.images
    Rows.activations.labels Steps.down.relevance Steps.up.image area.shares area.values as_array.tensor
    as_tensor.array auroc.unusual auroc.usual blurred.image blurred.images calibrated.scores
    cell_means.relevance_map cells.feature_map centre_and_scale.values check_array.array check_channels.channels
    check_images.hashes class_means.labels class_means.values class_weights.weight constant_columns.values
    cut_concepts.labels first_cells.order first_cells.shares flag_batch.p_values flagged.predicted flagged.scores
    floor_of.divisors gram_rows.maps grouped.hashes histogram_shares.edges histogram_shares.values interval.draws
    large_groups.groups learnt_from.alike left_of_batch_norm.x logsumexp_of.logits low_relevance_share.features
    low_relevance_share.relevance mahalanobis.departures mahalanobis.whitener mahalanobis_shares.departures
    mahalanobis_shares.whitener mean_and_deviation.feature_map mixed.images mixed_groups.groups nearest_mean.means
    nearest_mean.values nearest_mean.whitener neuron_rows.order neuron_rows.weight numbered.rows
    rank_correlation.first rank_correlation.second residuals.labels residuals.means residuals.values
    restore_calibrations.arrays restore_ood_scores.arrays restore_profile.arrays restore_seen.arrays
    roc_points.id_scores roc_points.ood_scores shuffled.images size.features symmetric_limit.heatmap
    unit_rows.values whitening.covariance with_features.features
"""
WITHOUT_SHAPE = set(LISTED.split())
"""Arguments that were without when this test came; take out what has been mended, and put nothing in."""


def public(body, within=""):
    """Functions and methods of a module that others may call, by their names."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public(node.body, f"{within}{node.name}.")
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield f"{within}{node.name}", node


def array_arguments(function):
    """Names of the arguments that are annotated as arrays themselves, not as what holds them."""
    given = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    for argument in given:
        kind = ast.unparse(argument.annotation) if argument.annotation else ""
        if ARRAYS.match(kind.removeprefix("npt.").removeprefix("torch.")):
            yield argument.arg


def has_shape(name, text):
    """Whether a docstring gives the shape of an argument: ``name : (n, d)``, or ``name`` (n, d) in its prose."""
    for line in text.splitlines():
        names, colon, kind = line.strip().partition(" : ")
        if colon and name in re.split(r",\s*", names):
            return "(" in kind or "scalar" in kind
    return re.search(rf"`{name}` \([^)]+\)", text) is not None


def without_shape(tree):
    return {
        f"{name}.{argument}"
        for name, function in public(tree.body)
        for argument in array_arguments(function)
        if not has_shape(argument, ast.get_docstring(function) or "")
    }


def test_every_array_that_is_handed_in_has_its_shape():
    found = set()
    for path in sorted((ROOT / "nero_core").rglob("*.py")):
        found |= without_shape(ast.parse(path.read_text(encoding="utf-8")))
    assert found - WITHOUT_SHAPE == set()
    assert WITHOUT_SHAPE - found == set(), "these have theirs now: take them out of the list"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('def f(a: FloatArray):\n    """x"""', {"f.a"}),
        ('def f(a: FloatArray):\n    """x\n\n    Parameters\n    ----------\n    a : (n, d)\n    """', set()),
        ('def f(a: FloatArray, b: IntArray | None):\n    """Of `a` (n,).\n\n    b : array\n    """', {"f.b"}),
        ("class C:\n    def m(self, a: torch.Tensor): ...", {"C.m.a"}),
        ("def _f(a: FloatArray): ...", set()),
        ("def f(a: Mapping[str, FloatArray]): ...", set()),
    ],
)
def test_a_missing_shape_is_found(text, found):
    assert without_shape(ast.parse(text)) == found


def test_what_raises_says_so():
    """The rule DOC501 of pydoclint; its others ask for types twice, in the signature and in the text."""
    command = [
        sys.executable,
        "-m",
        "pydoclint.main",
        "--style=numpy",
        "--quiet",
        "--show-filenames-in-every-violation-message=True",
    ]
    done = subprocess.run([*command, "nero_core"], cwd=ROOT, capture_output=True, text=True)
    lines = (done.stdout + done.stderr).splitlines()
    assert any("DOC" in line for line in lines), done.stderr
    assert [line for line in lines if "DOC501" in line] == []
