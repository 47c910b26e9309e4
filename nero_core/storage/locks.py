"""A lock that is a file: held by one process at a time, and let go when that process ends, however it ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from nero_core.errors import ArtefactError

LOCK_NAME = ".lock"
"""In a folder that several processes may write."""

if sys.platform == "win32":
    import msvcrt

    def _take(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _take(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def trying_lock(path: Path) -> Iterator[bool]:
    """Try to hold a lock for the length of a `with` block; never waits.

    Parameters
    ----------
    path : Path
        Made where it is missing; its folder must exist. The file stays, and says nothing: only the operating system
        knows who holds it, so that a process that was killed holds nothing.

    Yields
    ------
    bool
        Whether the lock is held; False where somebody else holds it.

    Raises
    ------
    OSError
        The file cannot be made.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        try:
            _take(descriptor)
            held = _is_still(path, descriptor)
        except (BlockingIOError, PermissionError):  # what a held lock raises on POSIX and on Windows
            held = False
        yield held
    finally:
        os.close(descriptor)


def _is_still(path: Path, descriptor: int) -> bool:
    """Whether a path names the file that was opened: whoever held the lock before may have removed it meanwhile."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Be the only one that writes a folder, for the length of a `with` block.

    Parameters
    ----------
    folder : Path
        Exists. A hidden file lies in it meanwhile.

    Raises
    ------
    ArtefactError
        Another process, or another thread, is writing it; or it cannot be written.
    """
    with ExitStack() as held:
        try:
            free = held.enter_context(trying_lock(folder / LOCK_NAME))
        except OSError as error:
            raise ArtefactError(f"{folder} cannot be written: {error.strerror}; check its permissions.") from error
        if not free:
            raise ArtefactError(
                f"Another process is writing {folder}; wait until it is done, or choose another folder."
            )
        try:
            yield
        finally:
            with suppress(OSError):  # Windows removes no open file; it says nothing where it stays
                (folder / LOCK_NAME).unlink()


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock at this moment."""
    if not path.is_file():
        return False
    with trying_lock(path) as free:
        return not free
