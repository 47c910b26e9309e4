"""What comes from a file, held against what is declared for it: types, ranges, shapes, finiteness.

A declaration is an annotation: ``Annotated[int, Range(1, 100)]``, a ``TypedDict``, ``Annotated[Float64Array, Shape("K",
"d")]``. It stands once, where the thing itself stands. A file can be changed and sealed again by anybody who has it: a
digest says that it is whole, and nothing here believes that it is sensible.
"""

from __future__ import annotations

import dataclasses
import math
import reprlib
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

import numpy as np
import numpy.typing as npt

from nero_core.errors import InputError

MOST = 10**9
"""Of anything that is counted. Larger numbers overflow where they meet others, and no folder holds as many images."""
LONGEST_NAME = 80
"""Characters of a field's name in a message, where the name comes from the file."""


@dataclasses.dataclass(frozen=True)
class Range:
    """Numbers from `least` to `most`; an end that is named in `without` does not belong to it."""

    least: float
    most: float = MOST
    without: Literal["", "least", "most", "both"] = ""

    def __contains__(self, value: float) -> bool:
        above = self.least < value if self.without in ("least", "both") else self.least <= value
        below = value < self.most if self.without in ("most", "both") else value <= self.most
        return bool(above and below)

    def __str__(self) -> str:
        left = "(" if self.without in ("least", "both") else "["
        right = ")" if self.without in ("most", "both") else "]"
        return f"{left}{_number(self.least)}, {_number(self.most)}{right}"


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


Count = Annotated[int, Range(0)]
"""Of images, neurons or bytes."""
AtLeastOne = Annotated[int, Range(1)]
Share = Annotated[float, Range(0, 1)]
Percentile = Annotated[float, Range(0, 100, "most")]
"""Of values of which at least one is above it."""
AboveZero = Annotated[float, Range(0, MOST, "least")]


# Plain values ----------------------------------------------------------------------------------------------------


def check(value: object, wanted: Any, field: str, of: str = "") -> Any:
    """A value as its declaration has it, or an error that says what does not fit.

    Parameters
    ----------
    value : object
        A plain value, as JSON gives it. True is no number, and neither is NaN or infinity.
    wanted : annotation
        ``int``, ``float``, ``str``, ``bool``, None, ``Literal``, any of them ``Annotated`` with a :class:`Range`;
        sequences, tuples, mappings by text, unions; a ``NamedTuple`` as a list; a dataclass or a ``TypedDict``, as a
        mapping of its fields. A ``TypedDict`` lets further fields be: a newer version may have written them.
    field : str
        What the value is called; "" for a whole whose fields have names of their own.
    of : str
        Whose field it is, for the message.

    Returns
    -------
    value
        Lists are tuples where a tuple or a sequence is declared, mappings are records where a dataclass is, and texts
        are paths where a path is.

    Raises
    ------
    InputError
        Names the field, what was seen and what was wanted.
    """
    origin, arguments = get_origin(wanted), get_args(wanted)
    if origin in (Union, UnionType):
        others = [kind for kind in arguments if kind is not type(None)]
        if value is not None and len(others) == 1:  # its own words say more than those of the union
            return check(value, others[0], field, of)
        for kind in arguments:
            with suppress(InputError):
                return check(value, kind, field, of)
        raise _refused(value, wanted, field, of)
    if fields := _fields(wanted):
        made = _check_fields(_mapping(value, wanted, field, of), fields, wanted, field, of)
        return made if is_typeddict(wanted) else wanted(**made)
    if origin is Mapping or origin is dict:
        given = _mapping(value, wanted, field, of)
        return {key: check(each, arguments[1], _inside(field, key), of) for key, each in given.items()}
    named = isinstance(wanted, type) and issubclass(wanted, tuple)
    if named or origin in (Sequence, list, tuple):
        kinds = _each_of(wanted)
        if not isinstance(value, (list, tuple)) or (kinds and len(value) != len(kinds)):
            raise _refused(value, wanted, field, of)
        kind_of = kinds or (arguments[0],) * len(value)
        listed = [check(each, kind_of[place], f"{field}[{place}]", of) for place, each in enumerate(value)]
        return wanted(*listed) if named else listed if origin is list else tuple(listed)
    if not _is_one(value, wanted):
        raise _refused(value, wanted, field, of)
    return Path(value) if wanted is Path else value  # type: ignore[arg-type]


