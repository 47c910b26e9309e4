"""A lock that is a file: held by one process at a time, and let go when that process ends, however it ends."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from nero_core.errors import ArtefactError
from nero_core.storage.files import PRIVATE_FILE, disk_errors

LOCK_NAME = ".lock"
"""In a folder that several processes may write."""


@contextmanager
def trying_lock(path: Path, seconds: float = 0.0) -> Iterator[bool]:
    """Try to hold a lock for the length of a `with` block.

    Parameters
    ----------
    path : Path
        Made where it is missing; its folder must exist. The file says nothing: only the operating system knows who
        holds it, so that a process that was killed holds nothing.
    seconds : float
        How long to wait for whoever holds it.

    Yields
    ------
    bool
        Whether the lock is held; False where somebody else holds it.

    Raises
    ------
    FileNotFoundError
        Its folder does not exist.
    OSError
        The file cannot be made, or is on a disk that knows no locks.
    """
    if not path.parent.is_dir():  # filelock would make it, for everybody to look into
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    # Never the soft lock that filelock falls back to: the mere presence of a file outlives who was killed.
    lock = FileLock(path, timeout=seconds, mode=PRIVATE_FILE, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


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
        with disk_errors(f"{folder} cannot be written"):
            free = held.enter_context(trying_lock(folder / LOCK_NAME))
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
    """Whether somebody holds the lock at this moment. Who looks holds it for a moment, if nobody else does."""
    if not path.is_file():
        return False
    with trying_lock(path) as free:
        return not free
