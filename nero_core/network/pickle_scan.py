"""What a pickle of weights would make its reader do, looked at opcode by opcode before a reader does it.

A restricted reader runs no foreign code, and yet a pickle can keep it busy: fifty megabytes of opening brackets, a call
for a gigabyte of zeros, a text encoded over and over, forty pairs of pairs whose hash takes hours. The opcodes are
those of `pickletools`, in the standard library; nothing is made from them but counts.
"""

from __future__ import annotations

import pickletools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

MAX_PICKLE_BYTES = 2 * 2**20
"""A tensor takes about 110 bytes: the 932 tensors of a ResNet-152 take 98 kB, with its optimizer 187 kB."""
MAX_OPCODES = 500_000
"""A tensor takes about 31; a reader needs a microsecond or two for each."""
MAX_DEPTH = 100
"""Brackets open at once; checkpoints have fewer than ten."""
MAX_VALUES = 2**20
"""In one container, each counted as often as it occurs: what a hash, a comparison or a printed form goes through."""

CALLED = {
    "collections OrderedDict",
    "collections Counter",
    "__builtin__ set",
    "builtins set",
    "torch Size",
    "torch device",
    "torch._utils _rebuild_parameter",
    "torch._utils _rebuild_tensor",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_tensor_v3",
}
"""What a checkpoint of tensors calls; each makes no more than it is given."""
NAMED = re.compile(
    r"torch(\.storage|\.cuda)? \w+Storage|torch (b?float|complex|double|half|q?u?int|long|short|bool)\w*"
    r"|torch\.serialization _get_layout|torch\.nn\.parameter Parameter"
)
"""Kinds of storages and numbers, which are named and not called."""

CONSTANTS = {
    "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING", "LONG1",
    "EMPTY_TUPLE", "EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET",
}  # fmt: skip
MADE_OF = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3, "BINPERSID": 1}
FILLS = {"APPEND": 1, "SETITEM": 2, "BUILD": 1}
FILLS_FROM_MARK = {"APPENDS", "SETITEMS"}
PUTS, GETS = {"BINPUT", "LONG_BINPUT"}, {"BINGET", "LONG_BINGET"}


@dataclass(eq=False)
class _Value:
    """A value that a reader would hold."""

    values: int = 1
    callable: bool = False
    inside: bool = False


def scan(pickle: BinaryIO) -> None:
    """Go through one pickle up to its end, and raise where it does what no checkpoint of tensors does.

    Parameters
    ----------
    pickle : binary file
        Is left behind the pickle's last byte.

    Raises
    ------
    ValueError
        What it does.
    """
    reader = _Reader()
    for number, (opcode, argument, _) in enumerate(pickletools.genops(pickle)):
        if number >= MAX_OPCODES:
            raise ValueError(f"its pickle has more than {MAX_OPCODES} opcodes")
        reader.step(opcode.name, argument)


class _Reader:
    """A reader's stack and memo, with a count in place of each value."""

    def __init__(self) -> None:
        self._stack: list[_Value] = []
        self._marks: list[int] = []
        self._memo: dict[int, _Value] = {}

    def step(self, name: str, argument: object) -> None:
        """Do to the counts what an opcode does to values.

        Raises
        ------
        ValueError
            No checkpoint of tensors asks for this, or it is more than one holds.
        """
        if name in CONSTANTS:
            self._stack.append(_Value())
        elif name == "GLOBAL":
            self._stack.append(self._named(str(argument)))
        elif name == "MARK":
            if len(self._marks) >= MAX_DEPTH:
                raise ValueError(f"more than {MAX_DEPTH} brackets are open at once")
            self._marks.append(len(self._stack))
        elif name in MADE_OF:
            self._put_together(_Value(), self._taken(MADE_OF[name]))
        elif name == "TUPLE":
            self._put_together(_Value(), self._taken_from_mark())
        elif name in FILLS or name in FILLS_FROM_MARK:
            items = self._taken(FILLS[name]) if name in FILLS else self._taken_from_mark()
            (container,) = self._taken(1)
            if container.inside:
                raise ValueError("a container is filled after it was put into another one")
            self._put_together(container, items)
        elif name == "REDUCE":
            called, arguments = self._taken(2)
            if not called.callable:
                raise ValueError("it calls what is no function for tensors")
            self._put_together(_Value(), [arguments])
        elif name in PUTS:
            (value,) = self._taken(1)
            self._stack.append(value)
            self._memo[int(str(argument))] = value
        elif name in GETS:
            if int(str(argument)) not in self._memo:
                raise ValueError("it asks for a value that was not kept")
            self._stack.append(self._memo[int(str(argument))])
        elif name == "STOP":
            self._taken(1)
        elif name != "PROTO":
            raise ValueError(f"its opcode {name} is not one that checkpoints of tensors have")

    def _named(self, name: str) -> _Value:
        if name not in CALLED and not NAMED.fullmatch(name):
            raise ValueError(f"it asks for {name!r}")
        return _Value(callable=name in CALLED)

    def _taken(self, count: int) -> list[_Value]:
        if len(self._stack) - count < (self._marks[-1] if self._marks else 0):
            raise ValueError("it takes more values than it has")
        taken = self._stack[-count:]
        del self._stack[-count:]
        return taken

    def _taken_from_mark(self) -> list[_Value]:
        if not self._marks:
            raise ValueError("it closes a bracket that is not open")
        place = self._marks.pop()
        taken = self._stack[place:]
        del self._stack[place:]
        return taken

    def _put_together(self, container: _Value, items: Sequence[_Value]) -> None:
        for item in items:
            item.inside = True
            container.values += item.values
        if container.values > MAX_VALUES:
            raise ValueError(f"a container holds more than {MAX_VALUES} values")
        self._stack.append(container)