def _check_fields(
    value: Mapping[str, object], fields: Mapping[str, tuple[Any, bool]], wanted: Any, field: str, of: str
) -> dict[str, Any]:
    made = dict(value)
    for name, (kind, required) in fields.items():
        if name in value:
            made[name] = check(value[name], kind, _inside(field, name), of)
        elif required:
            raise InputError(f"`{_inside(field, name)}`{of} is missing; wanted {_in_words(kind)}.")
    if not is_typeddict(wanted) and (surplus := sorted(value.keys() - fields.keys())):
        raise InputError(f"`{_inside(field, surplus[0])}`{of} is not known; wanted {', '.join(fields)}.")
    return made


def _mapping(value: object, wanted: Any, field: str, of: str) -> Mapping[str, object]:
    if not (isinstance(value, Mapping) and all(isinstance(key, str) for key in value)):
        raise _refused(value, wanted, field, of)
    return value


def _refused(value: object, wanted: Any, field: str, of: str) -> InputError:
    return InputError(f"`{field}`{of} is {reprlib.repr(value)}; wanted {_in_words(wanted)}.")


def _inside(field: str, name: str) -> str:
    shown = name if name.isprintable() and len(name) <= LONGEST_NAME else reprlib.repr(name)
    return f"{field}.{shown}" if field else shown


@cache
def _fields(wanted: Any) -> Mapping[str, tuple[Any, bool]]:
    """Fields of a dataclass or TypedDict: what each holds, and whether it must be there; empty for anything else."""
    if is_typeddict(wanted):
        needed = wanted.__required_keys__
    elif dataclasses.is_dataclass(wanted):
        needed = {each.name for each in dataclasses.fields(wanted) if each.default is each.default_factory}
    else:
        return {}
    return {name: (kind, name in needed) for name, kind in _hints(wanted).items()}


def _each_of(wanted: Any) -> Sequence[Any]:
    """What each place of a list of fixed length holds; empty where the length is open."""
    if isinstance(wanted, type) and issubclass(wanted, tuple):
        return tuple(_hints(wanted).values())
    return get_args(wanted) if get_origin(wanted) is tuple and ... not in get_args(wanted) else ()


@cache
def _hints(wanted: Any) -> dict[str, Any]:
    return get_type_hints(wanted, include_extras=True)


def _is_one(value: object, wanted: Any) -> bool:
    """Whether a value that is no collection belongs to its declaration."""
    origin, arguments = get_origin(wanted), get_args(wanted)
    if origin is Annotated:
        ranges = [each for each in arguments[1:] if isinstance(each, Range)]
        return _is_one(value, arguments[0]) and all(value in each for each in ranges)  # type: ignore[operator]
    if origin is Literal:
        return isinstance(value, str) and value in arguments
    if wanted is int:
        return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if wanted is float:
        return isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and _is_finite(value)
    if wanted is Any:
        return True
    if wanted is Path:
        return isinstance(value, str)
    return isinstance(value, wanted) if wanted in (str, bool, type(None)) else False


def _is_finite(value: float | np.number[Any]) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number with more than 308 digits
        return False


KIND_WORDS: Mapping[Any, str] = {
    int: "a whole number",
    float: "a finite number",
    str: "text",
    Path: "a path",
    bool: "true or false",
    type(None): "nothing",
}


def _in_words(wanted: Any) -> str:
    """A declaration for people: "a whole number in [1, 100]"."""
    origin, arguments = get_origin(wanted), get_args(wanted)
    if origin is Annotated:
        ranges = " ".join(f" in {each}" for each in arguments[1:] if isinstance(each, Range))
        return _in_words(arguments[0]) + ranges
    if origin in (Union, UnionType):
        return " or ".join(_in_words(each) for each in arguments)
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if kinds := _each_of(wanted):
        return f"a list of {len(kinds)}, each of them {_in_words(kinds[0])}"
    if origin in (Sequence, list, tuple):
        return f"a list, each of them {_in_words(arguments[0])}"
    if origin is Mapping or origin is dict:
        return f"names, each with {_in_words(arguments[1])}"
    if fields := _fields(wanted):
        return f"an object of {', '.join(fields)}"
    return KIND_WORDS.get(wanted, str(wanted))


