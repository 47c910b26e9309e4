"""What is restored from a file: refused by name where it cannot be, else it scores finitely within bounded memory.

A file of ours can be changed and sealed again by anybody, so that its hash says nothing of what it holds.
"""

from __future__ import annotations

import contextlib
import inspect
import math
from typing import Annotated, Literal, TypedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nero_core.data.preprocessing import Preprocessing
from nero_core.detectors import DETECTORS, make_detector
from nero_core.errors import ArtefactError, InputError
from nero_core.records import Float64Array, IntArray
from nero_core.storage.typed import Range, Shape, check, check_array, check_arrays
from tests.detectors.test_contract import NAMES, fitted_of, material_of


def harms(array):
    """Every way in which one array is made another, by name."""
    holed = np.array(array, np.float64 if array.dtype == bool else array.dtype)
    if np.issubdtype(holed.dtype, np.floating):
        holed = holed.copy()
        holed.flat[holed.size // 2] = np.nan
        yield "NaN", holed
        yield "infinite", np.where(np.isnan(holed), np.inf, holed)
    yield "int8", np.zeros(array.shape, np.int8)
    largest = np.finfo(holed.dtype).max if holed.dtype.kind == "f" else np.iinfo(holed.dtype).max
    yield "huge", np.full(array.shape, largest, holed.dtype)
    yield "negative", (-np.abs(array.astype(np.float64)) - 1).astype(np.int64 if holed.dtype.kind in "iu" else float)
    yield "another shape", np.ones((*array.shape, 2), array.dtype)
    yield "one shorter", array[:-1] if array.ndim else np.ones(2, array.dtype)
    yield "one row", np.ones((1, *array.shape), array.dtype)
    yield "empty", np.zeros((0, *array.shape[1:]), array.dtype)


def restored(name, arrays=None, parameters=None):
    """Restore and score: None where both went well, else what was said."""
    fitted, material = fitted_of(name), material_of(name)
    own = fitted.fitted_arrays()
    given = {**fitted.parameters(), **(parameters or {})}
    try:
        detector = make_detector(name, **given).restore({**own, **(arrays or {})}, material.head)
    except (ArtefactError, InputError) as error:
        return "refused", str(error)
    with np.errstate(all="ignore"):
        try:
            scores = detector.score(material.test)
        except InputError as error:
            return "not scored", str(error)
    assert np.isfinite(scores).all()
    return "scored", ""


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("name", NAMES)
def test_every_fitted_array_is_refused_by_name_or_scores(name):
    arrays = fitted_of(name).fitted_arrays()
    named = [f"`{each.rpartition('/')[2]}`" for each in arrays]
    for array_name, array in arrays.items():
        never = {"NaN", "another shape", "one row"} | ({"int8"} if array.dtype.kind == "f" else set())
        # Features that do not vary have no components; a panel weighed by few images has no AUROC.
        if (name, array_name) not in (("neco", "components_"), ("panel", "auroc_")):
            never.add("empty")
        for how, harmed in harms(np.asarray(array)):
            what, said = restored(name, {array_name: harmed})
            # An axis that another array shares is told of either.
            assert what != "refused" or any(each in said for each in named), (array_name, how, said)
            assert what == "refused" or how not in never, (array_name, how, said)


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("value", [10**18, -1, math.nan, math.inf, "x", None, True, [], {"a": 1}, 10**400], ids=repr)
@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_is_refused_by_name_or_scores(name, value):
    for parameter, declared in inspect.signature(DETECTORS[name], eval_str=True).parameters.items():
        what, said = restored(name, parameters={parameter: value})
        optional = type(None) in getattr(declared.annotation, "__args__", ())
        assert what == "refused" or value == -1 or (value is None and optional) or value == [], (parameter, what, said)
        assert what != "refused" or f"`{parameter}`" in said or "lower it" in said, said


@pytest.mark.parametrize("name", NAMES)
def test_what_is_fitted_meets_its_own_declaration(name):
    fitted, head = fitted_of(name), material_of(name).head
    declared = type(fitted)._declared()
    own = {key for key in fitted.fitted_arrays() if "/" not in key}
    assert own == set(declared), "each array that `fit` sets is declared"
    sizes = {"K": head.classes, "d": head.width}
    for key, annotation in declared.items():
        check_array(np.asarray(getattr(fitted, key)), annotation, key, sizes)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_is_declared_and_its_default_allowed(name):
    for parameter, declared in inspect.signature(DETECTORS[name], eval_str=True).parameters.items():
        assert declared.annotation is not inspect.Parameter.empty, f"{name}.{parameter} says what it may be"
        check(declared.default, declared.annotation, parameter)
        with pytest.raises(InputError, match=f"`{parameter}`"):
            check(math.nan, declared.annotation, parameter)


# The declarations themselves ---------------------------------------------------------------------------------------


class Inner(TypedDict):
    count: Annotated[int, Range(1, 10)]


class Outer(TypedDict):
    title: str
    inner: Inner
    shares: dict[str, Annotated[float, Range(0, 1)]]
    either: Annotated[int, Range(1)] | Annotated[float, Range(0, 1, "both")] | None
    kind: Literal["a", "b"]
    pair: tuple[float, float]
    names: list[str]


WHOLE = {
    "title": "t",
    "inner": {"count": 3},
    "shares": {"x": 0.5},
    "either": None,
    "kind": "a",
    "pair": [1, 2.5],
    "names": ["n"],
}


def test_a_whole_value_passes_and_further_fields_are_let_be():
    check({**WHOLE, "later": object()}, Outer, "")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("title", 3, "`title` is 3; wanted text."),
        ("title", None, "`title` is None"),
        ("inner", [], "`inner` is []; wanted an object of count."),
        ("inner", {}, "`inner.count` is missing; wanted a whole number in [1, 10]."),
        ("inner", {"count": True}, "`inner.count` is True"),
        ("inner", {"count": 11}, "`inner.count` is 11; wanted a whole number in [1, 10]."),
        ("inner", {"count": 2.0}, "`inner.count` is 2.0"),
        ("shares", {"x": 1.5}, "`shares.x` is 1.5; wanted a finite number in [0, 1]."),
        ("shares", {"x": math.nan}, "`shares.x` is nan"),
        ("shares", {"a\x1b[31m": 2}, "`shares.'a\\x1b[31m'` is 2"),
        ("shares", {3: 0.5}, "`shares` is {3: 0.5}; wanted names, each with"),
        ("either", 0, "wanted a whole number in [1, 1,000,000,000] or a finite number in (0, 1) or nothing."),
        ("either", 1.0, "`either` is 1.0"),
        ("kind", "c", "`kind` is 'c'; wanted 'a' or 'b'."),
        ("pair", [1], "`pair` is [1]; wanted a list of 2, each of them a finite number."),
        ("pair", [1, "x"], "`pair[1]` is 'x'"),
        ("names", "n", "`names` is 'n'; wanted a list, each of them text."),
    ],
)
def test_a_value_that_does_not_belong_is_named(field, value, said):
    with pytest.raises(InputError) as error:
        check({**WHOLE, field: value}, Outer, "")
    assert said in str(error.value)


