"""What docstrings of the core owe: the shape of every array that is handed in, and the errors that are raised."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from itertools import zip_longest
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ARRAYS = re.compile(r"\b(\w*Array\b|NDArray\[|ArrayLike|Tensor)")
LEFT_OUT = {
    "DOC101": "an argument whose name and type say all needs no line of its own; an array has one, by the test above",
    "DOC103": "as DOC101, and it takes `a, b : int` for one argument; the order and the names are held by a test below",
    "DOC111": "shapes, K names and {name: array} stand where it wants nothing",
    "DOC201": "where the first line says what comes back, a section would say it again",
    "DOC402": "as DOC201",
    "DOC502": "errors of what a function calls are its callers' concern, too",
    "DOC503": "as DOC502; the other half, an error that is raised and not documented, is held",
    "DOC601": "what a field's name and type say needs no line of its own",
    "DOC602": "what __init__ sets is an attribute, too",
    "DOC603": "as DOC601, DOC602 and DOC103",
    "DOC606": "as DOC601: inline or in the docstring, whichever is shorter",
}
"""The rules of pydoclint that are not held, and why. Its rules on types are turned off in pyproject.toml: the signature
has them."""


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
    assert found == set()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('def f(a: FloatArray):\n    """x"""', {"f.a"}),
        ('def f(a: FloatArray):\n    """x\n\n    Parameters\n    ----------\n    a : (n, d)\n    """', set()),
        ('def f(a: FloatArray, b: IntArray | None):\n    """Of `a` (n,).\n\n    b : array\n    """', {"f.b"}),
        ("class C:\n    def m(self, a: torch.Tensor): ...", {"C.m.a"}),
        ("def _f(a: FloatArray): ...", set()),
        ("def f(a: Mapping[str, FloatArray]): ...", set()),
        ("def f(a: Arrays): ...", set()),
    ],
)
def test_a_missing_shape_is_found(text, found):
    assert without_shape(ast.parse(text)) == found


def section_of(text):
    """The arguments that a section Parameters names, in its order."""
    lines = text.partition("Parameters\n----------\n")[2].splitlines()
    for line, below in zip_longest(lines, lines[1:], fillvalue=""):
        if below.startswith("---"):
            return
        if line and not line.startswith(" "):
            yield from re.split(r",\s*", line.partition(" : ")[0])


def misnamed(tree):
    """Functions whose section Parameters names what they do not take, or names it in another order."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            arguments = function.args
            given = [*arguments.posonlyargs, *arguments.args, arguments.vararg, *arguments.kwonlyargs, arguments.kwarg]
            names = list(section_of(ast.get_docstring(function) or ""))
            if names != [each.arg for each in given if each and each.arg in names]:
                yield function.name


def test_parameters_are_those_of_the_function_in_their_order():
    found = {
        f"{path.stem}.{name}"
        for path in (ROOT / "nero_core").rglob("*.py")
        for name in misnamed(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found == set()


@pytest.mark.parametrize(
    ("names", "found"), [("a, b", []), ("a", []), ("b : int\n    a", ["f"]), ("c", ["f"]), ("b\n    *c", ["f"])]
)
def test_a_wrong_parameter_is_found(names, found):
    sections = f"Parameters\n    ----------\n    {names} : int\n\n    Raises\n    ------\n    c"
    text = f'def f(a, b):\n    """x\n\n    {sections}\n    """'
    assert list(misnamed(ast.parse(text))) == found


def errors_left_out(line):
    """Of a line of DOC503, the errors that are raised and that the docstring does not name."""
    documented, raised = (set(re.findall(r"\b[A-Z]\w+", part)) for part in re.findall(r"\[(.*?)\]", line))
    return raised - documented


def test_an_error_that_is_raised_and_not_documented_is_found():
    line = "f.py:1: DOC503: … in the docstring: ['A_, InputError']. Raised exceptions in the body: ['{}', 'refusal']."
    assert errors_left_out(line.format("InputError")) == set()
    assert errors_left_out(line.format("ArtefactError")) == {"ArtefactError"}


def test_pydoclint():
    command = [sys.executable, "-m", "pydoclint.main", "--config=pyproject.toml", "nero_core"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if ": DOC" in line]
    seen = {line: re.search(r": (DOC\d+): ", line)[1] for line in lines}
    assert set(seen.values()) == set(LEFT_OUT), done.stderr
    assert [line for line, rule in seen.items() if rule == "DOC503" and errors_left_out(line)] == []