# Arrays ----------------------------------------------------------------------------------------------------------


class Shape:
    """The axes of an array, and what its values may be.

    Parameters
    ----------
    *axes : str or int
        A number, or a name: every array of one object that has an axis of that name is as long along it.
    values : Range, optional
        Of every value.
    below : str, optional
        The axis whose positions the values are, as indices are: 0 up to its length.
    endless : bool
        Whether a value may be infinite; none may be NaN.
    empty : bool
        Whether it may hold nothing.
    """

    def __init__(
        self,
        *axes: str | int,
        values: Range | None = None,
        below: str | None = None,
        endless: bool = False,
        empty: bool = False,
    ) -> None:
        self.axes, self.values, self.below, self.endless, self.empty = axes, values, below, endless, empty

    def __str__(self) -> str:
        return f"({', '.join(map(str, self.axes))}{',' * (len(self.axes) == 1)})"


ABOVE_ZERO = Range(0, math.inf, "least")
"""Values of what a score divides by."""
AT_LEAST_ZERO = Range(0, math.inf)
KINDS: Mapping[type[np.generic], str] = {
    np.floating: "floating-point numbers",
    np.signedinteger: "whole numbers",
    np.unsignedinteger: "whole numbers without a sign",
    np.bool_: "true and false",
}


def check_array(
    array: npt.NDArray[Any], wanted: Any, field: str, sizes: MutableMapping[str, int], of: str = ""
) -> None:
    """Refuse an array that its declaration does not allow.

    Parameters
    ----------
    array : (…)
        Of any shape.
    wanted : annotation
        ``Annotated[<array type>, Shape(...)]``. Of the type only the kind counts, floating or whole numbers.
    field : str
        What the array is called.
    sizes : {axis: length}
        What is known of axes; those that are met for the first time are entered.
    of : str
        Whose array it is, for the message.

    Raises
    ------
    InputError
        Names the array, what was seen and what was wanted.
    """
    declared, shape = get_args(wanted)
    scalar = get_args(get_args(declared)[1])[0]
    kind = next(kind for kind in KINDS if issubclass(scalar, kind))
    if not np.issubdtype(array.dtype, kind):
        raise InputError(f"`{field}`{of} holds {array.dtype}; wanted {KINDS[kind]}.")
    for axis, length in zip(shape.axes, array.shape, strict=False):
        if isinstance(axis, str) and (length or shape.empty):
            sizes.setdefault(axis, length)
    if array.shape != tuple(axis if isinstance(axis, int) else sizes.get(axis, -1) for axis in shape.axes):
        known = ", ".join(f"{axis} = {sizes[axis]}" for axis in shape.axes if axis in sizes)
        raise InputError(
            f"`{field}`{of} has shape {array.shape}; wanted {shape}" + (f" with {known}." if known else ".")
        )
    if not array.size:
        return
    low, high = array.min(), array.max()  # NaN is both the smallest and the largest of all values
    if np.isnan(low) or not (shape.endless or (np.isfinite(low) and np.isfinite(high))):
        raise InputError(f"`{field}`{of} holds NaN or infinity; wanted finite numbers.")
    allowed = Range(0, sizes[shape.below], "most") if shape.below else shape.values
    if allowed is not None and not (low in allowed and high in allowed):
        raise InputError(f"`{field}`{of} holds numbers from {low:g} to {high:g}; wanted them in {allowed}.")


def check_arrays(
    arrays: Mapping[str, npt.NDArray[Any]],
    declared: Mapping[str, Any],
    sizes: MutableMapping[str, int],
    of: str = "",
    optional: Sequence[str] = (),
) -> None:
    """Refuse arrays of which one is missing or surplus, or is not as it is declared; see :func:`check_array`.

    Raises
    ------
    InputError
        Names the array.
    """
    missing = sorted(declared.keys() - arrays.keys() - set(optional))
    if missing or (surplus := sorted(arrays.keys() - declared.keys())):
        what = f"`{missing[0]}`{of} is missing" if missing else f"`{surplus[0]}`{of} is not known"
        raise InputError(f"{what}; wanted {', '.join(declared)}.")
    for name, kind in declared.items():
        if name in arrays:
            check_array(arrays[name], kind, name, sizes, of)