def test_a_dataclass_takes_no_further_fields():
    with pytest.raises(InputError, match=r"`p\.colour` is not known; wanted height, width"):
        check({"colour": 1}, Preprocessing, "p")


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text() | st.integers(), st.lists, max_leaves=5))
def test_no_value_does_more_than_pass_or_be_refused(value):
    for field in WHOLE:
        with contextlib.suppress(InputError):
            check({**WHOLE, field: value}, Outer, "")


@pytest.mark.parametrize(
    ("array", "declared", "said"),
    [
        (np.zeros((3, 4)), Annotated[Float64Array, Shape("K", "d")], None),
        (np.zeros((3, 4), np.float16), Annotated[Float64Array, Shape("K", "d")], None),
        (np.zeros((3, 5)), Annotated[Float64Array, Shape("K", "d")], "wanted (K, d) with K = 3, d = 4."),
        (np.zeros(3), Annotated[Float64Array, Shape("K", "d")], "has shape (3,)"),
        (np.zeros((0,)), Annotated[Float64Array, Shape("n")], "has shape (0,); wanted (n,)."),
        (np.zeros((0,)), Annotated[Float64Array, Shape("n", empty=True)], None),
        (np.zeros((), np.float64), Annotated[Float64Array, Shape()], None),
        (np.zeros(1), Annotated[Float64Array, Shape()], "wanted ()."),
        (np.zeros(7), Annotated[Float64Array, Shape(7)], None),
        (np.zeros(3, np.int8), Annotated[Float64Array, Shape("K")], "holds int8; wanted floating-point numbers"),
        (np.zeros(3), Annotated[IntArray, Shape("K")], "holds float64; wanted whole numbers"),
        (np.array([0, 1, 2]), Annotated[IntArray, Shape("K", below="K")], None),
        (np.array([0, 1, 3]), Annotated[IntArray, Shape("K", below="K")], "from 0 to 3; wanted them in [0, 3)"),
        (np.array([0, -1, 1]), Annotated[IntArray, Shape("K", below="K")], "from -1 to 1"),
        (np.array([0, 1, np.nan]), Annotated[Float64Array, Shape("K", endless=True)], "NaN or infinity"),
        (np.array([0, 1, -np.inf]), Annotated[Float64Array, Shape("K", endless=True)], None),
        (np.array([0, 1, np.inf]), Annotated[Float64Array, Shape("K")], "NaN or infinity"),
        (np.array([0, 1, 2.0]), Annotated[Float64Array, Shape("K", values=Range(0, 9, "least"))], "from 0 to 2"),
    ],
)
def test_an_array_that_does_not_belong_is_named(array, declared, said):
    sizes = {"K": 3, "d": 4}
    if said is None:
        check_array(array, declared, "means_", sizes, " of NERO")
        return
    with pytest.raises(InputError) as error:
        check_array(array, declared, "means_", sizes, " of NERO")
    assert "`means_` of NERO" in str(error.value)
    assert said in str(error.value)


def test_axes_of_one_name_are_of_one_length():
    sizes = {}
    check_array(np.zeros((3, 4)), Annotated[Float64Array, Shape("m", "n")], "first", sizes)
    assert sizes == {"m": 3, "n": 4}
    with pytest.raises(InputError, match="`second` has shape"):
        check_array(np.zeros((4, 3)), Annotated[Float64Array, Shape("m", "n")], "second", sizes)


def test_arrays_missing_and_surplus_are_named():
    declared = {"a": Annotated[Float64Array, Shape("n")], "b": Annotated[Float64Array, Shape("n")]}
    check_arrays({"a": np.zeros(2)}, declared, {}, optional=("b",))
    with pytest.raises(InputError, match="`b` of it is missing; wanted a, b"):
        check_arrays({"a": np.zeros(2)}, declared, {}, " of it")
    with pytest.raises(InputError, match="`c` is not known"):
        check_arrays({"a": np.zeros(2), "b": np.zeros(2), "c": np.zeros(2)}, declared, {})
